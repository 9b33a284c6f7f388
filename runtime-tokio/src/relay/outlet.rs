//! Packets on their way out: they stay in the slots they came in, and leave in batches.

use std::net::SocketAddr;

use trunkline_core::relay::media::SocketId;

use super::handle::Stats;
use super::sockets::Sockets;
use crate::sys::{ReceiveBatch, SendBatch};

/// A packet of a receive batch that is to leave.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departure {
    /// The socket it leaves by.
    pub(super) socket: SocketId,
    /// Its type of service, if not the socket's.
    pub(super) tos: Option<u8>,
    /// Where to.
    pub(super) to: SocketAddr,
    /// Its slot, where it starts there, and how long it is.
    pub(super) slot: usize,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// What leaves when the batch has been looked at.
pub(super) struct Outlet {
    departures: Vec<Departure>,
    batch: SendBatch,
}

impl Outlet {
    /// Room for the packets of a batch of `len`.
    pub(super) fn new(len: usize) -> Self {
        Self { departures: Vec::with_capacity(len), batch: SendBatch::new() }
    }

    /// Stages a packet.
    pub(super) fn push(&mut self, departure: Departure) {
        self.departures.push(departure);
    }

    /// Sends what is staged. What the kernel does not take is lost, as on any link: media that waits is of no use.
    pub(super) fn flush(&mut self, received: &ReceiveBatch, sockets: &mut Sockets, stats: &Stats) {
        for run in self.departures.chunk_by(|a, b| (a.socket, a.tos) == (b.socket, b.tos)) {
            let Some((first, fd)) =
                run.first().and_then(|first| Some((first, sockets.sender(first.socket, first.tos)?)))
            else {
                stats.send_failures.add(run.len() as u64);
                continue;
            };
            debug_assert!(run.iter().all(|departure| departure.socket == first.socket));
            let mut rest = run;
            while !rest.is_empty() {
                let datagrams = rest.iter().map(|d| (d.to, received.part(d.slot, d.start, d.len).unwrap_or_default()));
                match self.batch.send(fd, datagrams) {
                    Ok(sent) if sent > 0 => rest = rest.get(sent..).unwrap_or_default(),
                    // The error is that of the first.
                    Ok(_) | Err(_) => {
                        stats.send_failures.tick();
                        rest = rest.get(1..).unwrap_or_default();
                    }
                }
            }
        }
        self.departures.clear();
    }
}
