//! Lines of a description: a letter, `=`, a value.

use super::Span16;
use crate::error::{ParseError, ParseErrorKind};

/// One line; offsets count from the start of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The letter before the `=`.
    pub kind: u8,
    value: Span16,
    end: u16,
}

impl Line {
    /// Offset of the letter.
    pub const fn start(&self) -> usize {
        self.value.start() - 2
    }

    /// Offset of the first byte of the value.
    pub const fn value_start(&self) -> usize {
        self.value.start()
    }

    /// Offset after the last byte of the value, where the line end begins.
    pub const fn value_end(&self) -> usize {
        self.value.end()
    }

    /// Offset after the line end.
    pub const fn end(&self) -> usize {
        self.end as usize
    }

    /// The value, without the line end.
    pub fn value<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        self.value.of(bytes)
    }

    pub(crate) const fn value_span(&self) -> Span16 {
        self.value
    }
}

/// Walks lines; blank ones are stepped over. The first error ends the walk.
#[derive(Clone, Debug)]
pub struct Lines<'b> {
    bytes: &'b [u8],
    at: usize,
    end: usize,
    done: bool,
}

impl<'b> Lines<'b> {
    pub(crate) const fn checked(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len(), done: false }
    }

    /// The lines between two offsets at which lines begin.
    pub(crate) const fn between(bytes: &'b [u8], start: usize, end: usize) -> Self {
        Self { bytes, at: start, end, done: false }
    }

    fn line(&self, start: usize, text_end: usize, end: usize) -> Result<Line, ParseError> {
        let text = self.bytes.get(start..text_end).unwrap_or(&[]);
        if let Some(at) = memchr::memchr2(b'\r', 0, text) {
            return Err(ParseError::new(ParseErrorKind::ControlByte, start + at));
        }
        match text {
            [kind, b'=', ..] if kind.is_ascii_alphabetic() => {
                Ok(Line { kind: *kind, value: Span16::new(start + 2, text_end), end: end as u16 })
            }
            _ => Err(ParseError::new(ParseErrorKind::Syntax("line"), start)),
        }
    }
}

impl Iterator for Lines<'_> {
    type Item = Result<Line, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            let start = self.at;
            let rest = self.bytes.get(start..self.end)?;
            if rest.is_empty() {
                return None;
            }
            let (text, taken) = memchr::memchr(b'\n', rest).map_or((rest.len(), rest.len()), |n| (n, n + 1));
            self.at = start + taken;
            // A description cut off between CR and LF ends like any other.
            let text = if rest.get(..text).is_some_and(|t| t.ends_with(b"\r")) { text - 1 } else { text };
            if text == 0 {
                continue;
            }
            let line = self.line(start, start + text, self.at);
            self.done = line.is_err();
            return Some(line);
        }
        None
    }
}
