//! The packet plane of a relay.

use std::time::Duration;

use trunkline_core::entropy::SeededEntropy;
use trunkline_core::relay::media::{
    Action, Direction, EndpointId, Interface, InterfaceId, Media, PacketBuf, PortRange, Settings, SocketId, Storage,
    TAIL_ROOM,
};
use trunkline_core::relay::srtp::{MasterKey, Params, Session, Suite};
use trunkline_core::{Cx, Instant};

use super::counting::{ALLOCATIONS, WATCHED};

/// A plane with room for so many endpoints, all of its work watched.
struct Relay {
    media: Media<'static>,
    entropy: SeededEntropy,
    now: Instant,
    forwarded: u64,
}

impl Relay {
    fn new(endpoints: usize) -> Self {
        let ports = PortRange { min: 30_000, max: 39_999 };
        let address = "192.0.2.1".parse().unwrap();
        let interfaces = [Interface { bound: address, advertised: address, ports }];
        let settings = Settings::default();
        let storage = Storage::reserved(endpoints, endpoints, &interfaces, &settings);
        let media = Media::new(&interfaces, settings, storage).unwrap();
        let entropy = SeededEntropy::new(1);
        let mut relay = Self { media, entropy, now: Instant::from_millis(1_000), forwarded: 0 };
        relay.watch(|media, cx, out| media.refill(cx, &mut |action: Action<'_>| out.take(&action)));
        relay
    }

    fn watch<R>(&mut self, run: impl FnOnce(&mut Media<'static>, &mut Cx<'_>, &mut Taken) -> R) -> R {
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        let mut taken = Taken::default();
        WATCHED.set(true);
        let value = run(&mut self.media, &mut cx, &mut taken);
        while let Some(socket) = taken.open.pop() {
            self.media.opened(&mut cx, socket, &mut |action: Action<'_>| taken.take(&action));
        }
        WATCHED.set(false);
        self.forwarded += taken.forwarded;
        value
    }

    fn endpoint(&mut self, party: &str, rtp_only: bool) -> EndpointId {
        let party = party.parse().unwrap();
        self.watch(|media, cx, out| {
            let mut out = |action: Action<'_>| out.take(&action);
            let id = media.open(cx, InterfaceId(0), rtp_only, &mut out).unwrap();
            media.configure(id, |settings| settings.rtp = Some(party), &mut out);
            id
        })
    }

    fn receive(&mut self, id: EndpointId, from: &str, packet: &[u8]) {
        let mut buf = [0; 256 + TAIL_ROOM];
        buf[..packet.len()].copy_from_slice(packet);
        let from = from.parse().unwrap();
        let mut packet = PacketBuf::new(&mut buf, packet.len());
        let socket = SocketId(2 * id.key().slot());
        self.watch(|media, cx, out| {
            media.packet(cx, socket, from, &mut packet, &mut |action: Action<'_>| out.take(&action));
        });
    }
}

/// What a plane wanted.
#[derive(Default)]
struct Taken {
    open: heapless::Vec<SocketId, 64>,
    forwarded: u64,
}

impl Taken {
    fn take(&mut self, action: &Action<'_>) {
        match action {
            Action::Open { socket, .. } => self.open.push(*socket).unwrap(),
            Action::Forward { .. } => self.forwarded += 1,
            _ => {}
        }
    }
}

const ALICE: &str = "198.51.100.1:4000";
const BOB: &str = "198.51.100.2:5000";

#[test]
fn a_thousand_relayed_calls_plain_and_with_srtp() {
    let mut relay = Relay::new(8);
    let key = MasterKey::generate(Suite::ALL[0], &mut SeededEntropy::new(2));
    for call in 0..1_000u32 {
        let (a, b) = (relay.endpoint(ALICE, false), relay.endpoint(BOB, true));
        relay.watch(|media, _, _| {
            media.connect(a, Some(b));
            media.connect(b, Some(a));
            if call % 2 == 0 {
                media.secure(b, Direction::Outbound, Some(Session::new(&key, Params::default()).unwrap())).unwrap();
            }
        });
        for n in 0..50u8 {
            let mut packet = [0x55; 172];
            packet[..12].copy_from_slice(&[0x80, 0, 0, n, 0, 0, 0, 0, 1, 2, 3, n % 7]);
            relay.receive(a, ALICE, &packet);
            relay.receive(a, "203.0.113.66:666", &packet);
            relay.receive(b, BOB, &packet[..usize::from(n)]);
            relay.now = relay.now + Duration::from_millis(20);
        }
        relay.watch(|media, cx, out| {
            for id in [a, b] {
                media.close(cx, id, &mut |action: Action<'_>| out.take(&action));
            }
        });
    }
    let totals = relay.media.totals();
    assert_eq!((totals.opened, totals.closed, relay.media.len(), relay.media.secure_len()), (2_000, 2_000, 0, 0));
    assert_eq!(totals.sent.packets, relay.forwarded);
    assert!(relay.forwarded > 50_000 && totals.dropped.total() > 50_000);
    assert_eq!(ALLOCATIONS.get(), 0);
}
