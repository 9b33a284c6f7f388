//! Kamailio, as a record-routing proxy before one target or several.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::wire::answers;
use super::{Place, Process, Transport, command, until};

const CONFIG: &str = include_str!("../../peers/kamailio.cfg");
const CONFIG_RELAY: &str = include_str!("../../peers/kamailio-relay.cfg");

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
        Self::launch(place, address, targets, CONFIG)
    }

    /// As [`Kamailio::start`], with the media of its calls through the relay whose control port is `ng`. The relay's
    /// interface `external` faces the callers, and `internal` the targets, which are all at the IP address `inside`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn with_relay(place: &Place, address: SocketAddr, targets: &[String], ng: SocketAddr, inside: IpAddr) -> Self {
        let config = CONFIG_RELAY.replace("@RELAY@", &ng.to_string()).replace("@INSIDE@", &inside.to_string());
        Self::launch(place, address, targets, &config)
    }

    fn launch(place: &Place, address: SocketAddr, targets: &[String], config: &str) -> Self {
        let dir = place.path(&format!("kamailio-{}", super::token()));
        std::fs::create_dir(&dir).expect("a directory");
        // The first has the highest priority, where that counts.
        let list: String = targets.iter().rev().enumerate().map(|(n, uri)| format!("1 {uri} 0 {n}\n")).collect();
        std::fs::write(dir.join("dispatcher.list"), list).expect("a target list");
        let config = config.replace("@ADDRESS@", &address.to_string()).replace("@DIR@", &dir.to_string_lossy());
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
