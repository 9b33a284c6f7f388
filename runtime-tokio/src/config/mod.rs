//! The configuration: one TOML file, read into types that know nothing of sockets or threads.

pub(crate) mod algorithm;
pub(crate) mod reference;
pub(crate) mod relay;
pub(crate) mod schema;
#[cfg(test)]
mod tests;
pub(crate) mod types;
mod validate;
pub(crate) mod values;
pub(crate) mod vrrp;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use self::algorithm::Algorithm;
pub(crate) use self::schema::Problem;
use self::schema::{Kind, Reader, Section, Table as _, locate};
pub(crate) use self::types::*;
pub(crate) use self::values::Transport;
use crate::import::list;

/// Where a configuration is looked for when none is named.
pub(crate) const SEARCH: [&str; 2] = ["trunkline.toml", "/etc/trunkline/trunkline.toml"];

/// The extension that the built-in echo answers when nothing is configured.
const ECHO_USER: &str = "^9196$";
/// Methods that are relayed to where they point when a file has no rules. Any other is answered 404 or 405.
const RELAYED: [&str; 4] = ["NOTIFY", "INFO", "UPDATE", "PRACK"];

/// A valid configuration, made complete: listeners, rules and listed targets stand in it as they hold.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The effective configuration.
    pub(crate) config: Config,
    /// The file it comes from; none: nothing is configured.
    pub(crate) path: Option<PathBuf>,
    /// What should be known about it, each with its place (`trunkline.toml:12:5: set[0].algorithm: …`).
    pub(crate) warnings: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) enum LoadError {
    /// The file cannot be read.
    Unreadable { path: PathBuf, error: std::io::Error },
    /// The file is not valid: all that is wrong with it, each with its place.
    Invalid { path: PathBuf, problems: Vec<String> },
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "{}: cannot be read: {error}", path.display()),
            Self::Invalid { problems, .. } => f.write_str(&problems.join("\n")),
        }
    }
}

impl std::error::Error for LoadError {}

/// Loads the file at `path`, or else the first of [`SEARCH`] that is there, or else the embedded default.
pub(crate) fn load(path: Option<&Path>) -> Result<Loaded, LoadError> {
    let found = path.map(Path::to_owned).or_else(|| SEARCH.iter().map(PathBuf::from).find(|path| path.exists()));
    let Some(path) = found else {
        return Ok(Loaded { config: embedded(), path: None, warnings: Vec::new() });
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return Err(LoadError::Unreadable { path, error }),
    };
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    match parse(&text, &base) {
        Ok((config, warnings)) => {
            let warnings = warnings.iter().map(|warning| show(&path, &text, warning)).collect();
            Ok(Loaded { config, path: Some(path), warnings })
        }
        Err(mut problems) => {
            problems.sort_by_key(|problem| problem.span.as_ref().map_or(usize::MAX, |span| span.start));
            let problems = problems.iter().map(|problem| show(&path, &text, problem)).collect();
            Err(LoadError::Invalid { path, problems })
        }
    }
}

/// What holds when nothing is configured: loopback, and the built-in echo at extension 9196.
pub(crate) fn embedded() -> Config {
    let mut config = Config::default();
    complete(&mut config);
    config
}

/// Reads and completes the text of a file; `base` is where its relative paths start. All that is wrong is reported.
pub(crate) fn parse(text: &str, base: &Path) -> Result<(Config, Vec<Problem>), Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: &toml::de::Error| Problem {
            key: String::new(),
            message: format!("not TOML: {}", error.message().trim_end()),
            span: error.span(),
        };
        return Err(errors.iter().map(problem).collect());
    }
    let mut reader = Reader::default();
    let config = Config::read_table(root.get_ref(), 0..0, &mut reader);
    let (Some(mut config), true) = (config, reader.problems.is_empty()) else {
        return Err(reader.problems);
    };
    let mut problems = Vec::new();
    add_listed_targets(&mut config, base, &mut problems, &mut reader.warnings);
    complete(&mut config);
    validate::validate(&config, &mut problems);
    validate::advise(&config, &mut reader.warnings);
    for problem in problems.iter_mut().chain(&mut reader.warnings).filter(|problem| problem.span.is_none()) {
        problem.span = locate(root.get_ref(), &problem.key);
    }
    if problems.is_empty() { Ok((config, reader.warnings)) } else { Err(problems) }
}

