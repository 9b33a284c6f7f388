//! Values behind keys that go stale: a slab with generations.

use core::num::NonZeroU32;

use super::slots::Slots;
use crate::error::Full;

/// The number that stands for "no slot".
pub(crate) const NIL: u32 = u32::MAX;

/// Names one value for as long as it is stored: where it is, and how often the place was reused. A key whose value has
/// gone finds nothing, also when the place holds another value by then (until 2³²-1 values have passed through it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Key {
    slot: u32,
    generation: NonZeroU32,
}

impl Key {
    /// The key of `slot` and `generation`; `None` if the generation is zero, which no key has.
    pub const fn new(slot: u32, generation: u32) -> Option<Self> {
        match NonZeroU32::new(generation) {
            Some(generation) => Some(Self { slot, generation }),
            None => None,
        }
    }

    /// The number of the slot.
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// The generation; never zero.
    pub const fn generation(self) -> u32 {
        self.generation.get()
    }

    /// The key as a number that is never zero: generation in the upper half, slot in the lower.
    pub const fn to_u64(self) -> u64 {
        (self.generation.get() as u64) << 32 | self.slot as u64
    }

    /// The key that [`to_u64`](Self::to_u64) made into `n`, if one can have.
    pub const fn from_u64(n: u64) -> Option<Self> {
        Self::new(n as u32, (n >> 32) as u32)
    }
}

/// One entry of a slab: 8 bytes and the value; 16 bytes and the value where `T` is aligned to 8 bytes and has no bit
/// pattern to spare.
#[derive(Debug)]
pub struct Slot<T> {
    generation: NonZeroU32,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Free { next: u32 },
    Used(T),
}

impl<T> Slot<T> {
    /// An entry to fill lent memory with: `[const { Slot::EMPTY }; N]`.
    pub const EMPTY: Self = Self { generation: NonZeroU32::MIN, state: State::Free { next: NIL } };

    fn value(&self) -> Option<&T> {
        match &self.state {
            State::Used(value) => Some(value),
            State::Free { .. } => None,
        }
    }

    fn value_mut(&mut self) -> Option<&mut T> {
        match &mut self.state {
            State::Used(value) => Some(value),
            State::Free { .. } => None,
        }
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Values behind [`Key`]s. Inserting, finding and removing take constant time; the place freed last is used first,
/// and a fresh one only when no freed one is left.
#[derive(Debug)]
pub struct Slab<'a, T> {
    slots: Slots<'a, Slot<T>>,
    free: u32,
    len: u32,
    what: &'static str,
}

impl<'a, T> Slab<'a, T> {
    /// An empty slab in `slots`; `what` is what it holds, in an operator's words, for [`Full`].
    pub fn new(slots: Slots<'a, Slot<T>>, what: &'static str) -> Self {
        Self { slots: slots.taken(), free: NIL, len: 0, what }
    }

    /// Stores `value`. When the slab is full the value is dropped: where it owns a [`Buf`](super::Buf), ask
    /// [`is_full`](Self::is_full) first, or use [`insert_with`](Self::insert_with).
    pub fn insert(&mut self, value: T) -> Result<Key, Full> {
        self.insert_with(|_| value)
    }

    /// Stores what `make` returns for the key under which it will be found. `make` is not called when the slab is full.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> T) -> Result<Key, Full> {
        let slot = if self.free == NIL { self.claim()? } else { self.free };
        let Some(entry) = self.slots.used_mut().get_mut(slot as usize) else {
            return Err(Full { what: self.what });
        };
        let key = Key { slot, generation: entry.generation };
        if let State::Free { next } = entry.state {
            self.free = next;
        }
        entry.state = State::Used(make(key));
        self.len += 1;
        Ok(key)
    }

    /// Takes a fresh slot into the (empty) free list.
    fn claim(&mut self) -> Result<u32, Full> {
        match self.slots.claim(Slot::EMPTY) {
            Ok(slot) => Ok(slot as u32),
            Err(_) => Err(Full { what: self.what }),
        }
    }

    /// The value of `key`, if it is still here.
    pub fn get(&self, key: Key) -> Option<&T> {
        self.entry(key)?.value()
    }

