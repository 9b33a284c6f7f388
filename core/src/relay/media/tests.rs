//! The plane as a runtime sees it.

mod addresses;
mod packets;
mod ports;
mod srtp;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::vec;
use std::vec::Vec;

use super::*;
use crate::entropy::SeededEntropy;
use crate::relay::srtp::{MasterKey, Params, Suite};
use crate::time::Instant;

const US: &str = "203.0.113.50";
const IF0: InterfaceId = InterfaceId(0);
const ALICE: &str = "192.0.2.10:4000";
const ALICE_RTCP: &str = "192.0.2.10:4001";
const BOB: &str = "198.51.100.20:5000";
const BOB_RTCP: &str = "198.51.100.20:5001";
const EVE: &str = "203.0.113.66:6666";

fn addr(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    from: SocketAddr,
    to: SocketAddr,
    packet: Vec<u8>,
    tos: Option<u8>,
}

/// A runtime of the plane: its sockets, and what it was told.
struct Host {
    media: Media<'static>,
    now: Instant,
    entropy: SeededEntropy,
    sockets: BTreeMap<SocketId, SocketAddr>,
    peers: BTreeMap<SocketId, SocketAddr>,
    taken: BTreeSet<u16>,
    opens: usize,
    dtmf: Vec<(EndpointId, DtmfEvent)>,
}

#[derive(Default)]
struct Heard {
    sent: Vec<(SocketId, SocketAddr, Vec<u8>, Option<u8>)>,
    others: Vec<Other>,
}

enum Other {
    Open(SocketId, SocketAddr),
    Close(SocketId),
    Settle(SocketId, Option<SocketAddr>),
    Dtmf(EndpointId, DtmfEvent),
}

impl Sink<Action<'_>> for Heard {
    fn emit(&mut self, action: Action<'_>) {
        match action {
            Action::Open { socket, local } => self.others.push(Other::Open(socket, local)),
            Action::Close { socket } => self.others.push(Other::Close(socket)),
            Action::Forward { socket, to, packet, tos } => self.sent.push((socket, to, packet.to_vec(), tos)),
            Action::Settle { socket, peer } => self.others.push(Other::Settle(socket, peer)),
            Action::Dtmf { endpoint, event } => self.others.push(Other::Dtmf(endpoint, event)),
        }
    }
}

impl Host {
    /// A plane of one IPv4 and one IPv6 interface with so many pairs of ports each, a reserve, and room for endpoints.
    fn of(pairs: u16, reserve: usize, endpoints: usize) -> Self {
        Self::with_taken(pairs, reserve, endpoints, BTreeSet::new())
    }

    /// The same where others use some of the ports.
    fn with_taken(pairs: u16, reserve: usize, endpoints: usize, taken: BTreeSet<u16>) -> Self {
        let ports = PortRange { min: 30_000, max: 30_000 + 2 * pairs - 1 };
        let v6: IpAddr = "2001:db8::50".parse().unwrap();
        let interfaces = [
            Interface { bound: "10.0.1.20".parse().unwrap(), advertised: US.parse().unwrap(), ports },
            Interface { bound: v6, advertised: v6, ports },
        ];
        let settings = Settings { reserve, ..Settings::default() };
        let storage = Storage::reserved(endpoints, 2, &interfaces, &settings);
        let mut host = Self {
            media: Media::new(&interfaces, settings, storage).unwrap(),
            now: Instant::from_millis(1_000_000),
            entropy: SeededEntropy::new(7),
            sockets: BTreeMap::new(),
            peers: BTreeMap::new(),
            taken,
            opens: 0,
            dtmf: Vec::new(),
        };
        host.with(|media, cx, out| media.refill(cx, out));
        host
    }

    fn new() -> Self {
        Self::of(100, 4, 8)
    }

    /// Runs the plane, does what it wants, and answers until it wants no more. What it sent is returned.
    fn with<R>(&mut self, run: impl FnOnce(&mut Media<'static>, &mut Cx<'_>, &mut Heard) -> R) -> (R, Vec<Sent>) {
        let mut heard = Heard::default();
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        let value = run(&mut self.media, &mut cx, &mut heard);
        while !heard.others.is_empty() {
            for other in core::mem::take(&mut heard.others) {
                self.obey(other, &mut heard);
            }
        }
        let sent = heard.sent.into_iter().map(|(socket, to, packet, tos)| {
            let from = self.sockets[&socket];
            assert!(self.peers.get(&socket).is_none_or(|peer| *peer == to), "a settled socket sends to its peer");
            Sent { from, to, packet, tos }
        });
        (value, sent.collect())
    }

