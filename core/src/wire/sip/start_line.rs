//! Request line and status line (RFC 3261 §7.1, §7.2).

use super::method::Method;
use crate::error::{ParseError, ParseErrorKind};

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'b> {
    /// A request.
    Request {
        /// The method.
        method: Method<'b>,
        /// The Request-URI as it came.
        uri: &'b [u8],
    },
    /// A response.
    Response {
        /// The status code, 100 to 699.
        status: u16,
        /// The reason phrase as it came; may be empty.
        reason: &'b [u8],
    },
}

const VERSION: &[u8] = b"SIP/2.0";

impl<'b> StartLine<'b> {
    /// Parses the line without its CRLF. Single spaces are demanded: elements that guess around them disagree on what
    /// the Request-URI is (RFC 4475 §3.1.2.7 to §3.1.2.9 let us reject).
    pub fn parse(line: &'b [u8]) -> Result<Self, ParseError> {
        if line.len() >= 8 && line[..VERSION.len()].eq_ignore_ascii_case(VERSION) && line[7] == b' ' {
            return Self::status_line(line);
        }
        if line.len() >= 4 && line[..4].eq_ignore_ascii_case(b"SIP/") {
            return Err(ParseError::new(ParseErrorKind::Version, 4));
        }
        Self::request_line(line)
    }

    fn status_line(line: &'b [u8]) -> Result<Self, ParseError> {
        let at = VERSION.len() + 1;
        let wrong = ParseError::new(ParseErrorKind::StartLine, at);
        let (code, rest) = line[at..].split_at_checked(3).ok_or(wrong)?;
        let mut status = 0u16;
        for c in code {
            if !c.is_ascii_digit() {
                return Err(wrong);
            }
            status = status * 10 + u16::from(c - b'0');
        }
        // The space before an empty reason phrase is often left out.
        let reason = match rest {
            [] => rest,
            [b' ', reason @ ..] => reason,
            _ => return Err(wrong),
        };
        if !(100..700).contains(&status) {
            return Err(wrong);
        }
        Ok(Self::Response { status, reason })
    }

    fn request_line(line: &'b [u8]) -> Result<Self, ParseError> {
        let wrong = |at| ParseError::new(ParseErrorKind::StartLine, at);
        let method_end = memchr::memchr(b' ', line).ok_or(wrong(line.len()))?;
        let method = Method::parse(&line[..method_end]).map_err(|_| wrong(0))?;
        let (uri, version) = Self::uri_and_version(&line[method_end + 1..]).ok_or(wrong(method_end + 1))?;
        if !version.eq_ignore_ascii_case(VERSION) {
            let kind = match version {
                [b'S' | b's', b'I' | b'i', b'P' | b'p', b'/', ..] => ParseErrorKind::Version,
                _ => ParseErrorKind::StartLine,
            };
            return Err(ParseError::new(kind, line.len() - version.len()));
        }
        Ok(Self::Request { method, uri })
    }

    fn uri_and_version(rest: &'b [u8]) -> Option<(&'b [u8], &'b [u8])> {
        let uri_end = memchr::memrchr(b' ', rest)?;
        let (uri, version) = (&rest[..uri_end], &rest[uri_end + 1..]);
        (!uri.is_empty() && memchr::memchr2(b' ', b'\t', uri).is_none()).then_some((uri, version))
    }

    /// What can be read of the request line of another version of SIP, so that it can be answered with 505; or of one
    /// with spaces too many, so that it can be answered with 400.
    pub(super) fn salvage(line: &'b [u8]) -> Option<Self> {
        let (method, rest) = line.split_at(memchr::memchr(b' ', line)?);
        let method = Method::parse(method).ok()?;
        let uri = rest[1..].split(|b| *b == b' ').find(|part| !part.is_empty())?;
        Some(Self::Request { method, uri })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines() {
        let StartLine::Request { method, uri } = StartLine::parse(b"INVITE sip:a@b SIP/2.0").unwrap() else {
            panic!("a request")
        };
        assert_eq!((method, uri), (Method::Invite, &b"sip:a@b"[..]));
        for (line, kind) in [
            (&b"INVITE  sip:a@b SIP/2.0"[..], ParseErrorKind::StartLine),
            (b"INVITE sip:a@b  SIP/2.0", ParseErrorKind::StartLine),
            (b"INVITE sip:a@b SIP/2.0 ", ParseErrorKind::StartLine),
            (b"INVITE sip:a b@c SIP/2.0", ParseErrorKind::StartLine),
            (b"INVITE sip:a@b SIP/7.0", ParseErrorKind::Version),
            (b"INVITE sip:a@b HTTP/1.1", ParseErrorKind::StartLine),
            (b"INVITE sip:a@b", ParseErrorKind::StartLine),
            (b"IN VITE", ParseErrorKind::StartLine),
            (b"", ParseErrorKind::StartLine),
            (b" ", ParseErrorKind::StartLine),
        ] {
            assert_eq!(StartLine::parse(line).unwrap_err().kind, kind, "{:?}", core::str::from_utf8(line));
        }
    }

    #[test]
    fn status_lines() {
        assert_eq!(StartLine::parse(b"SIP/2.0 200 OK").unwrap(), StartLine::Response { status: 200, reason: b"OK" });
        assert_eq!(StartLine::parse(b"SIP/2.0 100 ").unwrap(), StartLine::Response { status: 100, reason: b"" });
        assert_eq!(StartLine::parse(b"SIP/2.0 100").unwrap(), StartLine::Response { status: 100, reason: b"" });
        for line in [
            &b"SIP/2.0 99 x"[..],
            b"SIP/2.0 700 x",
            b"SIP/2.0 4294967301 better not break",
            b"SIP/2.0 2x0 OK",
            b"SIP/2.0  200 OK",
            b"SIP/3.0 200 OK",
        ] {
            assert!(StartLine::parse(line).is_err(), "{:?}", core::str::from_utf8(line));
        }
    }
}
