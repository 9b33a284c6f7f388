//! Time as machines see it: a point on a monotonic axis that the runtime owns.

use core::num::NonZeroU64;
use core::ops::{Add, Sub};
use core::time::Duration;

/// A point in time, in microseconds since an epoch that the runtime chose (never zero, so `Option<Instant>` is 8 bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The first instant there is.
    pub const MIN: Self = Self(NonZeroU64::MIN);
    /// An instant that never comes.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// The instant `us` microseconds after the epoch; zero is taken as one.
    pub const fn from_micros(us: u64) -> Self {
        match NonZeroU64::new(us) {
            Some(us) => Self(us),
            None => Self::MIN,
        }
    }

    /// The instant `ms` milliseconds after the epoch; zero is taken as one microsecond.
    pub const fn from_millis(ms: u64) -> Self {
        Self::from_micros(ms.saturating_mul(1_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0.get()
    }

    /// Whole milliseconds since the epoch.
    pub const fn as_millis(self) -> u64 {
        self.0.get() / 1_000
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        let us = u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(us))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, d: Duration) -> Self {
        let us = u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        Self::from_micros(self.0.get().saturating_sub(us))
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Instant {
    fn format(&self, f: defmt::Formatter) {
        defmt::write!(f, "{=u64:us}", self.as_micros());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::MAX + Duration::from_secs(1), Instant::MAX);
        assert_eq!(Instant::MIN - Duration::from_secs(1), Instant::MIN);
        assert_eq!(Instant::from_micros(0), Instant::MIN);
        assert_eq!(Instant::from_millis(3).since(Instant::from_millis(5)), Duration::ZERO);
        assert_eq!(Instant::from_millis(5).since(Instant::from_millis(3)), Duration::from_millis(2));
    }
}
