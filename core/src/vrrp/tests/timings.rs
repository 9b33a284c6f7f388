//! Exact times: takeover, preemption delay, announcements, late wake-ups.

use super::*;
use State::{Active, Backup};

#[test]
fn a_crash_is_noticed_after_three_intervals_and_the_skew() {
    for (config, us) in [
        (v2(90), 3_648_437),
        (v3(90, 100), 3_648_437),
        (v3(90, 10), 364_843),
        (v3(90, 1), 36_484),
        (v2(254), 3_007_812),
        (InstanceConfig { interval: Interval::from_secs(5), ..v2(90) }, 15_648_437),
    ] {
        let mut node = Node::with(config);
        let mut last = node.now;
        for _ in 0..3 {
            node.run(ms(7));
            last = node.now;
            node.hear(7, 254);
        }
        node.run(ms(20_000));
        assert_eq!(node.took_over(last)[0], us);
    }
}

#[test]
fn a_stop_is_followed_after_the_skew() {
    for (config, us) in [(v2(90), 648_437), (v3(90, 10), 64_843), (v3(90, 1), 6_484)] {
        let mut node = Node::with(config);
        node.hear(7, 100);
        node.run(ms(10));
        let last = node.now;
        node.hear(7, 0);
        node.run(ms(5_000));
        assert_eq!(node.took_over(last), [us]);
    }
}

/// Keepalived goes on at 80 when its check fails at 100; the standard waits for 3.6 s from the last advert at 100.
#[test]
fn an_active_that_falls_below_is_followed_after_the_skew() {
    let mut node = Node::with(v2(90));
    node.hear(7, 100);
    node.run(ms(1_000));
    let fell = node.now;
    node.hear(7, 80);
    node.run(ms(500));
    node.hear(7, 80);
    node.run(ms(5_000));
    assert_eq!(node.took_over(fell), [648_437]);
}

#[test]
fn an_active_that_was_always_lower_is_preempted_after_the_whole_time() {
    let mut node = Node::with(v2(90));
    for _ in 0..40 {
        node.hear(7, 80);
        node.run(ms(100));
    }
    assert_eq!(node.took_over(START), [3_648_437]);
}

#[test]
fn the_delay_of_preemption_begins_with_the_start() {
    let mut node = Node::with(InstanceConfig { preempt_delay: ms(10_000), ..v2(100) });
    for second in 0..20 {
        node.hear(7, 90);
        node.run(ms(1_000));
        if node.state() == Active {
            // The last advert that was taken came at 9 s.
            assert_eq!((second, node.took_over(START)), (12, std::vec![9_000_000 + 3_609_375]));
            return;
        }
    }
    panic!("never preempted");
}

#[test]
fn the_delay_of_preemption_begins_anew_with_each_fall() {
    let mut node = Node::with(InstanceConfig { preempt_delay: ms(10_000), ..v2(100) });
    for _ in 0..20 {
        node.hear(7, 110);
        node.run(ms(1_000));
    }
    let fell = node.now;
    for _ in 0..14 {
        node.hear(7, 90);
        node.run(ms(1_000));
    }
    assert_eq!(node.took_over(fell), [9_000_000 + 3_609_375]);
}

#[test]
fn the_delay_of_preemption_does_not_delay_a_takeover() {
    let mut node = Node::with(InstanceConfig { preempt_delay: ms(10_000), ..v2(90) });
    node.hear(7, 80);
    node.run(ms(4_000));
    assert_eq!(node.took_over(START), [3_648_437]);
}

