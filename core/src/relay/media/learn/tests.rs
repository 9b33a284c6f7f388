use std::vec::Vec;

use super::*;

const SDP: &str = "192.0.2.10:4000";
const NATTED: &str = "192.0.2.10:61000";
const SIGNALLING: &str = "198.51.100.7:4444";
const SAME_PORT: &str = "203.0.113.66:4000";
const ATTACKER: &str = "203.0.113.66:6666";

fn at(ms: u64) -> Instant {
    Instant::from_millis(1_000_000 + ms)
}

fn rules(learning: Learning, admit: Admit) -> Rules {
    Rules {
        learning,
        admit,
        handover: false,
        received_from: Some("198.51.100.7".parse().unwrap()),
        companion: None,
        delay: Duration::from_secs(3),
    }
}

fn signalled() -> Path {
    let mut path = Path::NEW;
    assert!(path.signal(Some(SDP.parse().unwrap())));
    path
}

/// Plays packets at (milliseconds, source); shows which are taken.
fn play(path: &mut Path, rules: &Rules, packets: &[(u64, &str)]) -> Vec<bool> {
    packets
        .iter()
        .map(|(ms, from)| {
            let from = from.parse().unwrap();
            match path.judge(rules, &from, at(*ms)) {
                Verdict::Known => true,
                Verdict::Learn(lesson) => {
                    path.learn(lesson, from, at(*ms));
                    true
                }
                Verdict::Refused => false,
            }
        })
        .collect()
}

/// (learned, fixed)
fn learned(path: &Path) -> Option<(std::string::String, bool)> {
    path.learned().map(|(source, fixed)| (std::format!("{source}"), fixed))
}

type Row<'r> = (&'r str, Learning, Admit, &'r [(u64, &'r str)], &'r [bool], Option<(&'r str, bool)>, &'r str);

/// Name, policy, who is admitted, packets, which are taken, what is learned, where packets go.
const ROWS: &[Row<'_>] = &[
    // Who may be the first.
    ("own address", Learning::Delayed, Admit::Exact, &[(0, SDP)], &[true], Some((SDP, true)), SDP),
    ("other port, exact", Learning::Delayed, Admit::Exact, &[(0, NATTED)], &[false], None, SDP),
    ("other port", Learning::Delayed, Admit::Signalled, &[(0, NATTED)], &[true], Some((NATTED, false)), NATTED),
    (
        "signalling",
        Learning::Delayed,
        Admit::Signalled,
        &[(0, SIGNALLING)],
        &[true],
        Some((SIGNALLING, false)),
        SIGNALLING,
    ),
    ("spoofed before", Learning::Delayed, Admit::Signalled, &[(0, ATTACKER)], &[false], None, SDP),
    ("spoofed, signalled port", Learning::Delayed, Admit::Signalled, &[(0, SAME_PORT)], &[false], None, SDP),
    (
        "spoofed, immediate",
        Learning::Immediate,
        Admit::Signalled,
        &[(0, ATTACKER), (1, NATTED)],
        &[false, true],
        Some((NATTED, true)),
        NATTED,
    ),
    ("spoofed, heuristic", Learning::Heuristic, Admit::Signalled, &[(0, ATTACKER)], &[false], None, SDP),
    ("anywhere", Learning::Delayed, Admit::Anywhere, &[(0, ATTACKER)], &[true], Some((ATTACKER, false)), ATTACKER),
    // Delayed: changes are taken until three seconds after the first packet.
    (
        "change in time",
        Learning::Delayed,
        Admit::Signalled,
        &[(0, NATTED), (2_999, SIGNALLING)],
        &[true, true],
        Some((SIGNALLING, false)),
        SIGNALLING,
    ),
    (
        "change too late",
        Learning::Delayed,
        Admit::Signalled,
        &[(0, NATTED), (3_000, SIGNALLING), (3_001, NATTED)],
        &[true, false, true],
        Some((NATTED, true)),
        NATTED,
    ),
    (
        "the window does not slide",
        Learning::Delayed,
        Admit::Signalled,
        &[(0, NATTED), (2_000, SDP), (4_000, NATTED), (4_001, SDP)],
        &[true, true, false, true],
        Some((SDP, true)),
        SDP,
    ),
    (
        "fixed",
        Learning::Delayed,
        Admit::Signalled,
        &[(0, NATTED), (3_000, NATTED), (3_001, SDP)],
        &[true, true, false],
        Some((NATTED, true)),
        NATTED,
    ),
    (
        "bleed after learning",
        Learning::Delayed,
        Admit::Anywhere,
        &[(0, NATTED), (3_000, NATTED), (3_020, ATTACKER), (9_000, SAME_PORT)],
        &[true, true, false, false],
        Some((NATTED, true)),
        NATTED,
    ),
    // Immediate: the first is fixed.
    (
        "second sender",
        Learning::Immediate,
        Admit::Anywhere,
        &[(0, NATTED), (1, ATTACKER), (2, SDP)],
        &[true, false, false],
        Some((NATTED, true)),
        NATTED,
    ),
    // Off: nothing is learned.
    (
        "off",
        Learning::Off,
        Admit::Signalled,
        &[(0, NATTED), (1, SDP), (2, SIGNALLING), (3, ATTACKER)],
        &[true, true, true, false],
        None,
        SDP,
    ),
    ("off, exact", Learning::Off, Admit::Exact, &[(0, NATTED), (1, SDP)], &[false, true], None, SDP),
    ("off, anywhere", Learning::Off, Admit::Anywhere, &[(0, ATTACKER)], &[true], None, SDP),
    // Heuristic: only what fits as well or better takes over.
    (
        "best first",
        Learning::Heuristic,
        Admit::Anywhere,
        &[(0, SDP), (1, NATTED)],
        &[true, false],
        Some((SDP, true)),
        SDP,
    ),
    (
        "worst to best",
        Learning::Heuristic,
        Admit::Anywhere,
        &[(0, ATTACKER), (1, SAME_PORT), (2, SIGNALLING), (3, NATTED), (4, SDP)],
        &[true; 5],
        Some((SDP, true)),
        SDP,
    ),
    (
        "no way down",
        Learning::Heuristic,
        Admit::Anywhere,
        &[(0, NATTED), (1, SIGNALLING), (2, SAME_PORT), (3, ATTACKER)],
        &[true, false, false, false],
        Some((NATTED, false)),
        NATTED,
    ),
    (
        "as good",
        Learning::Heuristic,
        Admit::Signalled,
        &[(0, NATTED), (1, "192.0.2.10:61001")],
        &[true, true],
        Some(("192.0.2.10:61001", false)),
        "192.0.2.10:61001",
    ),
    (
        "better but late",
        Learning::Heuristic,
        Admit::Signalled,
        &[(0, SIGNALLING), (3_000, SDP)],
        &[true, false],
        Some((SIGNALLING, false)),
        SIGNALLING,
    ),
];

