//! Calls whose media is anchored: a node, an anchor, and relays written as what they answer.

use std::net::SocketAddr;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use proptest::prelude::*;

use super::world::*;
use crate::anchor::{Anchor, AnchorConfig, OnFailure, Profile, RelayNode};
use crate::dispatcher::{SetConfig, TargetConfig};
use crate::entropy::SeededEntropy;
use crate::machine::Cx;
use crate::node::{Action, Anchored, Capacity, Event};
use crate::store::List;
use crate::time::Instant;
use crate::wire::ng;
use crate::wire::sip::transport::Transport;

const RELAYS: [&str; 2] = ["192.0.2.50:2223", "192.0.2.51:2223"];
const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A command that a relay got.
#[derive(Clone, Debug)]
struct Asked {
    relay: String,
    cookie: String,
    text: String,
}

impl Asked {
    fn value(&self, key: &str) -> String {
        let dict = ng::decode(self.text.as_bytes(), &mut []).unwrap();
        String::from_utf8_lossy(dict.str(key).unwrap_or_default()).into_owned()
    }

    fn list(&self, key: &str) -> Vec<String> {
        let dict = ng::decode(self.text.as_bytes(), &mut []).unwrap();
        let items = dict.list(key).into_iter().flat_map(|l| l.iter());
        items.filter_map(|v| v.as_str().map(|v| String::from_utf8_lossy(v).into_owned())).collect()
    }

    /// Command, the tag of the offerer, that of the other side.
    fn names(&self) -> (String, String, String) {
        (self.value("command"), self.value("from-tag"), self.value("to-tag"))
    }
}

struct AnchoredWorld {
    edge: Anchored<'static, Contains>,
    entropy: SeededEntropy,
    now: Instant,
    sent: Vec<Sent>,
    asked: Vec<Asked>,
    reports: Vec<String>,
}

fn anchor_config() -> AnchorConfig {
    let node = |address: &str| RelayNode { address: address.parse().unwrap(), set: 0, weight: 1 };
    AnchorConfig {
        relays: List::from(std::vec![node(RELAYS[0])]),
        inside: Profile { interface: "internal".into(), transport_protocol: "RTP/AVP".into(), ..Profile::default() },
        outside: Profile {
            interface: "external".into(),
            flags: List::from(std::vec!["trust-address".into()]),
            ..Profile::default()
        },
        inside_networks: List::from(std::vec!["203.0.113.0/24".parse().unwrap()]),
        ..AnchorConfig::default()
    }
}

impl AnchoredWorld {
    fn new(config: AnchorConfig) -> Self {
        Self::with(config, &CAPACITY)
    }

    fn with(config: AnchorConfig, capacity: &Capacity) -> Self {
        let mut node = bare_node(super::world::config(), capacity, 0);
        let (mut entropy, now) = (SeededEntropy::new(1), START);
        let uris = TARGETS.map(|t| std::format!("sip:{t}"));
        let named = TARGETS.iter().zip(&uris).zip([3, 2, 1]);
        let targets: Vec<_> = named
            .map(|((t, uri), priority)| TargetConfig { priority, ..TargetConfig::new(1, uri, t.parse().unwrap()) })
            .collect();
        let sets = [SetConfig { id: 1, fallback: None }];
        node.reload_targets(&mut Cx { now, entropy: &mut entropy }, &sets, &targets).unwrap();
        let mut anchor = Anchor::new(capacity.reserve_anchor(), *b"a secret of node");
        anchor.configure(config);
        Self { edge: Anchored { node, anchor }, entropy, now, sent: Vec::new(), asked: Vec::new(), reports: Vec::new() }
    }

