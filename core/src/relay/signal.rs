//! Offers and answers (RFC 3264): what a session description that passes through changes, and how it goes on.

use core::net::IpAddr;

use super::action::Action;
use super::error::RelayError;
use super::flags::{Family, Flag, Flags};
use super::layer::{Relay, plane};
use super::lines::{Line, Lines};
use super::media::EndpointId;
use super::notice::Notice;
use super::party::MediaKind;
use super::rewrite::negotiate;
use super::rewrite::{Mode, OriginPlan, Plan, Rewrite};
use super::sides::Sides;
use crate::machine::Cx;
use crate::sink::Sink;
use crate::store::Key;
use crate::wire::sdp::{Media, Sdp};

/// An offer or an answer: the description, and what is asked for it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'q> {
    pub(super) mode: Mode,
    pub(super) sdp: &'q Sdp<'q>,
    pub(super) flags: &'q Flags<'q>,
}

impl Relay<'_> {
    /// Takes an offer, as the ng command does: the description in `flags` is that of the party with the From tag. Writes
    /// the one that goes on into `out_body` and gives its length.
    ///
    /// # Errors
    /// Whatever keeps the relay from carrying the call; a call that began with this offer is not there then.
    pub fn offer<S>(
        &mut self,
        cx: &mut Cx<'_>,
        flags: &Flags<'_>,
        out_body: &mut [u8],
        out: &mut S,
    ) -> Result<usize, RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.signal(cx, Mode::Offer, flags, out_body, out)
    }

    /// Takes an answer: the description in `flags` is that of the party with the To tag. Else as [`offer`](Self::offer).
    ///
    /// # Errors
    /// Whatever keeps the relay from carrying the call.
    pub fn answer<S>(
        &mut self,
        cx: &mut Cx<'_>,
        flags: &Flags<'_>,
        out_body: &mut [u8],
        out: &mut S,
    ) -> Result<usize, RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.signal(cx, Mode::Answer, flags, out_body, out)
    }

    pub(super) fn signal<S>(
        &mut self,
        cx: &mut Cx<'_>,
        mode: Mode,
        flags: &Flags<'_>,
        out_body: &mut [u8],
        out: &mut S,
    ) -> Result<usize, RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let body = flags.sdp.ok_or(RelayError::NoSdp)?;
        let call_id = flags.call_id.ok_or(RelayError::NoCallId)?;
        flags.from_tag.ok_or(RelayError::NoFromTag)?;
        if mode == Mode::Answer {
            flags.to_tag.ok_or(RelayError::NoToTag)?;
        }
        let sdp = Sdp::parse(body).map_err(|_| RelayError::MalformedSdp)?;
        if sdp.media().len() == 0 {
            return Err(RelayError::NoMedia);
        }
        let (call, fresh) = match self.calls.find(call_id) {
            Some(call) => (call, false),
            None if mode == Mode::Answer => return Err(RelayError::UnknownCall),
            None => {
                self.admits()?;
                (self.calls.create(call_id, cx.now)?, true)
            }
        };
        let result = self.signal_call(cx, call, &Asked { mode, sdp: &sdp, flags }, out_body, out);
        match result {
            Err(_) if fresh => self.forget(cx, call, out),
            Ok(_) if fresh => {
                self.totals.started += 1;
                out.emit(Action::Notice(Notice::Started { call_id }));
            }
            _ => {}
        }
        result
    }

    fn signal_call<S>(
        &mut self,
        cx: &mut Cx<'_>,
        call: Key,
        asked: &Asked<'_>,
        out_body: &mut [u8],
        out: &mut S,
    ) -> Result<usize, RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Asked { mode, flags, .. } = *asked;
        let sides = self.sides(cx.now, call, mode, flags)?;
        let result = self.signal_sides(cx, &sides, asked, out_body, out);
        if result.is_err() {
            self.part_again(cx, &sides, out);
            return result;
        }
        for (party, label) in [(sides.sender, flags.label.or(flags.set_label)), (sides.receiver, flags.to_label)] {
            if let Some(label) = label {
                self.calls.name(party, label, |party| &mut party.label)?;
            }
            self.calls.party_mut(party, |party| party.delete_at = None);
        }
        if let Some(metadata) = flags.metadata {
            self.calls.set_metadata(call, metadata);
        }
        self.calls.change(call, |call| {
            call.last_signal = cx.now;
            call.answered |= mode == Mode::Answer;
            call.delete_at = None;
            call.recording = flags.record_call.unwrap_or(call.recording);
        });
        self.drop_traffic(call, sides.sender, flags);
        self.apply_restrictions(call, out);
        self.review(cx, call, out);
        result
    }

    /// `drop-traffic` and `block DTMF` of an offer or an answer.
    fn drop_traffic(&mut self, call: Key, sender: Key, flags: &Flags<'_>) {
        if let Some(dropped) = flags.drop_traffic {
            self.calls.change(call, |call| call.restrictions.media_blocked = dropped);
        }
        if flags.has(Flag::BlockDtmf) {
            self.calls.party_mut(sender, |party| party.restrictions.dtmf_blocked = true);
        }
    }

    fn signal_sides<S>(
        &mut self,
        cx: &mut Cx<'_>,
        sides: &Sides,
        asked: &Asked<'_>,
        out_body: &mut [u8],
        out: &mut S,
    ) -> Result<usize, RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let mut lines = Lines::new();
        for (at, media) in asked.sdp.media().enumerate() {
            let line = self.line(cx, asked, sides, at, &media, out)?;
            // As many as the description has, which are at most as many as there is room for.
            let _ = lines.push(line);
        }
        self.part(sides);
        self.connect(sides.sender, sides.receiver);
        self.write(sides, asked, &lines, out_body)
    }

    /// Whoever else talked to one of the two is heard no more; early media of another branch must not mix in.
    fn part(&mut self, sides: &Sides) {
        for (own, other) in [(sides.sender, sides.receiver), (sides.receiver, sides.sender)] {
            let mut at = 0;
            while let Some(stream) = self.calls.stream_at(own, at) {
                let connected = self.endpoint_of(stream).and_then(|endpoint| self.media.connected(endpoint));
                if let Some(connected) = connected
                    && self.calls.stream_at(other, at).and_then(|stream| self.endpoint_of(stream)) != Some(connected)
                {
                    self.media.connect(connected, None);
                }
                at += 1;
            }
        }
    }

    pub(super) fn endpoint_of(&self, stream: Key) -> Option<EndpointId> {
        self.calls.stream(stream)?.endpoint
    }

    /// The stream of a party for its m-line, made if it is not there.
    pub(super) fn stream_for(&mut self, party: Key, at: usize, media: &Media<'_>) -> Result<Key, RelayError> {
        let kind = MediaKind::of(media.kind());
        match self.calls.stream_at(party, at) {
            Some(stream) => {
                self.calls.stream_mut(stream, |stream| stream.kind = kind);
                Ok(stream)
            }
            None => self.calls.add_stream(party, kind),
        }
    }

    /// Opens sockets for a stream, if it has none of that family, on the interface that faces its party. Where the
    /// interface has no address of the family, the other one has to do.
    pub(super) fn open<S>(
        &mut self,
        cx: &mut Cx<'_>,
        stream: Key,
        family: Option<Family>,
        out: &mut S,
    ) -> Result<EndpointId, RelayError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let own = self.calls.stream(stream).ok_or(RelayError::Full)?;
        let logical = self.calls.party(own.party).map_or(0, |party| party.interface);
        let open = own.endpoint.map(|endpoint| (endpoint, own.v6));
        let wanted = family.map(|family| family == Family::Ip6);
        if let Some((endpoint, v6)) = open
            && wanted.is_none_or(|wanted| wanted == v6 || self.config.members(logical, wanted).next().is_none())
        {
            return Ok(endpoint);
        }
        let wanted = wanted.unwrap_or(false);
        // Ports that have run out are no reason to face a party in a family that it may not have.
        let v6 = if self.config.members(logical, wanted).next().is_some() { wanted } else { !wanted };
        let mut failure = RelayError::NoInterface;
        for interface in self.config.members(logical, v6) {
            match self.media.open(cx, interface, false, &mut plane(&self.calls, out)) {
                Ok(endpoint) => {
                    let old = self.calls.set_endpoint(stream, Some(endpoint));
                    self.calls.stream_mut(stream, |stream| stream.v6 = v6);
                    if let Some(old) = old {
                        self.media.close(cx, old, &mut plane(&self.calls, out));
                    }
                    return Ok(endpoint);
                }
                Err(error) => failure = error.into(),
            }
        }
        Err(failure)
    }

    /// Writes the description that goes on.
    fn write(
        &mut self,
        sides: &Sides,
        asked: &Asked<'_>,
        lines: &Lines,
        out_body: &mut [u8],
    ) -> Result<usize, RelayError> {
        let Asked { mode, sdp, flags } = *asked;
        self.remember_names(sides.receiver, sdp, flags)?;
        let secrets = &self.secrets;
        let media: heapless::Vec<_, { crate::wire::sdp::MEDIA_MAX }> =
            lines.iter().map(|line| line.as_ref().map(|line| line.plan(secrets))).collect();
        let address = self.session_address(sides.receiver, lines, flags);
        let receiver = self.calls.party(sides.receiver);
        let text = |flag, text: Option<&_>| text.filter(|_| flags.has(flag)).map(|text| self.calls.bytes(Some(text)));
        let mut plan = Plan {
            mode,
            origin: OriginPlan {
                username: text(Flag::ReplaceUsername, receiver.and_then(|party| party.username.as_ref())),
                version: None,
                address,
            },
            session_name: text(Flag::ReplaceSessionName, receiver.and_then(|party| party.session_name.as_ref())),
            connection: address,
            media: &media,
            ..Plan::default()
        };
        let digest = Rewrite { sdp, flags, plan: &plan }.digest(&mut siphasher::sip::SipHasher13::new());
        let last = receiver.and_then(|party| party.version);
        plan.origin.version = version(sdp, flags, digest, last);
        let written = Rewrite { sdp, flags, plan: &plan }.write(out_body).map(<[u8]>::len);
        if let Some(version) = plan.origin.version {
            self.calls.party_mut(sides.receiver, |party| party.version = Some((version, digest)));
        }
        written.ok_or(RelayError::SdpTooLong)
    }

    /// The address for `o=` and the session's `c=`: that of the first stream that is not refused.
    fn session_address(&self, receiver: Key, lines: &Lines, flags: &Flags<'_>) -> Option<IpAddr> {
        let first = lines.iter().flatten().map(|line| line.address).next();
        let held = || {
            let endpoint = self.calls.streams_of(receiver).find_map(|(_, stream)| stream.endpoint)?;
            self.media.local(endpoint).map(|local| local.advertised)
        };
        let default = || {
            let logical = self.calls.party(receiver)?.interface;
            self.config.interfaces.get(usize::from(logical)).map(|interface| interface.advertised)
        };
        flags.media_address.or(first).or_else(held).or_else(default)
    }

    /// Keeps what is to stay the same in all descriptions that go to a party.
    fn remember_names(&mut self, party: Key, sdp: &Sdp<'_>, flags: &Flags<'_>) -> Result<(), RelayError> {
        let known = |of: fn(&super::party::Party) -> bool| self.calls.party(party).is_some_and(of);
        if flags.has(Flag::ReplaceUsername)
            && !known(|party| party.username.is_some())
            && let Some(origin) = sdp.origin()
        {
            self.calls.name(party, origin.username, |party| &mut party.username)?;
        }
        let known = |of: fn(&super::party::Party) -> bool| self.calls.party(party).is_some_and(of);
        if flags.has(Flag::ReplaceSessionName)
            && !known(|party| party.session_name.is_some())
            && let Some(name) = session_name(sdp)
        {
            self.calls.name(party, name, |party| &mut party.session_name)?;
        }
        Ok(())
    }
}

