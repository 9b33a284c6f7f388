//! The transactions of a user agent over UDP: the machines of the core, with the messages that they speak of.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use trunkline_core::transaction::{
    Client, ClientAction, ClientEvent, ClientInvite, ClientInviteAction, ClientInviteEvent, Server, ServerAction,
    ServerEvent, ServerInvite, ServerInviteAction, ServerInviteEvent, Step, Timers,
};
use trunkline_core::wire::sip::build::{self, Reply, reason_phrase};
use trunkline_core::wire::sip::cseq::CSeq;
use trunkline_core::wire::sip::header_name::HeaderName;
use trunkline_core::wire::sip::method::Method;
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::via::{Rport, Via};
use trunkline_core::{Cx, Instant, Machine, Timed};

use super::clock::Random;
use super::deadlines::Deadlines;
use super::dialog::Bytes;

/// What waits to be sent: where to, and the message.
pub(super) type Outbox = Vec<(SocketAddr, Vec<u8>)>;

/// By what the requests of a server transaction are known (RFC 3261 §17.2.3). Call-ID and CSeq number are part of it for
/// the sake of peers whose branches repeat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerKey(Arc<[u8]>);

impl ServerKey {
    /// The key of `request` as if its method were `method`: an ACK and a CANCEL find their INVITE that way.
    pub(super) fn new(request: &Msg<'_>, method: Method<'_>) -> Option<Self> {
        let via_value = request.value(HeaderName::Via)?;
        let via = Via::parse(via_value).ok()?;
        let cseq = CSeq::parse(request.value(HeaderName::CSeq)?).ok()?;
        let sent_by = via_value.get(via.sent_by_span.range())?;
        let parts = [
            via.branch.unwrap_or_default(),
            sent_by,
            request.value(HeaderName::CallId)?,
            &cseq.number.to_be_bytes(),
            method.as_bytes(),
        ];
        Some(Self(parts.join(&0).into()))
    }
}

/// By what the responses of a client transaction are known (RFC 3261 §17.1.3): our branch, and whether the request is a
/// CANCEL, which shares it with its INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientKey {
    branch: u64,
    cancel: bool,
}

impl ClientKey {
    /// A key with a fresh branch.
    pub(super) fn fresh() -> Self {
        Self { branch: rand::random(), cancel: false }
    }

    /// The value of the `branch` parameter.
    pub(super) fn branch(self) -> String {
        format!("z9hG4bK{:016x}", self.branch)
    }

    fn of_response(response: &Msg<'_>) -> Option<Self> {
        let via = Via::parse(response.value(HeaderName::Via)?).ok()?;
        let branch = std::str::from_utf8(via.magic_cookie()?).ok().filter(|b| b.len() == 16)?;
        let cseq = CSeq::parse(response.value(HeaderName::CSeq)?).ok()?;
        let branch = u64::from_str_radix(branch, 16).ok()?;
        Some(Self { branch, cancel: cseq.method == Method::Cancel })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Server(ServerKey),
    Client(ClientKey),
}

enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

struct ServerTransaction {
    machine: ServerMachine,
    request: Vec<u8>,
    source: SocketAddr,
    last_response: Vec<u8>,
    armed: Option<Instant>,
}

enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

struct ClientTransaction {
    machine: ClientMachine,
    request: Vec<u8>,
    to: SocketAddr,
    owner: u64,
    armed: Option<Instant>,
}

/// What a request turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// A new request, with its transaction.
    New(ServerKey),
    /// An ACK for the user agent.
    Ack,
    /// Dealt with.
    Absorbed,
    /// There is no room for another transaction.
    Full,
}

/// What a client transaction came to without a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientEnd {
    /// No (final) response in time.
    TimedOut,
    /// The transaction is gone; its outcome was told before.
    Terminated,
}

/// All transactions of one user agent.
pub(super) struct Transactions {
    timers: Timers,
    servers: HashMap<ServerKey, ServerTransaction>,
    clients: HashMap<ClientKey, ClientTransaction>,
    deadlines: Deadlines<Key>,
    servers_max: usize,
}

impl Transactions {
    /// No transactions; at most `servers_max` begun by peers at a time.
    pub(super) fn new(timers: Timers, servers_max: usize) -> Self {
        Self { timers, servers: HashMap::new(), clients: HashMap::new(), deadlines: Deadlines::new(), servers_max }
    }

