//! The edits of a forwarded request, and writing it.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use trunkline_benches::calls::{CALLER, US};
use trunkline_benches::messages::INVITE;
use trunkline_core::proxy::forward::{self, Forwarding, RecordRoute, Strip};
use trunkline_core::proxy::routes::RouteSet;
use trunkline_core::proxy::validate::validate;
use trunkline_core::proxy::{Listener, Locals};
use trunkline_core::store::List;
use trunkline_core::wire::sip::edit::Draft;
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::put::Writer;
use trunkline_core::wire::sip::transport::Transport;

fn serialise(c: &mut Criterion) {
    let us: SocketAddr = US.parse().expect("an address");
    let source: SocketAddr = CALLER.parse().expect("an address");
    let listener = Listener { transport: Transport::Udp, bound: us, advertised: us };
    let locals = Locals::new(&[listener], List::EMPTY, List::EMPTY);
    let msg = Msg::parse(INVITE).expect("a valid message");
    let valid = validate(&msg).expect("a valid request");
    let routes = RouteSet::read(&msg, &valid.uri, &locals).expect("no routes");
    let how = Forwarding {
        source,
        ingress: &listener,
        egress: &listener,
        branch: b"z9hG4bKaeaaaaaaaaaaaaaaaaabmb5ykl6lqn5vdx3sxqqr2y",
        record_route: Some(RecordRoute::default()),
        overload_control: false,
        strip: Strip::default(),
        max_forwards: 10,
    };
    let late: [&[u8]; 2] = [b"UDP", US.as_bytes()];
    let mut group = c.benchmark_group("serialise/forwarded INVITE");
    group.throughput(Throughput::Bytes(INVITE.len() as u64));
    group.bench_function("validate", |b| b.iter(|| black_box(validate(black_box(&msg)))));
    group.bench_function("edit", |b| {
        b.iter(|| {
            let mut draft = Draft::new(&msg);
            forward::request(&mut draft, &valid, &routes, &how).expect("room for the edits");
            black_box(draft.size(&late))
        });
    });
    let mut out = vec![0; 65_535];
    group.bench_function("edit and write", |b| {
        b.iter(|| {
            let mut draft = Draft::new(&msg);
            forward::request(&mut draft, &valid, &routes, &how).expect("room for the edits");
            let mut writer = Writer::new(&mut out);
            draft.serialise(&late, &mut writer);
            black_box(writer.finish().map(<[u8]>::len))
        });
    });
    group.finish();
}

criterion_group!(benches, serialise);
criterion_main!(benches);
