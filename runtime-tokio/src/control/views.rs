//! What an operator sees, as data: the same for people (see `ctl`) and for programs.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use trunkline_core::anchor::RelayNode;

use crate::config::values::{TargetUri, split_host};

/// A set and its targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SetView {
    /// Its id.
    pub(crate) id: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its algorithm.
    pub(crate) algorithm: String,
    /// The set it falls back to.
    pub(crate) fallback: Option<u32>,
    /// Its targets, highest priority first.
    pub(crate) targets: Vec<TargetView>,
}

/// A target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TargetView {
    /// Its URI.
    pub(crate) uri: String,
    /// State and probing in two letters: A active, I inactive, T trying, D disabled; P pinged, X not.
    pub(crate) flags: String,
    /// `up`, `trying` or `down`: what pings and calls say.
    pub(crate) health: String,
    /// `active`, `drain` or `disabled`: what the operator wants.
    pub(crate) admin: String,
    /// Its priority.
    pub(crate) priority: i32,
    /// Its weight.
    pub(crate) weight: u16,
    /// Its weight under relative-weight.
    pub(crate) relative_weight: u16,
    /// The socket that requests to it leave by, where one is named.
    pub(crate) socket: String,
    /// The share of new calls that its overload control wants it to be spared now, in percent.
    pub(crate) overload_percent: u8,
    /// Its name.
    pub(crate) duid: String,
    /// Calls it carries now.
    pub(crate) calls: u64,
    /// Calls given to it so far.
    pub(crate) calls_total: u64,
    /// Most calls at once; 0: no limit.
    pub(crate) max_calls: u64,
    /// Most new calls a second; 0: no limit.
    pub(crate) max_cps: u64,
    /// How long pings take, where that is measured.
    pub(crate) latency: Option<LatencyView>,
}

impl TargetView {
    /// Whether an operator means it by `name`: its URI as configured or written another way, its duid, or its host and
    /// port.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        if self.uri == name || (!self.duid.is_empty() && self.duid == name) {
            return true;
        }
        let Ok(own) = self.uri.parse::<TargetUri>() else { return false };
        match name.parse::<TargetUri>() {
            Ok(uri) => (&uri.host, uri.port, uri.transport) == (&own.host, own.port, own.transport),
            Err(_) => split_host(name).is_ok_and(|(host, port)| (&host, port.unwrap_or(5060)) == (&own.host, own.port)),
        }
    }
}

/// How long pings take, in milliseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LatencyView {
    /// Average.
    pub(crate) avg_ms: f64,
    /// Standard deviation.
    pub(crate) std_ms: f64,
    /// Moving estimate (EWMA, alpha 0.1).
    pub(crate) est_ms: f64,
    /// The longest.
    pub(crate) max_ms: f64,
    /// Pings not answered in time.
    pub(crate) timeouts: u32,
}

/// A dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DialogView {
    /// Call-ID.
    pub(crate) call_id: String,
    /// The caller's URI.
    pub(crate) from: String,
    /// The URI that was called.
    pub(crate) to: String,
    /// The caller's tag.
    pub(crate) caller_tag: String,
    /// The callee's tag; empty before there is one.
    pub(crate) callee_tag: String,
    /// `early` or `confirmed`.
    pub(crate) state: String,
    /// Seconds since the INVITE.
    pub(crate) age_s: f64,
    /// Seconds since the answer.
    pub(crate) answered_s: Option<f64>,
    /// The target that carries it.
    pub(crate) target: Option<String>,
}

/// A media relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RelayView {
    /// Where it takes commands.
    pub(crate) address: SocketAddr,
    /// Its set.
    pub(crate) set: u16,
    /// Its share of the calls of its set.
    pub(crate) weight: u16,
    /// Whether it answers.
    pub(crate) alive: bool,
}

impl RelayView {
    pub(crate) fn new(node: &RelayNode, alive: bool) -> Self {
        Self { address: node.address, set: node.set, weight: node.weight, alive }
    }
}

/// How full a table is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FillView {
    /// The table.
    pub(crate) what: String,
    /// Entries now.
    pub(crate) used: u64,
    /// Entries at most.
    pub(crate) capacity: u64,
    /// Entries at the worst moment so far, over all shards.
    pub(crate) high_water: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_goes_by_several_names() {
        let target = |uri: &str, duid: &str| -> TargetView {
            serde_json::from_value(serde_json::json!({
                "uri": uri, "flags": "AP", "health": "up", "admin": "active", "priority": 0, "weight": 50, "relative_weight": 50, "socket": "", "overload_percent": 0, "duid": duid,
                "calls": 0, "calls_total": 0, "max_calls": 0, "max_cps": 0, "latency": null,
            }))
            .unwrap()
        };
        let udp = target("sip:10.0.0.1:5070;transport=udp", "fs1");
        for name in ["sip:10.0.0.1:5070;transport=udp", "sip:10.0.0.1:5070", "10.0.0.1:5070", "fs1"] {
            assert!(udp.is_named(name), "{name}");
        }
        for name in ["", "sip:10.0.0.1:5070;transport=tcp", "sip:10.0.0.1", "10.0.0.1", "10.0.0.1:5071", "fs", "FS1"] {
            assert!(!udp.is_named(name), "{name}");
        }
        let tcp = target("sip:[2001:db8::1];transport=tcp", "");
        for name in ["sip:[2001:db8::1]:5060;transport=tcp", "[2001:db8::1]:5060", "[2001:db8:0::1]"] {
            assert!(tcp.is_named(name), "{name}");
        }
        assert!(!tcp.is_named("sip:[2001:db8::1]") && !tcp.is_named(""));
    }
}
