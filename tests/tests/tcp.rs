//! Streams: messages in parts, connections that stay or go, and calls from one transport to the other.

use std::time::{Duration, Instant};

use trunkline_tests::harness::{Behaviour, Config, Phone, Place, Server, Transport, Trunkline, Wire};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(5);

fn both(place: &Place, to: Transport) -> (Server, Trunkline) {
    let server = Server::start(place.at(11), &[Transport::Udp, Transport::Tcp], Behaviour::Answer);
    let config = Config::balancer(place, &[to.uri(server.address())]).key("tcp", "unfinished_timeout", "\"1s\"").key(
        "tcp",
        "unfinished_messages",
        "8",
    );
    let edge = Trunkline::start(place, &config);
    (server, edge)
}

#[test]
fn a_message_may_come_byte_by_byte() {
    needs!("trunkline");
    let place = Place::shared();
    let (_server, edge) = both(&place, Transport::Udp);
    let mut wire = Wire::tcp(edge.address());
    let request = wire.request("OPTIONS", &format!("sip:{}", edge.address()), "");
    for byte in request.as_bytes() {
        wire.send(&[*byte]);
    }
    assert_eq!(wire.final_response(SOON).and_then(|answer| answer.status()), Some(200));
}

#[test]
fn messages_may_come_in_one_segment() {
    needs!("trunkline");
    let place = Place::shared();
    let (_server, edge) = both(&place, Transport::Udp);
    let mut wire = Wire::tcp(edge.address());
    let uri = format!("sip:{}", edge.address());
    let requests: String = (0..20).map(|_| wire.request("OPTIONS", &uri, "")).collect();
    wire.send(requests.as_bytes());
    for _ in 0..20 {
        assert_eq!(wire.final_response(SOON).and_then(|answer| answer.status()), Some(200));
    }
}

#[test]
fn an_unfinished_message_loses_its_connection() {
    needs!("trunkline");
    let place = Place::shared();
    let (_server, edge) = both(&place, Transport::Udp);
    let mut wire = Wire::tcp(edge.address());
    wire.send(b"INVITE sip:2000@example.com SIP/2.0\r\nVia: SIP/2.0/TCP");
    assert!(wire.is_closed_within(SOON));
    edge.udp_phone(&place).call();
}

#[test]
fn many_unfinished_messages_keep_nobody_out() {
    needs!("trunkline");
    let place = Place::shared();
    let (_server, edge) = both(&place, Transport::Udp);
    let mut slow: Vec<_> = (0..40).map(|_| Wire::tcp(edge.address())).collect();
    slow.iter_mut().for_each(|wire| wire.send(b"INVITE sip:2000@exam"));
    edge.phone(&place, Transport::Tcp, "2000").call();
    let closed = slow.iter_mut().filter_map(|wire| wire.is_closed_within(SOON).then_some(())).count();
    assert_eq!(closed, 40);
}

#[test]
fn a_peer_that_reads_nothing_holds_up_nobody() {
    needs!("trunkline");
    let place = Place::shared();
    let (_server, edge) = both(&place, Transport::Udp);
    let mut deaf = Wire::tcp(edge.address());
    let uri = format!("sip:{}", edge.address());
    let requests: String = (0..2_000).map(|_| deaf.request("OPTIONS", &uri, "")).collect();
    std::thread::scope(|scope| {
        // Some of it may never be taken: that is the point.
        let sender = scope.spawn(move || {
            deaf.send(requests.as_bytes());
            deaf
        });
        for _ in 0..5 {
            edge.udp_phone(&place).call();
        }
        drop(edge);
        drop(sender.join());
    });
}

