//! A node, its peers, and a clock that jumps from deadline to deadline.

use std::net::SocketAddr;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use crate::dispatcher::{Algorithm, DispatcherSettings, ProbeSettings, ProbingMode, SetConfig, TargetConfig};
use crate::entropy::SeededEntropy;
use crate::flow::{Flow, ListenerId};
use crate::machine::Cx;
use crate::node::{Action, Capacity, Config, Event, Identity, Node};
use crate::proxy::{Listener, Locals};
use crate::routing::{Condition, Dispatch, Pattern, Rule, Rules, Verdict};
use crate::store::List;
use crate::time::Instant;
use crate::wire::sip::transport::Transport;

pub(super) const US: &str = "192.0.2.1:5060";
pub(super) const US6: &str = "[2001:db8::1]:5060";
pub(super) const CALLER: &str = "198.51.100.7:5062";
pub(super) const TARGETS: [&str; 3] = ["203.0.113.1:5060", "203.0.113.2:5060", "203.0.113.3:5060"];

pub(super) const CAPACITY: Capacity = Capacity { transactions: 64, contexts: 32, dialogs: 64, targets: 16, sets: 4 };

/// Matches a text that it is part of.
#[derive(Clone, Debug)]
pub(super) struct Contains(pub(super) &'static str);

impl Pattern for Contains {
    fn is_match(&self, text: &[u8]) -> bool {
        text.windows(self.0.len()).any(|w| w == self.0.as_bytes())
    }
}

/// What the node sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at_ms: u64,
    pub(super) to: SocketAddr,
    pub(super) transport: Transport,
    pub(super) listener: u8,
    pub(super) text: String,
}

impl Sent {
    pub(super) fn line(&self, starts: &str) -> &str {
        self.text.lines().find(|l| l.starts_with(starts)).unwrap_or_else(|| panic!("no {starts} in\n{}", self.text))
    }

    pub(super) fn has(&self, starts: &str) -> bool {
        self.text.lines().any(|l| l.starts_with(starts))
    }

    /// A response to this request, with our Via on top as it was sent, and `extra` header lines.
    pub(super) fn answer(&self, status: &str, to_tag: &str, extra: &str) -> String {
        let mut text = std::format!("SIP/2.0 {status}\r\n");
        for line in self.text.lines().take_while(|l| !l.is_empty()) {
            let kept = ["Via:", "From:", "Call-ID:", "CSeq:", "Record-Route:"].iter().any(|n| line.starts_with(n));
            if kept {
                text += &std::format!("{line}\r\n");
            } else if line.starts_with("To:") {
                let tag = if line.contains(";tag=") || to_tag.is_empty() {
                    String::new()
                } else {
                    std::format!(";tag={to_tag}")
                };
                text += &std::format!("{line}{tag}\r\n");
            }
        }
        text + extra + "Content-Length: 0\r\n\r\n"
    }
}

pub(super) struct World {
    pub(super) node: Node<'static, Contains>,
    pub(super) entropy: SeededEntropy,
    pub(super) now: Instant,
    pub(super) reports: Vec<String>,
    sent: Vec<Sent>,
}

pub(super) const START: Instant = Instant::from_millis(1_000_000);

pub(super) fn listeners() -> Vec<Listener> {
    [(US, Transport::Udp), (US, Transport::Tcp), (US6, Transport::Udp), (US6, Transport::Tcp)]
        .map(|(addr, transport)| {
            let addr: SocketAddr = addr.parse().unwrap();
            Listener { transport, bound: addr, advertised: addr }
        })
        .to_vec()
}

/// UDP and TCP over IPv4, then over IPv6. Every INVITE to set 1, everything else where its Request-URI says.
pub(super) fn config() -> Config<Contains> {
    config_by(Algorithm::Serial)
}

/// The same, with targets chosen by that algorithm.
pub(super) fn config_by(algorithm: Algorithm) -> Config<Contains> {
    let method = |names: &[&'static str]| Condition::Method(names.iter().map(|n| (*n).into()).collect());
    let dispatch = Dispatch { set: 1, algorithm, fallback: None, limit: 8, value_header: None };
    let rules = std::vec![
        Rule { when: List::from(std::vec![method(&["INVITE", "SUBSCRIBE"])]), then: Verdict::Dispatch(dispatch) },
        Rule { when: List::from(std::vec![method(&["NOTIFY", "INFO", "UPDATE", "PRACK"])]), then: Verdict::Relay },
    ];
    let locals = Locals::new(&listeners(), List::from(std::vec!["edge.example".into()]), List::EMPTY);
    Config {
        timer_c: Duration::from_secs(185),
        dispatcher: DispatcherSettings {
            probe: ProbeSettings { mode: ProbingMode::Suspect, jitter: false, ..ProbeSettings::default() },
            ..DispatcherSettings::default()
        },
        session_grace: Duration::ZERO,
        ..Config::new(locals, Rules(List::from(rules)))
    }
}

/// A node without targets.
pub(super) fn bare_node(config: Config<Contains>, capacity: &Capacity, shard: u8) -> Node<'static, Contains> {
    let identity = Identity { shard, secret: *b"a secret of node" };
    Node::new(capacity.reserve(), config, identity).unwrap()
}

