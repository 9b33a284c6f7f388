//! The choice: an algorithm and the keys of a request give targets in the order in which they are to be tried.

use core::fmt;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::algorithm::Algorithm;
use super::rendezvous::Ranking;
use super::set::{Set, refresh_latency};
use super::storage::Columns;
use super::target::{Target, TargetId};
use crate::machine::Cx;
use crate::time::Instant;

/// Most targets in one selection.
pub const CANDIDATES_MAX: usize = 16;

/// What of a request the algorithms look at. URIs are hashed as they are given: whoever wants only the user or a
/// canonical form to count gives that. An empty key is none, and then round robin takes over.
#[derive(Clone, Copy, Debug, Default)]
pub struct SelectKeys<'k> {
    /// Call-ID.
    pub call_id: &'k [u8],
    /// From URI.
    pub from_uri: &'k [u8],
    /// To URI.
    pub to_uri: &'k [u8],
    /// Request-URI.
    pub request_uri: &'k [u8],
    /// User name of the credentials.
    pub auth_user: &'k [u8],
    /// The value that the configuration names for `value-hash`.
    pub value: &'k [u8],
}

/// How to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectRule {
    /// The set.
    pub set: u32,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// Most targets to try, the first included; at least 1, at most [`CANDIDATES_MAX`]. `parallel` takes as many as
    /// there are.
    pub limit: u8,
    /// Whether the request opens a call, so that limits on calls count.
    pub new_call: bool,
}

impl SelectRule {
    /// Targets tried where nothing else is said.
    pub const DEFAULT_LIMIT: u8 = 8;

    /// A choice for a new call.
    pub const fn new(set: u32, algorithm: Algorithm) -> Self {
        Self { set, algorithm, limit: Self::DEFAULT_LIMIT, new_call: true }
    }
}

/// The targets of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The first choice, then those to fail over to, in order.
    pub targets: heapless::Vec<TargetId, CANDIDATES_MAX>,
    /// The set they are of: the one asked for, or one it falls back to.
    pub set: u32,
    /// Whether all are to be tried at once.
    pub parallel: bool,
}

/// Why there is no target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NoTarget {
    /// There is no such set.
    UnknownSet,
    /// None takes new calls.
    NoneUp,
    /// All that take new calls are at a limit.
    NoRoom,
}

impl fmt::Display for NoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownSet => "no such set of targets",
            Self::NoneUp => "no target takes new calls",
            Self::NoRoom => "all targets are at their limits",
        })
    }
}

impl core::error::Error for NoTarget {}

/// Keyed hash of bytes: peers choose what is hashed, and must not be able to choose where it goes.
pub(crate) fn keyed_hash(key: &[u8; 16], bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new_with_key(key);
    hasher.write(bytes);
    hasher.finish()
}

/// One choice in one set.
pub(crate) struct Chooser<'c, 'a> {
    pub(crate) targets: &'c [Target],
    pub(crate) set: &'c mut Set,
    pub(crate) columns: &'c mut Columns<'a>,
    pub(crate) hash_key: &'c [u8; 16],
    pub(crate) rule: SelectRule,
}

/// Collects candidates.
struct Picked<'c> {
    targets: &'c [Target],
    now: Instant,
    new_call: bool,
    limit: usize,
    ids: heapless::Vec<TargetId, CANDIDATES_MAX>,
}

impl Picked<'_> {
    fn is_full(&self) -> bool {
        self.ids.len() >= self.limit
    }

    fn admits(&self, slot: u16) -> bool {
        !self.new_call || self.targets[usize::from(slot)].has_room(self.now)
    }

    fn offer(&mut self, slot: u16) {
        let id = TargetId { slot, generation: self.targets[usize::from(slot)].generation };
        if !self.is_full() && self.admits(slot) && !self.ids.contains(&id) {
            // The limit is no more than the capacity.
            let _ = self.ids.push(id);
        }
    }

    /// Offers a list round from `first` on.
    fn walk(&mut self, list: &[u16], first: usize) {
        let (head, tail) = list.split_at(first.min(list.len()));
        for slot in tail.iter().chain(head) {
            if self.is_full() {
                break;
            }
            self.offer(*slot);
        }
    }
}

impl Chooser<'_, '_> {
    /// The candidates, best first; empty if none has room.
    pub(crate) fn choose(&mut self, cx: &mut Cx<'_>, keys: &SelectKeys<'_>) -> heapless::Vec<TargetId, CANDIDATES_MAX> {
        let parallel = self.rule.algorithm == Algorithm::Parallel;
        let limit = if parallel { CANDIDATES_MAX } else { usize::from(self.rule.limit).clamp(1, CANDIDATES_MAX) };
        let new_call = self.rule.new_call;
        let mut picked = Picked { targets: self.targets, now: cx.now, new_call, limit, ids: heapless::Vec::new() };
        match self.rule.algorithm {
            Algorithm::CallIdHash => self.by_hash(keys.call_id, &mut picked),
            Algorithm::FromUriHash => self.by_hash(keys.from_uri, &mut picked),
            Algorithm::ToUriHash => self.by_hash(keys.to_uri, &mut picked),
            Algorithm::RequestUriHash => self.by_hash(keys.request_uri, &mut picked),
            Algorithm::AuthUserHash => self.by_hash(keys.auth_user, &mut picked),
            Algorithm::ValueHash => self.by_hash(keys.value, &mut picked),
            Algorithm::RoundRobin => self.round_robin(&mut picked),
            Algorithm::Random => {
                let first = cx.entropy.below(self.set.active as u32) as usize;
                picked.walk(self.active(), first);
            }
            Algorithm::Serial | Algorithm::Parallel => picked.walk(self.active(), 0),
            Algorithm::Weight => self.by_weight(&mut picked),
            Algorithm::RelativeWeight => self.by_relative_weight(&mut picked),
            Algorithm::CallLoad => self.by_load(&mut picked),
            Algorithm::Latency => self.by_latency(&mut picked),
            Algorithm::RoundRobinOrSerial => {
                picked.limit = 1;
                self.round_robin(&mut picked);
                picked.limit = limit;
                picked.walk(self.active(), 0);
            }
            Algorithm::PriorityWeight => self.by_priority_weight(cx, &mut picked),
            Algorithm::Overload => {
                for slot in self.active() {
                    if picked.is_full() {
                        break;
                    }
                    if self.targets[usize::from(*slot)].overload.admits(cx.now, cx.entropy) {
                        picked.offer(*slot);
                    }
                }
            }
            Algorithm::Rendezvous => self.by_rendezvous(keys.call_id, &mut picked),
        }
        picked.ids
    }

