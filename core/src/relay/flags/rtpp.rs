//! The one-string form (`rtpp_flags`): words between spaces, `key=value`, lists and dictionaries in brackets.

use super::word::normal;
use super::{Flags, FlagsError, Transport, Value};
use crate::wire::sdp::Protocol;

/// A string of flags, or a value in it.
#[derive(Clone, Copy, Debug)]
pub struct Rtpp<'a>(
    /// The text.
    pub &'a [u8],
);

/// What stands before and after the first `=` outside brackets.
fn key_value(word: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = word.iter().position(|b| matches!(b, b'=' | b'['))?;
    (word.get(at) == Some(&b'=')).then_some(())?;
    Some((word.get(..at)?, word.get(at + 1..)?))
}

/// Words between spaces; a bracket holds its word together until it is closed.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    core::iter::from_fn(move || {
        let start = rest.iter().position(|&b| b != b' ')?;
        let mut depth = 0usize;
        let end = rest
            .iter()
            .enumerate()
            .skip(start)
            .find(|(_, b)| {
                match b {
                    b'[' => depth += 1,
                    b']' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                **b == b' ' && depth == 0
            })
            .map_or(rest.len(), |(i, _)| i);
        let word = rest.get(start..end);
        rest = rest.get(end..).unwrap_or(&[]);
        word
    })
}

impl<'a> Rtpp<'a> {
    /// What is between the brackets; one that is not closed ends with the string.
    fn inside(self) -> Option<&'a [u8]> {
        let inner = self.0.strip_prefix(b"[")?;
        Some(inner.strip_suffix(b"]").unwrap_or(inner))
    }
}

impl<'a> Value<'a> for Rtpp<'a> {
    fn text(self) -> Option<&'a [u8]> {
        (!self.0.starts_with(b"[")).then_some(self.0)
    }

    fn integer(self) -> Option<i64> {
        None
    }

    fn each_item(self, mut f: impl FnMut(Self)) -> bool {
        self.inside().map(|inner| words(inner).for_each(|word| f(Self(word)))).is_some()
    }

    fn each_entry(self, mut f: impl FnMut(&'a [u8], Self)) -> bool {
        let entries = |inner| {
            words(inner).filter_map(key_value).for_each(|(key, value)| f(key, Self(value)));
        };
        self.inside().map(entries).is_some()
    }
}

/// A transport that is put together from words: `SRTP`, `AVPF`, `DTLS`.
#[derive(Clone, Copy, Default)]
struct Parts {
    named: bool,
    secure: bool,
    feedback: bool,
    dtls: bool,
}

impl Parts {
    /// Takes a word; whether it was one of a transport.
    fn take(&mut self, word: &[u8]) -> bool {
        match word {
            b"RTP" => self.secure = false,
            b"SRTP" => self.secure = true,
            b"AVP" => self.feedback = false,
            b"AVPF" => self.feedback = true,
            b"DTLS" => self.dtls = true,
            _ => match Protocol::parse(word).filter(|p| p.is_rtp()) {
                Some(p) => {
                    *self = Self { named: true, secure: p.is_secure(), feedback: p.has_feedback(), dtls: p.is_dtls() };
                }
                None => return false,
            },
        }
        self.named = true;
        true
    }

    const fn protocol(self) -> Protocol {
        match (self.dtls, self.secure, self.feedback) {
            (true, _, false) => Protocol::DtlsSavp,
            (true, _, true) => Protocol::DtlsSavpf,
            (false, true, false) => Protocol::Savp,
            (false, true, true) => Protocol::Savpf,
            (false, false, false) => Protocol::Avp,
            (false, false, true) => Protocol::Avpf,
        }
    }
}

impl<'a> Flags<'a> {
    /// Takes the one-string form.
    ///
    /// # Errors
    /// As [`Flags::read`].
    pub fn rtpp(&mut self, string: Rtpp<'a>) -> Result<(), FlagsError> {
        let mut transport = Parts::default();
        for word in words(string.0) {
            match key_value(word) {
                Some((key, value)) => self.rtpp_key(key, Rtpp(value))?,
                None if transport.take(word) => {}
                None if matches!(word, b"internal" | b"external") => self.next_direction(word),
                None => self.item(word)?,
            }
        }
        if transport.named {
            self.transport = Some(Transport::Protocol(transport.protocol()));
        }
        Ok(())
    }

    /// A key of the string, but those that hold another string: it would nest without end.
    fn rtpp_key(&mut self, key: &'a [u8], value: Rtpp<'a>) -> Result<(), FlagsError> {
        match normal(key).as_bytes() {
            b"rtpp-flags" | b"sdp" => {
                self.not_known(key);
                Ok(())
            }
            _ if value.0.is_empty() => self.item(key),
            _ => self.key(key, value),
        }
    }
}
