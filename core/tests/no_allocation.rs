//! After its start a node allocates nothing, whatever it is sent.

#![cfg(feature = "alloc")]

mod edge;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use edge::{CALLER, Edge, TARGETS, initial, invite};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::node::Capacity;
use trunkline_core::vrrp::{self, Action, Config, Event, InstanceConfig, InstanceId, InterfaceId, State, Vrrp};
use trunkline_core::wire::vrrp::{Checksum, GROUP_V4, Header, write};
use trunkline_core::{Cx, Instant, Machine, Timed};

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if WATCHED.get() {
            ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        }
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

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

/// A thousand takeovers, each ended by an advert that goes first.
#[test]
fn a_virtual_router_changes_hands() {
    let (address, rival) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 7]));
    let mut config = InstanceConfig::new(InstanceId(0), InterfaceId(0), 51);
    let vip = vrrp::VirtualAddress { address, prefix_len: 32, interface: InterfaceId(0), advertised: true };
    config.addresses.push(vip).unwrap();
    let header = Header { vrid: 51, priority: 200, interval_centis: 100, ..Header::default() };
    let mut bytes = [0; 64];
    let to = IpAddr::V4(GROUP_V4);
    let len = write(&mut bytes, &header, [address].into_iter(), Checksum::AdvertOnly, rival, to).unwrap();
    let packet = vrrp::Packet { source: rival, destination: to, ttl: 255, bytes: &bytes[..len] };
    let up = vrrp::InterfaceState { up: true, ipv4: Some(Ipv4Addr::new(192, 0, 2, 5)), ipv6: None };

    let capacity = vrrp::Capacity { instances: 4, groups: 1, tracks: 1, interfaces: 1 };
    let mut vrrp = Vrrp::new(vrrp::Storage::reserved(capacity));
    let mut entropy = SeededEntropy::new(1);
    let mut now = Instant::from_millis(1);
    let mut actions = 0u32;
    let mut count = |_: Action<'_>| actions += 1;
    WATCHED.set(true);
    let instances = [config];
    let config = Config { instances: &instances, ..Config::default() };
    vrrp.configure(&mut Cx { now, entropy: &mut entropy }, &config, &mut count).unwrap();
    let interface = Event::Interface { interface: InterfaceId(0), state: up };
    vrrp.handle(&mut Cx { now, entropy: &mut entropy }, interface, &mut count);
    for _ in 0..1_000 {
        while vrrp.instance(InstanceId(0)).unwrap().state() != State::Active {
            now = vrrp.next_deadline().unwrap();
            vrrp.handle(&mut Cx { now, entropy: &mut entropy }, Event::Timeout, &mut count);
        }
        let heard = Event::Packet { interface: InterfaceId(0), packet };
        vrrp.handle(&mut Cx { now, entropy: &mut entropy }, heard, &mut count);
    }
    WATCHED.set(false);
    assert_eq!(vrrp.instance(InstanceId(0)).unwrap().counters().became_active, 1_000);
    assert!(actions > 6_000);
    assert_eq!(ALLOCATIONS.get(), 0);
}
