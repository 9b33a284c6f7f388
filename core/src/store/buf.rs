//! A pool of byte blocks: what is kept of messages outlives the datagram that brought them in one of these.

use core::fmt;
use core::num::NonZeroU32;

use heapless::Vec;

use super::slab::NIL;
use super::slots::Slots;
use crate::error::Full;

/// Most size classes of one pool.
pub const CLASSES_MAX: usize = 4;
/// Shortest block, in bytes: a free block holds the number of the next.
const BLOCK_LEN_MIN: usize = size_of::<u32>();
/// Bits of a [`Buf`]'s place that number the block; those above number the class.
const BLOCK_BITS: u32 = 30;
/// Most blocks of one class.
const BLOCKS_MAX: usize = (1 << BLOCK_BITS) - 1;

/// Some bytes in a [`BufPool`], in 8 bytes. It can be neither copied nor cloned: who holds it owns the block, and gives it back
/// to the pool it came from with [`BufPool::free`]. Dropping it loses the block.
#[must_use = "a buffer that is dropped is lost to its pool"]
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Buf {
    /// One more than class and block.
    place: NonZeroU32,
    len: u32,
}

impl Buf {
    fn new(class: usize, block: u32, len: usize) -> Self {
        // At most four classes and fewer than 2³⁰ blocks, so this neither overflows nor truncates.
        let place = ((class as u32) << BLOCK_BITS | block).saturating_add(1);
        Self { place: NonZeroU32::new(place).unwrap_or(NonZeroU32::MIN), len: len as u32 }
    }

    const fn class(&self) -> usize {
        ((self.place.get() - 1) >> BLOCK_BITS) as usize
    }

    const fn block(&self) -> u32 {
        (self.place.get() - 1) & ((1 << BLOCK_BITS) - 1)
    }

    /// How many bytes it holds.
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it holds none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Why a size class cannot be added to a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClassError {
    /// The pool has [`CLASSES_MAX`] classes already.
    TooMany,
    /// Blocks have to be at least 4 bytes long, at most 2³²-1, and longer than those of the class before.
    BlockLen,
}

impl fmt::Display for ClassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooMany => "too many size classes",
            Self::BlockLen => "block length out of range or not longer than in the class before",
        })
    }
}

impl core::error::Error for ClassError {}

/// How far one size class is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ClassUse {
    /// Bytes a block holds.
    pub block_len: usize,
    /// Blocks that are given out.
    pub used: usize,
    /// Blocks there are.
    pub capacity: usize,
    /// The most blocks that were ever given out at a time.
    pub high_water: usize,
}

struct Class<'a> {
    arena: Slots<'a, u8>,
    block_len: usize,
    blocks: u32,
    /// Blocks that were ever given out.
    touched: u32,
    used: u32,
    /// Head of the free list, which runs through the free blocks.
    free: u32,
}

impl Class<'_> {
    fn block_mut(&mut self, block: u32) -> Option<&mut [u8]> {
        let at = block as usize * self.block_len;
        self.arena.used_mut().get_mut(at..)?.get_mut(..self.block_len)
    }

    fn take(&mut self) -> Option<u32> {
        let block = if self.free != NIL {
            let block = self.free;
            let next = self.block_mut(block)?.first_chunk()?;
            self.free = u32::from_le_bytes(*next);
            block
        } else if self.touched < self.blocks {
            self.touched += 1;
            self.touched - 1
        } else {
            return None;
        };
        self.used += 1;
        Some(block)
    }

    fn give_back(&mut self, block: u32) {
        let next = self.free.to_le_bytes();
        if let Some(head) = self.block_mut(block).and_then(|block| block.first_chunk_mut()) {
            *head = next;
            self.free = block;
            self.used = self.used.saturating_sub(1);
        }
    }
}

