//! Puts the process together: a shard a core, one executor for what is no packet, signals.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_channel::mpsc;
use glommio::net::TcpListener;
use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use trunkline_core::relay::capacity::Capacity;
use trunkline_core::relay::media::PortRange;
use trunkline_core::relay::{self, Relay};
use trunkline_core::store::HashKey;

use crate::clock::Clock;
use crate::config::Settings;
use crate::control::{self, Common, Gate, Router};
use crate::ctl;
use crate::entropy::ShardEntropy;
use crate::mailbox::{Mail, Mailbox};
use crate::notify;
use crate::ring::{self, Ring, RingParts};
use crate::shard::{Parts, Shard};
use crate::shards::{Shards, share};
use crate::sys::{self, EventFd};

/// Requests about all shards that may wait.
const COMMON_MAX: usize = 64;
/// Descriptors for all that is no media socket: rings, listeners, streams, logs.
const OTHER_FILES: u64 = 256;
/// How often a control port that is taken is tried again.
const BIND_TRIES: u32 = 20;
/// How long to wait between two tries.
const BIND_PAUSE: Duration = Duration::from_millis(50);
/// Receive buffer of a control socket, in bytes: a burst of offers must not be lost to a turn that takes long.
const CONTROL_BUFFER: usize = 4 << 20;

/// Why the relay does not start or has ended.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Failure {
    fn io_uring(error: &dyn fmt::Display) -> Self {
        Self(format!("io_uring is not to be had here ({error}): run `trunkline relay`, the same relay without it"))
    }
}

/// Runs the relay until it is told to stop.
///
/// # Errors
///
/// What keeps it from starting.
pub(crate) fn run(settings: &Settings) -> Result<(), Failure> {
    ring::probe().map_err(|error| Failure::io_uring(&error))?;
    let cores = allowed_cores();
    let count = settings.threads.unwrap_or(cores.len()).max(1);
    let files = sys::raise_nofile().map_err(|error| Failure(format!("limit on open files: {error}")))?;
    let plans = plan(settings, count, files)?;
    let (common, requests) = mpsc::channel(COMMON_MAX);
    let (site, ends) = Site::new(settings, count, common)?;
    let shards = Shards::new(Arc::clone(&site.mailboxes));
    // Before anybody can find that the relay serves.
    obey_signals(shards.clone(), settings.drain_timeout)?;
    let office = Office { settings: settings.clone(), site: site.clone(), shards: shards.clone(), requests };
    let _listening = start(Placement::Unbound, "control", |begun| office.open(begun))?.begun()?;
    let mut threads = Vec::with_capacity(count);
    for ((at, plan), end) in plans.into_iter().enumerate().zip(ends) {
        let placement = match cores.get(at) {
            Some(core) if count <= cores.len() => Placement::Fixed(*core),
            _ => Placement::Unbound,
        };
        let (site, tos, gather) = (site.clone(), settings.tos, settings.coalesce);
        let name = format!("relay-{at}");
        threads.push(start(placement, &name, move |begun| run_shard(at, plan, end, site, tos, gather, begun))?);
    }
    let threads = threads.into_iter().map(Thread::begun).collect::<Result<Vec<_>, _>>()?;
    if let Some(path) = &settings.pidfile {
        std::fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    }
    tracing::info!(threads = threads.len(), "relay serves");
    notify::ready();
    for thread in threads {
        thread.join().unwrap_or_else(|error| Err(Failure(error.to_string())))?;
    }
    tracing::info!("relay has ended");
    Ok(())
}

/// What all executors share.
#[derive(Clone)]
struct Site {
    control: Arc<[UdpSocket]>,
    gate: Gate,
    key: HashKey,
    clock: Clock,
    mailboxes: Arc<[Mailbox]>,
    common: mpsc::Sender<Common>,
}

/// A shard's end of its mailbox.
type End = (Receiver<Mail>, Arc<EventFd>);

impl Site {
    fn new(settings: &Settings, shards: usize, common: mpsc::Sender<Common>) -> Result<(Self, Vec<End>), Failure> {
        let (mut mailboxes, mut ends) = (Vec::with_capacity(shards), Vec::with_capacity(shards));
        for _ in 0..shards {
            let (mailbox, mail, bell) =
                Mailbox::new().map_err(|error| Failure(format!("no descriptor is left: {error}")))?;
            mailboxes.push(mailbox);
            ends.push((mail, bell));
        }
        let site = Self {
            control: bind_control(settings)?.into(),
            gate: Gate::new(&settings.allow),
            key: HashKey::generate(&mut ShardEntropy::new()),
            clock: Clock::start(),
            mailboxes: mailboxes.into(),
            common,
        };
        Ok((site, ends))
    }

    fn router(&self) -> Router {
        Router::new(Arc::clone(&self.mailboxes), self.key.clone())
    }
}

