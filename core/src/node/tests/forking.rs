//! Several targets for one request (RFC 3261 §16.6, §16.7).

use std::string::String;
use std::time::Duration;
use std::vec::Vec;

use super::world::*;
use crate::dispatcher::Algorithm;

fn parallel() -> World {
    World::set_up(config_by(Algorithm::Parallel))
}

/// Sends an INVITE; gives what each target got.
fn fork(w: &mut World, n: u32) -> Vec<Sent> {
    let sent = w.udp(CALLER, invite(n));
    TARGETS.iter().map(|t| to(&sent, t)[0].clone()).collect()
}

#[test]
fn the_first_2xx_wins_and_the_others_are_cancelled() {
    let mut w = parallel();
    let branches = fork(&mut w, 1);
    assert_ne!(branches[0].line("Via:"), branches[1].line("Via:"));
    for n in [0, 1] {
        let ringing = only(w.udp(TARGETS[n], branches[n].answer("180 Ringing", &std::format!("t{n}"), "")));
        assert!(ringing.text.starts_with("SIP/2.0 180") && ringing.text.contains(&std::format!(";tag=t{n}")));
    }
    let sent = w.udp(TARGETS[1], branches[1].answer("200 OK", "t1", ""));
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 200 OK"));
    let cancel = to(&sent, TARGETS[0])[0].clone();
    assert!(cancel.text.starts_with("CANCEL "));
    assert!(to(&sent, TARGETS[2]).is_empty(), "no CANCEL before a provisional response");
    let sent = w.udp(TARGETS[2], branches[2].answer("180 Ringing", "t2", ""));
    assert!(only(sent).text.starts_with("CANCEL "), "it comes now, and the caller hears no more ringing");
    let sent = w.udp(TARGETS[0], branches[0].answer("487 Request Terminated", "t0", ""));
    assert!(only(sent).text.starts_with("ACK "), "the end of a cancelled branch is not forwarded");
    assert_eq!(w.loads(), [0, 1, 0]);
    assert_eq!(w.node.stats().calls_answered, 1);
}

#[test]
fn a_2xx_of_another_branch_passes_as_well() {
    let mut w = parallel();
    let branches = fork(&mut w, 1);
    w.udp(TARGETS[1], branches[1].answer("200 OK", "t1", ""));
    let late = only(w.udp(TARGETS[2], branches[2].answer("200 OK", "t2", "")));
    assert_eq!(late.to, CALLER.parse().unwrap());
    assert!(late.line("To:").ends_with(";tag=t2"));
    assert_eq!(w.loads(), [0, 1, 0], "it is one call");
    assert_eq!(w.node.stats().calls_answered, 1);
}

#[test]
fn the_best_response_is_chosen() {
    let rows: &[([&str; 3], &str)] = &[
        (["503 X", "404 Not Found", "500 X"], "404 Not Found"),
        (["302 Moved", "404 Not Found", "486 Busy"], "302 Moved"),
        (["486 Busy", "404 Not Found", "480 Gone"], "480 Gone"),
        (["401 Unauthorized", "404 Not Found", "486 Busy"], "401 Unauthorized"),
        (["486 Busy", "420 Bad Extension", "404 Not Found"], "420 Bad Extension"),
        (["486 Busy", "603 Decline", "302 Moved"], "603 Decline"),
        (["500 X", "408 X", "404 Not Found"], "404 Not Found"),
        (["500 X", "503 X", "408 X"], "503 All Media Servers Unavailable"),
    ];
    for (answers, expected) in rows {
        let mut w = parallel();
        let branches = fork(&mut w, 1);
        let mut sent = Vec::new();
        for (n, answer) in answers.iter().enumerate() {
            assert!(to(&sent, CALLER).is_empty(), "{answers:?}: nothing before all have answered");
            sent = w.udp(TARGETS[n], branches[n].answer(answer, "x", ""));
        }
        let last = to(&sent, CALLER)[0];
        assert!(last.text.starts_with(&std::format!("SIP/2.0 {expected}\r\n")), "{answers:?}: {}", last.text);
        assert!(w.udp(CALLER, ack_of(&invite(1))).is_empty());
    }
}

#[test]
fn the_challenges_of_all_branches_go_up_together() {
    let mut w = parallel();
    let branches = fork(&mut w, 1);
    let challenge = |name: &str, realm: &str| std::format!("{name}: Digest realm=\"{realm}\", nonce=\"n\"\r\n");
    let answer = branches[0].answer("401 Unauthorized", "x", &challenge("WWW-Authenticate", "a"));
    w.udp(TARGETS[0], answer);
    w.udp(TARGETS[1], branches[1].answer("404 Not Found", "x", &challenge("WWW-Authenticate", "no")));
    let answer = branches[2].answer("407 Proxy", "x", &challenge("Proxy-Authenticate", "b"));
    let sent = w.udp(TARGETS[2], answer);
    let last = to(&sent, CALLER)[0];
    assert!(last.text.starts_with("SIP/2.0 407"));
    assert!(last.line("Proxy-Authenticate:").contains("\"b\""));
    assert!(last.line("WWW-Authenticate:").contains("\"a\""));
    assert!(!last.text.contains("\"no\""));
}

