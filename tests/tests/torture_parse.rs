//! The torture messages of RFC 4475 and RFC 5118 and our own bad input, through the parser and through a whole node.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_core::dispatcher::{Algorithm, DispatcherSettings, ProbeSettings, SetConfig, TargetConfig};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::flow::{Flow, ListenerId};
use trunkline_core::node::{Action, Capacity, Config, Event, Identity, Node};
use trunkline_core::proxy::{Listener, Locals};
use trunkline_core::routing::{Condition, Dispatch, Pattern, Rule, Rules, Verdict};
use trunkline_core::store::List;
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::transport::Transport;
use trunkline_core::{Cx, Instant};
use trunkline_tests::torture::{self, Case, Expect, Outcome, SERVER};

const SOURCE: &str = "127.0.0.1:40000";
const TARGET: &str = "127.0.0.1:5070";

/// Rules of this test match by no pattern.
#[derive(Clone, Debug)]
struct NoPattern;

impl Pattern for NoPattern {
    fn is_match(&self, _: &[u8]) -> bool {
        false
    }
}

/// A proxy that sends the usual methods to one target.
fn config() -> Config<NoPattern> {
    let address: SocketAddr = SERVER.parse().unwrap();
    let listener = Listener { transport: Transport::Udp, bound: address, advertised: address };
    let dispatch = Dispatch { set: 1, algorithm: Algorithm::Serial, fallback: None, limit: 1, value_header: None };
    let methods = ["INVITE", "BYE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "INFO", "UPDATE", "REFER"];
    let methods = Condition::Method(methods.iter().map(|m| (*m).into()).collect());
    let locals = Locals::new(&[listener], List::EMPTY, List::EMPTY);
    let rules = Rules(List::from(vec![Rule { when: List::from(vec![methods]), then: Verdict::Dispatch(dispatch) }]));
    Config {
        dispatcher: DispatcherSettings {
            probe: ProbeSettings { passive: true, ..ProbeSettings::default() },
            ..DispatcherSettings::default()
        },
        udp_max: 65_535,
        ..Config::new(locals, rules)
    }
}

/// What the node sends, to whom, until nothing is left of the message.
fn run(bytes: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
    let capacity = Capacity { transactions: 16, contexts: 16, dialogs: 16, targets: 4, sets: 4 };
    let identity = Identity { shard: 0, secret: [7; 16] };
    let mut node = Node::new(capacity.reserve(), config(), identity).unwrap();
    let mut entropy = SeededEntropy::new(1);
    let mut now = Instant::from_millis(1_000_000);
    let uri = format!("sip:{TARGET}");
    let targets = [TargetConfig::new(1, &uri, TARGET.parse().unwrap())];
    let mut cx = Cx { now, entropy: &mut entropy };
    node.reload_targets(&mut cx, &[SetConfig { id: 1, fallback: None }], &targets).unwrap();
    let mut sent = Vec::new();
    let mut out = |action: Action<'_>| {
        if let Action::Send { flow, bytes } = action {
            sent.push((flow.peer, bytes.to_vec()));
        }
    };
    let flow =
        Flow { listener: ListenerId(0), transport: Transport::Udp, peer: SOURCE.parse().unwrap(), connection: None };
    node.handle(&mut cx, Event::Received { flow, bytes }, &mut out);
    // At once, not what comes of a target that never answers.
    let until = now + Duration::from_millis(400);
    while let Some(at) = node.next_deadline().filter(|at| *at <= until) {
        now = now.max(at);
        node.handle(&mut Cx { now, entropy: &mut entropy }, Event::Timeout, &mut out);
    }
    let mut nothing = |_: Action<'_>| {};
    let mut turns = 0;
    while let Some(at) = node.next_deadline() {
        turns += 1;
        assert!(turns < 1_000, "it never ends");
        now = now.max(at);
        node.handle(&mut Cx { now, entropy: &mut entropy }, Event::Timeout, &mut nothing);
    }
    for fill in node.fill() {
        assert_eq!(fill.used, 0, "{} are left", fill.what);
    }
    sent
}

fn outcome(case: &Case) -> Outcome {
    let sent = run(case.bytes);
    let target: SocketAddr = TARGET.parse().unwrap();
    if sent.iter().any(|(peer, _)| *peer == target) {
        return Outcome::Relayed;
    }
    // What answers a malformed request lacks what that lacks, so the start line has to do.
    let status = |bytes: &[u8]| std::str::from_utf8(bytes.strip_prefix(b"SIP/2.0 ")?.get(..3)?).ok()?.parse().ok();
    let mut finals = sent.iter().filter_map(|(_, bytes)| status(bytes)).filter(|s: &u16| *s >= 200);
    finals.next().map_or(Outcome::Silent, Outcome::Answered)
}

#[test]
fn every_valid_message_is_parsed() {
    for case in torture::all().filter(|c| c.must_parse()) {
        if let Err(error) = Msg::parse(case.bytes) {
            panic!("{} (§{}): {error}: {}", case.name, case.section, case.why);
        }
    }
}

#[test]
fn every_request_that_has_to_be_refused_can_be_answered() {
    for case in torture::all().filter(|c| matches!(c.on_datagram, Some(Expect::Reject(_)))) {
        let msg = Msg::parse(case.bytes).ok().or_else(|| Msg::salvage(case.bytes));
        assert!(msg.is_some_and(|m| m.method().is_some()), "{} (§{}): {}", case.name, case.section, case.why);
    }
}

#[test]
fn a_node_does_what_the_rfcs_ask_for() {
    let mut wrong = Vec::new();
    for case in torture::all() {
        let Some(expected) = case.on_datagram else { continue };
        let got = outcome(case);
        if !expected.allows(got) {
            wrong.push(format!("{} (§{}): {got:?}, not {expected:?}: {}", case.name, case.section, case.why));
        }
    }
    assert!(wrong.is_empty(), "{} messages:\n{}", wrong.len(), wrong.join("\n"));
}

/// What is sent on is a valid message, whatever came in.
#[test]
fn what_is_relayed_is_in_order() {
    for case in torture::all().filter(|c| c.on_datagram.is_some()) {
        let target: SocketAddr = TARGET.parse().unwrap();
        for (peer, bytes) in run(case.bytes).into_iter().filter(|(peer, _)| *peer == target) {
            if let Err(error) = Msg::parse_sent(&bytes) {
                panic!("{} to {peer}: {error}\n{}", case.name, String::from_utf8_lossy(&bytes));
            }
        }
    }
}

/// No cut and no changed byte of any of them does harm.
#[test]
fn every_message_cut_short_or_damaged() {
    for case in torture::all().filter(|c| c.bytes.len() < 3_000) {
        for at in 0..case.bytes.len() {
            let _ = Msg::parse(&case.bytes[..at]);
            let _ = Msg::salvage(&case.bytes[..at]);
        }
        for at in (0..case.bytes.len()).step_by(37) {
            let mut bytes = case.bytes.to_vec();
            for byte in [0, b'\r', b'"', b'<', b',', 0xff] {
                bytes[at] = byte;
                run(&bytes);
            }
        }
    }
}
