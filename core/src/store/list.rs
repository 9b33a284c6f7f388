//! Lists that are read and never change: part of the program on a microcontroller, on the heap of a server.

use core::fmt;
use core::ops::Deref;

/// A list that is read only.
pub enum List<T: 'static> {
    /// Part of the program.
    Static(&'static [T]),
    /// On the heap.
    #[cfg(feature = "alloc")]
    Owned(alloc::boxed::Box<[T]>),
}

impl<T> List<T> {
    /// An empty list.
    pub const EMPTY: Self = Self::Static(&[]);
}

impl<T> Deref for List<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Static(list) => list,
            #[cfg(feature = "alloc")]
            Self::Owned(list) => list,
        }
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Clone> Clone for List<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Static(list) => Self::Static(list),
            #[cfg(feature = "alloc")]
            Self::Owned(list) => Self::Owned(list.clone()),
        }
    }
}

#[cfg(feature = "alloc")]
impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::Owned(items.into_iter().collect())
    }
}

#[cfg(feature = "alloc")]
impl<T> From<alloc::vec::Vec<T>> for List<T> {
    fn from(items: alloc::vec::Vec<T>) -> Self {
        Self::Owned(items.into_boxed_slice())
    }
}

/// A text in a [`List`].
pub type Str = List<u8>;

impl From<&'static str> for Str {
    fn from(text: &'static str) -> Self {
        Self::Static(text.as_bytes())
    }
}
