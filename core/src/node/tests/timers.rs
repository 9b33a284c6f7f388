//! What happens when nobody answers, to the millisecond.

use std::time::Duration;
use std::vec::Vec;

use super::world::*;
use crate::node::Config;
use crate::transaction::Timers;
use crate::wire::sip::transport::Transport;

fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn times(sent: &[Sent], peer: &str, starts: &str) -> Vec<u64> {
    to(sent, peer).iter().filter(|m| m.text.starts_with(starts)).map(|m| m.at_ms).collect()
}

#[test]
fn fr_timer_counts_where_no_first_reply_is_asked_for() {
    let mut w = World::set_up(Config { first_reply: None, ..config() });
    w.udp(CALLER, invite(1));
    let sent = w.wait(s(31));
    assert_eq!(times(&sent, TARGETS[0], "INVITE"), [500, 1_500, 3_500, 7_500, 15_500], "Timer A");
    assert_eq!(times(&sent, TARGETS[1], "INVITE"), [30_000, 30_500]);
    assert!(w.reports.iter().any(|r| r.starts_with("TargetFailed")));
}

#[test]
fn first_reply_counts_for_targets() {
    let mut w = World::new();
    w.udp(CALLER, invite(1));
    let sent = w.wait(s(40));
    assert_eq!(times(&sent, TARGETS[0], "INVITE"), [500, 1_500]);
    assert_eq!(times(&sent, TARGETS[1], "INVITE"), [2_000, 2_500, 3_500]);
    assert_eq!(times(&sent, TARGETS[2], "INVITE"), [4_000, 4_500, 5_500]);
    assert_eq!(times(&sent, CALLER, "SIP/2.0 503")[0], 6_000);
}

#[test]
fn fr_inv_timer_restarts_with_each_provisional_response() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.wait(s(1));
    w.udp(TARGETS[0], first.answer("180 Ringing", "t0", ""));
    w.wait(s(100));
    w.udp(TARGETS[0], first.answer("180 Ringing", "t0", ""));
    let sent = w.wait(s(130));
    assert_eq!(times(&sent, TARGETS[0], "CANCEL")[0], 221_000);
    assert_eq!(times(&sent, TARGETS[1], "INVITE")[0], 221_000, "408 is among the failures");
}

#[test]
fn one_that_rings_too_long_is_no_dead_target() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], first.answer("180 Ringing", "t0", ""));
    w.reports.clear();
    w.wait(s(121));
    assert!(!w.reports.iter().any(|r| r.starts_with("TargetFailed") || r.starts_with("TargetChanged")));
}

#[test]
fn timer_c_restarts_above_100_and_ends_the_search() {
    let timers = Timers { fr_inv: s(10_000), trying: Duration::ZERO, ..Timers::DEFAULT };
    let mut w = World::set_up(Config { timers, ..config() });
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], first.answer("180 Ringing", "t0", ""));
    w.wait(s(100));
    w.udp(TARGETS[0], first.answer("183 Progress", "t0", ""));
    w.wait(s(100));
    w.udp(TARGETS[0], first.answer("100 Trying", "", ""));
    let sent = w.wait(s(100));
    assert_eq!(times(&sent, TARGETS[0], "CANCEL")[0], 285_000);
    assert_eq!(times(&sent, CALLER, "SIP/2.0 408")[0], 285_000);
    assert!(to(&sent, TARGETS[1]).is_empty());
    let sent = w.udp(TARGETS[0], first.answer("487 Request Terminated", "t0", ""));
    assert!(to(&sent, CALLER).is_empty(), "the caller has its answer");
}

#[test]
fn trying_comes_after_200_ms_if_nothing_else_does() {
    let config = || Config { timers: Timers::DEFAULT, ..config() };
    let mut w = World::set_up(config());
    w.udp(CALLER, invite(1));
    assert_eq!(times(&w.wait(s(1)), CALLER, "SIP/2.0 100"), [200]);
    let mut w = World::set_up(config());
    let sent = w.udp(CALLER, invite(1));
    w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("180 Ringing", "t0", ""));
    assert_eq!(times(&w.wait(s(1)), CALLER, "SIP/2.0 100"), []);
}

