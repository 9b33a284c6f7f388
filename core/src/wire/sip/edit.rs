//! Changes to a message as a list of edits over its untouched bytes.
//!
//! A [`Draft`] borrows a [`Msg`] and remembers what to delete and what to insert where. Nothing is cloned: forking a
//! request to ten targets is ten drafts over the same bytes. One visitor ([`Draft::visit`]) both sizes and writes the
//! result, so the two can not disagree.
//!
//! Values that are known only when the socket is chosen (the `sent-by` of our Via, the transport) are *late*: the
//! draft holds their number, the caller gives the bytes when it serialises.

use core::fmt;
use core::ops::Range;

use super::header_name::HeaderName;
use super::msg::{Header, Msg};
use super::put::Put;
use crate::limits::EDITS_MAX;

/// Bytes of inserted text one draft can hold; larger insertions are borrowed ([`Draft::insert_borrowed`]).
pub const TEXT_MAX: usize = 1_280;

/// Why an edit was refused. The draft is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EditError {
    /// It touches bytes that another edit deletes.
    Overlap,
    /// It lies outside the message.
    OutOfRange,
    /// The draft holds no more edits.
    TooMany,
    /// The inserted text is longer than the draft can hold.
    TooLong,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Overlap => "the edit overlaps another one",
            Self::OutOfRange => "the edit lies outside the message",
            Self::TooMany => "too many edits in one draft",
            Self::TooLong => "inserted text too long for one draft",
        })
    }
}

impl core::error::Error for EditError {}

#[derive(Clone, Copy, Debug)]
enum Piece<'e> {
    Nothing,
    Text { at: u16, end: u16 },
    Borrowed(&'e [u8]),
    Late(u8),
}

#[derive(Clone, Copy, Debug)]
struct Edit<'e> {
    at: u16,
    del: u16,
    /// The first piece of a whole inserted header field carries its name, so that reads see it.
    header: Option<HeaderName>,
    piece: Piece<'e>,
}

impl Edit<'_> {
    const fn end(&self) -> usize {
        self.at as usize + self.del as usize
    }
}

/// A message with changes.
#[derive(Debug)]
pub struct Draft<'m, 'b, 'e> {
    msg: &'m Msg<'b>,
    edits: heapless::Vec<Edit<'e>, EDITS_MAX>,
    text: heapless::Vec<u8, TEXT_MAX>,
}

/// Takes the text of one insertion.
pub struct Insertion<'d, 'e> {
    at: usize,
    header: Option<HeaderName>,
    edits: &'d mut heapless::Vec<Edit<'e>, EDITS_MAX>,
    text: &'d mut heapless::Vec<u8, TEXT_MAX>,
    index: usize,
    open: usize,
    error: Option<EditError>,
}

impl<'e> Insertion<'_, 'e> {
    /// Inserts the late value `number` here.
    pub fn late(&mut self, number: u8) {
        self.close();
        self.push(Piece::Late(number));
    }

    /// Inserts borrowed bytes here.
    pub fn borrowed(&mut self, bytes: &'e [u8]) {
        self.close();
        self.push(Piece::Borrowed(bytes));
    }

    fn close(&mut self) {
        if self.text.len() > self.open {
            self.push(Piece::Text { at: self.open as u16, end: self.text.len() as u16 });
            self.open = self.text.len();
        }
    }

    fn push(&mut self, piece: Piece<'e>) {
        let edit = Edit { at: self.at as u16, del: 0, header: self.header.take(), piece };
        match self.edits.insert(self.index, edit) {
            Ok(()) => self.index += 1,
            Err(_) => self.error = Some(EditError::TooMany),
        }
    }
}

impl Put for Insertion<'_, '_> {
    fn put(&mut self, bytes: &[u8]) {
        if self.text.extend_from_slice(bytes).is_err() {
            self.error = Some(EditError::TooLong);
        }
    }
}

impl<'m, 'b, 'e> Draft<'m, 'b, 'e> {
    /// A draft that changes nothing yet.
    pub const fn new(msg: &'m Msg<'b>) -> Self {
        Self { msg, edits: heapless::Vec::new(), text: heapless::Vec::new() }
    }

    /// The message as it came.
    pub const fn msg(&self) -> &'m Msg<'b> {
        self.msg
    }

