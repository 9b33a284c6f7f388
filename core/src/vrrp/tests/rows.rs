//! The tables of RFC 9568 §6.4, row by row.

use super::*;
use State::{Active, Backup, Initialize};

/// The kinds of what was done, in order.
fn kinds(did: &[Did]) -> Vec<&'static str> {
    let mut kinds = Vec::new();
    for did in did {
        let kind = match did {
            Did::Sent { .. } => "send",
            Did::Added(_) => "add",
            Did::Removed(_) => "remove",
            Did::Announced(_) => "announce",
            Did::Told(..) => "tell",
        };
        kinds.push(kind);
    }
    kinds
}

// §6.4.1 Initialize

#[test]
fn initialize_startup_of_the_owner_goes_to_active() {
    let mut node = Node::with(v3(255, 100));
    assert_eq!(node.state(), Active);
    let did = node.did();
    assert_eq!(kinds(&did), ["send", "add", "announce", "tell"]);
    assert!(matches!(did[0], Did::Sent { priority: 255, .. }));
    assert_eq!(did[3], told(Initialize, Active, Reason::Owner));
    node.run(ms(1_000));
    // Adver_Timer is Advertisement_Interval.
    assert_eq!(node.times(START, is_sent), [1_000_000]);
}

#[test]
fn initialize_startup_goes_to_backup() {
    let mut node = Node::with(v3(100, 100));
    assert_eq!(node.did(), [told(Initialize, Backup, Reason::Startup)]);
    // Active_Adver_Interval is our Advertisement_Interval.
    assert_eq!(node.vrrp.next_deadline(), Some(START + Duration::from_micros(3_609_375)));
}

#[test]
fn initialize_takes_no_adverts_and_no_time() {
    let mut node = Node::new();
    node.configure(&[v3(100, 100)], &[], &[]);
    node.hear(7, 0);
    node.hear(7, 50);
    node.run(ms(60_000));
    assert_eq!((node.state(), node.did(), node.counters().not_running), (Initialize, Vec::new(), 2));
}

// §6.4.2 Backup

#[test]
fn backup_shutdown_goes_to_initialize() {
    let mut node = Node::with(v3(100, 100));
    node.did();
    node.event(Event::Shutdown);
    assert_eq!(node.did(), [told(Backup, Initialize, Reason::Shutdown)]);
    assert_eq!((node.vrrp.next_deadline(), node.vrrp.is_done()), (None, true));
    node.link(LAN, true);
    assert_eq!(node.state(), Initialize);
}

#[test]
fn backup_active_down_timer_goes_to_active() {
    let mut node = Node::with(v3(100, 100));
    node.did();
    node.run(Duration::from_micros(3_609_374));
    assert_eq!((node.state(), node.did()), (Backup, Vec::new()));
    node.run(Duration::from_micros(1));
    let did = node.did();
    assert_eq!(kinds(&did), ["send", "add", "announce", "tell"]);
    assert!(matches!(did[0], Did::Sent { priority: 100, .. }));
    assert_eq!(did[3], told(Backup, Active, Reason::ActiveDown));
    let start = node.now;
    node.run(ms(2_500));
    assert_eq!(node.times(start, is_sent), [1_000_000, 2_000_000]);
}

#[test]
fn backup_priority_0_sets_the_skew_time() {
    let mut node = Node::with(v3(100, 100));
    node.run(ms(500));
    node.hear(7, 0);
    node.did();
    let since = node.now;
    node.run(ms(5_000));
    assert_eq!(node.took_over(since), [609_375]);
    assert!(node.did().contains(&told(Backup, Active, Reason::ActiveResigned)));
}

#[test]
fn backup_equal_or_higher_priority_resets_the_timer() {
    for priority in [100, 101, 255] {
        let mut node = Node::with(v3(100, 100));
        node.run(ms(3_000));
        node.hear(7, priority);
        assert_eq!(node.vrrp.instance(ME).unwrap().active(), Some((host(7), priority)));
        let since = node.now;
        node.run(ms(5_000));
        assert_eq!(node.took_over(since), [3_609_375], "{priority}");
    }
}

