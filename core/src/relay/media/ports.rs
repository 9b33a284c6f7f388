//! Pairs of ports: even for RTP, the odd one after it for RTCP (RFC 3550 §11).

use heapless::Vec;

use super::config::RESERVE_MAX;
use crate::entropy::Entropy;

const WORD_BITS: u32 = u64::BITS;

/// A range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct PortRange {
    /// The first port that may be used.
    pub min: u16,
    /// The last port that may be used.
    pub max: u16,
}

impl PortRange {
    /// The first even port.
    const fn first(&self) -> u32 {
        let min = if self.min == 0 { 2 } else { self.min as u32 };
        min.next_multiple_of(2)
    }

    /// How many pairs it holds.
    pub const fn pairs(&self) -> u32 {
        (self.max as u32 + 1).saturating_sub(self.first()) / 2
    }

    /// Words of 64 bits that are needed to keep track of the pairs.
    pub const fn words(&self) -> usize {
        2 * self.pairs().div_ceil(WORD_BITS) as usize
    }
}

/// The pairs of one interface. Its bits live in a row of words shared with the other interfaces: first one for each pair
/// that is in use, then one for each pair that someone else was found to use.
#[derive(Debug)]
pub(super) struct Ports {
    range: PortRange,
    /// First of its words.
    at: usize,
    used: u32,
    /// Slots of endpoints that are open and wait to be given out.
    pub(super) ready: Vec<u32, RESERVE_MAX>,
    /// Endpoints that are being opened.
    pub(super) opening: u32,
}

impl Ports {
    pub(super) const fn new(range: PortRange, at: usize) -> Self {
        Self { range, at, used: 0, ready: Vec::new(), opening: 0 }
    }

    /// Whether every pair is in use.
    pub(super) const fn is_exhausted(&self) -> bool {
        self.used >= self.range.pairs()
    }

    /// Pairs in use, opened ahead ones included.
    pub(super) const fn used(&self) -> u32 {
        self.used
    }

    /// Takes a free pair in random order, and returns its RTP port. Those that someone else was found to use do not come up
    /// before [`try_taken_again`](Self::try_taken_again).
    pub(super) fn take(&mut self, words: &mut [u64], entropy: &mut dyn Entropy) -> Option<u16> {
        let pairs = self.range.pairs();
        let (used, taken) = self.words(words)?;
        let start = entropy.below(pairs);
        let pair = free(used, taken, start, pairs).or_else(|| free(used, taken, 0, start))?;
        set(used, pair, true);
        self.used += 1;
        u16::try_from(self.range.first() + 2 * pair).ok()
    }

    /// Gives the pair of `rtp_port` back.
    pub(super) fn give_back(&mut self, words: &mut [u64], rtp_port: u16) {
        let pair = self.pair(rtp_port);
        if let Some((used, _)) = self.words(words)
            && set(used, pair, false)
        {
            self.used -= 1;
        }
    }

    /// Gives the pair of `rtp_port` back, and remembers that someone else uses it.
    pub(super) fn give_back_taken(&mut self, words: &mut [u64], rtp_port: u16) {
        self.give_back(words, rtp_port);
        let pair = self.pair(rtp_port);
        if let Some((_, taken)) = self.words(words) {
            set(taken, pair, true);
        }
    }

    /// Forgets which pairs someone else was found to use.
    pub(super) fn try_taken_again(&self, words: &mut [u64]) {
        if let Some((_, taken)) = self.words(words) {
            taken.fill(0);
        }
    }

    fn pair(&self, rtp_port: u16) -> u32 {
        u32::from(rtp_port).saturating_sub(self.range.first()) / 2
    }

    fn words<'w>(&self, words: &'w mut [u64]) -> Option<(&'w mut [u64], &'w mut [u64])> {
        let len = self.range.words();
        let words = words.get_mut(self.at..)?.get_mut(..len)?;
        Some(words.split_at_mut(len / 2))
    }
}

