//! rtnetlink(7): the few messages that a virtual router needs, written and read by hand. What a newer kernel adds to a
//! message is passed over, not refused.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ipnet::IpNet;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// Longest batch of messages that is read at once. The kernel cuts dumps to fit.
const BATCH_LEN: usize = 32 * 1024;
/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of `nlmsghdr`, `ifinfomsg`, `ifaddrmsg`.
const HEADER_LEN: usize = 16;
const LINK_LEN: usize = 16;
const ADDRESS_LEN: usize = 8;

const INFO_DATA: u16 = 2;
const MACVLAN_MODE: u16 = 1;
const MACVLAN_MODE_PRIVATE: u32 = 1;
/// Bits of `ifi_flags` beyond those of ioctls.
const LOWER_UP: u32 = 1 << 16;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Its index.
    pub(crate) index: u32,
    /// Its name.
    pub(crate) name: String,
    /// Its Ethernet address; none: it is no Ethernet interface.
    pub(crate) mac: Option<[u8; 6]>,
    /// Whether it is switched on and has a carrier.
    pub(crate) is_up: bool,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The index of the interface.
    pub(crate) index: u32,
    /// The address.
    pub(crate) ip: IpAddr,
    /// The length of its prefix, in bits.
    pub(crate) prefix_len: u8,
    /// Whether it is secondary (IPv4) or still being checked or deprecated (IPv6): no source for adverts.
    pub(crate) is_secondary: bool,
}

/// What the kernel tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An interface is there, or has changed.
    Link(Link),
    /// The interface with this index is gone.
    LinkGone(u32),
    /// An address is there.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
}

/// A message under construction.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: libc::c_int, header: &[u8]) -> Self {
        let flags = u16::try_from(libc::NLM_F_REQUEST | flags).unwrap_or_default();
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(header);
        Self(bytes)
    }

    fn link(kind: u16, flags: libc::c_int, index: u32, up: Option<bool>) -> Self {
        let mut header = [0; LINK_LEN];
        let up_bit = u32::try_from(libc::IFF_UP).unwrap_or(1);
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        header[8..12].copy_from_slice(&(if up == Some(true) { up_bit } else { 0 }).to_ne_bytes());
        header[12..16].copy_from_slice(&(if up.is_some() { up_bit } else { 0 }).to_ne_bytes());
        Self::new(kind, flags, &header)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.nested(kind, |inner| inner.0.extend(value))
    }

    fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend(kind.to_ne_bytes());
        fill(self);
        let len = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(&mut self, sequence: u32) -> &[u8] {
        let len = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        self.0[0..4].copy_from_slice(&len.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        &self.0
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The parts of a list of `[len, kind, value]`, messages (`SIZE` 4) or attributes (`SIZE` 2), each padded to four bytes.
/// Ends at the first that is not whole.
struct Parts<'b, const SIZE: usize>(&'b [u8]);

impl<'b, const SIZE: usize> Iterator for Parts<'b, SIZE> {
    type Item = (u16, &'b [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        let len = match SIZE {
            4 => usize::try_from(u32_at(self.0, 0)?).ok()?,
            _ => usize::from(u16_at(self.0, 0)?),
        };
        let part = self.0.get(..len)?;
        let head = if SIZE == 4 { HEADER_LEN } else { 4 };
        let kind = u16_at(part, SIZE)?;
        let item = part.get(head..)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, item))
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Reads one message; `None` for kinds that do not matter here and for what is not whole.
fn change(kind: u16, body: &[u8]) -> Option<Change> {
    match kind {
        libc::RTM_NEWLINK => link(body).map(Change::Link),
        libc::RTM_DELLINK => u32_at(body, 4).map(Change::LinkGone),
        libc::RTM_NEWADDR => address(body).map(Change::Address),
        libc::RTM_DELADDR => address(body).map(Change::AddressGone),
        _ => None,
    }
}

fn link(body: &[u8]) -> Option<Link> {
    // Messages of the bridge (AF_BRIDGE) name ports in their own way.
    if *body.first()? != 0 {
        return None;
    }
    let (index, flags) = (u32_at(body, 4)?, u32_at(body, 8)?);
    let up = u32::try_from(libc::IFF_UP | libc::IFF_RUNNING).ok()? | LOWER_UP;
    let mut link = Link { index, name: String::new(), mac: None, is_up: flags & up == up };
    for (kind, value) in Parts::<2>(body.get(LINK_LEN..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = String::from_utf8_lossy(value.split(|b| *b == 0).next()?).into_owned(),
            libc::IFLA_ADDRESS => link.mac = value.try_into().ok(),
            _ => {}
        }
    }
    Some(link)
}

