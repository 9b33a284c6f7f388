//! What the world does to a server: floods, forgeries, full tables, broken files. Each has its answer, and none has an
//! effect on other calls.

use std::net::{SocketAddr, UdpSocket};
use std::process::Output;
use std::time::Duration;

use trunkline_tests::harness::{
    Behaviour, Config, Place, Process, Server, Transport, Trunkline, Wire, binary, command, until,
};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(5);

fn one(place: &Place) -> (Server, Trunkline) {
    let server = Server::start(place.at(11), &[Transport::Udp, Transport::Tcp], Behaviour::Answer);
    let edge = Trunkline::start(place, &Config::balancer(place, &[Transport::Udp.uri(server.address())]));
    (server, edge)
}

fn udp(place: &Place, edge: &Trunkline) -> Wire {
    Wire::udp(SocketAddr::new(place.ip(22), 0), edge.address())
}

#[test]
fn a_flood_of_headers_is_refused() {
    needs!("trunkline");
    let place = Place::shared();
    let (server, edge) = one(&place);
    let flood = "X-Flood: 1\r\n".repeat(4_000);
    let mut wire = udp(&place, &edge);
    for _ in 0..50 {
        let answer = wire.ask("INVITE", "sip:2000@example.com", &flood, SOON).expect("an answer");
        assert!(matches!(answer.status(), Some(400 | 413 | 513)), "{}", answer.start_line());
    }
    assert_eq!(server.count("INVITE"), 0);
    edge.udp_phone(&place).call();
}

#[test]
fn a_response_with_a_forged_branch_goes_nowhere() {
    needs!("trunkline");
    let place = Place::shared();
    let (server, edge) = one(&place);
    server.set(Behaviour::Ring);
    let mut phone = edge.udp_phone(&place);
    phone.send("INVITE");
    phone.response("INVITE", 180);
    let invite = server.wait_for("INVITE", &phone.call_id).message;
    let vias = invite.values("Via");
    // The branch that the node made, with each of its characters changed in turn.
    let branch = invite.branch().to_owned();
    let mut stranger = udp(&place, &edge);
    for at in "z9hG4bK".len()..branch.len() {
        let other = if branch.as_bytes()[at] == b'0' { "1" } else { "0" };
        let forged = format!("{}{other}{}", &branch[..at], &branch[at + 1..]);
        let response = format!(
            "SIP/2.0 200 Forged\r\nVia: {}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag=forged\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Content-Length: 0\r\n\r\n",
            vias[0].replace(&branch, &forged),
            vias[1],
            invite.field("From").unwrap(),
            invite.field("To").unwrap(),
            phone.call_id,
            invite.field("CSeq").unwrap(),
        );
        stranger.send(response.as_bytes());
    }
    phone.send("CANCEL");
    assert_eq!(phone.response("CANCEL", 200).status(), Some(200));
    let answer = phone.finish_invite();
    assert_eq!(answer.status(), Some(487), "{}", answer.start_line());
}

#[test]
fn responses_that_nobody_asked_for_are_dropped() {
    needs!("trunkline");
    let place = Place::shared();
    let (server, edge) = one(&place);
    let victim = UdpSocket::bind(SocketAddr::new(place.ip(23), 0)).unwrap();
    victim.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut stranger = udp(&place, &edge);
    for n in 0..200 {
        let response = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKstray{n}\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKx{n}\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: stray{n}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
            edge.address(),
            victim.local_addr().unwrap(),
        );
        stranger.send(response.as_bytes());
    }
    edge.udp_phone(&place).call();
    assert!(victim.recv(&mut [0; 2_048]).is_err(), "a stray response was relayed");
    assert_eq!(server.count("INVITE"), 1);
}

#[test]
fn a_full_table_answers_503_with_retry_after_and_recovers() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::start(place.at(11), &[Transport::Udp], Behaviour::Ring);
    let config = Config::balancer(&place, &[Transport::Udp.uri(server.address())])
        .key("limits", "transactions", "16")
        .key("timers", "t1", "\"50ms\"")
        .key("timers", "t4", "\"100ms\"")
        .key("dispatch.ping", "mode", "\"off\"");
    let edge = Trunkline::start(&place, &config);
    let mut phones: Vec<_> = (0..40).map(|_| edge.udp_phone(&place)).collect();
    let (mut full, mut ringing) = (0, Vec::new());
    for (n, phone) in phones.iter_mut().enumerate() {
        phone.send("INVITE");
        let answer = phone.response("INVITE", 101);
        match answer.status() {
            Some(180) => ringing.push(n),
            Some(503) => {
                full += 1;
                assert!(answer.field("Retry-After").is_some_and(|value| value.parse::<u32>().is_ok()), "{answer:?}");
            }
            _ => panic!("{}", answer.start_line()),
        }
    }
    assert!(full > 0 && !ringing.is_empty() && ringing.len() <= 16, "{full} refused, {} ring", ringing.len());
    // A call that has its place is not touched: its CANCEL finds one, too, once others have gone.
    drop(edge);
}

