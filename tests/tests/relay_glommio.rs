//! The relay as a program: calls with media through it, its ports, its end.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use trunkline_tests::harness::{Ng, Place, Signal, TrunklineRelay, Value};
use trunkline_tests::needs;

/// How long a packet on the loopback may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A party with sockets for RTP and RTCP.
struct Party {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// Where the relay wants its RTP.
    to: Option<SocketAddr>,
}

impl Party {
    fn new(place: &Place, host: u8, port: u16) -> Self {
        let bind = |port| {
            let socket = UdpSocket::bind((place.ip(host), port)).expect("a port");
            socket.set_read_timeout(Some(LIMIT)).expect("a time-out");
            socket
        };
        Self { rtp: bind(port), rtcp: bind(port + 1), to: None }
    }

    fn address(&self) -> SocketAddr {
        self.rtp.local_addr().expect("an address")
    }

    fn sdp(&self) -> String {
        let (ip, port) = (self.address().ip(), self.address().port());
        format!("v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n")
    }

    fn send(&self, packet: &[u8]) {
        self.rtp.send_to(packet, self.to.expect("an address")).expect("a packet");
    }

    fn receive(&self) -> (Vec<u8>, SocketAddr) {
        receive(&self.rtp).expect("a packet")
    }

    fn hears_nothing(&self) -> bool {
        self.rtp.set_read_timeout(Some(Duration::from_millis(300))).expect("a time-out");
        let nothing = receive(&self.rtp).is_none();
        self.rtp.set_read_timeout(Some(LIMIT)).expect("a time-out");
        nothing
    }
}

fn receive(socket: &UdpSocket) -> Option<(Vec<u8>, SocketAddr)> {
    let mut room = [0; 2048];
    let (len, from) = socket.recv_from(&mut room).ok()?;
    Some((room[..len].to_vec(), from))
}

/// The address in a session description.
fn media(sdp: &str) -> SocketAddr {
    let after = |start: &str| sdp.lines().find_map(|line| line.strip_prefix(start)).expect("a line");
    let port = after("m=audio ").split(' ').next().expect("a port");
    format!("{}:{port}", after("c=IN IP4 ")).parse().expect("an address")
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend((0..160).map(|at| (at as u8) ^ (sequence as u8)));
    packet
}

/// Sets up a call between two parties.
fn call(ng: &Ng, call_id: &str, caller: &mut Party, callee: &mut Party) {
    let names = Value::dict().with("call-id", call_id).with("from-tag", "f");
    let offer = ng.command("offer", names.clone().with("sdp", caller.sdp()));
    callee.to = Some(media(offer.text("sdp").unwrap_or_else(|| panic!("{offer:?}"))));
    let answer = ng.command("answer", names.with("to-tag", "t").with("sdp", callee.sdp()));
    caller.to = Some(media(answer.text("sdp").unwrap_or_else(|| panic!("{answer:?}"))));
}

fn delete(ng: &Ng, call_id: &str) -> Value {
    ng.command("delete", Value::dict().with("call-id", call_id).with("from-tag", "f").with("delete-delay", 0))
}

fn start(place: &Place, more: &[&str]) -> TrunklineRelay {
    let at = SocketAddr::new(place.ip(1), 2223);
    TrunklineRelay::start(place, at, &[place.ip(2).to_string()], &[&["--port-max=20399"], more].concat())
}

#[test]
fn media_passes_both_ways_byte_by_byte() {
    needs!("trunkline-relay");
    let place = Place::shared();
    let relay = start(&place, &["--num-threads=2"]);
    let ng = Ng::new(relay.address());
    // Enough calls for both threads.
    for n in 0..8 {
        let (mut caller, mut callee) = (Party::new(&place, 3, 4_000 + 4 * n), Party::new(&place, 4, 4_000 + 4 * n));
        call(&ng, &format!("call-{n}"), &mut caller, &mut callee);
        for sequence in 0..50 {
            caller.send(&rtp(sequence, 1));
            assert_eq!(callee.receive(), (rtp(sequence, 1), callee.to.unwrap()));
            callee.send(&rtp(sequence, 2));
            assert_eq!(caller.receive(), (rtp(sequence, 2), caller.to.unwrap()));
        }
        let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
        let beside = |to: SocketAddr| SocketAddr::new(to.ip(), to.port() + 1);
        caller.rtcp.send_to(&report, beside(caller.to.unwrap())).unwrap();
        assert_eq!(receive(&callee.rtcp), Some((report.to_vec(), beside(callee.to.unwrap()))));
    }
    assert!(relay.ctl("list numsessions").contains("total: 8"), "{}", relay.ctl("list numsessions"));
    let all = ng.command("list", Value::dict());
    assert_eq!(all.at("calls").map(|calls| calls.items().len()), Some(8), "{all:?}");
    for n in 0..8 {
        assert_eq!(delete(&ng, &format!("call-{n}")).text("result"), Some("ok"));
    }
    assert!(relay.ctl("list numsessions").contains("total: 0"));
    assert!(
        relay.ctl("list totals").contains("Total relayed packets                           :808"),
        "{}",
        relay.ctl("list totals")
    );
}

