//! Who may send commands.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The sources of commands that are heard.
#[derive(Clone, Debug)]
pub(crate) enum Gate {
    /// Those in these networks.
    Networks(Vec<IpNet>),
    /// These sockets, and no other one of their machine.
    Exactly(Vec<SocketAddr>),
}

impl Gate {
    /// Whether `from` is heard.
    pub(crate) fn admits(&self, from: SocketAddr) -> bool {
        match self {
            Self::Networks(networks) => {
                let ip = unmapped(from.ip());
                networks.iter().any(|network| network.contains(&ip))
            }
            Self::Exactly(sockets) => sockets.contains(&from),
        }
    }
}

/// An IPv4 address that a socket of both families gives as one of IPv6.
fn unmapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_listed_are_heard() {
        let networks = Gate::Networks(vec!["127.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        let exactly = Gate::Exactly(vec!["127.0.0.1:4000".parse().unwrap()]);
        for (from, by_network, by_socket) in [
            ("127.0.0.1:4000", true, true),
            ("127.0.0.1:4001", true, false),
            ("127.0.0.2:4000", true, false),
            ("[::ffff:127.0.0.1]:4000", true, false),
            ("[2001:db8::1]:1", true, false),
            ("[::1]:1", false, false),
            ("192.0.2.1:4000", false, false),
        ] {
            let from = from.parse().unwrap();
            assert_eq!((networks.admits(from), exactly.admits(from)), (by_network, by_socket), "{from}");
        }
    }
}
