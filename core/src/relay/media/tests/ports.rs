//! Endpoints and their ports.

use super::*;

#[test]
fn ports_are_paired_and_the_addresses_are_those_of_the_interface() {
    let mut host = Host::new();
    for interface in [IF0, InterfaceId(1)] {
        let id = host.open(interface, false).unwrap();
        let local = host.media.local(id).unwrap();
        let (bound, advertised) = if interface == IF0 { ("10.0.1.20", US) } else { ("2001:db8::50", "2001:db8::50") };
        assert_eq!((local.bound, local.advertised), (bound.parse().unwrap(), advertised.parse().unwrap()));
        assert_eq!((local.rtp_port % 2, local.rtcp_port), (0, local.rtp_port + 1));
        let (rtp, rtcp) = host.local(id);
        assert_eq!(host.sockets[&SocketId::rtp(id.key().slot())], rtp);
        assert_eq!(host.sockets[&SocketId::rtcp(id.key().slot())], rtcp);
    }
    assert_eq!(host.open(InterfaceId(2), false), Err(MediaError::UnknownInterface));
}

#[test]
fn the_range_can_be_filled_and_is_whole_again() {
    let mut host = Host::of(20, 4, 100);
    for _ in 0..3 {
        let ids: Vec<_> = (0..20).map(|_| host.open(IF0, false).unwrap()).collect();
        let ports: BTreeSet<_> = ids.iter().map(|id| host.media.local(*id).unwrap().rtp_port).collect();
        assert!(ports.iter().copied().eq((30_000..30_040).step_by(2)));
        assert_eq!(host.open(IF0, false), Err(MediaError::PortsExhausted));
        assert!(host.open(InterfaceId(1), false).is_ok(), "the other interface has its own");
        host.close(ids[7]);
        let again = host.open(IF0, false).unwrap();
        assert_eq!(host.media.stats(ids[7]), None);
        for id in ids.into_iter().chain([again]) {
            host.close(id);
        }
    }
    assert_eq!(host.media.len(), 3);
    assert_eq!((host.media.totals().ports_exhausted, host.media.totals().opened), (3, 66));
    assert_eq!(host.media.ports(IF0), Some((4, 20)));
    assert_eq!(host.sockets.len(), 2 * (4 + 4 + 3));
}

#[test]
fn every_endpoint_can_be_used_and_no_more() {
    let mut host = Host::of(100, 4, 6);
    let ids: Vec<_> = core::iter::from_fn(|| host.open(IF0, false).ok()).collect();
    // Those that the other interface has in reserve cannot be had here.
    assert_eq!((ids.len(), host.media.len()), (6 + 4, 10));
    assert_eq!(host.open(IF0, false), Err(MediaError::Full));
    host.close(ids[0]);
    assert!(host.open(IF0, true).is_ok());
    assert_eq!(host.media.totals().full, 2);
}

#[test]
fn taken_ports_are_replaced() {
    // Of every other pair someone else has one of the ports, of one both.
    let taken = (0..25).map(|n| 30_000 + 4 * n + n % 2).chain([30_001]).collect();
    let mut host = Host::with_taken(50, 4, 200, taken);
    let mut ports = BTreeSet::new();
    for _ in 0..25 {
        let id = host.open(IF0, false).unwrap();
        ports.insert(host.media.local(id).unwrap().rtp_port);
    }
    assert!(ports.iter().all(|port| !host.taken.contains(port) && !host.taken.contains(&(port + 1))));
    assert!(ports.len() == 25 && host.media.totals().ports_taken >= 25);
    let tried = host.opens;
    assert_eq!(host.open(IF0, false), Err(MediaError::PortsPending));
    assert!(host.opens - tried <= 2 * 50, "a request tries what is left once");
    host.taken.clear();
    assert_eq!(host.open(IF0, false), Err(MediaError::PortsPending), "they are opened from here on");
    assert!(host.open(IF0, false).is_ok());
    assert_eq!(host.media.totals().ports_pending, 2);
}

#[test]
fn more_at_once_than_the_reserve_are_refused_until_sockets_are_open() {
    let mut host = Host::of(50, 2, 50);
    let (results, _) = host.with(|media, cx, out| [(); 3].map(|()| media.open(cx, IF0, false, out)));
    assert_eq!(results.map(|result| result.err()), [None, None, Some(MediaError::PortsPending)]);
    assert!(host.open(IF0, false).is_ok());
}

#[test]
fn closing_twice_and_stale_names_do_nothing() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.close(a);
    host.close(a);
    host.configure(a, |_| unreachable!("closed"));
    host.with(|media, _, out| media.relearn(a, out));
    host.media.connect(a, Some(b));
    assert_eq!((host.media.local(a), host.media.remote(a), host.media.connected(a)), (None, None, None));
    assert_eq!(host.media.endpoint_settings(a), None);
    assert_eq!(host.media.totals().closed, 1);
    // The one that takes its place is another one, and hears nothing of the old call.
    let c = host.open(IF0, false).unwrap();
    host.configure(c, |settings| settings.rtp = Some(addr(EVE)));
    assert_eq!(host.receive(b, false, BOB, &rtp(1)), []);
    host.close(b);
    host.close(c);
    assert!(host.media.is_empty());
}

#[test]
fn plane_is_made_of_what_fits() {
    let interface = |min, max| Interface {
        bound: US.parse().unwrap(),
        advertised: US.parse().unwrap(),
        ports: PortRange { min, max },
    };
    let settings = Settings::default();
    let make = |interfaces: &[Interface], words: usize| {
        let storage = Storage { port_words: Slots::reserved(words), ..Storage::reserved(4, 0, interfaces, &settings) };
        Media::new(interfaces, settings, storage).err()
    };
    assert_eq!(make(&[interface(30_000, 30_127)], 2), None);
    assert_eq!(make(&[interface(30_000, 30_129)], 2), Some(ConfigError::PortWords));
    assert_eq!(make(&[interface(30_000, 30_001), interface(9, 9)], 9), Some(ConfigError::NoPorts(InterfaceId(1))));
    let many = [interface(30_000, 30_001); INTERFACES_MAX + 1];
    assert_eq!(make(&many, 99), Some(ConfigError::TooManyInterfaces));
    assert_eq!(make(&many[1..], 99), None);
}
