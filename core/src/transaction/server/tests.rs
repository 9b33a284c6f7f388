use proptest::prelude::*;

use super::ServerAction::*;
use super::ServerEvent::{RequestRetransmitted, Respond, Start, Timeout, TransportFailed};
use super::*;
use crate::transaction::script::Script;

const TRYING: ServerEvent = Respond { status: 100 };
const OK: ServerEvent = Respond { status: 200 };

type Run = Script<Server, ServerEvent, ServerAction>;

fn udp() -> Run {
    Script::new(Server::new(false), Timeout)
}

fn tcp() -> Run {
    Script::new(Server::new(true), Timeout)
}

#[test]
fn it_stays_small() {
    assert!(size_of::<Server>() <= 24);
}

#[test]
fn the_final_response_is_repeated_until_timer_j() {
    for status in [200, 302, 404, 503, 603] {
        let last = Respond { status };
        let mut run = udp();
        run.at(0, Start).at(100, RequestRetransmitted).at(200, last).at(500, RequestRetransmitted).at(600, OK);
        assert_eq!(run.machine.state(), ServerState::Completed);
        assert_eq!(run.finish(), [(200, SendResponse), (500, Resend), (32_200, Terminated)]);
    }
}

#[test]
fn timer_j_is_zero_over_tcp() {
    assert_eq!(tcp().at(0, Start).at(200, OK).finish(), [(200, SendResponse), (200, Terminated)]);
}

#[test]
fn rfc_4320_a_100_is_owed_after_3_5_s_over_every_transport() {
    for mut run in [udp(), tcp()] {
        run.at(0, Start).at(3_499, RequestRetransmitted).at(4_000, RequestRetransmitted);
        assert_eq!(run.take(), [(3_500, SendTrying), (4_000, Resend)]);
        assert_eq!(run.machine.state(), ServerState::Proceeding);
    }
}

#[test]
fn rfc_4320_an_early_100_goes_over_reliable_transports_only() {
    assert_eq!(udp().at(0, Start).at(100, TRYING).at(3_000, OK).take(), [(3_000, SendResponse)]);
    let mut run = tcp();
    run.at(0, Start).at(100, TRYING).at(5_000, OK);
    assert_eq!(run.finish(), [(100, SendResponse), (5_000, SendResponse), (5_000, Terminated)]);
}

#[test]
fn rfc_4320_no_provisional_response_but_100() {
    for mut run in [udp(), tcp()] {
        run.at(0, Start);
        for status in 101..200 {
            run.at(3_400, Respond { status });
        }
        assert_eq!((run.machine.state(), run.take().len()), (ServerState::Trying, 0));
    }
}

#[test]
fn rfc_4320_no_408_is_sent_and_retransmissions_stay_absorbed() {
    for mut run in [udp(), tcp()] {
        run.at(0, Start).at(1_000, Respond { status: 408 }).at(1_500, RequestRetransmitted).at(1_600, OK);
        assert_eq!(run.machine.state(), ServerState::Silent);
        assert_eq!(run.finish(), [(32_000, Terminated)]);
    }
}

#[test]
fn without_a_final_response_it_ends_when_nobody_listens_any_more() {
    assert_eq!(udp().at(0, Start).finish(), [(3_500, SendTrying), (32_000, TimedOut), (32_000, Terminated)]);
}

#[test]
fn a_transport_error_changes_no_state() {
    let mut run = udp();
    run.at(0, Start).at(50, TransportFailed).at(100, OK).at(101, TransportFailed);
    assert_eq!(run.machine.state(), ServerState::Completed);
    assert_eq!(run.take(), [(100, SendResponse), (101, TransportError)]);
}

fn events() -> impl Strategy<Value = (u64, ServerEvent)> {
    let event = prop_oneof![
        4 => (0..800_u16).prop_map(|status| Respond { status }),
        2 => Just(TRYING),
        2 => Just(RequestRetransmitted),
        1 => Just(TransportFailed),
        1 => Just(Start),
        2 => Just(Timeout),
    ];
    (0..8_000_u64, event)
}

proptest! {
    #[test]
    fn one_final_no_408_and_an_end(reliable: bool, events in prop::collection::vec(events(), 0..40)) {
        let mut run = Script::new(Server::new(reliable), Timeout);
        run.at(0, Start);
        let (mut ms, mut finals) = (0, 0);
        for (wait, event) in events {
            ms += wait;
            let before = run.log().count();
            run.at(ms, event);
            let sent = run.log().skip(before).any(|a| a == SendResponse);
            if let Respond { status } = event {
                prop_assert!(!sent || status == 100 || (200..700).contains(&status) && status != 408);
                finals += usize::from(sent && status >= 200);
            }
        }
        let log = run.finish();
        let count = |a| log.iter().filter(|(_, b)| *b == a).count();
        prop_assert!(finals + count(TimedOut) <= 1);
        prop_assert!(count(SendTrying) <= 1);
        prop_assert_eq!(count(Terminated), 1);
        prop_assert!(log.last().is_some_and(|(ms, a)| *a == Terminated && *ms <= 64_000));
    }
}