fn address(body: &[u8]) -> Option<Address> {
    let family = libc::c_int::from(*body.first()?);
    let mut flags = u32::from(*body.get(2)?);
    let (mut local, mut any) = (None, None);
    let ip = |value: &[u8]| -> Option<IpAddr> {
        match family {
            libc::AF_INET => <[u8; 4]>::try_from(value).ok().map(Into::into),
            libc::AF_INET6 => <[u8; 16]>::try_from(value).ok().map(Into::into),
            _ => None,
        }
    };
    for (kind, value) in Parts::<2>(body.get(ADDRESS_LEN..)?) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => any = ip(value),
            libc::IFA_FLAGS => flags = u32_at(value, 0)?,
            _ => {}
        }
    }
    let unfit = libc::IFA_F_SECONDARY | libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED | libc::IFA_F_DEPRECATED;
    Some(Address {
        index: u32_at(body, 4)?,
        ip: local.or(any)?,
        prefix_len: *body.get(1)?,
        is_secondary: flags & unfit != 0,
    })
}

fn open(groups: u32, flags: SocketFlags) -> io::Result<OwnedFd> {
    let flags = flags | SocketFlags::CLOEXEC;
    // Without a protocol it is NETLINK_ROUTE, which has the number 0.
    let fd = net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    net::bind(&fd, &SocketAddrNetlink::new(0, groups))?;
    Ok(fd)
}

/// Asks the kernel, and waits for its answer.
#[derive(Debug)]
pub(crate) struct Netlink {
    fd: OwnedFd,
    sequence: u32,
    batch: Vec<u8>,
}

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let fd = open(0, SocketFlags::empty())?;
        net::sockopt::set_socket_timeout(&fd, net::sockopt::Timeout::Recv, Some(PATIENCE))?;
        Ok(Self { fd, sequence: 0, batch: vec![0; BATCH_LEN] })
    }

    /// Puts an address on an interface. An address that is there already stays, without an error.
    pub(crate) fn add_address(&mut self, index: u32, net: IpNet) -> io::Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        self.run(Self::address_message(libc::RTM_NEWADDR, flags, index, net))
    }

    /// Takes an address off an interface. An address that is not there is no error.
    pub(crate) fn remove_address(&mut self, index: u32, net: IpNet) -> io::Result<()> {
        match self.run(Self::address_message(libc::RTM_DELADDR, libc::NLM_F_ACK, index, net)) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(()),
            other => other,
        }
    }

    fn address_message(kind: u16, flags: libc::c_int, index: u32, net: IpNet) -> Message {
        let (family, ip) = match net {
            IpNet::V4(_) => (libc::AF_INET, net.addr()),
            IpNet::V6(_) => (libc::AF_INET6, net.addr()),
        };
        let family = u8::try_from(family).unwrap_or_default();
        // The router that held it until now may still answer for it: no waiting for duplicate address detection.
        let header_flags = if net.addr().is_ipv6() { u8::try_from(libc::IFA_F_NODAD).unwrap_or_default() } else { 0 };
        let mut header = [family, net.prefix_len(), header_flags, 0, 0, 0, 0, 0];
        header[4..8].copy_from_slice(&index.to_ne_bytes());
        let mut message = Message::new(kind, flags, &header);
        message.attribute(libc::IFA_LOCAL, &octets(ip)).attribute(libc::IFA_ADDRESS, &octets(ip));
        message
    }

    /// Makes a macvlan interface with this Ethernet address over another, switched off.
    pub(crate) fn add_macvlan(&mut self, name: &str, parent: u32, mac: [u8; 6]) -> io::Result<()> {
        let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
        let mut message = Message::link(libc::RTM_NEWLINK, flags, 0, None);
        let mut name_bytes = name.as_bytes().to_vec();
        name_bytes.push(0);
        message
            .attribute(libc::IFLA_IFNAME, &name_bytes)
            .attribute(libc::IFLA_LINK, &parent.to_ne_bytes())
            .attribute(libc::IFLA_ADDRESS, &mac)
            .nested(libc::IFLA_LINKINFO, |info| {
                info.attribute(libc::IFLA_INFO_KIND, b"macvlan").nested(INFO_DATA, |data| {
                    data.attribute(MACVLAN_MODE, &MACVLAN_MODE_PRIVATE.to_ne_bytes());
                });
            });
        self.run(message)
    }

    /// Removes an interface.
    pub(crate) fn remove_link(&mut self, index: u32) -> io::Result<()> {
        self.run(Message::link(libc::RTM_DELLINK, libc::NLM_F_ACK, index, None))
    }

    /// Switches an interface on or off.
    pub(crate) fn set_up(&mut self, index: u32, up: bool) -> io::Result<()> {
        self.run(Message::link(libc::RTM_NEWLINK, libc::NLM_F_ACK, index, Some(up)))
    }

    /// All interfaces and addresses.
    pub(crate) fn dump(&mut self) -> io::Result<Vec<Change>> {
        let mut all = Vec::new();
        self.transact(Message::link(libc::RTM_GETLINK, libc::NLM_F_DUMP, 0, None), &mut all)?;
        self.transact(Message::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; ADDRESS_LEN]), &mut all)?;
        Ok(all)
    }

    fn run(&mut self, message: Message) -> io::Result<()> {
        self.transact(message, &mut Vec::new())
    }

    /// Sends a request and takes what comes until its acknowledgement or the end of its dump.
    fn transact(&mut self, mut message: Message, out: &mut Vec<Change>) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        net::send(&self.fd, message.finish(self.sequence), SendFlags::empty())?;
        loop {
            let (_, received) = net::recv(&self.fd, &mut self.batch[..], RecvFlags::empty())?;
            let bytes = self.batch.get(..received).unwrap_or_default();
            // What is left of a request that was given up has another number.
            if u32_at(bytes, 8) != Some(self.sequence) {
                continue;
            }
            for (kind, body) in Parts::<4>(bytes) {
                match libc::c_int::from(kind) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => {
                        let code = u32_at(body, 0).map_or(libc::EIO, |code| code.cast_signed().wrapping_neg());
                        return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
                    }
                    _ => out.extend(change(kind, body)),
                }
            }
        }
    }
}

