//! Byte scanning shared by the parser and the framer.

use super::token::{TOKEN, is};

/// How many bytes at the start of `bytes` form a token.
pub(super) fn token_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|b| !is(*b, TOKEN)).unwrap_or(bytes.len())
}

/// A number of at most 32 bits, digits only.
pub(crate) fn number(digits: &[u8]) -> Option<u32> {
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

/// The first byte that no header may hold: a control byte other than tab and line end, or DEL. Escaped in a quoted
/// string it may stand (RFC 3261 §25.1 `quoted-pair`; RFC 4475 §3.1.1.2 sends some).
pub(super) fn find_control(bytes: &[u8]) -> Option<usize> {
    // Blocks first, without a branch for each byte, so that the compiler can take many at once.
    let mut at = 0;
    for block in bytes.chunks(64) {
        if block.iter().fold(false, |any, b| any | is_control(*b)) {
            return find_unescaped_control(bytes, at);
        }
        at += block.len();
    }
    None
}

const fn is_control(b: u8) -> bool {
    (b < b' ' && !matches!(b, b'\t' | b'\r' | b'\n')) | (b == 0x7f)
}

/// As [`find_control`], from the line on that holds `from`, with an eye on quotes.
#[cold]
fn find_unescaped_control(bytes: &[u8], from: usize) -> Option<usize> {
    let line_at = memchr::memrchr(b'\n', &bytes[..from]).map_or(0, |n| n + 1);
    let (mut quoted, mut escaped) = (false, false);
    for (at, b) in bytes.iter().enumerate().skip(line_at) {
        if is_control(*b) && !(quoted && escaped) {
            return Some(at);
        }
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'\n' if !matches!(bytes.get(at + 1), Some(b' ' | b'\t')) => quoted = false,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bytes_are_found_unless_escaped_in_quotes() {
        for (text, want) in [
            (&b"a: b\tc\r\n"[..], None),
            (b"a: \x00", Some(3)),
            (b"a: \"x\\\x00\"", None),
            (b"a: \"x\x00\"", Some(5)),
            (b"a: x\\\x00", Some(5)),
            (b"a: \"x\r\nb: \\\x07", Some(11)),
            (b"a: \"\\\x01\"\r\nb: \x7f", Some(12)),
        ] {
            assert_eq!(find_control(text), want, "{text:?}");
        }
        let far = [&[b'a'; 200][..], b"\x01"].concat();
        assert_eq!(find_control(&far), Some(200));
    }
}
