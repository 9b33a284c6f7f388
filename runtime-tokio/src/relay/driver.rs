//! The relay's thread.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use tokio::sync::mpsc;
use tracing::{debug, error, trace, warn};
use trunkline_core::relay::media::{PacketBuf, SocketId};
use trunkline_core::relay::{Action, Event, Notice, Relay};
use trunkline_core::store::HashKey;
use trunkline_core::{Cx, Timed as _};

use super::gate::Gate;
use super::handle::{Command, Handle, Running, Shared};
use super::outlet::{Departure, Outlet};
use super::settings::Settings;
use super::sockets::Sockets;
use crate::io::{Clock, ServerEntropy};
use crate::sys::ReceiveBatch;

/// Datagrams taken from a socket in one call. Media comes one by one, so few wait.
const BATCH: usize = 16;
/// Calls for one socket before others have their turn.
const BATCHES_A_TURN: usize = 4;
/// Timeouts handled before packets are looked at again.
const TIMEOUTS_A_TURN: usize = 64;
/// Sockets that one wait tells of.
const EVENTS: usize = 1_024;
/// Commands of this process that may wait.
const COMMANDS_MAX: usize = 64;
/// Room for actions that wait for the end of a call into the relay.
const STAGED: usize = 1_024;

/// Tokens that are no number of a media socket; control sockets count down from the second.
const WAKER: Token = Token(usize::MAX);
const CONTROL: usize = usize::MAX - 1;
const CONTROL_MAX: usize = 64;

/// Starts a relay that takes commands on `control`, from those whom `gate` admits.
pub(crate) fn start(settings: Settings, control: Vec<UdpSocket>, gate: Gate) -> Result<Running, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("the relay cannot start: {what}: {error}");
    if control.len() > CONTROL_MAX {
        return Err(format!("the relay cannot start: it listens for commands on {CONTROL_MAX} addresses at most"));
    }
    let sockets_max = settings.sockets();
    let storage = settings.capacity.reserve(&settings.relay).map_err(|e| failed("memory", &e))?;
    let relay =
        Relay::new(settings.relay, storage, HashKey::new(rand::random())).map_err(|e| failed("settings", &e))?;
    let poll = Poll::new().map_err(|e| failed("epoll", &e))?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(|e| failed("epoll", &e))?);
    for (socket, at) in control.iter().zip(0..) {
        let registered =
            poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(CONTROL - at), Interest::READABLE);
        registered.map_err(|e| failed("epoll", &e))?;
    }
    let addresses: io::Result<Arc<[SocketAddr]>> = control.iter().map(UdpSocket::local_addr).collect();
    let registry = poll.registry().try_clone().map_err(|e| failed("epoll", &e))?;
    let (commands, received) = mpsc::channel(COMMANDS_MAX);
    let shared = Arc::<Shared>::default();
    let control_addresses = addresses.map_err(|e| failed("control sockets", &e))?;
    let handle = Handle { commands, waker, shared: Arc::clone(&shared), control: control_addresses };
    let sockets = Sockets::new(registry, sockets_max, settings.tos);
    let clock = settings.clock;
    let work = move || {
        // The batches hold pointers, so they are made on the thread that uses them.
        let driver = Driver {
            relay,
            sockets,
            poll,
            control,
            gate,
            commands: received,
            shared,
            clock,
            entropy: ServerEntropy::new(),
            received: ReceiveBatch::new(BATCH),
            outlet: Outlet::new(BATCH),
            staged: VecDeque::with_capacity(STAGED),
            unfinished: VecDeque::with_capacity(EVENTS),
        };
        driver.run();
    };
    let thread = thread::Builder::new().name("relay".to_owned()).spawn(work);
    Ok(Running { handle, thread: Some(thread.map_err(|e| failed("thread", &e))?) })
}

/// An action that changes sockets: done once the relay has returned.
enum Staged {
    Open(SocketId, SocketAddr),
    Close(SocketId),
}

struct Driver {
    relay: Relay<'static>,
    sockets: Sockets,
    poll: Poll,
    control: Vec<UdpSocket>,
    gate: Gate,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    clock: Clock,
    entropy: ServerEntropy,
    received: ReceiveBatch,
    outlet: Outlet,
    staged: VecDeque<Staged>,
    /// What has more to give than fitted into its turn. The kernel does not tell of it again.
    unfinished: VecDeque<Token>,
}

