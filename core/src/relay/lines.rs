//! One media description of an offer or an answer: the streams on both sides of it, and what is written in its place.

use core::net::IpAddr;

use super::action::Action;
use super::error::RelayError;
use super::flags::{Family, Flag, Flags, Ice, Learning as AskedLearning, Tos, Transport};
use super::layer::{Relay, plane};
use super::media::{self, Carries, EndpointId, EndpointSettings, PayloadTypes};
use super::rewrite::negotiate::{self, Remote};
use super::rewrite::{Candidate, CandidateKind, IcePlan, MediaPlan, Mode};
use super::secret::Secret;
use super::sides::Sides;
use super::signal::{Asked, Outcome, remote_of};
use crate::machine::Cx;
use crate::sink::Sink;
use crate::store::{Key, Slab};
use crate::wire::sdp::attribute::RtpMap;
use crate::wire::sdp::{Direction, MEDIA_MAX, Media, Protocol, Sdp};

/// One for each m-line; none where it stays as it came.
pub(super) type Lines = heapless::Vec<Option<Line>, MEDIA_MAX>;

/// Bytes of `a=ice-ufrag` and `a=ice-pwd` (RFC 8839 §5.4: at least 4 and 22).
const UFRAG: usize = 8;
const PWD: usize = 24;
/// Type preference 126 and local preference 65,535 (RFC 8445 §5.1.2.1).
const HOST_PRIORITY: u32 = 126 << 24 | 65_535 << 8;

/// What is written in the place of a media description.
pub(super) struct Line {
    pub(super) address: IpAddr,
    rtp_port: u16,
    rtcp_port: Option<u16>,
    rtcp_mux: bool,
    protocol: Option<Protocol>,
    direction: Option<Direction>,
    /// The keys whose lines are written, of the party that the description goes to.
    secret: Option<Key>,
    /// Whether keys of the received description go in any case.
    keyed: bool,
    ice: Option<IceLine>,
    ice_goes: bool,
    ptime_ms: Option<u16>,
    mid_goes: bool,
}

/// What is written of ICE.
struct IceLine {
    ufrag: [u8; UFRAG],
    pwd: [u8; PWD],
    candidates: heapless::Vec<Candidate, 2>,
}

impl Line {
    pub(super) fn plan<'l>(&'l self, secrets: &'l Slab<'_, Secret>) -> MediaPlan<'l> {
        let ours = self.secret.and_then(|key| secrets.get(key)).map(|secret| &secret.ours[..]);
        MediaPlan {
            address: self.address,
            rtp_port: self.rtp_port,
            rtcp_port: self.rtcp_port,
            rtcp_mux: self.rtcp_mux,
            protocol: self.protocol,
            direction: self.direction,
            crypto: ours.or(if self.keyed { Some(&[]) } else { None }),
            ice: match &self.ice {
                Some(ice) => {
                    IcePlan::Replace { ufrag: &ice.ufrag, pwd: &ice.pwd, candidates: &ice.candidates, trickle: false }
                }
                None if self.ice_goes => IcePlan::Remove,
                None => IcePlan::Keep,
            },
            ptime_ms: self.ptime_ms,
            mid_goes: self.mid_goes,
        }
    }
}

/// The streams on both sides of a media description.
#[derive(Clone, Copy)]
pub(super) struct Pairing {
    pub(super) sender: Key,
    pub(super) receiver: Key,
}

/// What both sides of a media description have agreed on.
#[derive(Clone, Copy)]
struct Agreed {
    protocol: Option<Protocol>,
    rtcp_mux: bool,
    /// Whether RTCP has no port of its own in what is written.
    shared: bool,
    secret: Option<Key>,
}

