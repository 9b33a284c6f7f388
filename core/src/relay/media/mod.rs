//! The packet plane of the relay: what happens to every RTP and RTCP packet.
//!
//! An *endpoint* is a pair of local sockets that face one party of a stream, RTP on the even port and RTCP on the odd one after
//! it (or both on one). What its party sends goes to the endpoint it is connected to, and leaves from the sockets of that
//! one to the address of that party. A socket names its endpoint by index, so a packet is forwarded without a search.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | interfaces, settings and storage of a plane |
//! | [`endpoint`] | an endpoint and what its owner decides |
//! | `forward` | the way of a packet |
//! | [`learn`] | where packets may come from and where they go |
//! | [`ports`] | pairs of ports in random order |
//! | [`packet_buf`] | a datagram that is changed in place |
//! | [`source`], [`stats`] | counters; loss and jitter by RFC 3550 |
//! | [`quality`] | what parties report by RTCP, and an estimate of how it sounds |
//! | [`dtmf`] | telephone events by RFC 4733 |
//!
//! There are no timers: learning is driven by packets, and whoever owns the endpoints reads
//! [`EndpointStats::last_seen`] to find the silent ones.

pub mod action;
pub mod config;
pub mod dtmf;
pub mod endpoint;
mod forward;
pub mod learn;
pub mod packet_buf;
pub mod ports;
pub mod quality;
pub mod source;
pub mod stats;
mod sum;

use core::fmt;
use core::net::SocketAddr;

use heapless::Vec;

pub use action::{Action, SocketId};
pub use config::{ConfigError, INTERFACES_MAX, Interface, InterfaceId, RESERVE_MAX, Settings, Storage};
pub use dtmf::DtmfEvent;
pub use endpoint::{Carries, Direction, Endpoint, EndpointId, EndpointSettings, Local, PayloadTypes, Remote, Secure};
pub use learn::{Admit, Learning};
pub use packet_buf::{PacketBuf, TAIL_ROOM};
pub use ports::PortRange;
pub use quality::Reports;
pub use source::Source;
pub use stats::{Drop, Drops, EndpointStats, MediaStats, SOURCES_MAX, Traffic};

use crate::machine::Cx;
use crate::relay::srtp::Session;
use crate::sink::Sink;
use crate::store::{Slab, Slots};
use endpoint::Phase;
use ports::Ports;

/// Why no endpoint can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MediaError {
    /// There is no such interface.
    UnknownInterface,
    /// Every pair of ports of the interface is in use.
    PortsExhausted,
    /// No pair of ports of the interface is open yet: more were asked for at once than are kept in reserve, or others use
    /// the ports.
    PortsPending,
    /// Every endpoint is in use.
    Full,
    /// No further endpoint can have SRTP.
    SecureFull,
}

impl fmt::Display for MediaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownInterface => "no such interface",
            Self::PortsExhausted => "no port left on the interface",
            Self::PortsPending => "no port open yet on the interface",
            Self::Full => "no room for more endpoints",
            Self::SecureFull => "no room for more SRTP endpoints",
        })
    }
}

impl core::error::Error for MediaError {}

/// The packet plane of one shard.
pub struct Media<'m> {
    endpoints: Slab<'m, Endpoint>,
    secure: Slab<'m, Secure>,
    interfaces: Vec<(Interface, Ports), INTERFACES_MAX>,
    port_words: Slots<'m, u64>,
    settings: Settings,
    stats: MediaStats,
}

