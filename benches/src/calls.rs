//! A node, a caller and media servers, in virtual time.
//!
//! Calls are played in batches, one step of all of them after the other, so that the clock is read twice a step and not
//! twice a message. What peers do between the steps is not counted.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_core::dispatcher::{Algorithm, DispatcherSettings, ProbeSettings, ProbingMode, SetConfig, TargetConfig};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::flow::{Flow, ListenerId};
use trunkline_core::node::{Action, Capacity, Config, Event, Identity, Node};
use trunkline_core::proxy::{Listener, Locals};
use trunkline_core::routing::{Condition, Dispatch, Pattern, Rule, Rules, Verdict};
use trunkline_core::store::List;
use trunkline_core::wire::sip::transport::Transport;
use trunkline_core::{Cx, Instant};

use crate::counting;

/// The node's address.
pub const US: &str = "198.51.100.10:5060";
/// The caller's address.
pub const CALLER: &str = "192.0.2.20:5080";

/// No rule here has a pattern.
#[derive(Clone, Debug)]
pub struct NoPattern;

impl Pattern for NoPattern {
    fn is_match(&self, _text: &[u8]) -> bool {
        false
    }
}

/// Every INVITE to set 1 by the hash of its Call-ID, everything else within its dialog.
pub fn config() -> Config<NoPattern> {
    let us: SocketAddr = US.parse().expect("an address");
    let listener = Listener { transport: Transport::Udp, bound: us, advertised: us };
    let dispatch = Dispatch { set: 1, algorithm: Algorithm::CallIdHash, fallback: None, limit: 8, value_header: None };
    let when = List::from(vec![Condition::Method(List::from(vec!["INVITE".into()]))]);
    let locals = Locals::new(&[listener], List::EMPTY, List::EMPTY);
    let rules = Rules(List::from(vec![Rule { when, then: Verdict::Dispatch(dispatch) }]));
    Config {
        dispatcher: DispatcherSettings {
            probe: ProbeSettings { mode: ProbingMode::Suspect, ..ProbeSettings::default() },
            ..DispatcherSettings::default()
        },
        ..Config::new(locals, rules)
    }
}

/// What a step took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    /// Time within the node.
    pub time: Duration,
    /// Heap allocations within the node, if they are counted.
    pub allocations: u64,
}

impl Spent {
    fn add(&mut self, other: Self) {
        self.time += other.time;
        self.allocations += other.allocations;
    }
}

/// What a batch of calls took, step by step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bill {
    /// INVITE in, 100 and INVITE out.
    pub invite: Spent,
    /// 180 and 200 in and out.
    pub answer: Spent,
    /// ACK, BYE and its 200, in and out.
    pub rest: Spent,
    /// Timers of transactions that came due.
    pub timers: Spent,
}

impl Bill {
    /// All of it.
    pub fn total(&self) -> Spent {
        let mut total = self.invite;
        total.add(self.answer);
        total.add(self.rest);
        total.add(self.timers);
        total
    }

    /// Adds the bill of another batch.
    pub fn add(&mut self, other: &Self) {
        self.invite.add(other.invite);
        self.answer.add(other.answer);
        self.rest.add(other.rest);
        self.timers.add(other.timers);
    }
}

/// What the node sent, one after the other in one buffer.
struct Sent {
    bytes: Vec<u8>,
    marks: Vec<(SocketAddr, usize)>,
}

impl Sent {
    fn take(&mut self) -> Vec<(SocketAddr, String)> {
        let mut at = 0;
        let messages = self.marks.iter().map(|(to, end)| {
            let text = std::str::from_utf8(&self.bytes[at..*end]).expect("text");
            at = *end;
            (*to, text.to_owned())
        });
        let messages = messages.collect();
        self.bytes.clear();
        self.marks.clear();
        messages
    }
}

/// A message for the node, and who sends it.
type Input = (SocketAddr, String);

/// A node under load.
pub struct Load {
    node: Node<'static, NoPattern>,
    entropy: SeededEntropy,
    now: Instant,
    sent: Sent,
    number: u32,
}

