//! Where a dispatcher keeps its targets: in arrays that are lent to it, or in ones that it allocates at the start.

use core::ops::{Deref, DerefMut};

use super::set::Set;
use super::target::Target;

/// Columns of 16-bit numbers, each as long as there are targets.
const RANK_COLUMNS: usize = 7;
/// Columns of 64-bit numbers, each as long as there are targets.
const SUM_COLUMNS: usize = 3;

/// An array of fixed length that is lent or owned.
pub(crate) enum Cells<'a, T> {
    Lent(&'a mut [T]),
    #[cfg(any(feature = "alloc", test))]
    Owned(alloc::vec::Vec<T>),
}

impl<T> Deref for Cells<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Lent(cells) => cells,
            #[cfg(any(feature = "alloc", test))]
            Self::Owned(cells) => cells,
        }
    }
}

impl<T> DerefMut for Cells<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Lent(cells) => cells,
            #[cfg(any(feature = "alloc", test))]
            Self::Owned(cells) => cells,
        }
    }
}

#[cfg(any(feature = "alloc", test))]
impl<T: Default + Clone> Cells<'_, T> {
    fn owned(len: usize) -> Self {
        Self::Owned(alloc::vec![T::default(); len])
    }
}

/// Room for targets and sets: at most 700 bytes a target.
pub struct Storage<'a> {
    pub(crate) targets: Cells<'a, Target>,
    pub(crate) sets: Cells<'a, Set>,
    pub(crate) columns: Columns<'a>,
}

/// Orders over the targets, prepared when something changes so that a choice reads them only. The targets of one set
/// stand in one range, the same in all columns but those by slot.
pub(crate) struct Columns<'a> {
    /// All members, highest priority first.
    pub(crate) order: Cells<'a, u16>,
    /// Members that take new calls, in the same order.
    pub(crate) active: Cells<'a, u16>,
    /// The same by adjusted priority.
    pub(crate) latency: Cells<'a, u16>,
    /// The same as a heap by calls.
    pub(crate) load_heap: Cells<'a, u16>,
    /// By slot: position in the range of `load_heap`.
    pub(crate) load_positions: Cells<'a, u16>,
    /// Targets with a deadline, as a heap.
    pub(crate) timer_heap: Cells<'a, u16>,
    /// By slot: position in `timer_heap`.
    pub(crate) timer_positions: Cells<'a, u16>,
    /// Running sums of `weight`, with the shares of targets that are down.
    pub(crate) weight: Cells<'a, u64>,
    /// Running sums of the relative shares.
    pub(crate) relative: Cells<'a, u64>,
    /// Running sums of `weight` of the active ones alone.
    pub(crate) own_weight: Cells<'a, u64>,
}

impl<'a> Storage<'a> {
    /// 16-bit numbers that [`Storage::lent`] wants for so many targets.
    pub const fn ranks_len(targets: usize) -> usize {
        targets * RANK_COLUMNS
    }

    /// 64-bit numbers that [`Storage::lent`] wants for so many targets.
    pub const fn sums_len(targets: usize) -> usize {
        targets * SUM_COLUMNS
    }

    /// Storage in arrays of the caller. The shortest of them decides how many targets fit.
    pub fn lent(targets: &'a mut [Target], sets: &'a mut [Set], ranks: &'a mut [u16], sums: &'a mut [u64]) -> Self {
        let n = targets.len().min(ranks.len() / RANK_COLUMNS).min(sums.len() / SUM_COLUMNS).min(usize::from(u16::MAX));
        let (targets, _) = targets.split_at_mut(n);
        for target in targets.iter_mut() {
            *target = Target::default();
        }
        sets.fill_with(Set::default);
        let mut ranks = ranks.chunks_exact_mut(n.max(1));
        let mut sums = sums.chunks_exact_mut(n.max(1));
        let mut rank = || Cells::Lent(ranks.next().unwrap_or_default());
        let mut sum = || Cells::Lent(sums.next().unwrap_or_default());
        let columns = Columns {
            order: rank(),
            active: rank(),
            latency: rank(),
            load_heap: rank(),
            load_positions: rank(),
            timer_heap: rank(),
            timer_positions: rank(),
            weight: sum(),
            relative: sum(),
            own_weight: sum(),
        };
        Self { targets: Cells::Lent(targets), sets: Cells::Lent(sets), columns }
    }

    /// Storage for so many targets (at most 65,535) and sets, allocated here and never again.
    #[cfg(any(feature = "alloc", test))]
    pub fn owned(targets: usize, sets: usize) -> Self {
        let n = targets.min(usize::from(u16::MAX));
        let columns = Columns {
            order: Cells::owned(n),
            active: Cells::owned(n),
            latency: Cells::owned(n),
            load_heap: Cells::owned(n),
            load_positions: Cells::owned(n),
            timer_heap: Cells::owned(n),
            timer_positions: Cells::owned(n),
            weight: Cells::owned(n),
            relative: Cells::owned(n),
            own_weight: Cells::owned(n),
        };
        Self { targets: Cells::owned(n), sets: Cells::owned(sets), columns }
    }
}
