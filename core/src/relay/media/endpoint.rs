//! One end of a stream: our sockets, the party's addresses, and what is to be done with its packets.

use core::net::{IpAddr, SocketAddr};

use super::action::{Action, SocketId};
use super::config::InterfaceId;
use super::dtmf::DtmfDetector;
use super::learn::{Admit, Learning, Path};
use super::stats::EndpointStats;
use crate::relay::srtp::Session;
use crate::sink::Sink;
use crate::store::Key;

/// Highest RTP clock rate that is believed, in Hz.
const CLOCK_RATE_MAX_HZ: u32 = 1_000_000;

/// Names an endpoint for as long as it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct EndpointId(pub(super) Key);

impl EndpointId {
    /// The key of its slot.
    pub const fn key(self) -> Key {
        self.0
    }
}

/// Our addresses of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Local {
    /// The address for SDP.
    pub advertised: IpAddr,
    /// The address of the sockets.
    pub bound: IpAddr,
    /// Port for RTP.
    pub rtp_port: u16,
    /// Port for RTCP: one more than `rtp_port`, or the same where the endpoint was opened muxed.
    pub rtcp_port: u16,
}

/// The addresses of a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Remote {
    /// Where RTP goes to, if anywhere.
    pub rtp: Option<SocketAddr>,
    /// Where RTCP goes to, if anywhere.
    pub rtcp: Option<SocketAddr>,
    /// The source RTP was learned from.
    pub learned: Option<SocketAddr>,
    /// Whether that source is fixed.
    pub fixed: bool,
}

/// A set of RTP payload types (0 to 127).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct PayloadTypes(u128);

impl PayloadTypes {
    /// No payload type.
    pub const EMPTY: Self = Self(0);

    /// Adds `payload_type`; what is above 127 is none.
    #[must_use]
    pub const fn with(self, payload_type: u8) -> Self {
        if payload_type < 128 { Self(self.0 | 1 << payload_type) } else { self }
    }

    /// Whether `payload_type` is in the set.
    pub const fn contains(self, payload_type: u8) -> bool {
        payload_type < 128 && self.0 >> payload_type & 1 == 1
    }
}

impl core::fmt::Debug for PayloadTypes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries((0..128).filter(|&n| self.contains(n))).finish()
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for PayloadTypes {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u128:b}", self.0);
    }
}

/// What an endpoint carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Carries {
    /// RTP and RTCP; SRTP too if the endpoint has sessions for it.
    #[default]
    Rtp,
    /// SRTP and SRTCP under keys of the parties: only what is not encrypted is looked at.
    Srtp,
    /// Datagrams nobody looks into: T.38 over UDPTL and whatever else an m-line may hold. They use the RTP socket.
    Datagrams,
}

/// What the owner of an endpoint decides. Changed by [`Media::configure`](super::Media::configure).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct EndpointSettings {
    /// The signalled address for RTP. Nothing is taken before it is known. An unspecified address or port zero is one that
    /// nothing is sent to. Learning starts over when it changes.
    pub rtp: Option<SocketAddr>,
    /// The signalled address for RTCP; not used with `rtcp_mux`.
    pub rtcp: Option<SocketAddr>,
    /// The address that the signalling of the party came from.
    pub received_from: Option<IpAddr>,
    /// How the party's address is learned.
    pub learning: Learning,
    /// The sources that can be learned.
    pub admit: Admit,
    /// The party sends from another address than it receives on: packets always go to the signalled one.
    pub asymmetric: bool,
    /// An admitted source may take the stream over at any time.
    pub handover: bool,
    /// RTCP to the party shares the port of RTP (RFC 5761). RTCP from it is recognised on either port in any case.
    pub rtcp_mux: bool,
    /// What is carried.
    pub carries: Carries,
    /// The party's RTP is counted and dropped; RTCP passes.
    pub media_blocked: bool,
    /// The party's telephone events are detected and dropped.
    pub dtmf_blocked: bool,
    /// The party's audio is replaced with silence: G.711, G.722 and L16 under their static payload types; other audio is
    /// dropped. Telephone events pass.
    pub silenced: bool,
    /// Payload types of telephone events (RFC 4733).
    pub telephone_events: PayloadTypes,
    /// RTP clock rate in Hz of payload types that are not static (RFC 3551 §6); 8,000 if it is zero.
    pub clock_rate_hz: u32,
    /// Type of service of packets to the party, where it is to differ from the socket's.
    pub tos: Option<u8>,
}

