//! The way of a packet through the plane.

use core::net::SocketAddr;

use super::endpoint::Phase;
use super::learn::{Lesson, Rules, Verdict};
use super::source::Sample;
use super::{Action, Carries, Drop, Endpoint, EndpointId, Media, PacketBuf, SocketId};
use crate::machine::Cx;
use crate::relay::srtp::{Session, SrtpError};
use crate::sink::Sink;
use crate::time::Instant;
use crate::wire::rtp::demux::Kind;
use crate::wire::rtp::packet::Header;
use crate::wire::rtp::rtcp::{Compound, Start};

/// A packet type, a length and a source (RFC 3550 §6.4).
const RTCP_HEADER_LEN: usize = 8;

/// What a packet is to those that send it on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Rtp(Header),
    Rtcp,
    Datagrams,
}

impl Stream {
    const fn is_rtcp(self) -> bool {
        matches!(self, Self::Rtcp)
    }
}

impl Media<'_> {
    /// A datagram has arrived on `socket`: forwards it, or drops and counts it. It may be changed in place.
    pub fn packet<S: for<'a> Sink<Action<'a>>>(
        &mut self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        from: SocketAddr,
        packet: &mut PacketBuf<'_>,
        out: &mut S,
    ) {
        if let Err(reason) = self.relay(cx.now, socket, from, packet, out) {
            self.stats.dropped.count(reason);
            if let Some(endpoint) = self.endpoints.at_mut(socket.slot()) {
                endpoint.stats.dropped.count(reason);
            }
        }
    }

    fn relay<S: for<'a> Sink<Action<'a>>>(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        packet: &mut PacketBuf<'_>,
        out: &mut S,
    ) -> Result<(), Drop> {
        let (key, _) = self.endpoints.at(socket.slot()).ok_or(Drop::NoEndpoint)?;
        let endpoint = self.endpoints.get_mut(key).filter(|e| e.phase == Phase::Used).ok_or(Drop::NoEndpoint)?;
        let stream = endpoint.classify(socket, packet.bytes())?;
        let lesson = endpoint.judge(socket, &from, now, self.settings.learning_delay)?;
        let received = packet.len();
        if let Some(session) = endpoint.secure.and_then(|key| self.secure.get_mut(key)?.inbound.as_mut()) {
            unprotect(session, stream, packet)?;
        }
        let sender_report = if stream.is_rtcp() { endpoint.reports(packet.bytes(), now)? } else { None };
        if let Some(lesson) = lesson {
            endpoint.learn(socket, lesson, from, now, out);
        }
        endpoint.count(stream, received, now);
        self.stats.received.count(received);
        if let Stream::Rtp(rtp) = stream {
            endpoint.filter(EndpointId(key), &rtp, packet, out)?;
        }
        let to = endpoint.to.ok_or(Drop::NoDestination)?;
        let target = self.endpoints.get_mut(to.0).ok_or(Drop::NoDestination)?;
        let destination = target.destination(stream.is_rtcp()).ok_or(Drop::NoDestination)?;
        if let Some(ntp) = sender_report {
            target.stats.reports.sent(ntp, now);
        }
        if let Some(session) = target.secure.and_then(|key| self.secure.get_mut(key)?.outbound.as_mut()) {
            protect(session, stream, packet)?;
        }
        let slot = to.0.slot();
        let socket = if stream.is_rtcp() && !target.rtcp_mux() { SocketId::rtcp(slot) } else { SocketId::rtp(slot) };
        let sent = if stream.is_rtcp() { &mut target.stats.sent_rtcp } else { &mut target.stats.sent };
        sent.count(packet.len());
        self.stats.sent.count(packet.len());
        let tos = target.settings.tos;
        out.emit(Action::Forward { socket, to: destination, packet: packet.bytes(), tos });
        Ok(())
    }
}

impl Endpoint {
    /// What came in on `socket`.
    fn classify(&self, socket: SocketId, bytes: &[u8]) -> Result<Stream, Drop> {
        if self.settings.carries == Carries::Datagrams {
            return Ok(Stream::Datagrams);
        }
        match Kind::of(bytes) {
            Kind::Rtp if !socket.is_rtcp() => Header::parse(bytes).map(Stream::Rtp).map_err(|_| Drop::Malformed),
            Kind::Rtcp if bytes.len() >= RTCP_HEADER_LEN => Ok(Stream::Rtcp),
            Kind::Rtp | Kind::Rtcp => Err(Drop::Malformed),
            _ => Err(Drop::NotRtp),
        }
    }

    /// Whether the source of a packet counts, and what is to be learned from it.
    fn judge(
        &self,
        socket: SocketId,
        from: &SocketAddr,
        now: Instant,
        delay: core::time::Duration,
    ) -> Result<Option<Lesson>, Drop> {
        let settings = &self.settings;
        let rules = Rules {
            learning: settings.learning,
            admit: settings.admit,
            handover: settings.handover,
            received_from: settings.received_from,
            companion: if socket.is_rtcp() { self.rtp.learned().map(|(source, _)| source.ip()) } else { None },
            delay,
        };
        let path = if socket.is_rtcp() { &self.rtcp } else { &self.rtp };
        match path.judge(&rules, from, now) {
            Verdict::Known => Ok(None),
            Verdict::Learn(lesson) => Ok(Some(lesson)),
            Verdict::Refused => Err(Drop::Source),
        }
    }

