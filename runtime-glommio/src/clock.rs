//! The clock: `CLOCK_MONOTONIC` as core's `Instant`.

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
}
