//! How fast a target answers pings, and how congested that makes it look.
//!
//! Figures are whole microseconds; there is no floating point, so every platform computes the same.

use crate::time::Instant;

/// Samples after which the mean becomes a moving one, so that it follows a target that has changed for good.
const MEMORY: u32 = 1_000;

/// Latency figures of one target, as `dispatcher.list` shows them: AVG, STD, EST, MAX, TIMEOUT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Latency {
    samples: u32,
    /// Mean in 1/256 µs.
    mean_q8: i64,
    /// Sum of squared deviations, µs².
    squares: u64,
    /// EWMA in 1/256 µs.
    estimate_q8: i64,
    max_us: u32,
    timeouts: u32,
}

impl Latency {
    /// Figures that start from a known latency (attribute `latency`, in milliseconds).
    pub fn starting_at(latency_ms: u32) -> Self {
        let mut figures = Self::default();
        if latency_ms > 0 {
            figures.sample(latency_ms.saturating_mul(1_000));
        }
        figures
    }

    /// Takes the round-trip time of an answered ping. The estimate is an EWMA with alpha 0.1: a new sample weighs
    /// a tenth.
    pub fn sample(&mut self, rtt_us: u32) {
        let q8 = i64::from(rtt_us) << 8;
        self.max_us = self.max_us.max(rtt_us);
        if self.samples == 0 {
            (self.samples, self.mean_q8, self.estimate_q8) = (1, q8, q8);
            return;
        }
        if self.samples < MEMORY {
            self.samples += 1;
        } else {
            self.squares -= self.squares / u64::from(MEMORY);
        }
        let before = q8 - self.mean_q8;
        self.mean_q8 += before / i64::from(self.samples);
        let after = q8 - self.mean_q8;
        // Welford's update; both deviations have the same sign.
        let grown = (before >> 8).unsigned_abs().saturating_mul((after >> 8).unsigned_abs());
        self.squares = self.squares.saturating_add(grown);
        self.estimate_q8 = (self.estimate_q8 * 9 + q8) / 10;
    }

    /// Counts a ping without an answer. It is no sample: nobody knows how long it would have taken.
    pub fn timeout(&mut self) {
        self.timeouts = self.timeouts.saturating_add(1);
    }

    /// Mean latency, µs.
    pub fn average_us(&self) -> u32 {
        whole(self.mean_q8)
    }

    /// Standard deviation of the samples, µs.
    pub fn deviation_us(&self) -> u32 {
        match self.samples {
            0 | 1 => 0,
            n => u32::try_from((self.squares / u64::from(n - 1)).isqrt()).unwrap_or(u32::MAX),
        }
    }

    /// Latency as estimated now, µs.
    pub fn estimate_us(&self) -> u32 {
        whole(self.estimate_q8)
    }

    /// Longest latency seen, µs.
    pub fn max_us(&self) -> u32 {
        self.max_us
    }

    /// Pings without an answer.
    pub fn timeouts(&self) -> u32 {
        self.timeouts
    }

    /// How much slower than usual the target is now: estimate less average, in whole milliseconds, never negative.
    pub fn congestion_ms(&self) -> u32 {
        whole(self.estimate_q8 - self.mean_q8) / 1_000
    }

    /// The priority less one for every time that the latency holds it: `priority - latency_ms / priority`, where the
    /// latency is the estimate, or the congestion with congestion control. A priority of zero or less stays.
    pub fn adjusted_priority(&self, priority: i32, congestion_control: bool) -> i32 {
        if priority <= 0 {
            return priority;
        }
        let latency_ms = if congestion_control { self.congestion_ms() } else { self.estimate_us() / 1_000 };
        priority.saturating_sub(i32::try_from(latency_ms).unwrap_or(i32::MAX) / priority)
    }
}

/// Rounded to whole units.
fn whole(q8: i64) -> u32 {
    u32::try_from((q8.max(0) + 128) >> 8).unwrap_or(u32::MAX)
}

/// The round-trip time between two instants as a sample, µs.
pub(crate) fn rtt_us(sent: Instant, now: Instant) -> u32 {
    u32::try_from(now.since(sent).as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(estimate_ms: u32) -> Latency {
        Latency::starting_at(estimate_ms)
    }

    #[test]
    fn adjusted_priority_by_the_table_of_the_documentation() {
        for (estimate_ms, adjusted) in [(21, 30), (91, 27), (61, 28), (19, 30), (32, 29), (0, 30), (201, 24)] {
            assert_eq!(at(estimate_ms).adjusted_priority(30, false), adjusted, "{estimate_ms} ms");
        }
        assert_eq!(at(500).adjusted_priority(0, false), 0);
        assert_eq!(at(500).adjusted_priority(-3, false), -3);
        assert_eq!(at(u32::MAX).adjusted_priority(1, false), 1 - 4_294_967);
    }

    #[test]
    fn a_steady_target_has_no_deviation_and_no_congestion() {
        let mut l = Latency::default();
        for _ in 0..5_000 {
            l.sample(20_000);
        }
        assert_eq!((l.average_us(), l.deviation_us(), l.estimate_us(), l.max_us()), (20_000, 0, 20_000, 20_000));
        assert_eq!(l.congestion_ms(), 0);
    }

    #[test]
    fn the_estimate_moves_by_a_tenth() {
        let mut l = Latency::default();
        l.sample(10_000);
        l.sample(20_000);
        assert_eq!(l.estimate_us(), 11_000);
        l.sample(20_000);
        assert_eq!(l.estimate_us(), 11_900);
    }

    #[test]
    fn deviation_is_that_of_the_samples() {
        let mut l = Latency::default();
        for us in [2_000, 4_000, 4_000, 4_000, 5_000, 5_000, 7_000, 9_000] {
            l.sample(us);
        }
        assert_eq!(l.average_us(), 5_000);
        // sqrt(32 / 7) ms
        assert!((2_130..=2_145).contains(&l.deviation_us()), "{}", l.deviation_us());
    }

    #[test]
    fn congestion_is_what_comes_on_top_of_the_usual() {
        let mut l = Latency::default();
        for _ in 0..1_000 {
            l.sample(20_000);
        }
        for _ in 0..40 {
            l.sample(71_000);
        }
        assert!((45..=49).contains(&l.congestion_ms()), "{}", l.congestion_ms());
        assert_eq!(l.adjusted_priority(30, true), 29);
    }

    #[test]
    fn timeouts_are_counted_apart() {
        let mut l = Latency::default();
        l.timeout();
        assert_eq!((l.timeouts(), l.max_us(), l.estimate_us()), (1, 0, 0));
    }
}