impl<'m> Media<'m> {
    /// A plane over `interfaces`, without endpoints. Call [`refill`](Self::refill) next.
    pub fn new(interfaces: &[Interface], settings: Settings, storage: Storage<'m>) -> Result<Self, ConfigError> {
        if storage.endpoints.capacity() > (u32::MAX >> 1) as usize {
            return Err(ConfigError::TooManyEndpoints);
        }
        let mut port_words = storage.port_words;
        let mut known = Vec::new();
        let mut words = 0;
        for (interface, id) in interfaces.iter().zip(0..) {
            if interface.ports.pairs() == 0 {
                return Err(ConfigError::NoPorts(InterfaceId(id)));
            }
            let ports = Ports::new(interface.ports, words);
            known.push((*interface, ports)).map_err(|_| ConfigError::TooManyInterfaces)?;
            words += interface.ports.words();
        }
        if port_words.capacity() < words {
            return Err(ConfigError::PortWords);
        }
        port_words.fill(words);
        let settings = Settings { reserve: settings.reserve.clamp(1, RESERVE_MAX), ..settings };
        let endpoints = Slab::new(storage.endpoints, "media endpoints");
        let secure = Slab::new(storage.secure, "SRTP endpoints");
        Ok(Self { endpoints, secure, interfaces: known, port_words, settings, stats: MediaStats::default() })
    }

