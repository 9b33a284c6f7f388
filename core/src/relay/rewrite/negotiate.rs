//! Decisions of an offer or an answer that depend on nothing but the description and the wishes.

use core::net::SocketAddr;

use super::media::LOOP_ATTRIBUTE;
use super::plan::Mode;
use crate::entropy::Entropy;
use crate::relay::flags::{Family, Flag, Flags, Sdes, Transport};
use crate::wire::sdp::attribute::RtcpAddress;
use crate::wire::sdp::crypto::{CRYPTO_MAX, Crypto, MasterKey, SessionParams, Suite};
use crate::wire::sdp::{Direction, Media, Protocol, Sdp};

/// Where a party says that it takes media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Remote {
    /// RTP. The address is unspecified where the party holds the old way.
    pub rtp: SocketAddr,
    /// RTCP; the same as RTP where both share a port.
    pub rtcp: SocketAddr,
}

/// Where the sender of a description takes the media of `media`: where the description says, or, if the message (or with
/// `sip_source` the configuration) does not trust it, where the SIP message came from. `None` where no address is known: a name,
/// no `c=` at all, or a source that was not given.
pub fn remote(sdp: &Sdp<'_>, media: &Media<'_>, flags: &Flags<'_>, sip_source: bool) -> Option<Remote> {
    let distrusted = flags.has(Flag::SipSourceAddress) || (sip_source && !flags.has(Flag::TrustAddress));
    let ip = match sdp.connection_of(media).and_then(|c| c.ip) {
        // Hold is hold, wherever the message came from.
        Some(said) if said.is_unspecified() || !distrusted => said,
        _ if distrusted => flags.received_from?,
        _ => return None,
    };
    let port = media.port();
    let rtp = SocketAddr::new(ip, port);
    if media.attribute(b"rtcp-mux").is_some() {
        return Some(Remote { rtp, rtcp: rtp });
    }
    let rtcp = media.attribute(b"rtcp").and_then(|a| RtcpAddress::parse(a.value()));
    let rtcp = match rtcp {
        Some(RtcpAddress { port, ip: own }) => SocketAddr::new(own.filter(|_| !distrusted).unwrap_or(ip), port),
        None => SocketAddr::new(ip, port.saturating_add(1)),
    };
    Some(Remote { rtp, rtcp })
}

/// Whether a description carries the mark of `instance` (`loop protect`).
pub fn is_looped(sdp: &Sdp<'_>, instance: &[u8]) -> bool {
    sdp.attributes().any(|a| a.is(LOOP_ATTRIBUTE) && a.value() == instance)
}

/// The protocol that goes out. In an answer the offerer gets the one it offered, unless the message says otherwise.
pub fn protocol(mode: Mode, received: Protocol, offered: Option<Protocol>, flags: &Flags<'_>) -> Protocol {
    match (flags.transport, mode) {
        (Some(Transport::Protocol(p)), _) => p,
        (Some(Transport::Accept), _) | (None, Mode::Offer) => received,
        (None, Mode::Answer) => offered.unwrap_or(received),
    }
}

/// The direction that goes out; `None` where the received one stays untouched. A party that holds by the address 0.0.0.0
/// receives nothing (RFC 3264 §8.4).
pub fn direction(sdp: &Sdp<'_>, media: &Media<'_>, flags: &Flags<'_>) -> Option<Direction> {
    if flags.has(Flag::OriginalSendrecv) {
        return None;
    }
    let said = sdp.direction_of(media);
    let held = sdp.connection_of(media).is_some_and(|c| c.is_zero());
    Some(if held { Direction::new(said.sends(), false) } else { said })
}

/// Whether RTP and RTCP share a port (RFC 5761), as decided when the offer passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mux {
    /// It is offered on.
    pub offered: bool,
    /// It is offered as if agreed on: RTCP gets no port of its own.
    pub required: bool,
    /// What the offerer hears.
    pub back: MuxBack,
}

/// What an offerer hears about a shared port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MuxBack {
    /// No.
    #[default]
    No,
    /// Yes, whatever the answerer says.
    Yes,
    /// What the answerer says.
    Follow,
}

impl MuxBack {
    /// What the offerer hears when the answerer says `accepted`.
    pub const fn answer(self, accepted: bool) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::Follow => accepted,
        }
    }
}

/// What becomes of `a=rtcp-mux` of an offer.
pub const fn rtcp_mux(received: bool, flags: &Flags<'_>) -> Mux {
    let (demux, accept, reject) = (flags.has(Flag::MuxDemux), flags.has(Flag::MuxAccept), flags.has(Flag::MuxReject));
    let back = match (received, demux || accept, reject) {
        (false, ..) | (true, _, true) => MuxBack::No,
        (true, true, false) => MuxBack::Yes,
        (true, false, false) => MuxBack::Follow,
    };
    let passed = received && !demux;
    Mux {
        offered: passed || flags.has(Flag::MuxOffer) || flags.has(Flag::MuxRequire),
        required: flags.has(Flag::MuxRequire),
        back,
    }
}