#[test]
fn policies_against_sources() {
    for (name, learning, admit, packets, taken, known, goes_to) in ROWS {
        let mut path = signalled();
        assert_eq!(play(&mut path, &rules(*learning, *admit), packets), *taken, "{name}");
        assert_eq!(learned(&path), known.map(|(source, fixed)| (source.into(), fixed)), "{name}");
        let follow = *learning != Learning::Off;
        assert_eq!(path.destination(follow), Some(goes_to.parse().unwrap()), "{name}");
    }
}

#[test]
fn nobody_is_taken_before_the_party_is_known() {
    for admit in [Admit::Exact, Admit::Signalled, Admit::Anywhere] {
        for learning in [Learning::Delayed, Learning::Immediate, Learning::Off, Learning::Heuristic] {
            let mut path = Path::NEW;
            let taken = play(&mut path, &rules(learning, admit), &[(0, SDP), (1, SIGNALLING), (2, ATTACKER)]);
            assert_eq!(taken, [false; 3]);
            assert_eq!((learned(&path), path.destination(true)), (None, None));
        }
    }
}

#[test]
fn handover_lets_admitted_sources_take_over_at_any_time() {
    let rules = Rules { handover: true, ..rules(Learning::Immediate, Admit::Signalled) };
    let mut path = signalled();
    let packets = [(0, SDP), (10_000, NATTED), (20_000, SIGNALLING), (30_000, ATTACKER)];
    assert_eq!(play(&mut path, &rules, &packets), [true, true, true, false]);
    assert_eq!(path.destination(true), Some(SIGNALLING.parse().unwrap()));
    assert_eq!(path.settle(true, true), None, "it may change again");
}

#[test]
fn another_signalled_address_starts_over_and_the_same_does_not() {
    let rules = rules(Learning::Immediate, Admit::Signalled);
    let mut path = signalled();
    play(&mut path, &rules, &[(0, NATTED)]);
    assert!(!path.signal(Some(SDP.parse().unwrap())));
    assert_eq!(learned(&path), Some((NATTED.into(), true)));
    assert!(path.signal(Some("192.0.2.99:5000".parse().unwrap())));
    assert_eq!(path.destination(true), Some("192.0.2.99:5000".parse().unwrap()));
    let packets = [(1, NATTED), (2, ATTACKER), (3, "192.0.2.99:7777"), (4, "192.0.2.99:5000")];
    assert_eq!(play(&mut path, &rules, &packets), [false, false, true, false]);
    path.forget();
    assert_eq!(play(&mut path, &rules, &[(5, "192.0.2.99:5000")]), [true]);
}

