//! What the plane wants done.

use core::net::SocketAddr;

use super::EndpointId;
use super::dtmf::DtmfEvent;

/// A media socket: an index, small enough for a runtime to keep its sockets in an array. RTP sockets are even, and the
/// RTCP socket of the same endpoint is one more. A number is used again after its `Close`: a runtime must not deliver what
/// was received on the closed socket under the number of the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SocketId(pub u32);

impl SocketId {
    pub(crate) const fn rtp(slot: u32) -> Self {
        Self(slot << 1)
    }

    pub(crate) const fn rtcp(slot: u32) -> Self {
        Self(slot << 1 | 1)
    }

    pub(crate) const fn slot(self) -> u32 {
        self.0 >> 1
    }

    /// Whether it is the RTCP socket of its endpoint.
    pub const fn is_rtcp(self) -> bool {
        self.0 & 1 == 1
    }
}

/// What the plane wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Bind a UDP socket to `local` (an IPv6 one for IPv6 only), and answer with [`Media::opened`](super::Media::opened) or
    /// [`Media::open_failed`](super::Media::open_failed) before the next event.
    Open {
        /// The name of the new socket.
        socket: SocketId,
        /// Where to bind it.
        local: SocketAddr,
    },
    /// Close the socket. What still arrives on it is not delivered any more.
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
        /// What: the bytes of the [`PacketBuf`](super::PacketBuf) that was handed in, as it is after the call.
        packet: &'a [u8],
        /// Type of service if it is to differ from the socket's.
        tos: Option<u8>,
    },
    /// From here on packets of this socket come from one address and go there, so the socket may be connected; `None`
    /// undoes it. The plane checks sources in any case.
    Settle {
        /// The socket.
        socket: SocketId,
        /// The one address.
        peer: Option<SocketAddr>,
    },
    /// A DTMF event has ended (RFC 4733). Emitted once an event, however often its packets are repeated.
    Dtmf {
        /// The endpoint whose party pressed the key.
        endpoint: EndpointId,
        /// The event.
        event: DtmfEvent,
    },
}
