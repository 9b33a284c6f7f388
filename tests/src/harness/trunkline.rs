//! The server under test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::wire::answers;
use super::{Config, Phone, Place, Process, Transport, Wire, command, until};

/// How long it may take to start or stop.
const LIMIT: Duration = Duration::from_secs(10);

/// The program: `TRUNKLINE_BIN`, or the one that was built beside this test.
#[must_use]
pub fn binary() -> Option<PathBuf> {
    built("TRUNKLINE_BIN", "trunkline")
}

/// The program that the variable names, or the one of that name that was built beside this test.
pub(super) fn built(variable: &str, program: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(PathBuf::from(path)).filter(|path| path.is_file());
    }
    // A test is <target directory>/<profile>/deps/<name>.
    let profile = std::env::current_exe().ok()?.parent()?.parent()?.to_owned();
    let other = |name: &str| profile.parent().map(|target| target.join(name).join(program));
    let beside = [Some(profile.join(program)), other("debug"), other("release")];
    beside.into_iter().flatten().find(|path| path.is_file())
}

/// A running node.
#[derive(Debug)]
pub struct Trunkline {
    /// The process.
    pub process: Process,
    config: PathBuf,
    socket: PathBuf,
    address: SocketAddr,
}

impl Trunkline {
    /// Starts a node and waits until it answers OPTIONS.
    ///
    /// # Panics
    /// If it does not, or is not there.
    #[must_use]
    pub fn start(place: &Place, config: &Config) -> Self {
        let path = place.path("trunkline.toml");
        std::fs::write(&path, config.text()).expect("a configuration file");
        let mut command = command(&binary().expect("the program"));
        command.arg("run").arg("--config").arg(&path).current_dir(place.dir());
        let mut process = Process::start("trunkline", command, place.path("trunkline.log"));
        let (transport, address) = config.listen[0];
        until("trunkline answers OPTIONS", LIMIT, || {
            assert!(process.is_running(), "trunkline ended:\n{}\n{}", config.text(), process.log());
            answers(transport, address)
        });
        Self { process, config: path, socket: place.path("ctl.sock"), address }
    }

    /// Its first listener.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A phone on host 21 of `place` that is about to call `user` by this transport.
    #[must_use]
    pub fn phone(&self, place: &Place, transport: Transport, user: &str) -> Phone {
        let local = SocketAddr::new(place.ip(21), 0);
        Phone::new(Wire::new(transport, local, self.address), &format!("sip:{user}@{}", self.address))
    }

    /// A phone that is about to call over UDP.
    #[must_use]
    pub fn udp_phone(&self, place: &Place) -> Phone {
        self.phone(place, Transport::Udp, "2000")
    }

    /// Writes another configuration, which a reload will read.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn write(&self, text: &str) {
        std::fs::write(&self.config, text).expect("a configuration file");
    }

    /// Runs `trunkline ctl`, with `--json` first if `json`.
    ///
    /// # Panics
    /// If the program cannot be run.
    #[must_use]
    pub fn run_ctl(&self, json: bool, args: &[&str]) -> Output {
        let mut command = std::process::Command::new(binary().expect("the program"));
        if json {
            command.arg("--json");
        }
        command.arg("ctl").arg("--socket").arg(&self.socket).args(args).output().expect("trunkline ctl")
    }

    /// What `trunkline --json ctl` prints.
    ///
    /// # Panics
    /// If it fails, or prints no JSON.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Value {
        let output = self.run_ctl(true, args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "ctl {args:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("ctl {args:?}: {error}: {out}"))
    }

    /// The flags of a target (`AP`, `IP` and so on); `None` if there is no such target.
    #[track_caller]
    pub fn flags(&self, address: SocketAddr) -> Option<String> {
        flags(&self.ctl(&["targets"]), &format!("sip:{address}"))
    }

    /// Waits until a target's flags are `wanted`.
    #[track_caller]
    pub fn wait_flags(&self, address: SocketAddr, wanted: &str, limit: Duration) {
        until(&format!("{address} is {wanted}"), limit, || self.flags(address).as_deref() == Some(wanted));
    }

    /// Transactions that are open, those of servers and of clients.
    #[track_caller]
    pub fn open_transactions(&self) -> u64 {
        open(&self.ctl(&["transactions"]))
    }

    /// Asks it to stop (SIGTERM) and returns its exit code.
    ///
    /// # Panics
    /// If it does not stop in time.
    #[track_caller]
    pub fn stop(mut self) -> Option<i32> {
        self.process.signal(Signal::TERM);
        self.process.wait(LIMIT).code()
    }
}

/// The flags of the object, somewhere in `value`, that has a text that starts with `uri`.
fn flags(value: &Value, uri: &str) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| flags(item, uri)),
        Value::Object(fields) => {
            let is =
                |text: &str| text.strip_prefix(uri).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
            if fields.values().filter_map(Value::as_str).any(is) {
                let flags = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("flags"));
                if let Some((_, Value::String(flags))) = flags {
                    return Some(flags.clone());
                }
            }
            fields.values().find_map(|item| flags(item, uri))
        }
        _ => None,
    }
}

/// What is used of the tables of transactions in `value`.
fn open(value: &Value) -> u64 {
    let tables = value["tables"].as_array().expect("tables of transactions");
    let is_wanted = |table: &&Value| table["what"].as_str().is_some_and(|what| what.ends_with("transactions"));
    tables.iter().filter(is_wanted).filter_map(|table| table["used"].as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_wherever_they_stand() {
        let value = serde_json::json!({"sets": [{"id": 1, "targets": [
            {"uri": "sip:127.0.0.1:50601;transport=udp", "flags": "IP"},
            {"uri": "sip:127.0.0.1:5060;transport=udp", "FLAGS": "AP"},
        ]}]});
        assert_eq!(flags(&value, "sip:127.0.0.1:5060").as_deref(), Some("AP"));
        assert_eq!(flags(&value, "sip:127.0.0.1:50601").as_deref(), Some("IP"));
        assert_eq!(flags(&value, "sip:127.0.0.2:5060"), None);
    }

    #[test]
    fn open_transactions_are_those_in_use() {
        let table =
            |what: &str, used: u64| serde_json::json!({"what": what, "used": used, "capacity": 9, "high_water": 8});
        let tables = [table("server transactions", 2), table("client transactions", 3), table("dialogs", 4)];
        assert_eq!(open(&serde_json::json!({ "tables": tables })), 5);
    }
}
