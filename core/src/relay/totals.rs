//! What a relay has done so far.

use core::ops::AddAssign;
use core::time::Duration;

use super::error::RelayError;
use super::media::{Drop, MediaStats};
use super::notice::EndReason;

/// The commands of the ng protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is the command of its name")]
pub enum Command {
    Ping,
    Offer,
    Answer,
    Delete,
    Query,
    List,
    Statistics,
    StartRecording,
    StopRecording,
    PauseRecording,
    StartForwarding,
    StopForwarding,
    BlockDtmf,
    UnblockDtmf,
    BlockMedia,
    UnblockMedia,
    SilenceMedia,
    UnsilenceMedia,
    PlayMedia,
    StopMedia,
    PlayDtmf,
    Publish,
    SubscribeRequest,
    SubscribeAnswer,
    Unsubscribe,
}

/// Each command, its name, and what rtpengine's statistics call it.
const COMMANDS: [(Command, &str, &str); 25] = [
    (Command::Ping, "ping", "ping"),
    (Command::Offer, "offer", "offer"),
    (Command::Answer, "answer", "answer"),
    (Command::Delete, "delete", "delete"),
    (Command::Query, "query", "query"),
    (Command::List, "list", "list"),
    (Command::Statistics, "statistics", "stats"),
    (Command::StartRecording, "start recording", "startrec"),
    (Command::StopRecording, "stop recording", "stoprec"),
    (Command::PauseRecording, "pause recording", "pauserec"),
    (Command::StartForwarding, "start forwarding", "startfwd"),
    (Command::StopForwarding, "stop forwarding", "stopfwd"),
    (Command::BlockDtmf, "block DTMF", "blkdtmf"),
    (Command::UnblockDtmf, "unblock DTMF", "unblkdtmf"),
    (Command::BlockMedia, "block media", "blkmedia"),
    (Command::UnblockMedia, "unblock media", "unblkmedia"),
    (Command::SilenceMedia, "silence media", "slnmedia"),
    (Command::UnsilenceMedia, "unsilence media", "unslnmedia"),
    (Command::PlayMedia, "play media", "playmedia"),
    (Command::StopMedia, "stop media", "stopmedia"),
    (Command::PlayDtmf, "play DTMF", "playdtmf"),
    (Command::Publish, "publish", "pub"),
    (Command::SubscribeRequest, "subscribe request", "subreq"),
    (Command::SubscribeAnswer, "subscribe answer", "subans"),
    (Command::Unsubscribe, "unsubscribe", "unsub"),
];

impl Command {
    /// How many there are.
    pub const COUNT: usize = COMMANDS.len();

    /// The command of that name.
    pub fn parse(name: &[u8]) -> Option<Self> {
        COMMANDS.iter().find(|(_, own, _)| own.as_bytes() == name).map(|(command, ..)| *command)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        COMMANDS.iter().map(|(command, ..)| *command)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        COMMANDS[self as usize].1
    }

    /// What rtpengine's statistics call it.
    pub const fn short(self) -> &'static str {
        COMMANDS[self as usize].2
    }
}

/// Counters of a relay. Those of several shards add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls now.
    pub sessions: u64,
    /// Calls that began.
    pub started: u64,
    /// Calls refused because of a limit, or because the relay was about to stop.
    pub rejected: u64,
    /// Calls that ended, by [`EndReason`].
    pub ended: [u64; EndReason::COUNT],
    /// Of the calls that ended: how long they lasted together.
    pub lasted: Duration,
    /// Of the calls that ended: streams on which packets came from one side only.
    pub one_way_streams: u64,
    /// Of the calls that ended: streams on which no packet came.
    pub zero_way_streams: u64,
    /// Requests by [`Command`], answered with an error or not.
    pub requests: [u64; Command::COUNT],
    /// Requests answered with an error.
    pub errors: u64,
    /// Requests answered again with the reply they got before.
    pub repeated: u64,
    /// Control messages dropped without a reply: no cookie, or over the limits.
    pub unanswerable: u64,
    /// Replies that were too long for a message.
    pub reply_overflows: u64,
    /// What the packet plane counts.
    pub media: MediaStats,
}

impl Totals {
    /// Calls that ended for `reason`.
    pub fn ended_by(&self, reason: EndReason) -> u64 {
        self.ended.get(reason as usize).copied().unwrap_or_default()
    }

