//! What a plane is made of.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::endpoint::{Endpoint, Secure};
use super::ports::PortRange;
use crate::store::{Slots, slab};

/// Most interfaces of one plane.
pub const INTERFACES_MAX: usize = 32;
/// Most pairs of ports an interface keeps open ahead.
pub const RESERVE_MAX: usize = 64;

/// A local address, by its place in the list that [`Media::new`](super::Media::new) got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InterfaceId(pub u8);

/// A local address and its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Interface {
    /// The address sockets are bound to.
    pub bound: IpAddr,
    /// The address that is written into SDP.
    pub advertised: IpAddr,
    /// Ports for media.
    pub ports: PortRange,
}

/// How the plane works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// Pairs of ports that each interface keeps open ahead, at most [`RESERVE_MAX`]. No offer can take more at once.
    pub reserve: usize,
    /// How long after its first packet a stream may change its source, where learning is delayed or heuristic.
    pub learning_delay: Duration,
}

impl Default for Settings {
    /// 16 pairs; 3 s.
    fn default() -> Self {
        Self { reserve: 16, learning_delay: Duration::from_secs(3) }
    }
}

/// Where a plane keeps what it holds.
pub struct Storage<'m> {
    /// Endpoints, also those opened ahead: one slot for each endpoint in use and for each pair of the reserve.
    pub endpoints: Slots<'m, slab::Slot<Endpoint>>,
    /// Endpoints with SRTP sessions.
    pub secure: Slots<'m, slab::Slot<Secure>>,
    /// One bit for each pair of ports of each interface, twice: see [`PortRange::words`].
    pub port_words: Slots<'m, u64>,
}

impl Storage<'static> {
    /// Room for so many endpoints in use at once (each faces one party of a stream, so a plain audio call has two), and for so
    /// many of them with SRTP.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn reserved(endpoints: usize, secure: usize, interfaces: &[Interface], settings: &Settings) -> Self {
        let ahead = interfaces.len().saturating_mul(settings.reserve.min(RESERVE_MAX));
        Self {
            endpoints: Slots::reserved(endpoints.saturating_add(ahead)),
            secure: Slots::reserved(secure),
            port_words: Slots::reserved(interfaces.iter().map(|interface| interface.ports.words()).sum()),
        }
    }
}

/// Why a plane cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigError {
    /// More than [`INTERFACES_MAX`] interfaces.
    TooManyInterfaces,
    /// An interface whose range of ports holds no pair: an even port and the odd one after it.
    NoPorts(InterfaceId),
    /// The storage has too few words for the ports of the interfaces.
    PortWords,
    /// More slots for endpoints than sockets can be numbered: 2³¹-1.
    TooManyEndpoints,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyInterfaces => write!(f, "more than {INTERFACES_MAX} interfaces"),
            Self::NoPorts(InterfaceId(n)) => write!(f, "interface {n} has no pair of ports"),
            Self::PortWords => f.write_str("too few words for the ports of the interfaces"),
            Self::TooManyEndpoints => f.write_str("too many endpoints"),
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::machine::Cx;
    use crate::relay::media::{Action, Media, MediaError};
    use crate::time::Instant;

    #[test]
    fn lent_memory_will_do() {
        let ports = PortRange { min: 30_000, max: 30_099 };
        let address = "192.0.2.1".parse().unwrap();
        let interfaces = [Interface { bound: address, advertised: address, ports }];
        let (mut endpoints, mut secure) = ([const { slab::Slot::EMPTY }; 4], [const { slab::Slot::EMPTY }; 1]);
        let mut words = [0; 2];
        let storage = Storage {
            endpoints: Slots::lent(&mut endpoints),
            secure: Slots::lent(&mut secure),
            port_words: Slots::lent(&mut words),
        };
        let settings = Settings { reserve: 1, ..Settings::default() };
        let mut media = Media::new(&interfaces, settings, storage).unwrap();
        let mut cx = Cx { now: Instant::MIN, entropy: &mut SeededEntropy::new(1) };
        let mut asked = heapless::Vec::<_, 8>::new();
        let mut out = |action: Action<'_>| match action {
            Action::Open { socket, .. } => asked.push(socket).unwrap(),
            other => unreachable!("{other:?}"),
        };
        media.refill(&mut cx, &mut out);
        let id = InterfaceId(0);
        assert_eq!(media.open(&mut cx, id, false, &mut out), Err(MediaError::PortsPending));
        for socket in asked {
            media.opened(&mut cx, socket, &mut |action: Action<'_>| unreachable!("{action:?}"));
        }
        assert!(media.open(&mut cx, id, false, &mut |_: Action<'_>| {}).is_ok());
        assert_eq!((media.len(), media.ports(id)), (1, Some((2, 50))));
    }
}
