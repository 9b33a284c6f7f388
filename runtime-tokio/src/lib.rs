//! trunkline on tokio, as a library: the user agents beside the node.
//!
//! | module | holds |
//! |---|---|
//! | [`media`] | user agents that answer and place calls |
//!
//! The server and its command line are the binary `trunkline`.

pub mod media;
