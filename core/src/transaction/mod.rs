//! Transactions: the timers of RFC 3261 §17 and the Via branch by which a response finds its transaction.

pub mod branch;
pub mod timers;

pub use branch::{Branch, BranchId, BranchKey, BranchKind, BranchTag};
pub use timers::{Step, Timers};
