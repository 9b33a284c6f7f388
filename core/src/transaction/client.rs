//! The non-INVITE client transaction: RFC 3261 §17.1.2 (figure 6).
//!
//! RFC 4320 §4.2 bears on what is done with `TimedOut`: whoever forwards it sends no 408 upstream.

use super::timers::{Step, Timers, due, earliest};
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

/// What happens to a non-INVITE client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientEvent {
    /// The transaction user wants the request sent.
    Start,
    /// A response came.
    Response {
        /// Its status code; outside of 100-699 it is ignored.
        status: u16,
    },
    /// The transport could not send (RFC 3261 §17.1.4).
    TransportFailed,
    /// The deadline has come.
    Timeout,
}

/// What a non-INVITE client transaction wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientAction {
    /// Send the request, the first time or again.
    SendRequest,
    /// The response of this event belongs to the transaction user.
    PassResponse,
    /// No final response in time.
    TimedOut,
    /// The request could not be sent.
    TransportError,
    /// The machine is done.
    Terminated,
}

/// Where a non-INVITE client transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ClientState {
    /// Not started.
    Idle,
    /// Sent, no response yet.
    Trying,
    /// A provisional response came.
    Proceeding,
    /// A final response came; more of them are absorbed until Timer K.
    Completed,
    /// Done.
    Terminated,
}

use ClientAction as Action;
use ClientState as State;

/// A non-INVITE client transaction.
#[derive(Clone, Debug)]
pub struct Client {
    /// Timer E.
    retransmit_at: Option<Instant>,
    /// Timers F and K.
    ends_at: Option<Instant>,
    retransmissions: u8,
    state: State,
    reliable: bool,
}

impl Client {
    /// A transaction that waits for its `Start`. `reliable` says whether the transport retransmits by itself.
    pub const fn new(reliable: bool) -> Self {
        Self { retransmit_at: None, ends_at: None, retransmissions: 0, state: State::Idle, reliable }
    }

    /// Where it stands.
    pub const fn state(&self) -> ClientState {
        self.state
    }

    /// How often the request was sent again.
    pub const fn retransmissions(&self) -> u8 {
        self.retransmissions
    }

    fn start(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        self.state = State::Trying;
        if !self.reliable {
            self.retransmit_at = Some(now + t.timer_e(0));
        }
        self.ends_at = Some(now + t.timer_f().min(t.fr));
        out.emit(Action::SendRequest);
    }

    fn response(&mut self, now: Instant, t: &Timers, status: u16, out: &mut impl Sink<Action>) {
        if !matches!(self.state, State::Trying | State::Proceeding) {
            return;
        }
        match status {
            // RFC 3261 §17.1.2.2: Timers E and F run on.
            100..=199 => {
                self.state = State::Proceeding;
                out.emit(Action::PassResponse);
            }
            200..=699 => {
                let k = t.timer_k(self.reliable);
                self.enter(State::Completed, Some(now + k));
                out.emit(Action::PassResponse);
                if k.is_zero() {
                    self.terminate(out);
                }
            }
            _ => {}
        }
    }

    fn timeout(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        if due(self.ends_at, now) {
            if self.state != State::Completed {
                out.emit(Action::TimedOut);
            }
            self.terminate(out);
        } else if due(self.retransmit_at, now) {
            self.retransmissions = self.retransmissions.saturating_add(1);
            // RFC 3261 §17.1.2.2: doubled up to T2 in Trying, T2 in Proceeding.
            let e =
                if self.state == State::Proceeding { t.timer_e_proceeding() } else { t.timer_e(self.retransmissions) };
            self.retransmit_at = Some(now + e);
            out.emit(Action::SendRequest);
        }
    }

    fn enter(&mut self, state: State, ends_at: Option<Instant>) {
        self.state = state;
        self.retransmit_at = None;
        self.ends_at = ends_at;
    }

    fn terminate(&mut self, out: &mut impl Sink<Action>) {
        self.enter(State::Terminated, None);
        out.emit(Action::Terminated);
    }
}

impl Timed for Client {
    fn next_deadline(&self) -> Option<Instant> {
        earliest([self.retransmit_at, self.ends_at])
    }

    fn is_done(&self) -> bool {
        self.state == State::Terminated
    }
}

impl Machine for Client {
    type Event<'e> = Step<'e, ClientEvent>;
    type Action<'a> = ClientAction;
    const ACTIONS_MAX: usize = 2;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, step: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>,
    {
        let (now, t) = (cx.now, step.timers);
        match step.event {
            ClientEvent::Start if self.state == State::Idle => self.start(now, t, out),
            ClientEvent::Start => {}
            ClientEvent::Response { status } => self.response(now, t, status, out),
            ClientEvent::TransportFailed if matches!(self.state, State::Trying | State::Proceeding) => {
                out.emit(Action::TransportError);
                self.terminate(out);
            }
            ClientEvent::TransportFailed => {}
            ClientEvent::Timeout => self.timeout(now, t, out),
        }
    }
}

#[cfg(test)]
mod tests;
