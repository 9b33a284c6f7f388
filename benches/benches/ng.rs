//! The ng protocol: an offer with SDP decoded and all its keys walked, and its reply written, in both encodings.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_core::wire::ng::{self, Encoding};

const SDP: &str = "v=0\r\no=- 1545997027 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
    m=audio 2000 RTP/AVP 0 8 9 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

fn offer(encoding: Encoding) -> Vec<u8> {
    let mut out = vec![0; 4_096];
    let message = ng::write(&mut out, b"27812_17", encoding, |d| {
        d.str("sdp", SDP);
        d.list("replace", |l| ["origin", "session-connection"].iter().for_each(|v| l.str(v)));
        d.list("flags", |l| ["trust-address", "strict-source"].iter().for_each(|v| l.str(v)));
        d.list("direction", |l| ["external", "internal"].iter().for_each(|v| l.str(v)));
        d.str("ICE", "remove");
        d.str("transport-protocol", "RTP/AVP");
        d.str("call-id", "a84b4c76e66710@pc33.atlanta.example.com");
        d.str("via-branch", "z9hG4bK776asdhds");
        d.list("received-from", |l| ["IP4", "198.51.100.7"].iter().for_each(|v| l.str(v)));
        d.str("from-tag", "1928301774");
        d.str("command", "offer");
    });
    message.expect("the offer fits").to_vec()
}

fn walk(bytes: &[u8], scratch: &mut [u8]) -> usize {
    let message = ng::split(bytes).expect("a cookie");
    let dict = ng::decode(message.body, scratch).expect("a dictionary");
    dict.iter().map(|(key, value)| key.len() + value.as_str().map_or(0, <[u8]>::len)).sum()
}

fn ng(c: &mut Criterion) {
    let mut scratch = vec![0; ng::SCRATCH_MAX];
    let mut out = vec![0; 4_096];
    for (name, encoding) in [("bencode", Encoding::Bencode), ("json", Encoding::Json)] {
        let bytes = offer(encoding);
        c.bench_function(&format!("ng/decode/{name}"), |b| b.iter(|| walk(black_box(&bytes), &mut scratch)));
        c.bench_function(&format!("ng/encode/{name}"), |b| {
            b.iter(|| {
                let reply = ng::write(&mut out, b"27812_17", encoding, |d| {
                    d.str("sdp", black_box(SDP));
                    d.str("result", "ok");
                });
                reply.map(<[u8]>::len)
            })
        });
    }
}

criterion_group!(benches, ng);
criterion_main!(benches);
