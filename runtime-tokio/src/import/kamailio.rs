//! What statements of a `kamailio.cfg` mean here.

use std::net::IpAddr;
use std::time::Duration;

use super::cfg::{Statement, What};
use super::list::Note;
use crate::config::algorithm::Algorithm;
use crate::config::values::{ByteSize, Code, Host, LogLevel, PingMode, Transport, split_host};
use crate::config::{Advertise, Config, DispatchTo, Listen, Match, Route};

/// What a `kamailio.cfg` says, beyond what [`Config`] holds.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The configuration, with defaults where nothing is said.
    pub(crate) config: Config,
    /// The dispatcher list that it names.
    pub(crate) list_file: Option<String>,
    /// What was not carried over, or not as it stands.
    pub(crate) notes: Vec<Note>,
    /// Calls of ds_select_dst: the set (none: a variable), the algorithm, and the line.
    selections: Vec<(Option<u32>, Option<Algorithm>, usize)>,
}

/// Globals that say how processes are run or where logs go: they have no counterpart and are not missed.
const NOT_NEEDED: &[&str] = &[
    "fork",
    "log_stderror",
    "log_facility",
    "log_prefix",
    "log_name",
    "memdbg",
    "memlog",
    "mlock_pages",
    "auto_aliases",
];

/// Takes over `statements`.
pub(crate) fn take(statements: &[Statement]) -> Taken {
    let mut taken = Taken::default();
    let mut flags_given = false;
    for Statement { line, what } in statements {
        match what {
            What::Global { name, value } => taken.global(*line, name, value),
            What::Call { name, arguments, inside: false } if name == "modparam" => {
                let [modules, parameter, value] = &arguments[..] else {
                    taken.note(*line, "modparam has not three arguments".to_owned());
                    continue;
                };
                for module in modules.split('|') {
                    flags_given |= module == "dispatcher" && parameter == "flags";
                    taken.parameter(*line, module, parameter, value);
                }
            }
            What::Call { name, arguments, inside: true } if name == "ds_select_dst" || name == "ds_select_domain" => {
                taken.selection(*line, name, arguments);
            }
            What::Call { name, arguments, .. } if name == "ds_mark_dst" => {
                let mode = arguments.first().map_or("", String::as_str);
                taken.note(*line, format!("ds_mark_dst({mode:?}): failed calls count to the threshold by themselves"));
            }
            What::Call { .. } => {}
        }
    }
    if taken.config.listen.is_empty() {
        let message =
            "no listen was carried over: Kamailio then takes every address of the machine, here 127.0.0.1 is taken";
        taken.note(0, message.to_owned());
    }
    if !taken.selections.is_empty() && !flags_given {
        let line = taken.selections[0].2;
        let message = "the dispatcher's flags are not set to 2, so Kamailio tries no second target; here one is tried. \
            dispatch.limit = 1 turns that off";
        taken.note(line, message.to_owned());
    }
    taken
}

impl Taken {
    fn note(&mut self, line: usize, message: String) {
        self.notes.push(Note { line, message });
    }

    fn global(&mut self, line: usize, name: &str, value: &str) {
        let carried = match name {
            "listen" => self.listen(value),
            "server_header" => self.header(line, value, "Server:", |config| &mut config.node.server_header),
            "user_agent_header" => self.header(line, value, "User-Agent:", |config| &mut config.node.user_agent_header),
            "tcp_connection_lifetime" => self.seconds(value, |config| &mut config.tcp.connection_lifetime),
            "tcp_connect_timeout" => self.seconds(value, |config| &mut config.tcp.connect_timeout),
            "tcp_accept_no_cl" => self.switch(value, |config| &mut config.tcp.accept_no_content_length),
            "tcp_max_connections" => self.number(value, |config| &mut config.tcp.connections),
            "tcp_rd_buf_size" => {
                let size = value.parse().ok();
                size.map(|size| self.config.tcp.message_size = ByteSize(size)).ok_or_else(|| not_a_number(value))
            }
            "debug" => value.parse::<i32>().map_err(|_| not_a_number(value)).map(|level| {
                self.config.node.log_level = match level {
                    ..=-1 => LogLevel::Error,
                    0 => LogLevel::Warn,
                    1 | 2 => LogLevel::Info,
                    _ => LogLevel::Debug,
                };
            }),
            "children" | "tcp_children" => {
                Err("was not carried over: there is one thread a processor, or as many as node.shards says".to_owned())
            }
            name if NOT_NEEDED.contains(&name) => Ok(()),
            _ => Err("was not carried over".to_owned()),
        };
        if let Err(message) = carried {
            self.note(line, format!("{name}={}: {message}", redacted(value)));
        }
    }

