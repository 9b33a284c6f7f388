//! The raw sockets that adverts come and go by: IP protocol 112 (RFC 9568 §5.1).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::sys::{self, Switch};

/// The IP protocol number of VRRP.
const VRRP: i32 = 112;
/// Where adverts go (RFC 9568 §5.1.1.2, §5.1.2.2).
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// TTL and hop limit of every advert.
const HOPS: u32 = 255;
/// Precedence "internetwork control", as Keepalived and routers set it.
const TOS: u32 = 0xc0;
/// Bytes that may wait to be read. A flood beyond it is the kernel's to drop.
const RECEIVE_BUFFER: usize = 256 * 1024;
/// Longest packet that is taken: an IPv4 header with options and an advert with 255 IPv6 addresses.
pub(crate) const PACKET_MAX: usize = 60 + 8 + 255 * 16 + 64;

/// A packet as it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'b> {
    /// Who sent it.
    pub(crate) source: IpAddr,
    /// Where it was sent to.
    pub(crate) destination: IpAddr,
    /// Its TTL or hop limit.
    pub(crate) ttl: u8,
    /// What follows the IP header.
    pub(crate) bytes: &'b [u8],
}

/// Takes the adverts of one family on one interface.
#[derive(Debug)]
pub(crate) struct Receiver {
    socket: Socket,
    v6: bool,
}

impl Receiver {
    /// Opens a socket on the interface with this name and index, and joins the group.
    pub(crate) fn open(name: &str, index: u32, v6: bool) -> io::Result<Self> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(VRRP)))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        sys::set_buffer(socket.as_fd(), sys::Buffer::Receive, RECEIVE_BUFFER)?;
        if v6 {
            socket.set_recv_hoplimit_v6(true)?;
            sys::switch_on(socket.as_fd(), Switch::PacketInfo, true)?;
            socket.join_multicast_v6(&GROUP_V6, index)?;
        } else {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(index))?;
        }
        Ok(Self { socket, v6 })
    }

    /// Takes the next packet, without blocking. `Ok(None)`: it is none that could be an advert.
    pub(crate) fn receive<'b>(&self, buffer: &'b mut [u8; PACKET_MAX]) -> io::Result<Option<Received<'b>>> {
        let mut control = sys::Control::empty();
        let (len, from) = sys::receive(self.socket.as_fd(), &mut buffer[..], &mut control)?;
        let packet = buffer.get(..len);
        if !self.v6 {
            return Ok(packet.and_then(unwrap_v4));
        }
        let received = || {
            let about = About::read(control.bytes());
            Some(Received {
                source: from?.ip(),
                destination: about.destination?.into(),
                ttl: about.hop_limit?,
                bytes: packet?,
            })
        };
        Ok(received())
    }
}

impl AsFd for Receiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes an IPv4 packet out of its header.
fn unwrap_v4(packet: &[u8]) -> Option<Received<'_>> {
    let header_len = usize::from(packet.first()? & 0x0f) * 4;
    if header_len < 20 {
        return None;
    }
    let address = |at: usize| -> Option<IpAddr> { Some(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?.into()) };
    Some(Received {
        source: address(12)?,
        destination: address(16)?,
        ttl: *packet.get(8)?,
        bytes: packet.get(header_len..)?,
    })
}

/// What the kernel says about an IPv6 packet (RFC 3542 §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct About {
    destination: Option<Ipv6Addr>,
    hop_limit: Option<u8>,
}

impl About {
    /// Reads control messages: length, level and type of each, then its value; padded to the length of a `usize`.
    fn read(mut control: &[u8]) -> Self {
        const WORD: usize = size_of::<usize>();
        const HEAD: usize = WORD + 8;
        let mut about = Self::default();
        while let Some((len, rest)) = control.split_first_chunk::<WORD>() {
            let len = usize::from_ne_bytes(*len);
            let int = |at: usize| rest.get(at..at + 4).and_then(|b| b.try_into().ok()).map(i32::from_ne_bytes);
            let Some(value) = control.get(HEAD..len) else { break };
            match (int(0), int(4)) {
                (Some(libc::IPPROTO_IPV6), Some(libc::IPV6_PKTINFO)) => {
                    about.destination = value.first_chunk::<16>().map(|octets| (*octets).into());
                }
                (Some(libc::IPPROTO_IPV6), Some(libc::IPV6_HOPLIMIT)) => {
                    let hops = value.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes));
                    about.hop_limit = hops.and_then(|hops| u8::try_from(hops).ok());
                }
                _ => {}
            }
            control = control.get(len.next_multiple_of(WORD)..).unwrap_or_default();
        }
        about
    }
}