impl Load {
    /// A node with so many targets, and room for so many dialogs besides those of calls in progress.
    pub fn new(targets: usize, dialogs: usize) -> Self {
        let capacity = Capacity {
            transactions: 65_536,
            contexts: 16_384,
            dialogs: dialogs + 65_536,
            targets: targets + 1,
            sets: 4,
        };
        let identity = Identity { shard: 0, secret: *b"a secret of node" };
        let node = Node::new(capacity.reserve(), config(), identity).expect("valid settings");
        let sent = Sent { bytes: Vec::with_capacity(4 << 20), marks: Vec::with_capacity(16_384) };
        let mut load =
            Self { node, entropy: SeededEntropy::new(1), now: Instant::from_millis(1_000_000), sent, number: 0 };
        let addresses: Vec<SocketAddr> =
            (0..targets).map(|i| SocketAddr::from(([203, 0, 113, (i % 250) as u8], 5_071 + i as u16))).collect();
        let uris: Vec<String> = addresses.iter().map(|a| format!("sip:{a}")).collect();
        let list: Vec<_> = uris.iter().zip(&addresses).map(|(uri, a)| TargetConfig::new(1, uri, *a)).collect();
        let mut cx = Cx { now: load.now, entropy: &mut load.entropy };
        let sets = [SetConfig { id: 1, fallback: None }];
        load.node.reload_targets(&mut cx, &sets, &list).expect("valid targets");
        load
    }

    /// Plays as many calls as a second of 1,000 calls a second has ended transactions for, so that tables, timers and
    /// caches are as they are under load.
    pub fn warm_up(&mut self) {
        for _ in 0..150 {
            self.calls(256);
        }
    }

    /// Opens calls that stay.
    pub fn open(&mut self, n: usize) {
        for _ in 0..n.div_ceil(256) {
            let mut bill = Bill::default();
            self.set_up(256, &mut bill);
            self.pass(256, &mut bill);
        }
        assert!(self.dialogs() >= n, "{} dialogs are open", self.dialogs());
    }

    /// Dialogs now.
    pub fn dialogs(&self) -> usize {
        self.node.fill().iter().find(|f| f.what == "dialogs").map_or(0, |f| f.used)
    }

    /// Plays `n` calls from INVITE to BYE at 1,000 a second.
    pub fn calls(&mut self, n: usize) -> Bill {
        let mut bill = Bill::default();
        let oks = self.set_up(n, &mut bill);
        let byes: Vec<Input> = oks.iter().map(|ok| within("BYE", 2, ok)).collect();
        let forwarded = self.step(&byes, &mut bill.rest);
        let oks: Vec<Input> = forwarded.iter().map(|(to, bye)| (*to, answer("200 OK", bye, "", ""))).collect();
        let got = self.step(&oks, &mut bill.rest);
        assert_eq!(got.len(), n, "every BYE is answered");
        self.pass(n, &mut bill);
        bill
    }

    /// Calls up to the ACK; gives the 200s that the caller got.
    fn set_up(&mut self, n: usize, bill: &mut Bill) -> Vec<String> {
        let caller: SocketAddr = CALLER.parse().expect("an address");
        let invites: Vec<Input> = (0..n)
            .map(|_| {
                self.number += 1;
                (caller, invite(self.number))
            })
            .collect();
        let forwarded: Vec<Input> =
            self.step(&invites, &mut bill.invite).into_iter().filter(|(to, _)| *to != caller).collect();
        assert_eq!(forwarded.len(), n, "every INVITE is forwarded");
        let answers = |status, body| -> Vec<Input> {
            forwarded.iter().map(|(to, invite)| (*to, answer(status, invite, ";tag=bob", body))).collect()
        };
        let ringing = self.step(&answers("180 Ringing", ""), &mut bill.answer);
        assert_eq!(ringing.len(), n, "every 180 passes");
        let oks: Vec<String> =
            self.step(&answers("200 OK", BODY), &mut bill.answer).into_iter().map(|(_, ok)| ok).collect();
        let acks: Vec<Input> = oks.iter().map(|ok| within("ACK", 1, ok)).collect();
        assert_eq!(self.step(&acks, &mut bill.rest).len(), n, "every ACK passes");
        oks
    }

