//! The sockets that the relay has open, by the numbers it gave them.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use trunkline_core::relay::media::SocketId;

/// Media sockets.
#[derive(Debug)]
pub(super) struct Sockets {
    registry: Registry,
    open: Vec<Option<Open>>,
    tos: u8,
}

#[derive(Debug)]
struct Open {
    socket: UdpSocket,
    tos: u8,
}

impl Sockets {
    /// Room for `max` sockets, whose packets have type of service `tos`. What is received wakes up whoever polls `registry`,
    /// with the socket's number for a token.
    pub(super) fn new(registry: Registry, max: usize, tos: u8) -> Self {
        Self { registry, open: (0..max).map(|_| None).collect(), tos }
    }

    /// Opens a socket.
    pub(super) fn open(&mut self, id: SocketId, local: SocketAddr) -> io::Result<()> {
        let place = self.open.get_mut(id.0 as usize).ok_or(io::ErrorKind::InvalidInput)?;
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if self.tos != 0 {
            set_tos(&SockRef::from(&socket), local.is_ipv6(), self.tos)?;
        }
        socket.bind(&local.into())?;
        self.registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(id.0 as usize), Interest::READABLE)?;
        *place = Some(Open { socket: socket.into(), tos: self.tos });
        Ok(())
    }

    /// Closes a socket. That also takes it off the registry, as nobody else has its descriptor.
    pub(super) fn close(&mut self, id: SocketId) {
        if let Some(place) = self.open.get_mut(id.0 as usize) {
            *place = None;
        }
    }

    /// The socket of that number.
    pub(super) fn get(&self, id: SocketId) -> Option<BorrowedFd<'_>> {
        Some(self.open.get(id.0 as usize)?.as_ref()?.socket.as_fd())
    }

    /// The socket of that number, ready to send packets of this type of service.
    pub(super) fn sender(&mut self, id: SocketId, tos: Option<u8>) -> Option<BorrowedFd<'_>> {
        let open = self.open.get_mut(id.0 as usize)?.as_mut()?;
        let wanted = tos.unwrap_or(self.tos);
        if open.tos != wanted {
            let v6 = open.socket.local_addr().is_ok_and(|local| local.is_ipv6());
            // A packet of the wrong type is better than none; it is not tried again for each.
            let _ = set_tos(&SockRef::from(&open.socket), v6, wanted);
            open.tos = wanted;
        }
        Some(open.socket.as_fd())
    }
}

fn set_tos(socket: &SockRef<'_>, v6: bool, tos: u8) -> io::Result<()> {
    if v6 { socket.set_tclass_v6(tos.into()) } else { socket.set_tos_v4(tos.into()) }
}
