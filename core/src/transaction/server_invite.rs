//! The INVITE server transaction: RFC 3261 §17.2.1 (figure 7) with the Accepted state of RFC 6026 §7.1 and its rule
//! that a transport error changes no state (RFC 6026 §8.8).

use super::timers::{Step, Timers, due, earliest};
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

/// What happens to an INVITE server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerInviteEvent {
    /// The INVITE came.
    Start,
    /// The INVITE came again.
    RequestRetransmitted,
    /// An ACK that matches the transaction came.
    Ack,
    /// The transaction user has a response.
    Respond {
        /// Its status code; outside of 100-699 it is ignored.
        status: u16,
    },
    /// The transport could not send (RFC 3261 §17.2.4).
    TransportFailed,
    /// The deadline has come.
    Timeout,
}

/// What an INVITE server transaction wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerInviteAction {
    /// Send a 100 of one's own, and keep it as the last response.
    SendTrying,
    /// Send the response of this event, and keep it as the last response.
    SendResponse,
    /// Send the last response once more.
    Resend,
    /// The ACK of this event belongs to the transaction user (RFC 6026 §7.1).
    PassAck,
    /// No ACK came to the 300-699 response (Timer H).
    TimedOut,
    /// The last response could not be sent. The transaction lives on (RFC 6026 §8.8).
    TransportError,
    /// The machine is done.
    Terminated,
}

/// Where an INVITE server transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ServerInviteState {
    /// Not started.
    Idle,
    /// No final response yet.
    Proceeding,
    /// A 2xx was sent; more of them pass until Timer L (RFC 6026 §7.1).
    Accepted,
    /// A 300-699 was sent and waits for its ACK.
    Completed,
    /// The ACK came; more of them are absorbed until Timer I.
    Confirmed,
    /// Done.
    Terminated,
}

use ServerInviteAction as Action;
use ServerInviteState as State;

/// An INVITE server transaction.
#[derive(Clone, Debug)]
pub struct ServerInvite {
    /// Timer G.
    retransmit_at: Option<Instant>,
    /// The time of the 100 in Proceeding, later Timer H, I or L.
    due_at: Option<Instant>,
    retransmissions: u8,
    state: State,
    reliable: bool,
    /// There is a last response.
    responded: bool,
}

impl ServerInvite {
    /// A transaction that waits for its `Start`. `reliable` says whether the transport retransmits by itself.
    pub const fn new(reliable: bool) -> Self {
        Self { retransmit_at: None, due_at: None, retransmissions: 0, state: State::Idle, reliable, responded: false }
    }

    /// Where it stands.
    pub const fn state(&self) -> ServerInviteState {
        self.state
    }

    /// How often the final response was sent again for want of an ACK.
    pub const fn retransmissions(&self) -> u8 {
        self.retransmissions
    }

    /// RFC 3261 §17.2.1: a 100 within 200 ms, unless the transaction user answers in that time.
    fn start(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        self.state = State::Proceeding;
        if t.trying.is_zero() {
            self.trying(out);
        } else {
            self.due_at = Some(now + t.trying);
        }
    }

    fn trying(&mut self, out: &mut impl Sink<Action>) {
        self.due_at = None;
        self.responded = true;
        out.emit(Action::SendTrying);
    }

    fn respond(&mut self, now: Instant, t: &Timers, status: u16, out: &mut impl Sink<Action>) {
        match (self.state, status) {
            (State::Proceeding, 100..=199) => self.due_at = None,
            (State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                self.due_at = Some(now + t.timer_l());
            }
            (State::Proceeding, 300..=699) => {
                self.state = State::Completed;
                self.due_at = Some(now + t.timer_h());
                self.retransmit_at = (!self.reliable).then(|| now + t.timer_g(0));
            }
            // RFC 6026 §7.1: the user agent retransmits its 2xx itself, and forks send more of them.
            (State::Accepted, 200..=299) => {}
            _ => return,
        }
        self.responded = true;
        out.emit(Action::SendResponse);
    }

    fn request_retransmitted(&mut self, out: &mut impl Sink<Action>) {
        // RFC 6026 §7.1: absorbed in Accepted, where the 2xx is repeated by the user agent.
        if self.responded && matches!(self.state, State::Proceeding | State::Completed) {
            out.emit(Action::Resend);
        }
    }

    fn ack(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        match self.state {
            State::Completed => {
                let i = t.timer_i(self.reliable);
                self.state = State::Confirmed;
                self.retransmit_at = None;
                self.due_at = Some(now + i);
                if i.is_zero() {
                    self.terminate(out);
                }
            }
            State::Accepted => out.emit(Action::PassAck),
            State::Idle | State::Proceeding | State::Confirmed | State::Terminated => {}
        }
    }

    fn timeout(&mut self, now: Instant, t: &Timers, out: &mut impl Sink<Action>) {
        if due(self.due_at, now) {
            match self.state {
                State::Proceeding => return self.trying(out),
                State::Completed => out.emit(Action::TimedOut),
                State::Idle | State::Accepted | State::Confirmed | State::Terminated => {}
            }
            self.terminate(out);
        } else if due(self.retransmit_at, now) {
            self.retransmissions = self.retransmissions.saturating_add(1);
            self.retransmit_at = Some(now + t.timer_g(self.retransmissions));
            out.emit(Action::Resend);
        }
    }

    fn terminate(&mut self, out: &mut impl Sink<Action>) {
        self.state = State::Terminated;
        self.retransmit_at = None;
        self.due_at = None;
        out.emit(Action::Terminated);
    }
}

impl Timed for ServerInvite {
    fn next_deadline(&self) -> Option<Instant> {
        earliest([self.retransmit_at, self.due_at])
    }

    fn is_done(&self) -> bool {
        self.state == State::Terminated
    }
}

impl Machine for ServerInvite {
    type Event<'e> = Step<'e, ServerInviteEvent>;
    type Action<'a> = ServerInviteAction;
    const ACTIONS_MAX: usize = 2;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, step: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>,
    {
        let (now, t) = (cx.now, step.timers);
        match step.event {
            ServerInviteEvent::Start if self.state == State::Idle => self.start(now, t, out),
            ServerInviteEvent::Start => {}
            ServerInviteEvent::RequestRetransmitted => self.request_retransmitted(out),
            ServerInviteEvent::Ack => self.ack(now, t, out),
            ServerInviteEvent::Respond { status } => self.respond(now, t, status, out),
            ServerInviteEvent::TransportFailed => {
                if matches!(self.state, State::Proceeding | State::Accepted | State::Completed) {
                    out.emit(Action::TransportError);
                }
            }
            ServerInviteEvent::Timeout => self.timeout(now, t, out),
        }
    }
}

#[cfg(test)]
mod tests;
