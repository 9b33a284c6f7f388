//! rtpengine, as Debian installs it, without its kernel module.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Ng, Place, Process, command, until};

/// A running rtpengine.
#[derive(Debug)]
pub struct Rtpengine {
    /// The process.
    pub process: Process,
    address: SocketAddr,
}

impl Rtpengine {
    /// Starts rtpengine with its control port on `address` and these interfaces (`label/address`, or
    /// `label/address!advertised`), and waits until it answers a ping.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start(place: &Place, address: SocketAddr, interfaces: &[String], more: &[&str]) -> Self {
        let mut command = command(&super::needs::find("rtpengine").expect("rtpengine"));
        command.args(["--foreground", "--log-stderr", "--log-level=5", "--config-file=none", "--table=-1"]);
        command.args(["--num-threads=1", "--port-min=10000", "--port-max=19999"]);
        command.arg(format!("--listen-ng={address}"));
        command.args(interfaces.iter().map(|interface| format!("--interface={interface}"))).args(more);
        let mut process = Process::start("rtpengine", command, place.path("rtpengine.log"));
        let ng = Ng::new(address);
        until("rtpengine answers a ping", Duration::from_secs(15), || {
            assert!(process.is_running(), "rtpengine ended:\n{}", process.log());
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
