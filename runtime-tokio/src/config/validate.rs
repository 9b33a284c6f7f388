//! What a single value cannot show: contradictions between keys, and things that are valid but hardly meant.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use trunkline_core::anchor::config::RELAYS_MAX;
use trunkline_core::relay::media::INTERFACES_MAX;

use super::algorithm::Algorithm;
use super::schema::Problem;
use super::types::{Action, Config, Listen, Match, Route, Target};
use super::values::{Host, PingMode, RelayMode, TargetUri, show_duration, split_host};

fn about(key: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { key: key.into(), message: message.into(), span: None }
}

/// Records what makes `config` invalid although each of its values is valid.
pub(super) fn validate(config: &Config, problems: &mut Vec<Problem>) {
    let ping = &config.dispatch.ping;
    if ping.timeout >= ping.interval {
        let (timeout, interval) = (show_duration(ping.timeout), show_duration(ping.interval));
        problems.push(about(
            "dispatch.ping.timeout",
            format!("{timeout} must be less than the interval, {interval}: one ping is out at a time"),
        ));
    }
    if config.timers.t1 > config.timers.t2 {
        problems.push(about("timers.t1", "must not be longer than t2"));
    }
    if config.echo.rtp_port_min >= config.echo.rtp_port_max {
        problems.push(about("echo.rtp_port_min", "must be less than rtp_port_max"));
    }
    listeners(config, problems);
    relays(config, problems);
    sets(config, problems);
    crate::vrrp::settings::check(config, problems);
    for (i, route) in config.route.iter().enumerate() {
        rule(config, i, route, problems);
    }
}

fn relays(config: &Config, problems: &mut Vec<Problem>) {
    let relay = &config.relay;
    if relay.ng.len() > RELAYS_MAX {
        problems.push(about("relay.ng", format!("there are {} relays; {RELAYS_MAX} are the most", relay.ng.len())));
    }
    let mut seen = HashSet::new();
    for (i, ng) in relay.ng.iter().enumerate() {
        if !seen.insert(ng.address) {
            problems.push(about(format!("relay.ng[{i}].address"), format!("{} is there twice", ng.address)));
        }
    }
    if relay.inside.interface.is_some() != relay.outside.interface.is_some() {
        problems.push(about("relay", "name the interface of both sides, inside and outside, or of none"));
    }
    match relay.mode() {
        RelayMode::Off => {}
        RelayMode::Ng if relay.ng.is_empty() => {
            problems.push(about("relay.mode", "\"ng\" needs a relay: name one in [[relay.ng]]"));
        }
        RelayMode::Ng => {}
        RelayMode::Embedded => embedded_relay(config, problems),
    }
    own_relay(config, problems);
}

/// What the relay in this process needs besides what any needs.
fn embedded_relay(config: &Config, problems: &mut Vec<Problem>) {
    let relay = &config.relay;
    if relay.interface.is_empty() {
        let message = "the embedded relay needs an address for media, such as interface = [\"203.0.113.10\"]";
        problems.push(about("relay.interface", message));
        return;
    }
    for (side, wanted) in [("inside", &relay.inside.interface), ("outside", &relay.outside.interface)] {
        let Some(wanted) = wanted.as_ref().map(AsRef::as_ref) else { continue };
        if relay.interface.iter().all(|interface| interface.label != *wanted) {
            let message = format!("no interface of the relay has the label {wanted:?}");
            problems.push(about(format!("relay.{side}.interface"), message));
        }
    }
}

/// What our own relay could not work with, embedded or not.
fn own_relay(config: &Config, problems: &mut Vec<Problem>) {
    let relay = &config.relay;
    let count = relay.interface.len();
    if count > INTERFACES_MAX {
        problems.push(about("relay.interface", format!("there are {count} addresses; {INTERFACES_MAX} are the most")));
    }
    let mut seen = HashSet::new();
    for (i, interface) in relay.interface.iter().enumerate() {
        if !seen.insert((interface.label.as_str(), interface.bound)) {
            problems.push(about(format!("relay.interface[{i}]"), format!("{interface} is there twice")));
        }
    }
    if relay.ports().pairs() == 0 {
        let (min, max) = (relay.port_min, relay.port_max);
        problems.push(about("relay.port_max", format!("{min} to {max} holds no pair of an even and an odd port")));
    }
    if relay.listen_ng.is_empty() {
        problems.push(about("relay.listen_ng", "a relay that nobody can speak to has no use"));
    }
}

fn listeners(config: &Config, problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    for (i, listen) in config.listen.iter().enumerate() {
        if !seen.insert((listen.transport.name(), listen.address, listen.port)) {
            problems.push(about(format!("listen[{i}]"), "the same socket stands here twice"));
        }
    }
}

