//! SIPp as carrier and as three media servers: every call completes, and nothing is sent twice.

use std::time::Duration;

use trunkline_tests::harness::{
    Behaviour, Bye, Callee, Caller, Config, Load, Lossy, Place, Server, Sipp, Transport, Trunkline,
};
use trunkline_tests::needs;

fn pass(load: &Load, place: &Place) {
    let outcome = load.run(place, |targets| {
        let edge = Trunkline::start(place, &Config::balancer(place, targets));
        let address = edge.address();
        (edge, address)
    });
    outcome.assert_clean(load.calls);
    outcome.assert_spread();
}

#[test]
fn two_thousand_calls_over_udp() {
    needs!("sipp", "trunkline");
    let place = Place::alone();
    pass(&Load::new(&place, Transport::Udp, Transport::Udp), &place);
}

#[test]
fn two_thousand_calls_over_tcp() {
    needs!("sipp", "trunkline");
    let place = Place::alone();
    pass(&Load::new(&place, Transport::Tcp, Transport::Tcp), &place);
}

#[test]
fn two_thousand_calls_from_udp_to_tcp() {
    needs!("sipp", "trunkline");
    let place = Place::alone();
    pass(&Load::new(&place, Transport::Udp, Transport::Tcp), &place);
}

#[test]
fn requests_within_calls_follow_the_recorded_route() {
    needs!("sipp", "trunkline");
    let place = Place::alone();
    for (from, to) in
        [(Transport::Udp, Transport::Udp), (Transport::Udp, Transport::Tcp), (Transport::Tcp, Transport::Udp)]
    {
        for bye in [Bye::Caller, Bye::Callee] {
            pass(&Load::new(&place, from, to).with_dialogs(bye), &place);
        }
    }
}

/// Every call completes where one datagram in twenty is lost on each way.
fn complete_over_loss(place: &Place, configure: impl FnOnce(Config) -> Config) {
    // A BYE may have to come six times before its answer gets through; SIPp forgets a call after this.
    let callee = Callee { linger_ms: 20_000, contact: Some(place.at(31).to_string()), ..Callee::default() };
    let _callee = Sipp::callee(place, place.at(11), Transport::Udp, &callee);
    let config = configure(Config::balancer(place, &[Transport::Udp.uri(place.at(31))]));
    let behind = Lossy::start(place.at(1), place.at(31), place.at(32), place.at(11), 50);
    let edge = Trunkline::start(place, &config);
    let before = Lossy::start(place.at(21), place.at(41), place.at(42), edge.address(), 50);
    let caller = Caller { linger_ms: 3_000, ..Caller::default() };
    let mut caller = Sipp::caller(place, place.at(21), Transport::Udp, place.at(41), &caller, (400, 40));
    let stats = caller.wait(Duration::from_secs(120));
    assert_eq!((stats.successful, stats.failed), (400, 0), "{}", caller.errors());
    assert!(before.counts().1 > 0 && behind.counts().1 > 0, "nothing was lost");
    drop(edge);
}

#[test]
fn every_call_completes_where_one_datagram_in_twenty_is_lost() {
    needs!("sipp", "trunkline");
    complete_over_loss(&Place::alone(), |config| config);
}

#[test]
fn every_call_completes_over_loss_where_no_failure_is_held_against_a_target() {
    needs!("sipp", "trunkline");
    // The pings get lost too: three in a row are no proof here, and the first reply may be the second INVITE's.
    complete_over_loss(&Place::alone(), |config| {
        config.key("dispatch", "suspect_on_failure", "false").key("dispatch", "first_reply_timeout", "\"10s\"").key(
            "dispatch.ping",
            "probing_threshold",
            "10",
        )
    });
}

#[test]
fn a_retransmitted_invite_is_one_call() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::Ring);
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let mut phone = edge.udp_phone(&place);
    let invite = phone.text("INVITE", "", "");
    for _ in 0..3 {
        phone.wire.send(invite.as_bytes());
        assert_eq!(phone.response("INVITE", 101).status(), Some(180));
    }
    assert_eq!((server.count("INVITE"), server.repeated("INVITE")), (1, 0));
}

#[test]
fn a_cancelled_call_ends_at_both_ends() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::Ring);
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let mut phone = edge.udp_phone(&place);
    phone.send("INVITE");
    phone.response("INVITE", 180);
    phone.send("CANCEL");
    assert_eq!(phone.response("CANCEL", 200).status(), Some(200));
    assert_eq!(phone.finish_invite().status(), Some(487));
    server.wait_for("CANCEL", &phone.call_id);
    server.wait_for("ACK", &phone.call_id);
}

#[test]
fn an_answer_that_crosses_a_cancel_makes_the_call() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::AnswerWhenCancelled);
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let mut phone = edge.udp_phone(&place);
    phone.send("INVITE");
    phone.response("INVITE", 180);
    phone.send("CANCEL");
    // Either may come first.
    let answer = phone.response("INVITE", 200);
    assert_eq!(answer.status(), Some(200));
    phone.take_dialog(&answer);
    phone.send("ACK");
    server.wait_for("ACK", &phone.call_id);
    assert_eq!(phone.ask("BYE").status(), Some(200));
    server.wait_for("BYE", &phone.call_id);
}

#[test]
fn a_trying_comes_at_once() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::SilentToInvite);
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let mut phone = edge.udp_phone(&place);
    phone.send("INVITE");
    let first = phone.response("INVITE", 100);
    assert_eq!((first.status(), first.reason()), (Some(100), "Trying"));
}
