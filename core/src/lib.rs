//! The protocol machines of trunkline.
//!
//! Everything here is pure: an event and a time go in, actions come out through a [`Sink`]. No socket, clock, thread,
//! source of randomness or allocator is reached from inside, so the same machines run on a server, on a
//! microcontroller and in a simulator.
//!
//! | module | holds |
//! |---|---|
//! | [`machine`], [`time`], [`entropy`], [`sink`] | the shape every machine has |
//! | [`store`] | tables, timers, buffers and rings of fixed capacity |
//! | [`anchor`] | media: which messages are rewritten by a relay, and which relay |
//! | [`dispatcher`] | targets, the choice among them, and their health |
//! | [`wire`] | messages as bytes: SIP and its fields, SDP, RTP, RTCP, the ng control protocol |
//! | [`transaction`] | the four SIP transactions, their timers, the Via branch |
//! | [`dialog`] | dialogs as a proxy sees them, the session timer |
//! | [`vrrp`] | the election of the router that holds the virtual addresses |
//! | [`relay`] | the RTP relay: calls, offers and answers, forwarding, SRTP |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "alloc", test))]
extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod anchor;
#[cfg(feature = "arbitrary")]
mod arbitrary;
pub mod dialog;
pub mod dispatcher;
pub mod entropy;
pub mod error;
pub mod flow;
pub mod limits;
pub mod machine;
pub mod node;
pub mod proxy;
pub mod relay;
pub mod routing;
pub mod sink;
pub mod store;
pub mod time;
pub mod transaction;
pub mod vrrp;
pub mod wire;

pub use entropy::Entropy;
pub use machine::{Cx, Machine, Timed};
pub use sink::Sink;
pub use time::Instant;
