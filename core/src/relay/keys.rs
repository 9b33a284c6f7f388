//! The SRTP keys of the streams on both sides of a media description.

use super::error::RelayError;
use super::layer::Relay;
use super::lines::Pairing;
use super::media::{Direction, EndpointId};
use super::rewrite::{Mode, negotiate};
use super::secret::{self, Pair, Secret};
use super::signal::Asked;
use super::srtp;
use crate::machine::Cx;
use crate::store::Key;
use crate::wire::sdp::crypto::Crypto;
use crate::wire::sdp::{Media, Protocol};

impl Relay<'_> {
    /// Settles the keys of both sides. Gives those whose lines are written.
    pub(super) fn keys(
        &mut self,
        cx: &mut Cx<'_>,
        asked: &Asked<'_>,
        streams: Pairing,
        media: &Media<'_>,
        protocol: Option<Protocol>,
    ) -> Result<Option<Key>, RelayError> {
        let Asked { mode, flags, .. } = *asked;
        let sdes = |protocol: Option<Protocol>| protocol.is_some_and(|p| p.is_secure() && !p.is_dtls());
        let received = if sdes(media.protocol()) { negotiate::cryptos(media) } else { secret::Cryptos::new() };
        let theirs = self.secret_of(streams.sender, !received.is_empty())?;
        if let Some(own) = theirs.and_then(|key| self.secrets.get_mut(key)) {
            own.theirs = received.clone();
        }
        let wanted = sdes(protocol) && !flags.sdes.off;
        if mode == Mode::Offer {
            let ours = self.secret_of(streams.receiver, wanted)?;
            if let Some(own) = ours.and_then(|key| self.secrets.get_mut(key)) {
                own.offer(&received, &flags.sdes, cx.entropy);
            }
            return Ok(ours);
        }
        let ours = self.calls.stream(streams.receiver).and_then(|stream| stream.secret).filter(|_| sdes(protocol));
        let answerer = theirs.and_then(|key| self.secrets.get(key)).cloned();
        let offerer = ours.and_then(|key| self.secrets.get_mut(key));
        let (of_sender, of_receiver) = secret::settle(answerer.as_ref(), offerer, &flags.sdes, cx.entropy);
        self.secure(streams.sender, of_sender)?;
        self.secure(streams.receiver, of_receiver)?;
        Ok(ours)
    }

    /// The secret of a stream: made if it is wanted, let go if it is not.
    fn secret_of(&mut self, stream: Key, wanted: bool) -> Result<Option<Key>, RelayError> {
        let own = self.calls.stream(stream).and_then(|stream| stream.secret);
        let new = match (own, wanted) {
            (Some(own), true) => Some(own),
            (None, true) => Some(self.secrets.insert(Secret::default()).map_err(super::calls::full)?),
            (Some(own), false) => {
                self.secrets.remove(own);
                None
            }
            (None, false) => None,
        };
        self.calls.stream_mut(stream, |stream| stream.secret = new);
        Ok(new)
    }

    /// Gives the packet plane the keys of a stream, if they are others than it has.
    fn secure(&mut self, stream: Key, pair: Pair) -> Result<(), RelayError> {
        let Some(own) = self.calls.stream(stream) else { return Ok(()) };
        let (endpoint, key) = (own.endpoint, own.secret);
        let suite = pair.as_ref().map(|(theirs, _)| theirs.suite);
        self.calls.stream_mut(stream, |stream| stream.suite = suite);
        let active = key.and_then(|key| self.secrets.get_mut(key)).map(|secret| &mut secret.active);
        let same = active.is_some_and(|active| core::mem::replace(active, pair.clone()) == pair && pair.is_some());
        match endpoint {
            Some(endpoint) if !same => self.set_keys(endpoint, pair),
            _ => Ok(()),
        }
    }

    fn set_keys(&mut self, endpoint: EndpointId, pair: Pair) -> Result<(), RelayError> {
        let (inbound, outbound) = match pair {
            Some((theirs, ours)) => (Some(session(&theirs)?), Some(session(&ours)?)),
            None => (None, None),
        };
        self.media.secure(endpoint, Direction::Inbound, inbound)?;
        self.media.secure(endpoint, Direction::Outbound, outbound)?;
        Ok(())
    }
}

/// An SRTP session under the key of `line`.
fn session(line: &Crypto) -> Result<srtp::Session, RelayError> {
    let suite = srtp::Suite::from_name(line.suite.as_str().as_bytes()).ok_or(RelayError::Crypto)?;
    let key = srtp::MasterKey::new(suite, line.key.as_bytes()).map_err(|_| RelayError::Crypto)?;
    let mki = match line.mki {
        Some(mki) => Some(srtp::Mki::new(mki.value.into(), mki.len.into()).ok_or(RelayError::Crypto)?),
        None => None,
    };
    let params = srtp::Params {
        encrypt_rtp: !line.params.unencrypted_srtp,
        encrypt_rtcp: !line.params.unencrypted_srtcp,
        authenticate_rtp: !line.params.unauthenticated_srtp,
        mki,
    };
    srtp::Session::new(&key, params).map_err(|_| RelayError::Crypto)
}
