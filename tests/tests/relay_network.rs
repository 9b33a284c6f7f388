//! The relay between a phone behind a NAT and a far party: addresses that are learned late, change, or are not to be had;
//! and many calls at once.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use trunkline_tests::harness::{
    MediaParty, Nat, Ng, Place, Process, TrunklineRelay, Value, command, converse, media_address, receive, sdp, until,
};
use trunkline_tests::needs;

const LIMIT: Duration = Duration::from_secs(10);
/// Within this time after its first packet a stream may change its source; and some more.
const LEARNED: Duration = Duration::from_millis(3_200);
const NAT: &str = "203.0.113.1";

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().expect("an address"), port)
}

/// A phone and a far party with the relay between them.
struct Scene {
    nat: Nat,
    _relay: TrunklineRelay,
    ng: Ng,
    place: Place,
}

impl Scene {
    fn new(more: &[&str]) -> Self {
        let (place, nat) = (Place::shared(), Nat::new());
        let interfaces = ["all/203.0.113.10".to_owned(), "all/fd97::10".to_owned()];
        let (relay, ng) = nat.within("relay", || {
            let control = at("127.0.0.1", 2223);
            let more = [&["--delete-delay=0"], more].concat();
            (TrunklineRelay::start(&place, control, &interfaces, &more), Ng::new(control))
        });
        Self { nat, _relay: relay, ng, place }
    }

    fn phone(&self, port: u16) -> MediaParty {
        self.nat.within("phone", || MediaParty::new(at("192.168.7.2", port)))
    }

    fn far(&self, ip: &str, port: u16) -> MediaParty {
        self.nat.within("far", || MediaParty::new(at(ip, port)))
    }

    /// A socket of somebody who has nothing to do with the call.
    fn socket(&self, node: &str, ip: &str) -> UdpSocket {
        self.nat.within(node, || UdpSocket::bind(at(ip, 0)).expect("a socket"))
    }

    /// An offer of the phone, as a proxy sends it which the phone reaches through the NAT.
    fn offer(&self, call_id: &str, sdp: &str, more: &[(&str, &str)]) -> Value {
        let mut request = Value::dict().with("call-id", call_id).with("from-tag", "f").with("sdp", sdp);
        request = request.with("received-from", ["IP4", NAT]);
        request = more.iter().fold(request, |request, (key, value)| request.with(key, *value));
        self.ng.command("offer", request)
    }

    fn answer(&self, call_id: &str, sdp: &str, from: &str) -> Value {
        let request = Value::dict().with("call-id", call_id).with("from-tag", "f").with("to-tag", "t").with("sdp", sdp);
        let family = if from.contains(':') { "IP6" } else { "IP4" };
        self.ng.command("answer", request.with("received-from", [family, from]))
    }

    /// A call, or another offer and answer within it.
    #[track_caller]
    fn call(&self, call_id: &str, phone: &mut MediaParty, far: &mut MediaParty, more: &[(&str, &str)]) {
        far.aim(text(&self.offer(call_id, &phone.sdp(""), more)));
        phone.aim(text(&self.answer(call_id, &far.sdp(""), &far.address().ip().to_string())));
    }

    fn delete(&self, call_id: &str) -> Value {
        self.ng.command("delete", Value::dict().with("call-id", call_id).with("from-tag", "f"))
    }

    fn sessions(&self) -> usize {
        self.ng.command("list", Value::dict()).at("calls").map_or(0, |calls| calls.items().len())
    }

    fn dropped(&self) -> i64 {
        let reply = self.ng.command("statistics", Value::dict());
        let figure = reply.at("statistics").and_then(|all| all.at("totalstatistics")?.int("relayedpacketerrors"));
        figure.unwrap_or_else(|| panic!("{reply:?}"))
    }
}

#[track_caller]
fn text(reply: &Value) -> &str {
    reply.text("sdp").unwrap_or_else(|| panic!("{reply:?}"))
}