/// Sends the adverts of one virtual router.
#[derive(Debug)]
pub(crate) struct Sender {
    socket: Socket,
    index: u32,
}

impl Sender {
    /// Opens a socket that sends from `source` by the interface with this name and index.
    pub(crate) fn open(name: &str, index: u32, source: IpAddr) -> io::Result<Self> {
        let v6 = source.is_ipv6();
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(VRRP)))?;
        socket.set_nonblocking(true)?;
        socket.bind_device(Some(name.as_bytes()))?;
        // Packets to its address are taken by the receiver.
        let _ = socket.set_recv_buffer_size(0);
        let at = match source {
            IpAddr::V4(_) => {
                socket.set_ttl_v4(HOPS)?;
                socket.set_multicast_ttl_v4(HOPS)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_tos_v4(TOS)?;
                rustix::net::sockopt::set_ip_multicast_if_with_ifindex(
                    &socket,
                    &Ipv4Addr::UNSPECIFIED,
                    &Ipv4Addr::UNSPECIFIED,
                    index,
                )?;
                SocketAddr::new(source, 0)
            }
            IpAddr::V6(ip) => {
                socket.set_unicast_hops_v6(HOPS)?;
                socket.set_multicast_hops_v6(HOPS)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_tclass_v6(TOS)?;
                socket.set_multicast_if_v6(index)?;
                SocketAddrV6::new(ip, 0, 0, scope(ip, index)).into()
            }
        };
        socket.bind(&at.into())?;
        Ok(Self { socket, index })
    }

    /// Sends one advert.
    pub(crate) fn send(&self, to: IpAddr, bytes: &[u8]) -> io::Result<()> {
        let to = match to {
            IpAddr::V4(_) => SocketAddr::new(to, 0),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, 0, 0, scope(ip, self.index)).into(),
        };
        self.socket.send_to(bytes, &to.into()).map(|_| ())
    }
}

/// The zone of an address: link-local ones mean an interface only with it (RFC 4007).
fn scope(ip: Ipv6Addr, index: u32) -> u32 {
    if ip.is_unicast_link_local() || ip.is_multicast() { index } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_packet_is_taken_out_of_its_header() {
        let mut packet = vec![0x46, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 10, 98, 0, 1, 224, 0, 0, 18, 1, 2, 3, 4];
        packet.extend([0x31, 51, 100]);
        let got = unwrap_v4(&packet).unwrap();
        assert_eq!((got.ttl, got.bytes), (255, &[0x31, 51, 100][..]));
        assert_eq!((got.source.to_string(), got.destination.to_string()), ("10.98.0.1".into(), "224.0.0.18".into()));
        packet[0] = 0x44;
        assert!(unwrap_v4(&packet).is_none(), "a header under 20 bytes");
        packet[0] = 0x4f;
        assert!(unwrap_v4(&packet).is_none(), "a header longer than the packet");
        assert!(unwrap_v4(&[]).is_none());
    }

    fn control(level: i32, kind: i32, value: &[u8]) -> Vec<u8> {
        let mut out = (size_of::<usize>() + 8 + value.len()).to_ne_bytes().to_vec();
        out.extend(level.to_ne_bytes());
        out.extend(kind.to_ne_bytes());
        out.extend(value);
        out.resize(out.len().next_multiple_of(size_of::<usize>()), 0);
        out
    }

    #[test]
    fn control_messages_tell_destination_and_hop_limit() {
        let mut info = GROUP_V6.octets().to_vec();
        info.extend(7u32.to_ne_bytes());
        let mut all = control(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        all.extend(control(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &255i32.to_ne_bytes()));
        assert_eq!(About::read(&all), About { destination: Some(GROUP_V6), hop_limit: Some(255) });
        for cut in 0..all.len() {
            assert_ne!(About::read(&all[..cut]).hop_limit, Some(0));
        }
        for len in [0usize, 1, 15, 17, usize::MAX] {
            all[..size_of::<usize>()].copy_from_slice(&len.to_ne_bytes());
            let _ = About::read(&all);
        }
        assert_eq!(
            About::read(&control(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &999i32.to_ne_bytes())).hop_limit,
            None
        );
    }

    #[test]
    fn link_local_addresses_have_a_zone() {
        assert_eq!(scope("fe80::1".parse().unwrap(), 3), 3);
        assert_eq!(scope(GROUP_V6, 3), 3);
        assert_eq!(scope("fd98::1".parse().unwrap(), 3), 0);
    }
}
