//! The server side: what each method does.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tracing::{info, warn};
use trunkline_core::Cx;
use trunkline_core::dialog::DialogPhase;
use trunkline_core::dispatcher::{AdminState, Attrs, Health, StateCommand, TargetId};
use trunkline_core::node::{Action, Anchored, Node, Stats};
use trunkline_core::proxy::Listener;

use super::views::{DialogView, FillView, LatencyView, SetView, TargetView};
use super::{Request, Response, RpcError};
use crate::assemble::{self, ECHO_SET, OwnedTarget, Regex};
use crate::config::values::{LogLevel, RelayMode, TargetUri};
use crate::config::{self, Config};
use crate::io::ShardHandle;
use crate::log;
use crate::relay::Handle;
use crate::vrrp::Vrrp;

/// The engine of a shard.
pub(crate) type Shard = Anchored<'static, Regex>;
/// What of it an operator looks at and changes.
pub(crate) type ShardNode = Node<'static, Regex>;

/// Longest request line, in bytes.
const LINE_MAX: u64 = 1 << 20;
/// Most dialogs listed at once.
const DIALOGS_MAX: u32 = 100_000;
/// What means every target.
const ALL: &str = "all";

/// What control works with.
pub(crate) struct Control {
    pub(crate) shards: Vec<ShardHandle<Shard>>,
    /// The file, and what the command line puts in its place.
    pub(crate) path: Option<PathBuf>,
    pub(crate) listen: Vec<crate::cli::ListenArg>,
    pub(crate) config: Mutex<Config>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) echo: Option<SocketAddr>,
    /// The relay of this process, if it has one.
    pub(crate) relay: Option<Handle>,
    pub(crate) secret: [u8; 16],
    /// The virtual routers, if this node has any that run.
    pub(crate) vrrp: Option<Vrrp>,
    pub(crate) started: SystemTime,
    /// Told when the node shall stop.
    pub(crate) stop: Notify,
}

/// What comes of a request.
pub(super) type Outcome = Result<Value, RpcError>;

impl Control {
    /// Runs `f` on every shard, one after the other.
    pub(crate) async fn each<R, F>(&self, f: F) -> Result<Vec<R>, RpcError>
    where
        R: Send + 'static,
        F: Fn(&mut ShardNode, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> R + Clone + Send + 'static,
    {
        let mut results = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let f = f.clone();
            let result = shard.ask(move |engine, cx, out| f(&mut engine.node, cx, out)).await;
            results.push(result.map_err(|_| RpcError::failed("the node is stopping"))?);
        }
        Ok(results)
    }

    /// Carries out one request.
    pub(crate) async fn call(&self, method: &str, params: &Value) -> Outcome {
        match method {
            "targets.list" | "dispatcher.list" | "dispatcher.oclist" => self.list(params).await,
            "targets.set_state" | "dispatcher.set_state" | "dispatcher.set_duid_state" => self.set_state(params).await,
            "targets.add" | "dispatcher.add" => self.add(params).await,
            "targets.remove" | "dispatcher.remove" => self.remove(params).await,
            "targets.ping" | "dispatcher.ping_active" => self.ping(params).await,
            "core.reload" | "dispatcher.reload" => self.reload().await.map_err(RpcError::failed),
            "dialogs.list" | "dlg.list" => self.dialogs(params).await,
            "transactions.count" => self.transactions().await,
            "stats.list" | "stats.get_statistics" => self.stats(params).await,
            "relay.list" => self.relays().await,
            "relay.sessions" => self.relay_sessions(params).await,
            "relay.totals" => self.relay_totals().await,
            "vrrp.list" => self.vrrp_list().await,
            "vrrp.release" => self.vrrp_release(params, true).await,
            "vrrp.resume" => self.vrrp_release(params, false).await,
            "core.uptime" => Ok(self.uptime()),
            "core.version" => Ok(json!({ "name": "trunkline", "version": env!("CARGO_PKG_VERSION") })),
            "core.log_level" => log_level(params),
            "core.stop" => {
                self.stop.notify_one();
                Ok(json!("stopping"))
            }
            other => Err(RpcError { code: -32_601, message: format!("there is no method {other:?}") }),
        }
    }

