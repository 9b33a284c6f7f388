//! The plane as a runtime sees it.

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

#[test]
fn a_call_both_ways() {
    let mut host = Host::new();
    let (a, b) = host.call();
    for n in 0..3 {
        assert_eq!(host.receive(a, false, ALICE, &rtp(n)), sent(&host, b, false, BOB, &rtp(n)));
        assert_eq!(host.receive(b, false, BOB, &rtp(n)), sent(&host, a, false, ALICE, &rtp(n)));
        assert_eq!(host.receive(a, true, ALICE_RTCP, &rtcp()), sent(&host, b, true, BOB_RTCP, &rtcp()));
        assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp()), sent(&host, a, true, ALICE_RTCP, &rtcp()));
        host.wait(20);
    }
    let stats = host.media.stats(a).unwrap();
    let (three, reports) = (Traffic { packets: 3, bytes: 3 * 172 }, Traffic { packets: 3, bytes: 3 * 8 });
    assert_eq!((stats.received, stats.sent), (three, three));
    assert_eq!((stats.received_rtcp, stats.sent_rtcp), (reports, reports));
    assert_eq!((stats.dropped.total(), stats.last_seen), (0, Some(host.now - Duration::from_millis(20))));
    let source = stats.sources().next().unwrap();
    assert_eq!((source.ssrc(), source.received(), source.lost(), source.jitter()), (0x5eed, 3, 0, 0));
    assert_eq!(host.media.totals().sent, Traffic { packets: 12, bytes: 6 * 172 + 6 * 8 });
}

#[test]
fn a_party_behind_a_nat() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.rtp = Some(addr("10.1.1.1:4000")));
    host.configure(a, |settings| settings.received_from = Some("192.0.2.99".parse().unwrap()));
    let public = "192.0.2.99:62001";
    assert_eq!(host.receive(a, false, EVE, &rtp(1)), []);
    assert_eq!(host.receive(a, false, public, &rtp(1)), sent(&host, b, false, BOB, &rtp(1)));
    assert_eq!(host.receive(b, false, BOB, &rtp(1)), sent(&host, a, false, public, &rtp(1)));
    // RTCP follows the address of RTP, at whatever port the NAT gives it.
    assert_eq!(host.receive(a, true, "192.0.2.98:62002", &rtcp()), []);
    assert_eq!(host.receive(a, true, "192.0.2.99:62002", &rtcp()), sent(&host, b, true, BOB_RTCP, &rtcp()));
    assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp()), sent(&host, a, true, "192.0.2.99:62002", &rtcp()));
    assert_eq!(host.media.remote(a).unwrap().learned, Some(addr(public)));
    assert!(!host.media.remote(a).unwrap().fixed);
    host.wait(3_000);
    host.receive(a, false, public, &rtp(2));
    assert!(host.media.remote(a).unwrap().fixed);
    assert_eq!(host.peers.get(&SocketId::rtp(a.key().slot())), Some(&addr(public)));
}

#[test]
fn nobody_takes_a_stream_over() {
    for learning in [Learning::Delayed, Learning::Immediate, Learning::Heuristic, Learning::Off] {
        for admit in [Admit::Exact, Admit::Signalled, Admit::Anywhere] {
            if (learning, admit) == (Learning::Off, Admit::Anywhere) {
                continue;
            }
            let mut host = Host::new();
            let (a, b) = host.call();
            host.configure(a, |settings| (settings.learning, settings.admit) = (learning, admit));
            for n in 0..200 {
                assert_ne!(host.receive(a, false, ALICE, &rtp(n)), []);
                host.wait(20);
            }
            let seen = host.media.stats(a).unwrap().last_seen;
            host.wait(1_000);
            for n in 200..210 {
                assert_eq!(host.receive(a, false, EVE, &rtp(n)), [], "{learning:?} {admit:?}");
                assert_eq!(host.receive(a, true, EVE, &rtcp()), [], "{learning:?} {admit:?}");
                assert_eq!(host.receive(b, false, BOB, &rtp(n))[0].to, addr(ALICE));
            }
            assert_eq!(host.dropped(a, Drop::Source), 20);
            let stats = host.media.stats(a).unwrap();
            assert_eq!(stats.last_seen, seen, "an attacker keeps no call alive");
            assert_eq!((stats.received.packets, stats.sources().next().unwrap().received()), (200, 200));
        }
    }
}

