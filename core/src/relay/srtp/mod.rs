//! SRTP and SRTCP (RFC 3711, RFC 6188, RFC 7714) in place, and their keys in SDP (RFC 4568).
//!
//! A [`Session`] is one direction of one media stream under one master key: either it protects what we send or it
//! unprotects what we receive, for all sources (SSRC) that the stream has. Nothing is allocated; packets are changed
//! where they lie.
//!
//! | part | source |
//! |---|---|
//! | [`Suite`]: ciphers, lengths, names | RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §12, §14 |
//! | [`MasterKey`]: key derivation, rate 0 | RFC 3711 §4.3, RFC 6188 §3, RFC 7714 §11 |
//! | [`Session`]: packet index, replay window, the transforms | RFC 3711 §3.3, §3.4, §4; RFC 7714 §8, §9 |
//! | [`sdes`]: `inline:` key parameters | RFC 4568 §6.1, §9.2 |
//!
//! A packet that is sent twice with one sequence number is refused the second time, as libsrtp does it: a second text
//! under one key stream would give both away (RFC 3711 §9.1).

mod key;
pub mod sdes;
mod session;
mod suite;
mod transform;
mod window;

use core::fmt;

pub use key::{KeyError, MasterKey};
pub use session::{STREAMS_MAX, Session};
pub use suite::Suite;

/// Longest MKI taken, in bytes (RFC 4568 §6.1 allows 128; what is seen has 1 to 4).
pub const MKI_MAX: usize = 8;
/// Most bytes that protection adds: the SRTCP index, an MKI of [`MKI_MAX`], a tag of 16; rounded up.
pub const TRAILER_MAX: usize = 32;

/// A master key identifier: bytes that stand in every packet (RFC 3711 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mki {
    bytes: [u8; MKI_MAX],
    len: u8,
}

impl Mki {
    /// `value` as a big-endian number of `len` bytes; `None` if `len` is 0 or over [`MKI_MAX`], or the value does not
    /// fit it.
    pub fn new(value: u64, len: usize) -> Option<Self> {
        let bytes = value.to_be_bytes();
        let start = MKI_MAX.checked_sub(len).filter(|_| len > 0)?;
        if bytes[..start].iter().any(|&b| b != 0) {
            return None;
        }
        let mut mki = Self { bytes: [0; MKI_MAX], len: len as u8 };
        mki.bytes[..len].copy_from_slice(&bytes[start..]);
        Some(mki)
    }

    /// The bytes in the packet.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The number they are.
    pub fn value(&self) -> u64 {
        self.as_bytes().iter().fold(0, |n, &b| n << 8 | u64::from(b))
    }
}

/// The session parameters of RFC 4568 §6.3 that change the packets. SRTCP is always authenticated (RFC 3711 §3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Params {
    /// Off by `UNENCRYPTED_SRTP`.
    pub encrypt_rtp: bool,
    /// Off by `UNENCRYPTED_SRTCP`: for what we send. What comes says it in each packet.
    pub encrypt_rtcp: bool,
    /// Off by `UNAUTHENTICATED_SRTP`.
    pub authenticate_rtp: bool,
    /// The identifier that the packets carry.
    pub mki: Option<Mki>,
}

impl Default for Params {
    fn default() -> Self {
        Self { encrypt_rtp: true, encrypt_rtcp: true, authenticate_rtp: true, mki: None }
    }
}

/// Why a packet was not protected or unprotected. It is as it was before, and so is the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SrtpError {
    /// No RTP or RTCP, or shorter than what protection adds.
    Malformed,
    /// The tag is wrong.
    Authentication,
    /// The packet was seen before; on sending, its sequence number.
    Replayed,
    /// The packet is older than the replay window, or than the start of the stream.
    TooOld,
    /// The packet carries another master key identifier.
    Mki,
    /// The buffer has no room for what protection adds.
    NoRoom,
    /// More sources than [`STREAMS_MAX`] under one key.
    Streams,
    /// The packet index is used up: the session needs a new key (RFC 3711 §9.2).
    KeyExhausted,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed packet",
            Self::Authentication => "authentication failed",
            Self::Replayed => "packet seen before",
            Self::TooOld => "packet older than the replay window",
            Self::Mki => "unknown master key identifier",
            Self::NoRoom => "no room for the tag",
            Self::Streams => "too many sources under one key",
            Self::KeyExhausted => "key used up",
        })
    }
}

impl core::error::Error for SrtpError {}

#[cfg(test)]
mod tests;
