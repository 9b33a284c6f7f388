//! Replies kept for control messages that come again (a control peer repeats what is not answered in time).

use core::time::Duration;

use crate::store::{Buf, BufPool, HashKey, Index, Slots, index::Bucket};
use crate::time::Instant;

/// A reply that was sent.
#[derive(Debug, Default)]
pub struct Repeat {
    hash: u64,
    until: Option<Instant>,
    reply: Option<Buf>,
}

impl Clone for Repeat {
    /// An empty one: replies cannot be copied. Only empty ones are ever asked for.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Where replies are kept.
pub struct Memory<'m> {
    /// One for each reply.
    pub repeats: Slots<'m, Repeat>,
    /// Their index, see [`Index::buckets_for`].
    pub index: Slots<'m, Bucket>,
    /// The replies.
    pub replies: BufPool<'m>,
}

/// The latest replies. A message is known again by all of its bytes, so that two control peers that happen to use one
/// cookie do not get each other's replies.
pub(super) struct Repeats<'m> {
    /// A ring: the next one to be overwritten is the oldest.
    ring: Slots<'m, Repeat>,
    next: usize,
    index: Index<'m>,
    replies: BufPool<'m>,
    hash: HashKey,
    window: Duration,
}

impl<'m> Repeats<'m> {
    pub(super) fn new(memory: Memory<'m>, hash: HashKey, window: Duration) -> Self {
        let mut ring = memory.repeats;
        let capacity = ring.capacity();
        ring.fill(capacity);
        let index = Index::new(memory.index, "replies");
        Self { ring, next: 0, index, replies: memory.replies, hash, window }
    }

    /// The reply to a message that came before, if it is still kept.
    pub(super) fn find(&self, message: &[u8], now: Instant) -> Option<&[u8]> {
        let hash = self.hash.hash(&[message]);
        let ring = self.ring.used();
        let slot = self.index.find(hash, |slot| ring.get(slot as usize).is_some_and(|kept| kept.hash == hash))?;
        let kept = ring.get(slot as usize)?;
        kept.until.filter(|until| now < *until)?;
        Some(self.replies.bytes(kept.reply.as_ref()?))
    }

    /// Keeps the reply to `message`. Without room the oldest ones go; a reply for which there is no block at all is not kept.
    pub(super) fn keep(&mut self, message: &[u8], reply: &[u8], now: Instant) {
        let capacity = self.ring.used().len();
        for _ in 0..capacity {
            self.drop_oldest();
            if let Ok(copy) = self.replies.alloc_copy(reply) {
                self.put(self.hash.hash(&[message]), copy, now + self.window);
                return;
            }
            self.next = (self.next + 1) % capacity;
        }
    }

    fn put(&mut self, hash: u64, reply: Buf, until: Instant) {
        let at = self.next;
        let Some(place) = self.ring.used_mut().get_mut(at) else {
            self.replies.free(reply);
            return;
        };
        if self.index.insert(hash, at as u32).is_err() {
            self.replies.free(reply);
            return;
        }
        *place = Repeat { hash, until: Some(until), reply: Some(reply) };
        self.next = (at + 1) % self.ring.used().len();
    }

    /// Frees the place that is written next.
    fn drop_oldest(&mut self) {
        let at = self.next;
        let Some(old) = self.ring.used_mut().get_mut(at).map(core::mem::take) else { return };
        if let Some(reply) = old.reply {
            self.index.remove(old.hash, at as u32);
            self.replies.free(reply);
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use std::format;

    const WINDOW: Duration = Duration::from_secs(10);

    fn repeats(entries: usize, blocks: usize) -> Repeats<'static> {
        let mut replies = BufPool::new("replies");
        replies.add_class(16, Slots::reserved(blocks * 16)).unwrap();
        let index = Slots::reserved(Index::buckets_for(entries));
        let memory = Memory { repeats: Slots::reserved(entries), index, replies };
        Repeats::new(memory, HashKey::new([3; 16]), WINDOW)
    }

    #[test]
    fn a_reply_is_found_until_its_time_is_over() {
        let mut repeats = repeats(4, 4);
        let now = Instant::from_millis(1_000);
        repeats.keep(b"1 ask", b"1 answer", now);
        assert_eq!(repeats.find(b"1 ask", now), Some(&b"1 answer"[..]));
        assert_eq!(repeats.find(b"1 ask other", now), None, "the same cookie, another message");
        assert_eq!(repeats.find(b"1 ask", now + WINDOW), None);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut repeats = repeats(4, 3);
        let now = Instant::from_millis(1_000);
        for n in 0..100 {
            repeats.keep(format!("{n} ask").as_bytes(), format!("{n}").as_bytes(), now);
            for known in n.max(2) - 2..=n {
                let reply = format!("{known}");
                assert_eq!(repeats.find(format!("{known} ask").as_bytes(), now), Some(reply.as_bytes()), "{n}");
            }
        }
        assert!(repeats.index.len() <= 4 && repeats.replies.used() <= 3);
    }

    #[test]
    fn a_reply_too_long_to_keep_is_not_kept() {
        let mut repeats = repeats(2, 2);
        let now = Instant::from_millis(1_000);
        repeats.keep(b"1 ask", &[b'x'; 17], now);
        assert_eq!(repeats.find(b"1 ask", now), None);
        repeats.keep(b"2 ask", b"2", now);
        assert!(repeats.find(b"2 ask", now).is_some());
    }

    #[test]
    fn without_room_nothing_is_kept() {
        let mut repeats = repeats(0, 0);
        repeats.keep(b"1 ask", b"1", Instant::MIN);
        assert_eq!(repeats.find(b"1 ask", Instant::MIN), None);
    }
}
