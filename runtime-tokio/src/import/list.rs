//! Kamailio's dispatcher list: one target a line, `setid uri flags priority attributes description`.

use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Set;
use crate::config::Target;
use crate::config::algorithm::Algorithm;
use crate::config::values::{AdminState, TargetUri};

/// Something about one line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The line, from 1.
    pub(crate) line: usize,
    /// What is wrong with it, or what of it was not carried over.
    pub(crate) message: String,
}

/// What a list holds.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    /// Its targets with the ids of their sets, in order.
    pub(crate) targets: Vec<(u32, Target)>,
    /// Lines that are not valid.
    pub(crate) problems: Vec<Note>,
    /// What of the valid lines was not carried over.
    pub(crate) notes: Vec<Note>,
}

/// State bits of a destination (Kamailio dispatcher, destination list file).
const FLAG_INACTIVE: u32 = 1;
const FLAG_TRYING: u32 = 2;
const FLAG_DISABLED: u32 = 4;
const FLAG_PROBING: u32 = 8;
const FLAGS_KNOWN: u32 = FLAG_INACTIVE | FLAG_TRYING | FLAG_DISABLED | FLAG_PROBING;

/// Reads a list. A line that is not valid does not stop the others.
pub(crate) fn parse(text: &str) -> Listed {
    let mut listed = Listed::default();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let fields = fields(line);
        if fields.is_empty() {
            continue;
        }
        let mut messages = Vec::new();
        match target(&fields, &mut messages) {
            Ok(target) => listed.targets.push(target),
            Err(message) => listed.problems.push(Note { line: line_number, message }),
        }
        listed.notes.extend(messages.into_iter().map(|message| Note { line: line_number, message }));
    }
    listed
}

/// Adds targets to their sets; a set that is not there yet is made with the usual defaults.
pub(crate) fn merge(sets: &mut Vec<Set>, targets: Vec<(u32, Target)>) {
    for (id, target) in targets {
        match sets.iter_mut().find(|set| set.id == id) {
            Some(set) => set.target.push(target),
            None => sets.push(Set {
                id,
                name: String::new(),
                algorithm: Algorithm::CallIdHash,
                fallback: None,
                target: vec![target],
            }),
        }
    }
}

/// Splits a line at blanks; quotes hold a field together, and `#` at the start of a field begins a comment.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let mut quoted = false;
        let end = rest
            .find(|c: char| {
                quoted ^= c == '"';
                c.is_whitespace() && !quoted
            })
            .unwrap_or(rest.len());
        fields.push(rest[..end].replace('"', ""));
        rest = rest[end..].trim_start();
    }
    fields
}

fn target(fields: &[String], notes: &mut Vec<String>) -> Result<(u32, Target), String> {
    let number = |text: &str, what: &str| text.parse::<i64>().map_err(|_| format!("{text:?} is not a {what}"));
    if fields.iter().any(|field| field.chars().any(char::is_control)) {
        return Err("control characters are not allowed".to_owned());
    }
    let field = |index: usize| fields.get(index).map(String::as_str);
    let set = number(field(0).unwrap_or(""), "set id")?;
    let set = u32::try_from(set).map_err(|_| format!("set id {set} is out of range"))?;
    let uri = field(1).ok_or("the URI is missing after the set id")?;
    let uri: TargetUri = uri.parse().map_err(|why| format!("{uri:?}: {why}"))?;
    let flags = number(field(2).unwrap_or("0"), "number of flags")?;
    let flags = u32::try_from(flags).map_err(|_| format!("flags {flags} are out of range"))?;
    let priority = number(field(3).unwrap_or("0"), "priority")?;
    let priority = u16::try_from(priority).map_err(|_| format!("priority {priority} is out of range: 0 to 65535"))?;
    let mut target = Target {
        uri,
        weight: 50,
        priority,
        duid: String::new(),
        max_calls: 0,
        max_cps: 0,
        state: state(flags),
        probing: flags & FLAG_PROBING != 0,
        relative_weight: None,
        socket: None,
        latency: Duration::ZERO,
        congestion_control: false,
        ping_from: None,
        ping_proxy: None,
        strip: Vec::new(),
    };
    if flags & FLAG_TRYING != 0 {
        notes.push("flag 2 (trying) was not carried over: health is found by pings".to_owned());
    }
    if flags & !FLAGS_KNOWN != 0 {
        notes.push(format!("flags {} were not carried over", flags & !FLAGS_KNOWN));
    }
    attributes(field(4).unwrap_or(""), &mut target, notes)?;
    Ok((set, target))
}

fn state(flags: u32) -> AdminState {
    if flags & FLAG_DISABLED != 0 {
        AdminState::Disabled
    } else if flags & FLAG_INACTIVE != 0 {
        AdminState::Drain
    } else {
        AdminState::Active
    }
}

fn attributes(text: &str, target: &mut Target, notes: &mut Vec<String>) -> Result<(), String> {
    let mut weight = None;
    let mut relative = None;
    for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or_else(|| format!("attribute {part:?} is not name=value"))?;
        let number = |high: u32| {
            let read = value.parse::<u32>().ok().filter(|number| *number <= high);
            read.ok_or_else(|| format!("attribute {name}: {value:?} is not a number from 0 to {high}"))
        };
        match name.trim() {
            "weight" => weight = Some(number(1_000)?),
            "rweight" => relative = Some(number(1_000)?),
            "duid" => target.duid = value.to_owned(),
            "maxload" => target.max_calls = number(1_000_000)?,
            "latency" => target.latency = Duration::from_millis(u64::from(number(60_000)?)),
            "cc" => target.congestion_control = number(1)? == 1,
            "ping_from" => target.ping_from = Some(value.parse().map_err(|why| format!("ping_from: {why}"))?),
            "obproxy" => target.ping_proxy = Some(value.parse().map_err(|why| format!("obproxy: {why}"))?),
            "socket" | "sockname" => match socket(value, &target.uri) {
                Some(socket) => target.socket = Some(socket),
                None => notes.push(format!(
                    "{name}={value} was not carried over: wanted {}:address:port",
                    target.uri.transport.name()
                )),
            },
            other => notes.push(format!("attribute {other} was not carried over")),
        }
    }
    let share = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    target.weight = weight.or(relative).map_or(target.weight, share);
    target.relative_weight = relative.filter(|relative| Some(*relative) != weight && weight.is_some()).map(share);
    Ok(())
}

/// `proto:address:port` of a socket that can reach the target.
fn socket(value: &str, target: &TargetUri) -> Option<SocketAddr> {
    let (transport, address) = value.split_once(':')?;
    address.parse().ok().filter(|_| transport.eq_ignore_ascii_case(target.transport.name()))
}
