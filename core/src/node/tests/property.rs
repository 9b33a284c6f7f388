//! Whatever comes in whatever order: no panic, one final answer to one INVITE, nothing left when it is over.

use std::collections::HashMap;
use std::string::{String, ToString};
use std::time::Duration;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::world::*;
use crate::dispatcher::Algorithm;
use crate::node::Capacity;
use crate::proxy::StatusSet;
use crate::store::Key;
use crate::transaction::branch;
use crate::wire::sip::via::Via;

/// One thing that happens. Numbers choose among what there is by then.
#[derive(Clone, Debug)]
enum Step {
    Invite { call: u8, branch: u8, tcp: bool },
    Cancel { call: u8, branch: u8 },
    Ack { call: u8, branch: u8 },
    Answer { which: usize, status: u16, tag: u8 },
    Within { which: usize, method: u8, cseq: u8, tcp: bool },
    FromCallee { which: usize, method: u8 },
    AnswerWithin { which: usize, status: u16 },
    Undelivered { which: usize },
    Echo { which: usize },
    Damaged { which: usize, at: usize, byte: u8 },
    Garbage(Vec<u8>),
    Pass { ms: u32 },
    Close,
    Reload { targets: usize },
}

const STATUSES: [u16; 14] = [100, 180, 183, 200, 202, 302, 401, 407, 408, 486, 487, 500, 503, 603];
const METHODS: [&str; 7] = ["ACK", "BYE", "INFO", "UPDATE", "PRACK", "INVITE", "NOTIFY"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status = || prop::sample::select(&STATUSES[..]);
    let step = prop_oneof![
        4 => (0..4u8, 0..3u8, any::<bool>()).prop_map(|(call, branch, tcp)| Step::Invite { call, branch, tcp }),
        1 => (0..4u8, 0..3u8).prop_map(|(call, branch)| Step::Cancel { call, branch }),
        1 => (0..4u8, 0..3u8).prop_map(|(call, branch)| Step::Ack { call, branch }),
        8 => (any::<usize>(), status(), 0..2u8).prop_map(|(which, status, tag)| Step::Answer { which, status, tag }),
        4 => (any::<usize>(), 0..7u8, 0..4u8, any::<bool>())
            .prop_map(|(which, method, cseq, tcp)| Step::Within { which, method, cseq, tcp }),
        2 => (any::<usize>(), 0..7u8).prop_map(|(which, method)| Step::FromCallee { which, method }),
        3 => (any::<usize>(), status()).prop_map(|(which, status)| Step::AnswerWithin { which, status }),
        1 => any::<usize>().prop_map(|which| Step::Undelivered { which }),
        1 => any::<usize>().prop_map(|which| Step::Echo { which }),
        1 => (any::<usize>(), any::<usize>(), any::<u8>())
            .prop_map(|(which, at, byte)| Step::Damaged { which, at, byte }),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Garbage),
        4 => prop_oneof![0..300u32, 0..5_000u32, 0..200_000u32].prop_map(|ms| Step::Pass { ms }),
        1 => (0..=3usize).prop_map(|targets| Step::Reload { targets }),
    ];
    let close = Just(Step::Close);
    prop::collection::vec(prop_oneof![60 => step, 1 => close], 1..60)
}

/// What the peers remember of a run.
struct Peers {
    world: World,
    /// INVITEs as targets got them, other requests as anybody got them, 2xx as the caller got them, everything.
    invites: Vec<Sent>,
    requests: Vec<Sent>,
    oks: Vec<Sent>,
    all: Vec<Sent>,
    /// Final answers by branch of the caller.
    finals: HashMap<String, String>,
}

impl Peers {
    fn new(parallel: bool) -> Self {
        let algorithm = if parallel { Algorithm::Parallel } else { Algorithm::Serial };
        let capacity = Capacity { transactions: 12, contexts: 6, dialogs: 5, targets: 16, sets: 4 };
        let config = crate::node::Config { failover: StatusSet::parse("408,5xx").unwrap(), ..config_by(algorithm) };
        let world = World::with(config, &capacity);
        Self {
            world,
            invites: Vec::new(),
            requests: Vec::new(),
            oks: Vec::new(),
            all: Vec::new(),
            finals: HashMap::new(),
        }
    }

    fn note(&mut self, sent: Vec<Sent>) {
        // A 100 with something beside it is that of a new transaction: the one before with its branch is over.
        let begins = sent.len() > 1;
        for message in sent {
            if begins && message.text.starts_with("SIP/2.0 100") {
                self.finals.remove(&Self::transaction(&message));
            }
            if let Some(status) = message.text.strip_prefix("SIP/2.0 ") {
                if message.line("CSeq:").ends_with("INVITE") && !status.starts_with('1') {
                    self.note_final(&message, &status[..3]);
                }
                if status.starts_with("200") && message.line("CSeq:").ends_with("INVITE") {
                    self.oks.push(message.clone());
                }
            } else if message.text.starts_with("INVITE ") {
                self.invites.push(message.clone());
            } else {
                self.requests.push(message.clone());
            }
            self.all.push(message);
        }
    }

    fn transaction(message: &Sent) -> String {
        let branch = Via::parse(message.line("Via:")[4..].trim().as_bytes()).ok().and_then(|via| via.branch);
        let fields = |names: &[&str]| names.iter().map(|name| message.line(name)).collect::<String>();
        match branch {
            Some(branch) => String::from_utf8_lossy(branch).into_owned() + message.line("CSeq:"),
            // A damaged Via may have lost it: then the fields count that RFC 2543 has in its place.
            None => fields(&["Via:", "From:", "Call-ID:", "CSeq:"]),
        }
    }

