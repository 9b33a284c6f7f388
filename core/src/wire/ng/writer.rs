//! Messages in either encoding, into lent room.

use core::fmt;

use super::Encoding;
use crate::wire::sip::put::Put;

/// The message does not fit the room lent for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ng message does not fit its buffer")
    }
}

impl core::error::Error for Overflow {}

/// Writes `cookie SP body` into `out`, the entries of the body by `entries`, in the order of its calls.
///
/// JSON can carry text only: where a string is not UTF-8, each part that is not becomes U+FFFD.
///
/// # Errors
///
/// [`Overflow`] if `out` is too short.
pub fn write<'b>(
    out: &'b mut [u8],
    cookie: &[u8],
    encoding: Encoding,
    entries: impl FnOnce(&mut DictWriter<'_, 'b>),
) -> Result<&'b [u8], Overflow> {
    let mut buffer = Buffer { out, len: 0, encoding, overflow: false };
    buffer.put(cookie);
    buffer.put(b" ");
    buffer.dict(entries);
    if buffer.overflow { Err(Overflow) } else { Ok(&buffer.out[..buffer.len]) }
}

struct Buffer<'b> {
    out: &'b mut [u8],
    len: usize,
    encoding: Encoding,
    overflow: bool,
}

impl<'b> Buffer<'b> {
    fn put(&mut self, bytes: &[u8]) {
        match self.len.checked_add(bytes.len()).and_then(|end| self.out.get_mut(self.len..end)) {
            Some(room) if !self.overflow => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.overflow = true,
        }
    }

    /// Writes in one encoding or the other.
    fn put_either(&mut self, bencode: &[u8], json: &[u8]) {
        self.put(match self.encoding {
            Encoding::Bencode => bencode,
            Encoding::Json => json,
        });
    }

    fn separate(&mut self, first: &mut bool) {
        if !core::mem::replace(first, false) {
            self.put_either(b"", b",");
        }
    }

    fn int(&mut self, n: i64) {
        self.put_either(b"i", b"");
        if n < 0 {
            self.put(b"-");
        }
        let mut digits = Digits::default();
        self.put(digits.of(n.unsigned_abs()));
        self.put_either(b"e", b"");
    }

    fn dict(&mut self, entries: impl FnOnce(&mut DictWriter<'_, 'b>)) {
        self.put_either(b"d", b"{");
        entries(&mut DictWriter { buffer: self, first: true });
        self.put_either(b"e", b"}");
    }

    fn list(&mut self, values: impl FnOnce(&mut ListWriter<'_, 'b>)) {
        self.put_either(b"l", b"[");
        values(&mut ListWriter { buffer: self, first: true });
        self.put_either(b"e", b"]");
    }

    fn text(&mut self, text: impl FnOnce(&mut Text<'_, 'b>)) {
        self.put_either(b"", b"\"");
        let start = self.len;
        text(&mut Text { buffer: self });
        if self.overflow {
            return;
        }
        match self.encoding {
            Encoding::Bencode => self.prefix_length(start),
            Encoding::Json => self.escape(start),
        }
        self.put_either(b"", b"\"");
    }

    /// Makes room before the text that starts at `start` and writes its length there.
    fn prefix_length(&mut self, start: usize) {
        let text = start..self.len;
        let mut digits = Digits::default();
        let digits = digits.of(text.len() as u64);
        let shift = digits.len() + 1;
        if self.out.len() - self.len < shift {
            self.overflow = true;
            return;
        }
        self.out.copy_within(text, start + shift);
        self.out[start..start + digits.len()].copy_from_slice(digits);
        self.out[start + digits.len()] = b':';
        self.len += shift;
    }

    /// Escapes the text that starts at `start`: moves it to the end of the room and writes it again from there. No
    /// character becomes shorter, so it fits exactly if the writing never meets the reading.
    fn escape(&mut self, start: usize) {
        let mut from = self.out.len() - (self.len - start);
        self.out.copy_within(start..self.len, from);
        self.len = start;
        while from < self.out.len() && !self.overflow {
            let mut escaped = [0; 6];
            let (taken, written) = escape_one(&self.out[from..], &mut escaped);
            from += taken;
            match self.out.get_mut(self.len..self.len + written) {
                Some(room) if self.len + written <= from => {
                    room.copy_from_slice(&escaped[..written]);
                    self.len += written;
                }
                _ => self.overflow = true,
            }
        }
    }
}

