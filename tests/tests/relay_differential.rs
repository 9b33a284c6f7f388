//! Our relay beside rtpengine: the same requests to both, and the same replies but for what is documented.

use std::net::SocketAddr;

use trunkline_tests::harness::{Ng, Place, RelayHost, Rtpengine, TrunklineRelay};
use trunkline_tests::needs;
use trunkline_tests::relay::{cases, compare, differences, run};

/// Two networks with IPv4 and IPv6 each, and one with IPv4 only; what is advertised is the same for both relays.
fn interfaces(place: &Place, hosts: [u8; 3]) -> Vec<String> {
    let [private, public, four] = hosts.map(|host| place.ip(host));
    vec![
        format!("priv/{private}!192.0.2.1"),
        format!("pub/{public}!203.0.113.50"),
        format!("four/{four}!198.51.100.4"),
        "priv/::1!2001:db8::1".to_owned(),
        "pub/::1!2001:db8::50".to_owned(),
    ]
}

/// Puts all cases to both; the differences that were documented and not seen come back.
fn differ(place: &Place, ours: SocketAddr) -> Vec<&'static str> {
    let peer = Rtpengine::start(place, at(place, 1), &interfaces(place, [2, 3, 7]), &[]);
    let (theirs, ours) = (Ng::new(peer.address()), Ng::new(ours));
    let all = cases::all();
    assert!(all.len() > 500);
    let mut used = differences::Used::default();
    let mut failures = Vec::new();
    for case in &all {
        failures.extend(compare(case, &run(&theirs, case), &run(&ours, case), &mut used));
    }
    for failure in &failures {
        eprintln!("{failure}");
    }
    assert!(failures.is_empty(), "{} of {} cases differ", failures.len(), all.len());
    used.unused()
}

fn at(place: &Place, host: u8) -> SocketAddr {
    SocketAddr::new(place.ip(host), 2223)
}

#[test]
fn the_machine_answers_as_rtpengine_does() {
    needs!("rtpengine", "ipv6");
    let place = Place::shared();
    let ours = RelayHost::start(at(&place, 4), &interfaces(&place, [5, 6, 8]));
    assert_eq!(differ(&place, ours.address()), Vec::<&str>::new(), "documented, but not seen");
}

#[test]
fn the_program_answers_as_rtpengine_does() {
    needs!("rtpengine", "ipv6", "trunkline-relay");
    let place = Place::shared();
    let ours = TrunklineRelay::start(&place, at(&place, 4), &interfaces(&place, [5, 6, 8]), &[]);
    assert_eq!(differ(&place, ours.address()), Vec::<&str>::new(), "documented, but not seen");
}
