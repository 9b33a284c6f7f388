//! A whole node on a small stack.

mod edge;

use std::thread;
use std::time::Duration;

use edge::{CALLER, Edge, TARGETS, initial, invite};
use trunkline_core::node::{Event, FixedMemory};

/// Stack of the thread that runs the node, part of which the thread takes for itself. Without optimisation values are
/// copied more often.
const STACK: usize = if cfg!(debug_assertions) { 48 << 10 } else { 20 << 10 };

#[test]
fn every_event_fits() {
    let mut memory = Box::new(FixedMemory::<8, 4, 4, 4, 12, 2_048>::new());
    let mut edge = Edge::new(memory.lend());
    edge.runs = |work| {
        thread::scope(|s| {
            thread::Builder::new().stack_size(STACK).spawn_scoped(s, work).unwrap();
        });
    };
    let ok = edge.call(1);
    edge.hang_up(&ok, 1);
    edge.wait(Duration::from_secs(300));
    // Silence, then a caller who gives up.
    edge.received(CALLER, invite(2).as_str().as_bytes());
    edge.received(CALLER, initial("CANCEL", 2).as_str().as_bytes());
    edge.received(CALLER, invite(3).as_str().as_bytes());
    // Targets that are not there.
    let sent = edge.received(CALLER, invite(4).as_str().as_bytes());
    let first = *sent.to(TARGETS[0]);
    let to = TARGETS[0].parse().unwrap();
    let sent = edge.event(Event::Undelivered { to, bytes: first.as_str().as_bytes() });
    assert!(sent.to(TARGETS[1]).starts_with("INVITE "));
    // What is answered without state, and what is malformed.
    edge.received(CALLER, initial("OPTIONS", 5).as_str().as_bytes());
    edge.received(CALLER, initial("REGISTER", 6).as_str().as_bytes());
    let broken = edge.received(CALLER, invite(7).as_str().replace("CSeq: 1", "CSeq: x").as_bytes());
    assert!(broken.to(CALLER).starts_with("SIP/2.0 400 "));
    edge.wait(Duration::from_secs(300));
    assert_eq!(edge.used(), [0; 5]);
}
