//! Errors, by who is to blame.

use core::fmt;

/// Bytes that are not what they claim to be: what is wrong, and where it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ParseError {
    /// What is wrong.
    pub kind: ParseErrorKind,
    /// Offset of the first byte that shows it, from the start of the parsed slice.
    pub at: usize,
}

/// What can be wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// The bytes end before the item does.
    Truncated,
    /// The item is longer than the limit for it.
    TooLong,
    /// More header fields than the limit.
    TooManyHeaders,
    /// The first line is neither a request line nor a status line.
    StartLine,
    /// The protocol version is not `SIP/2.0`.
    Version,
    /// A header field without a name, or with a name that is no token.
    HeaderName,
    /// A control byte (or a bare CR or LF) where none may be.
    ControlByte,
    /// A header field that must be there once is missing.
    Missing(&'static str),
    /// A header field that must be there once is there more often.
    Duplicate(&'static str),
    /// `Content-Length` is no number, contradicts itself, or is larger than what came.
    ContentLength,
    /// A number that is no number or out of range.
    Number,
    /// The method of `CSeq` is not the method of the request.
    CSeqMethod,
    /// Containers nested deeper than the limit.
    TooDeep,
    /// More values than the limit.
    TooManyValues,
    /// A value that does not follow its grammar; the name says which.
    Syntax(&'static str),
}

impl ParseError {
    /// An error of `kind`, seen at `at`.
    pub const fn new(kind: ParseErrorKind, at: usize) -> Self {
        Self { kind, at }
    }

    /// The same error, seen from a slice that starts `by` bytes earlier.
    #[must_use]
    pub const fn shifted(self, by: usize) -> Self {
        Self { kind: self.kind, at: self.at + by }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ParseErrorKind::Truncated => f.write_str("message ends too early")?,
            ParseErrorKind::TooLong => f.write_str("item over its length limit")?,
            ParseErrorKind::TooManyHeaders => f.write_str("too many header fields")?,
            ParseErrorKind::StartLine => f.write_str("malformed start line")?,
            ParseErrorKind::Version => f.write_str("version is not SIP/2.0")?,
            ParseErrorKind::HeaderName => f.write_str("malformed header field name")?,
            ParseErrorKind::ControlByte => f.write_str("control byte in the header")?,
            ParseErrorKind::Missing(what) => write!(f, "{what} is missing")?,
            ParseErrorKind::Duplicate(what) => write!(f, "{what} is there more than once")?,
            ParseErrorKind::ContentLength => f.write_str("Content-Length does not fit")?,
            ParseErrorKind::Number => f.write_str("number malformed or out of range")?,
            ParseErrorKind::CSeqMethod => f.write_str("CSeq method differs from the request's")?,
            ParseErrorKind::TooDeep => f.write_str("nested too deeply")?,
            ParseErrorKind::TooManyValues => f.write_str("too many values")?,
            ParseErrorKind::Syntax(what) => write!(f, "malformed {what}")?,
        }
        write!(f, " (at byte {})", self.at)
    }
}

impl core::error::Error for ParseError {}

/// A store that has no room left. Never fatal: whoever asked answers its peer with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Full {
    /// The store, in an operator's words (`"server transactions"`).
    pub what: &'static str,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for more {}", self.what)
    }
}

impl core::error::Error for Full {}
