//! SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966).

use core::fmt;
use core::iter;

use super::host::{Host, scan_port};
use super::method::Method;
use super::params::{Param, Params};
use super::token::{ALPHA, Cursor, DIGIT, HEADER, HEX, PARAM, PASSWORD, Span, Text, URI, USER, decimal, hex_value, is};
use super::transport::Transport;
use crate::error::ParseError;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Scheme<'b> {
    /// `sip`.
    Sip,
    /// `sips`.
    Sips,
    /// `tel` (RFC 3966).
    Tel,
    /// Another scheme, as it was written.
    Other(&'b [u8]),
}

impl Scheme<'_> {
    /// Whether the scheme is `sip` or `sips`.
    pub const fn is_sip(&self) -> bool {
        matches!(self, Self::Sip | Self::Sips)
    }

    /// Whether the scheme is `sips`.
    pub const fn is_sips(&self) -> bool {
        matches!(self, Self::Sips)
    }

    /// Whether the scheme is `tel`.
    pub const fn is_tel(&self) -> bool {
        matches!(self, Self::Tel)
    }
}

/// A URI, split into its parts. All spans count from the start of [`Uri::raw`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Uri<'b> {
    /// The whole URI as it was written.
    pub raw: &'b [u8],
    /// The scheme.
    pub scheme: Scheme<'b>,
    /// The user part of a SIP URI (escapes as they are), or the number of a tel URI.
    pub user: Option<&'b [u8]>,
    /// The password; may be empty.
    pub password: Option<&'b [u8]>,
    /// The host; `None` in schemes other than `sip` and `sips`.
    pub host: Option<Host<'b>>,
    /// The port, where one is written.
    pub port: Option<u16>,
    /// The parameters; none in unknown schemes.
    pub params: Params<'b>,
    /// The header part, without its `?`.
    pub headers: Option<&'b [u8]>,
    /// Where user and password lie, without the `@`. Empty, at the host, where there is no user.
    pub userinfo_span: Span,
    /// Where host and port lie; empty where there is no host.
    pub hostport_span: Span,
}

impl<'b> Uri<'b> {
    /// Parses a whole slice as a URI.
    ///
    /// Of schemes other than `sip`, `sips` and `tel` only the bytes are checked. More lenient than the grammar: `#` passes
    /// in the user part, and parameters may have an empty value or `=` in the value.
    ///
    /// # Errors
    /// `Syntax("URI")`; `Number` for a port above 65,535.
    #[inline]
    pub fn parse(raw: &'b [u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(raw, 0, "URI");
        let scheme = scan_scheme(&mut c)?;
        match scheme {
            Scheme::Sip | Scheme::Sips => Self::parse_sip(scheme, c),
            Scheme::Tel => Self::parse_tel(c),
            Scheme::Other(_) => {
                c.take_while(URI);
                if c.at_end() && raw.is_ascii() { Ok(Self::bare(raw, scheme)) } else { Err(c.error()) }
            }
        }
    }

    const fn bare(raw: &'b [u8], scheme: Scheme<'b>) -> Self {
        let end = Span::new(raw.len(), raw.len());
        Self {
            raw,
            scheme,
            user: None,
            password: None,
            host: None,
            port: None,
            params: Params::checked(raw, end, PARAM),
            headers: None,
            userinfo_span: end,
            hostport_span: end,
        }
    }

