//! The choice of a target, by every algorithm, over 3, 30 and 3,000 of them.

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use trunkline_core::dispatcher::algorithm::ALGORITHMS;
use trunkline_core::dispatcher::{
    Dispatcher, DispatcherSettings, SelectKeys, SelectRule, SetConfig, Storage, TargetConfig,
};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::{Cx, Instant};

fn dispatcher(cx: &mut Cx<'_>, targets: usize) -> Dispatcher<'static> {
    let settings = DispatcherSettings { hash_key: *b"a key of targets", ..DispatcherSettings::default() };
    let mut dispatcher = Dispatcher::new(Storage::owned(targets, 1), settings).expect("valid settings");
    let address = |i: usize| SocketAddr::from(([203, 0, 113, (i % 250) as u8], 5_071 + i as u16));
    let uris: Vec<String> = (0..targets).map(|i| format!("sip:{}", address(i))).collect();
    let list: Vec<_> = uris.iter().enumerate().map(|(i, uri)| TargetConfig::new(1, uri, address(i))).collect();
    dispatcher.reload(cx, &[SetConfig { id: 1, fallback: None }], &list).expect("valid targets");
    dispatcher
}

fn choice(c: &mut Criterion) {
    let mut entropy = SeededEntropy::new(1);
    let mut cx = Cx { now: Instant::from_millis(1_000_000), entropy: &mut entropy };
    for targets in [3, 30, 3_000] {
        let mut dispatcher = dispatcher(&mut cx, targets);
        let mut group = c.benchmark_group(format!("dispatch/{targets} targets"));
        for row in &ALGORITHMS {
            let keys = SelectKeys {
                call_id: b"1-4711@192.0.2.20",
                from_uri: b"sip:caller1@192.0.2.20:5080",
                to_uri: b"sip:service@198.51.100.10:5060",
                request_uri: b"sip:service@198.51.100.10:5060",
                auth_user: b"alice",
                value: b"service",
            };
            group.bench_function(BenchmarkId::from_parameter(row.name), |b| {
                b.iter(|| black_box(dispatcher.select(&mut cx, SelectRule::new(1, row.algorithm), black_box(&keys))));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, choice);
criterion_main!(benches);
