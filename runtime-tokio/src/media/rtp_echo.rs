//! One call's media, sent back to where it comes from.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::agent::{Counters, Legs};
use super::ports::{bind, ip_towards, unspecified};
use super::sdp::MediaPath;
use super::settings::Settings;

/// Longest RTP packet echoed: an Ethernet frame's worth and some.
const PACKET_MAX: usize = 2_048;
/// Length of an RTP header without extensions (RFC 3550 §5.1).
const RTP_HEADER: usize = 12;

/// The echoes of one media server. Dropping it closes them.
pub(super) struct Echoes {
    settings: Settings,
    counters: Arc<Counters>,
    open: HashMap<u64, Echo>,
}

struct Echo {
    path: watch::Sender<MediaPath>,
    task: AbortHandle,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Echoes {
    pub(super) fn new(settings: Settings, counters: Arc<Counters>) -> Self {
        Self { settings, counters, open: HashMap::new() }
    }

    fn start(&self, peer: IpAddr) -> io::Result<(SocketAddr, Echo)> {
        let advertised = match self.settings.media_ip {
            Some(ip) => ip,
            None => ip_towards(peer)?,
        };
        let socket = match bind(advertised, &self.settings.rtp_ports) {
            // An address that is written into SDP need not be one of this machine.
            Err(e) if e.kind() == io::ErrorKind::AddrNotAvailable && self.settings.media_ip.is_some() => {
                bind(unspecified(advertised), &self.settings.rtp_ports)?
            }
            bound => bound?,
        };
        let socket = UdpSocket::from_std(socket)?;
        let address = SocketAddr::new(advertised, socket.local_addr()?.port());
        let (path, watched) = watch::channel(MediaPath { remote: None, send: true });
        let task = tokio::spawn(run(socket, watched, Arc::clone(&self.counters))).abort_handle();
        Ok((address, Echo { path, task }))
    }
}

impl Legs for Echoes {
    fn open(&mut self, call: u64, peer: IpAddr) -> Option<SocketAddr> {
        let (address, echo) = self.start(peer).ok()?;
        self.open.insert(call, echo);
        Some(address)
    }

    fn set_path(&mut self, call: u64, path: MediaPath) {
        if let Some(echo) = self.open.get(&call) {
            echo.path.send_replace(path);
        }
    }

    fn close(&mut self, call: u64) {
        self.open.remove(&call);
    }
}

/// Where a peer's media come from. The first source is taken, whatever SDP says, since NAT changes it; after that only
/// the address in SDP may take over, and a new description starts again.
#[derive(Debug, Default)]
struct Learned {
    source: Option<SocketAddr>,
}

impl Learned {
    fn accepts(&mut self, source: SocketAddr, described: Option<SocketAddr>) -> bool {
        if self.source.is_none() || described == Some(source) {
            self.source = Some(source);
        }
        self.source == Some(source)
    }
}

async fn run(socket: UdpSocket, mut path: watch::Receiver<MediaPath>, counters: Arc<Counters>) {
    // An own SSRC: a peer that saw its own come back would take it for a loop (RFC 3550 §8.2).
    let ssrc = rand::random::<[u8; 4]>();
    let mut learned = Learned::default();
    let mut packet = [0; PACKET_MAX];
    loop {
        // An error is that of a packet sent before, which the peer did not take.
        let Ok((len, source)) = socket.recv_from(&mut packet).await else { continue };
        if path.has_changed().unwrap_or(false) {
            learned = Learned::default();
        }
        let now = *path.borrow_and_update();
        let packet = &mut packet[..len];
        if !is_rtp(packet) {
            continue;
        }
        if !learned.accepts(source, now.remote) {
            counters.rtp_strangers.fetch_add(1, Relaxed);
            continue;
        }
        counters.rtp_packets.fetch_add(1, Relaxed);
        if now.send {
            packet[8..RTP_HEADER].copy_from_slice(&ssrc);
            let _ = socket.try_send_to(packet, source);
        }
    }
}

/// Whether a packet is RTP of version 2, and no RTCP (RFC 5761 §4).
fn is_rtp(packet: &[u8]) -> bool {
    packet.len() >= RTP_HEADER && packet[0] >> 6 == 2 && !(192..=223).contains(&packet[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_stays_until_the_described_one_speaks() {
        let [first, stranger, described] =
            ["192.0.2.1:4000", "192.0.2.2:4000", "192.0.2.3:4000"].map(|a| a.parse::<SocketAddr>().unwrap());
        let mut learned = Learned::default();
        assert!(learned.accepts(first, Some(described)));
        assert!(!learned.accepts(stranger, Some(described)));
        assert!(learned.accepts(first, Some(described)));
        assert!(learned.accepts(described, Some(described)));
        assert!(!learned.accepts(first, Some(described)));
    }

    #[test]
    fn only_rtp_is_echoed() {
        let mut packet = [0u8; 12];
        assert!(!is_rtp(&packet));
        packet[0] = 0x80;
        assert!(is_rtp(&packet));
        assert!(!is_rtp(&packet[..11]));
        packet[1] = 200;
        assert!(!is_rtp(&packet), "an RTCP sender report");
    }
}
