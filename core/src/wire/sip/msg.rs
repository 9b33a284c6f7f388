//! A message as a table of spans over untouched bytes.

use super::header_name::HeaderName;
use super::method::Method;
use super::scan;
use super::start_line::StartLine;
use crate::error::{ParseError, ParseErrorKind};
use crate::limits::{HEADERS_MAX, MESSAGE_MAX, START_LINE_MAX};

/// Where one header field lies in its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Span {
    name: HeaderName,
    at: u16,
    value_at: u16,
    value_end: u16,
    line_end: u16,
}

impl Span {
    /// Offset of the first byte of the name.
    pub const fn at(&self) -> usize {
        self.at as usize
    }

    /// Offsets of the value, without the white space around it.
    pub const fn value(&self) -> core::ops::Range<usize> {
        self.value_at as usize..self.value_end as usize
    }

    /// Offset behind the CRLF that ends the field.
    pub const fn line_end(&self) -> usize {
        self.line_end as usize
    }
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub struct Header<'b> {
    /// Its name.
    pub name: HeaderName,
    /// Its value, without the white space around it; a folded value holds its line breaks.
    pub value: &'b [u8],
    /// Where it lies.
    pub span: Span,
}

/// A parsed message: the bytes, the start line, and a span for each header field. Values are parsed when asked for.
#[derive(Clone, Debug)]
pub struct Msg<'b> {
    bytes: &'b [u8],
    start: StartLine<'b>,
    spans: heapless::Vec<Span, SPANS_MAX>,
    first: [u8; HeaderName::COUNT],
    start_at: u16,
    head_end: u16,
    body_end: u16,
}

const NONE: u8 = u8::MAX;
/// Fields of a received message, and those that a proxy adds to it: Via, Max-Forwards, Record-Route twice, Route,
/// Content-Length.
const SPANS_MAX: usize = HEADERS_MAX + 6;
/// What must be there exactly once (RFC 3261 §8.1.1); `Max-Forwards` may be missing (RFC 2543), but not doubled.
const ONCE: [(HeaderName, bool); 5] = [
    (HeaderName::CallId, true),
    (HeaderName::CSeq, true),
    (HeaderName::From, true),
    (HeaderName::To, true),
    (HeaderName::MaxForwards, false),
];

