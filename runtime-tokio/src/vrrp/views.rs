//! What an operator sees of virtual routers, as data.

use serde::{Deserialize, Serialize};
use trunkline_core::vrrp::{Counters, Stats};

/// The named fields of a struct of counters, in order.
macro_rules! fields {
    ($from:expr, $($name:ident),+ $(,)?) => {{
        let mut map = serde_json::Map::new();
        $(map.insert(stringify!($name).to_owned(), $from.$name.into());)+
        map
    }};
}

/// What an instance has counted.
pub(super) fn counted(c: &Counters) -> serde_json::Map<String, serde_json::Value> {
    fields!(
        c,
        sent,
        resigned,
        received,
        received_resigned,
        contested,
        became_active,
        left_active,
        announced,
        address_conflicts,
        overslept,
        bad_ttl,
        bad_version,
        bad_auth_type,
        bad_password,
        bad_interval,
        looped,
        unknown_peer,
        vrid_clash,
        address_mismatch,
        not_running,
    )
}

/// Packets that belong to no instance.
pub(super) fn ignored(s: &Stats) -> serde_json::Map<String, serde_json::Value> {
    fields!(s, bad_length, bad_version, bad_type, bad_checksum, bad_field, unknown_vrid, unknown_subject)
}

/// All virtual routers of a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct VrrpView {
    /// Virtual routers.
    pub(crate) instances: Vec<InstanceView>,
    /// Sync groups.
    pub(crate) groups: Vec<GroupView>,
    /// What they track.
    pub(crate) tracks: Vec<TrackView>,
    /// Packets that belong to none of them, by reason.
    pub(crate) ignored: serde_json::Map<String, serde_json::Value>,
}

/// A virtual router.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstanceView {
    /// Its name.
    pub(crate) name: String,
    /// `active`, `backup`, `fault`, `released` or `stopped`.
    pub(crate) state: String,
    /// Why it is at fault.
    pub(crate) fault: Option<String>,
    /// Its priority with what tracks add and take away.
    pub(crate) priority: u8,
    /// Its priority as configured.
    pub(crate) base_priority: u8,
    /// Its interface.
    pub(crate) interface: String,
    /// Its VRID.
    pub(crate) vrid: u8,
    /// The version of the protocol.
    pub(crate) version: u8,
    /// Its interval, in milliseconds.
    pub(crate) advert_interval_ms: u64,
    /// The address that its adverts come from.
    pub(crate) source: Option<String>,
    /// The addresses that move.
    pub(crate) addresses: Vec<String>,
    /// The node that is active, if it is another one.
    pub(crate) active: Option<ActiveView>,
    /// What was counted.
    pub(crate) counters: serde_json::Map<String, serde_json::Value>,
    /// The last changes, oldest first.
    pub(crate) transitions: Vec<TransitionView>,
}

/// The node that is active.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ActiveView {
    /// Where its adverts come from.
    pub(crate) address: String,
    /// Its priority.
    pub(crate) priority: u8,
}

/// A sync group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupView {
    /// Its name.
    pub(crate) name: String,
    /// Its state.
    pub(crate) state: String,
    /// Its members.
    pub(crate) members: Vec<String>,
    /// The last changes, oldest first.
    pub(crate) transitions: Vec<TransitionView>,
}

/// A track.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrackView {
    /// Its name.
    pub(crate) name: String,
    /// Whether it is up; none: nothing is known of it yet.
    pub(crate) is_up: Option<bool>,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransitionView {
    /// When, in UTC.
    pub(crate) at: String,
    /// The state before.
    pub(crate) from: String,
    /// The state after.
    pub(crate) to: String,
    /// Why.
    pub(crate) reason: String,
}
