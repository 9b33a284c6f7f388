//! `o=` and `c=` (RFC 8866 §5.2, §5.7).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{ParseError, ParseErrorKind};

/// The fields of a value, parted by one or more spaces.
pub(super) fn fields(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b' ').filter(|f| !f.is_empty())
}

/// An address of the family that stands before it: `IP4` or `IP6`. `None` for another family or another form.
pub fn parse_ip(family: &[u8], text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    if family.eq_ignore_ascii_case(b"IP4") {
        text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    } else if family.eq_ignore_ascii_case(b"IP6") {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        None
    }
}

/// The family of an address as SDP writes it.
pub const fn family(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "IP4",
        IpAddr::V6(_) => "IP6",
    }
}

/// An `o=` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'b> {
    /// `<username>`.
    pub username: &'b [u8],
    /// `<sess-id>`.
    pub session_id: &'b [u8],
    /// `<sess-version>`.
    pub version: &'b [u8],
    /// `<nettype>`, as a rule `IN`.
    pub nettype: &'b [u8],
    /// `<addrtype>`: `IP4` or `IP6`.
    pub addrtype: &'b [u8],
    /// `<unicast-address>`: an address or a name.
    pub address: &'b [u8],
}

impl<'b> Origin<'b> {
    /// Parses an `o=` value.
    ///
    /// # Errors
    /// `Syntax("o=")` unless there are six fields.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let mut f = fields(value);
        let mut next = || f.next().ok_or(ParseError::new(ParseErrorKind::Syntax("o="), value.len()));
        let origin = Self {
            username: next()?,
            session_id: next()?,
            version: next()?,
            nettype: next()?,
            addrtype: next()?,
            address: next()?,
        };
        if f.next().is_some() {
            return Err(ParseError::new(ParseErrorKind::Syntax("o="), 0));
        }
        Ok(origin)
    }
}

/// A `c=` value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'b> {
    /// The address; `None` for a name, which only the parties could resolve.
    pub ip: Option<IpAddr>,
    /// `<connection-address>` as it came, with what follows a `/`.
    pub text: &'b [u8],
}

impl<'b> Connection<'b> {
    /// Parses a `c=` value.
    ///
    /// # Errors
    /// `Syntax("c=")` unless there are three fields and, in the third, an address of its family or a name.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let error = ParseError::new(ParseErrorKind::Syntax("c="), 0);
        let mut f = fields(value);
        let (Some(net), Some(family), Some(text), None) = (f.next(), f.next(), f.next(), f.next()) else {
            return Err(error);
        };
        if !net.eq_ignore_ascii_case(b"IN") {
            return Ok(Self { ip: None, text });
        }
        let host = text.split(|&b| b == b'/').next().unwrap_or(text);
        let ip = parse_ip(family, host);
        let name = host.iter().any(u8::is_ascii_alphabetic) && !host.contains(&b':');
        if ip.is_none() && !name {
            return Err(error);
        }
        Ok(Self { ip, text })
    }

    /// Whether the address is the unspecified one, an old way to say hold (RFC 3264 §8.4).
    pub fn is_zero(&self) -> bool {
        self.ip.is_some_and(|ip| ip.is_unspecified())
    }
}
