//! The stateful proxy (RFC 3261 §16): what is checked, where a request goes, which response comes back.

pub mod challenge;
pub mod context;
pub mod fork;
pub mod forward;
pub mod locals;
pub mod routes;
pub mod status_set;
pub mod validate;

pub use fork::Fork;
pub use locals::{Listener, Locals};
pub use status_set::StatusSet;
