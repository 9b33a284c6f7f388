//! What a node wants done, and what it has to say.

use core::net::SocketAddr;

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
}

/// Why a message was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
