//! Where instances, groups, tracks and interfaces live: in memory that is lent, or reserved at the start.

use super::check::Capacity;
use super::event::InterfaceState;
use super::instance::Instance;
use super::sync_group::Group;
use super::track::Track;
use crate::store::Slots;

/// Room for instances, groups, tracks and interfaces.
pub struct Storage<'m> {
    pub(super) instances: Slots<'m, Instance>,
    pub(super) groups: Slots<'m, Group>,
    pub(super) tracks: Slots<'m, Track>,
    pub(super) interfaces: Slots<'m, InterfaceState>,
}

impl<'m> Storage<'m> {
    /// Room in arrays of the caller.
    pub fn lent(
        instances: &'m mut [Instance],
        groups: &'m mut [Group],
        tracks: &'m mut [Track],
        interfaces: &'m mut [InterfaceState],
    ) -> Self {
        Self {
            instances: Slots::lent(instances),
            groups: Slots::lent(groups),
            tracks: Slots::lent(tracks),
            interfaces: Slots::lent(interfaces),
        }
        .filled()
    }

    /// Room on the heap, taken here and never again.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn reserved(capacity: Capacity) -> Self {
        Self {
            instances: Slots::reserved(capacity.instances),
            groups: Slots::reserved(capacity.groups),
            tracks: Slots::reserved(capacity.tracks),
            interfaces: Slots::reserved(capacity.interfaces),
        }
        .filled()
    }

    fn filled(mut self) -> Self {
        // Ids have 16 bits.
        const MOST: usize = 1 << 16;
        self.instances.fill(MOST);
        self.groups.fill(MOST);
        self.tracks.fill(MOST);
        self.interfaces.fill(MOST);
        self
    }

    pub(super) fn capacity(&self) -> Capacity {
        Capacity {
            instances: self.instances.used().len(),
            groups: self.groups.used().len(),
            tracks: self.tracks.used().len(),
            interfaces: self.interfaces.used().len(),
        }
    }
}
