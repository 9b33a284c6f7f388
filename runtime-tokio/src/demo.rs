//! `trunkline demo`: a balancer, three media servers and a caller in one process. One server is killed and comes back,
//! another is drained; at the end it says whether a call was lost that should not have been.

mod screen;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::LocalSet;
use trunkline_core::transaction::Timers;
use trunkline_tokio::media::{CallResult, Caller, MediaStats, Outcome, Placed, Plan, Server, Settings};

use self::screen::{Screen, Snapshot, TargetRow};
use crate::cli::{DemoArgs, Global};
use crate::config::{self, Config};
use crate::log;
use crate::run::{self, Running};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SERVERS: usize = 3;
/// The one that is killed, and the one that is drained.
const KILLED: usize = 1;
const DRAINED: usize = 2;
/// How often the screen is drawn.
const FRAME: Duration = Duration::from_millis(250);
/// Packets of a call after which it is odd that none came back.
const PACKETS_MIN: u64 = 10;

pub(crate) fn main(global: &Global, args: &DemoArgs) -> ExitCode {
    // Lines of the log would tear the table apart; who wants them asks for them.
    let guard = global.log_level.map(log::start);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, demonstrate(args, Screen::new(global.json))),
        Err(e) => Err(format!("cannot start: {e}")),
    };
    drop(guard);
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("trunkline demo: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What is done while calls are placed, and after which part of the time, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Kill,
    Drain,
    BringBack,
    EndDrain,
}

const ACTS: [(u32, Act); 4] = [(20, Act::Kill), (45, Act::Drain), (60, Act::BringBack), (80, Act::EndDrain)];

/// The stage and the actors.
struct Demo {
    running: Running,
    servers: [Option<Server>; SERVERS],
    addresses: [SocketAddr; SERVERS],
    started: Instant,
    /// When the server was killed.
    killed_after: Option<Duration>,
}

/// Gives how many calls were lost.
async fn demonstrate(args: &DemoArgs, mut screen: Screen) -> Result<usize, String> {
    let mut servers = [const { None }; SERVERS];
    let mut addresses = [LOOPBACK; SERVERS];
    for (i, (server, address)) in servers.iter_mut().zip(&mut addresses).enumerate() {
        let started = start_server(i, LOOPBACK).await?;
        *address = started.address();
        *server = Some(started);
    }
    let running = run::start(configuration(&addresses)?, None, &[]).await?;
    let target = running.address().ok_or("the balancer does not listen")?;
    let placed = place(args, target).await?;
    let mut demo = Demo { running, servers, addresses, started: Instant::now(), killed_after: None };
    screen.event(&format!("{SERVERS} media servers and a balancer on {target}, {} calls a second", args.rate));
    let results = demo.play(args, placed, &mut screen).await;
    let snapshot = demo.snapshot(None).await;
    for server in demo.servers.into_iter().flatten() {
        server.stop().await;
    }
    demo.running.stop()?;
    let verdict = Verdict::new(&results?, demo.killed_after.map(|after| (demo.addresses[KILLED], after)));
    screen.summary(&verdict.as_json(snapshot.failovers), &verdict.as_text(snapshot.failovers));
    Ok(verdict.lost.len())
}

async fn start_server(i: usize, address: SocketAddr) -> Result<Server, String> {
    let settings = Settings { name: name(i), ..Settings::default() };
    Server::start(address, settings).await.map_err(|e| format!("media server {} on {address}: {e}", name(i)))
}

fn name(i: usize) -> String {
    format!("fs{:02}", i + 1)
}

