//! Addresses of header fields: `name-addr` and `addr-spec` with parameters (RFC 3261 §20.10, §25.1).

use core::fmt;

use super::params::Params;
use super::token::{Cursor, QUOTED, Span, Text, URI, is};
use super::uri::Uri;
use crate::error::{ParseError, ParseErrorKind};

/// An address of From, To, Contact, Route, Record-Route, Refer-To and their like. All spans count from the start of the
/// field value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NameAddr<'b> {
    /// The display name: of a quoted one what lies between the quotes (escapes as they are), else the words before `<`.
    pub display: Option<&'b [u8]>,
    /// The URI as it was written, without angle brackets. It was not parsed, see [`NameAddr::parse_uri`].
    pub uri: &'b [u8],
    /// Where `uri` lies.
    pub uri_span: Span,
    /// Whether the URI stands between angle brackets. Without them all parameters belong to the header field.
    pub bracketed: bool,
    /// The parameters of the header field.
    pub params: Params<'b>,
    /// The whole element, up to the end of its last parameter, where another one can be inserted.
    pub span: Span,
    tag: Option<Span>,
    bytes: &'b [u8],
}

impl<'b> NameAddr<'b> {
    /// Parses a field value that holds one address.
    ///
    /// More lenient than the grammar: an unquoted display name may hold any byte but controls and `" , ; < >`; a quoted
    /// one any byte from 0x80; the URI is only checked for its bytes. White space in angle brackets is refused, as is an
    /// empty or a second `tag`, since it decides to which dialog a message belongs.
    ///
    /// # Errors
    /// `Syntax("address")`; `Duplicate("tag")`.
    #[inline]
    pub fn parse(value: &'b [u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(value, 0, "address");
        let address = Self::scan(&mut c)?;
        c.finish()?;
        Ok(address)
    }

    /// Reads the address at the cursor, which ends after its last parameter.
    #[inline]
    pub(crate) fn scan(c: &mut Cursor<'b>) -> Result<Self, ParseError> {
        c.skip_lws();
        let start = c.at;
        let (display, bracketed) = scan_display(c)?;
        let uri_span = if bracketed { scan_bracketed(c)? } else { scan_bare(c)? };
        let mut tag = None;
        let params = Params::scan(c, |param| {
            if param.is(b"tag") {
                let value = param.content_span().filter(|v| !v.is_empty());
                let value = value.ok_or(ParseError::new(ParseErrorKind::Syntax("tag"), param.span.start))?;
                if tag.replace(value).is_some() {
                    return Err(ParseError::new(ParseErrorKind::Duplicate("tag"), param.span.start));
                }
            }
            Ok(())
        })?;
        Ok(Self {
            display: display.map(|d| d.of(c.bytes)),
            uri: uri_span.of(c.bytes),
            uri_span,
            bracketed,
            params,
            span: Span::new(start, c.at),
            tag,
            bytes: c.bytes,
        })
    }

    /// The `tag` parameter, without quotes; never empty.
    #[inline]
    pub fn tag(&self) -> Option<&'b [u8]> {
        self.tag.map(|span| span.of(self.bytes))
    }

    /// Where [`NameAddr::tag`] lies.
    pub const fn tag_span(&self) -> Option<Span> {
        self.tag
    }

    /// The URI, parsed.
    ///
    /// # Errors
    /// Those of [`Uri::parse`], counted from the start of the field value.
    pub fn parse_uri(&self) -> Result<Uri<'b>, ParseError> {
        Uri::parse(self.uri).map_err(|e| e.shifted(self.uri_span.start))
    }
}

impl fmt::Debug for NameAddr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("NameAddr");
        out.field("display", &self.display.map(Text));
        match self.parse_uri() {
            Ok(uri) => out.field("uri", &uri),
            Err(_) => out.field("uri", &"?"),
        };
        out.field("params", &self.params).finish()
    }
}

/// Steps over a display name; says whether a `<` is next.
#[inline]
fn scan_display(c: &mut Cursor<'_>) -> Result<(Option<Span>, bool), ParseError> {
    match c.peek() {
        Some(b'<') => return Ok((None, true)),
        Some(b'"') => {
            let name = c.quoted()?;
            c.skip_lws();
            return if c.peek() == Some(b'<') { Ok((Some(name), true)) } else { Err(c.error()) };
        }
        _ => {}
    }
    let start = c.at;
    let mut end = start;
    loop {
        match c.peek() {
            Some(b'<') => return Ok((Some(Span::new(start, end)), true)),
            None | Some(b',' | b';') => {
                c.at = start;
                return Ok((None, false));
            }
            Some(b'"' | b'>') => return Err(c.error()),
            Some(b' ' | b'\t' | b'\r') => {
                if !c.skip_lws() {
                    return Err(c.error());
                }
            }
            Some(b) if b == b'\\' || is(b, QUOTED) => {
                c.at += 1;
                end = c.at;
            }
            Some(_) => return Err(c.error()),
        }
    }
}

/// Reads `<` URI `>`.
#[inline]
fn scan_bracketed(c: &mut Cursor<'_>) -> Result<Span, ParseError> {
    c.expect(b'<')?;
    let uri = c.take_some(URI)?;
    c.expect(b'>')?;
    Ok(uri)
}

/// Reads a URI without brackets. A comma, a semicolon and a question mark cannot be in it (RFC 3261 §20.10): the first two
/// end it, the third is refused because no reading of it is safe.
fn scan_bare(c: &mut Cursor<'_>) -> Result<Span, ParseError> {
    let start = c.at;
    while let Some(b) = c.peek() {
        match b {
            b',' | b';' => break,
            b'?' => return Err(c.error()),
            _ if !is(b, URI) => break,
            _ => c.at += 1,
        }
    }
    let uri = Span::new(start, c.at);
    if memchr::memchr(b':', uri.of(c.bytes)).is_none() {
        c.at = start;
        return Err(c.error());
    }
    Ok(uri)
}