    fn parameter(&mut self, line: usize, module: &str, parameter: &str, value: &str) {
        let carried = match (module, parameter) {
            ("tm", "fr_timer") => self.milliseconds(value, |config| &mut config.timers.fr_timer),
            ("tm", "fr_inv_timer") => self.milliseconds(value, |config| &mut config.timers.fr_inv_timer),
            ("tm", "retr_timer1") => self.milliseconds(value, |config| &mut config.timers.t1),
            ("tm", "retr_timer2") => self.milliseconds(value, |config| &mut config.timers.t2),
            ("tm", "restart_fr_on_each_reply") => {
                self.switch(value, |config| &mut config.timers.restart_fr_on_each_reply)
            }
            ("rr", "enable_full_lr") => self.switch(value, |config| &mut config.record_route.enable_full_lr),
            ("rr", "append_fromtag") => self.switch(value, |config| &mut config.record_route.append_fromtag),
            ("rr", "enable_double_rr") => self.switch(value, |config| &mut config.record_route.enable_double_rr),
            ("dispatcher", parameter) => self.dispatcher(line, parameter, value),
            _ => Err("was not carried over".to_owned()),
        };
        if let Err(message) = carried {
            self.note(line, format!("{module} {parameter} {:?}: {message}", redacted(value)));
        }
    }

    fn dispatcher(&mut self, line: usize, parameter: &str, value: &str) -> Result<(), String> {
        match parameter {
            "list_file" => {
                self.list_file = Some(value.to_owned());
                Ok(())
            }
            "ds_ping_interval" if value == "0" => {
                self.config.dispatch.ping.mode = PingMode::Off;
                Ok(())
            }
            "ds_ping_interval" => {
                self.seconds(value, |config| &mut config.dispatch.ping.interval)?;
                self.keep_timeout_below_interval(line);
                Ok(())
            }
            "ds_ping_fr_timer" => self.milliseconds(value, |config| &mut config.dispatch.ping.timeout),
            "ds_ping_method" => {
                self.config.dispatch.ping.method = value.parse()?;
                Ok(())
            }
            "ds_ping_from" => {
                self.config.dispatch.ping.from = Some(value.parse()?);
                Ok(())
            }
            "ds_probing_mode" => {
                self.config.dispatch.ping.mode = match value {
                    "1" => PingMode::All,
                    "2" => PingMode::Inactive,
                    "0" | "3" => PingMode::Flagged,
                    _ => return Err("is not a mode (0 to 3)".to_owned()),
                };
                Ok(())
            }
            "ds_probing_threshold" | "ds_probing_threshhold" => {
                self.number(value, |config| &mut config.dispatch.ping.probing_threshold)
            }
            "ds_inactive_threshold" => self.number(value, |config| &mut config.dispatch.ping.inactive_threshold),
            "ds_ping_latency_stats" => self.switch(value, |config| &mut config.dispatch.ping.latency_stats),
            "ds_ping_reply_codes" => self.reply_codes(line, value),
            "flags" => self.flags(line, value),
            "db_url" => Err("targets in a database were not carried over; give them as a list with --list".to_owned()),
            _ => Err("was not carried over".to_owned()),
        }
    }

