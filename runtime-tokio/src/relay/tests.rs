//! The relay's thread between sockets of a test.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use trunkline_core::relay::Action;

use super::{Gate, Handle, Running, Settings, bind_control, start, views};
use crate::config::relay::Relay as RelayConfig;

const SOON: Duration = Duration::from_secs(5);

/// A socket that waits for what comes, but not for ever.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut bytes = [0; 65_536];
    let (len, from) = socket.recv_from(&mut bytes).expect("a datagram");
    (bytes[..len].to_vec(), from)
}

struct World {
    relay: Running,
    client: UdpSocket,
    runtime: Runtime,
}

impl World {
    /// A relay with these ports on loopback that hears one client.
    fn new(ports: (u16, u16)) -> Self {
        let client = socket();
        let config = RelayConfig {
            interface: vec!["127.0.0.1".parse().unwrap()],
            port_min: ports.0,
            port_max: ports.1,
            delete_delay: crate::config::values::Bare(Duration::ZERO),
            ..RelayConfig::default()
        };
        let control = bind_control("127.0.0.1:0".parse().unwrap()).unwrap();
        let gate = Gate::Exactly(vec![client.local_addr().unwrap()]);
        let relay = start(Settings::new(&config), vec![control], gate).unwrap();
        Self { relay, client, runtime: Builder::new_current_thread().build().unwrap() }
    }

    fn handle(&self) -> &Handle {
        self.relay.handle()
    }

    /// Sends a command as JSON and gives the reply.
    fn ask(&self, cookie: &str, command: &serde_json::Value) -> serde_json::Value {
        self.client.send_to(format!("{cookie} {command}").as_bytes(), self.handle().control()[0]).unwrap();
        let (reply, from) = receive(&self.client);
        assert_eq!(from, self.handle().control()[0]);
        let reply = std::str::from_utf8(&reply).unwrap();
        serde_json::from_str(reply.strip_prefix(&format!("{cookie} ")).expect("our cookie")).unwrap()
    }

    fn total(&self, name: &str) -> u64 {
        let totals = self.runtime.block_on(views::totals(self.handle())).unwrap();
        totals.get(name).and_then(serde_json::Value::as_u64).unwrap_or_else(|| panic!("no counter {name}"))
    }

    /// A call between two sockets, and where each of them is to send: both ports of RTP.
    fn call(&self, call_id: &str, caller: &UdpSocket, callee: &UdpSocket) -> (SocketAddr, SocketAddr) {
        let side = |command: &str, socket: &UdpSocket| {
            let port = socket.local_addr().unwrap().port();
            let sdp = format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            );
            let mut request = serde_json::json!({
                "command": command, "call-id": call_id, "from-tag": "a", "sdp": sdp,
            });
            if command == "answer" {
                request["to-tag"] = "b".into();
            }
            let reply = self.ask(&format!("{command}{call_id}"), &request);
            assert_eq!(reply["result"], "ok", "{reply}");
            let sdp = reply["sdp"].as_str().unwrap().to_owned();
            let port = sdp.lines().find_map(|line| line.strip_prefix("m=audio ")?.split(' ').next()?.parse().ok());
            SocketAddr::from(([127, 0, 0, 1], port.expect("a port")))
        };
        let for_callee = side("offer", caller);
        (side("answer", callee), for_callee)
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];
    packet[2..4].copy_from_slice(&sequence.to_be_bytes());
    packet.resize(172, sequence as u8);
    packet
}

#[test]
fn media_crosses_and_a_deleted_call_leaves_nothing_behind() {
    let world = World::new((21_000, 21_199));
    let (caller, callee) = (socket(), socket());
    let (for_caller, for_callee) = world.call("c1", &caller, &callee);
    for n in 0..300u16 {
        caller.send_to(&rtp(n), for_caller).unwrap();
        assert_eq!(receive(&callee), (rtp(n), for_callee));
        callee.send_to(&rtp(n + 1), for_callee).unwrap();
        assert_eq!(receive(&caller), (rtp(n + 1), for_caller));
    }
    // More than one batch at a time, in order.
    for n in 0..100u16 {
        caller.send_to(&rtp(n), for_caller).unwrap();
    }
    for n in 0..100u16 {
        assert_eq!(receive(&callee).0, rtp(n));
    }
    let list = world.runtime.block_on(views::sessions(world.handle(), 10)).unwrap();
    assert_eq!((&list["total"], &list["sessions"][0]["call_id"]), (&1.into(), &"c1".into()));
    let one = world.runtime.block_on(views::session(world.handle(), "c1".to_owned())).unwrap().unwrap();
    assert!(one.contains("received 400 packets"), "{one}");
    let reply = world.ask("d", &serde_json::json!({ "command": "delete", "call-id": "c1", "from-tag": "a" }));
    assert_eq!(reply["result"], "ok");
    // The answer to a question comes after the turn in which the call went.
    assert_eq!((world.total("sessions"), world.total("packets_out"), world.total("send_failures")), (0, 700, 0));
    // The ports of a call are closed: nothing of that call's is taken any more.
    caller.send_to(&rtp(0), for_caller).unwrap();
    let (for_next, _) = world.call("c2", &caller, &callee);
    assert_ne!(for_next.port(), 0);
    assert_eq!(world.total("packets_in"), 700);
}

#[test]
fn commands_of_others_are_dropped_and_counted() {
    let world = World::new((21_200, 21_299));
    let stranger = socket();
    stranger.send_to(b"1 {\"command\":\"ping\"}", world.handle().control()[0]).unwrap();
    assert_eq!(world.ask("2", &serde_json::json!({ "command": "ping" }))["result"], "pong");
    assert_eq!((world.total("refused_commands"), world.total("requests")), (1, 1));
    stranger.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(stranger.recv_from(&mut [0; 64]).is_err(), "a stranger got an answer");
}

#[test]
fn ports_that_others_hold_are_passed_over_and_no_port_is_an_error() {
    // 8 pairs, of which 2 are taken.
    let held = [21_300, 21_305].map(|port| UdpSocket::bind(("127.0.0.1", port)).unwrap());
    let world = World::new((21_300, 21_315));
    let (caller, callee) = (socket(), socket());
    for call in 0..3 {
        let (a, b) = world.call(&format!("c{call}"), &caller, &callee);
        for at in [a, b] {
            assert!(at.port() % 2 == 0 && ![21_300, 21_304].contains(&at.port()), "{at}");
        }
    }
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\n";
    let offer = serde_json::json!({ "command": "offer", "call-id": "x", "from-tag": "a", "sdp": sdp });
    assert_eq!(world.ask("x", &offer)["result"], "error");
    drop(held);
}

#[test]
fn an_operator_ends_calls_and_a_stopped_relay_says_so() {
    let world = World::new((21_400, 21_499));
    let (caller, callee) = (socket(), socket());
    world.call("c1", &caller, &callee);
    let ended = world.runtime.block_on(world.handle().ask(|relay, cx, out| {
        let mut out = |action: Action<'_>| out(action);
        relay.terminate_all(cx, &mut out)
    }));
    assert_eq!((ended, world.total("ended_terminated")), (Ok(1), 1));
    let handle = world.handle().clone();
    world.relay.stop().unwrap();
    assert!(world.runtime.block_on(views::totals(&handle)).is_err());
    world.runtime.block_on(handle.ended());
}
