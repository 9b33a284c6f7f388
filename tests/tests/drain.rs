//! Targets that are taken out of service on purpose.

use std::time::{Duration, Instant};

use trunkline_tests::harness::{Config, Place, Server, Transport, Trunkline, until};
use trunkline_tests::needs;

fn two(place: &Place) -> ([Server; 2], Trunkline) {
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let targets = servers.each_ref().map(|server| Transport::Udp.uri(server.address()));
    let config = Config::balancer(place, &targets).key("dispatch.ping", "interval", "\"100ms\"");
    let edge = Trunkline::start(place, &config.key("dispatch.ping", "timeout", "\"90ms\""));
    (servers, edge)
}

#[test]
fn a_drained_target_stays_out_although_it_answers_pings() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = two(&place);
    edge.ctl(&["drain", &format!("sip:{}", servers[0].address())]);
    let pings = servers[0].count("OPTIONS");
    // Many more than make a target that was down active again.
    until("it is pinged on", Duration::from_secs(20), || servers[0].count("OPTIONS") > pings + 30);
    for _ in 0..6 {
        edge.udp_phone(&place).call();
    }
    assert_eq!((servers[0].count("INVITE"), servers[1].count("INVITE")), (0, 6));
    assert_eq!(edge.flags(servers[0].address()).as_deref(), Some("IP"));
    edge.ctl(&["set-state", "active", "1", &format!("sip:{}", servers[0].address())]);
    for _ in 0..6 {
        edge.udp_phone(&place).call();
    }
    assert!(servers[0].count("INVITE") > 0);
}

#[test]
fn calls_of_a_drained_target_go_on() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = two(&place);
    let mut phones: Vec<_> = (0..4).map(|_| edge.udp_phone(&place)).collect();
    phones.iter_mut().for_each(|phone| assert_eq!(phone.invite().status(), Some(200)));
    let target = format!("sip:{}", servers[0].address());
    let waiting = edge.run_ctl(true, &["drain", &target, "--wait", "--timeout", "300ms"]);
    assert_eq!(waiting.status.code(), Some(1), "it has calls: {}", String::from_utf8_lossy(&waiting.stdout));
    phones.iter_mut().for_each(|phone| {
        assert_eq!(phone.ask("INFO").status(), Some(200));
        assert_eq!(phone.ask("BYE").status(), Some(200));
    });
    assert!(servers[0].count("BYE") > 0);
    let start = Instant::now();
    let drained = edge.run_ctl(true, &["drain", &target, "--wait", "--timeout", "10s"]);
    assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stdout));
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_disabled_target_is_not_pinged() {
    needs!("trunkline");
    let place = Place::shared();
    let (servers, edge) = two(&place);
    edge.ctl(&["set-state", "disabled", "1", &format!("sip:{}", servers[0].address())]);
    // One ping may have been under way.
    let before = servers[0].count("OPTIONS") + 1;
    let other = servers[1].count("OPTIONS");
    until("the other one is pinged", Duration::from_secs(10), || servers[1].count("OPTIONS") > other + 10);
    assert!(servers[0].count("OPTIONS") <= before);
    edge.udp_phone(&place).call();
    assert_eq!(servers[0].count("INVITE"), 0);
}