impl Driver {
    fn run(mut self) {
        // Opens the reserve of ports.
        self.feed(Event::Timeout);
        let mut events = Events::with_capacity(EVENTS);
        while !self.shared.stop.load(Ordering::Relaxed) {
            let timeout = match self.unfinished.len() {
                0 => self.relay.next_deadline().map(|at| at.since(self.clock.now())),
                _ => Some(Duration::ZERO),
            };
            match self.poll.poll(&mut events, timeout) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return error!("the relay cannot wait: {e}"),
                _ => {}
            }
            self.shared.stats.turns.tick();
            // Those that are unfinished from the last turn come first.
            for _ in 0..self.unfinished.len() {
                if let Some(token) = self.unfinished.pop_front() {
                    self.serve(token);
                }
            }
            events.iter().for_each(|event| self.serve(event.token()));
            self.expire();
        }
    }

    fn serve(&mut self, token: Token) {
        let is_finished = match token {
            WAKER => {
                self.obey();
                true
            }
            Token(at) if at > CONTROL - CONTROL_MAX => self.control(CONTROL - at),
            // Numbers of sockets have 32 bits.
            Token(at) => u32::try_from(at).is_ok_and(|at| self.media(SocketId(at))),
        };
        if !is_finished {
            self.unfinished.push_back(token);
        }
    }

    /// The hot path. False if more waits.
    fn media(&mut self, socket: SocketId) -> bool {
        for _ in 0..BATCHES_A_TURN {
            // An event may tell of a socket that was closed in the same turn.
            let Some(fd) = self.sockets.get(socket) else { return true };
            let received = match self.received.receive(fd) {
                Ok(received) => received,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    self.shared.stats.receive_errors.tick();
                    continue;
                }
            };
            let now = self.clock.now();
            for slot in 0..received {
                let Some((from, bytes, len)) = self.received.datagram_mut(slot) else { continue };
                let base = bytes.as_ptr().addr();
                let mut packet = PacketBuf::new(bytes, len);
                let mut cx = Cx { now, entropy: &mut self.entropy };
                let (outlet, staged) = (&mut self.outlet, &mut self.staged);
                self.relay.packet(&mut cx, socket, from, &mut packet, &mut |action: Action<'_>| match action {
                    Action::Forward { socket, to, packet, tos } => {
                        let start = packet.as_ptr().addr().wrapping_sub(base);
                        outlet.push(Departure { socket, tos, to, slot, start, len: packet.len() });
                    }
                    other => perform(other, staged, |_| {}),
                });
            }
            self.outlet.flush(&self.received, &mut self.sockets, &self.shared.stats);
            self.work_off();
            if received < self.received.capacity() {
                return true;
            }
        }
        false
    }

    /// Commands of control peers. False if more wait.
    fn control(&mut self, at: usize) -> bool {
        for _ in 0..BATCHES_A_TURN {
            let Some(socket) = self.control.get(at) else { return true };
            let received = match self.received.receive(socket.as_fd()) {
                Ok(received) => received,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => {
                    self.shared.stats.receive_errors.tick();
                    continue;
                }
            };
            for slot in 0..received {
                self.command(at, slot);
            }
            if received < self.received.capacity() {
                return true;
            }
        }
        false
    }

    fn command(&mut self, at: usize, slot: usize) {
        let (Some((from, bytes)), Some(socket)) = (self.received.datagram(slot), self.control.get(at)) else { return };
        if !self.gate.admits(from) {
            self.shared.stats.refused.tick();
            let refused = self.shared.stats.refused.value();
            if refused.is_power_of_two() {
                warn!("dropped {refused} commands for the relay from sources that are not listed, now from {from}");
            }
            return;
        }
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        let staged = &mut self.staged;
        self.relay.handle(&mut cx, Event::Control { bytes }, &mut |action: Action<'_>| {
            // A reply that finds no room is lost as one on the way is; the client asks again and gets the same.
            perform(action, staged, |reply| drop(socket.send_to(reply, from)));
        });
        self.work_off();
    }

    /// Runs what others in this process want.
    fn obey(&mut self) {
        while let Ok(command) = self.commands.try_recv() {
            let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
            let staged = &mut self.staged;
            command(&mut self.relay, &mut cx, &mut |action| perform(action, staged, |_| {}));
            self.work_off();
        }
    }

    fn expire(&mut self) {
        for _ in 0..TIMEOUTS_A_TURN {
            if self.relay.next_deadline().is_none_or(|at| at > self.clock.now()) {
                return;
            }
            self.feed(Event::Timeout);
        }
    }

    /// Hands the relay an event that nobody waits for an answer to, and does what follows.
    fn feed(&mut self, event: Event<'_>) {
        self.hand(event);
        self.work_off();
    }

    fn hand(&mut self, event: Event<'_>) {
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        let staged = &mut self.staged;
        self.relay.handle(&mut cx, event, &mut |action: Action<'_>| perform(action, staged, |_| {}));
    }

    /// Opens and closes sockets and tells the relay, until nothing is left to be done.
    fn work_off(&mut self) {
        while let Some(action) = self.staged.pop_front() {
            let event = match action {
                Staged::Close(socket) => {
                    self.sockets.close(socket);
                    continue;
                }
                Staged::Open(socket, local) => match self.sockets.open(socket, local) {
                    Ok(()) => Event::Opened { socket },
                    Err(e) => {
                        trace!("media port {local} cannot be had: {e}");
                        Event::OpenFailed { socket }
                    }
                },
            };
            self.hand(event);
        }
    }
}

/// Does what can be done while the relay runs, and stages the rest.
fn perform(action: Action<'_>, staged: &mut VecDeque<Staged>, reply: impl FnOnce(&[u8])) {
    match action {
        Action::Open { socket, local } => staged.push_back(Staged::Open(socket, local)),
        Action::Close { socket } => staged.push_back(Staged::Close(socket)),
        Action::Reply { bytes } => reply(bytes),
        Action::Notice(notice @ Notice::Unanswerable) => trace!("{notice}"),
        Action::Notice(notice) => debug!("{notice}"),
        // Packets leave by the hot path only, and a socket that is not connected can do all that a settled one does.
        _ => {}
    }
}
