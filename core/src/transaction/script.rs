//! Drives a machine through a script under virtual time and writes down what it does, to the microsecond.

use std::vec::Vec;

use super::timers::{Step, Timers};
use crate::entropy::SeededEntropy;
use crate::machine::{Cx, Machine, Timed};
use crate::time::Instant;

/// The scripts count from here, so that no instant is the first one there is.
const EPOCH: Instant = Instant::from_millis(1_000_000);

pub(super) struct Script<M, E, A> {
    pub(super) machine: M,
    pub(super) timers: Timers,
    timeout: E,
    now: Instant,
    log: Vec<(u64, A)>,
}

impl<M, E, A> Script<M, E, A>
where
    M: Timed + for<'e> Machine<Event<'e> = Step<'e, E>> + for<'a> Machine<Action<'a> = A>,
    E: Copy,
    A: Copy,
{
    pub(super) fn new(machine: M, timeout: E) -> Self {
        Self { machine, timers: Timers::DEFAULT, timeout, now: EPOCH, log: Vec::new() }
    }

    pub(super) fn with(mut self, timers: Timers) -> Self {
        self.timers = timers;
        self
    }

    /// Lets time pass up to `ms`, firing each timer at its deadline, then hands in the event.
    pub(super) fn at(&mut self, ms: u64, event: E) -> &mut Self {
        let to = EPOCH + core::time::Duration::from_millis(ms);
        while self.machine.next_deadline().is_some_and(|d| d <= to) {
            self.fire();
        }
        self.now = self.now.max(to);
        self.handle(event);
        self
    }

    /// Fires the next deadline, if there is one.
    pub(super) fn fire(&mut self) {
        if let Some(deadline) = self.machine.next_deadline() {
            self.now = self.now.max(deadline);
            self.handle(self.timeout);
            assert!(self.machine.next_deadline().is_none_or(|d| d > self.now), "the deadline did not move");
        }
    }

    /// Fires every deadline there is, and takes what was written down: milliseconds and action.
    pub(super) fn finish(&mut self) -> Vec<(u64, A)> {
        for _ in 0..1_000 {
            self.fire();
        }
        assert_eq!(self.machine.next_deadline(), None, "timers never end");
        self.take()
    }

    pub(super) fn take(&mut self) -> Vec<(u64, A)> {
        core::mem::take(&mut self.log)
    }

    pub(super) fn log(&self) -> impl Iterator<Item = A> {
        self.log.iter().map(|(_, a)| *a)
    }

    fn handle(&mut self, event: E) {
        let before = self.log.len();
        let was_done = self.machine.is_done();
        let since = self.now.since(EPOCH);
        assert_eq!(since.as_micros() % 1_000, 0, "not a whole millisecond");
        let (log, ms) = (&mut self.log, since.as_millis() as u64);
        let mut cx = Cx { now: self.now, entropy: &mut SeededEntropy::new(1) };
        self.machine.handle(&mut cx, Step { timers: &self.timers, event }, &mut |a| log.push((ms, a)));
        let emitted = self.log.len() - before;
        assert!(emitted <= M::ACTIONS_MAX, "{emitted} actions");
        assert!(!was_done || emitted == 0, "an action after the end");
        assert!(!self.machine.is_done() || self.machine.next_deadline().is_none(), "a timer after the end");
    }
}
