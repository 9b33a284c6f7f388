//! The driver around an engine that echoes and tells what it saw.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::runtime::Builder;
use trunkline_core::Instant;
use trunkline_core::flow::{ConnectionId, Flow, ListenerId};
use trunkline_core::machine::Cx;
use trunkline_core::node::action::Action;
use trunkline_core::node::event::Event;
use trunkline_core::node::pump::Engine;
use trunkline_core::wire::sip::transport::Transport;

use super::shard::Stopped;
use super::stats::{Counter, Stats};
use super::*;

/// [`ShardHandle::ask`] from a test's thread.
fn ask<R: Send + 'static>(
    handle: &ShardHandle<Echo>,
    ask: impl FnOnce(&mut Echo, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> R + Send + 'static,
) -> Result<R, Stopped> {
    Builder::new_current_thread().build().unwrap().block_on(handle.ask(ask))
}

/// Long enough for any machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(20);
/// For limits that a test waits to expire.
const SHORT: Duration = Duration::from_millis(60);
const UDP: ListenerId = ListenerId(0);
const TCP: ListenerId = ListenerId(1);

#[derive(Debug, PartialEq)]
enum Seen {
    Received(u8, Flow, Vec<u8>),
    Undelivered(u8, SocketAddr, Vec<u8>),
    Disconnected(u8, ConnectionId),
    Relay(u8, SocketAddr, Vec<u8>),
    Timeout(Instant),
}

/// Sends everything back to where it came from.
struct Echo {
    shard: u8,
    seen: Sender<Seen>,
    deadline: Option<Instant>,
}

