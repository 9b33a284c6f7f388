//! Items of a `flags` list.

use super::codec::CodecOp;
use super::flag::NAMES;
use super::word::normal;
use super::{All, Dtls, Flag, Flags, FlagsError, Ice, IceLite, Learning, Transport};
use crate::wire::sdp::Protocol;

impl<'a> Flags<'a> {
    /// Takes one item of a `flags` list, or one word of the one-string form that is not `key=value`.
    ///
    /// # Errors
    /// [`FlagsError::TooMany`].
    pub fn item(&mut self, item: &'a [u8]) -> Result<(), FlagsError> {
        let name = normal(item);
        if let (false, Some((_, flag))) =
            (name.overflowed(), NAMES.iter().find(|(n, _)| n.as_bytes() == name.as_bytes()))
        {
            self.set.insert(*flag);
            if *flag == Flag::MuxRequire {
                self.set.insert(Flag::MuxOffer);
            }
            return Ok(());
        }
        match name.as_bytes() {
            b"all" => self.all = All::All,
            b"always-transcode" => self.codec(CodecOp::Accept, b"all")?,
            b"generate-rtcp" => self.generate_rtcp = Some(true),
            b"record-call" => self.record_call = Some(true),
            b"pad-crypto" => self.sdes.pad = true,
            b"osrtp-accept" => {
                self.set.insert(Flag::OsrtpAcceptRfc);
                self.set.insert(Flag::OsrtpAcceptLegacy);
            }
            b"webrtc" => self.webrtc(),
            _ => return self.prefixed(item),
        }
        Ok(())
    }

    /// Items that say `key-value`.
    fn prefixed(&mut self, item: &'a [u8]) -> Result<(), FlagsError> {
        let after = |prefix: &str| match item.split_at_checked(prefix.len()) {
            Some((head, rest)) if normal(head).as_bytes() == prefix.as_bytes() => Some(rest),
            _ => None,
        };
        if let Some(rest) = after("sdes-") {
            self.sdes_item(rest);
        } else if let Some(rest) = after("endpoint-learning-") {
            self.learn(rest);
        } else if let Some(rest) = after("from-tags-") {
            self.from_tags.push(rest).map_err(|_| FlagsError::TooMany("from-tags"))?;
        } else if let Some(rest) = after("sdp-attr-") {
            self.attr_item(rest, item)?;
        } else if let Some(rest) = after("ice-") {
            self.ice_item(rest);
        } else if let Some(rest) = after("dtls-") {
            self.dtls = self.dtls_value(rest).or(self.dtls);
        } else if let Some(rest) = after("transcode-") {
            self.codec(CodecOp::Transcode, rest)?;
        } else if let Some(rest) = after("codec-") {
            let mut parts = rest.splitn(2, |&b| b == b'-');
            match (parts.next().and_then(|op| CodecOp::parse(normal(op).as_bytes())), parts.next()) {
                (Some(op), Some(codec)) => self.codec(op, codec)?,
                _ => self.not_known(item),
            }
        } else if after("t38-").or(after("t.38-")).is_some() {
            // Options of a fax gateway mean nothing without one.
        } else {
            self.not_known(item);
        }
        Ok(())
    }

    pub(super) fn learn(&mut self, value: &'a [u8]) {
        self.learning = Some(match normal(value).as_bytes() {
            b"off" => Learning::Off,
            b"immediate" => Learning::Immediate,
            b"delayed" => Learning::Delayed,
            b"heuristic" => Learning::Heuristic,
            _ => return self.not_known(value),
        });
    }

    pub(super) fn ice_item(&mut self, value: &'a [u8]) {
        match normal(value).as_bytes() {
            b"default" => self.ice = Ice::Default,
            b"remove" => self.ice = Ice::Remove,
            b"force" => self.ice = Ice::Force,
            b"force-relay" => self.ice = Ice::ForceRelay,
            b"optional" => self.ice = Ice::Optional,
            b"trickle" => self.set.insert(Flag::TrickleIce),
            b"no-lite" | b"lite-no" | b"lite-off" | b"lite-none" => self.ice_lite = Some(IceLite::Off),
            b"lite" | b"lite-forward" | b"lite-fwd" | b"lite-offer" => self.ice_lite = Some(IceLite::Forward),
            b"lite-backward" | b"lite-backwards" | b"lite-answer" => self.ice_lite = Some(IceLite::Backward),
            b"lite-both" => self.ice_lite = Some(IceLite::Both),
            _ => self.not_known(value),
        }
    }

    pub(super) fn dtls_value(&mut self, value: &'a [u8]) -> Option<Dtls> {
        match normal(value).as_bytes() {
            b"off" | b"no" | b"disable" | b"disabled" => Some(Dtls::Off),
            b"passive" => Some(Dtls::Passive),
            b"active" => Some(Dtls::Active),
            _ => {
                self.not_known(value);
                None
            }
        }
    }

    /// Everything that a browser wants.
    fn webrtc(&mut self) {
        self.transport = Some(Transport::Protocol(Protocol::DtlsSavpf));
        self.ice = Ice::Force;
        self.sdes.off = true;
        for flag in [Flag::TrickleIce, Flag::MuxOffer, Flag::MuxRequire, Flag::NoRtcpAttribute, Flag::GenerateMid] {
            self.set.insert(flag);
        }
    }
}
