//! Addresses and a directory of a test's own.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// The port that a place is held by; nobody else listens on it in 127.0.0.0/8.
const HOLD: u16 = 4999;
/// Ports on `::1` that belong to one place.
const V6_PORTS: u16 = 16;

/// The loopback network 127.x.y.0/24, some ports of `::1` and a directory, all of one test.
#[derive(Debug)]
pub struct Place {
    net: [u8; 2],
    v6: u16,
    dir: TempDir,
    _hold: TcpListener,
    _hold_v6: Option<UdpSocket>,
    _turn: File,
}

impl Place {
    /// A place for a test that may run beside others.
    #[must_use]
    pub fn shared() -> Self {
        Self::new(FlockOperation::LockShared)
    }

    /// A place for a test that loads the machine: it waits until no other test runs, and lets none start.
    #[must_use]
    pub fn alone() -> Self {
        Self::new(FlockOperation::LockExclusive)
    }

    fn new(turn: FlockOperation) -> Self {
        let lock = File::create(std::env::temp_dir().join("trunkline-tests.lock")).expect("the lock of all tests");
        flock(&lock, turn).expect("a turn");
        let (net, hold) = hold_net();
        let (v6, hold_v6) = hold_v6();
        let dir = tempfile::Builder::new().prefix("trunkline-").tempdir().expect("a directory");
        Self { net, v6, dir, _hold: hold, _hold_v6: hold_v6, _turn: lock }
    }

    /// The IPv4 address of host `host`.
    #[must_use]
    pub fn ip(&self, host: u8) -> IpAddr {
        Ipv4Addr::new(127, self.net[0], self.net[1], host).into()
    }

    /// Port 5060 of host `host`.
    #[must_use]
    pub fn at(&self, host: u8) -> SocketAddr {
        SocketAddr::new(self.ip(host), 5060)
    }

    /// The `n`-th of the ports on `::1`.
    ///
    /// # Panics
    /// If `n` is over what a place has (1 to 15).
    #[must_use]
    pub fn at_v6(&self, n: u16) -> SocketAddr {
        assert!((1..V6_PORTS).contains(&n));
        SocketAddr::new(Ipv6Addr::LOCALHOST.into(), self.v6 + n)
    }

    /// A path in the directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Candidates that differ between the processes and threads of a run.
fn candidates() -> impl Iterator<Item = u32> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(61).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
    (0..4000).map(move |n| first.wrapping_add(n))
}

fn hold_net() -> ([u8; 2], TcpListener) {
    candidates()
        .find_map(|n| {
            // 127.0.0.0/16 is where people's own programs listen.
            let net = [(n / 250 % 250 + 1) as u8, (n % 250 + 1) as u8];
            let hold = TcpListener::bind((Ipv4Addr::new(127, net[0], net[1], 254), HOLD)).ok()?;
            Some((net, hold))
        })
        .expect("a loopback network that nobody uses")
}

fn hold_v6() -> (u16, Option<UdpSocket>) {
    // Below the range that the kernel gives to sockets without a port.
    let mut ports = candidates().map(|n| 10_000 + (n % 1_300) as u16 * V6_PORTS);
    let held = ports.find_map(|port| Some((port, UdpSocket::bind((Ipv6Addr::LOCALHOST, port)).ok()?)));
    held.map_or((10_000, None), |(port, socket)| (port, Some(socket)))
}

/// Waits until `done`.
///
/// # Panics
/// If that takes longer than `limit`.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(10));
    }
}
