//! Key parameters of `a=crypto` (RFC 4568 §6.1): `inline:<key||salt>["|" lifetime]["|" MKI ":" length]`.

use core::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};
use zeroize::Zeroizing;

use super::key::MASTER_MAX;
use super::{MasterKey, Mki, Suite};
use crate::wire::sip::put::Put;

/// Characters of the longest key in base64.
const BASE64_MAX: usize = MASTER_MAX.div_ceil(3) * 4;
/// The longest lifetime, in packets (RFC 3711 §9.2).
const LIFETIME_MAX: u64 = 1 << 48;

/// Why key parameters were not taken. The line they stand in is no key for us; others may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SdesError {
    /// Another method than `inline`.
    Method,
    /// The key is no base64, or not as long as the suite wants it.
    Key,
    /// The lifetime is no number of packets from 1 to 2^48.
    Lifetime,
    /// The MKI is malformed or longer than [`MKI_MAX`](super::MKI_MAX).
    Mki,
    /// More than one key, or more fields than there are.
    Several,
}

impl fmt::Display for SdesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "key method is not inline",
            Self::Key => "key is malformed or of a wrong length",
            Self::Lifetime => "lifetime is malformed or out of range",
            Self::Mki => "MKI is malformed or too long",
            Self::Several => "more than one key",
        })
    }
}

impl core::error::Error for SdesError {}

/// A key as SDP carries it. The lifetime is for the peer to see: at 50 packets a second 2^31 packets are 16 months,
/// and the session itself ends with its index.
#[derive(Clone, Debug)]
pub struct KeyParams {
    /// Key and salt.
    pub key: MasterKey,
    /// Packets that the key may be used for.
    pub lifetime: Option<u64>,
    /// The identifier that packets carry.
    pub mki: Option<Mki>,
}

impl KeyParams {
    /// Reads key parameters for `suite`: one word of the line, from `inline:` on.
    ///
    /// # Errors
    ///
    /// [`SdesError`].
    pub fn parse(suite: Suite, text: &[u8]) -> Result<Self, SdesError> {
        let (method, info) = text.split_at_checked(b"inline:".len()).ok_or(SdesError::Method)?;
        if !method.eq_ignore_ascii_case(b"inline:") {
            return Err(SdesError::Method);
        }
        if info.contains(&b';') {
            return Err(SdesError::Several);
        }
        let mut fields = info.split(|&b| b == b'|');
        let mut params = Self { key: key(suite, fields.next().unwrap_or_default())?, lifetime: None, mki: None };
        let mut next = fields.next();
        if let Some(field) = next.filter(|f| !f.contains(&b':')) {
            params.lifetime = Some(lifetime(field).ok_or(SdesError::Lifetime)?);
            next = fields.next();
        }
        if let Some(field) = next {
            params.mki = Some(mki(field).ok_or(SdesError::Mki)?);
        }
        if fields.next().is_some() { Err(SdesError::Several) } else { Ok(params) }
    }

    /// Writes them as [`Self::parse`] reads them; the base64 with its `=` if `pad` (RFC 4568 wants them; many peers
    /// are used to their absence).
    pub fn write(&self, out: &mut (impl Put + ?Sized), pad: bool) {
        let mut buf = Zeroizing::new([0; BASE64_MAX]);
        let bytes = self.key.as_bytes();
        let text = if pad { Base64::encode(bytes, &mut buf[..]) } else { Base64Unpadded::encode(bytes, &mut buf[..]) };
        out.put(b"inline:");
        // The longest key fits.
        out.put(text.unwrap_or_default().as_bytes());
        if let Some(lifetime) = self.lifetime {
            out.put(b"|");
            if lifetime.is_power_of_two() {
                out.put(b"2^");
                out.put_number(u64::from(lifetime.trailing_zeros()));
            } else {
                out.put_number(lifetime);
            }
        }
        if let Some(mki) = self.mki {
            out.put(b"|");
            out.put_number(mki.value());
            out.put(b":");
            out.put_number(mki.as_bytes().len() as u64);
        }
    }
}

fn key(suite: Suite, text: &[u8]) -> Result<MasterKey, SdesError> {
    let len = text.iter().rposition(|&b| b != b'=').map_or(0, |last| last + 1);
    let mut buf = Zeroizing::new([0; MASTER_MAX]);
    let bytes = Base64Unpadded::decode(&text[..len], &mut buf[..]).map_err(|_| SdesError::Key)?;
    MasterKey::new(suite, bytes).map_err(|_| SdesError::Key)
}

fn lifetime(text: &[u8]) -> Option<u64> {
    let packets = match text.strip_prefix(b"2^") {
        Some(exponent) => 1u64.checked_shl(u32::try_from(number(exponent)?).ok()?)?,
        None => number(text)?,
    };
    (1..=LIFETIME_MAX).contains(&packets).then_some(packets)
}

fn mki(text: &[u8]) -> Option<Mki> {
    let colon = text.iter().position(|&b| b == b':')?;
    Mki::new(number(&text[..colon])?, usize::try_from(number(&text[colon + 1..])?).ok()?)
}

/// Decimal digits, and nothing else.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, &b| {
        let digit = char::from(b).to_digit(10)?;
        n.checked_mul(10)?.checked_add(u64::from(digit))
    })
}
