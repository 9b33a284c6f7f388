//! The clock: `CLOCK_MONOTONIC` as core's `Instant`.

use std::time::Duration;

use trunkline_core::Instant;

/// Far enough from zero that a machine may look back.
const EPOCH: Instant = Instant::from_millis(1_000_000);

/// A monotonic clock. Copies agree with each other, so all shards share one epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { base: std::time::Instant::now() }
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        EPOCH + self.base.elapsed()
    }

    /// The same point in time as the runtime's timers have it; `None` if it is out of their reach.
    pub(crate) fn to_std(self, at: Instant) -> Option<std::time::Instant> {
        self.base.checked_add(at.since(EPOCH))
    }
}

/// A point in time that no process lives to see.
pub(crate) const FAR: Duration = Duration::from_secs(86_400 * 365);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_same_time() {
        let clock = Clock::start();
        let at = clock.now() + Duration::from_secs(5);
        assert_eq!(clock.to_std(at).map(|t| t.duration_since(clock.base)), Some(at.since(EPOCH)));
        assert!(clock.now() >= EPOCH);
    }
}