impl World {
    pub(super) fn new() -> Self {
        Self::set_up(config())
    }

    pub(super) fn set_up(config: Config<Contains>) -> Self {
        Self::with(config, &CAPACITY)
    }

    pub(super) fn with(config: Config<Contains>, capacity: &Capacity) -> Self {
        let uris: Vec<String> = TARGETS.iter().map(|t| std::format!("sip:{t}")).collect();
        let targets: Vec<_> = TARGETS
            .iter()
            .zip(&uris)
            .enumerate()
            .map(|(i, (t, uri))| TargetConfig {
                priority: 10 - i as i32,
                ..TargetConfig::new(1, uri, t.parse().unwrap())
            })
            .collect();
        Self::with_targets(config, capacity, &targets)
    }

    pub(super) fn with_targets(config: Config<Contains>, capacity: &Capacity, targets: &[TargetConfig<'_>]) -> Self {
        let mut world = Self::empty(config, capacity, 0);
        world.reload(targets);
        world
    }

    fn empty(config: Config<Contains>, capacity: &Capacity, shard: u8) -> Self {
        let node = bare_node(config, capacity, shard);
        Self { node, entropy: SeededEntropy::new(1), now: START, reports: Vec::new(), sent: Vec::new() }
    }

    /// The shard of that number, with one target.
    pub(super) fn as_shard(config: Config<Contains>, shard: u8) -> Self {
        let mut world = Self::empty(config, &CAPACITY, shard);
        let uri = std::format!("sip:{}", TARGETS[0]);
        world.reload(&[TargetConfig::new(1, &uri, TARGETS[0].parse().unwrap())]);
        world
    }

    /// The first so many of [`TARGETS`] are those of set 1 from now on.
    pub(super) fn reload_to(&mut self, targets: usize) {
        let uris: Vec<String> = TARGETS.iter().map(|t| std::format!("sip:{t}")).collect();
        let targets: Vec<_> = TARGETS
            .iter()
            .zip(&uris)
            .take(targets)
            .map(|(t, uri)| TargetConfig::new(1, uri, t.parse().unwrap()))
            .collect();
        self.reload(&targets);
    }

    /// Puts other targets in place of those of set 1.
    pub(super) fn reload(&mut self, targets: &[TargetConfig<'_>]) {
        let sets = [SetConfig { id: 1, fallback: None }];
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        self.node.reload_targets(&mut cx, &sets, targets).unwrap();
    }

    pub(super) fn event(&mut self, event: Event<'_>) {
        let (sent, reports, at) = (&mut self.sent, &mut self.reports, self.now);
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        self.node.handle(&mut cx, event, &mut |a| match a {
            Action::Send { flow, bytes } => sent.push(Sent {
                at_ms: at.as_millis() - START.as_millis(),
                to: flow.peer,
                transport: flow.transport,
                listener: flow.listener.0,
                text: String::from_utf8_lossy(bytes).into_owned(),
            }),
            Action::Report(report) => reports.push(std::format!("{report:?}")),
            Action::Relay { .. } => panic!("a node without an anchor asks no relay"),
        });
    }

    /// The path from a peer to the listener of its transport and address family.
    pub(super) fn flow(from: &str, transport: Transport) -> Flow {
        let peer: SocketAddr = from.parse().unwrap();
        let listener = ListenerId(u8::from(transport == Transport::Tcp) + 2 * u8::from(peer.is_ipv6()));
        Flow { listener, transport, peer, connection: None }
    }

    /// A datagram from a peer; what the node sends on it.
    pub(super) fn udp(&mut self, from: &str, text: impl AsRef<[u8]>) -> Vec<Sent> {
        self.event(Event::Received { flow: Self::flow(from, Transport::Udp), bytes: text.as_ref() });
        self.take()
    }

    pub(super) fn tcp(&mut self, from: &str, text: impl AsRef<[u8]>) -> Vec<Sent> {
        self.event(Event::Received { flow: Self::flow(from, Transport::Tcp), bytes: text.as_ref() });
        self.take()
    }

    pub(super) fn undelivered(&mut self, what: &Sent) -> Vec<Sent> {
        self.event(Event::Undelivered { to: what.to, bytes: what.text.as_bytes() });
        self.take()
    }

    pub(super) fn take(&mut self) -> Vec<Sent> {
        core::mem::take(&mut self.sent)
    }

    /// Lets time pass, from deadline to deadline; what the node sends in it.
    pub(super) fn wait(&mut self, d: Duration) -> Vec<Sent> {
        let end = self.now + d;
        let mut turns = 0;
        while let Some(at) = self.node.next_deadline().filter(|at| *at <= end) {
            assert!(at >= self.now || turns < 10_000, "the deadline stands still");
            turns += 1;
            self.now = self.now.max(at);
            self.event(Event::Timeout);
        }
        self.now = end;
        self.take()
    }

    /// Lets time pass until nothing is left of any request.
    pub(super) fn settle(&mut self) -> Vec<Sent> {
        let sent = self.wait(Duration::from_secs(400));
        for fill in self.node.fill() {
            if fill.what != "dialogs" {
                assert_eq!(fill.used, 0, "{} are left", fill.what);
            }
        }
        assert!(self.node.transactions.indexes_are_empty(), "an index holds what its table does not");
        sent
    }

    /// How many calls each target carries.
    pub(super) fn loads(&self) -> Vec<u32> {
        self.node.targets().map(|(_, t)| t.load().total()).collect()
    }

    pub(super) fn dialogs(&self) -> usize {
        self.node.fill()[3].used
    }
}

/// Whatever a test did, nothing of it may stay for ever.
impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        self.node.dispatcher.set_passive(&mut cx, true);
        self.settle();
        self.wait(Duration::from_secs(43_200));
        assert_eq!(self.dialogs(), 0, "dialogs are left");
        assert!(self.node.dialogs.is_clean(), "an index or a name of a dialog is left");
        assert!(self.loads().iter().all(|n| *n == 0), "calls are left on targets: {:?}", self.loads());
        assert_eq!(self.node.dispatcher.leaving().count(), 0, "removed targets are left");
        assert_eq!(self.node.dispatcher.stats().stray_ends, 0);
    }
}

