//! The anchor of a shard: holds what carries SDP, asks the relays, and lets it go on.

use core::net::SocketAddr;

use super::action::{Action, MediaFailure, Out};
use super::ask::Ask;
use super::command::{self, CallNames};
use super::config::{AnchorConfig, OnFailure};
use super::held::{Held, Purpose};
use super::relays::Relays;
use super::session::{Carrier, Role, Session};
use super::stats::AnchorStats;
use crate::dialog::Side;
use crate::flow::Flow;
use crate::store::{BufPool, Bytes, HashKey, Index, Key, Slots, Table, table::Slot};
use crate::time::Instant;
use crate::wire::sip::cseq::CSeq;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::name_addr::NameAddr;
use crate::wire::sip::start_line::StartLine;
use crate::wire::sip::via::Via;

/// Longest branch of a Via of ours, in bytes.
const BRANCH_MAX: usize = 96;
/// Most INVITEs that one event lets out and that cannot be held.
const REFUSED_MAX: usize = 8;

/// Memory for an anchor.
pub struct Memory<'a> {
    /// Calls.
    pub sessions: Slots<'a, Slot<Session>>,
    /// Their index, see [`Index::buckets_for`].
    pub index: Slots<'a, u64>,
    /// Commands under way.
    pub held: Slots<'a, Slot<Held>>,
    /// Messages that are held, commands, and names of calls.
    pub bufs: BufPool<'a>,
    /// Room to write one message, and one command.
    pub scratch: [Bytes<'a>; 2],
}

/// What becomes of a message that was shown to the anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detour {
    /// It goes on as it is.
    Pass,
    /// It comes back by [`Resumed`].
    Held,
}

/// What goes on now. The message lies in [`Anchor::message`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// It is sent.
    Send(Flow),
    /// The node takes it as received.
    Receive(Flow),
    /// An INVITE is not sent: its branch has failed.
    Unsent,
    /// A request that arrived is refused.
    Refuse(Flow),
}

/// The anchor of a shard.
pub struct Anchor<'a> {
    pub(super) config: AnchorConfig,
    pub(super) relays: Relays,
    pub(super) sessions: Table<'a, Session>,
    pub(super) index: Index<'a>,
    pub(super) held: Table<'a, Held>,
    pub(super) bufs: BufPool<'a>,
    pub(super) message: Bytes<'a>,
    pub(super) message_len: usize,
    pub(super) command: Bytes<'a>,
    pub(super) hash: HashKey,
    /// Commands so far, from which their secrets are made.
    pub(super) number: u64,
    pub(super) refused: heapless::Vec<heapless::Vec<u8, BRANCH_MAX>, REFUSED_MAX>,
    pub(super) stats: AnchorStats,
}

/// What is read of a message.
pub(super) struct Read<'b> {
    pub(super) call_id: &'b [u8],
    pub(super) from_tag: &'b [u8],
    pub(super) to_tag: &'b [u8],
    pub(super) cseq: CSeq<'b>,
    pub(super) sdp: Option<&'b [u8]>,
}

impl<'b> Read<'b> {
    pub(super) fn of(msg: &Msg<'b>) -> Option<Self> {
        let tag = |name| NameAddr::parse(msg.value(name)?).ok()?.tag();
        let is_sdp = |value: &[u8]| {
            let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
            value[..end].trim_ascii().eq_ignore_ascii_case(b"application/sdp")
        };
        let carries = !msg.body().is_empty() && msg.value(HeaderName::ContentType).is_some_and(is_sdp);
        Some(Self {
            call_id: msg.value(HeaderName::CallId)?,
            from_tag: tag(HeaderName::From)?,
            to_tag: tag(HeaderName::To).unwrap_or_default(),
            cseq: CSeq::parse(msg.value(HeaderName::CSeq)?).ok()?,
            sdp: carries.then(|| msg.body()),
        })
    }
}

impl<'a> Anchor<'a> {
    /// An anchor without relays, which lets everything pass.
    pub fn new(memory: Memory<'a>, secret: [u8; 16]) -> Self {
        let [message, command] = memory.scratch;
        Self {
            config: AnchorConfig::default(),
            relays: Relays::default(),
            sessions: Table::new(memory.sessions, "calls with media"),
            index: Index::new(memory.index, "calls with media"),
            held: Table::new(memory.held, "media commands"),
            bufs: memory.bufs,
            message,
            message_len: 0,
            command,
            hash: HashKey::new(secret),
            number: 0,
            refused: heapless::Vec::new(),
            stats: AnchorStats::default(),
        }
    }

