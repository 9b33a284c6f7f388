//! SRTP that ends here.

use super::*;

fn session(suite: Suite, seed: u64) -> Session {
    Session::new(&MasterKey::generate(suite, &mut SeededEntropy::new(seed)), Params::default()).unwrap()
}

/// What `protect` makes of `packet`.
fn protected(session: &mut Session, rtcp: bool, packet: &[u8]) -> Vec<u8> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + TAIL_ROOM, 0);
    let len = packet.len();
    let len = if rtcp { session.protect_rtcp(&mut buf, len) } else { session.protect(&mut buf, len) };
    buf.truncate(len.unwrap());
    buf
}

#[test]
fn srtp_of_one_party_ends_here() {
    for suite in Suite::ALL {
        let mut host = Host::new();
        let (a, b) = host.call();
        host.media.secure(a, Direction::Inbound, Some(session(suite, 1))).unwrap();
        host.media.secure(a, Direction::Outbound, Some(session(suite, 2))).unwrap();
        let (mut alice_out, mut alice_in) = (session(suite, 1), session(suite, 2));
        for n in 0..3 {
            let packet = protected(&mut alice_out, false, &rtp(n));
            assert_eq!(host.receive(a, false, ALICE, &packet), sent(&host, b, false, BOB, &rtp(n)));
            let mut back = host.receive(b, false, BOB, &rtp(n)).remove(0).packet;
            assert_ne!(back, rtp(n));
            let len = alice_in.unprotect(&mut back).unwrap();
            assert_eq!(back[..len], rtp(n));
            let packet = protected(&mut alice_out, true, &rtcp());
            assert_eq!(host.receive(a, true, ALICE_RTCP, &packet), sent(&host, b, true, BOB_RTCP, &rtcp()));
            let mut back = host.receive(b, true, BOB_RTCP, &rtcp()).remove(0).packet;
            let len = alice_in.unprotect_rtcp(&mut back).unwrap();
            assert_eq!(back[..len], rtcp());
        }
        assert_eq!(host.media.stats(a).unwrap().dropped.total(), 0);
    }
}

#[test]
fn only_authentic_packets_teach_an_address() {
    let suite = Suite::from_name(b"AES_CM_128_HMAC_SHA1_80").unwrap();
    let mut host = Host::new();
    let (a, b) = host.call();
    host.media.secure(a, Direction::Inbound, Some(session(suite, 1))).unwrap();
    host.configure(a, |settings| (settings.admit, settings.learning) = (Admit::Anywhere, Learning::Immediate));
    let mut alice = session(suite, 1);
    let packet = protected(&mut alice, false, &rtp(1));
    for forged in [&rtp(1), &protected(&mut session(suite, 9), false, &rtp(1)), &packet[..20].to_vec()] {
        assert_eq!(host.receive(a, false, EVE, forged), []);
    }
    let learned = host.media.remote(a).unwrap().learned;
    assert_eq!((learned, host.media.stats(a).unwrap().last_seen), (None, None));
    assert_eq!(host.receive(a, false, ALICE, &packet), sent(&host, b, false, BOB, &rtp(1)));
    // Played again, from the right address and from another one.
    assert_eq!(host.receive(a, false, ALICE, &packet), []);
    assert_eq!(host.receive(a, false, EVE, &packet), []);
    let stats = host.media.stats(a).unwrap();
    assert_eq!((stats.received.packets, stats.sources().next().unwrap().received()), (1, 1));
    let dropped = [Drop::Unauthentic, Drop::Malformed, Drop::Replayed].map(|reason| stats.dropped.of(reason));
    assert_eq!(dropped, [2, 1, 1]);
    assert_eq!(stats.dropped.of(Drop::Source), 1);
}

#[test]
fn srtp_needs_room_and_the_room_is_bounded() {
    let suite = Suite::from_name(b"AEAD_AES_256_GCM").unwrap();
    let mut host = Host::new();
    let (a, b) = host.call();
    let c = host.open(IF0, false).unwrap();
    host.media.secure(b, Direction::Outbound, Some(session(suite, 1))).unwrap();
    let mut buf = rtp(1);
    let len = buf.len();
    let mut packet = PacketBuf::new(&mut buf, len);
    let socket = SocketId::rtp(a.key().slot());
    let ((), forwarded) = host.with(|media, cx, out| media.packet(cx, socket, addr(ALICE), &mut packet, out));
    assert_eq!((forwarded, host.dropped(a, Drop::NoRoom)), (vec![], 1));
    host.media.secure(a, Direction::Inbound, Some(session(suite, 2))).unwrap();
    let refused = host.media.secure(c, Direction::Inbound, Some(session(suite, 3)));
    assert_eq!((refused, host.media.totals().secure_full), (Err(MediaError::SecureFull), 1));
    assert_eq!(host.media.secure(c, Direction::Inbound, None), Ok(()));
    assert_eq!(host.media.session(a, Direction::Inbound).map(Session::suite), Some(suite));
    assert!(host.media.session(a, Direction::Outbound).is_none());
    host.media.secure(a, Direction::Inbound, None).unwrap();
    assert_eq!(host.media.secure_len(), 1);
    host.close(b);
    assert_eq!(host.media.secure_len(), 0);
    assert_eq!(host.media.secure(b, Direction::Outbound, Some(session(suite, 4))), Ok(()));
    assert_eq!(host.media.secure_len(), 0);
}

#[test]
fn srtp_between_the_parties_passes_as_it_is() {
    let suite = Suite::from_name(b"AES_CM_128_HMAC_SHA1_32").unwrap();
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| {
        settings.carries = Carries::Srtp;
        settings.telephone_events = PayloadTypes::EMPTY.with(101);
    });
    let mut alice = session(suite, 1);
    let audio = protected(&mut alice, false, &rtp(1));
    let key = protected(&mut alice, false, &rtp_of(101, 2, 800, &[5, 0x80, 0, 160]));
    let report = protected(&mut alice, true, &rtcp());
    assert_eq!(host.receive(a, false, ALICE, &audio), sent(&host, b, false, BOB, &audio));
    assert_eq!(host.receive(a, false, ALICE, &key), sent(&host, b, false, BOB, &key));
    assert_eq!(host.receive(a, true, ALICE_RTCP, &report), sent(&host, b, true, BOB_RTCP, &report));
    assert_eq!(host.dtmf, [], "what it says is not known");
    host.configure(a, |settings| settings.silenced = true);
    assert_eq!(host.receive(a, false, ALICE, &protected(&mut alice, false, &rtp(3))), []);
    assert_eq!(host.dropped(a, Drop::Blocked), 1);
}