/// Writes the first character of `text` (which is not empty) as JSON: how many bytes it took, and how many it is now.
fn escape_one(text: &[u8], out: &mut [u8; 6]) -> (usize, usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match text[0] {
        b @ (b'"' | b'\\') => out[..2].copy_from_slice(&[b'\\', b]),
        b'\n' => out[..2].copy_from_slice(b"\\n"),
        b'\r' => out[..2].copy_from_slice(b"\\r"),
        b'\t' => out[..2].copy_from_slice(b"\\t"),
        b @ 0..0x20 => {
            out.copy_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
            return (1, 6);
        }
        b @ 0x20..0x80 => {
            out[0] = b;
            return (1, 1);
        }
        _ => {
            let chunk = text[..text.len().min(4)].utf8_chunks().next();
            let (valid, invalid) = chunk.map_or(("", &[][..]), |c| (c.valid(), c.invalid()));
            let (c, taken) = match valid.chars().next() {
                Some(c) => (c, c.len_utf8()),
                None => (char::REPLACEMENT_CHARACTER, invalid.len().max(1)),
            };
            return (taken, c.encode_utf8(&mut out[..4]).len());
        }
    }
    (1, 2)
}

#[derive(Default)]
struct Digits([u8; 20]);

impl Digits {
    fn of(&mut self, mut n: u64) -> &[u8] {
        let mut at = self.0.len();
        loop {
            at -= 1;
            self.0[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                return &self.0[at..];
            }
        }
    }
}

/// Takes the bytes of one string, piece by piece; also by `write!`.
pub struct Text<'w, 'b> {
    buffer: &'w mut Buffer<'b>,
}

impl Put for Text<'_, '_> {
    fn put(&mut self, bytes: &[u8]) {
        self.buffer.put(bytes);
    }
}

impl fmt::Write for Text<'_, '_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.put(s.as_bytes());
        Ok(())
    }
}

/// Takes the entries of a dictionary.
pub struct DictWriter<'w, 'b> {
    buffer: &'w mut Buffer<'b>,
    first: bool,
}

impl<'b> DictWriter<'_, 'b> {
    fn key(&mut self, key: &[u8]) -> &mut Buffer<'b> {
        self.buffer.separate(&mut self.first);
        self.buffer.text(|t| t.put(key));
        self.buffer.put_either(b"", b":");
        self.buffer
    }

    /// Adds a string.
    pub fn str(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.text(key, |t| t.put(value.as_ref()));
    }

    /// Adds the string that `text` writes.
    pub fn text(&mut self, key: impl AsRef<[u8]>, text: impl FnOnce(&mut Text<'_, 'b>)) {
        self.key(key.as_ref()).text(text);
    }

    /// Adds a number.
    pub fn int(&mut self, key: impl AsRef<[u8]>, value: i64) {
        self.key(key.as_ref()).int(value);
    }

    /// Adds a dictionary.
    pub fn dict(&mut self, key: impl AsRef<[u8]>, entries: impl FnOnce(&mut DictWriter<'_, 'b>)) {
        self.key(key.as_ref()).dict(entries);
    }

    /// Adds a list.
    pub fn list(&mut self, key: impl AsRef<[u8]>, values: impl FnOnce(&mut ListWriter<'_, 'b>)) {
        self.key(key.as_ref()).list(values);
    }
}

/// Takes the values of a list.
pub struct ListWriter<'w, 'b> {
    buffer: &'w mut Buffer<'b>,
    first: bool,
}

impl<'b> ListWriter<'_, 'b> {
    fn value(&mut self) -> &mut Buffer<'b> {
        self.buffer.separate(&mut self.first);
        self.buffer
    }

    /// Adds a string.
    pub fn str(&mut self, value: impl AsRef<[u8]>) {
        self.text(|t| t.put(value.as_ref()));
    }

    /// Adds the string that `text` writes.
    pub fn text(&mut self, text: impl FnOnce(&mut Text<'_, 'b>)) {
        self.value().text(text);
    }

    /// Adds a number.
    pub fn int(&mut self, value: i64) {
        self.value().int(value);
    }

    /// Adds a dictionary.
    pub fn dict(&mut self, entries: impl FnOnce(&mut DictWriter<'_, 'b>)) {
        self.value().dict(entries);
    }

    /// Adds a list.
    pub fn list(&mut self, values: impl FnOnce(&mut ListWriter<'_, 'b>)) {
        self.value().list(values);
    }
}
