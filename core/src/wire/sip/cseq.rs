//! CSeq (RFC 3261 §20.16).

use super::method::Method;
use super::token::{Cursor, Span, TOKEN};
use crate::error::{ParseError, ParseErrorKind};

/// A CSeq value. Spans count from the start of the field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CSeq<'b> {
    /// The sequence number, below 2^31 (§8.1.1.5).
    pub number: u32,
    /// The method.
    pub method: Method<'b>,
    /// Where the number lies.
    pub number_span: Span,
    /// Where the method lies.
    pub method_span: Span,
}

impl<'b> CSeq<'b> {
    /// Parses a field value.
    ///
    /// # Errors
    /// `Syntax("CSeq")`; `Number` from 2^31 on.
    #[inline]
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(value, 0, "CSeq");
        c.skip_lws();
        let start = c.at;
        let number = c.number()?;
        if number >= 1 << 31 {
            return Err(ParseError::new(ParseErrorKind::Number, start));
        }
        let number_span = Span::new(start, c.at);
        if !c.skip_lws() {
            return Err(c.error());
        }
        let method_span = c.take_some(TOKEN)?;
        c.finish()?;
        Ok(Self { number, method: Method::from_token(method_span.of(value)), number_span, method_span })
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::Text;
    use super::*;

    #[test]
    fn number_and_method() {
        let value = b"0009\r\n  INVITE ";
        let cseq = CSeq::parse(value).unwrap();
        assert_eq!((cseq.number, cseq.method), (9, Method::Invite));
        assert_eq!(cseq.number_span.of(value), b"0009");
        assert_eq!(cseq.method_span.of(value), b"INVITE");
        assert_eq!(CSeq::parse(b"2147483647 x").unwrap().method, Method::Other(b"x"));
    }

    #[test]
    fn numbers_stay_below_two_to_the_31() {
        for value in [&b"2147483648 ACK"[..], b"4294967296 ACK", b"36893488147419103232 REGISTER"] {
            assert_eq!(CSeq::parse(value).unwrap_err().kind, ParseErrorKind::Number);
        }
    }

    #[test]
    fn structure_is_strict() {
        for bad in [
            &b""[..],
            b"1",
            b"1 ",
            b"INVITE",
            b"1INVITE",
            b"-1 ACK",
            b"1 ACK x",
            b"1 A:",
            b"1\r\nACK",
            b"0x1 ACK",
            b"1 ACK\0",
        ] {
            assert!(CSeq::parse(bad).is_err(), "{:?}", Text(bad));
        }
    }
}
