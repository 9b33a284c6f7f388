//! Master keys, and the session keys derived from them (RFC 3711 §4.3).

use core::fmt;

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use zeroize::Zeroizing;

use super::Suite;
use super::transform::{Transform, add_key_stream, cipher};
use crate::entropy::Entropy;

/// Bytes of the longest master key with its salt.
pub(super) const MASTER_MAX: usize = 32 + 14;
/// Bytes of an HMAC-SHA1 key (RFC 3711 §5.2).
pub(super) const AUTH_LEN: usize = 20;

/// Why key and parameters make no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum KeyError {
    /// Key and salt are not as long as the suite wants them.
    Length,
    /// The suite can not do without encryption or authentication of RTP.
    Params,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "master key and salt of a wrong length",
            Self::Params => "the suite always encrypts and authenticates RTP",
        })
    }
}

impl core::error::Error for KeyError {}

/// A master key with its salt, for one suite. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    bytes: Zeroizing<[u8; MASTER_MAX]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("suite", &self.suite).finish_non_exhaustive()
    }
}

impl MasterKey {
    /// The key and salt in `bytes`, one behind the other.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] unless they are as long as the suite wants.
    pub fn new(suite: Suite, bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() != suite.key_len() + suite.salt_len() {
            return Err(KeyError::Length);
        }
        let mut key = Self { suite, bytes: Zeroizing::new([0; MASTER_MAX]) };
        key.bytes[..bytes.len()].copy_from_slice(bytes);
        Ok(key)
    }

    /// A new key out of secret bytes.
    pub fn generate(suite: Suite, entropy: &mut dyn Entropy) -> Self {
        let mut key = Self { suite, bytes: Zeroizing::new([0; MASTER_MAX]) };
        entropy.fill_secret(&mut key.bytes[..suite.key_len() + suite.salt_len()]);
        key
    }

    /// The suite it is for.
    pub const fn suite(&self) -> Suite {
        self.suite
    }

    /// Key and salt, for SDP.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.suite.key_len() + self.suite.salt_len()]
    }

    pub(super) fn derive(&self, usage: Usage) -> SessionKeys {
        let (key, salt) = self.as_bytes().split_at(self.suite.key_len());
        let prf = Prf::new(key);
        let mut keys = SessionKeys::default();
        let label = usage as u8;
        prf.fill(salt, label, &mut keys.key[..self.suite.key_len()]);
        prf.fill(salt, label + 1, &mut keys.auth[..]);
        prf.fill(salt, label + 2, &mut keys.salt[..self.suite.salt_len()]);
        keys
    }

    /// The transform of packets with the keys for `usage`.
    pub(super) fn transform(&self, usage: Usage) -> Transform {
        Transform::new(self.suite, &self.derive(usage))
    }
}

/// What session keys are for: the first of their three labels (RFC 3711 §4.3.1, §4.3.2).
#[derive(Clone, Copy)]
pub(super) enum Usage {
    Rtp = 0,
    Rtcp = 3,
}

/// Session keys; only the first bytes are used where the suite wants fewer.
#[derive(Default)]
pub(super) struct SessionKeys {
    pub(super) key: Zeroizing<[u8; 32]>,
    pub(super) auth: Zeroizing<[u8; AUTH_LEN]>,
    pub(super) salt: Zeroizing<[u8; 14]>,
}

/// AES in counter mode under the master key (RFC 3711 §4.3.3, RFC 6188 §3).
enum Prf {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

impl Prf {
    fn new(key: &[u8]) -> Self {
        match key.len() {
            16 => Self::Aes128(cipher(key)),
            24 => Self::Aes192(cipher(key)),
            _ => Self::Aes256(cipher(key)),
        }
    }

    /// Fills `out` with the key of this label. A salt of 96 bits counts as if 16 zero bits followed (RFC 7714 §11).
    fn fill(&self, salt: &[u8], label: u8, out: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..salt.len()].copy_from_slice(salt);
        iv[7] ^= label;
        match self {
            Self::Aes128(aes) => add_key_stream(aes, iv, out),
            Self::Aes192(aes) => add_key_stream(aes, iv, out),
            Self::Aes256(aes) => add_key_stream(aes, iv, out),
        }
    }
}
