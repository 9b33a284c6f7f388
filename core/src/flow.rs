//! Where a message comes from and where it goes.

use core::net::SocketAddr;
use core::num::NonZeroU64;

use crate::wire::sip::transport::Transport;

/// A listener of the node, by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ListenerId(pub u8);

/// A connection, as the runtime numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConnectionId(pub NonZeroU64);

/// A path to a peer: listener, address, and the connection if there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Flow {
    /// The listener on our side. Datagrams leave from its socket; connections are opened from its address.
    pub listener: ListenerId,
    /// The transport.
    pub transport: Transport,
    /// The peer.
    pub peer: SocketAddr,
    /// The connection the peer opened or we opened. A message for a connection that is gone goes over another one to
    /// the same address (RFC 3261 §18.2.2).
    pub connection: Option<ConnectionId>,
}

/// Takes what is to be sent: the path, and the message.
pub type Send<'s> = dyn FnMut(&Flow, &[u8]) + 's;
