//! What is sent, and what is ignored.

use super::*;
use State::{Active, Backup};

#[test]
fn an_advert_of_version_2_with_a_password() {
    let config = InstanceConfig { auth: Auth::Pass(Password::new(b"s3cr3tpw-and-more")), ..v2(100) };
    let mut node = Node::active(config);
    node.run(ms(1_000));
    let Did::Sent { interface, source, to, priority, bytes } = &node.did()[0] else { panic!() };
    assert_eq!((*interface, *source, *to, *priority), (LAN, host(5), IpAddr::V4(GROUP_V4), 100));
    assert_eq!(bytes[..6], [0x21, VRID, 100, 1, 1, 1]);
    assert_eq!(bytes[8..], [10, 98, 0, 100, b's', b'3', b'c', b'r', b'3', b't', b'p', b'w']);
}

#[test]
fn an_advert_over_ipv6_lists_what_is_advertised() {
    let mut config = v3(100, 10);
    let local = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0x98, 0x100]);
    let hidden = VirtualAddress { advertised: false, ..vip(VIP, LAN) };
    config.addresses = [vip(local, LAN), hidden, vip(VIP6, LAN)].into_iter().collect();
    let mut node = Node::active(config);
    assert_eq!(node.holds.len(), 3);
    node.run(ms(100));
    let Did::Sent { source, to, bytes, .. } = &node.did()[0] else { panic!() };
    assert_eq!((*source, *to), (IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0x98, 5]), IpAddr::V6(GROUP_V6)));
    let advert = Advert::parse(bytes, *source, *to).unwrap();
    assert_eq!(advert.header.interval_centis, 10);
    assert!(advert.addresses().eq([local, VIP6]));
}

#[test]
fn unicast_goes_to_each_peer_and_comes_from_peers_only() {
    let config = InstanceConfig { peers: [host(6), host(7)].into_iter().collect(), ..v3(100, 100) };
    let mut node = Node::active(config);
    node.run(ms(1_000));
    let to = |did| if let Did::Sent { to, .. } = did { Some(to) } else { None };
    assert!(node.did().into_iter().filter_map(to).eq([host(6), host(7)]));
    node.hear(8, 200);
    assert_eq!((node.state(), node.counters().unknown_peer), (Active, 1));
    node.hear(7, 200);
    assert_eq!(node.state(), Backup);
}

#[test]
fn a_source_that_was_chosen_is_used() {
    let mut node = Node::active(InstanceConfig { source: Some(host(9)), ..v3(100, 100) });
    node.run(ms(1_000));
    assert!(matches!(node.did()[0], Did::Sent { source, .. } if source == host(9)));
    node.hear(9, 200);
    assert_eq!(node.counters().looped, 1);
}

/// What must not move an Active or a Backup, and the counter that says so.
#[test]
fn packets_are_ignored_and_counted_by_reason() {
    type Counter = fn(&Counters) -> u64;
    let base = InstanceConfig { auth: Auth::Pass(Password::new(b"secret")), ..v2(100) };
    let good = advert(&base, host(7), 200);
    let version_3 = advert(&v3(200, 100), host(7), 200);
    let no_auth = advert(&v2(200), host(7), 200);
    let other_password = InstanceConfig { auth: Auth::Pass(Password::new(b"Secret")), ..base.clone() };
    let wrong_password = advert(&other_password, host(7), 200);
    let slow = advert(&InstanceConfig { interval: Interval::from_secs(2), ..base.clone() }, host(7), 200);
    let mut foreign = base.clone();
    foreign.addresses[0] = vip(VIP2, LAN);
    let foreign = advert(&foreign, host(7), 200);
    let rows: [(&str, IpAddr, u8, &[u8], Counter); 7] = [
        ("TTL 254", host(7), 254, &good, |c| c.bad_ttl),
        ("version 3", host(7), 255, &version_3, |c| c.bad_version),
        ("our own", host(5), 255, &good, |c| c.looped),
        ("no authentication", host(7), 255, &no_auth, |c| c.bad_auth_type),
        ("wrong password", host(7), 255, &wrong_password, |c| c.bad_password),
        ("another interval", host(7), 255, &slow, |c| c.bad_interval),
        ("another cluster", host(7), 255, &foreign, |c| c.vrid_clash),
    ];
    for (what, source, ttl, bytes, counter) in rows {
        let mut backup = Node::with(base.clone());
        backup.run(ms(1_000));
        backup.bytes(LAN, source, ttl, bytes);
        assert_eq!(counter(&backup.counters()), 1, "{what}");
        assert_eq!(backup.counters().received, 0, "{what}");
        backup.run(ms(5_000));
        assert_eq!(backup.took_over(START), [3_609_375], "{what}");

        let mut active = Node::active(base.clone());
        active.bytes(LAN, source, ttl, bytes);
        assert_eq!((active.state(), active.did()), (Active, Vec::new()), "{what}");
    }
    let mut active = Node::active(base);
    active.bytes(LAN, host(7), 255, &good);
    assert_eq!(active.state(), Backup);
}

