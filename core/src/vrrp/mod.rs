//! VRRP: the election of the router that holds the virtual addresses (RFC 9568; RFC 3768 for version 2).
//!
//! | file | holds |
//! |---|---|
//! | [`config`], [`check`] | what the operator wants, and what it must hold |
//! | [`event`] | events, actions, states and reasons |
//! | [`timing`] | intervals and what follows from them |
//! | [`instance`], `election` | one virtual router, and its states |
//! | [`sync_group`], [`track`] | what several instances have in common |
//! | [`layer`] | all of a node |
//!
//! The standard says Initialize, Backup and Active where Keepalived says FAULT, BACKUP and MASTER.

mod announce;
pub mod check;
pub mod config;
pub mod counters;
mod election;
pub mod event;
pub mod instance;
pub mod layer;
pub mod storage;
pub mod sync_group;
pub mod timing;
pub mod track;

pub use check::{Capacity, ConfigError, ConfigErrorKind, ConfigItem};
pub use config::{
    AnnounceConfig, Auth, Config, GroupConfig, GroupId, InstanceConfig, InstanceId, InterfaceId, Password, TrackConfig,
    TrackId, TrackUse, VirtualAddress,
};
pub use counters::{Counters, Stats};
pub use event::{Action, Event, Fault, InterfaceState, Packet, Reason, State, Subject, Transition};
pub use instance::Instance;
pub use layer::Vrrp;
pub use storage::Storage;
pub use sync_group::Group;
pub use timing::Interval;
pub use track::Track;

#[cfg(test)]
mod tests;
