use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

impl Links for Vec<Link> {
    fn link(&self, slot: u32) -> Option<Link> {
        self.get(slot as usize).copied()
    }

    fn link_mut(&mut self, slot: u32) -> Option<&mut Link> {
        self.get_mut(slot as usize)
    }
}

struct Timers {
    wheel: Wheel,
    links: Vec<Link>,
}

impl Timers {
    fn new(n: usize) -> Self {
        Self { wheel: Wheel::new(), links: vec![Link::NONE; n] }
    }

    fn link(&mut self, slot: u32, tick: u64) {
        self.wheel.link(&mut self.links, slot, tick);
    }

    fn unlink(&mut self, slot: u32) {
        self.wheel.unlink(&mut self.links, slot);
    }

    fn pop(&mut self, now: u64) -> Option<u32> {
        let slot = self.wheel.due(&mut self.links, now)?;
        self.unlink(slot);
        Some(slot)
    }

    fn drain(&mut self, now: u64) -> Vec<u32> {
        core::iter::from_fn(|| self.pop(now)).collect()
    }
}

#[test]
fn sizes_are_as_documented() {
    assert_eq!(size_of::<Link>(), 16);
    assert!(size_of::<Wheel>() <= 1_640);
}

#[test]
fn deadlines_round_up_and_now_rounds_down() {
    for (us, up, down) in [(1, 1, 0), (999, 1, 0), (1_000, 1, 1), (1_001, 2, 1)] {
        let at = Instant::from_micros(us);
        assert_eq!((tick_of(at), tick_at(at)), (up, down), "{us} us");
        assert!(start_of(tick_of(at)) >= at);
    }
    assert_eq!(start_of(tick_of(Instant::MAX)), Instant::MAX);
    assert!(tick_of(Instant::MAX) < 1 << (64 - PLACE_BITS));
}

#[test]
fn timers_fire_in_their_tick_and_not_before() {
    // Both sides of every border between levels, and of the span.
    let ticks: Vec<u64> = (0..=SPAN + 4).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit, (1 << bit) + 1]).collect();
    for start in [0, 1, 63, 64, 4_095, 1 << 20, (1 << SPAN) - 1, 1 << SPAN, 5 << SPAN] {
        for tick in &ticks {
            let mut t = Timers::new(1);
            assert_eq!(t.pop(start), None);
            let tick = start + tick;
            t.link(0, tick);
            if tick > start {
                assert_eq!(t.pop(tick - 1), None, "{start} {tick}");
            }
            assert_eq!(t.pop(tick), Some(0), "{start} {tick}");
            assert_eq!(t.pop(tick), None);
        }
    }
}

#[test]
fn near_tick_is_exact_and_far_one_is_approached_from_below() {
    let mut t = Timers::new(2);
    assert_eq!(t.wheel.next_tick(), None);
    t.link(0, 63);
    assert_eq!(t.wheel.next_tick(), Some(63));
    t.unlink(0);
    assert_eq!(t.wheel.next_tick(), None);
    for tick in [32_000, 1 << 30, (1 << SPAN) + 5, (7 << SPAN) + 123_456] {
        let mut t = Timers::new(1);
        t.link(0, tick);
        let mut wakes = 0;
        loop {
            let next = t.wheel.next_tick().unwrap();
            assert!(next <= tick);
            wakes += 1;
            if t.pop(next).is_some() {
                assert_eq!(next, tick);
                break;
            }
        }
        assert!(wakes <= 14, "{wakes} wakes for {tick}");
    }
}

#[test]
fn one_tick_fires_in_link_order_from_whatever_level() {
    let mut t = Timers::new(6);
    let tick = 300_000;
    t.link(4, tick);
    t.link(1, tick);
    assert_eq!(t.pop(299_000), None);
    t.link(5, tick);
    t.link(0, tick);
    assert_eq!(t.pop(tick - 1), None);
    t.link(3, tick);
    t.link(2, tick - 1);
    t.unlink(1);
    assert_eq!(t.drain(tick + 10), [2, 4, 5, 0, 3]);
}