    /// The sets with their targets; calls are summed over the shards, health is that of the first one, which pings.
    pub(crate) async fn sets(&self, only: Option<u32>) -> Result<Vec<SetView>, RpcError> {
        let per_shard = self.each(|node, cx, _| list_targets(node, cx.now)).await?;
        let shards = per_shard.len() as u64;
        let mut per_shard = per_shard.into_iter();
        let mut sets = per_shard.next().unwrap_or_default();
        for other in per_shard {
            for (set, more) in sets.iter_mut().zip(other) {
                for (target, more) in set.targets.iter_mut().zip(more.targets) {
                    target.calls += more.calls;
                    target.calls_total += more.calls_total;
                }
            }
        }
        let config = self.config();
        for set in &mut sets {
            for target in &mut set.targets {
                target.max_calls *= shards;
                target.max_cps *= shards;
                target.latency = target.latency.take().filter(|_| config.dispatch.ping.latency_stats);
            }
            match config.set_by_id(set.id) {
                Some(known) => {
                    set.name.clone_from(&known.name);
                    set.algorithm = known.algorithm.name().to_owned();
                }
                None if set.id == ECHO_SET => set.name = "built-in echo".to_owned(),
                None => {}
            }
        }
        sets.retain(|set| only.is_none_or(|id| id == set.id));
        Ok(sets)
    }

    pub(super) fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    async fn list(&self, params: &Value) -> Outcome {
        let set = params.get("set").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let sets = self.sets(set).await?;
        if sets.is_empty() && set.is_some() {
            return Err(RpcError::failed("there is no such set"));
        }
        Ok(json!({ "sets": sets }))
    }

    async fn set_state(&self, params: &Value) -> Outcome {
        let state = StateCommand::parse(text(params, "state")?).map_err(|e| RpcError::params(e.to_string()))?;
        let name = text(params, "target").or_else(|e| text(params, "duid").map_err(|_| e))?;
        let set = match params.get("set") {
            Some(Value::Null) | None => None,
            Some(set) => Some(set.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or(RpcError::params("bad set"))?),
        };
        let named = self.named(set, Some(name).filter(|name| *name != ALL)).await?;
        let targets: Vec<String> = named.iter().map(|(_, uri)| uri.clone()).collect();
        let met = self
            .each(move |node, cx, out| {
                named.iter().map(|(set, uri)| node.set_state(cx, *set, uri, state, out)).sum::<usize>()
            })
            .await?;
        info!("the operator set {name} to {:?}", state.admin);
        Ok(json!({ "changed": met.first(), "targets": targets }))
    }

    /// The targets that `name` means, without one all of them, each with its set: in `set`, or in any.
    async fn named(&self, set: Option<u32>, name: Option<&str>) -> Result<Vec<(u32, String)>, RpcError> {
        let sets = self.sets(set).await?;
        let all = sets.iter().flat_map(|set| set.targets.iter().map(|target| (set.id, target)));
        let named: Vec<_> = all
            .filter(|(_, target)| name.is_none_or(|name| target.is_named(name)))
            .map(|(set, target)| (set, target.uri.clone()))
            .collect();
        if named.is_empty() {
            let place = set.map(|id| format!(" in set {id}")).unwrap_or_default();
            return Err(RpcError::failed(format!("there is no target {}{place}", name.unwrap_or_default())));
        }
        Ok(named)
    }

