//! The non-INVITE server transaction: RFC 3261 §17.2.2 (figure 8) as RFC 4320 §4 corrects it, with the rule of
//! RFC 6026 §8.8 that a transport error changes no state.

use super::timers::{Step, Timers, due, earliest};
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

/// What happens to a non-INVITE server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerEvent {
    /// The request came.
    Start,
    /// The request came again.
    RequestRetransmitted,
    /// The transaction user has a response. Not every one is sent, see [`ServerAction::SendResponse`].
    Respond {
        /// Its status code; outside of 100-699 it is ignored.
        status: u16,
    },
    /// The transport could not send (RFC 3261 §17.2.4).
    TransportFailed,
    /// The deadline has come.
    Timeout,
}

/// What a non-INVITE server transaction wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerAction {
    /// Send a 100 of one's own, and keep it as the last response (RFC 4320 §4.1).
    SendTrying,
    /// Send the response of this event, and keep it as the last response. By RFC 4320 it does not come for a 101-199,
    /// for a 100 that is too early for the transport, and for a 408.
    SendResponse,
    /// Send the last response once more.
    Resend,
    /// The transaction user had no response in the time in which the client still listens.
    TimedOut,
    /// The last response could not be sent. The transaction lives on (RFC 6026 §8.8).
    TransportError,
    /// The machine is done.
    Terminated,
}

/// Where a non-INVITE server transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerState {
    /// Not started.
    Idle,
    /// No response yet.
    Trying,
    /// A 100 was sent.
    Proceeding,
    /// A final response was sent; it is repeated for retransmitted requests until Timer J.
    Completed,
    /// The final response would be a 408, so there is none (RFC 4320 §4.2); retransmitted requests are absorbed for as
    /// long as the client sends them.
    Silent,
    /// Done.
    Terminated,
}

use ServerAction as Action;
use ServerState as State;

/// A non-INVITE server transaction.
#[derive(Clone, Debug)]
pub struct Server {
    /// When a 100 is owed.
    trying_at: Option<Instant>,
    /// The end of the client's patience (its Timer F), later Timer J.
    ends_at: Option<Instant>,
    state: State,
    reliable: bool,
}

impl Server {
    /// A transaction that waits for its `Start`. `reliable` says whether the transport retransmits by itself.
    pub const fn new(reliable: bool) -> Self {
        Self { trying_at: None, ends_at: None, state: State::Idle, reliable }
    }

    /// Where it stands.
    pub const fn state(&self) -> ServerState {
        self.state
    }

    /// The client began no later than now, so nothing that is sent after 64*T1 reaches it: its Timer F runs through
    /// provisional responses as well (RFC 3261 §17.1.2.2, RFC 4320 §3).
    fn start(&mut self, now: Instant, t: &Timers) {
        self.state = State::Trying;
        self.trying_at = Some(now + t.non_invite_trying());
        self.ends_at = Some(now + t.timer_f());
    }

    fn respond(&mut self, now: Instant, t: &Timers, status: u16, out: &mut impl Sink<Action>) {
        match (self.state, status) {
            // RFC 4320 §4.1: over an unreliable transport not before Timer E of the client has reached T2, as it would
            // slow down the retransmissions. The 100 is sent when its time has come.
            (State::Trying, 100) if self.reliable || due(self.trying_at, now) => {
                self.trying_at = None;
                self.state = State::Proceeding;
                out.emit(Action::SendResponse);
            }
            (State::Proceeding, 100) => out.emit(Action::SendResponse),
            // RFC 4320 §4.2.
            (State::Trying | State::Proceeding, 408) => {
                self.trying_at = None;
                self.state = State::Silent;
            }
            (State::Trying | State::Proceeding, 200..=699) => {
                let j = t.timer_j(self.reliable);
                self.trying_at = None;
                self.ends_at = Some(now + j);
                self.state = State::Completed;
                out.emit(Action::SendResponse);
                if j.is_zero() {
                    self.terminate(out);
                }
            }
            // RFC 4320 §4.1: no provisional response but 100. RFC 3261 §17.2.2: one final response.
            _ => {}
        }
    }

    fn timeout(&mut self, now: Instant, out: &mut impl Sink<Action>) {
        if due(self.ends_at, now) {
            if matches!(self.state, State::Trying | State::Proceeding) {
                out.emit(Action::TimedOut);
            }
            self.terminate(out);
        } else if due(self.trying_at, now) {
            // RFC 4320 §4.1: owed over every transport.
            self.trying_at = None;
            self.state = State::Proceeding;
            out.emit(Action::SendTrying);
        }
    }

    fn terminate(&mut self, out: &mut impl Sink<Action>) {
        self.state = State::Terminated;
        self.trying_at = None;
        self.ends_at = None;
        out.emit(Action::Terminated);
    }
}

impl Timed for Server {
    fn next_deadline(&self) -> Option<Instant> {
        earliest([self.trying_at, self.ends_at])
    }

    fn is_done(&self) -> bool {
        self.state == State::Terminated
    }
}

impl Machine for Server {
    type Event<'e> = Step<'e, ServerEvent>;
    type Action<'a> = ServerAction;
    const ACTIONS_MAX: usize = 2;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, step: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>,
    {
        let (now, t) = (cx.now, step.timers);
        let has_sent = matches!(self.state, State::Proceeding | State::Completed);
        match step.event {
            ServerEvent::Start if self.state == State::Idle => self.start(now, t),
            ServerEvent::Start => {}
            ServerEvent::RequestRetransmitted if has_sent => out.emit(Action::Resend),
            ServerEvent::RequestRetransmitted => {}
            ServerEvent::Respond { status } => self.respond(now, t, status, out),
            ServerEvent::TransportFailed if has_sent => out.emit(Action::TransportError),
            ServerEvent::TransportFailed => {}
            ServerEvent::Timeout => self.timeout(now, out),
        }
    }
}

#[cfg(test)]
mod tests;
