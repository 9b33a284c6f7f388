//! The order of work, the same in every runtime: receive, expire, flush; each bounded.

use super::action::Action;
use super::event::Event;
use crate::entropy::Entropy;
use crate::machine::Cx;
use crate::time::Instant;

/// Where events come from.
pub trait Inbox {
    /// The next event that is there already; `None` if nothing waits. Never blocks.
    fn next(&mut self) -> Option<Event<'_>>;
}

/// Where actions go.
pub trait Outbox {
    /// Stages an action. Never blocks; what cannot be staged is an [`Event::Undelivered`] later.
    fn emit(&mut self, action: Action<'_>);

    /// Sends what is staged, as far as it can be sent without blocking.
    fn flush(&mut self);
}

/// What runs behind the pump: a [`super::Node`].
pub trait Engine {
    /// Takes one event.
    fn handle(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut dyn FnMut(Action<'_>));

    /// When [`Event::Timeout`] is wanted next.
    fn next_deadline(&self) -> Option<Instant>;
}

/// Most events taken in one turn, so that timers and other tasks of the thread get theirs.
pub const EVENTS_MAX: usize = 256;
/// Most timeouts delivered in one turn.
pub const TIMEOUTS_MAX: usize = 256;

/// What a turn left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Turn {
    /// Events taken.
    pub events: usize,
    /// Whether a bound was reached: turn again before sleeping.
    pub more: bool,
    /// When to turn again if nothing arrives before.
    pub deadline: Option<Instant>,
}

/// One turn: takes what has arrived, delivers what is due, sends what came of both.
pub fn pump<E: Engine + ?Sized, I: Inbox + ?Sized, O: Outbox + ?Sized>(
    engine: &mut E,
    now: &mut dyn FnMut() -> Instant,
    entropy: &mut dyn Entropy,
    inbox: &mut I,
    outbox: &mut O,
) -> Turn {
    let mut cx = Cx { now: now(), entropy };
    let mut events = 0;
    while events < EVENTS_MAX {
        let Some(event) = inbox.next() else { break };
        events += 1;
        engine.handle(&mut cx, event, &mut |a| outbox.emit(a));
    }
    cx.now = now();
    let mut timeouts = 0;
    while timeouts < TIMEOUTS_MAX && engine.next_deadline().is_some_and(|d| d <= cx.now) {
        timeouts += 1;
        engine.handle(&mut cx, Event::Timeout, &mut |a| outbox.emit(a));
    }
    outbox.flush();
    Turn { events, more: events == EVENTS_MAX || timeouts == TIMEOUTS_MAX, deadline: engine.next_deadline() }
}