    /// RFC 3261 §17.2.1: a transaction refuses once, and never after a 2xx. A 2xx goes up at any time (§16.7 step 5). An
    /// answer without a transaction (503, 482) comes where there is none, and can follow one that is over.
    fn note_final(&mut self, message: &Sent, status: &str) {
        let stateless = message.text.contains("\r\nRetry-After:") || status == "482" || status == "404";
        if stateless {
            return;
        }
        let transaction = Self::transaction(message);
        let success = status.starts_with('2');
        let this = if success { "2xx".to_string() } else { message.text.clone() };
        let first = self.finals.entry(transaction).or_insert_with(|| this.clone());
        assert!(success || *first == this, "two final answers:\n{first}\nand\n{}", message.text);
    }

    fn send(&mut self, from: &str, tcp: bool, text: impl AsRef<[u8]>) {
        let sent = if tcp { self.world.tcp(from, text) } else { self.world.udp(from, text) };
        self.note(sent);
    }

    /// Whether the node still has the client transaction of this INVITE.
    fn is_watched(&self, invite: &Sent) -> bool {
        let via = Via::parse(&invite.line("Via:").as_bytes()[5..]).unwrap();
        let (id, _) = branch::decode(via.branch.unwrap()).unwrap();
        Key::new(id.slot, id.generation).is_some_and(|key| self.world.node.transactions.has_client(key))
    }

    fn invite(call: u8, branch: u8, tcp: bool) -> String {
        let invite = invite(u32::from(call));
        let invite = with(&invite, &std::format!("z9hG4bKc{call}"), &std::format!("z9hG4bKc{call}.{branch}"));
        if tcp { with(&invite, "SIP/2.0/UDP", "SIP/2.0/TCP") } else { invite }
    }

    fn pick(list: &[Sent], which: usize) -> Option<Sent> {
        (!list.is_empty()).then(|| list[which % list.len()].clone())
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Invite { call, branch, tcp } => self.send(CALLER, tcp, Self::invite(call, branch, tcp)),
            Step::Cancel { call, branch } => self.send(CALLER, false, cancel_of(&Self::invite(call, branch, false))),
            Step::Ack { call, branch } => self.send(CALLER, false, ack_of(&Self::invite(call, branch, false))),
            Step::Answer { which, status, tag } => {
                if let Some(invite) = Self::pick(&self.invites, which) {
                    let answer = invite.answer(&std::format!("{status} X"), &std::format!("t{tag}"), "");
                    if self.is_watched(&invite) {
                        self.send(&invite.to.to_string(), false, answer);
                    } else {
                        // A 2xx passes without a transaction too, and is no answer of one.
                        drop(self.world.udp(&invite.to.to_string(), answer));
                    }
                }
            }
            Step::Within { which, method, cseq, tcp } => {
                if let Some(ok) = Self::pick(&self.oks, which) {
                    let text = from_caller(METHODS[usize::from(method)], &ok, 9, 2 + u32::from(cseq));
                    let text = if tcp { with(&text, "SIP/2.0/UDP", "SIP/2.0/TCP") } else { text };
                    self.send(CALLER, tcp, text);
                }
            }
            Step::FromCallee { which, method } => {
                let invite = Self::pick(&self.invites, which);
                if let Some(invite) = invite.filter(|i| !i.line("To:").contains(";tag=")) {
                    let method = METHODS[usize::from(method)];
                    let text = from_callee(method, &invite, "t0", "sip:alice@198.51.100.7:5062", 1);
                    self.send(&invite.to.to_string(), false, text);
                }
            }
            Step::AnswerWithin { which, status } => {
                if let Some(request) = Self::pick(&self.requests, which) {
                    self.send(&request.to.to_string(), false, request.answer(&std::format!("{status} X"), "t0", ""));
                }
            }
            Step::Undelivered { which } => {
                if let Some(message) = Self::pick(&self.all, which) {
                    let sent = self.world.undelivered(&message);
                    self.note(sent);
                }
            }
            Step::Echo { which } => {
                if let Some(message) = Self::pick(&self.all, which) {
                    self.send(&message.to.to_string(), false, message.text);
                }
            }
            Step::Damaged { which, at, byte } => {
                if let Some(message) = Self::pick(&self.all, which) {
                    let mut bytes = message.text.into_bytes();
                    let at = at % bytes.len();
                    bytes[at] = byte;
                    // What comes of it may be another valid message, so it is no answer to anything here.
                    drop(self.world.udp(CALLER, bytes));
                }
            }
            Step::Garbage(ref bytes) => self.send(CALLER, false, bytes),
            Step::Pass { ms } => {
                let sent = self.world.wait(Duration::from_millis(u64::from(ms)));
                self.note(sent);
            }
            Step::Close => self.world.node.close(),
            Step::Reload { targets } => self.world.reload_to(targets),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// The end of a run asserts that every table is empty: see `Drop` of the world.
    #[test]
    fn any_sequence_of_events(parallel: bool, steps in steps()) {
        let mut peers = Peers::new(parallel);
        for step in &steps {
            peers.step(step);
        }
        let sent = peers.world.settle();
        peers.note(sent);
    }
}