    pub(super) const fn timers(&self) -> &Timers {
        &self.timers
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// Takes a request from the network.
    pub(super) fn request(&mut self, now: Instant, msg: &Msg<'_>, source: SocketAddr, out: &mut Outbox) -> Arrival {
        let Some(method) = msg.method() else { return Arrival::Absorbed };
        if method == Method::Ack {
            return self.ack(now, msg, out);
        }
        let Some(key) = ServerKey::new(msg, method) else { return Arrival::Absorbed };
        if self.servers.contains_key(&key) {
            self.drive_server(now, &key, ServerStep::Again, out);
            return Arrival::Absorbed;
        }
        if self.servers.len() >= self.servers_max {
            return Arrival::Full;
        }
        let machine = match method {
            Method::Invite => ServerMachine::Invite(ServerInvite::new(false)),
            _ => ServerMachine::Other(Server::new(false)),
        };
        let transaction = ServerTransaction {
            machine,
            request: msg.bytes().to_vec(),
            source: reply_address(msg, source),
            last_response: Vec::new(),
            armed: None,
        };
        self.servers.insert(key.clone(), transaction);
        self.drive_server(now, &key, ServerStep::Start, out);
        Arrival::New(key)
    }

    fn ack(&mut self, now: Instant, msg: &Msg<'_>, out: &mut Outbox) -> Arrival {
        match ServerKey::new(msg, Method::Invite).filter(|k| self.servers.contains_key(k)) {
            Some(key) if !self.drive_server(now, &key, ServerStep::Ack, out) => Arrival::Absorbed,
            _ => Arrival::Ack,
        }
    }

    /// Answers the request of `key`. Gives the bytes that were sent and where to, unless the transaction is over.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        key: &ServerKey,
        reply: &Reply<'_>,
        out: &mut Outbox,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let sent_before = out.len();
        self.drive_server(now, key, ServerStep::Respond(reply), out);
        out.get(sent_before).cloned()
    }

    /// The request of a server transaction.
    pub(super) fn request_of(&self, key: &ServerKey) -> Option<&[u8]> {
        self.servers.get(key).map(|t| t.request.as_slice())
    }

    /// Whether the ACK of this drive is the user agent's.
    fn drive_server(&mut self, now: Instant, key: &ServerKey, step: ServerStep<'_>, out: &mut Outbox) -> bool {
        let Some(t) = self.servers.get_mut(key) else { return false };
        let reply = match step {
            ServerStep::Respond(reply) => Some(reply),
            _ => None,
        };
        let mut passed = false;
        for action in t.machine.handle(now, &self.timers, &step) {
            match action {
                ServerDo::Trying => t.send(&trying(), out),
                ServerDo::Send => {
                    if let Some(reply) = reply {
                        t.send(reply, out);
                    }
                }
                ServerDo::Resend => out.push((t.source, t.last_response.clone())),
                ServerDo::PassAck => passed = true,
            }
        }
        if t.machine.timed().is_done() {
            self.servers.remove(key);
        } else {
            let wanted = t.machine.timed().next_deadline();
            self.deadlines.rearm(&mut t.armed, wanted, || Key::Server(key.clone()));
        }
        passed
    }

    /// Sends `request`, whose branch is that of `key`, as a transaction of `owner`.
    pub(super) fn start(
        &mut self,
        now: Instant,
        key: ClientKey,
        request: Vec<u8>,
        to: SocketAddr,
        owner: u64,
        out: &mut Outbox,
    ) {
        let invite = request.starts_with(b"INVITE ");
        let machine = match invite {
            true => ClientMachine::Invite(ClientInvite::new(false)),
            false => ClientMachine::Other(Client::new(false)),
        };
        self.clients.insert(key, ClientTransaction { machine, request, to, owner, armed: None });
        self.drive_client(now, key, ClientStep::Start, out);
    }

    /// Cancels an INVITE (RFC 3261 §9.1).
    pub(super) fn cancel(&mut self, now: Instant, key: ClientKey, out: &mut Outbox) {
        self.drive_client(now, key, ClientStep::Cancel, out);
    }

    /// Takes a response from the network. Gives its owner if it is for the user agent.
    pub(super) fn response(&mut self, now: Instant, msg: &Msg<'_>, out: &mut Outbox) -> Option<(ClientKey, u64)> {
        let key = ClientKey::of_response(msg)?;
        let owner = self.clients.get(&key)?.owner;
        let driven = self.drive_client(now, key, ClientStep::Response(msg), out);
        (driven.passed && !key.cancel).then_some((key, owner))
    }

