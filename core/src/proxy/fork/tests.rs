//! The machine row by row, and under any sequence of events.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::entropy::SeededEntropy;

const TIMER_C: Duration = Duration::from_secs(185);
const WAIT: Duration = Duration::from_secs(32);

struct Run {
    fork: Fork,
    now: Instant,
    advance: StatusSet,
}

impl Run {
    fn new(order: Order, invite: bool, targets: usize) -> (Self, Vec<Action>) {
        let fork = Fork::new(order, invite, TIMER_C, WAIT);
        let mut run = Self { fork, now: Instant::from_millis(1_000), advance: StatusSet::parse("408,5xx").unwrap() };
        let first = run.step(&Event::Start { targets });
        (run, first)
    }

    fn step(&mut self, event: &Event<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        let mut cx = Cx { now: self.now, entropy: &mut SeededEntropy::new(1) };
        self.fork.handle(&mut cx, *event, &mut |a| out.push(a));
        assert!(out.len() <= Fork::ACTIONS_MAX, "{out:?}");
        out
    }

    fn response(&mut self, branch: u8, status: u16) -> Vec<Action> {
        let advance = self.advance.clone();
        self.step(&Event::Response { branch, status, advance: &advance })
    }

    fn failed(&mut self, branch: u8, why: Failure) -> Vec<Action> {
        let advance = self.advance.clone();
        self.step(&Event::Failed { branch, why, advance: &advance })
    }

    fn timeout(&mut self) -> Vec<Action> {
        self.now = self.fork.next_deadline().expect("a deadline");
        self.step(&Event::Timeout)
    }
}

use Action::{Cancel, Forward, Keep, RespondKept, RespondLocal, Start};

fn local(status: u16) -> Action {
    RespondLocal { status, exhausted: false }
}

#[test]
fn serial_starts_one_and_parallel_all() {
    assert_eq!(Run::new(Order::Serial, true, 3).1, [Start { branch: 0 }]);
    assert_eq!(Run::new(Order::Parallel, true, 3).1, [0, 1, 2].map(|branch| Start { branch }));
    assert_eq!(Run::new(Order::Parallel, true, 100).1.len(), BRANCHES_MAX);
    let (run, actions) = Run::new(Order::Serial, true, 0);
    assert_eq!(actions, [RespondLocal { status: 500, exhausted: true }]);
    assert!(run.fork.is_done());
}

#[test]
fn the_next_target_after_a_failure_only() {
    for (status, next) in [(500, true), (503, true), (408, true), (486, false), (404, false), (302, false)] {
        let (mut run, _) = Run::new(Order::Serial, true, 2);
        let last = if next { Start { branch: 1 } } else { RespondKept { branch: 0 } };
        assert_eq!(run.response(0, status), [Keep, last], "{status}");
    }
    for why in [Failure::TimedOut, Failure::Transport] {
        let (mut run, _) = Run::new(Order::Serial, true, 2);
        assert_eq!(run.failed(0, why), [Start { branch: 1 }]);
        assert_eq!(run.failed(1, why), [RespondLocal { status: why.status(), exhausted: true }]);
        assert!(run.fork.is_done());
    }
}

#[test]
fn provisional_responses() {
    let (mut run, _) = Run::new(Order::Serial, true, 1);
    assert_eq!(run.response(0, 100), [], "never forwarded");
    let deadline = run.fork.next_deadline();
    run.now = run.now + Duration::from_secs(1);
    assert_eq!(run.response(0, 100), []);
    assert_eq!(run.fork.next_deadline(), deadline, "and no news for Timer C");
    assert_eq!(run.response(0, 180), [Forward]);
    assert_eq!(run.fork.next_deadline(), Some(run.now + TIMER_C));
    assert_eq!(run.response(0, 486), [Keep, RespondKept { branch: 0 }]);
    assert_eq!(run.response(0, 180), [], "after the end");
}

