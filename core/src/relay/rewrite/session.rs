//! The lines above the first media description.

use super::Rewrite;
use super::attributes::Edit;
use super::media::{LOOP_ATTRIBUTE, is_dtls, is_extmap, is_ice, put_connection};
use super::plan::IcePlan;
use crate::relay::flags::{AttrSection, Flag, Word};
use crate::wire::sdp::session::{Origin, family};
use crate::wire::sdp::{Attribute, Line, Lines};
use crate::wire::sip::put::Put;

impl Rewrite<'_> {
    pub(super) fn session<P: Put>(&self, editor: &mut Edit<'_, '_, '_, P>) {
        let bytes = self.sdp.bytes();
        let end = self.sdp.session_end();
        for line in Lines::between(bytes, 0, end).filter_map(Result::ok) {
            match line.kind {
                b'o' => self.origin(&line, editor),
                b's' => {
                    if let Some(name) = self.plan.session_name {
                        editor.replace(line.value_start()..line.value_end()).put(name);
                    }
                }
                b'c' => self.session_connection(&line, editor),
                b'a' => self.session_attribute(&line, editor),
                _ => {}
            }
        }
        if self.plan.ice_lite {
            self.put_line(AttrSection::Session, self.end_of_section(end, editor), |t| t.put(b"ice-lite"));
        }
        if let Some(instance) = self.plan.loop_protect {
            self.put_line(AttrSection::Session, self.end_of_section(end, editor), |t| {
                t.put(LOOP_ATTRIBUTE);
                t.put(b":");
                t.put(instance);
            });
        }
        let there = |word: Word<'_>| self.sdp.attributes().any(|a| word.is(a.text));
        self.added_lines(AttrSection::Session, there, end, editor);
    }

    fn origin<P: Put>(&self, line: &Line, editor: &mut Edit<'_, '_, '_, P>) {
        let value = line.value(self.sdp.bytes());
        let Ok(origin) = Origin::parse(value) else { return };
        let plan = &self.plan.origin;
        let mut at = line.value_start();
        // The fields lie in the value in this order.
        let mut field = |text: &[u8]| {
            let from = at - line.value_start();
            let gap = value.get(from..).unwrap_or(&[]).iter().take_while(|&&b| b == b' ').count();
            let start = at + gap;
            at = start + text.len();
            start..at
        };
        let username = field(origin.username);
        let _session_id = field(origin.session_id);
        let version = field(origin.version);
        let _nettype = field(origin.nettype);
        let addrtype = field(origin.addrtype);
        let address = field(origin.address);
        if let Some(name) = plan.username {
            editor.replace(username).put(name);
        }
        if let Some(n) = plan.version {
            editor.replace(version).put_number(n);
        }
        if let Some(ip) = plan.address.map(|ip| self.written(ip)).filter(|_| self.flags.has(Flag::ReplaceOrigin)) {
            editor.replace(addrtype).put(family(ip).as_bytes());
            editor.replace(address).put_ip(ip);
        }
    }

    fn session_connection<P: Put>(&self, line: &Line, editor: &mut Edit<'_, '_, '_, P>) {
        if let Some(ip) = self.session_address() {
            let out = editor.replace(line.value_start()..line.value_end());
            put_connection(ip, out);
        }
    }

    /// What the session's `c=` is set to; `None` where it stays: no media description relies on it and nobody asked,
    /// or it says hold (0.0.0.0).
    pub(super) fn session_address(&self) -> Option<core::net::IpAddr> {
        let received = self.sdp.connection()?;
        if received.is_zero() && !self.flags.has(Flag::ReplaceZeroAddress) {
            return None;
        }
        let relied_on = self
            .sdp
            .media()
            .enumerate()
            .any(|(i, m)| m.connection().is_none() && self.media_plan(i).is_some_and(|p| self.moves(p)));
        let asked = self.flags.has(Flag::ReplaceSessionConnection);
        self.plan.connection.map(|ip| self.written(ip)).filter(|_| relied_on || asked)
    }

    fn session_attribute<P: Put>(&self, line: &Line, editor: &mut Edit<'_, '_, '_, P>) {
        let attribute = Attribute::parse(line.value(self.sdp.bytes()));
        let plans = || self.plan.media.iter().flatten();
        let gone = if is_ice(attribute.name) {
            plans().any(|p| matches!(p.ice, IcePlan::Remove | IcePlan::Replace { .. }))
        } else if is_dtls(attribute.name) {
            plans().any(|p| p.crypto.is_some())
        } else {
            is_extmap(attribute.name) && self.flags.has(Flag::StripExtmap)
        };
        if gone {
            editor.delete(line.start()..line.end());
        } else {
            self.keep_line(AttrSection::Session, line, editor);
        }
    }
}
