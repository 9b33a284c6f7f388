//! Several nodes on one network that loses and delays, with clocks that drift.

use super::*;
use crate::entropy::Entropy;
use proptest::prelude::*;

/// A node, its clock, and whom it can hear.
struct Host {
    node: Node,
    /// How fast its clock runs, in parts per million too fast.
    drift_ppm: i64,
    /// Until when it is stopped, in true microseconds.
    stopped_until: u64,
}

/// A packet under way.
struct Flight {
    arrives: u64,
    from: usize,
    to: usize,
    bytes: Vec<u8>,
}

struct World {
    hosts: Vec<Host>,
    flights: Vec<Flight>,
    entropy: SeededEntropy,
    /// True microseconds.
    now: u64,
    loss_percent: u32,
    delay_us: u32,
    /// Bit `to` of `cut[from]`: packets are lost.
    cut: [u8; 4],
}

const EPOCH: u64 = 1_000_000_000;
const HOSTS: usize = 3;

impl World {
    fn new(seed: u64, configs: &[InstanceConfig], drifts: &[i64]) -> Self {
        let mut hosts = Vec::new();
        for (at, config) in configs.iter().enumerate() {
            let node = Node::with(InstanceConfig { source: Some(host(at as u8 + 1)), ..config.clone() });
            hosts.push(Host { node, drift_ppm: drifts[at], stopped_until: 0 });
        }
        let entropy = SeededEntropy::new(seed);
        Self { hosts, flights: Vec::new(), entropy, now: EPOCH, loss_percent: 0, delay_us: 0, cut: [0; 4] }
    }

    /// The time that the clock of a host shows.
    fn local(&self, at: usize, us: u64) -> Instant {
        let elapsed = i64::try_from(us - EPOCH).unwrap();
        let shown = elapsed + elapsed * self.hosts[at].drift_ppm / 1_000_000;
        START + Duration::from_micros(u64::try_from(shown).unwrap())
    }

    /// The first true time at which that clock shows `local`.
    fn wakes(&self, at: usize, local: Instant) -> u64 {
        let shown = i64::try_from(local.since(START).as_micros()).unwrap();
        let mut us = EPOCH + u64::try_from(shown * 1_000_000 / (1_000_000 + self.hosts[at].drift_ppm)).unwrap();
        while self.local(at, us) < local {
            us += 1;
        }
        us.max(self.hosts[at].stopped_until).max(self.now)
    }

    /// What a host sent goes under way.
    fn collect(&mut self, from: usize) {
        for (_, did) in core::mem::take(&mut self.hosts[from].node.did) {
            let Did::Sent { bytes, .. } = did else { continue };
            for to in 0..self.hosts.len() {
                let lost = self.entropy.below(100) < self.loss_percent || self.cut[from] >> to & 1 == 1;
                if !lost {
                    let arrives = self.now + u64::from(self.entropy.below(self.delay_us + 1));
                    self.flights.push(Flight { arrives, from, to, bytes: bytes.clone() });
                }
            }
        }
    }

    /// Runs for a time. A host that is stopped takes its packets when it wakes, before its timers.
    fn run(&mut self, time_us: u64) {
        let end = self.now + time_us;
        loop {
            let flight = self.flights.iter().enumerate();
            let flight = flight
                .map(|(index, f)| (f.arrives.max(self.hosts[f.to].stopped_until), f.arrives, index))
                .min()
                .map(|(at, _, index)| (at, 0, index));
            let timer = (0..self.hosts.len())
                .filter_map(|at| Some((self.wakes(at, self.hosts[at].node.vrrp.next_deadline()?), 1, at)));
            let Some((at, kind, index)) = timer.chain(flight).min().filter(|(at, ..)| *at <= end) else { break };
            self.now = self.now.max(at);
            let host = if kind == 0 { self.flights[index].to } else { index };
            self.hosts[host].node.now = self.local(host, self.now);
            if kind == 0 {
                let Flight { from, bytes, .. } = self.flights.remove(index);
                self.hosts[host].node.bytes(LAN, super::host(from as u8 + 1), 255, &bytes);
            } else {
                self.hosts[host].node.event(Event::Timeout);
            }
            self.collect(host);
        }
        self.now = end;
    }

    fn active(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|at| self.hosts[*at].node.state() == State::Active).collect()
    }

    fn holders(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|at| !self.hosts[*at].node.holds.is_empty()).collect()
    }
}

/// What goes wrong for some time.
#[derive(Clone, Debug)]
enum Fault {
    Loss(u32),
    Cut([u8; 4]),
    Stop(usize),
}

fn faults() -> impl Strategy<Value = Vec<(Fault, u64)>> {
    let fault = prop_oneof![
        (10u32..=100).prop_map(Fault::Loss),
        proptest::array::uniform4(0u8..8).prop_map(Fault::Cut),
        (0..HOSTS).prop_map(Fault::Stop),
    ];
    proptest::collection::vec((fault, 10_000u64..8_000_000), 0..6)
}

