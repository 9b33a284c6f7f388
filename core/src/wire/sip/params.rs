//! Parameters of header fields and of URIs: `;name[=value]` (RFC 3261 §25.1 `generic-param`, `uri-parameter`).

use core::fmt;

use super::token::{Cursor, Span, TOKEN, Text, VALUE};
use crate::error::ParseError;

/// One parameter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Param<'b> {
    /// The name, as it was written. Compare it with [`Param::is`].
    pub name: &'b [u8],
    /// The value: `None` without `=`; of a quoted string what lies between the quotes, escapes as they are. May be empty.
    pub value: Option<&'b [u8]>,
    /// The whole parameter, from its `;` to the end of the value (a closing quote included): what to delete to remove it.
    pub span: Span,
    /// Where `name` lies.
    pub name_span: Span,
    /// Where the value lies, quotes included.
    pub value_span: Option<Span>,
}

impl<'b> Param<'b> {
    /// Whether this is the parameter `name`; names compare in either case.
    #[inline]
    pub fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// Where `value` lies: as `value_span`, but without quotes.
    pub fn content_span(&self) -> Option<Span> {
        let (value, span) = (self.value?, self.value_span?);
        let quote = usize::from(span.len() > value.len());
        Some(Span::new(span.start + quote, span.end - quote))
    }

    /// Reads the parameter whose `;` the cursor stands at.
    #[inline]
    pub(crate) fn scan(c: &mut Cursor<'b>, name_class: u16) -> Result<Self, ParseError> {
        let start = c.at;
        c.expect(b';')?;
        c.skip_lws();
        let name_span = c.take_some(name_class)?;
        let name = name_span.of(c.bytes);
        let bare = Self { name, value: None, span: Span::new(start, c.at), name_span, value_span: None };
        let after_name = c.at;
        c.skip_lws();
        if !c.eat(b'=') {
            c.at = after_name;
            return Ok(bare);
        }
        c.skip_lws();
        let value_start = c.at;
        let value = if c.peek() == Some(b'"') { c.quoted()? } else { c.take_while(VALUE) };
        Ok(Self {
            value: Some(value.of(c.bytes)),
            span: Span::new(start, c.at),
            value_span: Some(Span::new(value_start, c.at)),
            ..bare
        })
    }
}

impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}={:?}", Text(self.name), self.value.map(Text))
    }
}

/// The parameters of a header field or of a URI, checked when they were parsed and split when asked.
///
/// All spans count from the start of the value that was parsed, not from the first parameter.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Params<'b> {
    bytes: &'b [u8],
    span: Span,
    name_class: u16,
}

impl<'b> Params<'b> {
    /// Parses `*( SEMI generic-param )` over a whole slice.
    ///
    /// More lenient than the grammar: an unquoted value may hold any visible byte but `" , ; < > \`, or be empty.
    ///
    /// # Errors
    /// `Syntax("parameter")`.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(bytes, 0, "parameter");
        let params = Self::scan(&mut c, |_| Ok(()))?;
        c.finish()?;
        Ok(params)
    }

    /// Reads parameters at the cursor up to what is none, and shows each to `see`. The cursor ends after the last one.
    #[inline]
    pub(crate) fn scan(
        c: &mut Cursor<'b>,
        mut see: impl FnMut(&Param<'b>) -> Result<(), ParseError>,
    ) -> Result<Self, ParseError> {
        let start = c.at;
        loop {
            let end = c.at;
            c.skip_lws();
            if c.peek() != Some(b';') {
                c.at = end;
                return Ok(Self { bytes: c.bytes, span: Span::new(start, end), name_class: TOKEN });
            }
            see(&Param::scan(c, TOKEN)?)?;
        }
    }

    /// Parameters that were checked already, with names of `name_class`.
    #[inline]
    pub(crate) const fn checked(bytes: &'b [u8], span: Span, name_class: u16) -> Self {
        Self { bytes, span, name_class }
    }

    /// Where the parameters lie: from the end of what precedes them to the end of the last one, which is where another
    /// one can be inserted.
    pub const fn span(&self) -> Span {
        self.span
    }

    /// The parameters as they were written, with their semicolons.
    pub fn as_bytes(&self) -> &'b [u8] {
        self.span.of(self.bytes)
    }

    /// Whether there is no parameter.
    pub const fn is_empty(&self) -> bool {
        self.span.is_empty()
    }

    /// The parameters in their order.
    pub fn iter(&self) -> ParamsIter<'b> {
        let bytes = self.bytes.get(..self.span.end).unwrap_or(&[]);
        ParamsIter { cursor: Cursor::new(bytes, self.span.start, "parameter"), name_class: self.name_class }
    }

    /// The first parameter `name`, in either case.
    pub fn find(&self, name: &[u8]) -> Option<Param<'b>> {
        self.iter().find(|p| p.is(name))
    }

    /// The value of the first parameter `name`; `None` also where it has no value.
    pub fn value(&self, name: &[u8]) -> Option<&'b [u8]> {
        self.find(name)?.value
    }

    /// Whether there is a parameter `name`, with or without a value.
    pub fn has(&self, name: &[u8]) -> bool {
        self.find(name).is_some()
    }
}

