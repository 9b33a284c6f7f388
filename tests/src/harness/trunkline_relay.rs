//! The relay under test, as a program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Ng, Place, Process, command, until};

/// The program: `TRUNKLINE_RELAY_BIN`, or the one that was built beside this test.
#[must_use]
pub fn relay_binary() -> Option<PathBuf> {
    super::trunkline::built("TRUNKLINE_RELAY_BIN", "trunkline-relay")
}

/// A running relay.
#[derive(Debug)]
pub struct TrunklineRelay {
    /// The process.
    pub process: Process,
    address: SocketAddr,
}

impl TrunklineRelay {
    /// Starts a relay with its control port on `address` and these interfaces (`label/address`, or
    /// `label/address!advertised`), and waits until it answers a ping.
    ///
    /// # Panics
    /// If it does not, or is not there.
    #[must_use]
    pub fn start(place: &Place, address: SocketAddr, interfaces: &[String], more: &[&str]) -> Self {
        let mut command = command(&relay_binary().expect("the program"));
        command.args(["--config-file=none", "--log-stderr", "--num-threads=1", "--port-min=20000", "--port-max=29999"]);
        command.arg(format!("--listen-ng={address}"));
        command.args(interfaces.iter().map(|interface| format!("--interface={interface}"))).args(more);
        let mut process = Process::start("trunkline-relay", command, place.path("trunkline-relay.log"));
        let ng = Ng::new(address);
        until("trunkline-relay answers a ping", Duration::from_secs(15), || {
            assert!(process.is_running(), "trunkline-relay ended:\n{}", process.log());
            ng.answers(Duration::from_millis(200))
        });
        Self { process, address }
    }

    /// Its control address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
