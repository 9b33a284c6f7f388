//! Names and texts of a control message.

use core::fmt;

use crate::wire::sip::put::{Put, Text};

/// Longest name that can be a known one.
const NAME_MAX: usize = 40;

/// A name in the form in which names are compared: lower case, hyphens for spaces and underscores.
pub(super) fn normal(name: &[u8]) -> Text<NAME_MAX> {
    Text::with(|t| {
        for &b in name {
            let b = if matches!(b, b' ' | b'_') { b'-' } else { b.to_ascii_lowercase() };
            t.put(&[b]);
        }
    })
}

/// A text in which `--` stands for `=` and `..` for a space, since the one-string form cannot hold either.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word<'a>(
    /// The text as it came.
    pub &'a [u8],
);

impl<'a> Word<'a> {
    /// The bytes that it stands for.
    pub fn bytes(self) -> impl Iterator<Item = u8> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (byte, taken) = match rest {
                [b'-', b'-', ..] => (b'=', 2),
                [b'.', b'.', ..] => (b' ', 2),
                [b, ..] => (*b, 1),
                [] => return None,
            };
            rest = rest.get(taken..).unwrap_or(&[]);
            Some(byte)
        })
    }

    /// Whether it stands for nothing.
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Whether `text` begins with it, without regard to case; the rest of `text` if so.
    pub fn prefix_of(self, text: &[u8]) -> Option<&[u8]> {
        let mut at = 0;
        for b in self.bytes() {
            if !text.get(at)?.eq_ignore_ascii_case(&b) {
                return None;
            }
            at += 1;
        }
        text.get(at..)
    }

    /// Whether it stands for `text`, without regard to case.
    pub fn is(self, text: &[u8]) -> bool {
        self.prefix_of(text).is_some_and(<[u8]>::is_empty)
    }

    /// Writes what it stands for. A line end in it would begin a line that nobody asked for, and is left out.
    pub fn write(self, out: &mut (impl Put + ?Sized)) {
        for b in self.bytes().filter(|b| !matches!(b, b'\r' | b'\n' | 0)) {
            out.put(&[b]);
        }
    }
}

impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}