/// Told by the kernel when interfaces and addresses change.
#[derive(Debug)]
pub(crate) struct Monitor {
    fd: OwnedFd,
    batch: Vec<u8>,
}

/// Changes were lost: all has to be read anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun;

impl Monitor {
    pub(crate) fn open() -> io::Result<Self> {
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        let fd = open(u32::try_from(groups).unwrap_or_default(), SocketFlags::NONBLOCK)?;
        Ok(Self { fd, batch: vec![0; BATCH_LEN] })
    }

    /// Takes one batch of changes; false: there is none.
    pub(crate) fn read(&mut self, out: &mut Vec<Change>) -> Result<bool, Overrun> {
        match net::recv(&self.fd, &mut self.batch[..], RecvFlags::empty()) {
            Ok((_, received)) => {
                let bytes = self.batch.get(..received).unwrap_or_default();
                out.extend(Parts::<4>(bytes).filter_map(|(kind, body)| change(kind, body)));
                Ok(true)
            }
            Err(Errno::NOBUFS) => Err(Overrun),
            Err(_) => Ok(false),
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_listed_with_its_address() {
        let all = Netlink::open().unwrap().dump().unwrap();
        let lo = all.iter().find_map(|c| match c {
            Change::Link(link) if link.name == "lo" => Some(link.clone()),
            _ => None,
        });
        let lo = lo.expect("lo");
        assert_eq!(lo.mac, Some([0; 6]));
        let localhost: IpAddr = "127.0.0.1".parse().unwrap();
        let is_it = |c: &Change| matches!(c, Change::Address(a) if a.index == lo.index && a.ip == localhost);
        assert!(!lo.is_up || all.iter().any(is_it));
    }

    #[test]
    fn what_the_kernel_refuses_is_an_error_with_its_code() {
        let mut netlink = Netlink::open().unwrap();
        let error = netlink.add_address(u32::MAX >> 1, "192.0.2.1/32".parse().unwrap()).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EPERM)), "{error}");
        // The next request is not confused by the former.
        assert!(!netlink.dump().unwrap().is_empty());
    }

    #[test]
    fn messages_that_are_not_whole_end_the_list() {
        let mut message = Netlink::address_message(libc::RTM_NEWADDR, 0, 7, "192.0.2.1/24".parse().unwrap());
        let bytes = message.finish(1).to_vec();
        let read = |bytes: &[u8]| Parts::<4>(bytes).filter_map(|(kind, body)| change(kind, body)).collect::<Vec<_>>();
        let ip = "192.0.2.1".parse().unwrap();
        assert_eq!(read(&bytes), [Change::Address(Address { index: 7, ip, prefix_len: 24, is_secondary: false })]);
        let twice = [&bytes[..], &bytes[..]].concat();
        assert_eq!(read(&twice).len(), 2);
        for cut in 0..bytes.len() {
            assert_eq!(read(&bytes[..cut]), []);
        }
        // Lengths that lie: none, shorter than the header, longer than the message.
        for len in [0u32, 3, 15, 17, 4_096] {
            let mut bad = bytes.clone();
            bad[..4].copy_from_slice(&len.to_ne_bytes());
            assert!(read(&bad).len() <= 1);
        }
    }

    #[test]
    fn a_batch_of_any_bytes_is_read_without_a_fault() {
        use proptest::prelude::*;
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..256), kind in 16u16..22)| {
            let _ = Parts::<4>(&bytes).count();
            let _ = change(kind, &bytes);
        });
    }
}