#[test]
fn a_call_crosses_from_one_transport_to_the_other_with_two_record_routes() {
    needs!("trunkline");
    for (from, to) in [(Transport::Udp, Transport::Tcp), (Transport::Tcp, Transport::Udp)] {
        for by_callee in [false, true] {
            let place = Place::shared();
            let (server, edge) = both(&place, to);
            let mut phone = edge.phone(&place, from, "2000");
            assert_eq!(phone.invite().status(), Some(200));
            let invite = server.wait_for("INVITE", &phone.call_id);
            assert_eq!(invite.transport, to);
            let routes = invite.message.values("Record-Route");
            assert_eq!(routes.len(), 2, "{routes:?}");
            assert!(routes.iter().all(|route| route.contains(";r2=on") && route.contains(";lr")), "{routes:?}");
            let tcp: Vec<_> = routes.iter().map(|route| route.contains("transport=tcp")).collect();
            assert_eq!(tcp, [to == Transport::Tcp, from == Transport::Tcp], "{routes:?}");
            server.wait_for("ACK", &phone.call_id);
            bye(&server, &mut phone, by_callee);
        }
    }
}

/// BYE from one end or the other, seen at the other end without the routes that led there.
fn bye(server: &Server, phone: &mut Phone, by_callee: bool) {
    if by_callee {
        let invite = server.wait_for("INVITE", &phone.call_id);
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| server.request_in_call(&invite, "BYE", 1));
            let bye = phone.take_request("BYE");
            assert!(bye.values("Route").is_empty(), "{bye:?}");
            assert_eq!(answer.join().unwrap().status(), Some(200));
        });
    } else {
        assert_eq!(phone.ask("BYE").status(), Some(200));
        let bye = server.wait_for("BYE", &phone.call_id).message;
        assert!(bye.values("Route").is_empty(), "{bye:?}");
    }
}

/// An INVITE that is longer than a datagram should be.
fn long_invite(phone: &mut Phone) -> String {
    let more = format!("X-Long: {}\r\n", "x".repeat(1_400));
    phone.text("INVITE", &more, "")
}

#[test]
fn a_long_request_to_a_udp_target_goes_over_tcp() {
    needs!("trunkline");
    let place = Place::shared();
    let (server, edge) = both(&place, Transport::Udp);
    let mut phone = edge.udp_phone(&place);
    let invite = long_invite(&mut phone);
    phone.wire.send(invite.as_bytes());
    assert_eq!(phone.finish_invite().status(), Some(200));
    let seen = server.wait_for("INVITE", &phone.call_id);
    assert_eq!(seen.transport, Transport::Tcp);
    assert!(seen.message.values("Via")[0].starts_with("SIP/2.0/TCP"), "{:?}", seen.message.values("Via"));
    assert_eq!(phone.ask("BYE").status(), Some(200));
    // Only that request: another call goes as configured.
    let mut phone = edge.udp_phone(&place);
    phone.call();
    assert_eq!(server.wait_for("INVITE", &phone.call_id).transport, Transport::Udp);
}

#[test]
fn a_long_request_goes_over_udp_where_tcp_is_refused() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let mut phone = edge.udp_phone(&place);
    let invite = long_invite(&mut phone);
    let start = Instant::now();
    phone.wire.send(invite.as_bytes());
    assert_eq!(phone.finish_invite().status(), Some(200));
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
    let seen = server.wait_for("INVITE", &phone.call_id);
    assert!(seen.message.values("Via")[0].starts_with("SIP/2.0/UDP"), "{:?}", seen.message.values("Via"));
    assert_eq!(phone.ask("BYE").status(), Some(200));
}

#[test]
fn a_callee_that_closes_its_connections_still_ends_its_call() {
    needs!("trunkline");
    let place = Place::shared();
    let (server, edge) = both(&place, Transport::Tcp);
    let mut phone = edge.udp_phone(&place);
    assert_eq!(phone.invite().status(), Some(200));
    server.wait_for("ACK", &phone.call_id);
    drop(server);
    let server = Server::start(place.at(11), &[Transport::Tcp], Behaviour::Answer);
    assert_eq!(phone.ask("BYE").status(), Some(200));
    assert_eq!(server.count("BYE"), 1);
}
