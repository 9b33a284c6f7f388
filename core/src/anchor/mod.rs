//! Anchoring media: every session description that passes is rewritten by a media relay, so that the media of a call
//! flows through it.
//!
//! A message that carries SDP is held, the relay is asked by the ng protocol, and the message goes on with what the relay
//! answers. The relay is never waited for: each command has its own deadline, other messages pass meanwhile, and what
//! happens to a call without an answer is a setting ([`config::OnFailure`]).
//!
//! | message with SDP | is held | the relay is asked |
//! |---|---|---|
//! | INVITE that sets up a call | when it leaves: only then is its destination known | `offer`, once for every branch |
//! | request of a dialog | when it arrives | `offer`, or `answer` to the offer of a response |
//! | response | when it arrives | `answer`, or `offer` if the request had none (RFC 3261 §13.2.1) |
//! | BYE; an INVITE that fails | not at all | `delete` |
//!
//! `session` remembers what was offered in a call and by which relay; `relays` is the pool of relays, `held` what waits
//! for one of them, `command` how it is asked. [`layer`] says what makes the detour, `ask`
//! what comes of it.

pub mod action;
mod ask;
pub mod command;
pub mod config;
pub mod held;
pub mod layer;
pub mod relays;
pub mod session;
mod stats;

pub use action::MediaFailure;
pub use config::{AnchorConfig, OnFailure, Profile, RelayNode};
pub use layer::{Anchor, Detour, Memory, Resumed};
pub use stats::AnchorStats;
