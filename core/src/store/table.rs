//! Machines behind keys, with their timers: the one door to a machine.

use super::slab::{self, Key, Slab};
use super::slots::Slots;
use super::wheel::{self, Link, Links, Wheel};
use crate::error::Full;
use crate::machine::Timed;
use crate::time::Instant;

/// A machine and its place in the timer wheel.
#[derive(Debug)]
pub struct Node<M> {
    link: Link,
    machine: M,
}

/// One entry of a table: 24 bytes and the machine. Fill lent memory with
/// `[const { Slot::EMPTY }; N]`.
pub type Slot<M> = slab::Slot<Node<M>>;

/// What came of running a machine.
#[derive(Debug)]
#[must_use = "a machine that is done takes its buffers with it"]
pub struct Ran<R, M> {
    /// What the caller's function returned.
    pub value: R,
    /// The machine, if it is done: it has left the table, and its key is stale.
    pub freed: Option<M>,
}

/// Machines behind [`Key`]s. They can only be reached through [`run`](Self::run), which then reads the machine's
/// deadline and frees the machine if it is done: no timer is ever forgotten, and nothing that is done stays.
///
/// Timers are kept in ticks of 1 ms. A deadline within a tick counts as its end: it is never early and less than 1 ms late.
///
/// ```
/// use core::time::Duration;
/// use trunkline_core::store::{Slots, Table, table::Slot};
/// use trunkline_core::{Instant, Timed};
///
/// struct Fuse(Option<Instant>);
/// impl Timed for Fuse {
///     fn next_deadline(&self) -> Option<Instant> {
///         self.0
///     }
///     fn is_done(&self) -> bool {
///         self.0.is_none()
///     }
/// }
///
/// let mut memory = [const { Slot::EMPTY }; 4];
/// let mut fuses = Table::new(Slots::lent(&mut memory), "fuses");
/// let start = Instant::from_millis(1_000);
/// let key = fuses.insert(Fuse(Some(start + Duration::from_millis(20)))).unwrap();
/// let mut now = start;
/// while let Some(wake) = fuses.next_deadline() {
///     now = wake; // a runtime sleeps until then
///     while let Some(expired) = fuses.expire(now) {
///         assert_eq!(expired, key);
///         let ran = fuses.run(expired, |fuse| fuse.0 = None);
///         assert!(ran.is_some_and(|ran| ran.freed.is_some()));
///     }
/// }
/// assert_eq!(now, Instant::from_millis(1_020));
/// assert!(fuses.is_empty());
/// ```
#[derive(Debug)]
pub struct Table<'a, M> {
    slab: Slab<'a, Node<M>>,
    wheel: Wheel,
    /// What `expire` gave out last, and its time.
    expired: Option<(Key, Instant)>,
}

impl<M> Links for Slab<'_, Node<M>> {
    fn link(&self, slot: u32) -> Option<Link> {
        self.at(slot).map(|(_, node)| node.link)
    }

    fn link_mut(&mut self, slot: u32) -> Option<&mut Link> {
        self.at_mut(slot).map(|node| &mut node.link)
    }
}

impl<'a, M: Timed> Table<'a, M> {
    /// An empty table in `slots`; `what` is what it holds, in an operator's words, for [`Full`].
    pub fn new(slots: Slots<'a, Slot<M>>, what: &'static str) -> Self {
        Self { slab: Slab::new(slots, what), wheel: Wheel::new(), expired: None }
    }

    /// Stores `machine` and links its deadline. When the table is full the machine is dropped: where it owns a
    /// [`Buf`](super::Buf), ask [`is_full`](Self::is_full) first, or use [`insert_with`](Self::insert_with).
    pub fn insert(&mut self, machine: M) -> Result<Key, Full> {
        self.insert_with(|_| machine)
    }

