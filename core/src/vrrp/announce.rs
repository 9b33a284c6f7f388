//! When addresses are announced: a burst on taking over, a second one later, one more after a contest.

use core::time::Duration;

use super::config::AnnounceConfig;
use crate::time::Instant;

/// Least time between the starts of two bursts that others provoke.
const CONTEST_GAP: Duration = Duration::from_millis(100);

/// The announcements that are due. Each round announces every address once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Announcer {
    next: Option<Instant>,
    left: u8,
    /// Whether a second burst follows this one.
    repeat: bool,
    began: Option<Instant>,
    last: Option<Instant>,
}

impl Announcer {
    /// Starts the bursts of a router that takes over.
    pub(super) fn begin(&mut self, at: Instant, config: &AnnounceConfig) {
        *self = Self { next: None, left: config.count, repeat: config.repeat_count > 0, began: Some(at), ..*self };
        if self.left > 0 {
            self.next = Some(at);
        } else {
            self.second_burst(at, config);
        }
    }

    /// Another router claimed the addresses: neighbours may have believed it. Bursts that follow from this are spaced,
    /// so that a flood of claims does not become a flood of announcements.
    pub(super) fn contest(&mut self, now: Instant, config: &AnnounceConfig) {
        if config.count == 0 {
            return;
        }
        let earliest = self.began.map_or(now, |began| began + CONTEST_GAP).max(now);
        // A burst that runs, or that a contest has set already, comes after the claim.
        if self.next.is_none_or(|next| next > earliest) {
            self.begin(earliest, config);
        }
    }

    /// Forgets what is due.
    pub(super) fn stop(&mut self) {
        *self = Self::default();
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Takes one round, if one is due.
    pub(super) fn take(&mut self, now: Instant, config: &AnnounceConfig) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.last = Some(now);
        self.left = self.left.saturating_sub(1);
        if self.left > 0 {
            self.next = Some(now + config.gap);
        } else {
            self.next = None;
            self.second_burst(now, config);
        }
        true
    }

    fn second_burst(&mut self, now: Instant, config: &AnnounceConfig) {
        if core::mem::take(&mut self.repeat) {
            self.left = config.repeat_count;
            self.next = Some(now + config.repeat_delay);
        }
    }

    /// Takes the single round that follows an advert, if the last round was long enough ago.
    pub(super) fn take_refresh(&mut self, now: Instant, config: &AnnounceConfig) -> bool {
        let due = !config.refresh.is_zero() && self.last.is_none_or(|last| last + config.refresh <= now);
        if due {
            self.last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn config() -> AnnounceConfig {
        AnnounceConfig::default()
    }

    /// The times in ms of all rounds until `end_ms`.
    fn rounds(announcer: &mut Announcer, config: &AnnounceConfig, end_ms: u64) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(at) = announcer.next_deadline().filter(|at| at.as_millis() <= end_ms) {
            assert!(announcer.take(at, config));
            times.push(at.as_millis());
        }
        times
    }

    #[test]
    fn two_bursts() {
        let mut announcer = Announcer::default();
        announcer.begin(Instant::from_millis(10), &config());
        assert_eq!(rounds(&mut announcer, &config(), 60_000), [10, 11, 12, 13, 14, 5_014, 5_015, 5_016, 5_017, 5_018]);
    }

    #[test]
    fn a_burst_without_gaps_is_due_at_once() {
        let config = AnnounceConfig { gap: Duration::ZERO, repeat_count: 0, ..config() };
        let mut announcer = Announcer::default();
        announcer.begin(Instant::from_millis(10), &config);
        assert_eq!(rounds(&mut announcer, &config, 60_000), [10; 5]);
    }

    #[test]
    fn the_first_burst_may_be_left_out() {
        let config = AnnounceConfig { count: 0, repeat_count: 1, ..config() };
        let mut announcer = Announcer::default();
        announcer.begin(Instant::from_millis(10), &config);
        assert_eq!(rounds(&mut announcer, &config, 60_000), [5_010]);
    }

    #[test]
    fn a_flood_of_claims_brings_few_bursts() {
        let mut announcer = Announcer::default();
        let mut times = Vec::new();
        for ms in 1..=1_000 {
            announcer.contest(Instant::from_millis(ms), &config());
            times.append(&mut rounds(&mut announcer, &config(), ms));
        }
        assert_eq!(times.len(), 50, "{times:?}");
        assert_eq!(times[..6], [1, 2, 3, 4, 5, 101]);
        // The last claim is answered, too.
        assert_eq!(rounds(&mut announcer, &config(), 2_000)[0], 1_001);
    }

    #[test]
    fn a_claim_during_the_wait_for_the_second_burst_starts_over() {
        let mut announcer = Announcer::default();
        announcer.begin(Instant::from_millis(10), &config());
        rounds(&mut announcer, &config(), 1_000);
        announcer.contest(Instant::from_millis(2_000), &config());
        assert_eq!(rounds(&mut announcer, &config(), 3_000), [2_000, 2_001, 2_002, 2_003, 2_004]);
    }

    #[test]
    fn refreshes_keep_their_distance() {
        let mut announcer = Announcer::default();
        announcer.begin(Instant::from_millis(10), &AnnounceConfig { count: 1, repeat_count: 0, ..config() });
        assert!(announcer.take(Instant::from_millis(10), &config()));
        let taken = |announcer: &mut Announcer, ms| announcer.take_refresh(Instant::from_millis(ms), &config());
        assert!(!taken(&mut announcer, 509));
        assert!(taken(&mut announcer, 510));
        assert!(!taken(&mut announcer, 600));
        assert!(taken(&mut announcer, 1_010));
        let never = AnnounceConfig { refresh: Duration::ZERO, ..config() };
        assert!(!announcer.take_refresh(Instant::from_millis(9_000), &never));
    }
}