impl Relay<'_> {
    /// Carries out what one media description says, on both sides.
    pub(super) fn line<S>(
        &mut self,
        cx: &mut Cx<'_>,
        asked: &Asked<'_>,
        sides: &Sides,
        at: usize,
        media: &Media<'_>,
        out: &mut S,
    ) -> Outcome
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Asked { mode, sdp, flags } = *asked;
        let streams = Pairing {
            sender: self.stream_for(sides.sender, at, media)?,
            receiver: self.stream_for(sides.receiver, at, media)?,
        };
        self.note(streams.sender, sdp, media);
        let Some(remote) = remote_of(sdp, media, flags)? else {
            self.refuse(streams, out);
            return Ok(None);
        };
        if media.protocol_text().starts_with(b"TCP") {
            // Streams over connections go past the relay.
            return Ok(None);
        }
        let facing = self.calls.party(sides.receiver).and_then(|party| party.family);
        // An answer comes to the sockets that were offered.
        let of_sender = (mode == Mode::Offer).then(|| Family::of(remote.rtp.ip()));
        let sender = self.open(cx, streams.sender, of_sender, out)?;
        let of_receiver = flags.address_family.or(facing).or_else(|| self.family_for(streams.receiver, sdp, flags));
        let receiver = self.open(cx, streams.receiver, of_receiver, out)?;
        let (protocol, rtcp_mux, required) = self.agree(mode, streams, media, flags);
        if [media.protocol(), protocol].into_iter().flatten().any(|protocol| protocol.is_dtls())
            || needs_dtls(sdp, media)
        {
            return Err(RelayError::Dtls);
        }
        self.calls.stream_mut(streams.sender, |stream| {
            (stream.advertised, stream.advertised_rtcp) = (Some(remote.rtp), Some(remote.rtcp));
        });
        self.settings(sender, streams.sender, media, &remote, flags, out);
        self.tos(receiver, flags, out);
        self.mux(receiver, streams.receiver, out);
        let secret = self.keys(cx, asked, streams, media, protocol)?;
        self.carry(streams.sender, is_rtp(media), out);
        self.carry(streams.receiver, is_rtp(media), out);
        let agreed = Agreed { protocol, rtcp_mux, shared: rtcp_mux && (mode == Mode::Answer || required), secret };
        self.written(asked, streams, media, receiver, agreed)
    }

    /// What is written in the place of a media description.
    fn written(
        &self,
        asked: &Asked<'_>,
        streams: Pairing,
        media: &Media<'_>,
        receiver: EndpointId,
        agreed: Agreed,
    ) -> Outcome {
        let Asked { mode, sdp, flags } = *asked;
        let Agreed { protocol, rtcp_mux, shared, secret } = agreed;
        let local = self.media.local(receiver).ok_or(RelayError::Full)?;
        let rtcp_port = if shared { local.rtp_port } else { local.rtcp_port };
        let mut line = Line {
            address: flags.media_address.unwrap_or(local.advertised),
            rtp_port: local.rtp_port,
            rtcp_port: is_rtp(media).then_some(rtcp_port),
            rtcp_mux,
            protocol,
            direction: negotiate::direction(sdp, media, flags),
            secret,
            keyed: media.protocol().is_some_and(|protocol| protocol.is_secure()),
            ice: None,
            ice_goes: flags.ice == Ice::Remove,
            ptime_ms: match mode {
                Mode::Offer => flags.ptime_ms,
                Mode::Answer => flags.ptime_reverse_ms,
            },
            mid_goes: mode == Mode::Answer && self.calls.stream(streams.receiver).is_some_and(|stream| !stream.mid),
        };
        if is_rtp(media) && self.offers_ice(mode, streams, media, flags) {
            line.ice = Some(self.ice(streams.receiver, &line, shared));
        }
        Ok(Some(line))
    }

    /// Notes what a party says of its stream, for timeouts and for replies.
    fn note(&mut self, stream: Key, sdp: &Sdp<'_>, media: &Media<'_>) {
        let direction = sdp.direction_of(media);
        let held = sdp.connection_of(media).is_some_and(|connection| connection.is_zero());
        self.calls.stream_mut(stream, |stream| {
            stream.signalled = true;
            stream.sends = direction.sends() && media.port() != 0;
            stream.receives = direction.receives() && media.port() != 0 && !held;
            stream.ice = has_ice(media);
            stream.mid = media.attribute(b"mid").is_some();
        });
    }

    /// A refused stream keeps its sockets, so that it can come back under the same ports, but nothing passes.
    fn refuse<S>(&mut self, streams: Pairing, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        for stream in [streams.sender, streams.receiver] {
            self.calls.stream_mut(stream, |stream| {
                (stream.sends, stream.receives) = (false, false);
                (stream.advertised, stream.advertised_rtcp) = (None, None);
            });
            if let Some(endpoint) = self.endpoint_of(stream) {
                let silent = |settings: &mut EndpointSettings| (settings.rtp, settings.rtcp) = (None, None);
                self.media.configure(endpoint, silent, &mut plane(&self.calls, out));
            }
        }
    }

    /// The family towards the receiver where the message does not say: that of its own address, if it has signalled one,
    /// or else that of the description.
    fn family_for(&self, receiver: Key, sdp: &Sdp<'_>, flags: &Flags<'_>) -> Option<Family> {
        let stream = self.calls.stream(receiver)?;
        match stream.endpoint {
            Some(_) => None,
            None => stream.advertised.map(|own| Family::of(own.ip())).or_else(|| negotiate::family(sdp, flags)),
        }
    }

    /// The protocol that goes on, whether a shared port is written, and whether as if it was agreed on.
    fn agree(
        &mut self,
        mode: Mode,
        streams: Pairing,
        media: &Media<'_>,
        flags: &Flags<'_>,
    ) -> (Option<Protocol>, bool, bool) {
        let said = media.attribute(b"rtcp-mux").is_some();
        let received = media.protocol();
        let spoken = self.calls.stream(streams.receiver).and_then(|stream| stream.protocol);
        // Who answers with what was offered to it has changed nothing that the offerer would have to accept.
        let asked = self.calls.stream(streams.sender).and_then(|stream| stream.protocol);
        let accepted = flags.transport == Some(Transport::Accept) && asked == received;
        let protocol = match received {
            Some(_) if mode == Mode::Answer && accepted && spoken.is_some() => spoken,
            received => received.map(|received| negotiate::protocol(mode, received, spoken, flags)),
        };
        let offer = negotiate::rtcp_mux(said, flags);
        let (mut written, required) = (offer.offered, offer.required);
        match mode {
            Mode::Offer => {
                self.calls.stream_mut(streams.sender, |stream| stream.mux_back = offer.back);
                self.calls.stream_mut(streams.receiver, |stream| {
                    stream.mux_offered = offer.offered;
                    stream.rtcp_mux |= offer.required;
                });
            }
            Mode::Answer => {
                let accepted = said && self.calls.stream(streams.sender).is_some_and(|stream| stream.mux_offered);
                written = self.calls.stream(streams.receiver).is_some_and(|stream| stream.mux_back.answer(accepted));
                self.calls.stream_mut(streams.sender, |stream| stream.rtcp_mux = accepted);
                self.calls.stream_mut(streams.receiver, |stream| stream.rtcp_mux = written);
            }
        }
        self.calls.stream_mut(streams.sender, |stream| stream.protocol = received);
        self.calls.stream_mut(streams.receiver, |stream| stream.protocol = protocol);
        (protocol, written, required)
    }

    /// Lets the packet plane know where the sender of the description is and how to treat it.
    fn settings<S>(
        &mut self,
        endpoint: EndpointId,
        stream: Key,
        media: &Media<'_>,
        remote: &Remote,
        flags: &Flags<'_>,
        out: &mut S,
    ) where
        S: for<'a> Sink<Action<'a>>,
    {
        let rtcp_mux = self.calls.stream(stream).is_some_and(|stream| stream.rtcp_mux);
        let config = &self.config;
        let change = |settings: &mut EndpointSettings| {
            settings.rtp = Some(remote.rtp);
            settings.rtcp = Some(remote.rtcp);
            settings.received_from = flags.received_from.or(settings.received_from);
            settings.learning = flags.learning.map_or(config.learning, learning);
            settings.admit = config.admit;
            settings.asymmetric = flags.has(Flag::Asymmetric);
            settings.handover = flags.has(Flag::MediaHandover);
            settings.rtcp_mux = rtcp_mux;
            (settings.telephone_events, settings.clock_rate_hz) = codecs(media);
            tos(settings, flags);
        };
        self.media.configure(endpoint, change, &mut plane(&self.calls, out));
        if flags.has(Flag::Reset) {
            self.media.relearn(endpoint, &mut plane(&self.calls, out));
        } else {
            self.media.reopen(endpoint, &mut plane(&self.calls, out));
        }
    }

    fn tos<S>(&mut self, endpoint: EndpointId, flags: &Flags<'_>, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.media.configure(endpoint, |settings| tos(settings, flags), &mut plane(&self.calls, out));
    }

    fn mux<S>(&mut self, endpoint: EndpointId, stream: Key, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let rtcp_mux = self.calls.stream(stream).is_some_and(|stream| stream.rtcp_mux);
        self.media.configure(endpoint, |settings| settings.rtcp_mux = rtcp_mux, &mut plane(&self.calls, out));
    }

    /// Lets the packet plane know what a stream carries.
    fn carry<S>(&mut self, stream: Key, rtp: bool, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Some(own) = self.calls.stream(stream) else { return };
        let Some(endpoint) = own.endpoint else { return };
        let secure = own.protocol.is_some_and(|protocol| protocol.is_secure());
        let carries = match (rtp, secure && own.suite.is_none()) {
            (false, _) => Carries::Datagrams,
            // Without keys of ours what is encrypted passes as it is.
            (true, true) => Carries::Srtp,
            (true, false) => Carries::Rtp,
        };
        self.media.configure(endpoint, |settings| settings.carries = carries, &mut plane(&self.calls, out));
    }

    /// Whether candidates of ours stand in the description: where there were some, or in any case if that is asked for.
    fn offers_ice(&self, mode: Mode, streams: Pairing, media: &Media<'_>, flags: &Flags<'_>) -> bool {
        let there = has_ice(media);
        let offered = || self.calls.stream(streams.receiver).is_some_and(|stream| stream.ice);
        match flags.ice {
            Ice::Remove => false,
            Ice::Force | Ice::Optional => true,
            Ice::Default | Ice::ForceRelay => there || (mode == Mode::Answer && offered()),
        }
    }

    /// Our host candidates (RFC 8839 §5.1). Names and password are a function of the stream under the relay's secret, so
    /// they stay the same over all offers, and nobody can guess them.
    fn ice(&self, receiver: Key, line: &Line, shared: bool) -> IceLine {
        let mut candidates = heapless::Vec::new();
        let components = [(1, Some(line.rtp_port)), (2, line.rtcp_port.filter(|_| !shared))];
        for (component, port) in components {
            if let Some(port) = port {
                let _ = candidates.push(Candidate {
                    foundation: 1,
                    component,
                    priority: HOST_PRIORITY | (256 - u32::from(component)),
                    address: line.address,
                    port,
                    kind: CandidateKind::Host,
                });
            }
        }
        let secret = |what: &[u8], n: u8| self.calls.keyed(&[what, &receiver.to_u64().to_le_bytes(), &[n]]);
        let mut ice = IceLine { ufrag: [0; UFRAG], pwd: [0; PWD], candidates };
        for (text, what) in [(&mut ice.ufrag[..], &b"ufrag"[..]), (&mut ice.pwd[..], b"pwd")] {
            for (chunk, n) in text.chunks_mut(8).zip(0..) {
                letters(secret(what, n), chunk);
            }
        }
        ice
    }
}

