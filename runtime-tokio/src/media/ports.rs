//! RTP ports.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

/// How many ports are tried before the range counts as used up.
const TRIES: u16 = 256;

/// Binds a non-blocking socket to an even port of `range` (RFC 3550 §11), starting somewhere in it.
///
/// # Errors
/// Those of the last attempt; `AddrNotAvailable` for a range without an even port.
pub(super) fn bind(ip: IpAddr, range: &RangeInclusive<u16>) -> io::Result<UdpSocket> {
    let first = u32::from(*range.start()).next_multiple_of(2);
    let pairs = (u32::from(*range.end()) + 2).saturating_sub(first) / 2;
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    if pairs == 0 {
        return Err(last);
    }
    let start = rand::random::<u32>() % pairs;
    for n in 0..pairs.min(u32::from(TRIES)) {
        // Below 65,536, since the range ends there.
        let port = (first + 2 * ((start + n) % pairs)) as u16;
        match UdpSocket::bind(SocketAddr::new(ip, port)) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok(socket);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// All addresses of the family of `ip`.
pub(super) const fn unspecified(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

/// The address of this machine from which `peer` is reached.
///
/// # Errors
/// Those of the routing table: there is no way to `peer`.
pub(super) fn ip_towards(peer: IpAddr) -> io::Result<IpAddr> {
    let socket = UdpSocket::bind(SocketAddr::new(unspecified(peer), 0))?;
    // Nothing is sent: the port only has to be one.
    socket.connect(SocketAddr::new(peer, 9))?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn ports_are_even_and_within_the_range() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let range = 30_001..=30_040;
        let sockets: Vec<_> = (0..4).map(|_| bind(ip, &range).unwrap()).collect();
        for socket in &sockets {
            let port = socket.local_addr().unwrap().port();
            assert!(port % 2 == 0 && range.contains(&port), "{port}");
        }
    }

    #[test]
    fn a_range_that_is_used_up_is_an_error() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let held = bind(ip, &(20_000..=20_998)).unwrap();
        let port = held.local_addr().unwrap().port();
        assert_eq!(bind(ip, &(port..=port)).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(bind(ip, &(port + 1..=port + 1)).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }

    #[test]
    fn loopback_is_reached_from_loopback() {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(ip_towards(ip).unwrap(), ip);
    }
}
