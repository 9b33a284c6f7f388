//! What an anchor wants done, and what it has to say.

use core::net::SocketAddr;

/// An action of an anchor.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Send this command to a relay.
    Command {
        /// The relay.
        relay: SocketAddr,
        /// The command.
        bytes: &'a [u8],
    },
    /// A relay has died, or lives again.
    RelayChanged {
        /// The relay.
        relay: SocketAddr,
        /// Whether it lives.
        alive: bool,
    },
    /// The session description of a call was not rewritten.
    Failed {
        /// Its `Call-ID`.
        call_id: &'a [u8],
        /// Why.
        why: MediaFailure,
    },
}

/// Where actions go.
pub type Out<'o> = &'o mut dyn FnMut(Action<'_>);

/// Why a session description was not rewritten by a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MediaFailure {
    /// No relay answers.
    NoRelay,
    /// The relay refused it.
    Refused,
    /// There is no room to hold it.
    Full,
    /// What the relay answered makes the message too long.
    TooLong,
}
