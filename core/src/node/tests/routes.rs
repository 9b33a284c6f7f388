//! Record-Route and Route (RFC 3261 §16.4, §16.6, §16.12; RFC 5658).

use std::string::{String, ToString};
use std::vec::Vec;

use super::world::*;
use crate::dispatcher::TargetConfig;
use crate::wire::sip::transport::Transport;

const CALLEE6: &str = "[2001:db8::2]:5060";

fn lines<'s>(sent: &'s Sent, name: &str) -> Vec<&'s str> {
    sent.text.lines().filter_map(|l| l.strip_prefix(name)).collect()
}

/// A node with one target.
fn world_with(target: &str, transport: Transport) -> World {
    let uri = std::format!("sip:2000@{target}");
    let target = TargetConfig { transport, ..TargetConfig::new(1, &uri, target.parse().unwrap()) };
    World::with_targets(config(), &CAPACITY, &[target])
}

/// A BYE with these Route lines; the dialog is not known to the node, as after a restart.
fn bye(uri: &str, routes: &str) -> String {
    let bye = request("BYE", uri, 1, routes);
    with(&bye, "To: <sip:2000@edge.example>", "To: <sip:2000@edge.example>;tag=bo")
}

#[test]
fn one_record_route_where_nothing_changes() {
    let mut w = World::new();
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    assert_eq!(lines(&forwarded, "Record-Route: "), ["<sip:192.0.2.1:5060;lr=on;ftag=al>"]);
    let ok = only(w.udp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    let info = only(w.udp(CALLER, from_caller("INFO", &ok, 1, 2)));
    assert_eq!((info.to, lines(&info, "Route: ").len()), (TARGETS[0].parse().unwrap(), 0));
    assert_eq!(lines(&info, "Record-Route: ").len(), 0);
    let bye = only(w.udp(TARGETS[0], from_callee("BYE", &forwarded, "bo", "sip:alice@198.51.100.7:5062", 1)));
    assert_eq!((bye.to, lines(&bye, "Route: ").len()), (CALLER.parse().unwrap(), 0));
    let ended = only(w.udp(CALLER, bye.answer("200 OK", "", "")));
    assert_eq!(ended.to, TARGETS[0].parse().unwrap());
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn a_new_record_route_stands_above_those_before_it() {
    let mut w = World::new();
    let other = "Record-Route: <sip:198.51.100.99;lr>\r\n";
    let sent = w.udp(CALLER, request("INVITE", "sip:2000@edge.example", 1, other));
    assert_eq!(
        lines(to(&sent, TARGETS[0])[0], "Record-Route: "),
        ["<sip:192.0.2.1:5060;lr=on;ftag=al>", "<sip:198.51.100.99;lr>"]
    );
}

#[test]
fn two_between_udp_and_tcp_and_both_go_on_the_way_back() {
    let mut w = world_with(TARGETS[0], Transport::Tcp);
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    assert_eq!((forwarded.transport, forwarded.listener), (Transport::Tcp, 1));
    assert_eq!(
        lines(&forwarded, "Record-Route: "),
        ["<sip:192.0.2.1:5060;transport=tcp;r2=on;lr=on;ftag=al>", "<sip:192.0.2.1:5060;r2=on;lr=on;ftag=al>"]
    );
    let ok = only(w.tcp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    assert_eq!((ok.transport, ok.to), (Transport::Udp, CALLER.parse().unwrap()));
    let ack =
        with(&from_caller("ACK", &ok, 1, 1), "sip:2000@203.0.113.1:5060", "sip:2000@203.0.113.1:5060;transport=tcp");
    let ack = only(w.udp(CALLER, ack));
    assert_eq!((ack.transport, ack.to, lines(&ack, "Route: ").len()), (Transport::Tcp, TARGETS[0].parse().unwrap(), 0));
    let bye = from_callee("BYE", &forwarded, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye = only(w.tcp(TARGETS[0], with(&bye, "SIP/2.0/UDP", "SIP/2.0/TCP")));
    assert_eq!((bye.transport, bye.to, lines(&bye, "Route: ").len()), (Transport::Udp, CALLER.parse().unwrap(), 0));
    let ended = only(w.udp(CALLER, bye.answer("200 OK", "", "")));
    assert_eq!((ended.transport, ended.to), (Transport::Tcp, TARGETS[0].parse().unwrap()));
    assert_eq!(w.dialogs(), 0);
}

#[test]
fn a_contact_without_transport_is_reached_by_that_of_its_side() {
    let mut w = world_with(TARGETS[0], Transport::Tcp);
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    let ok = only(w.tcp(TARGETS[0], forwarded.answer("200 OK", "bo", "")));
    let ack = only(w.udp(CALLER, from_caller("ACK", &ok, 1, 1)));
    assert_eq!((ack.transport, ack.to), (Transport::Tcp, TARGETS[0].parse().unwrap()));
    let named = with(&from_caller("INFO", &ok, 1, 2), "203.0.113.1:5060 SIP", "203.0.113.1:5060;transport=udp SIP");
    assert_eq!(only(w.udp(CALLER, named)).transport, Transport::Udp);
    let bye = from_callee("BYE", &forwarded, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye = only(w.tcp(TARGETS[0], with(&bye, "SIP/2.0/UDP", "SIP/2.0/TCP")));
    assert_eq!(bye.transport, Transport::Udp);
    w.udp(CALLER, bye.answer("200 OK", "", ""));
}

#[test]
fn two_between_ipv4_and_ipv6() {
    let mut w = world_with(CALLEE6, Transport::Udp);
    let sent = w.udp(CALLER, invite(1));
    let forwarded = to(&sent, CALLEE6)[0].clone();
    assert_eq!(forwarded.listener, 2);
    assert!(forwarded.line("Via:").starts_with("Via: SIP/2.0/UDP [2001:db8::1]:5060;branch="));
    assert_eq!(
        lines(&forwarded, "Record-Route: "),
        ["<sip:[2001:db8::1]:5060;r2=on;lr=on;ftag=al>", "<sip:192.0.2.1:5060;r2=on;lr=on;ftag=al>"]
    );
    let ok = only(w.udp(CALLEE6, forwarded.answer("200 OK", "bo", "")));
    assert_eq!((ok.listener, ok.to), (0, CALLER.parse().unwrap()));
    let ack = with(&from_caller("ACK", &ok, 1, 1), "sip:2000@203.0.113.1:5060", "sip:2000@[2001:db8::2]:5060");
    let ack = only(w.udp(CALLER, ack));
    assert_eq!((ack.listener, ack.to, lines(&ack, "Route: ").len()), (2, CALLEE6.parse().unwrap(), 0));
    let bye = from_callee("BYE", &forwarded, "bo", "sip:alice@198.51.100.7:5062", 1);
    let bye = only(w.udp(CALLEE6, bye));
    assert_eq!((bye.listener, bye.to, lines(&bye, "Route: ").len()), (0, CALLER.parse().unwrap(), 0));
    let ended = only(w.udp(CALLER, bye.answer("200 OK", "", "")));
    assert_eq!((ended.listener, ended.to), (2, CALLEE6.parse().unwrap()));
    assert_eq!(w.dialogs(), 0);
}

/// Request-URI and Route lines as they come; the peer it goes to, Request-URI and Route values as they leave.
#[test]
fn route_sets_row_by_row() {
    const OURS: &str = "<sip:192.0.2.1:5060;lr=on;ftag=al>";
    const PAIR: [&str; 2] = ["<sip:192.0.2.1:5060;transport=tcp;r2=on;lr>", "<sip:192.0.2.1:5060;r2=on;lr>"];
    const CALLEE: &str = "sip:bob@203.0.113.9:5070";
    let to_callee = |routes: String| (CALLEE.to_string(), routes, "203.0.113.9:5070", CALLEE, Vec::<&str>::new());
    let rows = [
        // Ours alone, and in every form.
        to_callee(std::format!("Route: {OURS}\r\n")),
        to_callee(std::format!("Route: {OURS} \r\n")),
        to_callee(std::format!("Route:\r\n {OURS}\r\n")),
        to_callee(std::format!("ROUTE  :{OURS}\r\n")),
        // A pair of ours.
        to_callee(std::format!("Route: {}\r\nRoute: {}\r\n", PAIR[0], PAIR[1])),
        to_callee(std::format!("Route: {},{}\r\n", PAIR[0], PAIR[1])),
        to_callee(std::format!("Route: {} ,\r\n\t {}\r\n", PAIR[0], PAIR[1])),
        // Another proxy behind us.
        (
            CALLEE.to_string(),
            std::format!("Route: {OURS}\r\nRoute: <sip:10.0.0.9;lr>\r\n"),
            "10.0.0.9:5060",
            CALLEE,
            std::vec!["<sip:10.0.0.9;lr>"],
        ),
        (
            CALLEE.to_string(),
            std::format!("Route: {OURS}, <sip:10.0.0.9;lr>,<sip:10.0.0.8;lr>\r\nRoute: <sip:10.0.0.7;lr>\r\n"),
            "10.0.0.9:5060",
            CALLEE,
            std::vec!["<sip:10.0.0.9;lr>,<sip:10.0.0.8;lr>", "<sip:10.0.0.7;lr>"],
        ),
        (
            CALLEE.to_string(),
            std::format!("Route: {},{},<sip:10.0.0.9;lr>\r\n", PAIR[0], PAIR[1]),
            "10.0.0.9:5060",
            CALLEE,
            std::vec!["<sip:10.0.0.9;lr>"],
        ),
        // A strict router behind us.
        (
            CALLEE.to_string(),
            std::format!("Route: {OURS}\r\nRoute: <sip:10.0.0.9>\r\n"),
            "10.0.0.9:5060",
            "sip:10.0.0.9",
            std::vec!["<sip:bob@203.0.113.9:5070>"],
        ),
        (
            CALLEE.to_string(),
            std::format!("Route: {OURS}, <sip:10.0.0.9>, <sip:10.0.0.8;lr>\r\n"),
            "10.0.0.9:5060",
            "sip:10.0.0.9",
            std::vec!["<sip:10.0.0.8;lr>", "<sip:bob@203.0.113.9:5070>"],
        ),
        // A strict router before us.
        (
            "sip:192.0.2.1:5060;lr=on;ftag=al".to_string(),
            std::format!("Route: <{CALLEE}>\r\n"),
            "203.0.113.9:5070",
            CALLEE,
            std::vec![],
        ),
        (
            "sip:192.0.2.1:5060;lr=on;ftag=al".to_string(),
            std::format!("Route: <sip:10.0.0.9;lr>, <{CALLEE}>\r\n"),
            "10.0.0.9:5060",
            CALLEE,
            std::vec!["<sip:10.0.0.9;lr>"],
        ),
        (
            "sip:192.0.2.1:5060;lr=on;ftag=al".to_string(),
            std::format!("Route: <sip:10.0.0.9;lr>\r\nRoute: <{CALLEE}>\r\n"),
            "10.0.0.9:5060",
            CALLEE,
            std::vec!["<sip:10.0.0.9;lr>"],
        ),
        // The same before a pair of ours.
        (
            "sip:192.0.2.1:5060;transport=tcp;r2=on;lr".to_string(),
            std::format!("Route: {}, <{CALLEE}>\r\n", PAIR[1]),
            "203.0.113.9:5070",
            CALLEE,
            std::vec![],
        ),
        (
            "sip:192.0.2.1:5060;transport=tcp;r2=on;lr".to_string(),
            std::format!("Route: {}\r\nRoute: <sip:10.0.0.9;lr>, <{CALLEE}>\r\n", PAIR[1]),
            "10.0.0.9:5060",
            CALLEE,
            std::vec!["<sip:10.0.0.9;lr>"],
        ),
        // Strict before us and behind us.
        (
            "sip:192.0.2.1:5060;lr=on;ftag=al".to_string(),
            std::format!("Route: <sip:10.0.0.9>, <{CALLEE}>\r\n"),
            "10.0.0.9:5060",
            "sip:10.0.0.9",
            std::vec!["<sip:bob@203.0.113.9:5070>"],
        ),
        (
            "sip:192.0.2.1:5060;lr=on;ftag=al".to_string(),
            std::format!("Route: <sip:10.0.0.9>,<sip:10.0.0.8;lr>,<{CALLEE}>\r\n"),
            "10.0.0.9:5060",
            "sip:10.0.0.9",
            std::vec!["<sip:10.0.0.8;lr>", "<sip:bob@203.0.113.9:5070>"],
        ),
    ];
    for (uri, routes, peer, request_uri, left) in rows {
        let mut w = World::new();
        let sent = only(w.udp(CALLER, bye(&uri, &routes)));
        assert_eq!(sent.to, peer.parse().unwrap(), "{uri} {routes}");
        let first = sent.text.lines().next().unwrap();
        assert_eq!(first, std::format!("BYE {request_uri} SIP/2.0"), "{uri} {routes}");
        let got: Vec<_> = lines(&sent, "Route:").into_iter().map(str::trim).collect();
        assert_eq!(got, left, "{uri} {routes}:\n{}", sent.text);
    }
}

#[test]
fn what_did_not_come_by_our_route_goes_nowhere() {
    let mut w = World::new();
    for routes in ["", "Route: <sip:10.0.0.9;lr>\r\n", "Route: <sip:192.0.2.1:5099;lr>\r\n", "Route: garbage\r\n"] {
        let sent = only(w.udp(CALLER, bye("sip:bob@203.0.113.9:5070", routes)));
        assert!(sent.text.starts_with("SIP/2.0 404 Not Found\r\n"), "{routes}");
        let ack = with(&with(&bye("sip:bob@203.0.113.9:5070", routes), "BYE", "ACK"), "BYE", "ACK");
        assert!(w.udp(CALLER, ack).is_empty(), "{routes}: a stray ACK is silent");
    }
    assert_eq!(w.node.stats().stray_acks, 4);
}

#[test]
fn a_next_hop_that_is_no_address_or_is_us() {
    let rows = [
        ("sip:bob@callee.example", "502 Bad Gateway — Next Hop Is No IP Address"),
        ("sip:bob@192.0.2.1:5060", "404 Not Found"),
        ("sip:bob@203.0.113.9;transport=tls", "502 Bad Gateway — No Listener For That Transport"),
        ("sips:bob@203.0.113.9", "502 Bad Gateway — No Listener For That Transport"),
        ("tel:+15551234", "502 Bad Gateway — Next Hop Is No IP Address"),
        ("sip:bob@203.0.113.9:0", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@0.0.0.0", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@[::]", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@255.255.255.255", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@[::ffff:255.255.255.255]", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@224.0.1.75", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@[ff02::1]", "403 Forbidden — Next Hop Is Not One Host"),
        ("sip:bob@callee.example;maddr=224.0.1.75", "403 Forbidden — Next Hop Is Not One Host"),
    ];
    for (uri, expected) in rows {
        let mut w = World::new();
        let sent = only(w.udp(CALLER, bye(uri, "Route: <sip:192.0.2.1:5060;lr>\r\n")));
        assert!(sent.text.starts_with(&std::format!("SIP/2.0 {expected}\r\n")), "{uri}: {}", sent.text);
    }
}

#[test]
fn two_nodes_one_behind_the_other_each_keep_their_route() {
    // What the first one recorded is the second element for the second one.
    let mut w = World::new();
    let routes = "Record-Route: <sip:198.51.100.7:5062;lr=on;ftag=al>\r\n";
    let sent = w.udp(CALLER, request("INVITE", "sip:2000@edge.example", 1, routes));
    let forwarded = to(&sent, TARGETS[0])[0].clone();
    let bye = only(w.udp(TARGETS[0], from_callee("BYE", &forwarded, "bo", "sip:alice@10.1.1.1:5099", 1)));
    assert_eq!(bye.to, CALLER.parse().unwrap());
    assert_eq!(lines(&bye, "Route: "), ["<sip:198.51.100.7:5062;lr=on;ftag=al>"]);
    w.udp(CALLER, bye.answer("200 OK", "", ""));
    w.udp(TARGETS[0], forwarded.answer("487 Request Terminated", "bo", ""));
}
