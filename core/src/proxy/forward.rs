//! The edits that make a received message the one that is sent on (RFC 3261 §16.6, §16.7).

use core::net::SocketAddr;

use super::locals::Listener;
use super::routes::RouteSet;
use super::validate::Valid;
use crate::wire::sip::edit::{Draft, EditError};
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::option_tags::Tokens;
use crate::wire::sip::overload;
use crate::wire::sip::put::Put;
use crate::wire::sip::stamp::ViaStamp;
use crate::wire::sip::transport::Transport;
use crate::wire::sip::via::{Rport, Via};

/// The late value that is the transport of our Via.
pub const LATE_TRANSPORT: u8 = 0;
/// The late value that is the `sent-by` of our Via.
pub const LATE_SENT_BY: u8 = 1;
/// What Record-Route holds besides the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RecordRoute {
    /// `lr=on` instead of `lr`, for peers that cannot read a parameter without a value.
    pub full_lr: bool,
    /// The caller's tag, `ftag`: with it each request of the dialog shows which side sent it.
    pub from_tag: bool,
    /// A field for each side if listeners differ (RFC 5658).
    pub double: bool,
}

impl Default for RecordRoute {
    fn default() -> Self {
        Self { full_lr: true, from_tag: true, double: true }
    }
}

/// Option tags that a target does not support and that are therefore not offered to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Strip {
    /// `100rel` (RFC 3262).
    pub reliable_provisional: bool,
    /// `timer` (RFC 4028), with `Session-Expires` and `Min-SE`.
    pub session_timer: bool,
}

impl Strip {
    fn has(&self, tag: &[u8]) -> bool {
        (self.reliable_provisional && tag.eq_ignore_ascii_case(b"100rel"))
            || (self.session_timer && tag.eq_ignore_ascii_case(b"timer"))
    }
}

/// How a request is sent on.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'f> {
    /// Where it was seen from.
    pub source: SocketAddr,
    /// The listener it came by.
    pub ingress: &'f Listener,
    /// The listener it leaves by.
    pub egress: &'f Listener,
    /// The branch of our Via.
    pub branch: &'f [u8],
    /// Whether and how we stay on the path.
    pub record_route: Option<RecordRoute>,
    /// Whether our Via says that overload control is heeded (RFC 7339 §4.1).
    pub overload_control: bool,
    /// What is not offered to the target.
    pub strip: Strip,
    /// `Max-Forwards` if the request has none.
    pub max_forwards: u8,
}

/// Adds the edits of RFC 3261 §16.6 to `draft`.
pub fn request<'b, 'e>(
    draft: &mut Draft<'_, 'b, 'e>,
    valid: &Valid<'b>,
    routes: &RouteSet<'b>,
    how: &Forwarding<'e>,
) -> Result<(), EditError>
where
    'b: 'e,
{
    let msg = draft.msg();
    // §16.6 step 8.
    draft.insert_header(Some(&valid.via_header), HeaderName::Via, |i| {
        i.put(b"SIP/2.0/");
        i.late(LATE_TRANSPORT);
        i.put(b" ");
        i.late(LATE_SENT_BY);
        i.put(b";branch=");
        i.borrowed(how.branch);
        if valid.via.rport_span.is_some() || how.egress.transport == Transport::Udp {
            i.put(b";rport");
        }
        if how.overload_control {
            i.put(overload::OFFER);
        }
    })?;
    let via_at = valid.via_header.span.value().start;
    for (range, text) in ViaStamp::new(&valid.via, how.source).edits() {
        let range = via_at + range.start..via_at + range.end;
        draft.replace(range, |i| i.put(text))?;
    }
    // RFC 3261 §18.2.2: over a stream the response goes back on the connection of the request. The Via says which one, for
    // responses that have no transaction here.
    if how.ingress.transport.is_reliable() && valid.via.rport == Rport::Absent {
        draft.insert(via_at + valid.via.span.end, |i| {
            i.put(b";rport=");
            i.put_number(u64::from(how.source.port()));
        })?;
    }
    // Step 3.
    match (msg.header(HeaderName::MaxForwards), valid.max_forwards) {
        (Some(h), Some(n)) => draft.replace(h.span.value(), |i| i.put_number(u64::from(n.saturating_sub(1))))?,
        _ => draft.insert_header(None, HeaderName::MaxForwards, |i| i.put_number(u64::from(how.max_forwards)))?,
    }
    // Step 4.
    if let Some(rr) = how.record_route {
        record_route(draft, valid, how, rr)?;
    }
    // Step 6.
    routes.edit(msg, draft)?;
    strip(draft, how.strip)?;
    // Step 9: a stream needs Content-Length, and a datagram is the clearer for it.
    if msg.header(HeaderName::ContentLength).is_none() {
        let length = msg.body().len() as u64;
        draft.insert_header(None, HeaderName::ContentLength, |i| i.put_number(length))?;
    }
    Ok(())
}

