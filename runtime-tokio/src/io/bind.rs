//! Opening the listeners, and saying in one line what to do if that fails.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
use trunkline_core::flow::ListenerId;
use trunkline_core::wire::sip::transport::Transport;

use super::settings::Settings;
use crate::sys::{self, Buffer, Switch};

/// A listener to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// Its number in flows.
    pub(crate) id: ListenerId,
    /// [`Transport::Udp`] or [`Transport::Tcp`].
    pub(crate) transport: Transport,
    /// The address. Port 0 lets the system choose.
    pub(crate) addr: SocketAddr,
    /// Whether the address may come later: a virtual router of this node will hold it.
    pub(crate) is_virtual: bool,
}

/// Why a listener could not be opened. Its text is one line that says what to do.
#[derive(Debug)]
pub(crate) struct BindError {
    listen: Listen,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listen { transport, addr, .. } = self.listen;
        let transport = transport.as_param();
        match self.source.raw_os_error() {
            Some(libc::EADDRINUSE) => write!(
                f,
                "another process listens on {transport} {addr}; choose another port with --listen or stop it \
                 (`ss -lnp 'sport = :{}'` shows it)",
                addr.port()
            ),
            Some(libc::EACCES | libc::EPERM) if addr.port() < 1024 => write!(
                f,
                "no permission to listen on {transport} {addr}; choose a port from 1024 on or grant \
                 CAP_NET_BIND_SERVICE"
            ),
            Some(libc::EACCES | libc::EPERM) => {
                write!(f, "no permission to listen on {transport} {addr}; a security policy of this system forbids it")
            }
            Some(libc::EADDRNOTAVAIL) => write!(
                f,
                "{} is no address of this machine; correct it, or set sysctl {} to 1 if it comes later (as with VRRP of another program)",
                addr.ip(),
                if addr.is_ipv4() { "net.ipv4.ip_nonlocal_bind" } else { "net.ipv6.ip_nonlocal_bind" }
            ),
            Some(libc::EAFNOSUPPORT) => {
                write!(f, "this system has no {}; remove {addr}", if addr.is_ipv4() { "IPv4" } else { "IPv6" })
            }
            Some(libc::EMFILE | libc::ENFILE) => write!(
                f,
                "no file descriptor left to listen on {transport} {addr}; raise the limit (LimitNOFILE, `ulimit -n`)"
            ),
            _ => write!(f, "cannot listen on {transport} {addr}: {}", self.source),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// What stands for the sockets that speak to media relays, where a listener has its number: over IPv4 and IPv6.
pub(crate) const RELAY_PORTS: [ListenerId; 2] = [ListenerId(254), ListenerId(255)];

/// The sockets of one shard.
#[derive(Debug, Default)]
pub(crate) struct ShardSockets {
    pub(crate) udp: Vec<(ListenerId, UdpSocket)>,
    pub(crate) tcp: Vec<(ListenerId, TcpListener)>,
}

/// Open listeners, for every shard.
#[derive(Debug)]
pub(crate) struct Bound {
    pub(crate) shards: Vec<ShardSockets>,
    listeners: Vec<Listen>,
    receive_buffer: Option<usize>,
}

impl Bound {
    /// The listeners with the ports that they got.
    pub(crate) fn listeners(&self) -> &[Listen] {
        &self.listeners
    }

    /// The ports of the sockets that speak to media relays over IPv4, one of each shard.
    pub(crate) fn relay_ports(&self) -> io::Result<Vec<u16>> {
        let sockets = self.shards.iter().flat_map(|shard| &shard.udp).filter(|(id, _)| *id == RELAY_PORTS[0]);
        sockets.map(|(_, socket)| Ok(socket.local_addr()?.port())).collect()
    }

    /// The smallest receive buffer that a UDP socket got, in bytes. Less than was asked means that
    /// `net.core.rmem_max` limits it.
    pub(crate) const fn receive_buffer(&self) -> Option<usize> {
        self.receive_buffer
    }
}

/// Raises the limit on open files as far as the system allows. `Some` is a line for the operator: fewer files may be
/// open than `connections` and `media_sockets` need.
pub(crate) fn raise_open_files(connections: usize, media_sockets: usize) -> Option<String> {
    // Sockets of the shards, epoll, standard streams, files of the control side.
    const OTHERS: u64 = 64;
    let wanted = (connections as u64).saturating_add(media_sockets as u64).saturating_add(OTHERS);
    match sys::raise_nofile() {
        Ok(limit) if limit >= wanted => None,
        Ok(limit) => {
            let wants = [(connections, "connections"), (media_sockets, "sockets for media")];
            let wants: Vec<_> = wants.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
            Some(format!(
                "{} need more than the {limit} files this process may open; raise LimitNOFILE (`ulimit -n`) to {wanted}, \
                 or lower the limits",
                wants.join(" and ")
            ))
        }
        Err(e) => Some(format!("the limit on open files cannot be read: {e}")),
    }
}

/// Opens the listeners, one socket a shard and listener.
pub(crate) fn bind(listens: &[Listen], settings: &Settings) -> Result<Bound, BindError> {
    let shards = settings.shards.max(1);
    let mut bound = Bound {
        shards: (0..shards).map(|_| ShardSockets::default()).collect(),
        listeners: Vec::with_capacity(listens.len()),
        receive_buffer: None,
    };
    bind_relay_ports(&mut bound, settings)?;
    for &listen in listens {
        let failed = |source| BindError { listen, source };
        let mut at = listen;
        // A port that is shared must be free of other processes first: with SO_REUSEPORT the kernel would share it
        // with any process of this user.
        if shards > 1 && at.addr.port() != 0 {
            open(at, settings, false).map_err(failed)?;
        }
        for shard in &mut bound.shards {
            let socket = open(at, settings, shards > 1).map_err(failed)?;
            at.addr = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(at.addr);
            if at.transport == Transport::Udp {
                let got = set_up_datagrams(&socket, at.addr, settings).map_err(failed)?;
                bound.receive_buffer = Some(bound.receive_buffer.map_or(got, |least| least.min(got)));
                shard.udp.push((at.id, socket.into()));
            } else {
                socket.listen(settings.tcp.backlog).map_err(failed)?;
                shard.tcp.push((at.id, socket.into()));
            }
        }
        bound.listeners.push(at);
    }
    Ok(bound)
}

/// Opens what each shard speaks to media relays with.
fn bind_relay_ports(bound: &mut Bound, settings: &Settings) -> Result<(), BindError> {
    let any: [SocketAddr; 2] = [(Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::UNSPECIFIED, 0).into()];
    for (id, addr) in RELAY_PORTS.into_iter().zip(any) {
        if settings.relays.iter().all(|relay| relay.is_ipv4() != addr.is_ipv4()) {
            continue;
        }
        let listen = Listen { id, transport: Transport::Udp, addr, is_virtual: false };
        let failed = |source| BindError { listen, source };
        for shard in &mut bound.shards {
            let socket = open(listen, settings, false).map_err(failed)?;
            set_up_datagrams(&socket, addr, settings).map_err(failed)?;
            shard.udp.push((id, socket.into()));
        }
    }
    Ok(())
}

fn open(listen: Listen, settings: &Settings, is_shared: bool) -> io::Result<Socket> {
    let (kind, protocol) = match listen.transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        other => {
            let why = format!("no listener for transport {} in this driver", other.as_param());
            return Err(io::Error::new(io::ErrorKind::Unsupported, why));
        }
    };
    let socket = Socket::new(Domain::for_address(listen.addr), kind, Some(protocol))?;
    if listen.addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if listen.transport == Transport::Tcp {
        // Connections of a former run that linger must not hold the port.
        socket.set_reuse_address(true)?;
    }
    if listen.is_virtual {
        if listen.addr.is_ipv4() { socket.set_freebind_v4(true)? } else { socket.set_freebind_v6(true)? }
    }
    if is_shared && settings.shards > 1 {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&listen.addr.into())?;
    Ok(socket)
}

/// Buffers and options of a UDP socket; gives the size of its receive buffer.
fn set_up_datagrams(socket: &Socket, addr: SocketAddr, settings: &Settings) -> io::Result<usize> {
    let fd = socket.as_fd();
    let got = sys::set_buffer(fd, Buffer::Receive, settings.receive_buffer)?;
    sys::set_buffer(fd, Buffer::Send, settings.send_buffer)?;
    sys::switch_on(fd, Switch::ErrorQueue, addr.is_ipv6())?;
    sys::switch_on(fd, Switch::PollErrorQueue, addr.is_ipv6())?;
    sys::switch_on(fd, Switch::Fragment, addr.is_ipv6())?;
    Ok(got)
}

/// Where a connection of ours may start from: the address of a listener, with a port of the system's choice.
pub(crate) fn local_for(peer: SocketAddr, listener: Option<SocketAddr>) -> SocketAddr {
    match listener {
        Some(local) if local.is_ipv4() == peer.is_ipv4() => SocketAddr::new(local.ip(), 0),
        _ if peer.is_ipv4() => (Ipv4Addr::UNSPECIFIED, 0).into(),
        _ => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(transport: Transport, addr: &str) -> Listen {
        Listen { id: ListenerId(0), transport, addr: addr.parse().unwrap(), is_virtual: false }
    }

    fn shards(n: u8) -> Settings {
        Settings { shards: n, ..Settings::default() }
    }

    #[test]
    fn a_port_in_use_names_the_port_and_the_way_out() {
        for transport in [Transport::Udp, Transport::Tcp] {
            for n in [1, 2] {
                let first = bind(&[listen(transport, "127.0.0.1:0")], &shards(n)).unwrap();
                let taken = first.listeners()[0];
                let text = bind(&[taken], &shards(n)).unwrap_err().to_string();
                let start = format!("another process listens on {} {}; choose", transport.as_param(), taken.addr);
                assert!(text.starts_with(&start), "{text}");
                assert!(text.contains("--listen"), "{text}");
            }
        }
    }

    #[test]
    fn an_address_of_another_machine_gives_the_hint() {
        let e = bind(&[listen(Transport::Udp, "192.0.2.77:0")], &shards(1)).unwrap_err();
        assert!(e.to_string().starts_with("192.0.2.77 is no address of this machine"), "{e}");
        assert!(e.to_string().contains("ip_nonlocal_bind"), "{e}");
    }

    #[test]
    fn an_address_that_comes_later_is_bound_now() {
        for (transport, addr) in [(Transport::Udp, "192.0.2.77:0"), (Transport::Tcp, "192.0.2.77:0")] {
            let later = Listen { is_virtual: true, ..listen(transport, addr) };
            assert_eq!(bind(&[later], &shards(2)).unwrap().listeners()[0].addr.ip(), later.addr.ip());
        }
    }

    #[test]
    fn texts_by_cause() {
        for (code, port, want) in [
            (libc::EACCES, 80, "CAP_NET_BIND_SERVICE"),
            (libc::EACCES, 5060, "security policy"),
            (libc::EMFILE, 5060, "LimitNOFILE"),
            (libc::EAFNOSUPPORT, 5060, "this system has no IPv4"),
            (libc::ENOBUFS, 5060, "cannot listen on udp"),
        ] {
            let listen = listen(Transport::Udp, &format!("127.0.0.1:{port}"));
            let text = BindError { listen, source: io::Error::from_raw_os_error(code) }.to_string();
            assert!(text.contains(want) && !text.contains('\n'), "{text}");
        }
        let e = bind(&[listen(Transport::Sctp, "127.0.0.1:0")], &shards(1)).unwrap_err();
        assert!(e.to_string().contains("sctp"), "{e}");
    }

    #[test]
    fn shards_share_a_port_that_the_system_chose() {
        let listens = [listen(Transport::Udp, "127.0.0.1:0"), listen(Transport::Tcp, "127.0.0.1:0")];
        let bound = bind(&listens, &shards(2)).unwrap();
        for shard in &bound.shards {
            assert_eq!(shard.udp[0].1.local_addr().unwrap(), bound.listeners()[0].addr);
            assert_eq!(shard.tcp[0].1.local_addr().unwrap(), bound.listeners()[1].addr);
        }
        assert!(bound.receive_buffer().unwrap() > 0);
    }

    #[test]
    fn both_families_take_the_same_port() {
        let first = bind(&[listen(Transport::Udp, "[::]:0")], &shards(1)).unwrap();
        let port = first.listeners()[0].addr.port();
        bind(&[listen(Transport::Udp, &format!("0.0.0.0:{port}"))], &shards(1)).unwrap();
    }

    #[test]
    fn too_few_files_give_a_line_with_the_number() {
        assert_eq!(raise_open_files(1, 1), None);
        let line = raise_open_files(usize::MAX, 0).unwrap();
        assert!(line.contains("LimitNOFILE") && !line.contains('\n'), "{line}");
    }

    #[test]
    fn connections_start_from_the_listener_of_their_family() {
        let at = |s: &str| s.parse::<SocketAddr>().unwrap();
        assert_eq!(local_for(at("192.0.2.1:1"), Some(at("127.0.0.1:5060"))), at("127.0.0.1:0"));
        assert_eq!(local_for(at("192.0.2.1:1"), Some(at("[::1]:5060"))), at("0.0.0.0:0"));
        assert_eq!(local_for(at("[2001:db8::1]:1"), None), at("[::]:0"));
    }
}
