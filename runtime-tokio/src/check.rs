//! `trunkline check`: whether a configuration is valid, and what it means.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::{CheckArgs, Global};
use crate::config::values::{PingMode, show_duration};
use crate::config::{self, Action, Config, LoadError, Loaded, Match, Route, Set};

/// Runs `trunkline check`.
pub(crate) fn main(global: &Global, args: &CheckArgs) -> ExitCode {
    match config::load(args.file.as_deref().or(global.config.as_deref())) {
        Ok(loaded) => {
            print!("{}", answer(&loaded, args.dump, global.json));
            if args.dump {
                loaded.warnings.iter().for_each(|warning| eprintln!("warning: {warning}"));
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            if global.json {
                println!("{:#}", refusal(&error));
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
            config::values::DefaultAction::Deny => "answer 404 Not Found",
            config::values::DefaultAction::Allow => "relay to the Request-URI",
        }
    ));
    timers(config, &mut lines);
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
        let count = count(set.target.len(), "target");
        lines.push(format!(
            "{} has {count}, chosen by {}:{}{fallback}.",
            set_name(set),
            set.algorithm,
            set.algorithm.meaning().trim_end_matches('.').to_lowercase()
        ));
        for target in &set.target {
            let mut facts = vec![format!("weight {}", target.weight), format!("priority {}", target.priority)];
            if target.max_calls > 0 {
                facts.push(format!("at most {} at once", count_u32(target.max_calls, "call")));
            }
            if target.max_cps > 0 {
                facts.push(format!("at most {} a second", count_u32(target.max_cps, "new call")));
            }
            if !target.strip.is_empty() {
                let tags: Vec<_> = target.strip.iter().map(ToString::to_string).collect();
                facts.push(format!("without {}", tags.join(" and ")));
            }
            if target.state != config::values::AdminState::Active {
                facts.push(format!("state {}", target.state));
            }
            let name = if target.duid.is_empty() { String::new() } else { format!(" ({})", target.duid) };
            lines.push(format!("  {}{name}: {}.", target.uri, facts.join(", ")));
        }
    }
    let dispatch = &config.dispatch;
    if config.set.is_empty() {
        return;
    }
    let ping = &dispatch.ping;
    if ping.mode != PingMode::Off {
        lines.push(format!(
            "Pings {} every {} by {}: {} failures in a row put a target out of service, {} good answers ({}) bring it back. \
             No answer within {} is a failure.",
            match ping.mode {
                PingMode::Inactive => "targets that are down",
                PingMode::Flagged => "flagged targets",
                _ => "every target",
            },
            show_duration(ping.interval),
            ping.method,
            ping.probing_threshold,
            ping.inactive_threshold,
            list(&ping.reply_codes),
            show_duration(ping.timeout),
        ));
    }
    let codes = if dispatch.failover_codes.is_empty() {
        String::new()
    } else {
        format!("answers {} or ", list(&dispatch.failover_codes))
    };
    lines.push(match dispatch.limit {
        1 => "A call is tried on one target only.".to_owned(),
        limit => format!(
            "A call goes to the next target, at most {limit} in all, when one {codes}gives no answer at all within {}.",
            show_duration(dispatch.first_reply_timeout)
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

fn rule(config: &Config, route: &Route) -> String {
    let name = if route.name.is_empty() { String::new() } else { format!("{}: ", route.name) };
    let what: Vec<_> = route.actions().map(|action| deed(config, action)).collect();
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

fn deed(config: &Config, action: Action<'_>) -> String {
    match action {
        Action::Reject(reject) => {
            let reason = reject.reason.as_ref().map(|reason| format!(" {reason}")).unwrap_or_default();
            format!("answer {}{reason}", reject.code)
        }
        Action::Relay => "relay to the Request-URI".to_owned(),
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

fn count_u32(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