#[test]
fn address_changes_with_a_new_offer() {
    let mut host = Host::new();
    let (a, b) = host.call();
    for n in 0..200 {
        host.receive(a, false, ALICE, &rtp(n));
        host.wait(20);
    }
    let socket = SocketId::rtp(a.key().slot());
    assert_eq!(host.peers.get(&socket), Some(&addr(ALICE)));
    let moved = "192.0.2.77:7000";
    host.configure(a, |settings| settings.rtp = Some(addr(moved)));
    assert_eq!(host.peers.get(&socket), None);
    assert_eq!(host.receive(b, false, BOB, &rtp(1))[0].to, addr(moved));
    assert_eq!(host.receive(a, false, ALICE, &rtp(200)), []);
    assert_eq!(host.receive(a, false, moved, &rtp(201)), sent(&host, b, false, BOB, &rtp(201)));
    // What the old address sent as RTCP counts no more, either.
    assert_eq!(host.receive(a, true, "192.0.2.10:9999", &rtcp()), []);
    // The same offer again changes nothing.
    host.wait(3_000);
    host.receive(a, false, moved, &rtp(202));
    host.configure(a, |settings| settings.rtp = Some(addr(moved)));
    assert_eq!(host.peers.get(&socket), Some(&addr(moved)));
    host.with(|media, _, out| media.relearn(a, out));
    assert_eq!(host.peers.get(&socket), None);
}

#[test]
fn rtcp_that_was_first_is_not_believed_once_rtp_comes_from_elsewhere() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| (settings.admit, settings.learning) = (Admit::Anywhere, Learning::Immediate));
    assert_ne!(host.receive(a, true, EVE, &rtcp()), []);
    host.receive(a, false, ALICE, &rtp(1));
    assert_eq!(host.receive(a, true, EVE, &rtcp()), []);
    assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp())[0].to, addr(ALICE_RTCP));
}

#[test]
fn rtcp_shares_the_port_of_rtp_where_it_is_muxed() {
    let mut host = Host::new();
    // Alice by negotiation, Bob from the start.
    let (a, _) = host.call();
    let b = host.open(IF0, true).unwrap();
    let local = host.media.local(b).unwrap();
    assert_eq!(local.rtp_port, local.rtcp_port);
    assert!(!host.sockets.contains_key(&SocketId::rtcp(b.key().slot())));
    host.configure(a, |settings| settings.rtcp_mux = true);
    host.configure(b, |settings| settings.rtp = Some(addr(BOB)));
    host.media.connect(a, Some(b));
    host.media.connect(b, Some(a));
    assert_eq!(host.receive(a, false, ALICE, &rtcp()), sent(&host, b, false, BOB, &rtcp()));
    assert_eq!(host.receive(b, false, BOB, &rtcp()), sent(&host, a, false, ALICE, &rtcp()));
    assert_eq!(host.media.stats(b).unwrap().received_rtcp.packets, 1);
    // Every payload type that RFC 5761 §4 leaves to RTCP, and the ones beside them.
    for second in 0..=255u8 {
        // Long enough for a sender report.
        let mut packet = [0; 28];
        packet[..4].copy_from_slice(&[0x80, second, 0, 6]);
        host.receive(a, false, ALICE, &packet);
        assert_eq!(host.media.stats(a).unwrap().received_rtcp.packets > 1, second >= 192, "{second}");
        assert_eq!(host.media.stats(a).unwrap().dropped.total(), 0, "{second}");
    }
    assert_eq!(host.media.stats(a).unwrap().received_rtcp.packets, 1 + 32);
    // An RTCP socket does not take RTP.
    assert_eq!(host.receive(a, true, ALICE_RTCP, &rtp(1)), []);
    assert_eq!(host.dropped(a, Drop::Malformed), 1);
}

