//! The RTP relay without io_uring: the core's [`Relay`](trunkline_core::relay::Relay) on a thread of its own, over epoll and
//! batches of datagrams.
//!
//! | module | holds |
//! |---|---|
//! | [`settings`] | from the configuration to what a relay is told |
//! | [`gate`] | who may send commands |
//! | [`driver`] | the thread: waits, receives, has the relay work, sends |
//! | [`sockets`] | the sockets that the relay has open |
//! | [`outlet`] | packets on their way out |
//! | [`handle`] | how others talk to the thread |
//! | [`embedded`] | the relay of a node's own process |
//! | [`role`] | `trunkline relay` |
//! | [`views`] | what an operator sees |

mod driver;
mod embedded;
mod gate;
mod handle;
mod outlet;
pub(crate) mod role;
mod settings;
mod sockets;
#[cfg(test)]
mod tests;
pub(crate) mod views;

pub(crate) use embedded::Embedded;
pub(crate) use handle::{Handle, Running};

use driver::start;
use gate::Gate;
use settings::{Settings, bind_control};
