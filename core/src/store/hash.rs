//! The keyed hash for whatever a peer chooses: SipHash-1-3 under a secret key.

use core::fmt;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::entropy::Entropy;

/// A secret 128-bit key. Without it nobody can choose Call-IDs or branches that collide.
#[derive(Clone)]
pub struct HashKey([u8; 16]);

impl HashKey {
    /// The key of these bytes, where several parties have to hash alike.
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// A fresh key.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let mut key = [0; 16];
        entropy.fill_secret(&mut key);
        Self(key)
    }

    /// The hash of a list of parts. Where one part ends and the next begins counts: `["ab", "c"]` and `["a", "bc"]`
    /// differ. The same on every platform.
    pub fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish()
    }
}

/// Keeps the key out of logs.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;
    use std::collections::HashSet;
    use std::format;

    #[test]
    fn bounds_between_parts_count() {
        let key = HashKey::new([1; 16]);
        let lists: [&[&[u8]]; 8] =
            [&[], &[b""], &[b"", b""], &[b"abc"], &[b"ab", b"c"], &[b"a", b"bc"], &[b"abc", b""], &[b"", b"abc"]];
        let hashes: HashSet<_> = lists.iter().map(|parts| key.hash(parts)).collect();
        assert_eq!(hashes.len(), lists.len());
        assert_eq!(key.hash(&[b"ab", b"c"]), key.clone().hash(&[b"ab", b"c"]));
    }

    #[test]
    fn hash_is_siphash_1_3_over_lengths_and_parts() {
        let key = core::array::from_fn(|i| i as u8);
        let mut whole = SipHasher13::new_with_key(&key);
        whole.write(b"\x02\0\0\0\0\0\0\0ab\x01\0\0\0\0\0\0\0c");
        assert_eq!(HashKey::new(key).hash(&[b"ab", b"c"]), whole.finish());
        // The empty input under this key, from the test vectors of the reference implementation.
        assert_eq!(HashKey::new(key).hash(&[]), 0xabac_0158_050f_c4dc);
    }

    #[test]
    fn keys_differ_and_stay_secret() {
        let mut entropy = SeededEntropy::new(1);
        let (a, b) = (HashKey::generate(&mut entropy), HashKey::generate(&mut entropy));
        assert_ne!(a.hash(&[b"x"]), b.hash(&[b"x"]));
        assert_eq!(format!("{a:?}"), "HashKey(..)");
    }
}