    fn event(&mut self, event: Event<'_>) -> Vec<Sent> {
        let Self { edge, entropy, now, sent, asked, reports } = self;
        edge.handle(&mut Cx { now: *now, entropy }, event, &mut |action| match action {
            Action::Send { flow, bytes } => sent.push(Sent {
                at_ms: now.as_millis() - START.as_millis(),
                to: flow.peer,
                transport: flow.transport,
                listener: flow.listener.0,
                text: String::from_utf8_lossy(bytes).into_owned(),
            }),
            Action::Relay { to, bytes } => {
                let message = ng::split(bytes).unwrap();
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                asked.push(Asked { relay: to.to_string(), cookie: text(message.cookie), text: text(message.body) });
            }
            Action::Report(report) => reports.push(std::format!("{report:?}")),
        });
        core::mem::take(&mut self.sent)
    }

    fn udp(&mut self, from: &str, text: &str) -> Vec<Sent> {
        self.event(Event::Received { flow: World::flow(from, Transport::Udp), bytes: text.as_bytes() })
    }

    fn wait(&mut self, d: Duration) -> Vec<Sent> {
        let end = self.now + d;
        let mut all = Vec::new();
        let mut turns = 0;
        while let Some(at) = self.edge.next_deadline().filter(|at| *at <= end) {
            turns += 1;
            assert!(turns < 100_000, "the deadline stands still");
            self.now = self.now.max(at);
            all.extend(self.event(Event::Timeout));
        }
        self.now = end;
        all
    }

    /// The only command under way.
    #[track_caller]
    fn asked(&mut self) -> Asked {
        let asked = core::mem::take(&mut self.asked);
        assert_eq!(asked.len(), 1, "{asked:#?}");
        asked.into_iter().next().unwrap()
    }

    fn answer_with(&mut self, asked: &Asked, body: &str) -> Vec<Sent> {
        let text = std::format!("{} {body}", asked.cookie);
        let from: SocketAddr = asked.relay.parse().unwrap();
        self.event(Event::Relay { from, bytes: text.as_bytes() })
    }

    /// The relay does what it is asked: its address instead of any other.
    fn do_it(&mut self, asked: &Asked) -> Vec<Sent> {
        let sdp = rewritten(&asked.value("sdp"), &asked.value("command"));
        let body = std::format!("d6:result2:ok3:sdp{}:{sdp}e", sdp.len());
        self.answer_with(asked, &body)
    }

    fn idle(&self) -> bool {
        self.edge.anchor.is_empty()
    }
}

fn rewritten(sdp: &str, command: &str) -> String {
    sdp.replace("198.51.100.7", "192.0.2.50").replace("203.0.113.1", "192.0.2.50") + "a=" + command + "\r\n"
}

fn with_sdp(message: &str, sdp: &str) -> String {
    let fields = std::format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    message.replacen("Content-Length: 0\r\n\r\n", &fields, 1)
}

fn callee_sdp() -> String {
    SDP.replace("198.51.100.7", "203.0.113.1")
}

/// A call up to its answer; the INVITE that the target got and the 200 that the caller got.
fn call(w: &mut AnchoredWorld) -> (Sent, Sent) {
    let trying = w.udp(CALLER, &with_sdp(&invite(1), SDP));
    assert!(to(&trying, TARGETS[0]).is_empty(), "held until the relay has answered");
    assert!(only(trying).text.starts_with("SIP/2.0 100"));
    let offer = w.asked();
    let forwarded = only(w.do_it(&offer));
    assert_eq!(forwarded.to, TARGETS[0].parse().unwrap());
    let ok = with_sdp(&forwarded.answer("200 OK", "bo", "Contact: <sip:bo@203.0.113.1:5060>\r\n"), &callee_sdp());
    assert!(w.udp(TARGETS[0], &ok).is_empty());
    let answer = w.asked();
    let ok = only(w.do_it(&answer));
    assert_eq!(ok.to, CALLER.parse().unwrap());
    (forwarded, ok)
}

