//! A UDP path that loses datagrams, by chance that a seed decides.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A relay between clients, who send to its front, and one server, who sees its back.
#[derive(Debug)]
pub struct Lossy {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    front: UdpSocket,
    back: UdpSocket,
    client: SocketAddr,
    server: SocketAddr,
    per_mille: u64,
    passed: AtomicU64,
    lost: AtomicU64,
    stop: AtomicBool,
}

impl Lossy {
    /// Relays between `client` and `server`; each way it loses `per_mille` of a thousand datagrams. The client sends to
    /// `front`; the server sees `back`.
    ///
    /// # Panics
    /// If an address is taken.
    #[must_use]
    pub fn start(client: SocketAddr, front: SocketAddr, back: SocketAddr, server: SocketAddr, per_mille: u64) -> Self {
        let bind = |address| {
            let socket = UdpSocket::bind(address).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
            socket
        };
        let shared = Arc::new(Shared {
            front: bind(front),
            back: bind(back),
            client,
            server,
            per_mille,
            passed: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let one_way = |seed: u64, forth: bool| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.relay(forth, seed))
        };
        let threads = vec![one_way(0x5eed_0001, true), one_way(0x5eed_0002, false)];
        Self { shared, threads }
    }

    /// Datagrams that passed, and those that were lost.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.shared.passed.load(Ordering::Relaxed), self.shared.lost.load(Ordering::Relaxed))
    }
}

impl Shared {
    fn relay(&self, forth: bool, mut seed: u64) {
        let mut buffer = [0; 65_536];
        let (from, by, to) =
            if forth { (&self.front, &self.back, self.server) } else { (&self.back, &self.front, self.client) };
        while !self.stop.load(Ordering::Relaxed) {
            let Ok((length, _)) = from.recv_from(&mut buffer) else { continue };
            if next(&mut seed) % 1000 < self.per_mille {
                self.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.passed.fetch_add(1, Ordering::Relaxed);
            let _ = by.send_to(&buffer[..length], to);
        }
    }
}

/// SplitMix64.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl Drop for Lossy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}