    async fn add(&self, params: &Value) -> Outcome {
        let set = number(params, "set")?;
        let uri: TargetUri = text(params, "uri")?.parse().map_err(RpcError::params)?;
        let address =
            uri.address().ok_or(RpcError::params("the host of a target added at run time is an IP address"))?;
        let optional = |key| params.get(key).and_then(Value::as_u64).unwrap_or_default();
        let shards = self.shards.len().max(1) as u64;
        let share = |n: u64| u32::try_from(n.div_ceil(shards)).unwrap_or(u32::MAX);
        let weight = u16::try_from(params.get("weight").and_then(Value::as_u64).unwrap_or(50)).unwrap_or(u16::MAX);
        let target = OwnedTarget {
            set,
            uri: uri.as_str().to_owned(),
            address,
            transport: assemble::transport(uri.transport),
            priority: i32::try_from(optional("priority")).unwrap_or(i32::MAX),
            attrs: Attrs {
                weight,
                rweight: weight,
                maxload: share(optional("max_calls")),
                cps: share(optional("max_cps")),
                ..Attrs::default()
            },
            socket: String::new(),
            listener: None,
            ping_from: String::new(),
            ping_proxy: None,
            duid: params.get("duid").and_then(Value::as_str).unwrap_or_default().to_owned(),
            admin: AdminState::Active,
            flagged: false,
        };
        let added = self.each(move |node, cx, _| node.add_target(cx, &target.as_config()).map(|_| ())).await?;
        added.into_iter().collect::<Result<Vec<()>, _>>().map_err(|e| RpcError::failed(e.to_string()))?;
        info!("the operator added {uri} to set {set}");
        Ok(json!({ "added": uri.as_str() }))
    }

    async fn remove(&self, params: &Value) -> Outcome {
        let (set, name) = (number(params, "set")?, text(params, "target")?);
        let named = self.named(Some(set), Some(name)).await?;
        let removed = self
            .each(move |node, cx, _| named.iter().map(|(set, uri)| node.remove_target(cx, *set, uri)).sum::<usize>())
            .await?;
        info!("the operator removed {name} from set {set}");
        Ok(json!({ "removed": removed.first() }))
    }

    async fn ping(&self, params: &Value) -> Outcome {
        let named = self.named(None, params.get("target").and_then(Value::as_str)).await?;
        let Some(first) = self.shards.first() else { return Err(RpcError::failed("the node is stopping")) };
        let pinged = first
            .ask(move |engine, cx, out| {
                let node = &mut engine.node;
                let is_named = |uri: &str| named.iter().any(|(_, named)| named == uri);
                let ids: Vec<TargetId> = node.targets().filter(|(_, t)| is_named(t.uri())).map(|(id, _)| id).collect();
                for id in &ids {
                    node.ping_now(cx, *id, out);
                }
                ids.len()
            })
            .await
            .map_err(|_| RpcError::failed("the node is stopping"))?;
        Ok(json!({ "pinged": pinged }))
    }

    /// Reads the configuration again. Everything is checked before anything changes.
    pub(crate) async fn reload(&self) -> Result<Value, String> {
        let result = self.try_reload().await;
        match &result {
            Ok(_) => info!("configuration reloaded"),
            Err(why) => warn!("the configuration was not reloaded, nothing has changed: {why}"),
        }
        result
    }