#[test]
fn a_refusal_is_repeated_until_its_ack_over_udp_only() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("486 Busy", "t0", ""));
    let sent = w.wait(s(40));
    let expected = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    assert_eq!(times(&sent, CALLER, "SIP/2.0 486"), expected, "Timers G and H");

    let mut w = World::new();
    let sent = w.tcp(CALLER, with(&invite(1), "SIP/2.0/UDP", "SIP/2.0/TCP"));
    w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("486 Busy", "t0", ""));
    assert_eq!(times(&w.wait(s(40)), CALLER, "SIP/2.0 486"), []);
}

/// Sets a call up over TCP to a target on UDP; gives the 200 as the caller got it.
fn call_over_tcp(w: &mut World) -> Sent {
    let sent = w.tcp(CALLER, with(&invite(1), "SIP/2.0/UDP", "SIP/2.0/TCP"));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    assert_eq!(ok.transport, Transport::Tcp);
    ok
}

#[test]
fn from_tcp_to_udp_a_request_is_repeated_here() {
    let mut w = World::new();
    let ok = call_over_tcp(&mut w);
    let bye = with(&from_caller("BYE", &ok, 1, 2), "SIP/2.0/UDP", "SIP/2.0/TCP");
    let first = only(w.tcp(CALLER, bye));
    assert_eq!((first.transport, first.to), (Transport::Udp, TARGETS[0].parse().unwrap()));
    let sent = w.wait(s(10));
    assert_eq!(times(&sent, TARGETS[0], "BYE"), [500, 1_500, 3_500, 7_500], "Timer E");
    assert_eq!(times(&sent, CALLER, "SIP/2.0 100"), [3_500], "RFC 4320 §4.1");
    let ended = only(w.udp(TARGETS[0], first.answer("200 OK", "", "")));
    assert_eq!(ended.transport, Transport::Tcp);
    assert!(ended.text.starts_with("SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP 198.51.100.7:5062;"));
    w.settle();
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn a_request_other_than_invite_is_never_answered_with_408() {
    let mut w = World::new();
    let ok = call_over_tcp(&mut w);
    w.tcp(CALLER, with(&from_caller("INFO", &ok, 1, 2), "SIP/2.0/UDP", "SIP/2.0/TCP"));
    let sent = w.wait(s(60));
    let finals: Vec<_> = to(&sent, CALLER).iter().filter(|m| !m.text.starts_with("SIP/2.0 100")).cloned().collect();
    assert!(finals.is_empty(), "RFC 4320 §4.2: {finals:?}");
}

#[test]
fn the_ack_and_the_cancel_of_a_branch_are_repeated_as_their_transactions_say() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], first.answer("180 Ringing", "t0", ""));
    w.udp(CALLER, cancel_of(&invite(1)));
    assert_eq!(times(&w.wait(s(4)), TARGETS[0], "CANCEL"), [500, 1_500, 3_500]);
    // Each copy of the refusal is acknowledged for 32 s (Timer D), also after the answer went up.
    for _ in 0..3 {
        let sent = w.udp(TARGETS[0], first.answer("487 Request Terminated", "t0", ""));
        assert_eq!(times(&sent, TARGETS[0], "ACK").len(), 1);
        w.wait(s(10));
    }
    w.wait(s(3));
    let sent = w.udp(TARGETS[0], first.answer("487 Request Terminated", "t0", ""));
    assert_eq!(times(&sent, TARGETS[0], "ACK").len(), 0);
    assert_eq!(w.node.stats().stray_responses, 1);
}

#[test]
fn the_second_fork_target_is_not_reached_over_another_family() {
    // Four listeners, two of them IPv6: nothing for an IPv4 target leaves by those.
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    assert!(sent.iter().all(|m| m.listener == 0));
}
