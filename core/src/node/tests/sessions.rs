//! Dialogs and session timers as the node sees them; what an operator does in the middle of calls.

use std::time::Duration;

use super::world::*;
use crate::dispatcher::{Attrs, TargetConfig};
use crate::machine::Cx;
use crate::node::Config;

fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Sets a call up; gives the INVITE as the target got it, and the 200 as the caller got it.
fn call(w: &mut World, n: u32, extra: &str) -> (Sent, Sent) {
    let sent = w.udp(CALLER, invite(n));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", extra)));
    (forwarded, ok)
}

#[test]
fn a_session_interval_that_is_too_small() {
    let rows = [
        ("Session-Expires: 60\r\nSupported: timer\r\n", true),
        ("x: 89;refresher=uac\r\nk: 100rel, timer\r\n", true),
        ("Session-Expires: 90\r\nSupported: timer\r\n", false),
        // Who knows no session timer does not understand a 422.
        ("Session-Expires: 60\r\n", false),
        ("Supported: timer\r\n", false),
    ];
    for (fields, refused) in rows {
        let mut w = World::new();
        let sent = w.udp(CALLER, request("INVITE", "sip:2000@edge.example", 1, fields));
        if refused {
            let sent = only(sent);
            assert!(sent.text.starts_with("SIP/2.0 422 Session Interval Too Small\r\n"), "{fields}");
            assert_eq!(sent.line("Min-SE:"), "Min-SE: 90");
        } else {
            assert_eq!(to(&sent, TARGETS[0]).len(), 1, "{fields}");
        }
    }
}

#[test]
fn a_session_that_is_not_refreshed_expires() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1, "Session-Expires: 120;refresher=uac\r\n");
    w.wait(s(119));
    assert_eq!((w.dialogs(), w.loads()[0]), (1, 1));
    // A re-INVITE refreshes it.
    let sent = w.udp(CALLER, from_caller("INVITE", &ok, 1, 2));
    let again = to(&sent, TARGETS[0])[0].clone();
    let ok2 = only(w.udp(TARGETS[0], again.answer("200 OK", "", "Session-Expires: 120;refresher=uac\r\n")));
    assert!(ok2.text.starts_with("SIP/2.0 200"));
    w.wait(s(119));
    assert_eq!(w.dialogs(), 1);
    w.wait(s(2));
    assert_eq!((w.dialogs(), w.loads()[0]), (0, 0));
    assert_eq!(w.node.stats().calls_ended, 1);
}

#[test]
fn an_update_refreshes_as_well_and_a_refusal_does_not() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1, "Session-Expires: 120\r\n");
    w.wait(s(100));
    let update = only(w.udp(CALLER, from_caller("UPDATE", &ok, 1, 2)));
    w.udp(TARGETS[0], update.answer("200 OK", "", "Session-Expires: 300\r\n"));
    w.wait(s(299));
    assert_eq!(w.dialogs(), 1);
    let update = only(w.udp(CALLER, from_caller("UPDATE", &ok, 1, 3)));
    w.udp(TARGETS[0], update.answer("488 Not Acceptable", "", "Session-Expires: 300\r\n"));
    w.wait(s(2));
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn a_dialog_without_a_session_timer_lives_twelve_hours() {
    let mut w = World::new();
    call(&mut w, 1, "");
    w.wait(s(43_199));
    assert_eq!(w.dialogs(), 1);
    w.wait(s(1));
    assert_eq!((w.dialogs(), w.loads()[0]), (0, 0));
}

#[test]
fn a_bye_nobody_answers_ends_the_dialog_after_32_s() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1, "");
    w.udp(CALLER, from_caller("BYE", &ok, 1, 2));
    w.wait(Duration::from_millis(31_999));
    assert_eq!((w.dialogs(), w.loads()[0]), (1, 1));
    w.wait(Duration::from_millis(1));
    assert_eq!((w.dialogs(), w.loads()[0]), (0, 0));
}

#[test]
fn a_challenged_bye_is_sent_again() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1, "");
    let bye = only(w.udp(CALLER, from_caller("BYE", &ok, 1, 2)));
    w.udp(TARGETS[0], bye.answer("407 Proxy Authentication Required", "", ""));
    assert_eq!(w.dialogs(), 1);
    let bye = only(w.udp(CALLER, from_caller("BYE", &ok, 1, 3)));
    w.udp(TARGETS[0], bye.answer("481 Gone", "", ""));
    assert_eq!((w.dialogs(), w.loads()[0]), (0, 0), "whatever the answer is, the sender has left");
}

