//! `trunkline check`: whether a configuration is valid, and what it means.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::{CheckArgs, Global};
use crate::config::relay::Relay;
use crate::config::values::{AdminState, DefaultAction, MediaFallback, PingMode, RelayMode, show_duration};
use crate::config::{self, Action, Config, LoadError, Loaded, Match, Route, Set, Target};

/// Runs `trunkline check`.
pub(crate) fn main(global: &Global, args: &CheckArgs) -> ExitCode {
    match config::load(args.file.as_deref().or(global.config.as_deref())) {
        Ok(loaded) => {
            crate::print(&answer(&loaded, args.dump, global.json));
            if args.dump {
                loaded.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if global.json {
                crate::print(&format!("{:#}\n", refusal(&error)));
            } else {
                eprintln!("{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn answer(loaded: &Loaded, dump: bool, json: bool) -> String {
    match (dump, json) {
        (true, false) => config::dump(&loaded.config),
        (true, true) => format!("{:#}\n", config::dump_json(&loaded.config)),
        (false, true) => {
            let meaning = meaning(&loaded.config);
            let path = loaded.path.as_ref().map(|path| path.display().to_string());
            let report = json!({ "valid": true, "file": path, "warnings": loaded.warnings, "meaning": meaning });
            format!("{report:#}\n")
        }
        (false, false) => {
            let mut out = match &loaded.path {
                Some(path) => format!("{} is valid.\n", path.display()),
                None => "Nothing is configured; this is what holds.\n".to_owned(),
            };
            for line in meaning(&loaded.config) {
                let _ = writeln!(out, "{line}");
            }
            for warning in &loaded.warnings {
                let _ = writeln!(out, "warning: {warning}");
            }
            out
        }
    }
}

fn refusal(error: &LoadError) -> serde_json::Value {
    let (path, problems) = match error {
        LoadError::Unreadable { path, .. } => (path, vec![error.to_string()]),
        LoadError::Invalid { path, problems } => (path, problems.clone()),
    };
    json!({ "valid": false, "file": path.display().to_string(), "problems": problems })
}

/// What a configuration means, a sentence a line.
pub(crate) fn meaning(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    listeners(config, &mut lines);
    sets(config, &mut lines);
    lines.push("New requests are decided by the first rule that matches:".to_owned());
    for (i, route) in config.route.iter().enumerate() {
        lines.push(format!("  {}. {}", i + 1, rule(config, route)));
    }
    lines.push(format!(
        "  {}. Everything else: {}.",
        config.route.len() + 1,
        match config.edge.authz_default_action {
            DefaultAction::Deny =>
                "answer 404 Not Found, or 405 Method Not Allowed to a method that is not taken".to_owned(),
            DefaultAction::Allow => relay(true),
        }
    ));
    timers(config, &mut lines);
    virtual_routers(config, &mut lines);
    media(&config.relay, &mut lines);
    lines.push(format!("trunkline ctl speaks to {}.", config.control_socket().display()));
    lines
}

fn listeners(config: &Config, lines: &mut Vec<String>) {
    for listen in &config.listen {
        let address = std::net::SocketAddr::new(listen.address, listen.port);
        let advertised =
            listen.advertise.as_ref().map(|host| format!(", known to peers as {host}")).unwrap_or_default();
        let reach = if listen.address.is_loopback() { ", for this machine only" } else { "" };
        lines.push(format!("Listens on {} {address}{reach}{advertised}.", listen.transport.name().to_uppercase()));
    }
}

fn sets(config: &Config, lines: &mut Vec<String>) {
    for set in &config.set {
        let fallback =
            set.fallback.map(|id| format!("; if none can take a call, set {id} is asked")).unwrap_or_default();
        lines.push(format!(
            "{} has {}, chosen by {} ({}){fallback}.",
            set_name(set),
            count(set.target.len(), "target"),
            set.algorithm,
            set.algorithm.meaning().trim().trim_end_matches('.'),
        ));
        lines.extend(set.target.iter().map(target));
    }
    if !config.set.is_empty() {
        pings(config, lines);
        failover(config, lines);
    }
}

fn target(target: &Target) -> String {
    let mut facts = vec![format!("weight {}", target.weight), format!("priority {}", target.priority)];
    if target.max_calls > 0 {
        facts.push(format!("at most {} at once", count(target.max_calls as usize, "call")));
    }
    if target.max_cps > 0 {
        facts.push(format!("at most {} a second", count(target.max_cps as usize, "new call")));
    }
    if !target.strip.is_empty() {
        facts.push(format!("without {}", list(&target.strip)));
    }
    if target.state != AdminState::Active {
        facts.push(format!("state {}", target.state));
    }
    let name = if target.duid.is_empty() { String::new() } else { format!(" ({})", target.duid) };
    format!("  {}{name}: {}.", target.uri, facts.join(", "))
}

fn pings(config: &Config, lines: &mut Vec<String>) {
    let ping = &config.dispatch.ping;
    let whom = match ping.mode {
        PingMode::Off => return lines.push("No target is pinged.".to_owned()),
        PingMode::All => "every target",
        PingMode::Inactive => "targets that are down or under suspicion",
        PingMode::Flagged => "targets with probing = true",
    };
    let (interval, timeout) = (show_duration(ping.interval), show_duration(ping.timeout));
    lines.push(format!("Pings {whom} every {interval} by {} from {}.", ping.method, config.ping_from()));
    lines.push(format!(
        "A target is down after {} in a row and up again after {} in a row ({}); \
         no answer within {timeout} is a failure.",
        count(ping.probing_threshold.into(), "failure"),
        count(ping.inactive_threshold.into(), "good answer"),
        if ping.reply_codes.is_empty() { "none is good".to_owned() } else { list(&ping.reply_codes) },
    ));
}

fn failover(config: &Config, lines: &mut Vec<String>) {
    let dispatch = &config.dispatch;
    let codes = match &dispatch.failover_codes[..] {
        [] => String::new(),
        codes => format!("answers {} or ", list(codes)),
    };
    let first_reply = show_duration(dispatch.first_reply_timeout);
    lines.push(match dispatch.limit {
        1 => "A call is tried on one target only.".to_owned(),
        limit => format!(
            "A call goes to the next target, at most {limit} in all, when one {codes}gives no answer at all \
             within {first_reply}."
        ),
    });
}

fn timers(config: &Config, lines: &mut Vec<String>) {
    let timers = &config.timers;
    lines.push(format!(
        "A request without any answer fails after {}; an INVITE that rings, after {}{}, at the latest after {}.",
        show_duration(timers.fr_timer),
        show_duration(timers.fr_inv_timer),
        if timers.restart_fr_on_each_reply { " from its last provisional response" } else { "" },
        show_duration(timers.timer_c),
    ));
    lines.push(format!(
        "Holds up to {} transactions, {} dialogs and {} TCP connections; an idle connection is closed after {}.",
        config.limits.transactions,
        config.limits.dialogs,
        config.tcp.connections,
        show_duration(config.tcp.connection_lifetime),
    ));
}

fn virtual_routers(config: &Config, lines: &mut Vec<String>) {
    for router in &config.vrrp {
        let how = if router.preempt { "takes it from a lower priority" } else { "leaves it to a lower priority" };
        lines.push(format!(
            "Virtual router {} ({} on {}, VRRP version {}) shares {} with others: priority {}, an advert every {}, {how}.",
            router.name,
            router.vrid,
            router.interface,
            router.version,
            list(&router.addresses),
            router.priority,
            show_duration(router.advert_interval),
        ));
    }
    for group in &config.vrrp_sync_group {
        lines.push(format!("{} are active or backup together ({}).", group.members.join(" and "), group.name));
    }
}

fn media(relay: &Relay, lines: &mut Vec<String>) {
    let failure = match relay.on_failure {
        MediaFallback::Reject => "is refused with 503",
        MediaFallback::Pass => "goes on without it",
    };
    let by = match relay.mode() {
        RelayMode::Off => return lines.push("Media passes by: session descriptions are left as they are.".to_owned()),
        RelayMode::Ng => {
            let addresses: Vec<_> = relay.ng.iter().map(|ng| ng.address).collect();
            format!("{} ({})", count(addresses.len(), "relay"), list(&addresses))
        }
        RelayMode::Embedded => {
            let (at, calls) = (list(&relay.interface), relay.max_sessions as usize);
            let most = if calls > 0 { format!(", at most {} at once", count(calls, "call")) } else { String::new() };
            format!("the relay of this process, at {at}, ports {} to {}{most}", relay.port_min, relay.port_max)
        }
    };
    let (timeout, tries) = (show_duration(relay.control_timeout), relay.tries);
    lines.push(format!("Media of every call flows through {by}."));
    let tries = if tries == 1 { String::new() } else { format!(", asked {tries} times") };
    lines.push(format!("A call whose relay does not answer within {timeout}{tries} {failure}."));
}

fn rule(config: &Config, route: &Route) -> String {
    let name = if route.name.is_empty() { String::new() } else { format!("{}: ", route.name) };
    let what: Vec<_> = route.actions().map(|action| deed(config, &route.r#match, action)).collect();
    format!("{name}{}: {}.", condition(&route.r#match), what.join(", "))
}

fn condition(what: &Match) -> String {
    let mut parts = Vec::new();
    if !what.source.is_empty() {
        parts.push(format!("from {}", list(&what.source)));
    }
    if let Some(transport) = what.transport {
        parts.push(format!("over {}", transport.name().to_uppercase()));
    }
    if let Some(user) = &what.user {
        parts.push(format!("to a user that matches {user}"));
    }
    if !what.domain.is_empty() {
        parts.push(format!("at {}", list(&what.domain)));
    }
    for header in &what.header {
        parts.push(format!("with {} that matches {}", header.name, header.pattern));
    }
    let method = if what.method.is_empty() { "Any request".to_owned() } else { list(&what.method) };
    std::iter::once(method).chain(parts).collect::<Vec<_>>().join(" ")
}

fn deed(config: &Config, what: &Match, action: Action<'_>) -> String {
    match action {
        Action::Reject(reject) => {
            let reason = reject.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("answer {}{reason}", reject.code)
        }
        Action::Relay => relay(what.source.is_empty()),
        Action::Echo => "answer and send the sound back".to_owned(),
        Action::Dispatch(to) => {
            let set = config.set_by_id(to.set);
            let by = to.algorithm.or(set.map(|set| set.algorithm)).map(|by| format!(" by {by}")).unwrap_or_default();
            let header = to.value_header.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            let fallback = to.fallback.or(set.and_then(|set| set.fallback));
            let fallback = fallback.map(|id| format!(", else to set {id}")).unwrap_or_default();
            format!("dispatch to set {}{by}{header}{fallback}", to.set)
        }
    }
}

/// A relay serves whoever gets that far, so an operator should know who that is.
fn relay(anyone: bool) -> String {
    let whom = if anyone { ", for anyone who reaches a listener" } else { "" };
    format!("relay to where the Request-URI points{whom}")
}

fn set_name(set: &Set) -> String {
    match set.name.as_str() {
        "" => format!("Set {}", set.id),
        name => format!("Set {} ({name})", set.id),
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
