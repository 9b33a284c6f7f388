//! What has happened to a shard, as events for its engine.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use trunkline_core::flow::{ConnectionId, Flow, ListenerId};
use trunkline_core::node::event::Event;
use trunkline_core::node::pump;
use trunkline_core::wire::sip::transport::Transport;

use super::bind::RELAY_PORTS;
use super::failed::Failed;
use super::handover::{Cargo, Handover, Steer};
use super::stats::Stats;
use super::streams::Streams;
use super::udp::UdpPort;
use crate::sys::ReceiveBatch;

/// What both ends of the pump use.
pub(crate) struct Io {
    pub(crate) shard: u8,
    pub(crate) ports: Vec<UdpPort>,
    pub(crate) streams: Rc<Streams>,
    pub(crate) handover: RefCell<Handover>,
    pub(crate) failed: Rc<Failed>,
    pub(crate) steer: Arc<dyn Steer>,
    pub(crate) stats: Arc<Stats>,
}

impl Io {
    /// Takes back a message of this shard that did not get there.
    pub(crate) fn fail(&self, to: SocketAddr, bytes: &[u8]) {
        self.fail_for(self.shard, to, bytes);
    }

    fn fail_for(&self, owner: u8, to: SocketAddr, bytes: &[u8]) {
        if !self.failed.push(owner, to, bytes) {
            self.stats.failures_untold.tick();
        }
    }

    /// The shard that sent what an ICMP error brought back: with a shared port the kernel tells any of them.
    fn owner(&self, bytes: &[u8]) -> u8 {
        let handover = self.handover.borrow();
        if handover.is_alone() {
            return self.shard;
        }
        let owner = self.steer.undelivered(bytes);
        if handover.reaches(owner) { owner } else { self.shard }
    }

    /// Reads the error queues of the sockets that met an error.
    pub(crate) fn take_errors(&self) {
        for port in &self.ports {
            let own = RELAY_PORTS.contains(&port.listener);
            port.take_errors(&mut |to, bytes| {
                let owner = if own { self.shard } else { self.owner(bytes) };
                self.fail_for(owner, to, bytes);
            });
        }
    }

    /// Whether there is something for the engine that no socket will announce.
    pub(crate) fn has_work(&self) -> bool {
        !self.failed.is_empty() || self.streams.has_work() || self.ports.iter().any(UdpPort::has_errors)
    }
}

/// Where events can come from, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Datagrams,
    Streams,
    Shards,
}

const SOURCES: [Source; 3] = [Source::Datagrams, Source::Streams, Source::Shards];

/// An event without its bytes.
enum Pick {
    /// The datagram of that place in the batch.
    Datagram(Flow, usize),
    /// The answer of a media relay, of that place in the batch.
    Relay(SocketAddr, usize),
    /// The message that is held.
    Held(Flow),
    /// The message that is held, which came back.
    Failed(SocketAddr),
    Gone(ConnectionId),
}

/// The events of one shard.
pub(crate) struct Inbox {
    io: Rc<Io>,
    batch: ReceiveBatch,
    /// The listener of the batch, and the next datagram of it.
    listener: ListenerId,
    at: usize,
    /// The port to look at next.
    port: usize,
    /// Ports that gave less than a full batch in this turn.
    drained: usize,
    held: Vec<u8>,
    /// The source to look at first. It changes every turn, so that none starves another.
    first: usize,
}

impl Inbox {
    pub(crate) fn new(io: Rc<Io>, batch: usize) -> Self {
        Self {
            io,
            batch: ReceiveBatch::new(batch),
            listener: ListenerId(0),
            at: 0,
            port: 0,
            drained: 0,
            held: Vec::new(),
            first: 0,
        }
    }

    /// Begins a turn.
    pub(crate) fn begin(&mut self) {
        self.drained = 0;
        self.first = (self.first + 1) % SOURCES.len();
        self.io.take_errors();
    }

