//! Transport names of Via and of the `transport` parameter.

use core::fmt;

/// A SIP transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transport {
    /// UDP (RFC 3261 §18).
    #[default]
    Udp,
    /// TCP (RFC 3261 §18).
    Tcp,
    /// TLS over TCP (RFC 3261 §26.2).
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS (RFC 7118).
    Wss,
    /// SCTP (RFC 4168).
    Sctp,
    /// A transport that we do not know.
    Other,
}

impl Transport {
    /// The transport that `name` names, in either case.
    #[inline]
    pub fn parse(name: &[u8]) -> Self {
        const KNOWN: [(&[u8], Transport); 6] = [
            (b"UDP", Transport::Udp),
            (b"TCP", Transport::Tcp),
            (b"TLS", Transport::Tls),
            (b"WS", Transport::Ws),
            (b"WSS", Transport::Wss),
            (b"SCTP", Transport::Sctp),
        ];
        KNOWN.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map_or(Self::Other, |&(_, t)| t)
    }

    /// The name in capitals, as Via has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
            Self::Sctp => "SCTP",
            Self::Other => "UNKNOWN",
        }
    }

    /// The name in small letters, as the `transport` parameter of a URI has it.
    pub const fn as_param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Sctp => "sctp",
            Self::Other => "unknown",
        }
    }

    /// Whether the transport itself delivers or reports failure, so that nothing is retransmitted over it
    /// (RFC 3261 §17.1.1.2).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp | Self::Other)
    }

    /// Whether the transport is encrypted.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The port where none is given (RFC 3261 §19.1.2; RFC 7118 §5 for WebSocket).
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
            Self::Udp | Self::Tcp | Self::Sctp | Self::Other => 5060,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways_in_any_case() {
        for t in [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss, Transport::Sctp] {
            assert_eq!(Transport::parse(t.as_str().as_bytes()), t);
            assert_eq!(Transport::parse(t.as_param().as_bytes()), t);
        }
        assert_eq!(Transport::parse(b"UDPX"), Transport::Other);
        assert_eq!(Transport::parse(b""), Transport::Other);
    }

    #[test]
    fn only_udp_is_unreliable_among_the_known() {
        assert!(!Transport::Udp.is_reliable());
        assert!(Transport::Tcp.is_reliable() && Transport::Tls.is_reliable() && Transport::Sctp.is_reliable());
        assert!(Transport::Ws.is_reliable() && Transport::Wss.is_reliable());
        assert_eq!(Transport::Tls.default_port(), 5061);
        assert_eq!(Transport::Udp.default_port(), 5060);
    }
}
