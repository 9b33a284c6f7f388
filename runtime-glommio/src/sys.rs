//! The system calls that neither std, socket2 nor glommio has: an io_uring of our own with provided buffers, and eventfds.
//! All `unsafe` of this runtime is in this file.

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// What the kernel writes before a datagram that came by a multishot `recvmsg` (`struct io_uring_recvmsg_out`).
const MESSAGE_HEADER_LEN: usize = 16;
/// Room for the source address, in bytes.
const NAME_LEN: usize = size_of::<libc::sockaddr_in6>();
/// Offset of the datagram in its buffer.
const PAYLOAD_AT: usize = MESSAGE_HEADER_LEN + NAME_LEN;
/// Most submissions before the kernel has to be told.
const SUBMISSIONS_MAX: u32 = 1024;
/// Completions the kernel keeps for us; more of them slow down, but get lost no more than fewer do.
const COMPLETIONS: u32 = 16_384;

/// Anonymous memory, page aligned and zeroed.
#[derive(Debug)]
struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> io::Result<Self> {
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no memory of ours.
        let at = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast::<u8>()).map(|at| Self { at, len }).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length, and nothing refers to it once its owner is gone.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// A socket address as the kernel takes it.
#[derive(Clone, Copy)]
#[repr(C)]
union RawAddr {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddr {
    const fn unspecified() -> Self {
        Self {
            v6: libc::sockaddr_in6 {
                sin6_family: 0,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
                sin6_scope_id: 0,
            },
        }
    }

    /// Overwrites it, and gives the length of what is there now.
    fn set(&mut self, addr: SocketAddr) -> u32 {
        match addr {
            SocketAddr::V4(addr) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: addr.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(addr.ip().octets()) },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>() as u32
            }
            SocketAddr::V6(addr) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: addr.port().to_be(),
                    sin6_flowinfo: addr.flowinfo(),
                    sin6_addr: libc::in6_addr { s6_addr: addr.ip().octets() },
                    sin6_scope_id: addr.scope_id(),
                };
                NAME_LEN as u32
            }
        }
    }
}

/// Reads a `sockaddr` of either family.
fn parse_name(name: &[u8]) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(*name.get(2..4)?.first_chunk()?);
    match libc::c_int::from(u16::from_ne_bytes(*name.first_chunk()?)) {
        libc::AF_INET => {
            let ip: [u8; 4] = *name.get(4..8)?.first_chunk()?;
            Some(SocketAddrV4::new(Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let flow = u32::from_ne_bytes(*name.get(4..8)?.first_chunk()?);
            let ip: [u8; 16] = *name.get(8..24)?.first_chunk()?;
            let scope = u32::from_ne_bytes(*name.get(24..28)?.first_chunk()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope).into())
        }
        _ => None,
    }
}

/// Which of a ring's two pools of receive buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pool {
    /// Many small ones, for media.
    Media,
    /// A few large ones, for control messages.
    Control,
}

/// A buffer that the kernel has filled and that is ours until it is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BufferId {
    pool: Pool,
    index: u16,
}

/// A received datagram.
#[derive(Debug)]
pub(crate) struct Datagram<'b> {
    /// Where it came from.
    pub(crate) from: SocketAddr,
    /// The datagram, with the tail room of the pool behind it.
    pub(crate) buffer: &'b mut [u8],
    /// Its length, in bytes.
    pub(crate) len: usize,
}

/// Receive buffers lent to the kernel by a ring of entries (`IORING_REGISTER_PBUF_RING`).
#[derive(Debug)]
pub(crate) struct Buffers {
    pool: Pool,
    memory: Mapping,
    entries: Mapping,
    stride: usize,
    tail_room: usize,
    /// Those that are ours: given out by a completion, not yet given back.
    held: Box<[bool]>,
    tail: u16,
}

impl Buffers {
    /// `count` buffers (a power of two, at most 32,768) of `stride` bytes each, `tail_room` of which the kernel leaves alone.
    fn new(pool: Pool, count: u16, stride: usize, tail_room: usize) -> io::Result<Self> {
        assert!(count.is_power_of_two() && stride > PAYLOAD_AT + tail_room);
        let mut buffers = Self {
            pool,
            memory: Mapping::new(usize::from(count) * stride)?,
            entries: Mapping::new(usize::from(count) * size_of::<BufRingEntry>())?,
            stride,
            tail_room,
            held: vec![true; usize::from(count)].into(),
            tail: 0,
        };
        for index in 0..count {
            buffers.give_back(BufferId { pool, index });
        }
        buffers.publish();
        Ok(buffers)
    }

