//! What a server adds to the topmost Via of a request: where it was seen from (RFC 3261 §18.2.1, RFC 3581 §4).

use core::net::SocketAddr;
use core::ops::Range;

use super::put::{Put, Text};
use super::via::{Rport, Via};

/// The changes to the topmost Via, as offsets in its field value.
#[derive(Debug)]
pub struct ViaStamp {
    edits: heapless::Vec<(Range<usize>, Text<56>), 2>,
}

impl ViaStamp {
    /// The changes that `source` asks for. Without `rport`, and if `sent-by` is the source's address, there are none.
    /// What the sender wrote into `received` itself is replaced: it is ours to say.
    pub fn new(via: &Via<'_>, source: SocketAddr) -> Self {
        let mut edits = heapless::Vec::new();
        let rport = via.rport != Rport::Absent;
        let mut push = |range: Range<usize>, text: Text<56>| {
            // Two edits at most, which is the capacity.
            let _ = edits.push((range, text));
        };
        if let Some(span) = via.rport_span {
            push(
                span.range(),
                Text::with(|t| {
                    t.put(b"rport=");
                    t.put_number(u64::from(source.port()));
                }),
            );
        }
        let received = |sep: &[u8]| {
            Text::with(|t| {
                t.put(sep);
                t.put(b"received=");
                t.put_ip(source.ip());
            })
        };
        if let Some(span) = via.received_span {
            push(span.range(), received(b""));
        } else if rport || via.host.ip() != Some(source.ip()) {
            push(via.span.end..via.span.end, received(b";"));
        }
        edits.sort_unstable_by_key(|(range, _)| range.start);
        Self { edits }
    }

    /// The changes, in their order: what to replace, and by what.
    pub fn edits(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        self.edits.iter().map(|(range, text)| (range.clone(), text.as_bytes()))
    }

    /// Writes the changed field value.
    pub fn put(&self, value: &[u8], out: &mut impl Put) {
        let mut at = 0;
        for (range, text) in self.edits() {
            out.put(&value[at..range.start]);
            out.put(text);
            at = range.end;
        }
        out.put(&value[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(value: &str, source: &str) -> std::string::String {
        let via = Via::parse(value.as_bytes()).unwrap();
        let stamp = ViaStamp::new(&via, source.parse().unwrap());
        let mut out = Text::<256>::new();
        stamp.put(value.as_bytes(), &mut out);
        std::string::String::from_utf8(out.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn where_the_request_was_seen_from() {
        for (value, source, want) in [
            ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", "192.0.2.1:5060", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
            (
                "SIP/2.0/UDP pc.example;branch=z9hG4bK1",
                "192.0.2.1:5062",
                "SIP/2.0/UDP pc.example;branch=z9hG4bK1;received=192.0.2.1",
            ),
            (
                "SIP/2.0/UDP 192.0.2.1;rport;branch=z9hG4bK1",
                "192.0.2.1:5062",
                "SIP/2.0/UDP 192.0.2.1;rport=5062;branch=z9hG4bK1;received=192.0.2.1",
            ),
            (
                "SIP/2.0/UDP a;received=203.0.113.9;rport=1;branch=z9hG4bK1, SIP/2.0/UDP b",
                "192.0.2.1:5062",
                "SIP/2.0/UDP a;received=192.0.2.1;rport=5062;branch=z9hG4bK1, SIP/2.0/UDP b",
            ),
            (
                "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b",
                "[2001:db8::9]:5062",
                "SIP/2.0/UDP a;branch=z9hG4bK1;received=2001:db8::9, SIP/2.0/UDP b",
            ),
        ] {
            assert_eq!(stamped(value, source), want);
        }
    }
}