fn record_route(
    draft: &mut Draft<'_, '_, '_>,
    valid: &Valid<'_>,
    how: &Forwarding<'_>,
    rr: RecordRoute,
) -> Result<(), EditError> {
    let msg = draft.msg();
    let two =
        rr.double && (how.ingress.transport != how.egress.transport || how.ingress.advertised != how.egress.advertised);
    let tag = valid.from.tag().filter(|_| rr.from_tag);
    let behind_vias = || msg.headers_named(HeaderName::Via).last().map_or(msg.head_end(), |h| h.span.line_end());
    let at = msg.header(HeaderName::RecordRoute).map_or_else(behind_vias, |h| h.span.at());
    let mut put = |listener: &Listener| {
        draft.insert_header_at(at, HeaderName::RecordRoute, |i| {
            i.put(b"<sip:");
            i.put_host_port(listener.advertised);
            if listener.transport != Transport::Udp {
                i.put(b";transport=");
                i.put(listener.transport.as_param().as_bytes());
            }
            if two {
                i.put(b";r2=on");
            }
            i.put(if rr.full_lr { b";lr=on" } else { b";lr" });
            if let Some(tag) = tag {
                i.put(b";ftag=");
                i.put(tag);
            }
            i.put(b">");
        })
    };
    // The top one faces the next hop.
    put(how.egress)?;
    if two { put(how.ingress) } else { Ok(()) }
}

fn strip(draft: &mut Draft<'_, '_, '_>, strip: Strip) -> Result<(), EditError> {
    if strip == Strip::default() {
        return Ok(());
    }
    let msg = draft.msg();
    for name in [HeaderName::Supported, HeaderName::Require] {
        for header in msg.headers_named(name) {
            let tags = || Tokens::new(header.value).flatten();
            if !tags().any(|t| strip.has(t)) {
                continue;
            }
            if tags().all(|t| strip.has(t)) {
                draft.remove_header(&header)?;
                continue;
            }
            draft.replace(header.span.value(), |i| {
                for (n, tag) in tags().filter(|t| !strip.has(t)).enumerate() {
                    i.put(if n > 0 { b", " } else { b"" });
                    i.put(tag);
                }
            })?;
        }
    }
    if strip.session_timer {
        for name in [HeaderName::SessionExpires, HeaderName::MinSe] {
            if let Some(header) = msg.header(name) {
                draft.remove_header(&header)?;
            }
        }
    }
    Ok(())
}

/// Takes our Via off a response (RFC 3261 §16.7 step 3).
pub fn response(draft: &mut Draft<'_, '_, '_>, via: &Via<'_>) -> Result<(), EditError> {
    let msg: &Msg<'_> = draft.msg();
    let Some(header) = msg.header(HeaderName::Via) else { return Ok(()) };
    let at = header.span.value().start;
    match via.removal() {
        Some(span) => draft.delete(at + span.start..at + span.end)?,
        None => draft.remove_header(&header)?,
    }
    if msg.header(HeaderName::ContentLength).is_none() {
        let length = msg.body().len() as u64;
        draft.insert_header(None, HeaderName::ContentLength, |i| i.put_number(length))?;
    }
    Ok(())
}
