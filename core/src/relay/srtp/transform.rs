//! The transforms of one packet: AES-CM with HMAC-SHA1 (RFC 3711 §4), AES-GCM (RFC 7714 §8, §9).
//!
//! Callers have checked all lengths: the header fits the packet, and the packet its trailer.

use aes::{Aes128Enc, Aes192Enc, Aes256Enc};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::consts::U12;
use aes_gcm::{AesGcm, Nonce, Tag};
use ctr::CtrCore;
use ctr::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, Key, KeyInit, StreamCipherCore, consts::U16};
use ctr::flavors::Ctr128BE;
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::key::SessionKeys;
use super::{Params, SrtpError, Suite};

/// Bytes of an RTCP packet that are never encrypted (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR: usize = 8;
/// Bytes of the SRTCP index with its E flag.
pub(super) const RTCP_INDEX_LEN: usize = 4;
/// The E flag: this packet is encrypted.
const RTCP_ENCRYPTED: u32 = 1 << 31;

/// What tells one packet from all others under a key.
#[derive(Clone, Copy)]
pub(super) struct Id {
    pub(super) ssrc: u32,
    /// 48 bits in SRTP, 31 in SRTCP.
    pub(super) index: u64,
}

/// The form of the packets: tag length and parameters.
pub(super) struct Form<'p> {
    pub(super) tag_len: usize,
    pub(super) params: &'p Params,
}

impl Form<'_> {
    fn mki(&self) -> &[u8] {
        self.params.mki.as_ref().map_or(&[], |mki| mki.as_bytes())
    }
}

/// How packets are changed under one set of session keys.
pub(super) enum Transform {
    Counter(Counter),
    Aead(Aead),
}

impl Transform {
    pub(super) fn new(suite: Suite, keys: &SessionKeys) -> Self {
        if suite.is_aead() { Self::Aead(Aead::new(suite, keys)) } else { Self::Counter(Counter::new(suite, keys)) }
    }

    /// Protects the RTP packet `buf[..len]`; its length now.
    pub(super) fn seal_rtp(&self, form: &Form<'_>, id: Id, header_len: usize, buf: &mut [u8], len: usize) -> usize {
        match self {
            Self::Counter(c) => c.seal_rtp(form, id, header_len, buf, len),
            Self::Aead(a) => {
                let tag = a.seal(id, header_len, buf, len);
                let end = put(buf, len, &tag);
                put(buf, end, form.mki())
            }
        }
    }

    /// Unprotects an SRTP packet; its length now.
    pub(super) fn open_rtp(
        &self,
        form: &Form<'_>,
        id: Id,
        header_len: usize,
        packet: &mut [u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Counter(c) => c.open_rtp(form, id, header_len, packet),
            Self::Aead(a) => {
                let end = strip(packet, packet.len(), form.mki())?;
                a.open(id, header_len, &mut packet[..end])
            }
        }
    }

    /// Protects the compound RTCP packet `buf[..len]`; its length now.
    pub(super) fn seal_rtcp(&self, form: &Form<'_>, id: Id, buf: &mut [u8], len: usize) -> usize {
        let encrypt = form.params.encrypt_rtcp;
        let word = (id.index as u32 | if encrypt { RTCP_ENCRYPTED } else { 0 }).to_be_bytes();
        match self {
            Self::Counter(c) => {
                if encrypt {
                    c.apply(id, &mut buf[RTCP_CLEAR..len]);
                }
                let signed = put(buf, len, &word);
                let tag = c.tag(&buf[..signed], &[]);
                let end = put(buf, signed, form.mki());
                put(buf, end, &tag[..form.tag_len])
            }
            Self::Aead(a) => {
                let tag = a.seal_rtcp(id, encrypt, word, buf, len);
                let end = put(buf, len, &tag);
                let end = put(buf, end, &word);
                put(buf, end, form.mki())
            }
        }
    }

    /// The index and the E flag of an SRTCP packet.
    pub(super) fn rtcp_index(&self, form: &Form<'_>, packet: &[u8]) -> Option<(u64, bool)> {
        let behind = match self {
            Self::Counter(_) => form.mki().len() + form.tag_len,
            Self::Aead(_) => form.mki().len(),
        };
        let word = packet.get(..packet.len().checked_sub(behind)?)?.last_chunk::<RTCP_INDEX_LEN>()?;
        let word = u32::from_be_bytes(*word);
        Some((u64::from(word & !RTCP_ENCRYPTED), word & RTCP_ENCRYPTED != 0))
    }

    /// Unprotects an SRTCP packet; its length now.
    pub(super) fn open_rtcp(
        &self,
        form: &Form<'_>,
        id: Id,
        encrypted: bool,
        packet: &mut [u8],
    ) -> Result<usize, SrtpError> {
        match self {
            Self::Counter(c) => {
                let (signed, tag) = packet.split_at(packet.len() - form.tag_len);
                let end = strip(signed, signed.len(), form.mki())?;
                c.verify(&signed[..end], &[], tag)?;
                let len = end - RTCP_INDEX_LEN;
                if encrypted {
                    c.apply(id, &mut packet[RTCP_CLEAR..len]);
                }
                Ok(len)
            }
            Self::Aead(a) => {
                let end = strip(packet, packet.len(), form.mki())?;
                a.open_rtcp(id, encrypted, &mut packet[..end])
            }
        }
    }
}

