//! A node.

use std::time::Duration;

use trunkline_core::node::Capacity;

use super::counting::{ALLOCATIONS, WATCHED};
use super::edge::{CALLER, Edge, TARGETS, initial, invite};

/// A node whose work is watched.
fn watched() -> Edge<'static> {
    let capacity = Capacity { transactions: 4_096, contexts: 256, dialogs: 256, targets: 4, sets: 1 };
    let mut edge = Edge::new(capacity.reserve());
    edge.runs = |work| {
        WATCHED.set(true);
        work();
        WATCHED.set(false);
    };
    edge
}

#[test]
fn the_counter_counts() {
    WATCHED.set(true);
    let kept = Box::new(7);
    WATCHED.set(false);
    assert_eq!((*kept, ALLOCATIONS.get()), (7, 1));
}

#[test]
fn ten_thousand_calls_with_failovers() {
    let mut edge = watched();
    for n in 0..10_000 {
        let ok = edge.call(n);
        edge.wait(Duration::from_millis(20));
        edge.hang_up(&ok, n);
    }
    edge.wait(Duration::from_secs(300));
    assert_eq!(edge.used(), [0; 5]);
    let stats = edge.node.stats();
    assert_eq!((stats.calls_ended, stats.failovers), (10_000, 10_000));
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn calls_that_nobody_answers_and_more_than_fit() {
    let mut edge = watched();
    for n in 0..1_000 {
        edge.received(CALLER, invite(n).as_str().as_bytes());
    }
    edge.wait(Duration::from_secs(300));
    assert_eq!(edge.used(), [0; 5]);
    assert_eq!((edge.node.stats().full, edge.node.stats().exhausted), (744, 256));
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn malformed_and_foreign_messages() {
    let mut edge = watched();
    let good = invite(1);
    let good = good.as_str().as_bytes();
    for end in 0..good.len() {
        edge.received(CALLER, &good[..end]);
    }
    for at in 0..good.len() {
        for byte in [0, b'\r', b'<', b':', b'z', 0xff] {
            let mut bad = good.to_vec();
            bad[at] = byte;
            edge.received(CALLER, &bad);
        }
    }
    for method in ["OPTIONS", "REGISTER", "BYE", "ACK", "CANCEL", "PUBLISH", "X"] {
        edge.received(CALLER, initial(method, 2).as_str().as_bytes());
    }
    edge.received(TARGETS[0], invite(3).answer("200 OK").as_str().as_bytes());
    edge.wait(Duration::from_secs(300));
    assert_eq!(edge.used()[..3], [0; 3]);
    assert!(edge.node.stats().malformed > 0 && edge.node.stats().foreign_via > 0);
    assert_eq!(ALLOCATIONS.get(), 0);
}
