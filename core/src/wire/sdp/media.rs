//! Media descriptions (RFC 8866 §5.14): an m-line and what follows it.

use super::attribute::{self, Attribute, Direction};
use super::lines::Line;
use super::session::Connection;
use super::{Lines, Span16};
use crate::error::{ParseError, ParseErrorKind};
use crate::wire::sip::token::decimal;

/// What a description says of one media stream, as offsets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section {
    start: u16,
    end: u16,
    kind: Span16,
    ports: Span16,
    protocol: Span16,
    formats: Span16,
    connection: Option<Span16>,
    direction: Option<Direction>,
    port: u16,
    port_count: Option<u16>,
}

impl Section {
    /// Parses the value of an m-line: `<media> <port>[/<number of ports>] <proto> <fmt> ...`.
    pub(super) fn parse(value: &[u8], line: &Line) -> Result<Self, ParseError> {
        let base = line.value_start();
        let mut at = 0;
        let mut field = || {
            let rest = value.get(at..).unwrap_or(&[]);
            let start = at + rest.iter().take_while(|&&b| b == b' ').count();
            let len = value.get(start..).unwrap_or(&[]).iter().take_while(|&&b| b != b' ').count();
            at = start + len;
            if len == 0 {
                return Err(ParseError::new(ParseErrorKind::Syntax("m="), base + start));
            }
            Ok(start..at)
        };
        let (kind, ports, protocol) = (field()?, field()?, field()?);
        let formats = field().unwrap_or(value.len()..value.len());
        let number = |text: &[u8]| {
            decimal(text)
                .and_then(|n| u16::try_from(n).ok())
                .ok_or(ParseError::new(ParseErrorKind::Number, base + ports.start))
        };
        let mut parts = value.get(ports.clone()).unwrap_or(&[]).splitn(2, |&b| b == b'/');
        let port = number(parts.next().unwrap_or(&[]))?;
        let port_count = parts.next().map(number).transpose()?;
        let span = |r: core::ops::Range<usize>| Span16::new(base + r.start, base + r.end);
        Ok(Self {
            start: line.start() as u16,
            end: line.end() as u16,
            kind: span(kind),
            formats: span(formats.start..value.len()),
            protocol: span(protocol),
            ports: span(ports),
            connection: None,
            direction: None,
            port,
            port_count,
        })
    }

    /// Notes a line that follows the m-line.
    pub(super) fn take(&mut self, kind: u8, value: &[u8], line: &Line) {
        self.end = line.end() as u16;
        match kind {
            b'c' if self.connection.is_none() => self.connection = Some(line.value_span()),
            b'a' => self.direction = Direction::parse(value).or(self.direction),
            _ => {}
        }
    }
}

/// A transport protocol of an m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Protocol {
    /// `RTP/AVP` (RFC 3551).
    Avp,
    /// `RTP/AVPF` (RFC 4585).
    Avpf,
    /// `RTP/SAVP` (RFC 3711).
    Savp,
    /// `RTP/SAVPF` (RFC 5124).
    Savpf,
    /// `UDP/TLS/RTP/SAVP` (RFC 5764).
    DtlsSavp,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764).
    DtlsSavpf,
    /// `udptl`: fax over IP (T.38).
    Udptl,
}

const PROTOCOLS: [(Protocol, &str); 7] = [
    (Protocol::Avp, "RTP/AVP"),
    (Protocol::Avpf, "RTP/AVPF"),
    (Protocol::Savp, "RTP/SAVP"),
    (Protocol::Savpf, "RTP/SAVPF"),
    (Protocol::DtlsSavp, "UDP/TLS/RTP/SAVP"),
    (Protocol::DtlsSavpf, "UDP/TLS/RTP/SAVPF"),
    (Protocol::Udptl, "udptl"),
];

