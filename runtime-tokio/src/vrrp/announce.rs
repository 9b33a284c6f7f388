//! Telling the network who holds an address: gratuitous ARP (RFC 826, RFC 5227 §3) and unsolicited Neighbour
//! Advertisements (RFC 4861 §7.2.6); and hearing of others who hold it too.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, SockFilter, Socket, Type};

use crate::sys;

const BROADCAST: [u8; 6] = [0xff; 6];
/// ff02::1, all nodes, and its Ethernet address (RFC 2464 §7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

const ETHER_ARP: u16 = 0x0806;
const ETHER_IPV6: u16 = 0x86dd;
const ARP_REQUEST: u8 = 1;
const ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Flags of an advertisement: it replaces what is known.
const OVERRIDE: u8 = 0x20;
const ROUTER: u8 = 0x80;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// Longest frame that is sent or looked at.
const FRAME_MAX: usize = 128;
const ARP_LEN: usize = 42;
const ADVERTISEMENT_LEN: usize = 86;

/// A gratuitous ARP as Keepalived and most hosts send it: a broadcast request whose sender and target are the address.
fn gratuitous_arp(ip: Ipv4Addr, mac: [u8; 6]) -> [u8; ARP_LEN] {
    let mut frame = [0; ARP_LEN];
    frame[..6].copy_from_slice(&BROADCAST);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHER_ARP.to_be_bytes());
    // Ethernet and IPv4, with the lengths of their addresses.
    frame[14..22].copy_from_slice(&[0, 1, 0x08, 0, 6, 4, 0, ARP_REQUEST]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&ip.octets());
    frame[32..38].copy_from_slice(&BROADCAST);
    frame[38..42].copy_from_slice(&ip.octets());
    frame
}

/// An unsolicited Neighbour Advertisement to all nodes.
fn unsolicited_na(ip: Ipv6Addr, mac: [u8; 6], is_router: bool) -> [u8; ADVERTISEMENT_LEN] {
    let mut frame = [0; ADVERTISEMENT_LEN];
    frame[..6].copy_from_slice(&ALL_NODES_MAC);
    frame[6..12].copy_from_slice(&mac);
    frame[12..14].copy_from_slice(&ETHER_IPV6.to_be_bytes());
    // IPv6: version 6, 32 bytes of payload, hop limit 255 (RFC 4861 §7.1.2).
    frame[14..22].copy_from_slice(&[0x60, 0, 0, 0, 0, 32, ICMPV6, 255]);
    frame[22..38].copy_from_slice(&ip.octets());
    frame[38..54].copy_from_slice(&ALL_NODES.octets());
    frame[54] = NEIGHBOUR_ADVERTISEMENT;
    frame[58] = OVERRIDE | if is_router { ROUTER } else { 0 };
    frame[62..78].copy_from_slice(&ip.octets());
    frame[78..80].copy_from_slice(&[TARGET_LINK_LAYER_ADDRESS, 1]);
    frame[80..86].copy_from_slice(&mac);
    let checksum = icmpv6_checksum(&frame[22..54], &frame[54..]);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// The checksum with the pseudo-header (RFC 4443 §2.3): `addresses` are source and destination.
fn icmpv6_checksum(addresses: &[u8], message: &[u8]) -> u16 {
    let words = |bytes: &[u8]| -> u32 {
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from)).sum()
    };
    let len = u32::try_from(message.len()).unwrap_or_default();
    let mut sum = words(addresses) + words(message) + len + u32::from(ICMPV6);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// Says in the name of `ip` that it is at `mac`.
#[derive(Debug)]
pub(crate) struct Announcer(Socket);

impl Announcer {
    pub(crate) fn open() -> io::Result<Self> {
        // Protocol 0: it sends, and takes nothing in.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Sends one gratuitous ARP or one unsolicited Neighbour Advertisement. `is_router` is told to IPv6 neighbours.
    pub(crate) fn announce(&self, index: u32, mac: [u8; 6], ip: IpAddr, is_router: bool) -> io::Result<()> {
        match ip {
            IpAddr::V4(ip) => self.send(index, ETHER_ARP, &gratuitous_arp(ip, mac)),
            IpAddr::V6(ip) => self.send(index, ETHER_IPV6, &unsolicited_na(ip, mac, is_router)),
        }
    }

    fn send(&self, index: u32, protocol: u16, frame: &[u8]) -> io::Result<()> {
        self.0.send_to(frame, &sys::link_address(index, protocol)).map(|_| ())
    }
}

/// Someone else said that it holds an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The address.
    pub(crate) ip: IpAddr,
    /// Who holds it.
    pub(crate) mac: [u8; 6],
}

