//! The header of an RTP packet (RFC 3550 §5.1) and its extension (RFC 8285).

use crate::error::{ParseError, ParseErrorKind};

/// Bytes of the header without contributing sources and extension.
pub const FIXED_LEN: usize = 12;
/// Bytes before the data of a header extension: profile and length.
const EXTENSION_PREFIX: usize = 4;

/// The header of an RTP packet, checked: all lengths in it fit the packet.
///
/// Padding is looked at by [`Header::payload`] only: in SRTP it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Header {
    /// Whether the last byte counts padding.
    pub padding: bool,
    /// Whether a header extension is there.
    pub extension: bool,
    /// Contributing sources, 0 to 15.
    pub csrc_count: u8,
    /// The marker.
    pub marker: bool,
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp, in units of the clock of the payload type.
    pub timestamp: u32,
    /// The synchronisation source.
    pub ssrc: u32,
    /// Bytes before the payload: the fixed header, the contributing sources, the extension. At most the length of the
    /// packet.
    pub header_len: usize,
}

impl Header {
    /// Reads the header of `packet`.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::Version`] if it is not 2, [`ParseErrorKind::Truncated`] if the header does not fit.
    #[inline]
    pub fn parse(packet: &[u8]) -> Result<Self, ParseError> {
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED_LEN>() else {
            return Err(ParseError::new(ParseErrorKind::Truncated, packet.len()));
        };
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return Err(ParseError::new(ParseErrorKind::Version, 0));
        }
        let csrc_count = first & 0x0f;
        let extension = first & 0x10 != 0;
        let mut header_len = FIXED_LEN + usize::from(csrc_count) * 4;
        if extension {
            let words = rest.get(usize::from(csrc_count) * 4..).and_then(|e| e.first_chunk::<EXTENSION_PREFIX>());
            let words = words.ok_or(ParseError::new(ParseErrorKind::Truncated, packet.len()))?;
            header_len += EXTENSION_PREFIX + usize::from(u16::from_be_bytes([words[2], words[3]])) * 4;
        }
        if header_len > packet.len() {
            return Err(ParseError::new(ParseErrorKind::Truncated, packet.len()));
        }
        Ok(Self {
            padding: first & 0x20 != 0,
            extension,
            csrc_count,
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            header_len,
        })
    }

    /// The payload of the `packet` this header was read from, without padding. Only for plain RTP.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind::Syntax`] if the padding does not fit (RFC 3550 §5.1: it counts itself).
    pub fn payload<'p>(&self, packet: &'p [u8]) -> Result<&'p [u8], ParseError> {
        let body = packet.get(self.header_len..).unwrap_or_default();
        if !self.padding {
            return Ok(body);
        }
        let wrong = ParseError::new(ParseErrorKind::Syntax("RTP padding"), packet.len().saturating_sub(1));
        let count = usize::from(*body.last().ok_or(wrong)?);
        if count == 0 || count > body.len() {
            return Err(wrong);
        }
        Ok(&body[..body.len() - count])
    }

    /// The contributing sources in the `packet` this header was read from.
    pub fn csrcs<'p>(&self, packet: &'p [u8]) -> impl Iterator<Item = u32> + 'p {
        let end = FIXED_LEN + usize::from(self.csrc_count) * 4;
        let words = packet.get(FIXED_LEN..end).unwrap_or_default();
        words.as_chunks::<4>().0.iter().map(|&word| u32::from_be_bytes(word))
    }

    /// The extension in the `packet` this header was read from.
    pub fn extension<'p>(&self, packet: &'p [u8]) -> Option<Extension<'p>> {
        if !self.extension {
            return None;
        }
        let start = FIXED_LEN + usize::from(self.csrc_count) * 4;
        let bytes = packet.get(start..self.header_len)?;
        let (prefix, data) = bytes.split_first_chunk::<EXTENSION_PREFIX>()?;
        Some(Extension { profile: u16::from_be_bytes([prefix[0], prefix[1]]), data })
    }
}

/// A header extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'p> {
    /// Defined by profile; `0xbede` and `0x1000` to `0x100f` are RFC 8285's.
    pub profile: u16,
    /// What follows, a multiple of 4 bytes.
    pub data: &'p [u8],
}

impl<'p> Extension<'p> {
    /// The elements (RFC 8285 §4.2, §4.3) as identifier and data. Empty if the profile has none; ends at the first
    /// element that does not fit, and at identifier 15 of the one-byte form.
    pub const fn elements(self) -> Elements<'p> {
        let form = match self.profile {
            0xbede => Form::OneByte,
            0x1000..=0x100f => Form::TwoByte,
            _ => return Elements { data: &[], form: Form::OneByte },
        };
        Elements { data: self.data, form }
    }
}

#[derive(Clone, Copy, Debug)]
enum Form {
    OneByte,
    TwoByte,
}

/// The elements of an [`Extension`].
#[derive(Clone, Debug)]
pub struct Elements<'p> {
    data: &'p [u8],
    form: Form,
}