    fn parse_sip(scheme: Scheme<'b>, mut c: Cursor<'b>) -> Result<Self, ParseError> {
        let raw = c.bytes;
        let mut uri = Self::bare(raw, scheme);
        let start = c.at;
        uri.userinfo_span = Span::new(start, start);
        if let Some(length) = memchr::memchr(b'@', raw.get(start..).unwrap_or(&[])) {
            let end = start + length;
            uri.userinfo_span = Span::new(start, end);
            let user = take_escaped(&mut c, USER)?;
            if user.is_empty() {
                return Err(c.error());
            }
            uri.user = Some(user.of(raw));
            if c.eat(b':') {
                uri.password = Some(take_escaped(&mut c, PASSWORD)?.of(raw));
            }
            c.expect(b'@')?;
        }
        let host_start = c.at;
        uri.host = Some(Host::scan(&mut c)?);
        if c.eat(b':') {
            uri.port = Some(scan_port(&mut c)?);
        }
        uri.hostport_span = Span::new(host_start, c.at);
        if c.at_end() {
            return Ok(uri);
        }
        uri.params = scan_params(&mut c)?;
        if c.eat(b'?') {
            uri.headers = Some(scan_headers(&mut c)?.of(raw));
        }
        if c.at_end() { Ok(uri) } else { Err(c.error()) }
    }

    fn parse_tel(mut c: Cursor<'b>) -> Result<Self, ParseError> {
        let raw = c.bytes;
        let mut uri = Self::bare(raw, Scheme::Tel);
        let start = c.at;
        let global = c.eat(b'+');
        let mut digits = 0usize;
        while let Some(b) = c.peek() {
            match b {
                b'0'..=b'9' => digits += 1,
                b'*' | b'#' if !global => digits += 1,
                b'-' | b'.' | b'(' | b')' => {}
                _ if !global && is(b, HEX) => digits += 1,
                _ => break,
            }
            c.at += 1;
        }
        if digits == 0 {
            return Err(c.error());
        }
        uri.userinfo_span = Span::new(start, c.at);
        uri.user = Some(uri.userinfo_span.of(raw));
        uri.params = scan_params(&mut c)?;
        if c.at_end() { Ok(uri) } else { Err(c.error()) }
    }

    /// The `transport` parameter, where there is one.
    pub fn transport(&self) -> Option<Transport> {
        self.params.value(b"transport").map(Transport::parse)
    }

    /// Whether the `lr` parameter is there, with or without a value (RFC 3261 §19.1.1: a loose router).
    pub fn is_loose_router(&self) -> bool {
        self.params.has(b"lr")
    }

