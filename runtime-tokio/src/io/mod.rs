//! The driver: sockets, clock, entropy and threads around a core [`Engine`].
//!
//! One shard is one thread with its own sockets and its own engine; nothing on the path of a message takes a lock.
//!
//! ```text
//!   UDP sockets ─ recvmmsg ─┐                     ┌─ staged ─ sendmmsg ─ UDP sockets
//!   connections ─ Framer ───┼─ Inbox ─ pump ─ Outbox ─ write queues ─ connections
//!   other shards ─ rings ───┤         │           └─ rings ─ other shards
//!   what failed ────────────┘       Engine
//! ```
//!
//! [`bind`] opens the listeners and says in one line what is wrong if it cannot; [`start`] runs the shards.
//!
//! A socket bound to a wildcard address answers from the address that the kernel's routing picks. Where that matters
//! (several addresses on one network), list the addresses.

mod admission;
mod bind;
mod clock;
mod connection;
mod entropy;
mod failed;
mod handover;
mod inbox;
mod outbox;
mod send_queue;
mod settings;
mod shard;
mod stats;
mod streams;
#[cfg(test)]
mod tests;
mod udp;

pub use bind::{BindError, Bound, Listen, bind, raise_open_files};
pub use clock::Clock;
pub use entropy::ServerEntropy;
pub use handover::{OneShard, Steer};
pub use settings::{Settings, TcpSettings};
pub use shard::{Parts, ShardHandle, Shards, Stopped, start};
pub use stats::{Counter, Stats};
#[doc(no_inline)]
pub use trunkline_core::node::pump::Engine;
