//! How much a relay may hold, where its memory is taken from the heap at the start.

use super::calls;
use super::config::Config;
use super::layer::{Scratch, Storage};
use super::media::{self, RESERVE_MAX};
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

    /// What the ports of `config` carry, or the calls it allows if those need less.
    pub fn of_config(config: &Config) -> Self {
        let pairs = config.interfaces.iter().map(|interface| interface.ports.pairs() as usize).sum::<usize>();
        // A call has two streams at least, each with a pair of ports.
        let by_ports = Self { streams: pairs, ..Self::of_sessions(pairs.div_ceil(2)) };
        match config.sessions_max {
            Some(max) if (max as usize) < by_ports.sessions => {
                let by_calls = Self::of_sessions(max as usize);
                Self { streams: by_calls.streams.min(pairs), ..by_calls }
            }
            _ => by_ports,
        }
    }

    /// Sockets that so many streams and the reserve of ports open at most. Their numbers are below.
    pub fn sockets(&self, config: &Config) -> usize {
        let reserve = config.interfaces.len().saturating_mul(config.reserve.min(RESERVE_MAX));
        self.streams.saturating_add(reserve).saturating_mul(2)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::media::PortRange;

    #[test]
    fn ports_and_calls_limit_each_other() {
        let ports = PortRange { min: 30_000, max: 30_099 };
        let address: crate::relay::Address = "192.0.2.1".parse().unwrap();
        let mut config = Config { reserve: 4, ..Config::default() };
        config.interfaces.extend([address.with_ports(ports), address.with_ports(ports)]);
        let capacity = Capacity::of_config(&config);
        assert_eq!((capacity.sessions, capacity.streams, capacity.sockets(&config)), (50, 100, 216));
        config.sessions_max = Some(10);
        let capacity = Capacity::of_config(&config);
        assert_eq!((capacity.sessions, capacity.streams), (10, 30));
        config.sessions_max = Some(49);
        assert_eq!(Capacity::of_config(&config).streams, 100);
        let storage = capacity.reserve(&config).unwrap();
        assert_eq!(2 * storage.media.endpoints.capacity(), capacity.sockets(&config));
    }
}