    fn datagram(&mut self, id: BufferId) -> Option<Datagram<'_>> {
        let tail_room = self.tail_room;
        let buffer = self.bytes_mut(id)?;
        let word = |at: usize| buffer.get(at..at + 4).and_then(|b| b.first_chunk()).map(|b| u32::from_ne_bytes(*b));
        let (name_len, payload_len, flags) = (word(0)? as usize, word(8)? as usize, word(12)?);
        let from = parse_name(buffer.get(MESSAGE_HEADER_LEN..MESSAGE_HEADER_LEN + name_len.min(NAME_LEN))?)?;
        if flags & libc::MSG_TRUNC as u32 != 0 || PAYLOAD_AT + payload_len + tail_room > buffer.len() {
            return None;
        }
        Some(Datagram { from, buffer: buffer.get_mut(PAYLOAD_AT..)?, len: payload_len })
    }

    fn bytes_mut(&mut self, id: BufferId) -> Option<&mut [u8]> {
        let index = usize::from(id.index);
        if id.pool != self.pool || !self.held.get(index).copied().unwrap_or(false) {
            return None;
        }
        // SAFETY: `index` is below the number of buffers, so the range is within the mapping; the buffer is ours, so the
        // kernel does not write to it before `give_back` and `publish`; `self` is borrowed for as long as the slice is.
        Some(unsafe { std::slice::from_raw_parts_mut(self.memory.at.as_ptr().add(index * self.stride), self.stride) })
    }

    /// Where the buffer lies.
    fn bounds(&self, id: BufferId) -> Range<usize> {
        let start = self.memory.at.as_ptr() as usize + usize::from(id.index) * self.stride;
        start..start + self.stride
    }

    /// Lends the buffer to the kernel again, from the next [`publish`](Self::publish) on.
    fn give_back(&mut self, id: BufferId) {
        let index = usize::from(id.index);
        let Some(held) = self.held.get_mut(index) else { return };
        if !std::mem::take(held) {
            return;
        }
        let slot = usize::from(self.tail) & (self.held.len() - 1);
        // SAFETY: `slot` is below the number of entries, of which the mapping has room for as many as there are buffers.
        // An entry is at most once in the ring for each buffer, so the kernel has consumed what this one overwrites.
        let entry = unsafe { &mut *self.entries.at.as_ptr().cast::<BufRingEntry>().add(slot) };
        entry.set_addr(self.memory.at.as_ptr() as u64 + (index * self.stride) as u64);
        entry.set_len((self.stride - self.tail_room) as u32);
        entry.set_bid(id.index);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Shows the kernel what has been given back.
    fn publish(&mut self) {
        // SAFETY: the tail is within the first entry of the mapping, aligned, and written by nobody else.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.at.as_ptr().cast()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

/// What has come to pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    /// What the submission was given.
    pub(crate) token: u64,
    /// The error number if it failed.
    pub(crate) error: Option<i32>,
    /// The buffer that was filled.
    pub(crate) buffer: Option<BufferId>,
    /// Whether the submission is still armed.
    pub(crate) more: bool,
}

/// How to wait for completions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// Return once there are this many.
    pub(crate) want: u32,
    /// After this time return with fewer, if there is any.
    pub(crate) gather: Duration,
    /// Return after this time even with none.
    pub(crate) timeout: Option<Duration>,
}

/// How large the pools are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PoolSizes {
    /// Media buffers, a power of two.
    pub(crate) media: u16,
    /// Bytes that stay free behind each datagram.
    pub(crate) tail_room: usize,
    /// Control buffers, a power of two.
    pub(crate) control: u16,
    /// Length of the table of files.
    pub(crate) files: u32,
}

/// Bytes of a media buffer. Datagrams over 1,972 bytes are longer than any path takes without fragments.
const MEDIA_STRIDE: usize = 2048;
/// Bytes of a control buffer: any datagram fits.
const CONTROL_STRIDE: usize = 66 * 1024;

/// The ring. Only the thread that made it may use it.
pub(crate) struct Uring {
    // First, so that the ring is closed before the memory goes that it refers to.
    queue: Queue,
    media: Buffers,
    control: Buffers,
    /// Buffers to give back once the kernel has taken what is queued.
    sending: Vec<BufferId>,
}

/// The submission side.
struct Queue {
    ring: IoUring,
    /// Destinations of the sends that the kernel has not taken yet.
    addresses: Box<[RawAddr]>,
    name: Box<libc::msghdr>,
    queued: usize,
    min_wait: bool,
}

/// Sends parts of one buffer.
pub(crate) struct Sender<'u> {
    queue: &'u mut Queue,
    bounds: Range<usize>,
}

impl Sender<'_> {
    /// Sends `packet`, a part of the buffer, when the kernel is entered next; without an address to where it is connected. Completes under `token`, and only if that fails.
    /// `false` if the kernel takes no more, or if `packet` is something else.
    pub(crate) fn send(&mut self, file: u32, packet: &[u8], to: Option<SocketAddr>, token: u64) -> bool {
        let at = packet.as_ptr() as usize;
        if at < self.bounds.start || at + packet.len() > self.bounds.end {
            return false;
        }
        self.queue.send(file, packet, to, token)
    }
}

