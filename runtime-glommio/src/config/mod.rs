//! What an operator sets, from the command line, an `rtpengine.conf` or a TOML file. All three know the same names.

mod file;
mod options;
#[cfg(test)]
mod tests;
mod values;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use trunkline_core::relay::media::{Learning, PortRange};
use trunkline_core::relay::{Address, Timeouts};

pub(crate) use options::{OPTIONS, Support, Takes};

use options::{find, unknown};

/// What an operator has set, and defaults for the rest.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Addresses for media.
    pub(crate) interfaces: Vec<Address>,
    /// Where ng datagrams are read.
    pub(crate) listen_ng: Vec<SocketAddr>,
    /// Where ng streams are taken.
    pub(crate) listen_tcp_ng: Vec<SocketAddr>,
    /// Where an operator's commands are taken.
    pub(crate) listen_cli: Option<SocketAddr>,
    /// Who may use the three.
    pub(crate) allow: Vec<IpNet>,
    /// Ports for media on each address.
    pub(crate) ports: PortRange,
    /// When calls end that nobody ends.
    pub(crate) timeouts: Timeouts,
    /// Type of service of media.
    pub(crate) tos: u8,
    /// Type of service of ng replies.
    pub(crate) control_tos: u8,
    /// Shards; `None` for one a core.
    pub(crate) threads: Option<usize>,
    /// Calls at most.
    pub(crate) sessions_max: Option<u32>,
    /// How addresses are learned.
    pub(crate) learning: Learning,
    /// Syslog level.
    pub(crate) log_level: u8,
    /// How long packets may gather under load.
    pub(crate) coalesce: Duration,
    /// How long a drain may take.
    pub(crate) drain_timeout: Duration,
    /// Where the process id is written.
    pub(crate) pidfile: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            listen_ng: Vec::new(),
            listen_tcp_ng: Vec::new(),
            listen_cli: Some((Ipv4Addr::LOCALHOST, 9900).into()),
            allow: vec![
                IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
                IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
            ],
            ports: PortRange { min: 30_000, max: 40_000 },
            timeouts: Timeouts::default(),
            tos: 0,
            control_tos: 0,
            threads: None,
            sessions_max: None,
            learning: Learning::default(),
            log_level: 5,
            coalesce: Duration::from_millis(1),
            drain_timeout: Duration::from_secs(60),
            pidfile: None,
        }
    }
}

/// Values as they were given, and where.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The name.
    pub(crate) name: String,
    /// The values.
    pub(crate) values: Vec<String>,
    /// For messages: `rtpengine.conf:12` or `--name`.
    pub(crate) at: String,
}

/// What was wrong, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem(pub(crate) String);

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Settings, and remarks on options that mean nothing here.
pub(crate) type Loaded = (Settings, Vec<String>);

/// Puts the settings together: what is given on the command line replaces what the file says.
///
/// # Errors
///
/// All problems at once.
pub(crate) fn load(file: Option<&Path>, section: &str, command_line: Vec<Given>) -> Result<Loaded, Vec<Problem>> {
    let mut given = match file {
        Some(path) => file::read(path, section)?,
        None => Vec::new(),
    };
    let mut merged: Vec<Given> = Vec::new();
    let same = |a: &str, b: &str| find(a).map(|o| o.name) == find(b).map(|o| o.name) && find(a).is_some();
    given.retain(|entry| !command_line.iter().any(|newer| same(&newer.name, &entry.name)));
    for entry in given.into_iter().chain(command_line) {
        match merged.iter_mut().find(|earlier| same(&earlier.name, &entry.name)) {
            Some(earlier) => {
                earlier.values.extend(entry.values);
                earlier.at = entry.at;
            }
            None => merged.push(entry),
        }
    }
    let base = if file.is_some_and(file::is_toml) { Settings::of_trunkline() } else { Settings::default() };
    settle(base, &merged)
}

