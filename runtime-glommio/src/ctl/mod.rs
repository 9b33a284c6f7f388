//! The operator's way in: lines over TCP, with the words of `rtpengine-ctl`.

pub(crate) mod client;
pub(crate) mod server;
mod words;

use std::time::Duration;

use trunkline_core::relay::Totals;

use crate::ring::RingStats;

/// What is asked of a shard.
#[derive(Clone, Debug)]
pub(crate) enum Query {
    /// Its counters.
    Totals,
    /// Its calls, at most so many.
    Calls(usize),
    /// One call, in words.
    Describe(Box<[u8]>),
    /// End a call.
    Terminate(Box<[u8]>),
    /// End all calls.
    TerminateAll,
    /// Take no more calls than these.
    SetSessionsMax(Option<u32>),
}

/// What a shard answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// To `Totals`.
    Totals(Box<ShardTotals>),
    /// To `Calls`.
    Calls(Vec<CallLine>),
    /// To `Describe`; `None` if the call is not there.
    Text(Option<String>),
    /// To `Terminate` and `TerminateAll`: how many calls there were. To `SetSessionsMax`: none.
    Ended(usize),
}

/// The counters of a shard.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShardTotals {
    /// Of the relay.
    pub(crate) relay: Totals,
    /// How long it has run.
    pub(crate) uptime: Duration,
    /// Of its sockets.
    pub(crate) ring: RingStats,
    /// Control messages from sources that are not listed.
    pub(crate) refused: u64,
}

impl ShardTotals {
    /// Adds those of another shard.
    pub(crate) fn add(&mut self, other: &Self) {
        self.relay += other.relay;
        self.uptime = self.uptime.max(other.uptime);
        self.ring.add(&other.ring);
        self.refused += other.refused;
    }
}

/// A call in a list.
#[derive(Clone, Debug)]
pub(crate) struct CallLine {
    /// Its Call-ID.
    pub(crate) call_id: Box<[u8]>,
    /// How long ago it began.
    pub(crate) age: Duration,
    /// Whether an offer was answered.
    pub(crate) answered: bool,
    /// Parties.
    pub(crate) parties: usize,
    /// Streams of its parties together.
    pub(crate) streams: usize,
}
