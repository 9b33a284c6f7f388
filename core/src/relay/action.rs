//! What happens to a relay, and what it wants done.

use core::net::SocketAddr;

use super::media::{self, PacketBuf, SocketId};
use super::notice::Notice;

/// What happens to a relay.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A datagram came on a media socket. It is changed in place.
    Packet {
        /// The socket.
        socket: SocketId,
        /// Where it came from.
        from: SocketAddr,
        /// The datagram.
        packet: PacketBuf<'e>,
    },
    /// A control message came: a datagram, or what [`frame`](crate::wire::ng::frame) found in a stream.
    Control {
        /// The message.
        bytes: &'e [u8],
    },
    /// The socket of an `Open` is bound.
    Opened {
        /// The socket.
        socket: SocketId,
    },
    /// The socket of an `Open` cannot be bound.
    OpenFailed {
        /// The socket.
        socket: SocketId,
    },
    /// A deadline has passed. The first one, at the start, opens the reserve of ports.
    Timeout,
}

/// What a relay wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Bind a UDP socket, and answer with `Opened` or `OpenFailed` before the next other event.
    Open {
        /// The name of the new socket.
        socket: SocketId,
        /// Where to bind it.
        local: SocketAddr,
    },
    /// Close the socket.
    Close {
        /// The socket.
        socket: SocketId,
    },
    /// Send.
    Forward {
        /// The socket to send from.
        socket: SocketId,
        /// Where to.
        to: SocketAddr,
        /// What: the bytes of the packet that was handed in, as it is after the call.
        packet: &'a [u8],
        /// Type of service if it is to differ from the socket's.
        tos: Option<u8>,
    },
    /// Packets of this socket come from one address and go there: the socket may be connected. `None` undoes it.
    Settle {
        /// The socket.
        socket: SocketId,
        /// The one address.
        peer: Option<SocketAddr>,
    },
    /// Send to the control peer whose message this event was.
    Reply {
        /// The message.
        bytes: &'a [u8],
    },
    /// To be logged, or written into a call record.
    Notice(Notice<'a>),
}

impl<'a> Action<'a> {
    /// An action of the packet plane; `None` for what it only tells.
    pub(super) const fn of_media(action: media::Action<'a>) -> Option<Self> {
        Some(match action {
            media::Action::Open { socket, local } => Self::Open { socket, local },
            media::Action::Close { socket } => Self::Close { socket },
            media::Action::Forward { socket, to, packet, tos } => Self::Forward { socket, to, packet, tos },
            media::Action::Settle { socket, peer } => Self::Settle { socket, peer },
            media::Action::Dtmf { .. } => return None,
        })
    }
}
