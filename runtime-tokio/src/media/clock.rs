//! Time and randomness of the user agents.

use std::time::Duration;

use trunkline_core::{Entropy, Instant};

/// A clock whose epoch is a second before it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    origin: tokio::time::Instant,
}

const EPOCH: Instant = Instant::from_millis(1_000);

impl Clock {
    pub(super) fn new() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    pub(super) fn now(self) -> Instant {
        EPOCH + self.origin.elapsed()
    }

    /// When to wake for `deadline`; a far one is cut to a day.
    pub(super) fn wake_at(self, deadline: Instant) -> tokio::time::Instant {
        self.origin + deadline.since(EPOCH).min(self.origin.elapsed() + Duration::from_secs(86_400))
    }
}

/// The operating system's randomness, through the generator of the thread.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Random;

impl Entropy for Random {
    fn fill_secret(&mut self, out: &mut [u8]) {
        rand::fill(out);
    }

    fn fill_public(&mut self, out: &mut [u8]) {
        rand::fill(out);
    }
}
