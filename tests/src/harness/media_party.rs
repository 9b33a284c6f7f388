//! A party to a call's media: sockets for RTP and RTCP, and packets that can be told apart.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a packet may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a party listens before it says that there is nothing.
const SILENCE: Duration = Duration::from_millis(250);

/// A party with a socket for RTP and one for RTCP beside it.
#[derive(Debug)]
pub struct MediaParty {
    /// The socket for RTP.
    pub rtp: UdpSocket,
    /// The socket for RTCP, on the next port.
    pub rtcp: UdpSocket,
    /// Where the other side wants its RTP.
    pub to: Option<SocketAddr>,
    ssrc: u32,
}

impl MediaParty {
    /// A party on `local` and the port after it.
    ///
    /// # Panics
    /// If a port is taken.
    #[must_use]
    pub fn new(local: SocketAddr) -> Self {
        let bind = |port| {
            let socket = UdpSocket::bind((local.ip(), port)).expect("a port");
            socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
            socket
        };
        let ssrc = u32::from(local.port()) << 16 | 0xabc;
        Self { rtp: bind(local.port()), rtcp: bind(local.port() + 1), to: None, ssrc }
    }

    /// The address of the socket for RTP.
    ///
    /// # Panics
    /// If the socket has none.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("an address")
    }

    /// A session description with one audio stream to this party; `more` are attribute lines with CRLF.
    #[must_use]
    pub fn sdp(&self, more: &str) -> String {
        sdp(self.address(), more)
    }

    /// Takes the address to send to from a session description.
    ///
    /// # Panics
    /// If it holds none.
    #[track_caller]
    pub fn aim(&mut self, sdp: &str) {
        self.to = Some(media_address(sdp).unwrap_or_else(|| panic!("no address in {sdp:?}")));
    }

    /// Where the other side wants its RTP.
    ///
    /// # Panics
    /// If that is not known.
    #[must_use]
    pub fn target(&self) -> SocketAddr {
        self.to.expect("an address to send to")
    }

    /// The RTP packet number `sequence` of this party.
    #[must_use]
    pub fn packet(&self, sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend((0..160).map(|at| (at as u8) ^ (sequence as u8)));
        packet
    }

    /// A receiver report of this party (RFC 3550 §6.4.2).
    #[must_use]
    pub fn report(&self) -> Vec<u8> {
        let mut report = vec![0x80, 201, 0, 1];
        report.extend_from_slice(&self.ssrc.to_be_bytes());
        report
    }

    /// Sends packet number `sequence`.
    ///
    /// # Panics
    /// If it cannot be sent.
    pub fn send(&self, sequence: u16) {
        self.rtp.send_to(&self.packet(sequence), self.target()).expect("a packet");
    }

    /// Takes one packet, which must be number `sequence` of `other`, from the address that this party sends to.
    ///
    /// # Panics
    /// If none comes, or another.
    #[track_caller]
    pub fn expect(&self, other: &Self, sequence: u16) {
        let Some((packet, from)) = receive(&self.rtp) else { panic!("packet {sequence} does not come") };
        assert_eq!(packet, other.packet(sequence), "packet {sequence}");
        assert_eq!(Some(from), self.to, "packet {sequence} comes from where this party sends to");
    }

    /// True if no RTP is there, nor comes in a short time.
    ///
    /// # Panics
    /// If the socket is of no use.
    #[must_use]
    pub fn hears_nothing(&self) -> bool {
        self.rtp.set_read_timeout(Some(SILENCE)).expect("a time-out");
        let heard = receive(&self.rtp);
        self.rtp.set_read_timeout(Some(LIMIT)).expect("a time-out");
        heard.is_none()
    }

    /// Sends a receiver report to `other` by the ports for RTCP, and waits for it there.
    ///
    /// # Panics
    /// If it does not come, or not as it was sent.
    #[track_caller]
    pub fn report_to(&self, other: &Self) {
        self.rtcp.send_to(&self.report(), beside(self.target())).expect("a packet");
        let received = receive(&other.rtcp);
        assert_eq!(received, Some((self.report(), beside(other.target()))), "a report");
    }
}

/// Sends packets `first` to `first + count - 1` both ways, and compares each one that comes.
#[track_caller]
pub fn converse(a: &MediaParty, b: &MediaParty, first: u16, count: u16) {
    for sequence in first..first + count {
        a.send(sequence);
        b.expect(a, sequence);
        b.send(sequence);
        a.expect(b, sequence);
    }
}

/// A session description with one audio stream to `address`; `more` are attribute lines with CRLF.
#[must_use]
pub fn sdp(address: SocketAddr, more: &str) -> String {
    let (ip, port, family) = (address.ip(), address.port(), if address.is_ipv4() { "IP4" } else { "IP6" });
    format!(
        "v=0\r\no=- 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n\
         a=rtpmap:8 PCMA/8000\r\n{more}"
    )
}

/// The address of the audio stream in a session description.
#[must_use]
pub fn media_address(sdp: &str) -> Option<SocketAddr> {
    let after = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start));
    let port = after("m=audio ")?.split(' ').next()?.parse().ok()?;
    let ip = after("c=IN IP4 ").or_else(|| after("c=IN IP6 "))?.trim().parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

/// One packet and its source; nothing if none comes before the socket's time-out.
#[must_use]
pub fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut room = [0; 2048];
    let (length, from) = socket.recv_from(&mut room).ok()?;
    Some((room[..length].to_vec(), from))
}

fn beside(rtp: SocketAddr) -> SocketAddr {
    SocketAddr::new(rtp.ip(), rtp.port() + 1)
}
