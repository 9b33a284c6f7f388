//! A call and its deadlines.

use core::time::Duration;

use super::notice::EndReason;
use super::party::Restrictions;
use crate::machine::Timed;
use crate::store::{Buf, Key};
use crate::time::Instant;

/// A call: what all its parties share.
#[derive(Debug)]
pub struct Call {
    /// The hash of its Call-ID.
    pub(super) hash: u64,
    pub(super) call_id: Buf,
    pub(super) metadata: Option<Buf>,
    /// The first of its parties.
    pub(super) parties: Option<Key>,
    pub(super) created: Instant,
    pub(super) last_signal: Instant,
    /// Whether an offer was ever answered.
    pub(super) answered: bool,
    /// What holds for all its parties.
    pub(super) restrictions: Restrictions,
    /// Recording has been asked for. Nothing is written yet; the request is remembered and told.
    pub(super) recording: bool,
    /// When it is to be deleted, if that was asked for.
    pub(super) delete_at: Option<Instant>,
    /// When it is looked at next, to end it or to find out when.
    pub(super) check_at: Option<Instant>,
    /// Set when it is over; the table frees it then.
    pub(super) ended: bool,
}

impl Call {
    pub(super) const fn new(hash: u64, call_id: Buf, now: Instant) -> Self {
        Self {
            hash,
            call_id,
            metadata: None,
            parties: None,
            created: now,
            last_signal: now,
            answered: false,
            restrictions: Restrictions { media_blocked: false, dtmf_blocked: false, silenced: false },
            recording: false,
            delete_at: None,
            check_at: None,
            ended: false,
        }
    }
}

impl Timed for Call {
    fn next_deadline(&self) -> Option<Instant> {
        self.check_at
    }

    fn is_done(&self) -> bool {
        self.ended
    }
}

/// When calls end that nobody ends. `None` is never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timeouts {
    /// Without a packet on any stream.
    pub media: Option<Duration>,
    /// Without a packet on any stream while all are on hold.
    pub silent: Option<Duration>,
    /// After its begin, whatever happens.
    pub total: Option<Duration>,
    /// After an offer that nobody has answered.
    pub offer: Option<Duration>,
    /// From the request to delete a call to its end. During it packets are forwarded, so that late ones of a call that goes
    /// on elsewhere are not lost.
    pub delete_delay: Duration,
}

impl Default for Timeouts {
    /// Those of rtpengine: 60 s; 3,600 s; never; 3,600 s; 30 s.
    fn default() -> Self {
        Self {
            media: Some(Duration::from_secs(60)),
            silent: Some(Duration::from_secs(3_600)),
            total: None,
            offer: Some(Duration::from_secs(3_600)),
            delete_delay: Duration::from_secs(30),
        }
    }
}

/// What the streams of a call show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    /// The latest packet, or signal.
    pub(super) last: Instant,
    /// Whether a stream is to carry media, not being on hold.
    pub(super) active: bool,
}

impl Timeouts {
    /// Why and when the call ends if nothing happens any more. The deadlines are those that hold now: a packet moves them.
    pub(super) fn end_of(&self, call: &Call, activity: Activity) -> Option<(Instant, EndReason)> {
        let after = |from: Instant, wait: Option<Duration>, reason| wait.map(|wait| (from + wait, reason));
        let waiting = if !call.answered {
            after(call.last_signal, self.offer, EndReason::OfferTimeout)
        } else if activity.active {
            after(activity.last, self.media, EndReason::Timeout)
        } else {
            after(activity.last, self.silent, EndReason::SilentTimeout)
        };
        let total = after(call.created, self.total, EndReason::FinalTimeout);
        let delete = call.delete_at.map(|at| (at, EndReason::Deleted));
        [delete, total, waiting].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