/// Blocks of contiguous bytes in up to four size classes. The block freed last is used first, and a fresh one, in the
/// order of addresses, only when no freed one is left. Nothing but the blocks themselves takes memory.
///
/// ```
/// use trunkline_core::store::{BufPool, Slots};
///
/// let (mut small, mut large) = ([0; 8 * 256], [0; 2 * 4096]);
/// let mut pool = BufPool::new("message buffers");
/// pool.add_class(256, Slots::lent(&mut small))?;
/// pool.add_class(4096, Slots::lent(&mut large))?;
/// let buf = pool.alloc_copy(b"SIP/2.0 100 Trying\r\n").unwrap();
/// assert_eq!(pool.bytes(&buf), b"SIP/2.0 100 Trying\r\n");
/// pool.free(buf);
/// # Ok::<(), trunkline_core::store::buf::ClassError>(())
/// ```
pub struct BufPool<'a> {
    classes: Vec<Class<'a>, CLASSES_MAX>,
    what: &'static str,
}

impl<'a> BufPool<'a> {
    /// A pool without classes; `what` is what it holds, in an operator's words, for [`Full`].
    pub const fn new(what: &'static str) -> Self {
        Self { classes: Vec::new(), what }
    }

    /// Adds a class of blocks of `block_len` bytes, as many as fit into `arena`. Shorter blocks first.
    pub fn add_class(&mut self, block_len: usize, mut arena: Slots<'a, u8>) -> Result<(), ClassError> {
        let longest = self.classes.last().map_or(BLOCK_LEN_MIN - 1, |class| class.block_len);
        if block_len <= longest || u32::try_from(block_len).is_err() {
            return Err(ClassError::BlockLen);
        }
        let blocks = (arena.capacity() / block_len).min(BLOCKS_MAX);
        arena.fill(blocks * block_len);
        let class = Class { arena, block_len, blocks: blocks as u32, touched: 0, used: 0, free: NIL };
        self.classes.push(class).map_err(|_| ClassError::TooMany)
    }

    /// A copy of `bytes`, in a block of the smallest class that fits and is not exhausted.
    pub fn alloc_copy(&mut self, bytes: &[u8]) -> Result<Buf, Full> {
        self.alloc_with(bytes.len(), |block| block.copy_from_slice(bytes))
    }

    /// `len` bytes that `write` fills, placed as by [`alloc_copy`](Self::alloc_copy). They hold remains of earlier buffers
    /// until they are overwritten.
    pub fn alloc_with(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Result<Buf, Full> {
        for (number, class) in self.classes.iter_mut().enumerate() {
            if class.block_len < len {
                continue;
            }
            let Some(block) = class.take() else { continue };
            if let Some(bytes) = class.block_mut(block).and_then(|block| block.get_mut(..len)) {
                write(bytes);
            }
            return Ok(Buf::new(number, block, len));
        }
        Err(Full { what: self.what })
    }

    /// The bytes of `buf`. Empty if the pool has no such block, which happens only to the buffer of another pool.
    pub fn bytes(&self, buf: &Buf) -> &[u8] {
        let bytes = self.classes.get(buf.class()).and_then(|class| {
            let at = buf.block() as usize * class.block_len;
            class.arena.used().get(at..)?.get(..buf.len())
        });
        debug_assert!(bytes.is_some(), "buffer of another pool");
        bytes.unwrap_or(&[])
    }

    /// The bytes of `buf`, to change them in place. Empty as with [`bytes`](Self::bytes).
    pub fn bytes_mut(&mut self, buf: &mut Buf) -> &mut [u8] {
        let class = self.classes.get_mut(buf.class());
        let bytes = class.and_then(|class| class.block_mut(buf.block())?.get_mut(..buf.len()));
        debug_assert!(bytes.is_some(), "buffer of another pool");
        bytes.unwrap_or(&mut [])
    }

    /// Takes the block of `buf` back.
    pub fn free(&mut self, buf: Buf) {
        if let Some(class) = self.classes.get_mut(buf.class()) {
            debug_assert!(buf.block() < class.touched, "buffer of another pool");
            class.give_back(buf.block());
        }
    }

    /// How far each class is in use, the shortest blocks first.
    pub fn classes(&self) -> impl Iterator<Item = ClassUse> {
        self.classes.iter().map(|class| ClassUse {
            block_len: class.block_len,
            used: class.used as usize,
            capacity: class.blocks as usize,
            high_water: class.touched as usize,
        })
    }

    /// Blocks that are given out, of all classes.
    pub fn used(&self) -> usize {
        self.classes().map(|class| class.used).sum()
    }

    /// Blocks that were ever given out at once, summed over the classes: no less than the worst moment of all together.
    pub fn high_water(&self) -> usize {
        self.classes().map(|class| class.high_water).sum()
    }

    /// Blocks there are, of all classes.
    pub fn capacity(&self) -> usize {
        self.classes().map(|class| class.capacity).sum()
    }
}

/// Shows how far the classes are in use. What the blocks hold may be secret.
impl fmt::Debug for BufPool<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.classes()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn used(pool: &BufPool<'_>) -> Vec<usize> {
        pool.classes().map(|class| class.used).collect()
    }

