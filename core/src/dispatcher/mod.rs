//! Dispatching: sets of targets, the choice among them, and the probing that tells which are alive.
//!
//! What an operator wants of a target ([`AdminState`]) and whether it is alive ([`Health`]) are two things: a target that
//! is drained stays drained however well it answers its pings.
//!
//! Orders over the targets are prepared when something changes, so that a choice reads them only. It costs the same over
//! three targets and over thousands, but for `rendezvous`, `overload` and `call-load` with the emptiest target at its
//! limit, which look at each target once.

pub mod algorithm;
mod heap;
pub mod latency;
pub mod layer;
pub mod limits;
pub mod probe;
mod reload;
pub(crate) mod rendezvous;
pub mod reply_codes;
pub mod select;
pub mod set;
pub mod storage;
pub mod target;

pub use algorithm::Algorithm;
pub use layer::{Dispatcher, DispatcherAction, DispatcherSettings};
pub use probe::{Health, ProbeSettings, ProbingMode, TrafficFailure};
pub use reload::{ReloadError, ReloadReport};
pub use reply_codes::ReplyCodes;
pub use select::{NoTarget, SelectKeys, SelectRule, Selection};
pub use set::{Set, SetConfig};
pub use storage::Storage;
pub use target::{AdminState, Attrs, Hop, StateCommand, Target, TargetConfig, TargetId};

#[cfg(test)]
mod tests;