#[test]
fn a_phone_behind_a_nat_is_found_by_its_packets() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&[]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    scene.call("x", &mut phone, &mut far, &[]);

    // Its own address is of no use to anybody: what comes early is lost, and nothing else is.
    for sequence in 0..5 {
        far.send(sequence);
    }
    assert!(phone.hears_nothing());
    phone.send(5);
    far.expect(&phone, 5);
    far.send(5);
    phone.expect(&far, 5);
    phone.report_to(&far);
    far.report_to(&phone);
    converse(&phone, &far, 6, 100);

    // The same when its address is fixed.
    std::thread::sleep(LEARNED);
    converse(&phone, &far, 106, 100);
    phone.report_to(&far);
    far.report_to(&phone);
    assert_eq!(scene.delete("x").text("result"), Some("ok"));
    assert_eq!(scene.sessions(), 0);
}

#[test]
fn a_phone_that_moves_is_followed_while_it_may_and_after_an_offer() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&[]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    scene.call("x", &mut phone, &mut far, &[]);
    converse(&phone, &far, 0, 10);

    // From another port, soon after its first packet.
    let mut second = scene.phone(4_100);
    second.to = phone.to;
    converse(&second, &far, 10, 50);
    assert!(phone.hears_nothing());

    // From yet another port, when the address is fixed.
    std::thread::sleep(LEARNED);
    converse(&second, &far, 60, 10);
    let mut third = scene.phone(4_200);
    third.to = phone.to;
    third.send(70);
    assert!(far.hears_nothing());
    converse(&second, &far, 70, 10);

    // Once it says so, it is followed at once.
    let target = far.to;
    scene.call("x", &mut third, &mut far, &[]);
    assert_eq!((third.to, far.to), (phone.to, target), "the relay's ports stay");
    converse(&third, &far, 80, 100);
    assert!(second.hears_nothing());

    // The same from another network.
    std::thread::sleep(LEARNED);
    converse(&third, &far, 180, 10);
    let mut outside = scene.far("203.0.113.66", 4_000);
    scene.call("x", &mut outside, &mut far, &[]);
    converse(&outside, &far, 190, 100);
    assert!(third.hears_nothing());
}

/// A NAT that has forgotten the phone, as after a long hold, gives it another port, and the phone does not know.
#[test]
fn a_phone_that_the_nat_has_forgotten_is_found_after_an_offer() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&[]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    scene.call("x", &mut phone, &mut far, &[]);
    converse(&phone, &far, 0, 10);
    std::thread::sleep(LEARNED);
    converse(&phone, &far, 10, 10);
    let mut forgotten = scene.phone(4_100);
    forgotten.to = phone.to;
    forgotten.send(20);
    assert!(far.hears_nothing());
    scene.call("x", &mut phone, &mut far, &[]);
    far.send(20);
    phone.expect(&far, 20);
    converse(&forgotten, &far, 21, 10);
    forgotten.report_to(&far);
    far.report_to(&forgotten);
    assert!(phone.hears_nothing());
    std::thread::sleep(LEARNED);
    converse(&forgotten, &far, 31, 10);
    phone.send(41);
    assert!(far.hears_nothing());
}

#[test]
fn nobody_else_gets_into_a_stream() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&[]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    scene.call("x", &mut phone, &mut far, &[]);
    let stranger = scene.socket("far", "203.0.113.66");
    stranger.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    let attack = || {
        for target in [phone.target(), far.target()] {
            stranger.send_to(&far.packet(9_999), target).unwrap();
        }
    };

    // Before the phone has sent anything.
    let before = scene.dropped();
    attack();
    assert!(far.hears_nothing() && phone.hears_nothing());
    assert_eq!(scene.dropped() - before, 2, "both are counted");

    // While its address can still change.
    converse(&phone, &far, 0, 10);
    attack();
    assert!(far.hears_nothing() && phone.hears_nothing());
    converse(&phone, &far, 10, 10);

    // When it is fixed: also for others behind the same NAT.
    std::thread::sleep(LEARNED);
    converse(&phone, &far, 20, 10);
    attack();
    let neighbour = scene.socket("phone", "192.168.7.3");
    neighbour.send_to(&far.packet(9_999), phone.target()).unwrap();
    assert!(far.hears_nothing() && phone.hears_nothing());
    converse(&phone, &far, 30, 10);
    assert_eq!(receive(&stranger), None, "the media goes nowhere else");
}

