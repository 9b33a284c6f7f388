//! The system calls that neither std, socket2, rustix nor tokio has: batches of datagrams, control messages and error
//! queues, forced buffer sizes, packet addresses, real-time priority and the limit on open files. All `unsafe` of this
//! runtime is in this file.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use libc::{c_int, c_void, socklen_t};
use socket2::{SockAddr, SockAddrStorage};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Most datagrams in one system call.
pub(crate) const BATCH_MAX: usize = 64;
/// Room for one received datagram: no UDP payload is longer.
pub(crate) const SLOT_LEN: usize = 65_536;

/// Registers a socket with the runtime of this thread.
pub(crate) fn register(socket: UdpSocket, interest: Interest) -> io::Result<AsyncFd<UdpSocket>> {
    // SAFETY: a `UdpSocket` owns an open descriptor, gives the same one each time, and closes it no earlier than it is
    // dropped, which is with or after the `AsyncFd`.
    unsafe { AsyncFd::register_with_interest(socket, interest) }.map_err(io::Error::from)
}

/// Registers any other descriptor with the runtime of this thread.
pub(crate) fn register_owned(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: as for a `UdpSocket`.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
}

/// Options that are switched by number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Switch {
    /// Keep ICMP errors on the error queue, with the bytes that caused them.
    ErrorQueue,
    /// Report the error queue as priority data to whoever polls.
    PollErrorQueue,
    /// Let the kernel fragment: a SIP datagram over the path MTU is sent all the same (RFC 3261 §18.1.1 asks for a stream then,
    /// but not every peer has one).
    Fragment,
    /// Report where a packet was sent to, with the packet (IPv6).
    PacketInfo,
}

/// Which of a socket's two buffers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Buffer {
    /// `SO_RCVBUF`
    Receive,
    /// `SO_SNDBUF`
    Send,
}

fn set_int(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the pointer is to `value`, which lives through the call, and the length is its size.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast::<c_void>(),
            mem::size_of::<c_int>() as socklen_t,
        )
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn int(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value: c_int = 0;
    let mut len = mem::size_of::<c_int>() as socklen_t;
    // SAFETY: both pointers are to locals that live through the call, and `len` is the size of `value`.
    let rc = unsafe {
        libc::getsockopt(fd.as_raw_fd(), level, name, ptr::from_mut(&mut value).cast::<c_void>(), &raw mut len)
    };
    if rc == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Turns an option on, for the address family of the socket.
pub(crate) fn switch_on(fd: BorrowedFd<'_>, switch: Switch, v6: bool) -> io::Result<()> {
    let (level, name, value) = match (switch, v6) {
        (Switch::ErrorQueue, false) => (libc::IPPROTO_IP, libc::IP_RECVERR, 1),
        (Switch::ErrorQueue, true) => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1),
        (Switch::PollErrorQueue, _) => (libc::SOL_SOCKET, libc::SO_SELECT_ERR_QUEUE, 1),
        (Switch::Fragment, false) => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
        (Switch::PacketInfo, false) => (libc::IPPROTO_IP, libc::IP_PKTINFO, 1),
        (Switch::PacketInfo, true) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1),
        (Switch::Fragment, true) => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT),
    };
    set_int(fd, level, name, value)
}

/// Asks for a buffer of `bytes`, beyond the system's limit where that is permitted, and says how much there is now.
pub(crate) fn set_buffer(fd: BorrowedFd<'_>, buffer: Buffer, bytes: usize) -> io::Result<usize> {
    let (plain, force) = match buffer {
        Buffer::Receive => (libc::SO_RCVBUF, libc::SO_RCVBUFFORCE),
        Buffer::Send => (libc::SO_SNDBUF, libc::SO_SNDBUFFORCE),
    };
    let asked = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    if set_int(fd, libc::SOL_SOCKET, force, asked).is_err() {
        set_int(fd, libc::SOL_SOCKET, plain, asked)?;
    }
    // The kernel doubles what it was asked for, to cover its own overhead (socket(7)).
    Ok(usize::try_from(int(fd, libc::SOL_SOCKET, plain)?).unwrap_or(0) / 2)
}

/// Raises the limit on open files to what the system allows, and says what it is now.
pub(crate) fn raise_nofile() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a local that lives through the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
        // SAFETY: the pointer is to a local that lives through the call.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}

/// Where frames of a protocol go and come by the interface with this index (packet(7)).
pub(crate) fn link_address(index: u32, protocol: u16) -> SockAddr {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is made of integers and is smaller than the storage, which is aligned for any address.
    let link = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    link.sll_family = libc::AF_PACKET as libc::sa_family_t;
    link.sll_protocol = protocol.to_be();
    link.sll_ifindex = index.cast_signed();
    // SAFETY: the storage holds a `sockaddr_ll`, whose length this is.
    unsafe { SockAddr::new(storage, mem::size_of::<libc::sockaddr_ll>() as socklen_t) }
}

