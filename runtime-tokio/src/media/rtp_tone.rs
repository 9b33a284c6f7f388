//! One call's media on the calling side: sends the tone, and checks what comes back.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::calls::Ends;
use super::ports::bind;
use super::tone;

/// Time between two packets.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// How long the last packets may take to come back.
const GRACE: Duration = Duration::from_millis(200);
/// What comes back later than this would be heard as a gap.
const LATE: Duration = Duration::from_millis(150);
/// Packets whose time of sending is remembered: 2.56 s of them.
const WINDOW: usize = 128;
const RTP_HEADER: usize = 12;
const PCMU: u8 = 0;

/// What became of the packets of a call, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaStats {
    /// Packets sent.
    pub sent: u64,
    /// Packets that came back as they were sent.
    pub echoed: u64,
    /// Of these, how many came too late to be played (150 ms).
    pub late: u64,
    /// Packets that came back with another payload, or that nobody sent.
    pub altered: u64,
}

impl MediaStats {
    /// Packets that did not come back.
    pub const fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.echoed)
    }

    /// Adds up.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            echoed: self.echoed + other.echoed,
            late: self.late + other.late,
            altered: self.altered + other.altered,
        }
    }
}

/// What a finished call reports.
pub(super) type Report = (u64, MediaStats);

enum Tone {
    Open(UdpSocket),
    Running(oneshot::Sender<()>),
}

/// The tones of one caller.
pub(super) struct Tones {
    open: HashMap<u64, Tone>,
    ports: RangeInclusive<u16>,
    reports: mpsc::UnboundedSender<Report>,
}

impl Tones {
    /// No tones. Each one that was opened reports once: the channel holds no more than there are calls.
    pub(super) fn new(ports: RangeInclusive<u16>, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self { open: HashMap::new(), ports, reports }
    }

    fn report(&self, call: u64, stats: MediaStats) {
        // The receiver is gone when the caller is.
        let _ = self.reports.send((call, stats));
    }
}

impl Ends for Tones {
    fn open(&mut self, call: u64, ip: IpAddr) -> Option<SocketAddr> {
        let open = || -> io::Result<_> {
            let socket = UdpSocket::from_std(bind(ip, &self.ports)?)?;
            Ok((socket.local_addr()?, socket))
        };
        let (address, socket) = open().ok()?;
        self.open.insert(call, Tone::Open(socket));
        Some(address)
    }

    fn start(&mut self, call: u64, remote: SocketAddr, hold: Duration) {
        let Some(Tone::Open(socket)) = self.open.remove(&call) else { return };
        let (stop, stopped) = oneshot::channel();
        self.open.insert(call, Tone::Running(stop));
        let reports = self.reports.clone();
        tokio::spawn(async move {
            let stats = run(&socket, remote, hold, stopped).await;
            let _ = reports.send((call, stats));
        });
    }

    fn stop(&mut self, call: u64) {
        match self.open.remove(&call) {
            Some(Tone::Open(_)) => self.report(call, MediaStats::default()),
            Some(Tone::Running(stop)) => {
                // An error means that it is over, and has reported.
                let _ = stop.send(());
            }
            None => {}
        }
    }
}

/// One stream, and what is known of its packets on the way.
struct Stream {
    ssrc: [u8; 4],
    first_sequence: u16,
    first_timestamp: u32,
    sent_at: [Option<Instant>; WINDOW],
    stats: MediaStats,
}

impl Stream {
    fn new() -> Self {
        Self {
            ssrc: rand::random(),
            first_sequence: rand::random(),
            first_timestamp: rand::random(),
            sent_at: [None; WINDOW],
            stats: MediaStats::default(),
        }
    }

