//! A virtual router.

use std::net::{IpAddr, Ipv4Addr};

use trunkline_core::entropy::SeededEntropy;
use trunkline_core::vrrp::{self, Action, Config, Event, InstanceConfig, InstanceId, InterfaceId, State, Vrrp};
use trunkline_core::wire::vrrp::{Checksum, GROUP_V4, Header, write};
use trunkline_core::{Cx, Instant, Machine, Timed};

use super::counting::{ALLOCATIONS, WATCHED};

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
