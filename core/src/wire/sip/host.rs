//! Hosts and ports (RFC 3261 §25.1 `host`, `hostport`; RFC 5118 for IPv6).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::token::{Cursor, DIGIT, HOST, Text, is};
use crate::error::{ParseError, ParseErrorKind};

/// A host of a URI, of Via or of a parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host<'b> {
    /// A name, as it was written. `==` compares its bytes; see [`Host::equivalent`] for names in either case.
    Name(&'b [u8]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written between brackets.
    V6(Ipv6Addr),
}

impl<'b> Host<'b> {
    /// Parses a whole slice as a host.
    ///
    /// More lenient than the grammar: labels may begin and end with any of letter, digit, `-` and `_`. Digits and dots
    /// alone must be an IPv4 address without leading zeros, which some resolvers read as octal. IPv6 zones are refused.
    ///
    /// # Errors
    /// `Syntax("host")`.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(bytes, 0, "host");
        let host = Self::scan(&mut c)?;
        if c.at_end() { Ok(host) } else { Err(c.error()) }
    }

    /// Reads the host at the cursor.
    #[inline]
    pub(crate) fn scan(c: &mut Cursor<'b>) -> Result<Self, ParseError> {
        if c.peek() == Some(b'[') {
            return Self::scan_v6(c);
        }
        let start = c.at;
        let mut numeric = true;
        let mut after_dot = true;
        while let Some(b) = c.peek() {
            if !is(b, HOST) {
                break;
            }
            if b == b'.' {
                if after_dot {
                    return Err(c.error());
                }
                after_dot = true;
            } else {
                after_dot = false;
                numeric &= is(b, DIGIT);
            }
            c.at += 1;
        }
        let name = c.bytes.get(start..c.at).unwrap_or(&[]);
        if name.is_empty() {
            return Err(c.error());
        }
        if !numeric {
            return Ok(Self::Name(name));
        }
        match v4(name) {
            Some(address) => Ok(Self::V4(address)),
            None => {
                c.at = start;
                Err(c.error())
            }
        }
    }

    fn scan_v6(c: &mut Cursor<'b>) -> Result<Self, ParseError> {
        let rest = c.bytes.get(c.at + 1..).unwrap_or(&[]);
        let inner = memchr::memchr(b']', rest).and_then(|end| rest.get(..end)).ok_or(c.error())?;
        let address = v6(inner).ok_or(c.error())?;
        c.at += inner.len() + 2;
        Ok(Self::V6(address))
    }

    /// The address, where the host is one.
    pub const fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(a) => Some(IpAddr::V4(a)),
            Self::V6(a) => Some(IpAddr::V6(a)),
        }
    }

    /// Whether both are the same host: names in either case, addresses by value. A name never equals an address
    /// (RFC 3261 §19.1.4).
    pub fn equivalent(self, other: Host<'_>) -> bool {
        match (self, other) {
            (Self::Name(a), Host::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::V4(a), Host::V4(b)) => a == b,
            (Self::V6(a), Host::V6(b)) => a == b,
            _ => false,
        }
    }
}

impl From<IpAddr> for Host<'_> {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(a) => Self::V4(a),
            IpAddr::V6(a) => Self::V6(a),
        }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{}", name.escape_ascii()),
            Self::V4(a) => write!(f, "{a}"),
            Self::V6(a) => write!(f, "[{a}]"),
        }
    }
}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "Host({:?})", Text(name)),
            _ => write!(f, "Host({self})"),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Host<'_> {
    fn format(&self, f: defmt::Formatter) {
        match self {
            Self::Name(name) => defmt::write!(f, "{=[u8]:a}", name),
            Self::V4(a) => defmt::write!(f, "{=[u8; 4]}", a.octets()),
            Self::V6(a) => defmt::write!(f, "{=[u8; 16]:x}", a.octets()),
        }
    }
}

/// `host [ ":" port ]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostPort<'b> {
    /// The host.
    pub host: Host<'b>,
    /// The port, where one is given. Zero is taken: the grammar allows it.
    pub port: Option<u16>,
}

impl<'b> HostPort<'b> {
    /// Parses a whole slice as `hostport`, without white space.
    ///
    /// # Errors
    /// `Syntax("host")`; `Number` where the port is above 65,535.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(bytes, 0, "host");
        let host = Host::scan(&mut c)?;
        let port = if c.eat(b':') { Some(scan_port(&mut c)?) } else { None };
        if c.at_end() { Ok(Self { host, port }) } else { Err(c.error()) }
    }
}

/// Reads the digits of a port at the cursor.
#[inline]
pub(crate) fn scan_port(c: &mut Cursor<'_>) -> Result<u16, ParseError> {
    let start = c.at;
    let number = c.number()?;
    u16::try_from(number).map_err(|_| ParseError::new(ParseErrorKind::Number, start))
}

