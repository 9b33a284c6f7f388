//! Sync groups act as one.

use super::*;
use State::{Active, Backup, Initialize};

const GROUP: Subject = Subject::Group(GroupId(0));

fn pair() -> [InstanceConfig; 2] {
    let mut other = InstanceConfig { id: OTHER, interface: WAN, vrid: 52, ..v3(100, 100) };
    other.addresses[0] = vip(VIP2, WAN);
    [v3(100, 100), other]
}

fn group() -> GroupConfig {
    GroupConfig { id: GroupId(0), members: [ME, OTHER].into_iter().collect(), tracks: heapless::Vec::new() }
}

/// Two instances on two interfaces, in one group.
fn grouped() -> Node {
    let mut node = Node::new();
    node.configure(&pair(), &[group()], &[]);
    node.link(LAN, true);
    assert_eq!(states(&node), (Initialize, Initialize));
    node.link(WAN, true);
    assert_eq!(states(&node), (Backup, Backup));
    node
}

fn active() -> Node {
    let mut node = grouped();
    node.run(ms(10_000));
    assert_eq!(states(&node), (Active, Active));
    node.did.clear();
    node
}

fn states(node: &Node) -> (State, State) {
    (node.state_of(ME), node.state_of(OTHER))
}

/// The changes of the group.
fn changes(node: &mut Node) -> Vec<(State, State, Reason)> {
    let change = |did| if let Did::Told(GROUP, from, to, reason) = did { Some((from, to, reason)) } else { None };
    node.did().into_iter().filter_map(change).collect()
}

#[test]
fn it_becomes_active_when_all_are_ready_and_says_so_once() {
    let mut node = grouped();
    assert_eq!(changes(&mut node), [(Initialize, Backup, Reason::Startup)]);
    node.run(ms(2_000));
    node.hear_as(OTHER, 7, 200);
    node.run(ms(3_000));
    // The first one would take over alone.
    assert_eq!(states(&node), (Backup, Backup));
    node.run(ms(1_000));
    assert_eq!(states(&node), (Active, Active));
    assert_eq!(node.took_over(START), [5_609_375, 5_609_375]);
    assert_eq!(changes(&mut node), [(Backup, Active, Reason::ActiveDown)]);
}

#[test]
fn a_member_that_is_ready_and_hears_the_active_again_waits_again() {
    let mut node = grouped();
    node.run(ms(1_000));
    node.hear_as(OTHER, 7, 200);
    node.run(ms(3_000));
    node.hear_as(ME, 7, 200);
    node.run(ms(1_000));
    assert_eq!(states(&node), (Backup, Backup));
    node.run(ms(3_000));
    assert_eq!(states(&node), (Active, Active));
}

#[test]
fn a_resignation_of_the_other_side_moves_all() {
    let mut node = grouped();
    for instance in [ME, OTHER] {
        node.hear_as(instance, 7, 200);
    }
    node.run(ms(100));
    let since = node.now;
    for instance in [ME, OTHER] {
        node.hear_as(instance, 7, 0);
    }
    node.run(ms(700));
    assert_eq!(node.took_over(since), [609_375, 609_375]);
}

#[test]
fn a_member_that_yields_takes_the_others_along() {
    let mut node = active();
    node.hear_as(OTHER, 7, 200);
    assert_eq!(states(&node), (Backup, Backup));
    let did = node.did.clone();
    let sent: Vec<_> =
        did.iter()
            .filter_map(|(_, did)| {
                if let Did::Sent { interface, priority, .. } = did { Some((*interface, *priority)) } else { None }
            })
            .collect();
    // The one that hears the other side yields, the other one resigns.
    assert_eq!(sent, [(WAN, 100), (LAN, 0)]);
    assert!(did.iter().any(|(_, did)| *did == told(Active, Backup, Reason::Group(OTHER))));
    assert_eq!(changes(&mut node), [(Active, Backup, Reason::Outranked { by: host(7), priority: 200 })]);
    assert!(node.holds.is_empty());
}

#[test]
fn a_fault_of_a_member_is_a_fault_of_all() {
    let mut node = active();
    node.link(WAN, false);
    assert_eq!(states(&node), (Initialize, Initialize));
    assert_eq!(node.vrrp.instance(ME).unwrap().fault(), Some(Fault::Member(OTHER)));
    assert_eq!(node.vrrp.instance(OTHER).unwrap().fault(), Some(Fault::Link));
    let did = node.did.clone();
    // On the link that is left it resigns.
    assert_eq!(did.iter().filter(|(_, did)| matches!(did, Did::Sent { priority: 0, interface: LAN, .. })).count(), 1);
    assert_eq!(changes(&mut node), [(Active, Initialize, Reason::Fault(Fault::Link))]);
    node.run(ms(10_000));
    node.link(WAN, true);
    assert_eq!(states(&node), (Backup, Backup));
}

#[test]
fn a_track_of_the_group_counts_for_all() {
    for (weight, expected) in [(0, Initialize), (-20, Backup)] {
        let mut node = Node::new();
        let tracks = [TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true }];
        let uses = [TrackUse { track: TrackId(0), weight }].into_iter().collect();
        node.configure(&pair(), &[GroupConfig { tracks: uses, ..group() }], &tracks);
        node.link(LAN, true);
        node.link(WAN, true);
        node.run(ms(4_000));
        assert_eq!(states(&node), (Active, Active));
        node.did.clear();
        node.track(0, false);
        assert_eq!(states(&node), (expected, expected));
        assert_eq!(node.sent(), [0, 0]);
    }
}

#[test]
fn a_track_of_one_member_moves_all() {
    let mut node = Node::new();
    let tracks = [TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true }];
    let [mut first, second] = pair();
    first.tracks.push(TrackUse { track: TrackId(0), weight: -20 }).unwrap();
    node.configure(&[first, second], &[group()], &tracks);
    node.link(LAN, true);
    node.link(WAN, true);
    node.run(ms(4_000));
    node.did.clear();
    node.track(0, false);
    assert_eq!(states(&node), (Backup, Backup));
    assert_eq!(changes(&mut node), [(Active, Backup, Reason::PriorityLost { priority: 80 })]);
}

#[test]
fn owners_start_together() {
    let mut node = Node::new();
    let owners = pair().map(|config| InstanceConfig { priority: 255, ..config });
    node.configure(&owners, &[group()], &[]);
    node.link(LAN, true);
    node.link(WAN, true);
    assert_eq!(states(&node), (Active, Active));
    assert_eq!(changes(&mut node), [(Initialize, Active, Reason::Owner)]);
}

#[test]
fn a_release_of_the_group_or_of_a_member_releases_all() {
    for subject in [GROUP, Subject::Instance(OTHER)] {
        let mut node = active();
        node.event(Event::Release(subject));
        assert_eq!(states(&node), (Initialize, Initialize));
        assert_eq!(node.sent(), [0, 0]);
        node.event(Event::Resume(subject));
        assert_eq!(states(&node), (Backup, Backup));
    }
}

#[test]
fn a_shutdown_is_told_once_for_the_group() {
    let mut node = active();
    node.event(Event::Shutdown);
    assert_eq!(changes(&mut node), [(Active, Initialize, Reason::Shutdown)]);
    assert!(node.holds.is_empty());
}
