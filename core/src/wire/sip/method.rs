//! Request methods (RFC 3261 §7.1). Method names are case-sensitive.

use core::fmt;

use super::token::{Text, is_token};
use crate::error::{ParseError, ParseErrorKind};

/// The method of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method<'b> {
    /// `INVITE` (RFC 3261).
    Invite,
    /// `ACK` (RFC 3261).
    Ack,
    /// `BYE` (RFC 3261).
    Bye,
    /// `CANCEL` (RFC 3261).
    Cancel,
    /// `OPTIONS` (RFC 3261).
    Options,
    /// `REGISTER` (RFC 3261).
    Register,
    /// `PRACK` (RFC 3262).
    Prack,
    /// `SUBSCRIBE` (RFC 6665).
    Subscribe,
    /// `NOTIFY` (RFC 6665).
    Notify,
    /// `PUBLISH` (RFC 3903).
    Publish,
    /// `INFO` (RFC 6086).
    Info,
    /// `REFER` (RFC 3515).
    Refer,
    /// `MESSAGE` (RFC 3428).
    Message,
    /// `UPDATE` (RFC 3311).
    Update,
    /// Any other token.
    Other(&'b [u8]),
}

impl<'b> Method<'b> {
    /// The method that `name` names.
    ///
    /// # Errors
    /// `Syntax("method")` where `name` is no token.
    #[inline]
    pub fn parse(name: &'b [u8]) -> Result<Self, ParseError> {
        match Self::from_token(name) {
            Self::Other(name) if !is_token(name) => Err(ParseError::new(ParseErrorKind::Syntax("method"), 0)),
            method => Ok(method),
        }
    }

    /// The method of a name that is known to be a token.
    #[inline]
    pub(crate) fn from_token(name: &'b [u8]) -> Self {
        match name {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"PRACK" => Self::Prack,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"PUBLISH" => Self::Publish,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"MESSAGE" => Self::Message,
            b"UPDATE" => Self::Update,
            other => Self::Other(other),
        }
    }

    /// The name as it stands in a message.
    pub const fn as_bytes(self) -> &'b [u8] {
        match self {
            Self::Invite => b"INVITE",
            Self::Ack => b"ACK",
            Self::Bye => b"BYE",
            Self::Cancel => b"CANCEL",
            Self::Options => b"OPTIONS",
            Self::Register => b"REGISTER",
            Self::Prack => b"PRACK",
            Self::Subscribe => b"SUBSCRIBE",
            Self::Notify => b"NOTIFY",
            Self::Publish => b"PUBLISH",
            Self::Info => b"INFO",
            Self::Refer => b"REFER",
            Self::Message => b"MESSAGE",
            Self::Update => b"UPDATE",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({:?})", Text(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for name in [
            &b"INVITE"[..],
            b"ACK",
            b"BYE",
            b"CANCEL",
            b"OPTIONS",
            b"REGISTER",
            b"PRACK",
            b"SUBSCRIBE",
            b"NOTIFY",
            b"PUBLISH",
            b"INFO",
            b"REFER",
            b"MESSAGE",
            b"UPDATE",
        ] {
            let method = Method::parse(name).unwrap();
            assert!(!matches!(method, Method::Other(_)), "{method}");
            assert_eq!(method.as_bytes(), name);
        }
    }

    #[test]
    fn case_matters_and_other_tokens_pass() {
        assert_eq!(Method::parse(b"invite"), Ok(Method::Other(b"invite")));
        let torture = b"!interesting-Method0123456789_*+`.%indeed'~";
        assert_eq!(Method::parse(torture), Ok(Method::Other(torture)));
        assert!(Method::parse(b"").is_err());
        assert!(Method::parse(b"IN VITE").is_err());
        assert!(Method::parse(b"INVITE:").is_err());
    }
}