/// Writes `bytes` at `at`; the offset behind them.
fn put(buf: &mut [u8], at: usize, bytes: &[u8]) -> usize {
    buf[at..at + bytes.len()].copy_from_slice(bytes);
    at + bytes.len()
}

/// The offset where `mki` starts that has to stand before `end`.
fn strip(packet: &[u8], end: usize, mki: &[u8]) -> Result<usize, SrtpError> {
    packet[..end].strip_suffix(mki).map(<[u8]>::len).ok_or(SrtpError::Mki)
}

/// A cipher under `key`, which is as long as the cipher wants.
pub(super) fn cipher<C: KeyInit>(key: &[u8]) -> C {
    let mut whole = Key::<C>::default();
    let len = whole.len().min(key.len());
    whole[..len].copy_from_slice(&key[..len]);
    C::new(&whole)
}

/// Adds the key stream that starts at the counter `iv` to `text`. The counter has 16 bits to itself; no packet has 2^16
/// blocks.
pub(super) fn add_key_stream<C>(cipher: &C, iv: [u8; 16], text: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core: CtrCore<&C, Ctr128BE> = CtrCore::inner_iv_init(cipher, &iv.into());
    core.apply_keystream_partial(text.into());
}

enum CounterCipher {
    Aes128(Aes128Enc),
    Aes192(Aes192Enc),
    Aes256(Aes256Enc),
}

/// AES in counter mode and HMAC-SHA1.
pub(super) struct Counter {
    cipher: CounterCipher,
    /// Keyed; cloned for each packet.
    mac: Hmac<Sha1>,
    salt: [u8; 14],
}

impl Counter {
    fn new(suite: Suite, keys: &SessionKeys) -> Self {
        let key = &keys.key[..suite.key_len()];
        let cipher = match key.len() {
            16 => CounterCipher::Aes128(cipher(key)),
            24 => CounterCipher::Aes192(cipher(key)),
            _ => CounterCipher::Aes256(cipher(key)),
        };
        // HMAC pads a short key with zeros to a block (RFC 2104 §2), which is what `cipher` does.
        Self { cipher, mac: self::cipher(&keys.auth[..]), salt: *keys.salt }
    }

    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    fn apply(&self, id: Id, text: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        mix(&mut iv[4..], id);
        match &self.cipher {
            CounterCipher::Aes128(aes) => add_key_stream(aes, iv, text),
            CounterCipher::Aes192(aes) => add_key_stream(aes, iv, text),
            CounterCipher::Aes256(aes) => add_key_stream(aes, iv, text),
        }
    }

    fn mac(&self, bytes: &[u8], behind: &[u8]) -> Hmac<Sha1> {
        let mut mac = self.mac.clone();
        mac.update(bytes);
        mac.update(behind);
        mac
    }

    fn tag(&self, bytes: &[u8], behind: &[u8]) -> [u8; 20] {
        self.mac(bytes, behind).finalize().into_bytes().into()
    }

    fn verify(&self, bytes: &[u8], behind: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        self.mac(bytes, behind).verify_truncated_left(tag).map_err(|_| SrtpError::Authentication)
    }

    fn seal_rtp(&self, form: &Form<'_>, id: Id, header_len: usize, buf: &mut [u8], len: usize) -> usize {
        if form.params.encrypt_rtp {
            self.apply(id, &mut buf[header_len..len]);
        }
        let mut end = put(buf, len, form.mki());
        if form.params.authenticate_rtp {
            let tag = self.tag(&buf[..len], &rollover(id));
            end = put(buf, end, &tag[..form.tag_len]);
        }
        end
    }

    fn open_rtp(&self, form: &Form<'_>, id: Id, header_len: usize, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let tag_len = if form.params.authenticate_rtp { form.tag_len } else { 0 };
        let (signed, tag) = packet.split_at(packet.len() - tag_len);
        let len = strip(signed, signed.len(), form.mki())?;
        if form.params.authenticate_rtp {
            self.verify(&signed[..len], &rollover(id), tag)?;
        }
        if form.params.encrypt_rtp {
            self.apply(id, &mut packet[header_len..len]);
        }
        Ok(len)
    }
}

/// The roll-over counter, which is authenticated but not sent (RFC 3711 §4.2).
const fn rollover(id: Id) -> [u8; 4] {
    ((id.index >> 16) as u32).to_be_bytes()
}

/// Mixes source and index into an initialisation vector from its byte 4 (AES-CM) or 2 (AES-GCM) on.
fn mix(iv: &mut [u8], id: Id) {
    let bytes = (u128::from(id.ssrc) << 96 | u128::from(id.index) << 48).to_be_bytes();
    for (to, from) in iv.iter_mut().zip(&bytes[..10]) {
        *to ^= from;
    }
}

