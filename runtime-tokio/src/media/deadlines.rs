//! Deadlines by key, for things that change theirs now and then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use trunkline_core::Instant;

/// A heap of deadlines. An owner that moves its deadline adds the new one and recognises the old one by its time.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
}

impl<K: Ord> Deadlines<K> {
    pub(super) const fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(super) fn add(&mut self, at: Instant, key: K) {
        self.heap.push(Reverse((at, key)));
    }

    /// Notes that `key` now waits for `wanted`; `armed` is what it waited for.
    pub(super) fn rearm(&mut self, armed: &mut Option<Instant>, wanted: Option<Instant>, key: impl FnOnce() -> K) {
        if *armed != wanted {
            *armed = wanted;
            if let Some(at) = wanted {
                self.add(at, key());
            }
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next key whose time has come, with that time.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_deadline_comes_at_both_times_and_is_told_apart() {
        let (early, late) = (Instant::from_millis(10), Instant::from_millis(20));
        let mut deadlines = Deadlines::new();
        let mut armed = None;
        deadlines.rearm(&mut armed, Some(early), || 'a');
        deadlines.rearm(&mut armed, Some(early), || unreachable!("nothing changed"));
        deadlines.rearm(&mut armed, Some(late), || 'a');
        assert_eq!(deadlines.pop_due(Instant::from_millis(9)), None);
        assert_eq!(deadlines.pop_due(early), Some((early, 'a')));
        assert_eq!(deadlines.next(), armed);
        assert_eq!(deadlines.pop_due(late), Some((late, 'a')));
        assert_eq!(deadlines.pop_due(late), None);
    }
}
