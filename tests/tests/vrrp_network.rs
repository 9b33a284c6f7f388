//! Virtual routers on networks that are larger, stranger or busier than two nodes and a client.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use trunkline_tests::harness::Router::Trunkline;
use trunkline_tests::harness::{Dialect, Place, Segment, VIP, until};
use trunkline_tests::needs;

const LIMIT: Duration = Duration::from_secs(30);

/// The one instance that `ctl vrrp` shows on a node.
fn shown(segment: &Segment, node: &str) -> Value {
    segment.ctl(node, &["vrrp"])["instances"][0].clone()
}

fn counter(segment: &Segment, node: &str, name: &str) -> u64 {
    shown(segment, node)["counters"][name].as_u64().expect("a counter")
}

/// Starts `trunkline vrrp` with more lines in its `[[vrrp]]`.
fn start_with(segment: &Segment, node: &str, lines: &str) -> trunkline_tests::harness::Process {
    let config = segment.router_config(node, Dialect::V3);
    segment.trunkline(node, "vrrp", &config.replacen("vrid = 51", &format!("vrid = 51\n{lines}"), 1))
}

#[test]
fn of_three_nodes_the_best_that_lives_holds_the_address() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let start = |node| segment.router(node, Trunkline, Dialect::V3);
    let [mut a, mut b, _d] = ["a", "b", "d"].map(start);
    let held = |holder: &str, others: [&str; 2]| {
        until(&format!("{holder} alone holds it"), LIMIT, || {
            segment.has(holder, VIP) && others.iter().all(|other| !segment.has(other, VIP))
        });
        segment.wait_reached(VIP, holder);
    };
    held("a", ["b", "d"]);
    Segment::stop(&mut a);
    held("b", ["a", "d"]);
    Segment::stop(&mut b);
    held("d", ["a", "b"]);
    b = start("b");
    held("b", ["a", "d"]);
    a = start("a");
    held("a", ["b", "d"]);
    // The second and the third lose the first at the same time.
    segment.link("a", false);
    held("b", ["a", "d"]);
    segment.link("a", true);
    held("a", ["b", "d"]);
    assert!(a.is_running() && b.is_running());
}

#[test]
fn an_active_node_that_hears_nobody_stays_and_one_that_is_not_heard_is_still_reached() {
    needs!("root", "ip", "ping", "bridge", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let [_a, _b] = ["a", "b"].map(|node| segment.router(node, Trunkline, Dialect::V3));
    segment.wait_held(VIP, "a", "b");

    // The active node hears nobody: there is nobody to be heard.
    segment.hears("a", false);
    let heard = counter(&segment, "b", "received");
    until("adverts go on", LIMIT, || counter(&segment, "b", "received") > heard + 10);
    assert_eq!(shown(&segment, "b")["state"], "backup");
    assert!(segment.has("a", VIP) && !segment.has("b", VIP));
    segment.hears("a", true);

    // The backup hears nobody, and takes over. The better one stays, and wins the clients back as often as they are lost.
    segment.hears("b", false);
    until("b holds it too", LIMIT, || segment.has("b", VIP));
    until("a contests it", LIMIT, || counter(&segment, "a", "contested") > 3);
    assert!(segment.has("a", VIP));
    segment.wait_reached(VIP, "a");
    segment.hears("b", true);
    segment.wait_held(VIP, "a", "b");
    assert_eq!(counter(&segment, "a", "left_active"), 0);
}

#[test]
fn two_clusters_with_one_vrid_leave_each_other_alone_and_say_so() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let other = Dialect { address: "10.98.0.200", ..Dialect::V3 };
    let mut a = segment.router("a", Trunkline, Dialect::V3);
    let _b = segment.router("b", Trunkline, Dialect::V3);
    let d = segment.router("d", Trunkline, other);
    segment.wait_held(VIP, "a", "b");
    segment.wait_held("10.98.0.200", "d", "a");
    until("the clash is counted", LIMIT, || {
        ["a", "b", "d"].iter().all(|node| counter(&segment, node, "vrid_clash") > 0)
    });
    let log = d.log();
    assert_eq!(log.matches("another cluster uses this VRID").count(), 1, "{log}");
    assert!(!segment.has("d", VIP) && !segment.has("a", "10.98.0.200"));
    Segment::stop(&mut a);
    segment.wait_held(VIP, "b", "a");
    segment.wait_held("10.98.0.200", "d", "b");
    assert_eq!(counter(&segment, "d", "left_active"), 0);
}

#[test]
fn without_preemption_a_better_node_waits_until_it_is_needed() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let mut b = segment.router("b", Trunkline, Dialect::V3);
    segment.wait_held(VIP, "b", "a");
    let _a = start_with(&segment, "a", "preempt = false");
    // Three intervals and more, after which it would have taken over.
    until("it hears adverts", LIMIT, || {
        segment.path("a", "ctl.sock").exists() && counter(&segment, "a", "received") > 10
    });
    assert_eq!(shown(&segment, "a")["state"], "backup");
    assert!(segment.has("b", VIP) && !segment.has("a", VIP));
    Segment::stop(&mut b);
    segment.wait_held(VIP, "a", "b");
}

#[test]
fn a_delay_of_preemption_is_waited_for_but_not_when_nobody_is_active() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let b = segment.router("b", Trunkline, Dialect::V3);
    segment.wait_held(VIP, "b", "a");
    let start = Instant::now();
    let mut a = start_with(&segment, "a", "preempt_delay = \"2s\"");
    segment.wait_held(VIP, "a", "b");
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    Segment::stop(&mut a);
    segment.wait_held(VIP, "b", "a");
    a = start_with(&segment, "a", "preempt_delay = \"1000s\"");
    until("it hears adverts", LIMIT, || {
        segment.path("a", "ctl.sock").exists() && counter(&segment, "a", "received") > 10
    });
    assert!(segment.has("b", VIP));
    drop(b);
    segment.wait_reached(VIP, "a");
    assert!(a.is_running());
}

/// Ends the busy threads, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn ten_millisecond_adverts_survive_a_busy_machine() {
    needs!("root", "ip", "ping", "realtime", "trunkline");
    let place = Place::alone();
    let segment = Segment::new(&place);
    let fast = Dialect { interval_ms: 10, ..Dialect::V3 };
    let [_b, _a] = ["b", "a"].map(|node| segment.router(node, Trunkline, fast));
    segment.wait_held(VIP, "a", "b");
    let changes = |node: &str| {
        let counters = shown(&segment, node)["counters"].clone();
        (counters["became_active"].clone(), counters["left_active"].clone())
    };
    let before = [changes("a"), changes("b")];
    let busy = AtomicBool::new(true);
    let threads = 3 * std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let _stop = Stop(&busy);
        for _ in 0..threads {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let from = counter(&segment, "b", "received");
        // 10 s of adverts, however long they take.
        until("a thousand adverts have come", Duration::from_secs(60), || {
            std::thread::sleep(Duration::from_millis(500));
            counter(&segment, "b", "received") >= from + 1_000
        });
    });
    assert_eq!([changes("a"), changes("b")], before);
    segment.wait_held(VIP, "a", "b");
}
