//! What two media relays are asked, one after the other, so that their answers can be laid side by side: cases of ng
//! requests, and replies without what differs from one instance to the next.

pub mod bodies;
pub mod cases;
pub mod differences;
mod normal;
mod run;

pub use cases::{Body, Case, Step};
pub use normal::Normal;
pub use run::{Outcome, compare, run};
