//! The relay under test, as a program.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
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
    ctl: SocketAddr,
}

impl TrunklineRelay {
    /// Starts a relay with its control port on `address`, UDP and TCP, and these interfaces (`label/address`, or
    /// `label/address!advertised`), and waits until it answers a ping.
    ///
    /// # Panics
    /// If it does not, or is not there.
    #[must_use]
    pub fn start(place: &Place, address: SocketAddr, interfaces: &[String], more: &[&str]) -> Self {
        let ctl = SocketAddr::new(address.ip(), 9900);
        let mut command = command(&relay_binary().expect("the program"));
        command.args(["--config-file=none", "--log-stderr", "--num-threads=1", "--port-min=20000", "--port-max=29999"]);
        command.arg(format!("--listen-ng={address}")).arg(format!("--listen-tcp-ng={address}"));
        command.arg(format!("--listen-cli={ctl}"));
        command.args(interfaces.iter().map(|interface| format!("--interface={interface}"))).args(more);
        let mut process = Process::start("trunkline-relay", command, place.path("trunkline-relay.log"));
        let ng = Ng::new(address);
        until("trunkline-relay answers a ping", Duration::from_secs(15), || {
            assert!(process.is_running(), "trunkline-relay ended:\n{}", process.log());
            ng.answers(Duration::from_millis(200))
        });
        Self { process, address, ctl }
    }

    /// Its control address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it says to a line on its operator's port.
    ///
    /// # Panics
    /// If it says nothing.
    #[must_use]
    pub fn ctl(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(self.ctl).expect("the operator's port");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        writeln!(stream, "{line}").expect("a line");
        stream.shutdown(Shutdown::Write).expect("an end");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}
