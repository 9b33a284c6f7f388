//! Messages between shards: a ring for each ordered pair, and one wake a batch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::Notify;
use trunkline_core::flow::{ConnectionId, Flow};

use super::stats::Stats;

/// Buffers larger than this are not kept for reuse.
const KEPT_LEN_MAX: usize = 8_192;

/// Says which shard a message belongs to. What it gives beyond the last shard is taken as the shard that asked.
pub(crate) trait Steer: Send + Sync + 'static {
    /// The shard that handles a received message.
    fn received(&self, bytes: &[u8]) -> u8;

    /// The shard that sent a message, of which ICMP may have brought back no more than the start.
    fn undelivered(&self, bytes: &[u8]) -> u8;
}

/// What one shard has for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cargo {
    /// A message that arrived here and belongs there.
    Received(Flow),
    /// A message for a connection that the other shard owns.
    Write(Flow),
    /// A message of the other shard that did not get there.
    Undelivered(SocketAddr),
    /// A connection is gone.
    Disconnected(ConnectionId),
}

#[derive(Debug)]
struct Parcel {
    cargo: Cargo,
    bytes: Vec<u8>,
}

/// How others wake a shard, or stop it.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    pub(crate) notify: Notify,
    pub(crate) stop: AtomicBool,
}

impl Bell {
    pub(crate) fn ring_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }
}

/// Both directions between this shard and one other.
#[derive(Debug)]
struct Link {
    out: Producer<Parcel>,
    /// Emptied buffers that come back for what went out.
    spare: Consumer<Vec<u8>>,
    inward: Consumer<Parcel>,
    back: Producer<Vec<u8>>,
    bell: Arc<Bell>,
    is_dirty: bool,
}

/// This shard's end of all rings.
#[derive(Debug)]
pub(crate) struct Handover {
    links: Vec<Option<Link>>,
    /// The link to look at first, so that no shard starves another.
    turn: usize,
    stats: Arc<Stats>,
}

impl Handover {
    /// The ends of `stats.len()` shards, with rings of `capacity` messages.
    pub(crate) fn mesh(capacity: usize, stats: &[Arc<Stats>], bells: &[Arc<Bell>]) -> Vec<Self> {
        let n = stats.len();
        let mut ends: Vec<Self> = stats
            .iter()
            .map(|stats| Self { links: (0..n).map(|_| None).collect(), turn: 0, stats: Arc::clone(stats) })
            .collect();
        for a in 0..n {
            for b in a + 1..n {
                let (a_out, b_in) = RingBuffer::new(capacity);
                let (b_out, a_in) = RingBuffer::new(capacity);
                let (b_back, a_spare) = RingBuffer::new(capacity);
                let (a_back, b_spare) = RingBuffer::new(capacity);
                let link = |out, spare, inward, back, to: usize| {
                    Some(Link { out, spare, inward, back, bell: Arc::clone(&bells[to]), is_dirty: false })
                };
                ends[a].links[b] = link(a_out, a_spare, a_in, a_back, b);
                ends[b].links[a] = link(b_out, b_spare, b_in, b_back, a);
            }
        }
        ends
    }

    /// Whether there is another shard of that number.
    pub(crate) fn reaches(&self, shard: u8) -> bool {
        self.links.get(usize::from(shard)).is_some_and(Option::is_some)
    }

    /// Whether there are other shards at all.
    pub(crate) fn is_alone(&self) -> bool {
        self.links.len() < 2
    }

    /// Gives a copy to `shard`; false (and counted) if its ring is full.
    pub(crate) fn push(&mut self, shard: u8, cargo: Cargo, bytes: &[u8]) -> bool {
        let Some(Some(link)) = self.links.get_mut(usize::from(shard)) else { return false };
        if link.out.is_full() {
            self.stats.handover_drops.tick();
            return false;
        }
        let mut copy = link.spare.pop().unwrap_or_default();
        copy.extend_from_slice(bytes);
        let pushed = link.out.push(Parcel { cargo, bytes: copy }).is_ok();
        link.is_dirty |= pushed;
        self.stats.handed_over.add(u64::from(pushed));
        pushed
    }

