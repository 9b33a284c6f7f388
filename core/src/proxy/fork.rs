//! The response context of a proxied request (RFC 3261 §16.6 to §16.10): which branch is tried when, which response
//! goes upstream, what is cancelled. It holds no bytes and knows no target: [`crate::node`] does.

use core::time::Duration;

use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

use super::status_set::StatusSet;

/// Most branches of one request, failovers included.
pub const BRANCHES_MAX: usize = 8;

/// How targets are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Order {
    /// All at once.
    Parallel,
    /// One after the other.
    Serial,
}

/// Why a branch ended without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Failure {
    /// No final response in time: counts as 408 (RFC 3261 §16.8).
    TimedOut,
    /// It could not be sent: counts as 503 (RFC 3261 §16.9).
    Transport,
    /// No media relay takes its session description: counts as 503.
    Media,
}

impl Failure {
    /// The status code a failure counts as.
    pub const fn status(self) -> u16 {
        match self {
            Self::TimedOut => 408,
            Self::Transport | Self::Media => 503,
        }
    }
}

/// What happens to a response context.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// It begins with that many targets.
    Start {
        /// Number of targets, at most [`BRANCHES_MAX`] are used.
        targets: usize,
    },
    /// A branch received a response.
    Response {
        /// The branch.
        branch: u8,
        /// Its status code.
        status: u16,
        /// Final responses after which the next target is tried.
        advance: &'e StatusSet,
    },
    /// A branch ended without a response.
    Failed {
        /// The branch.
        branch: u8,
        /// Why.
        why: Failure,
        /// As in [`Event::Response`].
        advance: &'e StatusSet,
    },
    /// The caller cancels.
    Cancel,
    /// The deadline has come (Timer C, or the wait for a cancelled branch).
    Timeout,
}

/// What a response context wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// Forward the request to the target of that number, as the branch of that number.
    Start {
        /// The branch, and the place of its target in the list of targets.
        branch: u8,
    },
    /// Forward the response just received.
    Forward,
    /// Keep the response just received: it may be chosen later.
    Keep,
    /// Cancel that branch.
    Cancel {
        /// The branch.
        branch: u8,
    },
    /// Forward the response kept from that branch.
    RespondKept {
        /// The branch.
        branch: u8,
    },
    /// Answer the request from here.
    RespondLocal {
        /// The status code.
        status: u16,
        /// Whether every target was tried and failed.
        exhausted: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Pending,
    /// Ended; the status it counts as, and whether a kept response stands for it.
    Ended {
        status: u16,
        kept: bool,
    },
}

impl Phase {
    const fn is_pending(self) -> bool {
        matches!(self, Self::Pending)
    }
}

#[derive(Clone, Copy, Debug)]
struct Branch {
    phase: Phase,
    cancelled: bool,
}

/// A response context.
#[derive(Debug)]
pub struct Fork {
    branches: heapless::Vec<Branch, BRANCHES_MAX>,
    order: Order,
    invite: bool,
    answered: bool,
    cancelled: bool,
    timer_c_ms: u32,
    wait_ms: u32,
    deadline: Option<Instant>,
}

impl Fork {
    /// A context for an INVITE or another request. `timer_c` bounds the wait after the last provisional response,
    /// `wait` the wait for a cancelled branch (64 × T1, RFC 3261 §9.1).
    pub fn new(order: Order, invite: bool, timer_c: Duration, wait: Duration) -> Self {
        let ms = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
        Self {
            branches: heapless::Vec::new(),
            order,
            invite,
            answered: false,
            cancelled: false,
            timer_c_ms: ms(timer_c),
            wait_ms: ms(wait),
            deadline: None,
        }
    }

    /// Whether a final response went upstream.
    pub const fn is_answered(&self) -> bool {
        self.answered
    }

    /// Whether the caller cancelled.
    pub const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Branches begun so far.
    pub fn started(&self) -> usize {
        self.branches.iter().filter(|b| b.phase != Phase::Waiting).count()
    }

