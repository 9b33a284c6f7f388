//! A relay with a clock, its sockets, and control peers that write bencode.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use crate::entropy::SeededEntropy;
use crate::machine::{Cx, Timed as _};
use crate::relay::media::{PacketBuf, PortRange, SocketId};
use crate::relay::{Action, Capacity, Config, EndReason, Event, Interface, Notice, Relay};
use crate::store::HashKey;
use crate::time::Instant;

/// G.711 at that address and port.
pub(super) fn audio(ip: &str, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    )
}

/// A control message: texts by their keys.
pub(super) fn message(cookie: &str, entries: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{cookie} d");
    for (key, value) in entries {
        text.push_str(&format!("{}:{key}", key.len()));
        match value.strip_prefix('#') {
            Some(number) => text.push_str(&format!("i{number}e")),
            None if *key == "flags" => text.push_str(&format!("l{}:{value}e", value.len())),
            None => text.push_str(&format!("{}:{value}", value.len())),
        }
    }
    text.push('e');
    text.into_bytes()
}

/// A packet that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct World {
    pub(super) relay: Relay<'static>,
    pub(super) now: Instant,
    entropy: SeededEntropy,
    /// Open sockets with their addresses.
    pub(super) sockets: BTreeMap<SocketId, SocketAddr>,
    pub(super) sent: Vec<Sent>,
    pub(super) replies: Vec<Vec<u8>>,
    pub(super) ended: Vec<(String, EndReason, Duration)>,
    pub(super) started: usize,
    pub(super) keys: Vec<(String, String)>,
    cookies: usize,
}

pub(super) const PORTS: PortRange = PortRange { min: 20_000, max: 20_999 };

pub(super) fn config() -> Config {
    let mut config = Config { reserve: 4, ..Config::default() };
    for (label, bound, advertised) in [("priv", "10.9.0.1", "10.9.0.1"), ("pub", "10.9.0.2", "203.0.113.50")] {
        let (bound, advertised) = (bound.parse().unwrap(), advertised.parse().unwrap());
        config
            .interfaces
            .push(Interface { label: label.try_into().unwrap(), bound, advertised, ports: PORTS })
            .unwrap();
    }
    config
}

impl World {
    pub(super) fn new(config: Config) -> Self {
        Self::with(config, Capacity::of_sessions(16))
    }

    pub(super) fn with(config: Config, capacity: Capacity) -> Self {
        let storage = capacity.reserve(&config).unwrap();
        let relay = Relay::new(config, storage, HashKey::new([5; 16])).unwrap();
        let mut world = Self {
            relay,
            now: Instant::from_millis(1_000_000),
            entropy: SeededEntropy::new(9),
            sockets: BTreeMap::new(),
            sent: Vec::new(),
            replies: Vec::new(),
            ended: Vec::new(),
            started: 0,
            keys: Vec::new(),
            cookies: 0,
        };
        world.handle(Event::Timeout);
        world
    }

    pub(super) fn handle(&mut self, event: Event<'_>) {
        let mut opened = Vec::new();
        self.one(event, &mut opened);
        while !opened.is_empty() {
            for socket in core::mem::take(&mut opened) {
                self.one(Event::Opened { socket }, &mut opened);
            }
        }
    }