    fn active(&self) -> &[u16] {
        &self.columns.active[self.set.active_range()]
    }

    fn by_hash(&mut self, key: &[u8], picked: &mut Picked<'_>) {
        if key.is_empty() {
            return self.round_robin(picked);
        }
        let first = keyed_hash(self.hash_key, key) % (self.set.active.max(1) as u64);
        picked.walk(self.active(), first as usize);
    }

    fn round_robin(&mut self, picked: &mut Picked<'_>) {
        let active = self.active();
        let first = if self.set.cursor < active.len() { self.set.cursor } else { 0 };
        picked.walk(active, first);
        // Whoever was passed over for want of room does not make the next one come twice.
        let (head, tail) = active.split_at(first);
        let chosen = picked.ids.first().and_then(|id| tail.iter().chain(head).position(|slot| *slot == id.slot));
        self.set.cursor = (first + chosen.map_or(1, |steps| steps + 1)) % active.len().max(1);
    }

    fn by_weight(&mut self, picked: &mut Picked<'_>) {
        let Some(draw) = self.set.weight.next() else { return self.round_robin(picked) };
        let sums = &self.columns.weight[self.set.active_range()];
        // What lies behind the last active target is the share of those after it, and goes to the first.
        let first = sums.partition_point(|sum| *sum <= draw) % self.set.active.max(1);
        picked.walk(self.active(), first);
    }

    fn by_relative_weight(&mut self, picked: &mut Picked<'_>) {
        let Some(draw) = self.set.relative.next() else { return self.round_robin(picked) };
        let sums = &self.columns.relative[self.set.active_range()];
        let first = sums.partition_point(|sum| *sum <= draw);
        picked.walk(self.active(), first);
    }

    fn by_load(&mut self, picked: &mut Picked<'_>) {
        let heap = &self.columns.load_heap[self.set.active_range()];
        let Some(root) = heap.first().copied() else { return };
        if picked.admits(root) {
            picked.offer(root);
        } else {
            let before = super::set::by_load(self.targets);
            let least = |a: u16, b: u16| if before(b, a) { b } else { a };
            if let Some(slot) = heap.iter().copied().filter(|s| picked.admits(*s)).reduce(least) {
                picked.offer(slot);
            }
        }
        picked.walk(self.active(), 0);
    }

    fn by_latency(&mut self, picked: &mut Picked<'_>) {
        refresh_latency(self.targets, self.set, self.columns);
        let ranked = &self.columns.latency[self.set.active_range()];
        let (top, rest) = ranked.split_at(self.set.latency_top);
        let first = self.set.cursor % top.len().max(1);
        picked.walk(top, first);
        self.set.cursor = (first + 1) % top.len().max(1);
        picked.walk(rest, 0);
    }

    fn by_priority_weight(&mut self, cx: &mut Cx<'_>, picked: &mut Picked<'_>) {
        let active = self.active();
        let sums = &self.columns.own_weight[self.set.active_range()];
        let priority = |slot: u16| self.targets[usize::from(slot)].priority;
        let mut end = active.len();
        // The order is by falling priority, so the group with the lowest value stands last.
        while let Some(last) = active[..end].last().filter(|_| !picked.is_full()) {
            let start = active[..end].partition_point(|slot| priority(*slot) > priority(*last));
            let before = start.checked_sub(1).map_or(0, |at| sums[at]);
            let total = u32::try_from(sums[end - 1] - before).unwrap_or(u32::MAX);
            let first = if total == 0 {
                cx.entropy.below((end - start) as u32) as usize
            } else {
                let draw = before + u64::from(cx.entropy.below(total));
                sums[start..end].partition_point(|sum| *sum <= draw)
            };
            picked.walk(&active[start..end], first);
            end = start;
        }
    }

    fn by_rendezvous(&mut self, key: &[u8], picked: &mut Picked<'_>) {
        if key.is_empty() {
            return self.round_robin(picked);
        }
        let mut ranking = Ranking::new(keyed_hash(self.hash_key, key), picked.limit);
        for slot in self.active() {
            let target = &self.targets[usize::from(*slot)];
            if let Some(score) = ranking.score(target.seed, target.attrs.weight)
                && picked.admits(*slot)
            {
                ranking.insert(score, *slot);
            }
        }
        for slot in ranking.slots() {
            picked.offer(slot);
        }
    }
}