    fn drive_client(&mut self, now: Instant, key: ClientKey, step: ClientStep<'_>, out: &mut Outbox) -> Driven {
        let mut driven = Driven::default();
        let Some(t) = self.clients.get_mut(&key) else { return driven };
        driven.owner = t.owner;
        let mut cancel = None;
        for action in t.machine.handle(now, &self.timers, &step) {
            match action {
                ClientDo::Send => out.push((t.to, t.request.clone())),
                ClientDo::Ack => out.extend(t.ack(&step)),
                ClientDo::Cancel => cancel = t.cancel(),
                ClientDo::Pass => driven.passed = true,
                ClientDo::TimedOut => driven.timed_out = true,
            }
        }
        if t.machine.timed().is_done() {
            driven.terminated = true;
            self.clients.remove(&key);
        } else {
            let wanted = t.machine.timed().next_deadline();
            self.deadlines.rearm(&mut t.armed, wanted, || Key::Client(key));
        }
        if let Some((to, request)) = cancel {
            self.start(now, ClientKey { cancel: true, ..key }, request, to, driven.owner, out);
        }
        driven
    }

    /// Runs what is due. What becomes of client transactions other than CANCEL goes to `ended`.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox, ended: &mut Vec<(ClientKey, u64, ClientEnd)>) {
        while let Some((at, key)) = self.deadlines.pop_due(now) {
            match key {
                Key::Server(key) => {
                    if self.servers.get_mut(&key).is_some_and(|t| t.armed.take_if(|a| *a == at).is_some()) {
                        self.drive_server(now, &key, ServerStep::Timeout, out);
                    }
                }
                Key::Client(key) => {
                    if self.clients.get_mut(&key).is_none_or(|t| t.armed.take_if(|a| *a == at).is_none()) {
                        continue;
                    }
                    let driven = self.drive_client(now, key, ClientStep::Timeout, out);
                    if driven.timed_out && !key.cancel {
                        ended.push((key, driven.owner, ClientEnd::TimedOut));
                    }
                    if driven.terminated && !key.cancel {
                        ended.push((key, driven.owner, ClientEnd::Terminated));
                    }
                }
            }
        }
    }
}

/// What became of one run of a client machine.
#[derive(Default)]
struct Driven {
    owner: u64,
    passed: bool,
    timed_out: bool,
    terminated: bool,
}

enum ServerStep<'r> {
    Start,
    Again,
    Ack,
    Respond(&'r Reply<'r>),
    Timeout,
}

enum ServerDo {
    Trying,
    Send,
    Resend,
    PassAck,
}

impl ServerMachine {
    fn timed(&self) -> &dyn Timed {
        match self {
            Self::Invite(m) => m,
            Self::Other(m) => m,
        }
    }

    fn handle(&mut self, now: Instant, timers: &Timers, step: &ServerStep<'_>) -> Vec<ServerDo> {
        let mut todo = Vec::new();
        match self {
            Self::Invite(machine) => {
                let event = match step {
                    ServerStep::Start => ServerInviteEvent::Start,
                    ServerStep::Again => ServerInviteEvent::RequestRetransmitted,
                    ServerStep::Ack => ServerInviteEvent::Ack,
                    ServerStep::Respond(reply) => ServerInviteEvent::Respond { status: reply.status },
                    ServerStep::Timeout => ServerInviteEvent::Timeout,
                };
                run(machine, event, now, timers, |action| match action {
                    ServerInviteAction::SendTrying => todo.push(ServerDo::Trying),
                    ServerInviteAction::SendResponse => todo.push(ServerDo::Send),
                    ServerInviteAction::Resend => todo.push(ServerDo::Resend),
                    ServerInviteAction::PassAck => todo.push(ServerDo::PassAck),
                    // A refusal without its ACK changes nothing for the user agent.
                    ServerInviteAction::TimedOut
                    | ServerInviteAction::TransportError
                    | ServerInviteAction::Terminated => {}
                });
            }
            Self::Other(machine) => {
                let event = match step {
                    ServerStep::Start => ServerEvent::Start,
                    ServerStep::Again => ServerEvent::RequestRetransmitted,
                    ServerStep::Respond(reply) => ServerEvent::Respond { status: reply.status },
                    ServerStep::Timeout => ServerEvent::Timeout,
                    ServerStep::Ack => return todo,
                };
                run(machine, event, now, timers, |action| match action {
                    ServerAction::SendTrying => todo.push(ServerDo::Trying),
                    ServerAction::SendResponse => todo.push(ServerDo::Send),
                    ServerAction::Resend => todo.push(ServerDo::Resend),
                    ServerAction::TimedOut | ServerAction::TransportError | ServerAction::Terminated => {}
                });
            }
        }
        todo
    }
}

impl ServerTransaction {
    fn send(&mut self, reply: &Reply<'_>, out: &mut Outbox) {
        // It was parsed when it came.
        let Ok(request) = Msg::parse(&self.request) else { return };
        let mut bytes = Bytes(Vec::with_capacity(512));
        build::response(&request, self.source, reply, &mut bytes);
        self.last_response = bytes.0;
        out.push((self.source, self.last_response.clone()));
    }
}

