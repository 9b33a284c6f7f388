//! The parties of a call and their streams.

use core::net::SocketAddr;

use super::flags::Family;
use super::media::EndpointId;
use super::rewrite::negotiate::MuxBack;
use crate::store::{Buf, Key};
use crate::time::Instant;
use crate::wire::sdp::Protocol;
use crate::wire::sdp::crypto::Suite;

/// What an operator or a proxy has asked for the packets of a party. It holds for all its streams, also for those to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Restrictions {
    /// Its RTP is dropped.
    pub media_blocked: bool,
    /// Its telephone events are dropped.
    pub dtmf_blocked: bool,
    /// Its audio is replaced with silence.
    pub silenced: bool,
}

impl Restrictions {
    /// What either asks for.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            media_blocked: self.media_blocked || other.media_blocked,
            dtmf_blocked: self.dtmf_blocked || other.dtmf_blocked,
            silenced: self.silenced || other.silenced,
        }
    }
}

/// One who sends and receives in a call, known by a tag.
#[derive(Debug)]
pub struct Party {
    pub(super) call: Key,
    /// The next party of the call.
    pub(super) next: Option<Key>,
    /// Its tag; none while it has not answered.
    pub(super) tag: Option<Buf>,
    /// The branch of the Via header of the request that was to reach it.
    pub(super) via_branch: Option<Buf>,
    pub(super) label: Option<Buf>,
    /// The party it talks with.
    pub(super) peer: Option<Key>,
    /// The first of its streams.
    pub(super) streams: Option<Key>,
    pub(super) created: Instant,
    /// The logical interface that faces it.
    pub(super) interface: u8,
    /// The address family that faces it, where that was said in the old way.
    pub(super) family: Option<Family>,
    pub(super) restrictions: Restrictions,
    /// What stays the same in `o=` and `s=` of the descriptions that go to it, if that was asked for.
    pub(super) username: Option<Buf>,
    pub(super) session_name: Option<Buf>,
    /// Version and digest of the last description that went to it.
    pub(super) version: Option<(u64, u64)>,
    /// When it is to be deleted, if that was asked for.
    pub(super) delete_at: Option<Instant>,
}

impl Party {
    pub(super) const fn new(call: Key, interface: u8, now: Instant) -> Self {
        Self {
            call,
            next: None,
            tag: None,
            via_branch: None,
            label: None,
            peer: None,
            streams: None,
            created: now,
            interface,
            family: None,
            restrictions: Restrictions { media_blocked: false, dtmf_blocked: false, silenced: false },
            username: None,
            session_name: None,
            version: None,
            delete_at: None,
        }
    }
}

/// What an m-line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `image`
    Image,
    /// `message`
    Message,
    /// `application`
    Application,
    /// `text`
    Text,
    /// Anything else.
    Other,
}

impl MediaKind {
    /// Of the first word of an m-line.
    pub fn of(word: &[u8]) -> Self {
        match word {
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"image" => Self::Image,
            b"message" => Self::Message,
            b"application" => Self::Application,
            b"text" => Self::Text,
            _ => Self::Other,
        }
    }

    /// As it stands in an m-line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Image => "image",
            Self::Message => "message",
            Self::Application => "application",
            Self::Text => "text",
            Self::Other => "other",
        }
    }
}

/// One stream of a party: what an m-line of its body has set up.
#[derive(Debug)]
pub struct Stream {
    pub(super) party: Key,
    /// The next stream of the party.
    pub(super) next: Option<Key>,
    /// Our sockets that face the party; none while the stream is refused.
    pub(super) endpoint: Option<EndpointId>,
    /// Whether their address is one of IPv6.
    pub(super) v6: bool,
    pub(super) kind: MediaKind,
    /// The address that the party's body gave for RTP, and for RTCP.
    pub(super) advertised: Option<SocketAddr>,
    pub(super) advertised_rtcp: Option<SocketAddr>,
    /// Whether the party is to send; whether it is to receive.
    pub(super) sends: bool,
    pub(super) receives: bool,
    /// Whether the party has signalled the stream itself, not only its peer.
    pub(super) signalled: bool,
    /// The protocol that the party speaks.
    pub(super) protocol: Option<Protocol>,
    /// Whether RTCP to the party shares the port of RTP.
    pub(super) rtcp_mux: bool,
    /// Whether that was offered to it, and what it hears about its own offer.
    pub(super) mux_offered: bool,
    pub(super) mux_back: MuxBack,
    /// Whether the party has signalled ICE, and a name for the stream.
    pub(super) ice: bool,
    pub(super) mid: bool,
    /// Its keys, if it has any.
    pub(super) secret: Option<Key>,
    /// The suite in use.
    pub(super) suite: Option<Suite>,
}

impl Stream {
    pub(super) const fn new(party: Key, kind: MediaKind) -> Self {
        Self {
            party,
            next: None,
            endpoint: None,
            v6: false,
            kind,
            advertised: None,
            advertised_rtcp: None,
            sends: true,
            receives: true,
            signalled: false,
            protocol: None,
            rtcp_mux: false,
            mux_offered: false,
            mux_back: MuxBack::No,
            ice: false,
            mid: false,
            secret: None,
            suite: None,
        }
    }
}