    /// Stores the machine that `make` returns for the key under which it will be found. `make` is not called when the
    /// table is full.
    pub fn insert_with(&mut self, make: impl FnOnce(Key) -> M) -> Result<Key, Full> {
        let key = self.slab.insert_with(|key| Node { link: Link::NONE, machine: make(key) })?;
        let deadline = self.get(key).and_then(M::next_deadline);
        if let Some(deadline) = deadline {
            self.wheel.link(&mut self.slab, key.slot(), wheel::tick_of(deadline));
        }
        Ok(key)
    }

    /// Runs the machine of `key`, if it is still here, then links its new deadline, or frees it if it is done.
    ///
    /// The run after [`expire`](Self::expire) has to deliver the timeout: it is a bug, and asserted in debug builds, if the
    /// deadline has not moved past the time of the expiry after it.
    pub fn run<R>(&mut self, key: Key, f: impl FnOnce(&mut M) -> R) -> Option<Ran<R, M>> {
        let node = self.slab.get_mut(key)?;
        let value = f(&mut node.machine);
        let expired = self.expired.take_if(|(expired, _)| *expired == key).map(|(_, now)| now);
        if node.machine.is_done() {
            return Some(Ran { value, freed: self.remove(key) });
        }
        let deadline = node.machine.next_deadline();
        debug_assert!(
            expired.is_none() || deadline.is_none() || deadline > expired,
            "the deadline has not moved after its timeout"
        );
        let link = node.link;
        // After an expiry it is linked anew in any case, so that a machine that breaks the rule does not starve others.
        let same = link.is_linked() && deadline.map(wheel::tick_of) == Some(link.tick());
        if expired.is_some() || !same {
            self.wheel.unlink(&mut self.slab, key.slot());
            if let Some(deadline) = deadline {
                self.wheel.link(&mut self.slab, key.slot(), wheel::tick_of(deadline));
            }
        }
        Some(Ran { value, freed: None })
    }

    /// The machine with the earliest deadline, if that has passed at `now`: the caller [`run`](Self::run)s it with its
    /// timeout event and asks again, as often as its bound allows. Those of one tick come in the order in which they
    /// were linked. A machine that is not run comes again.
    ///
    /// A call may have to sort timers that were far away when they were linked, but each only once in 64, 64², ...
    /// ticks of its wait.
    pub fn expire(&mut self, now: Instant) -> Option<Key> {
        let slot = self.wheel.due(&mut self.slab, wheel::tick_at(now))?;
        let (key, _) = self.slab.at(slot)?;
        self.expired = Some((key, now));
        Some(key)
    }

    /// When to call [`expire`](Self::expire) next: the end of the tick of the earliest deadline if that lies within 64 ms or
    /// so, else an earlier instant, at which timers are sorted and this gets more exact.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.wheel.next_tick().map(wheel::start_of)
    }

    /// Takes the machine of `key` out, whatever its state; the key is stale from here on.
    pub fn remove(&mut self, key: Key) -> Option<M> {
        self.slab.get(key)?;
        self.wheel.unlink(&mut self.slab, key.slot());
        self.slab.remove(key).map(|node| node.machine)
    }

    /// The machine of `key`, if it is still here.
    pub fn get(&self, key: Key) -> Option<&M> {
        self.slab.get(key).map(|node| &node.machine)
    }

    /// The machine in slot number `slot`, with its key: from what an [`Index`](super::Index) found to what is there.
    pub fn at(&self, slot: u32) -> Option<(Key, &M)> {
        self.slab.at(slot).map(|(key, node)| (key, &node.machine))
    }

    /// The machines with their keys, in the order of their slots. Walks every slot that was ever used.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &M)> {
        self.slab.iter().map(|(key, node)| (key, &node.machine))
    }

    /// How many machines are stored.
    pub const fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether none is stored.
    pub const fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Whether there is no room for one more.
    pub fn is_full(&self) -> bool {
        self.slab.is_full()
    }

    /// The most machines that can be stored.
    pub fn capacity(&self) -> usize {
        self.slab.capacity()
    }

    /// The most machines that were ever stored at a time.
    pub fn high_water(&self) -> usize {
        self.slab.high_water()
    }
}

#[cfg(test)]
mod tests;
