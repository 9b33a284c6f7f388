//! A set of targets, and the orders over it that choices read.

use core::cmp::Reverse;

use super::heap::{ABSENT, Heap};
use super::probe::Health;
use super::storage::Columns;
use super::target::{AdminState, Stay, Target};

/// A set as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SetConfig {
    /// Its number.
    pub id: u32,
    /// The set that takes over when no target of this one can.
    pub fallback: Option<u32>,
}

/// A set of targets.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub(crate) used: bool,
    pub(crate) id: u32,
    pub(crate) fallback: Option<u32>,
    /// Its range in the columns.
    pub(crate) start: usize,
    pub(crate) len: usize,
    /// How many of them take new calls.
    pub(crate) active: usize,
    /// Where round robin goes on.
    pub(crate) cursor: usize,
    pub(crate) weight: Rotation,
    pub(crate) relative: Rotation,
    /// How many lead the column `latency` with the same adjusted priority.
    pub(crate) latency_top: usize,
    pub(crate) latency_stale: bool,
}

impl Set {
    /// Its number.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The set that takes over when no target of this one can.
    pub fn fallback(&self) -> Option<u32> {
        self.fallback
    }

    /// How many targets it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no target.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many of its targets take new calls.
    pub fn active(&self) -> usize {
        self.active
    }

    pub(crate) fn range(&self) -> core::ops::Range<usize> {
        self.start..self.start + self.len
    }

    pub(crate) fn active_range(&self) -> core::ops::Range<usize> {
        self.start..self.start + self.active
    }
}

/// Walks over `0..total` in even steps, so that every `total` steps hit each number once and neighbours in time lie far
/// apart: shares come out exact, without drawing lots and without bursts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rotation {
    pub(crate) total: u64,
    step: u64,
    at: u64,
}

impl Rotation {
    fn over(total: u64) -> Self {
        // About the golden section of the total, which spreads best, moved on until it has no factor in common.
        let mut step = (u128::from(total) * 618 / 1_000) as u64;
        step = step.max(1);
        while gcd(step, total) > 1 {
            step += 1;
        }
        Self { total, step, at: total / 2 }
    }

    /// The same place over another total, so that shares which change often do not start over each time.
    fn rescaled(self, total: u64) -> Self {
        let at = (u128::from(self.at) * u128::from(total)).checked_div(u128::from(self.total));
        Self { at: at.map_or(total / 2, |at| at as u64), ..Self::over(total) }
    }

    /// The next number below the total; `None` if the total is zero.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let at = self.at;
        self.at = at.checked_add(self.step)?.checked_rem(self.total)?;
        Some(at)
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Puts all members into the ranges of their sets, highest priority first. `sets` is sorted by id.
pub(crate) fn arrange(targets: &mut [Target], sets: &mut [Set], columns: &mut Columns<'_>) {
    let mut members = 0;
    for (slot, target) in targets.iter_mut().enumerate().filter(|(_, t)| t.stay == Stay::Member) {
        let set = sets.partition_point(|set| set.id < target.set_id);
        target.set = set as u16;
        columns.order[members] = slot as u16;
        members += 1;
    }
    let order = &mut columns.order[..members];
    order.sort_unstable_by_key(|slot| {
        let t = &targets[usize::from(*slot)];
        (t.set, Reverse(t.priority), t.place)
    });
    let mut start = 0;
    for (index, set) in sets.iter_mut().enumerate() {
        let len = order[start..].partition_point(|slot| usize::from(targets[usize::from(*slot)].set) <= index);
        (set.start, set.len) = (start, len);
        for (rank, slot) in order[start..start + len].iter().enumerate() {
            targets[usize::from(*slot)].rank = rank as u16;
        }
        start += len;
    }
    columns.load_positions.fill(ABSENT);
}

/// Renews what depends on which members of a set take calls and on their shares.
pub(crate) fn refresh(targets: &[Target], set: &mut Set, columns: &mut Columns<'_>, avoid_trying: bool) {
    let before = set.active;
    set.active = collect_active(targets, set, columns, avoid_trying);
    let shares = sum_weights(targets, set, columns);
    if set.weight.total != shares {
        set.weight = Rotation::over(shares);
    }
    let shares = sum_relative(targets, set, columns);
    if set.active != before {
        set.relative = Rotation::over(shares);
    } else if set.relative.total != shares {
        set.relative = set.relative.rescaled(shares);
    }
    set.latency_stale = true;
    build_load_heap(targets, set, columns);
}

/// Members that take new calls: those that are up, or, where none is, those that are suspect, because a suspect target
/// is a better bet than a refused call.
fn collect_active(targets: &[Target], set: &Set, columns: &mut Columns<'_>, avoid_trying: bool) -> usize {
    let mut active = 0;
    for suspects in [!avoid_trying, true] {
        for at in set.range() {
            let slot = columns.order[at];
            let target = &targets[usize::from(slot)];
            let alive = match target.health() {
                Health::Up => true,
                Health::Trying => suspects,
                Health::Down => false,
            };
            if alive && target.admin == AdminState::Active {
                columns.active[set.start + active] = slot;
                active += 1;
            }
        }
        if active > 0 {
            break;
        }
    }
    active
}

/// Running sums of `weight`: every active member gets its own share and those of the inactive ones before it.
fn sum_weights(targets: &[Target], set: &Set, columns: &mut Columns<'_>) -> u64 {
    let weight = |slot: u16| u64::from(targets[usize::from(slot)].attrs.weight);
    let divisor = set.range().fold(0, |d, at| gcd(d, weight(columns.order[at]))).max(1);
    let (mut sum, mut own, mut active) = (0, 0, 0);
    for at in set.range() {
        let slot = columns.order[at];
        sum += weight(slot) / divisor;
        if active < set.active && columns.active[set.start + active] == slot {
            own += weight(slot);
            columns.weight[set.start + active] = sum;
            columns.own_weight[set.start + active] = own;
            active += 1;
        }
    }
    sum
}

/// Running sums of the relative shares of the active members. If congestion has taken all of them, the calls are shared
/// out by how little congested each is.
fn sum_relative(targets: &[Target], set: &Set, columns: &mut Columns<'_>) -> u64 {
    let target = |at: usize, columns: &Columns<'_>| &targets[usize::from(columns.active[at])];
    let all_congested = set.active_range().all(|at| target(at, columns).relative_share() == 0);
    let share = |at: usize, columns: &Columns<'_>| {
        let target = target(at, columns);
        match (all_congested, target.attrs.rweight) {
            (false, _) => u64::from(target.relative_share()),
            (true, 0) => 0,
            (true, _) => 1_000_000 / u64::from(target.latency.congestion_ms().max(1)),
        }
    };
    let divisor = set.active_range().fold(0, |d, at| gcd(d, share(at, columns))).max(1);
    let mut sum = 0;
    for at in set.active_range() {
        sum += share(at, columns) / divisor;
        columns.relative[at] = sum;
    }
    sum
}