#[test]
fn a_stream_is_not_taken_over_and_a_closed_port_is_closed() {
    needs!("trunkline-relay");
    let place = Place::shared();
    let relay = start(&place, &["--endpoint-learning=immediate"]);
    let ng = Ng::new(relay.address());
    let (mut caller, mut callee) = (Party::new(&place, 3, 4_000), Party::new(&place, 4, 4_000));
    call(&ng, "x", &mut caller, &mut callee);
    caller.send(&rtp(1, 1));
    callee.receive();
    callee.send(&rtp(1, 2));
    caller.receive();
    let stranger = UdpSocket::bind((place.ip(66), 0)).unwrap();
    stranger.send_to(&rtp(2, 9), caller.to.unwrap()).unwrap();
    assert!(callee.hears_nothing());
    callee.send(&rtp(2, 2));
    assert_eq!(caller.receive().0, rtp(2, 2), "the stream stays where it was");
    delete(&ng, "x");
    caller.send(&rtp(3, 1));
    assert!(callee.hears_nothing());
    // The port is free for others once the kernel has let go of it.
    let taken = || UdpSocket::bind(caller.to.unwrap()).is_err();
    trunkline_tests::harness::until("the port is free", LIMIT, || !taken());
}

#[test]
fn ng_over_tcp_takes_messages_in_pieces_and_in_heaps() {
    needs!("trunkline-relay");
    let place = Place::shared();
    let relay = start(&place, &[]);
    let mut stream = TcpStream::connect(relay.address()).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"1 d7:command4:pi").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(b"nge2 {\"command\":\"ping\"}3 d7:command4:pinge").unwrap();
    let mut room = [0; 128];
    let mut answer = Vec::new();
    let expected = b"1 d6:result4:ponge2 {\"result\":\"pong\"}3 d6:result4:ponge";
    while answer.len() < expected.len() {
        let n = stream.read(&mut room).unwrap();
        assert!(n > 0, "{}", answer.escape_ascii());
        answer.extend_from_slice(&room[..n]);
    }
    assert_eq!(answer.escape_ascii().to_string(), expected.escape_ascii().to_string());
    stream.write_all(b"garbage without an end \xff\xff").unwrap();
    assert_eq!(stream.read(&mut room).unwrap_or(0), 0, "the stream is of no more use");
}

#[test]
fn what_has_no_cookie_or_comes_from_elsewhere_gets_no_answer() {
    needs!("trunkline-relay");
    let place = Place::shared();
    let allowed = format!("--ng-allow={}", place.ip(1));
    let relay = start(&place, &[&allowed, "--ng-allow=127.0.0.1"]);
    let ng = Ng::new(relay.address());
    let wait = Duration::from_millis(300);
    assert_eq!(ng.exchange(b"d7:command4:pinge", wait), None);
    let stranger = UdpSocket::bind((place.ip(9), 0)).unwrap();
    stranger.set_read_timeout(Some(wait)).unwrap();
    stranger.send_to(b"1 d7:command4:pinge", relay.address()).unwrap();
    assert_eq!(receive(&stranger), None);
    assert!(ng.answers(LIMIT));
    let totals = relay.process.log();
    assert!(totals.contains("not listed"), "{totals}");
}

#[test]
fn sigterm_lets_calls_end_and_takes_no_new_ones() {
    needs!("trunkline-relay");
    let place = Place::shared();
    let mut relay = start(&place, &["--drain-timeout=30"]);
    let ng = Ng::new(relay.address());
    let (mut caller, mut callee) = (Party::new(&place, 3, 4_000), Party::new(&place, 4, 4_000));
    call(&ng, "x", &mut caller, &mut callee);
    relay.process.signal(Signal::TERM);
    let mut tries = 0;
    trunkline_tests::harness::until("new calls are refused", LIMIT, || {
        tries += 1;
        let call_id = format!("new-{tries}");
        let names = Value::dict().with("call-id", call_id.as_str()).with("from-tag", "f");
        let reply = ng.command("offer", names.with("sdp", caller.sdp()));
        // One that came before the signal did is a call as any other.
        let refused = reply.text("result") == Some("error");
        refused || delete(&ng, &call_id).text("result").is_none()
    });
    caller.send(&rtp(1, 1));
    assert_eq!(callee.receive().0, rtp(1, 1));
    delete(&ng, "x");
    assert!(relay.process.wait(LIMIT).success());
}

#[test]
fn sigint_ends_at_once_and_the_ports_are_free_for_the_next() {
    needs!("trunkline-relay");
    let place = Place::shared();
    for _ in 0..2 {
        let mut relay = start(&place, &[]);
        let ng = Ng::new(relay.address());
        let (mut caller, mut callee) = (Party::new(&place, 3, 4_000), Party::new(&place, 4, 4_000));
        call(&ng, "x", &mut caller, &mut callee);
        relay.process.signal(Signal::INT);
        assert!(relay.process.wait(LIMIT).success());
    }
}

#[test]
fn ports_that_run_out_are_told_and_come_back() {
    needs!("trunkline-relay");
    let place = Place::shared();
    let relay = start(&place, &["--port-max=20039", "--num-threads=1"]);
    let ng = Ng::new(relay.address());
    let offer = |n: u32| {
        let sdp = Party::new(&place, 3, 4_000).sdp();
        let names = Value::dict().with("call-id", format!("c{n}")).with("from-tag", "f");
        ng.command("offer", names.with("sdp", sdp))
    };
    let mut calls = 0;
    let refused = loop {
        let reply = offer(calls);
        if reply.text("result") != Some("ok") {
            break reply;
        }
        calls += 1;
    };
    assert!((8..=20).contains(&calls), "{calls} calls with 20 pairs of ports");
    assert_eq!(refused.text("result"), Some("error"), "{refused:?}");
    for n in 0..calls {
        delete(&ng, &format!("c{n}"));
    }
    assert_eq!(offer(1_000).text("result"), Some("ok"));
}
