//! Calls from INVITE to BYE.

use std::time::Duration;
use std::vec::Vec;

use super::world::*;
use crate::wire::sip::transport::Transport;

#[test]
fn one_call_from_invite_to_bye() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    assert_eq!(sent.len(), 2);
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 100 Trying\r\n"));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    assert!(
        forwarded
            .text
            .starts_with("INVITE sip:2000@edge.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK")
    );
    assert_eq!(forwarded.line("Max-Forwards:"), "Max-Forwards: 69");
    assert_eq!(forwarded.line("Record-Route:"), "Record-Route: <sip:192.0.2.1:5060;lr=on;ftag=al>");

    let ringing = only(w.udp(TARGETS[0], forwarded.answer("180 Ringing", "bo", "")));
    assert_eq!(ringing.to, CALLER.parse().unwrap());
    assert!(ringing.text.starts_with("SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP 198.51.100.7:5062;branch=z9hG4bKc1\r\n"));
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "Contact: <sip:2000@203.0.113.1:5060>\r\n")));
    assert!(ok.text.starts_with("SIP/2.0 200 OK\r\n"));

    let ack = only(w.udp(CALLER, from_caller("ACK", &ok, 1, 1)));
    assert_eq!(ack.to, TARGETS[0].parse().unwrap());
    assert!(!ack.has("Route:"));
    let bye = only(w.udp(CALLER, from_caller("BYE", &ok, 1, 2)));
    assert_eq!(bye.to, TARGETS[0].parse().unwrap());
    let bye_ok = only(w.udp(TARGETS[0], bye.answer("200 OK", "", "")));
    assert_eq!(bye_ok.to, CALLER.parse().unwrap());
    assert_eq!((w.node.stats().calls_answered, w.node.stats().calls_ended), (1, 1));
    assert!(w.settle().is_empty());
    assert_eq!(w.node.fill()[3].used, 0, "the dialog is gone");
}

#[test]
fn a_retransmitted_request_gets_the_last_response() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    assert!(only(w.udp(CALLER, invite(1))).text.starts_with("SIP/2.0 100"));
    w.udp(TARGETS[0], forwarded.answer("183 Progress", "bo", ""));
    assert!(only(w.udp(CALLER, invite(1))).text.starts_with("SIP/2.0 183"));
    w.udp(TARGETS[0], forwarded.answer("486 Busy Here", "bo", ""));
    assert!(only(w.udp(CALLER, invite(1))).text.starts_with("SIP/2.0 486"));
}

#[test]
fn a_2xx_is_repeated_by_the_callee_and_passes() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let ok = to(&sent, TARGETS[0])[0].answer("200 OK", "bo", "");
    for _ in 0..3 {
        assert!(only(w.udp(TARGETS[0], &ok)).text.starts_with("SIP/2.0 200 OK"));
    }
    // Even when the transaction is no more.
    w.wait(Duration::from_secs(40));
    assert!(only(w.udp(TARGETS[0], &ok)).text.starts_with("SIP/2.0 200 OK"));
}

#[test]
fn a_final_refusal_passes_and_is_acknowledged_hop_by_hop() {
    for status in ["486 Busy Here", "404 Not Found", "603 Decline"] {
        let mut w = World::new();
        let sent = w.udp(CALLER, invite(1));
        let forwarded = to(&sent, TARGETS[0])[0].clone();
        let sent = w.udp(TARGETS[0], forwarded.answer(status, "bo", ""));
        let ack = to(&sent, TARGETS[0])[0];
        assert!(ack.text.starts_with("ACK sip:2000@edge.example SIP/2.0\r\n"));
        assert_eq!(ack.line("Via:"), forwarded.line("Via:"));
        assert_eq!(ack.line("To:"), "To: <sip:2000@edge.example>;tag=bo");
        assert!(to(&sent, CALLER)[0].text.starts_with(&std::format!("SIP/2.0 {status}\r\n")));
        // Without an ACK of the caller it is repeated: Timer G.
        let again = w.wait(Duration::from_millis(1_600));
        assert_eq!(again.iter().map(|s| s.at_ms).collect::<Vec<_>>(), [500, 1_500]);
        let caller_ack = invite(1).replace("INVITE sip", "ACK sip").replace("1 INVITE", "1 ACK");
        assert!(w.udp(CALLER, caller_ack).is_empty());
        w.settle();
        assert_eq!(w.node.stats().calls_failed, 1);
    }
}