    /// `class=2;code=403`. Kamailio skips what it does not know, and always takes 2xx.
    fn reply_codes(&mut self, line: usize, value: &str) -> Result<(), String> {
        let mut codes = vec![Code::Class(2)];
        let mut right = Vec::new();
        let mut wrong = Vec::new();
        for part in value.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let read = match part.split_once('=').map(|(kind, text)| (kind.trim(), text.trim())) {
                Some(("class", digit)) => format!("{digit}xx").parse().ok(),
                Some(("code", code)) => code.parse().ok(),
                _ => None,
            };
            match read {
                Some(code) if codes.contains(&code) => {}
                Some(code) => codes.push(code),
                None => wrong.push(format!("{part:?}")),
            }
            right.push(match part.strip_prefix("class").map(|rest| rest.trim_start_matches(['=', ' '])) {
                Some(digit) => format!("\"{digit}xx\""),
                None => format!("{:?}", part.trim_start_matches("code=")),
            });
        }
        self.config.dispatch.ping.reply_codes = codes;
        if !wrong.is_empty() {
            self.note(
                line,
                format!(
                    "dispatcher ds_ping_reply_codes {value:?}: Kamailio skips {}, and this import does too; if they are \
                     meant, write reply_codes = [{}] (Kamailio's form is \"class=2;class=3;code=404\")",
                    wrong.join(", "),
                    right.join(", ")
                ),
            );
        }
        Ok(())
    }

    fn flags(&mut self, line: usize, value: &str) -> Result<(), String> {
        let flags: u32 = value.parse().map_err(|_| not_a_number(value))?;
        if flags & 2 == 0 {
            self.config.dispatch.limit = 1;
        }
        if flags & 1 != 0 {
            self.note(line, "dispatcher flags 1 (hash the user part only) was not carried over".to_owned());
        }
        Ok(())
    }

    fn keep_timeout_below_interval(&mut self, line: usize) {
        let ping = &mut self.config.dispatch.ping;
        if ping.timeout >= ping.interval {
            ping.timeout = ping.interval / 2;
            self.note(line, "a ping is given up after half the interval".to_owned());
        }
    }

    fn listen(&mut self, value: &str) -> Result<(), String> {
        let mut words = value.split_whitespace();
        let address = words.next().unwrap_or("");
        let (transport, host) = match address.split_once(':') {
            Some((name, host)) if Transport::named(name).is_some() => (Transport::named(name), host),
            Some((name @ ("tls" | "sctp" | "ws" | "wss"), _)) => return Err(format!("{name} was not carried over")),
            _ => (None, address),
        };
        let (host, port) = split_host(host).map_err(|why| format!("was not carried over: {why}"))?;
        let Host::Ip(ip) = host else {
            return Err(format!("was not carried over: {host} is not an IP address"));
        };
        let advertise = match (words.next(), words.next()) {
            (Some("advertise"), Some(text)) => {
                let (host, port) = split_host(text).map_err(|why| format!("advertise {text:?}: {why}"))?;
                Some(Advertise { host, port })
            }
            _ => None,
        };
        let both = [Transport::Udp, Transport::Tcp];
        for transport in transport.as_ref().map_or(&both[..], std::slice::from_ref) {
            let (address, port): (IpAddr, _) = (ip, port.unwrap_or(5060));
            self.config.listen.push(Listen { transport: *transport, address, port, advertise: advertise.clone() });
        }
        Ok(())
    }

    fn header(
        &mut self,
        line: usize,
        value: &str,
        prefix: &str,
        key: impl FnOnce(&mut Config) -> &mut String,
    ) -> Result<(), String> {
        let text = value.strip_prefix(prefix).unwrap_or_else(|| {
            self.note(line, format!("{value:?} does not start with {prefix:?}; it was taken as the value"));
            value
        });
        if text.chars().any(char::is_control) {
            return Err("holds control characters".to_owned());
        }
        *key(&mut self.config) = text.trim().to_owned();
        Ok(())
    }

    fn seconds(&mut self, value: &str, key: impl FnOnce(&mut Config) -> &mut Duration) -> Result<(), String> {
        *key(&mut self.config) = Duration::from_secs(value.parse().map_err(|_| not_a_number(value))?);
        Ok(())
    }

    fn milliseconds(&mut self, value: &str, key: impl FnOnce(&mut Config) -> &mut Duration) -> Result<(), String> {
        *key(&mut self.config) = Duration::from_millis(value.parse().map_err(|_| not_a_number(value))?);
        Ok(())
    }

    fn number<T: std::str::FromStr>(
        &mut self,
        value: &str,
        key: impl FnOnce(&mut Config) -> &mut T,
    ) -> Result<(), String> {
        *key(&mut self.config) = value.parse().map_err(|_| not_a_number(value))?;
        Ok(())
    }

    fn switch(&mut self, value: &str, key: impl FnOnce(&mut Config) -> &mut bool) -> Result<(), String> {
        *key(&mut self.config) = match value {
            "1" | "yes" | "on" | "true" => true,
            "0" | "no" | "off" | "false" => false,
            _ => return Err("is neither yes nor no".to_owned()),
        };
        Ok(())
    }

    /// `ds_select_dst(set, algorithm[, limit])`.
    fn selection(&mut self, line: usize, name: &str, arguments: &[String]) {
        let argument = |index: usize| arguments.get(index).map_or("", |text| text.trim());
        let (set, id) = (argument(0), argument(1));
        let algorithm = id.parse().ok().and_then(Algorithm::from_kamailio);
        match algorithm {
            None => self.note(line, format!("{name}: algorithm {id:?} was not carried over")),
            Some(algorithm) if matches!(id, "8" | "9" | "10") => {
                let message = format!(
                    "{name}: Kamailio's algorithm {id} is {algorithm}, and so it was taken; some guides number them differently"
                );
                self.note(line, message);
            }
            Some(_) => {}
        }
        if let Ok(limit @ 1..=64) = argument(2).parse::<u16>() {
            self.config.dispatch.limit = limit;
            let message = format!("{name}: the third argument, {limit}, is the most targets that are tried, not flags");
            self.note(line, message);
        } else if !argument(2).is_empty() {
            self.note(line, format!("{name}: the limit {:?} was not carried over", argument(2)));
        }
        if set.parse::<u32>().is_err() {
            self.note(line, format!("{name}: the set {set:?} is chosen at run time; write a rule for each case"));
        }
        self.selections.push((set.parse().ok(), algorithm, line));
    }

    /// Gives the sets their algorithms and makes a rule from the calls of ds_select_dst; the sets must be there.
    pub(crate) fn route(&mut self) {
        let Some(first) = self.config.set.first().map(|set| set.id) else { return };
        for (id, algorithm, _) in &self.selections {
            let Some(algorithm) = *algorithm else { continue };
            let named = |set: &&mut crate::config::Set| id.is_none_or(|id| id == set.id);
            self.config.set.iter_mut().filter(named).for_each(|set| set.algorithm = algorithm);
        }
        let Some((_, _, line)) = self.selections.first().copied() else { return };
        let known = |id: &u32| self.config.set_by_id(*id).is_some();
        let set = self.selections.iter().filter_map(|(id, _, _)| *id).find(known).unwrap_or(first);
        self.note(line, format!("routes were not carried over, but for one rule: INVITE goes to set {set}"));
        self.config.route.push(Route {
            name: "kamailio".to_owned(),
            r#match: Match { method: "INVITE".parse().into_iter().collect(), ..Match::default() },
            reject: None,
            dispatch: Some(DispatchTo { set, algorithm: None, fallback: None, value_header: None }),
            relay: false,
            echo: false,
        });
    }
}

/// `value` without the credentials of a URL in it: notes end up in logs.
fn redacted(value: &str) -> String {
    match (value.find("://"), value.rfind('@')) {
        (Some(start), Some(end)) if start < end => format!("{}://***{}", &value[..start], &value[end..]),
        _ => value.to_owned(),
    }
}

fn not_a_number(value: &str) -> String {
    format!("{value:?} is not a number that can stand here")
}