/// The first pair from `from` up to `end` with neither bit set.
fn free(used: &[u64], taken: &[u64], from: u32, end: u32) -> Option<u32> {
    let first = (from / WORD_BITS) as usize;
    for (at, (used, taken)) in used.iter().zip(taken).enumerate().skip(first) {
        let mut open = !(used | taken);
        if at == first {
            open &= u64::MAX << (from % WORD_BITS);
        }
        if open != 0 {
            let pair = at as u32 * WORD_BITS + open.trailing_zeros();
            return (pair < end).then_some(pair);
        }
    }
    None
}

/// Sets or clears a bit; whether that changed it.
fn set(words: &mut [u64], pair: u32, to: bool) -> bool {
    let Some(word) = words.get_mut((pair / WORD_BITS) as usize) else { return false };
    let mask = 1 << (pair % WORD_BITS);
    let changed = (*word & mask != 0) != to;
    *word = if to { *word | mask } else { *word & !mask };
    changed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn ranges_hold_whole_pairs() {
        for (min, max, pairs) in [
            (30_000, 30_001, 1),
            (30_000, 30_000, 0),
            (30_001, 30_002, 0),
            (30_001, 30_003, 1),
            (30_000, 40_000, 5_000),
            (40_000, 30_000, 0),
            (65_534, 65_535, 1),
            (65_535, 65_535, 0),
            (0, 3, 1),
            (0, 65_535, 32_767),
        ] {
            assert_eq!(PortRange { min, max }.pairs(), pairs, "{min}-{max}");
        }
    }

    #[test]
    fn every_pair_comes_once_in_random_order() {
        let range = PortRange { min: 30_001, max: 30_300 };
        // Another interface owns the words before and after.
        let mut words = vec![0; range.words() + 6];
        let mut orders = HashSet::new();
        for seed in 0..4 {
            let mut ports = Ports::new(range, 3);
            let mut entropy = SeededEntropy::new(seed);
            words.fill(0);
            let taken: Vec<u16> = core::iter::from_fn(|| ports.take(&mut words, &mut entropy)).collect();
            let mut sorted = taken.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq((30_002..30_300).step_by(2)), "{sorted:?}");
            assert!(ports.is_exhausted());
            assert_ne!(taken, sorted);
            orders.insert(taken);
            assert_eq!((words[..3].iter().sum::<u64>(), words[words.len() - 3..].iter().sum::<u64>()), (0, 0));
        }
        assert_eq!(orders.len(), 4);
    }

    #[test]
    fn ports_of_others_are_tried_once_until_asked_again() {
        let range = PortRange { min: 30_000, max: 30_019 };
        let mut words = vec![0; range.words()];
        let mut ports = Ports::new(range, 0);
        let mut entropy = SeededEntropy::new(1);
        for _ in 0..2 {
            let mut tries = 0;
            while let Some(port) = ports.take(&mut words, &mut entropy) {
                ports.give_back_taken(&mut words, port);
                tries += 1;
            }
            assert_eq!((tries, ports.used()), (10, 0));
            ports.try_taken_again(&mut words);
        }
    }

    proptest! {
        #[test]
        fn no_pair_is_given_out_twice(
            min in 1..u16::MAX, len in 0..400u16, seed: u64, ops in prop::collection::vec(any::<(bool, usize)>(), 0..300)
        ) {
            let range = PortRange { min, max: min.saturating_add(len) };
            let mut words = vec![0; range.words()];
            let mut ports = Ports::new(range, 0);
            let mut entropy = SeededEntropy::new(seed);
            let mut held = Vec::new();
            for (take, which) in ops {
                if take {
                    match ports.take(&mut words, &mut entropy) {
                        Some(port) => {
                            prop_assert!(port % 2 == 0 && port >= range.min && port < range.max && !held.contains(&port));
                            held.push(port);
                        }
                        None => prop_assert_eq!(held.len(), range.pairs() as usize),
                    }
                } else if !held.is_empty() {
                    let port = held.swap_remove(which % held.len());
                    ports.give_back(&mut words, port);
                    ports.give_back(&mut words, port);
                }
                prop_assert_eq!(ports.used() as usize, held.len());
            }
        }
    }
}
