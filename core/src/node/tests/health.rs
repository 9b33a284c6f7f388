//! Targets are probed and kept out (FEATURES of dispatching) through the whole node.

use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use super::world::*;
use crate::dispatcher::{
    AdminState, Algorithm, Attrs, Health, Hop, ProbeSettings, ProbingMode, ReplyCodes, StateCommand, TargetConfig,
};
use crate::flow::ListenerId;
use crate::node::Config;
use crate::proxy::{Listener, Locals};
use crate::store::List;
use crate::wire::sip::transport::Transport;

const SILENT: [&str; 0] = [];

/// A node that probes all its targets, first ticks at 10 s.
fn probing(reply_codes: &str) -> World {
    let mut config = config();
    let reply_codes = ReplyCodes::parse(reply_codes).unwrap();
    config.dispatcher.probe = ProbeSettings { jitter: false, reply_codes, ..ProbeSettings::default() };
    World::set_up(config)
}

/// Lets time pass to that second; the targets in `alive` answer their pings with `status`. Gives the pings as second and
/// peer.
fn run(w: &mut World, until_s: u64, alive: &[&str], status: &str) -> Vec<(u64, String)> {
    let mut pings = Vec::new();
    loop {
        let now_ms = w.now.as_millis() - START.as_millis();
        let left = until_s * 1_000 - now_ms;
        let next = w.node.next_deadline().map_or(left, |d| d.since(w.now).as_millis() as u64).min(left);
        for ping in w.wait(Duration::from_millis(next)) {
            assert!(ping.text.starts_with("OPTIONS "), "{}", ping.text);
            pings.push((ping.at_ms, ping.to.to_string()));
            if alive.contains(&&*ping.to.to_string()) {
                w.udp(&ping.to.to_string(), ping.answer(status, "t", ""));
            }
        }
        if next == left {
            return pings;
        }
    }
}

fn health(w: &World) -> Vec<Health> {
    w.node.targets().map(|(_, t)| t.health()).collect()
}

fn changes(w: &World) -> Vec<&str> {
    w.reports.iter().filter(|r| r.starts_with("TargetChanged")).map(|r| &**r).collect()
}

#[test]
fn three_silent_pings_and_three_good_ones() {
    let mut w = probing("class=2");
    let others = [TARGETS[1], TARGETS[2]];
    run(&mut w, 29, &others, "200 OK");
    assert_eq!(health(&w)[0], Health::Trying, "it has failed, but is not down before t=30");
    run(&mut w, 30, &others, "200 OK");
    assert_eq!(health(&w), [Health::Down, Health::Up, Health::Up]);
    run(&mut w, 59, &TARGETS, "200 OK");
    assert_eq!(health(&w)[0], Health::Down);
    run(&mut w, 60, &TARGETS, "200 OK");
    assert_eq!(health(&w), [Health::Up; 3]);
    assert_eq!(changes(&w).len(), 3, "once a change: trying, down, up: {:?}", changes(&w));
}

#[test]
fn one_ping_an_interval_and_target_and_never_a_second_copy() {
    let mut w = probing("class=2");
    let pings = run(&mut w, 60, &SILENT, "");
    for t in TARGETS {
        let times: Vec<_> = pings.iter().filter(|(_, to)| to == t).map(|(at, _)| *at).collect();
        assert_eq!(times, [6_000, 16_000, 26_000, 36_000, 46_000, 56_000], "{t}");
    }
}

#[test]
fn a_ping_is_a_request_of_its_own() {
    let mut w = probing("class=2");
    let sent = w.wait(Duration::from_secs(6));
    let pings: Vec<_> = sent.iter().collect();
    assert_eq!(pings.len(), 3);
    assert_ne!(pings[0].line("Call-ID:"), pings[1].line("Call-ID:"));
    assert_eq!(pings[0].line("From:").split(";tag=").next(), Some("From: <sip:keepalive@nodomain.com>"));
    assert!(
        pings[0].text.starts_with("OPTIONS sip:203.0.113.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=")
    );
}

#[test]
fn a_reply_code_that_is_not_good_takes_the_target_down() {
    for (codes, status, down) in [
        ("class=2", "404 Not Found", true),
        ("class=2", "503 Down", true),
        ("class=2;code=404", "404 Not Found", false),
        ("class=2;class=4", "408 Request Timeout", false),
        ("class=2;class=3", "302 Moved", false),
    ] {
        let mut w = probing(codes);
        run(&mut w, 30, &TARGETS, status);
        assert_eq!(health(&w), if down { [Health::Down; 3] } else { [Health::Up; 3] }, "{codes} {status}");
    }
}