    #[test]
    fn sizes_are_as_documented() {
        assert_eq!((size_of::<Buf>(), size_of::<Option<Buf>>()), (8, 8));
    }

    #[test]
    fn place_holds_every_class_and_block() {
        for class in 0..CLASSES_MAX {
            for block in [0, 1, BLOCKS_MAX as u32 - 1] {
                let buf = Buf::new(class, block, 65_536);
                assert_eq!((buf.class(), buf.block(), buf.len()), (class, block, 65_536));
            }
        }
    }

    #[test]
    fn smallest_class_that_fits_then_the_next() {
        let (mut small, mut large) = ([0; 2 * 8], [0; 2 * 32]);
        let mut pool = BufPool::new("buffers");
        pool.add_class(8, Slots::lent(&mut small)).unwrap();
        pool.add_class(32, Slots::lent(&mut large)).unwrap();
        let a = pool.alloc_copy(&[1; 8]).unwrap();
        assert_eq!(used(&pool), [1, 0]);
        let b = pool.alloc_copy(&[2; 9]).unwrap();
        assert_eq!(used(&pool), [1, 1]);
        let c = pool.alloc_copy(&[]).unwrap();
        let d = pool.alloc_copy(&[4; 3]).unwrap();
        assert_eq!(used(&pool), [2, 2], "the next larger class helps out");
        assert_eq!(pool.alloc_copy(&[5]), Err(Full { what: "buffers" }));
        assert_eq!((pool.used(), pool.capacity()), (4, 4));
        for (buf, bytes) in [(&a, &[1; 8][..]), (&b, &[2; 9]), (&c, &[]), (&d, &[4; 3])] {
            assert_eq!(pool.bytes(buf), bytes);
            assert_eq!((buf.len(), buf.is_empty()), (bytes.len(), bytes.is_empty()));
        }
        pool.free(b);
        assert_eq!(used(&pool), [2, 1]);
        assert_eq!(pool.alloc_copy(&[6; 33]), Err(Full { what: "buffers" }), "longer than any block");
        for buf in [a, c, d] {
            pool.free(buf);
        }
        assert_eq!(pool.used(), 0);
    }

    #[test]
    fn blocks_come_in_order_and_back_last_in_first_out() {
        let mut memory = [0xaa; 4 * 10 + 3];
        let mut pool = BufPool::new("buffers");
        pool.add_class(10, Slots::lent(&mut memory)).unwrap();
        let mut bufs: Vec<_> = (0..3).map(|n| pool.alloc_copy(&[n]).unwrap()).collect();
        assert!(bufs.iter().map(Buf::block).eq(0..3));
        pool.free(bufs.remove(0));
        pool.free(bufs.remove(1));
        let again: Vec<_> = (0..3).map(|n| pool.alloc_copy(&[n]).unwrap().block()).collect();
        assert_eq!(again, [2, 0, 3]);
        let class = pool.classes().next().unwrap();
        assert_eq!(class, ClassUse { block_len: 10, used: 4, capacity: 4, high_water: 4 });
    }

    #[test]
    fn bytes_can_be_changed_in_place() {
        let mut memory = [0; 16];
        let mut pool = BufPool::new("buffers");
        pool.add_class(16, Slots::lent(&mut memory)).unwrap();
        let mut buf = pool.alloc_with(3, |bytes| bytes.copy_from_slice(b"abc")).unwrap();
        pool.bytes_mut(&mut buf)[1] = b'x';
        assert_eq!(pool.bytes(&buf), b"axc");
    }

