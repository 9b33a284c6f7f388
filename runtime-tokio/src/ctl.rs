//! `trunkline ctl`: the client side of control.

use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{CtlArgs, CtlVerb, Global, RelayVerb, VrrpVerb};
use crate::config;
use crate::config::values::AdminState;
use crate::control::views::{DialogView, FillView, RelayView, SetView};
use crate::control::{Request, Response};
use crate::relay::views::SessionView;
use crate::vrrp::views::{TransitionView, VrrpView};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often `drain --wait` looks.
const DRAIN_LOOK: Duration = Duration::from_millis(500);

/// A connection to a running node.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    next: u64,
}

impl Client {
    pub(crate) fn connect(path: &Path) -> Result<Self, String> {
        let stream = UnixStream::connect(path).map_err(|e| {
            format!(
                "no trunkline answers on {}: {e}; start it with `trunkline run`, or name its socket with --socket",
                path.display()
            )
        })?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
        Ok(Self { stream: BufReader::new(stream), next: 1 })
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) -> Result<Value, String> {
        let request = Request { jsonrpc: "2.0".to_owned(), id: self.next.into(), method: method.to_owned(), params };
        self.next += 1;
        let mut line = serde_json::to_vec(&request).map_err(|e| e.to_string())?;
        line.push(b'\n');
        let broken = |e: io::Error| format!("the node does not answer: {e}");
        self.stream.get_mut().write_all(&line).map_err(broken)?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).map_err(broken)?;
        let response: Response = serde_json::from_str(&answer).map_err(|e| format!("the node's answer is odd: {e}"))?;
        match (response.result, response.error) {
            (_, Some(error)) => Err(error.message),
            (Some(result), None) => Ok(result),
            (None, None) => Ok(Value::Null),
        }
    }
}

