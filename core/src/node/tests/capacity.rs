//! Tables that are full, limits of targets, messages that are too large.

use std::string::String;
use std::vec::Vec;

use super::world::*;
use crate::dispatcher::{Attrs, TargetConfig};
use crate::node::Capacity;

fn targets(attrs: Attrs) -> Vec<TargetConfig<'static>> {
    ["sip:203.0.113.1:5060", "sip:203.0.113.2:5060"]
        .iter()
        .zip(TARGETS)
        .map(|(uri, addr)| TargetConfig { attrs, ..TargetConfig::new(1, uri, addr.parse().unwrap()) })
        .collect()
}

/// Which target an INVITE went to, or the first line of the answer.
fn went(w: &mut World, n: u32) -> String {
    let sent = w.udp(CALLER, invite(n));
    match TARGETS.iter().find(|t| !to(&sent, t).is_empty()) {
        Some(t) => String::from(*t),
        None => String::from(sent[0].text.lines().next().unwrap()),
    }
}

#[test]
fn a_target_takes_as_many_calls_as_it_may() {
    let mut w = World::with_targets(config(), &CAPACITY, &targets(Attrs { maxload: 1, ..Attrs::default() }));
    assert_eq!(went(&mut w, 1), TARGETS[0]);
    assert_eq!(w.loads(), [1, 0]);
    let sent = w.udp(CALLER, invite(2));
    w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("180 Ringing", "t1", ""));
    assert_eq!(went(&mut w, 3), "SIP/2.0 503 Service Unavailable — Media Servers Busy");
    // One call ends, and its place is free.
    w.udp(CALLER, cancel_of(&invite(1)));
    w.wait(core::time::Duration::from_secs(2));
    assert_eq!(w.loads(), [0, 1]);
    assert_eq!(w.node.stats().no_target, 1);
}

#[test]
fn the_call_over_the_rate_goes_elsewhere() {
    let mut w = World::with_targets(config(), &CAPACITY, &targets(Attrs { cps: 3, ..Attrs::default() }));
    let went_to: Vec<_> = (1..=7).map(|n| went(&mut w, n)).collect();
    assert_eq!(went_to[..6], [TARGETS[0], TARGETS[0], TARGETS[0], TARGETS[1], TARGETS[1], TARGETS[1]]);
    assert!(went_to[6].contains("Media Servers Busy"));
    w.wait(core::time::Duration::from_secs(1));
    assert_eq!(went(&mut w, 8), TARGETS[0]);
}

#[test]
fn option_tags_a_target_does_not_know_are_not_offered_to_it() {
    let attrs = Attrs { strip_100rel: true, strip_timer: true, ..Attrs::default() };
    let fields = "Supported: 100rel, timer, replaces\r\nRequire: 100rel\r\nk: TIMER\r\nSession-Expires: 1800\r\n\
                  Min-SE: 90\r\n";
    let invite = request("INVITE", "sip:2000@edge.example", 1, fields);
    let mut w = World::with_targets(config(), &CAPACITY, &targets(attrs));
    let sent = w.udp(CALLER, &invite);
    let got = to(&sent, TARGETS[0])[0];
    assert_eq!(got.line("Supported:"), "Supported: replaces");
    for gone in ["Require:", "k:", "Session-Expires:", "Min-SE:"] {
        assert!(!got.has(gone), "{gone}");
    }
    let mut w = World::with_targets(config(), &CAPACITY, &targets(Attrs::default()));
    let sent = w.udp(CALLER, &invite);
    assert!(to(&sent, TARGETS[0])[0].text.contains(fields));
}

/// Each table in turn is the smallest one.
#[test]
fn whatever_is_full_answers_503_and_leaks_nothing() {
    let large = Capacity { transactions: 64, contexts: 64, dialogs: 64, targets: 16, sets: 4 };
    for (what, capacity) in [
        ("transactions", Capacity { transactions: 3, ..large }),
        ("contexts", Capacity { contexts: 3, ..large }),
        ("dialogs", Capacity { dialogs: 3, ..large }),
    ] {
        let mut w = World::with(config(), &capacity);
        let mut sent = Vec::new();
        for n in 1..=3 {
            sent.push(w.udp(CALLER, invite(n)));
        }
        for n in 4..=6 {
            let refused = only(w.udp(CALLER, invite(n)));
            assert!(refused.text.starts_with("SIP/2.0 503 Service Unavailable\r\n"), "{what}: {}", refused.text);
            assert_eq!(refused.line("Retry-After:"), "Retry-After: 5");
        }
        assert_eq!(w.node.stats().full, 3, "{what}");
        // The calls that are there go on, and when they end there is room again.
        for (n, sent) in (1..).zip(&sent) {
            let last = w.udp(TARGETS[0], to(sent, TARGETS[0])[0].answer("486 Busy", "x", ""));
            assert!(to(&last, CALLER)[0].text.starts_with("SIP/2.0 486"), "{what}");
            w.udp(CALLER, ack_of(&invite(n)));
        }
        w.settle();
        let sent = w.udp(CALLER, invite(7));
        assert_eq!(to(&sent, TARGETS[0]).len(), 1, "{what}");
    }
}

