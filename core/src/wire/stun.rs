//! STUN (RFC 8489): enough to know a message, read it and check it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::error::{ParseError, ParseErrorKind};

/// Bytes of the header.
pub const HEADER_LEN: usize = 20;
/// The magic cookie (§5).
pub const MAGIC_COOKIE: u32 = 0x2112_a442;
/// The method of all connectivity checks.
pub const BINDING: u16 = 1;

/// Attribute types (§14, RFC 8445 §16.1).
pub mod attribute {
    /// USERNAME.
    pub const USERNAME: u16 = 0x0006;
    /// MESSAGE-INTEGRITY.
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    /// ERROR-CODE.
    pub const ERROR_CODE: u16 = 0x0009;
    /// XOR-MAPPED-ADDRESS.
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    /// PRIORITY.
    pub const PRIORITY: u16 = 0x0024;
    /// USE-CANDIDATE.
    pub const USE_CANDIDATE: u16 = 0x0025;
    /// FINGERPRINT.
    pub const FINGERPRINT: u16 = 0x8028;
    /// ICE-CONTROLLED.
    pub const ICE_CONTROLLED: u16 = 0x8029;
    /// ICE-CONTROLLING.
    pub const ICE_CONTROLLING: u16 = 0x802a;
}

/// Whether `datagram` starts as a STUN message: two zero bits, the magic cookie, a length that is that of the rest.
pub fn is_stun(datagram: &[u8]) -> bool {
    Message::parse(datagram).is_ok()
}

/// The class of a message (§5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Class {
    /// A request.
    Request,
    /// An indication: nobody answers it.
    Indication,
    /// The answer to a request.
    Success,
    /// The refusal of a request.
    Error,
}

/// A message whose header and attribute lengths are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'m> {
    /// The class.
    pub class: Class,
    /// The method; [`BINDING`] is 1.
    pub method: u16,
    /// What the answer repeats.
    pub transaction_id: [u8; 12],
    bytes: &'m [u8],
}

impl<'m> Message<'m> {
    /// Reads a message that is the whole of `bytes`.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind`]: `Truncated`, `Syntax`.
    pub fn parse(bytes: &'m [u8]) -> Result<Self, ParseError> {
        let truncated = ParseError::new(ParseErrorKind::Truncated, bytes.len());
        let (header, body) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(truncated)?;
        let [t0, t1, l0, l1, m0, m1, m2, m3, transaction_id @ ..] = *header;
        let (kind, len) = (u16::from_be_bytes([t0, t1]), usize::from(u16::from_be_bytes([l0, l1])));
        if kind & 0xc000 != 0 || u32::from_be_bytes([m0, m1, m2, m3]) != MAGIC_COOKIE {
            return Err(ParseError::new(ParseErrorKind::Syntax("STUN header"), 0));
        }
        if len > body.len() {
            return Err(truncated);
        }
        if len != body.len() || !len.is_multiple_of(4) {
            return Err(ParseError::new(ParseErrorKind::Syntax("STUN length"), 2));
        }
        // The class is bits 4 and 8; the method is what is left when they are taken out.
        let class = match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
            (false, false) => Class::Request,
            (false, true) => Class::Indication,
            (true, false) => Class::Success,
            (true, true) => Class::Error,
        };
        let method = kind & 0x000f | kind >> 1 & 0x0070 | kind >> 2 & 0x0f80;
        let message = Self { class, method, transaction_id, bytes };
        let end = message.attributes().last().map_or(HEADER_LEN, |a| a.end());
        if end != bytes.len() {
            return Err(ParseError::new(ParseErrorKind::Syntax("STUN attribute"), end));
        }
        Ok(message)
    }

    /// The attributes in order.
    pub const fn attributes(&self) -> Attributes<'m> {
        Attributes { bytes: self.bytes, at: HEADER_LEN }
    }

    /// The value of the first attribute of this type.
    pub fn attribute(&self, kind: u16) -> Option<&'m [u8]> {
        self.attributes().find(|a| a.kind == kind).map(|a| a.value)
    }

    /// The address in XOR-MAPPED-ADDRESS (§14.2).
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        let value = self.attribute(attribute::XOR_MAPPED_ADDRESS)?;
        let (&[_, family, p0, p1], address) = value.split_first_chunk()?;
        let port = u16::from_be_bytes([p0, p1]) ^ (MAGIC_COOKIE >> 16) as u16;
        let ip = match family {
            1 => {
                let address: [u8; 4] = address.try_into().ok()?;
                IpAddr::V4(Ipv4Addr::from_bits(u32::from_be_bytes(address) ^ MAGIC_COOKIE))
            }
            2 => {
                let address: [u8; 16] = address.try_into().ok()?;
                // The magic cookie and the transaction stand together in the header.
                let mask: [u8; 16] = *self.bytes.get(4..)?.first_chunk()?;
                IpAddr::V6(Ipv6Addr::from_bits(u128::from_be_bytes(address) ^ u128::from_be_bytes(mask)))
            }
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }

    /// Whether FINGERPRINT is there, the last attribute, and right (§14.7).
    pub fn has_fingerprint(&self) -> bool {
        let Some(last) = self.attributes().last().filter(|a| a.kind == attribute::FINGERPRINT) else { return false };
        let crc = crc32(&self.bytes[..last.start]) ^ 0x5354_554e;
        last.value == crc.to_be_bytes()
    }

    /// Whether MESSAGE-INTEGRITY is there and made with `key` (§14.5). With short-term credentials the key is the
    /// password.
    pub fn has_integrity(&self, key: &[u8]) -> bool {
        let Some(found) = self.attributes().find(|a| a.kind == attribute::MESSAGE_INTEGRITY) else { return false };
        let Ok(mut mac) = <Hmac<Sha1> as KeyInit>::new_from_slice(key) else { return false };
        // The length counts up to this attribute, whatever follows.
        let len = (found.end() - HEADER_LEN) as u16;
        mac.update(&self.bytes[..2]);
        mac.update(&len.to_be_bytes());
        mac.update(&self.bytes[4..found.start]);
        mac.verify_slice(found.value).is_ok()
    }
}

