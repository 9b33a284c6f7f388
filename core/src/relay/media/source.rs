//! What is known of one synchronisation source: counts, loss and jitter by RFC 3550.

use crate::time::Instant;

/// Largest step of the sequence number that counts as loss (RFC 3550 A.1).
const DROPOUT_MAX: u16 = 3_000;
/// Largest step back that counts as disorder (RFC 3550 A.1).
const MISORDER_MAX: u16 = 100;
const SEQUENCE_MOD: u32 = 1 << 16;
/// No sequence number: what `restart` holds when none is awaited.
const NONE: u32 = SEQUENCE_MOD + 1;
/// Transit times that differ by more than this come of a restarted clock, not of the network, in seconds.
const TRANSIT_MAX_S: u64 = 5;

/// The fields of an RTP packet that statistics need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    /// Length of the datagram.
    pub(super) bytes: usize,
    /// Clock rate, if the timestamp tells the time of sampling: that of a telephone event does not.
    pub(super) clock_rate_hz: Option<u32>,
    pub(super) payload_type: u8,
}

/// One synchronisation source of a party, as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Source {
    ssrc: u32,
    /// Count of sequence number cycles, shifted left by 16.
    cycles: u32,
    base_sequence: u32,
    highest: u16,
    payload_type: u8,
    /// The number that follows a jump: two in a row after a jump are a restart.
    restart: u32,
    received: u32,
    bytes: u64,
    /// Expected and received before the last restart.
    before: (u32, u32),
    timestamp: u32,
    /// When the packet with `timestamp` arrived.
    arrival: Option<Instant>,
    last_seen: Instant,
    /// Interarrival jitter in 1/256 of a timestamp unit.
    jitter: u32,
    clock_rate_hz: u32,
}

impl Source {
    pub(super) fn new(ssrc: u32, first: &Sample, now: Instant) -> Self {
        Self {
            ssrc,
            cycles: 0,
            base_sequence: u32::from(first.sequence),
            highest: first.sequence,
            payload_type: first.payload_type,
            restart: NONE,
            received: 0,
            bytes: 0,
            before: (0, 0),
            timestamp: 0,
            arrival: None,
            last_seen: now,
            jitter: 0,
            clock_rate_hz: 0,
        }
    }

    /// Counts a packet.
    pub(super) fn packet(&mut self, sample: &Sample, now: Instant) {
        self.bytes = self.bytes.saturating_add(sample.bytes as u64);
        self.last_seen = now;
        self.payload_type = sample.payload_type;
        if !self.sequence(sample.sequence) {
            return;
        }
        self.received = self.received.saturating_add(1);
        if let Some(rate) = sample.clock_rate_hz {
            self.transit(sample.timestamp, rate, now);
        }
    }

    /// RFC 3550 A.1 without probation, as the address of the sender is known. Whether the packet counts as received.
    fn sequence(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        if ahead < DROPOUT_MAX {
            if sequence < self.highest {
                self.cycles = self.cycles.wrapping_add(SEQUENCE_MOD);
            }
            self.highest = sequence;
        } else if u32::from(ahead) <= SEQUENCE_MOD - u32::from(MISORDER_MAX) {
            if u32::from(sequence) != self.restart {
                self.restart = u32::from(sequence.wrapping_add(1));
                return false;
            }
            // The sender started over without saying so.
            self.before = (self.expected(), self.received);
            self.received = 0;
            self.cycles = 0;
            self.base_sequence = u32::from(sequence);
            self.highest = sequence;
            self.arrival = None;
        }
        self.restart = NONE;
        true
    }

    /// RFC 3550 §6.4.1 and A.8.
    fn transit(&mut self, timestamp: u32, rate: u32, now: Instant) {
        let before = self.arrival.replace(now).filter(|_| self.clock_rate_hz == rate);
        let sent = timestamp.wrapping_sub(core::mem::replace(&mut self.timestamp, timestamp)) as i32;
        self.clock_rate_hz = rate;
        let Some(before) = before else { return };
        let elapsed_us = now.as_micros().saturating_sub(before.as_micros()).min(u64::from(u32::MAX));
        // In sixteenths of a timestamp unit.
        let elapsed = elapsed_us * u64::from(rate) / 62_500;
        let difference = (elapsed as i64 - i64::from(sent) * 16).unsigned_abs();
        if difference <= TRANSIT_MAX_S * 16 * u64::from(rate) {
            // The gain of 1/16, on values kept 16 times as fine, so that nothing is lost by rounding.
            let jitter = u64::from(self.jitter) + difference - ((u64::from(self.jitter) + 8) >> 4);
            self.jitter = u32::try_from(jitter).unwrap_or(u32::MAX);
        }
    }

