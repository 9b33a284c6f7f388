//! `a=crypto` (RFC 4568 §9.1): keys of SRTP in the description.

use core::fmt;

use super::session::fields;
use crate::wire::sip::put::Put;
use crate::wire::sip::token::decimal;

/// Longest master key and salt of any suite, in bytes.
pub const KEY_MAX: usize = 46;
/// Most `a=crypto` lines read of one media description.
pub const CRYPTO_MAX: usize = 16;

/// A crypto suite (RFC 4568 §6.2, RFC 6188, RFC 7714; the NULL ones are rtpengine's names).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "the names are the registered ones")]
#[non_exhaustive]
pub enum Suite {
    AeadAes256Gcm,
    AeadAes128Gcm,
    Aes256CmHmacSha1_80,
    Aes256CmHmacSha1_32,
    Aes192CmHmacSha1_80,
    Aes192CmHmacSha1_32,
    AesCm128HmacSha1_80,
    AesCm128HmacSha1_32,
    NullHmacSha1_80,
    NullHmacSha1_32,
}

/// Suite, name, master key and master salt in bytes; in the order in which they are offered.
const SUITES: [(Suite, &str, usize, usize); 10] = [
    (Suite::AeadAes256Gcm, "AEAD_AES_256_GCM", 32, 12),
    (Suite::AeadAes128Gcm, "AEAD_AES_128_GCM", 16, 12),
    (Suite::Aes256CmHmacSha1_80, "AES_256_CM_HMAC_SHA1_80", 32, 14),
    (Suite::Aes256CmHmacSha1_32, "AES_256_CM_HMAC_SHA1_32", 32, 14),
    (Suite::Aes192CmHmacSha1_80, "AES_192_CM_HMAC_SHA1_80", 24, 14),
    (Suite::Aes192CmHmacSha1_32, "AES_192_CM_HMAC_SHA1_32", 24, 14),
    (Suite::AesCm128HmacSha1_80, "AES_CM_128_HMAC_SHA1_80", 16, 14),
    (Suite::AesCm128HmacSha1_32, "AES_CM_128_HMAC_SHA1_32", 16, 14),
    (Suite::NullHmacSha1_80, "NULL_HMAC_SHA1_80", 16, 14),
    (Suite::NullHmacSha1_32, "NULL_HMAC_SHA1_32", 16, 14),
];

impl Suite {
    /// All suites, the strongest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        SUITES.iter().map(|s| s.0)
    }

    /// The suite of that name, in either case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        SUITES.iter().find(|s| s.1.as_bytes().eq_ignore_ascii_case(name)).map(|s| s.0)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        SUITES[self as usize].1
    }

    /// Bytes of the master key.
    pub const fn key_len(self) -> usize {
        SUITES[self as usize].2
    }

    /// Bytes of the master salt.
    pub const fn salt_len(self) -> usize {
        SUITES[self as usize].3
    }

    /// Whether it encrypts at all.
    pub const fn encrypts(self) -> bool {
        !matches!(self, Self::NullHmacSha1_80 | Self::NullHmacSha1_32)
    }
}

/// A set of suites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SuiteSet(u16);

impl SuiteSet {
    /// No suite.
    pub const EMPTY: Self = Self(0);

    /// Whether `suite` is in it.
    pub const fn has(self, suite: Suite) -> bool {
        self.0 & (1 << suite as u16) != 0
    }

    /// Adds `suite`.
    pub const fn insert(&mut self, suite: Suite) {
        self.0 |= 1 << suite as u16;
    }

    /// Whether it holds none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Session parameters that both sides keep (RFC 4568 §6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SessionParams {
    /// `UNENCRYPTED_SRTP`.
    pub unencrypted_srtp: bool,
    /// `UNENCRYPTED_SRTCP`.
    pub unencrypted_srtcp: bool,
    /// `UNAUTHENTICATED_SRTP`.
    pub unauthenticated_srtp: bool,
}

/// A master key with its salt. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct MasterKey {
    bytes: heapless::Vec<u8, KEY_MAX>,
}

