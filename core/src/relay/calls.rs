//! Where calls, parties and streams are kept, and how they are found.

use super::call::Call;
use super::error::RelayError;
use super::media::EndpointId;
use super::party::{MediaKind, Party, Stream};
use crate::error::Full;
use crate::limits::{BRANCH_MAX, CALL_ID_MAX, TAG_MAX};
use crate::store::{Buf, BufPool, HashKey, Index, Key, Slab, Slots, Table, index::Bucket, slab, table};
use crate::time::Instant;

/// Longest text kept with a call, but for the metadata, in bytes.
const TEXT_MAX: usize = 255;
const _: () = assert!(CALL_ID_MAX <= TEXT_MAX && TAG_MAX <= TEXT_MAX && BRANCH_MAX <= TEXT_MAX);
/// Longest metadata kept, in bytes.
pub const METADATA_MAX: usize = 1_024;

/// Where calls are kept.
pub struct Memory<'m> {
    /// Calls.
    pub calls: Slots<'m, table::Slot<Call>>,
    /// Their index, see [`Index::buckets_for`].
    pub index: Slots<'m, Bucket>,
    /// Parties.
    pub parties: Slots<'m, slab::Slot<Party>>,
    /// Streams.
    pub streams: Slots<'m, slab::Slot<Stream>>,
    /// One for each endpoint of the packet plane: the stream it belongs to.
    pub owners: Slots<'m, Option<Key>>,
    /// Call-IDs, tags, branches, labels, metadata.
    pub texts: BufPool<'m>,
}

/// The calls of a relay.
pub(super) struct Calls<'m> {
    pub(super) table: Table<'m, Call>,
    index: Index<'m>,
    pub(super) parties: Slab<'m, Party>,
    pub(super) streams: Slab<'m, Stream>,
    owners: Slots<'m, Option<Key>>,
    texts: BufPool<'m>,
    hash: HashKey,
}

impl<'m> Calls<'m> {
    pub(super) fn new(memory: Memory<'m>, hash: HashKey) -> Self {
        let mut owners = memory.owners;
        let capacity = owners.capacity();
        owners.fill(capacity);
        Self {
            table: Table::new(memory.calls, "calls"),
            index: Index::new(memory.index, "calls"),
            parties: Slab::new(memory.parties, "parties"),
            streams: Slab::new(memory.streams, "streams"),
            owners,
            texts: memory.texts,
            hash,
        }
    }

    /// The call of that Call-ID.
    pub(super) fn find(&self, call_id: &[u8]) -> Option<Key> {
        let hash = self.hash.hash(&[call_id]);
        let is_it = |slot| self.table.at(slot).is_some_and(|(_, call)| self.texts.bytes(&call.call_id) == call_id);
        let slot = self.index.find(hash, is_it)?;
        self.table.at(slot).map(|(key, _)| key)
    }

    /// A new call.
    pub(super) fn create(&mut self, call_id: &[u8], now: Instant) -> Result<Key, RelayError> {
        if self.table.is_full() {
            return Err(RelayError::Full);
        }
        let hash = self.hash.hash(&[call_id]);
        let text = self.text(call_id)?;
        let key = self.table.insert_with(|_| Call::new(hash, text, now)).map_err(full)?;
        if self.index.insert(hash, key.slot()).is_err() {
            self.remove(key);
            return Err(RelayError::Full);
        }
        Ok(key)
    }

