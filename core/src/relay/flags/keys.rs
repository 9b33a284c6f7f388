//! Keys of a message's dictionary.

use core::net::IpAddr;

use super::codec::CodecOp;
use super::word::normal;
use super::{All, DtmfSecurity, Family, Flag, Flags, FlagsError, IceLite, MediaEcho, Rtpp, Tos, Transport, Value};
use crate::wire::sdp::Protocol;

fn ip(text: &[u8]) -> Option<IpAddr> {
    let text = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn yes_no(text: &[u8]) -> Option<bool> {
    match normal(text).as_bytes() {
        b"yes" | b"on" | b"enable" | b"enabled" => Some(true),
        b"no" | b"off" | b"disable" | b"disabled" => Some(false),
        _ => None,
    }
}

impl<'a> Flags<'a> {
    /// Takes one key of the dictionary.
    ///
    /// # Errors
    /// As [`Flags::read`].
    pub fn key<V: Value<'a>>(&mut self, key: &'a [u8], value: V) -> Result<(), FlagsError> {
        let name = normal(key);
        let name = if name.overflowed() { &[] } else { name.as_bytes() };
        if self.list_key(name, value)? || self.text_key(name, value) || self.number_key(name, value) {
            return Ok(());
        }
        match name {
            // What other parts of the message, or other commands, mean.
            b"command" | b"cookie" | b"delay-buffer" | b"xmlrpc-callback" | b"audio-player" | b"output-destination" => {
            }
            b"code" | b"digit" | b"duration" | b"pause" | b"volume" | b"trigger" | b"trigger-end" | b"end-trigger" => {}
            b"file" | b"blob" | b"db-id" | b"repeat-times" | b"start-pos" | b"recording-dir" | b"recording-file" => {}
            _ => self.not_known(key),
        }
        Ok(())
    }

    /// Keys whose value is a list or a dictionary, or may be one; whether it was one of them.
    fn list_key<V: Value<'a>>(&mut self, name: &[u8], value: V) -> Result<bool, FlagsError> {
        let mut result = Ok(());
        match name {
            b"flags" => value.each_text(|text| result = result.and_then(|()| self.item(text))),
            b"rtpp-flags" => {
                if let Some(text) = value.text() {
                    result = self.rtpp(Rtpp(text));
                }
            }
            b"replace" => self.items_after("replace-", value),
            b"rtcp-mux" => self.items_after("rtcp-mux-", value),
            b"osrtp" => self.items_after("osrtp-", value),
            b"t.38" | b"t38" => self.items_after("t38-", value),
            b"supports" => self.items_after("supports-", value),
            b"sdes" => value.each_text(|text| self.sdes_item(text)),
            b"ice" => value.each_text(|text| self.ice_item(text)),
            b"from-tags" => value.each_text(|text| {
                let pushed = self.from_tags.push(text).map_err(|_| FlagsError::TooMany("from-tags"));
                result = result.and(pushed);
            }),
            b"direction" => self.directions(value),
            b"received-from" => self.received_from(value),
            b"sdp-attr" => result = self.attr_dictionary(value),
            b"codec" | b"codecs" => {
                value.each_entry(|key, value| match CodecOp::parse(normal(key).as_bytes()) {
                    Some(op) => result = result.and_then(|()| self.codec_list(op, value)),
                    None => self.not_known(key),
                });
            }
            b"transcode" => result = self.codec_list(CodecOp::Transcode, value),
            name => match name.strip_prefix(b"codec-").and_then(CodecOp::parse) {
                Some(op) => result = self.codec_list(op, value),
                None => return Ok(false),
            },
        }
        result.map(|()| true)
    }

    /// Items of a list that are flags behind a prefix.
    fn items_after<V: Value<'a>>(&mut self, prefix: &str, value: V) {
        value.each_text(|text| {
            let item = normal(text);
            let found = super::flag::NAMES
                .iter()
                .find(|(n, _)| n.strip_prefix(prefix).is_some_and(|rest| rest.as_bytes() == item.as_bytes()));
            match (found, item.as_bytes()) {
                (Some((_, flag)), _) => {
                    self.set.insert(*flag);
                    if *flag == Flag::MuxRequire {
                        self.set.insert(Flag::MuxOffer);
                    }
                }
                (None, b"accept") if prefix == "osrtp-" => {
                    self.set.insert(Flag::OsrtpAcceptRfc);
                    self.set.insert(Flag::OsrtpAcceptLegacy);
                }
                (None, _) if prefix == "t38-" => {}
                (None, _) => self.not_known(text),
            }
        });
    }

    fn directions<V: Value<'a>>(&mut self, value: V) {
        let mut names = [None; 2];
        let mut at = 0;
        value.each_text(|text| {
            if let Some(slot) = names.get_mut(at) {
                *slot = Some(text);
            }
            at += 1;
        });
        match names {
            [Some(_), Some(_)] => self.direction = names,
            [Some(one), None] => self.next_direction(one),
            _ => {}
        }
    }

    /// One name of the one-string form: the first is the sender's side, the second the receiver's.
    pub(super) fn next_direction(&mut self, name: &'a [u8]) {
        match &mut self.direction {
            [slot @ None, _] | [_, slot @ None] => *slot = Some(name),
            _ => self.not_known(name),
        }
    }

    /// `[family, address]`, or the address alone.
    fn received_from<V: Value<'a>>(&mut self, value: V) {
        let mut last = None;
        value.each_text(|text| last = Some(text));
        if let Some(text) = last {
            self.received_from = self.ip(text);
        }
    }

    fn ip(&mut self, text: &'a [u8]) -> Option<IpAddr> {
        let ip = ip(text);
        if ip.is_none() {
            self.not_known(text);
        }
        ip
    }

    /// Keys whose value is a text; whether it was one of them.
    fn text_key<V: Value<'a>>(&mut self, name: &[u8], value: V) -> bool {
        let Some(text) = value.text() else { return false };
        let some = Some(text);
        match name {
            b"call-id" => self.call_id = some,
            b"from-tag" => self.from_tag = some,
            b"to-tag" => self.to_tag = some,
            b"via-branch" => self.via_branch = some,
            b"sdp" => self.sdp = some,
            b"label" | b"from-label" => self.label = some,
            b"to-label" => self.to_label = some,
            b"set-label" => self.set_label = some,
            b"metadata" => self.metadata = some,
            b"interface" => self.interface = some,
            b"from-interface" => self.direction[0] = some,
            b"to-interface" => self.direction[1] = some,
            b"dtls-fingerprint" => self.dtls_fingerprint = some,
            b"address" => self.address = self.ip(text),
            b"media-address" => self.media_address = self.ip(text),
            b"endpoint-learning" => self.learn(text),
            b"dtls" => self.dtls = self.dtls_value(text).or(self.dtls),
            b"dtls-reverse" => self.dtls_reverse = self.dtls_value(text).or(self.dtls_reverse),
            _ => return self.choice_key(name, text),
        }
        true
    }

    /// Keys whose value is one word of a few; whether it was one of them.
    fn choice_key(&mut self, name: &[u8], text: &'a [u8]) -> bool {
        let word = normal(text);
        let word = word.as_bytes();
        let mut known = true;
        match name {
            b"address-family" => match word {
                b"ip4" | b"ipv4" => self.address_family = Some(Family::Ip4),
                b"ip6" | b"ipv6" => self.address_family = Some(Family::Ip6),
                _ => known = false,
            },
            b"transport-protocol" => match (word, Protocol::parse(text)) {
                (b"accept", _) => self.transport = Some(Transport::Accept),
                (_, Some(p)) if p.is_rtp() => self.transport = Some(Transport::Protocol(p)),
                _ => known = false,
            },
            b"all" => match word {
                b"none" => self.all = All::None,
                b"all" => self.all = All::All,
                b"offer-answer" => self.all = All::OfferAnswer,
                b"except-offer-answer" | b"not-offer-answer" | b"non-offer-answer" => self.all = All::ExceptOfferAnswer,
                b"flows" => self.all = All::Flows,
                _ => known = false,
            },
            b"ice-lite" => match word {
                b"off" | b"none" | b"no" => self.ice_lite = Some(IceLite::Off),
                b"forward" | b"offer" => self.ice_lite = Some(IceLite::Forward),
                b"backward" | b"backwards" | b"reverse" | b"answer" => self.ice_lite = Some(IceLite::Backward),
                b"both" => self.ice_lite = Some(IceLite::Both),
                _ => known = false,
            },
            b"media-echo" => match word {
                b"blackhole" | b"sinkhole" => self.media_echo = Some(MediaEcho::Blackhole),
                b"forward" | b"fwd" => self.media_echo = Some(MediaEcho::Forward),
                b"backward" | b"backwards" => self.media_echo = Some(MediaEcho::Backwards),
                b"both" => self.media_echo = Some(MediaEcho::Both),
                _ => known = false,
            },
            b"dtmf-security" => match word {
                b"off" => self.dtmf_security = Some(DtmfSecurity::Off),
                b"drop" => self.dtmf_security = Some(DtmfSecurity::Drop),
                b"silence" | b"tone" | b"random" | b"zero" | b"dtmf" => {
                    self.dtmf_security = Some(DtmfSecurity::Replace);
                }
                _ => known = false,
            },
            b"drop-traffic" => match word {
                b"start" => self.drop_traffic = Some(true),
                b"stop" => self.drop_traffic = Some(false),
                _ => known = false,
            },
            b"record-call" => match yes_no(text) {
                Some(on) => self.record_call = Some(on),
                None => known = false,
            },
            b"generate-rtcp" => match yes_no(text) {
                Some(on) => self.generate_rtcp = Some(on),
                None => known = false,
            },
            _ => return false,
        }
        if !known {
            self.not_known(text);
        }
        true
    }

    /// Keys whose value is a number; whether it was one of them, and a number.
    fn number_key<V: Value<'a>>(&mut self, name: &[u8], value: V) -> bool {
        let Some(n) = value.number() else { return false };
        match name {
            b"tos" => {
                self.tos = match u8::try_from(n) {
                    Ok(tos) => Tos::Value(tos),
                    Err(_) if n < 0 => Tos::Unchanged,
                    Err(_) => Tos::Default,
                };
            }
            // Below zero: as if it were not there.
            b"delete-delay" => self.delete_delay_s = u32::try_from(n).ok(),
            b"limit" => self.limit = u32::try_from(n).ok(),
            b"ptime" => self.ptime_ms = u16::try_from(n).ok().filter(|n| *n > 0),
            b"ptime-reverse" => self.ptime_reverse_ms = u16::try_from(n).ok().filter(|n| *n > 0),
            _ => return false,
        }
        true
    }
}