    /// Gives to every other shard.
    pub(crate) fn push_all(&mut self, cargo: Cargo) {
        for shard in 0..self.links.len() {
            if let Ok(shard) = u8::try_from(shard)
                && self.reaches(shard)
            {
                self.push(shard, cargo, &[]);
            }
        }
    }

    /// Takes what another shard gave, its bytes by swap; says which shard.
    pub(crate) fn pop(&mut self, bytes: &mut Vec<u8>) -> Option<(u8, Cargo)> {
        let n = self.links.len();
        for i in 0..n {
            let at = (self.turn + i) % n;
            let Some(link) = &mut self.links[at] else { continue };
            let Ok(mut parcel) = link.inward.pop() else { continue };
            std::mem::swap(bytes, &mut parcel.bytes);
            if parcel.bytes.capacity() <= KEPT_LEN_MAX {
                parcel.bytes.clear();
                // A full ring means that there are buffers enough.
                let _ = link.back.push(parcel.bytes);
            }
            self.turn = at + 1;
            return Some((u8::try_from(at).unwrap_or(u8::MAX), parcel.cargo));
        }
        None
    }

    /// Wakes every shard that was given something since the last call.
    pub(crate) fn wake(&mut self) {
        for link in self.links.iter_mut().flatten() {
            if std::mem::take(&mut link.is_dirty) {
                link.bell.notify.notify_one();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(n: usize, capacity: usize) -> Vec<Handover> {
        let stats: Vec<_> = (0..n).map(|_| Arc::default()).collect();
        let bells: Vec<_> = (0..n).map(|_| Arc::default()).collect();
        Handover::mesh(capacity, &stats, &bells)
    }

    fn to(n: u16) -> Cargo {
        Cargo::Undelivered(SocketAddr::from(([192, 0, 2, 1], n)))
    }

    #[test]
    fn every_shard_reaches_every_other_and_not_itself() {
        let mut ends = mesh(3, 4);
        for from in 0..3u8 {
            for shard in 0..4u8 {
                let reached = shard != from && shard < 3;
                assert_eq!(ends[usize::from(from)].reaches(shard), reached);
                assert_eq!(ends[usize::from(from)].push(shard, to(u16::from(from)), &[from, shard]), reached);
            }
        }
        for (n, end) in ends.iter_mut().enumerate() {
            let mut bytes = Vec::new();
            for _ in 0..2 {
                let Some((from, Cargo::Undelivered(a))) = end.pop(&mut bytes) else { panic!("nothing came") };
                assert_eq!(u16::from(from), a.port());
                assert_eq!(bytes, [a.port() as u8, n as u8]);
            }
            assert!(end.pop(&mut bytes).is_none());
        }
    }

    #[test]
    fn a_full_ring_drops_and_counts_and_order_is_kept() {
        let mut ends = mesh(2, 2);
        let [a, b] = &mut ends[..] else { unreachable!() };
        assert!(a.push(1, to(1), b"one") && a.push(1, to(2), b"two"));
        assert!(!a.push(1, to(3), b"three"));
        assert_eq!(a.stats.handover_drops.value(), 1);
        let mut bytes = Vec::new();
        for want in ["one", "two"] {
            assert!(b.pop(&mut bytes).is_some());
            assert_eq!(bytes, want.as_bytes());
        }
        assert!(b.pop(&mut bytes).is_none());
    }

    #[test]
    fn buffers_come_back_to_who_sent_them() {
        let mut ends = mesh(2, 8);
        let [a, b] = &mut ends[..] else { unreachable!() };
        let mut bytes = Vec::with_capacity(100);
        a.push(1, to(1), b"x");
        b.pop(&mut bytes);
        assert_eq!(a.links[1].as_mut().unwrap().spare.pop().map(|v| (v.len(), v.capacity())), Ok((0, 100)));
    }
}