#[test]
fn packets_that_find_no_instance_are_counted_by_reason() {
    type Counter = fn(&Stats) -> u64;
    let config = v3(100, 100);
    let good = advert(&config, host(7), 200);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let no_interval = advert(&InstanceConfig { interval: Interval::from_centis(0), ..config.clone() }, host(7), 200);
    let other_vrid = advert(&InstanceConfig { vrid: 52, ..config.clone() }, host(7), 200);
    let rows: [(Vec<u8>, InterfaceId, Counter); 7] = [
        (good[..7].to_vec(), LAN, |s| s.bad_length),
        (with(0, 0x41), LAN, |s| s.bad_version),
        (with(0, 0x32), LAN, |s| s.bad_type),
        (with(2, 201), LAN, |s| s.bad_checksum),
        (no_interval, LAN, |s| s.bad_field),
        (other_vrid, LAN, |s| s.unknown_vrid),
        (good.clone(), WAN, |s| s.unknown_vrid),
    ];
    for (bytes, interface, counter) in rows {
        let mut node = Node::active(config.clone());
        node.bytes(interface, host(7), 255, &bytes);
        assert_eq!(counter(&node.vrrp.stats()), 1);
        assert_eq!((node.state(), node.did()), (Active, Vec::new()));
    }
}

#[test]
fn routed_peers_may_have_less_ttl_where_configured() {
    let config = InstanceConfig { ttl_min: 60, ..v3(100, 100) };
    let mut node = Node::active(config.clone());
    let bytes = advert(&config, host(7), 200);
    node.bytes(LAN, host(7), 59, &bytes);
    assert_eq!(node.state(), Active);
    node.bytes(LAN, host(7), 60, &bytes);
    assert_eq!(node.state(), Backup);
}

/// While addresses are added on one node after the other, the lists differ; two Actives would be worse.
#[test]
fn an_advert_with_some_of_our_addresses_is_taken() {
    let config = v3(100, 100);
    let mut more = config.clone();
    more.addresses.push(vip(VIP2, LAN)).unwrap();
    for (ours, theirs) in [(&config, &more), (&more, &config)] {
        let mut node = Node::active(ours.clone());
        node.bytes(LAN, host(7), 255, &advert(theirs, host(7), 200));
        assert_eq!((node.state(), node.counters().address_mismatch), (Backup, 1));
    }
}

#[test]
fn one_vrid_is_two_routers_in_two_families() {
    let mut v6 = InstanceConfig { id: OTHER, ..v3(100, 100) };
    v6.addresses[0] = vip(VIP6, LAN);
    let mut node = Node::new();
    node.configure(&[v3(100, 100), v6], &[], &[]);
    node.link(LAN, true);
    node.run(ms(4_000));
    node.hear_as(OTHER, 7, 200);
    assert_eq!((node.state_of(ME), node.state_of(OTHER)), (Active, Backup));
}

#[test]
fn both_checksums_are_taken_and_the_chosen_one_is_sent() {
    let plain = InstanceConfig { checksum: Checksum::AdvertOnly, ..v3(100, 100) };
    for (ours, theirs) in [(plain.clone(), v3(100, 100)), (v3(100, 100), plain)] {
        let mut node = Node::active(ours.clone());
        node.run(ms(1_000));
        let Did::Sent { bytes, .. } = &node.did()[0] else { panic!() };
        assert_eq!(*bytes, advert(&ours, host(5), 100));
        node.bytes(LAN, host(7), 255, &advert(&theirs, host(7), 200));
        assert_eq!(node.state(), Backup);
    }
}

#[test]
fn unauthenticated_adverts_carry_zeros() {
    let mut node = Node::active(v2(100));
    node.run(ms(1_000));
    let Did::Sent { source, to, bytes, .. } = &node.did()[0] else { panic!() };
    let header = Advert::parse(bytes, *source, *to).unwrap().header;
    assert_eq!((header.auth_type, header.auth_data), (AuthType::None, [0; 8]));
}

#[test]
fn data_without_a_type_is_ignored() {
    let mut node = Node::active(v2(100));
    let with = |auth| advert(&InstanceConfig { auth, ..v2(200) }, host(7), 200);
    let mut bytes = with(Auth::Pass(Password::new(b"anything")));
    bytes[4] = 0;
    // The type was the high byte of a word of the sum.
    let sum = u16::from_be_bytes([bytes[6], bytes[7]]).checked_add(0x100).unwrap();
    bytes[6..8].copy_from_slice(&sum.to_be_bytes());
    node.bytes(LAN, host(7), 255, &bytes);
    assert_eq!(node.state(), Backup);
}
