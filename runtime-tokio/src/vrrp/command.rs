//! Running a command of the operator: in a process group of its own, for a limited time.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::config::vrrp::CommandLine;

/// How a command ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It took too long and was killed, with all that it started.
    TimedOut,
    /// It could not be started.
    NotStarted(std::io::Error),
}

impl Ended {
    /// Whether it ended by itself with exit code 0.
    pub(super) fn is_ok(&self) -> bool {
        matches!(self, Self::Exited(status) if status.success())
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "ended with {status}"),
            Self::TimedOut => f.write_str("took too long and was killed"),
            Self::NotStarted(error) => write!(f, "cannot be started: {error}"),
        }
    }
}

/// Kills what is left of a process group when it goes.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0.take() {
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// Runs `command` with `more` words behind it. Its output is not kept. If this is dropped, the command is killed.
pub(super) async fn run(command: &CommandLine, more: &[&str], timeout: Duration) -> Ended {
    let Some((program, arguments)) = command.0.split_first() else {
        return Ended::NotStarted(std::io::ErrorKind::InvalidInput.into());
    };
    let mut child = Command::new(program);
    child.args(arguments).args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let mut child = match child.spawn() {
        Ok(child) => child,
        Err(error) => return Ended::NotStarted(error),
    };
    // The leader's id is nobody else's until it has been waited for.
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    match tokio::time::timeout(timeout, child.wait()).await {
        Ok(Ok(status)) => {
            // What it left running in the background is its own affair.
            group.0 = None;
            Ended::Exited(status)
        }
        Ok(Err(error)) => Ended::NotStarted(error),
        Err(_) => {
            drop(group);
            let _ = child.wait().await;
            Ended::TimedOut
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(words: &[&str]) -> CommandLine {
        CommandLine(words.iter().map(ToString::to_string).collect())
    }

    fn block<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn exit_codes_and_arguments() {
        assert!(block(run(&command(&["/bin/sh", "-c", "[ \"$0 $1\" = \"a b\" ]"]), &["a", "b"], LONG)).is_ok());
        assert!(!block(run(&command(&["/bin/sh", "-c", "exit 3"]), &[], LONG)).is_ok());
        let ended = block(run(&command(&["/no/such/program"]), &[], LONG));
        assert!(matches!(ended, Ended::NotStarted(_)), "{ended}");
        assert!(matches!(block(run(&CommandLine(Vec::new()), &[], LONG)), Ended::NotStarted(_)));
    }

    #[test]
    fn one_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
        let hangs = command(&["/bin/sh", "-c", &script]);
        let wait_for_child = async {
            while std::fs::read_to_string(&pid).unwrap_or_default().trim().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // Long enough for the child to be there, whatever the machine does.
        block(async {
            let running = run(&hangs, &[], LONG);
            tokio::select! {
                _ = running => panic!("it hangs"),
                () = wait_for_child => {}
            }
        });
        let child: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.trim().starts_with('Z'))
        };
        while !gone() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = block(run(&command(&["/bin/sleep", "1000"]), &[], Duration::from_millis(20)));
        assert!(matches!(ended, Ended::TimedOut), "{ended}");
    }
}
