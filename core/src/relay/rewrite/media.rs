//! One media description.

use core::net::IpAddr;

use super::Rewrite;
use super::attributes::{Edit, put_candidate};
use super::codecs::{Codecs, format_of};
use super::plan::{IcePlan, MediaPlan, Mode};
use crate::relay::flags::{AttrSection, Flag, Ice, Word};
use crate::wire::sdp::session::family;
use crate::wire::sdp::{Attribute, Line, Media};
use crate::wire::sip::put::Put;

/// Marks a description that a relay wrote; the value says which.
pub(super) const LOOP_ATTRIBUTE: &[u8] = b"rtpengine";

/// Whether an attribute belongs to ICE (RFC 8839 §5).
pub(super) const fn is_ice(name: &[u8]) -> bool {
    matches!(
        name,
        b"candidate"
            | b"remote-candidates"
            | b"end-of-candidates"
            | b"ice-lite"
            | b"ice-mismatch"
            | b"ice-options"
            | b"ice-pacing"
            | b"ice-pwd"
            | b"ice-ufrag"
    )
}

/// Whether an attribute belongs to keying by DTLS (RFC 8842).
pub(super) const fn is_dtls(name: &[u8]) -> bool {
    matches!(name, b"fingerprint" | b"setup" | b"tls-id" | b"dtls-id")
}

/// Whether an attribute is about header extensions (RFC 8285).
pub(super) const fn is_extmap(name: &[u8]) -> bool {
    matches!(name, b"extmap" | b"extmap-allow-mixed")
}

/// Writes the value of a `c=` line.
pub(super) fn put_connection(ip: IpAddr, out: &mut (impl Put + ?Sized)) {
    out.put(b"IN ");
    out.put(family(ip).as_bytes());
    out.put(b" ");
    out.put_ip(ip);
}

/// What became of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    Goes,
    /// Ours stands in its place.
    Replaced,
}

/// What has been written of one media description.
#[derive(Default)]
struct Written {
    connection: bool,
    direction: bool,
    rtcp: bool,
    rtcp_mux: bool,
    mid: bool,
    ptime: bool,
}

struct Section<'s, 'r> {
    rewrite: &'s Rewrite<'r>,
    plan: &'s MediaPlan<'r>,
    media: &'s Media<'r>,
    section: AttrSection,
    codecs: Option<Codecs>,
    address: IpAddr,
    moves: bool,
    written: Written,
}

impl<'r> Rewrite<'r> {
    pub(super) fn media_plan(&self, index: usize) -> Option<&'r MediaPlan<'r>> {
        self.plan.media.get(index)?.as_ref()
    }

    pub(super) fn media<P: Put>(&self, index: usize, media: &Media<'r>, editor: &mut Edit<'_, '_, '_, P>) {
        let section = AttrSection::of_media(media.kind());
        match self.media_plan(index) {
            Some(plan) => {
                let codecs = Codecs::select(media, self.flags, self.plan.mode);
                let (address, moves) = (self.written(plan.address), self.moves(plan));
                let written = Written::default();
                Section { rewrite: self, plan, media, section, codecs, address, moves, written }.run(index, editor);
            }
            None => self.unplanned(section, media, editor),
        }
        let there = |word: Word<'_>| media.attributes().any(|a| word.is(a.text));
        self.added_lines(section, there, media.end(), editor);
    }

    /// Whether the address of a media description changes: not where the relay is one more candidate of ICE.
    pub(super) fn moves(&self, plan: &MediaPlan<'_>) -> bool {
        !(self.flags.ice == Ice::ForceRelay && matches!(plan.ice, IcePlan::Add { .. }))
    }

    /// A media description that nothing was decided about keeps the connection that held for it.
    fn unplanned<P: Put>(&self, section: AttrSection, media: &Media<'r>, editor: &mut Edit<'_, '_, '_, P>) {
        let relies = media.connection().is_none() && media.port() != 0;
        let address = self.session_address().filter(|_| relies);
        let mut held = self.sdp.connection().filter(|c| address.is_some_and(|ip| c.ip != Some(ip)));
        for line in media.lines() {
            if !matches!(line.kind, b'm' | b'i')
                && let Some(connection) = held.take()
            {
                self.put_held(&connection, editor.insert(line.start()));
            }
            if line.kind == b'a' {
                self.keep_line(section, &line, editor);
            }
        }
        if let Some(connection) = held {
            self.put_held(&connection, self.end_of_section(media.end(), editor));
        }
    }

    fn put_held(&self, connection: &crate::wire::sdp::Connection<'_>, out: &mut impl Put) {
        out.put(b"c=IN ");
        out.put(connection.ip.map_or("IP4", family).as_bytes());
        out.put(b" ");
        out.put(connection.text);
        out.put(self.line_end());
    }
}