    async fn try_reload(&self) -> Result<Value, String> {
        if self.is_relay_alone() {
            return Err("the settings of a relay change with a restart only".to_owned());
        }
        let mut loaded = config::load(self.path.as_deref()).map_err(|e| e.to_string())?;
        crate::run::apply_listen(&mut loaded.config, &self.listen);
        if self.shards.is_empty() {
            return self.reload_vrrp(loaded).await;
        }
        let before = self.config();
        let mut notes = loaded.warnings.clone();
        if loaded.config.listen != before.listen {
            notes.push("listeners change with a restart only".to_owned());
        }
        if loaded.config.limits != before.limits || loaded.config.node.shards != before.node.shards {
            notes.push("limits and shards change with a restart only".to_owned());
        }
        if self.echo.is_none() && assemble::wants_echo(&loaded.config) {
            return Err("the built-in echo starts with a restart only".to_owned());
        }
        let shards = u8::try_from(self.shards.len()).unwrap_or(u8::MAX);
        let targets = assemble::targets(&loaded.config, self.echo, shards)?;
        let mut node = assemble::node(&loaded.config, &self.listeners, self.secret)?;
        node.dispatcher.probe.passive = self.is_passive();
        node.dispatcher.probe.check().map_err(|e| e.to_string())?;
        // What is reserved for relays stays there when they are no longer used.
        let (mode, before_mode) = (loaded.config.relay.mode(), before.relay.mode());
        if mode != before_mode && (mode, before_mode) != (RelayMode::Off, RelayMode::Ng) {
            return Err("relay.mode changes with a restart only".to_owned());
        }
        if self.relay.is_some() && !loaded.config.relay.has_same_engine(&before.relay) {
            notes.push("addresses, ports, timeouts and limits of the relay change with a restart only".to_owned());
        }
        let anchor = assemble::anchor(&loaded.config, &targets, self.relay_address());
        match &self.vrrp {
            Some(vrrp) => vrrp.reload(&loaded.config).await?,
            None if !loaded.config.vrrp.is_empty() => {
                notes.push("virtual routers start with a restart only".to_owned())
            }
            None => {}
        }
        let mut reports = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let (targets, node, anchor) = (targets.clone(), node.clone(), anchor.clone());
            let reloaded = shard.ask(move |engine, cx, _| {
                let configs: Vec<_> = targets.targets.iter().map(OwnedTarget::as_config).collect();
                let report = engine.node.reload_targets(cx, &targets.sets, &configs).map_err(|e| e.to_string())?;
                engine.node.reconfigure(cx, node).map_err(|e| e.to_string())?;
                engine.anchor.configure(anchor);
                Ok::<_, String>(report)
            });
            reports.push(reloaded.await.map_err(|_| "the node is stopping")?);
        }
        let report = reports.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().next().unwrap_or_default();
        if loaded.config.node.log_level != before.node.log_level {
            log::set_level(loaded.config.node.log_level);
        }
        *self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = loaded.config;
        Ok(json!({
            "added": report.added, "kept": report.kept, "removed": report.removed, "leaving": report.leaving,
            "notes": notes,
        }))
    }

    /// The reload of a process without a SIP node.
    async fn reload_vrrp(&self, loaded: config::Loaded) -> Result<Value, String> {
        if let Some(vrrp) = &self.vrrp {
            vrrp.reload(&loaded.config).await?;
        }
        log::set_level(loaded.config.node.log_level);
        *self.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = loaded.config;
        Ok(json!({ "notes": [] }))
    }

    async fn dialogs(&self, params: &Value) -> Outcome {
        let limit = params.get("limit").and_then(Value::as_u64).unwrap_or(1_000).min(u64::from(DIALOGS_MAX)) as usize;
        let call_id = params.get("call_id").and_then(Value::as_str).map(str::to_owned);
        let lists = self.each(move |node, cx, _| list_dialogs(node, cx, call_id.as_deref(), limit)).await?;
        let total: usize = lists.iter().map(|(total, _)| total).sum();
        let dialogs: Vec<DialogView> = lists.into_iter().flat_map(|(_, list)| list).take(limit).collect();
        Ok(json!({ "total": total, "dialogs": dialogs }))
    }

    async fn transactions(&self) -> Outcome {
        Ok(json!({ "tables": self.fill().await? }))
    }

    async fn fill(&self) -> Result<Vec<FillView>, RpcError> {
        let fills = self.each(|node, _, _| node.fill()).await?;
        let mut tables: Vec<FillView> = Vec::new();
        for shard in fills {
            for (i, fill) in shard.into_iter().enumerate() {
                match tables.get_mut(i) {
                    Some(table) => {
                        table.used += fill.used as u64;
                        table.capacity += fill.capacity as u64;
                        table.high_water += fill.high_water as u64;
                    }
                    None => tables.push(FillView {
                        what: fill.what.to_owned(),
                        used: fill.used as u64,
                        capacity: fill.capacity as u64,
                        high_water: fill.high_water as u64,
                    }),
                }
            }
        }
        Ok(tables)
    }

    /// What all shards have done.
    pub(crate) async fn totals(&self) -> Result<Stats, RpcError> {
        let mut total = Stats::default();
        for stats in self.each(|node, _, _| *node.stats()).await? {
            total.add(&stats);
        }
        Ok(total)
    }

    async fn stats(&self, params: &Value) -> Outcome {
        let part = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let mut all = serde_json::Map::new();
        for (name, value) in self.totals().await?.entries() {
            all.insert(format!("sip.{name}"), value.into());
        }
        let io = self.shards.iter().map(ShardHandle::stats);
        for stats in io {
            for (name, value) in stats.entries() {
                let sum = all.entry(format!("io.{name}")).or_insert(json!(0));
                *sum = (sum.as_u64().unwrap_or_default() + value).into();
            }
        }
        all.extend(self.media_stats().await?);
        for fill in self.fill().await? {
            let name = fill.what.replace(' ', "_");
            all.insert(format!("used.{name}"), fill.used.into());
            all.insert(format!("max_used.{name}"), fill.high_water.into());
        }
        all.retain(|name, _| name.contains(part));
        Ok(Value::Object(all))
    }

    fn vrrp(&self) -> Result<&Vrrp, RpcError> {
        self.vrrp.as_ref().ok_or_else(|| RpcError::failed("no virtual router runs on this node"))
    }

    async fn vrrp_list(&self) -> Outcome {
        let view = self.vrrp()?.show().await.map_err(RpcError::failed)?;
        serde_json::to_value(view).map_err(|e| RpcError::failed(e.to_string()))
    }

    async fn vrrp_release(&self, params: &Value, release: bool) -> Outcome {
        let name = params.get("name").and_then(Value::as_str);
        self.vrrp()?.release(name, release).await.map_err(RpcError::failed)?;
        Ok(json!(if release { "released" } else { "resumed" }))
    }

    /// Gives up all virtual addresses.
    pub(crate) async fn stop_vrrp(&self) {
        if let Some(vrrp) = &self.vrrp {
            vrrp.stop().await;
        }
    }

    /// Whether another node holds the addresses of this one.
    fn is_passive(&self) -> bool {
        self.vrrp.as_ref().is_some_and(|vrrp| !*vrrp.active().borrow())
    }

    fn uptime(&self) -> Value {
        let up = self.started.elapsed().unwrap_or_default();
        let started = jiff::Timestamp::try_from(self.started).map(|t| format!("{t:.0}")).unwrap_or_default();
        json!({ "started": started, "uptime_s": up.as_secs() })
    }

    /// Answers the requests of one client until it goes.
    async fn serve(&self, stream: UnixStream) -> io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader).take(LINE_MAX).read_until(b'\n', &mut line).await?;
            if read == 0 {
                return Ok(());
            }
            let response = match serde_json::from_slice::<Request>(&line) {
                Ok(request) => Response::new(request.id, self.call(&request.method, &request.params).await),
                Err(error) => {
                    let code = if error.is_data() { -32_600 } else { -32_700 };
                    Response::new(Value::Null, Err(RpcError { code, message: error.to_string() }))
                }
            };
            let mut text = serde_json::to_vec(&response)?;
            text.push(b'\n');
            writer.write_all(&text).await?;
        }
    }
}

