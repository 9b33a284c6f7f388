//! A real Kamailio on either side of trunkline, each of them in the recorded route, and sipsak.

use std::net::SocketAddr;

use trunkline_tests::harness::{Bye, Config, Kamailio, Load, Place, Server, Transport, Trunkline, sipsak};
use trunkline_tests::needs;

fn dialogs(place: &Place, bye: Bye) -> Load {
    Load { calls: 150, ..Load::new(place, Transport::Udp, Transport::Udp).with_dialogs(bye) }
}

#[test]
fn kamailio_before_trunkline() {
    needs!("sipp", "kamailio", "trunkline");
    let place = Place::alone();
    for bye in [Bye::Caller, Bye::Callee] {
        let load = dialogs(&place, bye);
        let outcome = load.run(&place, |targets| {
            let edge = Trunkline::start(&place, &Config::balancer(&place, targets));
            let kamailio = Kamailio::start(&place, place.at(2), &[Transport::Udp.uri(edge.address())]);
            let address = kamailio.address();
            ((kamailio, edge), address)
        });
        outcome.assert_clean(load.calls);
        outcome.assert_spread();
    }
}

#[test]
fn kamailio_behind_trunkline() {
    needs!("sipp", "kamailio", "trunkline");
    let place = Place::alone();
    for (bye, to) in [(Bye::Caller, Transport::Udp), (Bye::Callee, Transport::Udp), (Bye::Callee, Transport::Tcp)] {
        let load = dialogs(&place, bye);
        let outcome = load.run(&place, |targets| {
            let kamailio = Kamailio::start(&place, place.at(2), targets);
            let edge = Trunkline::start(&place, &Config::balancer(&place, &[to.uri(kamailio.address())]));
            let address = edge.address();
            ((edge, kamailio), address)
        });
        outcome.assert_clean(load.calls);
    }
}

#[test]
fn both_record_their_route_and_both_are_on_it() {
    needs!("kamailio", "trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let kamailio = Kamailio::start(&place, place.at(2), &[Transport::Udp.uri(edge.address())]);
    let wire = trunkline_tests::harness::Wire::udp(SocketAddr::new(place.ip(21), 0), kamailio.address());
    let mut phone = trunkline_tests::harness::Phone::new(wire, &format!("sip:2000@{}", kamailio.address()));
    assert_eq!(phone.invite().status(), Some(200));
    let invite = server.wait_for("INVITE", &phone.call_id);
    let routes = invite.message.values("Record-Route");
    assert_eq!(routes.len(), 2, "{routes:?}");
    assert!(routes[0].contains(&edge.address().ip().to_string()), "{routes:?}");
    assert!(routes[1].contains(&kamailio.address().ip().to_string()), "{routes:?}");
    assert_eq!(invite.message.values("Via").len(), 3);
    assert_eq!(phone.ask("BYE").status(), Some(200));
    let bye = server.wait_for("BYE", &phone.call_id).message;
    assert_eq!((bye.values("Route").len(), bye.values("Via").len()), (0, 3), "{bye:?}");
}

#[test]
fn sipsak_gets_its_answer() {
    needs!("sipsak", "trunkline");
    let place = Place::shared();
    let edge = Trunkline::start(&place, &Config::new(&place).listen_both(place.at(1)));
    let (ok, log) = sipsak(&place, edge.address(), "ping");
    assert!(ok && log.contains("SIP/2.0 200"), "{log}");
    assert!(log.contains("Server: VoIP-Platform"), "{log}");
}
