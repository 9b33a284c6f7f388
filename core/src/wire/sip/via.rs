//! Via (RFC 3261 §20.42, RFC 3581, RFC 5923).

use core::net::IpAddr;

use super::host::{Host, parse_ip, scan_port};
use super::params::{Param, Params};
use super::token::{Cursor, Span, TOKEN, decimal};
use super::transport::Transport;
use crate::error::{ParseError, ParseErrorKind};

/// What a branch of RFC 3261 begins with (§8.1.1.7).
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// The `rport` parameter (RFC 3581 §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Rport {
    /// There is none.
    #[default]
    Absent,
    /// It has no value: the sender asks for it to be filled in.
    Requested,
    /// The port that the request was seen from.
    Port(u16),
}

/// One Via element. All spans count from the start of the field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'b> {
    /// Protocol name; `SIP` of everyone but experiments.
    pub protocol: &'b [u8],
    /// Protocol version; `2.0`.
    pub version: &'b [u8],
    /// The transport.
    pub transport: Transport,
    /// The transport as it was written.
    pub transport_name: &'b [u8],
    /// Host of sent-by.
    pub host: Host<'b>,
    /// Port of sent-by, where one is written.
    pub port: Option<u16>,
    /// `branch`; never empty.
    pub branch: Option<&'b [u8]>,
    /// `received`, as it was written; see [`Via::received_ip`].
    pub received: Option<&'b [u8]>,
    /// `rport`.
    pub rport: Rport,
    /// `maddr`, as it was written.
    pub maddr: Option<&'b [u8]>,
    /// `ttl`.
    pub ttl: Option<u8>,
    /// Whether `alias` is there (RFC 5923): the connection may be used backwards.
    pub alias: bool,
    /// All parameters.
    pub params: Params<'b>,
    /// Where host and port lie.
    pub sent_by_span: Span,
    /// Where `received=…` lies, without the semicolon: what to replace.
    pub received_span: Option<Span>,
    /// Where `rport` or `rport=…` lies, without the semicolon: what to replace.
    pub rport_span: Option<Span>,
    /// The whole element, up to the end of its last parameter, where another one can be inserted.
    pub span: Span,
    /// Where the next element of the list begins.
    pub next: Option<usize>,
}

impl<'b> Via<'b> {
    /// Parses the first element of a field value; what follows a comma is not looked at.
    ///
    /// More lenient than the grammar: parameter values as in [`Params::parse`], `rport=` counts as `rport`. A second
    /// `branch`, `received` or `rport` is refused, since responses are routed by them.
    ///
    /// # Errors
    /// `Syntax("Via")`; `Number` for a port or ttl out of range; `Duplicate`.
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        Self::parse_at(value, 0)
    }

    /// Parses the element that begins at `at`, such as [`Via::next`] of the element before it.
    ///
    /// # Errors
    /// As [`Via::parse`].
    pub fn parse_at(value: &'b [u8], at: usize) -> Result<Self, ParseError> {
        let mut c = Cursor::new(value, at, "Via");
        c.skip_lws();
        let start = c.at;
        let (protocol, version, transport_name, transport) = scan_protocol(&mut c)?;
        if !c.skip_lws() {
            return Err(c.error());
        }
        let sent_by = c.at;
        let host = Host::scan(&mut c)?;
        let port = scan_sent_by_port(&mut c)?;
        let mut via = Self {
            protocol,
            version,
            transport,
            transport_name,
            host,
            port,
            branch: None,
            received: None,
            rport: Rport::Absent,
            maddr: None,
            ttl: None,
            alias: false,
            params: Params::default(),
            sent_by_span: Span::new(sent_by, c.at),
            received_span: None,
            rport_span: None,
            span: Span::new(start, c.at),
            next: None,
        };
        via.params = Params::scan(&mut c, |param| via.take(param))?;
        via.span.end = c.at;
        c.skip_lws();
        if c.eat(b',') {
            c.skip_lws();
            via.next = Some(c.at);
        }
        if c.at_end() != via.next.is_some() { Ok(via) } else { Err(c.error()) }
    }

    /// Notes a parameter that has a field of its own.
    #[inline]
    fn take(&mut self, param: &Param<'b>) -> Result<(), ParseError> {
        let edit = Span::new(param.name_span.start, param.span.end);
        let at = edit.start;
        match param.name.len() {
            6 if param.is(b"branch") => {
                let value = param.value.filter(|v| !v.is_empty());
                let value = value.ok_or(ParseError::new(ParseErrorKind::Syntax("branch"), at))?;
                once("branch", self.branch.replace(value).is_some(), at)
            }
            5 if param.is(b"rport") => {
                self.rport = match param.value {
                    None | Some(b"") => Rport::Requested,
                    Some(digits) => Rport::Port(small(digits, at)?),
                };
                once("rport", self.rport_span.replace(edit).is_some(), at)
            }
            8 if param.is(b"received") => {
                self.received = param.value;
                once("received", self.received_span.replace(edit).is_some(), at)
            }
            5 if param.is(b"maddr") => {
                self.maddr = param.value;
                Ok(())
            }
            5 if param.is(b"alias") => {
                self.alias = true;
                Ok(())
            }
            3 if param.is(b"ttl") => {
                self.ttl = Some(small(param.value.unwrap_or(&[]), at)?);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether protocol and version are `SIP/2.0`.
    pub fn is_sip_2_0(&self) -> bool {
        self.protocol.eq_ignore_ascii_case(b"SIP") && self.version == b"2.0"
    }

    /// The branch behind the magic cookie; `None` for a branch of RFC 2543, or where there is none. The cookie compares in
    /// either case, as every token does (§7.3.1).
    pub fn magic_cookie(&self) -> Option<&'b [u8]> {
        let (cookie, rest) = self.branch?.split_at_checked(MAGIC_COOKIE.len())?;
        cookie.eq_ignore_ascii_case(MAGIC_COOKIE).then_some(rest)
    }

    /// The address of `received`, with or without brackets (RFC 5118 §4.5); `None` where it is no address.
    pub fn received_ip(&self) -> Option<IpAddr> {
        parse_ip(self.received?)
    }

    /// The port of sent-by, or the transport's own (§18.2.2).
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(self.transport.default_port())
    }

    /// What to delete so that the list stands without this element, when it is the first in its field value; `None` where it
    /// is the only one, so that the whole header field has to go.
    pub fn removal(&self) -> Option<Span> {
        self.next.map(|next| Span::new(self.span.start, next))
    }
}

