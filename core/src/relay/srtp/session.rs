//! One direction of a stream.

use core::fmt;

use super::key::{KeyError, MasterKey, Usage};
use super::transform::{Form, Id, RTCP_CLEAR, RTCP_INDEX_LEN, Transform};
use super::window::Window;
use super::{Params, SrtpError, Suite};
use crate::wire::rtp::packet::Header;

/// Most sources under one key. A source is forgotten with the key only: forgetting it earlier would let its packets be
/// played again, or use its key stream twice.
pub const STREAMS_MAX: usize = 16;

/// The last SRTCP index (RFC 3711 §9.2).
const RTCP_INDEX_MAX: u64 = (1 << 31) - 1;
/// The highest first sequence number of a source that may have wrapped before we heard it.
const WRAPPED_MAX: u16 = 0x7fff;

/// What is kept of a source.
#[derive(Clone, Copy, Default)]
struct Stream {
    ssrc: u32,
    rtp: Window,
    rtcp: Window,
}

/// One direction of a media stream under one master key: use it either to protect or to unprotect.
///
/// Sizes: about 2 KB. The keys of RTCP, which is rare, are kept short and expanded for each packet.
pub struct Session {
    master: MasterKey,
    params: Params,
    rtp: Transform,
    streams: heapless::Vec<Stream, STREAMS_MAX>,
    /// Of the next packet we send; one count for all sources.
    rtcp_index: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("suite", &self.suite())
            .field("params", &self.params)
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

impl Session {
    /// A session that has seen no packet.
    ///
    /// # Errors
    ///
    /// [`KeyError::Params`] for an AEAD suite without encryption or authentication of RTP.
    pub fn new(master: &MasterKey, params: Params) -> Result<Self, KeyError> {
        if master.suite().is_aead() && !(params.encrypt_rtp && params.authenticate_rtp) {
            return Err(KeyError::Params);
        }
        let rtp = master.transform(Usage::Rtp);
        Ok(Self { master: master.clone(), params, rtp, streams: heapless::Vec::new(), rtcp_index: 0 })
    }

    /// The suite in use.
    pub const fn suite(&self) -> Suite {
        self.master.suite()
    }

    /// The master key, to tell whether an offer brings another one.
    pub const fn master_key(&self) -> &MasterKey {
        &self.master
    }

    /// The parameters in use.
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// Protects the RTP packet `buf[..len]`; what `buf[..]` it is now. It needs room for [`TRAILER_MAX`] bytes more at
    /// most.
    ///
    /// # Errors
    ///
    /// [`SrtpError`], but for `Authentication` and `Mki`.
    ///
    /// [`TRAILER_MAX`]: super::TRAILER_MAX
    pub fn protect(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let header = Header::parse(buf.get(..len).ok_or(SrtpError::NoRoom)?).map_err(|_| SrtpError::Malformed)?;
        if buf.len() - len < self.rtp_trailer() {
            return Err(SrtpError::NoRoom);
        }
        let (at, mut stream) = self.stream(header.ssrc)?;
        let index = stream.rtp.index(header.sequence)?;
        stream.rtp.check(index)?;
        let id = Id { ssrc: header.ssrc, index };
        let len = self.rtp.seal_rtp(&self.rtp_form(), id, header.header_len, buf, len);
        stream.rtp.accept(index);
        self.keep(at, stream);
        Ok(len)
    }

    /// Unprotects an SRTP packet; what `packet[..]` it is now.
    ///
    /// # Errors
    ///
    /// [`SrtpError`], but for `NoRoom`.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let header = Header::parse(packet).map_err(|_| SrtpError::Malformed)?;
        if packet.len() - header.header_len < self.rtp_trailer() {
            return Err(SrtpError::Malformed);
        }
        let (at, mut stream) = self.stream(header.ssrc)?;
        let mut index = stream.rtp.index(header.sequence)?;
        stream.rtp.check(index)?;
        let mut id = Id { ssrc: header.ssrc, index };
        let mut opened = self.rtp.open_rtp(&self.rtp_form(), id, header.header_len, packet);
        if opened == Err(SrtpError::Authentication) && stream.rtp.is_empty() && header.sequence <= WRAPPED_MAX {
            // The packets before the first wrap may all be lost.
            index += 1 << 16;
            id.index = index;
            opened = self.rtp.open_rtp(&self.rtp_form(), id, header.header_len, packet);
        }
        let len = opened?;
        stream.rtp.accept(index);
        self.keep(at, stream);
        Ok(len)
    }

