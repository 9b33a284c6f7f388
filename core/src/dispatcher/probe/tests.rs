use super::*;
use crate::entropy::SeededEntropy;
use std::vec::Vec;

/// A probe, a target that answers or not, and a clock that goes from deadline to deadline.
struct Bench {
    probe: Probe,
    settings: ProbeSettings,
    entropy: SeededEntropy,
    now: Instant,
    /// What the target answers at once; silence if nothing.
    answer: Option<u16>,
    /// Milliseconds and new health.
    changes: Vec<(u64, Health)>,
    pings: Vec<u64>,
}

const START_MS: u64 = 1_000_000;

impl Bench {
    fn new(settings: ProbeSettings) -> Self {
        let mut bench = Self {
            probe: Probe::default(),
            settings,
            entropy: SeededEntropy::new(1),
            now: Instant::from_millis(START_MS),
            answer: Some(200),
            changes: Vec::new(),
            pings: Vec::new(),
        };
        bench.tell(ProbeInput::Configure { enabled: true, flagged: false });
        bench
    }

    fn exact() -> Self {
        Self::new(ProbeSettings { jitter: false, ..ProbeSettings::default() })
    }

    fn tell(&mut self, input: ProbeInput) {
        let mut actions = Vec::new();
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        let event = ProbeEvent { settings: &self.settings, input };
        self.probe.handle(&mut cx, event, &mut |a| actions.push(a));
        assert!(actions.len() <= Probe::ACTIONS_MAX);
        for action in actions {
            let at = self.now.as_millis() - START_MS;
            match action {
                ProbeAction::SendPing { sequence } => {
                    self.pings.push(at);
                    if let Some(code) = self.answer {
                        self.tell(ProbeInput::Reply { sequence, code });
                    }
                }
                ProbeAction::Changed { to, .. } => self.changes.push((at, to)),
                _ => {}
            }
        }
    }

    /// Runs up to and including that time.
    fn run_to(&mut self, ms: u64) {
        let end = Instant::from_millis(START_MS + ms);
        while let Some(at) = self.probe.next_deadline().filter(|at| *at <= end) {
            self.now = at;
            self.tell(ProbeInput::Timeout);
            assert!(self.probe.next_deadline().is_none_or(|next| next > at), "the deadline stands still");
        }
        self.now = end;
    }

    fn sequence(&self) -> u16 {
        self.probe.sequence
    }
}

#[test]
fn three_silences_and_three_replies_keep_the_timeline() {
    let mut b = Bench::exact();
    b.answer = None;
    b.run_to(30_000);
    assert_eq!(b.changes, [(10_000, Health::Trying), (30_000, Health::Down)]);
    b.answer = Some(200);
    b.run_to(59_999);
    assert_eq!(b.probe.health(), Health::Down);
    b.run_to(60_000);
    assert_eq!(b.changes[2..], [(60_000, Health::Up)]);
}

#[test]
fn one_ping_an_interval_and_never_two_at_once() {
    let mut b = Bench::exact();
    b.answer = None;
    b.run_to(600_000);
    let expected: Vec<u64> = (0..60).map(|n| 6_000 + n * 10_000).collect();
    assert_eq!(b.pings, expected);
}

#[test]
fn failures_must_follow_one_another() {
    let mut b = Bench::exact();
    for round in 0..20 {
        b.answer = if round % 3 == 2 { Some(200) } else { None };
        b.run_to((round + 1) * 10_000);
    }
    assert!(b.changes.iter().all(|(_, health)| *health != Health::Down), "{:?}", b.changes);
}

#[test]
fn good_pings_must_follow_one_another_to_bring_a_target_back() {
    let mut b = Bench::exact();
    b.answer = None;
    b.run_to(30_000);
    for round in 3..23 {
        b.answer = if round % 3 == 2 { None } else { Some(200) };
        b.run_to((round + 1) * 10_000);
    }
    assert_eq!(b.probe.health(), Health::Down);
}

#[test]
fn a_local_timeout_is_no_reply_whatever_counts_as_one() {
    let reply_codes = ReplyCodes::parse("class=2;class=3;class=4;code=408").unwrap();
    let mut b = Bench::new(ProbeSettings { jitter: false, reply_codes, ..ProbeSettings::default() });
    b.answer = None;
    for tick in 1..=3 {
        b.run_to(tick * 10_000 - 2_000);
        b.tell(ProbeInput::PingFailed { sequence: b.sequence() });
    }
    b.run_to(30_000);
    assert_eq!(b.probe.health(), Health::Down);
}

#[test]
fn codes_decide_which_replies_are_good() {
    for (code, health) in [(200, Health::Up), (404, Health::Down), (503, Health::Down)] {
        let mut b = Bench::exact();
        b.answer = Some(code);
        b.run_to(30_000);
        assert_eq!(b.probe.health(), health, "{code}");
    }
}

#[test]
fn a_late_or_foreign_reply_is_nothing() {
    let mut b = Bench::exact();
    b.answer = None;
    b.run_to(8_000);
    b.tell(ProbeInput::Reply { sequence: b.sequence().wrapping_add(1), code: 200 });
    b.run_to(10_000);
    assert_eq!(b.probe.health(), Health::Trying);
    b.tell(ProbeInput::Reply { sequence: b.sequence(), code: 200 });
    b.run_to(15_000);
    assert_eq!(b.probe.health(), Health::Trying);
}

