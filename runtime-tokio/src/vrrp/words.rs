//! States and reasons in an operator's words.

use trunkline_core::vrrp::{Counters, Fault, InstanceId, Reason, State, TrackId};

use super::settings::Plan;

/// A state: `active`, `backup`, `fault` or `stopped`.
pub(super) fn state(state: State, fault: Option<Fault>) -> &'static str {
    match (state, fault) {
        (State::Active, _) => "active",
        (State::Backup, _) => "backup",
        (State::Initialize, Some(Fault::Released)) => "released",
        (State::Initialize, Some(_)) => "fault",
        (State::Initialize, None) => "stopped",
    }
}

/// The state that a change leads to.
pub(super) fn state_after(to: State, reason: Reason) -> &'static str {
    let fault = match reason {
        Reason::Fault(fault) => Some(fault),
        // A member of a sync group that stops does so because another is at fault.
        Reason::Group(member) => Some(Fault::Member(member)),
        _ => None,
    };
    state(to, fault)
}

/// The same as Keepalived says it to scripts.
pub(super) fn keepalived(state: &str) -> &'static str {
    match state {
        "active" => "MASTER",
        "backup" => "BACKUP",
        "stopped" => "STOP",
        _ => "FAULT",
    }
}

fn instance(plan: &Plan, id: InstanceId) -> &str {
    plan.instances.iter().find(|i| i.config.id == id).map_or("?", |i| &i.name)
}

fn track(plan: &Plan, id: TrackId) -> &str {
    plan.tracks.iter().find(|(_, t)| t.id == id).map_or("?", |(name, _)| name)
}

/// Why it does not take part.
pub(super) fn fault(plan: &Plan, fault: Fault) -> String {
    match fault {
        Fault::Released => "released by the operator".to_owned(),
        Fault::Link => "its interface is down or not there".to_owned(),
        Fault::NoSource => "its interface has no address to send from".to_owned(),
        Fault::Track(id) => format!("track {} is down", track(plan, id)),
        Fault::Member(id) => format!("{} of its sync group is at fault", instance(plan, id)),
        other => format!("{other:?}"),
    }
}

/// Why a state changed.
pub(super) fn reason(plan: &Plan, reason: Reason) -> String {
    match reason {
        Reason::Startup => "started".to_owned(),
        Reason::Shutdown => "stopped".to_owned(),
        Reason::Owner => "it owns the addresses".to_owned(),
        Reason::ActiveDown => "nothing was heard of the active node".to_owned(),
        Reason::ActiveResigned => "the active node gave up".to_owned(),
        Reason::Preempted { from, priority } => format!("{from} was active with the lower priority {priority}"),
        Reason::Outranked { by, priority } => format!("{by} is active with priority {priority}"),
        Reason::PriorityLost { priority } => format!("a track lowered its priority to {priority}"),
        Reason::Fault(why) => fault(plan, why),
        Reason::Group(id) => format!("with {} of its sync group", instance(plan, id)),
        other => format!("{other:?}"),
    }
}

/// What is odd about the packets of others, and how often it was seen.
pub(super) fn oddities(c: &Counters) -> [(u64, &'static str); 9] {
    [
        (c.vrid_clash, "another cluster uses this VRID: its adverts list none of our addresses"),
        (c.address_mismatch, "another node of this VRID has other addresses"),
        (c.bad_password, "another node has another password"),
        (c.bad_auth_type, "another node has another type of authentication"),
        (c.bad_version, "another node speaks the other version"),
        (c.bad_interval, "another node has another advert_interval"),
        (c.bad_ttl, "adverts come from behind a router: their TTL is too low"),
        (c.unknown_peer, "adverts come from a node that is not in peers"),
        (c.contested, "another node, of lower priority, was active at the same time"),
    ]
}
