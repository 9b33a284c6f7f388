//! The packet path: the media sockets of a shard, its control socket and its mailbox on one io_uring.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use trunkline_core::relay::media::{SocketId, TAIL_ROOM};

use crate::sys::{self, BufferId, Datagram, EventFd, Pool, PoolSizes, Sender, Uring, Wait};

/// Media buffers of a shard: what may arrive between two turns.
const MEDIA_BUFFERS: u16 = 2048;
/// Control buffers of a shard.
const CONTROL_BUFFERS: u16 = 64;
/// Enough completions to end the gathering early.
const GATHER_WANT: u32 = 64;
/// A turn with at least this many packets is worth gathering for.
const GATHER_FROM: u32 = 2;

/// What a shard counts of its sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RingStats {
    /// Turns of the loop.
    pub(crate) turns: u64,
    /// Datagrams that were cut off or of an unknown address family.
    pub(crate) malformed: u64,
    /// Sends that failed or found no room.
    pub(crate) send_errors: u64,
    /// Receives that ended with an error, most often a closed port somewhere.
    pub(crate) receive_errors: u64,
}

impl RingStats {
    /// Adds those of another shard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.turns += other.turns;
        self.malformed += other.malformed;
        self.send_errors += other.send_errors;
        self.receive_errors += other.receive_errors;
    }
}

/// What has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arrival {
    /// A datagram on a media socket.
    Packet(SocketId, BufferId),
    /// A datagram on a control socket, by its place in the list.
    Control(usize, BufferId),
    /// There is something in the mailbox.
    Mail,
}

/// A media socket. The generation tells what was received on a closed one from what comes on its successor.
#[derive(Debug, Default)]
struct Slot {
    socket: Option<OwnedFd>,
    generation: u32,
    tos: u8,
    /// The address it is connected to.
    peer: Option<SocketAddr>,
}

/// What a completion belongs to, as the 64 bits that the kernel keeps of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Media { index: u32, generation: u32 },
    Control { index: u32 },
    Mail,
    Send,
    Cancel,
}

impl Token {
    const KIND_SHIFT: u32 = 60;
    const GENERATION: u32 = 0x0fff_ffff;

    const fn bits(self) -> u64 {
        match self {
            Self::Media { index, generation } => ((generation & Self::GENERATION) as u64) << 32 | index as u64,
            Self::Control { index } => 1 << Self::KIND_SHIFT | index as u64,
            Self::Mail => 2 << Self::KIND_SHIFT,
            Self::Send => 3 << Self::KIND_SHIFT,
            Self::Cancel => 4 << Self::KIND_SHIFT,
        }
    }

    const fn of(bits: u64) -> Self {
        match bits >> Self::KIND_SHIFT {
            0 => Self::Media { index: bits as u32, generation: (bits >> 32) as u32 & Self::GENERATION },
            1 => Self::Control { index: bits as u32 },
            2 => Self::Mail,
            3 => Self::Send,
            _ => Self::Cancel,
        }
    }

    const fn pool(self) -> Pool {
        match self {
            Self::Media { .. } => Pool::Media,
            _ => Pool::Control,
        }
    }
}

/// The sockets of a shard.
pub(crate) struct Ring {
    uring: Uring,
    slots: Box<[Slot]>,
    /// Control sockets, which stand behind the media sockets in the table of files.
    controls: u32,
    mailbox: Arc<EventFd>,
    /// Receives to be armed before the next wait.
    unarmed: Vec<Token>,
    /// Closed sockets that the kernel may have to look at once more.
    closing: Vec<(u32, OwnedFd)>,
    tos: u8,
    gather: Duration,
    /// Packets of the turn that is under way, and of the one before.
    packets: u32,
    stats: RingStats,
}

/// What a ring is made of.
pub(crate) struct RingParts<'c> {
    /// The most media sockets.
    pub(crate) sockets: usize,
    /// Type of service of media.
    pub(crate) tos: u8,
    /// How long packets may gather; zero for not at all.
    pub(crate) gather: Duration,
    /// The control sockets, on the shard that reads them.
    pub(crate) control: &'c [UdpSocket],
    /// Signalled when there is mail.
    pub(crate) mailbox: Arc<EventFd>,
}

/// Whether the kernel lets us have a ring at all.
///
/// # Errors
///
/// Why not.
pub(crate) fn probe() -> io::Result<()> {
    Uring::new(PoolSizes { media: 1, tail_room: TAIL_ROOM, control: 1, files: 1 }).map(drop)
}

