//! What an operator sees of a relay, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use trunkline_core::Instant;
use trunkline_core::relay::{CallSummary, Relay};

use super::handle::Handle;
use crate::io::Stopped;

/// A call whose media is relayed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SessionView {
    /// Call-ID.
    pub(crate) call_id: String,
    /// Seconds since its first offer.
    pub(crate) age_s: f64,
    /// Whether an offer was answered.
    pub(crate) answered: bool,
    /// Parties.
    pub(crate) parties: usize,
    /// Pairs of ports.
    pub(crate) streams: usize,
}

impl SessionView {
    fn new(call: &CallSummary<'_>, now: Instant) -> Self {
        Self {
            call_id: String::from_utf8_lossy(call.call_id).into_owned(),
            age_s: rounded(now.since(call.created)),
            answered: call.answered,
            parties: call.parties,
            streams: call.streams,
        }
    }
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000.0).round() / 1_000.0
}

/// At most `limit` calls, and how many there are.
pub(crate) async fn sessions(relay: &Handle, limit: usize) -> Result<Value, Stopped> {
    let list = move |relay: &mut Relay<'_>, now| -> (usize, Vec<SessionView>) {
        (relay.sessions(), relay.calls().take(limit).map(|call| SessionView::new(&call, now)).collect())
    };
    let (total, sessions) = relay.ask(move |relay, cx, _| list(relay, cx.now)).await?;
    Ok(json!({ "total": total, "sessions": sessions }))
}

/// One call in words; none if there is no such call.
pub(crate) async fn session(relay: &Handle, call_id: String) -> Result<Option<String>, Stopped> {
    let describe = move |relay: &mut Relay<'_>| {
        let mut text = String::new();
        relay.describe(call_id.as_bytes(), &mut text).is_ok_and(|found| found).then_some(text)
    };
    relay.ask(move |relay, _, _| describe(relay)).await
}

/// Counters by name.
pub(crate) async fn totals(relay: &Handle) -> Result<Map<String, Value>, Stopped> {
    let (totals, uptime) = relay.ask(|relay, cx, _| (relay.totals(), relay.uptime(cx.now))).await?;
    let own = relay.stats().entries();
    let mut all: Map<String, Value> =
        totals.entries().chain(own).map(|(name, n)| (name.to_owned(), n.into())).collect();
    all.insert("uptime_s".to_owned(), uptime.as_secs().into());
    Ok(all)
}