#[test]
fn backup_learns_the_interval_of_the_active() {
    let mut node = Node::with(v3(128, 100));
    let fast = v3(200, 10);
    let bytes = advert(&fast, host(7), 200);
    node.bytes(LAN, host(7), 255, &bytes);
    node.run(ms(5_000));
    // Three of the Active's intervals, and its Skew_Time.
    assert_eq!(node.took_over(START), [350_000]);
    // Its own adverts come at its own interval.
    let since = START + Duration::from_micros(350_000);
    assert_eq!(node.times(since, is_sent)[..3], [0, 1_000_000, 2_000_000]);
}

#[test]
fn backup_without_preemption_resets_the_timer_on_any_priority() {
    let mut node = Node::with(InstanceConfig { preempt: false, ..v3(100, 100) });
    for _ in 0..10 {
        node.hear(7, 1);
        node.run(ms(3_000));
    }
    assert_eq!(node.state(), Backup);
    node.run(ms(610));
    assert_eq!(node.state(), Active);
}

#[test]
fn backup_discards_lower_priority() {
    let mut node = Node::with(v3(100, 100));
    for _ in 0..4 {
        node.hear(7, 99);
        node.run(ms(1_000));
    }
    assert_eq!(node.took_over(START), [3_609_375]);
    assert!(node.did().contains(&told(Backup, Active, Reason::Preempted { from: host(7), priority: 99 })));
}

// §6.4.3 Active

#[test]
fn active_shutdown_sends_priority_0_and_goes_to_initialize() {
    let mut node = Node::active(v3(100, 100));
    node.event(Event::Shutdown);
    let did = node.did();
    assert_eq!(kinds(&did), ["send", "remove", "tell"]);
    assert!(matches!(did[0], Did::Sent { priority: 0, .. }));
    assert_eq!(did[2], told(Active, Initialize, Reason::Shutdown));
    node.run(ms(60_000));
    assert_eq!(node.did(), []);
    assert_eq!((node.counters().resigned, node.counters().left_active), (1, 1));
}

#[test]
fn active_adver_timer_sends_and_starts_again() {
    let mut node = Node::active(v3(100, 7));
    node.run(ms(700));
    assert_eq!(node.sent(), [100; 10]);
}

#[test]
fn active_priority_0_is_answered() {
    let mut node = Node::active(v3(100, 100));
    node.run(ms(200));
    node.did();
    let since = node.now;
    node.hear(7, 0);
    node.run(ms(1_500));
    assert_eq!((node.state(), node.times(since, is_sent)), (Active, std::vec![0, 1_000_000]));
}

#[test]
fn active_yields_to_higher_priority() {
    let mut node = Node::active(v3(100, 100));
    let since = node.now;
    node.hear(7, 101);
    let did = node.did();
    // A last advert, so that the other one announces itself again.
    assert_eq!(kinds(&did), ["send", "remove", "tell"]);
    assert!(matches!(did[0], Did::Sent { priority: 100, .. }));
    assert_eq!(did[2], told(Active, Backup, Reason::Outranked { by: host(7), priority: 101 }));
    node.run(ms(4_000));
    assert_eq!(node.took_over(since), [3_609_375]);
}

#[test]
fn active_of_equal_priority_yields_to_the_higher_address() {
    let mut node = Node::active(v3(100, 100));
    node.hear(4, 100);
    assert_eq!(node.state(), Active);
    node.hear(6, 100);
    assert_eq!(node.state(), Backup);
}

#[test]
fn active_of_equal_priority_yields_to_the_higher_ipv6_address() {
    let mut config = v3(100, 100);
    config.addresses[0] = vip(VIP6, LAN);
    let mut node = Node::active(config);
    node.hear(4, 100);
    assert_eq!(node.state(), Active);
    node.hear(6, 100);
    assert_eq!(node.state(), Backup);
}

#[test]
fn active_asserts_itself_against_lower_priority_and_announces_again() {
    let mut node = Node::active(v3(100, 100));
    node.run(ms(200));
    node.did();
    let since = node.now;
    node.hear(7, 99);
    let did = node.did();
    assert_eq!(kinds(&did), ["send", "announce"]);
    assert!(matches!(did[0], Did::Sent { priority: 100, .. }));
    node.run(ms(900));
    assert_eq!(node.times(since, is_announced), [1_000, 2_000, 3_000, 4_000]);
    // Adver_Timer was set again.
    assert_eq!(node.times(since, is_sent), []);
    assert_eq!((node.state(), node.counters().contested), (Active, 1));
}
