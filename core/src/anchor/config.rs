//! What an anchor is told.

use core::net::SocketAddr;
use core::time::Duration;

use crate::routing::Network;
use crate::store::{List, Str};

/// Most relays of a node.
pub const RELAYS_MAX: usize = 16;

/// What becomes of a call whose media no relay takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum OnFailure {
    /// It is refused with 503.
    #[default]
    Reject,
    /// It goes on; its media passes by the relay.
    Pass,
}

/// How media is handled towards one side of the relay. The keys are those of the ng protocol; an empty one is left out.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// The relay's interface that faces this side (`direction`).
    pub interface: Str,
    /// `transport-protocol`, such as `RTP/AVP`.
    pub transport_protocol: Str,
    /// `ICE`: `remove`, `force`, …
    pub ice: Str,
    /// `rtcp-mux`.
    pub rtcp_mux: List<Str>,
    /// `flags`.
    pub flags: List<Str>,
    /// `replace`: what is rewritten besides addresses and ports.
    pub replace: List<Str>,
}

/// A relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RelayNode {
    /// Where it takes commands.
    pub address: SocketAddr,
    /// Its set: those of the lowest number that is alive are used.
    pub set: u16,
    /// Its share of the calls of its set. 0: it takes none.
    pub weight: u16,
}

/// What an anchor is told.
#[derive(Clone, Debug)]
pub struct AnchorConfig {
    /// The relays, at most [`RELAYS_MAX`]. Without any, nothing is anchored.
    pub relays: List<RelayNode>,
    /// Towards targets, and towards peers within `inside_networks`.
    pub inside: Profile,
    /// Towards everyone else.
    pub outside: Profile,
    /// Peers that are inside besides the targets.
    pub inside_networks: List<Network>,
    /// How long an answer to a command is awaited.
    pub timeout: Duration,
    /// How often a command is sent before its relay counts as dead.
    pub tries: u8,
    /// How long a dead relay is left alone before it is asked again whether it lives.
    pub retry_after: Duration,
    /// What becomes of a call whose media no relay takes.
    pub on_failure: OnFailure,
    /// How long the session of a call is remembered that nobody ends.
    pub lifetime: Duration,
}

impl Default for AnchorConfig {
    fn default() -> Self {
        Self {
            relays: List::EMPTY,
            inside: Profile::default(),
            outside: Profile::default(),
            inside_networks: List::EMPTY,
            timeout: Duration::from_millis(500),
            tries: 3,
            retry_after: Duration::from_secs(60),
            on_failure: OnFailure::Reject,
            lifetime: Duration::from_secs(43_200),
        }
    }
}