    /// Deletes the bytes in `range`.
    pub fn delete(&mut self, range: Range<usize>) -> Result<(), EditError> {
        if range.start > range.end || range.end > self.msg.bytes().len() {
            return Err(EditError::OutOfRange);
        }
        if range.is_empty() {
            return Ok(());
        }
        // Text inserted at the start or the end of the range stands beside it; inside it would be lost.
        let clash = |e: &Edit<'_>| {
            if e.del == 0 {
                usize::from(e.at) > range.start && usize::from(e.at) < range.end
            } else {
                usize::from(e.at) < range.end && range.start < e.end()
            }
        };
        if self.edits.iter().any(clash) {
            return Err(EditError::Overlap);
        }
        let edit = Edit { at: range.start as u16, del: range.len() as u16, header: None, piece: Piece::Nothing };
        let index = self.index_behind(range.start);
        self.edits.insert(index, edit).map_err(|_| EditError::TooMany)
    }

    /// Inserts what `f` writes before the byte at `at`. Insertions at the same place keep the order in which they are
    /// added.
    pub fn insert(&mut self, at: usize, f: impl FnOnce(&mut Insertion<'_, 'e>)) -> Result<(), EditError> {
        self.insert_as(at, None, f)
    }

    /// Inserts borrowed bytes before the byte at `at`.
    pub fn insert_borrowed(&mut self, at: usize, bytes: &'e [u8]) -> Result<(), EditError> {
        self.insert(at, |i| i.borrowed(bytes))
    }

    /// Replaces the bytes in `range` by what `f` writes.
    pub fn replace(&mut self, range: Range<usize>, f: impl FnOnce(&mut Insertion<'_, 'e>)) -> Result<(), EditError> {
        let before = self.edits.len();
        self.delete(range.clone())?;
        let added = self.edits.len() > before;
        self.insert_as(range.start, None, f).inspect_err(|_| {
            if added && let Some(i) = self.edits.iter().position(|e| usize::from(e.at) == range.start && e.del > 0) {
                self.edits.remove(i);
            }
        })
    }

    /// Removes a whole header field.
    pub fn remove_header(&mut self, header: &Header<'_>) -> Result<(), EditError> {
        self.delete(header.span.at()..header.span.line_end())
    }

    /// Inserts a header field before the field `before`, or behind all others. `f` writes its value.
    pub fn insert_header(
        &mut self,
        before: Option<&Header<'_>>,
        name: HeaderName,
        f: impl FnOnce(&mut Insertion<'_, 'e>),
    ) -> Result<(), EditError> {
        self.insert_header_at(before.map_or(self.msg.head_end(), |h| h.span.at()), name, f)
    }

    /// Inserts a header field at an offset where a field begins or the header ends. `f` writes its value.
    pub fn insert_header_at(
        &mut self,
        at: usize,
        name: HeaderName,
        f: impl FnOnce(&mut Insertion<'_, 'e>),
    ) -> Result<(), EditError> {
        self.insert_as(at, Some(name), |i| {
            i.put(name.as_str().as_bytes());
            i.put(b": ");
            f(i);
            i.put(b"\r\n");
        })
    }

    /// Replaces the body and sets `Content-Length` to fit.
    pub fn set_body(&mut self, body: &'e [u8]) -> Result<(), EditError> {
        let end = self.msg.bytes().len();
        self.replace(self.msg.body_at()..end, |i| i.borrowed(body))?;
        let length = body.len() as u64;
        match self.msg.header(HeaderName::ContentLength) {
            Some(h) => self.replace(h.span.value(), |i| i.put_number(length)),
            None => self.insert_header(None, HeaderName::ContentLength, |i| i.put_number(length)),
        }
    }

    fn index_behind(&self, at: usize) -> usize {
        self.edits.iter().position(|e| usize::from(e.at) > at).unwrap_or(self.edits.len())
    }

    fn insert_as(
        &mut self,
        at: usize,
        header: Option<HeaderName>,
        f: impl FnOnce(&mut Insertion<'_, 'e>),
    ) -> Result<(), EditError> {
        if at > self.msg.bytes().len() {
            return Err(EditError::OutOfRange);
        }
        if self.edits.iter().any(|e| e.del > 0 && usize::from(e.at) < at && at < e.end()) {
            return Err(EditError::Overlap);
        }
        let index = self.index_behind(at);
        let open = self.text.len();
        let mut insertion =
            Insertion { at, header, edits: &mut self.edits, text: &mut self.text, index, open, error: None };
        f(&mut insertion);
        insertion.close();
        let (last, error) = (insertion.index, insertion.error);
        if let Some(error) = error {
            for _ in index..last {
                self.edits.remove(index);
            }
            self.text.truncate(open);
            return Err(error);
        }
        Ok(())
    }

    /// Walks the changed message piece by piece. Late values are taken from `late` by their number; a number that is
    /// not there is nothing.
    pub fn visit(&self, late: &[&[u8]], mut f: impl FnMut(&[u8])) {
        self.visit_range(self.msg.start_at()..self.msg.bytes().len(), late, &mut f);
    }

    fn visit_range(&self, range: Range<usize>, late: &[&[u8]], f: &mut impl FnMut(&[u8])) {
        let bytes = self.msg.bytes();
        let mut pos = range.start;
        for e in &self.edits {
            let at = usize::from(e.at);
            if at < range.start || at > range.end {
                continue;
            }
            if at > pos {
                f(&bytes[pos..at]);
                pos = at;
            }
            self.visit_piece(&e.piece, late, f);
            pos = pos.max(e.end());
        }
        if pos < range.end {
            f(&bytes[pos..range.end]);
        }
    }

    fn visit_piece(&self, piece: &Piece<'_>, late: &[&[u8]], f: &mut impl FnMut(&[u8])) {
        match *piece {
            Piece::Nothing => {}
            Piece::Text { at, end } => f(&self.text[usize::from(at)..usize::from(end)]),
            Piece::Borrowed(b) => f(b),
            Piece::Late(n) => {
                if let Some(b) = late.get(usize::from(n)) {
                    f(b);
                }
            }
        }
    }

    /// Bytes of the changed message.
    pub fn size(&self, late: &[&[u8]]) -> usize {
        let mut n = 0;
        self.visit(late, |b| n += b.len());
        n
    }

    /// Writes the changed message.
    pub fn serialise(&self, late: &[&[u8]], out: &mut impl Put) {
        self.visit(late, |b| out.put(b));
    }

    /// Writes the value of the `nth` field called `name` as the changed message has it; whether there is one.
    pub fn read(&self, name: HeaderName, nth: usize, late: &[&[u8]], out: &mut impl Put) -> bool {
        let mut n = 0;
        let mut edits = self.edits.iter().enumerate().filter(|(_, e)| e.header == Some(name)).peekable();
        let mut fields = self.msg.headers_named(name).filter(|h| !self.removed(h)).peekable();
        loop {
            let inserted_first = match (edits.peek(), fields.peek()) {
                (Some((_, e)), Some(h)) => usize::from(e.at) <= h.span.at(),
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return false,
            };
            if n == nth {
                if inserted_first {
                    if let Some((i, _)) = edits.next() {
                        self.read_inserted(i, name, late, out);
                    }
                } else if let Some(h) = fields.next() {
                    self.visit_range(h.span.value(), late, &mut |b| out.put(b));
                }
                return true;
            }
            n += 1;
            if inserted_first {
                edits.next();
            } else {
                fields.next();
            }
        }
    }

    fn removed(&self, h: &Header<'_>) -> bool {
        self.edits.iter().any(|e| usize::from(e.at) <= h.span.at() && e.end() >= h.span.line_end() && e.del > 0)
    }

    /// The pieces of an inserted field follow each other; its name and colon lead, its CRLF ends it.
    fn read_inserted(&self, first: usize, name: HeaderName, late: &[&[u8]], out: &mut impl Put) {
        let mut skip = name.as_str().len() + 2;
        for (i, e) in self.edits[first..].iter().enumerate() {
            if i > 0 && (e.header.is_some() || e.del > 0 || e.at != self.edits[first].at) {
                break;
            }
            let mut ended = false;
            self.visit_piece(&e.piece, late, &mut |b| {
                let b = &b[skip.min(b.len())..];
                skip = 0;
                let text = b.strip_suffix(b"\r\n").unwrap_or(b);
                ended = text.len() != b.len();
                out.put(text);
            });
            if ended {
                break;
            }
        }
    }
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
