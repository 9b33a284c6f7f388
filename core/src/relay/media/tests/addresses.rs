//! Where packets come from and go to.

use super::*;

#[test]
fn a_call_both_ways() {
    let mut host = Host::new();
    let (a, b) = host.call();
    for n in 0..3 {
        assert_eq!(host.receive(a, false, ALICE, &rtp(n)), sent(&host, b, false, BOB, &rtp(n)));
        assert_eq!(host.receive(b, false, BOB, &rtp(n)), sent(&host, a, false, ALICE, &rtp(n)));
        assert_eq!(host.receive(a, true, ALICE_RTCP, &rtcp()), sent(&host, b, true, BOB_RTCP, &rtcp()));
        assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp()), sent(&host, a, true, ALICE_RTCP, &rtcp()));
        host.wait(20);
    }
    let stats = host.media.stats(a).unwrap();
    let (three, reports) = (Traffic { packets: 3, bytes: 3 * 172 }, Traffic { packets: 3, bytes: 3 * 8 });
    assert_eq!((stats.received, stats.sent), (three, three));
    assert_eq!((stats.received_rtcp, stats.sent_rtcp), (reports, reports));
    assert_eq!((stats.dropped.total(), stats.last_seen), (0, Some(host.now - Duration::from_millis(20))));
    let source = stats.sources().next().unwrap();
    assert_eq!((source.ssrc(), source.received(), source.lost(), source.jitter()), (0x5eed, 3, 0, 0));
    assert_eq!(host.media.totals().sent, Traffic { packets: 12, bytes: 6 * 172 + 6 * 8 });
}

#[test]
fn a_party_behind_a_nat() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.rtp = Some(addr("10.1.1.1:4000")));
    host.configure(a, |settings| settings.received_from = Some("192.0.2.99".parse().unwrap()));
    let public = "192.0.2.99:62001";
    assert_eq!(host.receive(a, false, EVE, &rtp(1)), []);
    assert_eq!(host.receive(a, false, public, &rtp(1)), sent(&host, b, false, BOB, &rtp(1)));
    assert_eq!(host.receive(b, false, BOB, &rtp(1)), sent(&host, a, false, public, &rtp(1)));
    // RTCP follows the address of RTP, at whatever port the NAT gives it.
    assert_eq!(host.receive(a, true, "192.0.2.98:62002", &rtcp()), []);
    assert_eq!(host.receive(a, true, "192.0.2.99:62002", &rtcp()), sent(&host, b, true, BOB_RTCP, &rtcp()));
    assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp()), sent(&host, a, true, "192.0.2.99:62002", &rtcp()));
    assert_eq!(host.media.remote(a).unwrap().learned, Some(addr(public)));
    assert!(!host.media.remote(a).unwrap().fixed);
    host.wait(3_000);
    host.receive(a, false, public, &rtp(2));
    assert!(host.media.remote(a).unwrap().fixed);
    assert_eq!(host.peers.get(&SocketId::rtp(a.key().slot())), Some(&addr(public)));
}

#[test]
fn nobody_takes_a_stream_over() {
    for learning in [Learning::Delayed, Learning::Immediate, Learning::Heuristic, Learning::Off] {
        for admit in [Admit::Exact, Admit::Signalled, Admit::Anywhere] {
            if (learning, admit) == (Learning::Off, Admit::Anywhere) {
                continue;
            }
            let mut host = Host::new();
            let (a, b) = host.call();
            host.configure(a, |settings| (settings.learning, settings.admit) = (learning, admit));
            for n in 0..200 {
                assert_ne!(host.receive(a, false, ALICE, &rtp(n)), []);
                host.wait(20);
            }
            let seen = host.media.stats(a).unwrap().last_seen;
            host.wait(1_000);
            for n in 200..210 {
                assert_eq!(host.receive(a, false, EVE, &rtp(n)), [], "{learning:?} {admit:?}");
                assert_eq!(host.receive(a, true, EVE, &rtcp()), [], "{learning:?} {admit:?}");
                assert_eq!(host.receive(b, false, BOB, &rtp(n))[0].to, addr(ALICE));
            }
            assert_eq!(host.dropped(a, Drop::Source), 20);
            let stats = host.media.stats(a).unwrap();
            assert_eq!(stats.last_seen, seen, "an attacker keeps no call alive");
            assert_eq!((stats.received.packets, stats.sources().next().unwrap().received()), (200, 200));
        }
    }
}

