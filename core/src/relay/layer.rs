//! The relay: calls over a packet plane, under the ng protocol.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use super::action::{Action, Event};
use super::calls::{self, Calls};
use super::config::{Config, ConfigError};
use super::error::RelayError;
use super::media::{self, Media, PacketBuf, SocketId};
use super::notice::{EndReason, Notice};
use super::query::View;
use super::repeats::{self, Repeats};
use super::secret::Secret;
use super::totals::Totals;
use crate::machine::{Cx, Timed};
use crate::sink::Sink;
use crate::store::{HashKey, Key, Slab, Slots, slab};
use crate::time::Instant;
use crate::wire::ng;

/// Most calls that one timeout looks at.
pub const EXPIRE_MAX: usize = 32;

/// Bytes that control messages are worked on in.
pub struct Scratch<'m> {
    /// For bodies in JSON: [`ng::SCRATCH_MAX`] bytes.
    pub json: Slots<'m, u8>,
    /// For replies, and for changed session descriptions: [`ng::MESSAGE_MAX`] bytes each.
    pub reply: Slots<'m, u8>,
    /// See `reply`.
    pub body: Slots<'m, u8>,
}

impl Scratch<'_> {
    fn taken() -> Self {
        let none = || Slots::lent(&mut []);
        Self { json: none(), reply: none(), body: none() }
    }
}

/// Where a relay keeps what it holds.
pub struct Storage<'m> {
    /// The packet plane.
    pub media: media::Storage<'m>,
    /// Calls.
    pub calls: calls::Memory<'m>,
    /// Replies.
    pub repeats: repeats::Memory<'m>,
    /// SRTP keys of streams that are signalled with `a=crypto`.
    pub secrets: Slots<'m, slab::Slot<Secret>>,
    /// Room to work in.
    pub scratch: Scratch<'m>,
}

/// One shard of a relay.
pub struct Relay<'m> {
    pub(super) config: Config,
    pub(super) calls: Calls<'m>,
    pub(super) media: Media<'m>,
    pub(super) secrets: Slab<'m, Secret>,
    pub(super) repeats: Repeats<'m>,
    pub(super) scratch: Scratch<'m>,
    pub(super) totals: Totals,
    pub(super) draining: bool,
    /// When the first event came.
    pub(super) started: Option<Instant>,
}

impl<'m> Relay<'m> {
    /// A relay without calls. The runtime has it handle [`Event::Timeout`] next, which opens the reserve of ports.
    ///
    /// # Errors
    /// Where configuration and storage do not fit.
    pub fn new(config: Config, storage: Storage<'m>, hash: HashKey) -> Result<Self, ConfigError> {
        if config.interfaces.is_empty() {
            return Err(ConfigError::NoInterface);
        }
        let Storage { media, calls, repeats, secrets, mut scratch } = storage;
        if calls.owners.capacity() < media.endpoints.capacity() {
            return Err(ConfigError::Owners);
        }
        for (room, wanted) in [
            (&mut scratch.json, ng::SCRATCH_MAX),
            (&mut scratch.reply, ng::MESSAGE_MAX),
            (&mut scratch.body, ng::MESSAGE_MAX),
        ] {
            room.fill(wanted);
            if room.used().len() < wanted {
                return Err(ConfigError::Scratch);
            }
        }
        let media = Media::new(&config.addresses(), config.media(), media).map_err(ConfigError::Media)?;
        Ok(Self {
            calls: Calls::new(calls, hash.clone()),
            media,
            secrets: Slab::new(secrets, "SRTP keys"),
            repeats: Repeats::new(repeats, hash, config.repeat_window),
            scratch,
            totals: Totals::default(),
            draining: false,
            started: None,
            config,
        })
    }

