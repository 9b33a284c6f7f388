//! What is checked before anything is done (RFC 3261 §16.3).

use std::string::{String, ToString};

use super::world::*;

/// What a request is answered with; empty if it is forwarded.
fn verdict(w: &mut World, message: &str) -> String {
    let sent = w.udp(CALLER, message);
    if sent.iter().any(|m| m.to != CALLER.parse().unwrap()) {
        return String::new();
    }
    let answer = only(sent).text;
    answer.lines().next().unwrap().strip_prefix("SIP/2.0 ").unwrap().to_string()
}

#[test]
fn max_forwards_row_by_row() {
    let rows = [
        ("Max-Forwards: 70\r\n", "", "Max-Forwards: 69"),
        ("Max-Forwards: 1\r\n", "", "Max-Forwards: 0"),
        ("Max-Forwards: 255\r\n", "", "Max-Forwards: 254"),
        ("", "", "Max-Forwards: 10"),
        ("Max-Forwards: 0\r\n", "483 Too Many Hops", ""),
        ("Max-Forwards: 256\r\n", "400 Malformed Max-Forwards", ""),
        ("Max-Forwards: +5\r\n", "400 Malformed Max-Forwards", ""),
        ("Max-Forwards: -1\r\n", "400 Malformed Max-Forwards", ""),
        ("Max-Forwards: x\r\n", "400 Malformed Max-Forwards", ""),
        ("Max-Forwards:\r\n", "400 Malformed Max-Forwards", ""),
        ("Max-Forwards: 70\r\nMax-Forwards: 70\r\n", "400 Bad Request", ""),
    ];
    for (field, expected, forwarded) in rows {
        let mut w = World::new();
        let message = with(&invite(1), "Max-Forwards: 70\r\n", field);
        if expected.is_empty() {
            let sent = w.udp(CALLER, &message);
            assert_eq!(to(&sent, TARGETS[0])[0].line("Max-Forwards:"), forwarded, "{field}");
        } else {
            assert_eq!(verdict(&mut w, &message), expected, "{field}");
        }
    }
}

#[test]
fn an_ack_that_went_too_far_is_dropped() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let ok = only(w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("200 OK", "bo", "")));
    let ack = from_caller("ACK", &ok, 1, 1);
    assert!(w.udp(CALLER, with(&ack, "Max-Forwards: 70", "Max-Forwards: 0")).is_empty());
    assert_eq!(w.udp(CALLER, ack).len(), 1);
}

/// An INVITE with one thing changed, and the answer.
#[test]
fn requests_that_are_not_taken() {
    let rows = [
        ("From: <sip:alice@a.example>;tag=al", "From: <sip:alice@a.example", "400 Malformed From"),
        ("To: <sip:2000@edge.example>", "To: \"open <sip:2000@edge.example>", "400 Malformed To"),
        ("CSeq: 1 INVITE", "CSeq: 1 OPTIONS", "400 "),
        ("CSeq: 1 INVITE", "CSeq: 99999999999 INVITE", "400 "),
        ("CSeq: 1 INVITE", "CSeq: one INVITE", "400 "),
        ("Call-ID: call1\r\n", "", "400 "),
        ("Call-ID: call1\r\n", "Call-ID: call1\r\ni: call1\r\n", "400 "),
        ("Call-ID: call1", "Call-ID:", "400 Malformed Call-ID"),
        ("From: <sip:alice@a.example>;tag=al\r\n", "", "400 "),
        ("Content-Length: 0", "Content-Length: 5", "400 "),
        ("Content-Length: 0", "Content-Length: -1", "400 "),
        ("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 1", "400 "),
        ("INVITE sip:", "INVITE foo:", "416 Unsupported URI Scheme"),
        ("INVITE sip:2000@edge.example", "INVITE http://edge.example", "416 Unsupported URI Scheme"),
        ("INVITE sip:2000@edge.example", "INVITE sip:", "400 Malformed Request-URI"),
        (" SIP/2.0\r\nVia", " SIP/3.0\r\nVia", "505 Version Not Supported"),
        ("Via: SIP/2.0/UDP", "Via: SIP/3.0/UDP", "505 Version Not Supported"),
        ("Via: SIP/2.0/UDP 198.51.100.7:5062", "Via: SIP/2.0/UDP 198.51.100.7:0", "400 Malformed Via"),
        ("Contact:", "Authorization: Digest username=\"alice, realm=\r\nContact:", "400 Malformed Credentials"),
        ("Contact:", "Proxy-Require: foo\r\nContact:", "420 Bad Extension"),
    ];
    for (from, to, expected) in rows {
        let mut w = World::new();
        let got = verdict(&mut w, &with(&invite(1), from, to));
        assert!(got.starts_with(expected), "{to:?}: {got:?}, not {expected:?}");
        assert_eq!(w.node.fill()[0].used, 0, "{to:?}: no transaction for it");
    }
}