impl Section<'_, '_> {
    fn run<P: Put>(mut self, index: usize, editor: &mut Edit<'_, '_, '_, P>) {
        for line in self.media.lines() {
            match line.kind {
                b'm' => self.m_line(editor),
                b'i' => {}
                b'c' => self.connection(&line, editor),
                kind => {
                    if !self.written.connection && self.wants_connection() {
                        self.put_connection(editor.insert(line.start()));
                    }
                    if kind == b'a' {
                        self.attribute(&line, editor);
                    }
                }
            }
        }
        if !self.written.connection && self.wants_connection() {
            let out = self.rewrite.end_of_section(self.media.end(), editor);
            self.put_connection(out);
        }
        self.rest(index, editor);
    }

    fn m_line<P: Put>(&self, editor: &mut Edit<'_, '_, '_, P>) {
        let (media, plan) = (self.media, self.plan);
        // A number of ports behind a slash stays.
        let ports = media.ports_at();
        let bytes = self.rewrite.sdp.bytes();
        let digits = bytes.get(ports.clone()).unwrap_or(&[]).iter().take_while(|b| b.is_ascii_digit()).count();
        if media.port() != plan.rtp_port && self.moves {
            editor.replace(ports.start..ports.start + digits).put_number(u64::from(plan.rtp_port));
        }
        if let Some(protocol) = plan.protocol.filter(|p| media.protocol() != Some(*p)) {
            editor.replace(media.protocol_at()).put(protocol.as_str().as_bytes());
        }
        if let Some(codecs) = &self.codecs {
            let out = editor.replace(media.formats_at());
            for (i, payload_type) in codecs.payload_types().iter().enumerate() {
                if i > 0 {
                    out.put(b" ");
                }
                out.put_number(u64::from(*payload_type));
            }
        }
    }

    /// Whether the connection stays: it says hold, and should go on saying so, or nothing moves.
    fn stays(&self) -> bool {
        let rewrite = self.rewrite;
        let zero = rewrite.sdp.connection_of(self.media).is_some_and(|c| c.is_zero());
        (zero && !rewrite.flags.has(Flag::ReplaceZeroAddress)) || !self.moves
    }

    /// Whether a media description without a `c=` needs one: the session's will say something else, or nothing.
    fn wants_connection(&self) -> bool {
        let sdp = self.rewrite.sdp;
        let session = || self.rewrite.session_address().or_else(|| sdp.connection()?.ip);
        self.media.connection().is_none() && !self.stays() && session() != Some(self.address)
    }

    fn put_connection(&mut self, out: &mut impl Put) {
        self.written.connection = true;
        out.put(b"c=");
        put_connection(self.address, out);
        out.put(self.rewrite.line_end());
    }

    fn connection<P: Put>(&mut self, line: &Line, editor: &mut Edit<'_, '_, '_, P>) {
        if self.written.connection {
            // More than one is multicast in layers: the relay has one address.
            editor.delete(line.start()..line.end());
        } else {
            self.written.connection = true;
            if !self.stays() {
                put_connection(self.address, editor.replace(line.value_start()..line.value_end()));
            }
        }
    }

    fn attribute<P: Put>(&mut self, line: &Line, editor: &mut Edit<'_, '_, '_, P>) {
        let attribute = Attribute::parse(line.value(self.rewrite.sdp.bytes()));
        match self.fate(&attribute) {
            Fate::Stays => self.rewrite.keep_line(self.section, line, editor),
            Fate::Goes => editor.delete(line.start()..line.end()),
            Fate::Replaced => {
                let out = editor.replace(line.start()..line.end());
                self.replacement(&attribute, out);
            }
        }
    }

    fn fate(&mut self, attribute: &Attribute<'_>) -> Fate {
        let plan = self.plan;
        let once = |done: &mut bool| if core::mem::replace(done, true) { Fate::Goes } else { Fate::Replaced };
        match attribute.name {
            b"rtcp" if !self.moves => Fate::Stays,
            b"rtcp" if self.wants_rtcp() => once(&mut self.written.rtcp),
            b"rtcp" => Fate::Goes,
            b"rtcp-mux" if plan.rtcp_mux && !self.written.rtcp_mux => {
                self.written.rtcp_mux = true;
                Fate::Stays
            }
            b"rtcp-mux" => Fate::Goes,
            b"rtcp-mux-only" if !plan.rtcp_mux => Fate::Goes,
            b"sendrecv" | b"sendonly" | b"recvonly" | b"inactive" if self.turns().is_some() => {
                once(&mut self.written.direction)
            }
            b"ptime" if plan.ptime_ms.is_some() => once(&mut self.written.ptime),
            b"mid" if plan.mid_goes => Fate::Goes,
            b"mid" => {
                self.written.mid = true;
                Fate::Stays
            }
            b"crypto" if plan.crypto.is_some() => Fate::Goes,
            b"rtpmap" | b"fmtp" | b"rtcp-fb" => match (&self.codecs, format_of(attribute.value())) {
                (Some(codecs), Some(payload_type)) if !codecs.has(payload_type) => Fate::Goes,
                _ => Fate::Stays,
            },
            name if is_dtls(name) && plan.crypto.is_some() => Fate::Goes,
            name if is_ice(name) && matches!(plan.ice, IcePlan::Remove | IcePlan::Replace { .. }) => Fate::Goes,
            name if is_extmap(name) && self.rewrite.flags.has(Flag::StripExtmap) => Fate::Goes,
            _ => Fate::Stays,
        }
    }

