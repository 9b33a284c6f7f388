//! Byte classes and the small scanners that every field parser is made of (RFC 3261 §25.1).
//!
//! Linear white space (LWS) is a space, a tab, or a line fold: CRLF that is followed by one of the two. A bare CR or LF
//! is never white space.

use core::ops::Range;

use crate::error::{ParseError, ParseErrorKind};

/// Byte class: `token`.
pub const TOKEN: u16 = 1 << 0;
/// Byte class: `DIGIT`.
pub const DIGIT: u16 = 1 << 1;
/// Byte class: `HEXDIG`, either case.
pub const HEX: u16 = 1 << 2;
/// Byte class: `ALPHA`.
pub const ALPHA: u16 = 1 << 3;
/// Byte class: `unreserved`.
pub const UNRESERVED: u16 = 1 << 4;
/// Byte class: `user` of a SIP URI without escapes, and `#`, which dial strings carry unescaped in the field.
pub const USER: u16 = 1 << 5;
/// Byte class: `password` of a SIP URI without escapes.
pub const PASSWORD: u16 = 1 << 6;
/// Byte class: `paramchar` of a URI parameter without escapes.
pub const PARAM: u16 = 1 << 7;
/// Byte class: `hname` and `hvalue` of a URI header without escapes.
pub const HEADER: u16 = 1 << 8;
/// Byte class: host names: letters, digits, `-`, `.`, and `_`, which is common in private zones.
pub const HOST: u16 = 1 << 9;
/// Byte class: space and tab.
pub const WSP: u16 = 1 << 10;
/// Byte class: an unquoted parameter value: every visible ASCII byte but those that end or quote a value (`" , ; < > \`).
pub const VALUE: u16 = 1 << 11;
/// Byte class: what a quoted string holds without a backslash, bar line folds: tab, space, visible ASCII but `"` and `\`, and
/// all of 0x80 and above.
pub const QUOTED: u16 = 1 << 12;
/// Byte class: a URI between angle brackets: visible ASCII but `" < >`, and all of 0x80 and above.
pub const URI: u16 = 1 << 13;

const CLASSES: [u16; 256] = classes();

const fn one_of(set: &[u8], byte: u8) -> bool {
    let mut i = 0;
    while i < set.len() {
        if set[i] == byte {
            return true;
        }
        i += 1;
    }
    false
}

const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let alnum = b.is_ascii_alphanumeric();
        let unreserved = alnum || one_of(b"-_.!~*'()", b);
        let visible = b.is_ascii_graphic();
        let members = [
            (TOKEN, alnum || one_of(b"-.!%*_+`'~", b)),
            (DIGIT, b.is_ascii_digit()),
            (HEX, b.is_ascii_hexdigit()),
            (ALPHA, b.is_ascii_alphabetic()),
            (UNRESERVED, unreserved),
            (USER, unreserved || one_of(b"&=+$,;?/#", b)),
            (PASSWORD, unreserved || one_of(b"&=+$,", b)),
            (PARAM, unreserved || one_of(b"[]/:&+$", b)),
            (HEADER, unreserved || one_of(b"[]/?:+$", b)),
            (HOST, alnum || one_of(b"-._", b)),
            (WSP, b == b' ' || b == b'\t'),
            (VALUE, visible && !one_of(b"\",;<>\\", b)),
            (QUOTED, b == b'\t' || b == b' ' || b >= 0x80 || (visible && !one_of(b"\"\\", b))),
            (URI, b >= 0x80 || (visible && !one_of(b"\"<>", b))),
        ];
        let mut m = 0;
        while m < members.len() {
            if members[m].1 {
                table[i] |= members[m].0;
            }
            m += 1;
        }
        i += 1;
    }
    table
}

/// Whether `byte` is in one of `classes` (flags of this module, joined with `|`).
#[inline]
pub const fn is(byte: u8, classes: u16) -> bool {
    CLASSES[byte as usize] & classes != 0
}

/// Whether `bytes` is one token.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is(b, TOKEN))
}

/// A range of offsets into the slice that was parsed. Unlike `Range` it can be copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The span from `start` up to `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Length in bytes.
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether the span holds no byte.
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The same bytes, counted from a slice that starts `by` bytes earlier.
    #[must_use]
    pub const fn shifted(self, by: usize) -> Self {
        Self { start: self.start + by, end: self.end + by }
    }

    /// The bytes of the span; empty where `bytes` is not the slice that it belongs to.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or(&[])
    }

    /// The span as a range.
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A position in a field value that moves forward only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) at: usize,
    what: &'static str,
}

