//! Links, tracks, release and resume.

use super::*;
use State::{Active, Backup, Initialize};

fn script(id: u16, rise: u8, fall: u8) -> TrackConfig {
    TrackConfig { id: TrackId(id), rise, fall, assumed_up: true }
}

fn uses(weight: i16) -> heapless::Vec<TrackUse, { config::TRACKS_MAX }> {
    [TrackUse { track: TrackId(0), weight }].into_iter().collect()
}

/// An Active with one track of that weight.
fn tracking(config: InstanceConfig, weight: i16, track: TrackConfig) -> Node {
    let mut node = Node::new();
    node.configure(&[InstanceConfig { tracks: uses(weight), ..config }], &[], &[track]);
    node.link(LAN, true);
    node.run(ms(15_000));
    assert_eq!(node.state(), Active);
    node.did.clear();
    node
}

fn priority(node: &Node) -> u8 {
    node.vrrp.instance(ME).unwrap().priority()
}

#[test]
fn a_loss_of_health_resigns_at_once() {
    let mut node = tracking(v3(100, 10), -20, script(0, 2, 2));
    node.track(0, false);
    assert_eq!((node.state(), priority(&node)), (Active, 100));
    node.track(0, false);
    let did = node.did();
    assert!(matches!(did[0], Did::Sent { priority: 0, .. }), "{did:?}");
    assert_eq!(did[1..], [Did::Removed(VIP), told(Active, Backup, Reason::PriorityLost { priority: 80 })]);
    // A peer at 90 takes over after 64.8 ms.
    node.run(Duration::from_micros(64_843));
    node.hear(7, 90);
    node.run(ms(250));
    node.hear(7, 90);
    assert_eq!(node.state(), Backup);
    node.track(0, true);
    assert_eq!(priority(&node), 80);
    node.track(0, true);
    assert_eq!(priority(&node), 100);
    let since = node.now;
    node.run(ms(1_000));
    assert_eq!(node.took_over(since).len(), 1);
}

#[test]
fn an_only_node_that_lost_health_comes_back() {
    let mut node = tracking(v3(100, 10), -20, script(0, 1, 1));
    let since = node.now;
    node.track(0, false);
    node.run(ms(1_000));
    // One interval, and the skew of 80.
    assert_eq!(node.took_over(since), [168_750]);
    assert!(node.sent().contains(&80));
}

#[test]
fn without_resignation_a_loss_of_health_is_told_by_adverts() {
    let config = InstanceConfig { resign_on_loss: false, ..v3(100, 10) };
    let mut node = tracking(config, -20, script(0, 1, 1));
    node.track(0, false);
    node.run(ms(100));
    assert_eq!((node.state(), node.sent()), (Active, std::vec![80]));
}

#[test]
fn weights_add_up_and_stay_in_range() {
    let mut config = v3(100, 10);
    let weights = [(0, -20), (1, 30), (2, 300), (3, -300)];
    config.tracks = weights.map(|(id, weight)| TrackUse { track: TrackId(id), weight }).into_iter().collect();
    let mut node = Node::new();
    let tracks = [0, 1, 2, 3].map(|id| TrackConfig { assumed_up: false, ..script(id, 1, 1) });
    node.configure(&[config], &[], &tracks);
    node.link(LAN, true);
    for (track, ok, expected) in
        [(0, true, 100), (0, false, 80), (1, false, 80), (1, true, 110), (2, true, 254), (3, false, 110), (2, false, 1)]
    {
        node.track(track, ok);
        assert_eq!(priority(&node), expected, "{track} {ok}");
    }
}

#[test]
fn the_owner_has_no_weights() {
    let mut node = tracking(v3(255, 10), -20, script(0, 1, 1));
    node.track(0, false);
    assert_eq!((node.state(), priority(&node)), (Active, 255));
}

#[test]
fn a_track_without_weight_is_a_fault() {
    let mut node = tracking(v3(100, 10), 0, script(0, 1, 1));
    node.track(0, false);
    let fault = Fault::Track(TrackId(0));
    let did = node.did();
    assert!(matches!(did[0], Did::Sent { priority: 0, .. }));
    assert_eq!(did[1..], [Did::Removed(VIP), told(Active, Initialize, Reason::Fault(fault))]);
    assert_eq!(node.vrrp.instance(ME).unwrap().fault(), Some(fault));
    node.run(ms(10_000));
    assert_eq!(node.did(), []);
    node.track(0, true);
    assert_eq!(node.did(), [told(Initialize, Backup, Reason::Startup)]);
    assert_eq!(node.vrrp.instance(ME).unwrap().fault(), None);
}

#[test]
fn a_track_of_which_nothing_is_known_holds_the_start() {
    let mut node = Node::new();
    let track = TrackConfig { assumed_up: false, ..script(0, 3, 3) };
    node.configure(&[InstanceConfig { tracks: uses(0), ..v3(100, 10) }], &[], &[track]);
    node.link(LAN, true);
    assert_eq!(node.state(), Initialize);
    node.track(0, true);
    assert_eq!(node.state(), Backup);
}

#[test]
fn a_link_that_goes_takes_the_state_along() {
    let mut node = Node::active(v3(100, 10));
    node.link(LAN, false);
    // Nothing can be sent any more.
    assert_eq!(node.did(), [Did::Removed(VIP), told(Active, Initialize, Reason::Fault(Fault::Link))]);
    node.run(ms(1_000));
    node.link(LAN, true);
    node.link(LAN, true);
    assert_eq!(node.did(), [told(Initialize, Backup, Reason::Startup)]);
    let since = node.now;
    node.run(ms(1_000));
    assert_eq!(node.took_over(since), [360_937]);
}

#[test]
fn an_interface_without_address_is_a_fault() {
    let mut node = Node::active(v3(100, 10));
    let state = InterfaceState { up: true, ipv4: None, ipv6: Some(Ipv6Addr::LOCALHOST) };
    node.event(Event::Interface { interface: LAN, state });
    assert_eq!(node.vrrp.instance(ME).unwrap().fault(), Some(Fault::NoSource));
    assert!(node.holds.is_empty());
}

#[test]
fn a_release_lasts_until_it_is_taken_back() {
    let mut node = Node::active(v3(100, 10));
    node.event(Event::Release(Subject::Instance(ME)));
    let did = node.did();
    assert!(matches!(did[0], Did::Sent { priority: 0, .. }));
    assert_eq!(did[2], told(Active, Initialize, Reason::Fault(Fault::Released)));
    node.link(LAN, false);
    node.link(LAN, true);
    node.configure(&[v3(100, 10)], &[], &[]);
    node.run(ms(60_000));
    assert_eq!(node.state(), Initialize);
    node.event(Event::Resume(Subject::Instance(ME)));
    assert_eq!(node.state(), Backup);
    node.event(Event::Release(Subject::Instance(OTHER)));
    assert_eq!(node.vrrp.stats().unknown_subject, 1);
}

#[test]
fn events_about_unknown_things_are_counted() {
    let mut node = Node::active(v3(100, 10));
    node.track(3, false);
    node.track(99, false);
    node.link(InterfaceId(99), false);
    node.event(Event::Resume(Subject::Group(GroupId(99))));
    assert_eq!((node.vrrp.stats().unknown_subject, node.did()), (4, Vec::new()));
}