    fn pick(&mut self) -> Option<Pick> {
        while let Some((owner, to)) = self.io.failed.pop(&mut self.held) {
            if owner == self.io.shard {
                return Some(Pick::Failed(to));
            }
            self.io.handover.borrow_mut().push(owner, Cargo::Undelivered(to), &self.held);
        }
        for i in 0..SOURCES.len() {
            let pick = match SOURCES[(self.first + i) % SOURCES.len()] {
                Source::Datagrams => self.datagram(),
                Source::Streams => self.stream(),
                Source::Shards => self.parcel(),
            };
            if pick.is_some() {
                return pick;
            }
        }
        None
    }

    /// The next datagram that is for this shard.
    fn datagram(&mut self) -> Option<Pick> {
        loop {
            if self.at == self.batch.len() && !self.receive() {
                return None;
            }
            let at = self.at;
            self.at += 1;
            let Some((peer, bytes)) = self.batch.datagram(at) else { continue };
            if RELAY_PORTS.contains(&self.listener) {
                return Some(Pick::Relay(peer, at));
            }
            let flow = Flow { listener: self.listener, transport: Transport::Udp, peer, connection: None };
            if !is_handed_over(&self.io, flow, bytes) {
                return Some(Pick::Datagram(flow, at));
            }
        }
    }

    /// Fills the batch from the next port that has something.
    fn receive(&mut self) -> bool {
        while self.drained < self.io.ports.len() {
            let port = &self.io.ports[self.port];
            let n = port.receive(&mut self.batch);
            self.at = 0;
            self.listener = port.listener;
            if n < self.batch.capacity() {
                self.drained += 1;
                self.port = (self.port + 1) % self.io.ports.len();
            }
            if n > 0 {
                return true;
            }
            self.at = self.batch.len();
        }
        false
    }

    /// The next message of a connection that is for this shard, then the next connection that is gone.
    fn stream(&mut self) -> Option<Pick> {
        while let Some(flow) = self.io.streams.next_message(&mut self.held) {
            if !is_handed_over(&self.io, flow, &self.held) {
                return Some(Pick::Held(flow));
            }
        }
        let gone = self.io.streams.next_gone()?;
        self.io.handover.borrow_mut().push_all(Cargo::Disconnected(gone));
        Some(Pick::Gone(gone))
    }

    /// What the next parcel of another shard means for the engine.
    fn parcel(&mut self) -> Option<Pick> {
        loop {
            let (from, cargo) = self.io.handover.borrow_mut().pop(&mut self.held)?;
            match cargo {
                Cargo::Received(flow) => return Some(Pick::Held(flow)),
                Cargo::Undelivered(to) => return Some(Pick::Failed(to)),
                Cargo::Disconnected(id) => return Some(Pick::Gone(id)),
                Cargo::Write(flow) => self.io.streams.send(from, &flow, &self.held),
            }
        }
    }
}

/// Gives a received message to the shard it belongs to, if that is another.
fn is_handed_over(io: &Io, flow: Flow, bytes: &[u8]) -> bool {
    let mut handover = io.handover.borrow_mut();
    if handover.is_alone() {
        return false;
    }
    let shard = io.steer.received(bytes);
    if !handover.reaches(shard) {
        return false;
    }
    handover.push(shard, Cargo::Received(flow), bytes);
    true
}

impl pump::Inbox for Inbox {
    fn next(&mut self) -> Option<Event<'_>> {
        Some(match self.pick()? {
            Pick::Datagram(flow, at) => {
                let bytes = self.batch.datagram(at).map_or(&[][..], |(_, bytes)| bytes);
                Event::Received { flow, bytes }
            }
            Pick::Relay(from, at) => {
                let bytes = self.batch.datagram(at).map_or(&[][..], |(_, bytes)| bytes);
                Event::Relay { from, bytes }
            }
            Pick::Held(flow) => Event::Received { flow, bytes: &self.held },
            Pick::Failed(to) => Event::Undelivered { to, bytes: &self.held },
            Pick::Gone(connection) => Event::Disconnected { connection },
        })
    }
}
