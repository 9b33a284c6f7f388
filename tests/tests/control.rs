//! `trunkline ctl`, as an operator and as a program use it.

use std::time::Duration;

use trunkline_tests::harness::{Behaviour, Config, Place, Server, Signal, Transport, Trunkline, until};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(10);

fn text(edge: &Trunkline, args: &[&str]) -> String {
    let output = edge.run_ctl(false, args);
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "ctl {args:?}: {out}{}", String::from_utf8_lossy(&output.stderr));
    out
}

fn three(place: &Place) -> ([Server; 3], Trunkline) {
    let servers = [11, 12, 13].map(|host| Server::udp(place.at(host)));
    let targets = servers.each_ref().map(|server| Transport::Udp.uri(server.address()));
    let edge = Trunkline::start(place, &Config::balancer(place, &targets));
    (servers, edge)
}

#[test]
fn active_targets_can_be_counted_with_grep() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = three(&place);
    let active = || text(&edge, &["dispatcher.list"]).matches("FLAGS: AP").count();
    assert_eq!(active(), 3);
    servers[0].set(Behaviour::Silent);
    until("one less is active", SOON, || active() == 2);
    servers[0].set(Behaviour::Answer);
    until("it comes back by itself", SOON, || active() == 3);
}

#[test]
fn a_target_is_added_and_removed() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let edge = Trunkline::start(&place, &Config::balancer(&place, &[Transport::Udp.uri(server.address())]));
    let added = Server::udp(place.at(12));
    edge.ctl(&["add", "1", &Transport::Udp.uri(added.address())]);
    until("it takes calls", SOON, || {
        edge.udp_phone(&place).call();
        added.count("INVITE") > 0
    });
    edge.ctl(&["remove", "1", &Transport::Udp.uri(added.address())]);
    assert_eq!(edge.flags(added.address()), None);
    let before = added.count("INVITE");
    (0..4).for_each(|_| edge.udp_phone(&place).call());
    assert_eq!(added.count("INVITE"), before);
}

#[test]
fn a_target_is_named_in_several_ways() {
    needs!("trunkline");
    let place = Place::shared();
    let address = place.at(11);
    let server = Server::udp(address);
    let edge = Trunkline::start(
        &place,
        &Config::new(&place).listen_both(place.at(1)).route_all(1).target(
            1,
            &format!("sip:{address};transport=udp"),
            "duid = \"fs1\"",
        ),
    );
    let names = [format!("sip:{address};transport=udp"), format!("sip:{address}"), address.to_string(), "fs1".into()];
    for name in &names {
        edge.ctl(&["drain", name]);
        assert!(text(&edge, &["targets"]).contains("ADMIN: drain"), "{name}");
        edge.ctl(&["set-state", "active", "1", name]);
        assert!(text(&edge, &["targets"]).contains("ADMIN: active"), "{name}");
        let before = server.count("OPTIONS");
        edge.ctl(&["ping", name]);
        until("a ping comes", SOON, || server.count("OPTIONS") > before);
        edge.ctl(&["remove", "1", name]);
        edge.ctl(&["add", "1", &names[0], "--duid", "fs1"]);
    }
}

#[test]
fn latency_is_listed_unless_it_is_not_measured() {
    needs!("trunkline");
    for (value, is_listed) in [("true", true), ("false", false)] {
        let place = Place::shared();
        let server = Server::udp(place.at(11));
        let config = Config::balancer(&place, &[Transport::Udp.uri(server.address())]);
        let edge = Trunkline::start(&place, &config.key("dispatch.ping", "latency_stats", value));
        assert_eq!(text(&edge, &["targets"]).contains("LATENCY:"), is_listed);
    }
}

#[test]
fn a_ping_goes_out_when_asked_for() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let config = Config::balancer(&place, &[Transport::Udp.uri(server.address())]);
    let edge = Trunkline::start(&place, &config.key("dispatch.ping", "interval", "\"600s\""));
    // The first may be one that went out at the start.
    for _ in 0..3 {
        let before = server.count("OPTIONS");
        edge.ctl(&["ping"]);
        until("a ping comes", SOON, || server.count("OPTIONS") > before);
    }
}

#[test]
fn dialogs_are_listed_while_they_last() {
    needs!("trunkline");
    let place = Place::shared();
    let (_servers, edge) = three(&place);
    let mut phone = edge.udp_phone(&place);
    assert_eq!(phone.invite().status(), Some(200));
    until("it is listed", SOON, || text(&edge, &["dialogs"]).contains(&phone.call_id));
    assert!(edge.ctl(&["dialogs", "--call-id", "nobody@nowhere"]).to_string().find(&phone.call_id).is_none());
    assert_eq!(phone.ask("BYE").status(), Some(200));
    until("it is gone", SOON, || !text(&edge, &["dialogs"]).contains(&phone.call_id));
}

#[test]
fn statistics_uptime_and_log_level_are_told() {
    needs!("trunkline");
    let place = Place::shared();
    let (_servers, edge) = three(&place);
    let before = edge.ctl(&["stats"]);
    edge.udp_phone(&place).call();
    assert!(before.is_object() || before.is_array(), "{before}");
    assert_ne!(edge.ctl(&["stats"]), before);
    assert!(!edge.ctl(&["uptime"]).is_null());
    assert!(text(&edge, &["log-level"]).contains("debug"));
    edge.ctl(&["log-level", "warn"]);
    assert!(text(&edge, &["log-level"]).contains("warn"));
}

#[test]
fn what_is_wrong_is_said() {
    needs!("trunkline");
    let place = Place::shared();
    let (_servers, mut edge) = three(&place);
    for args in [
        &["set-state", "drain", "7", "sip:127.0.0.1:5060"][..],
        &["set-state", "drain", "1", "sip:192.0.2.1:5060"],
        &["remove", "1", "nobody"],
        &["drain", "nobody"],
    ] {
        let output = edge.run_ctl(false, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    edge.process.signal(Signal::TERM);
    edge.process.wait(SOON);
    let output = edge.run_ctl(false, &["targets"]);
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8_lossy(&output.stderr);
    assert!(line.contains("ctl.sock"), "{line}");
}

#[test]
fn a_client_that_sends_rubbish_harms_nobody() {
    needs!("trunkline");
    use std::io::Write as _;
    let place = Place::shared();
    let (_servers, edge) = three(&place);
    for rubbish in [&b"\0\xff\xfe\n"[..], b"{\"jsonrpc\":\"2.0\"", b"[]\n", b"{}\n", &[b'['; 100_000]] {
        let mut socket = std::os::unix::net::UnixStream::connect(place.path("ctl.sock")).unwrap();
        // It may be cut off in the middle.
        let _ = socket.write_all(rubbish);
    }
    assert_eq!(text(&edge, &["dispatcher.list"]).matches("FLAGS: AP").count(), 3);
}
