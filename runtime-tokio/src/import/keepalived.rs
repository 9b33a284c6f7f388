//! What statements of a `keepalived.conf` mean here.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::list::Note;
use crate::config::Config;
use crate::config::vrrp::{
    Announce, CommandLine, Secret, TrackFile, TrackInterface, TrackProcess, TrackRef, TrackScript, VirtualAddress,
    VrrpInstance, VrrpSyncGroup, Weight,
};

/// A statement: its words, and what stands in braces behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    line: usize,
    words: Vec<String>,
    block: Option<Vec<Statement>>,
}

/// Reads the statements; what is not valid is added to `problems`.
pub(super) fn parse(text: &str, problems: &mut Vec<Note>) -> Vec<Statement> {
    let mut open: Vec<Vec<Statement>> = vec![Vec::new()];
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let note = |message: &str| Note { line: line_number, message: message.to_owned() };
        let Some(tokens) = tokens(line) else {
            problems.push(note("a quote is not closed"));
            continue;
        };
        let mut words = Vec::new();
        for token in tokens {
            match token {
                Token::Word(word) => words.push(word),
                Token::Open => {
                    let statements = open.last_mut().expect("the file itself stays open");
                    if words.is_empty() && statements.last().is_some_and(|last| last.block.is_none()) {
                        // The brace of the line before.
                    } else {
                        statements.push(Statement {
                            line: line_number,
                            words: std::mem::take(&mut words),
                            block: None,
                        });
                    }
                    open.push(Vec::new());
                }
                Token::Close => {
                    push(&mut open, line_number, &mut words);
                    if open.len() == 1 {
                        problems.push(note("\"}\" without \"{\""));
                        continue;
                    }
                    let block = open.pop();
                    if let Some(owner) = open.last_mut().and_then(|statements| statements.last_mut()) {
                        owner.block = block;
                    }
                }
            }
        }
        push(&mut open, line_number, &mut words);
    }
    if open.len() > 1 {
        let line = text.lines().count();
        problems.push(Note { line, message: "the file ends inside a block: \"}\" is missing".to_owned() });
    }
    while open.len() > 1 {
        let block = open.pop();
        if let Some(owner) = open.last_mut().and_then(|statements| statements.last_mut()) {
            owner.block = block;
        }
    }
    open.pop().unwrap_or_default()
}

fn push(open: &mut [Vec<Statement>], line: usize, words: &mut Vec<String>) {
    if let (false, Some(statements)) = (words.is_empty(), open.last_mut()) {
        statements.push(Statement { line, words: std::mem::take(words), block: None });
    }
}

enum Token {
    Word(String),
    Open,
    Close,
}

/// The tokens of a line without its comment (`#`, `!`); `None`: a quote is not closed.
fn tokens(line: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            '#' | '!' => break,
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            '"' | '\'' => {
                let end = rest[1..].find(c)?;
                (Token::Word(rest[1..=end].to_owned()), end + 2)
            }
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || "{}#!\"".contains(c)).unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Some(tokens)
}

/// What a `keepalived.conf` says.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The configuration, with defaults where nothing is said.
    pub(super) config: Config,
    /// What was not carried over, or not as it stands.
    pub(super) notes: Vec<Note>,
    /// Weights that tracks have where an instance says none.
    weights: Vec<(String, i16)>,
    version: u16,
    announce: Announce,
}

const NOT_CARRIED: &str = "was not carried over";

/// What has no counterpart and is not missed.
const NOT_NEEDED: &[&str] = &[
    "router_id",
    "enable_script_security",
    "dynamic_interfaces",
    "process_names",
    "state",
    "debug",
    "accept",
    "vrrp_no_swap",
    "vrrp_notify_priority_changes",
    "log_unknown_vrids",
    "native_ipv6",
    "global_tracking",
    "sync_group_tracking_weight",
    "garp_lower_prio_repeat",
    "vrrp_garp_lower_prio_repeat",
];