enum ClientStep<'m> {
    Start,
    Cancel,
    Response(&'m Msg<'m>),
    Timeout,
}

enum ClientDo {
    Send,
    Ack,
    Cancel,
    Pass,
    TimedOut,
}

impl ClientMachine {
    fn timed(&self) -> &dyn Timed {
        match self {
            Self::Invite(m) => m,
            Self::Other(m) => m,
        }
    }

    fn handle(&mut self, now: Instant, timers: &Timers, step: &ClientStep<'_>) -> Vec<ClientDo> {
        let mut todo = Vec::new();
        let status = match step {
            ClientStep::Response(msg) => msg.status().unwrap_or_default(),
            _ => 0,
        };
        match self {
            Self::Invite(machine) => {
                let event = match step {
                    ClientStep::Start => ClientInviteEvent::Start { first_reply_timeout: None },
                    ClientStep::Cancel => ClientInviteEvent::Cancel,
                    ClientStep::Response(_) => ClientInviteEvent::Response { status },
                    ClientStep::Timeout => ClientInviteEvent::Timeout,
                };
                run(machine, event, now, timers, |action| match action {
                    ClientInviteAction::SendRequest => todo.push(ClientDo::Send),
                    ClientInviteAction::SendAck => todo.push(ClientDo::Ack),
                    ClientInviteAction::SendCancel => todo.push(ClientDo::Cancel),
                    ClientInviteAction::PassResponse => todo.push(ClientDo::Pass),
                    ClientInviteAction::TimedOut => todo.push(ClientDo::TimedOut),
                    ClientInviteAction::TransportError | ClientInviteAction::Terminated => {}
                });
            }
            Self::Other(machine) => {
                let event = match step {
                    ClientStep::Start => ClientEvent::Start,
                    ClientStep::Response(_) => ClientEvent::Response { status },
                    ClientStep::Timeout => ClientEvent::Timeout,
                    ClientStep::Cancel => return todo,
                };
                run(machine, event, now, timers, |action| match action {
                    ClientAction::SendRequest => todo.push(ClientDo::Send),
                    ClientAction::PassResponse => todo.push(ClientDo::Pass),
                    ClientAction::TimedOut => todo.push(ClientDo::TimedOut),
                    ClientAction::TransportError | ClientAction::Terminated => {}
                });
            }
        }
        todo
    }
}

impl ClientTransaction {
    /// The ACK to the 300-699 response of `step` (RFC 3261 §17.1.1.3).
    fn ack(&self, step: &ClientStep<'_>) -> Option<(SocketAddr, Vec<u8>)> {
        let ClientStep::Response(response) = step else { return None };
        let invite = Msg::parse(&self.request).ok()?;
        let mut bytes = Bytes(Vec::with_capacity(512));
        build::ack(&invite, response.value(HeaderName::To)?, &mut bytes);
        Some((self.to, bytes.0))
    }

    fn cancel(&self) -> Option<(SocketAddr, Vec<u8>)> {
        let invite = Msg::parse(&self.request).ok()?;
        let mut bytes = Bytes(Vec::with_capacity(512));
        build::cancel(&invite, &mut bytes);
        Some((self.to, bytes.0))
    }
}

fn run<M, E, A>(machine: &mut M, event: E, now: Instant, timers: &Timers, mut out: impl FnMut(A))
where
    M: for<'e> Machine<Event<'e> = Step<'e, E>> + for<'a> Machine<Action<'a> = A>,
{
    let mut cx = Cx { now, entropy: &mut Random };
    machine.handle(&mut cx, Step { timers, event }, &mut |action| out(action));
}

fn trying() -> Reply<'static> {
    Reply { status: 100, reason: reason_phrase(100).as_bytes(), ..Reply::default() }
}

/// Where the response to `request` goes (RFC 3261 §18.2.2, RFC 3581 §4).
pub(super) fn reply_address(request: &Msg<'_>, source: SocketAddr) -> SocketAddr {
    match request.value(HeaderName::Via).and_then(|v| Via::parse(v).ok()) {
        Some(via) if via.rport == Rport::Absent => SocketAddr::new(source.ip(), via.port_or_default()),
        _ => source,
    }
}

/// Answers a request without a transaction.
pub(super) fn respond_stateless(request: &Msg<'_>, source: SocketAddr, reply: &Reply<'_>, out: &mut Outbox) {
    let source = reply_address(request, source);
    let mut bytes = Bytes(Vec::with_capacity(512));
    build::response(request, source, reply, &mut bytes);
    out.push((source, bytes.0));
}
