//! The peers among themselves: what SIPp, sipsak and Kamailio do without trunkline between them. It proves the harness:
//! a test of trunkline that fails where this passes has found a fault of trunkline's.

use std::time::Duration;

use trunkline_tests::harness::{
    Behaviour, Bye, Callee, Caller, Kamailio, Load, Lossy, Phone, Place, Server, Sipp, Transport, Wire, sipsak,
};
use trunkline_tests::needs;

fn through_kamailio(load: &Load, place: &Place) {
    let outcome = load.run(place, |targets| {
        let kamailio = Kamailio::start(place, place.at(1), targets);
        let address = kamailio.address();
        (kamailio, address)
    });
    outcome.assert_clean(load.calls);
    outcome.assert_spread();
}

#[test]
fn calls_over_udp_pass_kamailio() {
    needs!("sipp", "kamailio");
    let place = Place::alone();
    let load = Load { calls: 400, ..Load::new(&place, Transport::Udp, Transport::Udp) };
    through_kamailio(&load, &place);
}

#[test]
fn calls_over_tcp_pass_kamailio() {
    needs!("sipp", "kamailio");
    let place = Place::alone();
    let load = Load { calls: 400, ..Load::new(&place, Transport::Tcp, Transport::Tcp) };
    through_kamailio(&load, &place);
}

#[test]
fn dialogs_from_udp_to_tcp_pass_kamailio() {
    needs!("sipp", "kamailio");
    let place = Place::alone();
    for bye in [Bye::Caller, Bye::Callee] {
        let load = Load { calls: 100, ..Load::new(&place, Transport::Udp, Transport::Tcp).with_dialogs(bye) };
        through_kamailio(&load, &place);
    }
}

#[test]
fn calls_complete_over_a_lossy_path_through_kamailio() {
    needs!("sipp", "kamailio");
    let place = Place::alone();
    let callee = Callee { linger_ms: 3_000, contact: Some(place.at(31).to_string()), ..Callee::default() };
    let _callee = Sipp::callee(&place, place.at(11), Transport::Udp, &callee);
    let kamailio = Kamailio::start(&place, place.at(1), &[Transport::Udp.uri(place.at(31))]);
    let behind = Lossy::start(kamailio.address(), place.at(31), place.at(32), place.at(11), 50);
    let before = Lossy::start(place.at(21), place.at(41), place.at(42), kamailio.address(), 50);
    let caller = Caller { linger_ms: 3_000, ..Caller::default() };
    let mut caller = Sipp::caller(&place, place.at(21), Transport::Udp, place.at(41), &caller, (100, 20));
    let stats = caller.wait(Duration::from_secs(90));
    assert_eq!((stats.successful, stats.failed), (100, 0), "{}", caller.errors());
    assert!(before.counts().1 > 0 && behind.counts().1 > 0, "nothing was lost");
    assert!(stats.retransmissions > 0);
}

#[test]
fn the_phone_and_the_media_server_call_each_other() {
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp, Transport::Tcp], Behaviour::Answer);
    for transport in [Transport::Udp, Transport::Tcp] {
        let wire = Wire::new(transport, place.at(21), server.address());
        let mut phone = Phone::new(wire, &format!("sip:2000@{}", server.address()));
        phone.call();
        server.wait_for("ACK", &phone.call_id);
    }
    assert_eq!((server.count("INVITE"), server.count("BYE"), server.repeated("INVITE")), (2, 2, 0));
}

#[test]
fn both_ends_reach_each_other_through_kamailio() {
    needs!("kamailio");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let kamailio = Kamailio::start(&place, place.at(1), &[Transport::Udp.uri(server.address())]);
    let wire = Wire::udp(place.at(21), kamailio.address());
    let mut phone = Phone::new(wire, &format!("sip:2000@{}", kamailio.address()));
    assert_eq!(phone.invite().status(), Some(200));
    assert_eq!(phone.ask("INFO").status(), Some(200));
    let invite = server.wait_for("INVITE", &phone.call_id);
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| server.request_in_call(&invite, "BYE", 1));
        phone.take_request("BYE");
        assert_eq!(answer.join().unwrap().status(), Some(200));
    });
}

#[test]
fn kamailio_fails_over_and_passes_what_is_no_failure() {
    needs!("kamailio");
    let place = Place::shared();
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let targets = servers.each_ref().map(|server| Transport::Udp.uri(server.address()));
    let kamailio = Kamailio::start(&place, place.at(1), &targets);
    let uri = format!("sip:2000@{}", kamailio.address());
    let call =
        |port| Phone::new(Wire::udp(std::net::SocketAddr::new(place.ip(21), port), kamailio.address()), &uri).invite();
    servers[0].set(Behaviour::Status(500));
    assert!((0..4).all(|n| call(6000 + n).status() == Some(200)));
    assert!(servers[0].count("INVITE") > 0);
    servers.iter().for_each(|server| server.set(Behaviour::Status(486)));
    assert_eq!(call(6010).status(), Some(486));
}

#[test]
fn a_cancelled_call_ends_with_487() {
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::Ring);
    let mut phone = Phone::new(Wire::udp(place.at(21), server.address()), &format!("sip:2000@{}", server.address()));
    phone.send("INVITE");
    assert_eq!(phone.response("INVITE", 180).status(), Some(180));
    phone.send("CANCEL");
    assert_eq!(phone.response("CANCEL", 200).status(), Some(200));
    assert_eq!(phone.finish_invite().status(), Some(487));
}

#[test]
fn sipsak_gets_an_answer_from_kamailio() {
    needs!("sipsak", "kamailio");
    let place = Place::shared();
    let kamailio = Kamailio::start(&place, place.at(1), &[Transport::Udp.uri(place.at(11))]);
    let (ok, log) = sipsak(&place, kamailio.address(), "ping");
    assert!(ok && log.contains("SIP/2.0 200"), "{log}");
}
