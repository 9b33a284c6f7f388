//! What a test needs and a machine may not have.

use std::io::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

/// Each need with the way to it.
const HINTS: &[(&str, &str)] = &[
    ("sipp", "apt-get install sip-tester"),
    ("sipsak", "apt-get install sipsak"),
    ("kamailio", "apt-get install kamailio kamailio-extra-modules"),
    ("rtpengine", "apt-get install rtpengine-daemon"),
    ("trunkline", "cargo build -p trunkline-tokio, or TRUNKLINE_BIN=PATH"),
    ("keepalived", "apt-get install keepalived"),
    ("ping", "apt-get install iputils-ping"),
    ("frr", "apt-get install frr"),
    ("realtime", "the right to real-time priority: CAP_SYS_NICE"),
    ("iptables", "apt-get install iptables"),
    ("tcpdump", "apt-get install tcpdump"),
    ("root", "root, for network namespaces"),
    ("trunkline-relay", "cargo build -p trunkline-glommio, or TRUNKLINE_RELAY_BIN=PATH"),
    ("ipv6", "an IPv6 loopback address: sysctl net.ipv6.conf.lo.disable_ipv6=0"),
];

/// True if all of `needs` are there. If not it says so past the capture of test output.
///
/// # Panics
/// If one is missing and the environment says `CI=true`: there, nothing may be left out in silence.
#[must_use]
pub fn have(needs: &[&str]) -> bool {
    let Some(missing) = needs.iter().find(|need| !is_there(need)) else { return true };
    let hint = HINTS.iter().find(|(name, _)| name == missing).map_or("", |(_, hint)| hint);
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("{test}: SKIPPED: needs {missing} ({hint})");
    assert!(!std::env::var("CI").is_ok_and(|value| value == "true"), "{line}");
    // The macros that print are captured; this is for people to see.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
    false
}

fn is_there(need: &str) -> bool {
    match need {
        "trunkline" => super::binary().is_some(),
        "root" => rustix::process::geteuid().is_root(),
        "trunkline-relay" => super::relay_binary().is_some(),
        "ipv6" => UdpSocket::bind("[::1]:0").is_ok(),
        "frr" => Path::new("/usr/lib/frr/vrrpd").is_file(),
        "realtime" => Command::new("chrt").args(["-f", "1", "true"]).status().is_ok_and(|status| status.success()),
        program => find(program).is_some(),
    }
}

/// The path of a program: in PATH, or where Debian puts servers, which is not in everybody's PATH.
pub(super) fn find(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).to_owned()));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_left_out_but_not_in_ci() {
        assert!(have(&[]));
        let missing = std::panic::catch_unwind(|| have(&["no-such-program"]));
        if std::env::var("CI").is_ok_and(|value| value == "true") {
            assert!(missing.is_err());
        } else {
            assert!(matches!(missing, Ok(false)));
        }
    }
}