#[test]
fn silence_is_no_reply_whatever_the_codes() {
    let mut w = probing("class=2;class=4;class=5;class=6");
    run(&mut w, 30, &SILENT, "");
    assert_eq!(health(&w), [Health::Down; 3]);
}

#[test]
fn a_forged_or_late_reply_to_a_ping_counts_for_nothing() {
    let mut w = probing("class=2");
    let sent = w.wait(Duration::from_secs(6));
    let ping = to(&sent, TARGETS[0])[0].clone();
    w.wait(Duration::from_secs(5));
    w.udp(TARGETS[0], ping.answer("200 OK", "t", ""));
    assert_eq!(health(&w)[0], Health::Trying, "it was late");
    let sent = w.wait(Duration::from_secs(5));
    let ping = to(&sent, TARGETS[0])[0].clone();
    // The old branch again is no answer to the new ping.
    let via = ping.line("Via:");
    let mut other = via.to_string();
    let digit = if &via[60..61] == "a" { "b" } else { "a" };
    other.replace_range(60..61, digit);
    let before = w.node.stats().foreign_via;
    w.udp(TARGETS[0], with(&ping.answer("200 OK", "t", ""), via, &other));
    assert_eq!(w.node.stats().foreign_via, before + 1);
    w.wait(Duration::from_secs(4));
    assert_eq!(health(&w)[0], Health::Trying);
}

#[test]
fn a_ping_that_could_not_be_sent_has_failed() {
    let mut w = probing("class=2");
    for _ in 0..3 {
        let sent = w.wait(Duration::from_secs(6));
        for ping in &sent {
            assert!(w.undelivered(ping).is_empty(), "nothing is sent again");
        }
        w.wait(Duration::from_secs(4));
    }
    assert_eq!(health(&w), [Health::Down; 3]);
}

#[test]
fn new_calls_avoid_a_target_that_is_down_and_come_back() {
    let mut w = probing("class=2");
    run(&mut w, 30, &[TARGETS[1], TARGETS[2]], "200 OK");
    let sent = w.udp(CALLER, invite(1));
    assert!(to(&sent, TARGETS[0]).is_empty());
    w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("486 Busy", "x", ""));
    w.udp(CALLER, ack_of(&invite(1)));
    run(&mut w, 60, &TARGETS, "200 OK");
    let sent = w.udp(CALLER, invite(2));
    assert_eq!(to(&sent, TARGETS[0]).len(), 1);
}

#[test]
fn all_down_is_no_target_and_says_so() {
    let mut w = probing("class=2");
    run(&mut w, 30, &SILENT, "");
    let sent = only(w.udp(CALLER, invite(1)));
    assert!(sent.text.starts_with("SIP/2.0 503 Service Unavailable — No Media Servers\r\n"), "{}", sent.text);
    assert_eq!(w.node.stats().no_target, 1);
}

#[test]
fn good_pings_never_open_a_drained_target_again() {
    let mut w = probing("class=2");
    let command = StateCommand { admin: AdminState::Drain, trying: false, flagged: true };
    let mut cx = crate::machine::Cx { now: w.now, entropy: &mut w.entropy };
    let uri = std::format!("sip:{}", TARGETS[0]);
    assert_eq!(w.node.set_state(&mut cx, 1, &uri, command, &mut |_| {}), 1);
    let pings = run(&mut w, 600, &TARGETS, "200 OK");
    assert_eq!(pings.iter().filter(|(_, to)| to == TARGETS[0]).count(), 60, "it is pinged all the while");
    assert_eq!(health(&w)[0], Health::Up, "it is well, and out all the same");
    for n in 1..=5 {
        let sent = w.udp(CALLER, invite(n));
        assert!(to(&sent, TARGETS[0]).is_empty());
        w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("486 Busy", "x", ""));
    }
}

#[test]
fn traffic_that_fails_makes_a_target_suspect_and_pings_bring_it_back() {
    // Only suspects are pinged.
    let mut w = World::new();
    assert!(w.wait(Duration::from_secs(60)).is_empty());
    let sent = w.udp(CALLER, invite(1));
    let sent = w.undelivered(to(&sent, TARGETS[0])[0]);
    w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("486 Busy", "x", ""));
    w.udp(CALLER, ack_of(&invite(1)));
    assert_eq!(health(&w)[0], Health::Trying);
    let sent = w.udp(CALLER, invite(2));
    assert!(to(&sent, TARGETS[0]).is_empty(), "new calls avoid it from its first failure on");
    w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("486 Busy", "x", ""));
    w.udp(CALLER, ack_of(&invite(2)));
    // The first ping of a suspect goes out at once.
    let pings = run(&mut w, 70, &TARGETS, "200 OK");
    assert_eq!(pings, [(60_000, TARGETS[0].to_string())]);
    assert_eq!(health(&w)[0], Health::Up);
    assert!(run(&mut w, 100, &TARGETS, "200 OK").is_empty(), "it is no suspect any more");
}

