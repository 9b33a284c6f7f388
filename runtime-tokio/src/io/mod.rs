//! The driver: sockets, clock, entropy and threads around a core [`Engine`](trunkline_core::node::pump::Engine).
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
//! [`bind()`] opens the listeners and says in one line what is wrong if it cannot; [`start`] runs the shards.
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

pub(crate) use bind::{Bound, Listen, bind, raise_open_files};
pub(crate) use clock::Clock;
pub(crate) use entropy::ServerEntropy;
pub(crate) use handover::Steer;
pub(crate) use settings::{Settings, TcpSettings};
pub(crate) use shard::{Parts, ShardHandle, Shards, Stopped, start};
pub(crate) use stats::Counter;
