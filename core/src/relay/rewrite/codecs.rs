//! Which codecs of a media description go out, and in which order.

use crate::relay::flags::{CodecOp, CodecSpec, Flag, Flags};
use crate::wire::sdp::attribute::payload_type;
use crate::wire::sdp::{Media, RtpMap};

use super::plan::Mode;

/// Payload types there are (RFC 3550 §5.1).
const PAYLOAD_TYPES: usize = 128;

/// Codecs that go with another: DTMF events and comfort noise.
const SUPPLEMENTAL: [&[u8]; 2] = [b"telephone-event", b"CN"];

#[derive(Clone, Copy, Debug)]
struct Codec<'b> {
    payload_type: u8,
    map: Option<RtpMap<'b>>,
    /// The payload type that this one repairs (RFC 4588 §8.1).
    apt: Option<u8>,
    removed: bool,
    /// Removed by its own name, not by `all`.
    by_name: bool,
}

impl Codec<'_> {
    fn is(&self, spec: &CodecSpec<'_>) -> bool {
        match &self.map {
            Some(map) => spec.matches(map),
            None => spec.matches_payload_type(self.payload_type),
        }
    }

    fn is_supplemental(&self) -> bool {
        self.map.is_some_and(|m| SUPPLEMENTAL.iter().any(|name| m.encoding.eq_ignore_ascii_case(name)))
    }
}

/// The payload types of a media description that go out.
#[derive(Clone, Debug)]
pub struct Codecs {
    order: heapless::Vec<u8, PAYLOAD_TYPES>,
    kept: u128,
}

impl Codecs {
    /// What is left of the codecs of `media`. `None` where all stay as they came: nothing was asked, nothing would be
    /// left, or the formats are no payload types.
    pub fn select(media: &Media<'_>, flags: &Flags<'_>, mode: Mode) -> Option<Self> {
        let single = mode == Mode::Answer && flags.has(Flag::SingleCodec);
        if (flags.codecs.is_empty() && !single) || !media.protocol()?.is_rtp() {
            return None;
        }
        let mut codecs = read(media)?;
        remove(&mut codecs, flags, mode);
        let mut order = arrange(&codecs, flags, mode);
        if single {
            keep_first(&codecs, &mut order);
        }
        drop_orphans(&codecs, &mut order);
        let of = |pt: &u8| codecs.iter().find(|c| c.payload_type == *pt);
        if !order.iter().filter_map(of).any(|c| !c.is_supplemental()) {
            return None;
        }
        if order.iter().eq(codecs.iter().map(|c| &c.payload_type)) {
            return None;
        }
        let kept = order.iter().fold(0, |set, pt| set | 1 << pt);
        Some(Self { order, kept })
    }

    /// The payload types in their order.
    pub fn payload_types(&self) -> &[u8] {
        &self.order
    }

    /// Whether `payload_type` stays.
    pub const fn has(&self, payload_type: u8) -> bool {
        payload_type < 128 && self.kept & (1 << payload_type) != 0
    }
}

/// The codecs of the m-line, each once, with what the attributes say of them.
fn read<'b>(media: &Media<'b>) -> Option<heapless::Vec<Codec<'b>, PAYLOAD_TYPES>> {
    let mut codecs = heapless::Vec::<Codec<'b>, PAYLOAD_TYPES>::new();
    let mut index = [u8::MAX; PAYLOAD_TYPES];
    for format in media.formats() {
        let payload_type = payload_type(format)?;
        let slot = index.get_mut(usize::from(payload_type))?;
        if usize::from(*slot) < codecs.len() {
            continue;
        }
        *slot = codecs.len() as u8;
        let map = RtpMap::of_static(payload_type);
        codecs.push(Codec { payload_type, map, apt: None, removed: false, by_name: false }).ok()?;
    }
    for attribute in media.attributes() {
        let value = attribute.value();
        if attribute.is(b"rtpmap") {
            if let Some(map) = RtpMap::parse(value)
                && let Some(codec) = codecs.get_mut(usize::from(index[usize::from(map.payload_type)]))
            {
                codec.map = Some(map);
            }
        } else if attribute.is(b"fmtp")
            && let Some(codec) = format_of(value).and_then(|pt| codecs.get_mut(usize::from(index[usize::from(pt)])))
        {
            codec.apt = apt(value);
        }
    }
    Some(codecs)
}

