use core::time::Duration;

use proptest::prelude::*;

use super::ClientInviteAction::*;
use super::ClientInviteEvent::{Cancel, Response, Timeout, TransportFailed};
use super::*;
use crate::transaction::script::Script;

const START: ClientInviteEvent = ClientInviteEvent::Start { first_reply_timeout: None };
const START_2S: ClientInviteEvent = ClientInviteEvent::Start { first_reply_timeout: Some(Duration::from_secs(2)) };
const RINGING: ClientInviteEvent = Response { status: 180 };
const OK: ClientInviteEvent = Response { status: 200 };
const BUSY: ClientInviteEvent = Response { status: 486 };

type Run = Script<ClientInvite, ClientInviteEvent, ClientInviteAction>;

fn udp() -> Run {
    Script::new(ClientInvite::new(false), Timeout)
}

fn tcp() -> Run {
    Script::new(ClientInvite::new(true), Timeout)
}

/// Limits larger than Timer B, so that the RFC's timers are alone.
fn rfc_only() -> Timers {
    Timers { fr: Duration::from_secs(60), ..Timers::DEFAULT }
}

#[test]
fn it_stays_small() {
    assert!(size_of::<ClientInvite>() <= 32);
}

#[test]
fn timers_a_and_b_over_udp() {
    let log = udp().with(rfc_only()).at(0, START).finish();
    let mut want = [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500].map(|ms| (ms, SendRequest)).to_vec();
    want.extend([(32_000, TimedOut), (32_000, Terminated)]);
    assert_eq!(log, want);
}

#[test]
fn only_timer_b_over_tcp() {
    let log = tcp().with(rfc_only()).at(0, START).finish();
    assert_eq!(log, [(0, SendRequest), (32_000, TimedOut), (32_000, Terminated)]);
}

#[test]
fn fr_timer_gives_up_at_30_s_and_timer_b_ends_it() {
    assert_eq!(tcp().at(0, START).finish(), [(0, SendRequest), (30_000, TimedOut), (32_000, Terminated)]);
}

#[test]
fn a_provisional_response_stops_timers_a_and_b_and_starts_fr_inv() {
    let log = udp().at(0, START).at(700, RINGING).finish();
    let want = [
        (0, SendRequest),
        (500, SendRequest),
        (700, PassResponse),
        (120_700, TimedOut),
        (120_700, SendCancel),
        (152_700, Terminated),
    ];
    assert_eq!(log, want);
}

#[test]
fn each_provisional_response_restarts_fr_inv() {
    let mut run = tcp();
    run.at(0, START).at(100, Response { status: 100 }).at(60_000, RINGING).at(170_000, RINGING).take();
    assert_eq!(run.finish(), [(290_000, TimedOut), (290_000, SendCancel), (322_000, Terminated)]);
}

#[test]
fn without_restart_only_news_restarts_fr_inv() {
    let timers = Timers { restart_fr_on_each_reply: false, ..Timers::DEFAULT };
    let mut run = tcp().with(timers);
    run.at(0, START).at(100, Response { status: 100 }).at(1_000, RINGING).at(50_000, RINGING).take();
    assert_eq!(run.finish()[0], (121_000, TimedOut));
    let mut run = tcp().with(timers);
    run.at(0, START).at(100, RINGING).at(1_000, Response { status: 183 }).at(2_000, RINGING).take();
    assert_eq!(run.finish()[0], (121_000, TimedOut));
}

#[test]
fn a_silent_target_is_given_up_after_the_first_reply_timeout() {
    let log = udp().at(0, START_2S).finish();
    let want = [(0, SendRequest), (500, SendRequest), (1_500, SendRequest), (2_000, TimedOut), (32_000, Terminated)];
    assert_eq!(log, want);
}

#[test]
fn a_100_is_a_first_reply() {
    let mut run = tcp();
    run.at(0, START_2S).at(1_999, Response { status: 100 }).take();
    assert_eq!(run.finish()[0], (121_999, TimedOut));
}

#[test]
fn a_target_that_answers_after_it_was_given_up_is_cancelled() {
    let mut run = udp();
    run.at(0, START_2S).at(2_300, RINGING).at(2_400, RINGING).at(2_500, Response { status: 487 });
    let want = [(2_000, TimedOut), (2_300, SendCancel), (2_500, SendAck), (34_500, Terminated)];
    assert_eq!(run.finish()[3..], want);
}

#[test]
fn a_late_2xx_is_passed_on_although_it_was_given_up() {
    let mut run = tcp();
    run.at(0, START_2S).at(2_300, OK).at(2_800, OK);
    let want = [(2_000, TimedOut), (2_300, PassResponse), (2_800, PassResponse), (34_300, Terminated)];
    assert_eq!(run.finish()[1..], want);
}

#[test]
fn accepted_passes_every_2xx_until_timer_m() {
    for mut run in [udp(), tcp()] {
        run.at(0, START)
            .at(100, RINGING)
            .at(200, OK)
            .at(700, OK)
            .at(800, RINGING)
            .at(900, BUSY)
            .at(1_000, TransportFailed);
        assert_eq!(run.machine.state(), ClientInviteState::Accepted);
        let want = [(100, PassResponse), (200, PassResponse), (700, PassResponse), (32_200, Terminated)];
        assert_eq!(run.finish()[1..], want);
    }
}

