//! Counters: of the plane, of an endpoint, and what a party reports by RTCP.

use super::quality::Reports;
use super::source::{Sample, Source};
use crate::time::Instant;

/// Synchronisation sources that are followed at a time in one direction of an endpoint.
pub const SOURCES_MAX: usize = 4;

/// Packets and bytes of UDP payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Traffic {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Traffic {
    const NONE: Self = Self { packets: 0, bytes: 0 };

    pub(super) fn count(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// Why a packet is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Drop {
    /// Its socket belongs to no endpoint in use.
    NoEndpoint,
    /// Neither RTP nor RTCP by its first byte (RFC 7983): STUN, DTLS, anything else.
    NotRtp,
    /// RTP or RTCP that contradicts itself, or RTP on the port of RTCP.
    Malformed,
    /// From a source that does not count: not admitted, or another one has been learned.
    Source,
    /// The SRTP authentication tag or the key identifier is wrong.
    Unauthentic,
    /// An SRTP packet that came before, or is too old to tell; or one with a sequence number that was sent before.
    Replayed,
    /// The endpoint is connected to none, or the address of that party is not known, or it does not want to receive.
    NoDestination,
    /// Media or telephone events of the party are blocked, or its audio cannot be silenced otherwise.
    Blocked,
    /// The buffer has no room for what SRTP adds.
    NoRoom,
    /// More sources under one SRTP key than are followed.
    Streams,
    /// The SRTP key has been used up: the party needs a new one.
    KeyExhausted,
}

impl Drop {
    /// All reasons, in the order of their values.
    pub const ALL: [Self; 11] = [
        Self::NoEndpoint,
        Self::NotRtp,
        Self::Malformed,
        Self::Source,
        Self::Unauthentic,
        Self::Replayed,
        Self::NoDestination,
        Self::Blocked,
        Self::NoRoom,
        Self::Streams,
        Self::KeyExhausted,
    ];

    /// A word for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoEndpoint => "no-endpoint",
            Self::NotRtp => "not-rtp",
            Self::Malformed => "malformed",
            Self::Source => "source",
            Self::Unauthentic => "unauthentic",
            Self::Replayed => "replayed",
            Self::NoDestination => "no-destination",
            Self::Blocked => "blocked",
            Self::NoRoom => "no-room",
            Self::Streams => "streams",
            Self::KeyExhausted => "key-exhausted",
        }
    }

    /// Its name among counters.
    pub const fn counter(self) -> &'static str {
        match self {
            Self::NoEndpoint => "dropped_no_endpoint",
            Self::NotRtp => "dropped_not_rtp",
            Self::Malformed => "dropped_malformed",
            Self::Source => "dropped_source",
            Self::Unauthentic => "dropped_unauthentic",
            Self::Replayed => "dropped_replayed",
            Self::NoDestination => "dropped_no_destination",
            Self::Blocked => "dropped_blocked",
            Self::NoRoom => "dropped_no_room",
            Self::Streams => "dropped_streams",
            Self::KeyExhausted => "dropped_key_exhausted",
        }
    }
}

/// Dropped packets by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Drops(pub(super) [u32; Drop::ALL.len()]);

impl Drops {
    const NONE: Self = Self([0; Drop::ALL.len()]);

    /// Packets dropped for `reason`.
    pub fn of(&self, reason: Drop) -> u32 {
        self.0[reason as usize]
    }

    /// Packets dropped.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|&n| u64::from(n)).sum()
    }

    pub(super) fn count(&mut self, reason: Drop) {
        let n = &mut self.0[reason as usize];
        *n = n.saturating_add(1);
    }
}

/// Counters of one endpoint: what its party sent and was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointStats {
    /// RTP (or datagrams) taken from the party, before anything is dropped on purpose.
    pub received: Traffic,
    /// RTCP taken from the party.
    pub received_rtcp: Traffic,
    /// RTP (or datagrams) sent to the party.
    pub sent: Traffic,
    /// RTCP sent to the party.
    pub sent_rtcp: Traffic,
    /// What arrived on the endpoint's sockets and was not forwarded.
    pub dropped: Drops,
    /// When the endpoint was opened.
    pub opened: Option<Instant>,
    /// When the latest packet was taken from the party; one that is dropped because of its source does not count.
    pub last_seen: Option<Instant>,
    /// How often the address of the party was learned or moved.
    pub learned: u32,
    /// DTMF events.
    pub dtmf: u32,
    /// What the party reports of what it was sent.
    pub reports: Reports,
    /// Sources that gave way to others, being more than [`SOURCES_MAX`].
    pub sources_forgotten: u32,
    sources: [Option<Source>; SOURCES_MAX],
    /// Number of the source of the latest packet.
    latest: u8,
}

impl EndpointStats {
    pub(super) const NEW: Self = Self {
        received: Traffic::NONE,
        received_rtcp: Traffic::NONE,
        sent: Traffic::NONE,
        sent_rtcp: Traffic::NONE,
        dropped: Drops::NONE,
        opened: None,
        last_seen: None,
        learned: 0,
        dtmf: 0,
        reports: Reports::NEW,
        sources_forgotten: 0,
        sources: [None; SOURCES_MAX],
        latest: 0,
    };

    /// The synchronisation sources of the party.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().flatten()
    }

    /// Counts an RTP packet for its source.
    pub(super) fn rtp(&mut self, ssrc: u32, sample: &Sample, now: Instant) {
        let latest = self.sources.get_mut(usize::from(self.latest)).and_then(Option::as_mut);
        match latest.filter(|source| source.ssrc() == ssrc) {
            Some(source) => source.packet(sample, now),
            None => self.other_source(ssrc, sample, now),
        }
    }

    #[cold]
    fn other_source(&mut self, ssrc: u32, sample: &Sample, now: Instant) {
        let found = self.sources().position(|source| source.ssrc() == ssrc);
        let at = found.or_else(|| self.sources.iter().position(Option::is_none)).unwrap_or_else(|| self.oldest());
        let Some(place) = self.sources.get_mut(at) else { return };
        if found.is_none() {
            self.sources_forgotten = self.sources_forgotten.saturating_add(u32::from(place.is_some()));
            *place = Some(Source::new(ssrc, sample, now));
        }
        self.latest = at as u8;
        if let Some(source) = place {
            source.packet(sample, now);
        }
    }

    fn oldest(&self) -> usize {
        let seen = self.sources.iter().enumerate().filter_map(|(at, source)| Some((source.as_ref()?.last_seen(), at)));
        seen.min().map_or(0, |(_, at)| at)
    }
}

/// Counters of the plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MediaStats {
    /// Packets taken from parties.
    pub received: Traffic,
    /// Packets forwarded.
    pub sent: Traffic,
    /// Packets that were not forwarded.
    pub dropped: Drops,
    /// Endpoints given out.
    pub opened: u64,
    /// Endpoints closed.
    pub closed: u64,
    /// Requests refused because every pair of ports of the interface is in use.
    pub ports_exhausted: u64,
    /// Requests refused because no pair was open yet.
    pub ports_pending: u64,
    /// Requests refused because every endpoint is in use.
    pub full: u64,
    /// Requests refused because no further endpoint can have SRTP.
    pub secure_full: u64,
    /// Pairs that could not be opened because a port is taken by someone else.
    pub ports_taken: u64,
}
