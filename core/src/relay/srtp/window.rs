//! The packet index and the replay window of one source (RFC 3711 §3.3.1, §3.3.2).

use super::SrtpError;

/// The highest index that was accepted, and which of the 64 up to it were. A window that accepted nothing is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    highest: u64,
    /// Bit `n` stands for `highest - n`.
    seen: u64,
}

/// The highest index of SRTP: 32 bits of roll-over counter, 16 of sequence number.
const INDEX_MAX: u64 = (1 << 48) - 1;

impl Window {
    pub(super) const fn is_empty(&self) -> bool {
        self.seen == 0
    }

    /// The index that a packet with this sequence number has (RFC 3711 §3.3.1). A stream starts with a roll-over
    /// counter of zero.
    ///
    /// A packet from before the start has no index that could be right: [`SrtpError::TooOld`].
    pub(super) const fn index(&self, sequence: u16) -> Result<u64, SrtpError> {
        let sequence = sequence as u64;
        if self.is_empty() {
            return Ok(sequence);
        }
        let (rollover, highest) = (self.highest >> 16, self.highest & 0xffff);
        let rollover = if highest < 0x8000 {
            if sequence > highest + 0x8000 {
                match rollover.checked_sub(1) {
                    Some(before) => before,
                    None => return Err(SrtpError::TooOld),
                }
            } else {
                rollover
            }
        } else if highest - 0x8000 > sequence {
            rollover + 1
        } else {
            rollover
        };
        let index = rollover << 16 | sequence;
        if index > INDEX_MAX { Err(SrtpError::KeyExhausted) } else { Ok(index) }
    }

    /// Whether a packet with this index is new (RFC 3711 §3.3.2).
    pub(super) const fn check(&self, index: u64) -> Result<(), SrtpError> {
        if self.is_empty() || index > self.highest {
            return Ok(());
        }
        let age = self.highest - index;
        if age >= u64::BITS as u64 {
            Err(SrtpError::TooOld)
        } else if self.seen >> age & 1 == 1 {
            Err(SrtpError::Replayed)
        } else {
            Ok(())
        }
    }

    /// Marks an index that [`Self::check`] passed and whose packet is authentic.
    pub(super) const fn accept(&mut self, index: u64) {
        if self.is_empty() || index > self.highest {
            let ahead = index.saturating_sub(self.highest);
            self.seen = if ahead < u64::BITS as u64 { self.seen << ahead | 1 } else { 1 };
            self.highest = index;
        } else {
            let age = self.highest - index;
            if age < u64::BITS as u64 {
                self.seen |= 1 << age;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_roll_over_counter_follows_the_wrap() {
        let mut w = Window::default();
        for (sequence, index) in
            [(65_534, 65_534), (65_535, 65_535), (1, 65_537), (0, 65_536), (65_533, 65_533), (2, 65_538)]
        {
            assert_eq!(w.index(sequence), Ok(index));
            assert_eq!(w.check(index), Ok(()));
            w.accept(index);
        }
        assert_eq!(w.index(65_535), Ok(65_535));
        assert_eq!(w.check(65_535), Err(SrtpError::Replayed));
    }

    #[test]
    fn nothing_is_older_than_the_start_nor_newer_than_the_end() {
        let mut w = Window::default();
        w.accept(10);
        assert_eq!(w.index(65_000), Err(SrtpError::TooOld));
        let mut w = Window::default();
        w.accept(INDEX_MAX);
        assert_eq!(w.index(0), Err(SrtpError::KeyExhausted));
    }

    #[test]
    fn the_window_is_64_wide() {
        let mut w = Window::default();
        w.accept(100);
        assert_eq!(w.check(37), Ok(()));
        assert_eq!(w.check(36), Err(SrtpError::TooOld));
        w.accept(37);
        assert_eq!(w.check(37), Err(SrtpError::Replayed));
        w.accept(100 + 64);
        assert_eq!(w.check(101), Ok(()));
        assert_eq!(w.check(100), Err(SrtpError::TooOld));
    }

    /// RFC 3711 §3.3.1 in words: of the three roll-over counters around ours, the one whose index is nearest.
    fn nearest(highest: u64, sequence: u16) -> i64 {
        let highest = highest as i64;
        let here = (highest & !0xffff) + i64::from(sequence);
        let ahead_first = [here, here - 0x1_0000, here + 0x1_0000];
        ahead_first.into_iter().min_by_key(|i| (i - highest).abs()).unwrap()
    }

    proptest! {
        #[test]
        fn the_index_is_the_nearest(highest in 0u64..1 << 40, sequence: u16) {
            let mut w = Window::default();
            w.accept(highest);
            let expected = u64::try_from(nearest(highest, sequence)).map_err(|_| SrtpError::TooOld);
            prop_assert_eq!(w.index(sequence), expected);
        }

        /// Losses, disorder and repeats below half the number space never lose the count, and what is accepted is what
        /// a set of all indices would accept.
        #[test]
        fn the_window_is_the_set_of_what_it_saw(
            start in 0u64..200_000,
            steps in proptest::collection::vec(-100i64..3_000, 1..300),
        ) {
            let mut w = Window::default();
            // Any start, as after many wraps.
            w.accept(start);
            let (mut seen, mut at) = (BTreeSet::from([start]), start);
            for step in steps {
                let highest = *seen.last().unwrap();
                let Some(index) = at.checked_add_signed(step).filter(|i| highest.abs_diff(*i) < 0x8000) else { continue };
                at = index;
                prop_assert_eq!(w.index(index as u16), Ok(index));
                let expected = if index + 64 <= highest {
                    Err(SrtpError::TooOld)
                } else if seen.contains(&index) {
                    Err(SrtpError::Replayed)
                } else {
                    Ok(())
                };
                prop_assert_eq!(w.check(index), expected);
                if expected.is_ok() {
                    w.accept(index);
                    seen.insert(index);
                }
            }
        }
    }
}
