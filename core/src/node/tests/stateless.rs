//! Requests and responses that belong to no transaction here, or pretend to (RFC 3261 §16.7, §16.11, §18.2.2).

use std::string::{String, ToString};

use super::world::*;
use crate::wire::sip::transport::Transport;

/// Sets a call up; gives the INVITE as the target got it, and the 200 as the caller got it.
fn call(w: &mut World, n: u32) -> (Sent, Sent) {
    let sent = w.udp(CALLER, invite(n));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    (forwarded, ok)
}

/// The same message with one character of our branch changed.
fn forged(sent: &Sent, response: &str) -> String {
    let via = sent.line("Via:");
    let at = via.find("z9hG4bK").unwrap() + 30;
    let mut other = String::from(via);
    let digit = if &via[at..=at] == "a" { "b" } else { "a" };
    other.replace_range(at..=at, digit);
    with(response, via, &other)
}

#[test]
fn a_retransmission_within_a_dialog_goes_on_with_the_same_branch() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1);
    let info = from_caller("INFO", &ok, 1, 2);
    let first = only(w.udp(CALLER, &info));
    let again = only(w.udp(CALLER, &info));
    assert_eq!(first.text, again.text);
    assert_eq!(w.node.fill()[1].used, 1, "the INVITE alone has a client transaction");
    let other = only(w.udp(CALLER, with(&info, "CSeq: 2", "CSeq: 3")));
    assert_ne!(first.line("Via:"), other.line("Via:"));
    for _ in 0..2 {
        let sent = only(w.udp(TARGETS[0], first.answer("200 OK", "", "X-Answer: 1\r\n")));
        assert_eq!(sent.to, CALLER.parse().unwrap());
        assert!(sent.has("X-Answer: 1"));
    }
}

#[test]
fn a_forged_branch_is_dropped_and_counted() {
    let mut w = World::new();
    let (forwarded, ok) = call(&mut w, 1);
    let bye = only(w.udp(CALLER, from_caller("BYE", &ok, 1, 2)));
    let another = forwarded.answer("200 OK", "mallory", "");
    for response in [
        forged(&forwarded, &another),
        forged(&bye, &bye.answer("200 OK", "", "")),
        // A stateless branch of another call, of another request, for another client.
        with(&bye.answer("200 OK", "", ""), "Call-ID: call1", "Call-ID: call2"),
        with(&bye.answer("200 OK", "", ""), "CSeq: 2 BYE", "CSeq: 3 BYE"),
        with(&bye.answer("200 OK", "", ""), "branch=z9hG4bKd", "branch=z9hG4bKe"),
        // A branch that only looks like one, and none.
        with(&another, &forwarded.line("Via:")[20..], "192.0.2.1:5060;branch=z9hG4bKnothing"),
        with(&another, &forwarded.line("Via:")[20..], "192.0.2.1:5060"),
    ] {
        let before = w.node.stats().foreign_via;
        assert!(w.udp(TARGETS[0], &response).is_empty(), "{response}");
        assert_eq!(w.node.stats().foreign_via, before + 1, "{response}");
    }
    assert!(w.reports.iter().any(|r| r.contains("ForeignVia")));
    assert_eq!(w.dialogs(), 1, "the call is still there");
    w.udp(TARGETS[0], bye.answer("200 OK", "", ""));
}

#[test]
fn responses_nobody_asked_for() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], forwarded.answer("486 Busy", "bo", ""));
    w.udp(CALLER, ack_of(&invite(1)));
    w.settle();
    assert!(w.udp(TARGETS[0], forwarded.answer("180 Ringing", "bo", "")).is_empty());
    assert!(w.udp(TARGETS[0], forwarded.answer("486 Busy", "bo", "")).is_empty());
    assert_eq!(w.node.stats().stray_responses, 2);
    let alone = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:c@d>;tag=2\r\nCall-ID: y\r\nCSeq: 1 OPTIONS\r\n\r\n";
    assert!(w.udp(TARGETS[0], alone).is_empty());
    assert_eq!(w.node.stats().foreign_via, 1);
}

#[test]
fn the_answer_to_a_cancel_stops_here() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    // A response to a CANCEL that was never sent.
    let never = with(&forwarded.answer("481 No", "x", ""), "1 INVITE", "1 CANCEL");
    assert!(w.udp(TARGETS[0], never).is_empty());
    w.udp(TARGETS[0], forwarded.answer("180 Ringing", "bo", ""));
    let sent = w.udp(CALLER, cancel_of(&invite(1)));
    let cancel = to(&sent, TARGETS[0])[0].clone();
    for status in ["200 OK", "481 Call/Transaction Does Not Exist", "200 OK"] {
        assert!(w.udp(TARGETS[0], cancel.answer(status, "x", "")).is_empty(), "{status}");
    }
    let sent = w.udp(TARGETS[0], forwarded.answer("487 Request Terminated", "bo", ""));
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 487"));
}

