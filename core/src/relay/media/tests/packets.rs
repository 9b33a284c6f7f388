//! What becomes of packets.

use super::*;

#[test]
fn bad_packets_are_counted_and_dropped() {
    let mut extension = rtp(1);
    extension[0] |= 0x10;
    extension[12..16].copy_from_slice(&[0, 0, 0, 40]);
    let mut sources = rtp(1)[..20].to_vec();
    sources[0] |= 15;
    let rows: [(&[u8], Drop); 10] = [
        (&[], Drop::NotRtp),
        (&[0; 20], Drop::NotRtp),
        (&[22; 20], Drop::NotRtp),
        (&[0xc0; 20], Drop::NotRtp),
        (&[0x7f; 172], Drop::NotRtp),
        (&[0x80], Drop::NotRtp),
        (&rtp(1)[..11], Drop::Malformed),
        (&rtcp()[..7], Drop::Malformed),
        (&extension, Drop::Malformed),
        (&sources, Drop::Malformed),
    ];
    for (packet, reason) in rows {
        let mut host = Host::new();
        let (a, _) = host.call();
        assert_eq!(host.receive(a, false, ALICE, packet), [], "{packet:?}");
        assert_eq!(host.dropped(a, reason), 1, "{packet:?}");
        assert_eq!(host.media.totals().dropped.of(reason), 1);
        assert_eq!(host.media.remote(a).unwrap().learned, None, "nothing is learned from it");
    }
    assert!(Drop::ALL.iter().enumerate().all(|(n, reason)| *reason as usize == n));
}

#[test]
fn reports_tell_loss_jitter_and_round_trip_of_each_party() {
    let mut host = Host::new();
    let (a, b) = host.call();
    let words = |head: [u8; 4], words: &[u32]| -> Vec<u8> {
        head.into_iter().chain(words.iter().flat_map(|word| word.to_be_bytes())).collect()
    };
    // Alice's sender report reaches Bob, who answers 70 ms later having held it for 30.
    let sender = words([0x80, 200, 0, 6], &[1, 0xe000_0001, 0x8000_0000, 0, 5, 800]);
    assert_ne!(host.receive(a, true, ALICE_RTCP, &sender), []);
    host.wait(70);
    let held = 65_536 * 30 / 1_000;
    let report = words([0x81, 201, 0, 7], &[2, 1, 64 << 24 | 3, 100, 80, 0x0001_8000, held]);
    assert_ne!(host.receive(b, true, BOB_RTCP, &report), []);
    let reports = host.media.stats(b).unwrap().reports;
    assert_eq!((reports.count, reports.fraction_lost, reports.cumulative_lost, reports.jitter), (1, 64, 3, 80));
    assert!((39_990..=40_020).contains(&reports.round_trip_us.unwrap()), "{reports:?}");
    assert_eq!(reports.mos, quality::mos_hundredths(250, 10_000, reports.round_trip_us.unwrap().into()));
    assert_eq!(host.media.stats(a).unwrap().reports.count, 0);
    // A compound that contradicts itself is dropped, and so is one from elsewhere.
    let mut broken = report.clone();
    broken[0] = 0x82;
    assert_eq!(host.receive(b, true, BOB_RTCP, &broken), []);
    assert_eq!(host.receive(b, true, EVE, &report), []);
    let stats = host.media.stats(b).unwrap();
    assert_eq!((stats.reports.count, stats.dropped.of(Drop::Malformed), stats.dropped.of(Drop::Source)), (1, 1, 1));
}

#[test]
fn packets_without_a_way_are_counted() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.media.connect(a, None);
    assert_eq!(host.receive(a, false, ALICE, &rtp(1)), []);
    host.media.connect(a, Some(b));
    host.configure(b, |settings| settings.rtp = Some(addr("0.0.0.0:5000")));
    assert_eq!(host.receive(a, false, ALICE, &rtp(2)), []);
    host.configure(b, |settings| settings.rtp = None);
    assert_eq!(host.receive(a, false, ALICE, &rtp(3)), []);
    host.close(b);
    assert_eq!(host.receive(a, false, ALICE, &rtp(4)), []);
    assert_eq!(host.dropped(a, Drop::NoDestination), 4);
    for socket in [SocketId::rtp(b.key().slot()), SocketId(1 << 20), SocketId(u32::MAX)] {
        assert_eq!(host.receive_on(socket, BOB, &rtp(5)), []);
    }
    assert_eq!(host.media.totals().dropped.of(Drop::NoEndpoint), 3);
    assert_eq!(host.media.stats(b), None);
}

#[test]
fn datagrams_pass_unread() {
    let mut host = Host::new();
    let (a, b) = host.call();
    for id in [a, b] {
        host.configure(id, |settings| settings.carries = Carries::Datagrams);
    }
    let udptl = [0, 1, 6, 0, 0x20];
    assert_eq!(host.receive(a, false, ALICE, &udptl), sent(&host, b, false, BOB, &udptl));
    assert_eq!(host.receive(a, false, EVE, &udptl), []);
    assert_eq!(host.media.stats(a).unwrap().received.packets, 1);
}

