//! How often the heap is asked, as a table: parsing, and a call through a node.

use std::hint::black_box;

use trunkline_benches::calls::{Bill, Load};
use trunkline_benches::counting::{Counting, allocations};
use trunkline_benches::messages::{INVITE, OK, REGISTER};

#[path = "parse/typed.rs"]
mod typed;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count<T>(f: impl FnOnce() -> T) -> u64 {
    let before = allocations();
    black_box(f());
    allocations() - before
}

fn main() {
    println!("allocations                    trunkline    rsip  rsipstack");
    for (name, bytes) in [("INVITE", INVITE), ("REGISTER", REGISTER), ("200 with SDP", OK)] {
        let plain =
            [count(|| typed::trunkline(bytes)), count(|| typed::rsip(bytes)), count(|| typed::rsipstack(bytes))];
        let typed = [
            count(|| typed::trunkline_typed(bytes)),
            count(|| typed::rsip_typed(bytes)),
            count(|| typed::rsipstack_typed(bytes)),
        ];
        for (how, [ours, rsip, rsipstack]) in [("plain", plain), ("typed", typed)] {
            println!("{:<30} {ours:>9} {rsip:>7} {rsipstack:>10}", format!("{name}, {how}"));
        }
    }
    let mut load = Load::new(3, 0);
    load.warm_up();
    let mut bill = Bill::default();
    for _ in 0..16 {
        bill.add(&load.calls(256));
    }
    println!("{:<30} {:>9}", "4,096 calls through a node", bill.total().allocations);
}
