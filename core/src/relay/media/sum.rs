//! Counters of several planes, or endpoints, added up.

use core::ops::AddAssign;

use super::stats::{Drops, MediaStats, Traffic};

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

impl AddAssign for Drops {
    fn add_assign(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }
}

impl AddAssign for MediaStats {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.dropped += other.dropped;
        for (sum, more) in [
            (&mut self.opened, other.opened),
            (&mut self.closed, other.closed),
            (&mut self.ports_exhausted, other.ports_exhausted),
            (&mut self.ports_pending, other.ports_pending),
            (&mut self.full, other.full),
            (&mut self.secure_full, other.secure_full),
            (&mut self.ports_taken, other.ports_taken),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}
