//! What happens to a node.

use core::net::SocketAddr;

use crate::flow::{ConnectionId, Flow};

/// An event from the runtime.
#[derive(Clone, Copy, Debug)]
pub enum Event<'e> {
    /// A SIP message arrived: a whole datagram, or one message cut from a stream by [`crate::wire::sip::frame`].
    Received {
        /// Where it came from, and on which listener.
        flow: Flow,
        /// Its bytes.
        bytes: &'e [u8],
    },
    /// What was sent did not get there: an ICMP error, a refused or broken connection.
    Undelivered {
        /// Where it was to go.
        to: SocketAddr,
        /// The bytes, or as much of their start as the runtime still has.
        bytes: &'e [u8],
    },
    /// A connection is gone.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// A media relay has answered a command.
    Relay {
        /// The relay.
        from: SocketAddr,
        /// Its answer.
        bytes: &'e [u8],
    },
    /// The deadline has come.
    Timeout,
}