#[test]
fn a_signal_reopens_what_is_fixed_and_keeps_it_until_another_comes() {
    let rules_of = |learning| rules(learning, Admit::Signalled);
    let mut path = signalled();
    path.reopen();
    let delayed = rules_of(Learning::Delayed);
    play(&mut path, &delayed, &[(0, NATTED), (3_000, NATTED), (3_001, SDP)]);
    assert_eq!(learned(&path), Some((NATTED.into(), true)));
    assert_eq!(path.settle(true, false), Some(Some(NATTED.parse().unwrap())));
    path.reopen();
    assert_eq!(path.settle(true, false), Some(None), "it may change again");
    assert_eq!(path.destination(true), Some(NATTED.parse().unwrap()));
    // However long the party is silent, the time runs from its next packet.
    let packets = [(60_000, NATTED), (60_001, ATTACKER), (62_999, SDP), (63_000, NATTED), (63_001, SDP)];
    assert_eq!(play(&mut path, &delayed, &packets), [true, false, true, false, true]);
    assert_eq!(learned(&path), Some((SDP.into(), true)));
    path.reopen();
    assert_eq!(play(&mut path, &delayed, &[(90_000, SIGNALLING), (93_000, SIGNALLING)]), [true, true]);
    assert_eq!(learned(&path), Some((SIGNALLING.into(), true)));

    // The first is fixed, be it the old one or another.
    let immediate = rules_of(Learning::Immediate);
    for (first, other) in [(NATTED, SDP), (SDP, NATTED)] {
        let mut path = signalled();
        play(&mut path, &immediate, &[(0, NATTED)]);
        path.reopen();
        assert_eq!(play(&mut path, &immediate, &[(1, ATTACKER), (2, first), (3, other)]), [false, true, false]);
        assert_eq!(learned(&path), Some((first.into(), true)));
    }

    // The address that fits best is fixed at once.
    let heuristic = rules_of(Learning::Heuristic);
    let mut path = signalled();
    play(&mut path, &heuristic, &[(0, SDP)]);
    path.reopen();
    assert_eq!(play(&mut path, &heuristic, &[(1, NATTED), (2, SDP), (3, NATTED)]), [false, true, false]);
    assert_eq!(learned(&path), Some((SDP.into(), true)));
}

#[test]
fn hold_takes_and_sends_nothing() {
    for hold in ["0.0.0.0:4000", "192.0.2.10:0", "[::]:4000"] {
        let mut path = signalled();
        let rules = rules(Learning::Immediate, Admit::Signalled);
        play(&mut path, &rules, &[(0, SDP)]);
        assert!(path.settle(true, false).is_some());
        assert!(path.signal(Some(hold.parse().unwrap())));
        assert_eq!(path.settle(true, false), Some(None));
        // Music may come from the one who holds, but nothing goes there.
        assert_eq!(play(&mut path, &rules, &[(1, SIGNALLING)]), [true]);
        assert_eq!((path.destination(true), path.settle(true, false)), (None, None), "{hold}");
    }
}

#[test]
fn rtcp_has_to_come_from_where_rtp_comes_from() {
    let from_rtp = Some("192.0.2.10".parse().unwrap());
    for admit in [Admit::Signalled, Admit::Anywhere] {
        let rules = Rules { companion: from_rtp, ..rules(Learning::Delayed, admit) };
        let taken = play(&mut signalled(), &rules, &[(0, ATTACKER), (1, SIGNALLING), (2, NATTED), (3, SDP)]);
        assert_eq!(taken, [false, false, true, true]);
    }
    let elsewhere = Rules { companion: "198.51.100.7".parse().ok(), ..rules(Learning::Delayed, Admit::Signalled) };
    assert_eq!(play(&mut signalled(), &elsewhere, &[(0, NATTED), (1, SIGNALLING), (2, SDP)]), [false, true, true]);
    let exact = Rules { companion: from_rtp, ..rules(Learning::Delayed, Admit::Exact) };
    assert_eq!(play(&mut signalled(), &exact, &[(0, NATTED), (1, SDP)]), [false, true]);
}

#[test]
fn runtime_hears_of_a_peer_once_it_is_fixed() {
    let rules = rules(Learning::Delayed, Admit::Signalled);
    let mut path = signalled();
    play(&mut path, &rules, &[(0, NATTED)]);
    assert_eq!(path.settle(true, false), None);
    play(&mut path, &rules, &[(3_000, NATTED)]);
    assert_eq!(path.settle(false, false), None, "packets go elsewhere");
    assert_eq!(path.settle(true, false), Some(Some(NATTED.parse().unwrap())));
    assert_eq!(path.settle(true, false), None, "once");
    path.forget();
    assert_eq!(path.settle(true, false), Some(None));
}

#[test]
fn flow_labels_and_families_do_not_confuse() {
    let mut path = Path::NEW;
    path.signal(Some("[2001:db8::1]:4000".parse().unwrap()));
    let rules = rules(Learning::Immediate, Admit::Exact);
    let labelled = SocketAddr::V6(core::net::SocketAddrV6::new("2001:db8::1".parse().unwrap(), 4000, 7, 0));
    assert!(matches!(path.judge(&rules, &labelled, at(0)), Verdict::Learn(_)));
    assert_eq!(path.judge(&rules, &"192.0.2.1:4000".parse().unwrap(), at(0)), Verdict::Refused);
    assert!(!same(&"192.0.2.1:4000".parse().unwrap(), &"[::ffff:192.0.2.1]:4000".parse().unwrap()));
}