/// The `a=crypto` lines of a media description that can be used, in order.
pub fn cryptos(media: &Media<'_>) -> heapless::Vec<Crypto, CRYPTO_MAX> {
    media.attributes().filter(|a| a.is(b"crypto")).filter_map(|a| Crypto::parse(a.value())).take(CRYPTO_MAX).collect()
}

/// The line of an offer that is accepted: the first that the wishes prefer, or else the first.
pub fn choose<'c>(offered: &'c [Crypto], sdes: &Sdes) -> Option<&'c Crypto> {
    let usable =
        || offered.iter().filter(|c| allowed(c.suite, sdes) || !offered.iter().any(|c| allowed(c.suite, sdes)));
    sdes.offerer_pref.iter().find_map(|s| usable().find(|c| c.suite == *s)).or_else(|| usable().next())
}

const fn allowed(suite: Suite, sdes: &Sdes) -> bool {
    if sdes.only.is_empty() { !sdes.no.has(suite) } else { sdes.only.has(suite) }
}

/// Session parameters that go out: those received, as the wishes change them.
pub fn session_params(received: SessionParams, sdes: &Sdes) -> SessionParams {
    SessionParams {
        unencrypted_srtp: sdes.unencrypted_srtp.unwrap_or(received.unencrypted_srtp),
        unencrypted_srtcp: sdes.unencrypted_srtcp.unwrap_or(received.unencrypted_srtcp),
        unauthenticated_srtp: sdes.unauthenticated_srtp.unwrap_or(received.unauthenticated_srtp),
    }
}

/// The lines that are offered: those received, with their tags and keys, so that SRTP can pass as it is where one of them is
/// accepted; then, with new keys, all other suites that encrypt. Suites without encryption are offered only where they were
/// received or asked for by name.
pub fn offer_cryptos(received: &[Crypto], sdes: &Sdes, entropy: &mut dyn Entropy) -> heapless::Vec<Crypto, CRYPTO_MAX> {
    let mut lines = heapless::Vec::<Crypto, CRYPTO_MAX>::new();
    for line in received.iter().filter(|c| sdes.no_new || allowed(c.suite, sdes)) {
        let lifetime = sdes.lifetime;
        let params = session_params(line.params, sdes);
        let _ = lines.push(Crypto { lifetime, params, ..line.clone() });
    }
    let mut tag = received.iter().map(|c| c.tag).max().unwrap_or(0);
    let new = |s: &Suite| !sdes.no_new && allowed(*s, sdes) && (s.encrypts() || sdes.only.has(*s));
    for suite in Suite::all().filter(new) {
        if lines.iter().any(|c| c.suite == suite) {
            continue;
        }
        tag = tag.wrapping_add(1);
        let params = session_params(SessionParams::default(), sdes);
        let key = new_key(suite, entropy);
        // What does not fit is offered least.
        let _ = lines.push(Crypto { tag, suite, key, lifetime: sdes.lifetime, mki: None, params });
    }
    let place = |c: &Crypto| sdes.order.iter().position(|s| *s == c.suite).unwrap_or(usize::MAX);
    // Stable, and of few.
    for i in 1..lines.len() {
        let mut at = i;
        while at > 0 && place(&lines[at - 1]) > place(&lines[at]) {
            lines.swap(at - 1, at);
            at -= 1;
        }
    }
    lines
}

/// The line that answers `chosen`, with a new key.
pub fn answer_crypto(chosen: &Crypto, sdes: &Sdes, entropy: &mut dyn Entropy) -> Crypto {
    Crypto {
        tag: chosen.tag,
        suite: chosen.suite,
        key: new_key(chosen.suite, entropy),
        lifetime: sdes.lifetime,
        mki: None,
        params: session_params(chosen.params, sdes),
    }
}

fn new_key(suite: Suite, entropy: &mut dyn Entropy) -> MasterKey {
    MasterKey::with(suite.key_len() + suite.salt_len(), |bytes| entropy.fill_secret(bytes))
}

/// The family that is wanted: that of the message, or else that of the description.
pub fn family(sdp: &Sdp<'_>, flags: &Flags<'_>) -> Option<Family> {
    flags.address_family.or_else(|| {
        let connection = sdp.connection().or_else(|| sdp.media().find_map(|m| m.connection()))?;
        connection.ip.map(Family::of)
    })
}
