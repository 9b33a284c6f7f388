//! What the tests of more than one crate share.

#![forbid(unsafe_code)]

pub mod harness;
pub mod relay;
pub mod torture;