    /// Opens sockets ahead until every interface has its reserve. [`open`](Self::open) and [`close`](Self::close) do that for
    /// their interface.
    pub fn refill<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, out: &mut S) {
        for id in 0..self.interfaces.len() {
            self.refill_interface(cx, InterfaceId(id as u8), out);
        }
    }

    fn refill_interface<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, id: InterfaceId, out: &mut S) {
        while let Some((_, ports)) = self.interfaces.get(usize::from(id.0)) {
            let ahead = ports.ready.len() + ports.opening as usize;
            if ahead >= self.settings.reserve || !self.open_ahead(cx, id, out) {
                return;
            }
        }
    }

    /// Has one pair opened; whether there was one.
    fn open_ahead<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, id: InterfaceId, out: &mut S) -> bool {
        let Some((interface, ports)) = self.interfaces.get_mut(usize::from(id.0)) else { return false };
        if self.endpoints.is_full() {
            return false;
        }
        let Some(port) = ports.take(self.port_words.used_mut(), cx.entropy) else { return false };
        let Ok(key) = self.endpoints.insert(Endpoint::opening(id, port)) else { return false };
        ports.opening += 1;
        let ip = interface.bound;
        for (socket, port) in [(SocketId::rtp(key.slot()), port), (SocketId::rtcp(key.slot()), port | 1)] {
            out.emit(Action::Open { socket, local: SocketAddr::new(ip, port) });
        }
        true
    }

    /// The runtime has bound `socket`.
    pub fn opened<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, socket: SocketId, out: &mut S) {
        self.answered(cx, socket, true, out);
    }

    /// The runtime could not bind `socket`: another pair takes the place of this one.
    pub fn open_failed<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, socket: SocketId, out: &mut S) {
        self.answered(cx, socket, false, out);
    }

    /// Waits for both answers of a pair, so that no number of a socket is used again while a request for it is under way.
    fn answered<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, socket: SocketId, is_open: bool, out: &mut S) {
        let slot = socket.slot();
        let Some(endpoint) = self.endpoints.at_mut(slot) else { return };
        let (id, port) = (endpoint.interface, endpoint.rtp_port);
        let Phase::Opening { rtp, rtcp } = &mut endpoint.phase else { return };
        *(if socket.is_rtcp() { &mut *rtcp } else { &mut *rtp }) = Some(is_open);
        let (Some(rtp), Some(rtcp)) = (*rtp, *rtcp) else { return };
        let Some((_, ports)) = self.interfaces.get_mut(usize::from(id.0)) else { return };
        ports.opening = ports.opening.saturating_sub(1);
        if rtp && rtcp {
            endpoint.phase = Phase::Ready;
            // No more than the reserve are opened ahead, so there is room.
            let _ = ports.ready.push(slot);
            return;
        }
        ports.give_back_taken(self.port_words.used_mut(), port);
        for (is_open, socket) in [(rtp, SocketId::rtp(slot)), (rtcp, SocketId::rtcp(slot))] {
            if is_open {
                out.emit(Action::Close { socket });
            }
        }
        if let Some((key, _)) = self.endpoints.at(slot) {
            self.endpoints.remove(key);
        }
        self.stats.ports_taken = self.stats.ports_taken.saturating_add(1);
        self.open_ahead(cx, id, out);
    }

    /// Gives out an endpoint on `interface`: connected to none, its party unknown. With `muxed` it has no RTCP socket, and RTCP
    /// shares the port of RTP.
    pub fn open<S>(
        &mut self,
        cx: &mut Cx<'_>,
        interface: InterfaceId,
        muxed: bool,
        out: &mut S,
    ) -> Result<EndpointId, MediaError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Some((_, ports)) = self.interfaces.get_mut(usize::from(interface.0)) else {
            return Err(MediaError::UnknownInterface);
        };
        let ready = ports.ready.pop();
        if ready.is_none() && ports.opening == 0 {
            ports.try_taken_again(self.port_words.used_mut());
        }
        let exhausted = ports.is_exhausted();
        let full = self.endpoints.is_full();
        let given = ready.and_then(|slot| self.give_out(cx, slot, muxed, out));
        self.refill_interface(cx, interface, out);
        given.ok_or_else(|| {
            let (refused, error) = if full {
                (&mut self.stats.full, MediaError::Full)
            } else if exhausted {
                (&mut self.stats.ports_exhausted, MediaError::PortsExhausted)
            } else {
                (&mut self.stats.ports_pending, MediaError::PortsPending)
            };
            *refused = refused.saturating_add(1);
            error
        })
    }

    fn give_out<S>(&mut self, cx: &Cx<'_>, slot: u32, muxed: bool, out: &mut S) -> Option<EndpointId>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let (key, _) = self.endpoints.at(slot)?;
        let endpoint = self.endpoints.at_mut(slot)?;
        endpoint.phase = Phase::Used;
        endpoint.muxed = muxed;
        endpoint.stats.opened = Some(cx.now);
        if muxed {
            out.emit(Action::Close { socket: SocketId::rtcp(slot) });
        }
        self.stats.opened = self.stats.opened.saturating_add(1);
        Some(EndpointId(key))
    }

    /// Closes an endpoint and its sockets. Endpoints connected to it send nothing from here on. Does nothing if it is
    /// closed already.
    pub fn close<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, id: EndpointId, out: &mut S) {
        let Some(mut endpoint) = self.endpoints.remove(id.0) else { return };
        endpoint.secure.map(|key| self.secure.remove(key));
        if let Some(event) = endpoint.dtmf.take() {
            out.emit(Action::Dtmf { endpoint: id, event });
        }
        out.emit(Action::Close { socket: SocketId::rtp(id.0.slot()) });
        if !endpoint.muxed {
            out.emit(Action::Close { socket: SocketId::rtcp(id.0.slot()) });
        }
        self.stats.closed = self.stats.closed.saturating_add(1);
        if let Some((_, ports)) = self.interfaces.get_mut(usize::from(endpoint.interface.0)) {
            ports.give_back(self.port_words.used_mut(), endpoint.rtp_port);
        }
        self.refill_interface(cx, endpoint.interface, out);
    }

    /// Changes what is decided for an endpoint. What was learned of its party stays, unless the signalled address is
    /// another one. Does nothing if the endpoint is closed.
    pub fn configure<S>(&mut self, id: EndpointId, change: impl FnOnce(&mut EndpointSettings), out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Some(endpoint) = self.endpoints.get_mut(id.0) else { return };
        change(&mut endpoint.settings);
        endpoint.signal();
        endpoint.settle(id.0.slot(), out);
    }

    /// Lets the party's packets come from another address for the learning delay, as at the start: it has signalled, and behind
    /// a NAT that is all it can say of a new address. Until they do, the one learned counts. Does nothing if the endpoint is
    /// closed.
    pub fn reopen<S: for<'a> Sink<Action<'a>>>(&mut self, id: EndpointId, out: &mut S) {
        let Some(endpoint) = self.endpoints.get_mut(id.0) else { return };
        endpoint.rtp.reopen();
        endpoint.rtcp.reopen();
        endpoint.settle(id.0.slot(), out);
    }

    /// Forgets the addresses learned of the party, and lets them be learned anew. Does nothing if the endpoint is closed.
    pub fn relearn<S: for<'a> Sink<Action<'a>>>(&mut self, id: EndpointId, out: &mut S) {
        let Some(endpoint) = self.endpoints.get_mut(id.0) else { return };
        endpoint.rtp.forget();
        endpoint.rtcp.forget();
        endpoint.settle(id.0.slot(), out);
    }

    /// Has what the party of `from` sends go to the party of `to`, one way; or nowhere. Does nothing if `from` is closed.
    pub fn connect(&mut self, from: EndpointId, to: Option<EndpointId>) {
        if let Some(endpoint) = self.endpoints.get_mut(from.0) {
            endpoint.to = to;
        }
    }

    /// Gives an endpoint the SRTP session of one direction, or takes it away. A session starts with no packet seen, so one that
    /// stays the same is not to be set again. Does nothing if the endpoint is closed.
    pub fn secure(&mut self, id: EndpointId, direction: Direction, session: Option<Session>) -> Result<(), MediaError> {
        let Some(endpoint) = self.endpoints.get_mut(id.0) else { return Ok(()) };
        if endpoint.secure.is_none() {
            if session.is_none() {
                return Ok(());
            }
            let key = self.secure.insert(Secure::default());
            endpoint.secure = Some(key.map_err(|_| {
                self.stats.secure_full = self.stats.secure_full.saturating_add(1);
                MediaError::SecureFull
            })?);
        }
        let Some(key) = endpoint.secure else { return Ok(()) };
        if let Some(secure) = self.secure.get_mut(key) {
            *secure.of_mut(direction) = session;
            if secure.inbound.is_none() && secure.outbound.is_none() {
                self.secure.remove(key);
                endpoint.secure = None;
            }
        }
        Ok(())
    }

    /// The SRTP session of one direction of an endpoint.
    pub fn session(&self, id: EndpointId, direction: Direction) -> Option<&Session> {
        self.secure.get(self.endpoints.get(id.0)?.secure?)?.of(direction)
    }

    /// How many endpoints have SRTP.
    pub const fn secure_len(&self) -> usize {
        self.secure.len()
    }

    /// Our addresses of an endpoint.
    pub fn local(&self, id: EndpointId) -> Option<Local> {
        let endpoint = self.endpoints.get(id.0)?;
        let (interface, _) = self.interfaces.get(usize::from(endpoint.interface.0))?;
        let rtp_port = endpoint.rtp_port;
        let rtcp_port = if endpoint.muxed { rtp_port } else { rtp_port | 1 };
        Some(Local { advertised: interface.advertised, bound: interface.bound, rtp_port, rtcp_port })
    }

    /// The addresses of an endpoint's party.
    pub fn remote(&self, id: EndpointId) -> Option<Remote> {
        self.endpoints.get(id.0).map(Endpoint::remote)
    }

    /// What is decided for an endpoint.
    pub fn endpoint_settings(&self, id: EndpointId) -> Option<&EndpointSettings> {
        self.endpoints.get(id.0).map(|endpoint| &endpoint.settings)
    }

    /// The endpoint that the packets of a party go to.
    pub fn connected(&self, from: EndpointId) -> Option<EndpointId> {
        self.endpoints.get(from.0)?.to
    }

    /// Counters of an endpoint.
    pub fn stats(&self, id: EndpointId) -> Option<&EndpointStats> {
        self.endpoints.get(id.0).map(|endpoint| &endpoint.stats)
    }

    /// Counters of the plane.
    pub const fn totals(&self) -> &MediaStats {
        &self.stats
    }

    /// Pairs of ports of an interface: in use (those opened ahead included), and all.
    pub fn ports(&self, interface: InterfaceId) -> Option<(u32, u32)> {
        let (interface, ports) = self.interfaces.get(usize::from(interface.0))?;
        Some((ports.used(), interface.ports.pairs()))
    }

    /// How many endpoints are in use.
    pub fn len(&self) -> usize {
        let ahead: usize = self.interfaces.iter().map(|(_, ports)| ports.ready.len() + ports.opening as usize).sum();
        self.endpoints.len().saturating_sub(ahead)
    }

    /// Whether no endpoint is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
