//! How a relay is set up.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::call::Timeouts;
use super::media::{self, Admit, INTERFACES_MAX, InterfaceId, Learning, PortRange};
use crate::time::Instant;

/// Longest name of an interface, in bytes.
pub const LABEL_MAX: usize = 32;

/// An address with a name. Several addresses may have one name: those of both families, or more to choose from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name that `direction` uses.
    pub label: heapless::String<LABEL_MAX>,
    /// The address sockets are bound to.
    pub bound: IpAddr,
    /// The address that is written into SDP.
    pub advertised: IpAddr,
    /// Ports for media.
    pub ports: PortRange,
}

/// How a relay works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its addresses; the name of the first is the default.
    pub interfaces: heapless::Vec<Interface, INTERFACES_MAX>,
    /// When calls end that nobody ends.
    pub timeouts: Timeouts,
    /// Calls at most; more get an error. `None` for as many as there is storage for.
    pub sessions_max: Option<u32>,
    /// How addresses are learned where the control peer does not say.
    pub learning: Learning,
    /// Which sources are admitted while an address is learned.
    pub admit: Admit,
    /// Pairs of ports that each interface keeps open ahead.
    pub reserve: usize,
    /// How long after its first packet a stream may change its source.
    pub learning_delay: Duration,
    /// How long a reply is kept for a control message that is repeated.
    pub repeat_window: Duration,
    /// Microseconds from the Unix epoch to the runtime's own: what the times in replies count from.
    pub unix_offset_us: u64,
}

impl Default for Config {
    /// No interface; the timeouts of rtpengine; addresses are learned for 3 s.
    fn default() -> Self {
        let media = media::Settings::default();
        Self {
            interfaces: heapless::Vec::new(),
            timeouts: Timeouts::default(),
            sessions_max: None,
            learning: Learning::default(),
            admit: Admit::default(),
            reserve: media.reserve,
            learning_delay: media.learning_delay,
            repeat_window: Duration::from_secs(10),
            unix_offset_us: 0,
        }
    }
}

impl Config {
    /// The settings of the packet plane.
    pub fn media(&self) -> media::Settings {
        media::Settings { reserve: self.reserve, learning_delay: self.learning_delay }
    }

    /// The addresses, as the packet plane wants them.
    pub fn addresses(&self) -> heapless::Vec<media::Interface, INTERFACES_MAX> {
        let plain = |i: &Interface| media::Interface { bound: i.bound, advertised: i.advertised, ports: i.ports };
        self.interfaces.iter().map(plain).collect()
    }

    /// The logical interface of that name: the number of its first address.
    pub(super) fn logical(&self, label: &[u8]) -> Option<u8> {
        let at = self.interfaces.iter().position(|interface| interface.label.as_bytes() == label)?;
        u8::try_from(at).ok()
    }

    /// The addresses of a logical interface in one family.
    pub(super) fn members(&self, logical: u8, v6: bool) -> impl Iterator<Item = InterfaceId> {
        let label = self.interfaces.get(usize::from(logical)).map(|interface| interface.label.as_str());
        let all = self.interfaces.iter().zip(0..);
        all.filter(move |(i, _)| Some(i.label.as_str()) == label && i.bound.is_ipv6() == v6)
            .map(|(_, at)| InterfaceId(at))
    }

    /// Seconds since the Unix epoch, and the microseconds beyond them.
    pub(super) fn unix(&self, at: Instant) -> (u64, u64) {
        let us = at.as_micros().saturating_add(self.unix_offset_us);
        (us / 1_000_000, us % 1_000_000)
    }
}

/// Why a relay cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no interface.
    NoInterface,
    /// The packet plane cannot be made.
    Media(media::ConfigError),
    /// The storage has fewer owners than endpoints.
    Owners,
    /// A buffer is shorter than a control message may be.
    Scratch,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoInterface => f.write_str("no interface"),
            Self::Media(error) => error.fmt(f),
            Self::Owners => f.write_str("fewer owners than endpoints"),
            Self::Scratch => f.write_str("a buffer for control messages is too short"),
        }
    }
}

impl core::error::Error for ConfigError {}