/// Takes over `statements`.
pub(super) fn take(statements: &[Statement]) -> Taken {
    let mut taken = Taken { version: 2, ..Taken::default() };
    let named = |name: &'static str| statements.iter().filter(move |s| s.word(0) == name);
    // Definitions first, wherever they stand.
    for global in named("global_defs") {
        global.each(|s| taken.global(s));
    }
    named("vrrp_script").for_each(|s| taken.script(s));
    named("vrrp_track_process").for_each(|s| taken.process(s));
    ["vrrp_track_file", "track_file"].into_iter().flat_map(named).for_each(|s| taken.file(s));
    named("vrrp_instance").for_each(|s| taken.instance(s));
    named("vrrp_sync_group").for_each(|s| taken.group(s));
    for other in statements {
        match other.word(0) {
            "global_defs" | "vrrp_script" | "vrrp_track_process" | "vrrp_track_file" | "track_file"
            | "vrrp_instance" | "vrrp_sync_group" => {}
            "virtual_server" | "virtual_server_group" => taken.note(other, "LVS was not carried over"),
            "include" => taken.note(other, "included files are not read; import each of them"),
            _ => taken.note(other, NOT_CARRIED),
        }
    }
    taken
}

impl Statement {
    fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    fn each<'s>(&'s self, f: impl FnMut(&'s Statement)) {
        self.block.iter().flatten().for_each(f);
    }

    fn number<T: FromStr>(&self) -> Result<T, String> {
        self.word(1).parse().map_err(|_| format!("{:?} is not a number that is allowed here", self.word(1)))
    }

    fn seconds(&self) -> Result<Duration, String> {
        let seconds: f64 = self.number()?;
        // Rounded as Keepalived does, which counts fractions of a second.
        let ms = Some((seconds * 1_000.0).round()).filter(|ms| (0.0..1e12).contains(ms));
        ms.map(|ms| Duration::from_millis(ms as u64)).ok_or_else(|| format!("{seconds} is out of range"))
    }

    fn command(&self) -> Result<CommandLine, String> {
        let words: Vec<String> = self.word(1).split_whitespace().map(str::to_owned).collect();
        if words.is_empty() { Err("the command is missing".to_owned()) } else { Ok(CommandLine(words)) }
    }
}

fn set<T>(place: &mut T, value: Result<T, String>) -> Result<(), String> {
    *place = value?;
    Ok(())
}

impl Taken {
    fn note(&mut self, at: &Statement, message: &str) {
        // A password is not shown.
        let shown = if at.word(0) == "auth_pass" { "auth_pass ***".to_owned() } else { at.words.join(" ") };
        self.notes.push(Note { line: at.line, message: format!("{shown}: {message}") });
    }

    fn carried(&mut self, at: &Statement, carried: Result<(), String>) {
        if let Err(message) = carried {
            self.note(at, &message);
        }
    }

    fn user(&mut self, at: &Statement) {
        self.note(at, "commands run as the user of trunkline");
    }

    fn global(&mut self, s: &Statement) {
        let carried = match s.word(0) {
            "vrrp_version" => set(&mut self.version, s.number()),
            "script_user" => return self.user(s),
            "vrrp_rt_priority" => set(&mut self.config.vrrp_options.realtime_priority, s.number()),
            name if NOT_NEEDED.contains(&name) => Ok(()),
            name => match name.strip_prefix("vrrp_").filter(|name| name.starts_with("garp_")) {
                Some(garp) => announce(&mut self.announce, garp, s),
                None => Err(NOT_CARRIED.to_owned()),
            },
        };
        self.carried(s, carried);
    }

    fn script(&mut self, s: &Statement) {
        let mut script = TrackScript {
            name: s.word(1).to_owned(),
            command: CommandLine(Vec::new()),
            interval: Duration::from_secs(1),
            timeout: Duration::ZERO,
            rise: 1,
            fall: 1,
            assumed_up: true,
        };
        let mut weight = 0;
        s.each(|k| {
            let carried = match k.word(0) {
                "script" => set(&mut script.command, k.command()),
                "interval" => set(&mut script.interval, k.seconds()),
                "timeout" => set(&mut script.timeout, k.seconds()),
                "rise" => set(&mut script.rise, k.number()),
                "fall" => set(&mut script.fall, k.number()),
                "weight" => set(&mut weight, k.number()),
                "init_fail" => set(&mut script.assumed_up, Ok(false)),
                "user" => return self.user(k),
                _ => Err(NOT_CARRIED.to_owned()),
            };
            self.carried(k, carried);
        });
        if script.timeout.is_zero() {
            script.timeout = script.interval;
        }
        self.weights.push((script.name.clone(), weight));
        self.config.track.script.push(script);
    }