async fn run_shard(
    at: usize,
    plan: Plan,
    (mail, bell): End,
    site: Site,
    tos: u8,
    gather: Duration,
    begun: SyncSender<()>,
) -> Result<(), Failure> {
    let failed = |error: &dyn fmt::Display| Failure(error.to_string());
    let storage = plan.capacity.reserve(&plan.config).map_err(|error| failed(&error))?;
    let relay = Relay::new(plan.config, storage, site.key.clone()).map_err(|error| failed(&error))?;
    let own: &[UdpSocket] = if at == 0 { &site.control } else { &[] };
    let parts = RingParts { sockets: plan.sockets, tos, gather, control: own, mailbox: bell };
    let ring = Ring::new(parts).map_err(|error| Failure::io_uring(&error))?;
    let router = site.router();
    let Site { control, gate, clock, common, .. } = site;
    let mut shard = Shard::new(Parts { at, relay, ring, clock, mail, control, gate, router, common });
    // Nobody listens any more if another one has failed.
    let _ = begun.send(());
    shard.run();
    Ok(())
}

/// An executor that is starting.
struct Thread {
    handle: ExecutorJoinHandle<Result<(), Failure>>,
    begun: Receiver<()>,
}

impl Thread {
    /// Waits until it serves.
    fn begun(self) -> Result<ExecutorJoinHandle<Result<(), Failure>>, Failure> {
        match self.begun.recv() {
            Ok(()) => Ok(self.handle),
            Err(_) => Err(match self.handle.join() {
                Ok(Err(failure)) => failure,
                Ok(Ok(())) => Failure("an executor has ended before it began".to_owned()),
                Err(error) => Failure::io_uring(&error),
            }),
        }
    }
}

fn start<G, F>(placement: Placement, name: &str, work: G) -> Result<Thread, Failure>
where
    G: FnOnce(SyncSender<()>) -> F + Send + 'static,
    F: Future<Output = Result<(), Failure>> + 'static,
{
    let (sender, begun) = sync_channel(1);
    let builder = LocalExecutorBuilder::new(placement).name(name);
    let handle = builder.spawn(move || work(sender)).map_err(|error| Failure::io_uring(&error))?;
    Ok(Thread { handle, begun })
}

/// The executor for what is no packet.
struct Office {
    settings: Settings,
    site: Site,
    shards: Shards,
    requests: mpsc::Receiver<Common>,
}

impl Office {
    /// Listens, and serves until the process ends.
    async fn open(self, begun: SyncSender<()>) -> Result<(), Failure> {
        let Self { settings, site, shards, requests } = self;
        let listen = |at: &SocketAddr| {
            TcpListener::bind(at).map_err(|error| Failure(format!("TCP port {at} cannot be had: {error}")))
        };
        if let Some(at) = &settings.listen_cli {
            let served = ctl::server::serve(listen(at)?, site.gate.clone(), shards.clone(), settings.sessions_max);
            glommio::spawn_local(served).detach();
        }
        let router = Rc::new(RefCell::new(site.router()));
        for at in &settings.listen_tcp_ng {
            let served = control::serve_tcp(listen(at)?, site.gate.clone(), Rc::clone(&router), shards.clone());
            glommio::spawn_local(served).detach();
        }
        let _ = begun.send(());
        control::serve_common(requests, site.control, shards).await;
        Ok(())
    }
}

/// What a shard gets.
struct Plan {
    config: relay::Config,
    capacity: Capacity,
    sockets: usize,
}

/// Divides ports, calls and `files` open files among the shards.
fn plan(settings: &Settings, shards: usize, files: u64) -> Result<Vec<Plan>, Failure> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_offset_us = u64::try_from(unix.as_micros()).unwrap_or(0).saturating_sub(Clock::start().now().as_micros());
    let files = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX) / shards;
    (0..shards)
        .map(|at| {
            let mut config = relay::Config {
                timeouts: settings.timeouts,
                sessions_max: settings.sessions_max.map(|max| share(max, shards, at)),
                learning: settings.learning,
                unix_offset_us,
                ..relay::Config::default()
            };
            let ports = port_share(settings.ports, shards, at);
            add_interfaces(&mut config, settings, ports)?;
            let (pairs, ahead) = (ports.pairs() as usize * config.interfaces.len(), config.reserve * config.interfaces.len());
            let streams = pairs.min((files / 2).saturating_sub(ahead));
            if streams < pairs {
                tracing::warn!(streams, pairs, "the limit on open files (LimitNOFILE=, ulimit -n) allows fewer streams than there are pairs of ports");
            }
            if streams < 2 {
                return Err(Failure("there are not enough ports or open files for one call on each thread".to_owned()));
            }
            // A call has two streams at least, each with a pair of ports.
            let capacity = Capacity { streams, ..Capacity::of_sessions(streams / 2) };
            Ok(Plan { config, capacity, sockets: 2 * (streams + ahead) })
        })
        .collect()
}

fn add_interfaces(config: &mut relay::Config, settings: &Settings, ports: PortRange) -> Result<(), Failure> {
    for interface in &settings.interfaces {
        let pushed = config.interfaces.push(interface.with_ports(ports));
        pushed.map_err(|_| Failure("more interfaces than there may be".to_owned()))?;
    }
    Ok(())
}

