//! SIGTERM: no new calls, those that are being set up are finished, then the end.

use std::time::Duration;

use trunkline_tests::harness::{Behaviour, Config, Place, Server, Signal, Transport, Trunkline, until};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(10);

fn quick(place: &Place, server: &Server) -> Config {
    Config::balancer(place, &[Transport::Udp.uri(server.address())])
        .key("timers", "t1", "\"50ms\"")
        .key("timers", "t2", "\"200ms\"")
        .key("timers", "t4", "\"200ms\"")
}

#[test]
fn an_idle_node_ends_at_once() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let edge = Trunkline::start(&place, &quick(&place, &server));
    assert_eq!(edge.stop(), Some(0));
    assert!(!place.path("ctl.sock").exists());
}

#[test]
fn running_transactions_finish_and_new_calls_are_refused() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::AnswerWhenCancelled);
    let mut edge = Trunkline::start(&place, &quick(&place, &server));
    let mut phone = edge.udp_phone(&place);
    phone.send("INVITE");
    phone.response("INVITE", 180);
    edge.process.signal(Signal::TERM);
    let mut late = None;
    until("new calls are refused", SOON, || {
        let mut other = edge.udp_phone(&place);
        other.send("INVITE");
        let answer = other.response("INVITE", 101);
        late = answer.status();
        if late != Some(503) {
            // It came before the signal was seen. It has to end too, or the node rightly waits for it.
            other.send("CANCEL");
            other.response("INVITE", 200);
        }
        late == Some(503)
    });
    assert!(edge.process.is_running(), "it does not wait for the call that is being set up");
    phone.send("CANCEL");
    let answer = phone.response("INVITE", 200);
    assert_eq!(answer.status(), Some(200));
    phone.take_dialog(&answer);
    phone.send("ACK");
    server.wait_for("ACK", &phone.call_id);
    assert_eq!(edge.process.wait(SOON).code(), Some(0));
}

#[test]
fn it_does_not_wait_for_ever() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::Ring);
    let mut edge = Trunkline::start(&place, &quick(&place, &server).key("node", "stop_timeout", "\"1s\""));
    let mut phone = edge.udp_phone(&place);
    phone.send("INVITE");
    phone.response("INVITE", 180);
    edge.process.signal(Signal::TERM);
    assert_eq!(edge.process.wait(SOON).code(), Some(0));
}