    fn next_packet(&mut self, now: Instant) -> Vec<u8> {
        // Both wrap, as RTP has it.
        let n = self.stats.sent as u16;
        let sequence = self.first_sequence.wrapping_add(n);
        let timestamp =
            self.first_timestamp.wrapping_add((self.stats.sent as u32).wrapping_mul(tone::PACKET_SAMPLES as u32));
        let mut packet = Vec::with_capacity(RTP_HEADER + tone::PACKET_SAMPLES);
        // The marker bit stands at the start of the talkspurt (RFC 3551 §4.1).
        packet.extend_from_slice(&[0x80, PCMU | if self.stats.sent == 0 { 0x80 } else { 0 }]);
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc);
        packet.extend_from_slice(tone::payload(n));
        self.sent_at[usize::from(n) % WINDOW] = Some(now);
        self.stats.sent += 1;
        packet
    }

    fn heard(&mut self, packet: &[u8], now: Instant) {
        let Some((header, payload)) = packet.split_first_chunk::<RTP_HEADER>() else {
            self.stats.altered += 1;
            return;
        };
        let n = u16::from_be_bytes([header[2], header[3]]).wrapping_sub(self.first_sequence);
        let age = (self.stats.sent as u16).wrapping_sub(n);
        let known = age > 0 && usize::from(age) <= WINDOW && u64::from(age) <= self.stats.sent;
        if header[0] != 0x80 || header[1] & 0x7f != PCMU || payload != tone::payload(n) || !known {
            self.stats.altered += 1;
            return;
        }
        // A packet counts once; its second copy has no time of sending any more.
        if let Some(sent_at) = self.sent_at[usize::from(n) % WINDOW].take() {
            self.stats.echoed += 1;
            self.stats.late += u64::from(now.duration_since(sent_at) > LATE);
        }
    }

    const fn is_complete(&self) -> bool {
        self.stats.lost() == 0
    }
}

async fn run(socket: &UdpSocket, remote: SocketAddr, hold: Duration, mut stop: oneshot::Receiver<()>) -> MediaStats {
    let mut stream = Stream::new();
    let mut ticks = tokio::time::interval(PACKET_TIME);
    let end = tokio::time::sleep(hold);
    tokio::pin!(end);
    let mut sending = true;
    let mut buffer = [0; 2_048];
    loop {
        tokio::select! {
            biased;
            _ = &mut stop => break,
            received = socket.recv(&mut buffer) => {
                if let Ok(len) = received {
                    stream.heard(&buffer[..len], Instant::now());
                }
                if !sending && stream.is_complete() {
                    break;
                }
            }
            () = &mut end => {
                if !sending || stream.is_complete() {
                    break;
                }
                sending = false;
                end.as_mut().reset(Instant::now() + GRACE);
            }
            _ = ticks.tick(), if sending => {
                let packet = stream.next_packet(Instant::now());
                // What cannot be sent counts as lost.
                let _ = socket.send_to(&packet, remote).await;
            }
        }
    }
    stream.stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_count_once_and_only_as_they_were_sent() {
        let now = Instant::now();
        let mut stream = Stream::new();
        let packets: Vec<_> = (0..3).map(|_| stream.next_packet(now)).collect();
        stream.heard(&packets[0], now);
        stream.heard(&packets[0], now);
        stream.heard(&packets[2], now + LATE + Duration::from_millis(1));
        let mut altered = packets[1].clone();
        altered[20] ^= 1;
        stream.heard(&altered, now);
        let mut unsent = packets[2].clone();
        unsent[2..4].copy_from_slice(&stream.first_sequence.wrapping_add(3).to_be_bytes());
        stream.heard(&unsent, now);
        stream.heard(&packets[1][..11], now);
        assert_eq!(stream.stats, MediaStats { sent: 3, echoed: 2, late: 1, altered: 3 });
        assert_eq!(stream.stats.lost(), 1);
    }

    #[test]
    fn a_long_stream_wraps() {
        let now = Instant::now();
        let mut stream = Stream::new();
        for _ in 0..70_000 {
            let packet = stream.next_packet(now);
            stream.heard(&packet, now);
        }
        assert_eq!(stream.stats, MediaStats { sent: 70_000, echoed: 70_000, late: 0, altered: 0 });
    }
}