#[test]
fn rtcp_between_a_muxed_and_a_plain_party_changes_ports() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.rtcp_mux = true);
    assert_eq!(host.receive(a, false, ALICE, &rtcp()), sent(&host, b, true, BOB_RTCP, &rtcp()));
    assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp()), sent(&host, a, false, ALICE, &rtcp()));
}

#[test]
fn asymmetric_party_is_sent_to_its_signalled_address() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.asymmetric = true);
    assert_ne!(host.receive(a, false, "192.0.2.10:4999", &rtp(1)), []);
    assert_eq!(host.receive(b, false, BOB, &rtp(1))[0].to, addr(ALICE));
    host.wait(3_000);
    assert_ne!(host.receive(a, false, "192.0.2.10:4999", &rtp(2)), []);
    assert_eq!(host.receive(a, false, ALICE, &rtp(2)), [], "one source, all the same");
    assert!(host.peers.is_empty(), "its socket talks to two addresses");
}

#[test]
fn bad_packets_are_counted_and_dropped() {
    let mut extension = rtp(1);
    extension[0] |= 0x10;
    extension[12..16].copy_from_slice(&[0, 0, 0, 40]);
    let mut sources = rtp(1)[..20].to_vec();
    sources[0] |= 15;
    let rows: [(&[u8], Drop); 10] = [
        (&[], Drop::NotRtp),
        (&[0; 20], Drop::NotRtp),
        (&[22; 20], Drop::NotRtp),
        (&[0xc0; 20], Drop::NotRtp),
        (&[0x7f; 172], Drop::NotRtp),
        (&[0x80], Drop::NotRtp),
        (&rtp(1)[..11], Drop::Malformed),
        (&rtcp()[..7], Drop::Malformed),
        (&extension, Drop::Malformed),
        (&sources, Drop::Malformed),
    ];
    for (packet, reason) in rows {
        let mut host = Host::new();
        let (a, _) = host.call();
        assert_eq!(host.receive(a, false, ALICE, packet), [], "{packet:?}");
        assert_eq!(host.dropped(a, reason), 1, "{packet:?}");
        assert_eq!(host.media.totals().dropped.of(reason), 1);
        assert_eq!(host.media.remote(a).unwrap().learned, None, "nothing is learned from it");
    }
    assert!(Drop::ALL.iter().enumerate().all(|(n, reason)| *reason as usize == n));
}

#[test]
fn reports_tell_loss_jitter_and_round_trip_of_each_party() {
    let mut host = Host::new();
    let (a, b) = host.call();
    let words = |head: [u8; 4], words: &[u32]| -> Vec<u8> {
        head.into_iter().chain(words.iter().flat_map(|word| word.to_be_bytes())).collect()
    };
    // Alice's sender report reaches Bob, who answers 70 ms later having held it for 30.
    let sender = words([0x80, 200, 0, 6], &[1, 0xe000_0001, 0x8000_0000, 0, 5, 800]);
    assert_ne!(host.receive(a, true, ALICE_RTCP, &sender), []);
    host.wait(70);
    let held = 65_536 * 30 / 1_000;
    let report = words([0x81, 201, 0, 7], &[2, 1, 64 << 24 | 3, 100, 80, 0x0001_8000, held]);
    assert_ne!(host.receive(b, true, BOB_RTCP, &report), []);
    let reports = host.media.stats(b).unwrap().reports;
    assert_eq!((reports.count, reports.fraction_lost, reports.cumulative_lost, reports.jitter), (1, 64, 3, 80));
    assert!((39_990..=40_020).contains(&reports.round_trip_us.unwrap()), "{reports:?}");
    assert_eq!(reports.mos, quality::mos_hundredths(250, 10_000, reports.round_trip_us.unwrap().into()));
    assert_eq!(host.media.stats(a).unwrap().reports.count, 0);
    // A compound that contradicts itself is dropped, and so is one from elsewhere.
    let mut broken = report.clone();
    broken[0] = 0x82;
    assert_eq!(host.receive(b, true, BOB_RTCP, &broken), []);
    assert_eq!(host.receive(b, true, EVE, &report), []);
    let stats = host.media.stats(b).unwrap();
    assert_eq!((stats.reports.count, stats.dropped.of(Drop::Malformed), stats.dropped.of(Drop::Source)), (1, 1, 1));
}

