//! What an engine wants done.

use std::net::SocketAddr;
use std::rc::Rc;

use trunkline_core::flow::Flow;
use trunkline_core::node::action::{Action, Report};
use trunkline_core::node::pump;
use trunkline_core::wire::sip::transport::Transport;

use super::bind::RELAY_PORTS;
use super::handover::Cargo;
use super::inbox::Io;
use super::streams::shard_of;
use crate::sys::SendBatch;

/// Takes the reports of an engine.
pub(crate) type Reporter = Box<dyn FnMut(Report<'_>) + Send>;

/// The actions of one shard, staged and flushed.
pub(crate) struct Outbox {
    io: Rc<Io>,
    batch: SendBatch,
    reporter: Reporter,
}

impl Outbox {
    pub(crate) fn new(io: Rc<Io>, reporter: Reporter) -> Self {
        Self { io, batch: SendBatch::new(), reporter }
    }

    fn send(&mut self, flow: &Flow, bytes: &[u8]) {
        match flow.transport {
            Transport::Udp => {
                let io = &self.io;
                match io.ports.iter().find(|port| port.listener == flow.listener) {
                    Some(port) => port.stage(flow.peer, bytes, &mut self.batch, &mut |to, bytes| io.fail(to, bytes)),
                    None => self.refuse(flow, bytes),
                }
            }
            Transport::Tcp => match self.owner(flow) {
                Some(shard) => {
                    if !self.io.handover.borrow_mut().push(shard, Cargo::Write(*flow), bytes) {
                        self.refuse(flow, bytes);
                    }
                }
                None => self.io.streams.send(self.io.shard, flow, bytes),
            },
            _ => self.refuse(flow, bytes),
        }
    }

    /// Stages a command to a media relay.
    fn command(&mut self, to: SocketAddr, bytes: &[u8]) {
        let io = &self.io;
        let id = RELAY_PORTS[usize::from(to.is_ipv6())];
        match io.ports.iter().find(|port| port.listener == id) {
            Some(port) => port.stage(to, bytes, &mut self.batch, &mut |to, bytes| io.fail(to, bytes)),
            None => io.fail(to, bytes),
        }
    }

    /// The other shard that owns the connection of a flow.
    fn owner(&self, flow: &Flow) -> Option<u8> {
        let shard = flow.connection.map(shard_of)?;
        self.io.handover.borrow().reaches(shard).then_some(shard)
    }

    fn refuse(&self, flow: &Flow, bytes: &[u8]) {
        self.io.stats.send_failures.tick();
        self.io.fail(flow.peer, bytes);
    }
}

impl pump::Outbox for Outbox {
    fn emit(&mut self, action: Action<'_>) {
        match action {
            Action::Send { flow, bytes } => self.send(flow, bytes),
            Action::Relay { to, bytes } => self.command(to, bytes),
            Action::Report(report) => (self.reporter)(report),
        }
    }

    fn flush(&mut self) {
        let io = &self.io;
        for port in &io.ports {
            port.flush(&mut self.batch, &mut |to, bytes| io.fail(to, bytes));
        }
        io.streams.flush();
        io.handover.borrow_mut().wake();
    }
}
