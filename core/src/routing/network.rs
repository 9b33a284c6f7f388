//! Address prefixes.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Network {
    addr: IpAddr,
    bits: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NetworkError {
    /// The address is none.
    Address,
    /// The prefix length is no number, or too large for the address.
    Bits,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "expected an IP address, as in 10.0.0.0/8 or 2001:db8::/32",
            Self::Bits => "the prefix length must be a number, at most 32 for IPv4 and 128 for IPv6",
        })
    }
}

impl core::error::Error for NetworkError {}

impl Network {
    /// Whether `addr` lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                same_prefix(u128::from(net.to_bits()) << 96, u128::from(a.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => same_prefix(net.to_bits(), a.to_bits(), self.bits),
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (128 - u32::from(bits)) == 0
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (addr, bits) = match text.split_once('/') {
            Some((a, b)) => (a, Some(b)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| NetworkError::Address)?;
        let max = if addr.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(b) => b.parse().ok().filter(|b| *b <= max).ok_or(NetworkError::Bits)?,
            None => max,
        };
        Ok(Self { addr, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(net: &str, addr: &str) -> bool {
        net.parse::<Network>().unwrap().contains(addr.parse().unwrap())
    }

    #[test]
    fn prefixes() {
        assert!(contains("10.0.0.0/8", "10.255.1.2"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
    }

    #[test]
    fn nonsense() {
        assert_eq!("10.0.0/8".parse::<Network>(), Err(NetworkError::Address));
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError::Bits));
        assert_eq!("::/x".parse::<Network>(), Err(NetworkError::Bits));
    }
}