/// Fills `out` (at most eight bytes) with letters and digits of `bits`: six bits each.
fn letters(bits: u64, out: &mut [u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (at, letter) in out.iter_mut().enumerate() {
        *letter = ALPHABET[(bits >> (6 * at) & 63) as usize];
    }
}

/// Whether the only keys of a stream would come from a DTLS handshake (RFC 5764).
fn needs_dtls(sdp: &Sdp<'_>, media: &Media<'_>) -> bool {
    let secure = media.protocol().is_some_and(|protocol| protocol.is_secure());
    let print = || media.attribute(b"fingerprint").is_some() || sdp.attributes().any(|own| own.is(b"fingerprint"));
    secure && print() && negotiate::cryptos(media).is_empty()
}

fn is_rtp(media: &Media<'_>) -> bool {
    media.protocol().is_some_and(|protocol| protocol.is_rtp())
}

fn has_ice(media: &Media<'_>) -> bool {
    media.attribute(b"ice-ufrag").is_some() || media.attribute(b"candidate").is_some()
}

fn learning(asked: AskedLearning) -> media::Learning {
    match asked {
        AskedLearning::Delayed => media::Learning::Delayed,
        AskedLearning::Immediate => media::Learning::Immediate,
        AskedLearning::Off => media::Learning::Off,
        AskedLearning::Heuristic => media::Learning::Heuristic,
    }
}

fn tos(settings: &mut EndpointSettings, flags: &Flags<'_>) {
    settings.tos = match flags.tos {
        Tos::Default => None,
        Tos::Unchanged => settings.tos,
        Tos::Value(tos) => Some(tos),
    };
}

/// The payload types of telephone events, and the clock rate of the first payload type that has a name.
fn codecs(media: &Media<'_>) -> (PayloadTypes, u32) {
    let mut events = PayloadTypes::EMPTY;
    let mut rate_hz = 0;
    for attribute in media.attributes().filter(|attribute| attribute.is(b"rtpmap")) {
        let Some(map) = RtpMap::parse(attribute.value()) else { continue };
        if map.encoding.eq_ignore_ascii_case(b"telephone-event") {
            events = events.with(map.payload_type);
        } else if rate_hz == 0 && map.payload_type >= 96 {
            rate_hz = map.clock_rate_hz;
        }
    }
    (events, rate_hz)
}

impl From<media::MediaError> for RelayError {
    fn from(error: media::MediaError) -> Self {
        match error {
            media::MediaError::UnknownInterface => Self::NoInterface,
            media::MediaError::Full => Self::Full,
            _ => Self::PortsExhausted,
        }
    }
}
