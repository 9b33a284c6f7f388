//! The timers of a table: a hierarchical timing wheel whose lists run through the entries of the table.
//!
//! Time is cut into ticks of 1 ms. Six levels of 64 buckets hold what lies within the current 2³⁶ ms (two years) of the
//! runtime's axis, one more bucket whatever lies beyond. A timer sits on the level of the highest group of 6 bits in
//! which its tick differs from now. Hence nothing on a level comes before anything on the level below, buckets never
//! wrap around, and the next tick is a matter of the lowest bit of the first bitmap that is not zero.
//!
//! Linking and unlinking take constant time. A timer moves down at most once a level before it fires, with the rest
//! of its bucket.

use core::num::NonZeroU64;

use super::slab::NIL;
use crate::time::Instant;

/// Length of a tick, in microseconds.
const TICK_US: u64 = 1_000;
const LEVELS: usize = 6;
const BITS: u32 = 6;
const BUCKETS: usize = 1 << BITS;
/// Bits of a tick that the levels cover.
const SPAN: u32 = BITS * LEVELS as u32;
/// The bucket of all that lies beyond the span.
const FAR: usize = LEVELS * BUCKETS;

/// What a table's entry holds for its timer: 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    prev: u32,
    next: u32,
    /// Tick in the upper 55 bits; in the lower 9 one more than the bucket, or all ones if it is not linked. Never zero,
    /// which leaves the slab a value to mark free entries with.
    place: NonZeroU64,
}

const PLACE_BITS: u32 = 9;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
const UNLINKED: NonZeroU64 = NonZeroU64::new(PLACE_MASK).unwrap();

impl Link {
    pub(crate) const NONE: Self = Self { prev: NIL, next: NIL, place: UNLINKED };

    pub(crate) const fn is_linked(self) -> bool {
        self.place.get() & PLACE_MASK != PLACE_MASK
    }

    /// The tick it is linked at.
    pub(crate) const fn tick(self) -> u64 {
        self.place.get() >> PLACE_BITS
    }

    const fn bucket(self) -> usize {
        (self.place.get() & PLACE_MASK) as usize - 1
    }
}

/// Where the links live. A slot that the wheel was given stays reachable until it is unlinked.
pub(crate) trait Links {
    fn link(&self, slot: u32) -> Option<Link>;
    fn link_mut(&mut self, slot: u32) -> Option<&mut Link>;
}

/// The first tick at which `deadline` has passed.
pub(crate) const fn tick_of(deadline: Instant) -> u64 {
    deadline.as_micros().div_ceil(TICK_US)
}

/// The tick that lasts at `now`.
pub(crate) const fn tick_at(now: Instant) -> u64 {
    now.as_micros() / TICK_US
}

/// The instant at which `tick` begins.
pub(crate) const fn start_of(tick: u64) -> Instant {
    Instant::from_micros(tick.saturating_mul(TICK_US))
}

/// Heads of the lists; 1.6 KiB.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// No tick before this one is linked.
    now: u64,
    occupied: [u64; LEVELS],
    /// First slot of each circular list; its `prev` is the last.
    heads: [u32; FAR + 1],
}

/// A bucket that is not empty, and the tick at which it opens.
struct Bucket {
    number: usize,
    opens: u64,
}

impl Wheel {
    pub(crate) const fn new() -> Self {
        Self { now: 0, occupied: [0; LEVELS], heads: [NIL; FAR + 1] }
    }

    /// Links `slot`, which is not linked, to fire at `tick`; at the current one if that is past.
    pub(crate) fn link(&mut self, links: &mut impl Links, slot: u32, tick: u64) {
        let tick = tick.max(self.now);
        let number = self.bucket_of(tick);
        let place = NonZeroU64::MIN.saturating_add(tick << PLACE_BITS | number as u64);
        let head = self.heads[number];
        let last = if head == NIL {
            self.heads[number] = slot;
            if number < FAR {
                self.occupied[number / BUCKETS] |= 1 << (number % BUCKETS);
            }
            slot
        } else {
            links.link_mut(head).map_or(slot, |head| core::mem::replace(&mut head.prev, slot))
        };
        let next = if head == NIL { slot } else { head };
        if let Some(link) = links.link_mut(slot) {
            *link = Link { prev: last, next, place };
        }
        if head != NIL
            && let Some(last) = links.link_mut(last)
        {
            last.next = slot;
        }
    }