#[test]
fn address_changes_with_a_new_offer() {
    let mut host = Host::new();
    let (a, b) = host.call();
    for n in 0..200 {
        host.receive(a, false, ALICE, &rtp(n));
        host.wait(20);
    }
    let socket = SocketId::rtp(a.key().slot());
    assert_eq!(host.peers.get(&socket), Some(&addr(ALICE)));
    let moved = "192.0.2.77:7000";
    host.configure(a, |settings| settings.rtp = Some(addr(moved)));
    assert_eq!(host.peers.get(&socket), None);
    assert_eq!(host.receive(b, false, BOB, &rtp(1))[0].to, addr(moved));
    assert_eq!(host.receive(a, false, ALICE, &rtp(200)), []);
    assert_eq!(host.receive(a, false, moved, &rtp(201)), sent(&host, b, false, BOB, &rtp(201)));
    // What the old address sent as RTCP counts no more, either.
    assert_eq!(host.receive(a, true, "192.0.2.10:9999", &rtcp()), []);
    // The same offer again changes nothing.
    host.wait(3_000);
    host.receive(a, false, moved, &rtp(202));
    host.configure(a, |settings| settings.rtp = Some(addr(moved)));
    assert_eq!(host.peers.get(&socket), Some(&addr(moved)));
    host.with(|media, _, out| media.relearn(a, out));
    assert_eq!(host.peers.get(&socket), None);
}

#[test]
fn rtcp_that_was_first_is_not_believed_once_rtp_comes_from_elsewhere() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| (settings.admit, settings.learning) = (Admit::Anywhere, Learning::Immediate));
    assert_ne!(host.receive(a, true, EVE, &rtcp()), []);
    host.receive(a, false, ALICE, &rtp(1));
    assert_eq!(host.receive(a, true, EVE, &rtcp()), []);
    assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp())[0].to, addr(ALICE_RTCP));
}

#[test]
fn rtcp_shares_the_port_of_rtp_where_it_is_muxed() {
    let mut host = Host::new();
    // Alice by negotiation, Bob from the start.
    let (a, _) = host.call();
    let b = host.open(IF0, true).unwrap();
    let local = host.media.local(b).unwrap();
    assert_eq!(local.rtp_port, local.rtcp_port);
    assert!(!host.sockets.contains_key(&SocketId::rtcp(b.key().slot())));
    host.configure(a, |settings| settings.rtcp_mux = true);
    host.configure(b, |settings| settings.rtp = Some(addr(BOB)));
    host.media.connect(a, Some(b));
    host.media.connect(b, Some(a));
    assert_eq!(host.receive(a, false, ALICE, &rtcp()), sent(&host, b, false, BOB, &rtcp()));
    assert_eq!(host.receive(b, false, BOB, &rtcp()), sent(&host, a, false, ALICE, &rtcp()));
    assert_eq!(host.media.stats(b).unwrap().received_rtcp.packets, 1);
    // Every payload type that RFC 5761 §4 leaves to RTCP, and the ones beside them.
    for second in 0..=255u8 {
        // Long enough for a sender report.
        let mut packet = [0; 28];
        packet[..4].copy_from_slice(&[0x80, second, 0, 6]);
        host.receive(a, false, ALICE, &packet);
        assert_eq!(host.media.stats(a).unwrap().received_rtcp.packets > 1, second >= 192, "{second}");
        assert_eq!(host.media.stats(a).unwrap().dropped.total(), 0, "{second}");
    }
    assert_eq!(host.media.stats(a).unwrap().received_rtcp.packets, 1 + 32);
    // An RTCP socket does not take RTP.
    assert_eq!(host.receive(a, true, ALICE_RTCP, &rtp(1)), []);
    assert_eq!(host.dropped(a, Drop::Malformed), 1);
}

#[test]
fn rtcp_between_a_muxed_and_a_plain_party_changes_ports() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.rtcp_mux = true);
    assert_eq!(host.receive(a, false, ALICE, &rtcp()), sent(&host, b, true, BOB_RTCP, &rtcp()));
    assert_eq!(host.receive(b, true, BOB_RTCP, &rtcp()), sent(&host, a, false, ALICE, &rtcp()));
}

#[test]
fn asymmetric_party_is_sent_to_its_signalled_address() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.asymmetric = true);
    assert_ne!(host.receive(a, false, "192.0.2.10:4999", &rtp(1)), []);
    assert_eq!(host.receive(b, false, BOB, &rtp(1))[0].to, addr(ALICE));
    host.wait(3_000);
    assert_ne!(host.receive(a, false, "192.0.2.10:4999", &rtp(2)), []);
    assert_eq!(host.receive(a, false, ALICE, &rtp(2)), [], "one source, all the same");
    assert!(host.peers.is_empty(), "its socket talks to two addresses");
}