    /// Takes one event.
    pub fn handle<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut S) {
        match event {
            Event::Packet { socket, from, mut packet } => self.packet(cx, socket, from, &mut packet, out),
            Event::Control { bytes } => self.control(cx, bytes, out),
            Event::Opened { socket } => self.media.opened(cx, socket, &mut plane(&self.calls, out)),
            Event::OpenFailed { socket } => self.media.open_failed(cx, socket, &mut plane(&self.calls, out)),
            Event::Timeout => self.timeout(cx, out),
        }
    }

    /// A datagram on a media socket: the same as [`Event::Packet`], for a runtime that keeps the buffer.
    pub fn packet<S>(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        from: SocketAddr,
        packet: &mut PacketBuf<'_>,
        out: &mut S,
    ) where
        S: for<'a> Sink<Action<'a>>,
    {
        self.media.packet(cx, socket, from, packet, &mut plane(&self.calls, out));
    }

    fn timeout<S: for<'a> Sink<Action<'a>>>(&mut self, cx: &mut Cx<'_>, out: &mut S) {
        self.started.get_or_insert(cx.now);
        self.media.refill(cx, &mut plane(&self.calls, out));
        for _ in 0..EXPIRE_MAX {
            let Some(key) = self.calls.table.expire(cx.now) else { break };
            self.calls.change(key, |call| call.check_at = None);
            self.review(cx, key, out);
        }
    }

    /// Ends a call and frees all that it holds.
    pub(super) fn end<S>(&mut self, cx: &mut Cx<'_>, key: Key, reason: EndReason, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.tell_end(cx, key, reason, out);
        self.forget(cx, key, out);
    }

    /// Frees all that a call holds.
    pub(super) fn forget<S>(&mut self, cx: &mut Cx<'_>, key: Key, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        while let Some(party) = self.calls.first_party(key) {
            self.remove_party(cx, party, out);
        }
        self.calls.remove(key);
    }

    fn tell_end<S>(&mut self, cx: &Cx<'_>, key: Key, reason: EndReason, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Some(call) = self.calls.table.get(key) else { return };
        let lasted = cx.now.since(call.created);
        self.totals.count_end(reason, lasted);
        let (mut received, mut sent) = (media::Traffic::default(), media::Traffic::default());
        for (endpoint, stream) in self.calls.endpoints_of(key) {
            let Some(stats) = self.media.stats(endpoint) else { continue };
            received += stats.received;
            sent += stats.sent;
            // Each stream is counted with the endpoint that was made first.
            let other = self.media.connected(endpoint).filter(|other| endpoint.key().slot() < other.key().slot());
            let Some(other) = other.and_then(|other| self.media.stats(other)).filter(|_| stream.signalled) else {
                continue;
            };
            match (stats.received.packets > 0, other.received.packets > 0) {
                (false, false) => self.totals.zero_way_streams += 1,
                (true, false) | (false, true) => self.totals.one_way_streams += 1,
                (true, true) => {}
            }
        }
        let (call_id, metadata) = (self.calls.bytes(Some(&call.call_id)), self.calls.bytes(call.metadata.as_ref()));
        out.emit(Action::Notice(Notice::Ended { call_id, metadata, reason, lasted, received, sent }));
    }

    /// Takes a party out of its call, with its streams.
    pub(super) fn remove_party<S>(&mut self, cx: &mut Cx<'_>, party: Key, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        while let Some(stream) = self.calls.remove_first_stream(party) {
            if let Some(endpoint) = stream.endpoint {
                self.media.close(cx, endpoint, &mut plane(&self.calls, out));
                self.calls.disown(Some(endpoint));
            }
            if let Some(secret) = stream.secret {
                self.secrets.remove(secret);
            }
        }
        self.calls.remove_party(party);
    }

    /// What replies about calls are made of.
    pub(super) fn view(&self) -> View<'_, 'm> {
        View { calls: &self.calls, media: &self.media, config: &self.config }
    }

    /// What has been done so far.
    pub fn totals(&self) -> Totals {
        Totals { sessions: self.sessions() as u64, media: *self.media.totals(), ..self.totals }
    }

    /// Calls now.
    pub fn sessions(&self) -> usize {
        self.calls.table.len()
    }

    /// Calls now that nobody has asked to delete: those that a relay waits for before it stops.
    pub fn undeleted(&self) -> usize {
        self.calls.table.iter().filter(|(_, call)| call.delete_at.is_none()).count()
    }

    /// How long it has run.
    pub fn uptime(&self, now: Instant) -> Duration {
        self.started.map_or(Duration::ZERO, |started| now.since(started))
    }

    /// The packet plane.
    pub fn media(&self) -> &Media<'m> {
        &self.media
    }

    /// Sets how many calls there may be; those there are stay.
    pub fn set_sessions_max(&mut self, max: Option<u32>) {
        self.config.sessions_max = max;
    }

    /// Whether new calls are refused because the relay is about to stop. Those there are go on.
    pub fn set_draining(&mut self, draining: bool) {
        self.draining = draining;
    }

    /// Ends the call of that Call-ID at once; whether there was one.
    pub fn terminate<S>(&mut self, cx: &mut Cx<'_>, call_id: &[u8], out: &mut S) -> bool
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let found = self.calls.find(call_id);
        if let Some(key) = found {
            self.end(cx, key, EndReason::Terminated, out);
        }
        found.is_some()
    }

    /// Ends all calls at once; how many there were.
    pub fn terminate_all<S>(&mut self, cx: &mut Cx<'_>, out: &mut S) -> usize
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let before = self.sessions();
        for slot in 0..self.calls.table.high_water() as u32 {
            if let Some(key) = self.calls.table.at(slot).map(|(key, _)| key) {
                self.end(cx, key, EndReason::Terminated, out);
            }
        }
        before - self.sessions()
    }

    /// The calls there are.
    pub fn calls(&self) -> impl Iterator<Item = CallSummary<'_>> {
        self.calls.table.iter().map(|(key, call)| CallSummary {
            call_id: self.calls.bytes(Some(&call.call_id)),
            created: call.created,
            last_signal: call.last_signal,
            answered: call.answered,
            parties: self.calls.parties_of(key).count(),
            streams: self.calls.endpoints_of(key).count(),
        })
    }

    /// Writes a call for people: its parties, their addresses and counters. `Ok(false)` if there is no such call.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn describe(&self, call_id: &[u8], out: &mut dyn fmt::Write) -> Result<bool, fmt::Error> {
        let Some(key) = self.calls.find(call_id) else { return Ok(false) };
        let Some(call) = self.calls.table.get(key) else { return Ok(false) };
        writeln!(out, "call-id: {}", call_id.escape_ascii())?;
        let (created, signal) = (self.config.unix(call.created).0, self.config.unix(call.last_signal).0);
        writeln!(out, "created: {created}\nlast signal: {signal}\nanswered: {}", call.answered)?;
        for (key, party) in self.calls.parties_of(key) {
            writeln!(out, "tag: {}", self.calls.bytes(party.tag.as_ref()).escape_ascii())?;
            for (at, (_, stream)) in self.calls.streams_of(key).enumerate() {
                self.describe_stream(at, stream, out)?;
            }
        }
        Ok(true)
    }

    fn describe_stream(&self, at: usize, stream: &super::party::Stream, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "  media {}: {}", at + 1, stream.kind.as_str())?;
        let Some(endpoint) = stream.endpoint else { return writeln!(out, ", refused") };
        if let Some(local) = self.media.local(endpoint) {
            write!(out, ", local {}:{}", local.bound, local.rtp_port)?;
        }
        if let Some(remote) = self.media.remote(endpoint).and_then(|remote| remote.rtp) {
            write!(out, ", remote {remote}")?;
        }
        if let Some(stats) = self.media.stats(endpoint) {
            let (received, sent) = (stats.received, stats.sent);
            write!(out, ", received {} packets {} bytes", received.packets, received.bytes)?;
            write!(out, ", sent {} packets {} bytes, dropped {}", sent.packets, sent.bytes, stats.dropped.total())?;
        }
        writeln!(out)
    }

    /// Whether nothing is held but the reserve of ports.
    #[cfg(all(test, feature = "alloc"))]
    pub(crate) fn is_clean(&self) -> bool {
        self.calls.is_clean() && self.media.is_empty() && self.secrets.is_empty()
    }

    /// Room to work in, while the relay itself is borrowed.
    pub(super) fn take_scratch(&mut self) -> Scratch<'m> {
        core::mem::replace(&mut self.scratch, Scratch::taken())
    }

    /// Whether one more call may begin.
    pub(super) fn admits(&self) -> Result<(), RelayError> {
        if self.draining {
            return Err(RelayError::Draining);
        }
        match self.config.sessions_max {
            Some(max) if self.sessions() >= max as usize => Err(RelayError::SessionLimit),
            _ => Ok(()),
        }
    }
}

