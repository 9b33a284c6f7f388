//! What a node wants done, and what it has to say.

use core::net::SocketAddr;

use crate::anchor::MediaFailure;
use crate::dispatcher::layer::DispatcherAction;
use crate::error::ParseError;
use crate::flow::Flow;
use crate::wire::sip::method::Method;

/// An action for the runtime.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Send these bytes. Failure comes back as [`super::Event::Undelivered`].
    Send {
        /// The path.
        flow: &'a Flow,
        /// The message.
        bytes: &'a [u8],
    },
    /// Send this command to a media relay. What it answers comes back as [`super::Event::Relay`].
    Relay {
        /// The relay.
        to: SocketAddr,
        /// The command.
        bytes: &'a [u8],
    },
    /// Something worth telling an operator. Nothing depends on it.
    Report(Report<'a>),
}

/// The fields that every line about a message carries.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `Call-ID`.
    pub call_id: &'a [u8],
    /// `CSeq`, whole.
    pub cseq: &'a [u8],
}

/// Something worth telling.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Report<'a> {
    /// A request arrived.
    Request {
        /// Which.
        subject: Subject<'a>,
        /// Its method.
        method: Method<'a>,
        /// `From`, whole.
        from: &'a [u8],
        /// The source.
        source: SocketAddr,
        /// The Request-URI.
        uri: &'a [u8],
    },
    /// A request was forwarded to a target of a set.
    Routed {
        /// Which.
        subject: Subject<'a>,
        /// The target.
        target: &'a [u8],
        /// Whether another target had failed before.
        failover: bool,
    },
    /// A target failed a request.
    TargetFailed {
        /// Which.
        subject: Subject<'a>,
        /// The target.
        target: &'a [u8],
        /// The response it gave, or the one that its silence counts as.
        status: u16,
    },
    /// A request was answered from here.
    Answered {
        /// Which.
        subject: Subject<'a>,
        /// The method.
        method: Method<'a>,
        /// The source.
        source: SocketAddr,
        /// The status code.
        status: u16,
        /// The reason phrase.
        reason: &'a str,
    },
    /// A message was dropped without an answer.
    Dropped {
        /// The source.
        source: SocketAddr,
        /// Why.
        why: Drop,
    },
    /// The health or the admin state of a target changed.
    TargetChanged {
        /// Its URI.
        target: &'a [u8],
        /// What changed.
        change: DispatcherAction,
    },
    /// A media relay has died, or lives again.
    RelayChanged {
        /// The relay.
        relay: SocketAddr,
        /// Whether it lives.
        alive: bool,
    },
    /// The session description of a call was not rewritten.
    MediaFailed {
        /// Its `Call-ID`.
        call_id: &'a [u8],
        /// Why.
        why: MediaFailure,
    },
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Drop {
    /// It is no SIP message, and too broken to be answered.
    Malformed(ParseError),
    /// A response whose Via is not ours, or was forged.
    ForeignVia,
    /// A response to a transaction that is no more.
    StrayResponse,
    /// An ACK that belongs to nothing.
    StrayAck,
    /// It could not be rewritten within the limits.
    TooLarge,
}

#[cfg(feature = "defmt")]
impl defmt::Format for Report<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        match *self {
            Self::Request { subject, method, from, source, uri } => defmt::write!(
                f,
                "{=[u8]:a} {=[u8]:a} from {=[u8]:a} at {}: {=[u8]:a}",
                subject.call_id,
                method.as_bytes(),
                from,
                source,
                uri
            ),
            Self::Routed { subject, target, failover } => {
                defmt::write!(f, "{=[u8]:a} to {=[u8]:a} failover {=bool}", subject.call_id, target, failover);
            }
            Self::TargetFailed { subject, target, status } => {
                defmt::write!(f, "{=[u8]:a} failed at {=[u8]:a} with {=u16}", subject.call_id, target, status);
            }
            Self::Answered { subject, method, source, status, reason } => defmt::write!(
                f,
                "{=[u8]:a} {=[u8]:a} of {} answered {=u16} {=str}",
                subject.call_id,
                method.as_bytes(),
                source,
                status,
                reason
            ),
            Self::Dropped { source, why } => defmt::write!(f, "dropped what {} sent: {}", source, why),
            Self::TargetChanged { target, change } => defmt::write!(f, "{=[u8]:a}: {}", target, change),
            Self::RelayChanged { relay, alive } => defmt::write!(f, "relay {} alive {=bool}", relay, alive),
            Self::MediaFailed { call_id, why } => defmt::write!(f, "{=[u8]:a} without media: {}", call_id, why),
        }
    }
}