impl MasterKey {
    /// The first `len` bytes of what `fill` fills in; at most [`KEY_MAX`].
    pub fn with(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut bytes = heapless::Vec::new();
        let _ = bytes.resize(len.min(KEY_MAX), 0);
        fill(&mut bytes);
        Self { bytes }
    }

    /// Key and salt, one after the other.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({} bytes)", self.bytes.len())
    }
}

/// Master key identifier: value and length in bytes (RFC 4568 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mki {
    /// Value.
    pub value: u32,
    /// Bytes it takes in a packet.
    pub len: u8,
}

/// One `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Tag, unique in its media description.
    pub tag: u32,
    /// Suite.
    pub suite: Suite,
    /// Key and salt.
    pub key: MasterKey,
    /// Whether a lifetime is written (`2^31` packets); a received one only says that there was one.
    pub lifetime: bool,
    /// Master key identifier.
    pub mki: Option<Mki>,
    /// Session parameters.
    pub params: SessionParams,
}

impl Crypto {
    /// Parses the value of an `a=crypto`. `None` where the line cannot be used: an unknown suite or key method, a key of the
    /// wrong length, more than one key, or a session parameter that must be understood and is not (RFC 4568 §6.3.7).
    pub fn parse(value: &[u8]) -> Option<Self> {
        let mut fields = fields(value);
        let tag = decimal(fields.next()?)?;
        let suite = Suite::parse(fields.next()?)?;
        let key_params = fields.next()?;
        let (method, info) = key_params.split_at_checked(7)?;
        if !method.eq_ignore_ascii_case(b"inline:") || info.contains(&b';') {
            return None;
        }
        let mut parts = info.split(|&b| b == b'|');
        let mut bytes = heapless::Vec::new();
        decode_base64(parts.next()?, &mut bytes)?;
        if bytes.len() != suite.key_len() + suite.salt_len() {
            return None;
        }
        let (mut lifetime, mut mki) = (false, None);
        for part in parts {
            match memchr::memchr(b':', part) {
                Some(colon) => mki = Some(parse_mki(part, colon)?),
                None => lifetime = true,
            }
        }
        let mut params = SessionParams::default();
        for param in fields {
            match param {
                b"UNENCRYPTED_SRTP" => params.unencrypted_srtp = true,
                b"UNENCRYPTED_SRTCP" => params.unencrypted_srtcp = true,
                b"UNAUTHENTICATED_SRTP" => params.unauthenticated_srtp = true,
                // A window that we may ignore, and what says of itself that it may be ignored.
                p if p.starts_with(b"WSH=") || p.starts_with(b"-") => {}
                _ => return None,
            }
        }
        Some(Self { tag, suite, key: MasterKey { bytes }, lifetime, mki, params })
    }

    /// Writes the value of the attribute, with `=` at the end of the key if `pad` asks for it.
    pub fn write(&self, pad: bool, out: &mut (impl Put + ?Sized)) {
        out.put_number(u64::from(self.tag));
        out.put(b" ");
        out.put(self.suite.as_str().as_bytes());
        out.put(b" inline:");
        encode_base64(self.key.as_bytes(), pad, out);
        if self.lifetime {
            out.put(b"|2^31");
        }
        if let Some(mki) = self.mki {
            out.put(b"|");
            out.put_number(u64::from(mki.value));
            out.put(b":");
            out.put_number(u64::from(mki.len));
        }
        for (set, name) in [
            (self.params.unencrypted_srtp, " UNENCRYPTED_SRTP"),
            (self.params.unencrypted_srtcp, " UNENCRYPTED_SRTCP"),
            (self.params.unauthenticated_srtp, " UNAUTHENTICATED_SRTP"),
        ] {
            if set {
                out.put(name.as_bytes());
            }
        }
    }
}

