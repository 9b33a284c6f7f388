//! The messages of RFC 4475 and RFC 5118 and the bad input of our own, sent to a running node.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use trunkline_tests::harness::{Config, Message, Place, Server, Transport, Trunkline, Wire, until};
use trunkline_tests::needs;
use trunkline_tests::torture::{Case, Expect, Outcome, bad_input, rfc4475, rfc5118};

/// How long silence has to last to count as such.
const SILENCE: Duration = Duration::from_millis(150);

/// One media server, and a node that sends calls there by its default rules and soon forgets them.
fn node(place: &Place) -> (Server, Trunkline) {
    let server =
        Server::start(place.at(11), &[Transport::Udp, Transport::Tcp], trunkline_tests::harness::Behaviour::Answer);
    let config = Config::by_default(place, &[Transport::Udp.uri(server.address())])
        .key("node", "shards", "1")
        .key("timers", "t1", "\"50ms\"")
        .key("timers", "t2", "\"200ms\"")
        .key("timers", "t4", "\"200ms\"")
        .key("timers", "fr_timer", "\"2s\"")
        .key("timers", "fr_inv_timer", "\"2s\"")
        .key("dispatch", "first_reply_timeout", "\"500ms\"");
    let edge = Trunkline::start(place, &config);
    (server, edge)
}

/// The port that an answer over UDP goes to where the message does not ask for its source port (RFC 3261 §18.2.2).
fn sent_by_port(case: &Case) -> u16 {
    let read = Message::read(case.bytes, true).or_else(|| Message::read(case.bytes, false));
    let port = read.and_then(|(message, _)| {
        let via = message.values("Via").first()?.to_string();
        let host = via.split_whitespace().nth(1)?.split(';').next()?.to_owned();
        host.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'))?.1.parse().ok()
    });
    port.filter(|port| *port > 1023).unwrap_or(5060)
}

/// Requests that went on: those that the media server did not have before, but for pings.
fn relayed(server: &Server) -> usize {
    server.all().iter().filter(|seen| !seen.message.field("From").unwrap_or_default().contains("keepalive")).count()
}

fn send(
    place: &Place,
    edge: &Trunkline,
    server: &Server,
    case: &Case,
    transport: Transport,
    expect: Expect,
) -> Outcome {
    let before = relayed(server);
    let mut wire = Wire::new(transport, SocketAddr::new(place.ip(21), sent_by_port(case)), edge.address());
    wire.send(&case.addressed_to(&edge.address().to_string()));
    let limit = match expect {
        Expect::Discard | Expect::Incomplete => SILENCE,
        Expect::RejectOrDiscard(_) => 2 * SILENCE,
        _ => Duration::from_secs(4),
    };
    let end = Instant::now() + limit;
    let (mut answer, mut gone_on): (Option<Message>, bool) = (None, false);
    while Instant::now() < end && answer.is_none() && !gone_on {
        answer = wire.final_response(Duration::from_millis(20));
        gone_on = relayed(server) > before;
    }
    if case.closes_stream && transport == Transport::Tcp {
        assert!(wire.is_closed_within(Duration::from_secs(5)), "{}: the connection stays open", case.name);
    }
    match answer.and_then(|answer| answer.status()) {
        _ if gone_on || relayed(server) > before => Outcome::Relayed,
        Some(status) => Outcome::Answered(status),
        None => Outcome::Silent,
    }
}

/// Sends every case and collects what is not as it should be, so that one run shows all of it.
fn send_all(cases: &[Case], one_node_each: bool) {
    let mut wrong = Vec::new();
    let mut place = Place::shared();
    let (mut server, mut edge) = node(&place);
    for transport in [Transport::Udp, Transport::Tcp] {
        for case in cases {
            let expect = if transport == Transport::Udp { case.on_datagram } else { case.on_stream };
            let Some(expect) = expect else { continue };
            if one_node_each {
                // Messages of the RFCs share branches and Call-IDs.
                drop((edge, server));
                place = Place::shared();
                (server, edge) = node(&place);
            }
            let outcome = send(&place, &edge, &server, case, transport, expect);
            if !expect.allows(outcome) {
                wrong.push(format!(
                    "{} over {}: {outcome:?}, wanted {expect:?}: {}",
                    case.name,
                    transport.via(),
                    case.why
                ));
            }
            assert!(edge.process.is_running(), "{} over {}: the node has ended", case.name, transport.via());
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    edge.udp_phone(&place).call();
    until("no transaction is left", Duration::from_secs(30), || edge.open_transactions() == 0);
}

#[test]
fn rfc_4475() {
    needs!("trunkline");
    send_all(rfc4475(), true);
}

#[test]
fn rfc_5118() {
    needs!("trunkline");
    send_all(rfc5118(), true);
}

#[test]
fn bad_input_of_our_own() {
    needs!("trunkline");
    send_all(bad_input(), false);
}