    /// The `maddr` parameter, where there is one that is a host.
    pub fn maddr(&self) -> Option<Host<'b>> {
        Host::parse(self.params.value(b"maddr")?).ok()
    }

    /// The `ttl` parameter, where there is one from 0 to 255.
    pub fn ttl(&self) -> Option<u8> {
        u8::try_from(decimal(self.params.value(b"ttl")?)?).ok()
    }

    /// The `user` parameter (`phone`, `ip`).
    pub fn user_kind(&self) -> Option<&'b [u8]> {
        self.params.value(b"user")
    }

    /// The `method` parameter, where there is one that is a token.
    pub fn method(&self) -> Option<Method<'b>> {
        Method::parse(self.params.value(b"method")?).ok()
    }

    /// The port that is written, or the one that the scheme implies (5061 for `sips`, else 5060).
    pub const fn port_or_default(&self) -> u16 {
        match (self.port, self.scheme) {
            (Some(port), _) => port,
            (None, Scheme::Sips) => 5061,
            (None, _) => 5060,
        }
    }

    /// The user part with its `%HH` escapes resolved, written to the front of `buffer`. `None` where there is no user, or
    /// where `buffer` is shorter than the result.
    pub fn user_unescaped<'o>(&self, buffer: &'o mut [u8]) -> Option<&'o [u8]> {
        let mut length = 0;
        for symbol in Symbols(self.user?) {
            *buffer.get_mut(length)? = symbol.byte;
            length += 1;
        }
        buffer.get(..length)
    }

    /// The headers of the header part, in their order, names and values with escapes as they are.
    pub fn header_pairs(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone + use<'b> {
        let headers = self.headers.unwrap_or(&[]);
        headers.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
            let at = memchr::memchr(b'=', pair).unwrap_or(pair.len());
            (pair.get(..at).unwrap_or(&[]), pair.get(at + 1..).unwrap_or(&[]))
        })
    }

    /// Whether both URIs are equal by RFC 3261 §19.1.4 (and RFC 5954 §4.2 for IPv6); tel URIs by RFC 3966 §4; other schemes
    /// byte for byte.
    ///
    /// Values of URI headers compare in either case, as §19.1.4 has it for what it does not except; they are not compared
    /// by the rules of the header field that they name.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        match (self.scheme, other.scheme) {
            (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips) => self.equivalent_sip(other),
            (Scheme::Tel, Scheme::Tel) => self.equivalent_tel(other),
            (Scheme::Other(_), Scheme::Other(_)) => self.raw == other.raw,
            _ => false,
        }
    }

    fn equivalent_sip(&self, other: &Uri<'_>) -> bool {
        let hosts = match (self.host, other.host) {
            (Some(a), Some(b)) => a.equivalent(b),
            _ => false,
        };
        hosts
            && self.port == other.port
            && same_optional(self.user, other.user, Case::Sensitive)
            && same_optional(self.password, other.password, Case::Sensitive)
            && params_agree(self.params, other.params)
            && params_agree(other.params, self.params)
            && headers_within(self, other)
            && headers_within(other, self)
    }

    fn equivalent_tel(&self, other: &Uri<'_>) -> bool {
        fn number<'n>(uri: &Uri<'n>) -> impl Iterator<Item = u8> + use<'n> {
            let digits = uri.user.unwrap_or(&[]).iter().filter(|b| !matches!(b, b'-' | b'.' | b'(' | b')'));
            digits.map(u8::to_ascii_lowercase)
        }
        let within = |a: &Uri<'_>, b: &Uri<'_>| {
            a.params
                .iter()
                .all(|p| b.params.find(p.name).is_some_and(|q| same_optional(p.value, q.value, Case::Insensitive)))
        };
        number(self).eq(number(other)) && within(self, other) && within(other, self)
    }
}

impl fmt::Debug for Uri<'_> {
    /// The URI as text, a password left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.password, self.user) {
            (Some(_), Some(user)) => {
                let user_end = self.userinfo_span.start + user.len();
                let head = self.raw.get(..user_end).unwrap_or(&[]);
                let tail = self.raw.get(self.userinfo_span.end..).unwrap_or(&[]);
                write!(f, "Uri(\"{}:***{}\")", head.escape_ascii(), tail.escape_ascii())
            }
            _ => write!(f, "Uri({:?})", Text(self.raw)),
        }
    }
}

/// Whether two URIs, as bytes, are equal by [`Uri::equivalent`]; what is no URI equals nothing.
pub fn equivalent(a: &[u8], b: &[u8]) -> bool {
    match (Uri::parse(a), Uri::parse(b)) {
        (Ok(a), Ok(b)) => a.equivalent(&b),
        _ => false,
    }
}

#[inline]
fn scan_scheme<'b>(c: &mut Cursor<'b>) -> Result<Scheme<'b>, ParseError> {
    if let Some([a, b, d, b':']) = c.bytes.first_chunk::<4>()
        && [*a, *b, *d].eq_ignore_ascii_case(b"sip")
    {
        c.at = 4;
        return Ok(Scheme::Sip);
    }
    if !c.peek().is_some_and(|b| is(b, ALPHA)) {
        return Err(c.error());
    }
    let start = c.at;
    while c.peek().is_some_and(|b| is(b, ALPHA | DIGIT) || matches!(b, b'+' | b'-' | b'.')) {
        c.at += 1;
    }
    let name = Span::new(start, c.at).of(c.bytes);
    c.expect(b':')?;
    Ok(if name.eq_ignore_ascii_case(b"sips") {
        Scheme::Sips
    } else if name.eq_ignore_ascii_case(b"tel") {
        Scheme::Tel
    } else if c.at_end() {
        return Err(c.error());
    } else {
        Scheme::Other(name)
    })
}