fn parse_mki(part: &[u8], colon: usize) -> Option<Mki> {
    let value = decimal(part.get(..colon)?)?;
    let len = decimal(part.get(colon + 1..)?).and_then(|n| u8::try_from(n).ok())?;
    (1..=128).contains(&len).then_some(Mki { value, len })
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn encode_base64(bytes: &[u8], pad: bool, out: &mut (impl Put + ?Sized)) {
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().enumerate().fold(0u32, |w, (i, b)| w | u32::from(*b) << (16 - 8 * i));
        let digits = [18, 12, 6, 0].map(|shift| BASE64[(word >> shift & 63) as usize]);
        let used = chunk.len() + 1;
        out.put(&digits[..used]);
        if pad {
            out.put(&b"=="[..4 - used]);
        }
    }
}

/// Decodes base64 with or without padding; `None` where it is none or longer than [`KEY_MAX`].
fn decode_base64(text: &[u8], out: &mut heapless::Vec<u8, KEY_MAX>) -> Option<()> {
    let padding = text.iter().rev().take_while(|&&b| b == b'=').count();
    let text = text.get(..text.len() - padding)?;
    if padding > 2 || text.len() % 4 == 1 {
        return None;
    }
    let (mut word, mut bits) = (0u32, 0);
    for &b in text {
        let digit = BASE64.iter().position(|&d| d == b)? as u32;
        word = word << 6 | digit;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits & 0xff) as u8).ok()?;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::wire::sip::put::Text;

    fn written(c: &Crypto, pad: bool) -> Vec<u8> {
        Text::<256>::with(|t| c.write(pad, t)).as_bytes().to_vec()
    }

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (i, suite) in Suite::all().enumerate() {
            assert_eq!(suite as usize, i);
            assert_eq!(Suite::parse(suite.as_str().as_bytes()), Some(suite));
            assert!(suite.key_len() + suite.salt_len() <= KEY_MAX);
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_read_and_written() {
        // RFC 4568 §6.1, on one line.
        let value = b"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32";
        let c = Crypto::parse(value).unwrap();
        assert_eq!((c.tag, c.suite, c.lifetime), (1, Suite::AesCm128HmacSha1_80, true));
        assert_eq!(c.mki, Some(Mki { value: 1, len: 32 }));
        assert_eq!(c.key.as_bytes(), b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
        let expected = b"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^31|1:32";
        assert_eq!(written(&c, true), expected);
    }

    #[test]
    fn every_suite_goes_round_with_and_without_padding() {
        for suite in Suite::all() {
            let key = MasterKey::with(suite.key_len() + suite.salt_len(), |k| {
                k.iter_mut().enumerate().for_each(|(i, b)| *b = (i * 37) as u8);
            });
            let params = SessionParams { unencrypted_srtp: true, unencrypted_srtcp: true, unauthenticated_srtp: true };
            let c = Crypto { tag: 7, suite, key, lifetime: false, mki: None, params };
            for pad in [false, true] {
                let text = written(&c, pad);
                assert_eq!(text.contains(&b'='), pad && !(suite.key_len() + suite.salt_len()).is_multiple_of(3));
                assert_eq!(Crypto::parse(&text), Some(c.clone()));
            }
        }
    }

    #[test]
    fn lines_that_cannot_be_used_are_none() {
        let key = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
        for bad in [
            "".into(),
            "1".into(),
            std::format!("x AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            std::format!("99999999999 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            std::format!("1 F8_128_HMAC_SHA1_80 inline:{key}"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 uri:{key}"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}A"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &key[4..]),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:!{}", &key[1..]),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key};inline:{key}"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:0"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:129"),
            std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} KDR=1"),
        ] {
            assert_eq!(Crypto::parse(bad.as_bytes()), None, "{bad}");
        }
        let ignorable = std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=64 -X=1");
        assert!(Crypto::parse(ignorable.as_bytes()).is_some());
    }

    #[test]
    fn debug_does_not_show_the_key() {
        let c = Crypto::parse(b"1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj").unwrap();
        let text = std::format!("{c:?}");
        assert!(text.contains("MasterKey(30 bytes)") && !text.contains("119"), "{text}");
    }
}