    /// Packets that were sent as the sequence numbers tell, also before the sender started over.
    fn expected(&self) -> u32 {
        let highest = self.cycles.wrapping_add(u32::from(self.highest));
        self.before.0.saturating_add(highest.wrapping_sub(self.base_sequence).wrapping_add(1))
    }

    /// Its number.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Packets received, duplicates included.
    pub const fn received(&self) -> u32 {
        self.before.1.saturating_add(self.received)
    }

    /// Bytes received, RTP headers included.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Packets lost, as far as the sequence numbers tell; negative if more are duplicates than lost (RFC 3550 §6.4.1).
    pub fn lost(&self) -> i64 {
        i64::from(self.expected()) - i64::from(self.received())
    }

    /// Interarrival jitter in timestamp units (RFC 3550 §6.4.1).
    pub const fn jitter(&self) -> u32 {
        (self.jitter + 128) >> 8
    }

    /// Interarrival jitter, in microseconds.
    pub fn jitter_us(&self) -> u64 {
        u64::from(self.jitter) * 1_000_000 / 256 / u64::from(self.clock_rate_hz.max(1))
    }

    /// Mean opinion score of what arrived, in hundredths; see [`mos_hundredths`](super::quality::mos_hundredths).
    pub fn mos_hundredths(&self, round_trip_us: u64) -> u16 {
        let lost = self.lost().max(0).unsigned_abs();
        let per_mille = lost * 1_000 / u64::from(self.expected().max(1));
        super::quality::mos_hundredths(per_mille.min(1_000) as u32, self.jitter_us(), round_trip_us)
    }

    /// Extended highest sequence number received (RFC 3550 §6.4.1).
    pub const fn highest_sequence(&self) -> u32 {
        self.cycles.wrapping_add(self.highest as u32)
    }

    /// Payload type of its latest packet.
    pub const fn payload_type(&self) -> u8 {
        self.payload_type
    }

