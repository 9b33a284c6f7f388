//! What reaches a shard from other threads: a bounded queue, and a wake-up for the ring that reads it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use futures_channel::oneshot;

use crate::ctl::{Answer, Query};
use crate::sys::EventFd;

/// Letters that may wait for a shard. A full box refuses: an ng client repeats its request.
const MAIL_MAX: usize = 1024;

/// A letter to a shard.
#[derive(Debug)]
pub(crate) enum Mail {
    /// An ng message whose call lives there.
    Ng {
        /// The message.
        bytes: Box<[u8]>,
        /// Where the reply goes.
        origin: Origin,
    },
    /// What an operator wants to know or to have done.
    Ctl(Query, oneshot::Sender<Answer>),
    /// Take no new calls, and end with the last one.
    Drain,
    /// End now.
    Stop,
}

/// Where an ng message came from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A datagram: the control socket it came by, and its source.
    Datagram(usize, SocketAddr),
    /// A stream, whose task waits for the reply. It gets none if this is dropped.
    Stream(oneshot::Sender<Box<[u8]>>),
}

/// The way into a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    queue: SyncSender<Mail>,
    bell: Arc<EventFd>,
}

impl Mailbox {
    /// A mailbox, its reading end, and what is rung when there is something in it.
    ///
    /// # Errors
    ///
    /// No descriptor is left.
    pub(crate) fn new() -> io::Result<(Self, Receiver<Mail>, Arc<EventFd>)> {
        let (queue, receiver) = sync_channel(MAIL_MAX);
        let bell = Arc::new(EventFd::new()?);
        Ok((Self { queue, bell: Arc::clone(&bell) }, receiver, bell))
    }

    /// Puts a letter in; `false` if the box is full or its shard has ended.
    pub(crate) fn post(&self, mail: Mail) -> bool {
        let posted = self.queue.try_send(mail).is_ok();
        self.bell.notify();
        posted
    }
}