#[test]
fn completed_acknowledges_every_failure_until_timer_d() {
    let mut run = udp();
    run.at(0, START).at(100, BUSY).at(600, BUSY).at(700, RINGING).at(800, OK);
    assert_eq!(run.machine.state(), ClientInviteState::Completed);
    let want = [(0, SendRequest), (100, SendAck), (100, PassResponse), (600, SendAck), (32_100, Terminated)];
    assert_eq!(run.finish(), want);
}

#[test]
fn timer_d_is_zero_over_tcp() {
    let log = tcp().at(0, START).at(50, RINGING).at(100, BUSY).finish();
    assert_eq!(log[2..], [(100, SendAck), (100, PassResponse), (100, Terminated)]);
}

#[test]
fn transport_errors() {
    let log = udp().at(0, START).at(10, TransportFailed).finish();
    assert_eq!(log, [(0, SendRequest), (10, TransportError), (10, Terminated)]);
    let log = udp().at(0, START).at(10, BUSY).at(20, TransportFailed).finish();
    assert_eq!(log[3..], [(20, Terminated)]);
    let mut run = udp();
    run.at(0, START).at(10, RINGING).at(20, TransportFailed);
    assert_eq!(run.machine.state(), ClientInviteState::Proceeding);
    let log = udp().at(0, START_2S).at(3_000, TransportFailed).finish();
    assert_eq!(log[3..], [(2_000, TimedOut), (3_000, Terminated)]);
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut run = tcp();
    run.at(0, START).at(100, Cancel).at(200, Cancel).at(300, RINGING).at(350, Cancel).at(400, Response { status: 487 });
    let want = [
        (0, SendRequest),
        (300, PassResponse),
        (300, SendCancel),
        (400, SendAck),
        (400, PassResponse),
        (400, Terminated),
    ];
    assert_eq!(run.finish(), want);
}

#[test]
fn after_a_cancel_the_final_response_has_64_t1() {
    let log = tcp().at(0, START).at(100, RINGING).at(5_000, Cancel).at(20_000, RINGING).finish();
    let want = [(5_000, SendCancel), (20_000, PassResponse), (37_000, TimedOut), (37_000, Terminated)];
    assert_eq!(log[2..], want);
}

#[test]
fn a_2xx_overtakes_the_cancel() {
    let log = tcp().at(0, START).at(100, RINGING).at(200, Cancel).at(210, OK).finish();
    assert_eq!(log[2..], [(200, SendCancel), (210, PassResponse), (32_210, Terminated)]);
}

#[test]
fn nothing_happens_before_the_start_and_by_numbers_that_are_no_status() {
    let mut run = udp();
    run.at(0, OK).at(0, BUSY).at(0, Cancel).at(0, TransportFailed).at(0, Timeout);
    assert_eq!((run.machine.state(), run.take().len()), (ClientInviteState::Idle, 0));
    run.at(0, START).at(1, START).at(2, Response { status: 99 }).at(3, Response { status: 700 });
    assert_eq!((run.machine.state(), run.take().len()), (ClientInviteState::Calling, 1));
}

#[test]
fn a_timeout_that_comes_early_changes_nothing() {
    let mut run = udp();
    run.at(0, START);
    let deadline = run.machine.next_deadline();
    run.at(499, Timeout);
    assert_eq!((run.machine.next_deadline(), run.take().len()), (deadline, 1));
}

fn events() -> impl Strategy<Value = (u64, ClientInviteEvent)> {
    let event = prop_oneof![
        4 => (0..800_u16).prop_map(|status| Response { status }),
        2 => Just(RINGING),
        1 => Just(Cancel),
        1 => Just(TransportFailed),
        1 => Just(START),
        2 => Just(Timeout),
    ];
    (prop_oneof![0..2_000_u64, 0..200_000_u64], event)
}

proptest! {
    #[test]
    fn one_outcome_and_an_end(reliable: bool, patience in prop::option::of(0..40_000_u64),
                              events in prop::collection::vec(events(), 0..40)) {
        let mut run = Script::new(ClientInvite::new(reliable), Timeout);
        run.at(0, ClientInviteEvent::Start { first_reply_timeout: patience.map(Duration::from_millis) });
        let (mut ms, mut failures) = (0, 0);
        for (wait, event) in events {
            ms += wait;
            let open = !matches!(run.machine.state(), ClientInviteState::Accepted);
            let before = run.log().count();
            run.at(ms, event);
            let passed = run.log().skip(before).any(|a| a == PassResponse);
            if let Response { status: 300.. } = event {
                failures += usize::from(passed);
                prop_assert!(!passed || open);
            }
        }
        let log = run.finish();
        let count = |a| log.iter().filter(|(_, b)| *b == a).count();
        prop_assert!(failures + count(TimedOut) + count(TransportError) <= 1);
        prop_assert!(count(SendCancel) <= 1);
        prop_assert_eq!(count(Terminated), 1);
        prop_assert_eq!(log.last().map(|(_, a)| *a), Some(Terminated));
    }
}
