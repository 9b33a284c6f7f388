//! Whatever happens to a node, its tables empty in the end.

#![cfg(feature = "arbitrary")]

mod edge;

use std::time::Duration;

use arbitrary::Unstructured;
use edge::Edge;
use trunkline_core::entropy::{Entropy, SeededEntropy};
use trunkline_core::flow::{Flow, ListenerId};
use trunkline_core::node::{Event, FixedMemory};

#[test]
fn are_survived() {
    let mut memory = FixedMemory::<8, 4, 4, 4, 12, 2_048>::new();
    let mut edge = Edge::new(memory.lend());
    let mut entropy = SeededEntropy::new(7);
    for n in 0..500 {
        let mut input = [0; 600];
        entropy.fill_public(&mut input);
        let mut u = Unstructured::new(&input);
        let flow = u.arbitrary::<Flow>().unwrap();
        // An INVITE with one byte changed, then whatever the rest of the input says.
        let mut bytes = edge::invite(n).as_str().as_bytes().to_vec();
        let at = u.choose_index(bytes.len()).unwrap();
        bytes[at] = u.arbitrary().unwrap();
        edge.event(Event::Received { flow: Flow { listener: ListenerId(0), ..flow }, bytes: &bytes });
        while !u.is_empty() {
            edge.event(u.arbitrary().unwrap());
        }
        edge.wait(Duration::from_secs(1));
    }
    edge.wait(Duration::from_secs(50_000));
    assert_eq!(edge.used(), [0; 5]);
    assert!(edge.node.stats().forwarded > 0 && edge.node.stats().malformed > 0);
}