#[test]
fn packets_without_a_way_are_counted() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.media.connect(a, None);
    assert_eq!(host.receive(a, false, ALICE, &rtp(1)), []);
    host.media.connect(a, Some(b));
    host.configure(b, |settings| settings.rtp = Some(addr("0.0.0.0:5000")));
    assert_eq!(host.receive(a, false, ALICE, &rtp(2)), []);
    host.configure(b, |settings| settings.rtp = None);
    assert_eq!(host.receive(a, false, ALICE, &rtp(3)), []);
    host.close(b);
    assert_eq!(host.receive(a, false, ALICE, &rtp(4)), []);
    assert_eq!(host.dropped(a, Drop::NoDestination), 4);
    for socket in [SocketId::rtp(b.key().slot()), SocketId(1 << 20), SocketId(u32::MAX)] {
        assert_eq!(host.receive_on(socket, BOB, &rtp(5)), []);
    }
    assert_eq!(host.media.totals().dropped.of(Drop::NoEndpoint), 3);
    assert_eq!(host.media.stats(b), None);
}

#[test]
fn datagrams_pass_unread() {
    let mut host = Host::new();
    let (a, b) = host.call();
    for id in [a, b] {
        host.configure(id, |settings| settings.carries = Carries::Datagrams);
    }
    let udptl = [0, 1, 6, 0, 0x20];
    assert_eq!(host.receive(a, false, ALICE, &udptl), sent(&host, b, false, BOB, &udptl));
    assert_eq!(host.receive(a, false, EVE, &udptl), []);
    assert_eq!(host.media.stats(a).unwrap().received.packets, 1);
}

#[test]
fn type_of_service_is_that_of_the_receiving_party() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(b, |settings| settings.tos = Some(0xb8));
    assert_eq!(host.receive(a, false, ALICE, &rtp(1))[0].tos, Some(0xb8));
    assert_eq!(host.receive(b, false, BOB, &rtp(1))[0].tos, None);
}

#[test]
fn telephone_events_are_seen_once_and_can_be_blocked() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.telephone_events = PayloadTypes::EMPTY.with(101));
    let packets: Vec<_> = (0..8u16)
        .map(|n| rtp_of(101, n, 800, &[5, if n >= 5 { 0x8a } else { 10 }, 0, 160.min(n as u8 * 20)]))
        .collect();
    for packet in &packets {
        assert_eq!(host.receive(a, false, ALICE, packet), sent(&host, b, false, BOB, packet));
    }
    let event = DtmfEvent { code: 5, volume: 10, duration: 100, timestamp: 800, ssrc: 0x5eed };
    assert_eq!(host.dtmf, [(a, event)]);
    host.configure(a, |settings| settings.dtmf_blocked = true);
    assert_eq!(host.receive(a, false, ALICE, &rtp_of(101, 9, 1_600, &[6, 0x8a, 0, 160])), []);
    assert_ne!(host.receive(a, false, ALICE, &rtp(10)), []);
    assert_eq!((host.dtmf.len(), host.media.stats(a).unwrap().dtmf, host.dropped(a, Drop::Blocked)), (2, 2, 1));
    // A key that is still pressed when the call ends.
    host.receive(a, false, ALICE, &rtp_of(101, 11, 3_200, &[7, 10, 0, 160]));
    assert_eq!(host.dtmf.len(), 2);
    host.close(a);
    assert_eq!(host.dtmf[2].1.code, 7);
    // Bob's packets of that type are no events, as none are agreed with him.
    host.receive(b, false, BOB, &rtp_of(101, 1, 800, &[5, 0x80, 0, 160]));
    assert_eq!(host.dtmf.len(), 3);
}

