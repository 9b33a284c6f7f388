//! One INVITE through a server and a client transaction: request, 180, 200, and their ends.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_benches::calls::{CALLER, US};
use trunkline_benches::messages::{INVITE, OK};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::flow::{Flow, ListenerId};
use trunkline_core::node::Capacity;
use trunkline_core::store::{BufPool, HashKey};
use trunkline_core::transaction::Timers;
use trunkline_core::transaction::layer::{Io, Owner, Transactions};
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::transport::Transport;
use trunkline_core::{Cx, Instant};

/// Transactions at work at a time.
const CAPACITY: usize = 65_536;

struct World {
    transactions: Transactions<'static>,
    bufs: BufPool<'static>,
    scratch: Vec<u8>,
    entropy: SeededEntropy,
    hash: HashKey,
    now: Instant,
    number: u64,
    sent: usize,
}

impl World {
    fn new() -> Self {
        let memory = Capacity { transactions: CAPACITY, ..Capacity::default() }.reserve();
        Self {
            transactions: Transactions::new(memory.transactions, Timers::DEFAULT),
            bufs: memory.messages,
            scratch: vec![0; 65_535],
            entropy: SeededEntropy::new(1),
            hash: HashKey::new(*b"a secret of node"),
            now: Instant::from_millis(1_000_000),
            number: 0,
            sent: 0,
        }
    }

    /// One round, a millisecond after the one before, with the timers that are due.
    fn round(&mut self, responses: &[(u16, &Msg<'_>); 2]) {
        let flow = |peer: &str| {
            let peer: SocketAddr = peer.parse().expect("an address");
            Flow { listener: ListenerId(0), transport: Transport::Udp, peer, connection: None }
        };
        let (caller, target) = (flow(CALLER), flow(US));
        self.number += 1;
        self.now = self.now + Duration::from_millis(1);
        let sent = &mut self.sent;
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        let mut send = |_: &Flow, bytes: &[u8]| *sent += bytes.len();
        let mut io = Io { bufs: &mut self.bufs, scratch: &mut self.scratch, send: &mut send };
        let transactions = &mut self.transactions;
        let hash = self.hash.hash(&[b"z9hG4bK-4711-1-0", &self.number.to_le_bytes()]);
        assert!(transactions.find_server(hash).is_none());
        let (server, _) = transactions.open_server(&mut cx, true, hash, None, caller).expect("room");
        let owner = Owner { context: server, branch: 0 };
        let client = transactions.open_client(true, target, Some(owner)).expect("room");
        transactions.start_client(&mut cx, &mut io, client, INVITE, None).expect("room");
        for (status, msg) in responses {
            black_box(transactions.response(&mut cx, &mut io, client, false, msg));
            transactions.respond(&mut cx, &mut io, server, *status, msg.bytes());
        }
        while transactions.next_deadline().is_some_and(|at| at <= cx.now) {
            black_box(transactions.expire(&mut cx, &mut io));
        }
    }
}

fn round(c: &mut Criterion) {
    let ringing = [b"SIP/2.0 180 Ringing", &OK["SIP/2.0 200 OK".len()..]].concat();
    let responses = [(180, &Msg::parse(&ringing).expect("valid")), (200, &Msg::parse(OK).expect("valid"))];
    let mut world = World::new();
    // As many as are in the tables at 1,000 a second.
    for _ in 0..40_000 {
        world.round(&responses);
    }
    c.bench_function("transaction/INVITE, 180, 200", |b| b.iter(|| world.round(&responses)));
    assert!(world.sent > 0, "something was sent");
}

criterion_group!(benches, round);
criterion_main!(benches);
