//! What a shard counts about its sockets.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that one thread raises and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// The number.
    pub(crate) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Raises the number. There is one writer, so a plain load and store will do.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    pub(crate) fn tick(&self) {
        self.add(1);
    }
}

/// The counters of one shard. All of them only rise.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Datagrams received.
    pub(crate) datagrams_in: Counter,
    /// Datagrams that the kernel took from us.
    pub(crate) datagrams_out: Counter,
    /// Datagrams that came back by an ICMP error.
    pub(crate) icmp_errors: Counter,
    /// Datagrams refused by the kernel, and messages that found no room in a queue.
    pub(crate) send_failures: Counter,
    /// Datagrams lost because the network device had no room.
    pub(crate) send_losses: Counter,
    /// Undelivered messages that the engine was not told of, because too many had failed at once.
    pub(crate) failures_untold: Counter,
    /// Turns of the pump.
    pub(crate) turns: Counter,
    /// Messages given to another shard.
    pub(crate) handed_over: Counter,
    /// Messages dropped because the ring to another shard was full.
    pub(crate) handover_drops: Counter,
    /// Messages received on streams.
    pub(crate) stream_messages_in: Counter,
    /// Messages written to streams.
    pub(crate) stream_messages_out: Counter,
    /// Keep-alive pings answered (RFC 5626 §3.5.1).
    pub(crate) pings: Counter,
    /// Connections that peers opened.
    pub(crate) accepted: Counter,
    /// Connections refused by a limit.
    pub(crate) refused: Counter,
    /// Failures to accept, such as having no file descriptor left.
    pub(crate) accept_errors: Counter,
    /// Connections that we opened.
    pub(crate) connected: Counter,
    /// Connections that we failed to open.
    pub(crate) connect_failures: Counter,
    /// Connections that are gone, for whatever reason.
    pub(crate) closed: Counter,
    /// Connections closed because nothing happened on them.
    pub(crate) closed_idle: Counter,
    /// Connections closed because a message did not end in time.
    pub(crate) closed_unfinished: Counter,
    /// Connections closed because what came is no SIP, or too long.
    pub(crate) closed_malformed: Counter,
    /// Connections closed because the peer does not read.
    pub(crate) closed_slow: Counter,
}

impl Stats {
    /// Names and values, in a fixed order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
        [
            ("datagrams_in", &self.datagrams_in),
            ("datagrams_out", &self.datagrams_out),
            ("icmp_errors", &self.icmp_errors),
            ("send_failures", &self.send_failures),
            ("send_losses", &self.send_losses),
            ("failures_untold", &self.failures_untold),
            ("turns", &self.turns),
            ("handed_over", &self.handed_over),
            ("handover_drops", &self.handover_drops),
            ("stream_messages_in", &self.stream_messages_in),
            ("stream_messages_out", &self.stream_messages_out),
            ("pings", &self.pings),
            ("accepted", &self.accepted),
            ("refused", &self.refused),
            ("accept_errors", &self.accept_errors),
            ("connected", &self.connected),
            ("connect_failures", &self.connect_failures),
            ("closed", &self.closed),
            ("closed_idle", &self.closed_idle),
            ("closed_unfinished", &self.closed_unfinished),
            ("closed_malformed", &self.closed_malformed),
            ("closed_slow", &self.closed_slow),
        ]
        .map(|(name, counter)| (name, counter.value()))
        .into_iter()
    }
}
