//! The shape of a machine: events and time in, actions out.

use crate::entropy::Entropy;
use crate::sink::Sink;
use crate::time::Instant;

/// What a machine gets from outside with every event.
pub struct Cx<'a> {
    /// The time of the event.
    pub now: Instant,
    /// Randomness.
    pub entropy: &'a mut dyn Entropy,
}

/// Something that holds a deadline and may come to its end. `store::table` reads both after every run of a machine:
/// the deadline is relinked in the timer wheel, and what is done is freed.
pub trait Timed {
    /// The next instant at which the machine wants its timeout event, if any.
    fn next_deadline(&self) -> Option<Instant>;

    /// Whether the machine has nothing left to do.
    fn is_done(&self) -> bool;
}

/// A pure state machine.
pub trait Machine: Timed {
    /// What can happen to it. Borrowed for the call.
    type Event<'e>;
    /// What it wants done. Borrowed for the emit.
    type Action<'a>;
    /// The most actions one event can bring.
    const ACTIONS_MAX: usize;

    /// Takes one event and emits the actions that follow, in order.
    fn handle<S>(&mut self, cx: &mut Cx<'_>, event: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>;
}
