//! Parsing, beside public Rust parsers on the same bytes.
//!
//! `plain` is what each parser does by itself; they differ in what they leave for later. `typed` also reads Via, From,
//! To, CSeq, Contact and Call-ID.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use trunkline_benches::messages::{INVITE, OK, REGISTER};

#[path = "parse/typed.rs"]
mod typed;

fn parse(c: &mut Criterion) {
    for (name, bytes) in [("INVITE", INVITE), ("REGISTER", REGISTER), ("200 with SDP", OK)] {
        let mut plain = c.benchmark_group(format!("parse/{name}/plain"));
        plain.bench_function(BenchmarkId::from_parameter("trunkline"), |b| {
            b.iter(|| typed::trunkline(black_box(bytes)))
        });
        plain.bench_function(BenchmarkId::from_parameter("rsip"), |b| b.iter(|| typed::rsip(black_box(bytes))));
        plain.bench_function(BenchmarkId::from_parameter("rsipstack"), |b| {
            b.iter(|| typed::rsipstack(black_box(bytes)))
        });
        plain.finish();
        let mut group = c.benchmark_group(format!("parse/{name}/typed"));
        group.bench_function(BenchmarkId::from_parameter("trunkline"), |b| {
            b.iter(|| typed::trunkline_typed(black_box(bytes)));
        });
        group.bench_function(BenchmarkId::from_parameter("rsip"), |b| b.iter(|| typed::rsip_typed(black_box(bytes))));
        group.bench_function(BenchmarkId::from_parameter("rsipstack"), |b| {
            b.iter(|| typed::rsipstack_typed(black_box(bytes)));
        });
        group.finish();
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