    /// Takes other settings. Calls stay with their relays as long as these are there.
    pub fn configure(&mut self, config: AnchorConfig) {
        self.relays.configure(&config.relays);
        self.config = config;
    }

    /// Whether nothing is anchored.
    pub fn is_off(&self) -> bool {
        self.relays.is_empty()
    }

    /// The relays: address, and whether it lives.
    pub fn relays(&self) -> impl Iterator<Item = (SocketAddr, bool)> {
        self.config.relays.iter().zip(0..).map(|(node, i)| (node.address, self.relays.is_alive(i)))
    }

    /// Whether that is the address of a relay.
    pub fn is_relay(&self, address: SocketAddr) -> bool {
        self.relays.find(address).is_some()
    }

    /// What was done so far.
    pub const fn stats(&self) -> &AnchorStats {
        &self.stats
    }

    /// Calls with media, and commands under way.
    pub fn len(&self) -> (usize, usize) {
        (self.sessions.len(), self.held.len())
    }

    /// Whether there is neither.
    pub fn is_empty(&self) -> bool {
        self.len() == (0, 0)
    }

    /// The message that goes on, see [`Resumed`].
    pub fn message(&mut self) -> &[u8] {
        let len = self.message_len;
        self.message.as_mut_slice().get(..len).unwrap_or_default()
    }

    /// The branches of INVITEs that could not be held since this was asked last.
    pub fn take_refused(&mut self) -> impl Iterator<Item = heapless::Vec<u8, BRANCH_MAX>> + use<> {
        core::mem::take(&mut self.refused).into_iter()
    }

