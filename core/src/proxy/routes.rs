//! Where a request with a route set goes (RFC 3261 §16.4, §16.6 steps 6 and 7), and the edits that take it there.

use core::ops::Range;

use super::locals::Locals;
use crate::flow::ListenerId;
use crate::wire::sip::edit::{Draft, EditError};
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::Put;
use crate::wire::sip::route::Routes;
use crate::wire::sip::uri::Uri;

/// Most Route elements that are looked at one by one: ours, twice, the next hop, and the last one.
const FIRST_MAX: usize = 3;

/// One Route element: where it lies in the message, and its URI.
#[derive(Clone, Copy, Debug)]
struct Element<'b> {
    /// The element without the comma behind it.
    start: usize,
    end: usize,
    /// Behind the comma that follows, or `end` if none does.
    behind: usize,
    /// The field value it stands in.
    value: (usize, usize),
    /// The whole field.
    line: (usize, usize),
    uri: &'b [u8],
    loose: bool,
}

/// What the route set of a request says.
#[derive(Clone, Debug)]
pub struct RouteSet<'b> {
    first: heapless::Vec<Element<'b>, FIRST_MAX>,
    last: Option<Element<'b>>,
    count: usize,
    /// How many elements at the top are ours.
    own: usize,
    /// The Request-URI is one that we put into a Record-Route: the hop before us is a strict router.
    strict_before: bool,
    /// The listener that faces the next hop, as the Record-Route said.
    pub egress: Option<ListenerId>,
}

/// A Route header field that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MalformedRoute;

impl<'b> RouteSet<'b> {
    /// Reads the Route fields of `msg`.
    pub fn read(msg: &Msg<'b>, uri: &Uri<'_>, locals: &Locals) -> Result<Self, MalformedRoute> {
        let mut set =
            Self { first: heapless::Vec::new(), last: None, count: 0, own: 0, strict_before: false, egress: None };
        for header in msg.headers_named(HeaderName::Route) {
            let value = header.span.value();
            for route in Routes::new(header.value) {
                let route = route.map_err(|_| MalformedRoute)?;
                let end = value.start + route.address.span.end;
                let comma = msg.bytes()[end..value.end].iter().position(|b| *b == b',');
                let element = Element {
                    start: value.start + route.address.span.start,
                    end,
                    behind: comma.map_or(end, |n| end + n + 1),
                    value: (value.start, value.end),
                    line: (header.span.at(), header.span.line_end()),
                    uri: route.address.uri,
                    loose: route.is_loose(),
                };
                // Those beyond the capacity are counted, and the last one is kept.
                let _ = set.first.push(element);
                set.last = Some(element);
                set.count += 1;
            }
        }
        set.strict_before = set.count > 0 && uri.is_loose_router() && uri.user.is_none() && locals.is_me(uri);
        let ours = |e: &Element<'b>| Uri::parse(e.uri).ok().filter(|u| locals.is_me(u));
        if set.strict_before {
            // §16.4: the last element becomes the Request-URI. A second one of ours, of a double Record-Route, goes too.
            set.egress = locals.named(uri);
            if let Some(second) = set.first.first().filter(|_| set.count > 1).and_then(ours) {
                set.own = 1;
                set.egress = locals.named(&second);
            }
            return Ok(set);
        }
        if let Some(top) = set.first.first().and_then(ours) {
            set.own = 1;
            set.egress = locals.named(&top);
            // RFC 5658: of a double Record-Route the second one faces the next hop.
            if top.params.value(b"r2") == Some(b"on")
                && let Some(second) = set.first.get(1).and_then(ours)
            {
                set.own = 2;
                set.egress = locals.named(&second);
            }
        }
        Ok(set)
    }

    /// Whether the request came by a route of ours: it may be forwarded within its dialog.
    pub const fn is_own(&self) -> bool {
        self.own > 0 || self.strict_before
    }

    /// The URI of the next hop, and whether it is a strict router. `None`: the Request-URI says it.
    pub fn next_hop(&self) -> Option<(&'b [u8], bool)> {
        if self.strict_before {
            // The last element becomes the Request-URI; what is before it stays the route set.
            return self.first.get(self.own).filter(|_| self.count > self.own + 1).map(|e| (e.uri, !e.loose));
        }
        self.first.get(self.own).map(|e| (e.uri, !e.loose))
    }

    /// The Request-URI that the request leaves with, if it is not the one it came with.
    pub fn request_uri(&self) -> Option<&'b [u8]> {
        if self.strict_before { self.last.map(|e| e.uri) } else { None }
    }

    /// Edits the Route fields: our own elements go; a strict router before us is undone, one behind us is served.
    pub fn edit<'e>(&self, msg: &Msg<'b>, draft: &mut Draft<'_, 'b, 'e>) -> Result<(), EditError>
    where
        'b: 'e,
    {
        self.remove(msg, draft)?;
        if let Some((next, true)) = self.next_hop() {
            // RFC 3261 §16.6 step 6: the strict router's URI goes into the Request-URI, which goes to the end of the
            // route set.
            let target = self.request_uri().or(msg.request_uri()).unwrap_or_default();
            draft.insert_header(None, HeaderName::Route, |i| {
                i.put(b"<");
                i.borrowed(target);
                i.put(b">");
            })?;
            if let Some(range) = msg.request_uri_range() {
                draft.replace(range, |i| i.borrowed(next))?;
            }
        } else if let (Some(uri), Some(range)) = (self.request_uri(), msg.request_uri_range()) {
            draft.replace(range, |i| i.borrowed(uri))?;
        }
        Ok(())
    }

    /// Deletes the elements that go: those at the top that are ours, the strict router that comes next, and the last one
    /// where it becomes the Request-URI.
    fn remove(&self, msg: &Msg<'b>, draft: &mut Draft<'_, 'b, '_>) -> Result<(), EditError> {
        let strict_next = self.next_hop().is_some_and(|(_, strict)| strict);
        let top = self.first.get(..self.own + usize::from(strict_next)).unwrap_or_default();
        let last = self.last.filter(|_| self.strict_before);
        let mut rest = top;
        while let Some(first) = rest.first() {
            // Elements of one field are neighbours, and go in one piece.
            let (same, others) = rest.split_at(rest.iter().take_while(|e| e.line == first.line).count());
            rest = others;
            let end = same.last().map_or(first.end, |e| e.behind);
            let through = same.last().is_none_or(|e| e.behind == e.end);
            let meets_last = last.is_some_and(|l| l.line == first.line && l.start == next_start(msg, end));
            if through || meets_last {
                draft.delete(first.line.0..first.line.1)?;
            } else {
                draft.delete(first.start..end)?;
            }
        }
        match last {
            Some(last) if !top.iter().any(|e| e.line == last.line && next_start(msg, e.behind) == last.start) => {
                draft.delete(Self::removal_of_last(&last, msg))
            }
            _ => Ok(()),
        }
    }

    fn removal_of_last(e: &Element<'_>, msg: &Msg<'_>) -> Range<usize> {
        if e.start == e.value.0 {
            return e.line.0..e.line.1;
        }
        let before = &msg.bytes()[e.value.0..e.start];
        let comma = before.iter().rposition(|b| *b == b',').unwrap_or(0);
        e.value.0 + comma..e.end
    }
}

/// Where the element behind a comma begins.
fn next_start(msg: &Msg<'_>, behind: usize) -> usize {
    let rest = msg.bytes().get(behind..).unwrap_or_default();
    behind + rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count()
}
