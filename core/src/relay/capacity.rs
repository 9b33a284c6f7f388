//! How much a relay may hold, where its memory is taken from the heap at the start.

use super::calls;
use super::config::Config;
use super::layer::{Scratch, Storage};
use super::media;
use super::repeats;
use crate::store::buf::ClassError;
use crate::store::{BufPool, Index, Slots};
use crate::wire::ng;

/// Lengths of blocks for texts: most Call-IDs and tags; all of them; metadata.
const TEXTS: [usize; 3] = [64, 256, calls::METADATA_MAX];
/// Lengths of blocks for replies: those without a body; most; all that fit.
const REPLIES: [usize; 3] = [256, 2_048, 16_384];

/// How much a relay may hold. Memory that is never used is never touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Capacity {
    /// Calls.
    pub sessions: usize,
    /// Parties; two a call and one more for each branch that is open.
    pub parties: usize,
    /// Streams, each with a pair of sockets: one for each m-line of each party.
    pub streams: usize,
    /// Streams with SRTP keys.
    pub secure_streams: usize,
    /// Replies kept for control messages that come again.
    pub repeats: usize,
}

impl Capacity {
    /// What so many calls need, if a few of them are forked and half of them have a second stream.
    pub const fn of_sessions(sessions: usize) -> Self {
        Self {
            sessions,
            parties: sessions.saturating_mul(3),
            streams: sessions.saturating_mul(3),
            secure_streams: sessions,
            repeats: if sessions < 4_096 { 4_096 } else { sessions },
        }
    }

    /// Takes the memory.
    ///
    /// # Errors
    /// None that can come up: the classes of blocks stand in order.
    pub fn reserve(&self, config: &Config) -> Result<Storage<'static>, ClassError> {
        let (interfaces, settings) = (config.addresses(), config.media());
        let media = media::Storage::reserved(self.streams, self.secure_streams, &interfaces, &settings);
        let owners = media.endpoints.capacity();
        let mut texts = BufPool::new("texts");
        let blocks = [self.parties.saturating_mul(3), self.parties, self.sessions.div_ceil(8)];
        for (len, blocks) in TEXTS.into_iter().zip(blocks) {
            texts.add_class(len, Slots::reserved(blocks.saturating_mul(len)))?;
        }
        let mut replies = BufPool::new("replies");
        for (len, blocks) in REPLIES.into_iter().zip([self.repeats, self.repeats, self.repeats.div_ceil(64)]) {
            replies.add_class(len, Slots::reserved(blocks.saturating_mul(len)))?;
        }
        Ok(Storage {
            media,
            calls: calls::Memory {
                calls: Slots::reserved(self.sessions),
                index: Slots::reserved(Index::buckets_for(self.sessions)),
                parties: Slots::reserved(self.parties),
                streams: Slots::reserved(self.streams),
                owners: Slots::reserved(owners),
                texts,
            },
            repeats: repeats::Memory {
                repeats: Slots::reserved(self.repeats),
                index: Slots::reserved(Index::buckets_for(self.repeats)),
                replies,
            },
            secrets: Slots::reserved(self.secure_streams),
            scratch: Scratch {
                json: Slots::reserved(ng::SCRATCH_MAX),
                reply: Slots::reserved(ng::MESSAGE_MAX),
                body: Slots::reserved(ng::MESSAGE_MAX),
            },
        })
    }
}
