//! A media server of our own, whose every answer a test decides, and which remembers all that it got.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use super::{Message, Transport, host_port, token, until, uri_of};

/// How often threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(20);

/// What the server does with a new INVITE. It answers all other requests with 200, unless it is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// 180 and 200.
    Answer,
    /// A final response.
    Status(u16),
    /// 180, and 487 once it is cancelled.
    Ring,
    /// 180; a CANCEL comes too late: it is answered, and the INVITE with 200 at the same time.
    AnswerWhenCancelled,
    /// Nothing to anything.
    Silent,
    /// 200 to OPTIONS, nothing to INVITE.
    SilentToInvite,
}

/// A message that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The message.
    pub message: Message,
    /// Where it came from.
    pub from: SocketAddr,
    /// How.
    pub transport: Transport,
    /// When.
    pub at: Instant,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    behaviour: Mutex<Behaviour>,
    seen: Mutex<Vec<Seen>>,
    /// The connection of each TCP peer.
    streams: Mutex<Vec<(SocketAddr, TcpStream)>>,
    udp: Option<UdpSocket>,
    stop: AtomicBool,
}

/// A media server on one address, over UDP, TCP or both. Its ports are closed when this is dropped.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts a server.
    ///
    /// # Panics
    /// If the address is taken.
    #[must_use]
    pub fn start(address: SocketAddr, transports: &[Transport], behaviour: Behaviour) -> Self {
        let udp = transports.contains(&Transport::Udp).then(|| UdpSocket::bind(address).expect("a UDP socket"));
        let tcp = transports.contains(&Transport::Tcp).then(|| TcpListener::bind(address).expect("a TCP socket"));
        if let Some(udp) = &udp {
            udp.set_read_timeout(Some(LOOK)).expect("a timeout");
        }
        let shared = Arc::new(Shared {
            address,
            behaviour: Mutex::new(behaviour),
            seen: Mutex::default(),
            streams: Mutex::default(),
            udp,
            stop: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        if shared.udp.is_some() {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || shared.serve_udp()));
        }
        if let Some(listener) = tcp {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || shared.serve_tcp(&listener)));
        }
        Self { shared, threads }
    }

    /// A server that answers calls over UDP.
    #[must_use]
    pub fn udp(address: SocketAddr) -> Self {
        Self::start(address, &[Transport::Udp], Behaviour::Answer)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Changes what it does.
    pub fn set(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// Everything it got so far.
    #[must_use]
    pub fn all(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// Everything it got so far with this method (of responses: this method in CSeq).
    #[must_use]
    pub fn seen(&self, method: &str) -> Vec<Seen> {
        lock(&self.shared.seen).iter().filter(|seen| seen.message.method() == method).cloned().collect()
    }

    /// Requests with this method, each counted once however often it was sent.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        let requests = self.seen(method).into_iter().filter(|seen| seen.message.status().is_none());
        requests.map(|seen| seen.message.branch().to_owned()).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// How often it got a request that it had already.
    #[must_use]
    pub fn repeated(&self, method: &str) -> usize {
        let requests = self.seen(method).into_iter().filter(|seen| seen.message.status().is_none()).count();
        requests - self.count(method)
    }

    /// The first request with this method in the call `call_id`, waited for.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn wait_for(&self, method: &str, call_id: &str) -> Seen {
        let mut found = None;
        until(&format!("{method} of {call_id} at {}", self.address()), Duration::from_secs(5), || {
            found = self.seen(method).into_iter().find(|seen| seen.message.call_id() == call_id);
            found.is_some()
        });
        found.expect("it was found")
    }

    /// Sends a request within the call that `invite` made, by its recorded route, and returns the final response.
    ///
    /// # Panics
    /// If the INVITE has no Contact, or nothing is answered.
    #[track_caller]
    pub fn request_in_call(&self, invite: &Seen, method: &str, cseq: u32) -> Message {
        let message = &invite.message;
        let routes = message.values("Record-Route");
        let target = uri_of(message.field("Contact").expect("a Contact"));
        let next = routes.first().map_or(target, |route| uri_of(route));
        let (to, tcp) = host_port(next).expect("an address to send to");
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let mut text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{} {};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n",
            transport.via(),
            self.address(),
            token()
        );
        for route in &routes {
            text.push_str(&format!("Route: {route}\r\n"));
        }
        let (caller, callee) = (message.field("From").unwrap_or_default(), message.field("To").unwrap_or_default());
        text.push_str(&format!(
            "From: {callee};tag={}\r\nTo: {caller}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <{}>\r\n\
             Content-Length: 0\r\n\r\n",
            self.shared.tag(),
            message.call_id(),
            transport.uri(self.address()),
        ));
        let sent = Instant::now();
        self.shared.send(transport, to, text.as_bytes());
        let mut response = None;
        until(&format!("the answer to {method} of the callee"), Duration::from_secs(10), || {
            response = self.seen(method).into_iter().find(|seen| {
                seen.at >= sent
                    && seen.message.call_id() == message.call_id()
                    && seen.message.status().is_some_and(|status| status >= 200)
            });
            response.is_some()
        });
        response.expect("it was found").message
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for (_, stream) in lock(&self.shared.streams).drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        if std::thread::panicking() {
            eprintln!("---- media server {}: what it got ----", self.address());
            for seen in lock(&self.shared.seen).iter().rev().take(30).rev() {
                eprintln!("{} {} {}", seen.from, seen.transport.via(), seen.message.start_line());
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Shared {
    fn tag(&self) -> String {
        format!("server-{}", self.address.port())
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn serve_udp(&self) {
        let mut buffer = [0; 65_536];
        let Some(udp) = &self.udp else { return };
        while !self.stopped() {
            let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
            if let Some((message, _)) = Message::read(&buffer[..length], false) {
                self.take(message, from, Transport::Udp);
            }
        }
    }

    fn serve_tcp(self: &Arc<Self>, listener: &TcpListener) {
        listener.set_nonblocking(true).expect("a listener");
        let mut threads = Vec::new();
        while !self.stopped() {
            let Ok((stream, from)) = listener.accept() else {
                sleep(LOOK);
                continue;
            };
            threads.push(self.serve_stream(stream, from));
        }
        threads.into_iter().for_each(|thread| drop(thread.join()));
    }

    fn serve_stream(self: &Arc<Self>, mut stream: TcpStream, from: SocketAddr) -> JoinHandle<()> {
        stream.set_nonblocking(false).expect("a stream");
        stream.set_read_timeout(Some(LOOK)).expect("a timeout");
        stream.set_nodelay(true).expect("a stream");
        lock(&self.streams).push((from, stream.try_clone().expect("a stream")));
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            let (mut read, mut buffer) = (Vec::new(), [0; 65_536]);
            while !shared.stopped() {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => read.extend_from_slice(&buffer[..length]),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                    Err(_) => break,
                }
                while let Some((message, length)) = Message::read(&read, true) {
                    read.drain(..length);
                    shared.take(message, from, Transport::Tcp);
                }
            }
            lock(&shared.streams).retain(|(peer, _)| *peer != from);
        })
    }

    fn take(&self, message: Message, from: SocketAddr, transport: Transport) {
        lock(&self.seen).push(Seen { message: message.clone(), from, transport, at: Instant::now() });
        for answer in self.answers(&message, transport) {
            self.reply(transport, from, answer.as_bytes());
        }
    }

    fn reply(&self, transport: Transport, to: SocketAddr, bytes: &[u8]) {
        match (transport, &self.udp) {
            (Transport::Udp, Some(udp)) => drop(udp.send_to(bytes, to)),
            (Transport::Udp, None) => {}
            (Transport::Tcp, _) => {
                if let Some((_, stream)) = lock(&self.streams).iter_mut().find(|(peer, _)| *peer == to) {
                    let _ = stream.write_all(bytes);
                }
            }
        }
    }

    /// Sends a request: over TCP by a connection that is there (any: there is one edge), else by a new one.
    fn send(&self, transport: Transport, to: SocketAddr, bytes: &[u8]) {
        let peer = lock(&self.streams).first().map(|(peer, _)| *peer);
        self.reply(transport, if transport == Transport::Tcp { peer.unwrap_or(to) } else { to }, bytes);
    }

    fn answers(&self, message: &Message, transport: Transport) -> Vec<String> {
        let behaviour = *lock(&self.behaviour);
        if message.status().is_some() || message.method() == "ACK" || behaviour == Behaviour::Silent {
            return Vec::new();
        }
        let answer = |request: &Message, status| self.response(request, status, transport);
        let in_dialog = message.tag("To").is_some();
        match (message.method(), behaviour) {
            ("CANCEL", Behaviour::Ring | Behaviour::AnswerWhenCancelled) => {
                let status = if behaviour == Behaviour::Ring { 487 } else { 200 };
                let seen = lock(&self.seen);
                let invite = seen.iter().map(|seen| &seen.message);
                let mut invite = invite.filter(|seen| seen.method() == "INVITE" && seen.branch() == message.branch());
                let invite = invite.next().map(|invite| answer(invite, status));
                std::iter::once(answer(message, 200)).chain(invite).collect()
            }
            ("INVITE", Behaviour::Answer) if !in_dialog => vec![answer(message, 180), answer(message, 200)],
            ("INVITE", Behaviour::Ring | Behaviour::AnswerWhenCancelled) => vec![answer(message, 180)],
            ("INVITE", Behaviour::Status(status)) => vec![answer(message, status)],
            ("INVITE", Behaviour::SilentToInvite) => Vec::new(),
            _ => vec![answer(message, 200)],
        }
    }

    fn response(&self, request: &Message, status: u16, transport: Transport) -> String {
        let mut text = format!("SIP/2.0 {status} Answer\r\n");
        for via in request.values("Via") {
            text.push_str(&format!("Via: {via}\r\n"));
        }
        for route in request.values("Record-Route") {
            text.push_str(&format!("Record-Route: {route}\r\n"));
        }
        let to = request.field("To").unwrap_or_default();
        let tag = if request.tag("To").is_some() { String::new() } else { format!(";tag={}", self.tag()) };
        text.push_str(&format!(
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <{}>\r\nContent-Length: 0\r\n\r\n",
            request.field("From").unwrap_or_default(),
            request.call_id(),
            request.field("CSeq").unwrap_or_default(),
            transport.uri(self.address),
        ));
        text
    }
}
