//! How a message finds its dialog, and what is left when one ends.

use std::vec::Vec;

use super::*;
use crate::entropy::SeededEntropy;
use crate::store::BufPool;

const START: Instant = Instant::from_millis(1_000);

fn dialogs(capacity: usize) -> Dialogs<'static> {
    let mut names = BufPool::new("names");
    names.add_class(128, Slots::reserved(128 * capacity)).unwrap();
    let memory =
        Memory { dialogs: Slots::reserved(capacity), index: Slots::reserved(Index::buckets_for(capacity)), names };
    Dialogs::new(memory, HashKey::new([3; 16]), DialogLimits::default())
}

fn names<'n>(call_id: &'n [u8], caller: &'n [u8]) -> Names<'n> {
    Names { call_id, caller_tag: caller, callee_tag: b"", from: b"sip:a@b", to: b"sip:c@d" }
}

fn at(s: u64, f: impl FnOnce(&mut Cx<'_>)) {
    f(&mut Cx { now: START + Duration::from_secs(s), entropy: &mut SeededEntropy::new(1) });
}

#[test]
fn both_sides_find_their_dialog_and_nobody_else() {
    let mut d = dialogs(4);
    at(0, |cx| {
        let key = d.open(cx, &names(b"one", b"al"), 1).unwrap();
        d.answered(cx, key, &Names { callee_tag: b"bo", ..names(b"one", b"al") }, None);
        assert_eq!(d.find(b"one", b"al", b"bo"), Some((key, Side::Caller)));
        assert_eq!(d.find(b"one", b"bo", b"al"), Some((key, Side::Callee)));
        assert_eq!(d.find(b"one", b"al", b""), Some((key, Side::Caller)), "what a fork makes of it is the same call");
        assert_eq!(d.find(b"two", b"al", b"bo"), None);
        assert_eq!(d.find(b"one", b"x", b"bo"), None);
        let dialog = d.get(key).unwrap();
        assert_eq!(d.names(dialog).unwrap().callee_tag, b"bo");
        assert!(d.event(cx, key, DialogEvent::ByeAnswered { status: 200 }).is_some());
        assert_eq!(d.find(b"one", b"al", b"bo"), None);
    });
    assert!(d.is_clean());
}

#[test]
fn it_ends_once_with_its_target_and_its_length() {
    let mut d = dialogs(4);
    at(0, |cx| {
        let key = d.open(cx, &names(b"one", b"al"), 1).unwrap();
        d.answered(cx, key, &names(b"one", b"al"), None);
        assert_eq!(d.set_target(key, Some(TargetId::from_u32(7))), None);
        assert_eq!(d.set_target(key, Some(TargetId::from_u32(8))), Some(TargetId::from_u32(7)));
    });
    at(10, |cx| {
        let (key, _) = d.find(b"one", b"al", b"").unwrap();
        let ended = d.event(cx, key, DialogEvent::ByeAnswered { status: 200 }).unwrap();
        assert_eq!(ended.target, Some(TargetId::from_u32(8)));
        assert_eq!((ended.reason, ended.answered_for), (EndReason::Bye, Some(Duration::from_secs(10))));
        assert!(d.event(cx, key, DialogEvent::ByeAnswered { status: 200 }).is_none());
        assert_eq!(d.set_target(key, None), None);
    });
    assert!(d.is_clean());
}

#[test]
fn an_unanswered_bye_ends_a_confirmed_dialog_only() {
    let mut d = dialogs(4);
    at(0, |cx| {
        let early = d.open(cx, &names(b"one", b"al"), 1).unwrap();
        let confirmed = d.open(cx, &names(b"two", b"al"), 1).unwrap();
        d.answered(cx, confirmed, &names(b"two", b"al"), None);
        d.bye(cx, early);
        d.bye(cx, confirmed);
        assert!(d.next_deadline().is_some_and(|at| at <= START + BYE_WAIT));
    });
    at(1, |cx| d.bye(cx, d.find(b"two", b"al", b"").unwrap().0));
    at(32, |cx| {
        assert_eq!(d.expire(cx).unwrap().unwrap().reason, EndReason::ByeTimedOut, "the first BYE counts");
        assert!(d.expire(cx).is_none());
    });
    at(190, |cx| assert_eq!(d.expire(cx).unwrap().unwrap().reason, EndReason::NoAnswer));
    assert!(d.is_clean());
}

#[test]
fn one_more_than_there_is_room_for_is_refused_and_leaves_nothing() {
    let mut d = dialogs(2);
    at(0, |cx| {
        let keys: Vec<_> = [&b"1"[..], b"2"].iter().map(|id| d.open(cx, &names(id, b"al"), 1).unwrap()).collect();
        assert!(d.open(cx, &names(b"3", b"al"), 1).is_err());
        assert_eq!(d.find(b"3", b"al", b""), None);
        for key in keys {
            assert!(d.event(cx, key, DialogEvent::FinalFailure { status: 486 }).unwrap().answered_for.is_none());
        }
    });
    assert!(d.is_clean());
    assert_eq!((d.capacity(), d.high_water()), (2, 2));
}

#[test]
fn names_that_are_too_long_are_left_out_and_the_dialog_is_followed() {
    let mut d = dialogs(2);
    at(0, |cx| {
        let long = [b'x'; 500];
        let key = d.open(cx, &names(&long, b"al"), 1).unwrap();
        assert!(d.names(d.get(key).unwrap()).is_none());
        assert_eq!(d.find(&long, b"al", b"").map(|f| f.0), Some(key));
        d.event(cx, key, DialogEvent::FinalFailure { status: 486 });
    });
    assert!(d.is_clean());
}
