use std::vec::Vec;

use proptest::prelude::*;

use super::*;

fn packet(count: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut p = [0x80 | count, kind].to_vec();
    p.extend((body.len() as u16 / 4).to_be_bytes());
    p.extend(body);
    p
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_be_bytes()).collect()
}

fn sr() -> Vec<u8> {
    packet(1, SR, &words(&[1, 0xaabb, 0xccdd, 160, 50, 8_000, 2, 0x40ff_fffe, 0x1_0005, 17, 0x1234_5678, 65_536]))
}

fn rr() -> Vec<u8> {
    packet(0, RR, &words(&[1]))
}

fn kind(bytes: &[u8], start: Start) -> Result<(), ParseErrorKind> {
    Compound::parse(bytes, start).map(|_| ()).map_err(|e| e.kind)
}

#[test]
fn a_compound_of_every_kind() {
    let bye = [&words(&[1, 9])[..], b"\x07goodbye"].concat();
    let sdes = [&words(&[1])[..], b"\x01\x03a@b\x06\x01x", &[0; 4][..], &words(&[2])[..], b"\x01\x01c\0"].concat();
    let bytes = [
        sr(),
        packet(2, SDES, &sdes),
        packet(2, BYE, &bye),
        packet(5, APP, &[&words(&[1])[..], b"qtsi"].concat()),
        packet(1, RTPFB, &words(&[1, 2, 0x0001_0000])),
        packet(1, PSFB, &words(&[1, 2])),
        packet(0, 210, &words(&[7])),
    ]
    .concat();
    let compound = Compound::parse(&bytes, Start::Report).unwrap();
    assert_eq!(compound.sender(), Some(1));
    let packets: Vec<_> = compound.iter().collect();
    let [
        Packet::SenderReport { ssrc: 1, info, blocks },
        Packet::SourceDescription(items),
        Packet::Goodbye { sources, reason: b"goodbye" },
        Packet::Application { ssrc: 1, subtype: 5, name: [b'q', b't', b's', b'i'] },
        Packet::Feedback(nack),
        Packet::Feedback(pli),
        Packet::Other { kind: 210, body: [0, 0, 0, 7] },
    ] = &packets[..]
    else {
        panic!("{packets:?}");
    };
    assert_eq!(*info, SenderInfo { ntp: 0xaabb_0000_ccdd, rtp_timestamp: 160, packets: 50, bytes: 8_000 });
    assert_eq!(
        blocks.clone().collect::<Vec<_>>(),
        [ReportBlock {
            ssrc: 2,
            fraction_lost: 0x40,
            cumulative_lost: -2,
            highest_sequence: 0x1_0005,
            jitter: 17,
            last_sr: 0x1234_5678,
            delay_since_last_sr: 65_536,
        }]
    );
    let items: Vec<_> = items.clone().map(|i| (i.ssrc, i.kind, i.text)).collect();
    assert_eq!(items, [(1, 1, &b"a@b"[..]), (1, 6, b"x"), (2, 1, b"c")]);
    assert_eq!(sources.clone().collect::<Vec<_>>(), [1, 9]);
    assert_eq!((nack.payload_specific, nack.format, nack.sender, nack.media), (false, 1, 1, 2));
    assert_eq!((nack.control, pli.payload_specific, pli.control), (&[0, 1, 0, 0][..], true, &[][..]));
}

#[test]
fn items_end_with_one_to_four_zeros() {
    for len in 0..9u8 {
        let mut body = words(&[5]);
        body.extend([1, len]);
        body.extend((0..len).map(|_| b'x'));
        body.push(0);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(words(&[6]));
        body.extend(b"\x01\x01y\0");
        let bytes = packet(2, SDES, &body);
        let packets = Compound::parse(&bytes, Start::Any).unwrap().iter().next();
        let Some(Packet::SourceDescription(items)) = packets else { panic!() };
        let items: Vec<_> = items.map(|i| (i.ssrc, i.text.len())).collect();
        assert_eq!(items, [(5, usize::from(len)), (6, 1)], "{len}");
    }
}

