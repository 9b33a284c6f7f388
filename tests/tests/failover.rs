//! Targets that fail, one way or the other, in front of callers who do not notice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use trunkline_tests::harness::{
    Behaviour, Callee, Caller, Config, Place, Server, Signal, Sipp, Transport, Trunkline, until,
};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(10);

/// Two servers, of which the first is asked first, and the edge before them. The second one answers.
fn first_of_two(place: &Place, first: Behaviour) -> ([Server; 2], Trunkline) {
    let servers = [
        Server::start(place.at(11), &[Transport::Udp], first),
        Server::start(place.at(12), &[Transport::Udp], Behaviour::Answer),
    ];
    let config = Config::new(place).listen_both(place.at(1)).route_all(1).algorithm(1, "serial");
    let config = config.target(1, &Transport::Udp.uri(servers[0].address()), "priority = 20").target(
        1,
        &Transport::Udp.uri(servers[1].address()),
        "priority = 10",
    );
    let edge = Trunkline::start(place, &config);
    (servers, edge)
}

#[test]
fn answers_of_the_callee_pass_to_the_caller() {
    needs!("trunkline");
    for status in [486, 603, 404] {
        let place = Place::shared();
        let (servers, edge) = first_of_two(&place, Behaviour::Status(status));
        let mut phone = edge.udp_phone(&place);
        assert_eq!(phone.invite().status(), Some(status));
        servers[0].wait_for("ACK", &phone.call_id);
        assert_eq!(servers[1].count("INVITE"), 0, "{status}");
    }
}

#[test]
fn failures_of_a_target_go_to_the_next() {
    needs!("trunkline");
    for status in [500, 503, 408] {
        let place = Place::shared();
        let (servers, edge) = first_of_two(&place, Behaviour::Status(status));
        let mut phone = edge.udp_phone(&place);
        phone.call();
        assert_eq!((servers[0].count("INVITE"), servers[1].count("INVITE")), (1, 1), "{status}");
        servers[1].wait_for("BYE", &phone.call_id);
        assert_eq!(servers[0].count("BYE"), 0, "{status}");
    }
}

#[test]
fn a_closed_port_goes_to_the_next_at_once() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = first_of_two(&place, Behaviour::Answer);
    let [first, _second] = servers;
    drop(first);
    let start = Instant::now();
    edge.udp_phone(&place).call();
    // ICMP tells it: there is nothing to wait for, neither the first reply nor a ping.
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
}

#[test]
fn a_silent_target_is_given_up_after_two_seconds() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = first_of_two(&place, Behaviour::SilentToInvite);
    let mut phone = edge.udp_phone(&place);
    phone.call();
    let at = |server: &Server| server.wait_for("INVITE", &phone.call_id).at;
    let waited = at(&servers[1]) - at(&servers[0]);
    assert!((1_900..3_000).contains(&waited.as_millis()), "{waited:?}");
}

#[test]
fn two_dead_targets_in_a_row_lose_no_call() {
    needs!("trunkline");
    let place = Place::shared();
    let servers = [11, 12, 13].map(|host| Server::udp(place.at(host)));
    servers[0].set(Behaviour::SilentToInvite);
    let config = Config::new(&place).listen_both(place.at(1)).route_all(1).algorithm(1, "serial");
    let config = (0u32..).zip(&servers).fold(config, |config, (n, server)| {
        config.target(1, &Transport::Udp.uri(server.address()), &format!("priority = {}", 30 - n))
    });
    let edge = Trunkline::start(&place, &config);
    let [first, second, third] = servers;
    drop(second);
    let mut phone = edge.udp_phone(&place);
    phone.call();
    assert_eq!((first.count("INVITE"), third.count("INVITE")), (1, 1));
}

#[test]
fn all_dead_is_503_with_the_words_of_the_platform() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = first_of_two(&place, Behaviour::Status(500));
    servers[1].set(Behaviour::Status(503));
    let answer = edge.udp_phone(&place).invite();
    assert_eq!((answer.status(), answer.reason()), (Some(503), "All Media Servers Unavailable"));
    servers.iter().for_each(|server| server.set(Behaviour::Silent));
    for server in &servers {
        edge.wait_flags(server.address(), "IP", SOON);
    }
    let answer = edge.udp_phone(&place).invite();
    assert_eq!((answer.status(), answer.reason()), (Some(503), "Service Unavailable — No Media Servers"));
    servers.iter().for_each(|server| server.set(Behaviour::Answer));
    edge.wait_flags(servers[0].address(), "AP", SOON);
    edge.udp_phone(&place).call();
}

