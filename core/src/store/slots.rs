//! Where a store lives: in memory lent by the caller, or in memory reserved once at start.

#[cfg(feature = "alloc")]
use alloc::{vec, vec::Vec};

/// A row of slots of fixed capacity, the ground every store stands on.
///
/// On a microcontroller the caller lends an array, usually out of a `StaticCell`. On a server the slots are reserved at
/// start and come into use one by one: the row never reallocates, and memory that was never used stays untouched, so
/// the resident size follows use.
///
/// ```
/// use trunkline_core::store::{Ring, Slots};
///
/// let mut memory = [const { None }; 8];
/// let mut ring = Ring::new(Slots::lent(&mut memory));
/// assert_eq!(ring.push("first"), Ok(()));
/// assert_eq!(ring.capacity(), 8);
/// ```
#[derive(Debug)]
pub struct Slots<'a, T>(Row<'a, T>);

#[derive(Debug)]
enum Row<'a, T> {
    Lent {
        slots: &'a mut [T],
        used: usize,
    },
    Vec(&'a mut heapless::vec::VecView<T>),
    #[cfg(feature = "alloc")]
    Reserved {
        slots: Vec<T>,
        capacity: usize,
    },
}

/// Slots are numbered in 32 bits, and the highest number stands for "none".
const CAPACITY_MAX: usize = u32::MAX as usize;

impl<'a, T> Slots<'a, T> {
    /// Slots in memory lent by the caller. What is in it does not matter: it is overwritten before it is read.
    /// Slots beyond the first 2³²-1 stay unused.
    pub fn lent(slots: &'a mut [T]) -> Self {
        let capacity = slots.len().min(CAPACITY_MAX);
        Self(Row::Lent { slots: &mut slots[..capacity], used: 0 })
    }

    /// Slots in a vector of fixed capacity lent by the caller. What it holds is dropped. An empty one in a `static` is all
    /// zero bits, which take no room in the image of a program.
    pub(crate) fn vec(slots: &'a mut heapless::vec::VecView<T>) -> Self {
        slots.clear();
        Self(Row::Vec(slots))
    }

    /// `capacity` slots (at most 2³²-1) on the heap, taken when a store is made of them.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn reserved(capacity: usize) -> Self {
        let capacity = capacity.min(CAPACITY_MAX);
        Self(Row::Reserved { slots: Vec::new(), capacity })
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Row::Lent { slots, .. } => slots.len(),
            Row::Vec(slots) => slots.capacity().min(CAPACITY_MAX),
            #[cfg(feature = "alloc")]
            Row::Reserved { capacity, .. } => *capacity,
        }
    }

    /// The slots that have come into use.
    pub(crate) fn used(&self) -> &[T] {
        match &self.0 {
            Row::Lent { slots, used } => &slots[..*used],
            Row::Vec(slots) => slots,
            #[cfg(feature = "alloc")]
            Row::Reserved { slots, .. } => slots,
        }
    }

    /// The slots that have come into use.
    pub(crate) fn used_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Row::Lent { slots, used } => &mut slots[..*used],
            Row::Vec(slots) => slots,
            #[cfg(feature = "alloc")]
            Row::Reserved { slots, .. } => slots,
        }
    }

    /// Takes the memory of reserved slots, so that none is taken later. Whoever fills them instead
    /// ([`Slots::fill`]) must not ask for this: memory that was taken once is not known to be zero any more.
    pub(crate) fn taken(self) -> Self {
        match self.0 {
            #[cfg(feature = "alloc")]
            Row::Reserved { mut slots, capacity } => {
                slots.reserve_exact(capacity);
                Self(Row::Reserved { slots, capacity })
            }
            row => Self(row),
        }
    }

    /// Brings the next slot into use, holding `value`, and returns its number; gives `value` back if none is left.
    pub(crate) fn claim(&mut self, value: T) -> Result<usize, T> {
        match &mut self.0 {
            Row::Lent { slots, used } => match slots.get_mut(*used) {
                Some(slot) => {
                    *slot = value;
                    *used += 1;
                    Ok(*used - 1)
                }
                None => Err(value),
            },
            Row::Vec(slots) => slots.push(value).map(|()| slots.len() - 1),
            #[cfg(feature = "alloc")]
            Row::Reserved { slots, capacity } => {
                if slots.len() >= *capacity {
                    return Err(value);
                }
                slots.push(value);
                Ok(slots.len() - 1)
            }
        }
    }

    /// Brings every slot into use, holding the default value, and keeps the first `capacity` of them. Reserved slots
    /// whose default is all zero bits are left to the operating system to zero when they are first touched.
    pub(crate) fn fill(&mut self, capacity: usize)
    where
        T: Clone + Default,
    {
        let n = capacity.min(self.capacity());
        match &mut self.0 {
            Row::Lent { slots, used } => {
                slots[..n].fill(T::default());
                *used = n;
            }
            Row::Vec(slots) => {
                slots.clear();
                // It holds as many as its capacity.
                let _ = slots.resize(n, T::default());
            }
            #[cfg(feature = "alloc")]
            Row::Reserved { slots, capacity } => {
                *slots = vec![T::default(); n];
                *capacity = n;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fills_to_capacity_and_no_further(mut slots: Slots<'_, u32>, capacity: usize) {
        assert_eq!(slots.capacity(), capacity);
        assert!(slots.used().is_empty());
        for i in 0..capacity {
            assert_eq!(slots.claim(i as u32 + 10), Ok(i));
            assert_eq!(slots.used_mut().len(), i + 1);
        }
        assert_eq!(slots.claim(99), Err(99));
        assert_eq!(slots.capacity(), capacity);
        assert!(slots.used().iter().copied().eq((0..capacity as u32).map(|i| i + 10)));
    }

    #[test]
    fn lent_slots_fill_to_capacity() {
        fills_to_capacity_and_no_further(Slots::lent(&mut [7; 5]), 5);
        fills_to_capacity_and_no_further(Slots::lent(&mut []), 0);
    }

    #[test]
    fn fill_overwrites_what_was_lent() {
        let mut memory = [7u64; 4];
        let mut slots = Slots::lent(&mut memory);
        slots.fill(3);
        assert_eq!(slots.used(), [0, 0, 0]);
    }

    #[test]
    fn slots_in_a_vector_fill_to_capacity() {
        let mut memory = heapless::Vec::<_, 5>::from_slice(&[7; 3]).unwrap();
        fills_to_capacity_and_no_further(Slots::vec(&mut memory), 5);
        let mut slots = Slots::vec(&mut memory);
        slots.fill(3);
        assert_eq!(slots.used(), [0, 0, 0]);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn reserved_slots_fill_to_capacity() {
        fills_to_capacity_and_no_further(Slots::reserved(1000), 1000);
        fills_to_capacity_and_no_further(Slots::reserved(0), 0);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn reserved_slots_do_not_move() {
        let mut slots = Slots::reserved(10_000).taken();
        slots.claim(0u32).unwrap();
        let first = slots.used().as_ptr();
        while slots.claim(1).is_ok() {}
        assert_eq!(slots.used().as_ptr(), first);
    }
}