    /// When [`Anchor::expire`] is to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.held.next_deadline(), self.sessions.next_deadline(), self.relays.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_inside(&self, peer: SocketAddr) -> bool {
        self.config.inside_networks.iter().any(|network| network.contains(peer.ip()))
    }

    /// A message has arrived.
    pub fn inbound(&mut self, now: Instant, flow: &Flow, bytes: &[u8], out: Out<'_>) -> Detour {
        let parsed = Msg::parse(bytes);
        let Ok(msg) = &parsed else { return Detour::Pass };
        let Some(read) = Read::of(msg) else { return Detour::Pass };
        let response = matches!(msg.start(), StartLine::Response { .. });
        let found = self.find(&read);
        match (response, read.cseq.method, read.to_tag.is_empty()) {
            (false, Method::Invite, true) => {
                if found.is_none() {
                    self.open(now, &read, flow);
                }
                Detour::Pass
            }
            (false, Method::Bye, false) => {
                if let Some((key, _)) = found {
                    self.end(now, key, out);
                }
                Detour::Pass
            }
            (true, Method::Invite, _) if (200..300).contains(&msg.status().unwrap_or_default()) => {
                let answered = found.and_then(|(key, _)| self.sessions.run(key, |s| s.answered = true));
                if answered.is_some() { self.detour(now, flow, msg, &read, found, out) } else { Detour::Pass }
            }
            (true, ..) if found.is_none() => Detour::Pass,
            (true, ..) if msg.status().is_some_and(|status| status >= 300) => Detour::Pass,
            _ => self.detour(now, flow, msg, &read, found, out),
        }
    }

    /// Holds a message that has arrived and carries SDP.
    fn detour(
        &mut self,
        now: Instant,
        flow: &Flow,
        msg: &Msg<'_>,
        read: &Read<'_>,
        found: Option<(Key, Side)>,
        out: Out<'_>,
    ) -> Detour {
        let Some(sdp) = read.sdp else { return Detour::Pass };
        let response = msg.status().is_some();
        // A node that was restarted has forgotten the call; the relay has not.
        let Some((key, requester)) = found.or_else(|| self.open(now, read, flow).map(|key| (key, Side::Caller))) else {
            return Detour::Pass;
        };
        let carrier = match read.cseq.method {
            _ if response => Carrier::Response,
            Method::Ack | Method::Prack => Carrier::Acknowledgement,
            _ => Carrier::Request,
        };
        let ran = self.sessions.run(key, |s| {
            let initial = s.initial_cseq == Some(read.cseq.number) && requester == Side::Caller;
            (s.note(carrier, requester, read.cseq.number), s.inside, initial)
        });
        let Some((role, inside, initial)) = ran.map(|ran| ran.value) else { return Detour::Pass };
        let other = if requester == Side::Caller { Side::Callee } else { Side::Caller };
        let (sender, receiver) = if response { (other, requester) } else { (requester, other) };
        let branch = msg.value(HeaderName::Via).and_then(|v| Via::parse(v).ok()?.branch).unwrap_or_default();
        // From names who sent the request; who made the offer may be the other one.
        let by_requester = (role == Role::Offer) != response;
        let (offerer, answerer) =
            if by_requester { (read.from_tag, read.to_tag) } else { (read.to_tag, read.from_tag) };
        let names = CallNames {
            call_id: read.call_id,
            offerer,
            answerer,
            via_branch: if initial && response && by_requester { branch } else { b"" },
        };
        let sides = [inside[sender as usize], inside[receiver as usize]];
        let what = Ask { role, sdp, source: flow.peer, sides, first: false };
        let can_refuse = !response && matches!(read.cseq.method, Method::Invite | Method::Update);
        let purpose = |message| Purpose::Inbound { message, flow: *flow, can_refuse };
        match self.ask(now, key, &names, &what, msg.bytes(), purpose, out) {
            Ok(()) => Detour::Held,
            Err(_) => Detour::Pass,
        }
    }

    /// A message leaves. INVITEs that set up a call and carry SDP are held; [`Anchor::take_refused`] tells of those that
    /// cannot be.
    pub fn outbound(&mut self, now: Instant, flow: &Flow, bytes: &[u8], out: Out<'_>) -> Detour {
        if bytes.starts_with(b"SIP/2.0 ") {
            self.note_response(now, bytes, out);
            return Detour::Pass;
        }
        if !bytes.starts_with(b"INVITE ") {
            return Detour::Pass;
        }
        let parsed = Msg::parse(bytes);
        let Ok(msg) = &parsed else { return Detour::Pass };
        let Some(read) = Read::of(msg).filter(|read| read.to_tag.is_empty()) else { return Detour::Pass };
        let Some((key, _)) = self.find(&read) else { return self.unheld(msg, &read, MediaFailure::Full, out) };
        if self.is_waiting(key, bytes) {
            return Detour::Held;
        }
        let inside = self.is_inside(flow.peer);
        let ran = self.sessions.run(key, |s| {
            s.inside[Side::Callee as usize] = inside;
            let first = s.initial_cseq.replace(read.cseq.number).is_none();
            read.sdp.is_some().then(|| s.note(Carrier::Request, Side::Caller, read.cseq.number));
            (s.inside[Side::Caller as usize], first)
        });
        let (Some(sdp), Some((from_inside, first))) = (read.sdp, ran.map(|ran| ran.value)) else { return Detour::Pass };
        let via = msg.value(HeaderName::Via).and_then(|v| Via::parse(v).ok());
        let via_branch = via.as_ref().and_then(|via| via.branch).unwrap_or_default();
        let names = CallNames { call_id: read.call_id, offerer: read.from_tag, answerer: b"", via_branch };
        let source = self.sessions.get(key).map_or(flow.peer, |s| s.source);
        let what = Ask { role: Role::Offer, sdp, source, sides: [from_inside, inside], first };
        let purpose = |message| Purpose::Outbound { message, flow: *flow };
        match self.ask(now, key, &names, &what, bytes, purpose, out) {
            Ok(()) => Detour::Held,
            Err(why) => self.unheld(msg, &read, why, out),
        }
    }

    /// Whether this very INVITE waits already: it is sent again while the relay takes its time.
    fn is_waiting(&self, session: Key, bytes: &[u8]) -> bool {
        let same = |held: &Held| match &held.purpose {
            Purpose::Outbound { message, .. } => self.bufs.bytes(message) == bytes,
            _ => false,
        };
        let may = self.sessions.get(session).is_some_and(|s| s.waiting > 0);
        may && self.held.iter().any(|(_, held)| held.session == Some(session) && same(held))
    }

    /// An INVITE whose media nobody takes.
    fn unheld(&mut self, msg: &Msg<'_>, read: &Read<'_>, why: MediaFailure, out: Out<'_>) -> Detour {
        if read.sdp.is_none() {
            return Detour::Pass;
        }
        out(Action::Failed { call_id: read.call_id, why });
        if self.config.on_failure == OnFailure::Pass {
            return Detour::Pass;
        }
        let branch = msg.value(HeaderName::Via).and_then(|v| Via::parse(v).ok()?.branch).unwrap_or_default();
        if let Ok(branch) = heapless::Vec::from_slice(branch) {
            // One for each branch of a request at most.
            let _ = self.refused.push(branch);
        }
        Detour::Held
    }

    /// A response leaves: a call that failed has no media.
    fn note_response(&mut self, now: Instant, bytes: &[u8], out: Out<'_>) {
        if !matches!(bytes.get(8), Some(b'3'..=b'6')) {
            return;
        }
        let parsed = Msg::parse(bytes);
        let Ok(msg) = &parsed else { return };
        let Some(read) = Read::of(msg).filter(|read| read.cseq.method == Method::Invite) else { return };
        let early =
            |(key, side): &(Key, Side)| *side == Side::Caller && self.sessions.get(*key).is_some_and(|s| !s.answered);
        if let Some((key, _)) = self.find(&read).filter(early) {
            self.end(now, key, out);
        }
    }

    fn find(&self, read: &Read<'_>) -> Option<(Key, Side)> {
        let lookup = |tag: &[u8]| {
            let hash = self.hash.hash(&[read.call_id, tag]);
            let slot = self.index.find(hash, |slot| self.sessions.at(slot).is_some_and(|(_, s)| s.hash == hash))?;
            self.sessions.at(slot).map(|(key, _)| key)
        };
        lookup(read.from_tag)
            .map(|key| (key, Side::Caller))
            .or_else(|| lookup(read.to_tag).filter(|_| !read.to_tag.is_empty()).map(|key| (key, Side::Callee)))
    }

    /// Begins the session of a call. Without room its messages pass, and an INVITE is treated as one without a relay.
    fn open(&mut self, now: Instant, read: &Read<'_>, flow: &Flow) -> Option<Key> {
        let hash = self.hash.hash(&[read.call_id, read.from_tag]);
        let names = self
            .bufs
            .alloc_with(read.call_id.len() + read.from_tag.len(), |out| {
                let (call_id, tag) = out.split_at_mut(read.call_id.len());
                call_id.copy_from_slice(read.call_id);
                tag.copy_from_slice(read.from_tag);
            })
            .ok();
        if self.sessions.is_full() || names.is_none() {
            self.stats.media_full += 1;
            names.into_iter().for_each(|names| self.bufs.free(names));
            return None;
        }
        let inside = self.is_inside(flow.peer);
        let session = Session {
            names,
            call_id_len: u16::try_from(read.call_id.len()).unwrap_or(u16::MAX),
            inside: [inside, !inside],
            ..Session::new(hash, flow.peer, now + self.config.lifetime)
        };
        let key = self.sessions.insert(session).ok()?;
        // There are as many places as sessions.
        self.index.insert(hash, key.slot()).ok()?;
        Some(key)
    }

    /// Ends the media of a call.
    pub(super) fn end(&mut self, now: Instant, key: Key, out: Out<'_>) {
        let Some(session) = self.sessions.remove(key) else { return };
        self.index.remove(session.hash, key.slot());
        let Some(names) = session.names else { return };
        if let Some(relay) = session.relay.filter(|relay| self.relays.is_alive(*relay)) {
            self.stats.media_deletes += 1;
            // Without room for it the relay finds by itself that the call is over.
            let _ = self.issue(now, relay, None, Purpose::Delete, out, |lent, room, cookie| {
                let (call_id, tag) = lent.bufs.bytes(&names).split_at_checked(usize::from(session.call_id_len))?;
                command::delete(room, cookie, call_id, tag).ok().map(<[u8]>::len)
            });
        }
        self.bufs.free(names);
    }
}