#[test]
fn blocked_media_stays_and_its_rtcp_passes() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.media_blocked = true);
    assert_eq!(host.receive(a, false, ALICE, &rtp(1)), []);
    assert_ne!(host.receive(a, true, ALICE_RTCP, &rtcp()), []);
    assert_ne!(host.receive(b, false, BOB, &rtp(1)), [], "the other way");
    let stats = host.media.stats(a).unwrap();
    assert_eq!((stats.received.packets, stats.dropped.of(Drop::Blocked), stats.last_seen), (1, 1, Some(host.now)));
    host.configure(a, |settings| settings.media_blocked = false);
    assert_ne!(host.receive(a, false, ALICE, &rtp(2)), []);
}

#[test]
fn silenced_audio_is_silence() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| {
        settings.silenced = true;
        settings.telephone_events = PayloadTypes::EMPTY.with(101);
    });
    for (payload_type, silence) in [(0, 0xff), (8, 0xd5), (9, 0xfa), (10, 0), (11, 0)] {
        let expected = rtp_of(payload_type, 1, 1, &[silence; 40]);
        let got = host.receive(a, false, ALICE, &rtp_of(payload_type, 1, 1, &[0x55; 40]));
        assert_eq!(got, sent(&host, b, false, BOB, &expected));
    }
    // The header is longer with contributing sources and an extension.
    let header = [0x91, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, 1, 1, 0, 1, 7, 7, 7, 7];
    let speech: Vec<u8> = header.iter().copied().chain([0x55; 20]).collect();
    let silence: Vec<u8> = header.iter().copied().chain([0xff; 20]).collect();
    assert_eq!(host.receive(a, false, ALICE, &speech), sent(&host, b, false, BOB, &silence));
    assert_eq!(host.receive(a, false, ALICE, &rtp_of(96, 2, 2, &[0x55; 40])), []);
    assert_eq!(host.dropped(a, Drop::Blocked), 1);
    let event = rtp_of(101, 3, 3, &[5, 0x80, 0, 160]);
    assert_eq!(host.receive(a, false, ALICE, &event), sent(&host, b, false, BOB, &event));
}

#[test]
fn sources_are_followed_and_the_oldest_gives_way() {
    let mut host = Host::new();
    let (a, _) = host.call();
    for round in 0..3u16 {
        for ssrc in 0..5u8 {
            // Two of them take turns all the time.
            for ssrc in [0, ssrc] {
                let mut packet = rtp(round);
                packet[11] = ssrc;
                host.receive(a, false, ALICE, &packet);
                host.wait(1);
            }
        }
    }
    let stats = host.media.stats(a).unwrap();
    assert_eq!(stats.received.packets, 30);
    assert_eq!(stats.sources().count(), SOURCES_MAX);
    let first = stats.sources().find(|source| source.ssrc() & 0xff == 0).unwrap();
    assert_eq!(first.received(), 18);
    // In every round four others pass through three places, in the order in which they came.
    assert_eq!(stats.sources_forgotten, 9);
}

#[test]
fn ports_are_paired_and_the_addresses_are_those_of_the_interface() {
    let mut host = Host::new();
    for interface in [IF0, InterfaceId(1)] {
        let id = host.open(interface, false).unwrap();
        let local = host.media.local(id).unwrap();
        let (bound, advertised) = if interface == IF0 { ("10.0.1.20", US) } else { ("2001:db8::50", "2001:db8::50") };
        assert_eq!((local.bound, local.advertised), (bound.parse().unwrap(), advertised.parse().unwrap()));
        assert_eq!((local.rtp_port % 2, local.rtcp_port), (0, local.rtp_port + 1));
        let (rtp, rtcp) = host.local(id);
        assert_eq!(host.sockets[&SocketId::rtp(id.key().slot())], rtp);
        assert_eq!(host.sockets[&SocketId::rtcp(id.key().slot())], rtcp);
    }
    assert_eq!(host.open(InterfaceId(2), false), Err(MediaError::UnknownInterface));
}

