//! Who we are: our listeners, and the names under which we are known.

use core::net::{IpAddr, SocketAddr};

use crate::flow::ListenerId;
use crate::store::list::{List, Str};
use crate::wire::sip::host::Host;
use crate::wire::sip::transport::Transport;
use crate::wire::sip::uri::Uri;

/// Most listeners of a node.
pub const LISTENERS_MAX: usize = 32;

/// A socket on which a node takes SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Listener {
    /// The transport.
    pub transport: Transport,
    /// The address it is bound to.
    pub bound: SocketAddr,
    /// The address that peers are told (Via, Record-Route).
    pub advertised: SocketAddr,
}

/// Our listeners and names.
#[derive(Clone, Debug, Default)]
pub struct Locals {
    listeners: heapless::Vec<Listener, LISTENERS_MAX>,
    names: List<Str>,
    addresses: List<IpAddr>,
}

impl Locals {
    /// Our listeners (those beyond [`LISTENERS_MAX`] are left out), the domain names that mean us, and addresses that
    /// mean us besides those of the listeners (for sockets bound to all of them).
    pub fn new(listeners: &[Listener], names: List<Str>, addresses: List<IpAddr>) -> Self {
        let listeners = listeners.iter().take(LISTENERS_MAX).copied().collect();
        Self { listeners, names, addresses }
    }

