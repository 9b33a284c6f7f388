//! SRTP of one packet of 20 ms G.711 (172 bytes), and of one RTCP report.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use trunkline_core::entropy::SeededEntropy;
use trunkline_core::relay::srtp::{MasterKey, Params, Session, Suite, TRAILER_MAX};

const LEN: usize = 172;

type Packet = [u8; LEN + TRAILER_MAX];

fn packet(sequence: u16) -> Packet {
    let mut packet = [0x5a; LEN + TRAILER_MAX];
    packet[0] = 0x80;
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet
}

fn session(suite: Suite) -> Session {
    let key = MasterKey::generate(suite, &mut SeededEntropy::new(1));
    Session::new(&key, Params::default()).expect("all parameters are on")
}

fn srtp(c: &mut Criterion) {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AesCm256HmacSha1_80, Suite::AeadAes128Gcm, Suite::AeadAes256Gcm] {
        let name = |what: &str| format!("srtp/{what}/{}", suite.name());
        c.bench_function(&name("protect"), |b| {
            let (mut send, mut sequence) = (session(suite), 0u16);
            b.iter(|| {
                sequence = sequence.wrapping_add(1);
                send.protect(black_box(&mut packet(sequence)), LEN).expect("a new sequence number")
            });
        });
        c.bench_function(&name("unprotect"), |b| {
            let (mut send, mut receive, mut sequence) = (session(suite), session(suite), 0u16);
            let protected = || {
                sequence = sequence.wrapping_add(1);
                let mut packet = packet(sequence);
                let len = send.protect(&mut packet, LEN).expect("a new sequence number");
                (packet, len)
            };
            b.iter_batched(
                protected,
                |(mut packet, len)| receive.unprotect(black_box(&mut packet[..len])).expect("authentic and new"),
                BatchSize::SmallInput,
            );
        });
        c.bench_function(&name("forged"), |b| {
            let (mut receive, mut forged) = (session(suite), packet(0x9000));
            b.iter(|| receive.unprotect(black_box(&mut forged)).expect_err("the tag is wrong"));
        });
        c.bench_function(&name("protect_rtcp"), |b| {
            let mut send = session(suite);
            b.iter(|| send.protect_rtcp(black_box(&mut packet(0)), 60).expect("an index is left"));
        });
        c.bench_function(&name("new"), |b| b.iter(|| session(black_box(suite))));
    }
}

criterion_group!(benches, srtp);
criterion_main!(benches);
