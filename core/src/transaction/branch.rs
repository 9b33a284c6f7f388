//! Our Via branch: where a response belongs, sealed with a keyed tag.
//!
//! ```text
//! z9hG4bK  kind shard listener  slot  generation  loop hash  tag       in base32 (RFC 4648 §6) lower case
//!          1    1     1         4     4           4          8 bytes   = 37 characters, 44 with the cookie
//! ```
//!
//! Numbers are big-endian. The tag is SipHash-1-3 over the other fields and over context that the caller supplies, so a
//! branch that we did not make, or that was moved to another call, does not verify. Upper case is read as lower case, for
//! there are peers that change it; so every comparison is one of decoded fields.

use core::fmt;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;

/// The cookie that every RFC 3261 branch starts with (RFC 3261 §8.1.1.7).
pub const COOKIE: &[u8; 7] = b"z9hG4bK";
/// Length of our branches, in bytes.
pub const BRANCH_LEN: usize = COOKIE.len() + ENCODED_LEN;

const FIELDS_LEN: usize = 15;
const RAW_LEN: usize = FIELDS_LEN + 8;
const ENCODED_LEN: usize = (RAW_LEN * 8).div_ceil(5);
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Keeps the loop hash apart from the tags, whose first byte is the kind.
const LOOP_DOMAIN: u8 = 0xff;

/// The secret of a node under which its branches are made. All shards share it, and a restarted node that shall know its
/// stateless branches again is given the same one.
#[derive(Clone, PartialEq, Eq)]
pub struct BranchKey {
    k0: u64,
    k1: u64,
}

impl BranchKey {
    /// A key of 128 secret bits.
    pub const fn new(key: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = key;
        Self { k0: u64::from_le_bytes([a, b, c, d, e, f, g, h]), k1: u64::from_le_bytes([i, j, k, l, m, n, o, p]) }
    }

    fn hash(&self, domain: &[u8], parts: &[&[u8]]) -> u64 {
        let mut h = SipHasher13::new_with_keys(self.k0, self.k1);
        h.write(domain);
        for part in parts {
            // The length in front keeps ("ab", "c") and ("a", "bc") apart.
            h.write(&(part.len() as u64).to_le_bytes());
            h.write(part);
        }
        h.finish()
    }
}

impl fmt::Debug for BranchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BranchKey(..)")
    }
}

/// What sent the request that carries the branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum BranchKind {
    /// A client transaction.
    Transaction = 1,
    /// A request forwarded without one (RFC 3261 §16.11).
    Stateless = 2,
    /// A probe of the dispatcher.
    Probe = 3,
}

impl BranchKind {
    const fn from_byte(b: u8) -> Option<Self> {
        match b {
            1 => Some(Self::Transaction),
            2 => Some(Self::Stateless),
            3 => Some(Self::Probe),
            _ => None,
        }
    }
}

/// What a branch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct BranchId {
    /// What sent the request.
    pub kind: BranchKind,
    /// The shard that owns the transaction.
    pub shard: u8,
    /// The listener by which the request came in.
    pub listener: u8,
    /// Slot of the transaction in its table.
    pub slot: u32,
    /// Generation of that slot.
    pub generation: u32,
    /// [`loop_hash`] of the request; zero if there is none.
    pub loop_hash: u32,
}

impl BranchId {
    fn to_bytes(self) -> [u8; FIELDS_LEN] {
        let [s0, s1, s2, s3] = self.slot.to_be_bytes();
        let [g0, g1, g2, g3] = self.generation.to_be_bytes();
        let [l0, l1, l2, l3] = self.loop_hash.to_be_bytes();
        [self.kind as u8, self.shard, self.listener, s0, s1, s2, s3, g0, g1, g2, g3, l0, l1, l2, l3]
    }
}

/// The tag that came with a branch, not yet verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BranchTag(u64);

impl fmt::Debug for BranchTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BranchTag({:016x})", self.0)
    }
}

/// An encoded branch, cookie included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Branch([u8; BRANCH_LEN]);

impl Branch {
    /// The value of the `branch` parameter, in ASCII.
    pub const fn as_bytes(&self) -> &[u8; BRANCH_LEN] {
        &self.0
    }

    /// The value of the `branch` parameter.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Branch({})", self.as_str())
    }
}

/// The branch that says `id`, sealed over `id` and `context`: bytes that a response brings back unchanged, such as the
/// Call-ID.
pub fn encode(id: &BranchId, key: &BranchKey, context: &[u8]) -> Branch {
    seal(id, tag(id, key, &[context]))
}