fn build_load_heap(targets: &[Target], set: &Set, columns: &mut Columns<'_>) {
    for at in set.range() {
        columns.load_positions[usize::from(columns.order[at])] = ABSENT;
    }
    let slots = &mut columns.load_heap[set.active_range()];
    let mut heap = Heap { slots, positions: &mut columns.load_positions, len: 0, before: by_load(targets) };
    for at in set.active_range() {
        heap.insert(columns.active[at]);
    }
}

/// Fewest calls first; among equals the one that waits longest for a call, then the first in order.
pub(crate) fn by_load(targets: &[Target]) -> impl Fn(u16, u16) -> bool {
    move |a, b| {
        let key = |slot: u16| {
            let t = &targets[usize::from(slot)];
            (t.load.total(), t.last_call, t.rank)
        };
        key(a) < key(b)
    }
}

/// Sorts the active members by adjusted priority, if something has changed since the last time.
pub(crate) fn refresh_latency(targets: &[Target], set: &mut Set, columns: &mut Columns<'_>) {
    if !set.latency_stale {
        return;
    }
    set.latency_stale = false;
    let range = set.active_range();
    let ranked = &mut columns.latency[range.clone()];
    ranked.copy_from_slice(&columns.active[range]);
    ranked.sort_unstable_by_key(|slot| {
        let t = &targets[usize::from(*slot)];
        (Reverse(t.adjusted_priority()), t.rank)
    });
    let adjusted = |slot: &u16| targets[usize::from(*slot)].adjusted_priority();
    set.latency_top = ranked.first().map_or(0, |first| ranked.partition_point(|s| adjusted(s) == adjusted(first)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_rotation_hits_every_number_once_a_round(total in 1u64..400, rounds in 1usize..3) {
            let mut rotation = Rotation::over(total);
            for _ in 0..rounds {
                let mut seen = std::vec![false; total as usize];
                for _ in 0..total {
                    let at = rotation.next().unwrap() as usize;
                    prop_assert!(!seen[at]);
                    seen[at] = true;
                }
            }
        }
    }

    #[test]
    fn another_total_goes_on_at_the_same_place() {
        let mut rotation = Rotation::over(100);
        rotation.next();
        let rescaled = rotation.rescaled(200);
        assert_eq!(rescaled.at, rotation.at * 2);
        assert_eq!(rotation.rescaled(0).next(), None);
        assert_eq!(Rotation::default().rescaled(10).next(), Some(5));
    }

    #[test]
    fn nothing_to_rotate_over_is_said() {
        assert_eq!(Rotation::over(0).next(), None);
        assert_eq!(Rotation::default().next(), None);
    }
}
