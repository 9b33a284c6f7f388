use core::time::Duration;

use proptest::prelude::*;

use super::ClientAction::*;
use super::ClientEvent::{Response, Start, Timeout, TransportFailed};
use super::*;
use crate::transaction::script::Script;

const TRYING: ClientEvent = Response { status: 100 };
const OK: ClientEvent = Response { status: 200 };

type Run = Script<Client, ClientEvent, ClientAction>;

fn udp() -> Run {
    Script::new(Client::new(false), Timeout)
}

fn tcp() -> Run {
    Script::new(Client::new(true), Timeout)
}

fn rfc_only() -> Timers {
    Timers { fr: Duration::from_secs(60), ..Timers::DEFAULT }
}

#[test]
fn it_stays_small() {
    assert!(size_of::<Client>() <= 24);
}

#[test]
fn timers_e_and_f_over_udp() {
    let log = udp().with(rfc_only()).at(0, Start).finish();
    let at = [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    let mut want = at.map(|ms| (ms, SendRequest)).to_vec();
    want.extend([(32_000, TimedOut), (32_000, Terminated)]);
    assert_eq!(log, want);
}

#[test]
fn only_timer_f_over_tcp() {
    let log = tcp().with(rfc_only()).at(0, Start).finish();
    assert_eq!(log, [(0, SendRequest), (32_000, TimedOut), (32_000, Terminated)]);
}

#[test]
fn fr_timer_comes_before_timer_f() {
    assert_eq!(tcp().at(0, Start).finish(), [(0, SendRequest), (30_000, TimedOut), (30_000, Terminated)]);
}

#[test]
fn in_proceeding_timer_e_is_t2_and_timer_f_runs_on() {
    let log = udp().with(rfc_only()).at(0, Start).at(700, TRYING).finish();
    let mut want = [(0, SendRequest), (500, SendRequest), (700, PassResponse)].to_vec();
    want.extend([1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500].map(|ms| (ms, SendRequest)));
    want.extend([(32_000, TimedOut), (32_000, Terminated)]);
    assert_eq!(log, want);
}

#[test]
fn a_final_response_is_passed_once_and_absorbed_until_timer_k() {
    for status in [200, 302, 404, 503, 603] {
        let last = Response { status };
        let mut run = udp();
        run.at(0, Start).at(100, TRYING).at(200, last).at(300, last).at(400, TRYING).at(500, TransportFailed);
        assert_eq!(run.machine.state(), ClientState::Completed);
        let want = [(0, SendRequest), (100, PassResponse), (200, PassResponse), (5_200, Terminated)];
        assert_eq!(run.finish(), want);
    }
}

#[test]
fn timer_k_is_zero_over_tcp() {
    let log = tcp().at(0, Start).at(200, OK).finish();
    assert_eq!(log, [(0, SendRequest), (200, PassResponse), (200, Terminated)]);
}

#[test]
fn transport_errors_end_it() {
    let log = udp().at(0, Start).at(10, TransportFailed).finish();
    assert_eq!(log, [(0, SendRequest), (10, TransportError), (10, Terminated)]);
    let log = udp().at(0, Start).at(10, TRYING).at(20, TransportFailed).finish();
    assert_eq!(log[2..], [(20, TransportError), (20, Terminated)]);
}

#[test]
fn nothing_happens_before_the_start_and_by_numbers_that_are_no_status() {
    let mut run = udp();
    run.at(0, OK).at(0, TransportFailed).at(0, Timeout);
    assert_eq!((run.machine.state(), run.take().len()), (ClientState::Idle, 0));
    run.at(0, Start).at(1, Start).at(2, Response { status: 99 }).at(3, Response { status: 700 });
    assert_eq!((run.machine.state(), run.take().len()), (ClientState::Trying, 1));
}

fn events() -> impl Strategy<Value = (u64, ClientEvent)> {
    let event = prop_oneof![
        4 => (0..800_u16).prop_map(|status| Response { status }),
        2 => Just(TRYING),
        1 => Just(TransportFailed),
        1 => Just(Start),
        2 => Just(Timeout),
    ];
    (0..8_000_u64, event)
}

proptest! {
    #[test]
    fn one_outcome_and_an_end(reliable: bool, events in prop::collection::vec(events(), 0..40)) {
        let mut run = Script::new(Client::new(reliable), Timeout);
        run.at(0, Start);
        let (mut ms, mut finals) = (0, 0);
        for (wait, event) in events {
            ms += wait;
            let before = run.log().count();
            run.at(ms, event);
            if let Response { status: 200.. } = event {
                finals += run.log().skip(before).filter(|a| *a == PassResponse).count();
            }
        }
        let log = run.finish();
        let count = |a| log.iter().filter(|(_, b)| *b == a).count();
        prop_assert_eq!(finals + count(TimedOut) + count(TransportError), 1);
        prop_assert_eq!(count(Terminated), 1);
        prop_assert!(log.last().is_some_and(|(ms, a)| *a == Terminated && *ms <= 37_000));
    }
}
