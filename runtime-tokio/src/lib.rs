//! trunkline on tokio, as a library: what drives a node, and the media server and caller beside it.
//!
//! | module | holds |
//! |---|---|
//! | [`io`] | sockets, clock and threads around an engine |
//! | [`media`] | user agents that answer and place calls |
//!
//! The server and its command line are the binary `trunkline`.

pub mod io;
pub mod media;
mod sys;
