//! Requests and their replies. The texts are those of rtpengine.

use super::world::{World, audio, body_of, config, message};
use crate::relay::Command;

fn error(reason: &str) -> std::string::String {
    std::format!("d6:result5:error12:error-reason{}:{reason}e", reason.len())
}

#[test]
fn a_ping_is_answered_in_either_encoding_and_only_with_a_cookie() {
    let mut w = World::new(config());
    assert_eq!(w.control(b"5323_1 d7:command4:pinge").unwrap(), "5323_1 d6:result4:ponge");
    assert_eq!(w.control(b"2 {\"command\": \"ping\"}").unwrap(), "2 {\"result\":\"pong\"}");
    assert_eq!(w.control(b"d7:command4:pinge"), None);
    assert_eq!(w.relay.totals().unanswerable, 1);
    assert_eq!(w.relay.totals().requests_of(Command::Ping), 2);
}

#[test]
fn a_request_that_comes_again_gets_its_reply_again() {
    let mut w = World::new(config());
    let body = audio("192.0.2.1", 5000);
    let offer = message("7", &[("command", "offer"), ("call-id", "x"), ("from-tag", "a"), ("sdp", &body)]);
    let first = w.control(&offer).unwrap();
    assert_eq!(w.control(&offer).unwrap(), first);
    let delete = message("8", &[("command", "delete"), ("call-id", "x"), ("from-tag", "a"), ("delete delay", "#0")]);
    let deleted = w.control(&delete).unwrap();
    assert!(deleted.contains("4:tags"));
    assert_eq!(w.control(&delete).unwrap(), deleted, "not that there is no such call");
    assert_eq!((w.relay.totals().repeated, w.relay.totals().requests_of(Command::Offer)), (2, 1));
    // After the window it is a new request.
    w.pass(core::time::Duration::from_secs(11));
    w.control(&offer).unwrap();
    assert_eq!(w.relay.totals().requests_of(Command::Offer), 2);
}

/// A command, its entries, and the reason of its error.
type Row<'r> = (&'r str, &'r [(&'r str, &'r str)], &'r str);

#[test]
fn what_is_missing_is_named() {
    let mut w = World::new(config());
    let body = audio("192.0.2.1", 5000);
    let rows: &[Row<'_>] = &[
        ("offer", &[], "No SDP body in message"),
        ("offer", &[("sdp", &body)], "No call-id in message"),
        ("offer", &[("sdp", &body), ("call-id", "x")], "No from-tag in message"),
        ("answer", &[("sdp", &body), ("call-id", "x"), ("from-tag", "a")], "No to-tag in message"),
        ("answer", &[("sdp", &body), ("call-id", "x"), ("from-tag", "a"), ("to-tag", "b")], "Unknown call-id"),
        ("offer", &[("sdp", "hello"), ("call-id", "x"), ("from-tag", "a")], "Failed to parse SDP"),
        ("delete", &[], "No call-id in message"),
        ("delete", &[("call-id", "x"), ("flags", "fatal")], "Call-ID not found or tags didn't match"),
        ("query", &[("call-id", "x")], "Unknown call-id"),
        ("block media", &[("call-id", "x")], "Unknown call-id"),
        ("start recording", &[("call-id", "x")], "Unknown call-id"),
        ("play media", &[("call-id", "x")], "Command not supported by this relay"),
        ("frobnicate", &[], "Unrecognized command"),
    ];
    for (command, entries, reason) in rows {
        assert_eq!(w.ask(command, entries), error(reason), "{command} {entries:?}");
    }
    assert_eq!(w.relay.totals().errors, rows.len() as u64);
    w.assert_clean();
}

#[test]
fn a_deletion_of_nothing_is_a_warning() {
    let mut w = World::new(config());
    let warning = "d7:warning38:Call-ID not found or tags didn't match6:result2:oke";
    assert_eq!(w.ask("delete", &[("call-id", "x"), ("from-tag", "a")]), warning);
    w.call("x");
    assert_eq!(w.ask("delete", &[("call-id", "x"), ("from-tag", "z")]), warning);
    assert_eq!(w.relay.sessions(), 1);
}