impl Uring {
    /// A ring whose completions are made only while this thread waits for them (`DEFER_TASKRUN`, Linux 6.1).
    ///
    /// # Errors
    ///
    /// What the kernel says; `EPERM` and `ENOSYS` where io_uring is not permitted or not there.
    pub(crate) fn new(sizes: PoolSizes) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .build(SUBMISSIONS_MAX)?;
        ring.submitter().register_files_sparse(sizes.files)?;
        let media = Buffers::new(Pool::Media, sizes.media, MEDIA_STRIDE, sizes.tail_room)?;
        let control = Buffers::new(Pool::Control, sizes.control, CONTROL_STRIDE, 0)?;
        for buffers in [&media, &control] {
            // SAFETY: the entries are mapped, page aligned and as many as said, and are unmapped after the ring is closed.
            unsafe {
                ring.submitter().register_buf_ring_with_flags(
                    buffers.entries.at.as_ptr() as u64,
                    buffers.held.len() as u16,
                    buffers.pool as u16,
                    0,
                )?;
            }
        }
        // SAFETY: all zeroes is a valid `msghdr`: null pointers and lengths of zero.
        let mut name: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        name.msg_namelen = NAME_LEN as u32;
        let queue = Queue {
            min_wait: ring.params().is_feature_min_timeout(),
            ring,
            addresses: vec![RawAddr::unspecified(); SUBMISSIONS_MAX as usize].into(),
            name,
            queued: 0,
        };
        let sending = Vec::with_capacity(usize::from(sizes.media) + usize::from(sizes.control));
        Ok(Self { queue, media, control, sending })
    }

    /// Puts a socket into the table of files, under which it is used from then on; or takes it out.
    ///
    /// # Errors
    ///
    /// The table is shorter, or the kernel has no memory.
    pub(crate) fn set_file(&mut self, file: u32, socket: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let fd = socket.map_or(-1, |socket| socket.as_raw_fd());
        self.queue.ring.submitter().register_files_update(file, &[fd]).map(drop)
    }

    /// Receives datagrams until it is cancelled or a completion says that there are no more; `false` if the kernel takes no
    /// more submissions now.
    pub(crate) fn receive(&mut self, file: u32, pool: Pool, token: u64) -> bool {
        let name = &raw const *self.queue.name;
        let entry = opcode::RecvMsgMulti::new(Fixed(file), name, pool as u16).build();
        self.queue.push(entry.user_data(token))
    }

    /// Completes each time the descriptor becomes readable; `false` if the kernel takes no more submissions now.
    pub(crate) fn poll(&mut self, fd: BorrowedFd<'_>, token: u64) -> bool {
        let entry = opcode::PollAdd::new(Fd(fd.as_raw_fd()), libc::POLLIN as u32).multi(true).build();
        self.queue.push(entry.user_data(token))
    }

    /// Ends what was submitted under `token`. The socket has to stay open until the next [`flush`](Self::flush).
    pub(crate) fn cancel(&mut self, token: u64, own: u64) {
        let entry = opcode::AsyncCancel::new(token).build().flags(squeue::Flags::SKIP_SUCCESS);
        self.queue.push(entry.user_data(own));
    }

    /// Has the kernel take what is queued, without waiting; whether it took all.
    pub(crate) fn flush(&mut self) -> bool {
        self.queue.queued == 0 || self.queue.enter(None)
    }

    /// The datagram in a buffer, and what sends it on; `None` if the kernel cut it off or its source is of no family we know.
    pub(crate) fn datagram(&mut self, id: BufferId) -> Option<(Datagram<'_>, Sender<'_>)> {
        let buffers = match id.pool {
            Pool::Media => &mut self.media,
            Pool::Control => &mut self.control,
        };
        let bounds = buffers.bounds(id);
        Some((buffers.datagram(id)?, Sender { queue: &mut self.queue, bounds }))
    }

    /// Gives a buffer back. If part of it is to be sent, that happens first.
    pub(crate) fn give_back(&mut self, id: BufferId) {
        if self.queue.queued == 0 {
            self.buffers(id.pool).give_back(id);
        } else {
            self.sending.push(id);
        }
    }

    fn buffers(&mut self, pool: Pool) -> &mut Buffers {
        match pool {
            Pool::Media => &mut self.media,
            Pool::Control => &mut self.control,
        }
    }

    /// Has the kernel take what is queued, and waits.
    pub(crate) fn wait(&mut self, wait: Wait) {
        self.media.publish();
        self.control.publish();
        self.queue.enter(Some(wait));
        if self.queue.queued == 0 {
            for id in self.sending.drain(..) {
                match id.pool {
                    Pool::Media => self.media.give_back(id),
                    Pool::Control => self.control.give_back(id),
                }
            }
        }
    }

    /// The next completion, if there is one; `pool` says of a token where its buffers come from.
    pub(crate) fn next(&mut self, pool: impl FnOnce(u64) -> Pool) -> Option<Completion> {
        let entry = self.queue.ring.completion().next()?;
        let buffer = cqueue::buffer_select(entry.flags()).map(|index| {
            let id = BufferId { pool: pool(entry.user_data()), index };
            if let Some(held) = self.buffers(id.pool).held.get_mut(usize::from(index)) {
                *held = true;
            }
            id
        });
        Some(Completion {
            token: entry.user_data(),
            error: (entry.result() < 0).then(|| -entry.result()),
            buffer,
            more: cqueue::more(entry.flags()),
        })
    }
}

