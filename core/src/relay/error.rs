//! Why a request to the relay fails.

use core::fmt;

/// Why a request fails. Its text is the `error-reason` of the ng protocol; where rtpengine has one, it is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RelayError {
    /// The request has no body.
    NoSdp,
    /// The request has no Call-ID.
    NoCallId,
    /// The request has no From tag.
    NoFromTag,
    /// The answer has no To tag.
    NoToTag,
    /// A Call-ID, tag, branch or label is longer than [`limits`](crate::limits) allow.
    TooLong,
    /// No such call.
    UnknownCall,
    /// No such party in the call.
    UnknownTag,
    /// No such call, or no such party in it, on deletion.
    NothingToDelete,
    /// The body cannot be read.
    MalformedSdp,
    /// A stream of the body has no address.
    IncompleteSdp,
    /// A key of the body cannot be used.
    Crypto,
    /// A stream of the body takes its keys from DTLS.
    Dtls,
    /// The body has no stream.
    NoMedia,
    /// The changed body is too long.
    SdpTooLong,
    /// A flag of the request cannot be read.
    MalformedFlags,
    /// The relay carries as many calls as it may.
    SessionLimit,
    /// The relay takes no more calls, as it is about to stop.
    Draining,
    /// A table of the relay is full.
    Full,
    /// No address of the wanted family on the wanted interface.
    NoInterface,
    /// No port is left.
    PortsExhausted,
    /// The command does not exist.
    UnknownCommand,
    /// The command exists, but this relay does not have it.
    Unsupported,
}

impl RelayError {
    /// The text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSdp => "No SDP body in message",
            Self::NoCallId => "No call-id in message",
            Self::NoFromTag => "No from-tag in message",
            Self::NoToTag => "No to-tag in message",
            Self::TooLong => "Call-ID, tag, branch or label too long",
            Self::UnknownCall => "Unknown call-id",
            Self::UnknownTag => "From-tag given, but no such tag exists",
            Self::NothingToDelete => "Call-ID not found or tags didn't match",
            Self::MalformedSdp => "Failed to parse SDP",
            Self::IncompleteSdp => "Incomplete SDP specification",
            Self::Crypto => "SRTP key that cannot be used",
            Self::Dtls => "DTLS-SRTP is not supported by this relay",
            Self::NoMedia => "Error rewriting SDP",
            Self::SdpTooLong => "Rewritten SDP too long",
            Self::MalformedFlags => "Malformed flag in message",
            Self::SessionLimit => "Maximum number of sessions reached",
            Self::Draining => "Relay is about to stop and takes no new calls",
            Self::Full => "Relay is full",
            Self::NoInterface => "No suitable local interface",
            Self::PortsExhausted => "Ran out of ports",
            Self::UnknownCommand => "Unrecognized command",
            Self::Unsupported => "Command not supported by this relay",
        }
    }
}

impl fmt::Display for RelayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::error::Error for RelayError {}
