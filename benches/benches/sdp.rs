//! Session descriptions: reading, the flags of an offer, rewriting.

use std::hint::black_box;
use std::net::IpAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use trunkline_core::relay::flags::{Flags, Rtpp};
use trunkline_core::relay::rewrite::{MediaPlan, OriginPlan, Plan, Rewrite};
use trunkline_core::wire::sdp::{Direction, Protocol, Sdp};

/// A telephone's offer.
const OFFER: &[u8] = b"v=0\r\n\
    o=- 1545997027 1 IN IP4 198.51.100.1\r\n\
    s=-\r\n\
    c=IN IP4 198.51.100.1\r\n\
    t=0 0\r\n\
    m=audio 30000 RTP/AVP 0 8 9 18 101\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:9 G722/8000\r\n\
    a=rtpmap:18 G729/8000\r\n\
    a=fmtp:18 annexb=no\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=ptime:20\r\n\
    a=rtcp:30001\r\n\
    a=sendrecv\r\n";

const FLAGS: &[u8] =
    b"replace-origin replace-session-connection direction=external direction=internal ICE=remove RTP/AVP";

fn sdp(c: &mut Criterion) {
    let address: IpAddr = "10.0.1.20".parse().expect("an address");
    let media = [Some(MediaPlan {
        protocol: Some(Protocol::Avp),
        direction: Some(Direction::SendRecv),
        ..MediaPlan::new(address, 20_100, Some(20_101))
    })];
    let origin = OriginPlan { address: Some(address), ..OriginPlan::default() };
    let plan = Plan { connection: Some(address), origin, media: &media, ..Plan::default() };
    let read = |text| {
        let mut flags = Flags::default();
        flags.rtpp(Rtpp(text)).map(|()| flags)
    };
    let (description, plain) = (Sdp::parse(OFFER).expect("valid"), read(FLAGS).expect("valid"));
    let codecs = read(b"codec=[strip=[all] offer=[PCMA telephone-event]]").expect("valid");
    let mut out = [0; 2_048];

    let mut group = c.benchmark_group("sdp/offer");
    group.throughput(Throughput::Bytes(OFFER.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Sdp::parse(black_box(OFFER)).map(|sdp| sdp.media().len())));
    group.bench_function("flags", |b| b.iter(|| read(black_box(FLAGS)).map(|flags| flags.set)));
    group.bench_function("rewrite", |b| {
        b.iter(|| {
            Rewrite { sdp: black_box(&description), flags: &plain, plan: &plan }.write(&mut out).map(<[u8]>::len)
        });
    });
    group.bench_function("rewrite, codecs chosen", |b| {
        b.iter(|| {
            Rewrite { sdp: black_box(&description), flags: &codecs, plan: &plan }.write(&mut out).map(<[u8]>::len)
        });
    });
    group.finish();
}

criterion_group!(benches, sdp);
criterion_main!(benches);