pub(crate) fn main(global: &Global, args: &CtlArgs) -> ExitCode {
    match run(global, args) {
        Ok(code) => code,
        Err(message) => {
            if global.json {
                crate::print(&format!("{}\n", json!({ "error": message })));
            } else {
                eprintln!("trunkline ctl: {message}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(global: &Global, args: &CtlArgs) -> Result<ExitCode, String> {
    let path = match &args.socket {
        Some(path) => path.clone(),
        None => match config::load(global.config.as_deref()) {
            Ok(loaded) => loaded.config.control_socket(),
            Err(e) if global.config.is_some() => return Err(e.to_string()),
            Err(_) => config::default_control_socket(),
        },
    };
    let mut client = Client::connect(&path)?;
    if let CtlVerb::Drain { target, wait, timeout } = &args.verb {
        return drain(&mut client, global, target, *wait, *timeout);
    }
    let (method, params) = request(&args.verb);
    let result = client.call(method, params)?;
    if global.json {
        crate::print(&format!("{result}\n"));
    } else {
        crate::print(&show(&args.verb, result)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// What a verb asks for.
fn request(verb: &CtlVerb) -> (&'static str, Value) {
    match verb {
        CtlVerb::Targets { set } => ("targets.list", json!({ "set": set })),
        CtlVerb::SetState { state, set, target } => {
            ("targets.set_state", json!({ "state": letter(state.0), "set": set, "target": target }))
        }
        CtlVerb::Add { set, uri, weight, priority, duid, max_calls, max_cps } => (
            "targets.add",
            json!({
                "set": set, "uri": uri.as_str(), "weight": weight, "priority": priority, "duid": duid,
                "max_calls": max_calls, "max_cps": max_cps,
            }),
        ),
        CtlVerb::Remove { set, target } => ("targets.remove", json!({ "set": set, "target": target })),
        CtlVerb::Reload => ("core.reload", Value::Null),
        CtlVerb::Ping { target } => ("targets.ping", json!({ "target": target })),
        CtlVerb::Drain { target, .. } => ("targets.set_state", json!({ "state": "i", "target": target })),
        CtlVerb::Dialogs { call_id, limit } => ("dialogs.list", json!({ "call_id": call_id, "limit": limit })),
        CtlVerb::Transactions => ("transactions.count", Value::Null),
        CtlVerb::Relay { what: None } => ("relay.list", Value::Null),
        CtlVerb::Relay { what: Some(RelayVerb::Sessions { call_id, limit }) } => {
            ("relay.sessions", json!({ "call_id": call_id, "limit": limit }))
        }
        CtlVerb::Relay { what: Some(RelayVerb::Totals) } => ("relay.totals", Value::Null),
        CtlVerb::Stats { name } => ("stats.list", json!({ "name": name })),
        CtlVerb::Vrrp { verb } => match verb {
            None | Some(VrrpVerb::Show) => ("vrrp.list", Value::Null),
            Some(VrrpVerb::Release { name }) => ("vrrp.release", json!({ "name": name })),
            Some(VrrpVerb::Resume { name }) => ("vrrp.resume", json!({ "name": name })),
        },
        CtlVerb::Uptime => ("core.uptime", Value::Null),
        CtlVerb::LogLevel { level } => ("core.log_level", json!({ "level": level.map(|l| l.name()) })),
    }
}

const fn letter(state: AdminState) -> &'static str {
    match state {
        AdminState::Active => "a",
        AdminState::Drain => "i",
        AdminState::Disabled => "d",
    }
}

fn show(verb: &CtlVerb, result: Value) -> Result<String, String> {
    let odd = |e: serde_json::Error| format!("the node's answer is odd: {e}");
    let mut text = String::new();
    match verb {
        CtlVerb::Targets { .. } => {
            let sets: Vec<SetView> = serde_json::from_value(result["sets"].clone()).map_err(odd)?;
            for set in &sets {
                show_set(&mut text, set);
            }
            if sets.is_empty() {
                text.push_str("no sets\n");
            }
        }
        CtlVerb::Dialogs { .. } => {
            let dialogs: Vec<DialogView> = serde_json::from_value(result["dialogs"].clone()).map_err(odd)?;
            for d in &dialogs {
                show_dialog(&mut text, d);
            }
            let _ = writeln!(text, "{} of {} dialogs", dialogs.len(), result["total"]);
        }
        CtlVerb::Transactions => {
            let tables: Vec<FillView> = serde_json::from_value(result["tables"].clone()).map_err(odd)?;
            let _ = writeln!(text, "{:<22} {:>9} {:>9} {:>9}", "", "now", "most", "room for");
            for t in &tables {
                let _ = writeln!(text, "{:<22} {:>9} {:>9} {:>9}", t.what, t.used, t.high_water, t.capacity);
            }
        }
        CtlVerb::Relay { what: None } => show_relays(&mut text, &result).map_err(odd)?,
        CtlVerb::Relay { what: Some(RelayVerb::Sessions { .. }) } => show_sessions(&mut text, &result).map_err(odd)?,
        CtlVerb::Stats { .. } | CtlVerb::Relay { what: Some(RelayVerb::Totals) } => show_numbers(&mut text, &result),
        CtlVerb::Vrrp { verb: None | Some(VrrpVerb::Show) } => {
            let view: VrrpView = serde_json::from_value(result).map_err(odd)?;
            show_vrrp(&mut text, &view);
        }
        CtlVerb::Uptime => {
            let s = result["uptime_s"].as_u64().unwrap_or_default();
            let (d, h, m) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
            let started = result["started"].as_str().unwrap_or_default();
            let _ = writeln!(text, "up {d}d {h:02}:{m:02}:{:02}, since {started}", s % 60);
        }
        CtlVerb::LogLevel { .. } => {
            let _ = writeln!(text, "{}", result["level"].as_str().unwrap_or_default());
        }
        CtlVerb::Reload => {
            let n = |key: &str| result[key].as_u64().unwrap_or_default();
            let _ = writeln!(
                text,
                "reloaded: {} targets kept, {} added, {} removed ({} of them finish their calls)",
                n("kept"),
                n("added"),
                n("removed"),
                n("leaving")
            );
            for note in result["notes"].as_array().into_iter().flatten() {
                let _ = writeln!(text, "note: {}", note.as_str().unwrap_or_default());
            }
        }
        _ => text.push_str("done\n"),
    }
    Ok(text)
}

/// As `dispatcher.list` shows it: a URI, its flags under it, then what an operator asks next.
fn show_set(text: &mut String, set: &SetView) {
    let name = if set.name.is_empty() { String::new() } else { format!(" ({})", set.name) };
    let _ = write!(text, "SET: {}{name}", set.id);
    if !set.algorithm.is_empty() {
        let _ = write!(text, "  ALGORITHM: {}", set.algorithm);
    }
    if let Some(fallback) = set.fallback {
        let _ = write!(text, "  FALLBACK: {fallback}");
    }
    text.push('\n');
    for t in &set.targets {
        let limit = |n: u64| if n == 0 { String::new() } else { format!("/{n}") };
        let _ = writeln!(text, "  DEST:");
        let _ = writeln!(text, "    URI: {}", t.uri);
        let _ = writeln!(text, "    FLAGS: {}", t.flags);
        let _ = writeln!(text, "    PRIORITY: {}", t.priority);
        let _ = writeln!(text, "    HEALTH: {}  ADMIN: {}", t.health, t.admin);
        let _ = writeln!(text, "    CALLS: {}{}  TOTAL: {}", t.calls, limit(t.max_calls), t.calls_total);
        let _ = write!(text, "    ATTRS: weight={};rweight={}", t.weight, t.relative_weight);
        for (name, value) in [("duid", &t.duid), ("socket", &t.socket)].into_iter().filter(|(_, v)| !v.is_empty()) {
            let _ = write!(text, ";{name}={value}");
        }
        text.push('\n');
        if t.overload_percent > 0 {
            let _ = writeln!(text, "    OVERLOAD: {} % of new calls are spared", t.overload_percent);
        }
        let Some(l) = &t.latency else { continue };
        let _ = writeln!(
            text,
            "    LATENCY: AVG: {:.3} STD: {:.3} EST: {:.3} MAX: {:.3} TIMEOUT: {}",
            l.avg_ms, l.std_ms, l.est_ms, l.max_ms, l.timeouts
        );
    }
}

fn show_numbers(text: &mut String, numbers: &Value) {
    for (name, value) in numbers.as_object().into_iter().flatten() {
        let _ = writeln!(text, "{name} = {value}");
    }
}

fn show_relays(text: &mut String, result: &Value) -> serde_json::Result<()> {
    let _ = writeln!(text, "mode {}", result["mode"].as_str().unwrap_or_default());
    for at in result["listen_ng"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "ng commands on udp {}", at.as_str().unwrap_or_default());
    }
    let relays: Vec<RelayView> = serde_json::from_value(result["relays"].clone()).or_else(|e| {
        // A relay alone has no list of others.
        if result["relays"].is_null() { Ok(Vec::new()) } else { Err(e) }
    })?;
    for relay in relays {
        let state = if relay.alive { "alive" } else { "dead" };
        let _ = writeln!(text, "{} {state}, set {}, weight {}", relay.address, relay.set, relay.weight);
    }
    show_numbers(text, &result["counters"]);
    Ok(())
}

fn show_sessions(text: &mut String, result: &Value) -> serde_json::Result<()> {
    if let Some(one) = result["text"].as_str() {
        text.push_str(one);
        return Ok(());
    }
    let sessions: Vec<SessionView> = serde_json::from_value(result["sessions"].clone())?;
    for s in &sessions {
        let answered = if s.answered { "answered" } else { "offered" };
        let _ =
            writeln!(text, "{}  {answered}, {:.0} s, {} parties, {} streams", s.call_id, s.age_s, s.parties, s.streams);
    }
    let _ = writeln!(text, "{} of {} calls", sessions.len(), result["total"]);
    Ok(())
}

fn show_dialog(text: &mut String, d: &DialogView) {
    let answered = d.answered_s.map_or_else(String::new, |s| format!(", answered {s:.0} s"));
    let target = d.target.as_deref().unwrap_or("-");
    let _ =
        writeln!(text, "{}  {} {:.0} s{answered}\n    {} -> {} on {target}", d.call_id, d.state, d.age_s, d.from, d.to);
}

fn show_vrrp(text: &mut String, view: &VrrpView) {
    for i in &view.instances {
        let lowered =
            if i.priority == i.base_priority { String::new() } else { format!(" (configured {})", i.base_priority) };
        let why = i.fault.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(text, "{}: {}{why}", i.name, i.state);
        let _ = writeln!(
            text,
            "  VRID {} on {}, version {}, priority {}{lowered}, every {} ms, from {}",
            i.vrid,
            i.interface,
            i.version,
            i.priority,
            i.advert_interval_ms,
            i.source.as_deref().unwrap_or("-")
        );
        let _ = writeln!(text, "  addresses: {}", i.addresses.join(", "));
        if let Some(active) = &i.active {
            let _ = writeln!(text, "  active: {} with priority {}", active.address, active.priority);
        }
        let counted = i.counters.iter().filter(|(_, n)| n.as_u64() != Some(0));
        let counted: Vec<String> = counted.map(|(name, n)| format!("{name} {n}")).collect();
        let _ = writeln!(text, "  counted: {}", counted.join(", "));
        show_transitions(text, &i.transitions);
    }
    for g in &view.groups {
        let _ = writeln!(text, "sync group {}: {}\n  members: {}", g.name, g.state, g.members.join(", "));
        show_transitions(text, &g.transitions);
    }
    for t in &view.tracks {
        let state = t.is_up.map_or("not known yet", |up| if up { "up" } else { "down" });
        let _ = writeln!(text, "track {}: {state}", t.name);
    }
    let ignored = view.ignored.iter().filter(|(_, n)| n.as_u64() != Some(0));
    let ignored: Vec<String> = ignored.map(|(name, n)| format!("{name} {n}")).collect();
    if !ignored.is_empty() {
        let _ = writeln!(text, "ignored packets: {}", ignored.join(", "));
    }
}

/// Changes that `ctl vrrp` shows of each; --json has more.
const TRANSITIONS_SHOWN: usize = 5;

fn show_transitions(text: &mut String, transitions: &[TransitionView]) {
    for t in transitions.iter().rev().take(TRANSITIONS_SHOWN).rev() {
        let _ = writeln!(text, "  {} {} -> {}: {}", t.at, t.from, t.to, t.reason);
    }
}

/// Takes a target out of service, and shows how its calls become fewer.
fn drain(
    client: &mut Client,
    global: &Global,
    target: &str,
    wait: bool,
    timeout: Option<Duration>,
) -> Result<ExitCode, String> {
    let result = client.call("targets.set_state", json!({ "state": "i", "target": target }))?;
    let uris: Vec<String> = serde_json::from_value(result["targets"].clone()).map_err(|e| e.to_string())?;
    let begin = Instant::now();
    let mut last = None;
    loop {
        let calls = calls_on(client, &uris)?;
        let done = !wait || calls == 0;
        let late = timeout.is_some_and(|t| begin.elapsed() >= t);
        if last != Some(calls) || done || late {
            progress(global, target, calls, done && wait);
            last = Some(calls);
        }
        if done {
            return Ok(ExitCode::SUCCESS);
        }
        if late {
            return Err(format!("{target} still has {calls} calls; it stays drained"));
        }
        std::thread::sleep(DRAIN_LOOK);
    }
}

fn calls_on(client: &mut Client, uris: &[String]) -> Result<u64, String> {
    let result = client.call("targets.list", Value::Null)?;
    let sets: Vec<SetView> = serde_json::from_value(result["sets"].clone()).map_err(|e| e.to_string())?;
    Ok(sets.iter().flat_map(|s| &s.targets).filter(|t| uris.contains(&t.uri)).map(|t| t.calls).sum())
}

fn progress(global: &Global, target: &str, calls: u64, done: bool) {
    if global.json {
        crate::print(&format!("{}\n", json!({ "target": target, "calls": calls, "drained": calls == 0 })));
        return;
    }
    let end = if done || !io::stdout().is_terminal() { "\n" } else { "" };
    let begin = if io::stdout().is_terminal() { "\r\x1b[K" } else { "" };
    crate::print(&format!("{begin}{target} takes no new calls; {calls} left{end}"));
    let _ = io::stdout().flush();
}
