//! `trunkline doctor`: whether this machine is set up for voice traffic.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::Global;

/// How a figure is compared with the wanted one.
#[derive(Clone, Copy)]
enum Wanted {
    /// Not less than this.
    AtLeast(u64),
    /// This and nothing else.
    Exactly(u64),
}

/// Kernel settings: the name as sysctl has it, what is wanted, and what for.
const SYSCTLS: &[(&str, Wanted, &str)] = &[
    ("net.core.rmem_max", Wanted::AtLeast(16_777_216), "receive buffers that take bursts"),
    ("net.core.wmem_max", Wanted::AtLeast(16_777_216), "send buffers that take bursts"),
    ("net.core.rmem_default", Wanted::AtLeast(1_048_576), "receive buffers of other programs"),
    ("net.core.wmem_default", Wanted::AtLeast(1_048_576), "send buffers of other programs"),
    ("net.core.netdev_max_backlog", Wanted::AtLeast(50_000), "packets that wait for the kernel"),
    ("net.core.somaxconn", Wanted::AtLeast(50_000), "TCP connections that wait to be taken"),
    ("net.ipv4.tcp_max_syn_backlog", Wanted::AtLeast(50_000), "TCP connections that are being made"),
    ("net.netfilter.nf_conntrack_max", Wanted::AtLeast(1_000_000), "flows that the firewall tracks"),
    ("net.netfilter.nf_conntrack_udp_timeout", Wanted::AtLeast(60), "seconds that a one-way UDP flow is tracked"),
    ("net.netfilter.nf_conntrack_udp_timeout_stream", Wanted::AtLeast(180), "seconds that a UDP flow is tracked"),
    ("net.ipv4.ip_nonlocal_bind", Wanted::Exactly(1), "a standby that binds the floating address"),
    ("net.ipv6.ip_nonlocal_bind", Wanted::Exactly(1), "a standby that binds the floating address"),
    ("fs.nr_open", Wanted::AtLeast(1_000_000), "open files that a process may ask for"),
];

/// Open files of a process.
const NOFILE: u64 = 1_000_000;

/// Programs that keep the clock right, as the kernel names them (15 bytes at most).
const TIME_DAEMONS: &[&str] = &["chronyd", "ntpd", "ntpsec", "openntpd", "systemd-timesyn", "ptp4l"];

/// One finding.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    name: String,
    purpose: &'static str,
    found: String,
    wanted: String,
    ok: bool,
    /// The command that sets it.
    fix: String,
}