    /// Hands messages to the node, and gives what it sends.
    fn step(&mut self, inputs: &[Input], spent: &mut Spent) -> Vec<Input> {
        let inputs: Vec<(Flow, &[u8])> = inputs
            .iter()
            .map(|(peer, text)| {
                let flow = Flow { listener: ListenerId(0), transport: Transport::Udp, peer: *peer, connection: None };
                (flow, text.as_bytes())
            })
            .collect();
        spent.add(self.count(|load| {
            for (flow, bytes) in &inputs {
                load.event(Event::Received { flow: *flow, bytes });
            }
        }));
        self.sent.take()
    }

    /// Lets a millisecond a call pass.
    fn pass(&mut self, n: usize, bill: &mut Bill) {
        self.now = self.now + Duration::from_millis(n as u64);
        bill.timers.add(self.count(|load| {
            while load.node.next_deadline().is_some_and(|at| at <= load.now) {
                load.event(Event::Timeout);
            }
        }));
        assert!(self.sent.marks.is_empty(), "nothing is sent again");
    }

    fn count(&mut self, f: impl FnOnce(&mut Self)) -> Spent {
        let (allocations, start) = (counting::allocations(), std::time::Instant::now());
        f(self);
        Spent { time: start.elapsed(), allocations: counting::allocations() - allocations }
    }

    fn event(&mut self, event: Event<'_>) {
        let sent = &mut self.sent;
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        self.node.handle(&mut cx, event, &mut |action| {
            if let Action::Send { flow, bytes } = action {
                sent.bytes.extend_from_slice(bytes);
                sent.marks.push((flow.peer, sent.bytes.len()));
            }
        });
    }
}

const BODY: &str = "v=0\r\no=callee 53655765 2353687637 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1\r\nt=0 0\r\n\
                    m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n";

/// The INVITE of call `n`: that of [`crate::messages`] with its own names.
fn invite(n: u32) -> String {
    let text = std::str::from_utf8(crate::messages::INVITE).expect("text");
    text.replace("-4711-1-0", &format!("-4711-{n}-0"))
        .replace("4711c1", &format!("4711c{n}"))
        .replace("1-4711@", &format!("{n}-4711@"))
}

/// The answer of a media server.
fn answer(status: &str, request: &str, tag: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|l| !l.is_empty()) {
        let name = line.split(':').next().unwrap_or_default();
        match name {
            "Via" | "From" | "Call-ID" | "CSeq" | "Record-Route" => text += line,
            "To" => {
                text += line;
                text += tag;
            }
            _ => continue,
        }
        text += "\r\n";
    }
    let length = body.len();
    text + &format!("Contact: <sip:203.0.113.1:5071>\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// A request of the caller within the dialog that `ok` set up.
fn within(method: &str, cseq: u32, ok: &str) -> Input {
    let find = |name: &str| ok.lines().find(|l| l.starts_with(name)).expect("a whole response");
    let route = find("Record-Route").trim_start_matches("Record-Route: ");
    let (from, to, call_id) = (find("From"), find("To"), find("Call-ID"));
    let via = find("Via");
    let text = format!(
        "{method} sip:203.0.113.1:5071 SIP/2.0\r\n{via}{cseq}{method}\r\nMax-Forwards: 70\r\nRoute: {route}\r\n\
         {from}\r\n{to}\r\n{call_id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    );
    (CALLER.parse().expect("an address"), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_calls_leaves_nothing_behind() {
        let mut load = Load::new(3, 0);
        load.calls(32);
        assert_eq!(load.dialogs(), 0);
        load.open(256);
        assert_eq!(load.dialogs(), 256);
    }
}