#[test]
fn the_range_can_be_filled_and_is_whole_again() {
    let mut host = Host::of(20, 4, 100);
    for _ in 0..3 {
        let ids: Vec<_> = (0..20).map(|_| host.open(IF0, false).unwrap()).collect();
        let ports: BTreeSet<_> = ids.iter().map(|id| host.media.local(*id).unwrap().rtp_port).collect();
        assert!(ports.iter().copied().eq((30_000..30_040).step_by(2)));
        assert_eq!(host.open(IF0, false), Err(MediaError::PortsExhausted));
        assert!(host.open(InterfaceId(1), false).is_ok(), "the other interface has its own");
        host.close(ids[7]);
        let again = host.open(IF0, false).unwrap();
        assert_eq!(host.media.stats(ids[7]), None);
        for id in ids.into_iter().chain([again]) {
            host.close(id);
        }
    }
    assert_eq!(host.media.len(), 3);
    assert_eq!((host.media.totals().ports_exhausted, host.media.totals().opened), (3, 66));
    assert_eq!(host.media.ports(IF0), Some((4, 20)));
    assert_eq!(host.sockets.len(), 2 * (4 + 4 + 3));
}

#[test]
fn every_endpoint_can_be_used_and_no_more() {
    let mut host = Host::of(100, 4, 6);
    let ids: Vec<_> = core::iter::from_fn(|| host.open(IF0, false).ok()).collect();
    // Those that the other interface has in reserve cannot be had here.
    assert_eq!((ids.len(), host.media.len()), (6 + 4, 10));
    assert_eq!(host.open(IF0, false), Err(MediaError::Full));
    host.close(ids[0]);
    assert!(host.open(IF0, true).is_ok());
    assert_eq!(host.media.totals().full, 2);
}

#[test]
fn taken_ports_are_replaced() {
    // Of every other pair someone else has one of the ports, of one both.
    let taken = (0..25).map(|n| 30_000 + 4 * n + n % 2).chain([30_001]).collect();
    let mut host = Host::with_taken(50, 4, 200, taken);
    let mut ports = BTreeSet::new();
    for _ in 0..25 {
        let id = host.open(IF0, false).unwrap();
        ports.insert(host.media.local(id).unwrap().rtp_port);
    }
    assert!(ports.iter().all(|port| !host.taken.contains(port) && !host.taken.contains(&(port + 1))));
    assert!(ports.len() == 25 && host.media.totals().ports_taken >= 25);
    let tried = host.opens;
    assert_eq!(host.open(IF0, false), Err(MediaError::PortsPending));
    assert!(host.opens - tried <= 2 * 50, "a request tries what is left once");
    host.taken.clear();
    assert_eq!(host.open(IF0, false), Err(MediaError::PortsPending), "they are opened from here on");
    assert!(host.open(IF0, false).is_ok());
    assert_eq!(host.media.totals().ports_pending, 2);
}

#[test]
fn more_at_once_than_the_reserve_are_refused_until_sockets_are_open() {
    let mut host = Host::of(50, 2, 50);
    let (results, _) = host.with(|media, cx, out| [(); 3].map(|()| media.open(cx, IF0, false, out)));
    assert_eq!(results.map(|result| result.err()), [None, None, Some(MediaError::PortsPending)]);
    assert!(host.open(IF0, false).is_ok());
}

#[test]
fn closing_twice_and_stale_names_do_nothing() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.close(a);
    host.close(a);
    host.configure(a, |_| unreachable!("closed"));
    host.with(|media, _, out| media.relearn(a, out));
    host.media.connect(a, Some(b));
    assert_eq!((host.media.local(a), host.media.remote(a), host.media.connected(a)), (None, None, None));
    assert_eq!(host.media.endpoint_settings(a), None);
    assert_eq!(host.media.totals().closed, 1);
    // The one that takes its place is another one, and hears nothing of the old call.
    let c = host.open(IF0, false).unwrap();
    host.configure(c, |settings| settings.rtp = Some(addr(EVE)));
    assert_eq!(host.receive(b, false, BOB, &rtp(1)), []);
    host.close(b);
    host.close(c);
    assert!(host.media.is_empty());
}