impl Ring {
    /// A ring for the thread that calls this.
    ///
    /// # Errors
    ///
    /// Those of [`Uring::new`].
    pub(crate) fn new(parts: RingParts<'_>) -> io::Result<Self> {
        let files = u32::try_from(parts.sockets + parts.control.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let sizes = PoolSizes { media: MEDIA_BUFFERS, tail_room: TAIL_ROOM, control: CONTROL_BUFFERS, files };
        let mut uring = Uring::new(sizes)?;
        let mut unarmed = Vec::with_capacity(files as usize + 1);
        unarmed.push(Token::Mail);
        for (socket, index) in parts.control.iter().zip(0..) {
            uring.set_file(parts.sockets as u32 + index, Some(socket.as_fd()))?;
            unarmed.push(Token::Control { index });
        }
        Ok(Self {
            uring,
            slots: (0..parts.sockets).map(|_| Slot::default()).collect(),
            controls: files - parts.sockets as u32,
            mailbox: parts.mailbox,
            unarmed,
            closing: Vec::with_capacity(parts.sockets),
            tos: parts.tos,
            gather: parts.gather,
            packets: 0,
            stats: RingStats::default(),
        })
    }

    /// Counters since the start.
    pub(crate) const fn stats(&self) -> &RingStats {
        &self.stats
    }

    /// Binds a media socket and receives on it.
    ///
    /// # Errors
    ///
    /// What the system says, most often that the port is taken.
    pub(crate) fn open(&mut self, id: SocketId, local: SocketAddr) -> io::Result<()> {
        // What was closed under this number may still have packets to send.
        self.release();
        let slot = self.slots.get_mut(id.0 as usize).ok_or(io::ErrorKind::InvalidInput)?;
        let socket = bind(local, self.tos)?;
        self.uring.set_file(id.0, Some(socket.as_fd()))?;
        slot.socket = Some(socket.into());
        slot.tos = self.tos;
        slot.peer = None;
        self.unarmed.push(Token::Media { index: id.0, generation: slot.generation });
        Ok(())
    }

    /// Closes a media socket. What has arrived on it is not reported any more.
    pub(crate) fn close(&mut self, id: SocketId) {
        let Some(slot) = self.slots.get_mut(id.0 as usize) else { return };
        let Some(socket) = slot.socket.take() else { return };
        let token = Token::Media { index: id.0, generation: slot.generation };
        slot.generation = slot.generation.wrapping_add(1) & Token::GENERATION;
        // What is queued to be sent from it refers to the descriptor, so it stays until the kernel has taken that.
        self.uring.cancel(token.bits(), Token::Cancel.bits());
        self.closing.push((id.0, socket));
    }

    /// Connects a media socket, so that the kernel need not look for the way of each packet; or undoes that. The source of what
    /// arrives is reported in any case: packets of others may be waiting in the socket already.
    pub(crate) fn settle(&mut self, id: SocketId, peer: Option<SocketAddr>) {
        let Some(slot) = self.slots.get_mut(id.0 as usize).filter(|slot| slot.peer != peer) else { return };
        let Some(socket) = &slot.socket else { return };
        // Where it cannot be connected it is used as it is.
        slot.peer = if sys::connect(socket.as_fd(), peer).is_ok() { peer } else { None };
    }

    /// Sends what is queued, and waits for something to arrive, at most until `timeout` has passed.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) {
        self.release();
        self.arm();
        let gather = if self.packets >= GATHER_FROM { self.gather } else { Duration::ZERO };
        let want = if gather.is_zero() { 1 } else { GATHER_WANT };
        self.packets = 0;
        self.stats.turns += 1;
        self.uring.wait(Wait { want, gather, timeout });
    }

    /// Closes all sockets, also those for control, so that their ports are free at once: the kernel takes its time to end a
    /// ring of a process that has gone.
    pub(crate) fn close_all(&mut self) {
        for (index, id) in (0..self.slots.len()).zip(0..) {
            if self.slots[index].socket.is_some() {
                self.close(SocketId(id));
            }
        }
        for index in 0..self.controls {
            self.uring.cancel(Token::Control { index }.bits(), Token::Cancel.bits());
        }
        self.release();
        self.uring.flush();
        for index in 0..self.controls {
            let _ = self.uring.set_file(self.slots.len() as u32 + index, None);
        }
        // What was cancelled lets go of its socket when completions are made.
        self.uring.wait(Wait { want: 1, gather: Duration::ZERO, timeout: Some(Duration::ZERO) });
    }

    /// Closes for good what was closed, once nothing that is queued refers to it.
    fn release(&mut self) {
        if self.closing.is_empty() || !self.uring.flush() {
            return;
        }
        for (file, socket) in self.closing.drain(..) {
            // A file that is not in the table cannot be taken out, and then is not held either.
            let _ = self.uring.set_file(file, None);
            drop(socket);
        }
    }

