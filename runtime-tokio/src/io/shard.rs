//! Shards: the threads, what they wait for, and how others talk to them.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{spawn_local, yield_now};
use tokio::time::{Instant, Sleep, sleep_until};
use trunkline_core::machine::Cx;
use trunkline_core::node::action::{Action, Report};
use trunkline_core::node::pump::{self, Engine, Outbox as _};

use super::admission::Admission;
use super::bind::{Bound, Listen, ShardSockets};
use super::clock::{Clock, FAR};
use super::entropy::ServerEntropy;
use super::failed::Failed;
use super::handover::{Bell, Handover, Steer};
use super::inbox::{Inbox, Io};
use super::outbox::{Outbox, Reporter};
use super::settings::Settings;
use super::stats::Stats;
use super::streams::Streams;
use super::udp::UdpPort;

/// Commands that may wait at one shard.
const COMMANDS_MAX: usize = 64;
/// When to try a socket again that is full, if the system gave no means to learn when it is not.
const STUCK_RETRY: Duration = Duration::from_millis(5);

type Command<E> = Box<dyn FnOnce(&mut E, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) + Send>;

/// What one shard runs.
pub(crate) struct Parts<E> {
    /// The engine.
    pub(crate) engine: E,
    /// Takes its reports, on the shard's thread.
    pub(crate) reporter: Box<dyn FnMut(Report<'_>) + Send>,
}

impl<E: fmt::Debug> fmt::Debug for Parts<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// The shard has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the shard has stopped")
    }
}

impl std::error::Error for Stopped {}

/// A way to one shard, for any thread.
#[derive(Debug)]
pub(crate) struct ShardHandle<E> {
    commands: mpsc::Sender<Command<E>>,
    stats: Arc<Stats>,
}

impl<E> Clone for ShardHandle<E> {
    fn clone(&self) -> Self {
        Self { commands: self.commands.clone(), stats: Arc::clone(&self.stats) }
    }
}

impl<E: 'static> ShardHandle<E> {
    /// Runs `ask` on the shard's thread between two turns and gives its result. What it emits is sent.
    pub(crate) async fn ask<R, F>(&self, ask: F) -> Result<R, Stopped>
    where
        R: Send + 'static,
        F: FnOnce(&mut E, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> R + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(ask, answer)).await.map_err(|_| Stopped)?;
        answered.await.map_err(|_| Stopped)
    }

    /// Waits until the shard has stopped.
    pub(crate) async fn stopped(&self) {
        self.commands.closed().await;
    }

    /// What the shard has counted.
    pub(crate) fn stats(&self) -> &Stats {
        &self.stats
    }
}

fn command<E, R, F>(ask: F, answer: oneshot::Sender<R>) -> Command<E>
where
    R: Send + 'static,
    F: FnOnce(&mut E, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> R + Send + 'static,
{
    Box::new(move |engine, cx, out| {
        // Whoever asked may have gone.
        let _ = answer.send(ask(engine, cx, out));
    })
}

/// Running shards.
#[derive(Debug)]
pub(crate) struct Shards<E> {
    handles: Vec<ShardHandle<E>>,
    threads: Vec<JoinHandle<io::Result<E>>>,
    bells: Vec<Arc<Bell>>,
}

impl<E> Shards<E> {
    /// A way to each shard, in order.
    pub(crate) fn handles(&self) -> &[ShardHandle<E>] {
        &self.handles
    }

    /// Tells every shard to stop after the turn it is in. Whether calls should end first is the caller's to decide and
    /// the engine's to say.
    pub(crate) fn request_stop(&self) {
        for bell in &self.bells {
            bell.ring_to_stop();
        }
    }

    /// Waits for every shard to stop and gives back the engines. An error is that of a thread that could not set up its
    /// sockets.
    pub(crate) fn join(self) -> io::Result<Vec<E>> {
        let panicked = |_| io::Error::other("a shard's thread panicked");
        self.threads.into_iter().map(|thread| thread.join().map_err(panicked)?).collect()
    }
}

/// What a thread needs to become a shard.
struct Seed<E> {
    shard: u8,
    parts: Parts<E>,
    sockets: ShardSockets,
    listeners: Vec<Listen>,
    settings: Settings,
    steer: Arc<dyn Steer>,
    admission: Arc<Admission>,
    handover: Handover,
    bell: Arc<Bell>,
    stats: Arc<Stats>,
    clock: Clock,
    commands: mpsc::Receiver<Command<E>>,
}

/// Starts one thread a shard. `make` gives the parts of each, by its number; `clock` must be the one that the engines
/// were made with.
pub(crate) fn start<E: Engine + Send + 'static>(
    bound: Bound,
    settings: &Settings,
    steer: Arc<dyn Steer>,
    clock: Clock,
    mut make: impl FnMut(u8) -> Parts<E>,
) -> io::Result<Shards<E>> {
    let listeners = bound.listeners().to_vec();
    let n = bound.shards.len();
    let stats: Vec<Arc<Stats>> = (0..n).map(|_| Arc::default()).collect();
    let bells: Vec<Arc<Bell>> = (0..n).map(|_| Arc::default()).collect();
    let admission = Admission::new(settings.tcp.connections, settings.tcp.connections_per_source);
    let ends = Handover::mesh(settings.handover.max(1), &stats, &bells);
    let mut shards = Shards { handles: Vec::new(), threads: Vec::new(), bells };
    for ((shard, sockets), handover) in (0u8..).zip(bound.shards).zip(ends) {
        let stats = Arc::clone(&stats[usize::from(shard)]);
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        let seed = Seed {
            shard,
            parts: make(shard),
            sockets,
            listeners: listeners.clone(),
            settings: settings.clone(),
            steer: Arc::clone(&steer),
            admission: Arc::clone(&admission),
            handover,
            bell: Arc::clone(&shards.bells[usize::from(shard)]),
            stats: Arc::clone(&stats),
            clock,
            commands: received,
        };
        let started = thread::Builder::new().name(format!("shard-{shard}")).spawn(move || run(seed));
        match started {
            Ok(thread) => shards.threads.push(thread),
            Err(e) => {
                shards.request_stop();
                return Err(e);
            }
        }
        shards.handles.push(ShardHandle { commands, stats });
    }
    Ok(shards)
}