/// Iterates the Via elements of one field value, first to last. The first error ends the iteration.
pub fn vias(value: &[u8]) -> impl Iterator<Item = Result<Via<'_>, ParseError>> + Clone {
    let mut next = Some(0);
    core::iter::from_fn(move || {
        let via = Via::parse_at(value, next?);
        next = via.as_ref().ok().and_then(|v| v.next);
        Some(via)
    })
}

#[inline]
fn once(what: &'static str, again: bool, at: usize) -> Result<(), ParseError> {
    if again { Err(ParseError::new(ParseErrorKind::Duplicate(what), at)) } else { Ok(()) }
}

#[inline]
fn small<N: TryFrom<u32>>(digits: &[u8], at: usize) -> Result<N, ParseError> {
    let number = decimal(digits).and_then(|n| N::try_from(n).ok());
    number.ok_or(ParseError::new(ParseErrorKind::Number, at))
}

type Protocol<'b> = (&'b [u8], &'b [u8], &'b [u8], Transport);

/// Reads `protocol / version / transport`, at once where it is one of the two common ones.
#[inline]
fn scan_protocol<'b>(c: &mut Cursor<'b>) -> Result<Protocol<'b>, ParseError> {
    let transport = match c.bytes.get(c.at..).and_then(<[u8]>::first_chunk::<12>) {
        Some(b"SIP/2.0/UDP ") => Transport::Udp,
        Some(b"SIP/2.0/TCP ") => Transport::Tcp,
        Some(b"SIP/2.0/TLS ") => Transport::Tls,
        _ => return scan_any_protocol(c),
    };
    let start = c.at;
    c.at += 11;
    Ok((b"SIP", b"2.0", Span::new(start + 8, start + 11).of(c.bytes), transport))
}

fn scan_any_protocol<'b>(c: &mut Cursor<'b>) -> Result<Protocol<'b>, ParseError> {
    let protocol = c.take_some(TOKEN)?;
    scan_slash(c)?;
    let version = c.take_some(TOKEN)?;
    scan_slash(c)?;
    let name = c.take_some(TOKEN)?.of(c.bytes);
    Ok((protocol.of(c.bytes), version.of(c.bytes), name, Transport::parse(name)))
}

fn scan_slash(c: &mut Cursor<'_>) -> Result<(), ParseError> {
    c.skip_lws();
    c.expect(b'/')?;
    c.skip_lws();
    Ok(())
}

