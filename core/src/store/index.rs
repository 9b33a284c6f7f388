//! From a keyed hash to a slot number.

use super::slab::NIL;
use super::slots::Slots;
use crate::error::Full;

/// One bucket of an index, 8 bytes: the lower half of the hash above the complement of the slot number; zero is empty.
pub type Bucket = u64;

const EMPTY: Bucket = 0;

const fn bucket(hash: u64, slot: u32) -> Bucket {
    hash << 32 | (!slot) as u64
}

const fn slot_of(bucket: Bucket) -> u32 {
    !(bucket as u32)
}

/// The half of the hash that is kept; its lower bits choose the bucket.
const fn tag_of(bucket: Bucket) -> u32 {
    (bucket >> 32) as u32
}

/// Where the search for an entry begins.
const fn home(bucket: Bucket, mask: usize) -> usize {
    tag_of(bucket) as usize & mask
}

/// Finds slot numbers by the hash of what is stored there. The hash comes from [`HashKey::hash`](super::HashKey::hash), so
/// that no peer can make entries collide; whether a slot really is the wanted one, the caller says. Several entries may
/// have one hash.
///
/// Open addressing with linear probing, at most half full. A removed entry leaves no mark: later ones move up.
#[derive(Debug)]
pub struct Index<'a> {
    buckets: Slots<'a, Bucket>,
    mask: usize,
    len: usize,
    what: &'static str,
}

impl<'a> Index<'a> {
    /// How many buckets an index of `entries` needs: the power of two at or above twice as many.
    pub const fn buckets_for(entries: usize) -> usize {
        match entries.saturating_mul(2).checked_next_power_of_two() {
            Some(n) => n,
            None => usize::MAX,
        }
    }

    /// An empty index in `buckets`, of which it uses the largest power of two (at most 2³¹). `what` is what it finds, in
    /// an operator's words, for [`Full`].
    pub fn new(mut buckets: Slots<'a, Bucket>, what: &'static str) -> Self {
        let n = buckets.capacity().checked_ilog2().map_or(0, |log| 1 << log.min(31));
        buckets.fill(n);
        Self { buckets, mask: n.saturating_sub(1), len: 0, what }
    }

    /// Adds `slot` under `hash`.
    pub fn insert(&mut self, hash: u64, slot: u32) -> Result<(), Full> {
        if self.len >= self.capacity() || slot == NIL {
            return Err(Full { what: self.what });
        }
        let new = bucket(hash, slot);
        // At most half of the buckets are taken, so an empty one comes.
        let mut at = home(new, self.mask);
        let buckets = self.buckets.used_mut();
        while buckets[at] != EMPTY {
            at = (at + 1) & self.mask;
        }
        buckets[at] = new;
        self.len += 1;
        Ok(())
    }

