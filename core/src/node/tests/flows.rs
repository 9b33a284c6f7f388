//! Call flows of RFC 3665 §3 (a session through a proxy, and its failures) and races of RFC 5407, as traces.

use std::string::String;
use std::time::Duration;
use std::vec::Vec;

use super::world::*;

/// A trace: who gets what, one line a message, in order.
fn trace(sent: &[Sent]) -> Vec<String> {
    let name = |m: &Sent| match m.to {
        a if a == CALLER.parse().unwrap() => "alice",
        a if a == TARGETS[0].parse().unwrap() => "bob",
        _ => "bob2",
    };
    sent.iter()
        .map(|m| {
            let first = m.text.lines().next().unwrap();
            let what = match first.strip_prefix("SIP/2.0 ") {
                Some(status) => &status[..3],
                None => first.split(' ').next().unwrap(),
            };
            std::format!("{} {what}", name(m))
        })
        .collect()
}

/// What a peer sends, and what comes of it.
#[track_caller]
fn step(w: &mut World, from: &str, message: impl AsRef<[u8]>, expected: &[&str]) -> Vec<Sent> {
    let sent = w.udp(from, message);
    assert_eq!(trace(&sent), expected);
    sent
}

/// INVITE, 180, 200 and ACK; gives the INVITE as Bob got it, and the 200 as Alice got it.
fn established(w: &mut World) -> (Sent, Sent) {
    let (bob, f) = (TARGETS[0], step(w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap());
    step(w, bob, f.answer("180 Ringing", "bo", ""), &["alice 180"]);
    let ok = step(w, bob, f.answer("200 OK", "bo", ""), &["alice 200"]).pop().unwrap();
    step(w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
    (f, ok)
}

#[test]
fn rfc_3665_3_2_session_establishment() {
    let mut w = World::new();
    let (f, _) = established(&mut w);
    // Bob hangs up.
    let bye = from_callee("BYE", &f, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye = step(&mut w, TARGETS[0], bye, &["alice BYE"]).pop().unwrap();
    step(&mut w, CALLER, bye.answer("200 OK", "", ""), &["bob 200"]);
    assert!(w.settle().is_empty());
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn rfc_3665_3_3_authentication_by_a_proxy_further_on() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    let challenge = "Proxy-Authenticate: Digest realm=\"biloxi.example.com\", nonce=\"f84f1cec\"\r\n";
    let refusal = f.answer("407 Proxy Authentication Required", "x", challenge);
    let sent = step(&mut w, TARGETS[0], refusal, &["bob ACK", "alice 407"]);
    assert!(sent[1].has("Proxy-Authenticate: Digest realm=\"biloxi.example.com\""));
    step(&mut w, CALLER, ack_of(&invite(1)), &[]);
    let credentials = "Proxy-Authorization: Digest username=\"alice\", realm=\"biloxi.example.com\", nonce=\"f84f1cec\", \
                       uri=\"sip:2000@edge.example\", response=\"00000000000000000000000000000000\"\r\n";
    let again = with(&request("INVITE", "sip:2000@edge.example", 1, credentials), "CSeq: 1", "CSeq: 2");
    let again = with(&again, "z9hG4bKc1", "z9hG4bKc1b");
    let f = step(&mut w, CALLER, again, &["alice 100", "bob INVITE"]).pop().unwrap();
    assert!(f.has("Proxy-Authorization:"), "credentials for another realm stay");
    step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]);
}

#[test]
fn rfc_3665_3_4_session_with_a_failure_on_the_way() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    let sent = step(&mut w, TARGETS[0], f.answer("503 Down", "x", ""), &["bob ACK", "bob2 INVITE"]);
    step(&mut w, TARGETS[1], sent[1].answer("200 OK", "b2", ""), &["alice 200"]);
}

#[test]
fn rfc_3665_3_6_a_redirection_passes() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    let moved = f.answer("302 Moved Temporarily", "x", "Contact: <sip:bob@chicago.example.com>\r\n");
    let sent = step(&mut w, TARGETS[0], moved, &["bob ACK", "alice 302"]);
    assert!(sent[1].has("Contact: <sip:bob@chicago.example.com>"));
    step(&mut w, CALLER, ack_of(&invite(1)), &[]);
}

#[test]
fn rfc_3665_3_7_session_with_re_invite() {
    let mut w = World::new();
    let (f, ok) = established(&mut w);
    let again = from_callee("INVITE", &f, "bo", "sip:alice@198.51.100.7:5062", 14);
    let again = step(&mut w, TARGETS[0], again, &["bob 100", "alice INVITE"]).pop().unwrap();
    step(&mut w, CALLER, again.answer("200 OK", "", ""), &["bob 200"]);
    let ack = from_callee("ACK", &f, "bo", "sip:alice@198.51.100.7:5062", 14);
    step(&mut w, TARGETS[0], ack, &["alice ACK"]);
    let bye = step(&mut w, CALLER, from_caller("BYE", &ok, 1, 2), &["bob BYE"]).pop().unwrap();
    step(&mut w, TARGETS[0], bye.answer("200 OK", "", ""), &["alice 200"]);
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn rfc_3665_3_8_unsuccessful_no_answer() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], f.answer("180 Ringing", "bo", ""), &["alice 180"]);
    let sent = step(&mut w, CALLER, cancel_of(&invite(1)), &["alice 200", "bob CANCEL"]);
    step(&mut w, TARGETS[0], sent[1].answer("200 OK", "bo", ""), &[]);
    let gone = f.answer("487 Request Terminated", "bo", "");
    step(&mut w, TARGETS[0], gone, &["bob ACK", "alice 487"]);
    step(&mut w, CALLER, ack_of(&invite(1)), &[]);
    assert!(w.settle().is_empty());
}

