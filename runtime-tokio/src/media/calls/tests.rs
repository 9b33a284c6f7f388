use std::cell::RefCell;

use trunkline_core::Entropy as _;
use trunkline_core::entropy::SeededEntropy;

use super::super::agent::{self, Agent, Legs};
use super::super::sdp::MediaPath;
use super::super::settings::{Behaviour, Settings};
use super::*;

const CALLER: &str = "192.0.2.1:5060";
const CALLEE: &str = "192.0.2.9:5070";

struct NoEnds;

impl Ends for NoEnds {
    fn open(&mut self, _: u64, ip: IpAddr) -> Option<SocketAddr> {
        Some(SocketAddr::new(ip, 20_000))
    }

    fn start(&mut self, _: u64, _: SocketAddr, _: Duration) {}

    fn stop(&mut self, _: u64) {}
}

impl Legs for NoEnds {
    fn open(&mut self, _: u64, ip: IpAddr) -> Option<SocketAddr> {
        Some(SocketAddr::new(ip, 30_000))
    }

    fn set_path(&mut self, _: u64, _: MediaPath) {}

    fn close(&mut self, _: u64) {}
}

/// Caller and callee over a link that loses what `loses` says, under virtual time.
struct Pair {
    calls: Calls<NoEnds>,
    agent: Agent<NoEnds>,
    callee: Arc<agent::Counters>,
    counters: Arc<Counters>,
    now: Instant,
    sent: u64,
    log: Vec<String>,
}

impl Pair {
    fn new(plan: Plan, behaviour: Behaviour) -> Self {
        let now = Instant::from_millis(1_000);
        let callee = Arc::new(agent::Counters::default());
        let counters = Arc::new(Counters::default());
        let settings = Settings { behaviour, ..Settings::default() };
        let local = CALLER.parse().unwrap();
        Self {
            calls: Calls::new(plan, local, NoEnds, Arc::clone(&counters), now),
            agent: Agent::new(settings, CALLEE.parse().unwrap(), NoEnds, Arc::clone(&callee)),
            callee,
            counters,
            now,
            sent: 0,
            log: Vec::new(),
        }
    }

    /// Runs until the caller is finished, or for `ms`.
    fn run(&mut self, ms: u64, loses: impl Fn(u64, &str) -> bool) {
        let end = self.now + Duration::from_millis(ms);
        let (mut to_callee, mut to_caller) = (Outbox::new(), Outbox::new());
        let (caller, callee): (SocketAddr, SocketAddr) = (CALLER.parse().unwrap(), CALLEE.parse().unwrap());
        loop {
            self.calls.expire(self.now, &mut to_callee);
            self.agent.expire(self.now, &mut to_caller);
            while !to_callee.is_empty() || !to_caller.is_empty() {
                for (to, bytes) in std::mem::take(&mut to_callee) {
                    assert_eq!(to, callee);
                    if self.passes(&bytes, &loses) {
                        self.agent.receive(self.now, caller, &bytes, &mut to_caller);
                    }
                }
                for (to, bytes) in std::mem::take(&mut to_caller) {
                    assert_eq!(to, caller);
                    if self.passes(&bytes, &loses) {
                        self.calls.receive(self.now, callee, &bytes, &mut to_callee);
                    }
                }
            }
            let next = [self.calls.next_deadline(), self.agent.next_deadline()].into_iter().flatten().min();
            match next.filter(|at| *at <= end) {
                Some(_) if self.calls.is_finished() => return,
                Some(at) => self.now = self.now.max(at),
                None => return,
            }
        }
    }

    fn passes(&mut self, bytes: &[u8], loses: &impl Fn(u64, &str) -> bool) -> bool {
        let text = String::from_utf8_lossy(bytes);
        self.sent += 1;
        let line = text.lines().next().unwrap_or_default().to_owned();
        let lost = loses(self.sent, &line);
        self.log.push(line);
        !lost
    }

    fn count(&self, prefix: &str) -> usize {
        self.log.iter().filter(|line| line.starts_with(prefix)).count()
    }

    fn outcomes(&self) -> Vec<Outcome> {
        self.calls.results.iter().map(|r| r.outcome).collect()
    }
}

fn plan(calls: u64) -> Plan {
    Plan { calls, media: false, ..Plan::new(CALLEE.parse().unwrap()) }
}