fn sets(config: &Config, problems: &mut Vec<Problem>) {
    let mut ids = HashSet::new();
    for (i, set) in config.set.iter().enumerate() {
        if !ids.insert(set.id) {
            problems.push(about(format!("set[{i}].id"), format!("there is another set {}", set.id)));
        }
        if let Some(fallback) = set.fallback {
            let key = format!("set[{i}].fallback");
            known_set(config, fallback, &key, problems);
            if falls_back_on_itself(config, set.id) {
                problems.push(about(key, "the chain of fallbacks comes back to this set"));
            }
        }
        if set.algorithm == Algorithm::ValueHash {
            let key = format!("set[{i}].algorithm");
            problems.push(about(key, "value-hash needs a value_header, so it stands in the dispatch of a rule"));
        }
        let mut uris = HashSet::new();
        for (j, target) in set.target.iter().enumerate() {
            if !uris.insert((target.uri.as_str(), target.socket)) {
                let key = format!("set[{i}].target[{j}].uri");
                problems.push(about(key, format!("{} stands in this set twice", target.uri)));
            }
            own_socket(config, target, &format!("set[{i}].target[{j}]"), problems);
        }
    }
    let count = config.set.iter().map(|set| set.target.len()).sum::<usize>();
    if count > config.limits.targets as usize {
        problems.push(about("limits.targets", format!("there are {count} targets; raise the limit")));
    }
}

/// A target's socket is one of the listeners, of its transport.
fn own_socket(config: &Config, target: &Target, key: &str, problems: &mut Vec<Problem>) {
    if target.relative_weight.is_some_and(|weight| weight > 1_000) {
        problems.push(about(format!("{key}.relative_weight"), "wanted 0 to 1000"));
    }
    let Some(socket) = target.socket else { return };
    if config.listener_at(target.uri.transport, socket).is_none() {
        let name = target.uri.transport.name();
        problems.push(about(format!("{key}.socket"), format!("there is no listener for {name} at {socket}")));
    }
}

fn known_set(config: &Config, id: u32, key: &str, problems: &mut Vec<Problem>) {
    if config.set_by_id(id).is_none() {
        let ids: Vec<_> = config.set.iter().map(|set| set.id.to_string()).collect();
        let known =
            if ids.is_empty() { "there are none".to_owned() } else { format!("known sets: {}", ids.join(", ")) };
        problems.push(about(key, format!("there is no set {id}; {known}")));
    }
}

fn falls_back_on_itself(config: &Config, start: u32) -> bool {
    let mut at = start;
    for _ in 0..=config.set.len() {
        match config.set_by_id(at).and_then(|set| set.fallback) {
            Some(next) if next == start => return true,
            Some(next) => at = next,
            None => return false,
        }
    }
    false
}

fn rule(config: &Config, i: usize, route: &Route, problems: &mut Vec<Problem>) {
    let key = format!("route[{i}]");
    let count = route.actions().count();
    if count != 1 {
        let given = if count == 0 { "none" } else { "several" };
        problems
            .push(about(&key, format!("a rule has exactly one of reject, dispatch, relay, echo; this has {given}")));
    }
    for (j, domain) in route.r#match.domain.iter().enumerate() {
        // The key holds what a host of a URI can be, without its port.
        let bracketed = if domain.contains(':') { format!("[{domain}]") } else { domain.clone() };
        let plain = domain.parse::<IpAddr>().is_ok() || matches!(split_host(&bracketed), Ok((_, None)));
        if !plain {
            problems.push(about(format!("{key}.match.domain[{j}]"), format!("{domain:?} is not a host without port")));
        }
    }
    for action in route.actions() {
        let Action::Dispatch(to) = action else { continue };
        known_set(config, to.set, &format!("{key}.dispatch.set"), problems);
        if let Some(fallback) = to.fallback {
            known_set(config, fallback, &format!("{key}.dispatch.fallback"), problems);
            if fallback == to.set {
                problems.push(about(format!("{key}.dispatch.fallback"), "a set is not its own fallback"));
            }
        }
        if (to.algorithm == Some(Algorithm::ValueHash)) != to.value_header.is_some() {
            let message = "value-hash and value_header go together: the header field whose value is hashed";
            problems.push(about(format!("{key}.dispatch"), message));
        }
    }
}

/// Final responses that come from the callee or ask something of the caller: another target answers them no better.
const CALLEE_ANSWERS: [(u16, &str); 6] = [
    (486, "Busy Here"),
    (401, "Unauthorized"),
    (407, "Proxy Authentication Required"),
    (487, "Request Terminated"),
    (603, "Decline"),
    (200, "OK"),
];

