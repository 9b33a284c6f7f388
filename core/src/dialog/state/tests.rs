use proptest::prelude::*;
use std::vec::Vec;

use super::DialogAction::{Confirmed, Early, Ended};
use super::DialogEvent::*;
use super::*;
use crate::entropy::SeededEntropy;

const LIMITS: DialogLimits =
    DialogLimits { early: Duration::from_secs(190), max_lifetime: Duration::from_secs(43_200) };
const ANSWERED: DialogEvent = Answered { expires_s: None };

fn at(s: u64) -> Instant {
    Instant::from_millis(1_000_000 + s * 1_000)
}

fn dialog() -> DialogState {
    DialogState::new(at(0), &LIMITS, 1)
}

fn step(dialog: &mut DialogState, s: u64, event: DialogEvent) -> Option<DialogAction> {
    let mut out = Vec::new();
    let mut cx = Cx { now: at(s), entropy: &mut SeededEntropy::new(1) };
    dialog.handle(&mut cx, DialogStep { limits: &LIMITS, event }, &mut |a| out.push(a));
    assert!(out.len() <= DialogState::ACTIONS_MAX);
    out.pop()
}

fn run(events: &[(u64, DialogEvent)]) -> (DialogState, Vec<DialogAction>) {
    let mut d = dialog();
    let out = events.iter().filter_map(|(s, e)| step(&mut d, *s, *e)).collect();
    (d, out)
}

#[test]
fn it_stays_small() {
    assert!(size_of::<DialogState>() <= 48);
    assert_eq!(LIMITS, DialogLimits::default());
}

#[test]
fn a_call_from_invite_to_bye() {
    let (d, out) = run(&[
        (0, Provisional { to_tag: false }),
        (1, Provisional { to_tag: true }),
        (2, Provisional { to_tag: true }),
        (5, ANSWERED),
        (5, Ack),
        (65, ByeAnswered { status: 200 }),
    ]);
    assert_eq!(out, [Early, Confirmed, Ended(EndReason::Bye)]);
    assert_eq!((d.created_at(), d.answered_at(), d.is_acknowledged()), (at(0), Some(at(5)), true));
    assert!(d.is_done() && d.next_deadline().is_none());
}

#[test]
fn failures_and_cancel() {
    let busy = FinalFailure { status: 486 };
    assert_eq!(run(&[(1, busy)]).1, [Ended(EndReason::Rejected { status: 486 })]);
    assert_eq!(run(&[(1, Cancelled), (2, FinalFailure { status: 487 })]).1, [Ended(EndReason::Cancelled)]);
    assert_eq!(run(&[(1, Cancelled), (2, ANSWERED), (3, busy)]).1, [Confirmed]);
}

#[test]
fn an_early_dialog_lives_for_190_s_after_its_last_provisional_response() {
    let (mut d, _) = run(&[(100, Provisional { to_tag: true })]);
    assert_eq!(d.next_deadline(), Some(at(290)));
    assert_eq!(step(&mut d, 289, Timeout), None);
    assert_eq!(step(&mut d, 290, Timeout), Some(Ended(EndReason::NoAnswer)));
    assert_eq!(d.next_deadline(), None);
}

#[test]
fn without_a_session_timer_the_lifetime_counts() {
    let (mut d, _) = run(&[(10, ANSWERED), (20, Answered { expires_s: Some(90) })]);
    assert!(!d.has_session_timer());
    assert_eq!(d.next_deadline(), Some(at(43_210)));
    assert_eq!(step(&mut d, 43_210, Timeout), Some(Ended(EndReason::LifetimeOver)));
}

#[test]
fn the_session_timer_counts_from_each_refresh() {
    let (mut d, _) = run(&[(10, Answered { expires_s: Some(1_800) })]);
    assert_eq!(d.next_deadline(), Some(at(1_810)));
    assert_eq!(step(&mut d, 900, SessionRefreshed { expires_s: Some(600) }), None);
    assert_eq!(d.next_deadline(), Some(at(1_500)));
    assert_eq!(step(&mut d.clone(), 1_500, Timeout), Some(Ended(EndReason::SessionExpired)));
    assert_eq!(step(&mut d, 1_000, SessionRefreshed { expires_s: None }), None);
    assert_eq!((d.has_session_timer(), d.next_deadline()), (false, Some(at(44_200))));
}

#[test]
fn a_bye_ends_it_unless_it_was_challenged_or_is_pending() {
    for status in [180, 401, 407] {
        assert_eq!(run(&[(1, ANSWERED), (2, ByeAnswered { status })]).1, [Confirmed], "{status}");
    }
    for status in [200, 403, 408, 481, 500] {
        let out = run(&[(1, ANSWERED), (2, ByeAnswered { status })]).1;
        assert_eq!(out, [Confirmed, Ended(EndReason::Bye)], "{status}");
    }
    assert_eq!(run(&[(1, ANSWERED), (2, ByeTimedOut)]).1, [Confirmed, Ended(EndReason::ByeTimedOut)]);
}

#[test]
fn cseq_is_counted_by_side_and_never_falls() {
    let (mut d, _) = run(&[(1, ANSWERED)]);
    assert_eq!((d.cseq(Side::Caller), d.cseq(Side::Callee)), (Some(1), None));
    step(&mut d, 2, Request { from: Side::Callee, cseq: 0 });
    assert_eq!(d.cseq(Side::Callee), Some(0));
    step(&mut d, 3, Request { from: Side::Caller, cseq: 7 });
    step(&mut d, 4, Request { from: Side::Caller, cseq: 3 });
    assert_eq!((d.cseq(Side::Caller), d.cseq(Side::Callee)), (Some(7), Some(0)));
}

fn events() -> impl Strategy<Value = DialogEvent> {
    let expires = || prop::option::of(0..=u32::MAX);
    prop_oneof![
        any::<bool>().prop_map(|to_tag| Provisional { to_tag }),
        expires().prop_map(|expires_s| Answered { expires_s }),
        expires().prop_map(|expires_s| SessionRefreshed { expires_s }),
        (0..800_u16).prop_map(|status| ByeAnswered { status }),
        any::<u32>().prop_map(|cseq| Request { from: Side::Caller, cseq }),
        Just(FinalFailure { status: 404 }),
        Just(ByeTimedOut),
        Just(Cancelled),
        Just(Ack),
        Just(Timeout),
    ]
}

proptest! {
    #[test]
    fn it_ends_once_and_is_silent_after(events in prop::collection::vec((0..500_u64, events()), 0..40)) {
        let mut d = dialog();
        let (mut s, mut out) = (0, Vec::new());
        for (wait, event) in events {
            s += wait;
            out.extend(step(&mut d, s, event));
        }
        if let Some(deadline) = d.next_deadline() {
            let s = deadline.since(at(0)).as_secs().max(s);
            out.extend(step(&mut d, s, Timeout));
        }
        prop_assert!(d.is_done() && d.next_deadline().is_none());
        prop_assert!(matches!(out.last(), Some(Ended(_))));
        prop_assert_eq!(out.iter().filter(|a| matches!(a, Ended(_))).count(), 1);
        prop_assert!(out.iter().filter(|a| **a == Confirmed).count() <= 1);
    }
}