pub(super) fn request(method: &str, uri: &str, n: u32, extra: &str) -> String {
    std::format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKc{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@a.example>;tag=al\r\nTo: <sip:2000@edge.example>\r\nCall-ID: call{n}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:alice@{CALLER}>\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

pub(super) fn invite(n: u32) -> String {
    request("INVITE", "sip:2000@edge.example", n, "")
}

/// `message` with the first `from` replaced; it has to be there.
#[track_caller]
pub(super) fn with(message: &str, from: &str, to: &str) -> String {
    assert!(message.contains(from), "no {from} in\n{message}");
    message.replacen(from, to, 1)
}

/// The CANCEL of a request.
pub(super) fn cancel_of(request: &str) -> String {
    with(&with(request, "INVITE ", "CANCEL "), " INVITE\r\n", " CANCEL\r\n")
}

/// The ACK that a caller sends for a final refusal of its INVITE.
pub(super) fn ack_of(request: &str) -> String {
    with(&with(request, "INVITE ", "ACK "), " INVITE\r\n", " ACK\r\n")
}

/// A request that the caller sends within the dialog which `ok`, its 2xx, set up.
pub(super) fn from_caller(method: &str, ok: &Sent, n: u32, cseq: u32) -> String {
    let routes: Vec<_> = ok.text.lines().filter_map(|l| l.strip_prefix("Record-Route: ")).rev().collect();
    let routes: String = routes.iter().map(|r| std::format!("Route: {r}\r\n")).collect();
    std::format!(
        "{method} sip:2000@{} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKd{n}{cseq}{method}\r\nMax-Forwards: 70\r\n{routes}\
         {}\r\n{}\r\n{}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
        TARGETS[0],
        ok.line("From:"),
        ok.line("To:"),
        ok.line("Call-ID:"),
    )
}

/// A request that the callee sends within the dialog that `invite`, as it got it, set up with its tag `tag`.
pub(super) fn from_callee(method: &str, invite: &Sent, tag: &str, remote: &str, cseq: u32) -> String {
    // White space behind the colon may be missing: the node forwards what came, byte for byte.
    let value = |name: &str| invite.line(name)[name.len()..].trim();
    let call = value("Call-ID:");
    let branch = std::format!("{call}.{cseq}{method}.{}", invite.to).replace([':', '[', ']'], "-");
    let routes: String = invite
        .text
        .lines()
        .filter_map(|l| l.strip_prefix("Record-Route: "))
        .map(|r| std::format!("Route: {r}\r\n"))
        .collect();
    std::format!(
        "{method} {remote} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n{routes}\
         From: {};tag={tag}\r\nTo: {}\r\n{}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n",
        invite.to,
        value("To:"),
        value("From:"),
        invite.line("Call-ID:"),
    )
}

/// The only message that was sent.
#[track_caller]
pub(super) fn only(sent: Vec<Sent>) -> Sent {
    assert_eq!(sent.len(), 1, "{}", sent.iter().map(|s| s.text.to_string()).collect::<Vec<_>>().join("\n"));
    sent.into_iter().next().unwrap()
}

/// What was sent to that peer.
pub(super) fn to<'s>(sent: &'s [Sent], peer: &str) -> Vec<&'s Sent> {
    let peer: SocketAddr = peer.parse().unwrap();
    sent.iter().filter(|s| s.to == peer).collect()
}
