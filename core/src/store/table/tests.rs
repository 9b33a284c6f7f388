use super::*;
use core::time::Duration;
use proptest::prelude::*;
use std::collections::HashMap;
use std::vec::Vec;

#[derive(Clone, Debug, PartialEq)]
struct Machine {
    deadline: Option<Instant>,
    done: bool,
    tag: u32,
}

impl Timed for Machine {
    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

fn machine(us: u64) -> Machine {
    Machine { deadline: Some(Instant::from_micros(us)), done: false, tag: 0 }
}

const fn us(us: u64) -> Instant {
    Instant::from_micros(us)
}

#[test]
fn sizes_are_as_documented() {
    assert_eq!(size_of::<Slot<[u64; 4]>>(), 24 + 32);
    assert_eq!(size_of::<Slot<u32>>(), 24 + 8);
    assert!(size_of::<Table<'_, Machine>>() < 1_800);
}

#[test]
fn inserted_deadline_is_linked() {
    let mut memory = [const { Slot::EMPTY }; 2];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    assert_eq!(table.next_deadline(), None);
    let key = table.insert(machine(10_300)).unwrap();
    assert_eq!(table.next_deadline(), Some(us(11_000)));
    assert_eq!(table.expire(us(10_999)), None, "never early");
    assert_eq!(table.expire(us(11_000)), Some(key));
}

#[test]
fn run_relinks_in_both_directions_and_unlinks() {
    let mut memory = [const { Slot::EMPTY }; 2];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    let key = table.insert(machine(30_000)).unwrap();
    for deadline in [20_000, 50_000] {
        let ran = table.run(key, |m| m.deadline = Some(us(deadline))).unwrap();
        assert_eq!(ran.freed, None);
        assert_eq!(table.next_deadline(), Some(us(deadline)));
    }
    assert_eq!(table.run(key, |m| m.deadline.take()).unwrap().value, Some(us(50_000)));
    assert_eq!(table.next_deadline(), None);
    assert_eq!(table.expire(us(1_000_000)), None);
}

#[test]
fn done_machine_is_handed_back_and_its_key_is_stale() {
    let mut memory = [const { Slot::EMPTY }; 2];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    let key = table.insert(machine(5_000)).unwrap();
    let ran = table.run(key, |m| {
        m.done = true;
        "value"
    });
    let ran = ran.unwrap();
    assert_eq!(ran.value, "value");
    assert_eq!(ran.freed, Some(Machine { done: true, ..machine(5_000) }));
    assert!(table.run(key, |_| ()).is_none());
    assert!(table.is_empty());
    assert_eq!(table.next_deadline(), None, "a freed machine has no timer");
}

#[test]
fn removed_machine_does_not_expire() {
    let mut memory = [const { Slot::EMPTY }; 2];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    let first = table.insert(machine(5_000)).unwrap();
    let second = table.insert(machine(5_000)).unwrap();
    assert_eq!(table.expire(us(9_000)), Some(first));
    assert_eq!(table.remove(first), Some(machine(5_000)));
    assert_eq!(table.remove(first), None);
    let third = table.insert(machine(7_000)).unwrap();
    assert_eq!(third.slot(), first.slot());
    assert_eq!(table.expire(us(9_000)), Some(second));
    assert_eq!(table.run(second, |m| m.deadline = None).unwrap().freed, None);
    assert_eq!(table.expire(us(9_000)), Some(third));
}

#[test]
fn machine_that_was_not_run_expires_again() {
    let mut memory = [const { Slot::EMPTY }; 2];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    let key = table.insert(machine(5_000)).unwrap();
    assert_eq!(table.expire(us(5_000)), Some(key));
    assert_eq!(table.next_deadline(), Some(us(5_000)));
    assert_eq!(table.expire(us(5_000)), Some(key));
}

#[test]
fn deadline_in_the_past_fires_at_once() {
    let mut memory = [const { Slot::EMPTY }; 2];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    assert_eq!(table.expire(us(1_000_000)), None);
    let key = table.insert(machine(3)).unwrap();
    assert_eq!(table.next_deadline(), Some(us(1_000_000)));
    assert_eq!(table.expire(us(1_000_000)), Some(key));
}

#[cfg(debug_assertions)]
#[test]
#[should_panic(expected = "has not moved")]
fn timeout_that_moves_no_deadline_is_a_bug() {
    let mut memory = [const { Slot::EMPTY }; 1];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    let key = table.insert(machine(5_000)).unwrap();
    assert_eq!(table.expire(us(6_000)), Some(key));
    let _ = table.run(key, |m| m.deadline = Some(us(6_000)));
}

#[test]
fn insert_with_tells_the_key_and_is_not_called_when_full() {
    let mut memory = [const { Slot::EMPTY }; 1];
    let mut table = Table::new(Slots::lent(&mut memory), "machines");
    let key = table.insert_with(|key| Machine { tag: key.slot() + 40, ..machine(1) }).unwrap();
    assert_eq!(table.get(key).unwrap().tag, 40);
    assert_eq!(table.at(0), Some((key, &Machine { tag: 40, ..machine(1) })));
    assert!(table.is_full());
    assert_eq!(table.insert_with(|_| unreachable!("full")), Err(Full { what: "machines" }));
}

#[cfg(feature = "alloc")]
#[test]
fn reserved_table_does_not_reallocate() {
    let mut table = Table::new(Slots::reserved(5_000), "machines");
    let first = table.insert(machine(1)).unwrap();
    let place: *const Machine = table.get(first).unwrap();
    while table.insert(machine(2)).is_ok() {}
    assert_eq!((table.len(), table.capacity(), table.high_water()), (5_000, 5_000, 5_000));
    assert!(core::ptr::eq(table.get(first).unwrap(), place));
}

#[derive(Clone, Debug)]
enum Op {
    Insert(Option<u64>),
    Run(usize, Option<u64>, bool),
    Remove(usize),
    Advance(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let wait = || proptest::option::weighted(0.8, (0..45u32, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1)));
    let op = prop_oneof![
        3 => wait().prop_map(Op::Insert),
        3 => (any::<usize>(), wait(), proptest::bool::weighted(0.2)).prop_map(|(n, w, d)| Op::Run(n, w, d)),
        1 => any::<usize>().prop_map(Op::Remove),
        2 => (0..45u32, any::<u64>()).prop_map(|(bits, n)| Op::Advance(n & ((1 << bits) - 1))),
    ];
    proptest::collection::vec(op, 0..200)
}

fn agrees_with_a_map(mut table: Table<'_, Machine>, ops: Vec<Op>) {
    let mut model: HashMap<Key, Machine> = HashMap::new();
    let mut keys = Vec::new();
    let mut now = us(1_700_000_000_123_456);
    let after = |now: Instant, wait: Option<u64>| wait.map(|us| now + Duration::from_micros(us));
    for (op, tag) in ops.into_iter().zip(0..) {
        match op {
            Op::Insert(wait) => {
                let machine = Machine { deadline: after(now, wait), done: false, tag };
                match table.insert(machine.clone()) {
                    Ok(key) => {
                        assert_eq!(model.insert(key, machine), None);
                        keys.push(key);
                    }
                    Err(_) => assert_eq!(model.len(), table.capacity()),
                }
            }
            Op::Run(n, wait, done) if !keys.is_empty() => {
                let key = keys[n % keys.len()];
                let ran = table.run(key, |m| (m.deadline, m.done, m.tag) = (after(now, wait), done, tag));
                assert_eq!(ran.is_some(), model.contains_key(&key));
                if let Some(ran) = ran {
                    let machine = Machine { deadline: after(now, wait), done, tag };
                    assert_eq!(ran.freed, done.then(|| machine.clone()));
                    model.insert(key, machine);
                    model.retain(|_, m| !m.done);
                }
            }
            Op::Remove(n) if !keys.is_empty() => {
                let key = keys[n % keys.len()];
                assert_eq!(table.remove(key), model.remove(&key));
            }
            Op::Advance(us) => {
                now = now + Duration::from_micros(us);
                expire_all(&mut table, &mut model, now);
            }
            Op::Run(..) | Op::Remove(_) => {}
        }
        assert_eq!(table.len(), model.len());
        assert!(keys.iter().all(|key| table.get(*key) == model.get(key)));
        let first = model.values().filter_map(|m| m.deadline).min();
        match (table.next_deadline(), first) {
            (Some(next), Some(first)) => assert!(next < first.max(now) + Duration::from_millis(1)),
            (next, first) => assert_eq!(next, first),
        }
    }
    assert_eq!(table.iter().map(|(key, m)| (key, m.clone())).collect::<HashMap<_, _>>(), model);
}

/// Everything whose tick has come expires, nothing else does.
fn expire_all(table: &mut Table<'_, Machine>, model: &mut HashMap<Key, Machine>, now: Instant) {
    let mut last = Instant::MIN;
    while let Some(key) = table.expire(now) {
        let machine = model.get_mut(&key).expect("only what is there expires");
        let deadline = machine.deadline.take().expect("only what waits expires");
        assert!(deadline <= now);
        assert!(deadline.as_millis() + 1 >= last.as_millis(), "in order of ticks");
        last = deadline;
        let ran = table.run(key, |m| m.deadline = None).unwrap();
        assert_eq!(ran.freed, None);
    }
    let whole = Instant::from_millis(now.as_millis());
    assert!(model.values().all(|m| m.deadline.is_none_or(|d| d > whole)));
}

proptest! {
    #[test]
    fn lent_table_agrees_with_a_map(ops in ops()) {
        let mut memory = [const { Slot::EMPTY }; 3];
        agrees_with_a_map(Table::new(Slots::lent(&mut memory), "machines"), ops);
    }

    #[cfg(feature = "alloc")]
    #[test]
    fn reserved_table_agrees_with_a_map(ops in ops()) {
        agrees_with_a_map(Table::new(Slots::reserved(10_000), "machines"), ops);
    }
}