    fn arm(&mut self) {
        let Self { uring, slots, mailbox, unarmed, .. } = self;
        unarmed.retain(|token| {
            let taken = match *token {
                Token::Media { index, generation } => match slots.get(index as usize) {
                    Some(Slot { socket: Some(_), generation: now, .. }) if *now == generation => {
                        uring.receive(index, Pool::Media, token.bits())
                    }
                    _ => true,
                },
                Token::Control { index } => uring.receive(slots.len() as u32 + index, Pool::Control, token.bits()),
                Token::Mail => uring.poll(mailbox.as_fd(), token.bits()),
                Token::Send | Token::Cancel => true,
            };
            !taken
        });
    }

    /// What has arrived, one at a time. A buffer that is in it has to be given back.
    pub(crate) fn next(&mut self) -> Option<Arrival> {
        loop {
            let completion = self.uring.next(|token| Token::of(token).pool())?;
            let token = Token::of(completion.token);
            let receives = matches!(token, Token::Media { .. } | Token::Control { .. } | Token::Mail);
            if receives && !completion.more {
                self.unarmed.push(token);
            }
            match (token, completion.buffer) {
                (Token::Media { index, generation }, Some(buffer)) => {
                    let current = self.slots.get(index as usize);
                    if current.is_some_and(|slot| slot.socket.is_some() && slot.generation == generation) {
                        self.packets += 1;
                        return Some(Arrival::Packet(SocketId(index), buffer));
                    }
                    self.uring.give_back(buffer);
                }
                (Token::Control { index }, Some(buffer)) => return Some(Arrival::Control(index as usize, buffer)),
                (Token::Mail, _) => return Some(Arrival::Mail),
                (Token::Send, _) => self.stats.send_errors += 1,
                (Token::Media { .. } | Token::Control { .. }, None) => self.note_receive_error(completion.error),
                (Token::Cancel, _) => {}
            }
        }
    }

    fn note_receive_error(&mut self, error: Option<i32>) {
        // Out of buffers is no error of the socket: what waits in it is read after this turn.
        if error.is_some_and(|error| error != libc::ENOBUFS && error != libc::ECANCELED) {
            self.stats.receive_errors += 1;
        }
    }

    /// A datagram, and the way out for it. `None` if it was cut off.
    pub(crate) fn datagram(&mut self, buffer: BufferId) -> Option<(Datagram<'_>, Outlet<'_>)> {
        let Self { uring, slots, stats, .. } = self;
        let Some((datagram, sender)) = uring.datagram(buffer) else {
            stats.malformed += 1;
            return None;
        };
        Some((datagram, Outlet { sender, slots, stats }))
    }

    /// Gives the buffer of an arrival back.
    pub(crate) fn give_back(&mut self, buffer: BufferId) {
        self.uring.give_back(buffer);
    }
}

/// Sends parts of a received datagram.
pub(crate) struct Outlet<'r> {
    sender: Sender<'r>,
    slots: &'r mut [Slot],
    stats: &'r mut RingStats,
}

impl Outlet<'_> {
    /// Sends `packet`, a part of the datagram, from a media socket.
    pub(crate) fn forward(&mut self, from: SocketId, to: SocketAddr, packet: &[u8], tos: Option<u8>) {
        let sent = self.slots.get_mut(from.0 as usize).is_some_and(|slot| {
            let Some(socket) = &slot.socket else { return false };
            if let Some(tos) = tos.filter(|tos| *tos != slot.tos) {
                // Stays so: all packets of a stream ask for the same.
                let _ = set_tos(&SockRef::from(socket), to.is_ipv6(), tos);
                slot.tos = tos;
            }
            let to = Some(to).filter(|to| slot.peer != Some(*to));
            self.sender.send(from.0, packet, to, Token::Send.bits())
        });
        if !sent {
            self.stats.send_errors += 1;
        }
    }
}

fn bind(local: SocketAddr, tos: u8) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if tos != 0 {
        set_tos(&SockRef::from(&socket), local.is_ipv6(), tos)?;
    }
    socket.bind(&local.into())?;
    Ok(socket)
}

/// Sets the type of service, or the traffic class, of what a socket sends.
pub(crate) fn set_tos(socket: &SockRef<'_>, v6: bool, tos: u8) -> io::Result<()> {
    if v6 { socket.set_tclass_v6(tos.into()) } else { socket.set_tos_v4(tos.into()) }
}

#[cfg(test)]
mod tests;