#[test]
fn a_call_takes_six_messages() {
    let mut pair = Pair::new(plan(1), Behaviour::Answer { ring: Duration::from_millis(100), hang_up_after: None });
    pair.run(60_000, |_, _| false);
    assert_eq!(
        pair.log.iter().map(|l| l.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect::<Vec<_>>(),
        [
            "INVITE sip:9196@192.0.2.9:5070",
            "SIP/2.0 180",
            "SIP/2.0 200",
            "ACK sip:192.0.2.9:5070",
            "BYE sip:192.0.2.9:5070",
            "SIP/2.0 200",
        ]
    );
    let result = pair.calls.results[0];
    assert_eq!((result.outcome, result.setup), (Outcome::Completed, Some(Duration::from_millis(100))));
    assert_eq!((result.server, result.hung_up_by_peer), (CALLEE.parse().ok(), false));
    assert_eq!(pair.counters.progress(), Progress { placed: 1, completed: 1, ..Progress::default() });
}

#[test]
fn calls_are_placed_at_their_rate() {
    let mut pair = Pair::new(Plan { rate: 50.0, ..plan(100) }, Behaviour::ECHO);
    pair.run(60_000, |_, _| false);
    assert!(pair.outcomes().iter().all(|o| *o == Outcome::Completed));
    let placed: Vec<_> = pair.calls.results.iter().map(|r| r.placed_after.as_millis()).collect();
    assert_eq!(placed, (0..100).map(|n| n * 20).collect::<Vec<u128>>());
}

#[test]
fn every_call_completes_over_a_lossy_link() {
    for seed in 0..5 {
        let mut pair = Pair::new(Plan { rate: 10.0, ..plan(40) }, Behaviour::ECHO);
        let dice = RefCell::new(SeededEntropy::new(seed));
        pair.run(200_000, |_, _| dice.borrow_mut().below(100) < 20);
        assert!(pair.log.len() > 5 * 40, "nothing was retransmitted");
        assert_eq!(pair.outcomes(), [Outcome::Completed; 40]);
        assert_eq!(pair.callee.answered.load(Relaxed), 40);
        assert_eq!(pair.callee.active.load(Relaxed), 0);
    }
}

#[test]
fn a_lost_ack_is_sent_again_with_the_200() {
    let mut pair = Pair::new(Plan { hold: Duration::from_secs(10), ..plan(1) }, Behaviour::ECHO);
    pair.run(60_000, |n, line| line.starts_with("ACK") && n < 4);
    assert_eq!((pair.count("ACK"), pair.outcomes()), (2, vec![Outcome::Completed]));
}

#[test]
fn a_cancelled_call_ends_with_487() {
    let behaviour = Behaviour::Answer { ring: Duration::from_secs(5), hang_up_after: None };
    let mut pair = Pair::new(Plan { cancel_after: Some(Duration::from_secs(1)), ..plan(1) }, behaviour);
    pair.run(60_000, |_, _| false);
    assert_eq!(pair.outcomes(), [Outcome::Cancelled]);
    assert_eq!((pair.count("CANCEL"), pair.count("SIP/2.0 487"), pair.count("ACK"), pair.count("BYE")), (1, 1, 1, 0));
}

#[test]
fn a_200_that_crosses_the_cancel_is_taken_and_hung_up() {
    let behaviour = Behaviour::Answer { ring: Duration::from_secs(5), hang_up_after: None };
    let mut pair = Pair::new(Plan { cancel_after: Some(Duration::from_secs(1)), ..plan(1) }, behaviour);
    pair.run(120_000, |_, line| line.starts_with("CANCEL"));
    assert_eq!(pair.outcomes(), [Outcome::Cancelled]);
    assert_eq!((pair.count("SIP/2.0 487"), pair.count("ACK"), pair.count("BYE")), (0, 1, 1));
    assert_eq!(pair.callee.active.load(Relaxed), 0);
}

#[test]
fn failures_are_told_apart() {
    let mut pair = Pair::new(plan(1), Behaviour::Refuse { status: 486 });
    pair.run(60_000, |_, _| false);
    assert_eq!(pair.outcomes(), [Outcome::Failed(Failure::Refused { status: 486 })]);
    let mut pair = Pair::new(plan(1), Behaviour::Silent);
    pair.run(60_000, |_, _| false);
    assert_eq!(pair.outcomes(), [Outcome::Failed(Failure::NoAnswer)]);
    let mut pair = Pair::new(plan(1), Behaviour::ECHO);
    pair.run(60_000, |_, line| line.starts_with("BYE"));
    assert_eq!(pair.outcomes(), [Outcome::Failed(Failure::ByeUnanswered)]);
    let result = pair.calls.results[0];
    assert_eq!((result.server, result.setup), (CALLEE.parse().ok(), Some(Duration::ZERO)));
}

#[test]
fn the_callee_hangs_up_first() {
    let behaviour = Behaviour::Answer { ring: Duration::ZERO, hang_up_after: Some(Duration::from_millis(300)) };
    let mut pair = Pair::new(plan(1), behaviour);
    pair.run(60_000, |_, _| false);
    assert_eq!(pair.outcomes(), [Outcome::Completed]);
    assert!(pair.calls.results[0].hung_up_by_peer);
    assert_eq!((pair.count("BYE sip:caller@192.0.2.1:5060"), pair.callee.active.load(Relaxed)), (1, 0));
}

#[test]
fn stopping_ends_what_is_there() {
    let mut pair = Pair::new(Plan { rate: 1.0, hold: Duration::from_secs(600), ..plan(100) }, Behaviour::ECHO);
    pair.run(4_500, |_, _| false);
    assert_eq!(pair.counters.progress().active, 5);
    pair.calls.stop(pair.now, &mut Outbox::new());
    // The BYEs of that moment are lost; their retransmissions are not.
    pair.run(10_000, |_, _| false);
    assert_eq!(pair.outcomes(), [Outcome::Completed; 5]);
}

#[test]
fn a_second_answer_is_taken_and_hung_up() {
    let mut pair = Pair::new(Plan { hold: Duration::from_secs(60), ..plan(1) }, Behaviour::ECHO);
    let (caller, callee) = (CALLER.parse().unwrap(), CALLEE.parse().unwrap());
    let (mut invite, mut first, mut out) = (Outbox::new(), Outbox::new(), Outbox::new());
    pair.calls.expire(pair.now, &mut invite);
    pair.agent.receive(pair.now, caller, &invite[0].1, &mut first);
    pair.calls.receive(pair.now, callee, &first[0].1, &mut out);
    let mut other = Pair::new(plan(0), Behaviour::ECHO);
    let mut second = Outbox::new();
    other.agent.receive(pair.now, caller, &invite[0].1, &mut second);
    pair.calls.receive(pair.now, callee, &second[0].1, &mut out);
    let methods: Vec<_> = out.iter().map(|(_, b)| String::from_utf8_lossy(&b[..3]).into_owned()).collect();
    assert_eq!(methods, ["ACK", "ACK", "BYE"]);
    assert_eq!(pair.counters.progress().active, 1);
}
