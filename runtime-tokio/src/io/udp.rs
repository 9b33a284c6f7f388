//! One UDP socket of one shard.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::Context;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use trunkline_core::flow::ListenerId;

use super::send_queue::{Drained, Outcome, SendQueue};
use super::stats::Stats;
use crate::sys::{self, BATCH_MAX, ReceiveBatch, SendBatch};

/// Errors that one call may meet before it gives up for this turn.
const ERRORS_MAX: usize = 16;
/// Most bytes of a datagram that an ICMP error quotes and that we read: routers quote 576 bytes in all over IPv4 and 1,280
/// over IPv6 (RFC 1812 §4.3.2.3, RFC 4443 §2.4).
const QUOTE_MAX: usize = 2_048;

/// A socket with what is staged for it.
pub(crate) struct UdpPort {
    pub(crate) listener: ListenerId,
    /// Registered for reading only: for a datagram socket the kernel reports writability after every datagram that
    /// leaves, and each report would be a wake-up.
    socket: AsyncFd<UdpSocket>,
    queue: RefCell<SendQueue>,
    /// There while the kernel takes no more: a second registration, for writing.
    blocked: RefCell<Option<AsyncFd<UdpSocket>>>,
    has_errors: Cell<bool>,
    stats: Arc<Stats>,
}

impl UdpPort {
    /// Takes over a socket that does not block. Needs a runtime.
    pub(crate) fn new(
        listener: ListenerId,
        socket: UdpSocket,
        send_queue: usize,
        stats: Arc<Stats>,
    ) -> io::Result<Self> {
        Ok(Self {
            listener,
            socket: sys::register(socket, Interest::READABLE | Interest::PRIORITY)?,
            queue: RefCell::new(SendQueue::new(send_queue)),
            blocked: RefCell::new(None),
            has_errors: Cell::new(false),
            stats,
        })
    }

    /// Whether something waits to be received; registers for a wake-up if not.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> bool {
        self.socket.poll_read_ready(cx).is_ready()
    }

    /// Whether a blocked socket takes datagrams again; registers for a wake-up if not.
    pub(crate) fn poll_unblocked(&self, cx: &mut Context<'_>) -> bool {
        let mut blocked = self.blocked.borrow_mut();
        let is_unblocked = blocked.as_ref().is_some_and(|socket| socket.poll_write_ready(cx).is_ready());
        if is_unblocked {
            *blocked = None;
        }
        is_unblocked
    }

    /// Fills the batch with what waits. No call is made when nothing does, nor after a batch that was not full.
    pub(crate) fn receive(&self, batch: &mut ReceiveBatch) -> usize {
        for _ in 0..ERRORS_MAX {
            let (mut received, mut is_called) = (0, false);
            let result = self.socket.try_io(Interest::READABLE, |socket| {
                is_called = true;
                received = batch.receive(socket.as_fd())?;
                // A short batch drained the socket; this takes the readiness back. What comes later raises it again.
                if received < batch.capacity() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match result {
                _ if received > 0 => {
                    self.stats.datagrams_in.add(received as u64);
                    return received;
                }
                Ok(()) => return 0,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // Readable without a datagram: the error queue does that too.
                    self.has_errors.set(self.has_errors.get() || is_called);
                    return 0;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.has_errors.set(true),
            }
        }
        0
    }

    /// Stages a datagram; false if there is no room for it.
    pub(crate) fn stage(&self, to: SocketAddr, bytes: &[u8], batch: &mut SendBatch, failed: &mut Fail<'_>) {
        let is_staged = self.queue.borrow_mut().push(to, bytes);
        if !is_staged {
            self.stats.send_failures.tick();
            failed(to, bytes);
        }
        if self.queue.borrow().len() >= BATCH_MAX {
            self.flush(batch, failed);
        }
    }

    /// Sends what is staged, as far as the kernel takes it. What fails goes to `failed`.
    pub(crate) fn flush(&self, batch: &mut SendBatch, failed: &mut Fail<'_>) {
        let mut queue = self.queue.borrow_mut();
        if queue.len() == 0 || self.blocked.borrow().is_some() {
            return;
        }
        let fd = self.socket.get_ref().as_fd();
        let stats = &self.stats;
        let drained = queue.drain(
            |datagrams| batch.send(fd, datagrams),
            |outcome| match outcome {
                Outcome::Sent(n) => stats.datagrams_out.add(n as u64),
                Outcome::Interrupted => self.has_errors.set(true),
                // The device had no room. That is loss, as on any link; timers make up for it.
                Outcome::Refused(_, _, libc::ENOBUFS) => stats.send_losses.tick(),
                Outcome::Refused(to, bytes, _) => {
                    stats.send_failures.tick();
                    failed(to, bytes);
                }
            },
        );
        if drained == Drained::Blocked {
            let second = self.socket.get_ref().try_clone();
            *self.blocked.borrow_mut() = second.and_then(|socket| sys::register(socket, Interest::WRITABLE)).ok();
        }
    }

    /// Gives what ICMP brought back to `failed`, at most a bounded number of datagrams. No call is made unless one of the
    /// others met an error.
    pub(crate) fn take_errors(&self, failed: &mut Fail<'_>) {
        if !self.has_errors.get() {
            return;
        }
        let mut bytes = [0; QUOTE_MAX];
        for _ in 0..BATCH_MAX {
            match sys::receive_error(self.socket.get_ref().as_fd(), &mut bytes) {
                // An error of our own kernel also failed the call, and was told then.
                Ok(Some(error)) if error.is_remote => {
                    self.stats.icmp_errors.tick();
                    failed(error.to, &bytes[..error.len]);
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.has_errors.set(false);
                    return;
                }
            }
        }
    }

    /// Whether the error queue is still to be read.
    pub(crate) fn has_errors(&self) -> bool {
        self.has_errors.get()
    }

    /// Whether datagrams wait that the kernel did not take, with no way to learn when it does: try at the next turn.
    pub(crate) fn is_stuck(&self) -> bool {
        self.queue.borrow().len() > 0 && self.blocked.borrow().is_none()
    }
}

/// Takes what could not be delivered.
pub(crate) type Fail<'f> = dyn FnMut(SocketAddr, &[u8]) + 'f;
