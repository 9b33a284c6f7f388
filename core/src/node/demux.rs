//! Which shard a message belongs to.

use crate::store::HashKey;
use crate::transaction::branch;
use crate::wire::sip::header_name::HeaderName;

/// The shard that handles a message: a response goes to the shard that sent the request (our branch says which), all
/// else to the shard to which its Call-ID hashes. Only the few header lines that are needed are looked at; what cannot
/// be read goes to shard 0.
pub fn shard_of(bytes: &[u8], shards: u8, hash: &HashKey) -> u8 {
    if shards < 2 {
        return 0;
    }
    let mut bytes = bytes;
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    let response = bytes.starts_with(b"SIP/2.0 ");
    let mut at = memchr::memmem::find(bytes, b"\r\n").map_or(bytes.len(), |n| n + 2);
    while at < bytes.len() {
        let line = field(&bytes[at..]);
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default().trim_ascii();
        match HeaderName::parse(line[..colon].trim_ascii_end()) {
            HeaderName::Via if response => {
                if let Some(id) = first_branch(value)
                    && id.kind != branch::BranchKind::Stateless
                {
                    return id.shard.min(shards - 1);
                }
            }
            HeaderName::CallId => return (hash.hash(&[value]) % u64::from(shards)) as u8,
            _ => {}
        }
        at += line.len() + 2;
    }
    0
}

/// The shard that sent a request, of which no more than the start may be left: its first field is our Via. `None` for
/// what no single shard sent.
pub fn sender_of(bytes: &[u8]) -> Option<u8> {
    let at = memchr::memmem::find(bytes, b"\r\nVia:")? + 6;
    let rest = &bytes[at..];
    let line = &rest[..memchr::memchr(b'\r', rest).unwrap_or(rest.len())];
    first_branch(line).filter(|id| id.kind != branch::BranchKind::Stateless).map(|id| id.shard)
}

/// The first header field of `head`, its folded lines included, without the line end.
fn field(head: &[u8]) -> &[u8] {
    let mut end = 0;
    loop {
        end += memchr::memchr(b'\r', &head[end..]).unwrap_or(head.len() - end);
        match head[end..] {
            [b'\r', b'\n', b' ' | b'\t', ..] => end += 2,
            _ => return &head[..end],
        }
    }
}

fn first_branch(via: &[u8]) -> Option<branch::BranchId> {
    let at = memchr::memmem::find(via, b"branch=")? + 7;
    let rest = &via[at..];
    let end = rest.iter().position(|b| matches!(b, b';' | b',' | b' ' | b'\t')).unwrap_or(rest.len());
    branch::decode(&rest[..end]).map(|(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::branch::{BranchId, BranchKey, BranchKind};

    fn hash() -> HashKey {
        HashKey::new([1; 16])
    }

    fn branch(kind: BranchKind, shard: u8) -> std::string::String {
        let id = BranchId { kind, shard, listener: 0, slot: 1, generation: 1, loop_hash: 0 };
        branch::encode(&id, &BranchKey::new([2; 16]), b"").as_str().into()
    }

    #[test]
    fn a_call_stays_on_one_shard_however_its_fields_are_written() {
        let want = shard_of(b"INVITE sip:a@b SIP/2.0\r\nCall-ID: one@x\r\n\r\n", 8, &hash());
        for head in [
            &b"BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nCall-ID: one@x\r\n\r\n"[..],
            b"BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x\r\ni:one@x\r\n\r\n",
            b"BYE sip:a@b SIP/2.0\r\ncall-id \t:  one@x  \r\n\r\n",
            b"\r\n\r\nBYE sip:a@b SIP/2.0\r\nCall-ID: one@x\r\n\r\n",
            b"BYE sip:a@b SIP/2.0\r\nCall-ID:\r\n one@x\r\n\r\n",
        ] {
            assert_eq!(shard_of(head, 8, &hash()), want, "{}", std::string::String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn calls_are_spread_over_all_shards() {
        let mut seen = [0; 4];
        for n in 0..400 {
            let text = std::format!("INVITE sip:a@b SIP/2.0\r\nCall-ID: {n}\r\n\r\n");
            seen[usize::from(shard_of(text.as_bytes(), 4, &hash()))] += 1;
        }
        assert!(seen.iter().all(|n| (60..140).contains(n)), "{seen:?}");
    }

    #[test]
    fn a_response_goes_to_the_shard_that_asked() {
        for shard in 0..4 {
            for kind in [BranchKind::Transaction, BranchKind::Probe] {
                let text = std::format!(
                    "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.1;rport;branch={};received=1.2.3.4\r\nCall-ID: x\r\n\r\n",
                    branch(kind, shard)
                );
                assert_eq!(shard_of(text.as_bytes(), 4, &hash()), shard);
            }
        }
    }

    #[test]
    fn a_stateless_or_foreign_response_goes_by_its_call_id_and_never_beyond_the_shards() {
        let request = shard_of(b"BYE sip:a@b SIP/2.0\r\nCall-ID: x\r\n\r\n", 4, &hash());
        for branch in [branch(BranchKind::Stateless, 0), "z9hG4bKforeign".into()] {
            let text = std::format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nCall-ID: x\r\n\r\n");
            assert_eq!(shard_of(text.as_bytes(), 4, &hash()), request);
        }
        let text =
            std::format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch={}\r\n\r\n", branch(BranchKind::Probe, 200));
        assert!(shard_of(text.as_bytes(), 4, &hash()) < 4);
    }

    #[test]
    fn what_cannot_be_read_goes_to_the_first() {
        for bytes in [&b""[..], b"\r\n", b"\0\xff", b"INVITE", b"SIP/2.0 200 OK\r\n:\r\n\r\nCall-ID: x", b"a\r\n\rb"] {
            assert_eq!(shard_of(bytes, 4, &hash()), 0);
        }
        assert_eq!(shard_of(b"BYE sip:a SIP/2.0\r\nCall-ID: x\r\n\r\n", 1, &hash()), 0);
    }
}
