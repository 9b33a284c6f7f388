//! The relay of a node's own process: it takes commands on loopback, from the node's shards alone.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use super::{Gate, Running, Settings, bind_control, start};
use crate::config::Config;
use crate::config::values::RelayMode;
use crate::io::Bound;

/// A relay that has its control socket and does not run yet.
pub(crate) struct Embedded {
    settings: Settings,
    control: UdpSocket,
    address: SocketAddr,
}

impl Embedded {
    /// Opens the control socket, on a port that the system chooses, if the configuration wants such a relay.
    pub(crate) fn prepare(config: &Config) -> Result<Option<Self>, String> {
        if config.relay.mode() != RelayMode::Embedded {
            return Ok(None);
        }
        let control = bind_control((Ipv4Addr::LOCALHOST, 0).into())?;
        let address = control.local_addr().map_err(|e| format!("the relay's control socket has no address: {e}"))?;
        Ok(Some(Self { settings: Settings::new(&config.relay), control, address }))
    }

    /// Where it takes commands.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sockets for media that it may open.
    pub(crate) fn sockets(&self) -> usize {
        self.settings.sockets()
    }

    /// Starts it. It hears the sockets of these shards that speak to relays, and nobody else.
    pub(crate) fn start(self, bound: &Bound) -> Result<Running, String> {
        let ports = bound.relay_ports().map_err(|e| format!("a shard's socket has no address: {e}"))?;
        let sources = ports.into_iter().map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect();
        start(self.settings, vec![self.control], Gate::Exactly(sources))
    }
}
