//! Which request goes where: an ordered list of rules, the first that matches decides.

mod network;
mod rule;

pub use network::{Network, NetworkError};
pub use rule::{Condition, Dispatch, Pattern, Rule, Rules, Subject, USER_MAX, Verdict};
