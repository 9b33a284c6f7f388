//! The INVITE client transaction: RFC 3261 §17.1.1 (figure 5) with the Accepted state of RFC 6026 §7.2 and §8.4.
//!
//! ```text
//!                   Start: SendRequest
//!                          |
//!  A: SendRequest     +---------+  300-699: SendAck, PassResponse
//!              +----->| Calling |----------------------------------+
//!              +------|         |--2xx: PassResponse-----------+   |
//!                     +---------+                              |   |
//!                          | 1xx: PassResponse                 |   |
//!  1xx: PassResponse  +------------+ 300-699: SendAck, PassResp.   |
//!              +----->| Proceeding |---------------------------|-->|
//!              +------|            |--2xx: PassResponse------->|   |
//!                     +------------+                           |   |
//!                                     2xx:         +----------+  +-----------+  300-699:
//!                                     PassResponse | Accepted |  | Completed |  SendAck
//!                                                  +----------+  +-----------+
//!                                                    | M               | D, transport error
//!                     B, transport error     +------------+            |
//!                     in Calling ----------->| Terminated |<-----------+
//!                                            +------------+
//! ```
//!
//! A proxy has less patience than Timer B. When the first reply or the final one is overdue, the machine *gives up*: it
//! reports [`TimedOut`](ClientInviteAction::TimedOut) and stays, silent, until no answer can come any more. A target
//! that turns out to be alive after all is then sent a CANCEL, its refusal is acknowledged, and its 2xx is passed on.

use core::time::Duration;

use super::timers::{Step, Timers, due, earliest};
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

/// What happens to an INVITE client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientInviteEvent {
    /// The transaction user wants the INVITE sent.
    Start {
        /// How long the target may leave it without any response, if that is less than [`Timers::fr`].
        first_reply_timeout: Option<Duration>,
    },
    /// A response came.
    Response {
        /// Its status code; outside of 100-699 it is ignored.
        status: u16,
    },
    /// The transaction user wants the INVITE cancelled. The CANCEL waits for a provisional response (RFC 3261 §9.1).
    Cancel,
    /// The transport could not send (RFC 3261 §17.1.4).
    TransportFailed,
    /// The deadline has come.
    Timeout,
}

/// What an INVITE client transaction wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientInviteAction {
    /// Send the INVITE, the first time or again.
    SendRequest,
    /// Send the ACK to the 300-699 response (RFC 3261 §17.1.1.3).
    SendAck,
    /// Send a CANCEL, as a transaction of its own.
    SendCancel,
    /// The response of this event belongs to the transaction user.
    PassResponse,
    /// No response in time: to be taken as a 408 (RFC 3261 §8.1.3.1).
    TimedOut,
    /// The INVITE could not be sent: to be taken as a 503 (RFC 3261 §8.1.3.1).
    TransportError,
    /// The machine is done.
    Terminated,
}

/// Where an INVITE client transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientInviteState {
    /// Not started.
    Idle,
    /// Sent, no response yet.
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A 2xx came; more of them are passed on until Timer M (RFC 6026 §7.2).
    Accepted,
    /// A 300-699 came; more of them are acknowledged until Timer D.
    Completed,
    /// Done.
    Terminated,
}

use ClientInviteAction as Action;
use ClientInviteState as State;

/// An INVITE client transaction.
#[derive(Clone, Debug)]
pub struct ClientInvite {
    /// Timer A.
    retransmit_at: Option<Instant>,
    /// When the transaction user is told that the target is too slow.
    give_up_at: Option<Instant>,
    /// Timers B, D, M and the wait after a CANCEL.
    ends_at: Option<Instant>,
    /// The highest provisional status so far.
    provisional: u16,
    retransmissions: u8,
    state: State,
    reliable: bool,
    /// A CANCEL is wanted in Calling, and was sent in Proceeding.
    cancel: bool,
    /// The transaction user holds `TimedOut` as the outcome.
    given_up: bool,
}

impl ClientInvite {
    /// A transaction that waits for its `Start`. `reliable` says whether the transport retransmits by itself (TCP, TLS,
    /// WebSocket).
    pub const fn new(reliable: bool) -> Self {
        Self {
            retransmit_at: None,
            give_up_at: None,
            ends_at: None,
            provisional: 0,
            retransmissions: 0,
            state: State::Idle,
            reliable,
            cancel: false,
            given_up: false,
        }
    }

    /// Where it stands.
    pub const fn state(&self) -> ClientInviteState {
        self.state
    }

    /// Whether the transaction user was told `TimedOut`, while the machine still watches for a late answer.
    pub const fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// How often the INVITE was sent again.
    pub const fn retransmissions(&self) -> u8 {
        self.retransmissions
    }

    fn start(&mut self, now: Instant, t: &Timers, first_reply: Option<Duration>, out: &mut impl Sink<Action>) {
        self.state = State::Calling;
        if !self.reliable {
            self.retransmit_at = Some(now + t.timer_a(0));
        }
        self.ends_at = Some(now + t.timer_b());
        let patience = first_reply.map_or(t.fr, |d| d.min(t.fr));
        self.give_up_at = (patience < t.timer_b()).then(|| now + patience);
        out.emit(Action::SendRequest);
    }