#[test]
fn a_2xx_cancels_the_rest_and_every_2xx_passes() {
    let (mut run, _) = Run::new(Order::Parallel, true, 3);
    assert_eq!(run.response(1, 200), [Forward, Cancel { branch: 0 }, Cancel { branch: 2 }]);
    assert_eq!(run.fork.next_deadline(), Some(run.now + WAIT));
    assert_eq!(run.response(1, 200), [Forward]);
    assert_eq!(run.response(2, 200), [Forward]);
    assert_eq!(run.response(0, 487), []);
    assert!(run.fork.is_done());
    assert_eq!(run.fork.next_deadline(), None);
}

#[test]
fn of_other_requests_the_first_2xx_counts_and_nothing_is_cancelled() {
    let (mut run, _) = Run::new(Order::Parallel, false, 2);
    assert_eq!(run.fork.next_deadline(), None, "Timer C is for INVITE");
    assert_eq!(run.response(0, 200), [Forward]);
    assert_eq!(run.response(1, 200), []);
    assert!(run.fork.is_done());
}

/// RFC 3261 §16.7 step 6.
#[test]
fn the_best_response() {
    let rows: &[(&[u16], Action)] = &[
        (&[302, 404, 486], RespondKept { branch: 0 }),
        (&[486, 404, 302], RespondKept { branch: 2 }),
        (&[486, 401, 404], RespondKept { branch: 1 }),
        (&[486, 407, 401], RespondKept { branch: 2 }),
        (&[404, 415, 486], RespondKept { branch: 1 }),
        (&[404, 484, 420], RespondKept { branch: 2 }),
        (&[404, 480, 486], RespondKept { branch: 2 }),
        (&[500, 480, 503], RespondKept { branch: 1 }),
        (&[408, 480, 503], RespondKept { branch: 1 }),
        (&[500, 503, 408], RespondLocal { status: 408, exhausted: true }),
        (&[302, 603, 404], RespondKept { branch: 1 }),
    ];
    for (statuses, expected) in rows {
        let (mut run, _) = Run::new(Order::Parallel, true, statuses.len());
        let mut last = Vec::new();
        for (branch, status) in (0..).zip(*statuses) {
            last = run.response(branch, *status);
        }
        assert_eq!(last.last(), Some(expected), "{statuses:?}");
        assert!(run.fork.is_done());
    }
}

#[test]
fn a_6xx_ends_the_search_unless_the_operator_says_otherwise() {
    let (mut run, _) = Run::new(Order::Parallel, true, 2);
    assert_eq!(run.response(0, 600), [Keep, Cancel { branch: 1 }]);
    assert_eq!(run.timeout(), [RespondKept { branch: 0 }]);
    let (mut run, _) = Run::new(Order::Serial, true, 2);
    run.advance = StatusSet::parse("603").unwrap();
    assert_eq!(run.response(0, 603), [Keep, Start { branch: 1 }]);
    assert_eq!(run.response(1, 404), [Keep, RespondKept { branch: 1 }]);
}

#[test]
fn timer_c() {
    let (mut run, _) = Run::new(Order::Parallel, true, 2);
    run.response(0, 180);
    assert_eq!(run.timeout(), [Cancel { branch: 0 }, Cancel { branch: 1 }, local(408)]);
    assert!(run.fork.is_done());
    let (mut run, _) = Run::new(Order::Parallel, true, 2);
    run.response(0, 404);
    assert_eq!(run.timeout(), [Cancel { branch: 1 }, RespondKept { branch: 0 }]);
}

#[test]
fn cancel() {
    let (mut run, _) = Run::new(Order::Serial, true, 3);
    assert_eq!(run.step(&Event::Cancel), [Cancel { branch: 0 }]);
    assert_eq!(run.step(&Event::Cancel), [], "once");
    assert_eq!(run.response(0, 180), [Forward]);
    assert_eq!(run.fork.next_deadline(), Some(run.now + WAIT), "Timer C is over");
    assert_eq!(run.response(0, 487), [Keep, RespondKept { branch: 0 }]);
    // A target that is dead, one that is broken, one that answers after all.
    let after_cancel = |f: &dyn Fn(&mut Run) -> Vec<Action>| {
        let (mut run, _) = Run::new(Order::Serial, true, 3);
        run.step(&Event::Cancel);
        f(&mut run)
    };
    assert_eq!(after_cancel(&|r| r.failed(0, Failure::TimedOut)), [local(487)]);
    assert_eq!(after_cancel(&|r| r.response(0, 500)), [Keep, RespondKept { branch: 0 }]);
    assert_eq!(after_cancel(&|r| r.response(0, 200)), [Forward]);
    assert_eq!(after_cancel(&|r| r.timeout()), [local(487)]);
    // Too late.
    let (mut run, _) = Run::new(Order::Serial, true, 1);
    run.response(0, 200);
    assert_eq!(run.step(&Event::Cancel), []);
}