#[test]
fn plane_is_made_of_what_fits() {
    let interface = |min, max| Interface {
        bound: US.parse().unwrap(),
        advertised: US.parse().unwrap(),
        ports: PortRange { min, max },
    };
    let settings = Settings::default();
    let make = |interfaces: &[Interface], words: usize| {
        let storage = Storage { port_words: Slots::reserved(words), ..Storage::reserved(4, 0, interfaces, &settings) };
        Media::new(interfaces, settings, storage).err()
    };
    assert_eq!(make(&[interface(30_000, 30_127)], 2), None);
    assert_eq!(make(&[interface(30_000, 30_129)], 2), Some(ConfigError::PortWords));
    assert_eq!(make(&[interface(30_000, 30_001), interface(9, 9)], 9), Some(ConfigError::NoPorts(InterfaceId(1))));
    let many = [interface(30_000, 30_001); INTERFACES_MAX + 1];
    assert_eq!(make(&many, 99), Some(ConfigError::TooManyInterfaces));
    assert_eq!(make(&many[1..], 99), None);
}

fn session(suite: Suite, seed: u64) -> Session {
    Session::new(&MasterKey::generate(suite, &mut SeededEntropy::new(seed)), Params::default()).unwrap()
}

/// What `protect` makes of `packet`.
fn protected(session: &mut Session, rtcp: bool, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + TAIL_ROOM, 0);
    let len = packet.len();
    let len = if rtcp { session.protect_rtcp(&mut buf, len) } else { session.protect(&mut buf, len) };
    buf.truncate(len.unwrap());
    buf
}

#[test]
fn srtp_of_one_party_ends_here() {
    for suite in Suite::ALL {
        let mut host = Host::new();
        let (a, b) = host.call();
        host.media.secure(a, Direction::Inbound, Some(session(suite, 1))).unwrap();
        host.media.secure(a, Direction::Outbound, Some(session(suite, 2))).unwrap();
        let (mut alice_out, mut alice_in) = (session(suite, 1), session(suite, 2));
        for n in 0..3 {
            let packet = protected(&mut alice_out, false, &rtp(n));
            assert_eq!(host.receive(a, false, ALICE, &packet), sent(&host, b, false, BOB, &rtp(n)));
            let mut back = host.receive(b, false, BOB, &rtp(n)).remove(0).packet;
            assert_ne!(back, rtp(n));
            let len = alice_in.unprotect(&mut back).unwrap();
            assert_eq!(back[..len], rtp(n));
            let packet = protected(&mut alice_out, true, &rtcp());
            assert_eq!(host.receive(a, true, ALICE_RTCP, &packet), sent(&host, b, true, BOB_RTCP, &rtcp()));
            let mut back = host.receive(b, true, BOB_RTCP, &rtcp()).remove(0).packet;
            let len = alice_in.unprotect_rtcp(&mut back).unwrap();
            assert_eq!(back[..len], rtcp());
        }
        assert_eq!(host.media.stats(a).unwrap().dropped.total(), 0);
    }
}