    /// Calls that ended.
    pub fn ended_total(&self) -> u64 {
        self.ended.iter().sum()
    }

    /// Requests of that command.
    pub fn requests_of(&self, command: Command) -> u64 {
        self.requests.get(command as usize).copied().unwrap_or_default()
    }

    /// Names and values, in a fixed order; those by command and by reason among them.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let media = &self.media;
        [
            ("sessions", self.sessions),
            ("started", self.started),
            ("rejected", self.rejected),
            ("ended", self.ended_total()),
            ("ended_deleted", self.ended_by(EndReason::Deleted)),
            ("ended_timeout", self.ended_by(EndReason::Timeout)),
            ("ended_silent_timeout", self.ended_by(EndReason::SilentTimeout)),
            ("ended_final_timeout", self.ended_by(EndReason::FinalTimeout)),
            ("ended_offer_timeout", self.ended_by(EndReason::OfferTimeout)),
            ("ended_terminated", self.ended_by(EndReason::Terminated)),
            ("one_way_streams", self.one_way_streams),
            ("zero_way_streams", self.zero_way_streams),
            ("offers", self.requests_of(Command::Offer)),
            ("answers", self.requests_of(Command::Answer)),
            ("deletes", self.requests_of(Command::Delete)),
            ("requests", self.requests.iter().sum()),
            ("errors", self.errors),
            ("repeated", self.repeated),
            ("unanswerable", self.unanswerable),
            ("reply_overflows", self.reply_overflows),
            ("packets_in", media.received.packets),
            ("bytes_in", media.received.bytes),
            ("packets_out", media.sent.packets),
            ("bytes_out", media.sent.bytes),
            ("ports_exhausted", media.ports_exhausted),
            ("ports_pending", media.ports_pending),
            ("ports_taken", media.ports_taken),
            ("streams_full", media.full),
            ("secure_streams_full", media.secure_full),
            ("dropped", media.dropped.total()),
        ]
        .into_iter()
        .chain(Drop::ALL.into_iter().map(|reason| (reason.counter(), u64::from(media.dropped.of(reason)))))
    }

    pub(super) fn count(&mut self, command: Command) {
        if let Some(count) = self.requests.get_mut(command as usize) {
            *count += 1;
        }
    }

    /// Counts a request answered with an error; `refused` is why the relay itself refused it, if it did.
    pub(super) fn count_error(&mut self, refused: Option<RelayError>) {
        self.errors += 1;
        self.rejected += u64::from(matches!(
            refused,
            Some(RelayError::SessionLimit | RelayError::Draining | RelayError::Full | RelayError::PortsExhausted)
        ));
    }

    pub(super) fn count_end(&mut self, reason: EndReason, lasted: Duration) {
        if let Some(count) = self.ended.get_mut(reason as usize) {
            *count += 1;
        }
        self.lasted += lasted;
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        let sums = self.ended.iter_mut().chain(&mut self.requests);
        sums.zip(other.ended.iter().chain(&other.requests)).for_each(|(sum, more)| *sum += more);
        for (sum, more) in [
            (&mut self.sessions, other.sessions),
            (&mut self.started, other.started),
            (&mut self.rejected, other.rejected),
            (&mut self.one_way_streams, other.one_way_streams),
            (&mut self.zero_way_streams, other.zero_way_streams),
            (&mut self.errors, other.errors),
            (&mut self.repeated, other.repeated),
            (&mut self.unanswerable, other.unanswerable),
            (&mut self.reply_overflows, other.reply_overflows),
        ] {
            *sum += more;
        }
        self.lasted += other.lasted;
        self.media += other.media;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_in_the_order_of_their_table() {
        for (at, command) in Command::all().enumerate() {
            assert_eq!(command as usize, at);
            assert_eq!(Command::parse(command.name().as_bytes()), Some(command));
        }
        assert_eq!(Command::parse(b"Ping"), None);
    }

    #[test]
    fn counters_have_names_of_their_own() {
        let totals = Totals { started: 3, errors: 2, ..Totals::default() };
        for (at, (name, value)) in totals.entries().enumerate() {
            assert!(totals.entries().skip(at + 1).all(|(other, _)| other != name), "{name} is there twice");
            assert_eq!(
                value,
                if name == "started" {
                    3
                } else if name == "errors" {
                    2
                } else {
                    0
                },
                "{name}"
            );
        }
    }
}
