use core::time::Duration;

use proptest::prelude::*;

use super::ServerInviteAction::*;
use super::ServerInviteEvent::{Ack, RequestRetransmitted, Respond, Start, Timeout, TransportFailed};
use super::*;
use crate::transaction::script::Script;

const RINGING: ServerInviteEvent = Respond { status: 180 };
const OK: ServerInviteEvent = Respond { status: 200 };
const BUSY: ServerInviteEvent = Respond { status: 486 };

type Run = Script<ServerInvite, ServerInviteEvent, ServerInviteAction>;

fn udp() -> Run {
    Script::new(ServerInvite::new(false), Timeout)
}

fn tcp() -> Run {
    Script::new(ServerInvite::new(true), Timeout)
}

#[test]
fn it_stays_small() {
    assert!(size_of::<ServerInvite>() <= 24);
}

#[test]
fn a_100_after_200_ms_without_an_answer() {
    let mut run = udp();
    run.at(0, Start).at(199, RequestRetransmitted).at(500, RequestRetransmitted);
    assert_eq!(run.finish(), [(200, SendTrying), (500, Resend)]);
    assert_eq!(run.machine.state(), ServerInviteState::Proceeding);
}

#[test]
fn no_100_when_the_user_answers_in_time() {
    let mut run = udp();
    run.at(0, Start).at(150, RINGING).at(500, RequestRetransmitted);
    assert_eq!(run.finish(), [(150, SendResponse), (500, Resend)]);
}

#[test]
fn a_100_at_once_when_the_delay_is_zero() {
    let mut run = udp().with(Timers { trying: Duration::ZERO, ..Timers::DEFAULT });
    run.at(0, Start).at(500, RequestRetransmitted);
    assert_eq!(run.finish(), [(0, SendTrying), (500, Resend)]);
}

#[test]
fn timers_g_and_h_over_udp() {
    let log = udp().at(0, Start).at(100, RINGING).at(1_000, BUSY).finish();
    let mut want = [(100, SendResponse), (1_000, SendResponse)].to_vec();
    let g = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    want.extend(g.map(|ms| (1_000 + ms, Resend)));
    want.extend([(33_000, TimedOut), (33_000, Terminated)]);
    assert_eq!(log, want);
}

#[test]
fn only_timer_h_over_tcp() {
    let log = tcp().at(0, Start).at(100, BUSY).finish();
    assert_eq!(log, [(100, SendResponse), (32_100, TimedOut), (32_100, Terminated)]);
}

#[test]
fn completed_repeats_the_response_and_takes_no_other() {
    let mut run = tcp();
    run.at(0, Start).at(100, BUSY).at(200, RequestRetransmitted).at(300, OK).at(400, RINGING).at(500, BUSY);
    assert_eq!(run.machine.state(), ServerInviteState::Completed);
    assert_eq!(run.take(), [(100, SendResponse), (200, Resend)]);
}

#[test]
fn the_ack_stops_timer_g_and_more_of_them_are_absorbed_until_timer_i() {
    let mut run = udp();
    run.at(0, Start).at(100, BUSY).at(700, Ack).at(800, Ack).at(900, RequestRetransmitted).at(950, TransportFailed);
    assert_eq!(run.machine.state(), ServerInviteState::Confirmed);
    assert_eq!(run.finish(), [(100, SendResponse), (600, Resend), (5_700, Terminated)]);
}

#[test]
fn timer_i_is_zero_over_tcp() {
    let log = tcp().at(0, Start).at(100, BUSY).at(150, Ack).finish();
    assert_eq!(log, [(100, SendResponse), (150, Terminated)]);
}

#[test]
fn accepted_lets_2xx_and_ack_pass_until_timer_l() {
    for mut run in [udp(), tcp()] {
        run.at(0, Start).at(100, OK).at(300, RequestRetransmitted).at(600, OK).at(700, Ack).at(800, Ack);
        run.at(900, BUSY).at(950, RINGING);
        assert_eq!(run.machine.state(), ServerInviteState::Accepted);
        let want = [(100, SendResponse), (600, SendResponse), (700, PassAck), (800, PassAck), (32_100, Terminated)];
        assert_eq!(run.finish(), want);
    }
}

#[test]
fn a_transport_error_changes_no_state() {
    for (respond, state) in [
        (RINGING, ServerInviteState::Proceeding),
        (OK, ServerInviteState::Accepted),
        (BUSY, ServerInviteState::Completed),
    ] {
        let mut run = udp();
        run.at(0, Start).at(100, respond).at(101, TransportFailed);
        assert_eq!(run.machine.state(), state);
        assert_eq!(run.take(), [(100, SendResponse), (101, TransportError)]);
    }
}

#[test]
fn a_stray_ack_is_absorbed_in_proceeding() {
    let mut run = udp();
    run.at(0, Start).at(10, Ack).at(20, Start).at(30, Respond { status: 99 }).at(40, Respond { status: 700 });
    assert_eq!((run.machine.state(), run.take().len()), (ServerInviteState::Proceeding, 0));
}

fn events() -> impl Strategy<Value = (u64, ServerInviteEvent)> {
    let event = prop_oneof![
        4 => (0..800_u16).prop_map(|status| Respond { status }),
        2 => Just(RINGING),
        2 => Just(Ack),
        2 => Just(RequestRetransmitted),
        1 => Just(TransportFailed),
        1 => Just(Start),
        2 => Just(Timeout),
    ];
    (0..8_000_u64, event)
}

proptest! {
    #[test]
    fn one_kind_of_final_and_an_end(reliable: bool, events in prop::collection::vec(events(), 0..40)) {
        let mut run = Script::new(ServerInvite::new(reliable), Timeout);
        run.at(0, Start);
        let (mut ms, mut failures, mut accepted) = (0, 0, false);
        for (wait, event) in events.into_iter().chain([(0, BUSY)]) {
            ms += wait;
            let before = run.log().count();
            run.at(ms, event);
            let sent = run.log().skip(before).any(|a| a == SendResponse);
            match event {
                Respond { status: 200..=299 } => accepted |= sent,
                Respond { status: 300.. } => failures += usize::from(sent),
                _ => {}
            }
        }
        let log = run.finish();
        prop_assert_eq!(failures + usize::from(accepted), 1);
        prop_assert_eq!(log.iter().filter(|(_, a)| *a == Terminated).count(), 1);
        prop_assert_eq!(log.last().map(|(_, a)| *a), Some(Terminated));
        prop_assert!(!(accepted && log.iter().any(|(_, a)| *a == TimedOut)));
    }
}
