//! A whole node and its peers, without an allocation of their own: messages are written into buffers of fixed size.

// Each test crate uses another part of it.
#![allow(dead_code)]

use core::fmt::{self, Write};
use core::net::SocketAddr;
use core::time::Duration;

use trunkline_core::dispatcher::{Algorithm, DispatcherSettings, ProbeSettings, ProbingMode, SetConfig, TargetConfig};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::flow::{Flow, ListenerId};
use trunkline_core::node::{Action, Config, Event, Identity, Memory, Node};
use trunkline_core::proxy::{Listener, Locals};
use trunkline_core::routing::{Condition, Dispatch, Pattern, Rule, Rules, Verdict};
use trunkline_core::store::{List, Str};
use trunkline_core::wire::sip::transport::Transport;
use trunkline_core::{Cx, Instant};

pub(crate) const CALLER: &str = "198.51.100.7:5062";
pub(crate) const TARGETS: [&str; 2] = ["203.0.113.1:5060", "203.0.113.2:5060"];

/// No rule here has a pattern.
#[derive(Clone, Debug)]
pub(crate) enum NoPattern {}

impl Pattern for NoPattern {
    fn is_match(&self, _text: &[u8]) -> bool {
        match *self {}
    }
}

/// A message of fixed capacity.
#[derive(Clone, Copy)]
pub(crate) struct Text {
    bytes: [u8; 1_024],
    len: usize,
}

impl Text {
    pub(crate) const EMPTY: Self = Self { bytes: [0; 1_024], len: 0 };

    pub(crate) fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap()
    }

    pub(crate) fn line(&self, name: &str) -> &str {
        self.lines(name).next().unwrap_or_default()
    }

    fn put(&mut self, bytes: &[u8]) -> fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + bytes.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    fn lines(&self, name: &str) -> impl Iterator<Item = &str> {
        self.as_str().split("\r\n").take_while(|l| !l.is_empty()).filter(move |l| l.starts_with(name))
    }

    pub(crate) fn starts_with(&self, start: &str) -> bool {
        self.as_str().starts_with(start)
    }

    /// A response to this request; a final one has the tag of the callee.
    pub(crate) fn answer(&self, status: &str) -> Self {
        let mut out = Self::EMPTY;
        write!(out, "SIP/2.0 {status}\r\n").unwrap();
        for name in ["Via:", "Record-Route:", "From:", "Call-ID:", "CSeq:"] {
            for line in self.lines(name) {
                write!(out, "{line}\r\n").unwrap();
            }
        }
        let to = self.line("To:");
        let tag = if to.contains(";tag=") || status.starts_with("100") { "" } else { ";tag=bo" };
        write!(out, "{to}{tag}\r\nContact: <sip:bob@{}>\r\nContent-Length: 0\r\n\r\n", TARGETS[1]).unwrap();
        out
    }
}

impl Write for Text {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes())
    }
}

pub(crate) fn invite(n: u32) -> Text {
    initial("INVITE", n)
}

pub(crate) fn initial(method: &str, n: u32) -> Text {
    let mut out = Text::EMPTY;
    write!(
        out,
        "{method} sip:2000@edge.example SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bKc{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:alice@a.example>;tag=al{n}\r\nTo: <sip:2000@edge.example>\r\nCall-ID: call-{n}@a.example\r\n\
         CSeq: 1 {method}\r\nContact: <sip:alice@{CALLER}>\r\nContent-Length: 0\r\n\r\n"
    )
    .unwrap();
    out
}

/// A request of the caller within the dialog that `ok` set up.
pub(crate) fn within(method: &str, ok: &Text, n: u32, cseq: u32) -> Text {
    let mut out = Text::EMPTY;
    write!(
        out,
        "{method} sip:bob@{} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER};branch=z9hG4bK{method}{n}\r\nMax-Forwards: 70\r\n",
        TARGETS[1]
    )
    .unwrap();
    for line in ok.lines("Record-Route:") {
        write!(out, "Route:{}\r\n", line.strip_prefix("Record-Route:").unwrap()).unwrap();
    }
    let (from, to, call_id) = (ok.line("From:"), ok.line("To:"), ok.line("Call-ID:"));
    write!(out, "{from}\r\n{to}\r\n{call_id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n").unwrap();
    out
}

/// What a node sent on one event.
pub(crate) struct Sent {
    sent: [(Option<SocketAddr>, Text); 4],
    len: usize,
}

impl Sent {
    const NOTHING: Self = Self { sent: [(None, Text::EMPTY); 4], len: 0 };