impl<'b> Msg<'b> {
    /// Parses one whole message: a datagram, or what [`super::frame`] cut from a stream.
    ///
    /// Strict where two elements could read the message differently: line ends, control bytes, fields that may be
    /// there once, `Content-Length`, the method in `CSeq`. Everything else is left to those who ask for the value.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ParseError> {
        Self::scan(bytes, HEADERS_MAX, |_| false)
    }

    /// Parses a message that was sent from here: it may have as many fields more than a received one as a proxy adds.
    ///
    /// # Errors
    /// As [`Msg::parse`].
    pub fn parse_sent(bytes: &'b [u8]) -> Result<Self, ParseError> {
        Self::scan(bytes, SPANS_MAX, |_| false)
    }

    /// Parses what can be parsed of a malformed request, so that it can be answered with 400: the fields that
    /// [`super::build`] copies into a response. `None` for what is no request, or has no Via to send the answer by.
    pub fn salvage(bytes: &'b [u8]) -> Option<Self> {
        let msg = Self::scan(bytes, HEADERS_MAX, |_| true).ok()?;
        (msg.method().is_some() && msg.header(HeaderName::Via).is_some()).then_some(msg)
    }

    /// One pass. A defect that leaves the rest readable goes to `defect`, which says whether to go on.
    fn scan(bytes: &'b [u8], headers_max: usize, defect: impl Fn(ParseError) -> bool) -> Result<Self, ParseError> {
        let fail = |kind, at| Err(ParseError::new(kind, at));
        if bytes.len() > MESSAGE_MAX {
            return fail(ParseErrorKind::TooLong, MESSAGE_MAX);
        }
        // RFC 3261 §7.5: CRLFs before the start line are ignored.
        let mut pos = 0;
        while bytes[pos..].starts_with(b"\r\n") {
            pos += 2;
        }
        let start_at = pos;
        let line_end = line_end(bytes, pos)?;
        if line_end - pos > START_LINE_MAX {
            return fail(ParseErrorKind::TooLong, pos + START_LINE_MAX);
        }
        let line = &bytes[pos..line_end];
        let start = match StartLine::parse(line).map_err(|e| e.shifted(start_at)) {
            Ok(start) => start,
            Err(e) if defect(e) => StartLine::salvage(line).ok_or(e)?,
            Err(e) => return Err(e),
        };
        let mut msg = Self {
            bytes,
            start,
            spans: heapless::Vec::new(),
            first: [NONE; HeaderName::COUNT],
            start_at: start_at as u16,
            head_end: 0,
            body_end: 0,
        };
        pos = line_end + 2;
        loop {
            match bytes[pos..] {
                [b'\r', b'\n', ..] => break,
                [] | [b'\r'] => return fail(ParseErrorKind::Truncated, bytes.len()),
                _ => {}
            }
            match msg.field(pos, headers_max) {
                Ok(next) => pos = next,
                Err((e, _)) if !defect(e) => return Err(e),
                // What is to be salvaged ends where no field can be told from the next one.
                Err((_, next)) => match next {
                    Some(next) => pos = next,
                    None => break,
                },
            }
        }
        if let Some(at) = scan::find_control(&bytes[start_at..pos])
            && !defect(ParseError::new(ParseErrorKind::ControlByte, start_at + at))
        {
            return fail(ParseErrorKind::ControlByte, start_at + at);
        }
        msg.head_end = pos as u16;
        match msg.checked_body_end() {
            Ok(end) => msg.body_end = end as u16,
            Err(e) => {
                msg.body_end = bytes.len() as u16;
                if !defect(e) {
                    return Err(e);
                }
            }
        }
        if let Err(e) = msg.check_once()
            && !defect(e)
        {
            return Err(e);
        }
        Ok(msg)
    }

    /// Reads the field that starts at `at`; gives the offset behind it. An error carries that offset where it is known.
    fn field(&mut self, at: usize, headers_max: usize) -> Result<usize, (ParseError, Option<usize>)> {
        let bytes = self.bytes;
        let mut eol = line_end(bytes, at).map_err(|e| (e, None))?;
        // A line that starts with white space continues the field (RFC 3261 §7.3.1).
        while matches!(bytes.get(eol + 2), Some(b' ' | b'\t')) {
            eol = line_end(bytes, eol + 2).map_err(|e| (e, None))?;
        }
        let next = eol + 2;
        let wrong = |at| (ParseError::new(ParseErrorKind::HeaderName, at), Some(next));
        let name_end = at + scan::token_len(&bytes[at..eol]);
        let mut colon = name_end;
        while matches!(bytes.get(colon), Some(b' ' | b'\t')) {
            colon += 1;
        }
        if name_end == at || bytes.get(colon) != Some(&b':') {
            return Err(wrong(colon));
        }
        let (mut value_at, mut value_end) = (colon + 1, eol);
        while value_at < value_end && is_lws(bytes[value_at]) {
            value_at += 1;
        }
        while value_end > value_at && is_lws(bytes[value_end - 1]) {
            value_end -= 1;
        }
        let name = HeaderName::parse(&bytes[at..name_end]);
        let span =
            Span { name, at: at as u16, value_at: value_at as u16, value_end: value_end as u16, line_end: next as u16 };
        let too_many = (ParseError::new(ParseErrorKind::TooManyHeaders, at), None);
        if self.spans.len() >= headers_max {
            return Err(too_many);
        }
        let nth = self.spans.len() as u8;
        self.spans.push(span).map_err(|_| too_many)?;
        let first = &mut self.first[name.index()];
        if *first == NONE {
            *first = nth;
        }
        Ok(next)
    }

    /// RFC 3261 §18.3: `Content-Length` cuts the body; without it a datagram's body goes to its end.
    fn checked_body_end(&self) -> Result<usize, ParseError> {
        let body_at = self.body_at();
        let mut length = None;
        for h in self.headers_named(HeaderName::ContentLength) {
            let n =
                scan::number(h.value).ok_or(ParseError::new(ParseErrorKind::ContentLength, h.span.value().start))?;
            if length.is_some_and(|l| l != n) {
                return Err(ParseError::new(ParseErrorKind::ContentLength, h.span.at()));
            }
            length = Some(n);
        }
        match length {
            None => Ok(self.bytes.len()),
            Some(n) => body_at
                .checked_add(n as usize)
                .filter(|end| *end <= self.bytes.len())
                .ok_or(ParseError::new(ParseErrorKind::ContentLength, self.bytes.len())),
        }
    }

    fn check_once(&self) -> Result<(), ParseError> {
        for (name, needed) in ONCE {
            match self.first[name.index()] {
                NONE if needed => return Err(ParseError::new(ParseErrorKind::Missing(name.as_str()), self.head_end())),
                NONE => {}
                nth => {
                    if let Some(dup) = self.spans[usize::from(nth) + 1..].iter().find(|s| s.name == name) {
                        return Err(ParseError::new(ParseErrorKind::Duplicate(name.as_str()), dup.at()));
                    }
                }
            }
        }
        if self.first[HeaderName::Via.index()] == NONE {
            return Err(ParseError::new(ParseErrorKind::Missing("Via"), self.head_end()));
        }
        Ok(())
    }

    /// The whole message, from its start line to the end of its body.
    pub fn bytes(&self) -> &'b [u8] {
        &self.bytes[..usize::from(self.body_end)]
    }

    /// Offset of the start line.
    pub const fn start_at(&self) -> usize {
        self.start_at as usize
    }

    /// The start line.
    pub const fn start(&self) -> StartLine<'b> {
        self.start
    }

    /// The method of a request.
    pub const fn method(&self) -> Option<Method<'b>> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI of a request.
    pub const fn request_uri(&self) -> Option<&'b [u8]> {
        match self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// Offsets of the Request-URI.
    pub fn request_uri_range(&self) -> Option<core::ops::Range<usize>> {
        match self.start {
            StartLine::Request { method, uri } => {
                let at = self.start_at() + method.as_bytes().len() + 1;
                Some(at..at + uri.len())
            }
            StartLine::Response { .. } => None,
        }
    }

    /// The status code of a response.
    pub const fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// Offset of the empty line that ends the header: where a field is appended.
    pub const fn head_end(&self) -> usize {
        self.head_end as usize
    }

    /// Offset of the body.
    pub const fn body_at(&self) -> usize {
        self.head_end as usize + 2
    }

    /// The body; empty if there is none.
    pub fn body(&self) -> &'b [u8] {
        // Of a salvaged message the header may go to the end.
        self.bytes.get(self.body_at()..usize::from(self.body_end)).unwrap_or_default()
    }

    /// All header fields in their order.
    pub fn headers(&self) -> impl DoubleEndedIterator<Item = Header<'b>> + '_ {
        self.spans.iter().map(|s| self.at_span(s))
    }

    /// The first field of that name.
    pub fn header(&self, name: HeaderName) -> Option<Header<'b>> {
        match self.first[name.index()] {
            NONE => None,
            nth => self.spans.get(usize::from(nth)).map(|s| self.at_span(s)),
        }
    }

    /// The value of the first field of that name.
    pub fn value(&self, name: HeaderName) -> Option<&'b [u8]> {
        self.header(name).map(|h| h.value)
    }

    /// All fields of that name, in their order.
    pub fn headers_named(&self, name: HeaderName) -> impl Iterator<Item = Header<'b>> + '_ {
        let from = match self.first[name.index()] {
            NONE => self.spans.len(),
            nth => usize::from(nth),
        };
        self.spans[from..].iter().filter(move |s| s.name == name).map(|s| self.at_span(s))
    }

    /// The first field whose name is `name`, for names that [`HeaderName`] does not know.
    pub fn header_by_text(&self, name: &[u8]) -> Option<Header<'b>> {
        match HeaderName::parse(name) {
            HeaderName::Other => self
                .spans
                .iter()
                .filter(|s| s.name == HeaderName::Other)
                .find(|s| {
                    let raw = &self.bytes[s.at()..];
                    raw[..scan::token_len(raw)].eq_ignore_ascii_case(name)
                })
                .map(|s| self.at_span(s)),
            known => self.header(known),
        }
    }

    fn at_span(&self, s: &Span) -> Header<'b> {
        Header { name: s.name, value: &self.bytes[s.value()], span: *s }
    }
}

const fn is_lws(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\r' | b'\n')
}

/// The offset of the CR of the CRLF that ends the line which `at` lies on. A CR or LF alone is refused: peers that
/// take one for a line end see other header fields than we do.
fn line_end(bytes: &[u8], at: usize) -> Result<usize, ParseError> {
    let Some(n) = memchr::memchr2(b'\r', b'\n', &bytes[at..]) else {
        return Err(ParseError::new(ParseErrorKind::Truncated, bytes.len()));
    };
    let cr = at + n;
    match bytes[cr..] {
        [b'\r', b'\n', ..] => Ok(cr),
        [b'\r'] => Err(ParseError::new(ParseErrorKind::Truncated, bytes.len())),
        _ => Err(ParseError::new(ParseErrorKind::ControlByte, cr)),
    }
}

#[cfg(test)]
#[path = "msg_tests.rs"]
mod tests;
