//! The life of a dialog as a proxy on its path sees it (RFC 3261 §12.1, §12.3, §15; RFC 4028 §8).
//!
//! The proxy does not own the dialog: it watches, and forgets it when the user agents have ended it or must have.

use core::time::Duration;

use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

/// How long a dialog is kept without news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DialogLimits {
    /// An early dialog after its last provisional response: 190 s, more than Timer C (RFC 3261 §16.6 step 11), so that
    /// the transaction ends first.
    pub early: Duration,
    /// A confirmed dialog without a session timer after the last 2xx to an INVITE or UPDATE: 43,200 s.
    pub max_lifetime: Duration,
}

impl Default for DialogLimits {
    fn default() -> Self {
        Self { early: Duration::from_secs(190), max_lifetime: Duration::from_secs(43_200) }
    }
}

/// Which user agent a request of the dialog comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Side {
    /// The one that sent the first INVITE.
    Caller,
    /// The other one.
    Callee,
}

/// What happens to a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DialogEvent {
    /// A provisional response to the first INVITE came.
    Provisional {
        /// It has a To tag, so it makes an early dialog (RFC 3261 §12.1).
        to_tag: bool,
    },
    /// A 2xx to the first INVITE came.
    Answered {
        /// The session interval in seconds, as `session_timer::response` decided it.
        expires_s: Option<u32>,
    },
    /// The first INVITE got its final response, and it is none of 2xx.
    FinalFailure {
        /// The status code.
        status: u16,
    },
    /// The ACK to the 2xx came.
    Ack,
    /// The caller sent a CANCEL. It decides nothing: a 2xx may overtake it (RFC 3261 §9.1).
    Cancelled,
    /// A request inside the dialog came.
    Request {
        /// Who sent it.
        from: Side,
        /// Its CSeq number.
        cseq: u32,
    },
    /// The 2xx to a re-INVITE or UPDATE came (RFC 4028 §8.2).
    SessionRefreshed {
        /// The session interval in seconds; `None` ends the session timer.
        expires_s: Option<u32>,
    },
    /// A BYE got its final response.
    ByeAnswered {
        /// The status code.
        status: u16,
    },
    /// A BYE got no final response.
    ByeTimedOut,
    /// The deadline has come.
    Timeout,
}

/// Why a dialog ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EndReason {
    /// The INVITE was refused.
    Rejected {
        /// The status code.
        status: u16,
    },
    /// The INVITE failed after a CANCEL.
    Cancelled,
    /// A user agent hung up.
    Bye,
    /// A user agent hung up, and the other one did not answer.
    ByeTimedOut,
    /// No final response to the INVITE.
    NoAnswer,
    /// The session timer ran out (RFC 4028 §8.2).
    SessionExpired,
    /// `DialogLimits::max_lifetime` is over.
    LifetimeOver,
}

/// What a dialog wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DialogAction {
    /// The first provisional response with a To tag came.
    Early,
    /// The call is answered.
    Confirmed,
    /// The dialog is over, and the machine is done.
    Ended(EndReason),
}

/// Where a dialog stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DialogPhase {
    /// The INVITE has no final response.
    Early,
    /// The INVITE was answered with a 2xx.
    Confirmed,
    /// Over.
    Ended(EndReason),
}

/// What the machine is handed: an event, and the limits that hold for it. They are lent with every event, so that no
/// dialog holds a copy and new limits count from the next event on.
#[derive(Clone, Copy, Debug)]
pub struct DialogStep<'l> {
    /// The limits in force.
    pub limits: &'l DialogLimits,
    /// What happened.
    pub event: DialogEvent,
}

/// The state of a dialog.
#[derive(Clone, Debug)]
pub struct DialogState {
    created_at: Instant,
    answered_at: Option<Instant>,
    expires_at: Option<Instant>,
    caller_cseq: u32,
    callee_cseq: Option<u32>,
    phase: DialogPhase,
    early: bool,
    acknowledged: bool,
    cancelled: bool,
    session_timer: bool,
}

impl DialogState {
    /// The dialog that an INVITE with this CSeq number may set up.
    pub fn new(now: Instant, limits: &DialogLimits, invite_cseq: u32) -> Self {
        Self {
            created_at: now,
            answered_at: None,
            expires_at: Some(now + limits.early),
            caller_cseq: invite_cseq,
            callee_cseq: None,
            phase: DialogPhase::Early,
            early: false,
            acknowledged: false,
            cancelled: false,
            session_timer: false,
        }
    }

    /// Where it stands.
    pub const fn phase(&self) -> DialogPhase {
        self.phase
    }

    /// When the INVITE came.
    pub const fn created_at(&self) -> Instant {
        self.created_at
    }

    /// When the 2xx came.
    pub const fn answered_at(&self) -> Option<Instant> {
        self.answered_at
    }