#[test]
fn a_table_that_was_full_takes_calls_again() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let config = Config::balancer(&place, &[Transport::Udp.uri(server.address())])
        .key("limits", "transactions", "16")
        .key("timers", "t1", "\"20ms\"")
        .key("timers", "t2", "\"80ms\"")
        .key("timers", "t4", "\"80ms\"");
    let edge = Trunkline::start(&place, &config);
    for _ in 0..60 {
        edge.udp_phone(&place).send("INVITE");
    }
    until("a call finds a place", Duration::from_secs(20), || {
        let mut phone = edge.udp_phone(&place);
        phone.invite().status() == Some(200) && phone.ask("BYE").status() == Some(200)
    });
}

#[test]
fn an_address_that_cannot_be_reached_harms_nobody() {
    needs!("trunkline");
    let place = Place::shared();
    let (_server, edge) = one(&place);
    let mut wire = udp(&place, &edge);
    // A broadcast address, one of no network here, and port 0.
    for route in ["255.255.255.255", "240.0.0.1", "127.0.0.1:0"] {
        let more = format!("Route: <sip:{route};lr>\r\n");
        let request = wire.request("INFO", "sip:2000@example.com", &more);
        wire.send(request.as_bytes());
        edge.udp_phone(&place).call();
    }
}

/// Runs the server until it ends by itself.
fn run(place: &Place, args: &[&str]) -> Output {
    let mut command = command(&binary().unwrap());
    command.arg("run").args(args).current_dir(place.dir());
    let log = place.path("ended.log");
    let mut process = Process::start("trunkline", command, log);
    let status = process.wait(Duration::from_secs(10));
    Output { status, stdout: Vec::new(), stderr: process.log().into_bytes() }
}

fn assert_refused(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_port_in_use_is_said() {
    needs!("trunkline");
    let place = Place::shared();
    let config = Config::new(&place).listen_both(place.at(1));
    std::fs::write(place.path("c.toml"), config.text()).unwrap();
    let taken = UdpSocket::bind(place.at(1)).unwrap();
    assert_refused(&run(&place, &["--config", "c.toml"]), &[&place.at(1).to_string(), "udp"]);
    drop(taken);
    let _taken = std::net::TcpListener::bind(place.at(1)).unwrap();
    assert_refused(&run(&place, &["--config", "c.toml"]), &[&place.at(1).to_string(), "tcp"]);
}

#[test]
fn an_address_of_another_machine_is_said() {
    needs!("trunkline");
    let place = Place::shared();
    assert_refused(&run(&place, &["--listen", "udp:192.0.2.1:5060"]), &["192.0.2.1 is no address of this machine"]);
}

#[test]
fn a_configuration_that_is_missing_or_broken_is_said() {
    needs!("trunkline");
    let place = Place::shared();
    assert_refused(&run(&place, &["--config", "none.toml"]), &["none.toml"]);
    for (text, words) in [
        ("[node\n", ["c.toml", "1"]),
        ("[nod]\n", ["nod", "node"]),
        ("[dispatch.ping]\ninterval = \"10\"\n", ["interval", "2"]),
        ("[[route]]\ndispatch = { set = 7 }\n", ["7", "set"]),
        ("\0\u{1}", ["c.toml", "1"]),
    ] {
        std::fs::write(place.path("c.toml"), text).unwrap();
        assert_refused(&run(&place, &["--config", "c.toml"]), &words);
    }
    std::fs::write(place.path("c.toml"), [0xff, 0xfe, 0x00]).unwrap();
    assert_refused(&run(&place, &["--config", "c.toml"]), &["c.toml"]);
    std::fs::create_dir(place.path("folder.toml")).unwrap();
    assert_refused(&run(&place, &["--config", "folder.toml"]), &["folder.toml"]);
}

#[test]
fn few_file_descriptors_cost_connections_and_no_calls() {
    needs!("trunkline");
    let place = Place::shared();
    let server = Server::udp(place.at(11));
    let config = Config::balancer(&place, &[Transport::Udp.uri(server.address())]);
    std::fs::write(place.path("c.toml"), config.text()).unwrap();
    let mut limited = command(std::path::Path::new("/bin/sh"));
    limited
        .args(["-c", "ulimit -n 64; exec \"$0\" run --config c.toml"])
        .arg(binary().unwrap())
        .current_dir(place.dir());
    let mut process = Process::start("trunkline", limited, place.path("trunkline.log"));
    let phone = || {
        let wire = Wire::udp(SocketAddr::new(place.ip(21), 0), place.at(1));
        trunkline_tests::harness::Phone::new(wire, "sip:2000@example.com")
    };
    until("it answers", Duration::from_secs(10), || {
        let mut wire = Wire::udp(SocketAddr::new(place.ip(22), 0), place.at(1));
        assert!(process.is_running());
        wire.ask("OPTIONS", &format!("sip:{}", place.at(1)), "", Duration::from_millis(200)).is_some()
    });
    let connections: Vec<_> = (0..120).filter_map(|_| Wire::try_tcp(place.at(1)).ok()).collect();
    assert!(connections.len() > 30);
    phone().call();
    drop(connections);
    until("connections are taken again", Duration::from_secs(10), || {
        Wire::try_tcp(place.at(1)).is_ok_and(|mut wire| {
            wire.ask("OPTIONS", &format!("sip:{}", place.at(1)), "", Duration::from_millis(500)).is_some()
        })
    });
    assert!(process.is_running());
}
