//! The ng control protocol: `cookie SP body`, where the body is a dictionary in bencode or JSON (rtpengine,
//! `docs/ng_control_protocol.md`).
//!
//! [`split`] takes the cookie off a message, [`decode`] checks the body once and gives a [`Dict`]: a cursor over the
//! bytes that cannot fail any more. A JSON body is first written as bencode into lent scratch, so that whoever reads a
//! dictionary sees plain byte strings in either encoding. [`write`](fn@write) makes a reply in either encoding.
//!
//! | input | outcome |
//! |---|---|
//! | no cookie | [`ParseErrorKind::Missing`]: such a message gets no reply |
//! | a key twice | the first one counts, as in rtpengine |
//! | bytes behind the dictionary | white space is ignored, anything else is an error |
//! | strings in bencode | any bytes |
//! | strings in JSON | UTF-8, also behind escapes |
//! | numbers | 64 bits, signed; out of range, fractions and exponents are errors |
//! | `true`, `false`, `null` in JSON | the strings `yes` and `no`; as if the value were not there |

mod bencode;
mod json;
mod value;
mod writer;

use core::ops::Range;

pub use value::{Dict, DictIter, List, ListIter, Value};
pub use writer::{DictWriter, ListWriter, Overflow, Text, write};

use crate::error::{ParseError, ParseErrorKind};

/// Longest message, in bytes: what a UDP datagram can carry.
pub const MESSAGE_MAX: usize = 65_535;
/// Longest cookie, in bytes.
pub const COOKIE_MAX: usize = 255;
/// Most containers open at once.
pub const DEPTH_MAX: u32 = 16;
/// Most values in one message; keys count too.
pub const VALUES_MAX: usize = 4_096;
/// Scratch that is enough for every JSON body of [`MESSAGE_MAX`] bytes. Bencode grows most in lists of one-digit
/// numbers: `1,` becomes `i1e`.
pub const SCRATCH_MAX: usize = MESSAGE_MAX + MESSAGE_MAX / 2 + 8;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Encoding {
    /// Bencode (BEP 3), as Kamailio and OpenSIPS send it.
    Bencode,
    /// JSON (RFC 8259).
    Json,
}

impl Encoding {
    /// The encoding that the first byte of `body` tells; `None` if it starts neither.
    pub const fn of(body: &[u8]) -> Option<Self> {
        match body.first() {
            Some(b'd') => Some(Self::Bencode),
            Some(b'{') => Some(Self::Json),
            _ => None,
        }
    }
}

/// A message whose body is not yet looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// What the peer matches the reply by. Never empty.
    pub cookie: &'a [u8],
    /// The dictionary, still encoded.
    pub body: &'a [u8],
}

/// Takes the cookie off a message.
///
/// # Errors
///
/// [`ParseErrorKind::Missing`] without a cookie, [`ParseErrorKind::ControlByte`] if it holds bytes that are not
/// printable ASCII, [`ParseErrorKind::TooLong`] over [`COOKIE_MAX`] or [`MESSAGE_MAX`]. None of them may be answered:
/// there is nothing to answer with, and the reply would amplify.
pub fn split(bytes: &[u8]) -> Result<Message<'_>, ParseError> {
    if bytes.len() > MESSAGE_MAX {
        return Err(ParseError::new(ParseErrorKind::TooLong, MESSAGE_MAX));
    }
    let missing = ParseError::new(ParseErrorKind::Missing("cookie"), 0);
    let space = memchr::memchr(b' ', bytes).ok_or(missing)?;
    let (cookie, body) = (&bytes[..space], &bytes[space + 1..]);
    if cookie.is_empty() {
        return Err(missing);
    }
    if cookie.len() > COOKIE_MAX {
        return Err(ParseError::new(ParseErrorKind::TooLong, COOKIE_MAX));
    }
    match cookie.iter().position(|b| !b.is_ascii_graphic()) {
        Some(at) => Err(ParseError::new(ParseErrorKind::ControlByte, at)),
        None => Ok(Message { cookie, body }),
    }
}

/// Checks a body and gives its dictionary. `scratch` takes a JSON body as bencode ([`SCRATCH_MAX`] bytes are always
/// enough, the length of the body almost always); a bencode body does not use it.
///
/// # Errors
///
/// [`ParseErrorKind`]: `Syntax`, `Truncated`, `Number`, `TooDeep` ([`DEPTH_MAX`]), `TooManyValues` ([`VALUES_MAX`]),
/// `TooLong` ([`MESSAGE_MAX`], or what `scratch` holds).
pub fn decode<'a>(body: &'a [u8], scratch: &'a mut [u8]) -> Result<Dict<'a>, ParseError> {
    if body.len() > MESSAGE_MAX {
        return Err(ParseError::new(ParseErrorKind::TooLong, MESSAGE_MAX));
    }
    match Encoding::of(body) {
        Some(Encoding::Bencode) => {
            let end = bencode::check(body)?;
            nothing_behind(body, end)?;
            Ok(Dict::checked(&body[..end]))
        }
        Some(Encoding::Json) => {
            let (end, len) = json::to_bencode(body, scratch)?;
            nothing_behind(body, end)?;
            // The limits on depth and count; the offset of an error is that of the rewritten body.
            let end = bencode::check(&scratch[..len])?;
            Ok(Dict::checked(&scratch[..end]))
        }
        None => Err(ParseError::new(ParseErrorKind::Syntax("ng dictionary"), 0)),
    }
}

fn nothing_behind(body: &[u8], end: usize) -> Result<(), ParseError> {
    match body[end..].iter().position(|b| !b.is_ascii_whitespace()) {
        Some(i) => Err(ParseError::new(ParseErrorKind::Syntax("end of the ng message"), end + i)),
        None => Ok(()),
    }
}

/// Finds the first message in a stream (ng over TCP): where it lies in `bytes`, without the white space before it, or
/// `None` if more bytes are needed. What is found still has to go through [`split`] and [`decode`].
///
/// # Errors
///
/// Bytes that can not become a message, or a message over [`MESSAGE_MAX`] ([`ParseErrorKind::TooLong`]): the stream
/// is of no more use.
pub fn frame(bytes: &[u8]) -> Result<Option<Range<usize>>, ParseError> {
    let Some(start) = bytes.iter().position(|b| !b.is_ascii_whitespace()) else { return Ok(None) };
    let rest = &bytes[start..];
    let window = &rest[..rest.len().min(MESSAGE_MAX)];
    let Some(space) = memchr::memchr(b' ', &window[..window.len().min(COOKIE_MAX + 1)]) else {
        return if rest.len() > COOKIE_MAX { Err(ParseError::new(ParseErrorKind::TooLong, start)) } else { Ok(None) };
    };
    let at = space + 1;
    let body = &window[at..];
    let len = match Encoding::of(body) {
        None if body.is_empty() => None,
        None => return Err(ParseError::new(ParseErrorKind::Syntax("ng dictionary"), start + at)),
        Some(Encoding::Json) => json::extent(body),
        Some(Encoding::Bencode) => match bencode::check(body) {
            Ok(len) => Some(len),
            Err(e) if e.kind == ParseErrorKind::Truncated => None,
            Err(e) => return Err(e.shifted(start + at)),
        },
    };
    match len {
        Some(len) => Ok(Some(start..start + at + len)),
        None if rest.len() >= MESSAGE_MAX => Err(ParseError::new(ParseErrorKind::TooLong, start)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
