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
    /// Shorter or longer than its fields say.
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

/// The fields of an advert but for its addresses.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Header {
    /// The version.
    pub version: Version,
    /// Virtual Router Identifier.
    pub vrid: u8,
    /// Priority; 0: the Active gives up.
    pub priority: u8,
    /// Advertisement_Interval in centiseconds; whole seconds in version 2.
    pub interval_centis: u16,
    /// Authentication type (version 2).
    pub auth_type: AuthType,
    /// Authentication data (version 2).
    pub auth_data: [u8; AUTH_DATA],
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Header")
            .field("version", &self.version)
            .field("vrid", &self.vrid)
            .field("priority", &self.priority)
            .field("interval_centis", &self.interval_centis)
            .field("auth_type", &self.auth_type)
            .finish_non_exhaustive()
    }
}

/// An advert that was checked: its fields and its checksum hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert<'a> {
    /// Its fields.
    pub header: Header,
    addresses: &'a [u8],
    ipv6: bool,
}

impl<'a> Advert<'a> {
    /// Checks what followed the IP header of a packet from `source` to `destination` (RFC 9568 §7.1, RFC 3768 §7.1).
    pub fn parse(bytes: &'a [u8], source: IpAddr, destination: IpAddr) -> Result<Self, AdvertError> {
        let (head, rest) = bytes.split_first_chunk::<HEADER>().ok_or(AdvertError::Length)?;
        let [version_type, vrid, priority, count, high, low, ..] = *head;
        let ipv6 = source.is_ipv6();
        let version = match version_type >> 4 {
            2 if !ipv6 => Version::V2,
            3 => Version::V3,
            _ => return Err(AdvertError::Version),
        };
        if version_type & 0x0f != ADVERTISEMENT {
            return Err(AdvertError::Type);
        }
        let addresses_len = usize::from(count) * if ipv6 { 16 } else { 4 };
        let (addresses, auth) = rest.split_at_checked(addresses_len).ok_or(AdvertError::Length)?;
        let (interval_centis, auth_type, auth_data) = match version {
            Version::V2 => {
                let data = <[u8; AUTH_DATA]>::try_from(auth).map_err(|_| AdvertError::Length)?;
                (u16::from(low) * 100, AuthType::from_wire(high), data)
            }
            Version::V3 if auth.is_empty() => (u16::from_be_bytes([high & 0x0f, low]), AuthType::None, [0; AUTH_DATA]),
            Version::V3 => return Err(AdvertError::Length),
        };
        if !checksum_holds(version, bytes, source, destination) {
            return Err(AdvertError::Checksum);
        }
        if vrid == 0 || count == 0 || interval_centis == 0 {
            return Err(AdvertError::Field);
        }
        let header = Header { version, vrid, priority, interval_centis, auth_type, auth_data };
        Ok(Self { header, addresses, ipv6 })
    }

    /// The virtual addresses that it lists.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let ipv6 = self.ipv6;
        self.addresses.chunks_exact(if ipv6 { 16 } else { 4 }).map(move |bytes| match ipv6 {
            true => IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default()),
            false => IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap_or_default()),
        })
    }
}

/// Writes an advert to the front of `out` and returns its length. None if it does not fit, if it lists more than 255
/// addresses, or if an address is not of the family of `source`.
pub fn write(
    out: &mut [u8],
    header: &Header,
    addresses: impl Iterator<Item = IpAddr>,
    checksum: Checksum,
    source: IpAddr,
    destination: IpAddr,
) -> Option<usize> {
    let mut len = HEADER;
    let mut count = 0u8;
    for address in addresses {
        len = match address {
            IpAddr::V4(address) if source.is_ipv4() => put(out, len, &address.octets())?,
            IpAddr::V6(address) if source.is_ipv6() => put(out, len, &address.octets())?,
            _ => return None,
        };
        count = count.checked_add(1)?;
    }
    let [high, low] = match header.version {
        Version::V2 => [header.auth_type.to_wire(), u8::try_from(header.interval_centis / 100).ok()?],
        Version::V3 => (header.interval_centis & 0x0fff).to_be_bytes(),
    };
    let version_type = ADVERTISEMENT | if header.version == Version::V2 { 0x20 } else { 0x30 };
    put(out, 0, &[version_type, header.vrid, header.priority, count, high, low, 0, 0])?;
    if header.version == Version::V2 {
        len = put(out, len, &header.auth_data)?;
    }
    let bytes = out.get_mut(..len)?;
    let pseudo = header.version == Version::V3 && (source.is_ipv6() || checksum == Checksum::WithPseudoHeader);
    let start = if pseudo { pseudo_header(len, source, destination) } else { 0 };
    let sum = !fold(add(start, bytes));
    put(bytes, 6, &sum.to_be_bytes())?;
    Some(len)
}

/// Writes `bytes` at `at` and returns where they end.
fn put(out: &mut [u8], at: usize, bytes: &[u8]) -> Option<usize> {
    let end = at.checked_add(bytes.len())?;
    out.get_mut(at..end)?.copy_from_slice(bytes);
    Some(end)
}

fn checksum_holds(version: Version, bytes: &[u8], source: IpAddr, destination: IpAddr) -> bool {
    const HOLDS: u16 = 0xffff;
    let alone = fold(add(0, bytes)) == HOLDS;
    let with_pseudo_header = || fold(add(pseudo_header(bytes.len(), source, destination), bytes)) == HOLDS;
    match version {
        Version::V2 => alone,
        Version::V3 if source.is_ipv6() => with_pseudo_header(),
        Version::V3 => alone || with_pseudo_header(),
    }
}

/// The sum of the pseudo-header (RFC 8200 §8.1; over IPv4 as of UDP, RFC 768).
fn pseudo_header(len: usize, source: IpAddr, destination: IpAddr) -> u32 {
    let address = |sum, address| match address {
        IpAddr::V4(address) => add(sum, &address.octets()),
        IpAddr::V6(address) => add(sum, &address.octets()),
    };
    let sum = address(address(0, source), destination);
    // A packet is shorter than 65,536 bytes, so the length is one word.
    sum + u32::from(PROTOCOL) + u32::from(len as u16)
}

/// Adds 16-bit words. The sum has room for more than 65,536 of them.
fn add(sum: u32, bytes: &[u8]) -> u32 {
    let mut sum = sum;
    for word in bytes.chunks(2) {
        let low = word.get(1).copied().unwrap_or(0);
        sum = sum.wrapping_add(u32::from(u16::from_be_bytes([word[0], low])));
    }
    sum
}

/// Ones' complement sum in 16 bits (RFC 1071).
fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

#[cfg(test)]
mod tests;
