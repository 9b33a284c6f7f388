//! Taking over what other programs are configured with.

pub(crate) mod list;
