//! Values of a control message, whatever its encoding.

use crate::wire::sip::token::decimal;

/// A value: a text, a number, a list or a dictionary.
pub trait Value<'a>: Copy {
    /// The text; `None` where it is none.
    fn text(self) -> Option<&'a [u8]>;

    /// The number of a value that is one by its encoding; `None` where it is none.
    fn integer(self) -> Option<i64>;

    /// Gives the items of a list, in order; `false` where it is none.
    fn each_item(self, f: impl FnMut(Self)) -> bool;

    /// Gives keys and values of a dictionary, in order; `false` where it is none.
    fn each_entry(self, f: impl FnMut(&'a [u8], Self)) -> bool;

    /// The number, also where it is written as a text.
    fn number(self) -> Option<i64> {
        self.integer().or_else(|| {
            let text = self.text()?;
            match text.strip_prefix(b"-") {
                Some(digits) => decimal(digits).map(|n| -i64::from(n)),
                None => decimal(text).map(i64::from),
            }
        })
    }

    /// Gives the texts of a list, or of one text those between its commas.
    fn each_text(self, mut f: impl FnMut(&'a [u8])) {
        let is_list = self.each_item(|item| {
            if let Some(text) = item.text() {
                f(text);
            }
        });
        if let (false, Some(text)) = (is_list, self.text()) {
            text.split(|&b| b == b',').filter(|part| !part.is_empty()).for_each(f);
        }
    }

    /// Gives the texts of a list, or the one text; commas are part of it.
    fn each_item_text(self, mut f: impl FnMut(&'a [u8])) {
        let is_list = self.each_item(|item| {
            if let Some(text) = item.text() {
                f(text);
            }
        });
        if let (false, Some(text)) = (is_list, self.text()) {
            f(text);
        }
    }
}
