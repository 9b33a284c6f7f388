//! SRTP keys that session descriptions carry (RFC 4568): whose they are, and which are in use.
//!
//! Where both sides of a stream speak SRTP the relay offers the keys that it was offered, so that packets pass as they
//! are. Where that is not possible (one side is plain, or the answerer took a suite that the relay added) the relay
//! decrypts what comes and encrypts what goes, each side under keys of its own.

use crate::entropy::Entropy;
use crate::relay::flags::Sdes;
use crate::relay::rewrite::negotiate::{answer_crypto, choose, offer_cryptos};
use crate::wire::sdp::crypto::{CRYPTO_MAX, Crypto, MasterKey};

/// Lines of `a=crypto`.
pub type Cryptos = heapless::Vec<Crypto, CRYPTO_MAX>;

/// Keys of one stream, towards the party that it faces.
#[derive(Clone, Debug, Default)]
pub struct Secret {
    /// The lines the relay has offered to the party, or the one it has answered.
    pub(super) ours: Cryptos,
    /// The lines the party has offered, or the one it has answered.
    pub(super) theirs: Cryptos,
    /// The keys in use: the party's and the relay's.
    pub(super) active: Option<(Crypto, Crypto)>,
}

/// Keys for packets from a party, and for packets to it.
pub(super) type Pair = Option<(Crypto, Crypto)>;

impl Secret {
    /// The lines of an offer to the party, where `received` are those of the offerer. A key that was offered to the party
    /// before stays: a new offer is no reason to change keys.
    pub(super) fn offer(&mut self, received: &[Crypto], sdes: &Sdes, entropy: &mut dyn Entropy) {
        let mut lines = offer_cryptos(received, sdes, entropy);
        // What the relay cannot do itself it can only pass on.
        lines.retain(|line| line.suite.encrypts() || received.iter().any(|own| own.suite == line.suite));
        for line in &mut lines {
            let same = received.iter().find(|own| own.tag == line.tag && own.suite == line.suite);
            if same.is_some_and(|own| own.params == line.params) {
                continue;
            }
            // Under other parameters packets cannot pass as they are, and no key is used for two things.
            let before = self.ours.iter().find(|own| own.tag == line.tag && own.suite == line.suite);
            line.key = match before.filter(|own| same.is_none_or(|same| same.key != own.key)) {
                Some(own) => own.key.clone(),
                None => MasterKey::with(line.key.as_bytes().len(), |key| entropy.fill_secret(key)),
            };
            line.mki = None;
        }
        self.ours = lines;
    }

    /// The line of ours that the party has taken.
    fn taken(&self) -> Option<&Crypto> {
        let accepted = self.theirs.first()?;
        self.ours.iter().find(|own| own.tag == accepted.tag && own.suite == accepted.suite)
    }
}

