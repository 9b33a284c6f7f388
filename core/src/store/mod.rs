//! Storage of fixed capacity. Nothing here allocates after it is made, and nothing here panics when it is full.
//!
//! | module | holds | memory |
//! |---|---|---|
//! | [`slots`] | where a store lives: memory lent by the caller, or reserved at start | the slots |
//! | [`slab`] | values behind generation-checked keys | 8 to 16 bytes an entry + the value |
//! | [`table`] | machines behind keys, with their timers: the one door to a machine | 24 bytes an entry + the machine, 1.6 KiB a table |
//! | [`index`] | keyed hash to slot number | 16 to 32 bytes an entry |
//! | [`hash`] | the keyed hash | - |
//! | [`buf`] | byte blocks in size classes | the blocks |
//! | [`bytes`] | room to write into | the bytes |
//! | [`list`] | lists that are read only | the list |
//! | [`ring`] | a bounded queue | the values, as `Option`s |
//!
//! Capacities are values, chosen when a store is made.

pub mod buf;
pub mod bytes;
pub mod hash;
pub mod index;
pub mod list;
pub mod ring;
pub mod slab;
pub mod slots;
pub mod table;
mod wheel;

pub use buf::{Buf, BufPool};
pub use bytes::Bytes;
pub use hash::HashKey;
pub use index::Index;
pub use list::{List, Str};
pub use ring::Ring;
pub use slab::{Key, Slab};
pub use slots::Slots;
pub use table::{Ran, Table};