/// The configuration of the balancer. Pings are quicker than by default, for those who watch.
fn configuration(servers: &[SocketAddr]) -> Result<Config, String> {
    let free = UdpSocket::bind(LOOPBACK).and_then(|s| s.local_addr()).map_err(|e| format!("no free port: {e}"))?;
    let socket = std::env::temp_dir().join(format!("trunkline-demo-{}.sock", std::process::id()));
    let targets = servers
        .iter()
        .enumerate()
        .map(|(i, address)| format!("[[set.target]]\nuri = \"sip:{address};transport=udp\"\nduid = \"{}\"\n", name(i)));
    let text = format!(
        "node.shards = 1\nlisten = [{{ transport = \"udp\", address = \"{ip}\", port = {port} }}]\n\
         control.socket = {socket}\n\
         [dispatch.ping]\ninterval = \"1s\"\ntimeout = \"500ms\"\nprobing_threshold = 2\ninactive_threshold = 2\n\
         [[set]]\nid = 1\nname = \"media servers\"\nalgorithm = \"round-robin\"\n{targets}",
        ip = free.ip(),
        port = free.port(),
        socket = toml::Value::from(socket.to_string_lossy().into_owned()),
        targets = targets.collect::<String>(),
    );
    let parsed = config::parse(&text, Path::new(""));
    parsed.map(|(config, _)| config).map_err(|problems| {
        let first = problems.first();
        first.map_or_else(String::new, |p| format!("its own configuration: {}: {}", p.key, p.message))
    })
}

async fn place(args: &DemoArgs, target: SocketAddr) -> Result<Placed, String> {
    let calls = args.duration.as_secs_f64() * f64::from(args.rate);
    let plan = Plan {
        // At most 500 a second for as long as a duration can be: far below the limit of the number.
        calls: calls.max(1.0) as u64,
        rate: f64::from(args.rate),
        hold: args.call_length,
        // A call whose server is gone is given up soon.
        timers: Timers { fr: Duration::from_secs(4), ..Timers::DEFAULT },
        ..Plan::new(target)
    };
    let caller = Caller::bind(LOOPBACK).await.map_err(|e| format!("the caller: {e}"))?;
    caller.place(plan).map_err(|e| format!("the caller: {e}"))
}

impl Demo {
    /// Lets the time pass, acts, and gives the results of all calls. Ctrl-C ends it early.
    async fn play(
        &mut self,
        args: &DemoArgs,
        mut placed: Placed,
        screen: &mut Screen,
    ) -> Result<Vec<CallResult>, String> {
        self.started = Instant::now();
        let mut acts = ACTS.iter().copied().peekable();
        let mut frames = tokio::time::interval(FRAME);
        let mut stopping = false;
        while !placed.is_finished() {
            tokio::select! {
                _ = frames.tick() => {}
                _ = tokio::signal::ctrl_c(), if !stopping => {
                    stopping = true;
                    placed.stop();
                    screen.event("interrupted: hanging up");
                }
            }
            let due = |percent: u32| args.duration * percent / 100;
            if !stopping && let Some((_, act)) = acts.next_if(|(percent, _)| self.started.elapsed() >= due(*percent)) {
                let said = self.act(act).await?;
                screen.event(&said);
            }
            screen.show(&self.snapshot(Some(&placed)).await);
        }
        Ok(placed.finish().await)
    }

    async fn act(&mut self, act: Act) -> Result<String, String> {
        match act {
            Act::Kill => {
                let stats = match self.servers[KILLED].take() {
                    Some(server) => server.kill().await,
                    None => return Ok(String::new()),
                };
                self.killed_after = Some(self.started.elapsed());
                Ok(format!("{} is killed, with {} calls on it", name(KILLED), stats.calls_active))
            }
            Act::BringBack => {
                self.servers[KILLED] = Some(start_server(KILLED, self.addresses[KILLED]).await?);
                Ok(format!("{} is started again", name(KILLED)))
            }
            Act::Drain => {
                self.set_state(DRAINED, "ip").await?;
                Ok(format!("{} is drained: no new calls", name(DRAINED)))
            }
            Act::EndDrain => {
                self.set_state(DRAINED, "ap").await?;
                Ok(format!("{} takes calls again", name(DRAINED)))
            }
        }
    }

