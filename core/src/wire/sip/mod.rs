//! SIP messages (RFC 3261 §7, §20, §25).

pub mod host;
pub mod method;
pub mod params;
pub mod token;
pub mod transport;