fn text<'p>(params: &'p Value, key: &str) -> Result<&'p str, RpcError> {
    params.get(key).and_then(Value::as_str).ok_or_else(|| RpcError::params(format!("{key} is missing")))
}

fn number(params: &Value, key: &str) -> Result<u32, RpcError> {
    let number = params.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    number.ok_or_else(|| RpcError::params(format!("{key} is missing, or no number")))
}

fn log_level(params: &Value) -> Outcome {
    if let Some(level) = params.get("level").and_then(Value::as_str) {
        let wanted = || RpcError::params(format!("wanted {}", LogLevel::spellings()));
        log::set_level(LogLevel::named(level).ok_or_else(wanted)?);
    }
    Ok(json!({ "level": log::level().name() }))
}

fn list_targets(node: &ShardNode, now: trunkline_core::Instant) -> Vec<SetView> {
    let dispatcher = node.dispatcher();
    let sets = dispatcher.sets().iter();
    sets.map(|set| SetView {
        id: set.id(),
        name: String::new(),
        algorithm: String::new(),
        fallback: set.fallback(),
        targets: dispatcher.targets_of(set.id()).map(|(_, target)| target_view(target, now)).collect(),
    })
    .collect()
}

fn target_view(target: &trunkline_core::dispatcher::Target, now: trunkline_core::Instant) -> TargetView {
    let ms = |us: u32| f64::from(us) / 1_000.0;
    let (latency, attrs) = (target.latency(), target.attrs());
    TargetView {
        uri: target.uri().to_owned(),
        flags: target.flags().to_owned(),
        health: match target.health() {
            Health::Up => "up",
            Health::Trying => "trying",
            Health::Down => "down",
        }
        .to_owned(),
        admin: match target.admin() {
            AdminState::Active => "active",
            AdminState::Drain => "drain",
            AdminState::Disabled => "disabled",
        }
        .to_owned(),
        priority: target.priority(),
        weight: attrs.weight,
        relative_weight: attrs.rweight,
        socket: target.socket().to_owned(),
        overload_percent: target.overload_percent(now),
        duid: target.duid().to_owned(),
        calls: u64::from(target.load().local()),
        calls_total: target.calls(),
        max_calls: u64::from(attrs.maxload),
        max_cps: u64::from(attrs.cps),
        latency: Some(LatencyView {
            avg_ms: ms(latency.average_us()),
            std_ms: ms(latency.deviation_us()),
            est_ms: ms(latency.estimate_us()),
            max_ms: ms(latency.max_us()),
            timeouts: latency.timeouts(),
        }),
    }
}

