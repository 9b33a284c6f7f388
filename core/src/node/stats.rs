//! Counters.

macro_rules! stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a node has done so far.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            /// Names and values, in a fixed order.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Adds what another shard has done.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

stats! {
    /// Messages received.
    received,
    /// Messages sent.
    sent,
    /// Requests received, retransmissions included.
    requests,
    /// Responses received.
    responses,
    /// Requests that were forwarded.
    forwarded,
    /// Retransmitted requests that were absorbed.
    absorbed,
    /// Requests answered from here with 3xx to 6xx.
    rejected,
    /// Malformed messages.
    malformed,
    /// Responses whose Via is not ours, or was forged.
    foreign_via,
    /// Responses to transactions that are no more.
    stray_responses,
    /// ACKs that belong to nothing.
    stray_acks,
    /// Messages that could not be rewritten within the limits.
    too_large,
    /// Requests refused because a table was full.
    full,
    /// Requests in a loop, or merged.
    looped,
    /// Calls that tried another target after one failed.
    failovers,
    /// Calls for which every target failed.
    exhausted,
    /// Calls for which there was no target.
    no_target,
    /// Calls answered.
    calls_answered,
    /// Calls that were not.
    calls_failed,
    /// Answered calls that are over.
    calls_ended,
    /// Messages that did not get to their peer.
    undelivered,
}
