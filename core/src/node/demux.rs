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
    let response = bytes.starts_with(b"SIP/2.0 ");
    let mut at = memchr::memmem::find(bytes, b"\r\n").map_or(bytes.len(), |n| n + 2);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let line = &rest[..memchr::memchr(b'\r', rest).unwrap_or(rest.len())];
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

fn first_branch(via: &[u8]) -> Option<branch::BranchId> {
    let at = memchr::memmem::find(via, b"branch=")? + 7;
    let rest = &via[at..];
    let end = rest.iter().position(|b| matches!(b, b';' | b',' | b' ' | b'\t')).unwrap_or(rest.len());
    branch::decode(&rest[..end]).map(|(id, _)| id)
}
