//! The RTP relay: calls whose media passes through here, signalled by the ng protocol of rtpengine or by typed calls.
//!
//! | module | holds |
//! |---|---|
//! | [`layer`] | [`Relay`]: calls over a packet plane, one shard |
//! | [`config`], [`address`], [`call`] | how it is set up; addresses as operators write them; its timeouts |
//! | `capacity` | memory for so many calls |
//! | [`action`], [`notice`] | its events and actions |
//! | [`signal`] | offers and answers |
//! | [`ng`], [`statistics`], [`totals`] | the ng protocol, counters |
//! | [`party`], [`calls`], [`repeats`], [`secret`] | what is kept |
//! | [`media`] | the packet plane: endpoints, their ports, learning, forwarding, statistics |
//! | [`flags`] | the wishes of a control message |
//! | [`rewrite`] | a session description rewritten for the other party |
//! | [`srtp`] | SRTP and SRTCP in place |

pub mod action;
pub mod address;
pub mod call;
pub mod calls;
#[cfg(feature = "alloc")]
pub mod capacity;
mod commands;
pub mod config;
pub mod error;
pub mod flags;
mod keys;
pub mod layer;
mod lines;
pub mod media;
pub mod ng;
pub mod notice;
pub mod party;
mod query;
pub mod repeats;
pub mod rewrite;
pub mod secret;
mod sides;
pub mod signal;
pub mod srtp;
pub mod statistics;
pub mod totals;

pub use action::{Action, Event};
pub use address::{Address, AddressError};
pub use call::Timeouts;
#[cfg(feature = "alloc")]
pub use capacity::Capacity;
pub use config::{Config, ConfigError, Interface};
pub use error::RelayError;
pub use layer::{CallSummary, Relay, Scratch, Storage};
pub use notice::{EndReason, Notice};
pub use totals::{Command, Totals};

#[cfg(all(test, feature = "alloc"))]
mod tests;
