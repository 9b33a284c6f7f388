//! What a party reports of the stream it is sent (RFC 3550 §6.4), the round trip to it, and an estimate of how it sounds.

use core::time::Duration;

use crate::time::Instant;
use crate::wire::rtp::rtcp::{Compound, Packet, ReportBlock};

/// A mean opinion score in hundredths, 100 (bad) to 450 (excellent), by the usual shortening of the E-model of ITU-T G.107: the
/// delay is half of the round trip, twice the jitter and 10 ms for codec and buffers; loss costs 2.5 points of R a per cent.
pub fn mos_hundredths(loss_per_mille: u32, jitter_us: u64, round_trip_us: u64) -> u16 {
    let delay_us =
        (round_trip_us / 2).saturating_add(jitter_us.saturating_mul(2)).saturating_add(10_000).min(10_000_000);
    // R in thousandths.
    let delayed =
        if delay_us < 160_000 { 93_200 - delay_us / 40 } else { 93_200u64.saturating_sub((delay_us - 120_000) / 10) };
    let r = delayed.saturating_sub(250 * u64::from(loss_per_mille.min(1_000))) as i64;
    let curve = 7 * r * (r - 60_000) * (100_000 - r) / 1_000_000_000_000;
    let thousandths = 1_000 + 35 * r / 1_000 + curve;
    (thousandths / 10).clamp(100, 450) as u16
}

/// What the party of an endpoint has reported of the streams it was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reports {
    /// Report blocks received.
    pub count: u32,
    /// The latest: lost since the one before, in 256ths.
    pub fraction_lost: u8,
    /// The latest: lost since the start of the stream.
    pub cumulative_lost: i32,
    /// The latest: interarrival jitter, in timestamp units.
    pub jitter: u32,
    /// Round trip between the relay and the party, in microseconds, as last measured by a sender report.
    pub round_trip_us: Option<u32>,
    /// Mean opinion score of the latest, in hundredths; zero before the first.
    pub mos: u16,
    /// The lowest so far.
    pub mos_min: u16,
    /// The highest so far.
    pub mos_max: u16,
    mos_sum: u64,
    /// The latest sender report that went to the party: the middle of its NTP timestamp, and when.
    sender_report: Option<(u32, Instant)>,
}

impl Reports {
    pub(super) const NEW: Self = Self {
        count: 0,
        fraction_lost: 0,
        cumulative_lost: 0,
        jitter: 0,
        round_trip_us: None,
        mos: 0,
        mos_min: 0,
        mos_max: 0,
        mos_sum: 0,
        sender_report: None,
    };

    /// The mean of the mean opinion scores, in hundredths; `None` before the first report.
    pub fn mos_average(&self) -> Option<u16> {
        Some(self.mos_sum.checked_div(u64::from(self.count))? as u16)
    }

    /// Takes the reports that the party sent. Returns the middle of the NTP timestamp of its own sender report, if there is one.
    pub(super) fn received(&mut self, compound: Compound<'_>, clock_rate_hz: u32, now: Instant) -> Option<u32> {
        let mut sent = None;
        for packet in compound.iter() {
            let blocks = match packet {
                Packet::SenderReport { info, blocks, .. } => {
                    sent = Some((info.ntp >> 16) as u32);
                    blocks
                }
                Packet::ReceiverReport { blocks, .. } => blocks,
                _ => continue,
            };
            for block in blocks {
                self.block(&block, clock_rate_hz, now);
            }
        }
        sent
    }

    fn block(&mut self, block: &ReportBlock, clock_rate_hz: u32, now: Instant) {
        if let Some((_, sent)) = self.sender_report.filter(|(ntp, _)| block.last_sr == *ntp && *ntp != 0) {
            let held = Duration::from_micros((u64::from(block.delay_since_last_sr) * 1_000_000) >> 16);
            let round_trip =
                now.since(sent).checked_sub(held).map(|d| u32::try_from(d.as_micros()).unwrap_or(u32::MAX));
            self.round_trip_us = round_trip.or(self.round_trip_us);
        }
        self.fraction_lost = block.fraction_lost;
        self.cumulative_lost = block.cumulative_lost;
        self.jitter = block.jitter;
        let jitter_us = u64::from(block.jitter) * 1_000_000 / u64::from(clock_rate_hz.max(1));
        let loss = u32::from(block.fraction_lost) * 1_000 / 256;
        self.mos = mos_hundredths(loss, jitter_us, u64::from(self.round_trip_us.unwrap_or(0)));
        self.mos_min = if self.count == 0 { self.mos } else { self.mos_min.min(self.mos) };
        self.mos_max = self.mos_max.max(self.mos);
        self.mos_sum = self.mos_sum.saturating_add(u64::from(self.mos));
        self.count = self.count.saturating_add(1);
    }

