//! Local addresses as operators write them: `[LABEL/]ADDRESS[!ADVERTISED]`.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use super::config::{Interface, LABEL_MAX};
use super::media::PortRange;

/// The label of an address that is written without one.
pub const DEFAULT_LABEL: &str = "default";

/// A local address for media.
///
/// ```
/// use trunkline_core::relay::Address;
///
/// let address: Address = "external/10.0.1.20!203.0.113.50".parse()?;
/// assert_eq!(address.label, "external");
/// assert_eq!(address.advertised.to_string(), "203.0.113.50");
/// assert_eq!("[2001:db8::1]".parse::<Address>()?.to_string(), "default/2001:db8::1");
/// # Ok::<(), trunkline_core::relay::AddressError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The name that `direction` uses.
    pub label: heapless::String<LABEL_MAX>,
    /// The address sockets are bound to.
    pub bound: IpAddr,
    /// The address that is written into SDP.
    pub advertised: IpAddr,
}

impl Address {
    /// The address with its ports.
    pub fn with_ports(&self, ports: PortRange) -> Interface {
        Interface { label: self.label.clone(), bound: self.bound, advertised: self.advertised, ports }
    }
}

/// Why a text is no address for media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AddressError {
    /// The label is empty or too long, or has a colon, by which rtpengine marks addresses that take turns.
    Label,
    /// No IP address, where the address of this machine stands.
    Bound,
    /// No IP address, where the advertised one stands.
    Advertised,
    /// Sockets on all addresses of a machine do not say which one a packet came to.
    Unspecified,
    /// The two addresses are not of one family.
    Families,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label => {
                write!(f, "a label is 1 to {LABEL_MAX} bytes without `:`; addresses that share one take turns")
            }
            Self::Bound => f.write_str("wanted `LABEL/ADDRESS!ADVERTISED`, with an IP address of this machine"),
            Self::Advertised => f.write_str("what stands after `!` is no IP address"),
            Self::Unspecified => f.write_str("wanted one address, not that of all"),
            Self::Families => f.write_str("the advertised address is of another family"),
        }
    }
}

impl core::error::Error for AddressError {}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (label, addresses) = text.split_once('/').unwrap_or((DEFAULT_LABEL, text));
        let (bound, advertised) = addresses.split_once('!').unwrap_or((addresses, addresses));
        if label.is_empty() || label.contains(':') {
            return Err(AddressError::Label);
        }
        let label = heapless::String::try_from(label).map_err(|_| AddressError::Label)?;
        let bound = ip(bound).ok_or(AddressError::Bound)?;
        let advertised = ip(advertised).ok_or(AddressError::Advertised)?;
        if bound.is_unspecified() || advertised.is_unspecified() {
            return Err(AddressError::Unspecified);
        }
        if bound.is_ipv4() != advertised.is_ipv4() {
            return Err(AddressError::Families);
        }
        Ok(Self { label, bound, advertised })
    }
}

fn ip(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.label, self.bound)?;
        if self.advertised == self.bound { Ok(()) } else { write!(f, "!{}", self.advertised) }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    extern crate alloc;

    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for (text, canonical) in [
            ("internal/10.0.1.20", "internal/10.0.1.20"),
            ("external/10.0.1.20!203.0.113.50", "external/10.0.1.20!203.0.113.50"),
            ("10.0.1.20!10.0.1.20", "default/10.0.1.20"),
            ("v6/[2001:db8::1]!2001:db8::2", "v6/2001:db8::1!2001:db8::2"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_wrong_has_a_name() {
        for (text, error) in [
            ("", AddressError::Bound),
            ("a/", AddressError::Bound),
            ("a/host.example.com", AddressError::Bound),
            ("a/10.0.0.1:5000", AddressError::Bound),
            ("/10.0.0.1", AddressError::Label),
            ("a:1/10.0.0.1", AddressError::Label),
            ("a/10.0.0.1!", AddressError::Advertised),
            ("a/0.0.0.0", AddressError::Unspecified),
            ("a/10.0.0.1!::", AddressError::Unspecified),
            ("a/10.0.0.1!2001:db8::1", AddressError::Families),
        ] {
            assert_eq!(text.parse::<Address>(), Err(error), "{text}");
        }
        assert_eq!(
            alloc::format!("{}/10.0.0.1", "x".repeat(LABEL_MAX + 1)).parse::<Address>(),
            Err(AddressError::Label)
        );
    }
}
