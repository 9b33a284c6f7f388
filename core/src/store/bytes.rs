//! Room to write into.

/// A row of bytes that is lent or owned.
pub enum Bytes<'a> {
    /// Lent by the caller.
    Lent(&'a mut [u8]),
    /// On the heap.
    #[cfg(feature = "alloc")]
    Owned(alloc::vec::Vec<u8>),
}

impl Default for Bytes<'_> {
    fn default() -> Self {
        Self::Lent(&mut [])
    }
}

impl Bytes<'_> {
    /// The bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        match self {
            Self::Lent(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Self::Owned(bytes) => bytes,
        }
    }
}