impl<'b> Cursor<'b> {
    /// A cursor at `at`; its errors say `Syntax(what)`.
    #[inline]
    pub(crate) const fn new(bytes: &'b [u8], at: usize, what: &'static str) -> Self {
        Self { bytes, at, what }
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// A syntax error here.
    #[cold]
    pub(crate) const fn error(&self) -> ParseError {
        ParseError::new(ParseErrorKind::Syntax(self.what), self.at)
    }

    /// Steps over `byte` if it is next.
    #[inline]
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let hit = self.peek() == Some(byte);
        self.at += usize::from(hit);
        hit
    }

    /// Steps over `byte`, or fails.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.eat(byte) { Ok(()) } else { Err(self.error()) }
    }

    /// Steps over all bytes of `classes`; the span may be empty.
    #[inline]
    pub(crate) fn take_while(&mut self, classes: u16) -> Span {
        let start = self.at;
        while let Some(&b) = self.bytes.get(self.at) {
            if !is(b, classes) {
                break;
            }
            self.at += 1;
        }
        Span::new(start, self.at)
    }

    /// Steps over at least one byte of `classes`.
    #[inline]
    pub(crate) fn take_some(&mut self, classes: u16) -> Result<Span, ParseError> {
        let span = self.take_while(classes);
        if span.is_empty() { Err(self.error()) } else { Ok(span) }
    }

    /// Steps over linear white space; says whether there was any.
    #[inline]
    pub(crate) fn skip_lws(&mut self) -> bool {
        match self.peek() {
            Some(b' ' | b'\t' | b'\r') => self.skip_lws_slow(),
            _ => false,
        }
    }

    fn skip_lws_slow(&mut self) -> bool {
        let start = self.at;
        loop {
            match self.bytes.get(self.at..).unwrap_or(&[]) {
                [b' ' | b'\t', ..] => self.at += 1,
                [b'\r', b'\n', b' ' | b'\t', ..] => self.at += 3,
                _ => return self.at > start,
            }
        }
    }

    /// Steps over a quoted string, from its opening to its closing quote; the span is what lies between, escapes as they are.
    pub(crate) fn quoted(&mut self) -> Result<Span, ParseError> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            self.take_while(QUOTED);
            match self.bytes.get(self.at..).unwrap_or(&[]) {
                [b'"', ..] => {
                    self.at += 1;
                    return Ok(Span::new(start, self.at - 1));
                }
                [b'\\', escaped, ..] if escaped.is_ascii() && !matches!(escaped, b'\r' | b'\n') => self.at += 2,
                [b'\r', b'\n', b' ' | b'\t', ..] => self.at += 3,
                _ => return Err(self.error()),
            }
        }
    }

    /// Steps over `1*DIGIT`. Fails with `Number` where the value does not fit.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<u32, ParseError> {
        let digits = self.take_some(DIGIT)?;
        decimal(digits.of(self.bytes)).ok_or(ParseError::new(ParseErrorKind::Number, digits.start))
    }

    /// Fails unless everything was read, white space aside.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), ParseError> {
        self.skip_lws();
        if self.at_end() { Ok(()) } else { Err(self.error()) }
    }
}

/// The value of decimal digits; `None` where there is another byte, no byte, or more than 32 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |n, &b| {
        let d = b.wrapping_sub(b'0');
        if d > 9 { None } else { n.checked_mul(10)?.checked_add(u32::from(d)) }
    })
}

/// The value of a hexadecimal digit.
pub(crate) const fn hex_value(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Bytes as text for `Debug`, with everything unprintable escaped.
pub(crate) struct Text<'b>(pub(crate) &'b [u8]);

impl core::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// One element of a comma-separated field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'b> {
    /// The element without the white space around it. May be empty (`a,,b`).
    pub value: &'b [u8],
    /// Where `value` lies in the field value.
    pub span: Span,
    /// What to delete so that the list stands without this element; `None` where it is the only one, so that the whole header
    /// field has to go.
    pub removal: Option<Span>,
}

/// Splits a comma-separated field value; commas in quoted strings and between angle brackets do not split.
///
/// A value of white space has no elements. The first error ends the iteration.
#[derive(Clone, Debug)]
pub struct Elements<'b> {
    cursor: Cursor<'b>,
    previous_end: Option<usize>,
    done: bool,
}