    /// The first slot under `hash` for which `is_it` holds. It is asked only about slots whose hashes agree in their
    /// lower 32 bits.
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let wanted = hash as u32;
        let buckets = self.buckets.used();
        let mut at = home(bucket(hash, 0), self.mask);
        loop {
            let bucket = *buckets.get(at)?;
            if bucket == EMPTY {
                return None;
            }
            if tag_of(bucket) == wanted && is_it(slot_of(bucket)) {
                return Some(slot_of(bucket));
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Takes one entry of `slot` under `hash` out; whether there was one.
    pub fn remove(&mut self, hash: u64, slot: u32) -> bool {
        let wanted = bucket(hash, slot);
        let buckets = self.buckets.used_mut();
        let mut hole = home(wanted, self.mask);
        loop {
            match buckets.get(hole) {
                None | Some(&EMPTY) => return false,
                Some(&bucket) if bucket == wanted => break,
                Some(_) => hole = (hole + 1) & self.mask,
            }
        }
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask;
            let bucket = buckets[at];
            if bucket == EMPTY {
                break;
            }
            // It may move up to the hole unless its home lies behind it.
            let probed = at.wrapping_sub(home(bucket, self.mask)) & self.mask;
            if probed >= at.wrapping_sub(hole) & self.mask {
                buckets[hole] = bucket;
                hole = at;
            }
        }
        buckets[hole] = EMPTY;
        self.len -= 1;
        true
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most entries there can be.
    pub fn capacity(&self) -> usize {
        self.buckets.used().len() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{HashMap, HashSet};
    use std::vec::Vec;

    /// Every slot under `hash`.
    fn all(index: &Index<'_>, hash: u64) -> Vec<u32> {
        let mut found = Vec::new();
        assert_eq!(
            index.find(hash, |slot| {
                found.push(slot);
                false
            }),
            None
        );
        found.sort_unstable();
        found
    }

    #[test]
    fn index_uses_a_power_of_two_and_half_of_it() {
        for (buckets, entries) in [(0, 0), (1, 0), (2, 1), (3, 1), (8, 4), (63, 16)] {
            let mut memory = [7; 63];
            let mut index = Index::new(Slots::lent(&mut memory[..buckets]), "calls");
            assert_eq!(index.capacity(), entries, "{buckets} buckets");
            for slot in 0..entries as u32 {
                assert_eq!(index.insert(5, slot), Ok(()));
            }
            assert_eq!(index.insert(5, 99), Err(Full { what: "calls" }));
            assert_eq!(all(&index, 5).len(), entries);
            assert_eq!(all(&index, 6), []);
            assert!(!index.remove(5, 99));
        }
        for (entries, buckets) in [(0, 1), (1, 2), (3, 8), (4, 8), (5, 16)] {
            assert_eq!(Index::buckets_for(entries), buckets);
        }
    }

    #[test]
    fn caller_decides_among_equal_hashes() {
        let mut memory = [0; 16];
        let mut index = Index::new(Slots::lent(&mut memory), "calls");
        for slot in [3, 1, 2] {
            index.insert(77, slot).unwrap();
        }
        assert_eq!(index.find(77, |slot| slot == 2), Some(2));
        assert!(index.remove(77, 3));
        assert!(!index.remove(77, 3));
        assert_eq!(all(&index, 77), [1, 2]);
    }

    #[test]
    fn only_equal_hashes_are_asked_about() {
        let mut memory = [0; 16];
        let mut index = Index::new(Slots::lent(&mut memory), "calls");
        index.insert(0x10, 1).unwrap();
        index.insert(0x20, 2).unwrap();
        assert_eq!(index.find(0x10, |slot| slot == 2), None, "same bucket, other hash");
    }

    #[test]
    fn the_slot_that_stands_for_none_is_refused() {
        let mut memory = [0; 16];
        let mut index = Index::new(Slots::lent(&mut memory), "calls");
        assert!(index.insert(0, NIL).is_err());
        assert_eq!(index.insert(0, NIL - 1), Ok(()));
        assert_eq!(index.find(0, |_| true), Some(NIL - 1));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u64, u32),
        Remove(u64, u32),
    }

    /// Few hashes, so that runs of buckets meet, wrap around and are torn open.
    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let hash = prop_oneof![0..20u64, Just(u64::MAX), (0..4u64).prop_map(|n| u64::from(u32::MAX) - n)];
        let op = (any::<bool>(), hash, 0..6u32).prop_map(|(insert, hash, slot)| match insert {
            true => Op::Insert(hash, slot),
            false => Op::Remove(hash, slot),
        });
        proptest::collection::vec(op, 0..300)
    }

    fn agrees_with_a_map(mut index: Index<'_>, ops: Vec<Op>) {
        // Hashes that share their lower halves are one to the index.
        let mut model: HashMap<u32, HashSet<u32>> = HashMap::new();
        let mut len = 0;
        for op in ops {
            match op {
                Op::Insert(hash, slot) => {
                    if model.get(&(hash as u32)).is_some_and(|slots| slots.contains(&slot)) {
                        continue;
                    }
                    let done = index.insert(hash, slot);
                    assert_eq!(done.is_ok(), len < index.capacity());
                    if done.is_ok() {
                        model.entry(hash as u32).or_default().insert(slot);
                        len += 1;
                    }
                }
                Op::Remove(hash, slot) => {
                    let was = model.get_mut(&(hash as u32)).is_some_and(|slots| slots.remove(&slot));
                    assert_eq!(index.remove(hash, slot), was);
                    len -= usize::from(was);
                }
            }
            assert_eq!((index.len(), index.is_empty()), (len, len == 0));
            for (hash, slots) in &model {
                let mut slots: Vec<u32> = slots.iter().copied().collect();
                slots.sort_unstable();
                assert_eq!(all(&index, u64::from(*hash)), slots);
            }
        }
    }

    proptest! {
        #[test]
        fn lent_index_agrees_with_a_map(ops in ops()) {
            agrees_with_a_map(Index::new(Slots::lent(&mut [u64::MAX; 16]), "calls"), ops);
        }

        #[cfg(feature = "alloc")]
        #[test]
        fn reserved_index_agrees_with_a_map(ops in ops()) {
            agrees_with_a_map(Index::new(Slots::reserved(Index::buckets_for(10_000)), "calls"), ops);
        }
    }
}
