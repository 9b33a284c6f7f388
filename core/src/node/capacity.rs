//! The memory of a node on the heap, reserved once.

use super::{Bytes, Memory};
use crate::anchor;
use crate::dialog::layer as dialogs;
use crate::dispatcher;
use crate::limits::MESSAGE_MAX;
use crate::store::{BufPool, Index, Slots};
use crate::transaction::layer as transactions;

/// How much a node can hold. Memory is reserved for all of it, and touched only by what is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Server and client transactions, each.
    pub transactions: usize,
    /// Requests that wait for their final response.
    pub contexts: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Targets, those that finish their calls after a reload included.
    pub targets: usize,
    /// Sets.
    pub sets: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { transactions: 262_144, contexts: 65_536, dialogs: 262_144, targets: 4_096, sets: 256 }
    }
}

/// Adds the classes `(block length, blocks)`, which rise by length.
fn pool(what: &'static str, classes: &[(usize, usize)]) -> BufPool<'static> {
    let mut pool = BufPool::new(what);
    for (len, blocks) in classes {
        // The lists below are in order and short enough.
        let added = pool.add_class(*len, Slots::reserved(len * blocks));
        debug_assert!(added.is_ok(), "{added:?}");
    }
    pool
}

impl Capacity {
    /// The memory of an anchor for as many calls, of which a part waits for a relay at once.
    pub fn reserve_anchor(&self) -> anchor::Memory<'static> {
        let held = self.contexts.max(16);
        let names = (self.dialogs, 192);
        let messages = [(names.1, names.0), (1_024, held), (4_096, held), (MESSAGE_MAX + 1, (held / 256).max(4))];
        let scratch = || Bytes::Owned(alloc::vec![0; MESSAGE_MAX]);
        anchor::Memory {
            sessions: Slots::reserved(self.dialogs),
            index: Slots::reserved(Index::buckets_for(self.dialogs)),
            held: Slots::reserved(held),
            bufs: pool("messages that wait for media", &messages),
            scratch: [scratch(), scratch()],
        }
    }

    /// The memory for it.
    pub fn reserve(&self) -> Memory<'static> {
        let index = |entries| Slots::reserved(Index::buckets_for(entries));
        let messages = [
            (1_024, self.transactions),
            (4_096, (self.transactions / 8).max(16)),
            (MESSAGE_MAX + 1, (self.transactions / 1_024).max(16)),
        ];
        let names = [
            (128, self.dialogs),
            (192, self.dialogs),
            (384, (self.dialogs / 4).max(16)),
            (1_024, (self.dialogs / 16).max(16)),
        ];
        let scratch = || Bytes::Owned(alloc::vec![0; MESSAGE_MAX]);
        Memory {
            transactions: transactions::Memory {
                servers: Slots::reserved(self.transactions),
                clients: Slots::reserved(self.transactions),
                index: index(self.transactions),
                merged: index(self.transactions),
            },
            contexts: Slots::reserved(self.contexts),
            dialogs: dialogs::Memory {
                dialogs: Slots::reserved(self.dialogs),
                index: index(self.dialogs),
                names: pool("names of dialogs", &names),
            },
            targets: dispatcher::Storage::owned(self.targets, self.sets),
            messages: pool("stored messages", &messages),
            scratch: [scratch(), scratch(), scratch()],
        }
    }
}