impl Timed for Relay<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        self.calls.table.next_deadline()
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// A call in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallSummary<'r> {
    /// Its Call-ID.
    pub call_id: &'r [u8],
    /// When it began.
    pub created: Instant,
    /// When its control peer spoke of it last.
    pub last_signal: Instant,
    /// Whether an offer was answered.
    pub answered: bool,
    /// Parties.
    pub parties: usize,
    /// Pairs of sockets.
    pub streams: usize,
}

/// Takes the actions of the packet plane on to `out`, with the names of the call where the plane knows an endpoint only.
pub(super) fn plane<'p, 'm, S>(calls: &'p Calls<'m>, out: &'p mut S) -> Plane<'p, 'm, S> {
    Plane { calls, out }
}

pub(super) struct Plane<'p, 'm, S> {
    calls: &'p Calls<'m>,
    out: &'p mut S,
}

impl<'a, S: for<'b> Sink<Action<'b>>> Sink<media::Action<'a>> for Plane<'_, '_, S> {
    fn emit(&mut self, action: media::Action<'a>) {
        if let Some(action) = Action::of_media(action) {
            self.out.emit(action);
        } else if let media::Action::Dtmf { endpoint, event } = action
            && let Some(party) = self.calls.owner(endpoint)
        {
            let call = self.calls.table.get(party.call);
            let call_id = self.calls.bytes(call.map(|call| &call.call_id));
            let tag = self.calls.bytes(party.tag.as_ref());
            self.out.emit(Action::Notice(Notice::Dtmf { call_id, tag, event }));
        }
    }
}