#[test]
fn a_cancel_for_nothing_is_answered_481_and_not_sent_on() {
    let mut w = World::new();
    let sent = only(w.udp(CALLER, cancel_of(&invite(1))));
    assert!(sent.text.starts_with("SIP/2.0 481 "));
    // The 200 to a CANCEL has the tag of the answer to its INVITE (RFC 3261 §9.2).
    w.udp(CALLER, invite(2));
    let sent = w.udp(CALLER, cancel_of(&invite(2)));
    let tag = to(&sent, CALLER)[0].line("To:").to_string();
    let sent = w.wait(core::time::Duration::from_secs(3));
    let last = to(&sent, CALLER)[0];
    assert!(last.text.starts_with("SIP/2.0 487"));
    assert_eq!(last.line("To:"), tag);
}

#[test]
fn a_client_of_rfc_2543_and_its_ack() {
    for via in ["SIP/2.0/UDP 198.51.100.7:5062", "SIP/2.0/UDP 198.51.100.7:5062;branch=1"] {
        let mut w = World::new();
        let old = |n| with(&invite(n), &std::format!("SIP/2.0/UDP {CALLER};branch=z9hG4bKc{n}"), via);
        let sent = w.udp(CALLER, old(1));
        let forwarded = to(&sent, TARGETS[0])[0].clone();
        assert!(only(w.udp(CALLER, old(1))).text.starts_with("SIP/2.0 100"), "a retransmission");
        // Another call of the same client is another transaction.
        assert_eq!(w.udp(CALLER, old(2)).len(), 2);
        w.udp(TARGETS[0], forwarded.answer("486 Busy", "bo", ""));
        let ack = with(&ack_of(&old(1)), "To: <sip:2000@edge.example>", "To: <sip:2000@edge.example>;tag=bo");
        assert!(w.udp(CALLER, ack).is_empty());
        let sent = w.wait(core::time::Duration::from_millis(1_900));
        assert!(!sent.iter().any(|m| m.text.starts_with("SIP/2.0 486")), "the ACK was matched");
        let sent = w.udp(CALLER, cancel_of(&old(2)));
        assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 200"));
    }
}

/// Via as it comes, source; Via as it goes back, and where to.
#[test]
fn received_and_rport_row_by_row() {
    let rows = [
        (
            "198.51.100.7:5062;branch=z9hG4bK1",
            "198.51.100.7:5062",
            "198.51.100.7:5062;branch=z9hG4bK1",
            "198.51.100.7:5062",
        ),
        // Without rport the port of sent-by counts, whatever the source port is.
        (
            "198.51.100.7:5062;branch=z9hG4bK1",
            "198.51.100.7:40000",
            "198.51.100.7:5062;branch=z9hG4bK1",
            "198.51.100.7:5062",
        ),
        ("198.51.100.7;branch=z9hG4bK1", "198.51.100.7:40000", "198.51.100.7;branch=z9hG4bK1", "198.51.100.7:5060"),
        // Another address than sent-by says, and a name.
        (
            "10.0.0.1:5062;branch=z9hG4bK1",
            "198.51.100.7:40000",
            "10.0.0.1:5062;branch=z9hG4bK1;received=198.51.100.7",
            "198.51.100.7:5062",
        ),
        (
            "phone.example;branch=z9hG4bK1",
            "198.51.100.7:40000",
            "phone.example;branch=z9hG4bK1;received=198.51.100.7",
            "198.51.100.7:5060",
        ),
        // RFC 3581.
        (
            "10.0.0.1:5062;rport;branch=z9hG4bK1",
            "198.51.100.7:40000",
            "10.0.0.1:5062;rport=40000;branch=z9hG4bK1;received=198.51.100.7",
            "198.51.100.7:40000",
        ),
        // What the sender writes itself does not count.
        (
            "10.0.0.1:5062;received=9.9.9.9;rport=1;branch=z9hG4bK1",
            "198.51.100.7:40000",
            "10.0.0.1:5062;received=198.51.100.7;rport=40000;branch=z9hG4bK1",
            "198.51.100.7:40000",
        ),
        // maddr would let anybody aim our answers at somebody else.
        (
            "198.51.100.7:5062;maddr=9.9.9.9;branch=z9hG4bK1",
            "198.51.100.7:40000",
            "198.51.100.7:5062;maddr=9.9.9.9;branch=z9hG4bK1",
            "198.51.100.7:5062",
        ),
        (
            "[2001:db8::7]:5062;rport;branch=z9hG4bK1",
            "[2001:db8::8]:40000",
            "[2001:db8::7]:5062;rport=40000;branch=z9hG4bK1;received=2001:db8::8",
            "[2001:db8::8]:40000",
        ),
    ];
    for (via, source, expected, back) in rows {
        let stamped = |text: &str| with(text, &std::format!("{CALLER};branch=z9hG4bKc1"), via);
        // Answered without a transaction, by a transaction, and by a target.
        let mut w = World::new();
        let sent = only(w.udp(source, stamped(&request("OPTIONS", "sip:edge.example", 1, ""))));
        assert_eq!(
            (sent.line("Via: "), sent.to),
            (&*std::format!("Via: SIP/2.0/UDP {expected}"), back.parse().unwrap())
        );
        let sent = w.udp(source, stamped(&invite(1)));
        let trying = to(&sent, back)[0];
        assert_eq!(trying.line("Via: "), std::format!("Via: SIP/2.0/UDP {expected}"));
        let forwarded = to(&sent, TARGETS[0])[0].clone();
        let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
        assert_eq!((ok.line("Via: "), ok.to), (&*std::format!("Via: SIP/2.0/UDP {expected}"), back.parse().unwrap()));
        // And once more when there is no transaction.
        w.settle();
        let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
        assert_eq!((ok.line("Via: "), ok.to), (&*std::format!("Via: SIP/2.0/UDP {expected}"), back.parse().unwrap()));
    }
}