#[test]
fn a_6xx_ends_the_search_and_waits_for_what_it_cancelled() {
    let mut w = parallel();
    let branches = fork(&mut w, 1);
    w.udp(TARGETS[0], branches[0].answer("180 Ringing", "t0", ""));
    let sent = w.udp(TARGETS[1], branches[1].answer("603 Decline", "t1", ""));
    assert!(to(&sent, TARGETS[0])[0].text.starts_with("CANCEL "));
    assert!(to(&sent, CALLER).is_empty());
    // Target 0 never answers its CANCEL, target 2 nothing at all.
    let sent = w.wait(Duration::from_secs(40));
    let last = to(&sent, CALLER)[0];
    assert!(last.text.starts_with("SIP/2.0 603 Decline"), "{}", last.text);
    assert_eq!(last.at_ms, 32_000);
}

#[test]
fn a_6xx_of_one_target_tries_no_other() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let sent = w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("603 Decline", "x", ""));
    assert!(to(&sent, TARGETS[1]).is_empty());
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 603"));
}

#[test]
fn the_last_word_counts_more_than_failures_before_it() {
    // 408 is a lower class than 500, but it only says that a target failed.
    let config = crate::node::Config { failover: crate::proxy::StatusSet::parse("408").unwrap(), ..config() };
    let mut w = World::set_up(config);
    let sent = w.udp(CALLER, invite(1));
    let sent = w.udp(TARGETS[0], to(&sent, TARGETS[0])[0].answer("408 Request Timeout", "x", ""));
    let sent = w.udp(TARGETS[1], to(&sent, TARGETS[1])[0].answer("500 Oops", "x", ""));
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 500 Oops"));
}

#[test]
fn a_target_that_was_given_up_and_answers_after_all_gets_the_call() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    let sent = w.wait(Duration::from_secs(2));
    let second = to(&sent, TARGETS[1])[0].clone();
    assert_eq!(w.loads(), [0, 1, 0]);
    w.udp(TARGETS[1], second.answer("180 Ringing", "t1", ""));
    let sent = w.udp(TARGETS[0], first.answer("200 OK", "t0", ""));
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 200 OK"));
    assert!(to(&sent, TARGETS[1])[0].text.starts_with("CANCEL "));
    assert_eq!(w.loads(), [1, 0, 0], "the call is counted where it is");
    w.udp(TARGETS[1], second.answer("487 Request Terminated", "t1", ""));
    w.settle();
}

#[test]
fn a_target_that_was_given_up_and_rings_after_all_is_cancelled() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.wait(Duration::from_secs(2));
    let sent = only(w.udp(TARGETS[0], first.answer("180 Ringing", "t0", "")));
    assert!(sent.text.starts_with("CANCEL ") && sent.to == TARGETS[0].parse().unwrap());
}

#[test]
fn cancel_reaches_every_branch() {
    let mut w = parallel();
    let branches = fork(&mut w, 1);
    for (n, b) in branches.iter().enumerate() {
        w.udp(TARGETS[n], b.answer("180 Ringing", &std::format!("t{n}"), ""));
    }
    let sent = w.udp(CALLER, cancel_of(&invite(1)));
    for t in TARGETS {
        assert!(to(&sent, t)[0].text.starts_with("CANCEL "));
    }
    let mut last: Vec<String> = Vec::new();
    for (n, b) in branches.iter().enumerate() {
        let sent = w.udp(TARGETS[n], b.answer("487 Request Terminated", &std::format!("t{n}"), ""));
        last.extend(to(&sent, CALLER).iter().map(|s| s.text.clone()));
    }
    assert_eq!(last.len(), 1);
    assert!(last[0].starts_with("SIP/2.0 487"));
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn a_cancelled_branch_that_answers_5xx_is_no_failover() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let first = to(&sent, TARGETS[0])[0].clone();
    w.udp(TARGETS[0], first.answer("180 Ringing", "t0", ""));
    w.udp(CALLER, cancel_of(&invite(1)));
    let sent = w.udp(TARGETS[0], first.answer("500 Oops", "t0", ""));
    assert!(to(&sent, TARGETS[1]).is_empty());
    assert!(to(&sent, CALLER)[0].text.starts_with("SIP/2.0 500 Oops"));
    assert_eq!(w.node.stats().exhausted, 0);
}