#[test]
fn both_sides_get_the_address_of_the_relay() {
    let mut w = AnchoredWorld::new(anchor_config());
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let offer = w.asked();
    assert_eq!(offer.names().0, "offer");
    assert_eq!(offer.value("sdp"), SDP);
    assert_eq!(offer.list("direction"), ["external", "internal"]);
    assert_eq!((offer.value("transport-protocol").as_str(), offer.list("flags").len()), ("RTP/AVP", 0));
    assert_eq!(offer.list("received-from"), ["IP4", "198.51.100.7"]);
    let forwarded = only(w.do_it(&offer));
    let body = rewritten(SDP, "offer");
    assert!(forwarded.text.ends_with(&std::format!("\r\n\r\n{body}")), "{}", forwarded.text);
    assert_eq!(forwarded.line("Content-Length:"), std::format!("Content-Length: {}", body.len()));
    assert!(forwarded.line("Via:").contains(&offer.value("via-branch")));
    // A response without SDP is none of the relay's business.
    assert!(only(w.udp(TARGETS[0], &forwarded.answer("180 Ringing", "bo", ""))).text.starts_with("SIP/2.0 180"));
    let ok = with_sdp(&forwarded.answer("200 OK", "bo", "Contact: <sip:bo@203.0.113.1>\r\n"), &callee_sdp());
    assert!(w.udp(TARGETS[0], &ok).is_empty());
    let answer = w.asked();
    let caller_tag = offer.value("from-tag");
    assert_eq!(answer.names(), ("answer".into(), caller_tag, "bo".into()));
    assert_eq!((answer.list("direction").len(), answer.list("flags")), (0, std::vec!["trust-address".to_string()]));
    assert_eq!(answer.value("via-branch"), offer.value("via-branch"));
    let got = only(w.do_it(&answer));
    assert!(got.text.ends_with(&rewritten(&callee_sdp(), "answer")), "{}", got.text);
}

#[test]
fn a_bye_ends_the_media_and_nothing_is_left() {
    let mut w = AnchoredWorld::new(anchor_config());
    let (_, ok) = call(&mut w);
    w.udp(CALLER, &from_caller("ACK", &ok, 1, 1));
    let bye = only(w.udp(CALLER, &from_caller("BYE", &ok, 1, 2)));
    let delete = w.asked();
    assert_eq!(delete.value("command"), "delete");
    w.udp(TARGETS[0], &bye.answer("200 OK", "", ""));
    w.answer_with(&delete, "d6:result2:oke");
    assert!(w.idle());
    w.wait(Duration::from_secs(40));
    assert!(w.asked.is_empty());
}

#[test]
fn an_offer_of_the_callee_is_answered_by_the_caller() {
    let mut w = AnchoredWorld::new(anchor_config());
    let (invite, ok) = call(&mut w);
    w.udp(CALLER, &from_caller("ACK", &ok, 1, 1));
    let again = with_sdp(&from_callee("INVITE", &invite, "bo", "sip:alice@198.51.100.7:5062", 1), &callee_sdp());
    let before = w.udp(TARGETS[0], &again);
    assert!(before.is_empty(), "{before:?}");
    let offer = w.asked();
    let (command, from, other) = offer.names();
    assert_eq!((command.as_str(), from.as_str(), other.is_empty()), ("offer", "bo", false));
    assert!(offer.value("via-branch").is_empty() && offer.list("direction").is_empty());
    assert_eq!(offer.list("flags"), ["trust-address"], "towards the caller, who is outside");
    let sent = w.do_it(&offer);
    let forwarded = to(&sent, CALLER)[0].clone();
    assert!(forwarded.text.ends_with(&rewritten(&callee_sdp(), "offer")));
    w.udp(CALLER, &with_sdp(&forwarded.answer("200 OK", "", ""), SDP));
    assert_eq!(w.asked().names().0, "answer");
}

