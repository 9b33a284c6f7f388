//! The media socket of a party: what it says of itself in SDP, and packets whose every byte counts.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a packet may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A party's media socket.
#[derive(Debug)]
pub struct Media {
    socket: UdpSocket,
    version: u32,
}

impl Media {
    /// A socket on any port of `ip`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn new(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        Self { socket, version: 0 }
    }

    /// Its address.
    ///
    /// # Panics
    /// If the socket has none.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    /// A session description of it, with this direction (`sendrecv`, `sendonly` and so on). Each one is newer than the last.
    pub fn sdp(&mut self, direction: &str) -> String {
        self.version += 1;
        let (ip, port) = (self.address().ip(), self.address().port());
        format!(
            "v=0\r\no=- 77 {} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
             a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
            self.version
        )
    }

    /// An RTP packet of 20 ms, whose bytes are those of no other sequence number and no other socket.
    #[must_use]
    pub fn packet(&self, sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&u32::from(self.address().port()).to_be_bytes());
        packet.extend((0..160u16).map(|at| (at ^ sequence) as u8));
        packet
    }

    /// Sends packet `sequence`.
    ///
    /// # Panics
    /// If the address cannot be sent to.
    pub fn send(&self, to: SocketAddr, sequence: u16) {
        self.socket.send_to(&self.packet(sequence), to).expect("a packet is sent");
    }

    /// The next packet, and where it came from.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    #[must_use]
    pub fn receive(&self) -> (Vec<u8>, SocketAddr) {
        self.receive_within(LIMIT).expect("a packet")
    }

    /// The next packet within `limit`, if there is one.
    ///
    /// # Panics
    /// If the socket takes no limit.
    #[must_use]
    pub fn receive_within(&self, limit: Duration) -> Option<(Vec<u8>, SocketAddr)> {
        self.socket.set_read_timeout(Some(limit)).expect("a timeout");
        let mut bytes = vec![0; 2_048];
        let (length, from) = self.socket.recv_from(&mut bytes).ok()?;
        bytes.truncate(length);
        Some((bytes, from))
    }
}

/// Where a session description says that audio goes.
///
/// # Panics
/// If it does not say.
#[must_use]
#[track_caller]
pub fn audio_of(sdp: &[u8]) -> SocketAddr {
    let text = String::from_utf8_lossy(sdp);
    let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix).map(str::to_owned));
    let ip = line("c=IN IP4 ").unwrap_or_else(|| panic!("no address in {text}"));
    let port = line("m=audio ").and_then(|rest| rest.split(' ').next().map(str::to_owned));
    let port = port.unwrap_or_else(|| panic!("no audio in {text}"));
    format!("{ip}:{port}").parse().unwrap_or_else(|_| panic!("no address in {text}"))
}

/// Sends `count` packets each way, and demands that each arrives as it was sent, from where the receiver sends to.
///
/// # Panics
/// If one does not.
#[track_caller]
pub fn talk(a: (&Media, SocketAddr), b: (&Media, SocketAddr), sequences: std::ops::Range<u16>) {
    for sequence in sequences {
        for ((from, to), (receiver, shown)) in [(a, b), (b, a)] {
            from.send(to, sequence);
            let (bytes, source) = receiver.receive();
            assert_eq!(source, shown, "packet {sequence} comes from elsewhere");
            assert!(bytes == from.packet(sequence), "packet {sequence} has changed");
        }
    }
}