#[test]
fn strict_learning_takes_the_first_and_no_other() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&["--endpoint-learning=immediate"]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    scene.call("x", &mut phone, &mut far, &[]);
    phone.send(0);
    far.expect(&phone, 0);
    let mut second = scene.phone(4_100);
    second.to = phone.to;
    second.send(1);
    assert!(far.hears_nothing());
    converse(&phone, &far, 1, 20);
    assert!(second.hears_nothing());
}

#[test]
fn without_ports_an_offer_is_refused_and_calls_go_on() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&["--port-max=20019"]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    scene.call("x", &mut phone, &mut far, &[]);
    let offer = |n: u32| scene.offer(&format!("c{n}"), &phone.sdp(""), &[]);
    let (accepted, refused) =
        (0..50).map(|n| (n, offer(n))).find(|(_, reply)| reply.text("result") != Some("ok")).unwrap();
    assert_eq!(refused.text("result"), Some("error"), "{refused:?}");
    let reason = refused.text("error-reason").unwrap_or_default();
    assert!(reason.to_lowercase().contains("port"), "{refused:?}");
    // Ten pairs of ports, and two of them for each call, answered or not.
    assert_eq!((accepted, scene.sessions()), (4, 5), "the refused call is not kept");
    converse(&phone, &far, 0, 50);
    for n in 0..accepted {
        assert_eq!(scene.delete(&format!("c{n}")).text("result"), Some("ok"));
    }
    until("ports are back", LIMIT, || offer(100).text("result") == Some("ok"));
    converse(&phone, &far, 50, 50);
}

#[test]
fn one_party_by_ipv4_the_other_by_ipv6() {
    needs!("root", "iptables", "trunkline-relay");
    let scene = Scene::new(&[]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("fd97::20", 4_000));
    scene.call("x", &mut phone, &mut far, &[("address-family", "IP6")]);
    assert_eq!((phone.target().ip(), far.target().ip()), (at("203.0.113.10", 0).ip(), at("fd97::10", 0).ip()));
    converse(&phone, &far, 0, 100);
    phone.report_to(&far);
    far.report_to(&phone);
}

/// What tcpdump says of the packets that the relay sent on a node's wire.
fn captured(log: &str, mark: &str) -> (usize, usize) {
    let packets: Vec<_> = log.lines().filter(|line| line.contains("tos 0x") || line.contains("IP6 (")).collect();
    (packets.len(), packets.iter().filter(|line| line.contains(mark)).count())
}

#[test]
fn packets_carry_the_type_of_service() {
    needs!("root", "iptables", "tcpdump", "trunkline-relay");
    let scene = Scene::new(&["--tos=184"]);
    let (mut phone, mut far) = (scene.phone(4_000), scene.far("203.0.113.20", 4_000));
    let (mut other, mut far6) = (scene.phone(4_100), scene.far("fd97::20", 4_100));
    scene.call("x", &mut phone, &mut far, &[]);
    scene.call("y", &mut other, &mut far6, &[("address-family", "IP6")]);
    let mut tcpdump = command(Path::new("tcpdump"));
    tcpdump.args([
        "-i",
        "eth0",
        "-v",
        "-n",
        "-l",
        "-Z",
        "root",
        "udp and (src host 203.0.113.10 or src host fd97::10)",
    ]);
    let log = scene.place.path("tcpdump.log");
    let capture = scene.nat.within("far", || Process::start("tcpdump", tcpdump, log));
    until("tcpdump listens", LIMIT, || capture.log().contains("listening on"));
    // Sockets that are not yet bound to a peer, and those that are.
    converse(&phone, &far, 0, 10);
    converse(&other, &far6, 0, 10);
    phone.report_to(&far);
    std::thread::sleep(LEARNED);
    converse(&phone, &far, 10, 10);
    converse(&other, &far6, 10, 10);
    until("all is captured", LIMIT, || captured(&capture.log(), "").0 >= 41);
    let log = capture.log();
    assert_eq!((captured(&log, "tos 0xb8").1, captured(&log, "class 0xb8").1), (21, 20), "{log}");
}

