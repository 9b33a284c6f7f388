//! `codec`: what becomes of the codecs of a description.

use core::fmt;

use super::word::Word;
use super::{Flags, FlagsError, Value};
use crate::wire::sdp::RtpMap;
use crate::wire::sip::token::decimal;

/// Most rules for codecs in one message.
pub const CODEC_RULES_MAX: usize = 64;

/// What is done to a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CodecOp {
    /// Taken out, as if it had never been there.
    Strip,
    /// Kept though others are stripped, and put first in this order.
    Offer,
    /// Kept though others are stripped.
    Except,
    /// Taken out towards the receiver, yet accepted of the sender.
    Mask,
    /// Accepted of the sender whatever the receiver says.
    Accept,
    /// Like mask, and transcoded.
    Consume,
    /// Added, and transcoded.
    Transcode,
    /// Options of a codec that is transcoded.
    Set,
    /// Left alone.
    Ignore,
}

const OPS: [(&[u8], CodecOp); 9] = [
    (b"strip", CodecOp::Strip),
    (b"offer", CodecOp::Offer),
    (b"except", CodecOp::Except),
    (b"mask", CodecOp::Mask),
    (b"accept", CodecOp::Accept),
    (b"consume", CodecOp::Consume),
    (b"transcode", CodecOp::Transcode),
    (b"set", CodecOp::Set),
    (b"ignore", CodecOp::Ignore),
];

impl CodecOp {
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        OPS.iter().find(|(n, _)| *n == name).map(|(_, op)| *op)
    }
}

/// Which codec a rule is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodecSpec<'a>(
    /// `<name>[/<clock rate>[/<channels>[/...]]]`, or a payload type.
    pub &'a [u8],
);

impl CodecSpec<'_> {
    /// Whether it means all codecs (`all`, or `full`, which also covers what `transcode` brings back).
    pub fn is_all(&self) -> bool {
        self.0.eq_ignore_ascii_case(b"all") || self.is_full()
    }

    /// Whether it is `full`.
    pub fn is_full(&self) -> bool {
        self.0.eq_ignore_ascii_case(b"full")
    }

    /// Whether it means this codec: by name, and by clock rate and channels where it gives them; or by payload type.
    pub fn matches(&self, codec: &RtpMap<'_>) -> bool {
        let mut parts = self.0.split(|&b| b == b'/');
        let name = parts.next().unwrap_or(&[]);
        if !codec.encoding.eq_ignore_ascii_case(name) {
            return self.matches_payload_type(codec.payload_type);
        }
        let same = |given: Option<&[u8]>, value: u32| match given {
            None | Some([]) => true,
            Some(text) => decimal(text) == Some(value),
        };
        let (rate, channels) = (parts.next(), parts.next());
        let wanted_channels = if rate.is_some() && channels.is_none() { 1 } else { u32::from(codec.channels) };
        same(rate, codec.clock_rate_hz)
            && same(channels, u32::from(codec.channels))
            && wanted_channels == u32::from(codec.channels)
    }

    /// Whether it is this payload type.
    pub fn matches_payload_type(&self, payload_type: u8) -> bool {
        decimal(self.0) == Some(u32::from(payload_type))
    }
}

impl fmt::Debug for CodecSpec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Word(self.0).fmt(f)
    }
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecRule<'a> {
    /// What is done.
    pub op: CodecOp,
    /// To which codec.
    pub codec: CodecSpec<'a>,
}

impl<'a> Flags<'a> {
    pub(super) fn codec(&mut self, op: CodecOp, text: &'a [u8]) -> Result<(), FlagsError> {
        let rule = CodecRule { op, codec: CodecSpec(text) };
        self.codecs.push(rule).map_err(|_| FlagsError::TooMany("codec"))
    }

    pub(super) fn codec_list<V: Value<'a>>(&mut self, op: CodecOp, value: V) -> Result<(), FlagsError> {
        let mut result = Ok(());
        value.each_text(|text| result = result.and_then(|()| self.codec(op, text)));
        result
    }
}
