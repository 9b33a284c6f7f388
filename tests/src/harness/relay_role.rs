//! `trunkline relay`, the relay alone.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Ng, Place, Process, binary, command, until};

/// A running relay.
#[derive(Debug)]
pub struct RelayRole {
    /// The process.
    pub process: Process,
    address: SocketAddr,
    socket: PathBuf,
}

impl RelayRole {
    /// Starts a relay with its control port on `address` and these interfaces, and waits until it answers a ping. `relay`
    /// holds further keys of `[relay]`, as lines of TOML.
    ///
    /// # Panics
    /// If it does not, or is not there.
    #[must_use]
    pub fn start(place: &Place, address: SocketAddr, interfaces: &[String], relay: &str) -> Self {
        let name = format!("relay-{}", address.ip());
        let (file, socket) = (place.path(&format!("{name}.toml")), place.path(&format!("{name}.sock")));
        std::fs::write(&file, format!("[relay]\n{relay}\n")).expect("a configuration file");
        let mut command = command(&binary().expect("the program"));
        command.arg("relay").arg("--config").arg(file).args(["--log-level", "debug", "--socket"]).arg(&socket);
        command.args(["--port-min", "10000", "--port-max", "19999", "--listen-ng", &address.to_string()]);
        command.args(interfaces.iter().flat_map(|interface| ["--interface", interface]));
        let mut process = Process::start("trunkline relay", command, place.path(&format!("{name}.log")));
        let ng = Ng::new(address);
        until("trunkline relay answers a ping", Duration::from_secs(10), || {
            assert!(process.is_running(), "trunkline relay ended:\n{}", process.log());
            ng.answers(Duration::from_millis(200))
        });
        Self { process, address, socket }
    }

    /// Its control address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `trunkline --json ctl` prints.
    ///
    /// # Panics
    /// If it fails, or prints no JSON.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> Value {
        let mut command = std::process::Command::new(binary().expect("the program"));
        let output =
            command.args(["--json", "ctl", "--socket"]).arg(&self.socket).args(args).output().expect("trunkline ctl");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "ctl {args:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("ctl {args:?}: {error}: {out}"))
    }
}