    async fn set_state(&self, i: usize, state: &str) -> Result<(), String> {
        let params = json!({ "target": name(i), "state": state });
        self.running.control.call("targets.set_state", &params).await.map(|_| ()).map_err(|e| e.message)
    }

    async fn snapshot(&self, placed: Option<&Placed>) -> Snapshot {
        let sets = self.running.control.sets(None).await.unwrap_or_default();
        let targets = sets.into_iter().flat_map(|s| s.targets).map(|t| {
            let server = self.addresses.iter().position(|a| t.uri.contains(&a.to_string()));
            let alive = server.is_some_and(|i| self.servers[i].is_some());
            TargetRow {
                name: t.duid,
                uri: t.uri,
                flags: t.flags,
                process: if alive { "running" } else { "killed" },
                calls: t.calls,
                calls_total: t.calls_total,
                pings_failed: t.latency.as_ref().map_or(0, |l| l.timeouts),
            }
        });
        Snapshot {
            elapsed: self.started.elapsed(),
            targets: targets.collect(),
            failovers: self.running.control.totals().await.map_or(0, |s| s.failovers),
            calls: placed.map(Placed::progress).unwrap_or_default(),
        }
    }
}

/// What became of the calls.
#[derive(Debug, Default)]
struct Verdict {
    completed: usize,
    /// Established on the server that was killed.
    on_the_killed: usize,
    /// Ended early, since the demo was interrupted.
    cancelled: usize,
    /// All others that did not complete, or that heard nothing.
    lost: Vec<CallResult>,
    media: MediaStats,
    setup_max: Duration,
}

impl Verdict {
    fn new(results: &[CallResult], killed: Option<(SocketAddr, Duration)>) -> Self {
        let mut verdict = Self::default();
        for result in results {
            let was_on_the_killed = killed.is_some_and(|(address, after)| {
                let answered_after = result.setup.map(|setup| result.placed_after + setup);
                result.server == Some(address) && answered_after.is_some_and(|at| at <= after)
            });
            let silent = result.media.sent >= PACKETS_MIN && result.media.echoed == 0;
            match result.outcome {
                Outcome::Cancelled => verdict.cancelled += 1,
                Outcome::Completed if !silent => verdict.completed += 1,
                _ if was_on_the_killed => verdict.on_the_killed += 1,
                _ => verdict.lost.push(*result),
            }
            if !was_on_the_killed {
                verdict.media = verdict.media.plus(result.media);
            }
            verdict.setup_max = verdict.setup_max.max(result.setup.unwrap_or_default());
        }
        verdict
    }

    fn as_json(&self, failovers: u64) -> serde_json::Value {
        json!({
            "completed": self.completed, "on_the_killed_server": self.on_the_killed, "cancelled": self.cancelled,
            "lost": self.lost.len(), "failovers": failovers, "setup_max_ms": self.setup_max.as_secs_f64() * 1_000.0,
            "rtp_sent": self.media.sent, "rtp_echoed": self.media.echoed, "rtp_late": self.media.late,
            "rtp_altered": self.media.altered,
        })
    }

    fn as_text(&self, failovers: u64) -> String {
        let mut text = format!(
            "{} calls completed, {} were on the killed server, {} lost; {failovers} failovers\n\
             longest setup {:.0} ms; {} RTP packets sent, {} heard back, {} of them late\n",
            self.completed,
            self.on_the_killed,
            self.lost.len(),
            self.setup_max.as_secs_f64() * 1_000.0,
            self.media.sent,
            self.media.echoed,
            self.media.late,
        );
        for call in self.lost.iter().take(10) {
            let server = call.server.map_or_else(|| "nobody".to_owned(), |s| s.to_string());
            text += &format!("lost: call {}, answered by {server}: {:?}\n", call.number, call.outcome);
        }
        text
    }
}

#[cfg(test)]
mod tests;