/// Reads `[ COLON port ]`; the cursor ends after the port, or stays after the host.
#[inline]
fn scan_sent_by_port(c: &mut Cursor<'_>) -> Result<Option<u16>, ParseError> {
    let after_host = c.at;
    c.skip_lws();
    if !c.eat(b':') {
        c.at = after_host;
        return Ok(None);
    }
    c.skip_lws();
    scan_port(c).map(Some)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::token::Text;
    use super::*;

    #[test]
    fn a_typical_one() {
        let value = b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport;received=192.0.2.9";
        let via = Via::parse(value).unwrap();
        assert!(via.is_sip_2_0());
        assert_eq!((via.transport, via.transport_name), (Transport::Udp, &b"UDP"[..]));
        assert_eq!((via.host, via.port), (Host::parse(b"192.0.2.1").unwrap(), Some(5060)));
        assert_eq!(via.branch, Some(&b"z9hG4bK776asdhds"[..]));
        assert_eq!(via.magic_cookie(), Some(&b"776asdhds"[..]));
        assert_eq!(via.rport, Rport::Requested);
        assert_eq!(via.rport_span.unwrap().of(value), b"rport");
        assert_eq!(via.received_span.unwrap().of(value), b"received=192.0.2.9");
        assert_eq!(via.received_ip(), "192.0.2.9".parse().ok());
        assert_eq!(via.sent_by_span.of(value), b"192.0.2.1:5060");
        assert_eq!(via.span, Span::new(0, value.len()));
        assert_eq!(via.removal(), None);
    }

    #[test]
    fn white_space_of_the_torture_message() {
        let value = b"SIP  / 2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw ,\r\n SIP / 2.0  / TCP     spindle.example.com   : 5070 \
            ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239";
        let all: Vec<_> = vias(value).map(Result::unwrap).collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].magic_cookie(), all[0].branch), (None, Some(&b"390skdjuw"[..])));
        assert_eq!((all[1].transport, all[1].port), (Transport::Tcp, Some(5070)));
        assert_eq!(all[2].magic_cookie(), Some(&b"30239"[..]));
        let cut = all[0].removal().unwrap();
        assert!(value[cut.end..].starts_with(b"SIP / 2.0  / TCP") && cut.start == 0);
        assert_eq!(all[0].span.of(value).last(), Some(&b'w'));
    }

    #[test]
    fn parameters() {
        let value =
            b"SIP/2.0/TLS [2001:db8::9:1];ttl=16;maddr=224.2.0.1;alias;received=2001:db8::9:255;rport=9988;x=\"a,b\"";
        let via = Via::parse(value).unwrap();
        assert_eq!((via.ttl, via.maddr, via.alias), (Some(16), Some(&b"224.2.0.1"[..]), true));
        assert_eq!(via.rport, Rport::Port(9988));
        assert_eq!(via.rport_span.unwrap().of(value), b"rport=9988");
        assert_eq!(via.received_ip(), "2001:db8::9:255".parse().ok());
        assert_eq!((via.branch, via.port_or_default()), (None, 5061));
        assert_eq!(via.params.value(b"x"), Some(&b"a,b"[..]));
        assert_eq!(Via::parse(b"SIP/2.0/UDP a;received=[2001:db8::9:255]").unwrap().received_ip(), via.received_ip());
    }

    #[test]
    fn other_transports_and_versions_parse() {
        let via = Via::parse(b"SIP/7.0/UNKNOWN a:0;branch=z9HG4BKx;rport=").unwrap();
        assert!(!via.is_sip_2_0());
        assert_eq!(
            (via.transport, via.transport_name, via.rport),
            (Transport::Other, &b"UNKNOWN"[..], Rport::Requested)
        );
        assert_eq!(via.magic_cookie(), Some(&b"x"[..]));
        assert_eq!(Via::parse(b"sip/2.0/udp a").unwrap().transport, Transport::Udp);
    }

    #[test]
    fn structure_is_strict() {
        for bad in [
            &b""[..],
            b"SIP/2.0",
            b"SIP/2.0/UDP",
            b"SIP/2.0/UDP ",
            b"SIP/2.0/UDP;branch=1",
            b"SIP/2.0/UDP a b",
            b"SIP/2.0/UDP a:",
            b"SIP/2.0/UDP a:99999",
            b"SIP/2.0/UDP a;",
            b"SIP/2.0/UDP 192.0.2.15;;,;,,",
            b"SIP/2.0/UDP a,",
            b"SIP/2.0/UDP a, ",
            b"SIP/2.0/UDP a;branch=1;branch=2",
            b"SIP/2.0/UDP a;branch",
            b"SIP/2.0/UDP a;branch=",
            b"SIP/2.0/UDP a;rport=x",
            b"SIP/2.0/UDP a;rport;rport",
            b"SIP/2.0/UDP a;ttl=256",
            b"SIP/2.0/UDP a;ttl",
            b"SIP/2.0/UDP a\0",
            b"SIP/2.0/UDP a;x=\x01",
            b"SIP/2.0/UDP a;received=1.1.1.1;received=2.2.2.2",
            b"SIP//UDP a",
            b"SIP/2.0/UDPa",
            b"SIP/2.0/UDP a\r\n;x",
        ] {
            assert!(vias(bad).any(|v| v.is_err()), "{:?}", Text(bad));
        }
    }
}
