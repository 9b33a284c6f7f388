//! VRRP: the election of the router that holds the virtual addresses (RFC 9568; RFC 3768 for version 2).
//!
//! | file | holds |
//! |---|---|
//! | [`config`] | what the operator wants |
//! | [`event`] | events, actions, states and reasons |
//! | [`timing`] | intervals and what follows from them |

pub mod config;
pub mod counters;
pub mod event;
pub mod timing;

pub use config::{
    AnnounceConfig, Auth, Config, GroupConfig, GroupId, InstanceConfig, InstanceId, InterfaceId, Password, TrackConfig,
    TrackId, TrackUse, VirtualAddress,
};
pub use counters::{Counters, Stats};
pub use event::{Action, Event, Fault, InterfaceState, Packet, Reason, State, Subject, Transition};
pub use timing::Interval;
