//! A shard: one relay, its sockets on one ring, its clock.
//!
//! A shard is the only task of its executor, so it waits in the ring itself: a wake-up by way of the executor's own ring
//! costs three times as much, and at few calls wake-ups are most of what a packet costs.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use futures_channel::mpsc;
use trunkline_core::relay::media::{PacketBuf, SocketId};
use trunkline_core::relay::{Action, Event, Notice, Relay};
use trunkline_core::{Cx, Instant, Timed};

use crate::clock::Clock;
use crate::control::{Common, Gate, Route, Router};
use crate::ctl::{Answer, CallLine, Query, ShardTotals};
use crate::entropy::ShardEntropy;
use crate::mailbox::{Mail, Origin};
use crate::ring::{Arrival, Outlet, Ring};
use crate::sys::BufferId;

/// Timeouts handled before packets are looked at again.
const TIMEOUTS_A_TURN: usize = 64;
/// Room for actions that wait for the end of a call into the relay.
const STAGED: usize = 1024;

/// An action that changes sockets: done once the relay has returned.
enum Staged {
    Open(SocketId, SocketAddr),
    Close(SocketId),
    Settle(SocketId, Option<SocketAddr>),
}

/// What a shard is made of.
pub(crate) struct Parts {
    /// Its place among the shards.
    pub(crate) at: usize,
    /// The relay.
    pub(crate) relay: Relay<'static>,
    /// Its sockets.
    pub(crate) ring: Ring,
    /// The clock all shards share.
    pub(crate) clock: Clock,
    /// Its mail.
    pub(crate) mail: Receiver<Mail>,
    /// The control sockets, to reply from.
    pub(crate) control: Arc<[UdpSocket]>,
    /// Who may send to them.
    pub(crate) gate: Gate,
    /// The way to the other shards.
    pub(crate) router: Router,
    /// The way to the executor that asks all of them.
    pub(crate) common: mpsc::Sender<Common>,
}

/// A shard that runs.
pub(crate) struct Shard {
    at: usize,
    relay: Relay<'static>,
    ring: Ring,
    clock: Clock,
    mail: Receiver<Mail>,
    desk: Desk,
    entropy: ShardEntropy,
    staged: VecDeque<Staged>,
    draining: bool,
    stopped: bool,
}

/// The control side of a shard.
struct Desk {
    control: Arc<[UdpSocket]>,
    gate: Gate,
    router: Router,
    common: mpsc::Sender<Common>,
}

impl Desk {
    fn reply(&self, origin: &mut Option<Origin>, bytes: &[u8]) {
        match origin.take() {
            Some(Origin::Datagram(socket, to)) => {
                if let Some(socket) = self.control.get(socket) {
                    // One that finds no room is lost as one on the way is; the client asks again and gets the same.
                    let _ = socket.send_to(bytes, to);
                }
            }
            Some(Origin::Stream(waiting)) => drop(waiting.send(bytes.into())),
            None => {}
        }
    }
}