/// The address in a parameter that holds an address only (`received`): IPv6 with or without brackets, since both are sent
/// (RFC 5118 §4.5).
pub fn parse_ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Some(address) = v4(bytes) {
        return Some(IpAddr::V4(address));
    }
    let inner = match bytes {
        [b'[', inner @ .., b']'] => inner,
        other => other,
    };
    v6(inner).map(IpAddr::V6)
}

/// Four decimal octets of at most three digits, without leading zeros.
#[inline]
fn v4(bytes: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut index = 0;
    let mut digits = 0u8;
    for &b in bytes {
        if b == b'.' {
            if digits == 0 || index == 3 {
                return None;
            }
            index += 1;
            digits = 0;
            continue;
        }
        let d = b.wrapping_sub(b'0');
        let octet = octets.get_mut(index)?;
        if d > 9 || (digits > 0 && *octet == 0) {
            return None;
        }
        *octet = octet.checked_mul(10)?.checked_add(d)?;
        digits += 1;
    }
    (index == 3 && digits > 0).then(|| Ipv4Addr::from(octets))
}

fn v6(bytes: &[u8]) -> Option<Ipv6Addr> {
    let text = core::str::from_utf8(bytes).ok()?;
    text.parse().ok().or_else(|| v6_by_old_grammar(text))
}

/// RFC 3261's grammar put three colons before an embedded IPv4 address (`2001:db8:::192.0.2.1`), RFC 5954 §4.1 two. Programs
/// that follow the former are still understood (RFC 5118 §4.10).
#[cold]
fn v6_by_old_grammar(text: &str) -> Option<Ipv6Addr> {
    const LONGEST: usize = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255".len();
    let (head, v4_tail) = text.split_once(":::")?;
    v4(v4_tail.as_bytes())?;
    let mut buffer = heapless::String::<LONGEST>::new();
    for part in [head, "::", v4_tail] {
        buffer.push_str(part).ok()?;
    }
    buffer.parse().ok()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn names_and_addresses() {
        assert_eq!(Host::parse(b"biloxi.com"), Ok(Host::Name(b"biloxi.com")));
        assert_eq!(Host::parse(b"1host.a_b."), Ok(Host::Name(b"1host.a_b.")));
        assert_eq!(Host::parse(b"192.0.2.1"), Ok(Host::V4(Ipv4Addr::new(192, 0, 2, 1))));
        assert_eq!(Host::parse(b"[2001:db8::10]").unwrap().to_string(), "[2001:db8::10]");
        assert_eq!(Host::parse(b"[2001:db8:::192.0.2.1]").unwrap(), Host::parse(b"[2001:db8::192.0.2.1]").unwrap());
        assert_eq!(Host::parse(b"[::ffff:192.0.2.10]").unwrap().ip(), "::ffff:192.0.2.10".parse().ok());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            &b""[..],
            b"a..b",
            b".a",
            b"1.2.3",
            b"1.2.3.4.5",
            b"1.2.3.256",
            b"01.2.3.4",
            b"12345",
            b"a b",
            b"2001:db8::1",
            b"[2001:db8::1",
            b"[fe80::1%eth0]",
            b"[2001:db8:::1]",
            b"[]",
            b"[::1]x",
            b"a\0",
            b"h\xc3\xb6st",
        ] {
            assert!(Host::parse(bad).is_err(), "{:?}", Text(bad));
        }
    }

    #[test]
    fn ports() {
        assert_eq!(HostPort::parse(b"a:0").unwrap().port, Some(0));
        assert_eq!(HostPort::parse(b"[::1]:65535").unwrap().port, Some(65_535));
        assert_eq!(HostPort::parse(b"a").unwrap().port, None);
        assert_eq!(HostPort::parse(b"a:65536").unwrap_err().kind, ParseErrorKind::Number);
        assert!(HostPort::parse(b"a:").is_err());
        assert!(HostPort::parse(b"a:5060 ").is_err());
        assert!(HostPort::parse(b"a:+1").is_err());
    }

    #[test]
    fn received_takes_ipv6_in_both_forms() {
        let want = "2001:db8::9:255".parse().ok();
        assert_eq!(parse_ip(b"[2001:db8::9:255]"), want);
        assert_eq!(parse_ip(b"2001:db8::9:255"), want);
        assert_eq!(parse_ip(b"192.0.2.7"), "192.0.2.7".parse().ok());
        assert_eq!(parse_ip(b"example.com"), None);
    }

    #[test]
    fn equivalence() {
        let host = |b| Host::parse(b).unwrap();
        assert!(host(b"BILOXI.com").equivalent(host(b"biloxi.COM")));
        assert!(host(b"[2001:db8:0::1]").equivalent(host(b"[2001:DB8::1]")));
        assert!(!host(b"a.example").equivalent(host(b"192.0.2.1")));
    }
}
