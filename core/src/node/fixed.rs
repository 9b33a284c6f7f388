//! The memory of a node without a heap, in one piece.

use heapless::Vec;

use super::{Bytes, Memory};
use crate::dialog::layer::{self as dialogs, Dialog};
use crate::dispatcher::{Set, Storage, Target};
use crate::proxy::context::Context;
use crate::store::{BufPool, Slots, index::Bucket, table::Slot};
use crate::transaction::layer::{self as transactions, ClientTransaction, ServerTransaction};

/// Bytes kept for the eye about each dialog; one whose names are longer is followed without them.
const NAMES_LEN: usize = 192;

/// Everything that a node stores, in one value of fixed size. In a `static` it is all zero bits, so it takes RAM only
/// and no room in the image of the program.
///
/// | number | how many |
/// |---|---|
/// | `TRANSACTIONS` | server transactions, and as many client transactions; a power of two |
/// | `CONTEXTS` | requests that wait for their final response |
/// | `DIALOGS` | dialogs; a power of two |
/// | `TARGETS` | targets, and as many sets |
/// | `MESSAGES` | messages that are kept: up to three for each request in progress |
/// | `MESSAGE_LEN` | bytes of the longest message that is kept or written |
///
/// An INVITE transaction lives on for 32 s after its final response (RFC 3261 Timers D and H, RFC 6026 Timers L and M):
/// `TRANSACTIONS` is at least the calls that come in that time.
///
/// ```
/// use static_cell::ConstStaticCell;
/// use trunkline_core::node::{FixedMemory, Memory};
///
/// type Branch = FixedMemory<32, 8, 16, 4, 24, 2_048>;
///
/// static MEMORY: ConstStaticCell<Branch> = ConstStaticCell::new(Branch::new());
///
/// let memory: Memory<'static> = MEMORY.take().lend();
/// ```
pub struct FixedMemory<
    const TRANSACTIONS: usize,
    const CONTEXTS: usize,
    const DIALOGS: usize,
    const TARGETS: usize,
    const MESSAGES: usize,
    const MESSAGE_LEN: usize,
> {
    servers: Vec<Slot<ServerTransaction>, TRANSACTIONS>,
    clients: Vec<Slot<ClientTransaction>, TRANSACTIONS>,
    // An index of a power of two takes twice as many buckets.
    server_index: [[Bucket; 2]; TRANSACTIONS],
    merged_index: [[Bucket; 2]; TRANSACTIONS],
    contexts: Vec<Slot<Context>, CONTEXTS>,
    dialogs: Vec<Slot<Dialog>, DIALOGS>,
    dialog_index: [[Bucket; 2]; DIALOGS],
    names: [[u8; NAMES_LEN]; DIALOGS],
    targets: Vec<Target, TARGETS>,
    sets: Vec<Set, TARGETS>,
    ranks: [[u16; Storage::ranks_len(1)]; TARGETS],
    sums: [[u64; Storage::sums_len(1)]; TARGETS],
    messages: [[u8; MESSAGE_LEN]; MESSAGES],
    scratch: [[u8; MESSAGE_LEN]; 3],
}

impl<
    const TRANSACTIONS: usize,
    const CONTEXTS: usize,
    const DIALOGS: usize,
    const TARGETS: usize,
    const MESSAGES: usize,
    const MESSAGE_LEN: usize,
> FixedMemory<TRANSACTIONS, CONTEXTS, DIALOGS, TARGETS, MESSAGES, MESSAGE_LEN>
{
    /// Memory that nothing was stored in yet.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(TRANSACTIONS.is_power_of_two() && DIALOGS.is_power_of_two(), "an index is a power of two long");
            assert!(MESSAGE_LEN >= 4, "a message block is at least four bytes long");
        }
        Self {
            servers: Vec::new(),
            clients: Vec::new(),
            server_index: [[0; 2]; TRANSACTIONS],
            merged_index: [[0; 2]; TRANSACTIONS],
            contexts: Vec::new(),
            dialogs: Vec::new(),
            dialog_index: [[0; 2]; DIALOGS],
            names: [[0; NAMES_LEN]; DIALOGS],
            targets: Vec::new(),
            sets: Vec::new(),
            ranks: [[0; _]; TARGETS],
            sums: [[0; _]; TARGETS],
            messages: [[0; MESSAGE_LEN]; MESSAGES],
            scratch: [[0; MESSAGE_LEN]; 3],
        }
    }

    /// The memory, as a node takes it. What a former node stored in it is gone.
    pub fn lend(&mut self) -> Memory<'_> {
        let [forward, follow, replay] = &mut self.scratch;
        Memory {
            transactions: transactions::Memory {
                servers: Slots::vec(&mut self.servers),
                clients: Slots::vec(&mut self.clients),
                index: Slots::lent(self.server_index.as_flattened_mut()),
                merged: Slots::lent(self.merged_index.as_flattened_mut()),
            },
            contexts: Slots::vec(&mut self.contexts),
            dialogs: dialogs::Memory {
                dialogs: Slots::vec(&mut self.dialogs),
                index: Slots::lent(self.dialog_index.as_flattened_mut()),
                names: pool("names of dialogs", &mut self.names),
            },
            targets: Storage::lent(
                filled(&mut self.targets),
                filled(&mut self.sets),
                self.ranks.as_flattened_mut(),
                self.sums.as_flattened_mut(),
            ),
            messages: pool("stored messages", &mut self.messages),
            scratch: [Bytes::Lent(forward), Bytes::Lent(follow), Bytes::Lent(replay)],
        }
    }
}

impl<
    const TRANSACTIONS: usize,
    const CONTEXTS: usize,
    const DIALOGS: usize,
    const TARGETS: usize,
    const MESSAGES: usize,
    const MESSAGE_LEN: usize,
> Default for FixedMemory<TRANSACTIONS, CONTEXTS, DIALOGS, TARGETS, MESSAGES, MESSAGE_LEN>
{
    fn default() -> Self {
        Self::new()
    }
}

fn pool<'a, const LEN: usize>(what: &'static str, blocks: &'a mut [[u8; LEN]]) -> BufPool<'a> {
    let mut pool = BufPool::new(what);
    let added = pool.add_class(LEN, Slots::lent(blocks.as_flattened_mut()));
    debug_assert!(added.is_ok(), "{added:?}");
    pool
}

/// The whole of a vector, in use.
fn filled<T: Default, const N: usize>(vec: &mut Vec<T, N>) -> &mut [T] {
    vec.clear();
    while vec.push(T::default()).is_ok() {}
    vec
}
