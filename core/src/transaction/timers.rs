//! The timers of RFC 3261 §17 (table 4), RFC 6026 §7 and the limits that a proxy sets below them.

use core::time::Duration;

use crate::time::Instant;

/// The least interval between retransmissions: with a T1 or T2 of zero a deadline would not move on.
const TICK: Duration = Duration::from_millis(1);

/// The base values. Every named timer is computed from them, so a change of T1 moves all that hang on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Timers {
    /// T1, the estimated round-trip time (RFC 3261 §17.1.1.1): 500 ms.
    pub t1: Duration,
    /// T2, the longest interval between retransmissions of non-INVITE requests and of INVITE responses: 4 s.
    pub t2: Duration,
    /// T4, how long a message may stay in the network: 5 s.
    pub t4: Duration,
    /// Timer D over an unreliable transport, at least 32 s (RFC 3261 §17.1.1.2).
    pub d: Duration,
    /// How long after an INVITE the 100 is sent, unless the transaction user answers first: 200 ms
    /// (RFC 3261 §17.2.1). Zero sends it at once.
    pub trying: Duration,
    /// How long a client transaction waits for a first reply to an INVITE, or for the final reply to another request:
    /// 30 s. Timer B or F stays the upper bound.
    pub fr: Duration,
    /// How long an INVITE client transaction waits for the final reply after a provisional one: 120 s.
    pub fr_inv: Duration,
    /// Whether every provisional reply restarts `fr_inv`; otherwise only the first one does, and one of 180 or more
    /// that is higher than all before it.
    pub restart_fr_on_each_reply: bool,
}

impl Timers {
    /// T1 = 500 ms, T2 = 4 s, T4 = 5 s and the limits of 30 s and 120 s.
    pub const DEFAULT: Self = Self {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
        d: Duration::from_secs(32),
        trying: Duration::from_millis(200),
        fr: Duration::from_secs(30),
        fr_inv: Duration::from_secs(120),
        restart_fr_on_each_reply: true,
    };