impl Shard {
    /// A shard on the thread that calls this.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { at, relay, ring, clock, mail, control, gate, router, common } = parts;
        Self {
            at,
            relay,
            ring,
            clock,
            mail,
            desk: Desk { control, gate, router, common },
            entropy: ShardEntropy::new(),
            staged: VecDeque::with_capacity(STAGED),
            draining: false,
            stopped: false,
        }
    }

    /// Runs until it is stopped, or drained and empty.
    pub(crate) fn run(&mut self) {
        self.feed(Event::Timeout, &mut None);
        while !self.is_done() {
            let timeout = self.relay.next_deadline().map(|at| at.since(self.clock.now()));
            self.ring.wait(timeout);
            self.turn();
            self.expire();
        }
        self.ring.close_all();
    }

    fn is_done(&self) -> bool {
        self.stopped || (self.draining && self.relay.undeleted() == 0)
    }

    /// Handles what has arrived.
    fn turn(&mut self) {
        let now = self.clock.now();
        while let Some(arrival) = self.ring.next() {
            match arrival {
                Arrival::Packet(socket, buffer) => {
                    self.packet(now, socket, buffer);
                    self.ring.give_back(buffer);
                }
                Arrival::Control(socket, buffer) => {
                    self.control(socket, buffer);
                    self.ring.give_back(buffer);
                }
                Arrival::Mail => self.read_mail(),
            }
        }
    }

    fn expire(&mut self) {
        for _ in 0..TIMEOUTS_A_TURN {
            if self.relay.next_deadline().is_none_or(|at| at > self.clock.now()) {
                return;
            }
            self.feed(Event::Timeout, &mut None);
        }
    }

    /// The hot path.
    fn packet(&mut self, now: Instant, socket: SocketId, buffer: BufferId) {
        let Some((datagram, mut outlet)) = self.ring.datagram(buffer) else { return };
        let mut packet = PacketBuf::new(datagram.buffer, datagram.len);
        let mut cx = Cx { now, entropy: &mut self.entropy };
        let staged = &mut self.staged;
        let mut out = |action: Action<'_>| perform(action, Some(&mut outlet), staged, |_| {});
        self.relay.packet(&mut cx, socket, datagram.from, &mut packet, &mut out);
        self.work_off();
    }

    /// A datagram on a control socket: for this shard, for another, or about all.
    fn control(&mut self, socket: usize, buffer: BufferId) {
        let Some((datagram, _)) = self.ring.datagram(buffer) else { return };
        if !self.desk.gate.admits(datagram.from) {
            return;
        }
        let Some(bytes) = datagram.buffer.get(..datagram.len) else { return };
        match self.desk.router.route(bytes) {
            Route::Shard(shard) if shard == self.at => {}
            Route::Shard(shard) => {
                // A full mailbox drops: the client asks again.
                self.desk.router.post(shard, bytes.into(), Origin::Datagram(socket, datagram.from));
                return;
            }
            Route::All => {
                let _ = self.desk.common.try_send(Common { bytes: bytes.into(), socket, from: datagram.from });
                return;
            }
        }
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        let (staged, desk) = (&mut self.staged, &self.desk);
        let mut origin = Some(Origin::Datagram(socket, datagram.from));
        self.relay.handle(&mut cx, Event::Control { bytes }, &mut |action: Action<'_>| {
            perform(action, None, staged, |reply| desk.reply(&mut origin, reply));
        });
        self.work_off();
    }

    fn read_mail(&mut self) {
        while let Ok(mail) = self.mail.try_recv() {
            match mail {
                Mail::Ng { bytes, origin } => self.feed(Event::Control { bytes: &bytes }, &mut Some(origin)),
                // Whoever asked may have gone.
                Mail::Ctl(query, waiting) => drop(waiting.send(self.answer(query))),
                Mail::Drain => {
                    self.draining = true;
                    self.relay.set_draining(true);
                }
                Mail::Stop => self.stopped = true,
            }
        }
    }

    fn answer(&mut self, query: Query) -> Answer {
        let now = self.clock.now();
        match query {
            Query::Totals => Answer::Totals(Box::new(ShardTotals {
                relay: self.relay.totals(),
                uptime: self.relay.uptime(now),
                ring: *self.ring.stats(),
                // All shards share one gate.
                refused: if self.at == 0 { self.desk.gate.refused() } else { 0 },
            })),
            Query::Calls(max) => {
                let line = |call: trunkline_core::relay::CallSummary<'_>| CallLine {
                    call_id: call.call_id.into(),
                    age: now.since(call.created),
                    answered: call.answered,
                    parties: call.parties,
                    streams: call.streams,
                };
                Answer::Calls(self.relay.calls().take(max).map(line).collect())
            }
            Query::Describe(call_id) => {
                let mut text = String::new();
                Answer::Text(self.relay.describe(&call_id, &mut text).is_ok_and(|found| found).then_some(text))
            }
            Query::Terminate(call_id) => {
                let ended = self.command(|relay, cx, mut out| relay.terminate(cx, &call_id, &mut out));
                Answer::Ended(usize::from(ended))
            }
            Query::TerminateAll => Answer::Ended(self.command(|relay, cx, mut out| relay.terminate_all(cx, &mut out))),
            Query::SetSessionsMax(max) => {
                self.relay.set_sessions_max(max);
                Answer::Ended(0)
            }
        }
    }

    /// Hands the relay an event that is no packet, and does what follows.
    fn feed(&mut self, event: Event<'_>, origin: &mut Option<Origin>) {
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        let (staged, desk) = (&mut self.staged, &self.desk);
        self.relay.handle(&mut cx, event, &mut |action: Action<'_>| {
            perform(action, None, staged, |reply| desk.reply(origin, reply));
        });
        self.work_off();
    }

    /// Has the relay do what an operator wants, and does what follows.
    fn command<T>(&mut self, act: impl FnOnce(&mut Relay<'static>, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> T) -> T {
        let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
        let staged = &mut self.staged;
        let result = act(&mut self.relay, &mut cx, &mut |action| perform(action, None, staged, |_| {}));
        self.work_off();
        result
    }

    /// Opens, closes and connects sockets, and tells the relay, until nothing is left to be done.
    fn work_off(&mut self) {
        while let Some(action) = self.staged.pop_front() {
            let event = match action {
                Staged::Close(socket) => {
                    self.ring.close(socket);
                    continue;
                }
                Staged::Settle(socket, peer) => {
                    self.ring.settle(socket, peer);
                    continue;
                }
                Staged::Open(socket, local) => match self.ring.open(socket, local) {
                    Ok(()) => Event::Opened { socket },
                    Err(error) => {
                        tracing::trace!(%local, %error, "media port not bound");
                        Event::OpenFailed { socket }
                    }
                },
            };
            let mut cx = Cx { now: self.clock.now(), entropy: &mut self.entropy };
            let staged = &mut self.staged;
            self.relay.handle(&mut cx, event, &mut |action: Action<'_>| perform(action, None, staged, |_| {}));
        }
    }
}

/// Does what can be done while the relay runs, and stages the rest.
fn perform(
    action: Action<'_>,
    outlet: Option<&mut Outlet<'_>>,
    staged: &mut VecDeque<Staged>,
    reply: impl FnOnce(&[u8]),
) {
    match action {
        Action::Forward { socket, to, packet, tos } => {
            if let Some(outlet) = outlet {
                outlet.forward(socket, to, packet, tos);
            }
        }
        Action::Open { socket, local } => staged.push_back(Staged::Open(socket, local)),
        Action::Close { socket } => staged.push_back(Staged::Close(socket)),
        Action::Settle { socket, peer } => staged.push_back(Staged::Settle(socket, peer)),
        Action::Reply { bytes } => reply(bytes),
        Action::Notice(notice) => tell(&notice),
        _ => {}
    }
}

fn tell(notice: &Notice<'_>) {
    match notice {
        Notice::Unanswerable => tracing::trace!("{notice}"),
        notice => tracing::debug!("{notice}"),
    }
}