/// The value of one Contact header field: `*` or a list of addresses (RFC 3261 §20.10).
#[derive(Clone, Debug)]
pub enum Contact<'b> {
    /// `*`: all bindings, in REGISTER.
    Star,
    /// Addresses.
    Addresses(NameAddrs<'b>),
}

impl<'b> Contact<'b> {
    /// Takes `value` as a Contact value. Addresses are parsed as they are iterated.
    pub fn parse(value: &'b [u8]) -> Self {
        let mut c = Cursor::new(value, 0, "Contact");
        c.skip_lws();
        if c.eat(b'*') && c.finish().is_ok() { Self::Star } else { Self::Addresses(NameAddrs::new(value)) }
    }
}

/// Iterates the addresses of a comma-separated field value. The first error ends the iteration; an empty value is one.
#[derive(Clone, Debug)]
pub struct NameAddrs<'b> {
    cursor: Cursor<'b>,
    done: bool,
}

impl<'b> NameAddrs<'b> {
    /// The addresses of `value`.
    pub const fn new(value: &'b [u8]) -> Self {
        Self { cursor: Cursor::new(value, 0, "address"), done: false }
    }

    fn step(&mut self) -> Result<NameAddr<'b>, ParseError> {
        let address = NameAddr::scan(&mut self.cursor)?;
        self.cursor.skip_lws();
        if !self.cursor.eat(b',') {
            self.done = true;
            self.cursor.finish()?;
        }
        Ok(address)
    }
}

impl<'b> Iterator for NameAddrs<'b> {
    type Item = Result<NameAddr<'b>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step();
        self.done |= item.is_err();
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn forms_of_the_display_name() {
        for (value, display) in [
            (&b"<sip:a@b>;tag=1"[..], None),
            (b"\"A. G. \\\"Bell\\\"\" <sip:a@b> ;tag=1", Some(&b"A. G. \\\"Bell\\\""[..])),
            (b"\"\" <sip:a@b>;tag=1", Some(b"")),
            (b"Anonymous<sip:a@b>;tag=1", Some(b"Anonymous")),
            (b" I have  spaces\r\n <sip:a@b>\t; tag = 1 ", Some(b"I have  spaces")),
            (b"x <sip:a@b>;tag=\"1\"", Some(b"x")),
            (b"J\xc3\xbcrgen (x) @home: <sip:a@b>;TAG=1", Some(b"J\xc3\xbcrgen (x) @home:")),
            (b"\"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7F\" <sip:a@b>;tag=1", Some(b"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7F")),
        ] {
            let a = NameAddr::parse(value).unwrap_or_else(|e| panic!("{:?}: {e}", Text(value)));
            assert_eq!(a.display.map(Text).is_some(), display.is_some());
            assert_eq!(a.display, display, "{:?}", Text(value));
            assert_eq!(a.uri, b"sip:a@b");
            assert_eq!(a.uri_span.of(value), b"sip:a@b");
            assert_eq!(a.tag(), Some(&b"1"[..]));
            assert_eq!(a.tag_span().unwrap().of(value), b"1");
        }
    }

    #[test]
    fn parameters_without_brackets_belong_to_the_header() {
        let bare = NameAddr::parse(b"sip:a@b;tag=1;lr").unwrap();
        assert_eq!(bare.uri, b"sip:a@b");
        assert!(!bare.bracketed && bare.params.has(b"lr"));
        let inside = NameAddr::parse(b"<sip:a@b;lr>;x").unwrap();
        assert!(!inside.params.has(b"lr") && inside.parse_uri().unwrap().is_loose_router());
    }

    #[test]
    fn structure_is_strict() {
        for bad in [
            &b""[..],
            b" ",
            b"<>",
            b"<sip:a@b",
            b"sip:a@b>",
            b"\"a <sip:a@b>",
            b"\"a\" sip:a@b",
            b"< sip:a@b>",
            b"<sip:a@b >",
            b"<sip:a b>",
            b"sip:a@b?x=y",
            b"Bell, Alexander <sip:a@b>",
            b"a\"b\" <sip:a@b>",
            b"<sip:a@b> x",
            b"<sip:a@b>;",
            b"<sip:a@b>;;x",
            b"<sip:a@b>;tag",
            b"<sip:a@b>;tag=",
            b"<sip:a@b>;tag=\"\"",
            b"<sip:a@b>;tag=1;TAG=1",
            b"\0<sip:a@b>",
            b"a\r<sip:a@b>",
            b"noscheme",
            b"<<sip:a@b>>",
            b"sip:a@b x",
            b"<sip:a@b>,<sip:c@d>",
        ] {
            assert!(NameAddr::parse(bad).is_err(), "{:?}", Text(bad));
        }
    }

    #[test]
    fn lists_and_star() {
        let value = b"\"a,b\" <sip:a,c@d>;q=0.5 ,\r\n sip:e@f;expires=1";
        let Contact::Addresses(list) = Contact::parse(value) else { panic!("star") };
        let list: Vec<_> = list.map(Result::unwrap).collect();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].span.of(value), b"\"a,b\" <sip:a,c@d>;q=0.5");
        assert_eq!(list[1].span.of(value), b"sip:e@f;expires=1");
        assert!(matches!(Contact::parse(b" * "), Contact::Star));
        for bad in [&b"*,<sip:a@b>"[..], b"<sip:a@b>,", b"", b"<sip:a@b>,,<sip:a@b>"] {
            let Contact::Addresses(mut list) = Contact::parse(bad) else { panic!("star") };
            assert!(list.any(|a| a.is_err()), "{:?}", Text(bad));
        }
    }
}
