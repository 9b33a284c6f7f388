//! What a target can take: calls at once, new calls a second, and what its overload control asks for.

use core::time::Duration;

use crate::entropy::Entropy;
use crate::time::Instant;
use crate::wire::sip::overload::OverloadReport;

/// Active calls of a target: those of this shard, and those that the other shards reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CallLoad {
    local: u32,
    remote: u32,
}

impl CallLoad {
    /// One call more on this shard.
    pub fn started(&mut self) {
        self.local = self.local.saturating_add(1);
    }

    /// One call less on this shard; `false` if there was none, and then nothing changes.
    pub fn ended(&mut self) -> bool {
        match self.local.checked_sub(1) {
            Some(left) => {
                self.local = left;
                true
            }
            None => false,
        }
    }

    /// A change on other shards. Never below zero, whatever order reports come in.
    pub fn remote(&mut self, delta: i32) {
        self.remote = self.remote.saturating_add_signed(delta);
    }

    /// Calls of this shard.
    pub fn local(&self) -> u32 {
        self.local
    }

    /// Calls of all shards.
    pub fn total(&self) -> u32 {
        self.local.saturating_add(self.remote)
    }
}

/// Counts new calls second by second. A second begins with the first call after the last one ended, so that exactly
/// the call over the limit is refused, in a burst as well as in an even flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallRate {
    began: Option<Instant>,
    calls: u32,
}

impl CallRate {
    const WINDOW: Duration = Duration::from_secs(1);

    fn running(&self, now: Instant) -> bool {
        self.began.is_some_and(|began| now.since(began) < Self::WINDOW)
    }

    /// New calls in the running second.
    pub fn calls(&self, now: Instant) -> u32 {
        if self.running(now) { self.calls } else { 0 }
    }

    /// Whether one more call fits under `cps` calls a second; zero is no limit.
    pub fn admits(&self, cps: u32, now: Instant) -> bool {
        cps == 0 || self.calls(now) < cps
    }

    /// Counts a new call.
    pub fn started(&mut self, now: Instant) {
        if !self.running(now) {
            *self = Self { began: Some(now), calls: 0 };
        }
        self.calls = self.calls.saturating_add(1);
    }
}

/// The last word of a target's overload control: the share of new calls it wants to be spared, and until when
/// (RFC 7339 §4, loss-based algorithm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overload {
    reduction_percent: u8,
    until: Option<Instant>,
    sequence: u64,
}

impl Overload {
    /// Takes a report of the target. One that was overtaken by a later one changes nothing (RFC 7339 §4.4); a validity of
    /// zero ends the control (§4.3).
    pub fn report(&mut self, report: &OverloadReport, now: Instant) {
        if report.sequence < self.sequence {
            return;
        }
        *self = Self {
            reduction_percent: report.reduction_percent.min(100),
            until: Some(now + report.validity),
            sequence: report.sequence,
        };
    }

    /// The reduction in force, in percent.
    pub fn reduction_percent(&self, now: Instant) -> u8 {
        match self.until {
            Some(until) if now < until => self.reduction_percent,
            _ => 0,
        }
    }

    /// Draws whether one call may go through.
    pub fn admits(&self, now: Instant, entropy: &mut dyn Entropy) -> bool {
        let reduction = u32::from(self.reduction_percent(now));
        reduction == 0 || entropy.below(100) >= reduction
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn the_call_over_the_limit_is_refused_in_a_burst() {
        let mut rate = CallRate::default();
        let now = Instant::from_millis(5_000);
        for _ in 0..100 {
            assert!(rate.admits(100, now));
            rate.started(now);
        }
        assert!(!rate.admits(100, now));
        assert!(!rate.admits(100, Instant::from_micros(5_999_999)));
        assert!(rate.admits(100, Instant::from_millis(6_000)));
        assert!(rate.admits(0, now));
    }

    #[test]
    fn twice_the_limit_in_an_even_flow_is_halved() {
        let mut rate = CallRate::default();
        let mut taken = 0;
        for call in 0..2_000 {
            let now = Instant::from_millis(1_000 + call * 5);
            if rate.admits(100, now) {
                rate.started(now);
                taken += 1;
            }
        }
        assert_eq!(taken, 1_000);
    }

    #[test]
    fn a_flow_at_the_limit_passes_whole() {
        let mut rate = CallRate::default();
        for call in 0..1_000 {
            let now = Instant::from_millis(1_000 + call * 10);
            assert!(rate.admits(100, now), "call {call}");
            rate.started(now);
        }
    }

    #[test]
    fn load_never_goes_below_zero() {
        let mut load = CallLoad::default();
        assert!(!load.ended());
        load.remote(-5);
        load.started();
        load.remote(2);
        assert_eq!((load.local(), load.total()), (1, 3));
        load.remote(i32::MIN);
        assert!(load.ended());
        assert!(!load.ended());
        assert_eq!(load.total(), 0);
    }

    #[test]
    fn overload_spares_its_share_and_ends() {
        let mut entropy = SeededEntropy::new(3);
        let now = Instant::from_millis(1_000);
        let mut overload = Overload::default();
        assert!(overload.admits(now, &mut entropy));
        let mut sequence = 7;
        let mut report = |reduction_percent, validity_ms| {
            sequence += 1;
            OverloadReport { reduction_percent, validity: Duration::from_millis(validity_ms), sequence }
        };
        overload.report(&report(20, 500), now);
        let passed = (0..10_000).filter(|_| overload.admits(now, &mut entropy)).count();
        assert!((7_800..8_200).contains(&passed), "{passed}");
        assert_eq!(overload.reduction_percent(Instant::from_millis(1_500)), 0);
        overload.report(&report(100, 500), now);
        assert!((0..1_000).all(|_| !overload.admits(now, &mut entropy)));
        overload.report(&OverloadReport { reduction_percent: 0, validity: Duration::from_secs(9), sequence: 7 }, now);
        assert_eq!(overload.reduction_percent(now), 100, "a report that was overtaken");
        overload.report(&report(100, 0), now);
        assert!(overload.admits(now, &mut entropy));
    }
}