/// Shard `at`'s part of a range of ports; parts begin at even ports.
fn port_share(all: PortRange, shards: usize, at: usize) -> PortRange {
    let first = u32::from(all.min).next_multiple_of(2).max(2);
    let before: u32 = (0..at).map(|at| share(all.pairs(), shards, at)).sum();
    let min = first + 2 * before;
    let max = min + 2 * share(all.pairs(), shards, at);
    // Within `all`, so both are ports; a shard without any gets a range that holds none.
    PortRange { min: min.min(65_535) as u16, max: max.saturating_sub(1).min(65_535) as u16 }
}

fn bind_control(settings: &Settings) -> Result<Vec<UdpSocket>, Failure> {
    settings
        .listen_ng
        .iter()
        .map(|at| {
            patiently(|| control_socket(*at, settings.control_tos))
                .map_err(|error| Failure(format!("ng port {at} cannot be had: {error}")))
        })
        .collect()
}

/// Tries again for a while if the port is taken: the kernel may not be done yet with a relay that was killed.
fn patiently<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..BIND_TRIES {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::sleep(BIND_PAUSE),
            result => return result,
        }
    }
    bind()
}

fn control_socket(at: SocketAddr, tos: u8) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if at.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // As much as the system grants.
    let _ = socket.set_recv_buffer_size(CONTROL_BUFFER);
    if tos != 0 {
        ring::set_tos(&SockRef::from(&socket), at.is_ipv6(), tos)?;
    }
    socket.bind(&at.into())?;
    Ok(socket.into())
}

/// SIGTERM drains, SIGINT and a second SIGTERM stop.
fn obey_signals(shards: Shards, drain_timeout: Duration) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure(format!("signals: {error}"));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(failed)?;
    let work = move || {
        let mut draining = false;
        for signal in signals.forever() {
            if signal == SIGINT || draining {
                shards.tell(|| Mail::Stop);
                continue;
            }
            draining = true;
            tracing::info!(seconds = drain_timeout.as_secs(), "no new calls are taken; ending with the last one");
            notify::stopping();
            shards.tell(|| Mail::Drain);
            let late = shards.clone();
            std::thread::spawn(move || {
                std::thread::sleep(drain_timeout);
                late.tell(|| Mail::Stop);
            });
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(work).map(drop).map_err(failed)
}

/// The cores this process may run on.
fn allowed_cores() -> Vec<usize> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or_default();
    let cores = parse_cores(list);
    if cores.is_empty() { (0..std::thread::available_parallelism().map_or(1, usize::from)).collect() } else { cores }
}

/// Reads a list as `0-3,8`.
fn parse_cores(list: &str) -> Vec<usize> {
    list.trim()
        .split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_ports_are_even_and_make_up_the_range() {
        for (min, max) in [(30_000, 40_000), (20_001, 20_014), (1, 65_535), (65_534, 65_535)] {
            let all = PortRange { min, max };
            for shards in [1, 2, 3, 7] {
                let shares: Vec<PortRange> = (0..shards).map(|at| port_share(all, shards, at)).collect();
                assert_eq!(shares.iter().map(PortRange::pairs).sum::<u32>(), all.pairs(), "{all:?} by {shards}");
                let used: Vec<PortRange> = shares.into_iter().filter(|share| share.pairs() > 0).collect();
                assert!(
                    used.iter().all(|share| share.min % 2 == 0 && share.min >= min && share.max <= max),
                    "{used:?}"
                );
                assert!(used.windows(2).all(|two| two[0].max < two[1].min), "{used:?}");
            }
        }
    }

    #[test]
    fn lists_of_cores_are_read() {
        assert_eq!(parse_cores("\t0-2,5\n"), [0, 1, 2, 5]);
        assert_eq!(parse_cores("3"), [3]);
        assert_eq!(parse_cores(""), [] as [usize; 0]);
    }

    #[test]
    fn ports_and_files_bound_the_streams() {
        let settings = Settings {
            interfaces: vec!["127.0.0.1".parse().unwrap()],
            ports: PortRange { min: 30_000, max: 30_099 },
            sessions_max: Some(5),
            ..Settings::default()
        };
        let streams = |shards, files| {
            plan(&settings, shards, files)
                .map(|plans| plans.iter().map(|plan| plan.capacity.streams).collect::<Vec<_>>())
                .ok()
        };
        let ahead = 2 * relay::Config::default().reserve as u64;
        assert_eq!(streams(2, 100_000), Some(vec![25, 25]));
        assert_eq!(streams(1, OTHER_FILES + 20 + ahead), Some(vec![10]));
        assert_eq!(streams(1, OTHER_FILES), None);
        let plans = plan(&settings, 2, 100_000).unwrap();
        assert_eq!(plans.iter().filter_map(|plan| plan.config.sessions_max).sum::<u32>(), 5);
    }
}
