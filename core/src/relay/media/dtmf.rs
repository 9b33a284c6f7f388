//! Telephone events, seen once each (RFC 4733).

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DtmfEvent {
    /// The event: 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for A to D, 16 for a hook flash (RFC 4733 §3.2).
    pub code: u8,
    /// Power of the tone, in dBm0 below zero (0 to 63).
    pub volume: u8,
    /// How long it lasted, in units of the RTP clock.
    pub duration: u32,
    /// RTP timestamp of its start.
    pub timestamp: u32,
    /// The stream that carried it.
    pub ssrc: u32,
}

impl DtmfEvent {
    /// The key as it is printed on a telephone, if the event is one.
    pub const fn key(&self) -> Option<char> {
        match self.code {
            0..=9 => Some((b'0' + self.code) as char),
            10 => Some('*'),
            11 => Some('#'),
            12..=15 => Some((b'A' + self.code - 12) as char),
            _ => None,
        }
    }
}

/// Longest duration that one packet can tell; longer events go on in segments (RFC 4733 §2.5.1.3).
const SEGMENT_MAX: u32 = 0xffff;

/// Follows the events of one endpoint.
#[derive(Clone, Copy, Debug)]
pub(super) struct DtmfDetector {
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    event: DtmfEvent,
    /// Timestamp of the segment.
    segment: u32,
    /// Duration of the segments before.
    before: u32,
    ended: bool,
}

impl DtmfDetector {
    pub(super) const NEW: Self = Self { current: None };

    /// Takes the payload of a packet; returns an event that has ended by it. An event whose end is lost ends when the next
    /// one begins.
    pub(super) fn packet(&mut self, ssrc: u32, timestamp: u32, payload: &[u8]) -> Option<DtmfEvent> {
        let &[code, flags, high, low, ..] = payload else { return None };
        let end = flags & 0x80 != 0;
        let volume = flags & 0x3f;
        let duration = u32::from(u16::from_be_bytes([high, low]));
        let event = DtmfEvent { code, volume, duration, timestamp, ssrc };
        let started = Current { event, segment: timestamp, before: 0, ended: end };
        let Some(current) = self.current.as_mut().filter(|current| current.event.ssrc == ssrc) else {
            return self.start(started);
        };
        let ahead = timestamp.wrapping_sub(current.segment) as i32;
        if ahead < 0 {
            return None;
        }
        if ahead > 0 {
            let follows = code == current.event.code && ahead.unsigned_abs() == SEGMENT_MAX;
            if current.ended || !follows {
                return self.start(started);
            }
            current.segment = timestamp;
            current.before = current.before.saturating_add(SEGMENT_MAX);
        }
        if current.ended || code != current.event.code {
            return None;
        }
        current.event.volume = volume;
        current.event.duration = current.event.duration.max(current.before.saturating_add(duration));
        current.ended = end;
        end.then_some(current.event)
    }

    /// Begins an event. If that ends another one, and this one is over as well, then one of its repeated ends reports it.
    fn start(&mut self, started: Current) -> Option<DtmfEvent> {
        let unfinished = self.take();
        let ended = started.ended && unfinished.is_none();
        self.current = Some(Current { ended, ..started });
        unfinished.or(ended.then_some(started.event))
    }

    /// The event that has not ended, as far as it was seen; it ends by this.
    pub(super) fn take(&mut self) -> Option<DtmfEvent> {
        self.current.take().filter(|current| !current.ended).map(|current| current.event)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const SSRC: u32 = 7;

    /// Plays (timestamp, code, end, duration); shows the events as (code, duration, timestamp).
    fn play(detector: &mut DtmfDetector, packets: &[(u32, u8, bool, u16)]) -> Vec<(u8, u32, u32)> {
        let mut events = Vec::new();
        for &(timestamp, code, end, duration) in packets {
            let [high, low] = duration.to_be_bytes();
            let payload = [code, u8::from(end) << 7 | 10, high, low];
            events.extend(detector.packet(SSRC, timestamp, &payload));
        }
        events.iter().map(|event| (event.code, event.duration, event.timestamp)).collect()
    }

    type Row<'r> = (&'r str, &'r [(u32, u8, bool, u16)], &'r [(u8, u32, u32)]);