    /// The listener of that number.
    pub fn listener(&self, id: ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::from(id.0))
    }

    /// All listeners with their numbers.
    pub fn listeners(&self) -> impl Iterator<Item = (ListenerId, &Listener)> {
        self.listeners.iter().enumerate().map(|(i, l)| (ListenerId(i as u8), l))
    }

    /// The listener from which `peer` is reached over `transport`: of the same address family, and on loopback if and
    /// only if the peer is, where there is a choice.
    pub fn towards(&self, transport: Transport, peer: SocketAddr) -> Option<ListenerId> {
        let fits = |l: &Listener| l.transport == transport && l.bound.is_ipv4() == peer.is_ipv4();
        let near =
            |l: &Listener| l.bound.ip().is_unspecified() || l.bound.ip().is_loopback() == peer.ip().is_loopback();
        let find = |near_only: bool| self.listeners().find(|(_, l)| fits(l) && (!near_only || near(l)));
        find(true).or_else(|| find(false)).map(|(id, _)| id)
    }

    /// The listener that `uri` names, as one of our Record-Route URIs does.
    pub fn named(&self, uri: &Uri<'_>) -> Option<ListenerId> {
        let ip = uri.host?.ip()?;
        let addr = SocketAddr::new(ip, uri.port_or_default());
        let transport = uri.transport().unwrap_or(if uri.scheme.is_sips() { Transport::Tls } else { Transport::Udp });
        let find = |f: &dyn Fn(&Listener) -> bool| self.listeners().find(|(_, l)| f(l)).map(|(id, _)| id);
        find(&|l| l.transport == transport && l.advertised == addr)
            .or_else(|| find(&|l| l.transport == transport && l.bound == addr))
    }

    /// Whether `uri` means us: one of our names or addresses, and a port of ours or none.
    pub fn is_me(&self, uri: &Uri<'_>) -> bool {
        let Some(host) = uri.host else { return false };
        let port = uri.port_or_default();
        match host.ip() {
            Some(ip) => self.listeners.iter().any(|l| {
                (l.advertised.ip() == ip && l.advertised.port() == port)
                    || (l.bound.port() == port
                        && (l.bound.ip() == ip || (l.bound.ip().is_unspecified() && self.addresses.contains(&ip))))
            }),
            None => {
                self.names.iter().any(|n| Host::parse(n).is_ok_and(|n| n.equivalent(host)))
                    && (uri.port.is_none() || self.listeners.iter().any(|l| l.bound.port() == port))
            }
        }
    }

    /// Whether a message for that address comes back to us.
    pub fn is_my_address(&self, transport: Transport, addr: SocketAddr) -> bool {
        self.listeners.iter().any(|l| {
            l.transport == transport
                && (l.bound == addr
                    || l.advertised == addr
                    || (l.bound.ip().is_unspecified()
                        && l.bound.port() == addr.port()
                        && (self.addresses.contains(&addr.ip()) || addr.ip().is_loopback())))
        })
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    fn locals() -> Locals {
        let listener = |transport, bound: &str, advertised: &str| Listener {
            transport,
            bound: bound.parse().unwrap(),
            advertised: advertised.parse().unwrap(),
        };
        let listeners: Vec<_> = vec![
            listener(Transport::Udp, "127.0.0.1:5060", "127.0.0.1:5060"),
            listener(Transport::Udp, "10.0.0.1:5060", "192.0.2.1:5080"),
            listener(Transport::Tcp, "10.0.0.1:5060", "192.0.2.1:5080"),
            listener(Transport::Udp, "[::]:5070", "[2001:db8::1]:5070"),
        ];
        let addresses = List::from(vec!["2001:db8::2".parse().unwrap()]);
        Locals::new(&listeners, List::from(vec!["edge.example".into()]), addresses)
    }

    #[test]
    fn what_means_us() {
        let rows = [
            ("sip:10.0.0.1", true),
            ("sip:10.0.0.1:5060", true),
            ("sip:10.0.0.1:5061", false),
            ("sip:10.0.0.2", false),
            ("sip:192.0.2.1:5080", true),
            ("sip:192.0.2.1", false),
            ("sip:edge.example", true),
            ("sip:EDGE.Example:5070", true),
            ("sip:edge.example:5099", false),
            ("sip:other.example", false),
            ("sip:[2001:db8::1]:5070", true),
            ("sip:[2001:db8:0::2]:5070", true),
            ("sip:[2001:db8::3]:5070", false),
            ("tel:+1555", false),
        ];
        for (uri, expected) in rows {
            assert_eq!(locals().is_me(&Uri::parse(uri.as_bytes()).unwrap()), expected, "{uri}");
        }
    }

    #[test]
    fn the_listener_a_record_route_names() {
        let rows = [
            ("sip:192.0.2.1:5080;lr", Some(1)),
            ("sip:192.0.2.1:5080;transport=tcp;lr", Some(2)),
            ("sip:10.0.0.1;lr", Some(1)),
            ("sip:[2001:db8::1]:5070;lr", Some(3)),
            ("sip:192.0.2.1:5080;transport=tls;lr", None),
            ("sip:edge.example;lr", None),
        ];
        for (uri, expected) in rows {
            let got = locals().named(&Uri::parse(uri.as_bytes()).unwrap());
            assert_eq!(got, expected.map(ListenerId), "{uri}");
        }
    }

    #[test]
    fn the_listener_towards_a_peer() {
        let rows = [
            (Transport::Udp, "127.0.0.5:5060", Some(0)),
            (Transport::Udp, "203.0.113.1:5060", Some(1)),
            (Transport::Tcp, "203.0.113.1:5060", Some(2)),
            // There is no choice.
            (Transport::Tcp, "127.0.0.5:5060", Some(2)),
            (Transport::Udp, "[2001:db8::9]:5060", Some(3)),
            (Transport::Tcp, "[2001:db8::9]:5060", None),
        ];
        for (transport, peer, expected) in rows {
            assert_eq!(
                locals().towards(transport, peer.parse().unwrap()),
                expected.map(ListenerId),
                "{transport:?} {peer}"
            );
        }
    }

    #[test]
    fn what_comes_back_to_us() {
        let rows = [
            (Transport::Udp, "10.0.0.1:5060", true),
            (Transport::Udp, "192.0.2.1:5080", true),
            (Transport::Tls, "10.0.0.1:5060", false),
            (Transport::Udp, "[2001:db8::2]:5070", true),
            (Transport::Udp, "[::1]:5070", true),
            (Transport::Udp, "[2001:db8::2]:5060", false),
        ];
        for (transport, addr, expected) in rows {
            assert_eq!(locals().is_my_address(transport, addr.parse().unwrap()), expected, "{transport:?} {addr}");
        }
    }
}