    fn pending(&self) -> bool {
        self.branches.iter().any(|b| b.phase.is_pending())
    }

    fn start_next<S: Sink<Action>>(&mut self, now: Instant, out: &mut S) -> bool {
        let Some(i) = self.branches.iter().position(|b| b.phase == Phase::Waiting) else {
            return false;
        };
        self.branches[i].phase = Phase::Pending;
        if self.invite {
            self.restart_timer_c(now);
        }
        out.emit(Action::Start { branch: i as u8 });
        true
    }

    fn restart_timer_c(&mut self, now: Instant) {
        if !self.cancelled && !self.answered {
            self.deadline = Some(now + Duration::from_millis(u64::from(self.timer_c_ms)));
        }
    }

    /// RFC 3261 §16.10. The client transaction keeps the CANCEL until its branch has answered provisionally (§9.1).
    fn cancel_pending<S: Sink<Action>>(&mut self, out: &mut S) {
        for (i, b) in self.branches.iter_mut().enumerate() {
            if b.phase.is_pending() && !b.cancelled {
                b.cancelled = true;
                out.emit(Action::Cancel { branch: i as u8 });
            }
        }
    }

    /// No further target is tried, what is pending is cancelled, and given up after a bounded wait.
    fn wind_down<S: Sink<Action>>(&mut self, now: Instant, out: &mut S) {
        self.branches.retain(|b| b.phase != Phase::Waiting);
        if self.invite {
            self.cancel_pending(out);
        }
        self.deadline = self.pending().then(|| now + Duration::from_millis(u64::from(self.wait_ms)));
    }

    fn provisional<S: Sink<Action>>(&mut self, cx: &mut Cx<'_>, status: u16, out: &mut S) {
        // RFC 3261 §16.7 step 2: Timer C restarts on 101 to 199; step 5: 100 is never forwarded.
        if status > 100 && !self.answered {
            if self.invite {
                self.restart_timer_c(cx.now);
            }
            out.emit(Action::Forward);
        }
    }

    fn ended<S: Sink<Action>>(&mut self, cx: &mut Cx<'_>, status: u16, advance: &StatusSet, out: &mut S) {
        if self.answered {
            if !self.pending() {
                self.deadline = None;
            }
            return;
        }
        // RFC 3261 §16.7 step 5: 6xx ends the search, unless the operator names it among the failures of a target.
        if status >= 600 && !advance.contains(status) {
            self.wind_down(cx.now, out);
        }
        if !self.cancelled && self.order == Order::Serial && advance.contains(status) && self.start_next(cx.now, out) {
            return;
        }
        if !self.pending() {
            self.respond(advance, out);
        }
    }

    /// RFC 3261 §16.7 step 6: chooses among the final responses. Those that only say that a target failed come last.
    fn respond<S: Sink<Action>>(&mut self, advance: &StatusSet, out: &mut S) {
        self.answered = true;
        self.deadline = None;
        let rank = |status: u16| match status {
            600.. => (0, 0),
            401 | 407 => (status / 100, 0),
            415 | 420 | 484 => (status / 100, 1),
            _ => (status / 100, 2),
        };
        let ended = self.branches.iter().enumerate().filter_map(|(i, b)| match b.phase {
            Phase::Ended { status, kept } => Some((i, status, kept)),
            _ => None,
        });
        // Of equals the last one: the freshest word.
        let best =
            ended.min_by_key(|(i, status, kept)| (advance.contains(*status), rank(*status), !*kept, BRANCHES_MAX - i));
        out.emit(match best {
            Some((_, 408 | 503, _)) if self.cancelled => Action::RespondLocal { status: 487, exhausted: false },
            Some((_, status, _)) if !self.cancelled && advance.contains(status) => {
                Action::RespondLocal { status, exhausted: true }
            }
            Some((i, _, true)) => Action::RespondKept { branch: i as u8 },
            Some((_, status, false)) => Action::RespondLocal { status, exhausted: false },
            None if self.cancelled => Action::RespondLocal { status: 487, exhausted: false },
            None => Action::RespondLocal { status: 500, exhausted: true },
        });
    }

