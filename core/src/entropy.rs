//! Randomness, handed in by the runtime.

/// A source of random bytes. Two kinds are kept apart: *secret* bytes for what nobody may guess (tags, nonces, keys)
/// and *public* bytes for what only has to be spread (jitter, load balancing).
pub trait Entropy {
    /// Fills `out` with bytes fit for keys, tags and nonces.
    fn fill_secret(&mut self, out: &mut [u8]);

    /// Fills `out` with bytes that spread well; they may be predictable.
    fn fill_public(&mut self, out: &mut [u8]);

    /// Eight secret bytes as a number.
    fn secret_u64(&mut self) -> u64 {
        let mut b = [0; 8];
        self.fill_secret(&mut b);
        u64::from_le_bytes(b)
    }

    /// Eight public bytes as a number.
    fn public_u64(&mut self) -> u64 {
        let mut b = [0; 8];
        self.fill_public(&mut b);
        u64::from_le_bytes(b)
    }

    /// A public number below `n` (zero if `n` is zero), by multiplication so that small `n` show no bias.
    fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.public_u64() as u32) * u64::from(n)) >> 32) as u32
    }
}

/// A repeatable source for tests and simulations (SplitMix64). Its secrets are none.
#[derive(Clone, Debug)]
pub struct SeededEntropy(u64);

impl SeededEntropy {
    /// A source whose output is a function of `seed` alone.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill_secret(&mut self, out: &mut [u8]) {
        self.fill_public(out);
    }

    fn fill_public(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let b = self.next().to_le_bytes();
            chunk.copy_from_slice(&b[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_stays_below_and_spreads() {
        let mut e = SeededEntropy::new(7);
        let mut seen = [0u32; 5];
        for _ in 0..5_000 {
            seen[e.below(5) as usize] += 1;
        }
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
        assert_eq!(e.below(0), 0);
    }
}