    fn one(&mut self, event: Event<'_>, opened: &mut Vec<SocketId>) {
        let Self { relay, now, entropy, sockets, sent, replies, ended, started, keys, .. } = self;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
        relay.handle(&mut Cx { now: *now, entropy }, event, &mut |action: Action<'_>| match action {
            Action::Open { socket, local } => {
                assert!(!sockets.values().any(|own| *own == local), "{local} is bound twice");
                assert_eq!(sockets.insert(socket, local), None, "{socket:?} is open");
                opened.push(socket);
            }
            Action::Close { socket } => assert!(sockets.remove(&socket).is_some(), "{socket:?} is not open"),
            Action::Forward { socket, to, packet, .. } => {
                sent.push(Sent { from: sockets[&socket], to, bytes: packet.to_vec() });
            }
            Action::Settle { socket, .. } => assert!(sockets.contains_key(&socket)),
            Action::Reply { bytes } => replies.push(bytes.to_vec()),
            Action::Notice(Notice::Started { .. }) => *started += 1,
            Action::Notice(Notice::Ended { call_id, reason, lasted, .. }) => {
                ended.push((text(call_id), reason, lasted));
            }
            Action::Notice(Notice::Dtmf { call_id, tag, .. }) => keys.push((text(call_id), text(tag))),
            Action::Notice(_) => {}
        });
    }

    /// Sends bytes to the control port; gives the reply, if there is one.
    pub(super) fn control(&mut self, bytes: &[u8]) -> Option<String> {
        let before = self.replies.len();
        self.handle(Event::Control { bytes });
        assert!(self.replies.len() <= before + 1, "more than one reply");
        self.replies.get(before).map(|reply| String::from_utf8_lossy(reply).to_string())
    }

    /// Sends a request; gives the reply without its cookie.
    pub(super) fn ask(&mut self, command: &str, entries: &[(&str, &str)]) -> String {
        self.cookies += 1;
        let cookie = format!("c{}", self.cookies);
        let mut all = Vec::from([("command", command)]);
        all.extend_from_slice(entries);
        let reply = self.control(&message(&cookie, &all)).expect("a reply");
        reply.strip_prefix(&format!("{cookie} ")).expect("the cookie").to_string()
    }

    /// An offer of `from`, and the body that goes on.
    pub(super) fn offer(&mut self, call: &str, from: &str, body: &str, more: &[(&str, &str)]) -> String {
        let mut entries = Vec::from([("call-id", call), ("from-tag", from), ("sdp", body)]);
        entries.extend_from_slice(more);
        body_of(&self.ask("offer", &entries))
    }

    /// An answer of `to` to an offer of `from`, and the body that goes on.
    pub(super) fn answer(&mut self, call: &str, [from, to]: [&str; 2], body: &str, more: &[(&str, &str)]) -> String {
        let mut entries = Vec::from([("call-id", call), ("from-tag", from), ("to-tag", to), ("sdp", body)]);
        entries.extend_from_slice(more);
        body_of(&self.ask("answer", &entries))
    }

    /// A call between 192.0.2.1:5000 and 192.0.2.2:6000; the addresses that they are to send to.
    pub(super) fn call(&mut self, call: &str) -> [SocketAddr; 2] {
        let to_b = self.offer(call, "a", &audio("192.0.2.1", 5000), &[]);
        let to_a = self.answer(call, ["a", "b"], &audio("192.0.2.2", 6000), &[]);
        [address_of(&to_a), address_of(&to_b)]
    }

    /// A datagram from `from` to a socket of the relay; what the relay sends because of it.
    pub(super) fn packet(&mut self, from: &str, to: SocketAddr, bytes: &[u8]) -> Vec<Sent> {
        let socket = *self.sockets.iter().find(|(_, local)| **local == to).expect("an open socket").0;
        let mut buffer = [0; 2_048];
        buffer[..bytes.len()].copy_from_slice(bytes);
        let from = from.parse().unwrap();
        self.handle(Event::Packet { socket, from, packet: PacketBuf::new(&mut buffer, bytes.len()) });
        core::mem::take(&mut self.sent)
    }

    /// Lets time pass, with a timeout at each deadline.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        let mut wakes = 0;
        while let Some(deadline) = self.relay.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline.max(self.now);
            self.handle(Event::Timeout);
            wakes += 1;
            assert!(wakes < 10_000, "it never sleeps");
        }
        self.now = end;
    }

    /// Asserts that nothing is left but the reserve.
    #[track_caller]
    pub(super) fn assert_clean(&self) {
        assert!(self.relay.is_clean());
        assert_eq!(self.relay.sessions(), 0);
        assert_eq!(self.sockets.len(), 2 * 2 * 4, "the reserve of both interfaces");
        assert_eq!(self.relay.next_deadline(), None);
    }
}

/// An RTP packet of G.711.
pub(super) fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = Vec::from([0x80, 0]);
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&7u32.to_be_bytes());
    packet.extend_from_slice(&[0xd5; 160]);
    packet
}

/// The body of a reply.
#[track_caller]
pub(super) fn body_of(reply: &str) -> String {
    let (_, rest) = reply.split_once("3:sdp").unwrap_or_else(|| panic!("no body: {reply}"));
    let (length, rest) = rest.split_once(':').expect("a length");
    rest[..length.parse::<usize>().expect("a length")].to_string()
}

/// The address of the first stream of a body.
pub(super) fn address_of(body: &str) -> SocketAddr {
    let line = |kind: &str| body.lines().find_map(|line| line.strip_prefix(kind)).expect(kind).to_string();
    let ip = line("c=").rsplit(' ').next().unwrap().parse().unwrap();
    let port = line("m=").split(' ').nth(1).unwrap().parse().unwrap();
    SocketAddr::new(ip, port)
}