/// Gives this thread real-time priority (`SCHED_FIFO`). What it starts has none.
pub(crate) fn set_realtime(priority: c_int) -> io::Result<()> {
    // SAFETY: integers, for which zero is a value.
    let mut param = unsafe { mem::zeroed::<libc::sched_param>() };
    param.sched_priority = priority;
    // SAFETY: the pointer is to a local that lives through the call; 0 is the calling thread.
    let rc = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const param) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A socket address as the kernel takes it.
#[derive(Clone, Copy)]
#[repr(C)]
union RawAddr {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddr {
    const LEN: socklen_t = mem::size_of::<Self>() as socklen_t;

    const fn empty() -> Self {
        // SAFETY: all members are integers and arrays of integers, for which zero is a value.
        unsafe { mem::zeroed() }
    }

    fn new(addr: SocketAddr) -> (Self, socklen_t) {
        let mut raw = Self::empty();
        match addr {
            SocketAddr::V4(a) => {
                raw.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: a.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(a.ip().octets()) },
                    sin_zero: [0; 8],
                };
                (raw, mem::size_of::<libc::sockaddr_in>() as socklen_t)
            }
            SocketAddr::V6(a) => {
                raw.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: a.port().to_be(),
                    sin6_flowinfo: a.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: a.ip().octets() },
                    sin6_scope_id: a.scope_id(),
                };
                (raw, mem::size_of::<libc::sockaddr_in6>() as socklen_t)
            }
        }
    }

    fn get(&self, len: socklen_t) -> Option<SocketAddr> {
        let len = len as usize;
        if len < mem::size_of::<libc::sa_family_t>() {
            return None;
        }
        // SAFETY: every bit pattern is a value of this member; the union was zeroed before the kernel wrote to it.
        let family = c_int::from(unsafe { self.family });
        if family == libc::AF_INET && len >= mem::size_of::<libc::sockaddr_in>() {
            // SAFETY: as above, and the family says that this member was written.
            let a = unsafe { self.v4 };
            let ip = Ipv4Addr::from(a.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(a.sin_port))))
        } else if family == libc::AF_INET6 && len >= mem::size_of::<libc::sockaddr_in6>() {
            // SAFETY: as above, and the family says that this member was written.
            let a = unsafe { self.v6 };
            let ip = Ipv6Addr::from(a.sin6_addr.s6_addr);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, u16::from_be(a.sin6_port), a.sin6_flowinfo, a.sin6_scope_id)))
        } else {
            None
        }
    }
}

/// The arrays that a batched call reads and writes. The pointers in them are set anew for every call and mean nothing
/// between calls.
struct Vectors {
    names: Vec<RawAddr>,
    iovs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Vectors {
    fn new(len: usize) -> Self {
        // SAFETY: integers and raw pointers, for which zero is a value.
        let (iov, header) = unsafe { (mem::zeroed::<libc::iovec>(), mem::zeroed::<libc::mmsghdr>()) };
        Self { names: vec![RawAddr::empty(); len], iovs: vec![iov; len], headers: vec![header; len] }
    }

    /// Points every header of the first `n` at its name and its buffer.
    fn link(&mut self, n: usize) {
        let parts = self.headers.iter_mut().zip(&mut self.names).zip(&mut self.iovs);
        for ((header, name), iov) in parts.take(n) {
            header.msg_hdr.msg_name = ptr::from_mut(name).cast();
            header.msg_hdr.msg_iov = ptr::from_mut(iov);
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = ptr::null_mut();
            header.msg_hdr.msg_controllen = 0;
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
        }
    }
}

/// Slots for received datagrams. Memory is reserved but not touched before a datagram lies in it.
pub(crate) struct ReceiveBatch {
    slots: Vec<u8>,
    vectors: Vectors,
    filled: usize,
}

impl ReceiveBatch {
    /// A batch of `len` datagrams, at most [`BATCH_MAX`].
    pub(crate) fn new(len: usize) -> Self {
        let len = len.clamp(1, BATCH_MAX);
        Self { slots: vec![0; len * SLOT_LEN], vectors: Vectors::new(len), filled: 0 }
    }

    /// Datagrams that fit.
    pub(crate) fn capacity(&self) -> usize {
        self.vectors.headers.len()
    }