    fn obey(&mut self, other: Other, heard: &mut Heard) {
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        match other {
            Other::Open(socket, local) => {
                self.opens += 1;
                if self.taken.contains(&local.port()) {
                    self.media.open_failed(&mut cx, socket, heard);
                } else {
                    assert!(!self.sockets.values().any(|known| *known == local), "{local} is open");
                    assert_eq!(self.sockets.insert(socket, local), None, "the number is in use");
                    self.media.opened(&mut cx, socket, heard);
                }
            }
            Other::Close(socket) => {
                assert!(self.sockets.remove(&socket).is_some(), "{socket:?} is not open");
                self.peers.remove(&socket);
            }
            Other::Settle(socket, peer) => {
                assert!(self.sockets.contains_key(&socket));
                match peer {
                    Some(peer) => assert_eq!(self.peers.insert(socket, peer), None),
                    None => assert!(self.peers.remove(&socket).is_some()),
                }
            }
            Other::Dtmf(endpoint, event) => self.dtmf.push((endpoint, event)),
        }
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
    }

    fn open(&mut self, interface: InterfaceId, muxed: bool) -> Result<EndpointId, MediaError> {
        self.with(|media, cx, out| media.open(cx, interface, muxed, out)).0
    }

    fn close(&mut self, id: EndpointId) {
        self.with(|media, cx, out| media.close(cx, id, out));
    }

    fn configure(&mut self, id: EndpointId, change: impl FnOnce(&mut EndpointSettings)) {
        self.with(|media, _, out| media.configure(id, change, out));
    }

    /// What is sent because `packet` arrives on a port of `to`.
    fn receive(&mut self, to: EndpointId, rtcp: bool, from: &str, packet: &[u8]) -> Vec<Sent> {
        let slot = to.key().slot();
        self.receive_on(if rtcp { SocketId::rtcp(slot) } else { SocketId::rtp(slot) }, from, packet)
    }

    fn receive_on(&mut self, socket: SocketId, from: &str, packet: &[u8]) -> Vec<Sent> {
        let from = addr(from);
        if self.peers.get(&socket).is_some_and(|peer| *peer != from) {
            // The kernel drops it, and so must the plane.
            let mut buf = packet.to_vec();
            let mut packet = PacketBuf::new(&mut buf, packet.len());
            let (_, sent) = self.with(|media, cx, out| media.packet(cx, socket, from, &mut packet, out));
            assert_eq!(sent, []);
            return sent;
        }
        let mut buf = packet.to_vec();
        buf.resize(packet.len() + TAIL_ROOM, 0xee);
        let mut packet = PacketBuf::new(&mut buf, packet.len());
        self.with(|media, cx, out| media.packet(cx, socket, from, &mut packet, out)).1
    }

    fn dropped(&self, id: EndpointId, reason: Drop) -> u32 {
        self.media.stats(id).unwrap().dropped.of(reason)
    }

    /// A call between Alice and Bob.
    fn call(&mut self) -> (EndpointId, EndpointId) {
        let (a, b) = (self.open(IF0, false).unwrap(), self.open(IF0, false).unwrap());
        for (id, rtp, rtcp) in [(a, ALICE, ALICE_RTCP), (b, BOB, BOB_RTCP)] {
            self.configure(id, |settings| {
                settings.rtp = Some(addr(rtp));
                settings.rtcp = Some(addr(rtcp));
            });
        }
        self.media.connect(a, Some(b));
        self.media.connect(b, Some(a));
        (a, b)
    }

    fn local(&self, id: EndpointId) -> (SocketAddr, SocketAddr) {
        let local = self.media.local(id).unwrap();
        (SocketAddr::new(local.bound, local.rtp_port), SocketAddr::new(local.bound, local.rtcp_port))
    }
}

/// An RTP packet of `payload_type` with `payload`.
fn rtp_of(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(0x5eed_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtp(sequence: u16) -> Vec<u8> {
    rtp_of(0, sequence, 160 * u32::from(sequence), &[0x55; 160])
}

/// An empty receiver report.
fn rtcp() -> Vec<u8> {
    vec![0x80, 201, 0, 1, 0, 0, 0x5e, 0xed]
}

fn sent(host: &Host, from: EndpointId, rtcp: bool, to: &str, packet: &[u8]) -> Vec<Sent> {
    let (rtp_socket, rtcp_socket) = host.local(from);
    vec![Sent { from: if rtcp { rtcp_socket } else { rtp_socket }, to: addr(to), packet: packet.to_vec(), tos: None }]
}