impl Protocol {
    /// The protocol of that name, in either case; `None` for one that the relay does not know.
    pub fn parse(name: &[u8]) -> Option<Self> {
        PROTOCOLS.iter().find(|(_, n)| n.as_bytes().eq_ignore_ascii_case(name)).map(|(p, _)| *p)
    }

    /// Its name in an m-line.
    pub fn as_str(self) -> &'static str {
        PROTOCOLS.iter().find(|(p, _)| *p == self).map_or("", |(_, n)| n)
    }

    /// Whether it carries RTP.
    pub const fn is_rtp(self) -> bool {
        !matches!(self, Self::Udptl)
    }

    /// Whether media is encrypted (SRTP), however it is keyed.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Savp | Self::Savpf | Self::DtlsSavp | Self::DtlsSavpf)
    }

    /// Whether DTLS keys it.
    pub const fn is_dtls(self) -> bool {
        matches!(self, Self::DtlsSavp | Self::DtlsSavpf)
    }

    /// Whether it has RTCP-based feedback.
    pub const fn has_feedback(self) -> bool {
        matches!(self, Self::Avpf | Self::Savpf | Self::DtlsSavpf)
    }
}

/// One media description.
#[derive(Clone, Copy, Debug)]
pub struct Media<'b> {
    bytes: &'b [u8],
    section: Section,
}

impl<'b> Media<'b> {
    pub(super) const fn new(bytes: &'b [u8], section: Section) -> Self {
        Self { bytes, section }
    }

    /// `<media>`: `audio`, `video`, `image`, ...
    pub fn kind(&self) -> &'b [u8] {
        self.section.kind.of(self.bytes)
    }

    /// The port; zero where the stream is refused (RFC 3264 §6).
    pub const fn port(&self) -> u16 {
        self.section.port
    }

    /// `<number of ports>`, where there is one.
    pub const fn port_count(&self) -> Option<u16> {
        self.section.port_count
    }

    /// `<proto>` as it came.
    pub fn protocol_text(&self) -> &'b [u8] {
        self.section.protocol.of(self.bytes)
    }

    /// `<proto>`; `None` for one that the relay does not know.
    pub fn protocol(&self) -> Option<Protocol> {
        Protocol::parse(self.protocol_text())
    }

    /// The formats, in order: payload types where the protocol carries RTP.
    pub fn formats(&self) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        super::session::fields(self.section.formats.of(self.bytes))
    }

    /// Its own `c=` line; the first where there are several.
    pub fn connection(&self) -> Option<Connection<'b>> {
        Connection::parse(self.section.connection?.of(self.bytes)).ok()
    }

    /// Its own direction attribute; the last where there are several.
    pub const fn direction(&self) -> Option<Direction> {
        self.section.direction
    }

    /// Its attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'b>> + use<'b> {
        attribute::walk(self.bytes, self.start(), self.end())
    }

    /// Its first attribute called `name`.
    pub fn attribute(&self, name: &[u8]) -> Option<Attribute<'b>> {
        self.attributes().find(|a| a.is(name))
    }

    /// All its lines, the m-line first.
    pub fn lines(&self) -> impl Iterator<Item = Line> + use<'b> {
        Lines::between(self.bytes, self.start(), self.end()).filter_map(Result::ok)
    }

    /// Where the m-line begins.
    pub const fn start(&self) -> usize {
        self.section.start as usize
    }

    /// Where the last line of the description ends.
    pub const fn end(&self) -> usize {
        self.section.end as usize
    }

    /// Where `<port>[/<number of ports>]` lies.
    pub const fn ports_at(&self) -> core::ops::Range<usize> {
        self.section.ports.start()..self.section.ports.end()
    }

    /// Where `<proto>` lies.
    pub const fn protocol_at(&self) -> core::ops::Range<usize> {
        self.section.protocol.start()..self.section.protocol.end()
    }

    /// Where the formats lie; empty at the end of the m-line where there are none.
    pub const fn formats_at(&self) -> core::ops::Range<usize> {
        self.section.formats.start()..self.section.formats.end()
    }
}
