//! Methods about media relays.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};
use trunkline_core::anchor::AnchorStats;

use super::RpcError;
use super::server::{Control, Outcome};
use super::views::RelayView;
use crate::assemble;
use crate::io::Stopped;
use crate::relay::{Handle, views};

/// Most calls listed at once.
const SESSIONS_MAX: u64 = 100_000;

/// The relays that a shard knows, each with whether it lives, and what the shard has asked of them.
type Asked = (Vec<(SocketAddr, bool)>, AnchorStats);

impl Control {
    /// The media relays as the calls see them, and what was asked of them.
    pub(super) async fn relays(&self) -> Outcome {
        if self.is_relay_alone() {
            return Ok(json!({ "mode": "alone", "listen_ng": self.own_relay()?.control() }));
        }
        let per_shard = self.anchors().await?;
        let config = self.config();
        let nodes = assemble::relays(&config, self.relay_address());
        // Each shard finds out for itself whether one lives.
        let alive = |address| per_shard.iter().all(|(relays, _)| relays.contains(&(address, true)));
        let relays: Vec<RelayView> = nodes.iter().map(|node| RelayView::new(node, alive(node.address))).collect();
        let counters = anchor_totals(&per_shard).map(|(name, value)| (name.to_owned(), value.into()));
        let counters: Map<String, Value> = counters.collect();
        Ok(json!({ "mode": config.relay.mode().name(), "relays": relays, "counters": counters }))
    }

    /// Of each shard: the relays and whether they live, and what its anchor has done.
    async fn anchors(&self) -> Result<Vec<Asked>, RpcError> {
        let mut all = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let asked = shard.ask(|engine, _, _| (engine.anchor.relays().collect::<Vec<_>>(), *engine.anchor.stats()));
            all.push(asked.await.map_err(|_| RpcError::failed("the node is stopping"))?);
        }
        Ok(all)
    }

    /// Whether this process relays media and does nothing else.
    pub(super) fn is_relay_alone(&self) -> bool {
        self.relay.is_some() && self.shards.is_empty()
    }

    /// Where the relay of this process takes commands.
    pub(super) fn relay_address(&self) -> Option<SocketAddr> {
        self.relay.as_ref()?.control().first().copied()
    }

    fn own_relay(&self) -> Result<&Handle, RpcError> {
        self.relay
            .as_ref()
            .ok_or_else(|| RpcError::failed("no relay runs in this process: relay.mode is not \"embedded\""))
    }

    /// All calls of the relay of this process, or one in words.
    pub(super) async fn relay_sessions(&self, params: &Value) -> Outcome {
        let relay = self.own_relay()?;
        let Some(call_id) = params.get("call_id").and_then(Value::as_str) else {
            let limit = params.get("limit").and_then(Value::as_u64).unwrap_or(1_000).min(SESSIONS_MAX);
            return views::sessions(relay, usize::try_from(limit).unwrap_or(usize::MAX)).await.map_err(stopped);
        };
        let text = views::session(relay, call_id.to_owned()).await.map_err(stopped)?;
        text.map(|text| json!({ "text": text })).ok_or_else(|| RpcError::failed("the relay has no such call"))
    }

    /// Counters of the relay of this process.
    pub(super) async fn relay_totals(&self) -> Outcome {
        views::totals(self.own_relay()?).await.map(Value::Object).map_err(stopped)
    }

    /// Counters for the list of all.
    pub(super) async fn media_stats(&self) -> Result<Map<String, Value>, RpcError> {
        let mut all = Map::new();
        let anchors = self.anchors().await?;
        for (name, value) in anchor_totals(&anchors) {
            all.insert(format!("media.{name}"), value.into());
        }
        let alive = |relays: &[(SocketAddr, bool)]| relays.iter().filter(|(_, alive)| *alive).count();
        let alive = anchors.iter().map(|(relays, _)| alive(relays)).min().unwrap_or_default();
        all.insert("media.relays_alive".to_owned(), alive.into());
        if let Some(relay) = &self.relay {
            let totals = views::totals(relay).await.map_err(stopped)?;
            all.extend(totals.into_iter().map(|(name, value)| (format!("relay.{name}"), value)));
        }
        Ok(all)
    }
}

fn stopped(_: Stopped) -> RpcError {
    RpcError::failed("the relay has stopped")
}

/// What the anchors of all shards have done.
fn anchor_totals(anchors: &[Asked]) -> impl Iterator<Item = (&'static str, u64)> {
    let mut sums: Vec<(&'static str, u64)> = AnchorStats::default().entries().collect();
    for (_, stats) in anchors {
        sums.iter_mut().zip(stats.entries()).for_each(|((_, sum), (_, value))| *sum += value);
    }
    sums.into_iter().map(|(name, sum)| (name.trim_start_matches("media_"), sum))
}
