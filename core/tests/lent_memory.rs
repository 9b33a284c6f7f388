//! A whole node on memory that is lent to it, and the same on memory that is reserved: calls from INVITE to BYE with a
//! failover each, and an answer when there is no room for one more.

mod edge;

use core::time::Duration;

use edge::{CALLER, Edge, TARGETS, invite};
use static_cell::ConstStaticCell;
use trunkline_core::node::FixedMemory;

/// Eight transactions, four requests in progress, four dialogs, four targets, twelve messages of 2 KiB.
type Tiny = FixedMemory<8, 4, 4, 4, 12, 2_048>;

static MEMORY: ConstStaticCell<Tiny> = ConstStaticCell::new(Tiny::new());

/// Longer than any transaction lives on after its call.
const SETTLED: Duration = Duration::from_secs(300);

/// As many calls at once as there is room for, one more, and all of it again when the first ones are gone.
fn fills_and_empties(edge: &mut Edge<'_>, capacity: usize) {
    for round in 0..3 {
        let n = |i: usize| (round * 1_000 + i) as u32;
        for i in 0..capacity {
            let sent = edge.received(CALLER, invite(n(i)).as_str().as_bytes());
            assert!(sent.to(TARGETS[0]).starts_with("INVITE "), "call {i} of round {round}");
        }
        let before = edge.used();
        let sent = edge.received(CALLER, invite(n(capacity)).as_str().as_bytes());
        let refused = sent.to(CALLER);
        assert!(refused.starts_with("SIP/2.0 503 "), "{}", refused.as_str());
        assert_eq!(refused.line("Retry-After:"), "Retry-After: 5");
        assert_eq!(edge.used(), before);
        edge.wait(SETTLED);
        assert_eq!(edge.used(), [0; 5]);
    }
    assert_eq!(edge.node.stats().full, 3);
}

#[test]
fn a_node_on_lent_memory_carries_calls() {
    let mut edge = Edge::new(MEMORY.take().lend());
    assert_eq!(edge.node.fill().map(|fill| fill.capacity), [8, 8, 4, 4, 12]);
    for n in 0..100 {
        let ok = edge.call(n);
        assert_eq!(edge.used()[3], 1);
        edge.hang_up(&ok, n);
        assert_eq!(edge.used()[3], 0);
        edge.wait(SETTLED);
        assert_eq!(edge.used(), [0; 5]);
    }
    let stats = edge.node.stats();
    assert_eq!((stats.failovers, stats.calls_answered, stats.calls_ended, stats.full), (100, 100, 100, 0));
}

#[test]
fn the_one_too_many_is_refused_and_the_others_go_on() {
    let mut memory = Tiny::new();
    fills_and_empties(&mut Edge::new(memory.lend()), 4);
    let mut again = Edge::new(memory.lend());
    assert_eq!(again.used(), [0; 5], "memory that is lent again is empty");
    fills_and_empties(&mut again, 4);
}

#[test]
fn dialogs_are_bounded_where_requests_are_not() {
    let mut memory = FixedMemory::<16, 8, 2, 2, 24, 2_048>::new();
    let mut edge = Edge::new(memory.lend());
    let held = [edge.call(1), edge.call(2)];
    let sent = edge.received(CALLER, invite(3).as_str().as_bytes());
    assert!(sent.to(CALLER).starts_with("SIP/2.0 503 "));
    for (ok, n) in held.iter().zip(1..) {
        edge.hang_up(ok, n);
    }
    edge.call(4);
}

#[cfg(feature = "alloc")]
#[test]
fn a_hundred_thousand_dialogs_on_reserved_memory() {
    use trunkline_core::node::Capacity;

    const CALLS: u32 = 100_000;
    let capacity = Capacity { transactions: 8_192, contexts: 1_024, dialogs: CALLS as usize, targets: 4, sets: 1 };
    let mut edge = Edge::new(capacity.reserve());
    let first = edge.call(0);
    let mut last = first;
    for n in 1..CALLS {
        edge.wait(Duration::from_millis(10));
        last = edge.call(n);
    }
    assert_eq!(edge.used()[3], CALLS as usize);
    let sent = edge.received(CALLER, invite(CALLS).as_str().as_bytes());
    assert!(sent.to(CALLER).starts_with("SIP/2.0 503 "));
    edge.hang_up(&first, 0);
    edge.hang_up(&last, CALLS - 1);
    edge.wait(SETTLED);
    assert_eq!(edge.used(), [0, 0, 0, CALLS as usize - 2, 0]);
}