    fn replacement<P: Put>(&self, attribute: &Attribute<'_>, out: &mut P) {
        match attribute.name {
            b"rtcp" => self.put_rtcp(out),
            b"ptime" => self.put_ptime(out),
            _ => self.put_direction(out),
        }
    }

    fn wants_rtcp(&self) -> bool {
        self.moves && self.plan.rtcp_port.is_some() && !self.rewrite.flags.has(Flag::NoRtcpAttribute)
    }

    /// The direction that is written; `None` where the right one is there already.
    fn turns(&self) -> Option<crate::wire::sdp::Direction> {
        let sdp = self.rewrite.sdp;
        let said = self.media.direction().or(sdp.direction());
        self.plan.direction.filter(|wanted| said != Some(*wanted))
    }

    fn put_rtcp<P: Put>(&self, out: &mut P) {
        self.rewrite.put_line(self.section, out, |t| {
            t.put(b"rtcp:");
            t.put_number(u64::from(self.plan.rtcp_port.unwrap_or(0)));
            if self.rewrite.flags.has(Flag::FullRtcpAttribute) {
                t.put(b" ");
                put_connection(self.address, t);
            }
        });
    }

    fn put_ptime<P: Put>(&self, out: &mut P) {
        self.rewrite.put_line(self.section, out, |t| {
            t.put(b"ptime:");
            t.put_number(u64::from(self.plan.ptime_ms.unwrap_or(0)));
        });
    }

    fn put_direction<P: Put>(&self, out: &mut P) {
        let direction = self.turns().unwrap_or_default();
        self.rewrite.put_line(self.section, out, |t| t.put(direction.as_str().as_bytes()));
    }

    /// Lines of ours that took no other's place.
    fn rest<P: Put>(&self, index: usize, editor: &mut Edit<'_, '_, '_, P>) {
        let (rewrite, written, plan) = (self.rewrite, &self.written, self.plan);
        let flags = rewrite.flags;
        let end = self.media.end();
        if flags.has(Flag::GenerateMid) && rewrite.plan.mode == Mode::Offer && !written.mid {
            rewrite.put_line(self.section, rewrite.end_of_section(end, editor), |t| {
                t.put(b"mid:");
                t.put_number(index as u64 + 1);
            });
        }
        if self.turns().is_some() && !written.direction {
            self.put_direction(rewrite.end_of_section(end, editor));
        }
        if self.wants_rtcp() && !written.rtcp {
            self.put_rtcp(rewrite.end_of_section(end, editor));
        }
        if plan.rtcp_mux && !written.rtcp_mux {
            rewrite.put_line(self.section, rewrite.end_of_section(end, editor), |t| t.put(b"rtcp-mux"));
        }
        for crypto in plan.crypto.unwrap_or(&[]) {
            rewrite.put_line(self.section, rewrite.end_of_section(end, editor), |t| {
                t.put(b"crypto:");
                crypto.write(flags.sdes.pad, t);
            });
        }
        if plan.ptime_ms.is_some() && !written.ptime {
            self.put_ptime(rewrite.end_of_section(end, editor));
        }
        self.ice(end, editor);
    }

    fn ice<P: Put>(&self, end: usize, editor: &mut Edit<'_, '_, '_, P>) {
        let rewrite = self.rewrite;
        let candidates = match self.plan.ice {
            IcePlan::Keep | IcePlan::Remove => return,
            IcePlan::Add { candidates } => candidates,
            IcePlan::Replace { ufrag, pwd, candidates, trickle } => {
                for (name, value) in [(&b"ice-ufrag:"[..], ufrag), (b"ice-pwd:", pwd)] {
                    rewrite.put_line(self.section, rewrite.end_of_section(end, editor), |t| {
                        t.put(name);
                        t.put(value);
                    });
                }
                if trickle {
                    let out = rewrite.end_of_section(end, editor);
                    rewrite.put_line(self.section, out, |t| t.put(b"ice-options:trickle"));
                }
                candidates
            }
        };
        for candidate in candidates {
            let out = rewrite.end_of_section(end, editor);
            rewrite.put_line(self.section, out, |t| put_candidate(candidate, t));
        }
    }
}