/// An INVITE with one thing changed that is no reason to refuse it.
#[test]
fn requests_that_are_taken_all_the_same() {
    let rows = [
        ("Contact:", "Require: foo\r\nContact:"),
        ("Contact:", "Proxy-Require:\r\nContact:"),
        ("Contact:", "Authorization: Nonsense x y z\r\nContact:"),
        ("Contact:", "Date: yesterday\r\nContact:"),
        ("INVITE sip:2000@edge.example", "INVITE tel:+15551234"),
        ("From: <sip:alice@a.example>;tag=al", "From: sip:alice@a.example;tag=al"),
        ("To: <sip:2000@edge.example>", "To: isbn:2983792873"),
        ("Call-ID: call1", "i: call1"),
        ("From: ", "\r\n f\t:\r\n\t"),
    ];
    for (from, to) in rows {
        let mut w = World::new();
        let message = if to.starts_with("\r\n f") {
            with(&invite(1), "From: ", "f\t:\r\n\t")
        } else {
            with(&invite(1), from, to)
        };
        assert_eq!(verdict(&mut w, &message), "", "{to:?}");
    }
}

#[test]
fn a_420_lists_all_that_is_not_understood() {
    let mut w = World::new();
    let message = with(&invite(1), "Contact:", "Proxy-Require:\r\nProxy-Require: a, b\r\nProxy-Require: c\r\nContact:");
    let sent = only(w.udp(CALLER, message));
    let lines: std::vec::Vec<_> = sent.text.lines().filter(|l| l.starts_with("Unsupported:")).collect();
    assert_eq!(lines, ["Unsupported: a, b", "Unsupported: c"]);
}

#[test]
fn leading_line_ends_and_keep_alives() {
    let mut w = World::new();
    for keep_alive in ["", "\r\n", "\r\n\r\n", "\0", "\0\0\0\0"] {
        assert!(w.udp(CALLER, keep_alive).is_empty());
    }
    assert_eq!(w.node.stats().malformed, 0);
    let sent = w.udp(CALLER, std::format!("\r\n\r\n{}", invite(1)));
    assert!(to(&sent, TARGETS[0])[0].text.starts_with("INVITE sip:2000@edge.example SIP/2.0\r\n"));
    // Also when it is sent again from store.
    let sent = w.wait(core::time::Duration::from_secs(2));
    assert!(to(&sent, TARGETS[1])[0].text.starts_with("INVITE sip:2000@edge.example SIP/2.0\r\n"));
}

#[test]
fn malformed_acks_and_responses_are_never_answered() {
    let mut w = World::new();
    let ack = ack_of(&invite(1));
    for (from, to) in [
        ("CSeq: 1 ACK", "CSeq: 1 BYE"),
        ("Call-ID: call1\r\n", ""),
        ("ACK sip:", "ACK foo:"),
        (" SIP/2.0\r\n", " SIP/9\r\n"),
    ] {
        assert!(w.udp(CALLER, with(&ack, from, to)).is_empty(), "{to}");
    }
    for response in ["SIP/2.0 200 OK\r\n\r\n", "SIP/2.0 9999 X\r\nVia: SIP/2.0/UDP a\r\n\r\n", "SIP/2.0\r\n\r\n"] {
        assert!(w.udp(CALLER, response).is_empty(), "{response}");
    }
    assert_eq!(w.node.stats().malformed, 7);
}

#[test]
fn every_answer_made_here_says_what_we_are() {
    let mut w = World::new();
    let sent = only(w.udp(CALLER, request("PUBLISH", "sip:2000@edge.example", 1, "")));
    assert_eq!(sent.line("Server:"), "Server: VoIP-Platform");
    assert_eq!(sent.line("Allow:"), "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, INFO, UPDATE, PRACK");
    // The same request gets the same tag.
    let again = only(w.udp(CALLER, request("PUBLISH", "sip:2000@edge.example", 1, "")));
    assert_eq!(sent.line("To:"), again.line("To:"));
}
