//! Commands that are told of changes of state: one after another, in the order of the changes, each once.

use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::{Notice, command, words};
use crate::config::Config;
use crate::config::vrrp::CommandLine;

/// Changes that may wait for the commands before them.
pub(super) const QUEUE_MAX: usize = 1_024;

/// A command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    command: CommandLine,
    more: Vec<String>,
    timeout: Duration,
}

/// The commands that a change asks for: the one for its state, then the one for every change.
pub(super) fn jobs(config: &Config, notice: &Notice) -> Vec<Job> {
    let commands = if notice.is_group {
        let group = config.vrrp_sync_group.iter().find(|g| g.name == notice.name);
        group.map(|g| ([&g.notify_active, &g.notify_backup, &g.notify_fault, &g.notify_stop], &g.notify))
    } else {
        let instance = config.vrrp.iter().find(|i| i.name == notice.name);
        instance.map(|i| ([&i.notify_active, &i.notify_backup, &i.notify_fault, &i.notify_stop], &i.notify))
    };
    let Some(([active, backup, fault, stop], every)) = commands else { return Vec::new() };
    let state = words::keepalived(notice.state);
    let own = match state {
        "MASTER" => active,
        "BACKUP" => backup,
        "STOP" => stop,
        _ => fault,
    };
    let timeout = config.vrrp_options.notify_timeout;
    let own = own.iter().map(|command| Job { command: command.clone(), more: Vec::new(), timeout });
    let kind = if notice.is_group { "GROUP" } else { "INSTANCE" };
    let more = [kind, &notice.name, state, &notice.priority.to_string()].map(str::to_owned).to_vec();
    let every = every.iter().map(|command| Job { command: command.clone(), more: more.clone(), timeout });
    own.chain(every).collect()
}

/// Runs jobs until nobody can give any more.
pub(super) async fn run(mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        let more: Vec<&str> = job.more.iter().map(String::as_str).collect();
        let ended = command::run(&job.command, &more, job.timeout).await;
        if ended.is_ok() {
            debug!("vrrp: notify command {} has ended", job.command);
        } else {
            warn!("vrrp: notify command {} {ended}", job.command);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
[[vrrp]]
name = "VI"
interface = "eth0"
vrid = 51
addresses = ["10.0.0.100/24"]
notify_active = ["a"]
notify_fault = ["f", "x"]
notify = ["every", "one"]
[[vrrp_sync_group]]
name = "VG"
members = ["VI"]
notify_stop = ["s"]
"#;

    fn asked(name: &str, is_group: bool, state: &'static str) -> Vec<String> {
        let (config, _) = crate::config::parse(CONFIG, std::path::Path::new("")).unwrap();
        let notice = Notice { name: name.into(), is_group, state, is_active: state == "active", priority: 90 };
        jobs(&config, &notice).iter().map(|job| format!("{} {}", job.command, job.more.join(" "))).collect()
    }

    #[test]
    fn each_change_asks_for_its_commands() {
        assert_eq!(asked("VI", false, "active"), ["a ", "every one INSTANCE VI MASTER 90"]);
        assert_eq!(asked("VI", false, "backup"), ["every one INSTANCE VI BACKUP 90"]);
        assert_eq!(asked("VI", false, "released"), ["f x ", "every one INSTANCE VI FAULT 90"]);
        assert_eq!(asked("VG", true, "stopped"), ["s "]);
        assert_eq!(asked("VG", true, "active"), [""; 0]);
        assert_eq!(asked("VI", true, "active"), [""; 0], "an instance is no group");
    }

    #[test]
    fn they_run_one_after_another_and_a_slow_one_does_not_change_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let job = |script: String| Job {
            command: CommandLine(vec!["/bin/sh".into(), "-c".into(), script]),
            more: Vec::new(),
            timeout: Duration::from_secs(60),
        };
        let (give, take) = mpsc::channel(8);
        let at = log.display();
        give.try_send(job(format!("echo begin >> {at}; sleep 0.2; echo end >> {at}"))).unwrap();
        give.try_send(job(format!("echo fails >> {at}; exit 1"))).unwrap();
        give.try_send(job(format!("echo last >> {at}"))).unwrap();
        drop(give);
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(take));
        assert_eq!(std::fs::read_to_string(log).unwrap(), "begin\nend\nfails\nlast\n");
    }
}