    const ROWS: &[Row<'_>] = &[
        (
            "an event with its end sent three times (RFC 4733 §2.5.1.4)",
            &[
                (800, 5, false, 160),
                (800, 5, false, 320),
                (800, 5, true, 480),
                (800, 5, true, 480),
                (800, 5, true, 480),
            ],
            &[(5, 480, 800)],
        ),
        ("only one of the ends arrives", &[(800, 5, false, 160), (800, 5, true, 480)], &[(5, 480, 800)]),
        ("only an end arrives", &[(800, 5, true, 480), (800, 5, true, 480)], &[(5, 480, 800)]),
        ("packets of it come late", &[(800, 5, true, 480), (800, 5, false, 160)], &[(5, 480, 800)]),
        (
            "the same key twice",
            &[
                (800, 5, true, 480),
                (800, 5, true, 480),
                (1_600, 5, false, 160),
                (1_600, 5, true, 400),
                (1_600, 5, true, 400),
            ],
            &[(5, 480, 800), (5, 400, 1_600)],
        ),
        (
            "the end is lost",
            &[(800, 1, false, 320), (1_600, 2, false, 160), (1_600, 2, true, 320)],
            &[(1, 320, 800), (2, 320, 1_600)],
        ),
        (
            "the end is lost, and the next one is seen from its end only",
            &[(800, 1, false, 320), (1_600, 2, true, 320), (1_600, 2, true, 320), (1_600, 2, true, 320)],
            &[(1, 320, 800), (2, 320, 1_600)],
        ),
        ("an older event comes late", &[(1_600, 2, true, 320), (800, 1, true, 320)], &[(2, 320, 1_600)]),
        (
            "an event in segments (RFC 4733 §2.5.1.3)",
            &[
                (0, 3, false, 65_000),
                (0, 3, false, 65_535),
                (65_535, 3, false, 160),
                (65_535, 3, true, 1_000),
                (65_535, 3, true, 1_000),
            ],
            &[(3, 66_535, 0)],
        ),
        ("another key in the place of a segment", &[(0, 3, false, 65_535), (65_535, 4, true, 160)], &[(3, 65_535, 0)]),
        (
            "the timestamp wraps",
            &[(u32::MAX - 10, 1, true, 160), (100, 2, true, 160)],
            &[(1, 160, u32::MAX - 10), (2, 160, 100)],
        ),
        (
            "another key under one timestamp",
            &[(0, 3, false, 160), (0, 4, true, 160), (0, 3, true, 320)],
            &[(3, 320, 0)],
        ),
    ];

    #[test]
    fn every_event_is_seen_once() {
        for (name, packets, events) in ROWS {
            assert_eq!(play(&mut { DtmfDetector::NEW }, packets), *events, "{name}");
        }
    }

    #[test]
    fn event_that_never_ends_is_seen_at_the_end_of_the_call() {
        let mut detector = DtmfDetector::NEW;
        assert_eq!(play(&mut detector, &[(800, 11, false, 320)]), []);
        let event = detector.take().unwrap();
        assert_eq!((event.key(), event.duration, event.volume, event.ssrc), (Some('#'), 320, 10, SSRC));
        assert_eq!(detector.take(), None);
        play(&mut detector, &[(800, 1, true, 320)]);
        assert_eq!(detector.take(), None);
    }

    #[test]
    fn another_source_begins_another_event() {
        let mut detector = DtmfDetector::NEW;
        assert_eq!(detector.packet(1, 800, &[1, 0, 0, 160]), None);
        assert_eq!(detector.packet(2, 100, &[2, 0, 0, 160]).map(|event| (event.ssrc, event.code)), Some((1, 1)));
        assert_eq!(detector.packet(2, 100, &[2, 0x80, 0, 200]).map(|event| (event.ssrc, event.code)), Some((2, 2)));
    }

    #[test]
    fn short_payloads_are_no_events() {
        for len in 0..4 {
            let mut detector = DtmfDetector::NEW;
            assert_eq!(detector.packet(1, 1, &[0x80; 4][..len]), None);
        }
    }

    #[test]
    fn keys_have_names() {
        let key = |code| DtmfEvent { code, volume: 0, duration: 0, timestamp: 0, ssrc: 0 }.key();
        let names: Vec<_> = (0..=16).map(key).collect();
        assert!(names.iter().copied().eq("0123456789*#ABCD".chars().map(Some).chain([None])));
    }
}