#[derive(Clone, Debug)]
enum Any {
    Response(u8, u16),
    Failed(u8, bool),
    Cancel,
    Pass(u32),
}

fn any_event() -> impl Strategy<Value = Any> {
    let status = prop::sample::select(vec![100, 180, 183, 200, 302, 401, 404, 408, 486, 487, 500, 503, 600, 603]);
    prop_oneof![
        6 => (0..10u8, status).prop_map(|(b, s)| Any::Response(b, s)),
        2 => (0..10u8, any::<bool>()).prop_map(|(b, t)| Any::Failed(b, t)),
        1 => Just(Any::Cancel),
        2 => (0..300_000u32).prop_map(Any::Pass),
    ]
}

/// What was seen of a run.
#[derive(Default)]
struct Seen {
    started: Vec<u8>,
    cancelled: Vec<u8>,
    kept: Vec<u8>,
    refusals: usize,
    successes: usize,
}

impl Seen {
    fn note(&mut self, event: &Any, actions: &[Action]) {
        for action in actions {
            match *action {
                Start { branch } => {
                    assert!(!self.started.contains(&branch), "a branch starts once");
                    assert_eq!(self.refusals + self.successes, 0, "none starts after the end");
                    self.started.push(branch);
                }
                Cancel { branch } => {
                    assert!(self.started.contains(&branch) && !self.cancelled.contains(&branch));
                    self.cancelled.push(branch);
                }
                Keep => match event {
                    Any::Response(branch, 300..) => self.kept.push(*branch),
                    other => panic!("nothing to keep of {other:?}"),
                },
                Forward => match event {
                    Any::Response(_, 101..200) => assert_eq!(self.refusals + self.successes, 0),
                    Any::Response(_, 200..300) => self.successes += 1,
                    other => panic!("nothing to forward of {other:?}"),
                },
                RespondKept { branch } => {
                    assert!(self.kept.contains(&branch), "it was not kept");
                    self.refusals += 1;
                }
                RespondLocal { .. } => self.refusals += 1,
            }
        }
        assert!(self.refusals <= 1, "two final answers");
    }
}

proptest! {
    #[test]
    fn any_sequence_ends_with_one_answer(
        serial: bool, invite: bool, targets in 0..10usize, events in prop::collection::vec(any_event(), 0..40),
    ) {
        let order = if serial { Order::Serial } else { Order::Parallel };
        let (mut run, first) = Run::new(order, invite, targets);
        let mut seen = Seen::default();
        seen.note(&Any::Cancel, &first);
        for event in &events {
            let answered = seen.refusals + seen.successes > 0;
            let actions = match *event {
                Any::Response(branch, status) => run.response(branch, status),
                Any::Failed(branch, true) => run.failed(branch, Failure::TimedOut),
                Any::Failed(branch, false) => run.failed(branch, Failure::Transport),
                Any::Cancel => run.step(&Event::Cancel),
                Any::Pass(ms) => {
                    run.now = run.now + Duration::from_millis(ms.into());
                    run.step(&Event::Timeout)
                }
            };
            seen.note(event, &actions);
            prop_assert!(!answered || seen.refusals <= 1);
        }
        // An INVITE ends when time passes. Another request ends with its transactions (Timer F), which fail here.
        for _ in 0..20 {
            if run.fork.next_deadline().is_some() {
                let actions = run.timeout();
                seen.note(&Any::Cancel, &actions);
            }
        }
        for branch in 0..10 {
            let actions = run.failed(branch, Failure::TimedOut);
            seen.note(&Any::Failed(branch, true), &actions);
        }
        prop_assert!(run.fork.is_done());
        prop_assert!(run.fork.next_deadline().is_none());
        prop_assert!(seen.refusals + seen.successes >= 1, "nobody was answered");
    }
}
