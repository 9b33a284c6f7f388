//! The connections of one shard: who they go to, who has something to read or to write.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};
use trunkline_core::error::ParseErrorKind;
use trunkline_core::flow::{ConnectionId, Flow, ListenerId};
use trunkline_core::wire::sip::frame::Frame;
use trunkline_core::wire::sip::transport::Transport;

use super::admission::{Admission, Permit};
use super::bind::{Listen, local_for};
use super::connection::{self, Connection};
use super::failed::Failed;
use super::settings::TcpSettings;
use super::stats::Stats;

/// Pause after a failed accept: what is short (file descriptors) does not come back within microseconds.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Bits of a connection's number below the shard.
const SHARD_SHIFT: u32 = 56;

/// Such a message is in order otherwise, so an engine would take it as one without a body.
const MISSING_LENGTH: ParseErrorKind = ParseErrorKind::Missing("Content-Length");

/// The shard that a connection belongs to.
pub(crate) const fn shard_of(connection: ConnectionId) -> u8 {
    (connection.0.get() >> SHARD_SHIFT) as u8
}

/// The table of connections.
pub(crate) struct Streams {
    pub(crate) settings: TcpSettings,
    shard: u8,
    listeners: Vec<Listen>,
    admission: Arc<Admission>,
    stats: Arc<Stats>,
    failed: Rc<Failed>,
    numbered: Cell<u64>,
    by_id: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    /// The newest connection of each path.
    by_path: RefCell<HashMap<(ListenerId, SocketAddr), ConnectionId>>,
    ready: RefCell<VecDeque<Rc<Connection>>>,
    dirty: RefCell<Vec<Rc<Connection>>>,
    gone: RefCell<VecDeque<ConnectionId>>,
    waker: RefCell<Option<Waker>>,
    /// Connections with a message that has begun and not ended.
    unfinished: Cell<usize>,
}

impl Streams {
    pub(crate) fn new(
        settings: TcpSettings,
        shard: u8,
        listeners: Vec<Listen>,
        admission: Arc<Admission>,
        stats: Arc<Stats>,
        failed: Rc<Failed>,
    ) -> Rc<Self> {
        Rc::new(Self {
            settings,
            shard,
            listeners,
            admission,
            stats,
            failed,
            numbered: Cell::new(0),
            by_id: RefCell::default(),
            by_path: RefCell::default(),
            ready: RefCell::default(),
            dirty: RefCell::default(),
            gone: RefCell::default(),
            waker: RefCell::default(),
            unfinished: Cell::new(0),
        })
    }

    /// Whether the shard has something to do for its connections; registers for a wake-up.
    pub(crate) fn poll_work(&self, cx: &Context<'_>) -> bool {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.has_work()
    }

    /// Whether the shard has something to do for its connections.
    pub(crate) fn has_work(&self) -> bool {
        !self.ready.borrow().is_empty() || !self.gone.borrow().is_empty()
    }