#[test]
fn new_calls_avoid_a_target_from_its_first_failure_on() {
    needs!("trunkline");
    let place = Place::shared();
    let server = |host| Server::udp(place.at(host));
    let servers = [server(11), server(12)];
    let config = Config::new(&place).listen_both(place.at(1)).route_all(1).algorithm(1, "serial");
    // No ping takes part in this.
    let config = config
        .key("dispatch.ping", "interval", "\"600s\"")
        .target(1, &Transport::Udp.uri(servers[0].address()), "priority = 20")
        .target(1, &Transport::Udp.uri(servers[1].address()), "priority = 10");
    let edge = Trunkline::start(&place, &config);
    servers[0].set(Behaviour::SilentToInvite);
    for _ in 0..3 {
        edge.udp_phone(&place).call();
    }
    assert_eq!((servers[0].count("INVITE"), servers[1].count("INVITE")), (1, 3));
}

/// Calls by SIPp over three media servers, the first of which is lost in the middle by `signal`.
fn lose_a_server(signal: Signal) {
    let place = Place::alone();
    let callee = |host| Sipp::callee(&place, place.at(host), Transport::Udp, &Callee::default());
    let mut callees = [callee(11), callee(12), callee(13)];
    let targets = callees.each_ref().map(|callee| Transport::Udp.uri(callee.address()));
    let edge = Trunkline::start(&place, &Config::balancer(&place, &targets));
    let scenario = Caller { hold_ms: 1_000, ..Caller::default() };
    let mut caller = Sipp::caller(&place, place.at(21), Transport::Udp, edge.address(), &scenario, (600, 50));
    until("calls run", SOON, || caller.logged().iter().filter(|line| line[0] == "done").count() > 100);
    callees[0].process.signal(signal);
    // The timeline: three pings at 500 ms without an answer within 400 ms, and the interval under way.
    edge.wait_flags(place.at(11), "IP", Duration::from_millis(4 * 500 + 400 + 500));
    caller.wait(Duration::from_secs(120));

    let lines = caller.logged();
    let of = |what: &str| -> BTreeMap<String, String> {
        let lines = lines.iter().filter(|line| line.len() > 1 && line[0] == what);
        lines.map(|line| (line[1].clone(), line.get(2).cloned().unwrap_or_default())).collect()
    };
    let (ringing, answered, done) = (of("ringing"), of("answered"), of("done"));
    let on_lost: BTreeSet<_> =
        ringing.iter().chain(&answered).filter(|(_, by)| by.contains(&place.at(11).to_string())).collect();
    assert!(done.len() < 600, "no call was on the server that was lost");
    assert!(done.len() > 450, "{} of 600 calls ended well", done.len());
    assert_eq!(
        ringing.keys().chain(answered.keys()).collect::<BTreeSet<_>>().len(),
        600,
        "a call was not placed at all"
    );
    for id in ringing.keys().chain(answered.keys()).filter(|id| !done.contains_key(*id)) {
        assert!(on_lost.iter().any(|(lost, _)| *lost == id), "{id} failed and was not on the server that was lost");
    }

    // Another one in its place: it is found without anybody's doing.
    callees[0].process.kill();
    callees[0] = callee(11);
    edge.wait_flags(place.at(11), "AP", SOON);
    let mut again = Sipp::caller(&place, place.at(22), Transport::Udp, edge.address(), &Caller::default(), (60, 60));
    assert_eq!(again.wait(Duration::from_secs(30)).successful, 60);
    until("it takes calls again", SOON, || callees[0].stats().invites > 0);
}

#[test]
fn a_killed_server_takes_only_its_own_calls_with_it() {
    needs!("sipp", "trunkline");
    lose_a_server(Signal::KILL);
}

#[test]
fn a_server_that_hangs_takes_only_its_own_calls_with_it() {
    needs!("sipp", "trunkline");
    lose_a_server(Signal::STOP);
}

#[test]
fn calls_over_a_cap_go_to_the_next_target() {
    needs!("trunkline");
    let place = Place::shared();
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let config = Config::new(&place).listen_both(place.at(1)).route_all(1).algorithm(1, "serial");
    let config = config.target(1, &Transport::Udp.uri(servers[0].address()), "priority = 20\nmax_calls = 2").target(
        1,
        &Transport::Udp.uri(servers[1].address()),
        "priority = 10",
    );
    let edge = Trunkline::start(&place, &config);
    let mut phones: Vec<_> = (0..3).map(|_| edge.udp_phone(&place)).collect();
    for phone in &mut phones {
        assert_eq!(phone.invite().status(), Some(200));
    }
    assert_eq!((servers[0].count("INVITE"), servers[1].count("INVITE")), (2, 1));
    for phone in &mut phones {
        assert_eq!(phone.ask("BYE").status(), Some(200));
    }
    edge.udp_phone(&place).call();
    assert_eq!(servers[0].count("INVITE"), 3);
}