impl<'b> Elements<'b> {
    /// The elements of `value`.
    pub fn new(value: &'b [u8]) -> Self {
        let mut cursor = Cursor::new(value, 0, "list");
        cursor.skip_lws();
        Self { done: cursor.at_end(), cursor, previous_end: None }
    }

    /// Goes to the next top-level comma or the end; gives where the element's last byte before it ends.
    fn scan(&mut self) -> Result<usize, ParseError> {
        let c = &mut self.cursor;
        let mut end = c.at;
        while let Some(byte) = c.peek() {
            match byte {
                b',' => break,
                b'"' => {
                    c.quoted()?;
                }
                b'<' => {
                    let rest = c.bytes.get(c.at..).unwrap_or(&[]);
                    c.at += memchr::memchr(b'>', rest).ok_or(c.error())? + 1;
                }
                _ if c.skip_lws() => continue,
                0..=0x1f | 0x7f => return Err(ParseError::new(ParseErrorKind::ControlByte, c.at)),
                _ => c.at += 1,
            }
            end = c.at;
        }
        Ok(end)
    }
}

impl<'b> Iterator for Elements<'b> {
    type Item = Result<Element<'b>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let start = self.cursor.at;
        let end = match self.scan() {
            Ok(end) => end,
            Err(error) => {
                self.done = true;
                return Some(Err(error));
            }
        };
        let more = self.cursor.eat(b',');
        self.done = !more;
        self.cursor.skip_lws();
        let span = Span::new(start, end);
        let removal = match (self.previous_end, more) {
            (Some(previous), _) => Some(Span::new(previous, end)),
            (None, true) => Some(Span::new(start, self.cursor.at)),
            (None, false) => None,
        };
        self.previous_end = Some(end);
        Some(Ok(Element { value: span.of(self.cursor.bytes), span, removal }))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn elements(value: &[u8]) -> Vec<&[u8]> {
        Elements::new(value).map(|e| e.unwrap().value).collect()
    }

    #[test]
    fn classes_follow_the_grammar() {
        for b in 0..=255u8 {
            let alnum = b.is_ascii_alphanumeric();
            assert_eq!(is(b, TOKEN), alnum || b"-.!%*_+`'~".contains(&b), "token {b:#x}");
            assert_eq!(is(b, UNRESERVED), alnum || b"-_.!~*'()".contains(&b), "unreserved {b:#x}");
            assert!(!(is(b, VALUE | URI | QUOTED) && b < b' ' && b != b'\t'), "control {b:#x}");
        }
        assert!(!is(0x7f, VALUE | URI | QUOTED));
    }

    #[test]
    fn commas_split_outside_quotes_and_brackets_only() {
        assert_eq!(elements(b" a , b,c "), [&b"a"[..], b"b", b"c"]);
        assert_eq!(
            elements(b"\"x,\\\",y\" <sip:a,b@c>;q=1\r\n ,<sip:d>"),
            [&b"\"x,\\\",y\" <sip:a,b@c>;q=1"[..], b"<sip:d>"]
        );
        assert_eq!(elements(b"a,,b"), [&b"a"[..], b"", b"b"]);
        assert_eq!(elements(b"a,"), [&b"a"[..], b""]);
        assert!(elements(b" \t").is_empty());
    }

    #[test]
    fn unterminated_and_control_bytes_are_refused() {
        for bad in [&b"\"a"[..], b"<sip:a", b"a\0b", b"a\rb", b"a\r\nb", b"\"a\x01\"", b"\"a\\", b"\"\\\r\""] {
            assert!(Elements::new(bad).any(|e| e.is_err()), "{:?}", Text(bad));
        }
    }

    #[test]
    fn removal_leaves_the_rest_of_the_list() {
        let value = b"a , b,\r\n c";
        let rest = |i: usize| {
            let cut = Elements::new(value).nth(i).unwrap().unwrap().removal.unwrap();
            [&value[..cut.start], &value[cut.end..]].concat()
        };
        assert_eq!(rest(0), b"b,\r\n c");
        assert_eq!(rest(1), b"a,\r\n c");
        assert_eq!(rest(2), b"a , b");
        assert_eq!(Elements::new(b" a ").next().unwrap().unwrap().removal, None);
    }

    #[test]
    fn decimal_is_bounded() {
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        assert_eq!(decimal(b"4294967296"), None);
        assert_eq!(decimal(b""), None);
        assert_eq!(decimal(b"1a"), None);
        assert_eq!(decimal(b"0009"), Some(9));
    }
}
