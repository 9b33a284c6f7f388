//! VRRP adverts as bytes: version 2 (RFC 3768, with the authentication of RFC 2338) and version 3 (RFC 9568).

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest advert: 255 IPv6 addresses.
pub const ADVERT_MAX: usize = HEADER + 255 * 16;
/// IP protocol number.
pub const PROTOCOL: u8 = 112;
/// The IPv4 multicast group.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// The IPv6 multicast group.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

const HEADER: usize = 8;
const AUTH_DATA: usize = 8;
const ADVERTISEMENT: u8 = 1;

/// The version of the protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// VRRPv2: IPv4, whole seconds (RFC 3768).
    V2,
    /// VRRPv3: IPv4 and IPv6, centiseconds (RFC 9568).
    #[default]
    V3,
}

/// Authentication types of VRRPv2 (RFC 2338 §5.3.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AuthType {
    /// None.
    #[default]
    None,
    /// A password in clear.
    SimplePassword,
    /// Another one.
    Other(u8),
}

impl AuthType {
    const fn from_wire(number: u8) -> Self {
        match number {
            0 => Self::None,
            1 => Self::SimplePassword,
            other => Self::Other(other),
        }
    }

    const fn to_wire(self) -> u8 {
        match self {
            Self::None => 0,
            Self::SimplePassword => 1,
            Self::Other(other) => other,
        }
    }
}

/// What the checksum of VRRPv3 over IPv4 covers. RFC 5798 was read both ways: Keepalived and FRR put a pseudo-header in
/// front, RFC 9568 §5.2.8 leaves it out. Over IPv6 it is always there, in VRRPv2 never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Checksum {
    /// The advert with a pseudo-header in front.
    #[default]
    WithPseudoHeader,
    /// The advert alone.
    AdvertOnly,
}

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AdvertError {
    /// Shorter than it says, or longer than its addresses.
    Length,
    /// Neither version 2 nor version 3, or version 2 over IPv6.
    Version,
    /// No ADVERTISEMENT.
    Type,
    /// The checksum does not match.
    Checksum,
    /// VRID 0, no address, or an interval of zero.
    Field,
}

impl fmt::Display for AdvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "length of the advert does not match its fields",
            Self::Version => "unknown VRRP version",
            Self::Type => "no VRRP advertisement",
            Self::Checksum => "VRRP checksum does not match",
            Self::Field => "VRID, address count or interval is zero",
        })
    }
}

impl core::error::Error for AdvertError {}
