//! Sockets that send bytes as they are given and read messages.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Message;

/// How long a port that is taken is waited for, and how often it is tried.
const BIND_LIMIT: Duration = Duration::from_secs(10);
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

impl Transport {
    /// As Via spells it.
    #[must_use]
    pub fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// As configurations and URIs spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// A URI for `address` by this transport.
    #[must_use]
    pub fn uri(self, address: SocketAddr) -> String {
        format!("sip:{address};transport={}", self.name())
    }
}

/// A word that no other message of this run has.
#[must_use]
pub fn token() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{:x}-{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A socket that speaks with one peer.
#[derive(Debug)]
pub struct Wire {
    socket: Socket,
    local: SocketAddr,
    peer: SocketAddr,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp { stream: TcpStream, read: Vec<u8>, closed: bool },
}

impl Wire {
    /// A UDP socket bound to `local` (port 0: any).
    ///
    /// # Panics
    /// If the address is taken.
    #[must_use]
    pub fn udp(local: SocketAddr, peer: SocketAddr) -> Self {
        // A port that a message names may be that of somebody's socket on all addresses, for as long as that one lives.
        let end = Instant::now() + BIND_LIMIT;
        let socket = loop {
            match UdpSocket::bind(local) {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => sleep(BIND_PAUSE),
                bound => break bound.expect("a socket"),
            }
        };
        let local = socket.local_addr().expect("an address");
        Self { socket: Socket::Udp(socket), local, peer }
    }

    /// A TCP connection.
    ///
    /// # Panics
    /// If it is refused.
    #[must_use]
    pub fn tcp(peer: SocketAddr) -> Self {
        Self::try_tcp(peer).expect("a connection")
    }

    /// A TCP connection, or the reason why there is none.
    ///
    /// # Errors
    /// Those of connecting.
    pub fn try_tcp(peer: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect_timeout(&peer, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Self { socket: Socket::Tcp { stream, read: Vec::new(), closed: false }, local, peer })
    }

    /// A socket of either transport, from any port of the IP address of `local`.
    #[must_use]
    pub fn new(transport: Transport, local: SocketAddr, peer: SocketAddr) -> Self {
        match transport {
            Transport::Udp => Self::udp(local, peer),
            Transport::Tcp => Self::tcp(peer),
        }
    }

    /// Its transport.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self.socket {
            Socket::Udp(_) => Transport::Udp,
            Socket::Tcp { .. } => Transport::Tcp,
        }
    }

    /// Its own address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The address that it sends to.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends bytes. A connection that the peer has closed is no error: [`Wire::receive`] shows it.
    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.socket {
            // A closed port may be reported here; what matters is what is received.
            Socket::Udp(socket) => drop(socket.send_to(bytes, self.peer)),
            Socket::Tcp { stream, closed, .. } => *closed |= stream.write_all(bytes).is_err(),
        }
    }

    /// The next message, or nothing after `limit`.
    pub fn receive(&mut self, limit: Duration) -> Option<Message> {
        let end = Instant::now() + limit;
        let mut buffer = [0; 65_536];
        loop {
            if let Socket::Tcp { read, .. } = &mut self.socket
                && let Some((message, length)) = Message::read(read, true)
            {
                read.drain(..length);
                return Some(message);
            }
            let left = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            match &mut self.socket {
                Socket::Udp(socket) => {
                    socket.set_read_timeout(Some(left)).expect("a timeout");
                    let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
                    if let Some((message, _)) = Message::read(&buffer[..length], false) {
                        return Some(message);
                    }
                }
                Socket::Tcp { closed: true, .. } => return None,
                Socket::Tcp { stream, read, closed } => {
                    stream.set_read_timeout(Some(left)).expect("a timeout");
                    match stream.read(&mut buffer) {
                        Ok(0) => *closed = true,
                        Ok(length) => read.extend_from_slice(&buffer[..length]),
                        Err(error) if is_timeout(&error) => {}
                        Err(_) => *closed = true,
                    }
                }
            }
        }
    }

    /// The first final response within `limit`.
    pub fn final_response(&mut self, limit: Duration) -> Option<Message> {
        let end = Instant::now() + limit;
        loop {
            let message = self.receive(end.saturating_duration_since(Instant::now()))?;
            if message.status().is_some_and(|status| status >= 200) {
                return Some(message);
            }
        }
    }

    /// True if the peer closes the connection within `limit`. Messages that come before that are dropped.
    pub fn is_closed_within(&mut self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        loop {
            let got = self.receive(end.saturating_duration_since(Instant::now()));
            match self.socket {
                Socket::Tcp { closed: true, .. } => return true,
                _ if got.is_none() => return false,
                _ => {}
            }
        }
    }

    /// A request outside of a dialog, complete but for what `more` adds (lines with CRLF).
    #[must_use]
    pub fn request(&self, method: &str, uri: &str, more: &str) -> String {
        let (id, transport, local) = (token(), self.transport(), self.local);
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via} {local};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:tester@{local}>;tag=f{id}\r\nTo: <{uri}>\r\nCall-ID: {id}@tests\r\nCSeq: 1 {method}\r\n\
             Contact: <{contact}>\r\n{more}Content-Length: 0\r\n\r\n",
            via = transport.via(),
            contact = transport.uri(local),
        )
    }

    /// Sends a request and returns its final response.
    pub fn ask(&mut self, method: &str, uri: &str, more: &str, limit: Duration) -> Option<Message> {
        let request = self.request(method, uri, more);
        self.send(request.as_bytes());
        self.final_response(limit)
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// True if `address` answers OPTIONS.
pub(super) fn answers(transport: Transport, address: SocketAddr) -> bool {
    let local = if address.is_ipv6() { "[::1]:0".to_owned() } else { format!("{}:0", address.ip()) };
    let mut wire = match transport {
        Transport::Udp => Wire::udp(local.parse().expect("an address"), address),
        Transport::Tcp => match Wire::try_tcp(address) {
            Ok(wire) => wire,
            Err(_) => return false,
        },
    };
    wire.ask("OPTIONS", &format!("sip:{address}"), "", Duration::from_millis(200)).is_some()
}
