//! What the relay decided about an offer or an answer.

use core::net::IpAddr;

use crate::wire::sdp::crypto::Crypto;
use crate::wire::sdp::{Direction, Protocol};

/// Whether a description offers or answers (RFC 3264).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// It offers.
    #[default]
    Offer,
    /// It answers.
    Answer,
}

/// Decisions about a whole description.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan<'p> {
    /// Offer or answer.
    pub mode: Mode,
    /// The `o=` line.
    pub origin: OriginPlan<'p>,
    /// The `s=` line; `None` leaves it.
    pub session_name: Option<&'p [u8]>,
    /// The address that the session's `c=` gets, where it has one; `None` leaves it.
    pub connection: Option<IpAddr>,
    /// Writes `a=ice-lite` (RFC 8839 §5.3).
    pub ice_lite: bool,
    /// Marks the description as one that this instance wrote (`loop protect`).
    pub loop_protect: Option<&'p [u8]>,
    /// One for each m-line, in order. `None`, and where there is none, leaves the media description as it came.
    pub media: &'p [Option<MediaPlan<'p>>],
}

/// Decisions about `o=`. Each `None` leaves its field.
#[derive(Clone, Copy, Debug, Default)]
pub struct OriginPlan<'p> {
    /// The user name.
    pub username: Option<&'p [u8]>,
    /// The version.
    pub version: Option<u64>,
    /// The address; used where the message asks for `replace origin`.
    pub address: Option<IpAddr>,
}

/// Decisions about one media description.
#[derive(Clone, Copy, Debug)]
pub struct MediaPlan<'p> {
    /// The address that is written.
    pub address: IpAddr,
    /// The RTP port that is written; zero refuses the stream.
    pub rtp_port: u16,
    /// The RTCP port that is written as `a=rtcp` (RFC 3605); `None` writes none.
    pub rtcp_port: Option<u16>,
    /// Whether `a=rtcp-mux` stands there (RFC 5761).
    pub rtcp_mux: bool,
    /// The protocol; `None` leaves it.
    pub protocol: Option<Protocol>,
    /// The direction; `None` leaves it.
    pub direction: Option<Direction>,
    /// The `a=crypto` lines that take the place of those received; `None` leaves them.
    pub crypto: Option<&'p [Crypto]>,
    /// ICE.
    pub ice: IcePlan<'p>,
    /// `a=ptime` in milliseconds; `None` leaves it.
    pub ptime_ms: Option<u16>,
    /// `a=mid` goes: the party that the description answers has none (RFC 5888 §9.1).
    pub mid_goes: bool,
}

impl MediaPlan<'_> {
    /// A plan that writes these addresses and nothing else.
    pub const fn new(address: IpAddr, rtp_port: u16, rtcp_port: Option<u16>) -> Self {
        Self {
            address,
            rtp_port,
            rtcp_port,
            rtcp_mux: false,
            protocol: None,
            direction: None,
            crypto: None,
            ice: IcePlan::Keep,
            ptime_ms: None,
            mid_goes: false,
        }
    }
}

/// Decisions about the ICE attributes of one media description (RFC 8839).
#[derive(Clone, Copy, Debug, Default)]
pub enum IcePlan<'p> {
    /// They stay.
    #[default]
    Keep,
    /// They go.
    Remove,
    /// Ours take their place.
    Replace {
        /// `a=ice-ufrag`.
        ufrag: &'p [u8],
        /// `a=ice-pwd`.
        pwd: &'p [u8],
        /// `a=candidate`.
        candidates: &'p [Candidate],
        /// Whether more may follow (`a=ice-options:trickle`, RFC 8840).
        trickle: bool,
    },
    /// Candidates beside theirs.
    Add {
        /// `a=candidate`.
        candidates: &'p [Candidate],
    },
}

/// One `a=candidate` of ours (RFC 8839 §5.1), over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Foundation.
    pub foundation: u32,
    /// Component: 1 for RTP, 2 for RTCP.
    pub component: u8,
    /// Priority (RFC 8445 §5.1.2).
    pub priority: u32,
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Kind.
    pub kind: CandidateKind,
}

/// The kind of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CandidateKind {
    /// `host`.
    Host,
    /// `relay`.
    Relay,
}