    #[cold]
    fn learn<S>(&mut self, socket: SocketId, lesson: Lesson, from: SocketAddr, now: Instant, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let path = if socket.is_rtcp() { &mut self.rtcp } else { &mut self.rtp };
        let moved = path.learn(lesson, from, now);
        if moved {
            self.stats.learned = self.stats.learned.saturating_add(1);
        }
        // RTCP comes from where RTP comes from; what was learned before RTP came is not believed any more.
        if moved && !socket.is_rtcp() && self.rtcp.learned().is_some_and(|(rtcp, _)| rtcp.ip() != from.ip()) {
            self.rtcp.forget();
        }
        self.settle(socket.slot(), out);
    }

    /// Checks RTCP and takes its reports; returns the time of a sender report. Reduced size is taken, too (RFC 5506).
    fn reports(&mut self, bytes: &[u8], now: Instant) -> Result<Option<u32>, Drop> {
        if self.settings.carries != Carries::Rtp {
            return Ok(None);
        }
        let compound = Compound::parse(bytes, Start::Any).map_err(|_| Drop::Malformed)?;
        Ok(self.stats.reports.received(compound, self.settings.clock_rate_hz, now))
    }

    /// Counts a packet that is taken.
    fn count(&mut self, stream: Stream, bytes: usize, now: Instant) {
        self.stats.last_seen = Some(now);
        let traffic = if stream.is_rtcp() { &mut self.stats.received_rtcp } else { &mut self.stats.received };
        traffic.count(bytes);
        if let Stream::Rtp(rtp) = stream {
            let sample = Sample {
                sequence: rtp.sequence,
                timestamp: rtp.timestamp,
                bytes,
                clock_rate_hz: self.clock_rate_hz(rtp.payload_type),
                payload_type: rtp.payload_type,
            };
            self.stats.rtp(rtp.ssrc, &sample, now);
        }
    }

    /// Clock rate of a payload type (RFC 3551 §6); none for telephone events, whose timestamps stand still.
    fn clock_rate_hz(&self, payload_type: u8) -> Option<u32> {
        match payload_type {
            0 | 3..=5 | 7..=9 | 12 | 13 | 15 | 18 => Some(8_000),
            6 => Some(16_000),
            10 | 11 => Some(44_100),
            14 | 25 | 26 | 28 | 31..=34 => Some(90_000),
            16 => Some(11_025),
            17 => Some(22_050),
            _ if self.settings.telephone_events.contains(payload_type) => None,
            _ => Some(self.settings.clock_rate_hz),
        }
    }

    /// Detects telephone events, and applies what is blocked and silenced.
    fn filter<S>(&mut self, id: EndpointId, rtp: &Header, packet: &mut PacketBuf<'_>, out: &mut S) -> Result<(), Drop>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let dtmf = self.settings.telephone_events.contains(rtp.payload_type);
        if dtmf && self.settings.carries == Carries::Rtp {
            self.telephone_event(id, rtp, packet.bytes(), out);
        }
        if self.settings.media_blocked || dtmf && self.settings.dtmf_blocked {
            return Err(Drop::Blocked);
        }
        if self.settings.silenced && !dtmf {
            let silence = silence(rtp.payload_type).filter(|_| self.settings.carries == Carries::Rtp);
            let silence = silence.ok_or(Drop::Blocked)?;
            packet.bytes_mut().get_mut(rtp.header_len..).unwrap_or_default().fill(silence);
        }
        Ok(())
    }

    #[cold]
    fn telephone_event<S>(&mut self, id: EndpointId, rtp: &Header, bytes: &[u8], out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let payload = bytes.get(rtp.header_len..).unwrap_or_default();
        if let Some(event) = self.dtmf.packet(rtp.ssrc, rtp.timestamp, payload) {
            self.stats.dtmf = self.stats.dtmf.saturating_add(1);
            out.emit(Action::Dtmf { endpoint: id, event });
        }
    }
}

/// Checks and decrypts what came from a party.
fn unprotect(session: &mut Session, stream: Stream, packet: &mut PacketBuf<'_>) -> Result<(), Drop> {
    let len = match stream {
        Stream::Rtp(_) => session.unprotect(packet.bytes_mut()),
        Stream::Rtcp => session.unprotect_rtcp(packet.bytes_mut()),
        Stream::Datagrams => Ok(packet.len()),
    };
    packet.resize(len?);
    Ok(())
}

/// Encrypts and signs what goes to a party.
fn protect(session: &mut Session, stream: Stream, packet: &mut PacketBuf<'_>) -> Result<(), Drop> {
    let len = packet.len();
    let len = match stream {
        Stream::Rtp(_) => session.protect(packet.whole_mut(), len),
        Stream::Rtcp => session.protect_rtcp(packet.whole_mut(), len),
        Stream::Datagrams => Ok(len),
    };
    packet.resize(len?);
    Ok(())
}

impl From<SrtpError> for Drop {
    fn from(error: SrtpError) -> Self {
        match error {
            SrtpError::Malformed => Self::Malformed,
            SrtpError::Authentication | SrtpError::Mki => Self::Unauthentic,
            SrtpError::Replayed | SrtpError::TooOld => Self::Replayed,
            SrtpError::NoRoom => Self::NoRoom,
            SrtpError::Streams => Self::Streams,
            SrtpError::KeyExhausted => Self::KeyExhausted,
        }
    }
}

/// The byte that is silence in an audio payload (RFC 3551 §4.5): of µ-law, A-law, G.722 and L16.
const fn silence(payload_type: u8) -> Option<u8> {
    match payload_type {
        0 => Some(0xff),
        8 => Some(0xd5),
        9 => Some(0xfa),
        10 | 11 => Some(0),
        _ => None,
    }
}
