//! A datagram that is changed in place.

/// Room a [`PacketBuf`] should have behind the datagram, in bytes: an SRTP authentication tag (16), an SRTCP index (4) and a
/// master key identifier of usual length fit. A packet that would grow beyond its buffer is dropped and counted.
pub const TAIL_ROOM: usize = 32;

/// A received datagram in a buffer that may be longer: SRTP shortens it and lets it grow, always at its end.
///
/// ```
/// use trunkline_core::relay::media::PacketBuf;
///
/// let mut memory = [0; 64];
/// memory[..3].copy_from_slice(b"abc");
/// let mut packet = PacketBuf::new(&mut memory, 3);
/// assert_eq!(packet.bytes(), b"abc");
/// assert_eq!(packet.tail_room(), 61);
/// packet.resize(2);
/// assert_eq!(packet.bytes(), b"ab");
/// ```
#[derive(Debug)]
pub struct PacketBuf<'e> {
    buf: &'e mut [u8],
    len: usize,
}

impl<'e> PacketBuf<'e> {
    /// The datagram in the first `len` bytes of `buf`; in all of it if it is shorter.
    pub fn new(buf: &'e mut [u8], len: usize) -> Self {
        let len = len.min(buf.len());
        Self { buf, len }
    }

    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// The datagram.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(..self.len).unwrap_or_default()
    }

    /// The datagram and the room behind it.
    pub fn whole_mut(&mut self) -> &mut [u8] {
        self.buf
    }

    /// Length of the datagram, in bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether the datagram has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of room behind the datagram.
    pub const fn tail_room(&self) -> usize {
        self.buf.len() - self.len
    }

    /// Makes the datagram `len` bytes long, at most as long as the buffer.
    pub fn resize(&mut self, len: usize) {
        self.len = len.min(self.buf.len());
    }
}