    fn wake_shard(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Accepts connections for as long as the shard runs.
    pub(crate) async fn accept(self: Rc<Self>, id: ListenerId, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.accepted(id, stream, peer),
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.stats.accept_errors.tick();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn accepted(self: &Rc<Self>, listener: ListenerId, stream: TcpStream, peer: SocketAddr) {
        let Some(permit) = self.admission.admit(Some(peer.ip())) else {
            self.stats.refused.tick();
            return;
        };
        self.stats.accepted.tick();
        let connection = self.insert(listener, peer, permit);
        spawn_local(connection::run(Rc::clone(self), connection, stream));
    }

    fn insert(&self, listener: ListenerId, peer: SocketAddr, permit: Permit) -> Rc<Connection> {
        let n = self.numbered.get() + 1;
        self.numbered.set(n);
        let id = ConnectionId(NonZeroU64::MIN.saturating_add((u64::from(self.shard) << SHARD_SHIFT) + n - 1));
        let connection = Connection::new(id, listener, peer, &self.settings, permit);
        self.by_id.borrow_mut().insert(id, Rc::clone(&connection));
        self.by_path.borrow_mut().insert((listener, peer), id);
        connection
    }

    /// Opens a connection; what is sent meanwhile waits for it.
    fn open(self: &Rc<Self>, listener: ListenerId, peer: SocketAddr) -> Option<Rc<Connection>> {
        let Some(permit) = self.admission.admit(None) else {
            self.stats.refused.tick();
            return None;
        };
        let connection = self.insert(listener, peer, permit);
        let local = self.listeners.iter().find(|l| l.id == listener).map(|l| l.addr);
        let (streams, opened) = (Rc::clone(self), Rc::clone(&connection));
        spawn_local(async move {
            let attempt = connect(local_for(peer, local), peer);
            match timeout(streams.settings.connect, attempt).await {
                Ok(Ok(stream)) => {
                    streams.stats.connected.tick();
                    connection::run(streams, opened, stream).await;
                }
                _ => {
                    streams.stats.connect_failures.tick();
                    streams.close(&opened);
                }
            }
        });
        Some(connection)
    }

    /// Puts a message into the write queue of its connection, of another one to the same peer, or of a new one
    /// (RFC 3261 §18.2.2). If it fails, `owner` is the shard that is told.
    pub(crate) fn send(self: &Rc<Self>, owner: u8, flow: &Flow, bytes: &[u8]) {
        let named = flow.connection.and_then(|id| self.by_id.borrow().get(&id).cloned());
        let other = || {
            let id = self.by_path.borrow().get(&(flow.listener, flow.peer)).copied()?;
            self.by_id.borrow().get(&id).cloned()
        };
        match named.or_else(other).or_else(|| self.open(flow.listener, flow.peer)) {
            Some(connection) => self.push(&connection, bytes, Some(owner)),
            None => self.fail(owner, flow.peer, bytes),
        }
    }

    fn push(&self, connection: &Rc<Connection>, bytes: &[u8], owner: Option<u8>) {
        let is_queued = connection.output.borrow_mut().push(bytes, owner);
        if is_queued {
            if !connection.is_dirty.replace(true) {
                self.dirty.borrow_mut().push(Rc::clone(connection));
            }
        } else {
            self.stats.closed_slow.tick();
            self.close(connection);
            if let Some(owner) = owner {
                self.fail(owner, connection.peer, bytes);
            }
        }
    }

    fn fail(&self, owner: u8, to: SocketAddr, bytes: &[u8]) {
        self.stats.send_failures.tick();
        if !self.failed.push(owner, to, bytes) {
            self.stats.failures_untold.tick();
        }
        self.wake_shard();
    }

    /// Writes what was queued in this turn. What the kernel does not take goes out by the connection's task.
    pub(crate) fn flush(&self) {
        loop {
            let Some(connection) = self.dirty.borrow_mut().pop() else { return };
            connection.is_dirty.set(false);
            self.written(&connection);
            if !connection.output.borrow().is_empty() {
                connection.wake_task();
            }
        }
    }

    /// Writes what waits at one connection, which may have become writable.
    pub(crate) fn written(&self, connection: &Rc<Connection>) {
        if connection.is_closed.get() {
            return;
        }
        match connection.write() {
            Ok(messages) => self.stats.stream_messages_out.add(messages),
            Err(_) => self.close(connection),
        }
    }

    /// Notes that there is input at a connection, or that it has come to its end.
    pub(crate) fn readable(&self, connection: &Rc<Connection>) {
        if !connection.is_ready.replace(true) {
            self.ready.borrow_mut().push_back(Rc::clone(connection));
        }
        self.wake_shard();
    }

    /// Cuts the next message from what has arrived into `message`.
    pub(crate) fn next_message(&self, message: &mut Vec<u8>) -> Option<Flow> {
        loop {
            let connection = self.ready.borrow().front().cloned()?;
            if !connection.is_closed.get() && self.cut(&connection, message) {
                self.stats.stream_messages_in.tick();
                return Some(Flow {
                    listener: connection.listener,
                    transport: Transport::Tcp,
                    peer: connection.peer,
                    connection: Some(connection.id),
                });
            }
            self.ready.borrow_mut().pop_front();
            connection.is_ready.set(false);
            if connection.is_waiting_for_room.get() {
                connection.wake_task();
            }
        }
    }

    /// Notes whether a message has begun and not ended. Of too many such the oldest loses its connection: who sends slowly
    /// keeps nobody out.
    fn set_unfinished(&self, connection: &Rc<Connection>, is_inside: bool) {
        let was_inside = connection.unfinished_since.get().is_some();
        if was_inside == is_inside {
            return;
        }
        connection.unfinished_since.set(is_inside.then(Instant::now));
        if !is_inside {
            return self.unfinished.set(self.unfinished.get().saturating_sub(1));
        }
        self.unfinished.set(self.unfinished.get() + 1);
        if self.unfinished.get() > self.settings.unfinished_messages {
            let since = |c: &&Rc<Connection>| c.unfinished_since.get();
            let oldest = self.by_id.borrow().values().filter(|c| since(c).is_some()).min_by_key(since).cloned();
            if let Some(oldest) = oldest {
                self.stats.closed_unfinished.tick();
                self.close(&oldest);
            }
        }
    }

    /// Cuts one message; false when there is no whole one left. Where the next one starts cannot be told, the header
    /// there is counts as the last one, so that it can be answered.
    fn cut(&self, connection: &Rc<Connection>, message: &mut Vec<u8>) -> bool {
        loop {
            let mut input = connection.input.borrow_mut();
            match input.next(message) {
                Ok(Frame::Message(_)) => {
                    self.set_unfinished(connection, false);
                    return true;
                }
                Ok(Frame::Ping(_)) => {
                    drop(input);
                    self.stats.pings.tick();
                    self.push(connection, b"\r\n", None);
                    if connection.is_closed.get() {
                        return false;
                    }
                }
                Ok(Frame::Blank(_)) => {}
                Ok(Frame::Incomplete) => {
                    let is_inside = input.is_inside();
                    drop(input);
                    self.set_unfinished(connection, is_inside);
                    if connection.has_ended.get() {
                        self.close(connection);
                    }
                    return false;
                }
                Err(error) => {
                    let is_held = input.lose(error, message);
                    drop(input);
                    self.stats.closed_malformed.tick();
                    self.set_unfinished(connection, false);
                    if !is_held || error.kind == MISSING_LENGTH {
                        self.close(connection);
                        return false;
                    }
                    connection.linger();
                    self.forget_path(connection);
                    return true;
                }
            }
        }
    }

    /// Closes a connection that has reached its deadline.
    pub(crate) fn expired(&self, connection: &Rc<Connection>) {
        if connection.is_lingering() {
            // Counted as what it is.
        } else if connection.unfinished_since.get().is_some() {
            self.stats.closed_unfinished.tick();
        } else {
            self.stats.closed_idle.tick();
        }
        self.close(connection);
    }

    /// Forgets a connection. What it can still write it writes; the rest is undelivered.
    pub(crate) fn close(&self, connection: &Rc<Connection>) {
        if connection.is_closed.get() {
            return;
        }
        if let Ok(messages) = connection.write() {
            self.stats.stream_messages_out.add(messages);
        }
        connection.is_closed.set(true);
        self.set_unfinished(connection, false);
        self.stats.closed.tick();
        self.by_id.borrow_mut().remove(&connection.id);
        self.forget_path(connection);
        connection.output.borrow_mut().fail(|owner, bytes| self.fail(owner, connection.peer, bytes));
        self.gone.borrow_mut().push_back(connection.id);
        connection.wake_task();
        self.wake_shard();
    }

    /// Nothing is to be sent to the peer over this connection but answers to what came by it.
    fn forget_path(&self, connection: &Connection) {
        let path = (connection.listener, connection.peer);
        let mut by_path = self.by_path.borrow_mut();
        if by_path.get(&path) == Some(&connection.id) {
            by_path.remove(&path);
        }
    }

    /// The next connection that is gone and was not told of.
    pub(crate) fn next_gone(&self) -> Option<ConnectionId> {
        self.gone.borrow_mut().pop_front()
    }
}

async fn connect(local: SocketAddr, peer: SocketAddr) -> io::Result<TcpStream> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !local.ip().is_unspecified() {
        socket.bind(local)?;
    }
    socket.connect(peer).await
}