    fn end_branch(&mut self, branch: u8, status: u16, kept: bool) -> bool {
        match self.branches.get_mut(usize::from(branch)) {
            Some(b) if b.phase.is_pending() => {
                b.phase = Phase::Ended { status, kept };
                true
            }
            _ => false,
        }
    }

    fn response<S: Sink<Action>>(
        &mut self,
        cx: &mut Cx<'_>,
        branch: u8,
        status: u16,
        advance: &StatusSet,
        out: &mut S,
    ) {
        match status {
            ..200 => {
                if self.branches.get(usize::from(branch)).is_some_and(|b| b.phase.is_pending()) {
                    self.provisional(cx, status, out);
                }
            }
            200..300 => {
                // Every 2xx to an INVITE goes upstream at once (RFC 3261 §16.7 step 5); of other requests the first.
                let fresh = self.end_branch(branch, status, false);
                let known = self.branches.get(usize::from(branch)).is_some_and(|b| b.phase != Phase::Waiting);
                if known && (self.invite || (fresh && !self.answered)) {
                    self.answered = true;
                    out.emit(Action::Forward);
                    self.wind_down(cx.now, out);
                } else if fresh && !self.pending() {
                    self.deadline = None;
                }
            }
            _ => {
                if self.end_branch(branch, status, true) {
                    if !self.answered {
                        out.emit(Action::Keep);
                    }
                    self.ended(cx, status, advance, out);
                }
            }
        }
    }

    fn timeout<S: Sink<Action>>(&mut self, cx: &mut Cx<'_>, out: &mut S) {
        if self.deadline.is_none_or(|d| d > cx.now) {
            return;
        }
        self.deadline = None;
        if !self.answered {
            // RFC 3261 §16.8: Timer C. What answered provisionally is cancelled, the rest counts as a 408.
            self.cancel_pending(out);
        }
        for b in &mut self.branches {
            if b.phase.is_pending() {
                b.phase = Phase::Ended { status: 408, kept: false };
            }
        }
        self.branches.retain(|b| b.phase != Phase::Waiting);
        if !self.answered {
            self.respond(&StatusSet::default(), out);
        }
    }
}

impl Timed for Fork {
    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn is_done(&self) -> bool {
        self.answered && !self.pending()
    }
}

impl Machine for Fork {
    type Event<'e> = Event<'e>;
    type Action<'a> = Action;
    const ACTIONS_MAX: usize = BRANCHES_MAX + 2;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Action>,
    {
        match event {
            Event::Start { targets } => {
                let waiting = Branch { phase: Phase::Waiting, cancelled: false };
                for _ in 0..targets.min(BRANCHES_MAX) {
                    // Bounded by BRANCHES_MAX, which is the capacity.
                    let _ = self.branches.push(waiting);
                }
                if self.branches.is_empty() {
                    return self.respond(&StatusSet::default(), out);
                }
                while self.start_next(cx.now, out) && self.order == Order::Parallel {}
            }
            Event::Response { branch, status, advance } => self.response(cx, branch, status, advance, out),
            Event::Failed { branch, why, advance } => {
                if self.end_branch(branch, why.status(), false) {
                    self.ended(cx, why.status(), advance, out);
                }
            }
            Event::Cancel => {
                if !self.answered && !self.cancelled {
                    self.cancelled = true;
                    self.wind_down(cx.now, out);
                    if !self.pending() {
                        self.answered = true;
                        out.emit(Action::RespondLocal { status: 487, exhausted: false });
                    }
                }
            }
            Event::Timeout => self.timeout(cx, out),
        }
    }
}

#[cfg(test)]
mod tests;