#[test]
fn a_shard_that_is_not_the_first_leaves_pings_to_it() {
    let mut config = config();
    config.dispatcher.probe = ProbeSettings { jitter: false, ..ProbeSettings::default() };
    let config: Config<Contains> = config;
    let mut w = World::as_shard(config, 1);
    assert!(w.wait(Duration::from_secs(60)).is_empty());
}

#[test]
fn a_target_that_reports_overload_is_spared() {
    let attrs = Attrs { overload_control: true, ..Attrs::default() };
    let uris = TARGETS.map(|t| std::format!("sip:{t}"));
    let targets: std::vec::Vec<_> = TARGETS
        .iter()
        .zip(&uris)
        .enumerate()
        .map(|(i, (t, uri))| TargetConfig {
            attrs,
            priority: 10 - i as i32,
            ..TargetConfig::new(1, uri, t.parse().unwrap())
        })
        .collect();
    let mut w = World::with_targets(config_by(Algorithm::Overload), &CAPACITY, &targets);
    let first = to(&w.udp(CALLER, invite(1)), TARGETS[0])[0].clone();
    assert!(first.line("Via:").ends_with(";rport;oc;oc-algo=\"loss\""), "{}", first.text);
    let ringing = first.answer("180 Ringing", "bo", "");
    let report = ringing.replacen(";oc;oc-algo=\"loss\"", ";oc=100;oc-algo=\"loss\";oc-validity=2000;oc-seq=1.5", 1);
    let forwarded = only(w.udp(TARGETS[0], report));
    assert!(!forwarded.text.contains("oc-"), "the report is ours alone\n{}", forwarded.text);
    assert_eq!(to(&w.udp(CALLER, invite(2)), TARGETS[1]).len(), 1);
    w.wait(Duration::from_millis(2_000));
    assert_eq!(to(&w.udp(CALLER, invite(3)), TARGETS[0]).len(), 1);
}

#[test]
fn a_target_has_its_own_socket_and_its_own_pings() {
    let mut config = config();
    config.dispatcher.probe.mode = ProbingMode::All;
    let proxy = Hop { transport: Transport::Tcp, address: "203.0.113.9:5090".parse().unwrap() };
    let plain = TargetConfig::new(1, "sip:203.0.113.1:5060", TARGETS[0].parse().unwrap());
    let targets = [
        TargetConfig { ping_from: "sip:watch@edge.example", ping_proxy: Some(proxy), priority: 1, ..plain },
        // Number 4 is the second UDP socket; number 1 is TCP and cannot reach the target.
        TargetConfig { socket: "second", listener: Some(ListenerId(4)), ..plain },
        TargetConfig { socket: "wrong", listener: Some(ListenerId(1)), ..plain },
    ];
    let mut listeners = listeners();
    let second = "192.0.2.1:5070".parse().unwrap();
    listeners.push(Listener { transport: Transport::Udp, bound: second, advertised: second });
    config.locals = Locals::new(&listeners, List::EMPTY, List::EMPTY);
    let mut w = World::with_targets(config, &CAPACITY, &targets);
    let pings = w.wait(Duration::from_secs(10));
    let seen: std::vec::Vec<_> = pings.iter().map(|p| (p.to.to_string(), p.transport, p.listener)).collect();
    let target = || TARGETS[0].to_string();
    assert_eq!(seen.len(), 3);
    assert!(seen.contains(&("203.0.113.9:5090".to_string(), Transport::Tcp, 1)), "{seen:?}");
    assert!(seen.contains(&(target(), Transport::Udp, 4)) && seen.contains(&(target(), Transport::Udp, 0)), "{seen:?}");
    let proxied = pings.iter().find(|p| p.transport == Transport::Tcp).unwrap();
    assert!(proxied.text.starts_with("OPTIONS sip:203.0.113.1:5060 SIP/2.0"));
    assert!(proxied.line("From:").starts_with("From: <sip:watch@edge.example>"), "{}", proxied.text);
}
