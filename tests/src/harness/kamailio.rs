//! Kamailio, as a record-routing proxy before one target or several.

use std::net::SocketAddr;
use std::time::Duration;

use super::wire::answers;
use super::{Place, Process, Transport, command, until};

const CONFIG: &str = include_str!("../../peers/kamailio.cfg");

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    /// The process.
    pub process: Process,
    address: SocketAddr,
}

impl Kamailio {
    /// Starts Kamailio on `address`, UDP and TCP, before `targets` (URIs, in turn), and waits until it answers OPTIONS.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn start(place: &Place, address: SocketAddr, targets: &[String]) -> Self {
        let dir = place.path(&format!("kamailio-{}", super::token()));
        std::fs::create_dir(&dir).expect("a directory");
        let list: String = targets.iter().map(|uri| format!("1 {uri} 0 0\n")).collect();
        std::fs::write(dir.join("dispatcher.list"), list).expect("a target list");
        let config = CONFIG.replace("@ADDRESS@", &address.to_string()).replace("@DIR@", &dir.to_string_lossy());
        let file = dir.join("kamailio.cfg");
        std::fs::write(&file, config).expect("a configuration file");
        let mut command = command(&super::needs::find("kamailio").expect("kamailio"));
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f"]).arg(&file).arg("-Y").arg(&dir);
        command.arg("-P").arg(dir.join("pid")).current_dir(&dir);
        let mut process = Process::start("kamailio", command, dir.join("log"));
        until("kamailio answers OPTIONS", Duration::from_secs(15), || {
            assert!(process.is_running(), "kamailio ended:\n{}", process.log());
            answers(Transport::Udp, address)
        });
        Self { process, address }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