#[test]
fn traffic_makes_suspect_at_once_and_counts() {
    let mut b = Bench::exact();
    b.run_to(12_000);
    b.tell(ProbeInput::TrafficFailed(TrafficFailure::Timeout));
    assert_eq!(b.changes, [(12_000, Health::Trying)]);
    b.run_to(20_000);
    assert_eq!(b.changes[1..], [(20_000, Health::Up)]);

    for _ in 0..2 {
        b.tell(ProbeInput::TrafficFailed(TrafficFailure::Reply));
    }
    assert_eq!(b.probe.health(), Health::Up, "a 5xx alone does not make suspect");
    b.tell(ProbeInput::TrafficSucceeded);
    b.tell(ProbeInput::TrafficFailed(TrafficFailure::Reply));
    assert_eq!(b.probe.health(), Health::Up);
    for _ in 0..2 {
        b.tell(ProbeInput::TrafficFailed(TrafficFailure::Reply));
    }
    assert_eq!(b.probe.health(), Health::Down);
}

#[test]
fn modes_ping_whom_they_name() {
    use Health::{Down, Trying, Up};
    for (number, health, flagged, pinged) in [
        (0, Up, true, false),
        (0, Trying, false, true),
        (0, Down, false, true),
        (1, Up, false, true),
        (1, Down, false, true),
        (2, Up, true, false),
        (2, Down, true, true),
        (2, Down, false, false),
        (3, Up, true, true),
        (3, Up, false, false),
        (3, Down, false, false),
    ] {
        let mode = ProbingMode::from_kamailio(number).unwrap();
        assert_eq!(mode.covers(health, flagged), pinged, "{number} {health:?} {flagged}");
    }
    assert_eq!(ProbingMode::from_kamailio(4), None);
}

#[test]
fn a_suspect_is_pinged_until_it_is_up_where_only_suspects_are() {
    let mut b = Bench::new(ProbeSettings { mode: ProbingMode::Suspect, jitter: false, ..ProbeSettings::default() });
    b.run_to(100_000);
    assert!(b.pings.is_empty());
    b.tell(ProbeInput::TrafficFailed(TrafficFailure::Transport));
    b.run_to(200_000);
    assert_eq!(b.pings, [100_000]);
    assert_eq!(b.changes, [(100_000, Health::Trying), (104_000, Health::Up)]);
}

#[test]
fn traffic_does_not_condemn_a_target_that_no_ping_could_save() {
    let mut b = Bench::new(ProbeSettings { mode: ProbingMode::Flagged, ..ProbeSettings::default() });
    for _ in 0..10 {
        b.tell(ProbeInput::TrafficFailed(TrafficFailure::Timeout));
    }
    assert_eq!(b.probe.health(), Health::Up);
}

#[test]
fn passive_sends_nothing_and_resumes() {
    let mut b = Bench::exact();
    b.settings.passive = true;
    b.tell(ProbeInput::Configure { enabled: true, flagged: false });
    b.run_to(60_000);
    assert!(b.pings.is_empty());
    b.tell(ProbeInput::Learn(Health::Down, ChangeReason::Replicated));
    assert_eq!(b.probe.health(), Health::Down);
    b.settings.passive = false;
    b.tell(ProbeInput::Configure { enabled: true, flagged: false });
    b.run_to(90_000);
    assert_eq!(b.probe.health(), Health::Up);
}

#[test]
fn ping_now_sends_one_and_only_one() {
    let mut b = Bench::exact();
    b.answer = None;
    b.run_to(1_000);
    b.tell(ProbeInput::PingNow);
    b.tell(ProbeInput::PingNow);
    assert_eq!(b.pings, [1_000]);
    b.run_to(20_000);
    assert_eq!(b.pings, [1_000, 11_000]);
    b.tell(ProbeInput::Configure { enabled: false, flagged: false });
    b.tell(ProbeInput::PingNow);
    b.run_to(60_000);
    assert_eq!(b.pings, [1_000, 11_000]);
}

#[test]
fn ping_now_does_not_wait_for_the_tick_of_one_that_was_answered() {
    let mut b = Bench::exact();
    b.run_to(1_000);
    b.tell(ProbeInput::PingNow);
    b.run_to(1_100);
    b.tell(ProbeInput::PingNow);
    assert_eq!(b.pings, [1_000, 1_100]);
}

#[test]
fn a_long_sleep_is_not_made_up_for() {
    let mut b = Bench::exact();
    b.answer = None;
    b.now = Instant::from_millis(START_MS + 3_600_000);
    b.tell(ProbeInput::Timeout);
    b.run_to(3_610_000);
    assert_eq!(b.pings.len(), 2);
}

#[test]
fn first_pings_spread_over_an_interval() {
    let mut first = Vec::new();
    for seed in 0..200 {
        let mut b = Bench::new(ProbeSettings { passive: true, ..ProbeSettings::default() });
        b.entropy = SeededEntropy::new(seed);
        b.settings.passive = false;
        b.tell(ProbeInput::Configure { enabled: true, flagged: false });
        b.run_to(10_000);
        first.push(b.pings[0]);
    }
    for second in 0..10 {
        let hits = first.iter().filter(|ms| *ms / 1_000 == second).count();
        assert!((5..=40).contains(&hits), "second {second}: {hits}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = ProbeSettings::default();
    assert_eq!(good.check(), Ok(()));
    let seconds = Duration::from_secs;
    for (timeout, interval) in [(seconds(10), seconds(10)), (seconds(0), seconds(10)), (seconds(11), seconds(10))] {
        let bad = ProbeSettings { timeout, interval, ..good.clone() };
        assert_eq!(bad.check(), Err(ProbeSettingsError::Timeout));
    }
    let bad = ProbeSettings { probing_threshold: 0, ..good.clone() };
    assert_eq!(bad.check(), Err(ProbeSettingsError::Threshold));
    let bad = ProbeSettings { inactive_threshold: 0, ..good };
    assert_eq!(bad.check(), Err(ProbeSettingsError::Threshold));
}