#[test]
fn past_tick_fires_at_once_behind_what_is_due() {
    let mut t = Timers::new(3);
    assert_eq!(t.pop(1_000), None);
    t.link(0, 1_000);
    t.link(1, 10);
    t.link(2, 1_001);
    assert_eq!(t.wheel.next_tick(), Some(1_000));
    assert_eq!(t.drain(1_000), [0, 1]);
}

#[test]
fn time_that_goes_back_fires_nothing() {
    let mut t = Timers::new(1);
    assert_eq!(t.pop(1_000), None);
    t.link(0, 1_005);
    assert_eq!(t.pop(10), None);
    assert_eq!(t.pop(1_005), Some(0));
}

#[test]
fn timer_of_never_stays() {
    let mut t = Timers::new(2);
    t.link(0, tick_of(Instant::MAX));
    t.link(1, 10 << SPAN);
    assert_eq!(t.drain(11 << SPAN), [1]);
    assert_eq!(t.pop(1 << 53), None);
    t.link(1, (1 << 53) + 1);
    assert_eq!(t.drain((1 << 53) + 1), [1]);
}

#[derive(Clone, Debug)]
enum Op {
    Link(u32, u64),
    Unlink(u32),
    Advance(u64, usize),
}

/// Spans of ticks that reach every level.
fn span() -> impl Strategy<Value = u64> {
    (0..40u32, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1))
}

fn ops(slots: u32) -> impl Strategy<Value = Vec<Op>> {
    let few_ticks = prop_oneof![3 => span(), 1 => 0..4u64];
    let op = prop_oneof![
        5 => (0..slots, few_ticks).prop_map(|(slot, dt)| Op::Link(slot, dt)),
        1 => (0..slots).prop_map(Op::Unlink),
        2 => (span(), 0..8usize).prop_map(|(dt, most)| Op::Advance(dt, most)),
    ];
    proptest::collection::vec(op, 0..250)
}

/// The model keeps `(tick, order of linking) -> slot`.
fn agrees_with_a_map(slots: u32, start: u64, ops: Vec<Op>) {
    let mut t = Timers::new(slots as usize);
    let (mut now, mut order) = (start, 0u32);
    let mut model = BTreeMap::new();
    let mut linked = BTreeMap::new();
    t.pop(start);
    for op in ops {
        match op {
            Op::Link(slot, dt) => {
                t.unlink(slot);
                if let Some(old) = linked.remove(&slot) {
                    model.remove(&old);
                }
                t.link(slot, now + dt);
                order += 1;
                model.insert((now + dt, order), slot);
                linked.insert(slot, (now + dt, order));
            }
            Op::Unlink(slot) => {
                t.unlink(slot);
                if let Some(old) = linked.remove(&slot) {
                    model.remove(&old);
                }
            }
            Op::Advance(dt, most) => {
                // What is left over when the caller stops early is still there the next time.
                now += dt;
                for _ in 0..most {
                    let due = model.first_key_value().filter(|((tick, _), _)| *tick <= now);
                    let due = due.map(|(key, slot)| (*key, *slot));
                    assert_eq!(t.pop(now), due.map(|(_, slot)| slot));
                    let Some((key, slot)) = due else { break };
                    model.remove(&key);
                    linked.remove(&slot);
                }
                // Links into the past would be due behind what is due: keep the model simple.
                while let Some(slot) = t.pop(now) {
                    let (key, model_slot) = model.pop_first().unwrap();
                    assert!(key.0 <= now && model_slot == slot);
                    linked.remove(&slot);
                }
            }
        }
        let first = model.first_key_value().map(|((tick, _), _)| *tick);
        match (t.wheel.next_tick(), first) {
            (Some(next), Some(first)) => assert!(next <= first && (first >> 6 != now >> 6 || next == first)),
            (next, first) => assert_eq!(next, first),
        }
        let n = t.links.iter().filter(|link| link.is_linked()).count();
        assert_eq!(n, model.len());
    }
    let rest = t.drain(u64::MAX >> PLACE_BITS);
    assert!(rest.into_iter().eq(model.into_values()));
}

proptest! {
    #[test]
    fn few_timers_agree_with_a_map(start in span(), ops in ops(4)) {
        agrees_with_a_map(4, start, ops);
    }

    #[test]
    fn many_timers_agree_with_a_map(start in span(), ops in ops(100)) {
        agrees_with_a_map(100, start, ops);
    }
}
