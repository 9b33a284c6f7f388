use std::net::Ipv4Addr;

use super::*;
use crate::sys::counting;

const A: SocketId = SocketId(0);
const B: SocketId = SocketId(2);
/// How long something on the loopback may take.
const LIMIT: Duration = Duration::from_secs(5);
/// How long to look for what must not come.
const MOMENT: Duration = Duration::from_millis(50);

fn ring(control: &[UdpSocket], gather: Duration) -> (Ring, Arc<EventFd>) {
    let mailbox = Arc::new(EventFd::new().unwrap());
    let parts = RingParts { sockets: 4, tos: 0, gather, control, mailbox: Arc::clone(&mailbox) };
    (Ring::new(parts).unwrap(), mailbox)
}

/// Opens a socket on a port that nobody has.
fn open(ring: &mut Ring, id: SocketId) -> SocketAddr {
    let free = peer();
    let local = free.local_addr().unwrap();
    drop(free);
    ring.open(id, local).unwrap();
    local
}

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut room = [0; 4096];
    let (len, from) = socket.recv_from(&mut room).unwrap();
    (room[..len].to_vec(), from)
}

/// Waits for something to arrive.
fn arrival(ring: &mut Ring) -> Option<Arrival> {
    for _ in 0..20 {
        if let Some(arrival) = ring.next() {
            return Some(arrival);
        }
        ring.wait(Some(LIMIT / 20));
    }
    None
}

/// Forwards what arrives next from `from` to `to`.
fn forward(ring: &mut Ring, from: SocketId, to: SocketAddr) -> SocketAddr {
    let Some(Arrival::Packet(_, buffer)) = arrival(ring) else { panic!("no packet") };
    let (datagram, mut outlet) = ring.datagram(buffer).unwrap();
    let source = datagram.from;
    outlet.forward(from, to, &datagram.buffer[..datagram.len], None);
    ring.give_back(buffer);
    ring.wait(Some(Duration::ZERO));
    source
}

#[test]
fn a_datagram_is_reported_with_its_source_and_sent_on() {
    let (mut ring, _mail) = ring(&[], Duration::ZERO);
    let (a, b) = (open(&mut ring, A), open(&mut ring, B));
    let (sender, receiver) = (peer(), peer());
    // Armed with the next wait.
    ring.wait(Some(Duration::ZERO));
    for n in 0..3_000u32 {
        sender.send_to(&n.to_be_bytes(), a).unwrap();
        assert_eq!(forward(&mut ring, B, receiver.local_addr().unwrap()), sender.local_addr().unwrap());
        assert_eq!(receive(&receiver), (n.to_be_bytes().to_vec(), b), "buffers come back in good order");
    }
    assert_eq!(ring.stats().send_errors, 0);
}

#[test]
fn a_packet_takes_nothing_from_the_heap() {
    let (mut ring, _mail) = ring(&[], Duration::from_micros(500));
    let (a, _) = (open(&mut ring, A), open(&mut ring, B));
    let (sender, receiver) = (peer(), peer());
    let to = receiver.local_addr().unwrap();
    let mut room = [0; 64];
    let mut taken = Vec::with_capacity(200);
    for _ in 0..200 {
        let before = counting::taken();
        sender.send_to(b"packet", a).unwrap();
        forward(&mut ring, B, to);
        receiver.recv(&mut room).unwrap();
        taken.push(counting::taken() - before);
    }
    assert_eq!(taken.iter().skip(1).sum::<u64>(), 0, "{taken:?}");
    assert!(counting::taken() > 0, "the counter counts");
}

#[test]
fn what_came_on_a_closed_socket_is_not_reported_as_its_successors() {
    let (mut ring, _mail) = ring(&[], Duration::ZERO);
    let first = open(&mut ring, A);
    let sender = peer();
    ring.wait(Some(Duration::ZERO));
    sender.send_to(b"old", first).unwrap();
    // The kernel reports it, and before it is looked at the socket is another one.
    ring.wait(Some(LIMIT));
    ring.close(A);
    let second = open(&mut ring, A);
    sender.send_to(b"new", second).unwrap();
    let Some(Arrival::Packet(id, buffer)) = arrival(&mut ring) else { panic!("no packet") };
    let (datagram, _) = ring.datagram(buffer).unwrap();
    assert_eq!((id, &datagram.buffer[..datagram.len]), (A, &b"new"[..]));
    assert!(UdpSocket::bind(first).is_ok(), "the port of the closed socket is free");
}

#[test]
fn a_datagram_that_is_cut_off_is_counted_and_no_other_is_hurt() {
    let (mut ring, _mail) = ring(&[], Duration::ZERO);
    let (a, sender) = (open(&mut ring, A), peer());
    sender.send_to(&[1; 4000], a).unwrap();
    sender.send_to(&[2; 1972], a).unwrap();
    let Some(Arrival::Packet(_, cut)) = arrival(&mut ring) else { panic!("no packet") };
    assert!(ring.datagram(cut).is_none());
    assert_eq!(ring.stats().malformed, 1);
    ring.give_back(cut);
    let Some(Arrival::Packet(_, whole)) = arrival(&mut ring) else { panic!("no packet") };
    let (datagram, _) = ring.datagram(whole).unwrap();
    assert_eq!((datagram.len, datagram.buffer.len()), (1972, 1972 + TAIL_ROOM));
}

