//! What the relay tells of its calls, for logs and call records.

use core::fmt;
use core::time::Duration;

use super::media::{DtmfEvent, Traffic};

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EndReason {
    /// It was deleted by its control peer.
    Deleted,
    /// No packet came on any stream for the media timeout.
    Timeout,
    /// No packet came on any stream for the silent timeout, while all streams were on hold.
    SilentTimeout,
    /// It reached the longest time that a call may take.
    FinalTimeout,
    /// Its offer was not answered in time.
    OfferTimeout,
    /// An operator ended it.
    Terminated,
}

impl EndReason {
    /// How many there are.
    pub const COUNT: usize = 6;

    /// A word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Timeout => "timeout",
            Self::SilentTimeout => "silent-timeout",
            Self::FinalTimeout => "final-timeout",
            Self::OfferTimeout => "offer-timeout",
            Self::Terminated => "terminated",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the relay tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A call began.
    Started {
        /// Its Call-ID.
        call_id: &'a [u8],
    },
    /// A call ended. Its ports are free again.
    Ended {
        /// Its Call-ID.
        call_id: &'a [u8],
        /// What its control peer has called `metadata`; empty if nothing.
        metadata: &'a [u8],
        /// Why.
        reason: EndReason,
        /// How long it was there.
        lasted: Duration,
        /// RTP taken from its parties.
        received: Traffic,
        /// RTP sent to its parties.
        sent: Traffic,
    },
    /// A party has pressed a key (RFC 4733).
    Dtmf {
        /// The Call-ID.
        call_id: &'a [u8],
        /// The party's tag; empty if it is not known yet.
        tag: &'a [u8],
        /// The key.
        event: DtmfEvent,
    },
    /// A control message without a cookie, or over the limits, was dropped without a reply.
    Unanswerable,
}

/// One line for a log; bytes of peers that are not printable stand as escapes.
impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started { call_id } => write!(f, "call {} started", call_id.escape_ascii()),
            Self::Ended { call_id, metadata, reason, lasted, received, sent } => {
                write!(f, "call {} ended: {reason} after {} s, ", call_id.escape_ascii(), lasted.as_secs())?;
                write!(f, "{} packets ({} bytes) in, ", received.packets, received.bytes)?;
                write!(f, "{} packets ({} bytes) out", sent.packets, sent.bytes)?;
                if metadata.is_empty() { Ok(()) } else { write!(f, ", metadata {}", metadata.escape_ascii()) }
            }
            Self::Dtmf { call_id, tag, event } => {
                write!(f, "call {}: party {} pressed {event:?}", call_id.escape_ascii(), tag.escape_ascii())
            }
            Self::Unanswerable => f.write_str("control message without a cookie, or over the limits: dropped"),
        }
    }
}
