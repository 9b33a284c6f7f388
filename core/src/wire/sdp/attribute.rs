//! Attributes (RFC 8866 §5.13, §6) and those the relay reads.

use core::net::IpAddr;

use super::lines::Lines;
use super::session::parse_ip;
use crate::wire::sip::token::decimal;

/// An `a=` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'b> {
    /// The whole value: `name` or `name:value`.
    pub text: &'b [u8],
    /// The name.
    pub name: &'b [u8],
    /// What follows the colon; `None` for a property attribute.
    pub value: Option<&'b [u8]>,
}

impl<'b> Attribute<'b> {
    /// The attribute in the value of an `a=` line.
    pub fn parse(text: &'b [u8]) -> Self {
        match memchr::memchr(b':', text).map(|colon| text.split_at(colon)) {
            Some((name, rest)) => Self { text, name, value: rest.get(1..) },
            None => Self { text, name: text, value: None },
        }
    }

    /// Whether it is called `name`; names are case-sensitive (RFC 8866 §5.13).
    pub fn is(&self, name: &[u8]) -> bool {
        self.name == name
    }

    /// The value, empty where there is none.
    pub fn value(&self) -> &'b [u8] {
        self.value.unwrap_or(&[])
    }
}

/// The attributes between two offsets at which lines begin.
pub(super) fn walk(bytes: &[u8], start: usize, end: usize) -> impl Iterator<Item = Attribute<'_>> {
    Lines::between(bytes, start, end)
        .filter_map(Result::ok)
        .filter(|line| line.kind == b'a')
        .map(move |line| Attribute::parse(line.value(bytes)))
}

/// The direction of a stream (RFC 8866 §6.7, RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// Both ways: the default.
    #[default]
    SendRecv,
    /// The describing party only sends.
    SendOnly,
    /// The describing party only receives.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// The direction that an attribute names.
    pub const fn parse(attribute: &[u8]) -> Option<Self> {
        match attribute {
            b"sendrecv" => Some(Self::SendRecv),
            b"sendonly" => Some(Self::SendOnly),
            b"recvonly" => Some(Self::RecvOnly),
            b"inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    /// From whether the describing party sends and receives.
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Its attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether the describing party sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the describing party receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same stream seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What an answer may say at most to this offer when the answerer wants `wanted` (RFC 3264 §6.1).
    #[must_use]
    pub const fn answer(self, wanted: Self) -> Self {
        Self::new(self.receives() && wanted.sends(), self.sends() && wanted.receives())
    }
}

/// An `a=rtpmap` value (RFC 8866 §6.6), or what stands for it where the payload type is static (RFC 3551 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'b> {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// Encoding name, case-insensitive.
    pub encoding: &'b [u8],
    /// Clock rate in hertz.
    pub clock_rate_hz: u32,
    /// Channels; one where it says nothing.
    pub channels: u8,
}

impl<'b> RtpMap<'b> {
    /// Parses `<payload type> <encoding name>/<clock rate>[/<channels>]`.
    pub fn parse(value: &'b [u8]) -> Option<Self> {
        let mut fields = super::session::fields(value);
        let payload_type = payload_type(fields.next()?)?;
        let mut parts = fields.next()?.split(|&b| b == b'/');
        let encoding = parts.next().filter(|name| !name.is_empty())?;
        let clock_rate_hz = decimal(parts.next()?)?;
        let channels = match parts.next() {
            Some(text) => decimal(text).and_then(|n| u8::try_from(n).ok())?,
            None => 1,
        };
        Some(Self { payload_type, encoding, clock_rate_hz, channels })
    }

    /// The meaning of a payload type without an `a=rtpmap`.
    pub fn of_static(payload_type: u8) -> Option<RtpMap<'static>> {
        let (_, encoding, clock_rate_hz, channels) = *STATIC.iter().find(|entry| entry.0 == payload_type)?;
        Some(RtpMap { payload_type, encoding: encoding.as_bytes(), clock_rate_hz, channels })
    }
}

/// A payload type as a format of an m-line or at the head of a value.
pub fn payload_type(text: &[u8]) -> Option<u8> {
    decimal(text).and_then(|n| u8::try_from(n).ok()).filter(|n| *n < 128)
}

/// Static payload types (RFC 3551 §6, tables 4 and 5).
const STATIC: [(u8, &str, u32, u8); 24] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (14, "MPA", 90_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
    (25, "CelB", 90_000, 1),
    (26, "JPEG", 90_000, 1),
    (28, "nv", 90_000, 1),
    (31, "H261", 90_000, 1),
    (32, "MPV", 90_000, 1),
    (33, "MP2T", 90_000, 1),
    (34, "H263", 90_000, 1),
];

/// An `a=rtcp` value (RFC 3605 §2.1): where RTCP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RtcpAddress {
    /// Port.
    pub port: u16,
    /// Address, where it is not that of the media.
    pub ip: Option<IpAddr>,
}

impl RtcpAddress {
    /// Parses `<port> [IN <addrtype> <address>]`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut fields = super::session::fields(value);
        let port = decimal(fields.next()?).and_then(|n| u16::try_from(n).ok())?;
        let ip = match (fields.next(), fields.next(), fields.next()) {
            (None, ..) => None,
            (Some(net), Some(family), Some(address)) if net.eq_ignore_ascii_case(b"IN") => parse_ip(family, address),
            _ => return None,
        };
        Some(Self { port, ip })
    }
}