#[test]
fn extended_reports() {
    let mut metrics = words(&[9]);
    metrics.extend([25, 12, 0, 0, 0, 0, 0, 0, 0, 80, 0, 60, 0, 0, 0, 0, 93, 127, 42, 41]);
    metrics.extend([0; 8]);
    let block = |kind: u8, data: &[u8]| [&[kind, 0, 0, data.len() as u8 / 4][..], data].concat();
    let body = [words(&[1]), block(4, &[0; 8]), block(7, &metrics)].concat();
    let bytes = [rr(), packet(0, XR, &body)].concat();
    let compound = Compound::parse(&bytes, Start::Report).unwrap();
    let Some(Packet::ExtendedReport { ssrc: 1, blocks }) = compound.iter().nth(1) else { panic!() };
    let blocks: Vec<_> = blocks.collect();
    assert_eq!((blocks.len(), blocks[0].voip_metrics()), (2, None));
    assert_eq!(
        blocks[1].voip_metrics(),
        Some(VoipMetrics {
            ssrc: 9,
            loss_rate: 25,
            discard_rate: 12,
            round_trip_ms: 80,
            end_system_ms: 60,
            r_factor: Some(93),
            mos_lq_tenths: Some(42),
            mos_cq_tenths: Some(41),
        })
    );
}

/// RFC 3550 §A.2, row by row.
#[test]
fn compounds_are_validated() {
    use ParseErrorKind::{Syntax, Truncated, Version};
    assert_eq!(kind(&rr(), Start::Report), Ok(()));
    assert_eq!(kind(&[], Start::Report), Err(Truncated));
    assert_eq!(kind(&rr()[..3], Start::Report), Err(Truncated));
    assert_eq!(kind(&rr()[..4], Start::Report), Err(Truncated));
    let mut version = rr();
    version[0] = 0x40;
    assert_eq!(kind(&version, Start::Report), Err(Version));
    // The first is a report, unless reduced size is agreed.
    let bye = packet(1, BYE, &words(&[1]));
    assert_eq!(kind(&bye, Start::Report), Err(Syntax("RTCP compound")));
    assert_eq!(kind(&bye, Start::Any), Ok(()));
    // Lengths add up.
    assert_eq!(kind(&[rr(), bye[..4].to_vec()].concat(), Start::Report), Err(Truncated));
    assert_eq!(kind(&[rr(), [0; 3].to_vec()].concat(), Start::Report), Err(Truncated));
    // Padding in the last packet only, a multiple of 4 that fits.
    let padded = |mut p: Vec<u8>, last: u8| {
        p[0] |= 0x20;
        p[3] += 1;
        p.extend([0, 0, 0, last]);
        p
    };
    assert_eq!(kind(&[rr(), padded(bye.clone(), 4)].concat(), Start::Report), Ok(()));
    assert_eq!(kind(&[rr(), padded(bye.clone(), 4), bye.clone()].concat(), Start::Report), Err(Syntax("RTCP padding")));
    for bad in [0, 3, 5, 12, 255] {
        assert_eq!(
            kind(&[rr(), padded(bye.clone(), bad)].concat(), Start::Report),
            Err(Syntax("RTCP padding")),
            "{bad}"
        );
    }
    // What is padding is no source: the BYE is too short then.
    assert_eq!(kind(&[rr(), padded(bye, 8)].concat(), Start::Report), Err(Syntax("RTCP length")));
    // Counts fit.
    for (count, kind_of, body) in
        [(0, SR, 20), (1, SR, 44), (0, RR, 0), (1, RR, 24), (2, BYE, 4), (0, APP, 4), (1, PSFB, 4)]
    {
        let bytes = [rr(), packet(count, kind_of, &[0; 64][..body])].concat();
        assert_eq!(kind(&bytes, Start::Report), Err(Syntax("RTCP length")), "{kind_of}");
    }
}

proptest! {
    /// Whatever passes the check is walked to its end.
    #[test]
    fn walking_never_fails(
        packets in proptest::collection::vec((0u8..32, 198u8..210, proptest::collection::vec(any::<u32>(), 0..30)), 1..5),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut bytes: Vec<u8> = packets.iter().flat_map(|(count, kind, body)| packet(*count, *kind, &words(body))).collect();
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(compound) = Compound::parse(&bytes, Start::Any) {
            let mut walked = 0;
            for packet in compound.iter() {
                walked += 1;
                match packet {
                    Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => {
                        prop_assert_eq!(usize::from(blocks.left), blocks.count());
                    }
                    Packet::SourceDescription(items) => drop(items.count()),
                    Packet::Goodbye { sources, .. } => drop(sources.count()),
                    Packet::ExtendedReport { blocks, .. } => blocks.for_each(|b| {
                        b.voip_metrics();
                    }),
                    _ => {}
                }
            }
            if damage.is_none() {
                prop_assert_eq!(walked, packets.len());
            }
        }
    }
}