#[test]
fn what_finds_no_buffer_waits_in_the_socket() {
    let socket = peer();
    let at = socket.local_addr().unwrap();
    let (mut ring, _mail) = ring(std::slice::from_ref(&socket), Duration::ZERO);
    let sender = peer();
    let all = CONTROL_BUFFERS as u8 + 30;
    for n in 0..all {
        sender.send_to(&[n], at).unwrap();
    }
    let take = |ring: &mut Ring, n: u16| {
        (0..n)
            .map(|_| match arrival(ring) {
                Some(Arrival::Control(0, buffer)) => buffer,
                other => panic!("{other:?}"),
            })
            .collect::<Vec<_>>()
    };
    let held = take(&mut ring, CONTROL_BUFFERS);
    ring.wait(Some(Duration::ZERO));
    assert!(ring.next().is_none(), "no buffer is left");
    let mut order: Vec<u8> = held.iter().map(|buffer| ring.datagram(*buffer).unwrap().0.buffer[0]).collect();
    held.into_iter().for_each(|buffer| ring.give_back(buffer));
    for buffer in take(&mut ring, 30) {
        order.push(ring.datagram(buffer).unwrap().0.buffer[0]);
    }
    assert_eq!(order, (0..all).collect::<Vec<_>>());
    assert_eq!(ring.stats().receive_errors, 0);
}

#[test]
fn a_settled_socket_hears_its_peer_only_until_it_is_let_go() {
    let (mut ring, _mail) = ring(&[], Duration::ZERO);
    let (a, friend, stranger) = (open(&mut ring, A), peer(), peer());
    let to = friend.local_addr().unwrap();
    ring.settle(A, Some(to));
    ring.wait(Some(Duration::ZERO));
    stranger.send_to(b"stranger", a).unwrap();
    ring.wait(Some(MOMENT));
    assert!(ring.next().is_none(), "the kernel keeps others away");
    friend.send_to(b"friend", a).unwrap();
    assert_eq!(forward(&mut ring, A, to), to);
    assert_eq!(receive(&friend), (b"friend".to_vec(), a), "sent without an address");
    friend.send_to(b"elsewhere", a).unwrap();
    forward(&mut ring, A, stranger.local_addr().unwrap());
    assert_eq!(receive(&stranger).0, b"elsewhere", "another address than that it is connected to");
    ring.settle(A, None);
    stranger.send_to(b"stranger", a).unwrap();
    assert_eq!(forward(&mut ring, A, to), stranger.local_addr().unwrap());
}

#[test]
fn a_peer_that_refuses_does_not_silence_the_socket() {
    let (mut ring, _mail) = ring(&[], Duration::ZERO);
    let (a, friend) = (open(&mut ring, A), peer());
    let to = friend.local_addr().unwrap();
    let gone = peer().local_addr().unwrap();
    ring.settle(A, Some(gone));
    let b = open(&mut ring, B);
    ring.wait(Some(Duration::ZERO));
    for _ in 0..5 {
        // Each is answered by ICMP, which ends the receive on the connected socket.
        friend.send_to(b"x", b).unwrap();
        forward(&mut ring, A, gone);
        ring.wait(Some(MOMENT / 10));
    }
    assert!(ring.stats().receive_errors + ring.stats().send_errors > 0, "{:?}", ring.stats());
    while ring.next().is_some() {}
    ring.settle(A, Some(to));
    friend.send_to(b"still there", a).unwrap();
    assert_eq!(forward(&mut ring, A, to), to);
}

#[test]
fn control_and_mail_are_told_apart() {
    let socket = peer();
    let at = socket.local_addr().unwrap();
    let (mut ring, mail) = ring(std::slice::from_ref(&socket), Duration::ZERO);
    peer().send_to(&[b'n'; 60_000], at).unwrap();
    let Some(Arrival::Control(0, buffer)) = arrival(&mut ring) else { panic!("no control message") };
    assert_eq!(ring.datagram(buffer).unwrap().0.len, 60_000);
    ring.give_back(buffer);
    for _ in 0..3 {
        mail.notify();
        assert!(matches!(arrival(&mut ring), Some(Arrival::Mail)));
    }
    ring.close_all();
    drop(socket);
    assert!(UdpSocket::bind(at).is_ok(), "the control port is free at once");
}

#[test]
fn tokens_survive_the_kernel() {
    for token in [
        Token::Media { index: 0, generation: 0 },
        Token::Media { index: u32::MAX, generation: Token::GENERATION },
        Token::Control { index: 7 },
        Token::Mail,
        Token::Send,
        Token::Cancel,
    ] {
        assert_eq!(Token::of(token.bits()), token);
    }
}
