//! What a control message asks of an offer or an answer.
//!
//! The same wishes come in three forms: keys of the message's dictionary, items of its `flags` list, and one string
//! (`rtpp_flags`). [`Flags`] is what they mean, whatever the form. Names are compared without case, and a space, an underscore
//! and a hyphen are the same, since controllers write all three.
//!
//! Names: rtpengine's `ng_control_protocol.md`. What is not known is counted and named for the log ([`Flags::unknown`]), not
//! refused: the peer to equal does the same, and a controller may be newer than we are.

mod attr;
mod codec;
mod flag;
mod items;
mod keys;
mod rtpp;
mod sdes;
mod value;
mod word;

pub use attr::{ATTR_RULES_MAX, AttrOp, AttrRule, AttrSection};
pub use codec::{CODEC_RULES_MAX, CodecOp, CodecRule, CodecSpec};
pub use flag::{Flag, FlagSet};
pub use rtpp::Rtpp;
pub use sdes::{Sdes, SuiteOrder};
pub use value::Value;
pub use word::Word;

use core::fmt;
use core::net::IpAddr;

use crate::wire::sdp::Protocol;

/// Most `from-tags` in one message.
pub const TAGS_MAX: usize = 16;

/// Why a message's wishes cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum FlagsError {
    /// More items under a key than are kept.
    TooMany(&'static str),
}

impl fmt::Display for FlagsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany(key) => write!(f, "Too many values of '{key}'"),
        }
    }
}

impl core::error::Error for FlagsError {}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
}

impl Family {
    /// The family of an address.
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::Ip4,
            IpAddr::V6(_) => Self::Ip6,
        }
    }
}

/// `transport protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transport {
    /// This one is written and spoken.
    Protocol(Protocol),
    /// The answerer's choice goes on to the offerer.
    Accept,
}

/// `ICE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ice {
    /// ICE attributes are replaced by ours where there are some.
    #[default]
    Default,
    /// They are taken out.
    Remove,
    /// Ours stand there in any case.
    Force,
    /// We are a relay candidate beside theirs.
    ForceRelay,
    /// We are a candidate beside theirs, or the only one.
    Optional,
}

/// `ICE-lite`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum IceLite {
    /// Full ICE both ways.
    Off,
    /// Lite towards the receiver of the offer.
    Forward,
    /// Lite towards its sender.
    Backward,
    /// Lite both ways.
    Both,
}

/// `DTLS` and `DTLS-reverse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Dtls {
    /// DTLS is neither offered nor accepted.
    Off,
    /// We wait for the peer's handshake.
    Passive,
    /// We begin.
    Active,
}

/// `endpoint-learning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Learning {
    /// Changes count for three seconds, then the address is fixed.
    Delayed,
    /// The first packet fixes it.
    Immediate,
    /// The address of the description holds.
    Off,
    /// Like delayed, but addresses that fit the description win.
    Heuristic,
}

/// `all`: which flows a command of a call means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum All {
    /// Only what the message selects.
    #[default]
    None,
    /// All of the call.
    All,
    /// Those of offers and answers.
    OfferAnswer,
    /// All but those of offers and answers.
    ExceptOfferAnswer,
    /// Single flows.
    Flows,
}

/// `TOS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Tos {
    /// Back to the configured one: also where nothing was said.
    #[default]
    Default,
    /// As it was.
    Unchanged,
    /// This one.
    Value(u8),
}

/// `media echo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum MediaEcho {
    /// Media of both sides is discarded.
    Blackhole,
    /// Back to the receiver of this message.
    Forward,
    /// Back to its sender.
    Backwards,
    /// Back to both.
    Both,
}

/// `DTMF-security`: what becomes of DTMF events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DtmfSecurity {
    /// Passed on.
    Off,
    /// Dropped.
    Drop,
    /// Replaced by something that has to be coded: silence, tones or other events.
    Replace,
}

