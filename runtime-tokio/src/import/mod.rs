//! `trunkline import`: taking over what other programs are configured with.

mod cfg;
mod kamailio;
mod keepalived;
pub(crate) mod list;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use self::kamailio::Taken;
use self::list::Note;
use crate::cli::{Global, ImportKamailioArgs, ImportKeepalivedArgs};
use crate::config::{self, Config};

/// What an import gives.
#[derive(Debug)]
struct Imported {
    config: Config,
    /// What was not carried over: a line each, with its file and line.
    notes: Vec<String>,
    /// What could not be read.
    problems: Vec<String>,
}

/// Runs `trunkline import kamailio`.
pub(crate) fn main(global: &Global, args: &ImportKamailioArgs) -> ExitCode {
    let imported = kamailio(args.cfg.as_deref(), args.list.as_deref());
    report(global, imported)
}

/// Runs `trunkline import keepalived`.
pub(crate) fn keepalived(global: &Global, args: &ImportKeepalivedArgs) -> ExitCode {
    report(global, from_keepalived(&args.file))
}

fn from_keepalived(path: &Path) -> Imported {
    let mut problems = Vec::new();
    let Some(text) = read(path, &mut problems) else {
        return Imported { config: Config::default(), notes: Vec::new(), problems };
    };
    let mut bad = Vec::new();
    let statements = keepalived::parse(&text, &mut bad);
    let mut taken = keepalived::take(&statements);
    taken.notes.sort_by_key(|note| note.line);
    problems.extend(placed(path, &bad));
    Imported { config: taken.config, notes: placed(path, &taken.notes), problems }
}

fn report(global: &Global, mut imported: Imported) -> ExitCode {
    let toml = config::dump_changed(&imported.config);
    // What is printed must be valid; others allow some values that this program does not.
    if let Err(problems) = config::parse(&toml, Path::new("")) {
        imported.problems.extend(problems.iter().map(|problem| format!("{}: {}", problem.key, problem.message)));
    }
    if global.json {
        let report = json!({ "toml": toml, "not_carried_over": imported.notes, "problems": imported.problems });
        crate::print(&format!("{report:#}\n"));
    } else {
        crate::print(&toml);
        imported.notes.iter().for_each(|note| eprintln!("{note}"));
        imported.problems.iter().for_each(|problem| eprintln!("error: {problem}"));
    }
    if imported.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn kamailio(cfg: Option<&Path>, list: Option<&Path>) -> Imported {
    let mut notes = Vec::new();
    let mut problems = Vec::new();
    let mut taken = Taken::default();
    if let Some(path) = cfg
        && let Some(text) = read(path, &mut problems)
    {
        let (mut bad, mut not_worked_out) = (Vec::new(), Vec::new());
        let statements = cfg::parse(&text, &mut bad, &mut not_worked_out);
        taken = kamailio::take(&statements);
        taken.notes.extend(not_worked_out);
        problems.extend(placed(path, &bad));
    }
    if let Some(path) = list.map(Path::to_owned).or_else(|| named_list(cfg, &mut taken))
        && let Some(text) = read(&path, &mut problems)
    {
        let listed = list::parse(&text);
        notes.extend(placed(&path, &listed.notes));
        problems.extend(placed(&path, &listed.problems));
        list::merge(&mut taken.config.set, listed.targets);
        notes.extend(drop_foreign_sockets(&mut taken.config).iter().map(|note| format!("{}: {note}", path.display())));
    }
    taken.route();
    taken.notes.sort_by_key(|note| note.line);
    if let Some(path) = cfg {
        notes.splice(0..0, placed(path, &taken.notes));
    }
    Imported { config: taken.config, notes, problems }
}

/// Sockets of targets on which nothing listens here: a target may only name a listener.
fn drop_foreign_sockets(config: &mut Config) -> Vec<String> {
    let mut notes = Vec::new();
    let mut sets = std::mem::take(&mut config.set);
    for target in sets.iter_mut().flat_map(|set| &mut set.target) {
        let foreign = |socket: &SocketAddr| config.listener_at(target.uri.transport, *socket).is_none();
        if let Some(socket) = target.socket.take_if(|socket| foreign(socket)) {
            notes.push(format!("{}: socket {socket} was not carried over: nothing listens there", target.uri));
        }
    }
    config.set = sets;
    notes
}

/// The list file that the kamailio.cfg names, if it is there; else that is noted.
fn named_list(cfg: Option<&Path>, taken: &mut Taken) -> Option<PathBuf> {
    let name = taken.list_file.take()?;
    let path = cfg?.parent()?.join(&name);
    if path.exists() {
        return Some(path);
    }
    let message = format!("dispatcher list_file {name:?} is not here; give it with --list");
    taken.notes.push(Note { line: 0, message });
    None
}

fn read(path: &Path, problems: &mut Vec<String>) -> Option<String> {
    std::fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .inspect_err(|error| problems.push(format!("{}: cannot be read: {error}", path.display())))
        .ok()
}

fn placed(path: &Path, notes: &[Note]) -> Vec<String> {
    let place = |note: &Note| match note.line {
        0 => format!("{}: {}", path.display(), note.message),
        line => format!("{}:{line}: {}", path.display(), note.message),
    };
    notes.iter().map(place).collect()
}
