//! Session-Expires and Min-SE (RFC 4028 §4, §5).

use super::params::Params;
use super::token::{Cursor, Span};
use crate::error::{ParseError, ParseErrorKind};

/// Who sends the refresh (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Refresher {
    /// The client of the request at hand.
    Uac,
    /// The server of the request at hand.
    Uas,
}

/// A Session-Expires value. Spans count from the start of the field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires<'b> {
    /// The session interval, in seconds.
    pub delta_s: u32,
    /// Who refreshes, where it is said. Another value than `uac` or `uas` counts as nothing said.
    pub refresher: Option<Refresher>,
    /// All parameters.
    pub params: Params<'b>,
    /// Where the interval lies.
    pub delta_span: Span,
}

impl<'b> SessionExpires<'b> {
    /// Parses a field value.
    ///
    /// # Errors
    /// `Syntax("Session-Expires")`; `Number` above 2^32 - 1; `Duplicate("refresher")`.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let (delta_s, delta_span, params) = delta(value, "Session-Expires")?;
        let mut refreshers = params.iter().filter(|p| p.is(b"refresher"));
        let refresher = match refreshers.next().and_then(|p| p.value) {
            Some(v) if v.eq_ignore_ascii_case(b"uac") => Some(Refresher::Uac),
            Some(v) if v.eq_ignore_ascii_case(b"uas") => Some(Refresher::Uas),
            _ => None,
        };
        match refreshers.next() {
            Some(again) => Err(ParseError::new(ParseErrorKind::Duplicate("refresher"), again.span.start)),
            None => Ok(Self { delta_s, refresher, params, delta_span }),
        }
    }
}

/// A Min-SE value. Spans count from the start of the field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinSe<'b> {
    /// The least session interval, in seconds.
    pub delta_s: u32,
    /// All parameters.
    pub params: Params<'b>,
    /// Where the interval lies.
    pub delta_span: Span,
}

impl<'b> MinSe<'b> {
    /// Parses a field value.
    ///
    /// # Errors
    /// `Syntax("Min-SE")`; `Number` above 2^32 - 1.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let (delta_s, delta_span, params) = delta(value, "Min-SE")?;
        Ok(Self { delta_s, params, delta_span })
    }
}

fn delta<'b>(value: &'b [u8], what: &'static str) -> Result<(u32, Span, Params<'b>), ParseError> {
    let mut c = Cursor::new(value, 0, what);
    c.skip_lws();
    let start = c.at;
    let seconds = c.number()?;
    let span = Span::new(start, c.at);
    let params = Params::scan(&mut c, |_| Ok(()))?;
    c.finish()?;
    Ok((seconds, span, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_and_refresher() {
        let value = b" 1800 ; refresher = UAS;x";
        let se = SessionExpires::parse(value).unwrap();
        assert_eq!((se.delta_s, se.refresher), (1800, Some(Refresher::Uas)));
        assert_eq!(se.delta_span.of(value), b"1800");
        assert!(se.params.has(b"x"));
        assert_eq!(SessionExpires::parse(b"90;refresher=uac").unwrap().refresher, Some(Refresher::Uac));
        assert_eq!(SessionExpires::parse(b"90;refresher=me").unwrap().refresher, None);
        assert_eq!(MinSe::parse(b"90;lr").unwrap().delta_s, 90);
    }

    #[test]
    fn structure_is_strict() {
        assert_eq!(MinSe::parse(b"4294967296").unwrap_err().kind, ParseErrorKind::Number);
        for bad in [&b""[..], b"x", b"-1", b"90 90", b"90;", b"90,91", b"1.5"] {
            assert!(SessionExpires::parse(bad).is_err() && MinSe::parse(bad).is_err());
        }
        let twice = SessionExpires::parse(b"90;refresher=uac;refresher=uas").unwrap_err();
        assert_eq!(twice.kind, ParseErrorKind::Duplicate("refresher"));
    }
}