#[test]
fn a_full_table_of_client_transactions_fails_the_branch_and_not_the_target() {
    // The first call takes two client transactions, as its first target is still watched.
    let mut w = World::with(config(), &Capacity { transactions: 2, ..CAPACITY });
    w.udp(CALLER, invite(1));
    w.wait(core::time::Duration::from_secs(2));
    assert_eq!(w.node.fill()[1].used, 2);
    let sent = w.udp(CALLER, invite(2));
    let last = to(&sent, CALLER).into_iter().find(|m| m.text.starts_with("SIP/2.0 503")).cloned();
    assert!(last.is_some(), "{sent:?}");
    assert_eq!(last.unwrap().line("Retry-After:"), "Retry-After: 5");
    assert_eq!((w.node.stats().full, w.node.stats().exhausted), (1, 0));
    assert_eq!(w.reports.iter().filter(|r| r.starts_with("TargetFailed")).count(), 1, "of the first call");
}

#[test]
fn a_request_that_is_relayed_finds_no_room_either() {
    let mut w = World::with(config(), &Capacity { transactions: 2, ..CAPACITY });
    w.udp(CALLER, invite(1));
    w.wait(core::time::Duration::from_secs(2));
    let sent = w.udp(CALLER, request("INFO", "sip:bob@203.0.113.9:5070", 2, ""));
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 503 Service Unavailable\r\n"), "{sent:?}");
    assert_eq!(to(&sent, CALLER)[0].line("Retry-After:"), "Retry-After: 5");
    assert_eq!(w.node.stats().full, 1);
}

#[test]
fn a_full_pool_of_messages_answers_503() {
    // Large messages have few blocks: 16 here.
    let mut w = World::new();
    let large = |n| request("INVITE", "sip:2000@edge.example", n, &std::format!("X: {}\r\n", "y".repeat(20_000)));
    let mut refused = 0;
    for n in 1..=20 {
        let sent = w.udp(CALLER, large(n));
        refused += to(&sent, CALLER).iter().filter(|m| m.text.starts_with("SIP/2.0 503")).count();
    }
    assert!(refused >= 4, "{refused}");
    let fill = w.node.fill()[4];
    assert!(0 < fill.used && fill.used <= fill.high_water && fill.high_water <= fill.capacity, "{fill:?}");
    w.settle();
    assert_eq!((w.node.fill()[4].used, w.node.fill()[4].high_water >= fill.used), (0, true));
}

#[test]
fn a_message_that_cannot_grow_any_more() {
    let mut w = World::new();
    let room = crate::limits::MESSAGE_MAX - request("INVITE", "sip:2000@edge.example", 1, "X: \r\n").len();
    let largest = request("INVITE", "sip:2000@edge.example", 1, &std::format!("X: {}\r\n", "y".repeat(room)));
    assert_eq!(largest.len(), crate::limits::MESSAGE_MAX);
    let sent = w.udp(CALLER, &largest);
    assert!(sent.iter().any(|m| m.text.starts_with("SIP/2.0 503")), "no branch could be started");
    assert!(w.node.stats().too_large > 0);
    // Within a dialog there is no state: 513.
    let uri = "sip:bob@203.0.113.9:5070";
    let info = |n: usize| {
        let fields = std::format!("Route: <sip:192.0.2.1:5060;lr>\r\nX: {}\r\n", "y".repeat(n));
        with(&request("INFO", uri, 2, &fields), "edge.example>", "edge.example>;tag=bo")
    };
    let sent = only(w.udp(CALLER, info(crate::limits::MESSAGE_MAX - info(0).len())));
    assert!(sent.text.starts_with("SIP/2.0 513 "), "{:.80}", sent.text);
}

#[test]
fn what_is_larger_than_any_message_is_dropped() {
    let mut w = World::new();
    let noise = "x".repeat(crate::limits::MESSAGE_MAX + 1);
    assert!(w.udp(CALLER, noise).is_empty());
    assert_eq!(w.node.stats().malformed, 1);
}

#[test]
fn a_request_with_as_many_fields_as_are_taken_is_acknowledged_and_cancelled() {
    let taken = crate::limits::HEADERS_MAX - invite(1).lines().count() + 2;
    let fields: String = (0..taken).map(|n| std::format!("X-{n}: y\r\n")).collect();
    let invite = with(&invite(1), "Contact:", &std::format!("{fields}Contact:"));
    let mut w = World::new();
    let sent = w.udp(CALLER, &invite);
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], forwarded.answer("180 Ringing", "bo", ""));
    let sent = w.udp(CALLER, cancel_of(&invite));
    assert!(to(&sent, TARGETS[0])[0].text.starts_with("CANCEL "));
    let sent = w.udp(TARGETS[0], forwarded.answer("487 Request Terminated", "bo", ""));
    assert!(to(&sent, TARGETS[0])[0].text.starts_with("ACK "));
    let one_more = with(&invite, "Contact:", "X: y\r\nContact:");
    assert!(only(w.udp(CALLER, with(&one_more, "c1", "c2"))).text.starts_with("SIP/2.0 400 "));
}