#[test]
fn over_a_stream_answers_go_back_by_the_port_they_came_from() {
    let mut w = World::new();
    let source = "198.51.100.7:40000";
    let sent = w.tcp(source, with(&invite(1), "SIP/2.0/UDP", "SIP/2.0/TCP"));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    assert_eq!((ok.to, ok.transport), (source.parse().unwrap(), Transport::Tcp));
    // A retransmission of the 200 finds no context any more, but still the port.
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    assert_eq!((ok.to, ok.transport), (source.parse().unwrap(), Transport::Tcp));
}

#[test]
fn merged_requests_and_loops() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    // The same request by another way.
    let other = with(&invite(1), "branch=z9hG4bKc1", "branch=z9hG4bKother");
    let merged = only(w.udp("198.51.100.8:5060", &other));
    assert!(merged.text.starts_with("SIP/2.0 482 Request Merged"), "{}", merged.text);
    // Back from the target unchanged: it goes in circles.
    let looped = only(w.udp(TARGETS[0], &forwarded.text));
    assert!(looped.text.starts_with("SIP/2.0 482 "), "{}", looped.text);
    // Back with another Request-URI: a spiral.
    let spiral = with(&forwarded.text, "INVITE sip:2000@", "INVITE sip:2001@");
    let sent = w.udp(TARGETS[0], &spiral);
    let second = to(&sent, TARGETS[0]).into_iter().find(|m| m.text.starts_with("INVITE")).unwrap().clone();
    assert_eq!(second.line("Max-Forwards:"), "Max-Forwards: 68");
    // That one comes back as it left: a loop, and the branch says so.
    let looped = only(w.udp(TARGETS[0], &second.text));
    assert!(looped.text.starts_with("SIP/2.0 482 "), "{}", looped.text);
    assert_eq!(w.node.stats().looped, 3);
}

#[test]
fn after_our_final_answer_the_next_try_of_a_client_is_not_merged() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("486 Busy", "bo", ""));
    let again = with(&invite(1), "branch=z9hG4bKc1", "branch=z9hG4bKagain");
    let sent = w.udp(CALLER, again);
    assert_eq!(to(&sent, TARGETS[0]).len(), 1);
}

#[test]
fn an_invite_within_a_dialog_that_goes_in_circles() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1);
    let again = from_caller("INVITE", &ok, 1, 2);
    let sent = w.udp(CALLER, &again);
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    // The callee is a proxy that sends it back to us, route and all.
    let route = "Route: <sip:192.0.2.1:5060;lr=on;ftag=al>\r\nMax-Forwards:";
    let back = with(&forwarded.text, "Max-Forwards:", route);
    let sent = w.udp(CALLER, &back);
    let twice = sent.iter().find(|m| m.text.starts_with("SIP/2.0 482"));
    assert!(twice.is_some(), "{sent:?}");
}