impl<'b> IntoIterator for Params<'b> {
    type Item = Param<'b>;
    type IntoIter = ParamsIter<'b>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Params<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Params({:?})", Text(self.as_bytes()))
    }
}

/// Iterator of [`Params::iter`].
#[derive(Clone, Debug)]
pub struct ParamsIter<'b> {
    cursor: Cursor<'b>,
    name_class: u16,
}

impl<'b> Iterator for ParamsIter<'b> {
    type Item = Param<'b>;

    #[inline]
    fn next(&mut self) -> Option<Param<'b>> {
        self.cursor.skip_lws();
        Param::scan(&mut self.cursor, self.name_class).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_quotes_and_folds() {
        let bytes = b" ; newparam = newvalue ;\r\n secondparam;q=0.33;x=\"a;b\\\"\" ; host=[::1]";
        let params = Params::parse(bytes).unwrap();
        assert_eq!(params.iter().count(), 5);
        assert_eq!(params.value(b"NewParam"), Some(&b"newvalue"[..]));
        assert!(params.has(b"secondparam"));
        assert_eq!(params.value(b"secondparam"), None);
        assert_eq!(params.value(b"x"), Some(&b"a;b\\\""[..]));
        assert_eq!(params.value(b"host"), Some(&b"[::1]"[..]));
        assert!(!params.has(b"new"));
    }

    #[test]
    fn spans_delete_one_parameter() {
        let bytes = b";a=1 ;b=\"2\";c";
        let b = Params::parse(bytes).unwrap().find(b"b").unwrap();
        assert_eq!(b.span.of(bytes), b";b=\"2\"");
        assert_eq!(b.value_span.unwrap().of(bytes), b"\"2\"");
        assert_eq!(b.content_span().unwrap().of(bytes), b"2");
        assert_eq!(b.name_span.of(bytes), b"b");
    }

    #[test]
    fn trailing_white_space_is_outside_the_span() {
        let params = Params::parse(b";a ").unwrap();
        assert_eq!(params.span(), Span::new(0, 2));
        assert!(Params::parse(b" ").unwrap().is_empty());
    }

    #[test]
    fn structure_is_strict() {
        for bad in [
            &b";"[..],
            b";;a",
            b";a;",
            b"a=1",
            b";=1",
            b";a=\"x",
            b";a b",
            b";a=b c",
            b";a=\x01",
            b";a=1,",
            b";a\r\n;b",
        ] {
            assert!(Params::parse(bad).is_err(), "{:?}", Text(bad));
        }
    }

    #[test]
    fn empty_values_pass() {
        assert_eq!(Params::parse(b";a=;b").unwrap().value(b"a"), Some(&b""[..]));
    }
}