#[test]
fn a_challenged_invite_and_its_second_try_are_one_call_after_the_other() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let refused = w.udp(
        TARGETS[0],
        to(&sent, TARGETS[0])[0].answer("407 Proxy", "x", "Proxy-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\n"),
    );
    assert!(to(&refused, CALLER)[0].has("Proxy-Authenticate:"));
    w.udp(CALLER, ack_of(&invite(1)));
    assert_eq!((w.dialogs(), w.loads()[0]), (0, 0));
    let again = with(&with(&invite(1), "CSeq: 1", "CSeq: 2"), "z9hG4bKc1", "z9hG4bKc1b");
    let sent = w.udp(CALLER, again);
    w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("200 OK", "x", ""));
    assert_eq!((w.dialogs(), w.loads()[0]), (1, 1));
    assert_eq!((w.node.stats().calls_failed, w.node.stats().calls_answered), (1, 1));
}

#[test]
fn dialogs_can_be_looked_at() {
    let mut w = World::new();
    call(&mut w, 1, "");
    w.wait(s(10));
    let view = w.node.dialogs(w.now).next().unwrap();
    let names = view.names.unwrap();
    assert_eq!((names.call_id, names.caller_tag, names.callee_tag), (&b"call1"[..], &b"al"[..], &b"bo"[..]));
    assert_eq!((view.age, view.answered_for), (s(10), Some(s(10))));
    assert_eq!(view.target, Some("sip:203.0.113.1:5060"));
}

#[test]
fn close_takes_no_new_call_and_finishes_the_others() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1, "");
    let sent = w.udp(CALLER, invite(2));
    let ringing = to(&sent, TARGETS[0])[0].clone();
    w.node.close();
    let refused = only(w.udp(CALLER, invite(3)));
    assert!(refused.text.starts_with("SIP/2.0 503 Service Unavailable — Shutting Down\r\n"));
    assert!(refused.has("Retry-After: 5"));
    assert!(!w.node.is_idle());
    assert!(only(w.udp(TARGETS[0], ringing.answer("200 OK", "b2", ""))).text.starts_with("SIP/2.0 200"));
    assert!(w.node.is_idle());
    let again = w.udp(CALLER, from_caller("INVITE", &ok, 1, 2));
    assert_eq!(to(&again, TARGETS[0]).len(), 1, "a re-INVITE is no new call");
    w.udp(TARGETS[0], to(&again, TARGETS[0])[0].answer("200 OK", "", ""));
    let bye = only(w.udp(CALLER, from_caller("BYE", &ok, 1, 3)));
    assert_eq!(only(w.udp(TARGETS[0], bye.answer("200 OK", "", ""))).to, CALLER.parse().unwrap());
}

#[test]
fn targets_that_are_replaced_in_mid_call_finish_it() {
    let mut w = World::new();
    let (_, ok) = call(&mut w, 1, "");
    let sent = w.udp(CALLER, invite(2));
    let ringing = to(&sent, TARGETS[0])[0].clone();
    let other = TargetConfig::new(1, "sip:203.0.113.77:5060", "203.0.113.77:5060".parse().unwrap());
    w.reload(&[other]);
    assert_eq!(w.node.dispatcher().leaving().count(), 1);
    let sent = w.udp(CALLER, invite(3));
    assert_eq!(to(&sent, "203.0.113.77:5060").len(), 1, "new calls go to the new ones");
    assert!(only(w.udp(TARGETS[0], ringing.answer("200 OK", "b2", ""))).text.starts_with("SIP/2.0 200"));
    for n in [1, 2] {
        let bye = from_caller("BYE", &ok, n, 2);
        let bye = only(w.udp(CALLER, with(&bye, "Call-ID: call1", &std::format!("Call-ID: call{n}"))));
        w.udp(TARGETS[0], bye.answer("200 OK", "", ""));
    }
    assert_eq!(w.node.dispatcher().leaving().count(), 0, "it went with its last call");
}

