//! Calls over IPv6, and from one version of IP to the other.

use std::net::SocketAddr;

use trunkline_tests::harness::{
    Behaviour, Bye, Config, Load, Phone, Place, Server, Transport, Trunkline, Wire, host_port, uri_of,
};
use trunkline_tests::needs;

#[test]
fn calls_pass_over_ipv6() {
    needs!("ipv6", "sipp", "trunkline");
    let place = Place::alone();
    for bye in [Bye::Caller, Bye::Callee] {
        let load = Load {
            caller: place.at_v6(5),
            callees: (6..9).map(|n| place.at_v6(n)).collect(),
            ..Load::new(&place, Transport::Udp, Transport::Udp).with_dialogs(bye)
        };
        let outcome = load.run(&place, |targets| {
            let config = Config::new(&place).listen_both(place.at_v6(1)).route_all(1);
            let config = targets.iter().fold(config, |config, uri| config.target(1, uri, ""));
            let edge = Trunkline::start(&place, &config);
            let address = edge.address();
            (edge, address)
        });
        outcome.assert_clean(load.calls);
        outcome.assert_spread();
    }
}

#[test]
fn a_call_crosses_from_one_version_of_ip_to_the_other() {
    needs!("ipv6", "trunkline");
    let place = Place::shared();
    for (edge_at, target) in [(place.at(1), place.at_v6(2)), (place.at_v6(1), place.at(11))] {
        for by_callee in [false, true] {
            let server = Server::start(target, &[Transport::Udp], Behaviour::Answer);
            let config = Config::new(&place).route_all(1).target(1, &Transport::Udp.uri(target), "");
            // The first listener is the one that the caller reaches.
            let (other, local) = if edge_at.is_ipv4() {
                (place.at_v6(1), SocketAddr::new(place.ip(21), 0))
            } else {
                (place.at(1), SocketAddr::new(edge_at.ip(), 0))
            };
            let edge = Trunkline::start(&place, &config.listen_both(edge_at).listen_both(other));
            let mut phone = Phone::new(Wire::udp(local, edge.address()), &format!("sip:2000@{}", edge.address()));
            assert_eq!(phone.invite().status(), Some(200));
            let invite = server.wait_for("INVITE", &phone.call_id);
            let routes = invite.message.values("Record-Route");
            let v6: Vec<_> = routes.iter().map(|route| host_port(uri_of(route)).unwrap().0.is_ipv6()).collect();
            assert_eq!(v6, [target.is_ipv6(), edge_at.is_ipv6()], "{routes:?}");
            if by_callee {
                std::thread::scope(|scope| {
                    let answer = scope.spawn(|| server.request_in_call(&invite, "BYE", 1));
                    phone.take_request("BYE");
                    assert_eq!(answer.join().unwrap().status(), Some(200));
                });
            } else {
                assert_eq!(phone.ask("BYE").status(), Some(200));
                server.wait_for("BYE", &phone.call_id);
            }
        }
    }
}