/// Records what is valid but should be known.
pub(super) fn advise(config: &Config, warnings: &mut Vec<Problem>) {
    unreachable_rules(config, warnings);
    unused_sets(config, warnings);
    for (i, set) in config.set.iter().enumerate() {
        if set.target.is_empty() {
            warnings.push(about(format!("set[{i}]"), format!("set {} has no targets", set.id)));
        }
        for (j, target) in set.target.iter().enumerate() {
            let key = format!("set[{i}].target[{j}].uri");
            if config.listen.iter().any(|listen| is_own(listen, &target.uri)) {
                warnings.push(about(&key, format!("{} is a listener of this node: calls would loop", target.uri)));
            }
            if let Host::Name(name) = &target.uri.host {
                let message = format!("{name} is a name: it is looked up when the configuration is loaded, not later");
                warnings.push(about(&key, message));
            }
        }
        if set.algorithm == Algorithm::Weight && !set.target.is_empty() && set.target.iter().all(|t| t.weight == 0) {
            warnings.push(about(format!("set[{i}]"), "all weights are 0, so no target takes calls"));
        }
    }
    for (i, code) in config.dispatch.failover_codes.iter().enumerate() {
        let answer = CALLEE_ANSWERS.iter().find(|(status, _)| code.covers(*status));
        if let Some((status, reason)) = answer {
            let message = format!("{code} includes {status} {reason}, which the callee means for every target");
            warnings.push(about(format!("dispatch.failover_codes[{i}]"), message));
        }
    }
    let flagged = config.set.iter().flat_map(|set| &set.target).any(|target| target.probing);
    if config.dispatch.ping.mode == PingMode::Flagged && !flagged {
        warnings.push(about("dispatch.ping.mode", "no target has probing = true, so none is pinged"));
    }
    let pings_off = config.dispatch.ping.mode == PingMode::Off;
    if pings_off && config.dispatch.suspect_on_failure && !config.set.is_empty() {
        warnings
            .push(about("dispatch.ping.mode", "without pings, a target under suspicion is not found to be up again"));
    }
}

fn unreachable_rules(config: &Config, warnings: &mut Vec<Problem>) {
    for (j, later) in config.route.iter().enumerate() {
        let earlier = config.route[..j].iter().position(|earlier| covers(&earlier.r#match, &later.r#match));
        if let Some(i) = earlier {
            let name = rule_name(i, &config.route[i]);
            warnings.push(about(format!("route[{j}]"), format!("never decides: {name} matches all that it matches")));
        }
    }
}

/// A rule as messages name it.
pub(crate) fn rule_name(i: usize, route: &Route) -> String {
    match route.name.as_str() {
        "" => format!("rule {}", i + 1),
        name => format!("rule {} ({name})", i + 1),
    }
}

/// Whether everything that `narrow` matches is matched by `wide`. May say no where it is so, never yes where it is not.
fn covers(wide: &Match, narrow: &Match) -> bool {
    fn within<T: PartialEq>(wide: &[T], narrow: &[T]) -> bool {
        wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(|item| wide.contains(item)))
    }
    let inside = |net| wide.source.iter().any(|wide: &ipnet::IpNet| wide.contains(net));
    (wide.source.is_empty() || (!narrow.source.is_empty() && narrow.source.iter().all(inside)))
        && within(&wide.method, &narrow.method)
        && within(&wide.domain, &narrow.domain)
        && wide.header.iter().all(|header| narrow.header.contains(header))
        && (wide.user.is_none() || wide.user == narrow.user)
        && (wide.transport.is_none() || wide.transport == narrow.transport)
}

fn unused_sets(config: &Config, warnings: &mut Vec<Problem>) {
    let fallbacks: HashMap<u32, u32> = config.set.iter().filter_map(|set| Some((set.id, set.fallback?))).collect();
    let mut used = HashSet::new();
    for action in config.route.iter().flat_map(Route::actions) {
        let Action::Dispatch(to) = action else { continue };
        for start in [Some(to.set), to.fallback].into_iter().flatten() {
            let mut at = Some(start);
            while let Some(id) = at.filter(|id| used.insert(*id)) {
                at = fallbacks.get(&id).copied();
            }
        }
    }
    for (i, set) in config.set.iter().enumerate().filter(|(_, set)| !used.contains(&set.id)) {
        warnings.push(about(format!("set[{i}]"), format!("no rule sends calls to set {}", set.id)));
    }
}

/// Whether a target is a socket of this node.
fn is_own(listen: &Listen, target: &TargetUri) -> bool {
    let Some(address) = target.address() else { return false };
    let own = SocketAddr::new(listen.address, listen.port);
    // A wildcard listener takes what is sent to any address of the machine; of those, only loopback is known here.
    let any = listen.address.is_unspecified() && address.ip().is_loopback() && address.port() == listen.port;
    listen.transport == target.transport && (own == address || any)
}