#[test]
fn a_failover_after_a_reload_skips_what_is_gone() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    let kept = [0, 2].map(|n| (std::format!("sip:{}", TARGETS[n]), TARGETS[n]));
    let kept: std::vec::Vec<_> =
        kept.iter().map(|(uri, addr)| TargetConfig::new(1, uri, addr.parse().unwrap())).collect();
    w.reload(&kept);
    let sent = w.udp(TARGETS[0], first.answer("500 Oops", "x", ""));
    assert!(to(&sent, TARGETS[1]).is_empty());
    assert_eq!(to(&sent, TARGETS[2]).len(), 1);
}

#[test]
fn other_settings_count_from_the_next_event_on() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    let mut cx = Cx { now: w.now, entropy: &mut w.entropy };
    let config = Config { server: "other".into(), failover: Default::default(), ..config() };
    w.node.reconfigure(&mut cx, config).unwrap();
    let sent = w.udp(TARGETS[0], first.answer("500 Oops", "x", ""));
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 500 Oops"), "no failover any more");
    let sent = only(w.udp(CALLER, request("OPTIONS", "sip:edge.example", 2, "")));
    assert_eq!(sent.line("Server:"), "Server: other");
}

#[test]
fn settings_that_make_no_sense_change_nothing() {
    let mut w = World::new();
    let mut cx = Cx { now: w.now, entropy: &mut w.entropy };
    let mut bad = Config { server: "other".into(), ..config() };
    bad.dispatcher.probe.timeout = bad.dispatcher.probe.interval;
    assert!(w.node.reconfigure(&mut cx, bad).is_err());
    let sent = only(w.udp(CALLER, request("OPTIONS", "sip:edge.example", 1, "")));
    assert_eq!(sent.line("Server:"), "Server: VoIP-Platform");
}

#[test]
fn a_call_is_counted_on_one_target_at_a_time() {
    let attrs = Attrs { maxload: 5, ..Attrs::default() };
    let targets: std::vec::Vec<_> = ["sip:203.0.113.1:5060", "sip:203.0.113.2:5060"]
        .iter()
        .zip(TARGETS)
        .map(|(uri, addr)| TargetConfig { attrs, ..TargetConfig::new(1, uri, addr.parse().unwrap()) })
        .collect();
    let mut w = World::with_targets(config(), &CAPACITY, &targets);
    let sent = w.udp(CALLER, invite(1));
    assert_eq!(w.loads(), [1, 0]);
    let sent = w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("500 X", "x", ""));
    assert_eq!(w.loads(), [0, 1]);
    w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("500 X", "x", ""));
    assert_eq!(w.loads(), [0, 0]);
}

#[test]
fn a_subscription_is_dispatched_and_counts_as_no_call() {
    let mut w = World::new();
    let sent = w.udp(CALLER, request("SUBSCRIBE", "sip:2000@edge.example", 1, "Event: dialog\r\n"));
    let forwarded = only(sent);
    assert!(forwarded.has("Record-Route:"));
    assert_eq!((w.dialogs(), w.loads()[0]), (0, 0));
    let sent = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    assert_eq!(sent.to, CALLER.parse().unwrap());
    let again = only(w.udp(CALLER, request("SUBSCRIBE", "sip:2000@edge.example", 1, "Event: dialog\r\n")));
    assert!(again.text.starts_with("SIP/2.0 200 OK"), "the last response once more");
}

#[test]
fn a_bye_in_an_early_dialog_leaves_the_end_to_the_invite() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], first.answer("180 Ringing", "bo", ""));
    let bye = only(w.udp(TARGETS[0], from_callee("BYE", &first, "bo", "sip:alice@198.51.100.7:5062", 1)));
    w.udp(CALLER, bye.answer("200 OK", "", ""));
    w.wait(s(40));
    assert_eq!((w.dialogs(), w.loads()[0]), (1, 1));
    let sent = w.udp(TARGETS[0], first.answer("500 X", "bo", ""));
    assert_eq!(w.loads(), [0, 1, 0], "the next target carries it");
    w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("486 Busy", "x", ""));
    assert_eq!((w.dialogs(), w.loads()[1]), (0, 0));
}

#[test]
fn a_late_refresh_is_allowed_for() {
    let mut w = World::with(Config { session_grace: s(180), ..config() }, &CAPACITY);
    call(&mut w, 1, "Session-Expires: 120\r\n");
    w.wait(s(299));
    assert_eq!(w.dialogs(), 1);
    w.wait(s(2));
    assert_eq!(w.dialogs(), 0);
}
