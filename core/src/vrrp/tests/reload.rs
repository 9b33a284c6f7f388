//! A reload changes no state.

use super::*;
use State::{Active, Backup, Initialize};
use core::slice::from_ref;

#[test]
fn the_same_configuration_changes_nothing() {
    for mut node in [Node::active(v3(100, 10)), Node::with(v3(100, 10))] {
        node.did.clear();
        let (state, deadline) = (node.state(), node.vrrp.next_deadline());
        node.configure(&[v3(100, 10)], &[], &[]);
        assert_eq!((node.state(), node.vrrp.next_deadline(), node.did()), (state, deadline, Vec::new()));
    }
}

#[test]
fn addresses_come_and_go_without_a_change_of_state() {
    let mut node = Node::active(v3(100, 10));
    let mut config = v3(100, 10);
    config.addresses[0] = vip(VIP2, LAN);
    node.configure(from_ref(&config), &[], &[]);
    assert_eq!(node.did(), [Did::Removed(VIP), Did::Added(VIP2), Did::Announced(VIP2)]);
    node.run(ms(20));
    node.did.clear();
    // Whether it is advertised is no reason to move it.
    config.addresses.push(vip(VIP, LAN)).unwrap();
    config.addresses[0].advertised = false;
    node.configure(&[config], &[], &[]);
    assert!(!node.did().contains(&Did::Removed(VIP2)));
    assert_eq!((node.state(), node.holds.len()), (Active, 2));
}

#[test]
fn priority_interval_and_password_take_effect_without_a_change_of_state() {
    let mut node = Node::active(v2(100));
    let config = InstanceConfig { auth: Auth::Pass(Password::new(b"new")), ..v2(50) };
    node.configure(from_ref(&config), &[], &[]);
    assert_eq!((node.state(), node.did()), (Active, Vec::new()));
    node.run(ms(1_000));
    let Did::Sent { bytes, .. } = &node.did()[0] else { panic!() };
    assert_eq!(*bytes, advert(&config, host(5), 50));

    let mut node = Node::active(v3(100, 400));
    node.configure(&[v3(100, 10)], &[], &[]);
    node.run(ms(100));
    assert_eq!(node.sent(), [100]);
}

#[test]
fn an_instance_that_goes_resigns() {
    let mut node = Node::active(v3(100, 10));
    node.configure(&[], &[], &[]);
    let did = node.did();
    assert!(matches!(did[0], Did::Sent { priority: 0, .. }));
    assert_eq!(did[1..], [Did::Removed(VIP), told(Active, Initialize, Reason::Shutdown)]);
    assert_eq!((node.vrrp.instances().count(), node.vrrp.next_deadline()), (0, None));
    // The interface is still known.
    node.configure(&[v3(100, 10)], &[], &[]);
    assert_eq!(node.state(), Backup);
}

#[test]
fn another_vrid_is_another_router() {
    let mut node = Node::active(v3(100, 10));
    node.configure(&[InstanceConfig { vrid: 52, ..v3(100, 10) }], &[], &[]);
    assert_eq!((node.state(), node.holds.len()), (Backup, 0));
    assert_eq!(node.counters().became_active, 0);
}

#[test]
fn a_configuration_that_does_not_hold_changes_nothing() {
    let mut node = Node::active(v3(100, 10));
    let config = [InstanceConfig { vrid: 0, ..v3(50, 10) }];
    let config = Config { instances: &config, ..Config::default() };
    let error = node.apply(|vrrp, cx, out| vrrp.configure(cx, &config, &mut |action: Action<'_>| out(action)));
    let item = ConfigItem::Instance(ME);
    assert_eq!(error, Err(ConfigError { item, kind: ConfigErrorKind::Vrid }));
    assert_eq!((node.state(), node.did()), (Active, Vec::new()));
    assert_eq!(node.vrrp.instance(ME).unwrap().config(), &v3(100, 10));
}

#[test]
fn tracks_and_groups_keep_what_is_known() {
    let track = TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true };
    let mut config = v3(100, 10);
    config.tracks.push(TrackUse { track: TrackId(0), weight: -20 }).unwrap();
    let group = GroupConfig { id: GroupId(0), members: [ME].into_iter().collect(), tracks: heapless::Vec::new() };
    let mut node = Node::new();
    for _ in 0..2 {
        node.configure(from_ref(&config), from_ref(&group), &[track]);
        node.link(LAN, true);
        node.track(0, false);
        node.run(ms(1_000));
    }
    assert_eq!(node.vrrp.instance(ME).unwrap().priority(), 80);
    assert_eq!(node.vrrp.group(GroupId(0)).unwrap().state(), Active);
    assert_eq!(node.took_over(START).len(), 1);
    // Without its group it goes on as it is.
    node.did.clear();
    node.configure(&[config], &[], &[track]);
    assert_eq!((node.state(), node.did(), node.vrrp.groups().count()), (Active, Vec::new(), 0));
}

#[test]
fn a_track_that_is_new_takes_no_state() {
    let mut node = Node::active(v3(100, 10));
    let track = TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true };
    let mut config = v3(100, 10);
    config.tracks.push(TrackUse { track: TrackId(0), weight: 0 }).unwrap();
    node.configure(&[config], &[], &[track]);
    assert_eq!((node.state(), node.did()), (Active, Vec::new()));
}
