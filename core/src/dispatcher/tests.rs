use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::layer::EXPIRE_MAX;
use super::layer::{Dispatcher, DispatcherAction, DispatcherSettings};
use super::*;
use crate::entropy::SeededEntropy;
use crate::machine::Cx;
use crate::time::Instant;
use crate::wire::sip::overload::OverloadReport;

struct World {
    d: Dispatcher<'static>,
    entropy: SeededEntropy,
    now: Instant,
}

fn address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5060))
}

fn settings() -> DispatcherSettings {
    let probe = ProbeSettings { jitter: false, ..ProbeSettings::default() };
    DispatcherSettings { probe, hash_key: [7; 16], ..DispatcherSettings::default() }
}

fn uris(n: usize) -> Vec<String> {
    (0..n).map(|i| std::format!("sip:fs{i:04}.example.com")).collect()
}

fn one_set() -> [SetConfig; 1] {
    [SetConfig { id: 1, fallback: None }]
}

impl World {
    fn empty(capacity: usize) -> Self {
        let d = Dispatcher::new(Storage::owned(capacity, 8), settings()).unwrap();
        Self { d, entropy: SeededEntropy::new(11), now: Instant::from_millis(1_000_000) }
    }

    /// One set of targets; `shape` gives each its priority and attributes.
    fn with(n: usize, shape: impl Fn(usize, &mut TargetConfig<'_>)) -> Self {
        let mut w = Self::empty(n);
        let uris = uris(n);
        let list: Vec<_> = uris
            .iter()
            .enumerate()
            .map(|(i, uri)| {
                let mut config = TargetConfig::new(1, uri, address());
                shape(i, &mut config);
                config
            })
            .collect();
        w.reload(&one_set(), &list).unwrap();
        w
    }

    fn reload(&mut self, sets: &[SetConfig], list: &[TargetConfig<'_>]) -> Result<ReloadReport, ReloadError> {
        self.d.reload(&mut Cx { now: self.now, entropy: &mut self.entropy }, sets, list)
    }

    fn select(&mut self, rule: SelectRule, keys: &SelectKeys<'_>) -> Result<Selection, NoTarget> {
        self.d.select(&mut Cx { now: self.now, entropy: &mut self.entropy }, rule, keys)
    }

    fn index(&self, id: TargetId) -> usize {
        self.d.get(id).unwrap().uri()[6..10].parse().unwrap()
    }

    /// The places of the candidates, best first.
    fn order(&mut self, algorithm: Algorithm, call_id: &str) -> Vec<usize> {
        let keys = SelectKeys { call_id: call_id.as_bytes(), ..SelectKeys::default() };
        let selection = self.select(SelectRule::new(1, algorithm), &keys);
        selection.map_or(Vec::new(), |s| s.targets.iter().map(|id| self.index(*id)).collect())
    }

    fn first(&mut self, algorithm: Algorithm, call_id: &str) -> usize {
        self.order(algorithm, call_id)[0]
    }

    fn counts(&mut self, n: usize, calls: usize, algorithm: Algorithm) -> Vec<u64> {
        let mut counts = std::vec![0; n];
        for call in 0..calls {
            counts[self.first(algorithm, &std::format!("call-{call}"))] += 1;
        }
        counts
    }

    fn id(&self, i: usize) -> TargetId {
        self.d.find(1, &uris(i + 1)[i]).unwrap()
    }

    fn set_health(&mut self, i: usize, health: Health) {
        let id = self.id(i);
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        self.d.learn_health(&mut cx, id, health, &mut |_| {});
    }

    fn set_admin(&mut self, i: usize, admin: AdminState) {
        let id = self.id(i);
        assert!(self.d.set_admin(&mut Cx { now: self.now, entropy: &mut self.entropy }, id, admin));
    }

    fn sample(&mut self, i: usize, ms: u32, times: usize) {
        let slot = usize::from(self.id(i).slot);
        for _ in 0..times {
            self.d.targets[slot].latency.sample(ms * 1_000);
        }
        self.d.refresh(0);
    }

    /// Runs up to that many milliseconds after the start; pings are answered with `code`, if there is one.
    fn run_to(&mut self, ms: u64, code: Option<u16>) -> Vec<(u64, DispatcherAction)> {
        let end = Instant::from_millis(1_000_000 + ms);
        let mut log = Vec::new();
        while let Some(at) = self.d.next_deadline().filter(|at| *at <= end) {
            self.now = at;
            let mut actions = Vec::new();
            let mut cx = Cx { now: at, entropy: &mut self.entropy };
            for _ in 0..=self.d.targets.len() / EXPIRE_MAX {
                self.d.expire(&mut cx, &mut |a| actions.push(a));
            }
            for action in &actions {
                if let (DispatcherAction::SendPing { target, sequence }, Some(code)) = (action, code) {
                    self.d.ping_reply(&mut cx, *target, *sequence, code, &mut |a| panic!("{a:?}"));
                }
            }
            log.extend(actions.into_iter().map(|a| (at.as_millis() - 1_000_000, a)));
            assert!(self.d.next_deadline().is_none_or(|next| next > at), "the deadline stands still");
        }
        self.now = end;
        log
    }
}

/// Chi-square over equal or given shares, compared without division: sum((o - e)^2 / e) < limit.
fn chi_square_below(observed: &[u64], shares: &[u64], limit: u64) -> bool {
    let (n, total): (u64, u64) = (observed.iter().sum(), shares.iter().sum());
    // With e = n * s / total the statistic is sum((o * total - n * s)^2 / s) / (n * total).
    let product: u128 = shares.iter().map(|s| u128::from(*s)).product();
    let sum: u128 = observed
        .iter()
        .zip(shares)
        .map(|(o, s)| u128::from((o * total).abs_diff(n * s)).pow(2) * (product / u128::from(*s)))
        .sum();
    sum < u128::from(limit) * u128::from(n) * u128::from(total) * product
}

const HASHES: [Algorithm; 6] = [
    Algorithm::CallIdHash,
    Algorithm::FromUriHash,
    Algorithm::ToUriHash,
    Algorithm::RequestUriHash,
    Algorithm::AuthUserHash,
    Algorithm::ValueHash,
];

fn key_for(algorithm: Algorithm, text: &[u8]) -> SelectKeys<'_> {
    let none = SelectKeys::default();
    match algorithm {
        Algorithm::FromUriHash => SelectKeys { from_uri: text, ..none },
        Algorithm::ToUriHash => SelectKeys { to_uri: text, ..none },
        Algorithm::RequestUriHash => SelectKeys { request_uri: text, ..none },
        Algorithm::AuthUserHash => SelectKeys { auth_user: text, ..none },
        Algorithm::ValueHash => SelectKeys { value: text, ..none },
        _ => SelectKeys { call_id: text, ..none },
    }
}

#[test]
fn hashes_are_steady_and_even_each_over_its_own_key() {
    for algorithm in HASHES {
        let mut w = World::with(5, |_, _| {});
        let mut counts = [0; 5];
        for call in 0..5_000 {
            let text = std::format!("key-{call}");
            let keys = key_for(algorithm, text.as_bytes());
            let first = w.select(SelectRule::new(1, algorithm), &keys).unwrap().targets[0];
            assert_eq!(w.select(SelectRule::new(1, algorithm), &keys).unwrap().targets[0], first);
            counts[w.index(first)] += 1;
        }
        // 99.9 % for four degrees of freedom is 18.47.
        assert!(chi_square_below(&counts, &[1; 5], 18), "{algorithm}: {counts:?}");
    }
}

#[test]
fn a_hash_without_its_key_goes_round() {
    let mut w = World::with(3, |_, _| {});
    let firsts: Vec<_> = (0..6).map(|_| w.first(Algorithm::AuthUserHash, "ignored")).collect();
    assert_eq!(firsts, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn round_robin_rotates_exactly_and_fails_over_in_order() {
    let mut w = World::with(4, |_, _| {});
    for expected in [[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2], [0, 1, 2, 3]] {
        assert_eq!(w.order(Algorithm::RoundRobin, "x"), expected);
    }
}

#[test]
fn random_is_even() {
    let counts = World::with(5, |_, _| {}).counts(5, 5_000, Algorithm::Random);
    assert!(chi_square_below(&counts, &[1; 5], 18), "{counts:?}");
}

#[test]
fn serial_goes_by_priority_then_by_place() {
    let mut w = World::with(4, |i, c| c.priority = [5, 10, 0, 10][i]);
    assert_eq!(w.order(Algorithm::Serial, "x"), [1, 3, 0, 2]);
    w.set_health(1, Health::Down);
    assert_eq!(w.order(Algorithm::Serial, "x"), [3, 0, 2]);
}

#[test]
fn relative_weight_shares_exactly_and_again_when_one_is_down() {
    let mut w = World::with(3, |i, c| c.attrs.rweight = [1, 2, 1][i]);
    assert_eq!(w.counts(3, 100, Algorithm::RelativeWeight), [25, 50, 25]);
    w.set_health(2, Health::Down);
    assert_eq!(w.counts(3, 100, Algorithm::RelativeWeight), [33, 67, 0]);
}

#[test]
fn relative_weight_leaves_out_who_has_none() {
    let mut w = World::with(3, |i, c| c.attrs.rweight = [0, 3, 1][i]);
    assert_eq!(w.counts(3, 100, Algorithm::RelativeWeight), [0, 75, 25]);
}

#[test]
fn weight_keeps_shares_and_the_next_takes_over_from_one_that_is_down() {
    let mut w = World::with(3, |i, c| c.attrs.weight = [50, 30, 20][i]);
    assert_eq!(w.counts(3, 100, Algorithm::Weight), [50, 30, 20]);
    w.set_health(1, Health::Down);
    assert_eq!(w.counts(3, 100, Algorithm::Weight), [50, 0, 50]);
    w.set_health(2, Health::Down);
    assert_eq!(w.counts(3, 100, Algorithm::Weight), [100, 0, 0]);
}

#[test]
fn weights_of_zero_go_round() {
    for algorithm in [Algorithm::Weight, Algorithm::RelativeWeight] {
        assert_eq!(World::with(4, |_, _| {}).counts(4, 100, algorithm), [25; 4]);
    }
}

#[test]
fn congestion_takes_a_point_a_millisecond_and_all_congested_still_serve() {
    let shape = |_: usize, c: &mut TargetConfig<'_>| {
        (c.attrs.rweight, c.attrs.weight, c.attrs.congestion_control) = (50, 50, true);
    };
    let mut w = World::with(2, shape);
    assert_eq!(w.counts(2, 100, Algorithm::RelativeWeight), [50, 50]);
    w.sample(0, 20, 1_000);
    w.sample(0, 71, 40);
    let congestion = w.d.get(w.id(0)).unwrap().latency().congestion_ms();
    let left = u64::from(50 - congestion);
    let calls = left + 50;
    assert_eq!(w.counts(2, calls as usize, Algorithm::RelativeWeight), [left, 50]);
    w.sample(0, 500, 40);
    assert_eq!(w.counts(2, 100, Algorithm::RelativeWeight), [0, 100]);
    w.sample(1, 20, 1_000);
    w.sample(1, 900, 40);
    let counts = w.counts(2, 10_000, Algorithm::RelativeWeight);
    assert!(counts[0] > counts[1] && counts[1] > 0, "{counts:?}");
}

#[test]
fn call_load_takes_the_emptiest_and_counts_other_shards() {
    let mut w = World::with(3, |_, _| {});
    for expected in [0, 1, 2, 0, 1, 2] {
        assert_eq!(w.first(Algorithm::CallLoad, "x"), expected);
        w.d.call_started(w.now, w.id(expected));
    }
    w.d.call_ended(w.id(1));
    assert_eq!(w.order(Algorithm::CallLoad, "x"), [1, 0, 2]);
    w.d.remote_load(w.id(1), 5);
    assert_eq!(w.first(Algorithm::CallLoad, "x"), 0);
    w.d.remote_load(w.id(1), -5);
    assert_eq!(w.first(Algorithm::CallLoad, "x"), 1);
}

#[test]
fn call_load_passes_over_the_emptiest_at_its_limit() {
    let mut w = World::with(3, |i, c| c.attrs.maxload = [1, 0, 0][i]);
    for i in [0, 1, 1, 2, 2, 2] {
        w.d.call_started(w.now, w.id(i));
    }
    assert_eq!(w.order(Algorithm::CallLoad, "x"), [1, 2]);
}

#[test]
fn parallel_gives_all_at_once() {
    let mut w = World::with(10, |_, _| {});
    let rule = SelectRule { limit: 2, ..SelectRule::new(1, Algorithm::Parallel) };
    let selection = w.select(rule, &SelectKeys::default()).unwrap();
    assert!(selection.parallel);
    assert_eq!(selection.targets.len(), 10);
}

#[test]
fn latency_goes_round_the_best_by_the_table_of_the_documentation() {
    let latency = [21, 91, 61, 19, 32, 0, 201];
    let mut w = World::with(7, |i, c| (c.priority, c.attrs.latency_ms) = (30, latency[i]));
    assert_eq!(w.counts(7, 99, Algorithm::Latency), [33, 0, 0, 33, 0, 33, 0]);
    assert_eq!(w.order(Algorithm::Latency, "x"), [0, 3, 5, 4, 2, 1, 6]);
}

#[test]
fn round_robin_or_serial_rotates_the_first_only() {
    let mut w = World::with(3, |i, c| c.priority = [1, 3, 2][i]);
    for expected in [[1, 2, 0], [2, 1, 0], [0, 1, 2], [1, 2, 0]] {
        assert_eq!(w.order(Algorithm::RoundRobinOrSerial, "x"), expected);
    }
}

#[test]
fn priority_weight_is_by_the_rule_of_srv_records() {
    let mut w = World::with(4, |i, c| (c.priority, c.attrs.weight) = [(20, 1), (10, 3), (10, 1), (30, 0)][i]);
    let counts = w.counts(4, 4_000, Algorithm::PriorityWeight);
    assert_eq!((counts[0], counts[3]), (0, 0));
    // 99.9 % for one degree of freedom is 10.83.
    assert!(chi_square_below(&counts[1..3], &[3, 1], 10), "{counts:?}");
    let order = w.order(Algorithm::PriorityWeight, "x");
    assert_eq!(order[2..], [0, 3]);
    w.set_health(1, Health::Down);
    assert_eq!(w.order(Algorithm::PriorityWeight, "x"), [2, 0, 3]);
}

#[test]
fn overload_moves_the_spared_share_on() {
    let mut w = World::with(2, |i, c| c.priority = [2, 1][i]);
    let report =
        |reduction_percent| OverloadReport { reduction_percent, validity: Duration::from_secs(1), sequence: 0 };
    w.d.report_overload(w.now, w.id(0), &report(40));
    let counts = w.counts(2, 5_000, Algorithm::Overload);
    assert!(chi_square_below(&counts, &[3, 2], 10), "{counts:?}");
    for i in 0..2 {
        w.d.report_overload(w.now, w.id(i), &report(100));
    }
    let rule = SelectRule::new(1, Algorithm::Overload);
    assert_eq!(w.select(rule, &SelectKeys::default()), Err(NoTarget::NoRoom));
    w.now = w.now + Duration::from_secs(1);
    assert_eq!(w.first(Algorithm::Overload, "x"), 0);
}

#[test]
fn rendezvous_moves_only_the_calls_of_the_one_that_goes() {
    let mut w = World::with(4, |_, _| {});
    let before: Vec<_> = (0..4_000).map(|c| w.order(Algorithm::Rendezvous, &std::format!("c{c}"))).collect();
    w.set_admin(2, AdminState::Drain);
    for (c, order) in before.iter().enumerate() {
        let now = w.first(Algorithm::Rendezvous, &std::format!("c{c}"));
        let expected = if order[0] == 2 { order[1] } else { order[0] };
        assert_eq!(now, expected);
    }
    let mut counts = [0; 4];
    before.iter().for_each(|order| counts[order[0]] += 1);
    // 99.9 % for three degrees of freedom is 16.27.
    assert!(chi_square_below(&counts, &[1; 4], 16), "{counts:?}");
}

#[test]
fn rendezvous_shares_by_weight() {
    let counts = World::with(3, |i, c| c.attrs.weight = [1, 2, 5][i]).counts(3, 8_000, Algorithm::Rendezvous);
    // 99.9 % for two degrees of freedom is 13.82.
    assert!(chi_square_below(&counts, &[1, 2, 5], 13), "{counts:?}");
}

#[test]
fn every_algorithm_skips_who_takes_no_calls_and_keeps_its_limit() {
    for row in algorithm::ALGORITHMS {
        let mut w = World::with(6, |_, c| (c.attrs.weight, c.attrs.rweight) = (10, 10));
        w.set_health(0, Health::Down);
        w.set_admin(1, AdminState::Drain);
        w.set_admin(2, AdminState::Disabled);
        w.set_health(3, Health::Trying);
        for call in 0..50 {
            let mut order = w.order(row.algorithm, &std::format!("call-{call}"));
            order.sort_unstable();
            assert_eq!(order, [4, 5], "{}", row.name);
        }
        let rule = SelectRule { limit: 1, ..SelectRule::new(1, row.algorithm) };
        let one = w.select(rule, &SelectKeys::default()).unwrap();
        assert_eq!(one.targets.len(), if one.parallel { 2 } else { 1 }, "{}", row.name);
    }
}

#[test]
fn suspects_serve_where_nobody_else_does() {
    let mut w = World::with(2, |_, _| {});
    w.set_health(0, Health::Trying);
    w.set_health(1, Health::Down);
    assert_eq!(w.order(Algorithm::RoundRobin, "x"), [0]);
    w.set_health(0, Health::Down);
    let rule = SelectRule::new(1, Algorithm::RoundRobin);
    assert_eq!(w.select(rule, &SelectKeys::default()), Err(NoTarget::NoneUp));
}

#[test]
fn a_set_without_targets_falls_back_and_a_ring_ends() {
    let mut w = World::empty(4);
    let sets = [SetConfig { id: 1, fallback: Some(2) }, SetConfig { id: 2, fallback: Some(1) }];
    let list = [TargetConfig::new(1, "sip:fs0000", address()), TargetConfig::new(2, "sip:fs0001", address())];
    w.reload(&sets, &list).unwrap();
    let rule = SelectRule::new(2, Algorithm::RoundRobin);
    assert_eq!(w.select(rule, &SelectKeys::default()).unwrap().set, 2);
    let conference = w.d.find(2, "sip:fs0001").unwrap();
    let mut cx = Cx { now: w.now, entropy: &mut w.entropy };
    w.d.learn_health(&mut cx, conference, Health::Down, &mut |_| {});
    assert_eq!(w.d.select(&mut cx, rule, &SelectKeys::default()).unwrap().set, 1);
    assert_eq!(w.d.stats().fallbacks, 1);
    let general = w.d.find(1, "sip:fs0000").unwrap();
    assert!(w.d.set_admin(&mut cx, general, AdminState::Drain));
    assert_eq!(w.select(rule, &SelectKeys::default()), Err(NoTarget::NoneUp));
    let unknown = SelectRule::new(9, Algorithm::RoundRobin);
    assert_eq!(w.select(unknown, &SelectKeys::default()), Err(NoTarget::UnknownSet));
}

#[test]
fn the_call_over_the_rate_goes_elsewhere() {
    let mut w = World::with(2, |i, c| (c.priority, c.attrs.cps) = [(2, 100), (1, 0)][i]);
    for call in 1..=101 {
        let chosen = w.first(Algorithm::Serial, "x");
        assert_eq!(chosen, usize::from(call > 100), "call {call}");
        w.d.call_started(w.now, w.id(chosen));
    }
    let request = SelectRule { new_call: false, ..SelectRule::new(1, Algorithm::Serial) };
    assert_eq!(w.select(request, &SelectKeys::default()).unwrap().targets[0], w.id(0));
    w.now = w.now + Duration::from_secs(1);
    assert_eq!(w.first(Algorithm::Serial, "x"), 0);
}

#[test]
fn the_call_over_the_load_goes_elsewhere_until_one_ends() {
    let mut w = World::with(2, |i, c| (c.priority, c.attrs.maxload) = [(2, 3), (1, 1)][i]);
    for expected in [0, 0, 0, 1] {
        assert_eq!(w.first(Algorithm::Serial, "x"), expected);
        w.d.call_started(w.now, w.id(expected));
    }
    let rule = SelectRule::new(1, Algorithm::Serial);
    assert_eq!(w.select(rule, &SelectKeys::default()), Err(NoTarget::NoRoom));
    w.d.call_ended(w.id(0));
    assert_eq!(w.first(Algorithm::Serial, "x"), 0);
}

#[test]
fn health_follows_the_timeline_and_each_change_is_told_once() {
    let mut w = World::with(1, |_, _| {});
    let changes = |log: Vec<(u64, DispatcherAction)>| -> Vec<(u64, Health)> {
        let change = |(at, a)| match a {
            DispatcherAction::StateChanged { to, .. } => Some((at, to)),
            _ => None,
        };
        log.into_iter().filter_map(change).collect()
    };
    let down = changes(w.run_to(30_000, None));
    assert_eq!(down, [(10_000, Health::Trying), (30_000, Health::Down)]);
    let target = w.id(0);
    assert_eq!(w.d.get(target).unwrap().flags(), "IP");
    assert_eq!(changes(w.run_to(90_000, Some(200))), [(60_000, Health::Up)]);
    assert_eq!(w.d.get(target).unwrap().flags(), "AP");
    let stats = w.d.stats();
    assert_eq!((stats.pings, stats.pings_answered, stats.pings_unanswered, stats.changes), (9, 6, 3, 3));
}

#[test]
fn ten_minutes_of_good_pings_do_not_reopen_a_drained_target() {
    let mut w = World::with(2, |_, _| {});
    w.set_admin(0, AdminState::Drain);
    w.run_to(600_000, Some(200));
    let drained = w.id(0);
    assert_eq!(w.d.get(drained).unwrap().admin(), AdminState::Drain);
    assert_eq!(w.d.get(drained).unwrap().flags(), "IP");
    assert_eq!(w.counts(2, 20, Algorithm::RoundRobin), [0, 20]);
    w.set_admin(0, AdminState::Active);
    assert_eq!(w.d.get(drained).unwrap().flags(), "AP");
    assert_eq!(w.counts(2, 20, Algorithm::RoundRobin), [10, 10]);
}

#[test]
fn new_calls_avoid_a_target_from_its_first_failure_on() {
    let mut w = World::with(2, |_, _| {});
    let failed = w.id(0);
    let mut cx = Cx { now: w.now, entropy: &mut w.entropy };
    let mut told = Vec::new();
    w.d.report_failure(&mut cx, failed, TrafficFailure::Timeout, &mut |a| told.push(a));
    assert_eq!(told.len(), 1);
    assert_eq!(w.d.get(failed).unwrap().flags(), "TP");
    assert_eq!(w.counts(2, 20, Algorithm::RoundRobin), [0, 20]);
    w.run_to(10_000, Some(200));
    assert_eq!(w.counts(2, 20, Algorithm::RoundRobin), [10, 10]);
}

#[test]
fn set_state_by_letters() {
    let mut w = World::with(3, |i, c| c.duid = ["a", "b", "c"][i]);
    let state = |w: &mut World, name: &str, letters: &str| {
        let command = StateCommand::parse(letters).unwrap();
        w.d.set_state(&mut Cx { now: w.now, entropy: &mut w.entropy }, 1, name, command, &mut |_| {})
    };
    assert_eq!(state(&mut w, "all", "i"), 3);
    assert_eq!(state(&mut w, "b", "a"), 1);
    assert_eq!(state(&mut w, "sip:fs0002.example.com", "d"), 1);
    assert_eq!(state(&mut w, "nobody", "d"), 0);
    assert_eq!(state(&mut w, "", "d"), 0);
    let flags = |w: &World| -> Vec<_> { w.d.targets_of(1).map(|(_, t)| t.flags()).collect() };
    assert_eq!(flags(&w), ["IP", "AP", "DX"]);
    assert_eq!(state(&mut w, "b", "tp"), 1);
    assert_eq!(flags(&w), ["IP", "TP", "DX"]);
}

#[test]
fn reload_keeps_what_stays_and_lets_calls_finish() {
    let mut w = World::with(4, |_, _| {});
    let ids: Vec<_> = (0..4).map(|i| w.id(i)).collect();
    w.set_admin(1, AdminState::Drain);
    w.set_health(2, Health::Down);
    for i in [1, 3] {
        w.d.call_started(w.now, ids[i]);
    }
    let uris = uris(5);
    let list: Vec<_> = [4, 2, 1].map(|i| TargetConfig::new(1, &uris[i], address())).into();
    assert_eq!(w.reload(&one_set(), &list).err(), None);
    assert_eq!((w.id(1), w.id(2)), (ids[1], ids[2]));
    assert_eq!(w.d.get(ids[1]).unwrap().admin(), AdminState::Drain);
    assert_eq!(w.d.load(ids[1]).unwrap().local(), 1);
    assert_eq!(w.d.get(ids[2]).unwrap().health(), Health::Down);
    assert_eq!(w.counts(5, 10, Algorithm::RoundRobin), [0, 0, 0, 0, 10]);
    assert_eq!(w.d.get(ids[0]).map(Target::uri), None);
    assert!(w.d.get(ids[3]).unwrap().is_leaving());
    assert_eq!(w.d.leaving().count(), 1);
    assert!(w.d.call_ended(ids[3]));
    assert!(w.d.get(ids[3]).is_none());
    assert!(!w.d.call_ended(ids[3]));
    assert_eq!(w.d.stats().stray_ends, 1);
}

#[test]
fn a_bad_list_changes_nothing() {
    let mut w = World::with(3, |_, _| {});
    let uris = uris(5);
    let target = |i: usize| TargetConfig::new(1, &uris[i], address());
    let long = "x".repeat(129);
    let set = |id, fallback| SetConfig { id, fallback };
    let many: Vec<_> = (10..20).map(|id| set(id, None)).collect();
    let cases = [
        (one_set().to_vec(), std::vec![target(0), target(0)], ReloadError::DuplicateTarget(1)),
        (one_set().to_vec(), std::vec![target(4), target(4)], ReloadError::DuplicateTarget(1)),
        (one_set().to_vec(), std::vec![TargetConfig { uri: &long, ..target(0) }], ReloadError::Uri(0)),
        (one_set().to_vec(), std::vec![TargetConfig { uri: "", ..target(0) }], ReloadError::Uri(0)),
        (one_set().to_vec(), std::vec![TargetConfig { duid: &long, ..target(0) }], ReloadError::Name(0)),
        (one_set().to_vec(), std::vec![TargetConfig { set: 2, ..target(0) }], ReloadError::UnknownSet(0)),
        (std::vec![set(1, Some(3))], std::vec![], ReloadError::UnknownFallback(1)),
        (std::vec![set(1, None), set(1, None)], std::vec![], ReloadError::DuplicateSet(1)),
        (many, std::vec![], ReloadError::Full(crate::error::Full { what: "dispatcher sets" })),
        (
            one_set().to_vec(),
            (0..4).map(target).collect(),
            ReloadError::Full(crate::error::Full { what: "dispatcher targets" }),
        ),
    ];
    for (sets, list, error) in cases {
        assert_eq!(w.reload(&sets, &list), Err(error));
        let left: Vec<_> = w.d.targets_of(1).map(|(id, _)| w.index(id)).collect();
        assert_eq!(left, [0, 1, 2]);
    }
}

#[test]
fn adding_and_removing_one() {
    let mut w = World::with(2, |_, _| {});
    let uris = uris(3);
    let mut cx = Cx { now: w.now, entropy: &mut w.entropy };
    let third = TargetConfig::new(1, &uris[2], address());
    assert!(matches!(w.d.add(&mut cx, &third), Err(ReloadError::Full(_))));
    assert_eq!(w.d.remove(&mut cx, 1, &uris[0]), 1);
    let id = w.d.add(&mut cx, &third).unwrap();
    assert_eq!(w.d.add(&mut cx, &third), Err(ReloadError::DuplicateTarget(0)));
    assert_eq!(w.d.get(id).unwrap().uri(), uris[2]);
    assert_eq!(w.order(Algorithm::Serial, "x"), [1, 2]);
}

#[test]
fn lent_storage_does_the_same() {
    let mut targets: [Target; 3] = core::array::from_fn(|_| Target::default());
    let mut sets = [Set::default()];
    let mut ranks = [0; Storage::ranks_len(3)];
    let mut sums = [0; Storage::sums_len(3)];
    let storage = Storage::lent(&mut targets, &mut sets, &mut ranks, &mut sums);
    let mut d = Dispatcher::new(storage, settings()).unwrap();
    let mut entropy = SeededEntropy::new(1);
    let mut cx = Cx { now: Instant::from_millis(1), entropy: &mut entropy };
    let uris = uris(4);
    let list: Vec<_> = uris.iter().map(|uri| TargetConfig::new(1, uri, address())).collect();
    assert!(matches!(d.reload(&mut cx, &one_set(), &list), Err(ReloadError::Full(_))));
    d.reload(&mut cx, &one_set(), &list[..3]).unwrap();
    let rule = SelectRule::new(1, Algorithm::CallLoad);
    assert_eq!(d.select(&mut cx, rule, &SelectKeys::default()).unwrap().targets.len(), 3);
}

#[test]
fn three_thousand_targets_are_chosen_evenly_and_pinged_once_an_interval() {
    let mut w = World::with(3_000, |_, c| (c.attrs.weight, c.attrs.rweight) = (1, 1));
    for algorithm in [Algorithm::RoundRobin, Algorithm::Weight, Algorithm::RelativeWeight] {
        assert!(w.counts(3_000, 3_000, algorithm).iter().all(|n| *n == 1), "{algorithm}");
    }
    let mut pings = BTreeMap::new();
    for (_, action) in w.run_to(30_000, Some(200)) {
        if let DispatcherAction::SendPing { target, .. } = action {
            *pings.entry(target).or_insert(0) += 1;
        }
    }
    assert_eq!(pings.len(), 3_000);
    assert!(pings.values().all(|n| *n == 3));
}

proptest! {
    #[test]
    fn counters_and_orders_hold_under_any_events(ops in proptest::collection::vec((0usize..6, 0u8..8, -3i32..4), 1..120)) {
        let mut w = World::with(6, |_, c| c.attrs.maxload = 4);
        let mut calls = [0u32; 6];
        for (i, op, delta) in ops {
            match op {
                0 | 1 => {
                    w.d.call_started(w.now, w.id(i));
                    calls[i] += 1;
                }
                2 | 3 => {
                    prop_assert_eq!(w.d.call_ended(w.id(i)), calls[i] > 0);
                    calls[i] = calls[i].saturating_sub(1);
                }
                4 => w.d.remote_load(w.id(i), delta),
                5 => w.set_health(i, if delta > 0 { Health::Up } else { Health::Down }),
                6 => w.set_admin(i, if delta > 0 { AdminState::Active } else { AdminState::Drain }),
                _ => drop(w.run_to(w.now.as_millis() - 1_000_000 + 5_000, (delta > -2).then_some(200))),
            }
            let able = |w: &World, i: usize| {
                let t = w.d.get(w.id(i)).unwrap();
                let up = t.admin() == AdminState::Active && t.health() == Health::Up;
                (up, t.load().total())
            };
            for (i, n) in calls.iter().enumerate() {
                prop_assert_eq!(w.d.load(w.id(i)).unwrap().local(), *n);
            }
            let states: Vec<_> = (0..6).map(|i| able(&w, i)).collect();
            let any_up = states.iter().any(|(up, _)| *up);
            let least = states.iter().filter(|(up, n)| *up && *n < 4).map(|(_, n)| *n).min();
            let chosen = w.order(Algorithm::CallLoad, "x").first().copied();
            if any_up {
                prop_assert_eq!(chosen.map(|i| states[i].1), least);
                prop_assert!(chosen.is_none_or(|i| states[i].0));
            }
        }
    }
}

#[test]
fn a_target_takes_the_memory_that_is_documented() {
    let columns = Storage::ranks_len(1) * 2 + Storage::sums_len(1) * 8;
    let bytes = size_of::<Target>() + columns;
    assert!((500..=700).contains(&bytes), "{bytes}");
}