/// Steps over bytes of `class` and over escapes; stops at anything else.
#[inline]
fn take_escaped(c: &mut Cursor<'_>, class: u16) -> Result<Span, ParseError> {
    let start = c.at;
    loop {
        c.take_while(class);
        match c.bytes.get(c.at..).unwrap_or(&[]) {
            [b'%', high, low, ..] if is(*high, HEX) && is(*low, HEX) => c.at += 3,
            [b'%', ..] => return Err(c.error()),
            _ => return Ok(Span::new(start, c.at)),
        }
    }
}

fn scan_params<'b>(c: &mut Cursor<'b>) -> Result<Params<'b>, ParseError> {
    let start = c.at;
    while c.eat(b';') {
        if take_escaped(c, PARAM)?.is_empty() {
            return Err(c.error());
        }
        while c.eat(b'=') {
            take_escaped(c, PARAM)?;
        }
    }
    // `%` is a byte of TOKEN, not of PARAM; both classes together take an escaped name whole.
    Ok(Params::checked(c.bytes, Span::new(start, c.at), PARAM | super::token::TOKEN))
}

fn scan_headers(c: &mut Cursor<'_>) -> Result<Span, ParseError> {
    let start = c.at;
    loop {
        if take_escaped(c, HEADER)?.is_empty() {
            return Err(c.error());
        }
        c.expect(b'=')?;
        take_escaped(c, HEADER)?;
        if !c.eat(b'&') {
            return Ok(Span::new(start, c.at));
        }
    }
}

/// A byte of a URI part after its escape was resolved. A reserved byte differs from its own escape (RFC 3261 §19.1.4), so
/// it is kept whether there was one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Symbol {
    byte: u8,
    escaped_reserved: bool,
}

#[derive(Clone)]
struct Symbols<'b>(&'b [u8]);

impl Iterator for Symbols<'_> {
    type Item = Symbol;

    fn next(&mut self) -> Option<Symbol> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
        {
            self.0 = rest;
            let byte = high << 4 | low;
            let escaped_reserved = matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',');
            return Some(Symbol { byte, escaped_reserved });
        }
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(Symbol { byte, escaped_reserved: false })
    }
}

#[derive(Clone, Copy)]
enum Case {
    Sensitive,
    Insensitive,
}

fn same(a: &[u8], b: &[u8], case: Case) -> bool {
    let fold = move |s: Symbol| match case {
        Case::Sensitive => s,
        Case::Insensitive => Symbol { byte: s.byte.to_ascii_lowercase(), ..s },
    };
    iter::Iterator::eq(Symbols(a).map(fold), Symbols(b).map(fold))
}

fn same_optional(a: Option<&[u8]>, b: Option<&[u8]>, case: Case) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same(a, b, case),
        (None, None) => true,
        _ => false,
    }
}

/// Whether every parameter of `a` is the same in `b`, or is missing there and may be.
fn params_agree(a: Params<'_>, b: Params<'_>) -> bool {
    const NEVER_ALONE: [&[u8]; 5] = [b"user", b"ttl", b"method", b"maddr", b"transport"];
    a.iter().all(|p: Param<'_>| match b.iter().find(|q| same(p.name, q.name, Case::Insensitive)) {
        Some(q) => same_optional(p.value, q.value, Case::Insensitive),
        None => !NEVER_ALONE.iter().any(|name| p.is(name)),
    })
}

/// Whether every header of `a` is in `b` as often, with the same value.
fn headers_within(a: &Uri<'_>, b: &Uri<'_>) -> bool {
    let count = |uri: &Uri<'_>, name: &[u8], value: &[u8]| {
        let same_pair = |(n, v): &(&[u8], &[u8])| same(n, name, Case::Insensitive) && same(v, value, Case::Insensitive);
        uri.header_pairs().filter(same_pair).count()
    };
    a.header_pairs().all(|(name, value)| count(a, name, value) == count(b, name, value))
}

#[cfg(test)]
mod tests;
