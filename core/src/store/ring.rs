//! A bounded queue, first in first out.

use super::slots::Slots;

/// A queue of as many values as it has slots. One that runs empty starts over at its first slot, so a queue that is
/// drained often stays in the same few cache lines.
#[derive(Debug)]
pub struct Ring<'a, T> {
    slots: Slots<'a, Option<T>>,
    head: usize,
    len: usize,
}

impl<'a, T> Ring<'a, T> {
    /// An empty queue in `slots`.
    pub fn new(slots: Slots<'a, Option<T>>) -> Self {
        Self { slots: slots.taken(), head: 0, len: 0 }
    }

    /// Puts `value` at the end; gives it back when the queue is full.
    pub fn push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        let to_wrap = self.capacity() - self.head;
        let at = if self.len < to_wrap { self.head + self.len } else { self.len - to_wrap };
        match self.slots.used_mut().get_mut(at) {
            Some(slot) => *slot = Some(value),
            // The end moves by one slot at a time, so an unused slot is the next unused one.
            None => {
                if let Err(Some(value)) = self.slots.claim(Some(value)) {
                    return Err(value);
                }
            }
        }
        self.len += 1;
        Ok(())
    }

    /// Takes the value that has waited longest.
    pub fn pop(&mut self) -> Option<T> {
        let value = self.slots.used_mut().get_mut(self.head)?.take()?;
        self.len -= 1;
        self.head += 1;
        if self.len == 0 || self.head == self.capacity() {
            self.head = 0;
        }
        Some(value)
    }

    /// The value that has waited longest.
    pub fn peek(&self) -> Option<&T> {
        self.slots.used().get(self.head)?.as_ref()
    }

    /// How many values wait.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.len == self.capacity()
    }

    /// The most values that can wait.
    pub fn capacity(&self) -> usize {
        self.slots.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    fn agrees_with_a_deque(mut ring: Ring<'_, u32>, ops: Vec<Option<u32>>) {
        let mut model = VecDeque::new();
        for op in ops {
            match op {
                Some(value) if model.len() == ring.capacity() => {
                    assert!(ring.is_full());
                    assert_eq!(ring.push(value), Err(value));
                }
                Some(value) => {
                    assert_eq!(ring.push(value), Ok(()));
                    model.push_back(value);
                }
                None => assert_eq!(ring.pop(), model.pop_front()),
            }
            assert_eq!((ring.len(), ring.is_empty()), (model.len(), model.is_empty()));
            assert_eq!(ring.peek(), model.front());
        }
        assert!(core::iter::from_fn(|| ring.pop()).eq(model));
    }

    fn ops() -> impl Strategy<Value = Vec<Option<u32>>> {
        proptest::collection::vec(proptest::option::weighted(0.6, any::<u32>()), 0..400)
    }

    #[test]
    fn ring_without_slots_is_empty_and_full() {
        let mut ring = Ring::new(Slots::lent(&mut []));
        assert_eq!(ring.push(1), Err(1));
        assert_eq!(ring.pop(), None);
        assert!(ring.is_empty() && ring.is_full());
    }

    #[test]
    fn drained_ring_stays_in_its_first_slots() {
        let mut memory = [None; 64];
        let mut ring = Ring::new(Slots::lent(&mut memory));
        for n in 0..200 {
            ring.push(n).unwrap();
            ring.push(n).unwrap();
            assert_eq!((ring.pop(), ring.pop(), ring.pop()), (Some(n), Some(n), None));
        }
        assert_eq!(ring.slots.used().len(), 2);
    }

    proptest! {
        #[test]
        fn lent_ring_agrees_with_a_deque(capacity in 0..5usize, ops in ops()) {
            let mut memory = [Some(7); 5];
            agrees_with_a_deque(Ring::new(Slots::lent(&mut memory[..capacity])), ops);
        }

        #[cfg(feature = "alloc")]
        #[test]
        fn reserved_ring_agrees_with_a_deque(ops in ops()) {
            agrees_with_a_deque(Ring::new(Slots::reserved(40)), ops.clone());
            agrees_with_a_deque(Ring::new(Slots::reserved(100_000)), ops);
        }
    }
}