/// What an answer settles: the answerer's secret and the offerer's, each of them if that side speaks SRTP. Gives the keys
/// that the relay has to work with on the answerer's side and on the offerer's; none where packets pass as they are.
pub(super) fn settle(
    answerer: Option<&Secret>,
    offerer: Option<&mut Secret>,
    sdes: &Sdes,
    entropy: &mut dyn Entropy,
) -> (Pair, Pair) {
    let taken = answerer.and_then(|secret| Some((secret.theirs.first()?.clone(), secret.taken()?.clone())));
    let Some(offerer) = offerer else { return (taken, None) };
    if let Some((theirs, ours)) = &taken {
        let passed = offerer.theirs.iter().any(|line| {
            line.tag == ours.tag && line.suite == ours.suite && line.key == ours.key && line.params == theirs.params
        });
        if passed {
            offerer.ours.clear();
            let lifetime = theirs.lifetime || sdes.lifetime;
            let _ = offerer.ours.push(Crypto { lifetime, ..theirs.clone() });
            return (None, None);
        }
    }
    let suite = taken.as_ref().map(|(theirs, _)| theirs.suite);
    let usable: Cryptos = offerer.theirs.iter().filter(|line| line.suite.encrypts()).cloned().collect();
    let same = usable.iter().find(|line| Some(line.suite) == suite);
    let Some(chosen) = same.or_else(|| choose(&usable, sdes)).cloned() else { return (taken, None) };
    let kept = offerer.active.take().map(|(_, ours)| ours);
    let kept = kept.filter(|ours| ours.tag == chosen.tag && ours.suite == chosen.suite && ours.params == chosen.params);
    // An answer has the session parameters of the line that it accepts (RFC 4568 §6.3).
    let ours = kept.unwrap_or_else(|| Crypto { params: chosen.params, ..answer_crypto(&chosen, sdes, entropy) });
    offerer.ours.clear();
    let _ = offerer.ours.push(ours.clone());
    (taken, Some((chosen, ours)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use crate::wire::sdp::crypto::{SessionParams, Suite};

    fn line(tag: u32, suite: Suite, fill: u8) -> Crypto {
        let key = MasterKey::with(suite.key_len() + suite.salt_len(), |key| key.fill(fill));
        Crypto { tag, suite, key, lifetime: false, mki: None, params: SessionParams::default() }
    }

    fn lines(list: &[Crypto]) -> Cryptos {
        list.iter().cloned().collect()
    }

    const SUITE: Suite = Suite::AesCm128HmacSha1_80;

    #[test]
    fn keys_pass_where_the_answerer_takes_an_offered_one() {
        let (mut entropy, sdes) = (SeededEntropy::new(1), Sdes::default());
        let mut offerer = Secret { theirs: lines(&[line(4, SUITE, 1)]), ..Secret::default() };
        let mut answerer = Secret::default();
        answerer.offer(&offerer.theirs, &sdes, &mut entropy);
        assert_eq!(answerer.ours[0], line(4, SUITE, 1));
        assert!(answerer.ours.len() > 1, "other suites are offered, too");
        answerer.theirs = lines(&[line(4, SUITE, 2)]);
        assert_eq!(settle(Some(&answerer), Some(&mut offerer), &sdes, &mut entropy), (None, None));
        assert_eq!(offerer.ours[..], [line(4, SUITE, 2)]);
    }

    #[test]
    fn keys_are_our_own_where_the_answerer_takes_one_of_ours() {
        let (mut entropy, sdes) = (SeededEntropy::new(1), Sdes::default());
        let mut offerer = Secret { theirs: lines(&[line(4, SUITE, 1)]), ..Secret::default() };
        let mut answerer = Secret::default();
        answerer.offer(&offerer.theirs, &sdes, &mut entropy);
        let added = answerer.ours.iter().find(|own| own.suite == Suite::AeadAes128Gcm).unwrap().clone();
        let accepted = line(added.tag, added.suite, 2);
        answerer.theirs = lines(core::slice::from_ref(&accepted));
        let (b, a) = settle(Some(&answerer), Some(&mut offerer), &sdes, &mut entropy);
        assert_eq!(b, Some((accepted, added)));
        let (theirs, ours) = a.clone().unwrap();
        assert_eq!((theirs, ours.tag, ours.suite), (line(4, SUITE, 1), 4, SUITE));
        assert_eq!(offerer.ours[..], *core::slice::from_ref(&ours));
        // The same answer again changes no key.
        offerer.active = a.clone();
        assert_eq!(settle(Some(&answerer), Some(&mut offerer), &sdes, &mut entropy).1, a);
    }

    #[test]
    fn one_plain_side_leaves_the_other_under_our_keys() {
        let (mut entropy, sdes) = (SeededEntropy::new(1), Sdes::default());
        let mut offerer = Secret { theirs: lines(&[line(4, SUITE, 1)]), ..Secret::default() };
        let (b, a) = settle(None, Some(&mut offerer), &sdes, &mut entropy);
        assert!(b.is_none() && a.is_some());
        let mut answerer = Secret::default();
        answerer.offer(&[], &sdes, &mut entropy);
        answerer.theirs = lines(&[line(answerer.ours[0].tag, answerer.ours[0].suite, 3)]);
        let (b, a) = settle(Some(&answerer), None, &sdes, &mut entropy);
        assert!(b.is_some() && a.is_none());
        // An answer to what was never offered is none.
        answerer.theirs = lines(&[line(99, SUITE, 3)]);
        assert_eq!(settle(Some(&answerer), None, &sdes, &mut entropy), (None, None));
    }

    #[test]
    fn a_key_whose_parameters_are_changed_does_not_pass() {
        let mut entropy = SeededEntropy::new(1);
        let sdes = Sdes { unencrypted_srtcp: Some(true), ..Sdes::default() };
        let mut answerer = Secret::default();
        answerer.offer(&[line(4, SUITE, 1)], &sdes, &mut entropy);
        assert_eq!((answerer.ours[0].tag, answerer.ours[0].params.unencrypted_srtcp), (4, true));
        assert_ne!(answerer.ours[0].key, line(4, SUITE, 1).key);
    }

    #[test]
    fn a_new_offer_keeps_our_keys() {
        let (mut entropy, sdes) = (SeededEntropy::new(1), Sdes::default());
        let mut secret = Secret::default();
        secret.offer(&[], &sdes, &mut entropy);
        let before = secret.ours.clone();
        secret.offer(&[], &sdes, &mut entropy);
        assert_eq!(secret.ours, before);
    }
}
