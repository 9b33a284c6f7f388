//! JSON (RFC 8259) rewritten as bencode, so that there is one kind of cursor.

use core::ops::Range;

use super::DEPTH_MAX;
use crate::error::{ParseError, ParseErrorKind};

/// Digits of the longest string length.
const LENGTH_DIGITS: usize = 5;

/// Writes the JSON value at the start of `input` as bencode into `out`: the offset behind the value, and the bytes
/// written.
pub(super) fn to_bencode(input: &[u8], out: &mut [u8]) -> Result<(usize, usize), ParseError> {
    if let Err(e) = core::str::from_utf8(input) {
        return Err(ParseError::new(ParseErrorKind::Syntax("UTF-8"), e.valid_up_to()));
    }
    let mut rewriter = Rewriter { input, at: 0, out, len: 0 };
    rewriter.document()?;
    Ok((rewriter.at, rewriter.len))
}

/// The length of the JSON object at the start of `input`; `None` if it has not ended.
pub(super) fn extent(input: &[u8]) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (i, &byte) in input.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
    }
    None
}

struct Rewriter<'i, 'o> {
    input: &'i [u8],
    at: usize,
    out: &'o mut [u8],
    len: usize,
}

impl Rewriter<'_, '_> {
    /// One value with all it holds, without recursion: `dicts` has a bit for each open container.
    fn document(&mut self) -> Result<(), ParseError> {
        let (mut dicts, mut depth) = (0u32, 0u32);
        let mut first = true;
        loop {
            self.white_space();
            let in_dict = dicts & 1 != 0;
            if depth > 0 {
                if self.peek()? == if in_dict { b'}' } else { b']' } {
                    self.at += 1;
                    self.put(b"e")?;
                    (dicts, depth, first) = (dicts >> 1, depth - 1, false);
                    if depth == 0 {
                        return Ok(());
                    }
                    continue;
                }
                if !first {
                    self.expect(b',')?;
                }
            }
            let before = self.len;
            if depth > 0 && in_dict {
                self.string()?;
                self.white_space();
                self.expect(b':')?;
                self.white_space();
            }
            first = false;
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    if depth >= DEPTH_MAX {
                        return Err(self.error(ParseErrorKind::TooDeep));
                    }
                    self.at += 1;
                    self.put(if open == b'{' { b"d" } else { b"l" })?;
                    (dicts, depth, first) = (dicts << 1 | u32::from(open == b'{'), depth + 1, true);
                }
                b'"' => self.string()?,
                b'-' | b'0'..=b'9' => self.number()?,
                b't' => self.literal(b"true", b"3:yes")?,
                b'f' => self.literal(b"false", b"2:no")?,
                b'n' => {
                    self.literal(b"null", b"")?;
                    self.len = before;
                }
                _ => return Err(self.error(ParseErrorKind::Syntax("JSON"))),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    const fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(kind, self.at)
    }

    fn peek(&self) -> Result<u8, ParseError> {
        self.input.get(self.at).copied().ok_or(self.error(ParseErrorKind::Truncated))
    }

    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.peek()? != byte {
            return Err(self.error(ParseErrorKind::Syntax("JSON")));
        }
        self.at += 1;
        self.white_space();
        Ok(())
    }

    fn white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.input.get(self.at) {
            self.at += 1;
        }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        let room = self.out.get_mut(self.len..self.len + bytes.len());
        room.ok_or(ParseError::new(ParseErrorKind::TooLong, self.at))?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    fn literal(&mut self, word: &[u8], bencode: &[u8]) -> Result<(), ParseError> {
        let rest = &self.input[self.at..];
        if !rest.starts_with(word) {
            let kind = if word.starts_with(rest) { ParseErrorKind::Truncated } else { ParseErrorKind::Syntax("JSON") };
            return Err(self.error(kind));
        }
        self.at += word.len();
        self.put(bencode)
    }

    /// An integer. The check of the bencode refuses what bencode cannot say: leading zeros, `-0`, over 64 bits.
    fn number(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        self.at += 1;
        while let Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') = self.input.get(self.at) {
            self.at += 1;
        }
        let text = &self.input[start..self.at];
        if text[1..].iter().any(|b| !b.is_ascii_digit()) {
            return Err(ParseError::new(ParseErrorKind::Number, start));
        }
        self.put(b"i")?;
        self.put(if text == b"-0" { b"0" } else { text })?;
        self.put(b"e")
    }

    /// A string: written behind a gap for its length, then moved up to it.
    fn string(&mut self) -> Result<(), ParseError> {
        if self.peek()? != b'"' {
            return Err(self.error(ParseErrorKind::Syntax("JSON key")));
        }
        self.at += 1;
        let start = self.len;
        loop {
            let rest = &self.input[self.at..];
            let plain = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < b' ').unwrap_or(rest.len());
            self.put(&rest[..plain])?;
            self.at += plain;
            match self.peek()? {
                b'"' => break,
                b'\\' => self.escape()?,
                _ => return Err(self.error(ParseErrorKind::ControlByte)),
            }
        }
        self.at += 1;
        self.prefix_length(start..self.len)
    }

    fn prefix_length(&mut self, text: Range<usize>) -> Result<(), ParseError> {
        let mut prefix = [b':'; LENGTH_DIGITS + 1];
        let mut at = LENGTH_DIGITS;
        let mut rest = text.len();
        while at > 0 {
            at -= 1;
            prefix[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let prefix = &prefix[at..];
        if text.end + prefix.len() > self.out.len() {
            return Err(self.error(ParseErrorKind::TooLong));
        }
        self.out.copy_within(text.clone(), text.start + prefix.len());
        self.out[text.start..text.start + prefix.len()].copy_from_slice(prefix);
        self.len = text.end + prefix.len();
        Ok(())
    }

    fn escape(&mut self) -> Result<(), ParseError> {
        let syntax = self.error(ParseErrorKind::Syntax("JSON escape"));
        self.at += 1;
        let byte = match self.peek()? {
            b @ (b'"' | b'\\' | b'/') => b,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let c = self.unicode()?.ok_or(syntax)?;
                return self.put(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return Err(syntax),
        };
        self.at += 1;
        self.put(&[byte])
    }

    /// `uXXXX`, or two of them where the first is a high surrogate; `None` if they are no character.
    fn unicode(&mut self) -> Result<Option<char>, ParseError> {
        let Some(high) = self.hex4()? else { return Ok(None) };
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high));
        }
        if self.peek()? != b'\\' {
            return Ok(None);
        }
        self.at += 1;
        if self.peek()? != b'u' {
            return Ok(None);
        }
        let Some(low) = self.hex4()?.filter(|low| (0xdc00..0xe000).contains(low)) else { return Ok(None) };
        Ok(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)))
    }

    /// The four hexadecimal digits behind the `u` at the cursor.
    fn hex4(&mut self) -> Result<Option<u32>, ParseError> {
        let digits = self.input.get(self.at + 1..self.at + 5).ok_or(self.error(ParseErrorKind::Truncated))?;
        self.at += 5;
        Ok(digits.iter().try_fold(0, |n, &d| Some(n << 4 | char::from(d).to_digit(16)?)))
    }
}