/// Reads a branch of ours. `None` if it has another form; what it says counts only after [`verify`].
pub fn decode(branch: &[u8]) -> Option<(BranchId, BranchTag)> {
    let (cookie, text) = branch.split_at_checked(COOKIE.len())?;
    if !cookie.eq_ignore_ascii_case(COOKIE) {
        return None;
    }
    let raw = base32_decode(text)?;
    let [kind, shard, listener, s0, s1, s2, s3, g0, g1, g2, g3, l0, l1, l2, l3, tag @ ..] = raw;
    let id = BranchId {
        kind: BranchKind::from_byte(kind)?,
        shard,
        listener,
        slot: u32::from_be_bytes([s0, s1, s2, s3]),
        generation: u32::from_be_bytes([g0, g1, g2, g3]),
        loop_hash: u32::from_be_bytes([l0, l1, l2, l3]),
    };
    Some((id, BranchTag(u64::from_be_bytes(tag))))
}

/// Whether we made the branch, for this `context`. Takes the same time whichever bit is wrong.
pub fn verify(id: &BranchId, tag: BranchTag, key: &BranchKey, context: &[u8]) -> bool {
    self::tag(id, key, &[context]) ^ tag.0 == 0
}

/// The branch of a request that is forwarded without a transaction: a function of the request alone, so that a
/// retransmission, the ACK and the CANCEL get the same one (RFC 3261 §16.11).
///
/// `parts` are what those have in common and what the response brings back: the branch of the topmost Via received if it
/// has the cookie, else the ingredients that §16.11 names for RFC 2543 peers; the Call-ID; the CSeq number. There is no
/// loop hash in it, as that covers fields which a CANCEL does not repeat.
pub fn stateless(key: &BranchKey, listener: u8, parts: &[&[u8]]) -> Branch {
    let id = BranchId { kind: BranchKind::Stateless, shard: 0, listener, slot: 0, generation: 0, loop_hash: 0 };
    seal(&id, tag(&id, key, parts))
}

/// The listener by which the request came in, if `branch` is what [`stateless`] made of the same parts: those of a
/// response are taken from its second Via, its Call-ID and its CSeq.
pub fn verify_stateless(branch: &[u8], key: &BranchKey, parts: &[&[u8]]) -> Option<u8> {
    let (id, came) = decode(branch)?;
    (id.kind == BranchKind::Stateless && tag(&id, key, parts) ^ came.0 == 0).then_some(id.listener)
}

/// The part of a branch that tells a loop from a spiral (RFC 3261 §16.6 step 8): a hash over Request-URI, From tag, To
/// tag, Call-ID, CSeq number, Proxy-Require, Proxy-Authorization, topmost Via and Route as received, in this order, empty
/// where the request has none. A request that comes back with one of our branches and the same hash is in a loop; with
/// another hash it is a spiral (§16.3 step 4). Never zero.
pub fn loop_hash(key: &BranchKey, parts: &[&[u8]]) -> u32 {
    let h = key.hash(&[LOOP_DOMAIN], parts);
    (((h >> 32) ^ h) as u32).max(1)
}

fn tag(id: &BranchId, key: &BranchKey, parts: &[&[u8]]) -> u64 {
    key.hash(&id.to_bytes(), parts)
}

fn seal(id: &BranchId, tag: u64) -> Branch {
    let mut raw = [0; RAW_LEN];
    for (to, from) in raw.iter_mut().zip(id.to_bytes().into_iter().chain(tag.to_be_bytes())) {
        *to = from;
    }
    let mut out = [0; BRANCH_LEN];
    let (cookie, text) = out.split_at_mut(COOKIE.len());
    cookie.copy_from_slice(COOKIE);
    for (to, digit) in text.iter_mut().zip(base32_encode(&raw)) {
        *to = digit;
    }
    Branch(out)
}

fn base32_encode(raw: &[u8; RAW_LEN]) -> [u8; ENCODED_LEN] {
    let mut out = [0; ENCODED_LEN];
    let mut bytes = raw.iter();
    let (mut bits, mut count) = (0_u32, 0);
    for digit in &mut out {
        if count < 5 {
            // Beyond the last byte come the zero bits that fill the last digit.
            bits = (bits << 8) | u32::from(bytes.next().copied().unwrap_or(0));
            count += 8;
        }
        count -= 5;
        *digit = ALPHABET[(bits >> count) as usize & 31];
    }
    out
}