#[test]
fn failover_on_5xx_and_408_and_silence_and_icmp() {
    for failure in ["500 Server Error", "503 Service Unavailable", "408 Request Timeout", "silence", "icmp"] {
        let mut w = World::new();
        let sent = w.udp(CALLER, invite(1));
        let first = to(&sent, TARGETS[0])[0].clone();
        let sent = match failure {
            "silence" => w.wait(Duration::from_millis(2_100)),
            "icmp" => w.undelivered(&first),
            status => w.udp(TARGETS[0], first.answer(status, "x", "")),
        };
        let second = to(&sent, TARGETS[1])[0].clone();
        assert_ne!(second.line("Via:"), first.line("Via:"), "{failure}");
        assert!(to(&sent, CALLER).is_empty(), "{failure}: the caller hears nothing of it");
        let ok = only(w.udp(TARGETS[1], second.answer("200 OK", "bo", "")));
        assert!(ok.text.starts_with("SIP/2.0 200 OK"), "{failure}");
        assert_eq!((w.node.stats().failovers, w.node.stats().calls_answered), (1, 1), "{failure}");
    }
}

#[test]
fn two_dead_targets_and_then_all_of_them() {
    let mut w = World::new();
    w.udp(CALLER, invite(1));
    let sent = w.wait(Duration::from_millis(4_100));
    let third = to(&sent, TARGETS[2])[0].clone();
    assert_eq!(third.at_ms, 4_000);
    let sent = w.udp(TARGETS[2], third.answer("500 Oops", "x", ""));
    let last = to(&sent, CALLER)[0];
    assert!(last.text.starts_with("SIP/2.0 503 All Media Servers Unavailable\r\n"), "{}", last.text);
    assert_eq!(last.line("Server:"), "Server: VoIP-Platform");
    w.settle();
    assert_eq!(w.node.stats().exhausted, 1);
}

#[test]
fn cancel_before_and_after_a_provisional_response() {
    for early in [true, false] {
        let mut w = World::new();
        let sent = w.udp(CALLER, invite(1));
        let forwarded = to(&sent, TARGETS[0])[0].clone();
        if !early {
            w.udp(TARGETS[0], forwarded.answer("180 Ringing", "bo", ""));
        }
        let cancel = invite(1).replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
        let sent = w.udp(CALLER, cancel);
        assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 200 OK"));
        let cancel = if early {
            assert!(to(&sent, TARGETS[0]).is_empty(), "no CANCEL before a provisional response");
            let sent = w.udp(TARGETS[0], forwarded.answer("100 Trying", "", ""));
            to(&sent, TARGETS[0])[0].clone()
        } else {
            to(&sent, TARGETS[0])[0].clone()
        };
        assert!(cancel.text.starts_with("CANCEL sip:2000@edge.example SIP/2.0\r\n"));
        assert_eq!(cancel.line("Via:"), forwarded.line("Via:"));
        assert!(w.udp(TARGETS[0], cancel.answer("200 OK", "bo", "")).is_empty());
        let sent = w.udp(TARGETS[0], forwarded.answer("487 Request Terminated", "bo", ""));
        assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 487"));
        assert!(to(&sent, TARGETS[0])[0].text.starts_with("ACK "));
        w.settle();
        assert_eq!(w.node.fill()[3].used, 0);
    }
}

#[test]
fn cancel_that_loses_the_race_leaves_the_call_up() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], forwarded.answer("180 Ringing", "bo", ""));
    let cancel = invite(1).replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    w.udp(CALLER, cancel);
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    assert!(ok.text.starts_with("SIP/2.0 200 OK"));
    let bye = only(w.udp(CALLER, from_caller("BYE", &ok, 1, 2)));
    assert_eq!(bye.to, TARGETS[0].parse().unwrap());
}

#[test]
fn a_cancelled_call_to_a_dead_target_ends_and_tries_no_other() {
    let mut w = World::new();
    w.udp(CALLER, invite(1));
    let cancel = invite(1).replace("INVITE sip", "CANCEL sip").replace("1 INVITE", "1 CANCEL");
    w.udp(CALLER, cancel);
    let sent = w.wait(Duration::from_millis(2_100));
    assert!(to(&sent, TARGETS[1]).is_empty());
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 487"));
    w.settle();
}

#[test]
fn no_target_no_call() {
    let mut w = World::new();
    for t in TARGETS {
        let mut cx = crate::machine::Cx { now: w.now, entropy: &mut w.entropy };
        assert_eq!(w.node.remove_target(&mut cx, 1, &std::format!("sip:{t}")), 1);
    }
    let sent = only(w.udp(CALLER, invite(1)));
    assert!(sent.text.starts_with("SIP/2.0 503 Service Unavailable — No Media Servers\r\n"));
    assert!(sent.has("Retry-After: 5"));
    assert_eq!(w.node.fill()[0].used, 0);
}