    fn process(&mut self, s: &Statement) {
        let mut process =
            TrackProcess { name: s.word(1).to_owned(), process: String::new(), interval: Duration::from_secs(1) };
        let mut weight = 0;
        s.each(|k| {
            let carried = match k.word(0) {
                "process" => {
                    if k.words.len() > 2 {
                        self.note(k, "processes are known by their names, not by arguments");
                    }
                    let name = k.word(1).rsplit('/').next().unwrap_or_default();
                    set(&mut process.process, Ok(name.to_owned()))
                }
                "weight" => set(&mut weight, k.number()),
                _ => Err(NOT_CARRIED.to_owned()),
            };
            self.carried(k, carried);
        });
        self.weights.push((process.name.clone(), weight));
        self.config.track.process.push(process);
    }

    fn file(&mut self, s: &Statement) {
        let mut file = TrackFile { name: s.word(1).to_owned(), path: String::new(), absent: false };
        s.each(|k| {
            let carried = match k.word(0) {
                "file" => set(&mut file.path, Ok(k.word(1).to_owned())),
                _ => Err(NOT_CARRIED.to_owned()),
            };
            self.carried(k, carried);
        });
        self.note(s, "Keepalived takes the number in the file as a weight; here only its presence counts");
        self.weights.push((file.name.clone(), 0));
        self.config.track.file.push(file);
    }

    fn instance(&mut self, s: &Statement) {
        let mut it = VrrpInstance {
            name: s.word(1).to_owned(),
            interface: String::new(),
            vrid: 0,
            version: self.version,
            priority: 100,
            advert_interval: Duration::from_secs(1),
            addresses: Vec::new(),
            excluded_addresses: Vec::new(),
            password: None,
            preempt: true,
            preempt_delay: Duration::ZERO,
            resign_on_loss: true,
            peers: Vec::new(),
            source: None,
            ttl_min: 255,
            virtual_mac: false,
            track_node: true,
            track: Vec::new(),
            announce: self.announce.clone(),
            notify_active: None,
            notify_backup: None,
            notify_fault: None,
            notify_stop: None,
            notify: None,
        };
        s.each(|k| {
            let carried = self.instance_key(&mut it, k);
            self.carried(k, carried);
        });
        if it.interface.is_empty() {
            self.note(s, "has no interface");
        }
        self.config.vrrp.push(it);
    }

    fn instance_key(&mut self, it: &mut VrrpInstance, k: &Statement) -> Result<(), String> {
        let ip = |k: &Statement| k.word(1).parse::<IpAddr>().map(Some).map_err(|_| "is not an address".to_owned());
        match k.word(0) {
            "interface" => set(&mut it.interface, Ok(k.word(1).to_owned())),
            "virtual_router_id" => set(&mut it.vrid, k.number()),
            "version" => set(&mut it.version, k.number()),
            "priority" => set(&mut it.priority, k.number()),
            "advert_int" => set(&mut it.advert_interval, k.seconds()),
            "nopreempt" => set(&mut it.preempt, Ok(false)),
            "preempt_delay" => set(&mut it.preempt_delay, k.seconds()),
            "unicast_src_ip" | "mcast_src_ip" => set(&mut it.source, ip(k)),
            "unicast_peer" => {
                k.each(|peer| match peer.word(0).parse() {
                    Ok(ip) if peer.words.len() == 1 => it.peers.push(ip),
                    Ok(ip) => {
                        it.peers.push(ip);
                        self.note(peer, "only the address was carried over");
                    }
                    Err(_) => self.note(peer, "is not an address"),
                });
                Ok(())
            }
            "use_vmac" => {
                if k.words.len() > 1 {
                    self.note(k, "the interface is named vrrp.VRID");
                }
                set(&mut it.virtual_mac, Ok(true))
            }
            "authentication" => {
                k.each(|auth| self.authentication(it, auth));
                Ok(())
            }
            "virtual_ipaddress" => {
                k.each(|a| it.addresses.extend(self.address(a)));
                Ok(())
            }
            "virtual_ipaddress_excluded" => {
                k.each(|a| it.excluded_addresses.extend(self.address(a)));
                Ok(())
            }
            "notify_master" => set(&mut it.notify_active, k.command().map(Some)),
            "notify_backup" => set(&mut it.notify_backup, k.command().map(Some)),
            "notify_fault" => set(&mut it.notify_fault, k.command().map(Some)),
            "notify_stop" => set(&mut it.notify_stop, k.command().map(Some)),
            "notify" => set(&mut it.notify, k.command().map(Some)),
            name if name.starts_with("track_") => self.tracks(k, &mut it.track),
            name if NOT_NEEDED.contains(&name) => Ok(()),
            name if name.starts_with("garp_") => announce(&mut it.announce, name, k),
            _ => Err(NOT_CARRIED.to_owned()),
        }
    }