    /// Takes a call out that has no parties any more.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(call) = self.table.remove(key) {
            self.index.remove(call.hash, key.slot());
            self.texts.free(call.call_id);
            if let Some(metadata) = call.metadata {
                self.texts.free(metadata);
            }
        }
    }

    /// A number that only this relay can make of `parts`.
    pub(super) fn keyed(&self, parts: &[&[u8]]) -> u64 {
        self.hash.hash(parts)
    }

    /// A copy of `text` in the pool.
    pub(super) fn text(&mut self, text: &[u8]) -> Result<Buf, RelayError> {
        if text.len() > TEXT_MAX {
            return Err(RelayError::TooLong);
        }
        self.texts.alloc_copy(text).map_err(full)
    }

    /// The bytes of a text.
    pub(super) fn bytes(&self, text: Option<&Buf>) -> &[u8] {
        text.map_or(&[], |text| self.texts.bytes(text))
    }

    /// Notes what the control peer says of the call. Longer ones are cut.
    pub(super) fn set_metadata(&mut self, key: Key, metadata: &[u8]) {
        let metadata = metadata.get(..METADATA_MAX).unwrap_or(metadata);
        let Ok(new) = self.texts.alloc_copy(metadata) else { return };
        let new = Some(new);
        let old = self.change(key, |call| core::mem::replace(&mut call.metadata, new)).flatten();
        old.into_iter().for_each(|old| self.texts.free(old));
    }

    /// Changes a call; its timer follows.
    pub(super) fn change<R>(&mut self, key: Key, change: impl FnOnce(&mut Call) -> R) -> Option<R> {
        self.table.run(key, change).map(|ran| ran.value)
    }

    /// A new party of a call, the last in its list.
    pub(super) fn add_party(&mut self, call: Key, interface: u8, now: Instant) -> Result<Key, RelayError> {
        let key = self.parties.insert_with(|_| Party::new(call, interface, now)).map_err(full)?;
        match self.parties_of(call).last() {
            Some((last, _)) => self.party_mut(last, |party| party.next = Some(key)),
            None => {
                self.change(call, |call| call.parties = Some(key));
            }
        }
        Ok(key)
    }

    /// Takes a party out of its call. Its streams have to be gone.
    pub(super) fn remove_party(&mut self, key: Key) {
        let Some(party) = self.parties.remove(key) else { return };
        let before = self.parties_of(party.call).find(|(_, other)| other.next == Some(key)).map(|(before, _)| before);
        match before {
            Some(before) => self.party_mut(before, |other| other.next = party.next),
            None => {
                self.change(party.call, |call| call.parties = party.next);
            }
        }
        for text in [party.tag, party.via_branch, party.label, party.username, party.session_name].into_iter().flatten()
        {
            self.texts.free(text);
        }
    }

    /// The parties of a call, in the order in which they came.
    pub(super) fn parties_of(&self, call: Key) -> impl Iterator<Item = (Key, &Party)> {
        let first = self.table.get(call).and_then(|call| call.parties);
        let step = |key: Option<Key>| key.and_then(|key| Some((key, self.parties.get(key)?)));
        core::iter::successors(step(first), move |(_, party)| step(party.next))
    }

    /// The party of a call that came first, of those that are left.
    pub(super) fn first_party(&self, call: Key) -> Option<Key> {
        self.table.get(call)?.parties
    }

    pub(super) fn party(&self, key: Key) -> Option<&Party> {
        self.parties.get(key)
    }

    pub(super) fn party_mut(&mut self, key: Key, change: impl FnOnce(&mut Party)) {
        if let Some(party) = self.parties.get_mut(key) {
            change(party);
        }
    }

    /// The party of that tag.
    pub(super) fn by_tag(&self, call: Key, tag: &[u8]) -> Option<Key> {
        self.party_with(call, |party| party.tag.as_ref().is_some_and(|own| self.texts.bytes(own) == tag))
    }

    /// The party of that branch.
    pub(super) fn by_branch(&self, call: Key, branch: &[u8]) -> Option<Key> {
        self.party_with(call, |party| party.via_branch.as_ref().is_some_and(|own| self.texts.bytes(own) == branch))
    }

    /// The party of that label.
    pub(super) fn by_label(&self, call: Key, label: &[u8]) -> Option<Key> {
        self.party_with(call, |party| party.label.as_ref().is_some_and(|own| self.texts.bytes(own) == label))
    }

    /// The first party of which `is_it` holds.
    pub(super) fn party_with(&self, call: Key, is_it: impl Fn(&Party) -> bool) -> Option<Key> {
        self.parties_of(call).find(|(_, party)| is_it(party)).map(|(key, _)| key)
    }

    /// Gives the party a tag, branch or label: whichever `of` chooses.
    pub(super) fn name(
        &mut self,
        key: Key,
        text: &[u8],
        of: impl FnOnce(&mut Party) -> &mut Option<Buf>,
    ) -> Result<(), RelayError> {
        let new = self.text(text)?;
        let Some(party) = self.parties.get_mut(key) else {
            self.texts.free(new);
            return Ok(());
        };
        if let Some(old) = of(party).replace(new) {
            self.texts.free(old);
        }
        Ok(())
    }

    /// The streams of a party, in the order of its m-lines.
    pub(super) fn streams_of(&self, party: Key) -> impl Iterator<Item = (Key, &Stream)> {
        let first = self.parties.get(party).and_then(|party| party.streams);
        let step = |key: Option<Key>| key.and_then(|key| Some((key, self.streams.get(key)?)));
        core::iter::successors(step(first), move |(_, stream)| step(stream.next))
    }

    /// The stream of a party for its `index`-th m-line, counted from zero.
    pub(super) fn stream_at(&self, party: Key, index: usize) -> Option<Key> {
        self.streams_of(party).nth(index).map(|(key, _)| key)
    }

    pub(super) fn stream(&self, key: Key) -> Option<&Stream> {
        self.streams.get(key)
    }

    pub(super) fn stream_mut(&mut self, key: Key, change: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.streams.get_mut(key) {
            change(stream);
        }
    }

    /// A new stream of a party, its last.
    pub(super) fn add_stream(&mut self, party: Key, kind: MediaKind) -> Result<Key, RelayError> {
        let key = self.streams.insert_with(|_| Stream::new(party, kind)).map_err(full)?;
        match self.streams_of(party).last() {
            Some((last, _)) => self.stream_mut(last, |stream| stream.next = Some(key)),
            None => self.party_mut(party, |party| party.streams = Some(key)),
        }
        Ok(key)
    }

    /// Takes the first stream of a party out.
    pub(super) fn remove_first_stream(&mut self, party: Key) -> Option<Stream> {
        let key = self.parties.get(party)?.streams?;
        let stream = self.streams.remove(key)?;
        self.party_mut(party, |party| party.streams = stream.next);
        Some(stream)
    }

    /// Notes the endpoint of a stream; gives the one before.
    pub(super) fn set_endpoint(&mut self, stream: Key, endpoint: Option<EndpointId>) -> Option<EndpointId> {
        let old = self.streams.get_mut(stream).and_then(|own| core::mem::replace(&mut own.endpoint, endpoint));
        self.disown(old);
        if let Some(owner) = endpoint.and_then(|id| self.owners.used_mut().get_mut(id.key().slot() as usize)) {
            *owner = Some(stream);
        }
        old
    }

    /// The endpoint belongs to no stream any more.
    pub(super) fn disown(&mut self, endpoint: Option<EndpointId>) {
        if let Some(owner) = endpoint.and_then(|id| self.owners.used_mut().get_mut(id.key().slot() as usize)) {
            *owner = None;
        }
    }

    /// The party that an endpoint faces.
    pub(super) fn owner(&self, endpoint: EndpointId) -> Option<&Party> {
        let stream = (*self.owners.used().get(endpoint.key().slot() as usize)?)?;
        self.parties.get(self.streams.get(stream)?.party)
    }

    /// The endpoints of a call, with their streams.
    pub(super) fn endpoints_of(&self, call: Key) -> impl Iterator<Item = (EndpointId, &Stream)> {
        let streams = self.parties_of(call).flat_map(|(key, _)| self.streams_of(key));
        streams.filter_map(|(_, stream)| Some((stream.endpoint?, stream)))
    }

    /// Whether nothing is held.
    #[cfg(all(test, feature = "alloc"))]
    pub(super) fn is_clean(&self) -> bool {
        self.table.is_empty()
            && self.index.is_empty()
            && self.parties.is_empty()
            && self.streams.is_empty()
            && self.texts.used() == 0
            && self.owners.used().iter().all(Option::is_none)
    }
}

pub(super) fn full(_: Full) -> RelayError {
    RelayError::Full
}