    fn response(&mut self, now: Instant, t: &Timers, status: u16, out: &mut impl Sink<Action>) {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => self.provisional(now, t, status, out),
            (State::Calling | State::Proceeding, 200..=299) => {
                // RFC 6026 §8.4. A late 2xx is a call that was set up: it is passed on whatever was reported before.
                self.enter(State::Accepted, Some(now + t.timer_m()));
                out.emit(Action::PassResponse);
            }
            (State::Calling | State::Proceeding, 300..=699) => {
                // RFC 3261 §17.1.1.2: acknowledged here, before anyone decides about it.
                self.enter(State::Completed, Some(now + t.timer_d(self.reliable)));
                out.emit(Action::SendAck);
                if !self.given_up {
                    out.emit(Action::PassResponse);
                }
                if t.timer_d(self.reliable).is_zero() {
                    self.terminate(out);
                }
            }
            // RFC 6026 §8.4: each 2xx, for retransmissions and forks need their own ACK from the user agent.
            (State::Accepted, 200..=299) => out.emit(Action::PassResponse),
            (State::Completed, 300..=699) => out.emit(Action::SendAck),
            _ => {}
        }
    }

    fn provisional(&mut self, now: Instant, t: &Timers, status: u16, out: &mut impl Sink<Action>) {
        let first = self.state == State::Calling;
        if first {
            // RFC 3261 §17.1.1.2: no retransmission and no Timer B from here on.
            self.enter(State::Proceeding, None);
        }
        if !self.given_up {
            out.emit(Action::PassResponse);
        }
        if !self.cancel {
            if first || t.restart_fr_on_each_reply || (status >= 180 && status > self.provisional) {
                self.give_up_at = Some(now + t.fr_inv);
            }
        } else if first {
            self.send_cancel(now, t, out);
        }
        self.provisional = self.provisional.max(status);
    }

    fn want_cancel(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        if !self.cancel {
            self.cancel = matches!(self.state, State::Calling | State::Proceeding);
            if self.state == State::Proceeding {
                self.send_cancel(now, t, out);
            }
        }
    }

    /// RFC 3261 §9.1: after a CANCEL the final response is waited for another 64*T1.
    fn send_cancel(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        self.cancel = true;
        self.give_up_at = None;
        self.ends_at = Some(now + t.t1_64());
        out.emit(Action::SendCancel);
    }

    fn transport_failed(&mut self, out: &mut impl Sink<Action>) {
        match self.state {
            State::Calling => {
                if !self.given_up {
                    out.emit(Action::TransportError);
                }
                self.terminate(out);
            }
            // The ACK could not be sent. The transaction user has its outcome already, and it does not change.
            State::Completed => self.terminate(out),
            // Nothing is sent from these (figure 5 has no such transition).
            State::Idle | State::Proceeding | State::Accepted | State::Terminated => {}
        }
    }

    fn timeout(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        if due(self.ends_at, now) {
            let unanswered = matches!(self.state, State::Calling | State::Proceeding);
            if unanswered && !self.given_up {
                out.emit(Action::TimedOut);
            }
            self.terminate(out);
        } else if due(self.give_up_at, now) {
            self.given_up = true;
            self.retransmit_at = None;
            self.give_up_at = None;
            out.emit(Action::TimedOut);
            if self.state == State::Proceeding {
                // RFC 3261 §16.8: a branch that answered is told to stop.
                self.send_cancel(now, t, out);
            }
            self.cancel = true;
        } else if due(self.retransmit_at, now) {
            self.retransmissions = self.retransmissions.saturating_add(1);
            self.retransmit_at = Some(now + t.timer_a(self.retransmissions));
            out.emit(Action::SendRequest);
        }
    }

    fn enter(&mut self, state: State, ends_at: Option<Instant>) {
        self.state = state;
        self.retransmit_at = None;
        self.give_up_at = None;
        self.ends_at = ends_at;
    }

    fn terminate(&mut self, out: &mut impl Sink<Action>) {
        self.enter(State::Terminated, None);
        out.emit(Action::Terminated);
    }
}

impl Timed for ClientInvite {
    fn next_deadline(&self) -> Option<Instant> {
        earliest([self.retransmit_at, self.give_up_at, self.ends_at])
    }

    fn is_done(&self) -> bool {
        self.state == State::Terminated
    }
}

impl Machine for ClientInvite {
    type Event<'e> = Step<'e, ClientInviteEvent>;
    type Action<'a> = ClientInviteAction;
    const ACTIONS_MAX: usize = 3;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, step: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>,
    {
        let (now, t) = (cx.now, step.timers);
        match step.event {
            ClientInviteEvent::Start { first_reply_timeout } if self.state == State::Idle => {
                self.start(now, t, first_reply_timeout, out);
            }
            ClientInviteEvent::Start { .. } => {}
            ClientInviteEvent::Response { status } => self.response(now, t, status, out),
            ClientInviteEvent::Cancel => self.want_cancel(now, t, out),
            ClientInviteEvent::TransportFailed => self.transport_failed(out),
            ClientInviteEvent::Timeout => self.timeout(now, t, out),
        }
    }
}

#[cfg(test)]
mod tests;