#[test]
fn every_way_to_name_a_call_deletes_it() {
    let ways: [&[(&str, &str)]; 5] = [
        &[],
        &[("from-tag", "a")],
        &[("from-tag", "b")],
        &[("from-tag", "a"), ("to-tag", "b")],
        &[("from-tag", "b"), ("to-tag", "a")],
    ];
    for way in ways {
        let mut w = World::new(config());
        w.call("x");
        let mut entries = std::vec![("call-id", "x"), ("delete delay", "#0")];
        entries.extend_from_slice(way);
        let reply = w.ask("delete", &entries);
        assert_eq!(reply.contains("6:totals"), !way.is_empty(), "statistics come if a party is named");
        w.assert_clean();
    }
}

#[test]
fn an_offer_that_nobody_answered_is_deleted_by_both_tags() {
    let mut w = World::new(config());
    w.offer("x", "a", &audio("192.0.2.1", 5000), &[]);
    w.ask("delete", &[("call-id", "x"), ("from-tag", "a"), ("to-tag", "b"), ("delete delay", "#0")]);
    w.assert_clean();
}

#[test]
fn calls_are_listed_and_counted() {
    let mut w = World::new(config());
    for call in ["x", "y", "z"] {
        w.call(call);
    }
    assert_eq!(w.ask("list", &[]), "d5:callsl1:x1:y1:ze6:result2:oke");
    assert_eq!(w.ask("list", &[("limit", "#2")]), "d5:callsl1:x1:ye6:result2:oke");
    let statistics = w.ask("statistics", &[]);
    assert!(statistics.contains("11:sessionsowni3e") && statistics.contains("15:totaloffercounti3e"), "{statistics}");
    assert_eq!(w.started, 3);
}

#[test]
fn a_query_tells_the_streams() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    let reply = w.ask("query", &[("call-id", "x")]);
    for part in [
        std::format!("10:local porti{}e", a.port()),
        std::format!("10:local porti{}e", b.port()),
        "19:advertised endpointd6:family4:IPv47:address9:192.0.2.14:porti5001ee".into(),
        "6:totalsd3:RTPd7:packetsi0e5:bytesi0e6:errorsi0ee".into(),
        "7:createdi1000e".into(),
    ] {
        assert!(reply.contains(&part), "{part} in {reply}");
    }
}

#[test]
fn parties_are_chosen_by_label_and_address() {
    let mut w = World::new(config());
    w.offer("x", "a", &audio("192.0.2.1", 5000), &[("label", "caller")]);
    for way in [("label", "caller"), ("address", "192.0.2.1")] {
        assert_eq!(w.ask("block DTMF", &[("call-id", "x"), way]), "d6:result2:oke");
    }
    for way in [("label", "callee"), ("address", "192.0.2.9")] {
        assert_eq!(w.ask("block DTMF", &[("call-id", "x"), way]), error("From-tag given, but no such tag exists"));
    }
}

#[test]
fn versions_grow_when_the_description_changes() {
    let mut w = World::new(config());
    let origin = |w: &mut World, body: &str| {
        let reply =
            w.ask("offer", &[("call-id", "x"), ("from-tag", "a"), ("sdp", body), ("flags", "replace-sdp-version")]);
        body_of(&reply).lines().nth(1).unwrap().split(' ').nth(2).unwrap().parse::<u64>().unwrap()
    };
    let body = audio("192.0.2.1", 5000);
    assert_eq!(origin(&mut w, &body), 1);
    assert_eq!(origin(&mut w, &body.replace("o=- 1 1", "o=- 1 8")), 1, "nothing but the version has changed");
    assert_eq!(origin(&mut w, &body.replace("sendrecv", "sendonly")), 2);
}
