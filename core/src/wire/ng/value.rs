//! Cursors over a checked body.

use core::fmt;

use super::bencode::{Token, skip, token};

/// A value of a message. Strings are bytes; what they mean is for the reader to say.
///
/// `Debug` shows shapes, not strings: a message may carry keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string.
    Str(&'a [u8]),
    /// A number.
    Int(i64),
    /// A list.
    List(List<'a>),
    /// A dictionary.
    Dict(Dict<'a>),
}

impl<'a> Value<'a> {
    /// The string; `None` if it is something else.
    pub const fn as_str(self) -> Option<&'a [u8]> {
        if let Self::Str(s) = self { Some(s) } else { None }
    }

    /// The number; also of a string that is a decimal number. `None` if it is something else.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(n),
            Self::Str(s) => core::str::from_utf8(s).ok()?.trim().parse().ok(),
            _ => None,
        }
    }

    /// The list; `None` if it is something else.
    pub const fn as_list(self) -> Option<List<'a>> {
        if let Self::List(l) = self { Some(l) } else { None }
    }

    /// The dictionary; `None` if it is something else.
    pub const fn as_dict(self) -> Option<Dict<'a>> {
        if let Self::Dict(d) = self { Some(d) } else { None }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Str(s) => write!(f, "Str({} bytes)", s.len()),
            Self::Int(n) => write!(f, "Int({n})"),
            Self::List(l) => l.fmt(f),
            Self::Dict(d) => d.fmt(f),
        }
    }
}

/// A list in a checked body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct List<'a> {
    /// The values and the end mark.
    body: &'a [u8],
}

impl<'a> List<'a> {
    /// The values in order.
    pub const fn iter(self) -> ListIter<'a> {
        ListIter { body: self.body, at: 0 }
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.body.len() <= 1
    }
}

impl<'a> IntoIterator for List<'a> {
    type Item = Value<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "List({} values)", self.iter().count())
    }
}

/// The values of a [`List`].
#[derive(Clone)]
pub struct ListIter<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Iterator for ListIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (found, inside) = token(self.body, self.at).ok()?;
        let behind = skip(self.body, found, inside);
        let value = match found {
            Token::End => return None,
            Token::Str(s) => Value::Str(s),
            Token::Int(n) => Value::Int(n),
            Token::List => Value::List(List { body: &self.body[inside..behind] }),
            Token::Dict => Value::Dict(Dict { body: &self.body[inside..behind] }),
        };
        self.at = behind;
        Some(value)
    }
}

/// A dictionary in a checked body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Dict<'a> {
    /// The entries and the end mark.
    body: &'a [u8],
}

impl<'a> Dict<'a> {
    /// The dictionary that `bytes` are, from `d` to `e`; they went through the check.
    pub(super) fn checked(bytes: &'a [u8]) -> Self {
        Self { body: bytes.get(1..).unwrap_or_default() }
    }

    /// A dictionary without entries.
    pub const fn empty() -> Self {
        Self { body: b"e" }
    }

    /// The entries in order. A key that is there twice comes twice.
    pub const fn iter(self) -> DictIter<'a> {
        DictIter(ListIter { body: self.body, at: 0 })
    }

    /// Whether there are no entries.
    pub const fn is_empty(self) -> bool {
        self.body.len() <= 1
    }

    /// The value of the first entry with this key. Walks the dictionary: read many keys with [`Self::iter`].
    pub fn find(self, key: impl AsRef<[u8]>) -> Option<Value<'a>> {
        let key = key.as_ref();
        self.iter().find(|&(k, _)| k == key).map(|(_, value)| value)
    }

    /// The string under `key`; `None` if there is none.
    pub fn str(self, key: impl AsRef<[u8]>) -> Option<&'a [u8]> {
        self.find(key)?.as_str()
    }

    /// The number under `key` ([`Value::as_int`]); `None` if there is none.
    pub fn int(self, key: impl AsRef<[u8]>) -> Option<i64> {
        self.find(key)?.as_int()
    }

    /// The list under `key`; `None` if there is none.
    pub fn list(self, key: impl AsRef<[u8]>) -> Option<List<'a>> {
        self.find(key)?.as_list()
    }

    /// The dictionary under `key`; `None` if there is none.
    pub fn dict(self, key: impl AsRef<[u8]>) -> Option<Self> {
        self.find(key)?.as_dict()
    }
}

impl<'a> IntoIterator for Dict<'a> {
    type Item = (&'a [u8], Value<'a>);
    type IntoIter = DictIter<'a>;

    fn into_iter(self) -> DictIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Dict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dict({} entries)", self.iter().count())
    }
}

/// The entries of a [`Dict`].
#[derive(Clone)]
pub struct DictIter<'a>(ListIter<'a>);

impl<'a> Iterator for DictIter<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.0.next()?.as_str()?, self.0.next()?))
    }
}
