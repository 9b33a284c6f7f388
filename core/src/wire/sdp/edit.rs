//! Changes to a description, written as they are decided.
//!
//! A description is rewritten from its start to its end, so the list of edits need not be kept: an [`Editor`] copies what
//! nobody asked to change, in pieces as long as possible, and writes the rest between them. it cannot overflow, and costs the
//! same whether one line changes or thousands. Into a [`Counter`](crate::wire::sip::put::Counter) it sizes, into a
//! [`Writer`](crate::wire::sip::put::Writer) it writes.

use core::ops::Range;

use crate::wire::sip::put::Put;

/// Copies bytes with changes. Offsets must not go back; an edit behind the last one takes no part of what that one replaced.
#[derive(Debug)]
pub struct Editor<'b, 'o, P: ?Sized> {
    bytes: &'b [u8],
    copied: usize,
    out: &'o mut P,
}

impl<'b, 'o, P: Put + ?Sized> Editor<'b, 'o, P> {
    /// An editor at the start of `bytes`.
    pub const fn new(bytes: &'b [u8], out: &'o mut P) -> Self {
        Self { bytes, copied: 0, out }
    }

    /// Copies up to `at` and gives what is written next.
    pub fn insert(&mut self, at: usize) -> &mut P {
        if let Some(untouched) = self.bytes.get(self.copied..at).filter(|b| !b.is_empty()) {
            self.out.put(untouched);
            self.copied = at;
        }
        self.out
    }

    /// Leaves out the bytes in `range`.
    pub fn delete(&mut self, range: Range<usize>) {
        self.replace(range);
    }

    /// Leaves out the bytes in `range` and gives what is written in their place.
    pub fn replace(&mut self, range: Range<usize>) -> &mut P {
        self.insert(range.start);
        self.copied = self.copied.max(range.end.min(self.bytes.len()));
        self.out
    }

    /// Copies the rest.
    pub fn finish(mut self) {
        self.insert(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::wire::sip::put::{Counter, Writer};

    #[derive(Clone, Debug)]
    enum Edit {
        Insert(usize, String),
        Delete(usize, usize),
        Replace(usize, usize, String),
    }

    /// Edits at offsets that do not go back, as gaps and lengths.
    fn edits() -> impl Strategy<Value = Vec<(u8, usize, usize, String)>> {
        prop::collection::vec((0..3u8, 0..12usize, 0..12usize, "[a-z]{0,5}"), 0..12)
    }

    fn placed(text: &str, edits: &[(u8, usize, usize, String)]) -> Vec<Edit> {
        let mut at = 0;
        let mut list = Vec::new();
        for (kind, gap, len, new) in edits {
            let start = (at + gap).min(text.len());
            let end = (start + len).min(text.len());
            list.push(match kind {
                0 => Edit::Insert(start, new.clone()),
                1 => Edit::Delete(start, end),
                _ => Edit::Replace(start, end, new.clone()),
            });
            at = if *kind == 0 { start } else { end };
        }
        list
    }

    fn run(text: &str, edits: &[Edit], out: &mut impl Put) {
        let mut e = Editor::new(text.as_bytes(), out);
        for edit in edits {
            match edit {
                Edit::Insert(at, new) => e.insert(*at).put(new.as_bytes()),
                Edit::Delete(start, end) => e.delete(*start..*end),
                Edit::Replace(start, end, new) => e.replace(*start..*end).put(new.as_bytes()),
            }
        }
        e.finish();
    }

    fn model(text: &str, edits: &[Edit]) -> String {
        let mut s = String::from(text);
        for edit in edits.iter().rev() {
            match edit {
                Edit::Insert(at, new) => s.insert_str(*at, new),
                Edit::Delete(start, end) => s.replace_range(start..end, ""),
                Edit::Replace(start, end, new) => s.replace_range(start..end, new),
            }
        }
        s
    }

    proptest! {
        #[test]
        fn edits_do_what_they_do_to_a_string(text in "[A-Z]{0,80}", raw in edits()) {
            let edits = placed(&text, &raw);
            let expected = model(&text, &edits);
            let mut counter = Counter::default();
            run(&text, &edits, &mut counter);
            prop_assert_eq!(counter.0, expected.len());
            let mut buf = [0; 256];
            let mut w = Writer::new(&mut buf);
            run(&text, &edits, &mut w);
            prop_assert_eq!(w.finish().unwrap(), expected.as_bytes());
        }
    }

    #[test]
    fn offsets_outside_the_text_change_nothing() {
        let mut buf = [0; 16];
        let mut w = Writer::new(&mut buf);
        let mut e = Editor::new(b"abc", &mut w);
        e.delete(2..9);
        e.insert(7).put(b"!");
        e.delete(0..1);
        e.finish();
        assert_eq!(w.finish().unwrap(), b"ab!");
    }
}