#[test]
fn only_authentic_packets_teach_an_address() {
    let suite = Suite::from_name(b"AES_CM_128_HMAC_SHA1_80").unwrap();
    let mut host = Host::new();
    let (a, b) = host.call();
    host.media.secure(a, Direction::Inbound, Some(session(suite, 1))).unwrap();
    host.configure(a, |settings| (settings.admit, settings.learning) = (Admit::Anywhere, Learning::Immediate));
    let mut alice = session(suite, 1);
    let packet = protected(&mut alice, false, &rtp(1));
    for forged in [&rtp(1), &protected(&mut session(suite, 9), false, &rtp(1)), &packet[..20].to_vec()] {
        assert_eq!(host.receive(a, false, EVE, forged), []);
    }
    let learned = host.media.remote(a).unwrap().learned;
    assert_eq!((learned, host.media.stats(a).unwrap().last_seen), (None, None));
    assert_eq!(host.receive(a, false, ALICE, &packet), sent(&host, b, false, BOB, &rtp(1)));
    // Played again, from the right address and from another one.
    assert_eq!(host.receive(a, false, ALICE, &packet), []);
    assert_eq!(host.receive(a, false, EVE, &packet), []);
    let stats = host.media.stats(a).unwrap();
    assert_eq!((stats.received.packets, stats.sources().next().unwrap().received()), (1, 1));
    let dropped = [Drop::Unauthentic, Drop::Malformed, Drop::Replayed].map(|reason| stats.dropped.of(reason));
    assert_eq!(dropped, [2, 1, 1]);
    assert_eq!(stats.dropped.of(Drop::Source), 1);
}

#[test]
fn srtp_needs_room_and_the_room_is_bounded() {
    let suite = Suite::from_name(b"AEAD_AES_256_GCM").unwrap();
    let mut host = Host::new();
    let (a, b) = host.call();
    let c = host.open(IF0, false).unwrap();
    host.media.secure(b, Direction::Outbound, Some(session(suite, 1))).unwrap();
    let mut buf = rtp(1);
    let len = buf.len();
    let mut packet = PacketBuf::new(&mut buf, len);
    let socket = SocketId::rtp(a.key().slot());
    let ((), forwarded) = host.with(|media, cx, out| media.packet(cx, socket, addr(ALICE), &mut packet, out));
    assert_eq!((forwarded, host.dropped(a, Drop::NoRoom)), (vec![], 1));
    host.media.secure(a, Direction::Inbound, Some(session(suite, 2))).unwrap();
    let refused = host.media.secure(c, Direction::Inbound, Some(session(suite, 3)));
    assert_eq!((refused, host.media.totals().secure_full), (Err(MediaError::SecureFull), 1));
    assert_eq!(host.media.secure(c, Direction::Inbound, None), Ok(()));
    assert_eq!(host.media.session(a, Direction::Inbound).map(Session::suite), Some(suite));
    assert!(host.media.session(a, Direction::Outbound).is_none());
    host.media.secure(a, Direction::Inbound, None).unwrap();
    assert_eq!(host.media.secure_len(), 1);
    host.close(b);
    assert_eq!(host.media.secure_len(), 0);
    assert_eq!(host.media.secure(b, Direction::Outbound, Some(session(suite, 4))), Ok(()));
    assert_eq!(host.media.secure_len(), 0);
}

#[test]
fn srtp_between_the_parties_passes_as_it_is() {
    let suite = Suite::from_name(b"AES_CM_128_HMAC_SHA1_32").unwrap();
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| {
        settings.carries = Carries::Srtp;
        settings.telephone_events = PayloadTypes::EMPTY.with(101);
    });
    let mut alice = session(suite, 1);
    let audio = protected(&mut alice, false, &rtp(1));
    let key = protected(&mut alice, false, &rtp_of(101, 2, 800, &[5, 0x80, 0, 160]));
    let report = protected(&mut alice, true, &rtcp());
    assert_eq!(host.receive(a, false, ALICE, &audio), sent(&host, b, false, BOB, &audio));
    assert_eq!(host.receive(a, false, ALICE, &key), sent(&host, b, false, BOB, &key));
    assert_eq!(host.receive(a, true, ALICE_RTCP, &report), sent(&host, b, true, BOB_RTCP, &report));
    assert_eq!(host.dtmf, [], "what it says is not known");
    host.configure(a, |settings| settings.silenced = true);
    assert_eq!(host.receive(a, false, ALICE, &protected(&mut alice, false, &rtp(3))), []);
    assert_eq!(host.dropped(a, Drop::Blocked), 1);
}