impl EndpointSettings {
    pub(super) const DEFAULT: Self = Self {
        rtp: None,
        rtcp: None,
        received_from: None,
        learning: Learning::Delayed,
        admit: Admit::Signalled,
        asymmetric: false,
        handover: false,
        rtcp_mux: false,
        carries: Carries::Rtp,
        media_blocked: false,
        dtmf_blocked: false,
        silenced: false,
        telephone_events: PayloadTypes::EMPTY,
        clock_rate_hz: 8_000,
        tos: None,
    };

    /// Whether packets go to the learned address.
    pub(super) fn follows(&self) -> bool {
        !self.asymmetric && self.learning != Learning::Off
    }
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A direction of SRTP, as the relay sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// From the party: unprotected.
    Inbound,
    /// To the party: protected.
    Outbound,
}

/// The SRTP sessions of one endpoint. Only the plane looks inside.
#[derive(Debug, Default)]
pub struct Secure {
    pub(super) inbound: Option<Session>,
    pub(super) outbound: Option<Session>,
}

impl Secure {
    pub(super) const fn of(&self, direction: Direction) -> Option<&Session> {
        match direction {
            Direction::Inbound => self.inbound.as_ref(),
            Direction::Outbound => self.outbound.as_ref(),
        }
    }

    pub(super) const fn of_mut(&mut self, direction: Direction) -> &mut Option<Session> {
        match direction {
            Direction::Inbound => &mut self.inbound,
            Direction::Outbound => &mut self.outbound,
        }
    }
}

/// Where an endpoint is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its sockets are being opened: whether each was, once that is known.
    Opening { rtp: Option<bool>, rtcp: Option<bool> },
    /// It waits in the reserve of its interface.
    Ready,
    /// It has been given out.
    Used,
}

/// An endpoint. Only the plane looks inside.
#[derive(Debug)]
pub struct Endpoint {
    pub(super) phase: Phase,
    pub(super) interface: InterfaceId,
    pub(super) rtp_port: u16,
    /// It was opened without an RTCP socket.
    pub(super) muxed: bool,
    pub(super) to: Option<EndpointId>,
    pub(super) settings: EndpointSettings,
    pub(super) rtp: Path,
    pub(super) rtcp: Path,
    pub(super) dtmf: DtmfDetector,
    /// Its SRTP sessions.
    pub(super) secure: Option<Key>,
    pub(super) stats: EndpointStats,
}

impl Endpoint {
    pub(super) const fn opening(interface: InterfaceId, rtp_port: u16) -> Self {
        Self {
            phase: Phase::Opening { rtp: None, rtcp: None },
            interface,
            rtp_port,
            muxed: false,
            to: None,
            settings: EndpointSettings::DEFAULT,
            rtp: Path::NEW,
            rtcp: Path::NEW,
            dtmf: DtmfDetector::NEW,
            secure: None,
            stats: EndpointStats::NEW,
        }
    }

    /// Whether RTCP to the party leaves from the RTP socket.
    pub(super) const fn rtcp_mux(&self) -> bool {
        self.muxed || self.settings.rtcp_mux
    }

    /// Takes the signalled addresses over from the settings.
    pub(super) fn signal(&mut self) {
        let settings = &mut self.settings;
        if settings.clock_rate_hz == 0 {
            settings.clock_rate_hz = 8_000;
        }
        settings.clock_rate_hz = settings.clock_rate_hz.min(CLOCK_RATE_MAX_HZ);
        let rtcp = settings.rtcp.filter(|_| !(self.muxed || settings.rtcp_mux));
        let changed = self.rtp.signal(settings.rtp);
        if self.rtcp.signal(rtcp) || changed {
            // RTCP was believed because of where RTP came from.
            self.rtcp.forget();
        }
    }

    /// Where packets to the party go: RTP, or RTCP.
    pub(super) fn destination(&self, rtcp: bool) -> Option<SocketAddr> {
        let path = if rtcp && !self.rtcp_mux() { &self.rtcp } else { &self.rtp };
        path.destination(self.settings.follows())
    }

    /// The addresses of the party.
    pub(super) fn remote(&self) -> Remote {
        let learned = self.rtp.learned();
        Remote {
            rtp: self.destination(false),
            rtcp: self.destination(true),
            learned: learned.map(|(source, _)| source),
            fixed: learned.is_some_and(|(_, fixed)| fixed),
        }
    }

    /// Tells the runtime which of the sockets in `slot` have one peer.
    pub(super) fn settle<S: for<'a> Sink<Action<'a>>>(&mut self, slot: u32, out: &mut S) {
        let (follows, handover) = (self.settings.follows(), self.settings.handover);
        if let Some(peer) = self.rtp.settle(follows, handover) {
            out.emit(Action::Settle { socket: SocketId::rtp(slot), peer });
        }
        if let Some(peer) = self.rtcp.settle(follows, handover) {
            out.emit(Action::Settle { socket: SocketId::rtcp(slot), peer });
        }
    }
}