impl<'p> Iterator for Elements<'p> {
    type Item = (u8, &'p [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // A zero byte pads (§4.2, §4.3).
        let start = self.data.iter().position(|&b| b != 0)?;
        let (&first, rest) = self.data[start..].split_first()?;
        let (id, len, rest) = match self.form {
            Form::OneByte if first >> 4 == 15 => return None,
            Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1, rest),
            Form::TwoByte => {
                let (&len, rest) = rest.split_first()?;
                (first, usize::from(len), rest)
            }
        };
        let (element, rest) = rest.split_at_checked(len)?;
        self.data = rest;
        Some((id, element))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const PLAIN: [u8; 16] = [0x80, 0x88, 0x12, 0x34, 0, 0, 1, 0x40, 0xca, 0xfe, 0xba, 0xbe, 1, 2, 3, 4];

    #[test]
    fn fixed_header() {
        let header = Header::parse(&PLAIN).unwrap();
        assert_eq!(
            header,
            Header {
                padding: false,
                extension: false,
                csrc_count: 0,
                marker: true,
                payload_type: 8,
                sequence: 0x1234,
                timestamp: 320,
                ssrc: 0xcafe_babe,
                header_len: 12
            }
        );
        assert_eq!(header.payload(&PLAIN), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(header.extension(&PLAIN), None);
    }

    #[test]
    fn versions_and_lengths_are_checked() {
        for version in [0, 1, 3u8] {
            let mut p = PLAIN;
            p[0] = version << 6;
            assert_eq!(Header::parse(&p).unwrap_err().kind, ParseErrorKind::Version);
        }
        for len in 0..FIXED_LEN {
            assert_eq!(Header::parse(&PLAIN[..len]).unwrap_err().kind, ParseErrorKind::Truncated, "{len}");
        }
        // One contributing source takes the four bytes; two do not fit.
        let mut p = PLAIN;
        p[0] = 0x81;
        let header = Header::parse(&p).unwrap();
        assert_eq!((header.header_len, header.csrcs(&p).collect::<Vec<_>>()), (16, [0x0102_0304].to_vec()));
        p[0] = 0x82;
        assert_eq!(Header::parse(&p).unwrap_err().kind, ParseErrorKind::Truncated);
        // An extension that claims 0x0304 words.
        p[0] = 0x90;
        assert_eq!(Header::parse(&p).unwrap_err().kind, ParseErrorKind::Truncated);
    }

    #[test]
    fn padding_counts_itself() {
        let payload = |last: u8| {
            let mut p = PLAIN;
            (p[0], p[15]) = (0xa0, last);
            Header::parse(&p).unwrap().payload(&p).map(<[u8]>::len)
        };
        assert_eq!(payload(1), Ok(3));
        assert_eq!(payload(4), Ok(0));
        assert!(payload(0).is_err());
        assert!(payload(5).is_err());
        let empty = Header::parse(&[&[0xa0][..], &PLAIN[1..12]].concat()).unwrap();
        assert!(empty.payload(&PLAIN[..12]).is_err());
    }

    fn with_extension(profile: u16, data: &[u8]) -> Vec<u8> {
        let mut p = PLAIN[..12].to_vec();
        p[0] = 0x90;
        p.extend(profile.to_be_bytes());
        p.extend((data.len() as u16 / 4).to_be_bytes());
        p.extend(data);
        p
    }

    #[test]
    fn one_byte_and_two_byte_elements() {
        // RFC 8285 §4.2: lengths less one; padding between; 15 ends.
        let p = with_extension(0xbede, &[0x10, 0xaa, 0, 0, 0x21, 1, 2, 0xf0]);
        let extension = Header::parse(&p).unwrap().extension(&p).unwrap();
        assert_eq!(extension.elements().collect::<Vec<_>>(), [(1, &[0xaa][..]), (2, &[1, 2][..])]);
        // §4.3: zero length is possible.
        let p = with_extension(0x1000, &[1, 0, 2, 1, 0xbb, 0, 0, 0]);
        let extension = Header::parse(&p).unwrap().extension(&p).unwrap();
        assert_eq!(extension.elements().collect::<Vec<_>>(), [(1, &[][..]), (2, &[0xbb][..])]);
        // An element that runs over the end, and a profile without elements.
        let p = with_extension(0xbede, &[0x1f, 1, 2, 3]);
        assert_eq!(Header::parse(&p).unwrap().extension(&p).unwrap().elements().count(), 0);
        let p = with_extension(0x1234, &[0x10, 1, 2, 3]);
        assert_eq!(Header::parse(&p).unwrap().extension(&p).unwrap().elements().count(), 0);
    }

    proptest! {
        #[test]
        fn what_parses_is_within_the_packet(mut bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(first) = bytes.first_mut() { *first = *first & 0x3f | 0x80; }
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!(header.header_len <= bytes.len());
                let payload = header.payload(&bytes);
                if let Ok(payload) = payload { prop_assert!(payload.len() + header.header_len <= bytes.len()); }
                prop_assert_eq!(header.csrcs(&bytes).count(), usize::from(header.csrc_count));
                prop_assert_eq!(header.extension(&bytes).is_some(), header.extension);
                header.extension(&bytes).map(|e| e.elements().count());
            }
        }
    }
}