/// The payload type at the head of an `a=fmtp`, `a=rtpmap` or `a=rtcp-fb` value.
pub(super) fn format_of(value: &[u8]) -> Option<u8> {
    payload_type(value.split(|&b| b == b' ').next()?)
}

fn apt(fmtp: &[u8]) -> Option<u8> {
    let params = fmtp.split(|&b| matches!(b, b' ' | b';'));
    params.filter_map(|p| p.strip_prefix(b"apt=")).find_map(payload_type)
}

/// Strips and masks.
fn remove(codecs: &mut [Codec<'_>], flags: &Flags<'_>, mode: Mode) {
    let takes = |op| match op {
        CodecOp::Strip => true,
        CodecOp::Mask | CodecOp::Consume => mode == Mode::Offer,
        _ => false,
    };
    for codec in codecs {
        let excepted = flags.codecs.iter().any(|r| r.op == CodecOp::Except && codec.is(&r.codec));
        for rule in flags.codecs.iter().filter(|r| takes(r.op)) {
            if codec.is(&rule.codec) {
                codec.removed = true;
                codec.by_name = true;
            } else if rule.codec.is_all() && !excepted {
                codec.removed = true;
                codec.by_name |= rule.codec.is_full();
            }
        }
    }
}

/// What is left, and what is offered again: behind the others, before those that go with them.
fn arrange(codecs: &[Codec<'_>], flags: &Flags<'_>, mode: Mode) -> heapless::Vec<u8, PAYLOAD_TYPES> {
    let mut order: heapless::Vec<u8, PAYLOAD_TYPES> =
        codecs.iter().filter(|c| !c.removed).map(|c| c.payload_type).collect();
    let tail = codecs.iter().rev().filter(|c| !c.removed).take_while(|c| c.is_supplemental()).count();
    let mut at = order.len() - tail;
    for rule in &flags.codecs {
        let again = |c: &Codec<'_>| match rule.op {
            CodecOp::Offer => c.removed,
            CodecOp::Transcode => c.removed && !c.by_name && mode == Mode::Offer,
            _ => false,
        };
        for codec in codecs.iter().filter(|c| again(c) && c.is(&rule.codec)) {
            // As many places as payload types, each at most once: it fits.
            if !order.contains(&codec.payload_type) && order.insert(at, codec.payload_type).is_ok() {
                at += 1;
            }
        }
    }
    order
}

/// The first codec, and those that go with it at its clock rate.
fn keep_first(codecs: &[Codec<'_>], order: &mut heapless::Vec<u8, PAYLOAD_TYPES>) {
    let of = |pt: u8| codecs.iter().find(|c| c.payload_type == pt);
    let Some(first) = order.iter().copied().find(|pt| of(*pt).is_some_and(|c| !c.is_supplemental())) else { return };
    let rate = |pt: u8| of(pt).and_then(|c| c.map).map(|m| m.clock_rate_hz);
    let first_rate = rate(first);
    order.retain(|pt| *pt == first || (of(*pt).is_some_and(Codec::is_supplemental) && rate(*pt) == first_rate));
}

/// Takes out what repairs a codec that is gone.
fn drop_orphans(codecs: &[Codec<'_>], order: &mut heapless::Vec<u8, PAYLOAD_TYPES>) {
    let kept = order.iter().fold(0u128, |set, pt| set | 1 << pt);
    order.retain(|pt| {
        let apt = codecs.iter().find(|c| c.payload_type == *pt).and_then(|c| c.apt);
        apt.is_none_or(|apt| kept & (1 << apt) != 0)
    });
}