#[test]
fn an_offer_in_a_response_is_answered_by_the_ack() {
    let mut w = AnchoredWorld::new(anchor_config());
    let sent = w.udp(CALLER, &invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    assert!(w.asked.is_empty(), "there is nothing to rewrite");
    let ok = with_sdp(&forwarded.answer("200 OK", "bo", "Contact: <sip:bo@203.0.113.1:5060>\r\n"), &callee_sdp());
    w.udp(TARGETS[0], &ok);
    let offer = w.asked();
    let (command, offerer, other) = offer.names();
    assert_eq!((command.as_str(), offerer.as_str()), ("offer", "bo"));
    assert_eq!(offer.list("direction"), ["internal", "external"]);
    let ok = only(w.do_it(&offer));
    w.udp(CALLER, &with_sdp(&from_caller("ACK", &ok, 1, 1), SDP));
    let answer = w.asked();
    assert_eq!(answer.names(), ("answer".into(), "bo".into(), other));
    assert!(only(w.do_it(&answer)).text.starts_with("ACK "));
}

#[test]
fn each_target_gets_an_offer_of_its_own() {
    let mut w = AnchoredWorld::new(anchor_config());
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let first = w.asked();
    let forwarded = only(w.do_it(&first));
    let sent = w.udp(TARGETS[0], &forwarded.answer("503 Busy", "x", ""));
    assert!(to(&sent, TARGETS[1]).is_empty());
    let second = w.asked();
    assert_eq!(second.value("command"), "offer");
    assert_ne!(second.value("via-branch"), first.value("via-branch"));
    assert!(second.list("direction").is_empty(), "the relay remembers the interfaces");
    assert_eq!(only(w.do_it(&second)).to, TARGETS[1].parse().unwrap());
}

#[test]
fn a_call_that_fails_has_no_media() {
    let mut w = AnchoredWorld::new(anchor_config());
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let offer = w.asked();
    let forwarded = only(w.do_it(&offer));
    w.udp(TARGETS[0], &forwarded.answer("486 Busy Here", "x", ""));
    let delete = w.asked();
    assert_eq!((delete.value("command"), delete.value("from-tag")), ("delete".into(), offer.value("from-tag")));
    w.answer_with(&delete, "d6:result2:oke");
    assert!(w.idle());
}

#[test]
fn a_relay_that_says_nothing_costs_its_own_calls_some_time_and_others_none() {
    let config = anchor_config();
    let patience = config.timeout * u32::from(config.tries);
    let mut w = AnchoredWorld::new(config);
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    // A call without SDP passes meanwhile.
    let sent = w.udp(CALLER, &invite(2));
    w.udp(TARGETS[0], &to(&sent, TARGETS[0])[0].answer("486 Busy Here", "x", ""));
    let sent = w.wait(patience);
    let failed = sent.iter().find(|s| s.text.starts_with("SIP/2.0 503")).expect("refused");
    assert_eq!(failed.to, CALLER.parse().unwrap());
    assert_eq!(w.asked.iter().filter(|a| a.value("command") == "offer").count(), 3, "sent again twice");
    assert!(w.reports.iter().any(|r| r.starts_with("RelayChanged") && r.contains("alive: false")));
    assert!(!w.reports.iter().any(|r| r.starts_with("TargetFailed")), "no target is to blame");
    // While it is dead nobody waits for it.
    w.asked.clear();
    let sent = w.udp(CALLER, &with_sdp(&invite(3), SDP));
    assert!(sent.iter().any(|s| s.text.starts_with("SIP/2.0 503")), "{sent:?}");
    assert!(w.asked.is_empty());
    // It is asked whether it lives, once an interval.
    w.wait(Duration::from_secs(60));
    let ping = w.asked.pop().unwrap();
    assert_eq!(ping.value("command"), "ping");
    w.asked.clear();
    w.answer_with(&ping, "d6:result4:ponge");
    w.udp(CALLER, &with_sdp(&invite(4), SDP));
    assert_eq!(w.asked().value("command"), "offer");
}

#[test]
fn without_a_relay_a_call_can_go_on_by_itself() {
    let mut w = AnchoredWorld::new(AnchorConfig { on_failure: OnFailure::Pass, ..anchor_config() });
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let forwarded = only(w.event(Event::Undelivered { to: RELAYS[0].parse().unwrap(), bytes: b"" }));
    assert!(forwarded.text.ends_with(SDP), "as it came");
    let mut w = AnchoredWorld::new(AnchorConfig { on_failure: OnFailure::Pass, ..anchor_config() });
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let offer = w.asked();
    let forwarded = only(w.answer_with(&offer, "d6:result5:error12:error-reason4:nonee"));
    assert!(forwarded.text.ends_with(SDP), "as it came");
    assert_eq!(forwarded.to, TARGETS[0].parse().unwrap());
}

#[test]
fn another_relay_stands_in_for_a_dead_one() {
    let node = |address: &str| RelayNode { address: address.parse().unwrap(), set: 0, weight: 1 };
    let relays = List::from(std::vec![node(RELAYS[0]), node(RELAYS[1])]);
    let mut w = AnchoredWorld::new(AnchorConfig { relays, ..anchor_config() });
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let offer = w.asked();
    w.event(Event::Undelivered { to: offer.relay.parse().unwrap(), bytes: b"" });
    let again = w.asked();
    assert_ne!(again.relay, offer.relay);
    assert_eq!(again.text, offer.text);
    // What the dead one says after all is not for this command any more.
    assert!(w.do_it(&offer).is_empty());
    let forwarded = only(w.do_it(&again));
    let ok = with_sdp(&forwarded.answer("200 OK", "bo", ""), &callee_sdp());
    w.udp(TARGETS[0], &ok);
    assert_eq!(w.asked().relay, again.relay, "the call stays there");
}

#[test]
fn what_nobody_asked_for_changes_nothing() {
    let mut w = AnchoredWorld::new(anchor_config());
    w.udp(CALLER, &with_sdp(&invite(1), SDP));
    let offer = w.asked();
    let body = "d6:result2:ok3:sdp3:v=0e";
    for (from, text) in [
        (RELAYS[1], std::format!("{} {body}", offer.cookie)),
        (RELAYS[0], std::format!("00000000000000010000000000000000 {body}")),
        (RELAYS[0], body.to_string()),
        (RELAYS[0], "x".to_string()),
    ] {
        assert!(w.event(Event::Relay { from: from.parse().unwrap(), bytes: text.as_bytes() }).is_empty());
    }
    assert_eq!(w.edge.anchor.stats().media_stray_replies, 4);
    assert_eq!(w.do_it(&offer).len(), 1);
    assert!(w.do_it(&offer).is_empty(), "an answer counts once");
}

#[test]
fn a_full_table_refuses_the_call_and_holds_nothing() {
    let capacity = Capacity { dialogs: 2, ..CAPACITY };
    let mut w = AnchoredWorld::with(anchor_config(), &capacity);
    for n in 1..=2 {
        w.udp(CALLER, &with_sdp(&invite(n), SDP));
    }
    assert_eq!(w.asked.len(), 2);
    let sent = w.udp(CALLER, &with_sdp(&invite(3), SDP));
    assert!(sent.iter().any(|s| s.text.starts_with("SIP/2.0 503")), "{sent:?}");
    assert_eq!(w.asked.len(), 2);
    for offer in core::mem::take(&mut w.asked) {
        let forwarded = only(w.do_it(&offer));
        w.udp(TARGETS[0], &forwarded.answer("486 Busy Here", "x", ""));
    }
    for delete in core::mem::take(&mut w.asked) {
        w.answer_with(&delete, "d6:result2:oke");
    }
    assert!(w.idle());
    w.udp(CALLER, &with_sdp(&invite(4), SDP));
    assert_eq!(w.asked().value("command"), "offer");
}

/// What can happen next in a world of calls, targets and relays.
#[derive(Clone, Debug)]
enum Step {
    Invite(u32),
    /// A relay answers the oldest command it has not answered, well or badly.
    Relay(bool),
    /// It never will.
    Forget,
    Garbage(Vec<u8>),
    Unreachable(usize),
    /// The target that got an INVITE last answers.
    Answer(&'static str, bool),
    Bye,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1u32..9).prop_map(Step::Invite),
        6 => proptest::bool::weighted(0.8).prop_map(Step::Relay),
        1 => Just(Step::Forget),
        1 => proptest::collection::vec(any::<u8>(), 0..80).prop_map(Step::Garbage),
        1 => (0usize..2).prop_map(Step::Unreachable),
        5 => (prop_oneof![Just("183 Progress"), Just("200 OK"), Just("486 Busy Here"), Just("503 X")], any::<bool>())
            .prop_map(|(status, sdp)| Step::Answer(status, sdp)),
        2 => Just(Step::Bye),
        2 => (1u64..4_000).prop_map(Step::Wait),
    ]
}