impl Engine for Echo {
    fn handle(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut dyn FnMut(Action<'_>)) {
        let seen = match event {
            Event::Received { flow, bytes } => {
                if bytes.starts_with(b"OPTIONS") {
                    out(Action::Send { flow: &flow, bytes });
                }
                Seen::Received(self.shard, flow, bytes.to_vec())
            }
            Event::Undelivered { to, bytes } => Seen::Undelivered(self.shard, to, bytes.to_vec()),
            Event::Disconnected { connection } => Seen::Disconnected(self.shard, connection),
            Event::Relay { from, bytes } => Seen::Relay(self.shard, from, bytes.to_vec()),
            Event::Timeout => {
                self.deadline = None;
                Seen::Timeout(cx.now)
            }
        };
        let _ = self.seen.send(seen);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Steers by the digit after `shard=`.
struct Digit;

impl Steer for Digit {
    fn received(&self, bytes: &[u8]) -> u8 {
        let at = bytes.windows(6).position(|w| w == b"shard=").map(|n| n + 6);
        at.and_then(|n| bytes.get(n)).map_or(0, |b| b - b'0')
    }

    fn undelivered(&self, bytes: &[u8]) -> u8 {
        self.received(bytes)
    }
}

struct World {
    udp: SocketAddr,
    tcp: SocketAddr,
    seen: Receiver<Seen>,
    shards: Option<Shards<Echo>>,
}

impl World {
    fn new(shards: u8, tcp: TcpSettings) -> Self {
        Self::on("127.0.0.1:0", shards, tcp)
    }

    fn on(addr: &str, shards: u8, tcp: TcpSettings) -> Self {
        Self::with(addr, Settings { shards, tcp, ..Settings::default() })
    }

    fn with(addr: &str, settings: Settings) -> Self {
        let listen = |id, transport| Listen { id, transport, addr: addr.parse().unwrap(), is_virtual: false };
        let bound = bind(&[listen(UDP, Transport::Udp), listen(TCP, Transport::Tcp)], &settings).unwrap();
        let (udp, tcp) = (bound.listeners()[0].addr, bound.listeners()[1].addr);
        let (sender, seen) = channel();
        let shards = start(bound, &settings, Arc::new(Digit), Clock::start(), |shard| Parts {
            engine: Echo { shard, seen: sender.clone(), deadline: None },
            reporter: Box::new(|_| {}),
        })
        .unwrap();
        Self { udp, tcp, seen, shards: Some(shards) }
    }

    fn one() -> Self {
        Self::new(1, TcpSettings::default())
    }

    fn handles(&self) -> &[ShardHandle<Echo>] {
        self.shards.as_ref().map_or(&[], Shards::handles)
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).expect("nothing happened")
    }

    fn send(&self, shard: usize, flow: Flow, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        ask(&self.handles()[shard], move |_, _, out| out(Action::Send { flow: &flow, bytes: &bytes })).unwrap();
    }

    /// A counter over all shards, after the turn that they are in.
    fn sum(&self, counter: impl Fn(&Stats) -> &Counter) -> u64 {
        for handle in self.handles() {
            ask(handle, |_, _, _| ()).unwrap();
        }
        self.handles().iter().map(|h| counter(h.stats()).value()).sum()
    }

    fn undelivered(&self) -> (SocketAddr, Vec<u8>) {
        loop {
            if let Seen::Undelivered(_, to, bytes) = self.next() {
                return (to, bytes);
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(shards) = self.shards.take() {
            shards.request_stop();
            shards.join().unwrap();
        }
    }
}

fn client() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn message(shard: u8, n: usize) -> Vec<u8> {
    format!("OPTIONS sip:shard={shard} SIP/2.0\r\nCSeq: {n} OPTIONS\r\nContent-Length: 4\r\n\r\nbody").into_bytes()
}

fn expect(stream: &mut TcpStream, want: &[u8]) {
    let mut got = vec![0; want.len()];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got, want);
}

/// Reads to the end; a reset is an end too.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got);
    got
}

fn udp_to(peer: SocketAddr) -> Flow {
    Flow { listener: UDP, transport: Transport::Udp, peer, connection: None }
}

fn tcp_to(peer: SocketAddr, connection: Option<ConnectionId>) -> Flow {
    Flow { listener: TCP, transport: Transport::Tcp, peer, connection }
}

fn echo(socket: &UdpSocket, to: SocketAddr, bytes: &[u8]) {
    socket.send_to(bytes, to).unwrap();
    let mut got = vec![0; 65_536];
    let (n, from) = socket.recv_from(&mut got).unwrap();
    assert_eq!((&got[..n], from), (bytes, to));
}

#[test]
fn datagrams_come_in_and_go_out_at_every_size() {
    let world = World::one();
    let socket = client();
    for len in [7, 1_300, 9_000, 65_507] {
        let mut bytes = b"OPTIONS".to_vec();
        bytes.resize(len, b'x');
        echo(&socket, world.udp, &bytes);
        assert_eq!(world.next(), Seen::Received(0, udp_to(socket.local_addr().unwrap()), bytes));
    }
}

#[test]
fn more_datagrams_than_a_batch_keep_their_order() {
    let world = World::one();
    let socket = client();
    for n in 0..200 {
        socket.send_to(&message(0, n), world.udp).unwrap();
    }
    let mut got = [0; 2_000];
    for n in 0..200 {
        let len = socket.recv(&mut got).unwrap();
        assert_eq!(got[..len], message(0, n));
    }
    assert_eq!(world.sum(|s| &s.datagrams_in), 200);
    assert_eq!(world.sum(|s| &s.datagrams_out), 200);
}

#[test]
fn ipv6_datagrams_and_streams() {
    let world = World::on("[::1]:0", 1, TcpSettings::default());
    let socket = UdpSocket::bind("[::1]:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    echo(&socket, world.udp, &message(0, 1));
    let mut stream = connect(world.tcp);
    stream.write_all(&message(0, 2)).unwrap();
    expect(&mut stream, &message(0, 2));
    let closed = UdpSocket::bind("[::1]:0").unwrap().local_addr().unwrap();
    world.send(0, udp_to(closed), &message(0, 3));
    assert_eq!(world.undelivered(), (closed, message(0, 3)));
}

#[test]
fn a_datagram_reaches_the_shard_of_its_call_whichever_got_it() {
    const CLIENTS: u64 = 8;
    let world = World::new(2, TcpSettings::default());
    for n in 0..CLIENTS {
        let socket = client();
        for shard in [0, 1] {
            let bytes = message(shard, n as usize);
            echo(&socket, world.udp, &bytes);
            assert_eq!(world.next(), Seen::Received(shard, udp_to(socket.local_addr().unwrap()), bytes));
        }
    }
    // The kernel gives all of a client's datagrams to one shard, and every client asked for both.
    assert_eq!(world.sum(|s| &s.handed_over), CLIENTS);
}

#[test]
fn a_closed_port_gives_the_datagram_back_and_hurts_nobody_else() {
    for shards in [1, 2] {
        let world = World::new(shards, TcpSettings::default());
        let (alive, socket) = (client(), client());
        let closed = client().local_addr().unwrap();
        for round in 0..3 {
            let own = shards - 1;
            let bytes = message(own, round);
            let (to, also) = (alive.local_addr().unwrap(), message(own, 100 + round));
            ask(&world.handles()[usize::from(own)], {
                let bytes = bytes.clone();
                move |_, _, out| {
                    out(Action::Send { flow: &udp_to(closed), bytes: &bytes });
                    out(Action::Send { flow: &udp_to(to), bytes: &also });
                }
            })
            .unwrap();
            assert_eq!(world.next(), Seen::Undelivered(own, closed, bytes), "round {round}");
            let mut got = [0; 200];
            let n = alive.recv(&mut got).unwrap();
            assert_eq!(got[..n], message(own, 100 + round));
            echo(&socket, world.udp, &message(0, round));
            world.next();
        }
        assert_eq!(world.sum(|s| &s.icmp_errors), 3);
    }
}

#[test]
fn what_the_kernel_refuses_comes_back() {
    let world = World::one();
    // The socket speaks IPv4 only.
    let to: SocketAddr = "[2001:db8::1]:5060".parse().unwrap();
    world.send(0, udp_to(to), b"lost");
    assert_eq!(world.next(), Seen::Undelivered(0, to, b"lost".to_vec()));
    let to: SocketAddr = "192.0.2.1:5060".parse().unwrap();
    let flow = Flow { transport: Transport::Sctp, ..udp_to(to) };
    world.send(0, flow, b"no such transport");
    assert_eq!(world.next(), Seen::Undelivered(0, to, b"no such transport".to_vec()));
    world.send(0, Flow { listener: ListenerId(9), ..udp_to(to) }, b"no such listener");
    assert_eq!(world.next(), Seen::Undelivered(0, to, b"no such listener".to_vec()));
}

#[test]
fn the_deadline_wakes_the_shard_once_and_not_before() {
    let world = World::one();
    let deadline = ask(&world.handles()[0], |engine, cx, _| {
        let deadline = cx.now + Duration::from_millis(30);
        engine.deadline = Some(deadline);
        deadline
    })
    .unwrap();
    match world.next() {
        Seen::Timeout(at) => assert!(at >= deadline),
        other => panic!("{other:?}"),
    }
    echo(&client(), world.udp, &message(0, 1));
    assert!(matches!(world.next(), Seen::Received(..)));
}

#[test]
fn a_stream_may_be_split_at_every_byte() {
    let world = World::one();
    let bytes = message(0, 1);
    let mut stream = connect(world.tcp);
    stream.set_nodelay(true).unwrap();
    for n in 0..bytes.len() {
        stream.write_all(&bytes[..n]).unwrap();
        stream.write_all(&bytes[n..]).unwrap();
        expect(&mut stream, &bytes);
    }
    for byte in &bytes {
        stream.write_all(&[*byte]).unwrap();
    }
    expect(&mut stream, &bytes);
    assert_eq!(world.sum(|s| &s.stream_messages_in), bytes.len() as u64 + 1);
    assert_eq!(world.sum(|s| &s.stream_messages_out), bytes.len() as u64 + 1);
}

#[test]
fn many_messages_in_one_segment_and_pings_between() {
    let world = World::one();
    let mut stream = connect(world.tcp);
    let (one, two) = (message(0, 1), message(0, 2));
    stream.write_all(&[&one[..], b"\r\n\r\n", &two, b"\r\n\r\n"].concat()).unwrap();
    expect(&mut stream, &[&one[..], b"\r\n", &two, b"\r\n"].concat());
    assert_eq!(world.sum(|s| &s.pings), 2);
}

#[test]
fn a_message_of_the_limit_passes_and_one_over_it_closes() {
    let limits = TcpSettings { message_max: 16_384, ..TcpSettings::default() };
    let world = World::new(1, limits);
    let head = |len: usize| format!("OPTIONS sip:a SIP/2.0\r\nContent-Length: {len}\r\n\r\n");
    let room = 16_384 - head(16_000).len();
    let largest = [head(room).as_bytes(), &vec![b'x'; room]].concat();
    let mut stream = connect(world.tcp);
    stream.write_all(&largest).unwrap();
    expect(&mut stream, &largest);
    // The header is the last that is told; its answer still goes out.
    stream.write_all(head(room + 1).as_bytes()).unwrap();
    assert_eq!(rest(stream), head(room + 1).as_bytes());
    assert_eq!(world.sum(|s| &s.closed_malformed), 1);
}

#[test]
fn a_stream_that_is_lost_ends_with_the_answer_to_its_last_header() {
    for shards in [1, 2] {
        let world = World::new(shards, TcpSettings::default());
        let mut stream = connect(world.tcp);
        let head = format!("OPTIONS sip:a;shard={} SIP/2.0\r\nContent-Length: x\r\n\r\n", shards - 1);
        stream.write_all(&[head.as_bytes(), &message(0, 1)].concat()).unwrap();
        assert_eq!(rest(stream), head.as_bytes());
        assert_eq!(world.sum(|s| &s.closed_malformed), 1);
    }
}

#[test]
fn a_stream_of_something_else_is_closed_at_once() {
    let world = World::one();
    for noise in [&b"\x16\x03\x01"[..], b"GET / HTTP/1.1\r\n", b"\0"] {
        let mut stream = connect(world.tcp);
        stream.write_all(noise).unwrap();
        assert_eq!(rest(stream), b"");
    }
    assert_eq!((world.sum(|s| &s.closed_malformed), world.sum(|s| &s.stream_messages_in)), (3, 0));
}

#[test]
fn a_message_without_content_length_is_refused_where_it_is_demanded() {
    let world = World::new(1, TcpSettings { accepts_no_content_length: false, ..TcpSettings::default() });
    let mut stream = connect(world.tcp);
    stream.write_all(b"OPTIONS sip:a SIP/2.0\r\n\r\n").unwrap();
    assert_eq!(rest(stream), b"");
    assert_eq!((world.sum(|s| &s.closed_malformed), world.sum(|s| &s.stream_messages_in)), (1, 0));
}

#[test]
fn one_unfinished_message_too_many_costs_the_oldest_its_connection() {
    let world = World::new(1, TcpSettings { unfinished_messages: 2, ..TcpSettings::default() });
    let mut streams = [0, 1, 2].map(|_| {
        let mut stream = connect(world.tcp);
        // A whole message first: its answer shows that the shard has seen what came with it.
        stream.write_all(&[&message(0, 1)[..], &message(0, 2)[..10]].concat()).unwrap();
        expect(&mut stream, &message(0, 1));
        stream
    });
    let [oldest, others @ ..] = &mut streams;
    assert_eq!(rest(oldest.try_clone().unwrap()), b"");
    assert_eq!(world.sum(|s| &s.closed_unfinished), 1);
    for stream in others {
        stream.write_all(&message(0, 2)[10..]).unwrap();
        expect(stream, &message(0, 2));
    }
}

#[test]
fn a_message_without_content_length_has_no_body() {
    let world = World::one();
    let mut stream = connect(world.tcp);
    let bytes = b"OPTIONS sip:a SIP/2.0\r\n\r\n";
    stream.write_all(&bytes.repeat(2)).unwrap();
    expect(&mut stream, &bytes.repeat(2));
    assert_eq!(world.sum(|s| &s.stream_messages_in), 2);
}

#[test]
fn an_unfinished_message_costs_the_connection() {
    let world = World::new(1, TcpSettings { unfinished: SHORT, ..TcpSettings::default() });
    let mut whole = connect(world.tcp);
    let mut half = connect(world.tcp);
    whole.write_all(&message(0, 1)).unwrap();
    half.write_all(&message(0, 1)[..20]).unwrap();
    assert_eq!(rest(half), b"");
    assert_eq!(world.sum(|s| &s.closed_unfinished), 1);
    expect(&mut whole, &message(0, 1));
    // Between messages the shorter limit does not count.
    whole.write_all(&message(0, 2)).unwrap();
    expect(&mut whole, &message(0, 2));
}

#[test]
fn an_idle_connection_is_closed_and_its_end_is_told() {
    let world = World::new(1, TcpSettings { idle: SHORT, ..TcpSettings::default() });
    let mut stream = connect(world.tcp);
    stream.write_all(&message(0, 1)).unwrap();
    assert_eq!(rest(stream), message(0, 1));
    assert_eq!((world.sum(|s| &s.closed_idle), world.sum(|s| &s.closed_unfinished)), (1, 0));
    let Seen::Received(_, flow, _) = world.next() else { panic!("no message") };
    assert_eq!(world.next(), Seen::Disconnected(0, flow.connection.unwrap()));
}

#[test]
fn limits_on_connections_refuse_and_give_way_again() {
    for limits in [
        TcpSettings { connections: 1, ..TcpSettings::default() },
        TcpSettings { connections_per_source: 1, ..TcpSettings::default() },
    ] {
        let world = World::new(1, limits);
        let mut first = connect(world.tcp);
        first.write_all(&message(0, 1)).unwrap();
        expect(&mut first, &message(0, 1));
        assert_eq!(rest(connect(world.tcp)), b"");
        assert_eq!(world.sum(|s| &s.refused), 1);
        first.write_all(&message(0, 2)).unwrap();
        expect(&mut first, &message(0, 2));
        drop(first);
        while !matches!(world.next(), Seen::Disconnected(..)) {}
        // The place is free once the connection's task has ended, which the next turn of the shard proves.
        ask(&world.handles()[0], |_, _, _| ()).unwrap();
        let mut third = connect(world.tcp);
        third.write_all(&message(0, 3)).unwrap();
        expect(&mut third, &message(0, 3));
    }
}

#[test]
fn a_refused_connection_gives_every_message_back() {
    let world = World::one();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ask(&world.handles()[0], move |_, _, out| {
        for n in 0..2 {
            out(Action::Send { flow: &tcp_to(closed, None), bytes: &message(0, n) });
        }
    })
    .unwrap();
    assert_eq!(world.undelivered(), (closed, message(0, 0)));
    assert_eq!(world.undelivered(), (closed, message(0, 1)));
    assert_eq!(world.sum(|s| &s.connect_failures), 1);
}

#[test]
fn our_connection_is_opened_once_and_answers_come_back_over_it() {
    let world = World::one();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = server.local_addr().unwrap();
    world.send(0, tcp_to(peer, None), &message(0, 1));
    let (mut stream, from) = server.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(from.ip(), world.tcp.ip());
    expect(&mut stream, &message(0, 1));
    let answer = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).unwrap();
    let Seen::Received(0, flow, bytes) = world.next() else { panic!("no answer") };
    assert_eq!((flow.peer, &bytes[..]), (peer, &answer[..]));
    assert!(flow.connection.is_some());
    // By its address, and in place of a connection that is gone (RFC 3261 §18.2.2).
    world.send(0, tcp_to(peer, None), &message(0, 2));
    expect(&mut stream, &message(0, 2));
    let gone = ConnectionId(NonZeroU64::new(77_777).unwrap());
    world.send(0, tcp_to(peer, Some(gone)), &message(0, 3));
    expect(&mut stream, &message(0, 3));
    assert_eq!(world.sum(|s| &s.connected), 1);
}

#[test]
fn a_reply_goes_back_over_the_connection_of_another_shard() {
    let world = World::new(2, TcpSettings::default());
    let mut stream = connect(world.tcp);
    for shard in [0, 1, 0] {
        stream.write_all(&message(shard, 1)).unwrap();
        expect(&mut stream, &message(shard, 1));
        let Seen::Received(at, flow, _) = world.next() else { panic!("no message") };
        assert_eq!((at, flow.transport), (shard, Transport::Tcp));
    }
    drop(stream);
    // Both shards learn that it is gone.
    let mut told = [world.next(), world.next()].map(|seen| match seen {
        Seen::Disconnected(shard, _) => shard,
        other => panic!("{other:?}"),
    });
    told.sort_unstable();
    assert_eq!(told, [0, 1]);
}

#[test]
fn what_a_shard_could_not_write_for_another_comes_back_to_that_other() {
    let world = World::new(2, TcpSettings::default());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let of_shard_1 = ConnectionId(NonZeroU64::new((1 << 56) + 77_777).unwrap());
    world.send(0, tcp_to(closed, Some(of_shard_1)), &message(1, 1));
    loop {
        match world.next() {
            Seen::Undelivered(shard, to, bytes) => {
                assert_eq!((shard, to, bytes), (0, closed, message(1, 1)));
                break;
            }
            other => assert!(matches!(other, Seen::Disconnected(..)), "{other:?}"),
        }
    }
    assert_eq!(world.handles()[1].stats().connect_failures.value(), 1);
}

#[test]
fn a_peer_that_shuts_its_side_still_gets_its_answer() {
    let world = World::one();
    let mut stream = connect(world.tcp);
    stream.write_all(&message(0, 1)).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(stream), message(0, 1));
}

#[test]
fn a_peer_that_does_not_read_loses_its_connection_and_delays_nobody() {
    let world = World::one();
    let mut deaf = connect(world.tcp);
    deaf.write_all(&message(0, 0)).unwrap();
    expect(&mut deaf, &message(0, 0));
    let Seen::Received(_, flow, _) = world.next() else { panic!("no message") };
    let socket = client();
    let mut sent = 0;
    // More than both kernel buffers hold together.
    while world.sum(|s| &s.closed_slow) == 0 {
        world.send(0, flow, &[b'x'; 60_000]);
        sent += 1;
        assert!(sent < 10_000, "nothing overflowed");
        if sent % 16 == 0 {
            echo(&socket, world.udp, &message(0, sent));
        }
    }
    let (to, bytes) = world.undelivered();
    assert_eq!((to, bytes.len()), (flow.peer, 60_000));
    echo(&socket, world.udp, &message(0, 1));
}

#[test]
fn stopped_shards_give_their_engines_back() {
    let mut world = World::new(3, TcpSettings::default());
    let handle = world.handles()[0].clone();
    let shards = world.shards.take().unwrap();
    shards.request_stop();
    let engines = shards.join().unwrap();
    assert_eq!(engines.iter().map(|e| e.shard).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(ask(&handle, |_, _, _| ()), Err(Stopped));
}

#[test]
fn commands_go_to_relays_and_their_answers_to_the_shard_that_asked() {
    let relay = client();
    let to = relay.local_addr().unwrap();
    let world = World::with("127.0.0.1:0", Settings { shards: 2, relays: vec![to], ..Settings::default() });
    for shard in [0u8, 1] {
        let handle = &world.handles()[usize::from(shard)];
        ask(handle, move |_, _, out| out(Action::Relay { to, bytes: b"a command" })).unwrap();
        let mut bytes = [0; 64];
        let (len, from) = relay.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..len], b"a command");
        assert_ne!(from.port(), world.udp.port(), "not the socket that takes SIP");
        relay.send_to(b"an answer", from).unwrap();
        let Seen::Relay(seen, from, answer) = world.next() else { panic!("no answer") };
        assert_eq!((seen, from, answer.as_slice()), (shard, to, &b"an answer"[..]));
    }
    drop(relay);
    ask(&world.handles()[1], move |_, _, out| out(Action::Relay { to, bytes: b"shard=0" })).unwrap();
    let Seen::Undelivered(shard, gone, _) = world.next() else { panic!("not told") };
    assert_eq!((shard, gone), (1, to), "told to the shard that asked, whatever the command says");
}