#[test]
fn addresses_are_announced_in_two_bursts_and_refreshed_with_adverts() {
    let mut config = v2(100);
    config.addresses.push(vip(VIP2, LAN)).unwrap();
    let mut node = Node::with(config);
    node.run(Duration::from_micros(3_609_375));
    let since = node.now;
    node.run(ms(7_500));
    let of = |address| node.times(since, |did| *did == Did::Announced(address));
    let ms: Vec<_> = of(VIP).iter().map(|us| us / 1_000).collect();
    // The refresh of 5 s comes just before the second burst, which begins 5 s after the end of the first.
    assert_eq!(ms, [0, 1, 2, 3, 4, 1_000, 2_000, 3_000, 4_000, 5_000, 5_004, 5_005, 5_006, 5_007, 5_008, 6_000, 7_000]);
    assert_eq!(of(VIP), of(VIP2));
    assert_eq!(node.counters().announced, 34);
}

#[test]
fn an_announcement_follows_its_advert_in_the_same_moment() {
    let mut node = Node::active(v3(100, 100));
    node.run(ms(1_000));
    let did = node.did();
    assert!(matches!(did[..], [Did::Sent { priority: 100, .. }, Did::Announced(VIP)]), "{did:?}");
}

#[test]
fn lateness_of_adverts_does_not_add_up() {
    let mut node = Node::active(v3(100, 100));
    let due = node.vrrp.next_deadline().unwrap();
    node.now = due + ms(300);
    node.event(Event::Timeout);
    assert_eq!(node.vrrp.next_deadline(), Some(due + ms(1_000)));
}

// A process that was stopped

#[test]
fn a_backup_that_overslept_listens_once_more() {
    let mut node = Node::with(v3(90, 10));
    node.hear(7, 100);
    node.sleep(ms(5_000));
    node.event(Event::Timeout);
    assert_eq!((node.state(), node.counters().overslept), (Backup, 1));
    // The Active is there.
    node.run(ms(100));
    node.hear(7, 100);
    node.run(ms(300));
    assert_eq!(node.state(), Backup);
}

#[test]
fn a_backup_that_overslept_takes_over_if_nobody_is_there() {
    let mut node = Node::with(v3(90, 10));
    node.hear(7, 100);
    node.sleep(ms(5_000));
    let woke = node.now;
    node.event(Event::Timeout);
    node.run(ms(1_000));
    // One interval and the skew.
    assert_eq!(node.took_over(woke), [164_843]);
}

#[test]
fn a_backup_that_always_oversleeps_takes_over_at_the_second_time() {
    let mut node = Node::with(v3(90, 1));
    for _ in 0..2 {
        node.sleep(ms(100));
        node.event(Event::Timeout);
    }
    assert_eq!(node.state(), Active);
}

#[test]
fn packets_that_waited_count_first() {
    let mut node = Node::with(v3(90, 10));
    node.sleep(ms(5_000));
    node.hear(7, 100);
    node.event(Event::Timeout);
    assert_eq!((node.state(), node.counters().overslept), (Backup, 0));

    let mut node = Node::active(v3(90, 10));
    node.sleep(ms(5_000));
    node.hear(7, 100);
    node.event(Event::Timeout);
    assert_eq!(node.state(), Backup);
    assert!(node.holds.is_empty());
}

#[test]
fn an_active_that_overslept_announces_itself_again() {
    let mut node = Node::active(v3(90, 10));
    node.sleep(ms(5_000));
    node.event(Event::Timeout);
    node.run(ms(50));
    assert_eq!((node.state(), node.counters().overslept), (Active, 1));
    assert_eq!(node.did().into_iter().filter(is_announced).count(), 5);
}

#[test]
fn a_conflict_of_addresses_is_answered_by_announcements() {
    let mut node = Node::active(v3(90, 10));
    node.event(Event::AddressConflict { instance: ME, address: VIP });
    node.event(Event::AddressConflict { instance: ME, address: VIP });
    node.run(ms(10));
    assert_eq!(node.did().into_iter().filter(is_announced).count(), 5);
    assert_eq!(node.counters().address_conflicts, 2);
    node.event(Event::AddressConflict { instance: ME, address: VIP2 });
    node.event(Event::AddressConflict { instance: OTHER, address: VIP });
    assert_eq!(node.vrrp.stats().unknown_subject, 2);
}
