//! A test tone in G.711 µ-law.

use std::sync::OnceLock;

/// Samples a second.
pub const RATE_HZ: u32 = 8_000;
/// Samples of one packet of 20 ms; also its bytes.
pub const PACKET_SAMPLES: usize = 160;
/// The usual test frequency: no whole number of cycles fits a packet, so neighbours differ.
const TONE_HZ: f64 = 1_004.0;
/// Packets after which the phase of the tone is where it was (0.5 s).
const PERIOD: usize = 25;

/// One sample of 16 bits in µ-law (ITU-T G.711 §3).
pub const fn ulaw(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let magnitude = (sample as i32).abs();
    let magnitude = if magnitude > CLIP { CLIP } else { magnitude } + BIAS;
    // The bias sets bit 7 at least, the clip leaves bit 15 clear: the segment is 0 to 7.
    let segment = 24 - magnitude.leading_zeros() as i32;
    let step = (magnitude >> (segment + 3)) & 0x0f;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | (segment << 4) | step) as u8
}

/// The payload of the packet with the sequence number `sequence`, counted from zero.
pub fn payload(sequence: u16) -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let samples = (0..PERIOD * PACKET_SAMPLES).map(|n| {
            let phase = n as f64 * TONE_HZ / f64::from(RATE_HZ) * std::f64::consts::TAU;
            ulaw((phase.sin() * 8_000.0) as i16)
        });
        samples.collect()
    });
    let at = usize::from(sequence) % PERIOD * PACKET_SAMPLES;
    &table[at..at + PACKET_SAMPLES]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulaw_of_known_samples() {
        for (sample, code) in
            [(0, 0xff), (-1, 0x7f), (7, 0xfe), (1_000, 0xce), (-1_000, 0x4e), (i16::MAX, 0x80), (i16::MIN, 0x00)]
        {
            assert_eq!(ulaw(sample), code, "{sample}");
        }
    }

    #[test]
    fn neighbouring_packets_differ_and_the_tone_has_no_seam() {
        for n in 0..24 {
            assert_ne!(payload(n), payload(n + 1));
        }
        assert_eq!(payload(3), payload(28));
        assert_eq!(payload(0)[0], ulaw(0));
    }
}
