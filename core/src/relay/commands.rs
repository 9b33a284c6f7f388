//! Requests about calls that are there: deletion, and what is done with the packets of a party.

use core::time::Duration;

use super::action::Action;
use super::call::Activity;
use super::error::RelayError;
use super::flags::Flags;
use super::layer::{Relay, plane};
use super::notice::EndReason;
use super::party::{Party, Restrictions};
use crate::machine::Cx;
use crate::sink::Sink;
use crate::store::Key;
use crate::time::Instant;

/// What a deletion takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doomed {
    /// The whole call.
    Call(Key),
    /// A party, and the call goes on without it.
    Party(Key, Key),
}

impl Doomed {
    pub(super) const fn call(self) -> Key {
        match self {
            Self::Call(key) | Self::Party(key, _) => key,
        }
    }
}

impl Relay<'_> {
    /// What a request to delete is about.
    ///
    /// A branch that failed is named by its Via branch, and the caller's tag. Else the To tag counts, and then the From
    /// tag. With the last party that somebody talks to the call is over.
    pub(super) fn doomed(&self, flags: &Flags<'_>) -> Result<Doomed, RelayError> {
        let call_id = flags.call_id.ok_or(RelayError::NoCallId)?;
        let call = self.calls.find(call_id).ok_or(RelayError::NothingToDelete)?;
        let Some(from_tag) = flags.from_tag.filter(|tag| !tag.is_empty()) else { return Ok(Doomed::Call(call)) };
        let to_tag = flags.to_tag.filter(|tag| !tag.is_empty());
        let by_branch = || flags.via_branch.and_then(|branch| self.calls.by_branch(call, branch));
        let found = match to_tag {
            None => by_branch().or_else(|| self.calls.by_tag(call, from_tag)),
            // Before an answer the callee's tag is not known here.
            Some(to_tag) => {
                self.calls.by_tag(call, to_tag).or_else(by_branch).or_else(|| self.unanswered(call, from_tag))
            }
        };
        let party = found.ok_or(RelayError::NothingToDelete)?;
        Ok(if self.lasts_without(call, party) { Doomed::Party(call, party) } else { Doomed::Call(call) })
    }

    /// The party of that tag, if the one it talks with has no tag yet.
    fn unanswered(&self, call: Key, tag: &[u8]) -> Option<Key> {
        let key = self.calls.by_tag(call, tag)?;
        let peer = self.calls.party(self.calls.party(key)?.peer?)?;
        peer.tag.is_none().then_some(key)
    }

    /// Whether two parties that talk to each other are left without `party`.
    fn lasts_without(&self, call: Key, party: Key) -> bool {
        let left = |key: &Key| *key != party;
        self.calls.parties_of(call).any(|(key, other)| left(&key) && other.peer.is_some_and(|peer| left(&peer)))
    }

    /// Deletes, now or after the delay.
    pub(super) fn delete<S>(&mut self, cx: &mut Cx<'_>, doomed: Doomed, delay: Option<Duration>, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let at = cx.now + delay.unwrap_or(self.config.timeouts.delete_delay);
        match doomed {
            Doomed::Call(call) => {
                self.calls.change(call, |call| call.delete_at = Some(call.delete_at.map_or(at, |old| old.min(at))));
            }
            Doomed::Party(_, party) => {
                self.calls
                    .party_mut(party, |party| party.delete_at = Some(party.delete_at.map_or(at, |old| old.min(at))));
            }
        }
        self.review(cx, doomed.call(), out);
    }

    /// Ends the call if it is time; else finds out when to look again.
    pub(super) fn review<S>(&mut self, cx: &mut Cx<'_>, key: Key, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let now = cx.now;
        let due = |party: &Party| party.delete_at.is_some_and(|at| at <= now);
        while let Some(party) = self.calls.party_with(key, due) {
            if !self.lasts_without(key, party) {
                return self.end(cx, key, EndReason::Deleted, out);
            }
            self.leave(cx, key, party, out);
        }
        let Some(call) = self.calls.table.get(key) else { return };
        let end = self.config.timeouts.end_of(call, self.activity(key, call.last_signal));
        match end {
            Some((at, reason)) if at <= cx.now => self.end(cx, key, reason, out),
            end => {
                let parties = self.calls.parties_of(key).filter_map(|(_, party)| party.delete_at);
                let next = parties.chain(end.map(|(at, _)| at)).min();
                self.calls.change(key, |call| call.check_at = next);
            }
        }
    }

    /// Takes one party out of a call that goes on; who talked with it turns to another that talks with him.
    fn leave<S>(&mut self, cx: &mut Cx<'_>, call: Key, party: Key, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.remove_party(cx, party, out);
        while let Some(left) = self.calls.party_with(call, |other| other.peer == Some(party)) {
            let other = self.calls.party_with(call, |other| other.peer == Some(left));
            self.calls.party_mut(left, |left| left.peer = other);
            if let Some(other) = other {
                self.connect(left, other);
            }
        }
    }

    /// The latest sign of life on any stream, and whether one is not on hold.
    fn activity(&self, call: Key, signal: Instant) -> Activity {
        let mut activity = Activity { last: signal, active: false };
        for (endpoint, stream) in self.calls.endpoints_of(call) {
            let seen = self.media.stats(endpoint).and_then(|stats| stats.last_seen);
            activity.last = seen.map_or(activity.last, |seen| seen.max(activity.last));
            activity.active |= stream.sends;
        }
        activity
    }

    /// Has the streams of both parties go to each other.
    pub(super) fn connect(&mut self, a: Key, b: Key) {
        let mut at = 0;
        while let (Some(x), Some(y)) = (self.calls.stream_at(a, at), self.calls.stream_at(b, at)) {
            let endpoint = |key| self.calls.stream(key).and_then(|stream| stream.endpoint);
            if let (Some(x), Some(y)) = (endpoint(x), endpoint(y)) {
                self.media.connect(x, Some(y));
                self.media.connect(y, Some(x));
            }
            at += 1;
        }
    }

    /// The call and the party that a request is about; no party where it means all of them.
    pub(super) fn selected(&self, flags: &Flags<'_>) -> Result<(Key, Option<Key>), RelayError> {
        let call = self.calls.find(flags.call_id.ok_or(RelayError::NoCallId)?).ok_or(RelayError::UnknownCall)?;
        let found = match (flags.from_tag, flags.label, flags.address) {
            (Some(tag), ..) => Some(self.calls.by_tag(call, tag)),
            (None, Some(label), _) => Some(self.calls.by_label(call, label)),
            (None, None, Some(address)) => {
                let signalled =
                    |key| self.calls.streams_of(key).any(|(_, s)| s.advertised.is_some_and(|a| a.ip() == address));
                Some(self.calls.parties_of(call).map(|(key, _)| key).find(|key| signalled(*key)))
            }
            (None, None, None) => return Ok((call, None)),
        };
        found.flatten().map(|party| (call, Some(party))).ok_or(RelayError::UnknownTag)
    }

    /// Changes what is done with the packets of a party, or of the whole call. A party is restricted if it or the call is.
    pub(super) fn restrict<S>(
        &mut self,
        flags: &Flags<'_>,
        change: impl FnOnce(&mut Restrictions),
        out: &mut S,
    ) -> Result<(), RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let (call, party) = self.selected(flags)?;
        match party {
            Some(party) => self.calls.party_mut(party, |party| change(&mut party.restrictions)),
            None => {
                self.calls.change(call, |call| change(&mut call.restrictions));
            }
        }
        self.apply_restrictions(call, out);
        Ok(())
    }

    /// Lets the packet plane know what is restricted.
    pub(super) fn apply_restrictions<S>(&mut self, call: Key, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let all = self.calls.table.get(call).map(|call| call.restrictions).unwrap_or_default();
        for (key, party) in self.calls.parties_of(call) {
            let own = party.restrictions.or(all);
            for (_, stream) in self.calls.streams_of(key) {
                let Some(endpoint) = stream.endpoint else { continue };
                self.media.configure(
                    endpoint,
                    |settings| {
                        settings.media_blocked = own.media_blocked;
                        settings.dtmf_blocked = own.dtmf_blocked;
                        settings.silenced = own.silenced;
                    },
                    &mut plane(&self.calls, out),
                );
            }
        }
    }

    /// Remembers whether a call is to be recorded.
    pub(super) fn record(&mut self, flags: &Flags<'_>, recording: bool) -> Result<(), RelayError> {
        let call = self.calls.find(flags.call_id.ok_or(RelayError::NoCallId)?).ok_or(RelayError::UnknownCall)?;
        self.calls.change(call, |call| call.recording = recording);
        if let Some(metadata) = flags.metadata {
            self.calls.set_metadata(call, metadata);
        }
        Ok(())
    }
}