proptest! {
    /// Whatever was lost, delayed and stopped: three intervals and a skew after all is well, one node is Active, and it
    /// alone holds the address.
    #[test]
    fn one_active_after_the_heal(
        seed: u64,
        version_2: bool,
        centis in prop_oneof![Just(1u16), Just(10), Just(100)],
        priorities in proptest::array::uniform3(1u8..=254),
        preempt: bool,
        drifts in proptest::array::uniform3(-9_000i64..=9_000),
        faults in faults(),
    ) {
        let config = |priority| if version_2 { v2(priority) } else { v3(priority, centis) };
        let configs = priorities.map(|priority| InstanceConfig { preempt, ..config(priority) });
        let interval_us = u64::from(configs[0].interval.as_centis()) * 10_000;
        let mut world = World::new(seed, &configs, &drifts);
        // Delay is small beside the interval, as it is on a link.
        world.delay_us = (interval_us / 100) as u32;
        for at in 0..HOSTS {
            world.collect(at);
        }
        for (fault, time_us) in faults {
            match fault {
                Fault::Loss(percent) => world.loss_percent = percent,
                Fault::Cut(cut) => world.cut = cut,
                Fault::Stop(at) => world.hosts[at].stopped_until = world.now + time_us,
            }
            world.run(time_us.min(interval_us * 50));
        }
        (world.loss_percent, world.cut) = (0, [0; 4]);
        for host in &mut world.hosts {
            host.stopped_until = 0;
        }
        // The skew of priority 1 at most; drift and delay on top.
        let lowest = priorities.iter().copied().min().unwrap_or(1);
        let limit = timing::active_down_interval(configs[0].version, lowest, configs[0].interval);
        let limit_us = u64::try_from(limit.as_micros()).unwrap();
        world.run(limit_us + limit_us / 50 + interval_us / 10);
        prop_assert_eq!(world.active().len(), 1, "{:?}", world.active());
        prop_assert_eq!(world.holders(), world.active());
        // And so it stays.
        let first = world.active();
        let became = |world: &World| world.hosts.iter().map(|h| h.node.counters().became_active).sum::<u64>();
        let before = became(&world);
        world.run(limit_us * 3);
        prop_assert_eq!(world.active().len(), 1);
        prop_assert_eq!(world.holders(), world.active());
        if preempt {
            let highest = priorities.iter().copied().max();
            prop_assert_eq!(highest, world.active().first().map(|at| priorities[*at]));
        } else {
            prop_assert_eq!(world.active(), first);
            prop_assert_eq!(became(&world), before);
        }
    }
}

/// After a split heals, the one that stays announces itself within an interval, so nobody talks to the other one.
#[test]
fn the_winner_announces_itself_after_a_heal() {
    for (version_2, interval_us) in [(true, 1_000_000), (false, 100_000)] {
        for step in 0..20 {
            let config = |priority| if version_2 { v2(priority) } else { v3(priority, 10) };
            let mut world = World::new(step, &[config(100), config(90)], &[0, 0]);
            world.delay_us = 200;
            world.cut = [0b10, 0b01, 0, 0];
            world.run(interval_us * 20 + step * interval_us / 20);
            assert_eq!(world.active(), [0, 1]);
            let before = world.hosts[0].node.counters().announced;
            world.cut = [0; 4];
            let mut loser_left = None;
            for _ in 0..2_000 {
                world.run(1_000);
                if world.active() == [0] {
                    loser_left = Some(world.now);
                    break;
                }
            }
            assert!(loser_left.is_some());
            world.run(5_000);
            assert!(world.hosts[0].node.counters().announced > before, "{version_2} {step}");
            assert!(world.hosts[0].node.counters().contested > 0);
        }
    }
}

/// Health moves the address within the skew of the other node.
#[test]
fn a_loss_of_health_moves_the_address_within_the_skew() {
    let track = TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true };
    let mut config = v3(100, 10);
    config.tracks.push(TrackUse { track: TrackId(0), weight: -20 }).unwrap();
    let mut world = World::new(1, &[v3(100, 10), v3(90, 10)], &[0, 0]);
    config.source = Some(host(1));
    world.hosts[0].node.configure(&[config], &[], &[track]);
    world.delay_us = 200;
    world.run(1_000_000);
    assert_eq!(world.active(), [0]);
    world.hosts[0].node.now = world.local(0, world.now);
    world.hosts[0].node.track(0, false);
    world.collect(0);
    world.run(66_000);
    assert_eq!((world.active(), world.holders()), (std::vec![1], std::vec![1]));
    world.run(2_000_000);
    assert_eq!(world.active(), [1]);
}
