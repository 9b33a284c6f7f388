//! `trunkline run`: the server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;
use tracing::{error, info, warn};
use trunkline_core::anchor::Anchor;
use trunkline_core::dispatcher::{DispatcherAction, Health, TargetId, TrafficFailure};
use trunkline_core::flow::ListenerId;
use trunkline_core::node::{Anchored, Capacity, Identity, Node, Report, demux};
use trunkline_core::proxy::Listener;
use trunkline_core::store::HashKey;

use crate::assemble;
use crate::cli::{Global, ListenArg, RunArgs};
use crate::config::values::RelayMode;
use crate::config::{self, Config, Listen};
use crate::control::server::{self, Control, Shard};
use crate::io::{self, Clock, Parts, Settings, Shards, Steer, TcpSettings};
use crate::log;
use crate::media;
use crate::relay;
use crate::vrrp::{self, Vrrp};

/// Health news that may wait on their way between shards.
const NEWS_MAX: usize = 1_024;

/// Puts the listeners of the command line in the place of those of the file.
pub(crate) fn apply_listen(config: &mut Config, listen: &[ListenArg]) {
    if !listen.is_empty() {
        let listener = |arg: &ListenArg| Listen {
            transport: arg.transport,
            address: arg.address.ip(),
            port: arg.address.port(),
            advertise: None,
        };
        config.listen = listen.iter().map(listener).collect();
    }
}