#[test]
fn rfc_3665_3_9_and_3_11_unsuccessful() {
    for status in ["486", "480", "404", "410", "484", "488", "600", "606"] {
        let mut w = World::new();
        let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
        let refusal = f.answer(&std::format!("{status} No"), "bo", "");
        step(&mut w, TARGETS[0], refusal, &["bob ACK", &std::format!("alice {status}")]);
        step(&mut w, CALLER, ack_of(&invite(1)), &[]);
        assert!(w.settle().is_empty());
    }
}

#[test]
fn rfc_3665_3_10_no_response_from_anybody() {
    let mut w = World::new();
    step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]);
    let sent = w.wait(Duration::from_secs(6));
    let last = to(&sent, CALLER)[0];
    assert!(last.text.starts_with("SIP/2.0 503") && last.at_ms == 6_000);
    step(&mut w, CALLER, ack_of(&invite(1)), &[]);
    assert!(w.settle().iter().all(|m| m.text.starts_with("OPTIONS")));
}

#[test]
fn rfc_5407_3_1_1_invite_again_in_moratorium() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]);
    // The 200 got lost: the INVITE comes again, Bob repeats his 200.
    step(&mut w, CALLER, invite(1), &[]);
    let ok = step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]).pop().unwrap();
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
    // The ACK got lost.
    step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]);
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
}

#[test]
fn rfc_5407_3_1_2_cancel_crosses_the_200() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], f.answer("180 Ringing", "bo", ""), &["alice 180"]);
    // The CANCEL leaves while the 200 is on its way to us.
    let sent = step(&mut w, CALLER, cancel_of(&invite(1)), &["alice 200", "bob CANCEL"]);
    let ok = step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]).pop().unwrap();
    step(&mut w, TARGETS[0], sent[1].answer("481 Gone", "bo", ""), &[]);
    // Alice did not want it any more: ACK and BYE.
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
    let bye = step(&mut w, CALLER, from_caller("BYE", &ok, 1, 2), &["bob BYE"]).pop().unwrap();
    step(&mut w, TARGETS[0], bye.answer("200 OK", "", ""), &["alice 200"]);
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn rfc_5407_3_1_2_cancel_after_the_200_passed_here() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]);
    step(&mut w, CALLER, cancel_of(&invite(1)), &["alice 200"]);
    assert_eq!(w.dialogs(), 1);
}

#[test]
fn a_bye_in_the_early_dialog_in_place_of_a_cancel() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    let ringing = step(&mut w, TARGETS[0], f.answer("180 Ringing", "bo", ""), &["alice 180"]).pop().unwrap();
    let bye = step(&mut w, CALLER, from_caller("BYE", &ringing, 1, 2), &["bob BYE"]).pop().unwrap();
    step(&mut w, TARGETS[0], bye.answer("200 OK", "", ""), &["alice 200"]);
    step(&mut w, TARGETS[0], f.answer("487 Request Terminated", "bo", ""), &["bob ACK", "alice 487"]);
    step(&mut w, CALLER, ack_of(&invite(1)), &[]);
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn rfc_5407_3_1_3_bye_of_the_early_dialog_crosses_the_200() {
    for bye_first in [false, true] {
        let mut w = World::new();
        let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
        let ringing = step(&mut w, TARGETS[0], f.answer("180 Ringing", "bo", ""), &["alice 180"]).pop().unwrap();
        let bye = step(&mut w, CALLER, from_caller("BYE", &ringing, 1, 2), &["bob BYE"]).pop().unwrap();
        let answers = [f.answer("200 OK", "bo", ""), bye.answer("200 OK", "", "")];
        for n in if bye_first { [1, 0] } else { [0, 1] } {
            step(&mut w, TARGETS[0], &answers[n], &["alice 200"]);
        }
        // Overtaken by the answer to the BYE, the call is over when that would have been given up.
        w.wait(Duration::from_secs(if bye_first { 32 } else { 0 }));
        assert_eq!((w.dialogs(), w.loads()[0]), (0, 0));
    }
}

#[test]
fn rfc_5407_3_1_4_re_invite_in_moratorium() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    let ok = step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]).pop().unwrap();
    // The ACK is lost, and the re-INVITE comes first.
    let again = step(&mut w, CALLER, from_caller("INVITE", &ok, 1, 2), &["alice 100", "bob INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]);
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
    step(&mut w, TARGETS[0], again.answer("200 OK", "", ""), &["alice 200"]);
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 2), &["bob ACK"]);
    assert_eq!(w.dialogs(), 1);
}

