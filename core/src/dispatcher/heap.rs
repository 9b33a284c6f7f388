//! A binary heap of slots that knows where each slot stands, so that a changed key is moved in O(log n).

/// What stands in the table of positions for a slot that is not in the heap.
pub(crate) const ABSENT: u16 = u16::MAX;

/// A heap over lent arrays. `before` orders two slots; the first of all stands at the root.
pub(crate) struct Heap<'h, F> {
    /// Slots in heap order; only the first `len` count.
    pub(crate) slots: &'h mut [u16],
    /// By slot: its position in `slots`, or [`ABSENT`].
    pub(crate) positions: &'h mut [u16],
    /// Slots in the heap.
    pub(crate) len: usize,
    /// Whether the first slot comes before the second.
    pub(crate) before: F,
}

impl<F: Fn(u16, u16) -> bool> Heap<'_, F> {
    fn put(&mut self, at: usize, slot: u16) {
        self.slots[at] = slot;
        self.positions[usize::from(slot)] = at as u16;
    }

    fn up(&mut self, mut at: usize) {
        let slot = self.slots[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            if !(self.before)(slot, self.slots[parent]) {
                break;
            }
            self.put(at, self.slots[parent]);
            at = parent;
        }
        self.put(at, slot);
    }

    fn down(&mut self, mut at: usize) {
        let slot = self.slots[at];
        loop {
            let left = 2 * at + 1;
            if left >= self.len {
                break;
            }
            let right = left + 1;
            let right_first = right < self.len && (self.before)(self.slots[right], self.slots[left]);
            let child = if right_first { right } else { left };
            if !(self.before)(self.slots[child], slot) {
                break;
            }
            self.put(at, self.slots[child]);
            at = child;
        }
        self.put(at, slot);
    }

    /// Moves a slot whose key has changed to its place; does nothing for one that is absent.
    pub(crate) fn moved(&mut self, slot: u16) {
        let at = self.positions[usize::from(slot)];
        if at != ABSENT {
            self.up(usize::from(at));
            self.down(usize::from(self.positions[usize::from(slot)]));
        }
    }

    /// Adds a slot, or moves it if it is there; returns the new length.
    pub(crate) fn insert(&mut self, slot: u16) -> usize {
        if self.positions[usize::from(slot)] != ABSENT {
            self.moved(slot);
        } else if self.len < self.slots.len() {
            self.put(self.len, slot);
            self.len += 1;
            self.up(self.len - 1);
        }
        self.len
    }

    /// Takes a slot out if it is there; returns the new length.
    pub(crate) fn remove(&mut self, slot: u16) -> usize {
        let at = self.positions[usize::from(slot)];
        if at != ABSENT {
            self.positions[usize::from(slot)] = ABSENT;
            self.len -= 1;
            let last = self.slots[self.len];
            if last != slot {
                self.put(usize::from(at), last);
                self.moved(last);
            }
        }
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_root_is_the_least_whatever_happens(ops in proptest::collection::vec((0u16..16, 0u32..50, any::<bool>()), 1..200)) {
            let mut keys = [0u32; 16];
            let mut member = [false; 16];
            let (mut slots, mut positions, mut len) = ([0u16; 16], [ABSENT; 16], 0);
            for (slot, key, keep) in ops {
                keys[usize::from(slot)] = key;
                member[usize::from(slot)] = keep;
                let before = |a: u16, b: u16| keys[usize::from(a)] < keys[usize::from(b)];
                let mut heap = Heap { slots: &mut slots, positions: &mut positions, len, before };
                len = if keep { heap.insert(slot) } else { heap.remove(slot) };
                prop_assert_eq!(len, member.iter().filter(|m| **m).count());
                let least = (0..16).filter(|s| member[*s]).map(|s| keys[s]).min();
                prop_assert_eq!((len > 0).then(|| keys[usize::from(slots[0])]), least);
            }
        }
    }
}