    #[test]
    fn debug_shows_use_and_no_bytes() {
        let mut memory = [0; 16];
        let mut pool = BufPool::new("buffers");
        pool.add_class(16, Slots::lent(&mut memory)).unwrap();
        let _buf = pool.alloc_copy(&[222; 16]).unwrap();
        let shown = std::format!("{pool:?}");
        assert!(shown.contains("used: 1") && !shown.contains("222"), "{shown}");
    }

    #[test]
    fn classes_have_rules() {
        let mut pool = BufPool::new("buffers");
        assert_eq!(pool.alloc_copy(&[]), Err(Full { what: "buffers" }));
        for len in [0, 3] {
            assert_eq!(pool.add_class(len, Slots::lent(&mut [])), Err(ClassError::BlockLen));
        }
        for len in [4, 5, 6, 7] {
            assert_eq!(pool.add_class(len, Slots::lent(&mut [])), Ok(()));
            assert_eq!(pool.add_class(len, Slots::lent(&mut [])), Err(ClassError::BlockLen));
        }
        assert_eq!(pool.add_class(8, Slots::lent(&mut [])), Err(ClassError::TooMany));
        assert_eq!(pool.alloc_copy(&[]), Err(Full { what: "buffers" }), "classes without blocks");
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn reserved_pool_does_not_reallocate() {
        let mut pool = BufPool::new("buffers");
        pool.add_class(64, Slots::reserved(64 * 1_000)).unwrap();
        let first = pool.alloc_copy(b"first").unwrap();
        let place = pool.bytes(&first).as_ptr();
        while pool.alloc_copy(&[0; 64]).is_ok() {}
        assert_eq!(pool.used(), 1_000);
        assert_eq!(pool.bytes(&first).as_ptr(), place);
        assert_eq!(pool.bytes(&first), b"first");
    }

    /// Some: a buffer of that length; None: free one.
    fn ops() -> impl Strategy<Value = Vec<(Option<usize>, usize)>> {
        proptest::collection::vec((proptest::option::weighted(0.6, 0..70usize), any::<usize>()), 0..300)
    }

    fn keeps_every_byte(mut pool: BufPool<'_>, ops: Vec<(Option<usize>, usize)>) {
        let mut held: Vec<(Buf, Vec<u8>, usize)> = Vec::new();
        for (n, (len, which)) in ops.into_iter().enumerate() {
            match len {
                Some(len) => {
                    let bytes: Vec<u8> = (0..len).map(|i| (i + n) as u8).collect();
                    let room = pool.classes().position(|class| class.block_len >= len && class.used < class.capacity);
                    let buf = pool.alloc_copy(&bytes);
                    assert_eq!(buf.as_ref().ok().map(Buf::class), room);
                    if let (Ok(buf), Some(class)) = (buf, room) {
                        held.push((buf, bytes, class));
                    }
                }
                None if !held.is_empty() => pool.free(held.swap_remove(which % held.len()).0),
                None => {}
            }
            for (buf, bytes, _) in &held {
                assert_eq!(pool.bytes(buf), bytes);
            }
            for (number, class) in pool.classes().enumerate() {
                assert_eq!(class.used, held.iter().filter(|(_, _, class)| *class == number).count());
                assert!(class.used <= class.high_water && class.high_water <= class.capacity);
            }
        }
    }

    proptest! {
        #[test]
        fn lent_pool_keeps_every_byte(ops in ops()) {
            let (mut a, mut b, mut c) = ([9; 3 * 4], [9; 2 * 17 + 5], [9; 64]);
            let mut pool = BufPool::new("buffers");
            pool.add_class(4, Slots::lent(&mut a)).unwrap();
            pool.add_class(17, Slots::lent(&mut b)).unwrap();
            pool.add_class(64, Slots::lent(&mut c)).unwrap();
            keeps_every_byte(pool, ops);
        }

        #[cfg(feature = "alloc")]
        #[test]
        fn reserved_pool_keeps_every_byte(ops in ops()) {
            let mut pool = BufPool::new("buffers");
            pool.add_class(16, Slots::reserved(16 * 50)).unwrap();
            pool.add_class(1 << 16, Slots::reserved(8 << 16)).unwrap();
            keeps_every_byte(pool, ops);
        }
    }
}