#[test]
fn rfc_5407_3_2_1_bye_from_both_sides() {
    let mut w = World::new();
    let (f, ok) = established(&mut w);
    let bye_alice = step(&mut w, CALLER, from_caller("BYE", &ok, 1, 2), &["bob BYE"]).pop().unwrap();
    let bye = from_callee("BYE", &f, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye_bob = step(&mut w, TARGETS[0], bye, &["alice BYE"]).pop().unwrap();
    step(&mut w, TARGETS[0], bye_alice.answer("200 OK", "", ""), &["alice 200"]);
    step(&mut w, CALLER, bye_bob.answer("481 Gone", "", ""), &["bob 481"]);
    assert_eq!((w.dialogs(), w.node.stats().calls_ended), (0, 1));
}

#[test]
fn rfc_5407_3_2_2_bye_crosses_re_invite() {
    let mut w = World::new();
    let (f, ok) = established(&mut w);
    let again = step(&mut w, CALLER, from_caller("INVITE", &ok, 1, 2), &["alice 100", "bob INVITE"]).pop().unwrap();
    let bye = from_callee("BYE", &f, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye = step(&mut w, TARGETS[0], bye, &["alice BYE"]).pop().unwrap();
    step(&mut w, TARGETS[0], again.answer("481 Gone", "", ""), &["bob ACK", "alice 481"]);
    step(&mut w, CALLER, bye.answer("200 OK", "", ""), &["bob 200"]);
    let ack = with(&from_caller("INVITE", &ok, 1, 2), "INVITE ", "ACK ");
    step(&mut w, CALLER, with(&ack, "CSeq: 2 INVITE", "CSeq: 2 ACK"), &[]);
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn rfc_5407_3_2_3_the_200_to_a_re_invite_comes_after_the_bye() {
    let mut w = World::new();
    let (f, ok) = established(&mut w);
    let again = step(&mut w, CALLER, from_caller("INVITE", &ok, 1, 2), &["alice 100", "bob INVITE"]).pop().unwrap();
    let bye = from_callee("BYE", &f, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye = step(&mut w, TARGETS[0], bye, &["alice BYE"]).pop().unwrap();
    step(&mut w, CALLER, bye.answer("200 OK", "", ""), &["bob 200"]);
    step(&mut w, TARGETS[0], again.answer("200 OK", "", ""), &["alice 200"]);
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 2), &["bob ACK"]);
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn rfc_5407_3_3_1_re_invite_from_both_sides() {
    let mut w = World::new();
    let (f, ok) = established(&mut w);
    let a = step(&mut w, CALLER, from_caller("INVITE", &ok, 1, 2), &["alice 100", "bob INVITE"]).pop().unwrap();
    let b = from_callee("INVITE", &f, "bo", "sip:alice@198.51.100.7:5062", 1);
    let b = step(&mut w, TARGETS[0], b, &["bob 100", "alice INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], a.answer("491 Request Pending", "", ""), &["bob ACK", "alice 491"]);
    step(&mut w, CALLER, b.answer("491 Request Pending", "", ""), &["alice ACK", "bob 491"]);
    assert_eq!(w.dialogs(), 1);
}

#[test]
fn a_re_invite_is_cancelled() {
    let mut w = World::new();
    let (_, ok) = established(&mut w);
    let again = from_caller("INVITE", &ok, 1, 2);
    let f = step(&mut w, CALLER, &again, &["alice 100", "bob INVITE"]).pop().unwrap();
    step(&mut w, TARGETS[0], f.answer("100 Trying", "", ""), &[]);
    let cancel = with(&with(&again, "INVITE ", "CANCEL "), "CSeq: 2 INVITE", "CSeq: 2 CANCEL");
    step(&mut w, CALLER, cancel, &["alice 200", "bob CANCEL"]);
    step(&mut w, TARGETS[0], f.answer("487 Request Terminated", "", ""), &["bob ACK", "alice 487"]);
    assert_eq!(w.dialogs(), 1, "the call goes on");
}

#[test]
fn rfc_5407_3_2_4_ack_after_the_bye() {
    let mut w = World::new();
    let f = step(&mut w, CALLER, invite(1), &["alice 100", "bob INVITE"]).pop().unwrap();
    let ok = step(&mut w, TARGETS[0], f.answer("200 OK", "bo", ""), &["alice 200"]).pop().unwrap();
    let bye = step(&mut w, CALLER, from_caller("BYE", &ok, 1, 2), &["bob BYE"]).pop().unwrap();
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
    step(&mut w, TARGETS[0], bye.answer("200 OK", "", ""), &["alice 200"]);
    w.wait(Duration::from_secs(1));
    // A late copy of the ACK still goes where its route says.
    step(&mut w, CALLER, from_caller("ACK", &ok, 1, 1), &["bob ACK"]);
    assert_eq!(w.dialogs(), 0);
}