    /// Datagrams there are.
    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// Takes the datagrams that wait at the socket, without blocking.
    pub(crate) fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.filled = 0;
        let n = self.capacity();
        for (iov, slot) in self.vectors.iovs.iter_mut().zip(self.slots.chunks_exact_mut(SLOT_LEN)) {
            iov.iov_base = slot.as_mut_ptr().cast();
            iov.iov_len = SLOT_LEN;
        }
        self.vectors.link(n);
        for header in &mut self.vectors.headers {
            header.msg_hdr.msg_namelen = RawAddr::LEN;
        }
        // SAFETY: `n` headers were linked just now; each points at one name and one slot of `self`, which are
        // exclusively borrowed and live through the call, with their true lengths.
        let rc = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.vectors.headers.as_mut_ptr(),
                n as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let Ok(filled) = usize::try_from(rc) else { return Err(io::Error::last_os_error()) };
        self.filled = filled.min(n);
        Ok(self.filled)
    }

    /// The `i`th datagram and where it came from.
    pub(crate) fn datagram(&self, i: usize) -> Option<(SocketAddr, &[u8])> {
        let header = self.vectors.headers[..self.filled].get(i)?;
        let from = self.vectors.names.get(i)?.get(header.msg_hdr.msg_namelen)?;
        Some((from, self.part(i, 0, header.msg_len as usize)?))
    }

    /// The `i`th datagram's slot, how long it is, and where it came from. No datagram fills a slot.
    pub(crate) fn datagram_mut(&mut self, i: usize) -> Option<(SocketAddr, &mut [u8], usize)> {
        let header = self.vectors.headers[..self.filled].get(i)?;
        let from = self.vectors.names.get(i)?.get(header.msg_hdr.msg_namelen)?;
        let len = header.msg_len as usize;
        Some((from, self.slots.chunks_exact_mut(SLOT_LEN).nth(i)?, len.min(SLOT_LEN)))
    }

    /// Bytes of the `i`th slot.
    pub(crate) fn part(&self, i: usize, start: usize, len: usize) -> Option<&[u8]> {
        self.slots.chunks_exact(SLOT_LEN).nth(i)?.get(start..start.checked_add(len)?)
    }
}

/// The arrays for sending a batch.
pub(crate) struct SendBatch(Vectors);

impl SendBatch {
    /// A batch of up to [`BATCH_MAX`] datagrams.
    pub(crate) fn new() -> Self {
        Self(Vectors::new(BATCH_MAX))
    }

    /// Sends datagrams, as many of them as the socket takes without blocking; says how many it took.
    /// An error is that of the first.
    pub(crate) fn send<'a>(
        &mut self,
        fd: BorrowedFd<'_>,
        datagrams: impl Iterator<Item = (SocketAddr, &'a [u8])>,
    ) -> io::Result<usize> {
        let vectors = &mut self.0;
        let mut n = 0;
        for (((to, bytes), name), (iov, header)) in
            datagrams.zip(&mut vectors.names).zip(vectors.iovs.iter_mut().zip(&mut vectors.headers))
        {
            (*name, header.msg_hdr.msg_namelen) = RawAddr::new(to);
            // The kernel does not write through this pointer when it sends.
            iov.iov_base = bytes.as_ptr().cast_mut().cast();
            iov.iov_len = bytes.len();
            n += 1;
        }
        if n == 0 {
            return Ok(0);
        }
        vectors.link(n);
        // SAFETY: `n` headers were linked just now; each points at one name of `self` and at the bytes of one
        // datagram, which are borrowed for `'a` and so live through the call, with their true lengths.
        let rc = unsafe {
            libc::sendmmsg(fd.as_raw_fd(), vectors.headers.as_mut_ptr(), n as libc::c_uint, libc::MSG_DONTWAIT)
        };
        usize::try_from(rc).map_err(|_| io::Error::last_os_error())
    }
}

/// One entry of a socket's error queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueuedError {
    /// Where the datagram was to go.
    pub(crate) to: SocketAddr,
    /// How many of its bytes came back.
    pub(crate) len: usize,
    /// Whether a host or router on the path said so; otherwise it was our own kernel, which also failed the call.
    pub(crate) is_remote: bool,
}

/// Room for control messages, aligned as the kernel writes them.
#[repr(C, align(8))]
pub(crate) struct Control {
    bytes: [u8; 512],
    len: usize,
}

impl Control {
    pub(crate) const fn empty() -> Self {
        Self { bytes: [0; 512], len: 0 }
    }

