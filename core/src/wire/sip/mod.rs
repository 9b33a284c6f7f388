//! SIP messages (RFC 3261 §7, §20, §25).

#[cfg(any(test, feature = "oracle"))]
#[doc(hidden)]
pub mod abnf;
pub mod auth;
pub mod cseq;
pub mod date;
pub mod host;
pub mod method;
pub mod name_addr;
pub mod option_tags;
pub mod params;
pub mod route;
pub mod session_expires;
pub mod token;
pub mod transport;
pub mod uri;
pub mod via;