fn settle(mut settings: Settings, given: &[Given]) -> Result<Loaded, Vec<Problem>> {
    let (mut remarks, mut problems) = (Vec::new(), Vec::new());
    for Given { name, values, at } in given {
        let Some(option) = find(name) else {
            problems.push(Problem(format!("{at}: {}", unknown(name))));
            continue;
        };
        match option.support {
            Support::Moot(why) => remarks.push(format!("{at}: `{name}` has no effect: {why}")),
            Support::No(hint) => problems.push(Problem(format!("{at}: `{name}`: {hint}"))),
            Support::Yes(_) => {
                let result = match option.takes {
                    // A key that takes one value and is repeated would lose all but one.
                    Takes::One(_) if values.len() > 1 => Err("takes one value, and is there more than once".to_owned()),
                    _ => settings.set(option.name, values),
                };
                if let Err(what) = result {
                    problems.push(Problem(format!("{at}: `{name}`: {what}")));
                }
            }
        }
    }
    if problems.is_empty() {
        problems.extend(settings.contradictions().into_iter().map(Problem));
    }
    if problems.is_empty() { Ok((settings, remarks)) } else { Err(problems) }
}

impl Settings {
    /// What holds where a `trunkline.toml` says nothing: the defaults of its table `[relay]`, where rtpengine's own differ.
    fn of_trunkline() -> Self {
        let timeouts = Timeouts { total: Some(Duration::from_secs(7_200)), ..Timeouts::default() };
        Self {
            listen_ng: vec![(Ipv4Addr::LOCALHOST, 2_223).into()],
            ports: PortRange { min: 20_000, max: 40_000 },
            timeouts,
            tos: 184,
            ..Self::default()
        }
    }

    fn set(&mut self, name: &str, values: &[String]) -> Result<(), String> {
        let value = values.first().map_or("", String::as_str);
        match name {
            "interface" => self.interfaces = values::all(values, values::interface)?,
            "listen-ng" => self.listen_ng = values::all(values, values::listen)?,
            "listen-tcp-ng" => self.listen_tcp_ng = values::all(values, values::listen)?,
            "listen-cli" => self.listen_cli = if value == "none" { None } else { Some(values::listen_local(value)?) },
            "ng-allow" => self.allow = values::all(values, values::network)?,
            "port-min" => self.ports.min = values::number(value, 1, 65_535)?,
            "port-max" => self.ports.max = values::number(value, 1, 65_535)?,
            "timeout" => self.timeouts.media = values::seconds_or_never(value)?,
            "silent-timeout" => self.timeouts.silent = values::seconds_or_never(value)?,
            "final-timeout" => self.timeouts.total = values::seconds_or_never(value)?,
            "offer-timeout" => self.timeouts.offer = values::seconds_or_never(value)?,
            "delete-delay" => self.timeouts.delete_delay = values::duration(value)?,
            "tos" => self.tos = values::number(value, 0, 255)?,
            "control-tos" => self.control_tos = values::number(value, 0, 255)?,
            "num-threads" => self.threads = Some(values::number(value, 0, 1024)?).filter(|n| *n > 0),
            "max-sessions" => self.sessions_max = values::maximum(value)?,
            "endpoint-learning" => self.learning = values::learning(value)?,
            "log-level" => self.log_level = values::number(value, 0, 7)?,
            "coalesce" => self.coalesce = values::coalesce(value)?,
            "pidfile" => self.pidfile = Some(value.into()),
            "drain-timeout" => self.drain_timeout = values::duration(value)?,
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn contradictions(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.interfaces.is_empty() {
            problems.push("no `interface` is given: media needs an address".to_owned());
        }
        if self.listen_ng.is_empty() && self.listen_tcp_ng.is_empty() {
            problems.push("neither `listen-ng` nor `listen-tcp-ng` is given: nobody could ask for anything".to_owned());
        }
        if self.ports.pairs() == 0 {
            let PortRange { min, max } = self.ports;
            problems.push(format!("`port-min` {min} to `port-max` {max} holds no pair of an even and an odd port"));
        }
        problems
    }
}