#[test]
fn a_full_table_answers_503_and_leaves_other_calls_alone() {
    let capacity = crate::node::Capacity { transactions: 2, contexts: 2, dialogs: 2, targets: 16, sets: 4 };
    let mut w = World::with(config(), &capacity);
    let first = w.udp(CALLER, invite(1));
    w.udp(CALLER, invite(2));
    let refused = only(w.udp(CALLER, invite(3)));
    assert!(refused.text.starts_with("SIP/2.0 503 "), "{}", refused.text);
    assert!(refused.has("Retry-After: 5"));
    let ok = w.udp(TARGETS[0], to(&first, TARGETS[0])[0].answer("200 OK", "bo", ""));
    assert!(only(ok).text.starts_with("SIP/2.0 200"));
    assert_eq!(w.node.stats().full, 1);
}

#[test]
fn options_and_what_is_not_taken() {
    let mut w = World::new();
    for uri in ["sip:192.0.2.1:5060", "sip:edge.example", "sip:ping@edge.example"] {
        let ok = only(w.udp(CALLER, request("OPTIONS", uri, 1, "")));
        assert!(ok.text.starts_with("SIP/2.0 200 OK"), "{uri}");
        assert!(ok.line("To:").contains(";tag="));
        assert_eq!(ok.line("Server:"), "Server: VoIP-Platform");
    }
    for (method, status, header) in [
        ("PUBLISH", "405 Method Not Allowed", "Allow: INVITE"),
        ("REGISTER", "405 Method Not Allowed", "Allow: INVITE"),
        ("BYE", "404 Not Found", "Server:"),
    ] {
        let sent = only(w.udp(CALLER, request(method, "sip:x@edge.example", 2, "")));
        assert!(sent.text.starts_with(&std::format!("SIP/2.0 {status}")), "{}", sent.text);
        assert!(sent.has(header));
    }
}

#[test]
fn large_requests_go_over_tcp_and_back_to_udp_where_that_is_refused() {
    let mut w = World::new();
    let padding = std::format!("X-Padding: {}\r\n", "x".repeat(1_300));
    let sent = w.udp(CALLER, request("INVITE", "sip:2000@edge.example", 1, &padding));
    let large = to(&sent, TARGETS[0])[0].clone();
    assert_eq!(large.transport, Transport::Tcp);
    assert!(large.line("Via:").starts_with("Via: SIP/2.0/TCP "));
    assert!(!large.line("Record-Route:").contains("transport"), "only this request goes over TCP");
    let sent = w.undelivered(&large);
    let plain = to(&sent, TARGETS[0])[0].clone();
    assert_eq!(plain.transport, Transport::Udp);
    assert!(plain.line("Via:").starts_with("Via: SIP/2.0/UDP "));
    assert!(only(w.udp(TARGETS[0], plain.answer("200 OK", "bo", ""))).text.starts_with("SIP/2.0 200"));
}

#[test]
fn a_long_tag_is_recorded_whole() {
    let addr = |port| std::format!("[2001:db8:ffff:ffff:ffff:ffff:ffff:{port}]:{port}").parse().unwrap();
    let mut config = config();
    let listeners = [Transport::Udp, Transport::Tcp].map(|transport| crate::proxy::Listener {
        transport,
        bound: US.parse().unwrap(),
        advertised: addr(if transport == Transport::Udp { 5060 } else { 5061 }),
    });
    config.locals = crate::proxy::Locals::new(&listeners, crate::store::List::EMPTY, crate::store::List::EMPTY);
    let mut w =
        World::with(config, &crate::node::Capacity { transactions: 4, contexts: 2, dialogs: 2, targets: 16, sets: 4 });
    let tag = "t".repeat(crate::limits::TAG_MAX);
    w.event(crate::node::Event::Received {
        flow: World::flow(CALLER, Transport::Tcp),
        bytes: invite(1).replace("tag=al", &std::format!("tag={tag}")).as_bytes(),
    });
    let sent = w.take();
    let forwarded = to(&sent, TARGETS[0])[0];
    let recorded: Vec<_> = forwarded.text.lines().filter(|l| l.starts_with("Record-Route:")).collect();
    assert_eq!(recorded.len(), 2);
    assert!(recorded.iter().all(|l| l.ends_with(&std::format!(";r2=on;lr=on;ftag={tag}>"))), "{recorded:?}");
}
