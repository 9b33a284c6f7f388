//! The packet plane of the relay: one packet of G.711 (172 bytes) from a party to the other, without sockets.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant as Clock};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::relay::media::{
    Action, Direction, EndpointId, Interface, InterfaceId, Media, PacketBuf, PayloadTypes, PortRange, Settings,
    SocketId, Storage, TAIL_ROOM,
};
use trunkline_core::relay::srtp::{MasterKey, Params, Session, Suite};
use trunkline_core::{Cx, Instant};

const RTP_LEN: usize = 172;

/// Calls that are up, and the packets they are sent.
struct Load {
    media: Media<'static>,
    entropy: SeededEntropy,
    parties: Vec<(EndpointId, SocketAddr)>,
    buf: [u8; 1_500],
    sequence: u16,
    now_us: u64,
}

impl Load {
    fn new(calls: usize, secure: Option<Suite>) -> Self {
        let ports = PortRange { min: 1_024, max: 32_767 };
        let address = "192.0.2.1".parse().expect("an address");
        let interfaces = [Interface { bound: address, advertised: address, ports }];
        let settings = Settings::default();
        let storage = Storage::reserved(2 * calls, 2 * calls, &interfaces, &settings);
        let media = Media::new(&interfaces, settings, storage).expect("a plane");
        let entropy = SeededEntropy::new(1);
        let mut load = Self { media, entropy, parties: Vec::new(), buf: [0x55; 1_500], sequence: 0, now_us: 1 << 40 };
        load.run(|media, cx, out| media.refill(cx, out));
        for party in 0..2 * calls {
            let address = SocketAddr::from(([198, 51, 100, (party % 200) as u8], 2 * party as u16 + 10_000));
            let id = load.open(address);
            if let Some((partner, _)) = load.parties.last().filter(|_| party % 2 == 1) {
                load.media.connect(id, Some(*partner));
                load.media.connect(*partner, Some(id));
                if let Some(suite) = secure {
                    let key = MasterKey::generate(suite, &mut load.entropy);
                    let session = Session::new(&key, Params::default()).expect("a session");
                    load.media.secure(id, Direction::Outbound, Some(session)).expect("room");
                }
            }
            load.parties.push((id, address));
        }
        // Past the time of learning.
        load.round(|_| {});
        load.now_us += 4_000_000;
        load.round(|_| {});
        load
    }

    fn open(&mut self, party: SocketAddr) -> EndpointId {
        self.run(|media, cx, out| {
            let id = media.open(cx, InterfaceId(0), false, out).expect("an endpoint");
            let change = |settings: &mut trunkline_core::relay::media::EndpointSettings| {
                settings.rtp = Some(party);
                settings.telephone_events = PayloadTypes::EMPTY.with(101);
            };
            media.configure(id, change, out);
            id
        })
    }

    /// Runs the plane and opens what it wants opened.
    fn run<R>(&mut self, f: impl FnOnce(&mut Media<'static>, &mut Cx<'_>, &mut Sockets) -> R) -> R {
        let mut cx = Cx { now: Instant::from_micros(self.now_us), entropy: &mut self.entropy };
        let mut sockets = Sockets(Vec::new());
        let value = f(&mut self.media, &mut cx, &mut sockets);
        while let Some(socket) = sockets.0.pop() {
            self.media.opened(&mut cx, socket, &mut sockets);
        }
        value
    }

    /// One packet from every party, 20 ms after the one before. `count` sees what is forwarded.
    fn round(&mut self, mut count: impl FnMut(&[u8])) {
        self.sequence = self.sequence.wrapping_add(1);
        self.now_us += 20_000;
        let mut cx = Cx { now: Instant::from_micros(self.now_us), entropy: &mut self.entropy };
        let timestamp = u32::from(self.sequence).wrapping_mul(160).to_be_bytes();
        for (id, from) in &self.parties {
            self.buf[..4].copy_from_slice(&[0x80, 0, (self.sequence >> 8) as u8, self.sequence as u8]);
            self.buf[4..8].copy_from_slice(&timestamp);
            self.buf[8..12].copy_from_slice(&id.key().slot().to_be_bytes());
            let mut packet = PacketBuf::new(&mut self.buf[..RTP_LEN + TAIL_ROOM], RTP_LEN);
            let socket = SocketId(2 * id.key().slot());
            self.media.packet(&mut cx, socket, *from, &mut packet, &mut |action: Action<'_>| {
                if let Action::Forward { packet, .. } = action {
                    count(packet);
                }
            });
        }
    }

    /// The time that `n` packets take.
    fn packets(&mut self, n: u64) -> Duration {
        let rounds = n.div_ceil(self.parties.len() as u64);
        let mut forwarded = 0;
        let start = Clock::now();
        for _ in 0..rounds {
            self.round(|packet| {
                black_box(packet);
                forwarded += 1;
            });
        }
        let took = start.elapsed();
        assert_eq!(forwarded, rounds * self.parties.len() as u64, "every packet is forwarded");
        took.mul_f64(n as f64 / forwarded as f64)
    }
}

/// The sockets that a plane wants.
struct Sockets(Vec<SocketId>);

impl trunkline_core::Sink<Action<'_>> for Sockets {
    fn emit(&mut self, action: Action<'_>) {
        if let Action::Open { socket, .. } = action {
            self.0.push(socket);
        }
    }
}

fn relay(c: &mut Criterion) {
    let mut group = c.benchmark_group("relay");
    group.throughput(Throughput::Elements(1));
    for calls in [1, 1_000, 5_000] {
        let mut load = Load::new(calls, None);
        group.bench_function(format!("plain packet, {calls} calls"), |b| b.iter_custom(|n| load.packets(n)));
    }
    for name in ["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"] {
        let suite = Suite::from_name(name.as_bytes()).expect("a suite");
        let mut load = Load::new(1_000, Some(suite));
        // Half of the packets go to the party with SRTP.
        group.bench_function(format!("packet, 1000 calls, {name} to one party"), |b| {
            b.iter_custom(|n| load.packets(n));
        });
    }
    group.bench_function("open, configure, connect and close a call", |b| {
        let (caller, callee) = ("198.51.100.1:4000", "198.51.100.2:4000");
        let (caller, callee) = (caller.parse().expect("an address"), callee.parse().expect("an address"));
        let mut load = Load::new(8, None);
        b.iter(|| {
            // The reserve of sockets is there from the calls before.
            let (old, _) = load.parties.swap_remove(0);
            let (other, _) = load.parties.swap_remove(0);
            load.run(|media, cx, out| [old, other].map(|id| media.close(cx, id, out)));
            let (a, b) = (load.open(caller), load.open(callee));
            load.media.connect(a, Some(b));
            load.media.connect(b, Some(a));
            load.parties.extend([(a, caller), (b, callee)]);
        });
    });
    group.finish();
}

criterion_group!(benches, relay);
criterion_main!(benches);