    /// Whether an ACK to the 2xx was seen.
    pub const fn is_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// Whether a session timer runs.
    pub const fn has_session_timer(&self) -> bool {
        self.session_timer
    }

    /// The highest CSeq number that this side has sent; `None` while it has sent no request.
    pub const fn cseq(&self, side: Side) -> Option<u32> {
        match side {
            Side::Caller => Some(self.caller_cseq),
            Side::Callee => self.callee_cseq,
        }
    }

    fn early(&mut self, now: Instant, limits: &DialogLimits, event: DialogEvent, out: &mut impl Sink<DialogAction>) {
        match event {
            DialogEvent::Provisional { to_tag } => {
                self.expires_at = Some(now + limits.early);
                if to_tag && !self.early {
                    self.early = true;
                    out.emit(DialogAction::Early);
                }
            }
            DialogEvent::Answered { expires_s } => {
                self.phase = DialogPhase::Confirmed;
                self.answered_at = Some(now);
                self.refresh(now, limits, expires_s);
                out.emit(DialogAction::Confirmed);
            }
            DialogEvent::FinalFailure { status } => {
                let reason = if self.cancelled { EndReason::Cancelled } else { EndReason::Rejected { status } };
                self.end(reason, out);
            }
            DialogEvent::Cancelled => self.cancelled = true,
            _ => {}
        }
    }

    /// A retransmitted 2xx changes nothing here: the session counts from the first one.
    fn confirmed(&mut self, now: Instant, limits: &DialogLimits, event: DialogEvent) {
        match event {
            DialogEvent::Ack => self.acknowledged = true,
            DialogEvent::SessionRefreshed { expires_s } => self.refresh(now, limits, expires_s),
            _ => {}
        }
    }

    fn refresh(&mut self, now: Instant, limits: &DialogLimits, expires_s: Option<u32>) {
        self.session_timer = expires_s.is_some();
        self.expires_at = Some(match expires_s {
            Some(s) => now + Duration::from_secs(s.into()),
            None => now + limits.max_lifetime,
        });
    }

    /// The numbers of one side only grow (RFC 3261 §12.2.1.1); an older one is a retransmission or was overtaken.
    fn request(&mut self, from: Side, cseq: u32) {
        match from {
            Side::Caller => self.caller_cseq = self.caller_cseq.max(cseq),
            Side::Callee => self.callee_cseq = self.callee_cseq.max(Some(cseq)),
        }
    }

    fn bye_answered(&mut self, status: u16, out: &mut impl Sink<DialogAction>) {
        // RFC 3261 §15.1.1: the sender has left the session whatever the answer is. Only after a challenge does it send
        // the BYE again (§22.2, §22.3).
        if status >= 200 && !matches!(status, 401 | 407) {
            self.end(EndReason::Bye, out);
        }
    }

    fn timeout(&mut self, now: Instant, out: &mut impl Sink<DialogAction>) {
        if self.expires_at.is_some_and(|at| at <= now) {
            let reason = match (self.phase, self.session_timer) {
                (DialogPhase::Early, _) => EndReason::NoAnswer,
                (_, true) => EndReason::SessionExpired,
                (_, false) => EndReason::LifetimeOver,
            };
            self.end(reason, out);
        }
    }

    fn end(&mut self, reason: EndReason, out: &mut impl Sink<DialogAction>) {
        self.phase = DialogPhase::Ended(reason);
        self.expires_at = None;
        out.emit(DialogAction::Ended(reason));
    }
}

impl Timed for DialogState {
    fn next_deadline(&self) -> Option<Instant> {
        self.expires_at
    }

    fn is_done(&self) -> bool {
        matches!(self.phase, DialogPhase::Ended(_))
    }
}

impl Machine for DialogState {
    type Event<'e> = DialogStep<'e>;
    type Action<'a> = DialogAction;
    const ACTIONS_MAX: usize = 1;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, step: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>,
    {
        if self.is_done() {
            return;
        }
        match step.event {
            // RFC 3261 §15: a BYE may end one early dialog, while the INVITE goes on and others may answer it. Its final
            // response decides.
            DialogEvent::ByeAnswered { .. } | DialogEvent::ByeTimedOut if self.phase == DialogPhase::Early => {}
            DialogEvent::Request { from, cseq } => self.request(from, cseq),
            DialogEvent::ByeAnswered { status } => self.bye_answered(status, out),
            DialogEvent::ByeTimedOut => self.end(EndReason::ByeTimedOut, out),
            DialogEvent::Timeout => self.timeout(cx.now, out),
            event if self.phase == DialogPhase::Early => self.early(cx.now, step.limits, event, out),
            event => self.confirmed(cx.now, step.limits, event),
        }
    }
}

#[cfg(test)]
mod tests;