/// The wishes of one message. Texts are borrowed from it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Flags<'a> {
    /// What is either said or not.
    pub set: FlagSet,
    /// `call-id`.
    pub call_id: Option<&'a [u8]>,
    /// `from-tag`.
    pub from_tag: Option<&'a [u8]>,
    /// `to-tag`.
    pub to_tag: Option<&'a [u8]>,
    /// `from-tags`.
    pub from_tags: heapless::Vec<&'a [u8], TAGS_MAX>,
    /// `via-branch`.
    pub via_branch: Option<&'a [u8]>,
    /// `sdp`.
    pub sdp: Option<&'a [u8]>,
    /// `label` or `from-label`.
    pub label: Option<&'a [u8]>,
    /// `to-label`.
    pub to_label: Option<&'a [u8]>,
    /// `set-label`.
    pub set_label: Option<&'a [u8]>,
    /// `metadata`.
    pub metadata: Option<&'a [u8]>,
    /// `address`: selects a party of `block media` and its like.
    pub address: Option<IpAddr>,
    /// `all`.
    pub all: All,
    /// `direction`, `from-interface` and `to-interface`: names of the interfaces towards the sender and the receiver.
    pub direction: [Option<&'a [u8]>; 2],
    /// `interface`.
    pub interface: Option<&'a [u8]>,
    /// `address family`.
    pub address_family: Option<Family>,
    /// `media address`: written instead of every address of the relay.
    pub media_address: Option<IpAddr>,
    /// `received from`: the source of the SIP message.
    pub received_from: Option<IpAddr>,
    /// `transport protocol`.
    pub transport: Option<Transport>,
    /// `ICE`.
    pub ice: Ice,
    /// `ICE-lite`.
    pub ice_lite: Option<IceLite>,
    /// `DTLS`.
    pub dtls: Option<Dtls>,
    /// `DTLS-reverse`.
    pub dtls_reverse: Option<Dtls>,
    /// `DTLS-fingerprint`: name of a hash.
    pub dtls_fingerprint: Option<&'a [u8]>,
    /// `SDES`.
    pub sdes: Sdes,
    /// `codec`, in the order of the message.
    pub codecs: heapless::Vec<CodecRule<'a>, CODEC_RULES_MAX>,
    /// `sdp-attr`, in the order of the message.
    pub attrs: heapless::Vec<AttrRule<'a>, ATTR_RULES_MAX>,
    /// `endpoint-learning`.
    pub learning: Option<Learning>,
    /// `TOS`.
    pub tos: Tos,
    /// `delete delay`, in seconds.
    pub delete_delay_s: Option<u32>,
    /// `ptime`, in milliseconds.
    pub ptime_ms: Option<u16>,
    /// `ptime-reverse`, in milliseconds.
    pub ptime_reverse_ms: Option<u16>,
    /// `record call`.
    pub record_call: Option<bool>,
    /// `generate RTCP`.
    pub generate_rtcp: Option<bool>,
    /// `drop-traffic`: whether all RTP of the call is dropped from here on.
    pub drop_traffic: Option<bool>,
    /// `media echo`.
    pub media_echo: Option<MediaEcho>,
    /// `DTMF-security`.
    pub dtmf_security: Option<DtmfSecurity>,
    /// `limit` of `list`.
    pub limit: Option<u32>,
    /// Names and values that mean nothing to us: how many.
    pub unknown_count: u16,
    /// The first of them.
    pub unknown: Option<&'a [u8]>,
}

impl<'a> Flags<'a> {
    /// The wishes of a whole dictionary. Of a key that is there twice the last counts; lists add up.
    ///
    /// # Errors
    /// [`FlagsError::TooMany`] for lists longer than what is kept.
    pub fn read<V: Value<'a>>(dictionary: V) -> Result<Self, FlagsError> {
        let mut flags = Self::default();
        let mut result = Ok(());
        dictionary.each_entry(|key, value| {
            if result.is_ok() {
                result = flags.key(key, value);
            }
        });
        result.map(|()| flags)
    }

    /// Whether `flag` is set.
    pub const fn has(&self, flag: Flag) -> bool {
        self.set.has(flag)
    }

    /// Whether there is a rule of that kind for codecs.
    pub fn has_codec(&self, op: CodecOp) -> bool {
        self.codecs.iter().any(|rule| rule.op == op)
    }

    fn not_known(&mut self, text: &'a [u8]) {
        self.unknown_count = self.unknown_count.saturating_add(1);
        self.unknown.get_or_insert(text);
    }
}

#[cfg(test)]
mod tests;