/// What makes a configuration invalid after keys of it were changed, a line each.
pub(crate) fn problems(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    validate::validate(config, &mut problems);
    problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

/// The effective configuration as TOML. [`parse`] reads it back to the same configuration.
pub(crate) fn dump(config: &Config) -> String {
    toml::to_string(&config.write_table()).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
}

/// What of `config` differs from the defaults, as TOML.
pub(crate) fn dump_changed(config: &Config) -> String {
    let mut table = config.write_table();
    drop_defaults(&mut table, Config::SECTION);
    toml::to_string(&table).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
}

fn drop_defaults(table: &mut toml::Table, section: &Section) {
    for key in section.keys {
        let default = key.default.and_then(|default| default());
        let Some(value) = table.get_mut(key.name()) else { continue };
        let same = match ((key.kind)(), &mut *value) {
            (Kind::Section(inner), toml::Value::Table(table)) => {
                drop_defaults(table, inner);
                table.is_empty() && default.is_some()
            }
            (Kind::List(inner), toml::Value::Array(items)) => {
                items.iter_mut().filter_map(toml::Value::as_table_mut).for_each(|table| drop_defaults(table, inner));
                false
            }
            _ => default.as_ref() == Some(value),
        };
        if same {
            table.remove(key.name());
        }
    }
}

/// The effective configuration as a JSON object of the same shape.
pub(crate) fn dump_json(config: &Config) -> serde_json::Value {
    serde_json::to_value(config.write_table()).unwrap_or(serde_json::Value::Null)
}

impl Config {
    /// The set with this id.
    pub(crate) fn set_by_id(&self, id: u32) -> Option<&Set> {
        self.set.iter().find(|set| set.id == id)
    }

    /// The place of the listener for that transport at that address.
    pub(crate) fn listener_at(&self, transport: Transport, socket: SocketAddr) -> Option<usize> {
        let is_it = |l: &Listen| l.transport == transport && SocketAddr::new(l.address, l.port) == socket;
        self.listen.iter().position(is_it)
    }

    /// Whether some calls are spread by the overload control of targets.
    pub(crate) fn heeds_overload(&self) -> bool {
        let of_rules = self.route.iter().filter_map(|route| route.dispatch.as_ref()?.algorithm);
        self.set.iter().map(|set| set.algorithm).chain(of_rules).any(|a| a == Algorithm::Overload)
    }

    /// From of pings: as configured, or keepalive at the default realm.
    pub(crate) fn ping_from(&self) -> String {
        let from = self.dispatch.ping.from.as_ref().map(ToString::to_string);
        from.unwrap_or_else(|| format!("sip:keepalive@{}", self.edge.default_realm))
    }

    /// Path of the control socket: as configured, or `/run/trunkline/trunkline.sock` for root, or one in the user's
    /// runtime directory.
    pub(crate) fn control_socket(&self) -> PathBuf {
        self.control.socket.as_ref().map_or_else(default_control_socket, PathBuf::from)
    }
}

/// Path of the control socket when none is configured.
pub(crate) fn default_control_socket() -> PathBuf {
    // The owner of this process. A login shell of root has a runtime directory too, the service has none, and both
    // must find the same socket.
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    control_socket_of(root, std::env::var_os("XDG_RUNTIME_DIR"))
}

fn control_socket_of(root: bool, runtime_dir: Option<OsString>) -> PathBuf {
    match runtime_dir.filter(|dir| !root && !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir).join("trunkline.sock"),
        None => PathBuf::from("/run/trunkline/trunkline.sock"),
    }
}

/// Fills in what follows from what is left out.
fn complete(config: &mut Config) {
    if config.listen.is_empty() {
        let listen =
            |transport| Listen { transport, address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 5060, advertise: None };
        config.listen = vec![listen(Transport::Udp), listen(Transport::Tcp)];
    }
    if config.route.is_empty() {
        config.route = default_rules(config.set.first());
    }
}

/// The rules that hold when a file has none: calls go to the first set, and what may come outside of a call or by a route
/// of another's goes to where it points. Without a set, extension 9196 is answered by the built-in echo.
fn default_rules(set: Option<&Set>) -> Vec<Route> {
    let rule = |name: &str| Route {
        name: name.to_owned(),
        r#match: Match::default(),
        reject: None,
        dispatch: None,
        relay: false,
        echo: false,
    };
    let methods = |names: &[&str]| names.iter().filter_map(|name| name.parse().ok()).collect();
    let Some(set) = set else {
        let r#match = Match { user: ECHO_USER.parse().ok(), ..Match::default() };
        return vec![Route { r#match, echo: true, ..rule("echo") }];
    };
    let dispatch = DispatchTo { set: set.id, algorithm: None, fallback: None, value_header: None };
    let calls = Match { method: methods(&["INVITE"]), ..Match::default() };
    let others = Match { method: methods(&RELAYED), ..Match::default() };
    vec![
        Route { r#match: calls, dispatch: Some(dispatch), ..rule("calls") },
        Route { r#match: others, relay: true, ..rule("requests of calls") },
    ]
}

/// Adds the targets of the Kamailio list to their sets. The list file is then no longer a part of the configuration.
fn add_listed_targets(config: &mut Config, base: &Path, problems: &mut Vec<Problem>, warnings: &mut Vec<Problem>) {
    let Some(name) = config.dispatch.list_file.take() else { return };
    let about = |message: String| Problem { key: "dispatch.list_file".to_owned(), message, span: None };
    let path = base.join(&name);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => return problems.push(about(format!("{} cannot be read: {error}", path.display()))),
    };
    let listed = list::parse(&text);
    let place = |note: &list::Note| about(format!("{}:{}: {}", path.display(), note.line, note.message));
    problems.extend(listed.problems.iter().map(place));
    warnings.extend(listed.notes.iter().map(place));
    list::merge(&mut config.set, listed.targets);
}

/// A problem with its place, as compilers write it.
fn show(path: &Path, text: &str, problem: &Problem) -> String {
    let mut place = path.display().to_string();
    if let Some(span) = &problem.span {
        let (line, column) = position(text, span.start);
        place.push_str(&format!(":{line}:{column}"));
    }
    let key = if problem.key.is_empty() { String::new() } else { format!("{}: ", problem.key) };
    format!("{place}: {key}{}", problem.message)
}

/// Line and column of a byte, both from 1; columns count characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
