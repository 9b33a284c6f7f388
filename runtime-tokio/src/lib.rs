//! trunkline on tokio: what the binary and the tests share.

pub mod media;
