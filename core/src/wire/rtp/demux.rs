//! What a datagram on a media port is (RFC 7983 §7, RFC 5761 §4).

/// The protocol of a datagram, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Kind {
    /// STUN: first byte 0 to 3.
    Stun,
    /// ZRTP: first byte 16 to 19.
    Zrtp,
    /// DTLS: first byte 20 to 63.
    Dtls,
    /// A TURN channel: first byte 64 to 79.
    TurnChannel,
    /// RTP or SRTP: first byte 128 to 191.
    Rtp,
    /// RTCP or SRTCP: as RTP, with a packet type of 192 to 223. An RTP payload type of 64 to 95 with the marker set
    /// looks the same; RFC 5761 §4 forbids these payload types where the two share a port.
    Rtcp,
    /// Nothing of these, or empty.
    Other,
}

impl Kind {
    /// What `datagram` is by its first two bytes. Says nothing about the rest.
    pub const fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] => Self::Stun,
            [16..=19, ..] => Self::Zrtp,
            [20..=63, ..] => Self::Dtls,
            [64..=79, ..] => Self::TurnChannel,
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, _, ..] => Self::Rtp,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7983 figure 3, with the code points of ZRTP.
    fn expected(first: u8) -> Kind {
        match first {
            0..=3 => Kind::Stun,
            16..=19 => Kind::Zrtp,
            20..=63 => Kind::Dtls,
            64..=79 => Kind::TurnChannel,
            128..=191 => Kind::Rtp,
            _ => Kind::Other,
        }
    }

    #[test]
    fn every_first_byte_has_its_protocol() {
        for first in 0..=255 {
            assert_eq!(Kind::of(&[first, 0]), expected(first), "{first}");
        }
        assert_eq!(Kind::of(&[]), Kind::Other);
        assert_eq!(Kind::of(&[128]), Kind::Other);
    }

    #[test]
    fn rtcp_packet_types_are_192_to_223() {
        for second in 0..=255 {
            let expected = if (192..=223).contains(&second) { Kind::Rtcp } else { Kind::Rtp };
            assert_eq!(Kind::of(&[0x80, second]), expected, "{second}");
        }
        // PCMU with the marker is 128 and stays RTP, as do the dynamic types up to 127 with it.
        assert_eq!(Kind::of(&[0x80, 0x80]), Kind::Rtp);
        assert_eq!(Kind::of(&[0x80, 0xff]), Kind::Rtp);
    }
}