    fn push(&mut self, to: SocketAddr, bytes: &[u8]) {
        let (peer, text) = &mut self.sent[self.len];
        *peer = Some(to);
        text.put(bytes).unwrap();
        self.len += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The last message to that peer.
    #[track_caller]
    pub(crate) fn to(&self, peer: &str) -> &Text {
        let peer = Some(peer.parse().unwrap());
        &self.sent.iter().rev().find(|(to, _)| *to == peer).expect("a message to that peer").1
    }
}

/// What a node does on one event.
pub(crate) type Work<'w> = &'w mut (dyn FnMut() + Send);

/// A node, and the time.
pub(crate) struct Edge<'a> {
    pub(crate) node: Node<'a, NoPattern>,
    pub(crate) now: Instant,
    entropy: SeededEntropy,
    /// Runs the node's work on an event.
    pub(crate) runs: fn(Work<'_>),
}

static METHODS: [Str; 1] = [List::Static(b"INVITE")];
static WHEN: [Condition<NoPattern>; 1] = [Condition::Method(List::Static(&METHODS))];
static RULES: [Rule<NoPattern>; 1] = [Rule {
    when: List::Static(&WHEN),
    then: Verdict::Dispatch(Dispatch {
        set: 1,
        algorithm: Algorithm::Serial,
        fallback: None,
        limit: 8,
        value_header: None,
    }),
}];
static NAMES: [Str; 1] = [List::Static(b"edge.example")];

/// Every INVITE goes to the first target, or else the second.
fn config() -> Config<NoPattern> {
    let addr = "192.0.2.1:5060".parse().unwrap();
    let udp = Listener { transport: Transport::Udp, bound: addr, advertised: addr };
    let locals = Locals::new(&[udp], List::Static(&NAMES), List::EMPTY);
    Config {
        dispatcher: DispatcherSettings {
            probe: ProbeSettings {
                mode: ProbingMode::Flagged,
                inactive_threshold: u16::MAX,
                ..ProbeSettings::default()
            },
            avoid_trying: false,
            ..DispatcherSettings::default()
        },
        ..Config::new(locals, Rules(List::Static(&RULES)))
    }
}

impl<'a> Edge<'a> {
    pub(crate) fn new(memory: Memory<'a>) -> Self {
        let node = Node::new(memory, config(), Identity { shard: 0, secret: *b"a secret of node" }).unwrap();
        let now = Instant::from_millis(1_000_000);
        let mut edge = Self { node, now, entropy: SeededEntropy::new(1), runs: |work| work() };
        let uris = ["sip:203.0.113.1:5060", "sip:203.0.113.2:5060"];
        let target = |i: usize| TargetConfig {
            priority: -(i as i32),
            ..TargetConfig::new(1, uris[i], TARGETS[i].parse().unwrap())
        };
        let mut cx = Cx { now: edge.now, entropy: &mut edge.entropy };
        edge.node.reload_targets(&mut cx, &[SetConfig { id: 1, fallback: None }], &[target(0), target(1)]).unwrap();
        edge
    }

    pub(crate) fn event(&mut self, event: Event<'_>) -> Sent {
        let mut sent = Sent::NOTHING;
        let (node, entropy, now) = (&mut self.node, &mut self.entropy, self.now);
        (self.runs)(&mut || {
            node.handle(&mut Cx { now, entropy }, event, &mut |action| {
                if let Action::Send { flow, bytes } = action {
                    sent.push(flow.peer, bytes);
                }
            });
        });
        sent
    }

    /// A datagram from a peer.
    pub(crate) fn received(&mut self, from: &str, bytes: &[u8]) -> Sent {
        let peer = from.parse().unwrap();
        let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, peer, connection: None };
        self.event(Event::Received { flow, bytes })
    }

    fn text(&mut self, from: &str, text: &Text) -> Sent {
        self.received(from, text.as_str().as_bytes())
    }

    /// Lets time pass, from deadline to deadline.
    pub(crate) fn wait(&mut self, d: Duration) {
        let end = self.now + d;
        while let Some(at) = self.node.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.event(Event::Timeout);
        }
        self.now = end;
    }

    /// A call that the second target answers, after the first one failed; the 200 as the caller gets it.
    pub(crate) fn call(&mut self, n: u32) -> Text {
        let sent = self.text(CALLER, &invite(n));
        assert!(sent.to(CALLER).starts_with("SIP/2.0 100 "), "{}", sent.to(CALLER).as_str());
        let sent = self.text(TARGETS[0], &sent.to(TARGETS[0]).answer("503 Service Unavailable"));
        assert!(sent.sent.iter().any(|(_, text)| text.starts_with("ACK ")));
        let forwarded = sent.to(TARGETS[1]);
        let ringing = self.text(TARGETS[1], &forwarded.answer("180 Ringing"));
        assert!(ringing.to(CALLER).starts_with("SIP/2.0 180 "));
        let ok = *self.text(TARGETS[1], &forwarded.answer("200 OK")).to(CALLER);
        assert!(ok.starts_with("SIP/2.0 200 "));
        let ack = self.text(CALLER, &within("ACK", &ok, n, 1));
        assert!(ack.to(TARGETS[1]).starts_with("ACK "));
        ok
    }

    /// The caller hangs up.
    pub(crate) fn hang_up(&mut self, ok: &Text, n: u32) {
        let sent = self.text(CALLER, &within("BYE", ok, n, 2));
        let bye = sent.to(TARGETS[1]);
        assert!(bye.starts_with("BYE "));
        let sent = self.text(TARGETS[1], &bye.answer("200 OK"));
        assert!(sent.to(CALLER).starts_with("SIP/2.0 200 "));
    }

    /// How many entries each table holds now.
    pub(crate) fn used(&self) -> [usize; 5] {
        self.node.fill().map(|fill| fill.used)
    }
}
