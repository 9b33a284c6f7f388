//! What the benchmarks of trunkline share: messages, a node with its peers, and a count of allocations.

pub mod calls;
pub mod counting;
pub mod messages;
