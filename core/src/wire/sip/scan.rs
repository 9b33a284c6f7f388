//! Byte scanning shared by the parser and the framer.

use super::token::{TOKEN, is};

/// How many bytes at the start of `bytes` form a token.
pub(super) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| !is(*b, TOKEN)).unwrap_or(bytes.len())
}

/// A number of at most 32 bits, digits only.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut n = 0u64;
    for d in digits {
        if !d.is_ascii_digit() {
            return None;
        }
        n = n * 10 + u64::from(d - b'0');
    }
    u32::try_from(n).ok()
}

/// The first byte that no header may hold: a control byte other than tab and line end, or DEL.
pub(super) fn find_control(bytes: &[u8]) -> Option<usize> {
    let bad = |b: u8| (b < b' ' && !matches!(b, b'\t' | b'\r' | b'\n')) | (b == 0x7f);
    // Blocks first, without a branch for each byte, so that the compiler can take many at once.
    let mut at = 0;
    for block in bytes.chunks(64) {
        if block.iter().fold(false, |any, b| any | bad(*b)) {
            return block.iter().position(|b| bad(*b)).map(|i| at + i);
        }
        at += block.len();
    }
    None
}
