//! Route, Record-Route, Path and Service-Route (RFC 3261 §20.30, §20.34; RFC 3327; RFC 3608).

use super::name_addr::NameAddr;
use super::token::{Cursor, Span};
use super::uri::Uri;
use crate::error::ParseError;

/// One element of a route list. Spans count from the start of its field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'b> {
    /// The address.
    pub address: NameAddr<'b>,
    /// What to delete so that the list of this field value stands without the element; `None` where it is the only one, so
    /// that the whole header field has to go.
    pub removal: Option<Span>,
}

impl<'b> Route<'b> {
    /// The URI, parsed.
    ///
    /// # Errors
    /// Those of [`Uri::parse`].
    pub fn uri(&self) -> Result<Uri<'b>, ParseError> {
        self.address.parse_uri()
    }

    /// Whether the element names a loose router: its URI has `lr` (§19.1.1). What is no URI names none.
    pub fn is_loose(&self) -> bool {
        self.uri().is_ok_and(|uri| uri.is_loose_router())
    }
}

/// Iterates the elements of one field value. The first error ends the iteration; an empty value is one.
///
/// Angle brackets are required, as the grammar has it: without them `lr` would belong to the header field, and a loose router
/// would look like a strict one.
#[derive(Clone, Debug)]
pub struct Routes<'b> {
    cursor: Cursor<'b>,
    previous_end: Option<usize>,
    done: bool,
}

impl<'b> Routes<'b> {
    /// The elements of `value`.
    pub const fn new(value: &'b [u8]) -> Self {
        Self { cursor: Cursor::new(value, 0, "route"), previous_end: None, done: false }
    }

    fn step(&mut self) -> Result<Route<'b>, ParseError> {
        let c = &mut self.cursor;
        let address = NameAddr::scan(c)?;
        if !address.bracketed {
            return Err(c.error());
        }
        c.skip_lws();
        let more = c.eat(b',');
        c.skip_lws();
        if c.at_end() == more {
            return Err(c.error());
        }
        self.done = !more;
        let removal = match self.previous_end.replace(address.span.end) {
            Some(previous) => Some(Span::new(previous, address.span.end)),
            None => more.then_some(Span::new(address.span.start, c.at)),
        };
        Ok(Route { address, removal })
    }
}

impl<'b> Iterator for Routes<'b> {
    type Item = Result<Route<'b>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.step();
        self.done |= item.is_err();
        Some(item)
    }
}

/// Iterates the elements of all field values of one name, top to bottom, each with the index of its value.
pub fn routes<'b, I>(values: I) -> impl Iterator<Item = Result<(usize, Route<'b>), ParseError>>
where
    I: IntoIterator<Item = &'b [u8]>,
{
    let rows = values.into_iter().enumerate();
    rows.flat_map(|(row, value)| Routes::new(value).map(move |route| route.map(|route| (row, route))))
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::token::Text;
    use super::*;

    #[test]
    fn elements_over_several_values() {
        let values = [&b"<sip:p1;lr>,\"x,y\" <sip:p2>;a=b"[..], b"<sip:p3;lr=on>"];
        let all: Vec<_> = routes(values).map(Result::unwrap).collect();
        let seen: Vec<_> = all.iter().map(|(row, r)| (*row, r.address.uri, r.is_loose())).collect();
        assert_eq!(seen, [(0, &b"sip:p1;lr"[..], true), (0, b"sip:p2", false), (1, b"sip:p3;lr=on", true)]);
        assert_eq!(all[2].1.removal, None);
    }

    #[test]
    fn removal_leaves_a_valid_list() {
        let value = b" <sip:p1;lr> ,\r\n <sip:p2;lr>, <sip:p3> ";
        for i in 0..3 {
            let cut = Routes::new(value).nth(i).unwrap().unwrap().removal.unwrap();
            let rest = [&value[..cut.start], &value[cut.end..]].concat();
            let left: Vec<_> = Routes::new(&rest).map(|r| r.unwrap().address.uri.to_vec()).collect();
            let mut want: Vec<_> = Routes::new(value).map(|r| r.unwrap().address.uri.to_vec()).collect();
            want.remove(i);
            assert_eq!(left, want, "without {i}");
        }
    }

    #[test]
    fn structure_is_strict() {
        for bad in [
            &b""[..],
            b"sip:p1;lr",
            b"<sip:p1>,",
            b",<sip:p1>",
            b"<sip:p1> <sip:p2>",
            b"<sip:p1>,,<sip:p2>",
            b"<sip:p1",
        ] {
            assert!(Routes::new(bad).any(|r| r.is_err()), "{:?}", Text(bad));
        }
    }
}
