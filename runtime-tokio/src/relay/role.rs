//! `trunkline relay`: the relay alone, for a machine where `trunkline-relay` may not use io_uring.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tracing::{info, warn};

use super::{Gate, Handle, Settings, bind_control, start};
use crate::cli::{Global, RelayArgs};
use crate::config::{self, Config};
use crate::control::server::{self, Control};
use crate::run::{Signals, block_on};
use crate::{io, log};

/// How often a relay that drains is looked at.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

pub(crate) fn main(global: &Global, args: &RelayArgs) -> ExitCode {
    let loaded = match config::load(global.config.as_deref()) {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut config = loaded.config;
    if let Err(message) = apply(&mut config, args) {
        eprintln!("trunkline: {message}");
        return ExitCode::FAILURE;
    }
    let guard = log::start(global.log_level.unwrap_or(config.node.log_level));
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    let path = args.socket.clone().unwrap_or_else(|| config.control_socket());
    let outcome = block_on(serve(config, path));
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

/// Puts what the command line says in the place of what the file says.
fn apply(config: &mut Config, args: &RelayArgs) -> Result<(), String> {
    let relay = &mut config.relay;
    if !args.interface.is_empty() {
        relay.interface.clone_from(&args.interface);
    }
    if !args.listen_ng.is_empty() {
        relay.listen_ng.clone_from(&args.listen_ng);
    }
    relay.port_min = args.port_min.unwrap_or(relay.port_min);
    relay.port_max = args.port_max.unwrap_or(relay.port_max);
    if relay.interface.is_empty() {
        return Err("media needs an address: name one with --interface, or in relay.interface of the file".to_owned());
    }
    let problems = config::problems(config);
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
}

async fn serve(config: Config, path: PathBuf) -> Result<(), String> {
    let settings = Settings::new(&config.relay);
    if let Some(note) = io::raise_open_files(0, settings.sockets()) {
        warn!("{note}");
    }
    let sockets = config.relay.listen_ng.iter().map(|at| bind_control(*at)).collect::<Result<Vec<_>, _>>()?;
    let listener = server::bind(&path)?;
    let mut signals = Signals::watch()?;
    let relay = start(settings, sockets, Gate::Networks(config.relay.ng_allow.clone()))?;
    announce(&config, relay.handle(), &path);
    let drain_timeout = config.relay.drain_timeout.0;
    let control = Rc::new(Control {
        shards: Vec::new(),
        path: None,
        listen: Vec::new(),
        config: Mutex::new(config),
        listeners: Vec::new(),
        echo: None,
        relay: Some(relay.handle().clone()),
        secret: rand::random(),
        vrrp: None,
        started: SystemTime::now(),
        stop: Notify::new(),
    });
    tokio::task::spawn_local(server::accept(Rc::clone(&control), listener));
    let is_told = tokio::select! {
        () = signals.until_stop(&control) => true,
        () = relay.handle().ended() => false,
    };
    if is_told {
        tokio::select! {
            () = drain(relay.handle(), drain_timeout) => {}
            () = signals.again() => warn!("told to stop twice: not waiting any longer"),
        }
    }
    let _ = std::fs::remove_file(&path);
    relay.stop().map_err(|e| e.to_string())?;
    info!("stopped");
    if is_told { Ok(()) } else { Err("the relay has ended by itself".to_owned()) }
}

fn announce(config: &Config, relay: &Handle, path: &Path) {
    info!("trunkline {}: relay", env!("CARGO_PKG_VERSION"));
    for interface in &config.relay.interface {
        info!("media at {interface}, ports {} to {}", config.relay.port_min, config.relay.port_max);
    }
    for at in relay.control() {
        info!("ng commands on udp {at}");
    }
    info!("control: trunkline ctl --socket {} relay", path.display());
}

/// Has a relay take no new calls, and waits until its last one has ended, at most so long.
pub(crate) async fn drain(relay: &Handle, limit: Duration) {
    let until = Instant::now() + limit;
    let mut told = 0;
    loop {
        let calls = relay.ask(|relay, _, _| {
            relay.set_draining(true);
            relay.undeleted()
        });
        match calls.await {
            Ok(0) | Err(_) => return,
            Ok(calls) if Instant::now() >= until => return warn!("{calls} calls with media are cut off"),
            Ok(calls) => {
                if calls != told {
                    info!("waiting for {calls} calls with media to end");
                    told = calls;
                }
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        }
    }
}