/// Runs `trunkline doctor`.
pub(crate) fn main(global: &Global) -> ExitCode {
    let findings = examine(Path::new("/"));
    if global.json {
        let all: Vec<_> = findings.iter().map(Finding::json).collect();
        let report = json!({ "ok": findings.iter().all(|finding| finding.ok), "findings": all });
        crate::print(&format!("{report:#}\n"));
    } else {
        crate::print(&text(&findings));
    }
    if findings.iter().all(|finding| finding.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Examines the machine whose file system starts at `root`.
fn examine(root: &Path) -> Vec<Finding> {
    let mut findings: Vec<_> =
        SYSCTLS.iter().map(|(name, wanted, purpose)| sysctl(root, name, *wanted, purpose)).collect();
    findings.push(open_files(root));
    findings.push(clock(root));
    findings
}

fn sysctl(root: &Path, name: &str, wanted: Wanted, purpose: &'static str) -> Finding {
    let (figure, words) = match wanted {
        Wanted::AtLeast(figure) => (figure, format!("at least {figure}")),
        Wanted::Exactly(figure) => (figure, figure.to_string()),
    };
    let read = fs::read_to_string(root.join("proc/sys").join(name.replace('.', "/"))).ok();
    let (found, ok) = match read.as_deref().map(str::trim) {
        Some(text) => {
            let ok = text.parse::<u64>().is_ok_and(|found| match wanted {
                Wanted::AtLeast(figure) => found >= figure,
                Wanted::Exactly(figure) => found == figure,
            });
            (text.to_owned(), ok)
        }
        // Without connection tracking or IPv6 there is nothing to set.
        None => ("not there".to_owned(), name.contains("conntrack") || name.contains("ipv6")),
    };
    let fix = format!("sysctl -w {name}={figure}");
    Finding { name: name.to_owned(), purpose, found, wanted: words, ok, fix }
}

/// The soft limit on open files of this process.
fn open_files(root: &Path) -> Finding {
    let limits = fs::read_to_string(root.join("proc/self/limits")).unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let found = line.and_then(|line| line.split_whitespace().next()).unwrap_or("not there");
    Finding {
        name: "nofile".to_owned(),
        purpose: "open files: each connection is one",
        found: found.to_owned(),
        wanted: format!("at least {NOFILE}"),
        ok: found == "unlimited" || found.parse().is_ok_and(|found: u64| found >= NOFILE),
        fix: format!("ulimit -n {NOFILE}, or LimitNOFILE={NOFILE} in the service's unit"),
    }
}

/// Whether something keeps the clock right.
fn clock(root: &Path) -> Finding {
    let processes = fs::read_dir(root.join("proc")).into_iter().flatten().flatten();
    let names = processes
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok());
    let daemon = names.map(|name| name.trim().to_owned()).find(|name| TIME_DAEMONS.contains(&name.as_str()));
    Finding {
        name: "time".to_owned(),
        purpose: "a right clock: digests and records carry the time",
        ok: daemon.is_some(),
        found: daemon.unwrap_or_else(|| "no time daemon runs".to_owned()),
        wanted: "a time daemon (NTP)".to_owned(),
        fix: "apt-get install chrony".to_owned(),
    }
}

impl Finding {
    fn json(&self) -> serde_json::Value {
        let Self { name, purpose, found, wanted, ok, fix } = self;
        json!({ "name": name, "purpose": purpose, "found": found, "wanted": wanted, "ok": ok, "fix": fix })
    }
}

fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let Finding { name, purpose, found, wanted, ok, fix } = finding;
        let mark = if *ok { "ok " } else { "LOW" };
        out.push_str(&format!("{mark} {name}: found {found}, wanted {wanted} ({purpose})\n"));
        if !ok {
            out.push_str(&format!("    fix: {fix}\n"));
        }
    }
    let below = findings.iter().filter(|finding| !finding.ok).count();
    if below > 0 {
        let things = if below == 1 { "thing is" } else { "things are" };
        out.push_str(&format!(
            "{below} {things} below what is wanted. To keep sysctl settings over a restart, write them to \
             /etc/sysctl.d/90-voip.conf.\n"
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which all is as wanted.
    fn machine() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, wanted, _) in SYSCTLS {
            let (Wanted::AtLeast(figure) | Wanted::Exactly(figure)) = wanted;
            write(dir.path(), &format!("proc/sys/{}", name.replace('.', "/")), &format!("{figure}\n"));
        }
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max open files            1000000              1048576              files     \n";
        write(dir.path(), "proc/self/limits", limits);
        write(dir.path(), "proc/7/comm", "chronyd\n");
        write(dir.path(), "proc/net/comm", "ntpd\n");
        dir
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn below(root: &Path) -> Vec<(String, String, String)> {
        let low = examine(root).into_iter().filter(|finding| !finding.ok);
        low.map(|finding| (finding.name, finding.found, finding.fix)).collect()
    }

    #[test]
    fn a_machine_as_wanted_has_no_findings() {
        let machine = machine();
        assert_eq!(below(machine.path()), []);
        let text = text(&examine(machine.path()));
        assert!(!text.contains("LOW") && text.lines().count() == SYSCTLS.len() + 2, "{text}");
    }

    #[test]
    fn each_figure_below_is_found_with_its_fix() {
        for (name, ..) in SYSCTLS {
            let machine = machine();
            write(machine.path(), &format!("proc/sys/{}", name.replace('.', "/")), "0\n");
            let [(found_name, found, fix)] = &below(machine.path())[..] else { panic!("{name}") };
            assert_eq!((found_name.as_str(), found.as_str()), (*name, "0"));
            assert!(fix.starts_with(&format!("sysctl -w {name}=")), "{fix}");
        }
    }

    #[test]
    fn larger_figures_do_but_switches_are_exact() {
        let machine = machine();
        write(machine.path(), "proc/sys/net/core/rmem_max", "999999999\n");
        write(machine.path(), "proc/sys/net/ipv4/ip_nonlocal_bind", "2\n");
        assert_eq!(below(machine.path()).len(), 1);
    }

    #[test]
    fn limits_and_clock() {
        let machine = machine();
        write(machine.path(), "proc/self/limits", "Max open files            1024   4096   files\n");
        fs::remove_file(machine.path().join("proc/7/comm")).unwrap();
        let low = below(machine.path());
        assert_eq!((low[0].0.as_str(), low[0].1.as_str()), ("nofile", "1024"));
        assert_eq!((low[1].0.as_str(), low[1].1.as_str()), ("time", "no time daemon runs"));
        write(machine.path(), "proc/self/limits", "Max open files            unlimited   unlimited   files\n");
        assert_eq!(below(machine.path()).len(), 1);
    }

    #[test]
    fn what_is_not_loaded_needs_no_setting() {
        let machine = machine();
        fs::remove_dir_all(machine.path().join("proc/sys/net/netfilter")).unwrap();
        fs::remove_dir_all(machine.path().join("proc/sys/net/ipv6")).unwrap();
        assert_eq!(below(machine.path()), []);
        fs::remove_dir_all(machine.path().join("proc")).unwrap();
        assert!(below(machine.path()).len() > 8);
    }
}