/// Hears who says of which addresses that it holds them, on one interface.
#[derive(Debug)]
pub(crate) struct Listener(Socket);

impl Listener {
    /// Hears ARP, or for IPv6 Neighbour Advertisements.
    pub(crate) fn open(index: u32, v6: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        // Set before the socket takes anything in: every other frame stays in the kernel.
        if v6 {
            socket.attach_filter(&advertisements_only())?;
        }
        socket.bind(&sys::link_address(index, if v6 { ETHER_IPV6 } else { ETHER_ARP }))?;
        Ok(Self(socket))
    }

    /// The next claim; frames that are none are passed over. `None` when nothing waits.
    pub(crate) fn next(&self) -> Option<Claim> {
        let mut frame = [0; FRAME_MAX];
        loop {
            let (_, received) = rustix::net::recv(&self.0, &mut frame[..], rustix::net::RecvFlags::empty()).ok()?;
            if let Some(claim) = claim(frame.get(..received.min(FRAME_MAX))?) {
                return Some(claim);
            }
        }
    }
}

/// A classic BPF program that takes Neighbour Advertisements and nothing else.
fn advertisements_only() -> [SockFilter; 6] {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, u32::from(ICMPV6)),
        SockFilter::new(LOAD_BYTE, 0, 0, 54),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(NEIGHBOUR_ADVERTISEMENT)),
        SockFilter::new(RETURN, 0, 0, FRAME_MAX as u32),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a frame says: the sender of an ARP packet, or the target of a Neighbour Advertisement.
fn claim(frame: &[u8]) -> Option<Claim> {
    let mac = frame.get(6..12)?.try_into().ok()?;
    match u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?) {
        ETHER_ARP => {
            let ip = Ipv4Addr::from(<[u8; 4]>::try_from(frame.get(28..32)?).ok()?);
            // A probe (RFC 5227 §1.1) asks and claims nothing.
            (frame.get(14..20)? == [0, 1, 0x08, 0, 6, 4] && !ip.is_unspecified())
                .then_some(Claim { ip: ip.into(), mac })
        }
        ETHER_IPV6 if *frame.get(20)? == ICMPV6 && *frame.get(54)? == NEIGHBOUR_ADVERTISEMENT => {
            let ip = Ipv6Addr::from(<[u8; 16]>::try_from(frame.get(62..78)?).ok()?);
            Some(Claim { ip: ip.into(), mac })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0x98, 0, 1];

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace().map(|b| u8::from_str_radix(b, 16).unwrap()).collect()
    }

    #[test]
    fn a_gratuitous_arp_is_what_keepalived_sends() {
        let wanted = bytes(
            "ff ff ff ff ff ff 02 00 00 98 00 01 08 06 00 01 08 00 06 04 00 01 02 00 00 98 00 01 0a 62 00 64 \
             ff ff ff ff ff ff 0a 62 00 64",
        );
        assert_eq!(gratuitous_arp(Ipv4Addr::new(10, 98, 0, 100), MAC)[..], wanted[..]);
    }

    #[test]
    fn an_advertisement_has_a_right_checksum_and_overrides() {
        let frame = unsolicited_na("fd98::100".parse().unwrap(), MAC, false);
        assert_eq!(frame[58], 0x20, "R=0, S=0, O=1");
        // A sum over all of it, its checksum included, is all ones, which is complemented to nothing.
        assert_eq!(icmpv6_checksum(&frame[22..54], &frame[54..]), 0);
        assert_eq!(unsolicited_na("fd98::100".parse().unwrap(), MAC, true)[58], 0xa0);
    }

    #[test]
    fn claims_are_read_back_and_probes_are_none() {
        let v4 = gratuitous_arp(Ipv4Addr::new(192, 0, 2, 1), MAC);
        assert_eq!(claim(&v4), Some(Claim { ip: "192.0.2.1".parse().unwrap(), mac: MAC }));
        assert_eq!(claim(&gratuitous_arp(Ipv4Addr::UNSPECIFIED, MAC)), None);
        let v6 = unsolicited_na("fd98::1".parse().unwrap(), MAC, true);
        assert_eq!(claim(&v6), Some(Claim { ip: "fd98::1".parse().unwrap(), mac: MAC }));
        for cut in 0..v6.len() {
            assert!(claim(&v6[..cut]).is_none() || cut >= 78);
        }
        for cut in 0..32 {
            assert_eq!(claim(&v4[..cut]), None);
        }
    }
}