    /// Protects the compound RTCP packet `buf[..len]`; what `buf[..]` it is now. It needs room for [`TRAILER_MAX`]
    /// bytes more at most.
    ///
    /// # Errors
    ///
    /// [`SrtpError::Malformed`], [`SrtpError::NoRoom`], [`SrtpError::KeyExhausted`].
    ///
    /// [`TRAILER_MAX`]: super::TRAILER_MAX
    pub fn protect_rtcp(&mut self, buf: &mut [u8], len: usize) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(buf.get(..len).ok_or(SrtpError::NoRoom)?)?;
        if buf.len() - len < self.rtcp_trailer() {
            return Err(SrtpError::NoRoom);
        }
        if self.rtcp_index > RTCP_INDEX_MAX {
            return Err(SrtpError::KeyExhausted);
        }
        let id = Id { ssrc, index: self.rtcp_index };
        self.rtcp_index += 1;
        Ok(self.master.transform(Usage::Rtcp).seal_rtcp(&self.rtcp_form(), id, buf, len))
    }

    /// Unprotects an SRTCP packet; what `packet[..]` it is now.
    ///
    /// # Errors
    ///
    /// [`SrtpError`], but for `NoRoom` and `KeyExhausted`.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = rtcp_ssrc(packet)?;
        if packet.len() - RTCP_CLEAR < self.rtcp_trailer() {
            return Err(SrtpError::Malformed);
        }
        let transform = self.master.transform(Usage::Rtcp);
        let (index, encrypted) = transform.rtcp_index(&self.rtcp_form(), packet).ok_or(SrtpError::Malformed)?;
        let (at, mut stream) = self.stream(ssrc)?;
        stream.rtcp.check(index)?;
        let len = transform.open_rtcp(&self.rtcp_form(), Id { ssrc, index }, encrypted, packet)?;
        stream.rtcp.accept(index);
        self.keep(at, stream);
        Ok(len)
    }

    /// The source and where it is kept; a new one has its place behind the others.
    fn stream(&self, ssrc: u32) -> Result<(usize, Stream), SrtpError> {
        match self.streams.iter().position(|s| s.ssrc == ssrc) {
            Some(at) => Ok((at, self.streams[at])),
            None if self.streams.is_full() => Err(SrtpError::Streams),
            None => Ok((self.streams.len(), Stream { ssrc, ..Stream::default() })),
        }
    }

    fn keep(&mut self, at: usize, stream: Stream) {
        match self.streams.get_mut(at) {
            Some(place) => *place = stream,
            // There is room: `stream` has looked.
            None => drop(self.streams.push(stream)),
        }
    }

    const fn rtp_form(&self) -> Form<'_> {
        Form { tag_len: self.suite().rtp_tag_len(), params: &self.params }
    }

    const fn rtcp_form(&self) -> Form<'_> {
        Form { tag_len: self.suite().rtcp_tag_len(), params: &self.params }
    }

    fn mki_len(&self) -> usize {
        self.params.mki.map_or(0, |mki| mki.as_bytes().len())
    }

    fn rtp_trailer(&self) -> usize {
        let tag = if self.params.authenticate_rtp { self.suite().rtp_tag_len() } else { 0 };
        tag + self.mki_len()
    }

    fn rtcp_trailer(&self) -> usize {
        RTCP_INDEX_LEN + self.suite().rtcp_tag_len() + self.mki_len()
    }
}

/// The source of the first packet of a compound.
const fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    match packet {
        [first, _, _, _, a, b, c, d, ..] if *first >> 6 == 2 => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(SrtpError::Malformed),
    }
}