#[test]
fn type_of_service_is_that_of_the_receiving_party() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(b, |settings| settings.tos = Some(0xb8));
    assert_eq!(host.receive(a, false, ALICE, &rtp(1))[0].tos, Some(0xb8));
    assert_eq!(host.receive(b, false, BOB, &rtp(1))[0].tos, None);
}

#[test]
fn telephone_events_are_seen_once_and_can_be_blocked() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.telephone_events = PayloadTypes::EMPTY.with(101));
    let packets: Vec<_> = (0..8u16)
        .map(|n| rtp_of(101, n, 800, &[5, if n >= 5 { 0x8a } else { 10 }, 0, 160.min(n as u8 * 20)]))
        .collect();
    for packet in &packets {
        assert_eq!(host.receive(a, false, ALICE, packet), sent(&host, b, false, BOB, packet));
    }
    let event = DtmfEvent { code: 5, volume: 10, duration: 100, timestamp: 800, ssrc: 0x5eed };
    assert_eq!(host.dtmf, [(a, event)]);
    host.configure(a, |settings| settings.dtmf_blocked = true);
    assert_eq!(host.receive(a, false, ALICE, &rtp_of(101, 9, 1_600, &[6, 0x8a, 0, 160])), []);
    assert_ne!(host.receive(a, false, ALICE, &rtp(10)), []);
    assert_eq!((host.dtmf.len(), host.media.stats(a).unwrap().dtmf, host.dropped(a, Drop::Blocked)), (2, 2, 1));
    // A key that is still pressed when the call ends.
    host.receive(a, false, ALICE, &rtp_of(101, 11, 3_200, &[7, 10, 0, 160]));
    assert_eq!(host.dtmf.len(), 2);
    host.close(a);
    assert_eq!(host.dtmf[2].1.code, 7);
    // Bob's packets of that type are no events, as none are agreed with him.
    host.receive(b, false, BOB, &rtp_of(101, 1, 800, &[5, 0x80, 0, 160]));
    assert_eq!(host.dtmf.len(), 3);
}

#[test]
fn blocked_media_stays_and_its_rtcp_passes() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| settings.media_blocked = true);
    assert_eq!(host.receive(a, false, ALICE, &rtp(1)), []);
    assert_ne!(host.receive(a, true, ALICE_RTCP, &rtcp()), []);
    assert_ne!(host.receive(b, false, BOB, &rtp(1)), [], "the other way");
    let stats = host.media.stats(a).unwrap();
    assert_eq!((stats.received.packets, stats.dropped.of(Drop::Blocked), stats.last_seen), (1, 1, Some(host.now)));
    host.configure(a, |settings| settings.media_blocked = false);
    assert_ne!(host.receive(a, false, ALICE, &rtp(2)), []);
}

#[test]
fn silenced_audio_is_silence() {
    let mut host = Host::new();
    let (a, b) = host.call();
    host.configure(a, |settings| {
        settings.silenced = true;
        settings.telephone_events = PayloadTypes::EMPTY.with(101);
    });
    for (payload_type, silence) in [(0, 0xff), (8, 0xd5), (9, 0xfa), (10, 0), (11, 0)] {
        let expected = rtp_of(payload_type, 1, 1, &[silence; 40]);
        let got = host.receive(a, false, ALICE, &rtp_of(payload_type, 1, 1, &[0x55; 40]));
        assert_eq!(got, sent(&host, b, false, BOB, &expected));
    }
    // The header is longer with contributing sources and an extension.
    let header = [0x91, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9, 1, 1, 0, 1, 7, 7, 7, 7];
    let speech: Vec<u8> = header.iter().copied().chain([0x55; 20]).collect();
    let silence: Vec<u8> = header.iter().copied().chain([0xff; 20]).collect();
    assert_eq!(host.receive(a, false, ALICE, &speech), sent(&host, b, false, BOB, &silence));
    assert_eq!(host.receive(a, false, ALICE, &rtp_of(96, 2, 2, &[0x55; 40])), []);
    assert_eq!(host.dropped(a, Drop::Blocked), 1);
    let event = rtp_of(101, 3, 3, &[5, 0x80, 0, 160]);
    assert_eq!(host.receive(a, false, ALICE, &event), sent(&host, b, false, BOB, &event));
}

#[test]
fn sources_are_followed_and_the_oldest_gives_way() {
    let mut host = Host::new();
    let (a, _) = host.call();
    for round in 0..3u16 {
        for ssrc in 0..5u8 {
            // Two of them take turns all the time.
            for ssrc in [0, ssrc] {
                let mut packet = rtp(round);
                packet[11] = ssrc;
                host.receive(a, false, ALICE, &packet);
                host.wait(1);
            }
        }
    }
    let stats = host.media.stats(a).unwrap();
    assert_eq!(stats.received.packets, 30);
    assert_eq!(stats.sources().count(), SOURCES_MAX);
    let first = stats.sources().find(|source| source.ssrc() & 0xff == 0).unwrap();
    assert_eq!(first.received(), 18);
    // In every round four others pass through three places, in the order in which they came.
    assert_eq!(stats.sources_forgotten, 9);
}