pub(crate) fn main(global: &Global, args: &RunArgs) -> ExitCode {
    let mut loaded = match config::load(global.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    apply_listen(&mut loaded.config, &args.listen);
    let guard = log::start(global.log_level.unwrap_or(loaded.config.node.log_level));
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    let outcome = serve(loaded.config, loaded.path.as_deref(), &args.listen);
    // What was logged is written before the last word.
    drop(guard);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("trunkline: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve(config: Config, path: Option<&Path>, listen: &[ListenArg]) -> Result<(), String> {
    block_on(async {
        let running = start(config, path, listen).await?;
        running.until_stopped().await
    })
}

pub(crate) fn block_on(future: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| format!("cannot start: {e}"))?;
    LocalSet::new().block_on(&runtime, future)
}

/// Runs `trunkline vrrp`: virtual routers and control, nothing else.
pub(crate) fn vrrp_main(global: &Global) -> ExitCode {
    let loaded = match config::load(global.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let guard = log::start(global.log_level.unwrap_or(loaded.config.node.log_level));
    let outcome = block_on(serve_vrrp(loaded.config, loaded.path.as_deref()));
    drop(guard);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("trunkline: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn serve_vrrp(config: Config, path: Option<&Path>) -> Result<(), String> {
    if config.vrrp.is_empty() {
        return Err("the configuration has no [[vrrp]]; `trunkline reference` shows how it looks".to_owned());
    }
    let mut signals = Signals::watch()?;
    let socket = config.control_socket();
    let control_listener = server::bind(&socket)?;
    let vrrp = vrrp::start(&config, false)?;
    info!("control: trunkline ctl --socket {}", socket.display());
    let control = Rc::new(Control {
        shards: Vec::new(),
        path: path.map(Path::to_owned),
        listen: Vec::new(),
        config: Mutex::new(config),
        listeners: Vec::new(),
        echo: None,
        relay: None,
        secret: rand::random(),
        vrrp: Some(vrrp),
        started: SystemTime::now(),
        stop: Notify::new(),
    });
    tokio::task::spawn_local(server::accept(Rc::clone(&control), control_listener));
    signals.until_stop(&control).await;
    info!("stopping: giving up the addresses");
    control.stop_vrrp().await;
    let _ = std::fs::remove_file(socket);
    info!("stopped");
    Ok(())
}

/// The signals that are acted on.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn watch() -> Result<Self, String> {
        let signal = |kind| signal(kind).map_err(|e| format!("cannot watch signals: {e}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM, SIGINT or `ctl`; SIGHUP reloads.
    pub(crate) async fn until_stop(&mut self, control: &Control) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = control.stop.notified() => return,
                _ = self.hangup.recv() => {
                    // The outcome is logged where it is found out.
                    let _ = control.reload().await;
                }
            }
        }
    }

    /// Waits for SIGTERM or SIGINT.
    pub(crate) async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// A running node.
pub(crate) struct Running {
    pub(crate) control: Rc<Control>,
    pub(crate) listeners: Vec<Listener>,
    shards: Shards<Shard>,
    socket: Option<std::path::PathBuf>,
    stop_timeout: Duration,
    drain_timeout: Duration,
    echo: Option<media::Server>,
    relay: Option<relay::Running>,
}

/// Says which shard a message belongs to.
struct ByCallId {
    shards: u8,
    hash: HashKey,
}

impl Steer for ByCallId {
    fn received(&self, bytes: &[u8]) -> u8 {
        demux::shard_of(bytes, self.shards, &self.hash)
    }

    fn undelivered(&self, bytes: &[u8]) -> u8 {
        demux::sender_of(bytes).unwrap_or(0)
    }
}

fn settings(config: &Config, shards: u8, relays: Vec<SocketAddr>) -> Settings {
    let bytes = |size: crate::config::values::ByteSize| usize::try_from(size.0).unwrap_or(usize::MAX);
    Settings {
        shards,
        receive_buffer: bytes(config.udp.receive_buffer),
        relays,
        send_buffer: bytes(config.udp.send_buffer),
        tcp: TcpSettings {
            idle: config.tcp.connection_lifetime,
            unfinished: config.tcp.unfinished_timeout,
            unfinished_messages: (config.tcp.unfinished_messages as usize).div_ceil(usize::from(shards.max(1))),
            accepts_no_content_length: config.tcp.accept_no_content_length,
            connect: config.tcp.connect_timeout,
            message_max: bytes(config.tcp.message_size),
            connections: config.tcp.connections as usize,
            connections_per_source: match config.tcp.connections_per_source {
                0 => usize::MAX,
                n => n as usize,
            },
            ..TcpSettings::default()
        },
        ..Settings::default()
    }
}

fn shard_count(config: &Config) -> u8 {
    let wanted = match config.node.shards {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => usize::from(n),
    };
    u8::try_from(wanted.clamp(1, 64)).unwrap_or(1)
}

/// Starts a node: sockets, shards, the echo if a rule wants it, and control.
pub(crate) async fn start(config: Config, path: Option<&Path>, listen: &[ListenArg]) -> Result<Running, String> {
    let shards = shard_count(&config);
    let embedded = relay::Embedded::prepare(&config)?;
    let address = embedded.as_ref().map(relay::Embedded::address);
    let relays = assemble::relays(&config, address).iter().map(|relay| relay.address).collect();
    let settings = settings(&config, shards, relays);
    let media_sockets = embedded.as_ref().map_or(0, relay::Embedded::sockets);
    if let Some(note) = io::raise_open_files(settings.tcp.connections, media_sockets) {
        warn!("{note}");
    }
    let listeners = assemble::listeners(&config)?;
    let listens: Vec<io::Listen> = (0u8..)
        .zip(&listeners)
        .map(|(i, l)| {
            let is_virtual = vrrp::settings::is_virtual(&config, l.bound.ip());
            io::Listen { id: ListenerId(i), transport: l.transport, addr: l.bound, is_virtual }
        })
        .collect();
    let bound = io::bind(&listens, &settings).map_err(|e| e.to_string())?;
    warn_about_buffers(&bound, &settings);
    let relay = embedded.map(|relay| relay.start(&bound)).transpose()?;
    let echo = start_echo(&config, &listeners).await?;
    let echo_address = echo.as_ref().map(media::Server::address);

    let secret = rand::random();
    let node = assemble::node(&config, &listeners, secret)?;
    let targets = assemble::targets(&config, echo_address, shards)?;
    let capacity = assemble::capacity(&config, shards);
    let clock = Clock::start();
    let (news, heard) = mpsc::channel(NEWS_MAX);
    let mut failure = None;
    let steer = Arc::new(ByCallId { shards, hash: HashKey::new(secret) });
    let mut nodes = Vec::new();
    for shard in 0..shards {
        let made = Node::new(capacity.reserve(), node.clone(), Identity { shard, secret });
        let mut anchor = Anchor::new(anchor_memory(&settings, &capacity), secret);
        anchor.configure(assemble::anchor(&config, &targets, address));
        nodes.push(Some(Anchored { node: made.map_err(|e| e.to_string())?, anchor }));
    }
    let started = io::start(bound, &settings, steer, clock, |shard| Parts {
        engine: nodes[usize::from(shard)].take().expect("each shard is made once"),
        reporter: reporter(shard, shards, news.clone()),
    });
    let running_shards = started.map_err(|e| format!("cannot start the shards: {e}"))?;
    for handle in running_shards.handles() {
        let targets = targets.clone();
        let loaded = handle
            .ask(move |engine, cx, _| {
                let configs: Vec<_> = targets.targets.iter().map(assemble::OwnedTarget::as_config).collect();
                engine.node.reload_targets(cx, &targets.sets, &configs).map_err(|e| e.to_string())
            })
            .await;
        if let Ok(Err(why)) = loaded {
            failure = Some(why);
        }
    }
    if let Some(why) = failure {
        return Err(format!("targets: {why}"));
    }
    let socket = config.control_socket();
    let control_listener = server::bind(&socket)?;
    let vrrp = start_vrrp(&config, &running_shards, &listeners);
    let stop_timeout = config.node.stop_timeout;
    announce(&config, &listeners, path, &socket);
    let drain_timeout = config.relay.drain_timeout.0;
    let control = Rc::new(Control {
        shards: running_shards.handles().to_vec(),
        path: path.map(Path::to_owned),
        listen: listen.to_vec(),
        config: Mutex::new(config),
        listeners: listeners.clone(),
        echo: echo_address,
        relay: relay.as_ref().map(|relay| relay.handle().clone()),
        secret,
        vrrp,
        started: SystemTime::now(),
        stop: Notify::new(),
    });
    tokio::task::spawn_local(server::accept(Rc::clone(&control), control_listener));
    if let Some(vrrp) = &control.vrrp {
        let active = vrrp.active();
        tokio::task::spawn_local(follow_vrrp(Rc::clone(&control), active));
    }
    tokio::task::spawn_local(spread_news(Rc::clone(&control), heard));
    Ok(Running {
        control,
        listeners,
        shards: running_shards,
        socket: Some(socket),
        stop_timeout,
        drain_timeout,
        echo,
        relay,
    })
}

/// Starts the virtual routers, if there are any. What they miss does not stop the rest.
fn start_vrrp(config: &Config, shards: &Shards<Shard>, listeners: &[Listener]) -> Option<Vrrp> {
    if config.vrrp.is_empty() {
        return None;
    }
    let vrrp = vrrp::start(config, true).inspect_err(|why| error!("{why}")).ok()?;
    let addresses = if_addrs::get_if_addrs().unwrap_or_default();
    let own = addresses.iter().map(if_addrs::Interface::ip).filter(|ip| !vrrp::settings::is_virtual(config, *ip));
    let watch = vrrp::health::watch(shards.handles().to_vec(), listeners.to_vec(), vrrp.handle(), own.collect());
    tokio::task::spawn_local(watch);
    Some(vrrp)
}

/// A node that does not hold its addresses does not ping: answers would go to the node that does.
async fn follow_vrrp(control: Rc<Control>, mut active: watch::Receiver<bool>) {
    loop {
        let is_active = *active.borrow_and_update();
        let _ = control.each(move |node, cx, _| node.set_passive(cx, !is_active)).await;
        if active.changed().await.is_err() {
            return;
        }
    }
}

/// Memory for the calls of a shard whose media is anchored: none if there is no relay.
fn anchor_memory(settings: &Settings, capacity: &Capacity) -> trunkline_core::anchor::Memory<'static> {
    let calls = if settings.relays.is_empty() { Capacity { dialogs: 0, contexts: 0, ..*capacity } } else { *capacity };
    calls.reserve_anchor()
}

fn warn_about_buffers(bound: &io::Bound, settings: &Settings) {
    if let Some(got) = bound.receive_buffer().filter(|got| *got < settings.receive_buffer) {
        warn!(
            "the UDP receive buffer is {got} bytes, not the {} asked for: bursts may be lost; raise net.core.rmem_max \
             (see `trunkline doctor`)",
            settings.receive_buffer
        );
    }
}

async fn start_echo(config: &Config, listeners: &[Listener]) -> Result<Option<media::Server>, String> {
    if !assemble::wants_echo(config) {
        return Ok(None);
    }
    // The balancer reaches it on loopback; sound comes from the address that callers know.
    let media_ip = listeners.first().map(|l| l.advertised.ip());
    let loopback = match media_ip {
        Some(ip) if ip.is_ipv6() => std::net::Ipv6Addr::LOCALHOST.into(),
        _ => std::net::IpAddr::from(std::net::Ipv4Addr::LOCALHOST),
    };
    let settings = media::Settings {
        name: config.node.server_header.clone(),
        calls_max: usize::from(config.echo.max_calls),
        rtp_ports: config.echo.rtp_port_min..=config.echo.rtp_port_max,
        media_ip,
        ..media::Settings::default()
    };
    let echo = media::Server::start(SocketAddr::new(loopback, 0), settings).await;
    echo.map(Some).map_err(|e| format!("the built-in echo cannot start: {e}"))
}

fn announce(config: &Config, listeners: &[Listener], path: Option<&Path>, socket: &Path) {
    match path {
        Some(path) => info!("trunkline {} with {}", env!("CARGO_PKG_VERSION"), path.display()),
        None => info!("trunkline {} without a configuration file", env!("CARGO_PKG_VERSION")),
    }
    for l in listeners {
        let told = if l.advertised == l.bound { String::new() } else { format!(", told to peers as {}", l.advertised) };
        info!("listening on {} {}{told}", l.transport.as_param(), l.bound);
    }
    for relay in config.relay.listed() {
        info!("media by the relay at {}", relay.address);
    }
    if config.relay.mode() == RelayMode::Embedded {
        let at: Vec<_> = config.relay.interface.iter().map(ToString::to_string).collect();
        info!("media by the embedded relay at {}", at.join(", "));
    }
    let targets: usize = config.set.iter().map(|s| s.target.len()).sum();
    if targets > 0 {
        info!("{targets} targets in {} sets", config.set.len());
    } else if assemble::wants_echo(config) {
        let at = listeners.first().map_or_else(String::new, |l| l.advertised.to_string());
        info!("no targets: call sip:9196@{at} to hear yourself");
    }
    info!("control: trunkline ctl --socket {}", socket.display());
}

/// News of a shard that concern the others.
enum News {
    /// The shard that pings has a new opinion.
    Health(TargetId, Health),
    /// A shard that does not ping met a target that failed.
    Failed(String, TrafficFailure),
}

fn reporter(shard: u8, shards: u8, news: mpsc::Sender<News>) -> Box<dyn FnMut(Report<'_>) + Send> {
    Box::new(move |report| {
        log::report(&report);
        if shards < 2 {
            return;
        }
        let told = match (&report, shard) {
            (Report::TargetChanged { change: DispatcherAction::StateChanged { target, to, .. }, .. }, 0) => {
                Some(News::Health(*target, *to))
            }
            (Report::TargetFailed { target, status, .. }, 1..) => {
                let failure = match status {
                    408 => TrafficFailure::Timeout,
                    503 => TrafficFailure::Transport,
                    _ => TrafficFailure::Reply,
                };
                Some(News::Failed(String::from_utf8_lossy(target).into_owned(), failure))
            }
            _ => None,
        };
        // News that find no room are late, not lost: the next ping or failure tells the same.
        let _ = told.map(|told| news.try_send(told));
    })
}

async fn spread_news(control: Rc<Control>, mut heard: mpsc::Receiver<News>) {
    while let Some(news) = heard.recv().await {
        match news {
            News::Health(id, health) => {
                for shard in control.shards.iter().skip(1) {
                    let _ = shard.ask(move |engine, cx, out| engine.node.learn_health(cx, id, health, out)).await;
                }
            }
            News::Failed(uri, failure) => {
                if let Some(first) = control.shards.first() {
                    let _ = first.ask(move |engine, cx, out| engine.node.learn_failure(cx, &uri, failure, out)).await;
                }
            }
        }
    }
}

impl Running {
    /// Where the first listener is told to be.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.listeners.first().map(|l| l.advertised)
    }

    /// Serves until SIGTERM, SIGINT or `ctl`; SIGHUP reloads.
    pub(crate) async fn until_stopped(self) -> Result<(), String> {
        let mut signals = Signals::watch()?;
        signals.until_stop(&self.control).await;
        // First of all: whoever takes over can do so while what is under way here ends.
        self.control.stop_vrrp().await;
        tokio::select! {
            () = self.finish() => {}
            () = signals.again() => warn!("told to stop twice: not waiting any longer"),
        }
        self.stop()
    }

    /// No new calls; what is under way is finished, for as long as the configuration allows.
    pub(crate) async fn finish(&self) {
        info!("stopping: no new calls, waiting for transactions to end");
        let _ = self.control.each(|node, _, _| node.close()).await;
        if let Some(relay) = &self.relay {
            relay::role::drain(relay.handle(), self.drain_timeout).await;
        }
        let until = Instant::now() + self.stop_timeout;
        loop {
            match self.control.each(|node, _, _| node.is_idle()).await {
                Ok(idle) if idle.iter().all(|i| *i) => return,
                Ok(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(20)).await,
                Ok(_) => return error!("some requests were not answered in time"),
                Err(_) => return,
            }
        }
    }

    /// Ends the shards.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        if let Some(socket) = self.socket.take() {
            let _ = std::fs::remove_file(socket);
        }
        drop(self.echo.take());
        self.shards.request_stop();
        self.shards.join().map_err(|e| format!("a shard failed: {e}"))?;
        if let Some(relay) = self.relay.take() {
            relay.stop().map_err(|e| e.to_string())?;
        }
        info!("stopped");
        Ok(())
    }
}
