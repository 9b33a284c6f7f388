//! From the configuration to what a relay is told.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, SystemTime};

use socket2::{Domain, Protocol, Socket, Type};
use trunkline_core::relay::{Capacity, Config, Timeouts};

use crate::config;
use crate::io::Clock;
use crate::sys::{self, Buffer};

/// Receive buffer asked for a control socket, in bytes: a burst of offers must not be lost to a turn that takes long.
const CONTROL_BUFFER: usize = 4 << 20;

/// How a relay is set up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What the core is told.
    pub(crate) relay: Config,
    /// How much it holds.
    pub(crate) capacity: Capacity,
    /// Type of service of media.
    pub(crate) tos: u8,
    /// The clock that it lives by.
    pub(crate) clock: Clock,
}

impl Settings {
    /// What `[relay]` says.
    pub(crate) fn new(config: &config::relay::Relay) -> Self {
        let clock = Clock::start();
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let unix_us = u64::try_from(unix.as_micros()).unwrap_or(u64::MAX);
        let never = |time: Duration| Some(time).filter(|time| !time.is_zero());
        let mut relay = Config {
            timeouts: Timeouts {
                media: never(config.timeout.0),
                silent: never(config.silent_timeout.0),
                total: never(config.final_timeout.0),
                offer: never(config.offer_timeout.0),
                delete_delay: config.delete_delay.0,
            },
            sessions_max: Some(config.max_sessions).filter(|max| *max > 0),
            unix_offset_us: unix_us.saturating_sub(clock.now().as_micros()),
            ..Config::default()
        };
        // The configuration has no more of them than the core takes.
        relay.interfaces = config.interface.iter().map(|address| address.with_ports(config.ports())).collect();
        let capacity = Capacity::of_config(&relay);
        Self { relay, capacity, tos: u8::try_from(config.tos).unwrap_or(u8::MAX), clock }
    }

    /// Sockets that may be open at once.
    pub(crate) fn sockets(&self) -> usize {
        self.capacity.sockets(&self.relay)
    }
}

/// Opens a socket for commands.
pub(crate) fn bind_control(at: SocketAddr) -> Result<UdpSocket, String> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
        if at.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        sys::set_buffer(socket.as_fd(), Buffer::Receive, CONTROL_BUFFER)?;
        socket.bind(&at.into())?;
        Ok(UdpSocket::from(socket))
    };
    bind().map_err(|error: std::io::Error| format!("cannot listen for ng commands on udp {at}: {error}"))
}
