//! Dispatching: sets of targets, the choice among them, and the probing that tells which are alive.

pub mod algorithm;
pub mod latency;
pub mod limits;
pub mod probe;
pub mod reply_codes;

pub use algorithm::Algorithm;
pub use probe::{Health, ProbeSettings, ProbingMode, TrafficFailure};
pub use reply_codes::ReplyCodes;