type Gcm<C> = AesGcm<C, U12>;

#[allow(clippy::large_enum_variant, reason = "there is no heap to move the larger one to")]
enum AeadCipher {
    Aes128(Gcm<Aes128Enc>),
    Aes256(Gcm<Aes256Enc>),
}

/// AES-GCM.
pub(super) struct Aead {
    cipher: AeadCipher,
    salt: [u8; 12],
}

const AEAD_TAG_LEN: usize = 16;

impl Aead {
    fn new(suite: Suite, keys: &SessionKeys) -> Self {
        let key = &keys.key[..suite.key_len()];
        let cipher = if key.len() == 16 { AeadCipher::Aes128(cipher(key)) } else { AeadCipher::Aes256(cipher(key)) };
        let mut salt = [0; 12];
        salt.copy_from_slice(&keys.salt[..12]);
        Self { cipher, salt }
    }

    /// RFC 7714 §8.1, §9.1.
    fn nonce(&self, id: Id) -> Nonce<U12> {
        let mut iv = self.salt;
        mix(&mut iv[2..], id);
        iv.into()
    }

    fn encrypt(&self, id: Id, clear: &[u8], text: &mut [u8]) -> [u8; AEAD_TAG_LEN] {
        let nonce = self.nonce(id);
        let tag = match &self.cipher {
            AeadCipher::Aes128(gcm) => gcm.encrypt_inout_detached(&nonce, clear, text.into()),
            AeadCipher::Aes256(gcm) => gcm.encrypt_inout_detached(&nonce, clear, text.into()),
        };
        // It fails over 2^36 bytes only; a tag of zeros would then be a wrong one.
        tag.map(Into::into).unwrap_or_default()
    }

    fn decrypt(&self, id: Id, clear: &[u8], text: &mut [u8], tag: [u8; AEAD_TAG_LEN]) -> Result<(), SrtpError> {
        let (nonce, tag) = (self.nonce(id), Tag::from(tag));
        match &self.cipher {
            AeadCipher::Aes128(gcm) => gcm.decrypt_inout_detached(&nonce, clear, text.into(), &tag),
            AeadCipher::Aes256(gcm) => gcm.decrypt_inout_detached(&nonce, clear, text.into(), &tag),
        }
        .map_err(|_| SrtpError::Authentication)
    }

    fn seal(&self, id: Id, header_len: usize, buf: &mut [u8], len: usize) -> [u8; AEAD_TAG_LEN] {
        let (clear, text) = buf[..len].split_at_mut(header_len);
        self.encrypt(id, clear, text)
    }

    fn open(&self, id: Id, header_len: usize, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (packet, tag) = packet.split_last_chunk_mut::<AEAD_TAG_LEN>().ok_or(SrtpError::Malformed)?;
        let (clear, text) = packet.split_at_mut(header_len);
        self.decrypt(id, clear, text, *tag)?;
        Ok(packet.len())
    }

    /// RFC 7714 §9.2, §9.3: what is authenticated only is the first 8 bytes, or the whole packet if it is not
    /// encrypted; and the index behind it.
    fn seal_rtcp(&self, id: Id, encrypt: bool, word: [u8; 4], buf: &mut [u8], len: usize) -> [u8; AEAD_TAG_LEN] {
        if encrypt {
            let (clear, text) = buf[..len].split_at_mut(RTCP_CLEAR);
            return self.encrypt(id, &rtcp_clear(clear, word), text);
        }
        let end = put(buf, len, &word);
        self.encrypt(id, &buf[..end], &mut [])
    }

    fn open_rtcp(&self, id: Id, encrypted: bool, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (rest, word) = packet.split_last_chunk_mut::<RTCP_INDEX_LEN>().ok_or(SrtpError::Malformed)?;
        let word = *word;
        let (text, tag) = rest.split_last_chunk_mut::<AEAD_TAG_LEN>().ok_or(SrtpError::Malformed)?;
        let (len, tag) = (text.len(), *tag);
        if encrypted {
            let (clear, text) = text.split_at_mut(RTCP_CLEAR);
            self.decrypt(id, &rtcp_clear(clear, word), text, tag)?;
            return Ok(len);
        }
        // The index has to follow the packet to be authenticated with it; where it stood is put right on failure.
        let end = put(packet, len, &word);
        let result = self.decrypt(id, &packet[..end], &mut [], tag);
        put(packet, len, &tag);
        result.map(|()| len)
    }
}

fn rtcp_clear(header: &[u8], word: [u8; 4]) -> [u8; RTCP_CLEAR + RTCP_INDEX_LEN] {
    let mut clear = [0; RTCP_CLEAR + RTCP_INDEX_LEN];
    clear[..RTCP_CLEAR].copy_from_slice(&header[..RTCP_CLEAR]);
    clear[RTCP_CLEAR..].copy_from_slice(&word);
    clear
}
