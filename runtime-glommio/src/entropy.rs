//! Randomness: secret bytes from a generator that the system seeds, public ones from a fast one.

use rand::rngs::SmallRng;
use rand::{Rng, make_rng, rng};
use trunkline_core::Entropy;

/// The randomness of one shard.
#[derive(Debug)]
pub(crate) struct ShardEntropy {
    public: SmallRng,
}

impl ShardEntropy {
    /// A source seeded by the system.
    pub(crate) fn new() -> Self {
        Self { public: make_rng() }
    }
}

impl Entropy for ShardEntropy {
    fn fill_secret(&mut self, out: &mut [u8]) {
        // ChaCha12 of this thread, seeded and from time to time reseeded by the system.
        rng().fill_bytes(out);
    }

    fn fill_public(&mut self, out: &mut [u8]) {
        self.public.fill_bytes(out);
    }
}
