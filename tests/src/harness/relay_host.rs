//! The relay of the core behind a control socket, in the test's own process. It answers control messages; it has no media
//! sockets, so it shows what is signalled and nothing else.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use trunkline_core::entropy::SeededEntropy;
use trunkline_core::machine::{Cx, Timed as _};
use trunkline_core::relay::media::{PortRange, SocketId};
use trunkline_core::relay::{Action, Capacity, Config, Event, Interface, Relay};
use trunkline_core::store::HashKey;
use trunkline_core::time::Instant;

/// How often the thread looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// A relay that runs until this is dropped.
#[derive(Debug)]
pub struct RelayHost {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RelayHost {
    /// Starts a relay with its control port on `address` and these interfaces (`label/address`, or
    /// `label/address!advertised`).
    ///
    /// # Panics
    /// If the address is taken, or an interface is none.
    #[must_use]
    pub fn start(address: SocketAddr, interfaces: &[String]) -> Self {
        let socket = UdpSocket::bind(address).expect("a control socket");
        socket.set_read_timeout(Some(LOOK)).expect("a timeout");
        let mut config = Config { reserve: 64, ..Config::default() };
        for interface in interfaces {
            config.interfaces.push(parse(interface)).expect("few interfaces");
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&socket, config, &stopped));
        Self { address, stop, thread: Some(thread) }
    }

    /// Its control address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RelayHost {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn parse(text: &str) -> Interface {
    let (label, address) = text.split_once('/').expect("label/address");
    let (bound, advertised) = address.split_once('!').unwrap_or((address, address));
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    Interface {
        label: label.try_into().expect("a short label"),
        bound: ip(bound),
        advertised: ip(advertised),
        ports: PortRange { min: 20_000, max: 29_999 },
    }
}

fn serve(control: &UdpSocket, config: Config, stop: &AtomicBool) {
    let start = std::time::Instant::now();
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let config = Config { unix_offset_us: unix.as_micros() as u64, ..config };
    let storage = Capacity::of_sessions(1_000).reserve(&config).expect("storage");
    let mut relay = Relay::new(config, storage, HashKey::new([7; 16])).expect("a relay");
    let mut entropy = SeededEntropy::new(1);
    let mut handle = |event: Event<'_>, peer: Option<SocketAddr>| {
        let now = Instant::from_micros(1 + start.elapsed().as_micros() as u64);
        let mut cx = Cx { now, entropy: &mut entropy };
        let mut opened = VecDeque::new();
        relay.handle(&mut cx, event, &mut |action: Action<'_>| act(control, peer, action, &mut opened));
        while let Some(socket) = opened.pop_front() {
            relay.handle(&mut cx, Event::Opened { socket }, &mut |action: Action<'_>| {
                act(control, peer, action, &mut opened);
            });
        }
        relay.next_deadline().is_some_and(|deadline| deadline <= now)
    };
    handle(Event::Timeout, None);
    let mut buffer = [0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, peer)) = control.recv_from(&mut buffer) else { continue };
        if handle(Event::Control { bytes: &buffer[..length] }, Some(peer)) {
            handle(Event::Timeout, None);
        }
    }
}

fn act(control: &UdpSocket, peer: Option<SocketAddr>, action: Action<'_>, opened: &mut VecDeque<SocketId>) {
    match (action, peer) {
        (Action::Open { socket, .. }, _) => opened.push_back(socket),
        (Action::Reply { bytes }, Some(peer)) => drop(control.send_to(bytes, peer)),
        _ => {}
    }
}