    /// Takes `slot` out of its list, if it is in one.
    pub(crate) fn unlink(&mut self, links: &mut impl Links, slot: u32) {
        let Some(link) = links.link_mut(slot).filter(|link| link.is_linked()) else { return };
        let Link { prev, next, .. } = *link;
        let number = link.bucket();
        *link = Link::NONE;
        if next == slot {
            self.empty(number);
            return;
        }
        if let Some(prev) = links.link_mut(prev) {
            prev.next = next;
        }
        if let Some(next) = links.link_mut(next) {
            next.prev = prev;
        }
        if self.heads[number] == slot {
            self.heads[number] = next;
        }
    }

    /// The slot that fires next, if its tick is not after `now`. It stays linked. Slots of one tick come in the order in
    /// which they were linked.
    pub(crate) fn due(&mut self, links: &mut impl Links, now: u64) -> Option<u32> {
        while let Some(bucket) = self.first().filter(|bucket| bucket.opens <= now) {
            if bucket.number == FAR {
                if !self.enter_span(links, now) {
                    break;
                }
                continue;
            }
            self.now = self.now.max(bucket.opens);
            if bucket.number < BUCKETS {
                return Some(self.heads[bucket.number]);
            }
            self.spread(links, bucket.number);
        }
        // No bucket opens up to `now`, so every timer keeps its level.
        self.now = self.now.max(now);
        None
    }

    /// A tick that is not after the next one to fire: that tick itself if it is on the lowest level, else the one at which
    /// its bucket is spread over the level below.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        self.first().map(|bucket| bucket.opens)
    }

    fn bucket_of(&self, tick: u64) -> usize {
        let differs = (tick ^ self.now) | 1;
        let level = differs.ilog2() / BITS;
        if level >= LEVELS as u32 {
            return FAR;
        }
        let digit = (tick >> (BITS * level)) as usize % BUCKETS;
        level as usize * BUCKETS + digit
    }

    /// The first bucket that is not empty.
    fn first(&self) -> Option<Bucket> {
        for (level, occupied) in self.occupied.iter().enumerate() {
            if *occupied != 0 {
                let digit = occupied.trailing_zeros();
                let shift = BITS * level as u32;
                let opens = (self.now >> (shift + BITS) << BITS | u64::from(digit)) << shift;
                return Some(Bucket { number: level * BUCKETS + digit as usize, opens });
            }
        }
        let opens = ((self.now >> SPAN) + 1) << SPAN;
        (self.heads[FAR] != NIL).then_some(Bucket { number: FAR, opens })
    }

    /// Moves on to the span of the earliest far timer, if that has begun at `now`, and links its timers on the levels.
    fn enter_span(&mut self, links: &mut impl Links, now: u64) -> bool {
        let head = self.heads[FAR];
        let (mut slot, mut earliest) = (head, u64::MAX);
        while let Some(link) = links.link(slot) {
            earliest = earliest.min(link.tick());
            slot = link.next;
            if slot == head {
                break;
            }
        }
        let opens = earliest >> SPAN << SPAN;
        if opens > now {
            return false;
        }
        self.now = self.now.max(opens);
        self.spread(links, FAR);
        true
    }

    /// Links the slots of a bucket anew, in their order.
    fn spread(&mut self, links: &mut impl Links, number: usize) {
        let head = self.heads[number];
        self.empty(number);
        let mut slot = head;
        while let Some(link) = links.link(slot) {
            self.link(links, slot, link.tick());
            slot = link.next;
            if slot == head {
                break;
            }
        }
    }

    fn empty(&mut self, number: usize) {
        self.heads[number] = NIL;
        if number < FAR {
            self.occupied[number / BUCKETS] &= !(1 << (number % BUCKETS));
        }
    }
}

#[cfg(test)]
mod tests;
