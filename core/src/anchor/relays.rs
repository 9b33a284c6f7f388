//! The pool of relays: which one takes a call, and which are dead.

use core::time::Duration;

use super::config::{RELAYS_MAX, RelayNode};
use crate::dispatcher::rendezvous;
use crate::store::HashKey;
use crate::time::Instant;

#[derive(Clone, Copy, Debug)]
struct Entry {
    node: RelayNode,
    /// When a dead one is asked again whether it lives.
    dead_until: Option<Instant>,
}

/// The relays of a node.
#[derive(Debug, Default)]
pub struct Relays {
    entries: heapless::Vec<Entry, RELAYS_MAX>,
}

impl Relays {
    /// Takes other relays; one that stays dead or alive stays so.
    pub fn configure(&mut self, nodes: &[RelayNode]) {
        let dead = |node: &RelayNode| self.entries.iter().find(|e| e.node.address == node.address)?.dead_until;
        self.entries =
            nodes.iter().take(RELAYS_MAX).map(|node| Entry { node: *node, dead_until: dead(node) }).collect();
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The relay of that number.
    pub fn node(&self, relay: u8) -> Option<&RelayNode> {
        self.entries.get(usize::from(relay)).map(|e| &e.node)
    }

    /// The number of the relay at that address.
    pub fn find(&self, address: core::net::SocketAddr) -> Option<u8> {
        self.entries.iter().position(|e| e.node.address == address).map(|i| i as u8)
    }

    /// Whether commands can be given to it.
    pub fn is_alive(&self, relay: u8) -> bool {
        self.entries.get(usize::from(relay)).is_some_and(|e| e.dead_until.is_none())
    }

    /// The relay for a call: by weighted rendezvous hash of its Call-ID, so that every shard and a restarted node choose
    /// the same, and one that dies moves its own calls only. Of the lowest set that has one alive.
    pub fn choose(&self, key: &HashKey, call_id: &[u8]) -> Option<u8> {
        let alive = || self.entries.iter().enumerate().filter(|(_, e)| e.dead_until.is_none() && e.node.weight > 0);
        let set = alive().map(|(_, e)| e.node.set).min()?;
        let lot = |e: &Entry| {
            let mut address = [0; 18];
            let ip = match e.node.address.ip() {
                core::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                core::net::IpAddr::V6(ip) => ip,
            };
            address[..16].copy_from_slice(&ip.octets());
            address[16..].copy_from_slice(&e.node.address.port().to_be_bytes());
            key.hash(&[call_id, &address])
        };
        let of_set = alive().filter(|(_, e)| e.node.set == set);
        rendezvous::winner(of_set.map(|(i, e)| (lot(e), e.node.weight, i as u8)))
    }

    /// It did not answer. It is asked again after `retry_after`; `true` if it was alive until now.
    pub fn died(&mut self, relay: u8, now: Instant, retry_after: Duration) -> bool {
        let Some(entry) = self.entries.get_mut(usize::from(relay)) else { return false };
        entry.dead_until.replace(now + retry_after).is_none()
    }

    /// It answered; `true` if it was dead until now.
    pub fn lives(&mut self, relay: u8) -> bool {
        self.entries.get_mut(usize::from(relay)).is_some_and(|e| e.dead_until.take().is_some())
    }

    /// When a dead one is to be asked again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|e| e.dead_until).min()
    }

    /// A dead one that is to be asked now; it is not named again for `retry_after`.
    pub fn expire(&mut self, now: Instant, retry_after: Duration) -> Option<u8> {
        let i = self.entries.iter().position(|e| e.dead_until.is_some_and(|at| at <= now))?;
        self.entries[i].dead_until = Some(now + retry_after);
        Some(i as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(n: u8, set: u16, weight: u16) -> RelayNode {
        RelayNode { address: core::net::SocketAddr::from(([192, 0, 2, n], 2223)), set, weight }
    }

    fn counts(relays: &Relays, key: &HashKey) -> [u32; 4] {
        let mut counts = [0; 4];
        for call in 0..4_000u32 {
            if let Some(i) = relays.choose(key, &call.to_le_bytes()) {
                counts[usize::from(i)] += 1;
            }
        }
        counts
    }

    #[test]
    fn calls_are_spread_by_weight_and_the_dead_one_moves_its_own() {
        let key = HashKey::new([9; 16]);
        let mut relays = Relays::default();
        relays.configure(&[node(1, 0, 1), node(2, 0, 3), node(3, 0, 0), node(4, 1, 1)]);
        let all = counts(&relays, &key);
        assert!((880..1_120).contains(&all[0]) && all[0] + all[1] == 4_000, "{all:?}");
        let before = |call: u32| relays.choose(&key, &call.to_le_bytes());
        let chosen: std::vec::Vec<_> = (0..500).map(before).collect();
        let now = Instant::from_millis(5);
        assert!(relays.died(1, now, Duration::from_secs(60)) && !relays.died(1, now, Duration::from_secs(60)));
        for (call, before) in (0..500u32).zip(chosen) {
            assert!(before == Some(1) || relays.choose(&key, &call.to_le_bytes()) == before);
        }
        relays.died(0, now, Duration::from_secs(60));
        assert_eq!(counts(&relays, &key), [0, 0, 0, 4_000], "the next set stands in");
        relays.died(3, now, Duration::from_secs(60));
        assert_eq!(relays.choose(&key, b"x"), None);
        assert!(relays.lives(1) && !relays.lives(1));
        assert_eq!(relays.choose(&key, b"x"), Some(1));
    }

    #[test]
    fn a_dead_one_is_asked_again_once_an_interval() {
        let mut relays = Relays::default();
        relays.configure(&[node(1, 0, 1), node(2, 0, 1)]);
        let second = Duration::from_secs(1);
        let now = Instant::from_millis(1_000);
        relays.died(1, now, second);
        assert_eq!(relays.next_deadline(), Some(now + second));
        assert_eq!(relays.expire(now, second), None);
        assert_eq!(relays.expire(now + second, second), Some(1));
        assert_eq!(relays.expire(now + second, second), None);
        relays.configure(&[node(2, 0, 1)]);
        assert!(!relays.is_alive(0), "a reload brings nobody back to life");
    }
}
