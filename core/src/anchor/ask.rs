//! Asking the relays: commands go out, are repeated, answered or given up, and what waited for them goes on.

use core::net::SocketAddr;

use super::action::{Action, MediaFailure, Out};
use super::command::{self, CallNames, Description};
use super::config::{AnchorConfig, OnFailure};
use super::held::{Held, Purpose, read_cookie, write_cookie};
use super::layer::{Anchor, Read, Resumed};
use super::session::Role;
use super::stats::AnchorStats;
use crate::store::{Buf, BufPool, Key};
use crate::time::Instant;
use crate::wire::ng;
use crate::wire::sip::edit::Draft;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::Writer;

/// A session description that a relay is asked about.
pub(super) struct Ask<'q> {
    pub(super) role: Role,
    pub(super) sdp: &'q [u8],
    pub(super) source: SocketAddr,
    /// Whether it comes from inside, and whether it goes inside.
    pub(super) sides: [bool; 2],
    /// Whether the relay hears of the call for the first time.
    pub(super) first: bool,
}

/// What a command is written from.
pub(super) struct Lent<'l, 'a> {
    pub(super) config: &'l AnchorConfig,
    pub(super) bufs: &'l BufPool<'a>,
}

impl<'a> Anchor<'a> {
    /// Holds a message and asks a relay what its session description shall be.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        key: Key,
        names: &CallNames<'_>,
        what: &Ask<'_>,
        message: &[u8],
        purpose: impl FnOnce(Buf) -> Purpose,
        out: Out<'_>,
    ) -> Result<(), MediaFailure> {
        let sticky = self.sessions.get(key).and_then(|s| s.relay).filter(|relay| self.relays.is_alive(*relay));
        let chosen = sticky.or_else(|| self.relays.choose(&self.hash, names.call_id));
        let relay = chosen.ok_or(MediaFailure::NoRelay)?;
        let first = what.first || sticky.is_none();
        let _ = self.sessions.run(key, |s| s.relay = Some(relay)).map(|ran| ran.value);
        let full = |stats: &mut AnchorStats| {
            stats.media_full += 1;
            MediaFailure::Full
        };
        let held = self.bufs.alloc_copy(message).map_err(|_| full(&mut self.stats))?;
        let issued = self.issue(now, relay, Some(key), purpose(held), out, |lent, room, cookie| {
            let side = |inside| if inside { &lent.config.inside } else { &lent.config.outside };
            let sides = what.sides.map(side);
            let source = Some(what.source.ip());
            let described = Description { role: what.role, sdp: what.sdp, source, sides, first };
            command::describe(room, cookie, names, &described).ok().map(<[u8]>::len)
        });
        issued.map_err(|purpose| {
            self.release(purpose);
            full(&mut self.stats)
        })?;
        match what.role {
            Role::Offer => self.stats.media_offers += 1,
            Role::Answer => self.stats.media_answers += 1,
        }
        Ok(())
    }

    /// Sends a command and remembers what it is for. Gives the purpose back if there is no room.
    pub(super) fn issue(
        &mut self,
        now: Instant,
        relay: u8,
        session: Option<Key>,
        purpose: Purpose,
        out: Out<'_>,
        write: impl FnOnce(&Lent<'_, 'a>, &mut [u8], &[u8]) -> Option<usize>,
    ) -> Result<(), Purpose> {
        if self.held.is_full() {
            return Err(purpose);
        }
        let Some(to) = self.relays.node(relay).map(|node| node.address) else { return Err(purpose) };
        self.number += 1;
        let secret = self.hash.hash(&[b"cookie", &self.number.to_le_bytes()]);
        let next_at = now + self.config.timeout;
        let held = Held { secret, relay, session, command: None, tries: 1, next_at, purpose, done: false };
        // There is room: it was asked for.
        let Ok(key) = self.held.insert(held) else { return Ok(()) };
        let room = self.command.as_mut_slice();
        let lent = Lent { config: &self.config, bufs: &self.bufs };
        let written = write(&lent, room, &write_cookie(key, secret));
        let kept = written.and_then(|len| self.bufs.alloc_copy(&room[..len]).ok().map(|kept| (len, kept)));
        let Some((len, kept)) = kept else {
            return self.held.remove(key).map_or(Ok(()), |held| Err(held.purpose));
        };
        let _ = self.held.run(key, |held| held.command = Some(kept)).map(|ran| ran.value);
        self.count_waiting(key, |n| n.saturating_add(1));
        out(Action::Command { relay: to, bytes: &self.command.as_mut_slice()[..len] });
        Ok(())
    }

    /// Keeps the number of INVITEs that wait for a relay, if that command is for one.
    fn count_waiting(&mut self, key: Key, count: impl FnOnce(u8) -> u8) {
        let Some(held) = self.held.get(key) else { return };
        if let (Some(session), Purpose::Outbound { .. }) = (held.session, &held.purpose) {
            let _ = self.sessions.run(session, |s| s.waiting = count(s.waiting)).map(|ran| ran.value);
        }
    }

    fn release(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Outbound { message, .. } | Purpose::Inbound { message, .. } => self.bufs.free(message),
            Purpose::Delete | Purpose::Ping => {}
        }
    }

    /// A relay has answered.
    pub fn reply(&mut self, from: SocketAddr, bytes: &[u8], out: Out<'_>) -> Option<Resumed> {
        let answered = (|| {
            let message = ng::split(bytes).ok()?;
            let (key, secret) = read_cookie(message.cookie)?;
            let held = self.held.get(key).filter(|held| held.secret == secret)?;
            (self.relays.node(held.relay)?.address == from).then_some((key, message.body))
        })();
        let Some((key, body)) = answered else {
            self.stats.media_stray_replies += 1;
            return None;
        };
        let held = self.take(key)?;
        if self.relays.lives(held.relay) {
            out(Action::RelayChanged { relay: from, alive: true });
        }
        let reply = ng::decode(body, &mut []).ok();
        let sdp = reply.filter(|reply| reply.str("result") == Some(b"ok")).and_then(|reply| reply.str("sdp"));
        match held.purpose {
            Purpose::Delete | Purpose::Ping => None,
            purpose => match sdp {
                Some(sdp) => self.resume_with(purpose, sdp, out),
                None => {
                    self.stats.media_refused += 1;
                    self.resume_without(purpose, MediaFailure::Refused, out)
                }
            },
        }
    }

    /// Takes a command that nothing is waited for any more.
    fn take(&mut self, key: Key) -> Option<Held> {
        self.count_waiting(key, |n| n.saturating_sub(1));
        let mut held = self.held.remove(key)?;
        held.command.take().into_iter().for_each(|command| self.bufs.free(command));
        Some(held)
    }

    /// Writes a held message with another session description.
    fn resume_with(&mut self, purpose: Purpose, sdp: &[u8], out: Out<'_>) -> Option<Resumed> {
        let (message, resumed) = match &purpose {
            Purpose::Outbound { message, flow } => (message, Resumed::Send(*flow)),
            Purpose::Inbound { message, flow, .. } => (message, Resumed::Receive(*flow)),
            Purpose::Delete | Purpose::Ping => return None,
        };
        let written = (|| {
            let msg = &Msg::parse(self.bufs.bytes(message)).ok()?;
            let mut draft = Draft::new(msg);
            draft.set_body(sdp).ok()?;
            let mut writer = Writer::new(self.message.as_mut_slice());
            draft.serialise(&[], &mut writer);
            writer.finish().map(<[u8]>::len)
        })();
        match written {
            Some(len) => {
                self.message_len = len;
                self.release(purpose);
                Some(resumed)
            }
            None => self.resume_without(purpose, MediaFailure::TooLong, out),
        }
    }

    /// Lets a held message go on as it came, or ends it, as is set.
    fn resume_without(&mut self, purpose: Purpose, why: MediaFailure, out: Out<'_>) -> Option<Resumed> {
        let (message, resumed) = match &purpose {
            Purpose::Outbound { message, flow } if self.config.on_failure == OnFailure::Pass => {
                (message, Resumed::Send(*flow))
            }
            Purpose::Outbound { message, .. } => (message, Resumed::Unsent),
            Purpose::Inbound { message, flow, can_refuse: true } if self.config.on_failure == OnFailure::Reject => {
                (message, Resumed::Refuse(*flow))
            }
            Purpose::Inbound { message, flow, .. } => (message, Resumed::Receive(*flow)),
            Purpose::Delete | Purpose::Ping => return None,
        };
        let bytes = self.bufs.bytes(message);
        let len = bytes.len();
        if let Some(room) = self.message.as_mut_slice().get_mut(..len) {
            room.copy_from_slice(bytes);
            self.message_len = len;
        }
        if let Some(read) = Msg::parse(bytes).ok().as_ref().and_then(Read::of) {
            out(Action::Failed { call_id: read.call_id, why });
        }
        self.release(purpose);
        Some(resumed)
    }

    /// A relay cannot be reached: what waits for it goes on by another one or not at all. Ask again while it gives
    /// something.
    pub fn unreachable(&mut self, now: Instant, relay: SocketAddr, out: Out<'_>) -> Option<Resumed> {
        let number = self.relays.find(relay)?;
        self.mark_dead(now, number, out);
        loop {
            let (key, _) = self.held.iter().find(|(_, held)| held.relay == number)?;
            if let Some(resumed) = self.give_up(now, key, out) {
                return Some(resumed);
            }
        }
    }

    fn mark_dead(&mut self, now: Instant, relay: u8, out: Out<'_>) {
        let Some(address) = self.relays.node(relay).map(|node| node.address) else { return };
        if self.relays.died(relay, now, self.config.retry_after) {
            out(Action::RelayChanged { relay: address, alive: false });
        }
    }

    /// The relay of a command is dead: another one is asked if there is one, and the call stays there.
    fn give_up(&mut self, now: Instant, key: Key, out: Out<'_>) -> Option<Resumed> {
        let held = self.held.get(key)?;
        let session = held.session;
        let movable = matches!(held.purpose, Purpose::Outbound { .. } | Purpose::Inbound { can_refuse: true, .. });
        let names = session.and_then(|key| self.sessions.get(key)).and_then(|s| {
            let names = self.bufs.bytes(s.names.as_ref()?);
            names.get(..usize::from(s.call_id_len))
        });
        let next = names.filter(|_| movable).and_then(|call_id| self.relays.choose(&self.hash, call_id));
        let command = held.command.as_ref();
        if let (Some(relay), Some(session), Some(command)) = (next, session, command)
            && let Some(node) = self.relays.node(relay)
        {
            out(Action::Command { relay: node.address, bytes: self.bufs.bytes(command) });
            let next_at = now + self.config.timeout;
            let _ = self.sessions.run(session, |s| s.relay = Some(relay)).map(|ran| ran.value);
            let _ = self
                .held
                .run(key, |held| (held.relay, held.tries, held.next_at) = (relay, 1, next_at))
                .map(|ran| ran.value);
            return None;
        }
        let held = self.take(key)?;
        self.stats.media_timeouts += 1;
        self.resume_without(held.purpose, MediaFailure::NoRelay, out)
    }

    /// Delivers one deadline.
    pub fn expire(&mut self, now: Instant, out: Out<'_>) -> Option<Resumed> {
        if let Some(relay) = self.relays.expire(now, self.config.retry_after) {
            let _ = self.issue(now, relay, None, Purpose::Ping, out, |_, room, cookie| {
                command::ping(room, cookie).ok().map(<[u8]>::len)
            });
        }
        if let Some(key) = self.sessions.expire(now) {
            self.end(now, key, out);
        }
        let key = self.held.expire(now)?;
        let (tries, timeout) = (self.config.tries, self.config.timeout);
        let again = self.held.run(key, |held| {
            held.next_at = now + timeout;
            let again = held.tries < tries && !matches!(held.purpose, Purpose::Ping);
            held.tries = held.tries.saturating_add(1);
            (again, held.relay)
        });
        let (again, relay) = again?.value;
        if again && self.relays.is_alive(relay) {
            let held = self.held.get(key)?;
            if let (Some(command), Some(node)) = (&held.command, self.relays.node(relay)) {
                out(Action::Command { relay: node.address, bytes: self.bufs.bytes(command) });
            }
            return None;
        }
        self.mark_dead(now, relay, out);
        self.give_up(now, key, out)
    }
}
