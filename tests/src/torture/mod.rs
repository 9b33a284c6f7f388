//! SIP messages that are hard to take, each with the answer it asks for.
//!
//! Three collections: the torture messages of RFC 4475 and RFC 5118, transcribed, and bad input of our own. The bytes
//! are the files below `tests/torture`, written by `tests/torture/make.py` from a notation that shows every byte.
//!
//! The messages of the RFCs were not made to be sent one after the other: several share a branch, a Call-ID and a
//! sender, so a server takes the second for a retransmission of the first. Send them to a server without transactions,
//! or each from its own port to its own server. Those of [`Document::BadInput`] have nothing in common and can go to one
//! server in one run.

mod bad_input;
mod rfc4475;
mod rfc5118;

/// The address that a message names where it has to name the server: [`Case::addressed_to`] puts in another.
pub const SERVER: &str = "127.0.0.1:5060";

/// Status codes that blame the message itself. A server never gives one of them to a message it has to accept.
pub const BLAMING: &[u16] = &[400, 414, 416, 420, 483, 505, 513];

/// Where a message comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// RFC 4475, torture test messages; sections are its own.
    Rfc4475,
    /// RFC 5118, torture test messages for IPv6; sections are its own.
    Rfc5118,
    /// Ours; sections are those of RFC 3261 that decide, unless another RFC is named.
    BadInput,
}

/// One message and what a proxy or server does with it.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The RFC's name for it, or ours; the file is `<name>.sip`.
    pub name: &'static str,
    /// Where it comes from.
    pub document: Document,
    /// The section that says what to do (`3.1.1.1`).
    pub section: &'static str,
    /// The bytes, from the first of the start line to the last of the datagram.
    pub bytes: &'static [u8],
    /// True if the message follows its grammar, or departs from it in a way that every element has to bear. False does
    /// not yet mean refused: `on_datagram` says whether the element may be lenient.
    pub valid: bool,
    /// What the element does if this is one UDP datagram; `None` if it does not fit into one.
    pub on_datagram: Option<Expect>,
    /// What the element does if these are the bytes of a TCP connection; `None` if the RFC does not ask.
    pub on_stream: Option<Expect>,
    /// True if the connection has to be closed afterwards, since nobody can tell where the next message starts.
    pub closes_stream: bool,
    /// Why, in one line.
    pub why: &'static str,
}

/// What is allowed. Lists name every status code that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The element relays the request, or answers it with any code that does not blame the message ([`BLAMING`]).
    Accept,
    /// The element answers the request itself, with one of these codes.
    Answer(&'static [u16]),
    /// The element refuses the request with one of these codes, and relays nothing.
    Reject(&'static [u16]),
    /// Either [`Expect::Accept`] or [`Expect::Reject`]: the element may be lenient.
    AcceptOrReject(&'static [u16]),
    /// The element refuses the request with one of these codes, or drops it where it cannot tell whom to answer.
    RejectOrDiscard(&'static [u16]),
    /// No answer, and nothing relayed.
    Discard,
    /// No answer yet: more bytes have to come. The connection stays open, up to the limits on unfinished messages.
    Incomplete,
}

/// What an element was seen to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message went on to another element.
    Relayed,
    /// A final response with this status code came back, and nothing went on.
    Answered(u16),
    /// Neither.
    Silent,
}

impl Expect {
    /// True if `outcome` is one of those allowed.
    #[must_use]
    pub fn allows(self, outcome: Outcome) -> bool {
        match (self, outcome) {
            (Self::Accept | Self::AcceptOrReject(_), Outcome::Relayed)
            | (Self::RejectOrDiscard(_) | Self::Discard | Self::Incomplete, Outcome::Silent) => true,
            (Self::Accept, Outcome::Answered(code)) => !BLAMING.contains(&code),
            (Self::AcceptOrReject(codes), Outcome::Answered(code)) => codes.contains(&code) || !BLAMING.contains(&code),
            (Self::Answer(codes) | Self::Reject(codes) | Self::RejectOrDiscard(codes), Outcome::Answered(code)) => {
                codes.contains(&code)
            }
            _ => false,
        }
    }
}

impl Case {
    const fn new(
        document: Document,
        (name, section): (&'static str, &'static str),
        bytes: &'static [u8],
        valid: bool,
        expect: Expect,
        why: &'static str,
    ) -> Self {
        Self {
            name,
            document,
            section,
            bytes,
            valid,
            on_datagram: Some(expect),
            on_stream: Some(expect),
            closes_stream: false,
            why,
        }
    }

    const fn stream(mut self, expect: Expect) -> Self {
        self.on_stream = Some(expect);
        self
    }

    const fn closes(mut self) -> Self {
        self.closes_stream = true;
        self
    }

    const fn datagram_only(mut self) -> Self {
        self.on_stream = None;
        self
    }

    const fn stream_only(mut self) -> Self {
        self.on_datagram = None;
        self
    }

    /// The message with `address` (host and port) wherever it names the server as [`SERVER`].
    #[must_use]
    pub fn addressed_to(&self, address: &str) -> Vec<u8> {
        let (from, mut rest) = (SERVER.as_bytes(), self.bytes);
        let mut out = Vec::with_capacity(rest.len());
        while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(address.as_bytes());
            rest = &rest[at + from.len()..];
        }
        out.extend_from_slice(rest);
        out
    }

    /// True if every parser has to take the message: it is valid, and over no limit that an element may set (513).
    #[must_use]
    pub fn must_parse(&self) -> bool {
        self.valid && !matches!(self.on_datagram, Some(Expect::AcceptOrReject(codes)) if codes.contains(&513))
    }

    /// True if the message starts as a response does.
    #[must_use]
    pub fn is_response(&self) -> bool {
        self.bytes.starts_with(b"SIP/")
    }
}

/// A row of a collection: document, folder, name, section, `valid` or `invalid`, what is expected, why.
macro_rules! case {
    ($document:ident, $folder:literal, $name:literal, $section:literal, $valid:ident, $expect:expr, $why:literal) => {
        $crate::torture::Case::new(
            $crate::torture::Document::$document,
            ($name, $section),
            include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/torture/", $folder, "/", $name, ".sip")),
            $crate::torture::case!(@ $valid),
            $expect,
            $why,
        )
    };
    (@ valid) => { true };
    (@ invalid) => { false };
}
use case;

/// The messages of RFC 4475, in its order.
#[must_use]
pub fn rfc4475() -> &'static [Case] {
    rfc4475::CASES
}

/// The messages of RFC 5118, in its order.
#[must_use]
pub fn rfc5118() -> &'static [Case] {
    rfc5118::CASES
}

/// Bad input of our own.
#[must_use]
pub fn bad_input() -> &'static [Case] {
    bad_input::CASES
}

/// Every message there is.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [rfc4475(), rfc5118(), bad_input()].into_iter().flatten()
}

/// The message with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Case> {
    all().find(|case| case.name == name)
}

#[cfg(test)]
mod tests;
