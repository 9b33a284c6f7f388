//! Which answers to a ping count as a sign of life.

use core::fmt;

/// Most single codes in one list.
pub const CODES_MAX: usize = 16;

/// The replies that make a ping good: whole classes and single codes. A reply that was made here because nothing came
/// back (a local 408) never reaches this test: a timeout is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyCodes {
    /// Bit n stands for class n.
    classes: u8,
    codes: heapless::Vec<u16, CODES_MAX>,
}

/// What is wrong with a list of reply codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReplyCodesError {
    /// An item that is neither `class=N` nor `code=NNN`; the offset of its first byte.
    UnknownItem(usize),
    /// A class other than 2 to 6, or a code outside 200 to 699; the offset of its first byte.
    OutOfRange(usize),
    /// More than [`CODES_MAX`] single codes.
    TooMany,
    /// No item at all: every ping would fail.
    Empty,
}

impl fmt::Display for ReplyCodesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownItem(at) => write!(f, "expected `class=N` or `code=NNN` at byte {at}"),
            Self::OutOfRange(at) => write!(f, "class not in 2-6 or code not in 200-699 at byte {at}"),
            Self::TooMany => write!(f, "more than {CODES_MAX} codes"),
            Self::Empty => f.write_str("no reply would ever count"),
        }
    }
}

impl core::error::Error for ReplyCodesError {}

impl Default for ReplyCodes {
    /// Any 2xx.
    fn default() -> Self {
        Self { classes: 1 << 2, codes: heapless::Vec::new() }
    }
}

impl ReplyCodes {
    /// Reads a list such as `class=2;code=403`. Strict: an item that is not understood is an error, and a semicolon
    /// stands between items (one may end the list).
    pub fn parse(text: &str) -> Result<Self, ReplyCodesError> {
        let mut parsed = Self { classes: 0, codes: heapless::Vec::new() };
        let list = text.strip_suffix(';').unwrap_or(text);
        let mut at = 0;
        for item in list.split(';') {
            let name = item.trim();
            if !(name.is_empty() && list.trim().is_empty()) {
                parsed.add(name, at)?;
            }
            at += item.len() + 1;
        }
        if parsed.classes == 0 && parsed.codes.is_empty() { Err(ReplyCodesError::Empty) } else { Ok(parsed) }
    }

    fn add(&mut self, item: &str, at: usize) -> Result<(), ReplyCodesError> {
        let unknown = ReplyCodesError::UnknownItem(at);
        let (name, value) = item.split_once('=').ok_or(unknown)?;
        let value = value.trim();
        if value.is_empty() || value.len() > 4 || !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(unknown);
        }
        let value: u16 = value.parse().map_err(|_| unknown)?;
        match name.trim() {
            "class" if (2..=6).contains(&value) => self.classes |= 1 << value,
            "code" if (200..=699).contains(&value) => {
                if !self.codes.contains(&value) {
                    self.codes.push(value).map_err(|_| ReplyCodesError::TooMany)?;
                }
            }
            "class" | "code" => return Err(ReplyCodesError::OutOfRange(at)),
            _ => return Err(unknown),
        }
        Ok(())
    }

    /// Whether a final reply that came from the target counts as good.
    pub fn accept(&self, code: u16) -> bool {
        let class = code / 100;
        (class < 8 && self.classes & (1 << class) != 0) || self.codes.contains(&code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_codes() {
        let codes = ReplyCodes::parse("class=2; code=403;code=488;").unwrap();
        for (code, good) in
            [(200, true), (299, true), (403, true), (488, true), (404, false), (503, false), (100, false)]
        {
            assert_eq!(codes.accept(code), good, "{code}");
        }
        assert!(!codes.accept(u16::MAX));
        assert!(ReplyCodes::default().accept(202));
        assert!(!ReplyCodes::default().accept(404));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        use ReplyCodesError::*;
        for (text, error) in [
            ("class2;class3;class4", UnknownItem(0)),
            ("class=2;klass=3", UnknownItem(8)),
            ("class=2;;code=403", UnknownItem(8)),
            ("class=", UnknownItem(0)),
            ("class=+2", UnknownItem(0)),
            ("code=40x", UnknownItem(0)),
            ("class=1", OutOfRange(0)),
            ("class=7", OutOfRange(0)),
            ("code=199", OutOfRange(0)),
            ("code=700", OutOfRange(0)),
            ("", Empty),
            (";", Empty),
        ] {
            assert_eq!(ReplyCodes::parse(text), Err(error), "{text:?}");
        }
    }
}
