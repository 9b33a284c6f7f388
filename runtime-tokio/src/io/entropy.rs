//! Randomness: secret bytes from a generator that the system seeds, public ones from a fast one.

use rand::rngs::SmallRng;
use rand::{Rng, make_rng, rng};
use trunkline_core::Entropy;

/// The randomness of one shard.
#[derive(Debug)]
pub(crate) struct ServerEntropy {
    public: SmallRng,
}

impl ServerEntropy {
    /// A source seeded by the system.
    pub(crate) fn new() -> Self {
        Self { public: make_rng() }
    }
}

impl Default for ServerEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for ServerEntropy {
    fn fill_secret(&mut self, out: &mut [u8]) {
        // ChaCha12 of this thread, seeded and from time to time reseeded by the system.
        rng().fill_bytes(out);
    }

    fn fill_public(&mut self, out: &mut [u8]) {
        self.public.fill_bytes(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sources_differ_and_both_kinds_move_on() {
        let (mut a, mut b) = (ServerEntropy::new(), ServerEntropy::new());
        assert_ne!(a.public_u64(), b.public_u64());
        assert_ne!(a.secret_u64(), b.secret_u64());
        assert_ne!(a.public_u64(), a.public_u64());
        assert_ne!(a.secret_u64(), a.secret_u64());
    }
}
