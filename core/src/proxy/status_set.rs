//! Sets of status codes, as an operator writes them: `408,5xx`.

use core::fmt;

/// Most items in one set.
pub const ITEMS_MAX: usize = 16;

/// A set of status codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusSet {
    ranges: heapless::Vec<(u16, u16), ITEMS_MAX>,
}

/// A text that is no set of status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StatusSetError {
    /// An item is neither a code (`408`) nor a class (`5xx`).
    Item,
    /// More than [`ITEMS_MAX`] items.
    TooMany,
}

impl fmt::Display for StatusSetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item => f.write_str("expected codes (300 to 699) or classes (3xx to 6xx), separated by commas"),
            Self::TooMany => write!(f, "more than {ITEMS_MAX} items"),
        }
    }
}

impl core::error::Error for StatusSetError {}

impl StatusSet {
    /// Parses `408,5xx`.
    pub fn parse(text: &str) -> Result<Self, StatusSetError> {
        let mut set = Self::default();
        for item in text.split(',').map(str::trim).filter(|i| !i.is_empty()) {
            let range = match item.as_bytes() {
                [c @ b'3'..=b'6', b'x' | b'X', b'x' | b'X'] => {
                    let first = u16::from(c - b'0') * 100;
                    (first, first + 99)
                }
                [b'3'..=b'6', b'0'..=b'9', b'0'..=b'9'] => {
                    let code = item.parse().map_err(|_| StatusSetError::Item)?;
                    (code, code)
                }
                _ => return Err(StatusSetError::Item),
            };
            set.ranges.push(range).map_err(|_| StatusSetError::TooMany)?;
        }
        Ok(set)
    }

    /// Whether `status` is in it.
    pub fn contains(&self, status: u16) -> bool {
        self.ranges.iter().any(|(a, b)| (*a..=*b).contains(&status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_classes() {
        let set = StatusSet::parse("408, 5xx").unwrap();
        for (status, inside) in [(408, true), (500, true), (599, true), (404, false), (486, false), (600, false)] {
            assert_eq!(set.contains(status), inside, "{status}");
        }
        assert!(!StatusSet::parse("").unwrap().contains(503));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["class5", "7xx", "2xx", "40", "4o8", "5xx;408"] {
            assert_eq!(StatusSet::parse(text), Err(StatusSetError::Item), "{text}");
        }
    }
}
