//! SIP messages (RFC 3261 §7, §20, §25).

#[cfg(any(test, feature = "oracle"))]
#[doc(hidden)]
pub mod abnf;
pub mod auth;
pub mod build;
pub mod cseq;
pub mod date;
pub mod edit;
pub mod frame;
pub mod header_name;
pub mod host;
pub mod method;
pub mod msg;
pub mod name_addr;
pub mod option_tags;
pub mod overload;
pub mod params;
pub mod put;
pub mod route;
pub(crate) mod scan;
pub mod session_expires;
pub mod stamp;
pub mod start_line;
pub mod token;
pub mod transport;
pub mod uri;
pub mod via;