    /// When its latest packet came.
    pub const fn last_seen(&self) -> Instant {
        self.last_seen
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn sample(sequence: u16, timestamp: u32) -> Sample {
        Sample { sequence, timestamp, bytes: 172, clock_rate_hz: Some(8_000), payload_type: 0 }
    }

    fn sequences(numbers: &[u16]) -> Source {
        let now = Instant::from_millis(1);
        let mut source = Source::new(1, &sample(numbers[0], 0), now);
        for &number in numbers {
            source.packet(&sample(number, 0), now);
        }
        source
    }

    #[test]
    fn counts_by_sequence_number() {
        // Numbers, received, lost, highest.
        let rows: [(&[u16], u32, i64, u32); 11] = [
            (&[7], 1, 0, 7),
            (&[0], 1, 0, 0),
            (&[1, 2, 3], 3, 0, 3),
            (&[1, 4], 2, 2, 4),
            (&[1, 3, 2], 3, 0, 3),
            (&[1, 1, 2], 3, -1, 2),
            (&[65_534, 65_535, 0, 1], 4, 0, 65_537),
            (&[65_535, 2], 2, 2, 65_538),
            // Late packets from before the wrap.
            (&[65_534, 0, 65_535], 3, 0, 65_536),
            // One stray number is nobody's; two in a row are a new start, and the one before is none of it.
            (&[1, 2, 30_000, 3], 3, 0, 3),
            (&[1, 2, 30_000, 30_001, 30_003], 4, 1, 30_003),
        ];
        for (numbers, received, lost, highest) in rows {
            let source = sequences(numbers);
            assert_eq!(
                (source.received(), source.lost(), source.highest_sequence()),
                (received, lost, highest),
                "{numbers:?}"
            );
        }
    }

    #[test]
    fn loss_lowers_the_score() {
        assert_eq!(sequences(&[1, 2, 3]).mos_hundredths(0), 440);
        let lossy = sequences(&[1, 3, 5, 7, 9]).mos_hundredths(0);
        assert_eq!(lossy, super::super::quality::mos_hundredths(444, 0, 0));
    }

    #[test]
    fn bounds_of_loss_and_disorder() {
        assert_eq!(sequences(&[10_000, 12_999]).lost(), 2_998);
        assert_eq!(sequences(&[10_000, 13_000]).received(), 1, "a jump");
        assert_eq!(sequences(&[10_000, 9_901]).received(), 2);
        assert_eq!(sequences(&[10_000, 9_900]).received(), 1, "a jump");
    }

    #[test]
    fn steady_stream_has_no_jitter_and_a_restarted_clock_none_either() {
        let start = Instant::from_millis(5_000);
        let mut source = Source::new(1, &sample(0, 0), start);
        for n in 0..100u32 {
            let restarted = if n < 50 { 0 } else { 123_456_789 };
            let now = start + Duration::from_millis(20 * u64::from(n));
            source.packet(
                &sample(n as u16, 160u32.wrapping_mul(n).wrapping_add(u32::MAX - 500).wrapping_add(restarted)),
                now,
            );
        }
        assert_eq!((source.jitter(), source.jitter_us(), source.received()), (0, 0, 100));
    }

    #[test]
    fn jitter_converges_to_the_mean_deviation() {
        let mut source = Source::new(1, &sample(0, 0), Instant::from_millis(1));
        for n in 0..1_000u32 {
            // Every other packet is 5 ms late.
            let now = Instant::from_millis(5_000 + 20 * u64::from(n) + 5 * u64::from(n % 2));
            source.packet(&sample(n as u16, 160 * n), now);
        }
        assert_eq!(source.jitter(), 40);
        assert!((4_990..=5_000).contains(&source.jitter_us()), "{}", source.jitter_us());
    }

    #[test]
    fn packets_without_a_time_of_sampling_leave_the_jitter_alone() {
        let mut source = Source::new(1, &sample(0, 0), Instant::from_millis(1));
        for n in 0..50u32 {
            let event = Sample { clock_rate_hz: None, payload_type: 101, ..sample(n as u16, 0) };
            let now = Instant::from_millis(5_000 + 20 * u64::from(n));
            source.packet(&if (10..20).contains(&n) { event } else { sample(n as u16, 160 * n) }, now);
        }
        assert_eq!((source.jitter(), source.received()), (0, 50));
    }

    /// RFC 3550 as it is written, over extended numbers and real time.
    #[derive(Default)]
    struct Naive {
        first: Option<i64>,
        highest: i64,
        received: i64,
        transit: Option<f64>,
        jitter: f64,
    }

    impl Naive {
        fn packet(&mut self, number: i64, timestamp: i64, arrival_us: u64) {
            self.first.get_or_insert(number);
            self.highest = if self.received == 0 { number } else { self.highest.max(number) };
            self.received += 1;
            let transit = arrival_us as f64 * 8_000.0 / 1e6 - timestamp as f64;
            if let Some(before) = self.transit.replace(transit) {
                self.jitter += ((transit - before).abs() - self.jitter) / 16.0;
            }
        }

        fn lost(&self) -> i64 {
            self.highest - self.first.unwrap() + 1 - self.received
        }
    }

    proptest! {
        #[test]
        fn agrees_with_rfc_3550(
            first: u16,
            clock: u32,
            // Steps of at most 3 s, since timestamps further apart tell of another clock.
            steps in prop::collection::vec((prop_oneof![8 => Just(1i64), 2 => -99..150i64], 0..60_000u64), 1..400),
        ) {
            let mut naive = Naive::default();
            let mut number = i64::from(first) + 65_536;
            let mut arrival_us = 1_000_000;
            let mut source: Option<Source> = None;
            for (n, (step, wait_us)) in steps.into_iter().enumerate() {
                number = if n == 0 { number } else { naive.highest + step };
                arrival_us += wait_us;
                let timestamp = number * 160 + i64::from(clock);
                naive.packet(number, timestamp, arrival_us);
                let sample = sample(number as u16, timestamp as u32);
                let now = Instant::from_micros(arrival_us);
                source.get_or_insert_with(|| Source::new(9, &sample, now)).packet(&sample, now);
            }
            let source = source.unwrap();
            prop_assert_eq!(i64::from(source.received()), naive.received);
            prop_assert_eq!(source.lost(), naive.lost());
            prop_assert_eq!(source.highest_sequence() as u16, naive.highest as u16);
            let jitter = f64::from(source.jitter) / 256.0;
            prop_assert!((jitter - naive.jitter).abs() < 0.2, "{} {}", jitter, naive.jitter);
        }

        #[test]
        fn any_packets_are_counted_without_panic(packets: Vec<(u16, u32, u64, Option<u32>)>) {
            let mut source = Source::new(1, &sample(0, 0), Instant::MIN);
            let n = packets.len() as u32;
            for (sequence, timestamp, at, rate) in packets {
                let clock_rate_hz = rate.map(|rate| rate % 1_000_000 + 1);
                source.packet(&Sample { clock_rate_hz, ..sample(sequence, timestamp) }, Instant::from_micros(at));
            }
            prop_assert!(source.received() <= n);
            let _ = (source.lost(), source.jitter(), source.jitter_us());
        }
    }
}