    /// 64*T1: Timers B, F, H, J (unreliable), L and M, and the wait for the final response after a CANCEL
    /// (RFC 3261 §9.1).
    pub const fn t1_64(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer A after `sent` retransmissions: T1, doubled each time, without a cap (RFC 3261 §17.1.1.2).
    pub fn timer_a(&self, sent: u8) -> Duration {
        self.t1.saturating_mul(1_u32.checked_shl(u32::from(sent)).unwrap_or(u32::MAX)).max(TICK)
    }

    /// Timer B: how long an INVITE may stay without any response.
    pub const fn timer_b(&self) -> Duration {
        self.t1_64()
    }

    /// Timer D: how long retransmitted 300-699 responses to an INVITE are still acknowledged.
    pub const fn timer_d(&self, reliable: bool) -> Duration {
        unless(reliable, self.d)
    }

    /// Timer E after `sent` retransmissions: T1, doubled each time, at most T2 (RFC 3261 §17.1.2.2).
    pub fn timer_e(&self, sent: u8) -> Duration {
        self.timer_a(sent).min(self.timer_e_proceeding())
    }

    /// Timer E after a provisional response: T2 (RFC 3261 §17.1.2.2).
    pub fn timer_e_proceeding(&self) -> Duration {
        self.t2.max(TICK)
    }

    /// Timer F: how long a non-INVITE request may stay without a final response.
    pub const fn timer_f(&self) -> Duration {
        self.t1_64()
    }

    /// Timer G after `sent` retransmissions: as Timer E (RFC 3261 §17.2.1).
    pub fn timer_g(&self, sent: u8) -> Duration {
        self.timer_e(sent)
    }

    /// Timer H: how long the ACK to a 300-699 response is waited for. The same over every transport.
    pub const fn timer_h(&self) -> Duration {
        self.t1_64()
    }

    /// Timer I: how long retransmitted ACKs are absorbed.
    pub const fn timer_i(&self, reliable: bool) -> Duration {
        unless(reliable, self.t4)
    }

    /// Timer J: how long retransmitted non-INVITE requests are answered.
    pub const fn timer_j(&self, reliable: bool) -> Duration {
        unless(reliable, self.t1_64())
    }

    /// Timer K: how long retransmitted responses to a non-INVITE request are absorbed.
    pub const fn timer_k(&self, reliable: bool) -> Duration {
        unless(reliable, self.t4)
    }

    /// Timer L: how long an INVITE server transaction lives after a 2xx (RFC 6026 §7.1).
    pub const fn timer_l(&self) -> Duration {
        self.t1_64()
    }

    /// Timer M: how long an INVITE client transaction lives after a 2xx (RFC 6026 §7.2).
    pub const fn timer_m(&self) -> Duration {
        self.t1_64()
    }

    /// When a non-INVITE request is answered with 100 if nothing else was sent, and before which it may not be over an
    /// unreliable transport: the time after which a client's Timer E is set to T2 (RFC 4320 §4.1). With the default
    /// values 3.5 s.
    pub fn non_invite_trying(&self) -> Duration {
        let mut after = Duration::ZERO;
        let mut sent = 0;
        while self.timer_a(sent) < self.t2 && sent < 32 {
            after = after.saturating_add(self.timer_a(sent));
            sent += 1;
        }
        after
    }
}

impl Default for Timers {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a transaction machine is handed: an event, and the timers that hold for it.
///
/// The timers come with every event, as a loan, and no machine keeps a copy or a reference. That saves some 40 bytes a
/// transaction, and after a reload of the configuration every timer started from then on follows the new values while
/// those that run keep their deadline.
#[derive(Clone, Copy, Debug)]
pub struct Step<'t, E> {
    /// The timers in force.
    pub timers: &'t Timers,
    /// What happened.
    pub event: E,
}

const fn unless(reliable: bool, d: Duration) -> Duration {
    if reliable { Duration::ZERO } else { d }
}

/// Whether a timer has fired.
pub(crate) fn due(at: Option<Instant>, now: Instant) -> bool {
    at.is_some_and(|at| at <= now)
}

/// The first of the timers that run.
pub(crate) fn earliest<const N: usize>(timers: [Option<Instant>; N]) -> Option<Instant> {
    timers.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn rfc_3261_table_4_over_an_unreliable_transport() {
        let t = Timers::default();
        assert_eq!([0, 1, 2, 6].map(|n| t.timer_a(n)), [500, 1_000, 2_000, 32_000].map(MS));
        assert_eq!([0, 1, 2, 3, 4, 200].map(|n| t.timer_e(n)), [500, 1_000, 2_000, 4_000, 4_000, 4_000].map(MS));
        assert_eq!([0, 3, 9].map(|n| t.timer_g(n)), [500, 4_000, 4_000].map(MS));
        for d in [t.timer_b(), t.timer_d(false), t.timer_f(), t.timer_h(), t.timer_j(false), t.timer_l(), t.timer_m()] {
            assert_eq!(d, MS(32_000));
        }
        assert_eq!([t.timer_i(false), t.timer_k(false)], [5_000, 5_000].map(MS));
    }

    #[test]
    fn rfc_3261_table_4_over_a_reliable_transport() {
        let t = Timers::default();
        assert_eq!([t.timer_d(true), t.timer_i(true), t.timer_j(true), t.timer_k(true)], [Duration::ZERO; 4]);
    }

    #[test]
    fn the_100_to_a_non_invite_waits_for_timer_e_to_reach_t2() {
        assert_eq!(Timers::default().non_invite_trying(), MS(3_500));
        assert_eq!(Timers { t1: MS(1_000), ..Timers::DEFAULT }.non_invite_trying(), MS(3_000));
        assert_eq!(Timers { t1: MS(4_000), ..Timers::DEFAULT }.non_invite_trying(), Duration::ZERO);
    }

    #[test]
    fn extreme_values_saturate_and_end() {
        let t = Timers { t1: Duration::ZERO, t2: MS(33), ..Timers::DEFAULT };
        assert_eq!(Timers { t2: Duration::ZERO, ..t }.timer_e(3), TICK);
        assert_eq!((t.timer_a(255), t.timer_e(3), t.non_invite_trying()), (TICK, TICK, MS(32)));
        let t = Timers { t1: Duration::MAX, t2: Duration::MAX, ..Timers::DEFAULT };
        assert_eq!((t.t1_64(), t.timer_a(255), t.timer_e(9)), (Duration::MAX, Duration::MAX, Duration::MAX));
    }
}