    /// What the kernel wrote.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Takes one packet without blocking, with its control messages; gives its length and where it came from.
pub(crate) fn receive(
    fd: BorrowedFd<'_>,
    bytes: &mut [u8],
    control: &mut Control,
) -> io::Result<(usize, Option<SocketAddr>)> {
    let (len, from, _) = receive_message(fd, bytes, control, libc::MSG_DONTWAIT)?;
    Ok((len, from))
}

fn receive_message(
    fd: BorrowedFd<'_>,
    bytes: &mut [u8],
    control: &mut Control,
    flags: c_int,
) -> io::Result<(usize, Option<SocketAddr>, Option<u8>)> {
    let mut name = RawAddr::empty();
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: integers and raw pointers, for which zero is a value.
    let mut header = unsafe { mem::zeroed::<libc::msghdr>() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = RawAddr::LEN;
    header.msg_iov = &raw mut iov;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.as_mut_ptr().cast();
    header.msg_controllen = control.bytes.len() as _;
    // SAFETY: all pointers in `header` are to locals, to `bytes` and to `control`, exclusively borrowed, with their true
    // lengths.
    let rc = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) };
    let Ok(len) = usize::try_from(rc) else { return Err(io::Error::last_os_error()) };
    control.len = (header.msg_controllen as usize).min(control.bytes.len());
    Ok((len.min(bytes.len()), name.get(header.msg_namelen), origin(&header)))
}

/// Takes one entry from the error queue, without blocking. The start of the datagram goes into `bytes`.
/// `Ok(None)` is an entry without an address.
pub(crate) fn receive_error(fd: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Option<QueuedError>> {
    let mut control = Control::empty();
    let (len, to, origin) = receive_message(fd, bytes, &mut control, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)?;
    Ok(to.map(|to| QueuedError { to, len, is_remote: origin.is_some_and(is_remote) }))
}

fn is_remote(origin: u8) -> bool {
    origin == libc::SO_EE_ORIGIN_ICMP || origin == libc::SO_EE_ORIGIN_ICMP6
}

/// Who queued the error, by the control data of a message that `recvmsg` filled.
fn origin(header: &libc::msghdr) -> Option<u8> {
    // SAFETY: `header` was filled by a successful `recvmsg` and its control buffer is alive; FIRSTHDR and NXTHDR stay
    // inside of it, and a header they give is followed by `cmsg_len` bytes of data.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while !at.is_null() {
            let control = ptr::read_unaligned(at);
            let is_error = (control.cmsg_level == libc::IPPROTO_IP && control.cmsg_type == libc::IP_RECVERR)
                || (control.cmsg_level == libc::IPPROTO_IPV6 && control.cmsg_type == libc::IPV6_RECVERR);
            let needed = libc::CMSG_LEN(mem::size_of::<libc::sock_extended_err>() as u32) as usize;
            if is_error && control.cmsg_len as usize >= needed {
                let error = ptr::read_unaligned(libc::CMSG_DATA(at).cast::<libc::sock_extended_err>());
                return Some(error.ee_origin);
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    #[test]
    fn addresses_survive_the_kernel_form() {
        for text in ["192.0.2.1:5060", "[2001:db8::1]:5061", "[fe80::1%3]:9"] {
            let addr: SocketAddr = text.parse().unwrap();
            let (raw, len) = RawAddr::new(addr);
            assert_eq!(raw.get(len), Some(addr));
        }
        assert_eq!(RawAddr::empty().get(RawAddr::LEN), None);
        assert_eq!(RawAddr::new("192.0.2.1:1".parse().unwrap()).0.get(1), None);
    }

    #[test]
    fn a_batch_goes_out_and_comes_in() {
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let to = b.local_addr().unwrap();
        let texts: Vec<Vec<u8>> = (0..5u8).map(|n| vec![n; usize::from(n) * 100]).collect();
        let sent = SendBatch::new().send(a.as_fd(), texts.iter().map(|t| (to, &t[..]))).unwrap();
        assert_eq!(sent, 5);
        b.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        b.peek(&mut [0; 1]).unwrap();
        let mut batch = ReceiveBatch::new(3);
        assert_eq!(batch.receive(b.as_fd()).unwrap(), 3);
        let from = a.local_addr().unwrap();
        assert_eq!(batch.datagram(2), Some((from, &texts[2][..])));
        assert_eq!(batch.datagram(3), None);
        assert_eq!(batch.receive(b.as_fd()).unwrap(), 2);
        assert_eq!(batch.datagram(1), Some((from, &texts[4][..])));
        assert_eq!(batch.datagram(2), None);
        assert_eq!(batch.receive(b.as_fd()).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.len(), 0);
    }

    #[test]
    fn the_limit_on_open_files_is_at_its_highest() {
        let now = raise_nofile().unwrap();
        assert!(now > 0);
        assert_eq!(raise_nofile().unwrap(), now);
    }
}
