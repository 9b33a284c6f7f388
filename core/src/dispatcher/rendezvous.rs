//! Weighted highest-random-weight hashing: every target draws a lot from the key, and the best lot wins. A target that
//! goes takes only its own keys along, one that comes draws its share from all.
//!
//! The lot is -log2(u) / weight with u from the hash, and the smallest wins; that gives each target a share of the keys
//! in proportion to its weight.

use super::select::CANDIDATES_MAX;

/// log2(1 + i/64) in 1/2^32.
const LOG2: [u64; 65] = log2_table();

const fn log2_table() -> [u64; 65] {
    let mut table = [0; 65];
    let mut i = 1;
    while i < 64 {
        // Digit by digit: squaring doubles the logarithm.
        let mut x: u64 = (1 << 31) + ((i as u64) << 25);
        let mut bit = 0;
        while bit < 32 {
            x = (x * x) >> 31;
            table[i] <<= 1;
            if x >= 1 << 32 {
                x >>= 1;
                table[i] |= 1;
            }
            bit += 1;
        }
        i += 1;
    }
    table[64] = 1 << 32;
    table
}

/// -log2(u / 2^64) in 1/2^32; right to about 1/20,000. Never zero.
const fn negative_log2(u: u64) -> u64 {
    let u = u | 1;
    let zeros = u.leading_zeros();
    let fraction = (u << zeros) << 1;
    let at = (fraction >> 58) as usize;
    let rest = (fraction >> 26) & 0xffff_ffff;
    let log = LOG2[at] + (((LOG2[at + 1] - LOG2[at]) * rest) >> 32);
    let whole = (zeros as u64 + 1) << 32;
    // A log of one whole step would make zero of the greatest u.
    let value = whole.saturating_sub(log);
    if value == 0 { 1 } else { value }
}

/// Spreads a number over 64 bits (the finaliser of SplitMix64).
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A lot: smaller is better.
#[derive(Clone, Copy)]
pub(crate) struct Score {
    log: u64,
    weight: u64,
}

impl Score {
    fn beats(self, other: Self) -> bool {
        // log is below 2^39 and weight below 2^16, so the products fit.
        self.log * other.weight < other.log * self.weight
    }
}

/// The best lots of one key.
pub(crate) struct Ranking {
    key: u64,
    limit: usize,
    best: heapless::Vec<(Score, u16), CANDIDATES_MAX>,
}

impl Ranking {
    pub(crate) fn new(key: u64, limit: usize) -> Self {
        Self { key, limit: limit.min(CANDIDATES_MAX), best: heapless::Vec::new() }
    }

    /// The lot of a target, if it is among the best so far. A weight of zero counts as one.
    pub(crate) fn score(&self, seed: u64, weight: u16) -> Option<Score> {
        let score = Score { log: negative_log2(mix(self.key ^ seed)), weight: u64::from(weight.max(1)) };
        let enters = self.best.len() < self.limit || self.best.last().is_some_and(|(last, _)| score.beats(*last));
        enters.then_some(score)
    }

    pub(crate) fn insert(&mut self, score: Score, slot: u16) {
        if self.best.len() >= self.limit {
            self.best.pop();
        }
        let at = self.best.partition_point(|(held, _)| !score.beats(*held));
        // There is room: the limit is no more than the capacity.
        let _ = self.best.insert(at, (score, slot));
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = u16> {
        self.best.iter().map(|(_, slot)| *slot)
    }
}

/// The best of `lots`, each with the hash that it draws from and its weight.
pub(crate) fn winner<T>(lots: impl Iterator<Item = (u64, u16, T)>) -> Option<T> {
    let scored = lots
        .map(|(hash, weight, item)| (Score { log: negative_log2(mix(hash)), weight: u64::from(weight.max(1)) }, item));
    scored.reduce(|best, next| if next.0.beats(best.0) { next } else { best }).map(|(_, item)| item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right() {
        for u in [1u64 << 63, 3 << 62, 1 << 40, u64::MAX, 0x1234_5678_9abc_def1, 5, 1] {
            let expected = 64.0 - (u as f64).log2();
            let got = negative_log2(u) as f64 / 4_294_967_296.0;
            assert!((expected - got).abs() < 1e-4, "{u:#x}: {expected} {got}");
        }
        assert!(negative_log2(u64::MAX) > 0);
    }

    #[test]
    fn logarithms_fall_as_the_number_grows() {
        let mut last = u64::MAX;
        for i in 0..4_096u64 {
            let now = negative_log2(i << 52);
            assert!(now < last, "at {i}");
            last = now;
        }
    }
}