    fn authentication(&mut self, it: &mut VrrpInstance, auth: &Statement) {
        match (auth.word(0), auth.word(1)) {
            ("auth_type", "PASS") => {}
            ("auth_type", _) => self.note(auth, "only PASS was carried over"),
            // Version 3 has none (RFC 9568 §9), and Keepalived ignores it there.
            ("auth_pass", _) if it.version == 3 => self.note(auth, "version 3 has no passwords"),
            ("auth_pass", pass) if !pass.is_empty() => it.password = Some(Secret::new(pass)),
            _ => self.note(auth, NOT_CARRIED),
        }
    }

    fn address(&mut self, a: &Statement) -> Option<VirtualAddress> {
        let dev = a.words.iter().position(|word| word == "dev").and_then(|at| a.words.get(at + 1));
        let text = match dev {
            Some(dev) => format!("{} dev {dev}", a.word(0)),
            None => a.word(0).to_owned(),
        };
        let left: Vec<_> =
            a.words.iter().skip(1).filter(|word| word.as_str() != "dev" && Some(*word) != dev).cloned().collect();
        if !left.is_empty() {
            self.note(a, &format!("{} {NOT_CARRIED}", left.join(" ")));
        }
        text.parse().inspect_err(|why: &String| self.note(a, why)).ok()
    }

    fn tracks(&mut self, k: &Statement, out: &mut Vec<TrackRef>) -> Result<(), String> {
        let kind = k.word(0);
        if !matches!(kind, "track_script" | "track_process" | "track_file" | "track_interface") {
            return Err(NOT_CARRIED.to_owned());
        }
        k.each(|t| {
            let name = t.word(0).to_owned();
            let given = t.words.iter().position(|word| word == "weight").and_then(|at| t.words.get(at + 1));
            let weight = match given.map(|text| text.parse::<i16>()) {
                Some(Ok(weight)) => weight,
                Some(Err(_)) => return self.note(t, "the weight is not a number"),
                None => self.weights.iter().find(|(n, _)| *n == name).map_or(0, |(_, weight)| *weight),
            };
            if kind == "track_interface" && !self.config.track.interface.iter().any(|i| i.name == name) {
                self.config.track.interface.push(TrackInterface { name: name.clone(), interface: name.clone() });
            }
            out.push(TrackRef { name, weight: Weight(weight) });
        });
        Ok(())
    }

    fn group(&mut self, s: &Statement) {
        let mut it = VrrpSyncGroup {
            name: s.word(1).to_owned(),
            members: Vec::new(),
            track: Vec::new(),
            notify_active: None,
            notify_backup: None,
            notify_fault: None,
            notify_stop: None,
            notify: None,
        };
        s.each(|k| {
            let carried = match k.word(0) {
                "group" => {
                    k.each(|member| it.members.extend(member.words.iter().cloned()));
                    Ok(())
                }
                "notify_master" => set(&mut it.notify_active, k.command().map(Some)),
                "notify_backup" => set(&mut it.notify_backup, k.command().map(Some)),
                "notify_fault" => set(&mut it.notify_fault, k.command().map(Some)),
                "notify_stop" => set(&mut it.notify_stop, k.command().map(Some)),
                "notify" => set(&mut it.notify, k.command().map(Some)),
                name if name.starts_with("track_") => self.tracks(k, &mut it.track),
                name if NOT_NEEDED.contains(&name) => Ok(()),
                _ => Err(NOT_CARRIED.to_owned()),
            };
            self.carried(k, carried);
        });
        self.config.vrrp_sync_group.push(it);
    }
}

/// Keys about gratuitous ARP: Keepalived sends a burst at once, and one more after a delay.
fn announce(announce: &mut Announce, name: &str, s: &Statement) -> Result<(), String> {
    match name {
        "garp_master_delay" => set(&mut announce.repeat_delay, s.seconds()),
        "garp_master_repeat" => {
            set(&mut announce.count, s.number())?;
            set(&mut announce.repeat_count, s.number())
        }
        "garp_master_refresh" => set(&mut announce.refresh, s.seconds()),
        "garp_interval" => set(&mut announce.gap, s.seconds()),
        _ => Err(NOT_CARRIED.to_owned()),
    }
}