/// An attribute of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'m> {
    /// The type.
    pub kind: u16,
    /// The value, without padding.
    pub value: &'m [u8],
    /// Where it starts in the message.
    start: usize,
}

impl Attribute<'_> {
    /// The offset behind it and its padding.
    const fn end(&self) -> usize {
        self.start + 4 + self.value.len().next_multiple_of(4)
    }
}

/// The attributes of a [`Message`].
#[derive(Clone, Debug)]
pub struct Attributes<'m> {
    bytes: &'m [u8],
    at: usize,
}

impl<'m> Iterator for Attributes<'m> {
    type Item = Attribute<'m>;

    fn next(&mut self) -> Option<Attribute<'m>> {
        let (&[k0, k1, l0, l1], rest) = self.bytes.get(self.at..)?.split_first_chunk()?;
        let value = rest.get(..usize::from(u16::from_be_bytes([l0, l1])))?;
        let attribute = Attribute { kind: u16::from_be_bytes([k0, k1]), value, start: self.at };
        if attribute.end() > self.bytes.len() {
            return None;
        }
        self.at = attribute.end();
        Some(attribute)
    }
}

/// CRC-32 of ITU-T V.42, bit by bit: such messages are short and rare.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";
    const TRANSACTION: &[u8; 12] = b"\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae";

    fn message(kind: u16, attributes: &[&[u8]]) -> Vec<u8> {
        let body = attributes.concat();
        let mut m = kind.to_be_bytes().to_vec();
        m.extend((body.len() as u16).to_be_bytes());
        m.extend(MAGIC_COOKIE.to_be_bytes());
        m.extend(TRANSACTION);
        m.extend(body);
        m
    }

    /// RFC 5769 §2.1.
    fn request() -> Vec<u8> {
        message(
            1,
            &[
                b"\x80\x22\x00\x10STUN test client",
                b"\x00\x24\x00\x04\x6e\x00\x01\xff",
                b"\x80\x29\x00\x08\x93\x2f\xf9\xb1\x51\x26\x3b\x36",
                b"\x00\x06\x00\x09evtj:h6vY   ",
                b"\x00\x08\x00\x14\x9a\xea\xa7\x0c\xbf\xd8\xcb\x56\x78\x1e\xf2\xb5\xb2\xd3\xf2\x49\xc1\xb5\x71\xa2",
                b"\x80\x28\x00\x04\xe5\x7a\x3b\xcf",
            ],
        )
    }

    /// RFC 5769 §2.2.
    fn response() -> Vec<u8> {
        message(
            0x0101,
            &[
                b"\x80\x22\x00\x0btest vector ",
                b"\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43",
                b"\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53\xf0\x6b\xe7\xd7",
                b"\x80\x28\x00\x04\xc0\x7d\x4c\x96",
            ],
        )
    }

    #[test]
    fn request_of_rfc_5769() {
        let bytes = request();
        let m = Message::parse(&bytes).unwrap();
        assert_eq!((m.class, m.method, &m.transaction_id), (Class::Request, BINDING, TRANSACTION));
        assert_eq!(m.attribute(attribute::USERNAME), Some(&b"evtj:h6vY"[..]));
        assert_eq!(m.attribute(attribute::PRIORITY), Some(&[0x6e, 0, 1, 0xff][..]));
        assert_eq!(m.attribute(attribute::USE_CANDIDATE), None);
        assert_eq!(m.attributes().count(), 6);
        assert!(m.has_fingerprint() && m.has_integrity(PASSWORD));
        assert!(!m.has_integrity(b"another"));
    }

    #[test]
    fn responses_of_rfc_5769() {
        let bytes = response();
        let m = Message::parse(&bytes).unwrap();
        assert_eq!((m.class, m.method), (Class::Success, BINDING));
        assert_eq!(m.xor_mapped_address(), Some("192.0.2.1:32853".parse().unwrap()));
        assert!(m.has_fingerprint() && m.has_integrity(PASSWORD));
        // §2.3: the address.
        let v6 = b"\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9";
        let bytes = message(0x0101, &[v6]);
        let expected = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap();
        assert_eq!(Message::parse(&bytes).unwrap().xor_mapped_address(), Some(expected));
    }

    #[test]
    fn no_changed_bit_passes() {
        let good = request();
        // The padding of the software and user names is signed as well.
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let passes = Message::parse(&bad).is_ok_and(|m| m.has_fingerprint());
            assert!(!passes, "bit {bit}");
        }
    }

    #[test]
    fn classes_and_methods() {
        for (kind, class, method) in [
            (0x0001, Class::Request, 1),
            (0x0011, Class::Indication, 1),
            (0x0101, Class::Success, 1),
            (0x0111, Class::Error, 1),
            (0x0003, Class::Request, 3),
            (0x3eef, Class::Request, 0xfff),
        ] {
            let bytes = message(kind, &[]);
            let m = Message::parse(&bytes).unwrap();
            assert_eq!((m.class, m.method), (class, method), "{kind:#x}");
        }
    }

    #[test]
    fn what_is_no_stun() {
        let good = request();
        for len in 0..good.len() {
            assert!(!is_stun(&good[..len]), "{len}");
        }
        let changed = |at: usize, byte: u8| {
            let mut m = good.clone();
            m[at] = byte;
            is_stun(&m)
        };
        assert!(is_stun(&good));
        assert!(!changed(0, 0x80) && !changed(0, 0x40), "the first two bits");
        assert!(!changed(4, 0), "the magic cookie");
        assert!(!changed(3, 0x57) && !changed(3, 0x54), "the length");
        assert!(!changed(23, 0xff), "an attribute over the end");
        assert!(!is_stun(&[&good[..], &[0; 4]].concat()), "bytes behind");
    }

    proptest! {
        #[test]
        fn garbage(body in proptest::collection::vec(any::<u8>(), 0..60), kind in 0u16..0x4000) {
            let bytes = message(kind, &[&body]);
            if let Ok(m) = Message::parse(&bytes) {
                m.xor_mapped_address();
                prop_assert!(!m.has_integrity(PASSWORD));
                m.has_fingerprint();
            }
        }
    }
}