/// The life of a shard's thread.
fn run<E: Engine>(seed: Seed<E>) -> io::Result<E> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let mut shard = Shard::new(seed)?;
        shard.serve().await;
        Ok(shard.engine)
    })
}

struct Shard<E> {
    engine: E,
    io: Rc<Io>,
    inbox: Inbox,
    outbox: Outbox,
    entropy: ServerEntropy,
    clock: Clock,
    /// The alarm when there is no deadline.
    never: Instant,
    bell: Arc<Bell>,
    commands: mpsc::Receiver<Command<E>>,
}

/// Why a shard wakes up.
enum Woken<E> {
    Work,
    Command(Command<E>),
}

impl<E: Engine> Shard<E> {
    fn new(seed: Seed<E>) -> io::Result<Self> {
        let Seed { shard, parts, sockets, listeners, settings, steer, admission, handover, stats, .. } = seed;
        let failed: Rc<Failed> = Rc::default();
        let streams = Streams::new(settings.tcp, shard, listeners, admission, Arc::clone(&stats), Rc::clone(&failed));
        let mut ports = Vec::with_capacity(sockets.udp.len());
        for (id, socket) in sockets.udp {
            ports.push(UdpPort::new(id, socket, settings.send_queue, Arc::clone(&stats))?);
        }
        for (id, listener) in sockets.tcp {
            spawn_local(Rc::clone(&streams).accept(id, TcpListener::from_std(listener)?));
        }
        let io = Rc::new(Io { shard, ports, streams, handover: RefCell::new(handover), failed, steer, stats });
        Ok(Self {
            engine: parts.engine,
            inbox: Inbox::new(Rc::clone(&io), settings.receive_batch),
            outbox: Outbox::new(Rc::clone(&io), parts.reporter as Reporter),
            io,
            entropy: ServerEntropy::new(),
            clock: seed.clock,
            never: Instant::now() + FAR,
            bell: seed.bell,
            commands: seed.commands,
        })
    }

    /// Turns the pump whenever there is something to do, and sleeps exactly until there is.
    async fn serve(&mut self) {
        let bell = Arc::clone(&self.bell);
        let mut rung = pin!(bell.notify.notified());
        let mut sleep = pin!(sleep_until(Instant::now()));
        let mut is_open = true;
        while !bell.is_stopping() {
            let turn = self.turn();
            if turn.more || self.io.has_work() {
                yield_now().await;
                continue;
            }
            self.set_alarm(sleep.as_mut(), turn.deadline);
            let woken = poll_fn(|cx| {
                if rung.as_mut().poll(cx).is_ready() {
                    rung.set(bell.notify.notified());
                    return Poll::Ready(Woken::Work);
                }
                self.poll(cx, sleep.as_mut(), &mut is_open)
            })
            .await;
            if let Woken::Command(command) = woken {
                self.command(command);
            }
        }
        self.outbox.flush();
    }

    fn turn(&mut self) -> pump::Turn {
        self.io.stats.turns.tick();
        self.inbox.begin();
        let clock = self.clock;
        pump::pump(&mut self.engine, &mut || clock.now(), &mut self.entropy, &mut self.inbox, &mut self.outbox)
    }

    fn set_alarm(&self, sleep: Pin<&mut Sleep>, deadline: Option<trunkline_core::Instant>) {
        let mut at = deadline.and_then(|at| self.clock.to_std(at)).map_or(self.never, Instant::from_std);
        if self.io.ports.iter().any(UdpPort::is_stuck) {
            at = at.min(Instant::now() + STUCK_RETRY);
        }
        if sleep.deadline() != at {
            sleep.reset(at);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, sleep: Pin<&mut Sleep>, is_open: &mut bool) -> Poll<Woken<E>> {
        let mut has_work = self.io.streams.poll_work(cx) || self.io.has_work();
        for port in &self.io.ports {
            has_work |= port.poll_readable(cx);
            has_work |= port.poll_unblocked(cx);
        }
        if *is_open {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => return Poll::Ready(Woken::Command(command)),
                // Nobody can ask any more. The shard still runs until it is told to stop.
                Poll::Ready(None) => *is_open = false,
                Poll::Pending => {}
            }
        }
        has_work |= sleep.poll(cx).is_ready();
        if has_work { Poll::Ready(Woken::Work) } else { Poll::Pending }
    }

    fn command(&mut self, command: Command<E>) {
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        let outbox = &mut self.outbox;
        command(&mut self.engine, &mut cx, &mut |action| outbox.emit(action));
    }
}
