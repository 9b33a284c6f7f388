//! Bencode: the tokens, and the check that makes the cursors infallible.

use super::{DEPTH_MAX, MESSAGE_MAX, VALUES_MAX};
use crate::error::{ParseError, ParseErrorKind};

/// One step through bencode.
#[derive(Clone, Copy)]
pub(super) enum Token<'a> {
    Str(&'a [u8]),
    Int(i64),
    List,
    Dict,
    End,
}

/// The token at `at` and where the next one starts.
pub(super) fn token(bytes: &[u8], at: usize) -> Result<(Token<'_>, usize), ParseError> {
    match bytes.get(at) {
        None => Err(ParseError::new(ParseErrorKind::Truncated, at)),
        Some(b'e') => Ok((Token::End, at + 1)),
        Some(b'l') => Ok((Token::List, at + 1)),
        Some(b'd') => Ok((Token::Dict, at + 1)),
        Some(b'i') => int(bytes, at),
        Some(b'0'..=b'9') => string(bytes, at),
        Some(_) => Err(ParseError::new(ParseErrorKind::Syntax("bencode"), at)),
    }
}

/// The decimal digits from `at` on as a number, and where they end. `01` is no number.
fn digits(bytes: &[u8], at: usize) -> Result<(u64, usize), ParseError> {
    let number = ParseError::new(ParseErrorKind::Number, at);
    let mut value = 0u64;
    let mut end = at;
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        value = value.checked_mul(10).and_then(|v| v.checked_add(u64::from(digit - b'0'))).ok_or(number)?;
        end += 1;
    }
    match bytes.get(end) {
        None => Err(ParseError::new(ParseErrorKind::Truncated, end)),
        Some(_) if end == at || (end > at + 1 && bytes[at] == b'0') => Err(number),
        Some(_) => Ok((value, end)),
    }
}

fn int(bytes: &[u8], at: usize) -> Result<(Token<'_>, usize), ParseError> {
    let number = ParseError::new(ParseErrorKind::Number, at);
    let negative = bytes.get(at + 1) == Some(&b'-');
    let (value, end) = digits(bytes, at + 1 + usize::from(negative))?;
    if bytes[end] != b'e' || (negative && value == 0) {
        return Err(number);
    }
    let value = if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() };
    Ok((Token::Int(value.ok_or(number)?), end + 1))
}

fn string(bytes: &[u8], at: usize) -> Result<(Token<'_>, usize), ParseError> {
    let (len, colon) = digits(bytes, at)?;
    if bytes[colon] != b':' {
        return Err(ParseError::new(ParseErrorKind::Syntax("bencode string"), colon));
    }
    // A length that no message can have is wrong now, not when a stream has brought that much.
    let len = usize::try_from(len).ok().filter(|&len| len <= MESSAGE_MAX);
    let len = len.ok_or(ParseError::new(ParseErrorKind::TooLong, at))?;
    let start = colon + 1;
    match bytes.get(start..start + len) {
        Some(s) => Ok((Token::Str(s), start + len)),
        None => Err(ParseError::new(ParseErrorKind::Truncated, bytes.len())),
    }
}

/// The containers that are open: one bit a level.
#[derive(Default)]
struct Nesting {
    depth: u32,
    dicts: u32,
    value_due: u32,
}

impl Nesting {
    const fn level(&self) -> u32 {
        1 << self.depth
    }

    const fn in_dict(&self) -> bool {
        self.dicts & self.level() != 0
    }

    const fn key_due(&self) -> bool {
        self.in_dict() && self.value_due & self.level() == 0
    }

    /// Opens a container; `false` over the limit.
    const fn open(&mut self, dict: bool) -> bool {
        if self.depth >= DEPTH_MAX {
            return false;
        }
        self.depth += 1;
        let level = self.level();
        self.dicts = if dict { self.dicts | level } else { self.dicts & !level };
        self.value_due &= !level;
        true
    }
}

/// Checks one value and all it holds; the offset behind it.
pub(super) fn check(bytes: &[u8]) -> Result<usize, ParseError> {
    let mut at = 0;
    let mut nesting = Nesting::default();
    for _ in 0..=VALUES_MAX {
        let (mut found, mut next) = token(bytes, at)?;
        while matches!(found, Token::End) {
            if nesting.depth == 0 || (nesting.in_dict() && !nesting.key_due()) {
                return Err(ParseError::new(ParseErrorKind::Syntax("bencode"), at));
            }
            nesting.depth -= 1;
            if nesting.depth == 0 {
                return Ok(next);
            }
            at = next;
            (found, next) = token(bytes, at)?;
        }
        if nesting.key_due() {
            if !matches!(found, Token::Str(_)) {
                return Err(ParseError::new(ParseErrorKind::Syntax("bencode key"), at));
            }
            nesting.value_due |= nesting.level();
        } else {
            nesting.value_due &= !nesting.level();
            if let Token::List | Token::Dict = found
                && !nesting.open(matches!(found, Token::Dict))
            {
                return Err(ParseError::new(ParseErrorKind::TooDeep, at));
            }
            if nesting.depth == 0 {
                return Ok(next);
            }
        }
        at = next;
    }
    Err(ParseError::new(ParseErrorKind::TooManyValues, at))
}

/// The offset behind the value whose first token `found` ended at `at`, in checked bytes.
pub(super) fn skip(bytes: &[u8], found: Token<'_>, mut at: usize) -> usize {
    let mut depth = u32::from(matches!(found, Token::List | Token::Dict));
    while depth > 0 {
        let Ok((found, next)) = token(bytes, at) else { return bytes.len() };
        match found {
            Token::List | Token::Dict => depth += 1,
            Token::End => depth -= 1,
            Token::Str(_) | Token::Int(_) => {}
        }
        at = next;
    }
    at
}