/// Carries out a step; `invites` and `answers` are what targets and callers got so far.
fn happen(w: &mut AnchoredWorld, step: Step, invites: &mut Vec<Sent>, answers: &mut Vec<Sent>) {
    let sent = match step {
        Step::Invite(n) => w.udp(CALLER, &with_sdp(&invite(n), SDP)),
        Step::Relay(_) | Step::Forget if w.asked.is_empty() => Vec::new(),
        Step::Forget => {
            w.asked.remove(0);
            Vec::new()
        }
        Step::Relay(good) => {
            let asked = w.asked.remove(0);
            if good { w.do_it(&asked) } else { w.answer_with(&asked, "d6:result5:errore") }
        }
        Step::Garbage(bytes) => w.event(Event::Relay { from: RELAYS[0].parse().unwrap(), bytes: &bytes }),
        Step::Unreachable(relay) => w.event(Event::Undelivered { to: RELAYS[relay].parse().unwrap(), bytes: b"" }),
        Step::Answer(status, sdp) => {
            let Some(invite) = invites.last().cloned() else { return };
            let text = invite.answer(status, "bo", "Contact: <sip:bo@203.0.113.1:5060>\r\n");
            let text = if sdp { with_sdp(&text, &callee_sdp()) } else { text };
            w.udp(&invite.to.to_string(), &text)
        }
        Step::Bye => {
            let Some(ok) = answers.pop() else { return };
            w.udp(CALLER, &from_caller("BYE", &ok, 1, 2))
        }
        Step::Wait(ms) => w.wait(Duration::from_millis(ms)),
    };
    for sent in sent {
        if sent.text.starts_with("INVITE ") {
            assert!(sent.text.contains("a=offer"), "nothing leaves that no relay has rewritten\n{}", sent.text);
            invites.push(sent);
        } else if sent.text.starts_with("SIP/2.0 200") && sent.text.contains(" INVITE\r\n") {
            answers.push(sent);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_happens_nothing_is_left(steps in proptest::collection::vec(step(), 1..60)) {
        let node = |address: &str| RelayNode { address: address.parse().unwrap(), set: 0, weight: 1 };
        let relays = List::from(std::vec![node(RELAYS[0]), node(RELAYS[1])]);
        let mut w = AnchoredWorld::new(AnchorConfig { relays, ..anchor_config() });
        let (mut invites, mut answers) = (Vec::new(), Vec::new());
        for step in steps {
            happen(&mut w, step, &mut invites, &mut answers);
        }
        w.asked.clear();
        // Dead relays are asked for ever, so their commands are those of the last minute.
        w.wait(Duration::from_secs(100_000));
        let (sessions, held) = w.edge.anchor.len();
        prop_assert_eq!(sessions, 0);
        prop_assert!(held <= RELAYS.len());
        prop_assert_eq!(w.edge.node.dialogs(w.now).count(), 0);
        prop_assert!(w.edge.node.is_idle());
    }
}