    /// Remembers that a sender report goes to the party, by the middle of its NTP timestamp.
    pub(super) fn sent(&mut self, ntp: u32, now: Instant) {
        self.sender_report = Some((ntp, now));
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::wire::rtp::rtcp::Start;

    fn words(first: [u8; 4], words: &[u32]) -> Vec<u8> {
        first.into_iter().chain(words.iter().flat_map(|word| word.to_be_bytes())).collect()
    }

    /// A receiver report of one block.
    fn report(lost: u32, jitter: u32, last_sr: u32, delay: u32) -> Vec<u8> {
        words([0x81, 201, 0, 7], &[1, 2, lost, 100, jitter, last_sr, delay])
    }

    fn take(reports: &mut Reports, bytes: &[u8], at_ms: u64) -> Option<u32> {
        reports.received(Compound::parse(bytes, Start::Report).unwrap(), 8_000, Instant::from_millis(at_ms))
    }

    #[test]
    fn score_by_the_formula() {
        for (loss, jitter_us, round_trip_us) in
            [(0, 0, 0), (0, 5_000, 40_000), (10, 0, 0), (50, 20_000, 200_000), (0, 0, 400_000), (200, 50_000, 600_000)]
        {
            let delay = round_trip_us as f64 / 2e3 + 2.0 * jitter_us as f64 / 1e3 + 10.0;
            let r = if delay < 160.0 { 93.2 - delay / 40.0 } else { 93.2 - (delay - 120.0) / 10.0 };
            let r = (r - 2.5 * f64::from(loss) / 10.0).max(0.0);
            let mos = 1.0 + 0.035 * r + 0.000_007 * r * (r - 60.0) * (100.0 - r);
            let got = f64::from(mos_hundredths(loss, jitter_us, round_trip_us)) / 100.0;
            assert!((got - mos.max(1.0)).abs() < 0.015, "{loss} {jitter_us} {round_trip_us}: {got}, {mos}");
        }
        assert_eq!(mos_hundredths(0, 0, 0), 440);
        assert_eq!(mos_hundredths(u32::MAX, u64::MAX, u64::MAX), 100);
    }

    #[test]
    fn reports_are_summed_up() {
        let mut reports = Reports::NEW;
        assert_eq!(reports.mos_average(), None);
        for (fraction, jitter) in [(0, 8), (64, 80), (0, 8)] {
            take(&mut reports, &report(fraction << 24 | 0xff_fffe, jitter, 0, 0), 1_000);
        }
        assert_eq!((reports.count, reports.fraction_lost, reports.cumulative_lost, reports.jitter), (3, 0, -2, 8));
        let (good, bad) = (mos_hundredths(0, 1_000, 0), mos_hundredths(250, 10_000, 0));
        assert_eq!((reports.mos, reports.mos_max, reports.mos_min), (good, good, bad));
        assert_eq!(reports.mos_average(), Some(((2 * u32::from(good) + u32::from(bad)) / 3) as u16));
        assert_eq!(reports.round_trip_us, None);
    }

    #[test]
    fn round_trip_is_measured_by_the_sender_report_that_went_there() {
        let mut reports = Reports::NEW;
        let sender = words([0x80, 200, 0, 6], &[1, 0xaaaa_1234, 0x5678_bbbb, 0, 0, 0]);
        let ntp = take(&mut { Reports::NEW }, &sender, 1_000);
        assert_eq!(ntp, Some(0x1234_5678));
        reports.sent(0x1234_5678, Instant::from_millis(1_000));
        // Held for half a second.
        take(&mut reports, &report(0, 0, 0x1234_5678, 0x8000), 1_530);
        assert_eq!(reports.round_trip_us, Some(30_000));
        for (what, last_sr, delay) in
            [("another", 0x1234_5679, 0), ("none", 0, 0), ("held too long", 0x1234_5678, 0x20000)]
        {
            take(&mut reports, &report(0, 0, last_sr, delay), 2_000);
            assert_eq!(reports.round_trip_us, Some(30_000), "{what}");
        }
    }

    #[test]
    fn other_packets_report_nothing() {
        let mut reports = Reports::NEW;
        let bytes = [report(0, 0, 0, 0), words([0x81, 203, 0, 1], &[1])].concat();
        assert_eq!(take(&mut reports, &bytes, 1), None);
        assert_eq!((reports.count, reports.mos), (1, 440));
    }
}