fn list_dialogs(node: &ShardNode, cx: &Cx<'_>, call_id: Option<&str>, limit: usize) -> (usize, Vec<DialogView>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let seconds = |d: Duration| (d.as_secs_f64() * 1_000.0).round() / 1_000.0;
    let mut total = 0;
    let mut list = Vec::new();
    for dialog in node.dialogs(cx.now) {
        let names = dialog.names.unwrap_or(trunkline_core::dialog::layer::Names {
            call_id: b"",
            caller_tag: b"",
            callee_tag: b"",
            from: b"",
            to: b"",
        });
        if call_id.is_some_and(|wanted| wanted.as_bytes() != names.call_id) {
            continue;
        }
        total += 1;
        if list.len() < limit {
            list.push(DialogView {
                call_id: text(names.call_id),
                from: text(names.from),
                to: text(names.to),
                caller_tag: text(names.caller_tag),
                callee_tag: text(names.callee_tag),
                state: match dialog.phase {
                    DialogPhase::Early => "early",
                    DialogPhase::Confirmed => "confirmed",
                    DialogPhase::Ended(_) => "ended",
                }
                .to_owned(),
                age_s: seconds(dialog.age),
                answered_s: dialog.answered_for.map(seconds),
                target: dialog.target.map(str::to_owned),
            });
        }
    }
    (total, list)
}

/// Opens the control socket. One that a dead process left behind is replaced; one that answers is not.
pub(crate) fn bind(path: &Path) -> Result<UnixListener, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(|e| {
            format!("cannot make the directory of the control socket {shown}: {e}; set control.socket to another path")
        })?;
    }
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(format!(
                "another trunkline answers on the control socket {shown}; stop it or set control.socket to another path"
            ));
        }
        std::fs::remove_file(path).map_err(|e| format!("cannot remove the stale control socket {shown}: {e}"))?;
    }
    let listener = UnixListener::bind(path).map_err(|e| format!("cannot open the control socket {shown}: {e}"))?;
    // Whoever can connect controls the node: the owner only.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| format!("cannot protect the control socket {shown}: {e}"))?;
    Ok(listener)
}

/// Takes clients until the task is dropped.
pub(crate) async fn accept(control: std::rc::Rc<Control>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let control = std::rc::Rc::clone(&control);
                tokio::task::spawn_local(async move {
                    // A client that goes in mid-answer is no concern of the node.
                    let _ = control.serve(stream).await;
                });
            }
            Err(error) => {
                warn!("the control socket takes no clients for a moment: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