impl Queue {
    fn send(&mut self, file: u32, packet: &[u8], to: Option<SocketAddr>, token: u64) -> bool {
        if self.queued == self.addresses.len() {
            self.enter(None);
        }
        let mut entry = opcode::Send::new(Fixed(file), packet.as_ptr(), packet.len() as u32).flags(libc::MSG_DONTWAIT);
        if let Some(to) = to {
            let Some(address) = self.addresses.get_mut(self.queued) else { return false };
            let len = address.set(to);
            entry = entry.dest_addr(ptr::from_ref(address).cast()).dest_addr_len(len as libc::socklen_t);
        }
        let entry = entry.build().flags(squeue::Flags::SKIP_SUCCESS);
        self.push(entry.user_data(token))
    }

    fn push(&mut self, entry: squeue::Entry) -> bool {
        // SAFETY: what an entry refers to lives until the kernel has taken it: sockets are closed once the queue is empty,
        // addresses and buffers are reused once the queue is empty, and a send that cannot be done at once fails
        // (`MSG_DONTWAIT`), so none is in progress after an enter; `name` lives as long as the ring.
        while unsafe { self.ring.submission().push(&entry) }.is_err() {
            if !self.enter(None) {
                return false;
            }
        }
        self.queued += 1;
        true
    }

    /// Enters the kernel; whether it took what was queued.
    fn enter(&mut self, wait: Option<Wait>) -> bool {
        // An error is a time-out, a signal or a full completion queue: what was taken shows in the queue.
        let _ = match wait {
            None => self.ring.submitter().submit(),
            Some(Wait { want, gather, timeout }) => {
                let min_wait = self.min_wait && !gather.is_zero();
                // Without a minimum wait in the kernel: wait for many or for that time, whether or not there is any.
                let timeout = if gather.is_zero() || min_wait { timeout } else { Some(gather) };
                let timespec = timeout.map(Timespec::from);
                let mut args = SubmitArgs::new();
                if let Some(timespec) = &timespec {
                    args = args.timespec(timespec);
                }
                if min_wait {
                    args = args.min_wait_usec(u32::try_from(gather.as_micros()).unwrap_or(u32::MAX));
                }
                self.ring.submitter().submit_with_args(want as usize, &args)
            }
        };
        let taken = self.ring.submission().is_empty();
        if taken {
            self.queued = 0;
        }
        taken
    }
}

/// A counter that wakes whoever polls it.
#[derive(Debug)]
pub(crate) struct EventFd(File);

impl EventFd {
    /// A counter of zero.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open, and nobody else has it.
        Ok(Self(unsafe { File::from_raw_fd(fd) }))
    }

    /// Wakes whoever polls it. The counter is never read: each write is an edge, and 2^64 of them do not happen.
    pub(crate) fn notify(&self) {
        let _ = (&self.0).write(&1u64.to_ne_bytes());
    }
}

impl std::os::fd::AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Connects a UDP socket to `peer`, or undoes that.
pub(crate) fn connect(socket: BorrowedFd<'_>, peer: Option<SocketAddr>) -> io::Result<()> {
    let mut address = RawAddr::unspecified();
    // A family of zero (`AF_UNSPEC`) undoes it; any address of that size will do.
    let len = peer.map_or(NAME_LEN as u32, |peer| address.set(peer));
    // SAFETY: the pointer is to a local that lives through the call, and is at least `len` bytes long.
    let rc = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
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

/// Counts what each thread takes from the heap.
#[cfg(test)]
pub(crate) mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    /// How often this thread has asked the heap for memory.
    pub(crate) fn taken() -> u64 {
        TAKEN.with(Cell::get)
    }

    struct Counting;

    // SAFETY: everything is left to the system's allocator; the counter allocates nothing.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
            // SAFETY: the caller's promise is passed on.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise is passed on.
            unsafe { System.dealloc(at, layout) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;
}
