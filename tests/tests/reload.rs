//! A new configuration for a running node: all of it holds, or nothing changes.

use std::time::Duration;

use trunkline_tests::harness::{Config, Place, Server, Signal, Transport, Trunkline, until};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(10);

fn config(place: &Place, servers: &[&Server]) -> Config {
    Config::balancer(place, &servers.iter().map(|server| Transport::Udp.uri(server.address())).collect::<Vec<_>>())
}

#[test]
fn a_good_file_adds_and_removes_targets() {
    needs!("trunkline");
    let place = Place::shared();
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let edge = Trunkline::start(&place, &config(&place, &[&servers[0]]));
    edge.write(&config(&place, &[&servers[0], &servers[1]]).text());
    edge.ctl(&["reload"]);
    (0..6).for_each(|_| edge.udp_phone(&place).call());
    assert!(servers.iter().all(|server| server.count("INVITE") > 0));

    // A call on the target that goes stays what it is.
    let mut phones = [edge.udp_phone(&place), edge.udp_phone(&place)];
    phones.iter_mut().for_each(|phone| assert_eq!(phone.invite().status(), Some(200)));
    edge.write(&config(&place, &[&servers[1]]).text());
    edge.ctl(&["reload"]);
    let before = servers[0].count("INVITE");
    (0..4).for_each(|_| edge.udp_phone(&place).call());
    assert_eq!(servers[0].count("INVITE"), before);
    phones.iter_mut().for_each(|phone| assert_eq!(phone.ask("BYE").status(), Some(200)));
}

#[test]
fn sighup_reads_the_file_again() {
    needs!("trunkline");
    let place = Place::shared();
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let mut edge = Trunkline::start(&place, &config(&place, &[&servers[0]]));
    edge.write(&config(&place, &[&servers[1]]).text());
    edge.process.signal(Signal::HUP);
    until("the new target is there", SOON, || edge.flags(servers[1].address()).is_some());
    edge.udp_phone(&place).call();
    assert_eq!(servers[1].count("INVITE"), 1);
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    needs!("trunkline");
    let place = Place::shared();
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let mut edge = Trunkline::start(&place, &config(&place, &[&servers[0]]));
    // Good in its first part, and it names another target: none of it may hold.
    let bad = config(&place, &[&servers[1]]).text() + "[[route]]\ndispach = { set = 1 }\n";
    edge.write(&bad);
    let output = edge.run_ctl(false, &["reload"]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(why.contains("dispach") && why.contains("dispatch"), "{why}");
    edge.process.signal(Signal::HUP);
    until("the log says why", SOON, || edge.process.log().matches("dispach").count() > 0);
    assert!(edge.flags(servers[1].address()).is_none());
    edge.udp_phone(&place).call();
    assert_eq!((servers[0].count("INVITE"), servers[1].count("INVITE")), (1, 0));
}

#[test]
fn a_drained_target_stays_drained() {
    needs!("trunkline");
    let place = Place::shared();
    let servers = [11, 12].map(|host| Server::udp(place.at(host)));
    let config = config(&place, &[&servers[0], &servers[1]]);
    let edge = Trunkline::start(&place, &config);
    edge.ctl(&["drain", &Transport::Udp.uri(servers[0].address())]);
    edge.write(&config.route("match = { user = \"^x$\" }\nreject = { code = 404 }").text());
    edge.ctl(&["reload"]);
    (0..4).for_each(|_| edge.udp_phone(&place).call());
    assert_eq!(servers[0].count("INVITE"), 0);
}
