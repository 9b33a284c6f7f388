//! A whole node: one call of six messages in and seven out, in virtual time.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use trunkline_benches::calls::{Bill, Load};

const BATCH: u64 = 256;

/// Plays calls until there are `n`, and gives the time that `of` picks for so many.
fn play(load: &mut Load, n: u64, of: fn(&Bill) -> Duration) -> Duration {
    let mut bill = Bill::default();
    let batches = n.div_ceil(BATCH);
    for _ in 0..batches {
        bill.add(&load.calls(BATCH as usize));
    }
    of(&bill).mul_f64(n as f64 / (batches * BATCH) as f64)
}

fn node(c: &mut Criterion) {
    let cases = [("3 targets", 3, 0), ("3,000 targets and 100,000 dialogs", 3_000, 100_000)];
    for (name, targets, dialogs) in cases {
        let mut load = Load::new(targets, dialogs);
        load.open(dialogs);
        load.warm_up();
        let mut group = c.benchmark_group(format!("node/{name}"));
        group.bench_function("INVITE in, 100 and INVITE out", |b| {
            b.iter_custom(|n| play(&mut load, n, |bill| bill.invite.time));
        });
        group.bench_function("whole call with its timers", |b| {
            b.iter_custom(|n| play(&mut load, n, |bill| bill.total().time));
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).measurement_time(Duration::from_secs(3));
    targets = node
}
criterion_main!(benches);