/// The version of `o=`, where the relay is asked to keep it: one more than before if the description has changed, or if
/// it is to grow in any case.
fn version(sdp: &Sdp<'_>, flags: &Flags<'_>, digest: u64, last: Option<(u64, u64)>) -> Option<u64> {
    let forced = flags.has(Flag::ForceIncrementSdpVersion);
    if !forced && !flags.has(Flag::ReplaceSdpVersion) {
        return None;
    }
    match last {
        Some((version, same)) if same == digest && !forced => Some(version),
        Some((version, _)) => Some(version.wrapping_add(1)),
        None => core::str::from_utf8(sdp.origin()?.version).ok()?.parse().ok(),
    }
}

fn session_name<'b>(sdp: &Sdp<'b>) -> Option<&'b [u8]> {
    let lines = crate::wire::sdp::Lines::between(sdp.bytes(), 0, sdp.session_end());
    let line = lines.filter_map(Result::ok).find(|line| line.kind == b's')?;
    Some(line.value(sdp.bytes()))
}

/// What a line of an offer or an answer has come to; none where it stays as it came.
pub(super) type Outcome = Result<Option<Line>, RelayError>;

/// The remote address of a media description, unless it is refused.
pub(super) fn remote_of(
    sdp: &Sdp<'_>,
    media: &Media<'_>,
    flags: &Flags<'_>,
) -> Result<Option<negotiate::Remote>, RelayError> {
    if media.port() == 0 {
        return Ok(None);
    }
    negotiate::remote(sdp, media, flags, false).map(Some).ok_or(RelayError::IncompleteSdp)
}