fn base32_decode(text: &[u8]) -> Option<[u8; RAW_LEN]> {
    if text.len() != ENCODED_LEN {
        return None;
    }
    let mut out = [0; RAW_LEN];
    let mut bytes = out.iter_mut();
    let (mut bits, mut count) = (0_u32, 0);
    for &digit in text {
        let value = match digit {
            b'a'..=b'z' => digit - b'a',
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5) | u32::from(value);
        count += 5;
        if count >= 8 {
            count -= 8;
            *bytes.next()? = (bits >> count) as u8;
        }
    }
    // The fill bits are zero, so that a branch has one spelling (but for case).
    (bits & ((1 << count) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::format;
    use std::vec::Vec;

    use super::*;

    const KEY: BranchKey = BranchKey::new(*b"0123456789abcdef");
    const ID: BranchId = BranchId {
        kind: BranchKind::Transaction,
        shard: 3,
        listener: 1,
        slot: 0x0001_0203,
        generation: 7,
        loop_hash: 0xdead_beef,
    };

    /// SipHash-1-3 and RFC 4648 base32 computed by an independent implementation.
    #[test]
    fn the_form_is_fixed() {
        let branch = encode(&ID, &KEY, b"call@host");
        assert_eq!(branch.as_str().len(), BRANCH_LEN);
        assert_eq!(branch.as_str(), "z9hG4bKaebqcaabaibqaaaaa7pk3pxpidxswc2bpive6");
    }

    #[test]
    fn decoded_in_any_case() {
        let branch = encode(&ID, &KEY, b"x");
        for text in [branch.as_str().to_ascii_lowercase(), branch.as_str().to_ascii_uppercase()] {
            let (id, tag) = decode(text.as_bytes()).unwrap();
            assert_eq!(id, ID);
            assert!(verify(&id, tag, &KEY, b"x"));
        }
    }

    #[test]
    fn another_context_or_key_fails() {
        let (id, tag) = decode(encode(&ID, &KEY, b"call-1").as_bytes()).unwrap();
        assert!(verify(&id, tag, &KEY, b"call-1"));
        assert!(!verify(&id, tag, &KEY, b"call-2"));
        assert!(!verify(&id, tag, &BranchKey::new([9; 16]), b"call-1"));
    }

    #[test]
    fn other_forms_are_not_ours() {
        let ours = encode(&ID, &KEY, b"x");
        let text = ours.as_str();
        for other in [
            "",
            "z9hG4bK",
            "z9hG4bK776asdhds",
            "1",
            &text[..BRANCH_LEN - 1],
            &format!("{text}a"),
            &text.replace("z9hG4bK", "z9hG4bJ"),
            &format!("{}1", &text[..BRANCH_LEN - 1]),
            "z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(decode(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn fill_bits_have_one_spelling() {
        let mut b = *encode(&ID, &KEY, b"x").as_bytes();
        let last = ALPHABET.iter().position(|&c| c == b[BRANCH_LEN - 1]).unwrap();
        b[BRANCH_LEN - 1] = ALPHABET[last | 1];
        assert_eq!(last & 1, 0);
        assert_eq!(decode(&b), None);
    }

    #[test]
    fn a_stateless_branch_is_a_function_of_the_request() {
        let parts: [&[u8]; 3] = [b"z9hG4bKabc", b"call@host", b"1"];
        let branch = stateless(&KEY, 4, &parts);
        assert_eq!(branch, stateless(&KEY, 4, &parts));
        assert_eq!(verify_stateless(branch.as_bytes(), &KEY, &parts), Some(4));
        assert_eq!(verify_stateless(branch.as_bytes(), &KEY, &[b"z9hG4bKabc", b"call@host", b"2"]), None);
        assert_eq!(verify_stateless(branch.as_bytes(), &KEY, &[b"z9hG4bKabcc", b"all@host", b"1"]), None);
        let stateful = encode(&ID, &KEY, b"call@host");
        assert_eq!(verify_stateless(stateful.as_bytes(), &KEY, &[b"call@host"]), None);
    }

    #[test]
    fn a_loop_has_the_same_hash_and_a_spiral_another() {
        let request: [&[u8]; 9] = [b"sip:a@b", b"f", b"", b"c", b"1", b"", b"", b"SIP/2.0/UDP h", b""];
        let mut spiral = request;
        spiral[0] = b"sip:b@b";
        assert_eq!(loop_hash(&KEY, &request), loop_hash(&KEY, &request));
        assert_ne!(loop_hash(&KEY, &request), loop_hash(&KEY, &spiral));
    }

    #[test]
    fn the_key_is_not_shown() {
        assert_eq!(format!("{KEY:?}"), "BranchKey(..)");
    }

    fn ids() -> impl Strategy<Value = BranchId> {
        let kinds = prop_oneof![Just(BranchKind::Transaction), Just(BranchKind::Stateless), Just(BranchKind::Probe)];
        (kinds, any::<(u8, u8, u32, u32, u32)>()).prop_map(|(kind, (shard, listener, slot, generation, loop_hash))| {
            BranchId { kind, shard, listener, slot, generation, loop_hash }
        })
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(id in ids(), context: Vec<u8>) {
            let (out, tag) = decode(encode(&id, &KEY, &context).as_bytes()).unwrap();
            prop_assert_eq!(out, id);
            prop_assert!(verify(&out, tag, &KEY, &context));
        }

        #[test]
        fn a_changed_character_never_verifies(id in ids(), at in COOKIE.len()..BRANCH_LEN, to in 0..32_usize) {
            let mut b = *encode(&id, &KEY, b"call").as_bytes();
            prop_assume!(b[at] != ALPHABET[to]);
            b[at] = ALPHABET[to];
            if let Some((id, tag)) = decode(&b) {
                prop_assert!(!verify(&id, tag, &KEY, b"call"));
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut b = COOKIE.to_vec();
            b.extend(&bytes);
            let _ = (decode(&bytes), decode(&b));
            prop_assert_eq!(verify_stateless(&b, &KEY, &[]), None);
        }
    }
}