/// One shared pair of sockets for all parties; every call is told by the relay's ports and by its number.
#[test]
fn two_thousand_calls_at_once() {
    const CALLS: u16 = 2_000;
    const WORKERS: u16 = 40;
    needs!("trunkline-relay");
    let place = Place::alone();
    let control = SocketAddr::new(place.ip(1), 2223);
    let relay = TrunklineRelay::start(&place, control, &[place.ip(2).to_string()], &["--delete-delay=0"]);
    let ng = Ng::new(control);
    let bind = |ip: IpAddr| {
        let socket = UdpSocket::bind((ip, 4_000)).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket
    };
    let (near, far) = (bind(place.ip(3)), bind(place.ip(4)));
    let names = |n: u16| Value::dict().with("call-id", format!("call-{n}")).with("from-tag", "f");
    let all = |work: &(dyn Fn(&Ng, u16) -> (SocketAddr, SocketAddr) + Sync)| -> Vec<(SocketAddr, SocketAddr)> {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let range = worker * (CALLS / WORKERS)..(worker + 1) * (CALLS / WORKERS);
                    scope.spawn(move || {
                        let ng = Ng::new(control);
                        range.map(|n| work(&ng, n)).collect::<Vec<_>>()
                    })
                })
                .collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("no call is refused")).collect()
        })
    };
    let (near_sdp, far_sdp) = (sdp(near.local_addr().unwrap(), ""), sdp(far.local_addr().unwrap(), ""));
    let calls = all(&|ng, n| {
        let offered = ng.command("offer", names(n).with("sdp", near_sdp.as_str()));
        let answered = ng.command("answer", names(n).with("to-tag", "t").with("sdp", far_sdp.as_str()));
        let address = |reply: &Value| media_address(text(reply)).expect("an address");
        (address(&answered), address(&offered))
    });
    let ports: HashSet<_> = calls.iter().flat_map(|(a, b)| [a, b]).collect();
    assert_eq!(ports.len(), usize::from(CALLS) * 2, "every party has a port of its own");
    assert!(relay.ctl("list numsessions").contains("total: 2000"));

    // Each call carries a packet both ways.
    let packet = |n: u16| [&[0x80, 8][..], &n.to_be_bytes(), &[0; 4], &u32::from(n).to_be_bytes(), &[7; 160]].concat();
    for (from, to, way) in [(&near, &far, 0), (&far, &near, 1)] {
        for (n, (a, b)) in (0..CALLS).zip(&calls) {
            let (enter, leave) = if way == 0 { (a, b) } else { (b, a) };
            from.send_to(&packet(n), enter).unwrap();
            assert_eq!(receive(to), Some((packet(n), *leave)), "call {n}");
        }
    }
    all(&|ng, n| {
        let reply = ng.command("delete", names(n));
        assert_eq!(reply.text("result"), Some("ok"), "{reply:?}");
        (control, control)
    });
    let list = ng.command("list", Value::dict().with("limit", i64::from(CALLS)));
    assert_eq!(list.at("calls").map(|calls| calls.items().len()), Some(0), "{list:?}");
    let statistics = ng.command("statistics", Value::dict());
    let figure = |group: &str, name: &str| statistics.at("statistics").and_then(|all| all.at(group)?.int(name));
    assert_eq!(figure("currentstatistics", "sessionstotal"), Some(0));
    assert_eq!(figure("totalstatistics", "managedsessions"), Some(i64::from(CALLS)));
    assert_eq!(figure("totalstatistics", "rejectedsessions"), Some(0));
    assert_eq!(figure("totalstatistics", "relayedpackets"), Some(i64::from(CALLS) * 2));
}