    /// The value of `key`, if it is still here.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.slots.used_mut().get_mut(key.slot as usize)?;
        if entry.generation == key.generation { entry.value_mut() } else { None }
    }

    /// The value in slot number `slot`, with its key: from what an [`Index`](super::Index) found to what is there.
    pub fn at(&self, slot: u32) -> Option<(Key, &T)> {
        let entry = self.slots.used().get(slot as usize)?;
        Some((Key { slot, generation: entry.generation }, entry.value()?))
    }

    /// The value in slot number `slot`, whatever its generation.
    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.used_mut().get_mut(slot as usize)?.value_mut()
    }

    /// Takes the value of `key` out; the key is stale from here on.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.slots.used_mut().get_mut(key.slot as usize)?;
        if entry.generation != key.generation || entry.value().is_none() {
            return None;
        }
        entry.generation = entry.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        match core::mem::replace(&mut entry.state, State::Free { next: self.free }) {
            State::Used(value) => {
                self.free = key.slot;
                self.len -= 1;
                Some(value)
            }
            State::Free { .. } => None,
        }
    }

    fn entry(&self, key: Key) -> Option<&Slot<T>> {
        self.slots.used().get(key.slot as usize).filter(|entry| entry.generation == key.generation)
    }

    /// The values with their keys, in the order of their slots. Walks every slot that was ever used.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.slots.used().iter().zip(0..).filter_map(|(entry, slot)| {
            let key = Key { slot, generation: entry.generation };
            entry.value().map(|value| (key, value))
        })
    }

    /// How many values are stored.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing is stored.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The most values that can be stored.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// The most values that were ever stored at a time.
    pub fn high_water(&self) -> usize {
        // A fresh slot is taken only when every used one holds a value.
        self.slots.used().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::vec::Vec;

    #[test]
    fn sizes_are_as_documented() {
        assert_eq!(size_of::<Key>(), 8);
        assert_eq!(size_of::<Option<Key>>(), 8);
        assert_eq!(size_of::<Slot<[u32; 4]>>(), 8 + 16);
    }

    #[test]
    fn key_survives_the_trip_through_a_number() {
        let key = Key::new(7, u32::MAX).unwrap();
        assert_eq!(Key::from_u64(key.to_u64()), Some(key));
        assert_eq!((key.slot(), key.generation()), (7, u32::MAX));
        assert_eq!(Key::from_u64(7), None);
    }

    #[test]
    fn stale_key_finds_nothing() {
        let mut memory = [const { Slot::EMPTY }; 2];
        let mut slab = Slab::new(Slots::lent(&mut memory), "things");
        let old = slab.insert('a').unwrap();
        assert_eq!(slab.remove(old), Some('a'));
        assert_eq!(slab.get(old), None);
        let new = slab.insert('b').unwrap();
        assert_eq!(new.slot(), old.slot());
        assert_ne!(new, old);
        assert_eq!(slab.get(old), None);
        assert_eq!(slab.get_mut(old), None);
        assert_eq!(slab.remove(old), None);
        assert_eq!(slab.at(new.slot()), Some((new, &'b')));
    }

    #[test]
    fn key_of_a_free_slot_finds_nothing() {
        let mut memory = [const { Slot::EMPTY }; 2];
        let mut slab = Slab::new(Slots::lent(&mut memory), "things");
        let key = slab.insert(1).unwrap();
        slab.remove(key);
        let forged = Key::new(key.slot(), key.generation() + 1).unwrap();
        assert_eq!(slab.get(forged), None);
        assert_eq!(slab.remove(forged), None);
        assert_eq!(slab.at(0), None);
        assert_eq!(slab.get(Key::new(1, 1).unwrap()), None, "a slot that was never used");
        assert_eq!(slab.get(Key::new(NIL, 1).unwrap()), None);
    }

    #[test]
    fn generation_wraps_past_zero() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slab = Slab::new(Slots::lent(&mut memory), "things");
        let key = slab.insert(0).unwrap();
        slab.remove(key);
        slab.slots.used_mut()[0].generation = NonZeroU32::MAX;
        let last = slab.insert(1).unwrap();
        assert_eq!(last.generation(), u32::MAX);
        slab.remove(last);
        assert_eq!(slab.insert(2).unwrap().generation(), 1);
    }

    #[test]
    fn full_slab_says_so_and_recovers() {
        let mut memory = [const { Slot::EMPTY }; 2];
        let mut slab = Slab::new(Slots::lent(&mut memory), "calls");
        let first = slab.insert(1).unwrap();
        slab.insert(2).unwrap();
        assert!(slab.is_full());
        assert_eq!(slab.insert_with(|_| unreachable!("full")), Err(Full { what: "calls" }));
        slab.remove(first);
        assert!(slab.insert(3).is_ok());
        let mut none = Slab::new(Slots::lent(&mut []), "calls");
        assert_eq!(none.insert(1), Err(Full { what: "calls" }));
    }

    #[test]
    fn freed_slots_come_back_last_in_first_out_before_fresh_ones() {
        let mut memory = [const { Slot::EMPTY }; 8];
        let mut slab = Slab::new(Slots::lent(&mut memory), "things");
        let keys: Vec<_> = (0..4).map(|n| slab.insert(n).unwrap()).collect();
        assert!(keys.iter().map(|k| k.slot()).eq(0..4));
        for n in [0, 3, 1] {
            slab.remove(keys[n]);
        }
        let again: Vec<_> = (0..4).map(|n| slab.insert(n).unwrap().slot()).collect();
        assert_eq!(again, [1, 3, 0, 4]);
        assert_eq!(slab.high_water(), 5);
    }

    #[test]
    fn insert_with_tells_the_key_in_advance() {
        let mut memory = [const { Slot::EMPTY }; 1];
        let mut slab = Slab::new(Slots::lent(&mut memory), "things");
        let key = slab.insert_with(|key| key.to_u64()).unwrap();
        assert_eq!(slab.get(key), Some(&key.to_u64()));
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn reserved_slab_does_not_reallocate() {
        let mut slab = Slab::new(Slots::reserved(5_000), "things");
        let first = slab.insert(0).unwrap();
        let place: *const i32 = slab.get(first).unwrap();
        while slab.insert(1).is_ok() {}
        assert_eq!(slab.len(), 5_000);
        assert!(core::ptr::eq(slab.get(first).unwrap(), place));
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16),
        Remove(usize),
        Change(usize, u16),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            3 => any::<u16>().prop_map(Op::Insert),
            2 => any::<usize>().prop_map(Op::Remove),
            1 => (any::<usize>(), any::<u16>()).prop_map(|(n, v)| Op::Change(n, v)),
        ];
        proptest::collection::vec(op, 0..300)
    }

    /// Every key ever given out is tried against the model, so stale ones are, too.
    fn agrees_with_a_map(mut slab: Slab<'_, u16>, ops: Vec<Op>) {
        let mut model = HashMap::new();
        let mut keys = Vec::new();
        let mut most = 0;
        for op in ops {
            match op {
                Op::Insert(value) => match slab.insert(value) {
                    Ok(key) => {
                        assert_eq!(model.insert(key, value), None, "a key is given out once");
                        keys.push(key);
                    }
                    Err(_) => assert_eq!(model.len(), slab.capacity()),
                },
                Op::Remove(n) if !keys.is_empty() => {
                    let key = keys[n % keys.len()];
                    assert_eq!(slab.remove(key), model.remove(&key));
                }
                Op::Change(n, value) if !keys.is_empty() => {
                    let key = keys[n % keys.len()];
                    match (slab.get_mut(key), model.get_mut(&key)) {
                        (Some(a), Some(b)) => (*a, *b) = (value, value),
                        (a, b) => assert_eq!(a, b),
                    }
                }
                Op::Remove(_) | Op::Change(..) => {}
            }
            most = most.max(model.len());
            assert_eq!((slab.len(), slab.is_empty()), (model.len(), model.is_empty()));
            assert_eq!(slab.high_water(), most);
            assert!(keys.iter().all(|key| slab.get(*key) == model.get(key)));
        }
        let all: HashMap<_, _> = slab.iter().map(|(key, value)| (key, *value)).collect();
        assert_eq!(all, model);
    }

    proptest! {
        #[test]
        fn lent_slab_agrees_with_a_map(ops in ops()) {
            let mut memory = [const { Slot::EMPTY }; 3];
            agrees_with_a_map(Slab::new(Slots::lent(&mut memory), "things"), ops);
        }

        #[cfg(feature = "alloc")]
        #[test]
        fn reserved_slab_agrees_with_a_map(ops in ops()) {
            agrees_with_a_map(Slab::new(Slots::reserved(10_000), "things"), ops);
        }
    }
}
