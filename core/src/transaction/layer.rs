//! All transactions of a shard: their tables, how a message finds its transaction, and the bytes they send again.

use core::time::Duration;

use super::client::Client;
use super::client_invite::ClientInvite;
use super::either::{ACTIONS, ClientMachine, FromClient, FromServer, ServerMachine, ToClient, ToServer};
use super::server::Server;
use super::server_invite::ServerInvite;
use super::timers::Timers;
use crate::error::Full;
use crate::flow::{Flow, Send};
use crate::machine::{Cx, Timed};
use crate::store::{Buf, BufPool, Index, Key, Table, table::Slot};
use crate::time::Instant;
use crate::wire::sip::build;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::Writer;

/// What a layer works with besides its tables.
pub struct Io<'i, 's> {
    /// Where messages are kept.
    pub bufs: &'i mut BufPool<'s>,
    /// Room to write one message.
    pub scratch: &'i mut [u8],
    /// Takes what is to be sent.
    pub send: &'i mut Send<'i>,
}

/// A server transaction and what it needs to answer again.
#[derive(Debug)]
pub struct ServerTransaction {
    machine: ServerMachine,
    hash: u64,
    merge_hash: Option<u64>,
    flow: Flow,
    last: Option<Buf>,
    context: Option<Key>,
}

/// A client transaction and what it needs to ask again.
#[derive(Debug)]
pub struct ClientTransaction {
    machine: ClientMachine,
    flow: Flow,
    request: Option<Buf>,
    cancel: Option<Key>,
    owner: Option<Owner>,
}

/// Who started a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Owner {
    /// The response context.
    pub context: Key,
    /// Its branch.
    pub branch: u8,
}

impl Timed for ServerTransaction {
    fn next_deadline(&self) -> Option<Instant> {
        self.machine.next_deadline()
    }

    fn is_done(&self) -> bool {
        self.machine.is_done()
    }
}

impl Timed for ClientTransaction {
    fn next_deadline(&self) -> Option<Instant> {
        self.machine.next_deadline()
    }

    fn is_done(&self) -> bool {
        self.machine.is_done()
    }
}

/// What a retransmitted request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Again {
    /// It was absorbed, or the last response was sent again.
    Absorbed,
    /// A 100 is to be sent again; it is built from the request at hand.
    Trying,
}

/// What a client transaction tells its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// The response at hand is the owner's.
    Pass(Owner),
    /// No response in time.
    TimedOut(Owner),
    /// It could not be sent.
    TransportError(Owner),
}

/// What expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Expired {
    /// A client transaction has something to tell.
    Outcome(Outcome),
    /// A server transaction owes a 100 to the request that this context keeps.
    Trying {
        /// The server transaction.
        server: Key,
        /// The response context.
        context: Key,
    },
    /// Nothing that concerns others.
    Nothing,
}

/// Memory for the transactions of one shard.
pub struct Memory<'a> {
    /// Server transactions.
    pub servers: crate::store::Slots<'a, Slot<ServerTransaction>>,
    /// Client transactions.
    pub clients: crate::store::Slots<'a, Slot<ClientTransaction>>,
    /// Index of server transactions, see [`Index::buckets_for`].
    pub index: crate::store::Slots<'a, u64>,
    /// Index of ongoing requests for merge detection, as large.
    pub merged: crate::store::Slots<'a, u64>,
}

/// All transactions of a shard.
pub struct Transactions<'a> {
    servers: Table<'a, ServerTransaction>,
    clients: Table<'a, ClientTransaction>,
    index: Index<'a>,
    merged: Index<'a>,
    timers: Timers,
}

impl<'a> Transactions<'a> {
    /// No transactions yet.
    pub fn new(memory: Memory<'a>, timers: Timers) -> Self {
        Self {
            servers: Table::new(memory.servers, "server transactions"),
            clients: Table::new(memory.clients, "client transactions"),
            index: Index::new(memory.index, "server transactions"),
            merged: Index::new(memory.merged, "ongoing requests"),
            timers,
        }
    }

    /// The timers that events from now on follow.
    pub fn set_timers(&mut self, timers: Timers) {
        self.timers = timers;
    }

    /// The timers in force.
    pub const fn timers(&self) -> &Timers {
        &self.timers
    }

    /// The server transaction that a request with this hash belongs to.
    pub fn find_server(&self, hash: u64) -> Option<Key> {
        let servers = &self.servers;
        let slot = self.index.find(hash, |slot| servers.at(slot).is_some_and(|(_, t)| t.hash == hash))?;
        servers.at(slot).map(|(key, _)| key)
    }

    /// Whether a request with this merge hash is still without a final response (RFC 3261 §8.2.2.2).
    pub fn is_merged(&self, merge_hash: u64) -> bool {
        let servers = &self.servers;
        let is_it = |slot| servers.at(slot).is_some_and(|(_, t)| t.merge_hash == Some(merge_hash));
        self.merged.find(merge_hash, is_it).is_some()
    }

    /// Opens a server transaction. Says whether a 100 is to be sent at once.
    pub fn open_server(
        &mut self,
        cx: &mut Cx<'_>,
        invite: bool,
        hash: u64,
        merge_hash: Option<u64>,
        flow: Flow,
    ) -> Result<(Key, bool), Full> {
        let reliable = flow.transport.is_reliable();
        let machine = if invite {
            ServerMachine::Invite(ServerInvite::new(reliable))
        } else {
            ServerMachine::Other(Server::new(reliable))
        };
        let transaction = ServerTransaction { machine, hash, merge_hash, flow, last: None, context: None };
        let key = self.servers.insert(transaction)?;
        let indexed = self.index.insert(hash, key.slot()).and_then(|()| match merge_hash {
            Some(h) => self.merged.insert(h, key.slot()).inspect_err(|_| {
                self.index.remove(hash, key.slot());
            }),
            None => Ok(()),
        });
        if let Err(full) = indexed {
            self.servers.remove(key);
            return Err(full);
        }
        let timers = self.timers;
        let ran = self.servers.run(key, |t| t.machine.step(cx, &timers, ToServer::Start));
        Ok((key, ran.is_some_and(|r| r.value.contains(&FromServer::Trying))))
    }

    /// Ties a server transaction to the response context that answers it.
    pub fn set_context(&mut self, server: Key, context: Option<Key>) {
        let _ = self.servers.run(server, |t| t.context = context).map(|r| r.value);
    }

    /// The response context of a server transaction.
    pub fn context(&self, server: Key) -> Option<Key> {
        self.servers.get(server).and_then(|t| t.context)
    }

    /// The path that responses of a server transaction take.
    pub fn server_flow(&self, server: Key) -> Option<Flow> {
        self.servers.get(server).map(|t| t.flow)
    }

    fn step_server(
        &mut self,
        cx: &mut Cx<'_>,
        io: &mut Io<'_, '_>,
        key: Key,
        event: ToServer,
        response: &[u8],
    ) -> heapless::Vec<FromServer, ACTIONS> {
        let timers = self.timers;
        let Some(ran) = self.servers.run(key, |t| {
            let actions = t.machine.step(cx, &timers, event);
            for action in &actions {
                match action {
                    FromServer::Respond => {
                        (io.send)(&t.flow, response);
                        if let Some(old) = t.last.take() {
                            io.bufs.free(old);
                        }
                        // Without room for it a retransmitted request goes unanswered; the next one may find room.
                        if !t.machine.is_accepted() && !t.machine.is_done() {
                            t.last = io.bufs.alloc_copy(response).ok();
                        }
                    }
                    FromServer::Resend => {
                        if let Some(last) = &t.last {
                            (io.send)(&t.flow, io.bufs.bytes(last));
                        }
                    }
                    FromServer::Trying | FromServer::PassAck => {}
                }
            }
            (actions, t.last.is_none() && t.machine.is_proceeding())
        }) else {
            return heapless::Vec::new();
        };
        let (mut actions, owes_trying) = ran.value;
        if let Some(freed) = ran.freed {
            self.close_server(io, key, freed);
        }
        if owes_trying && let Some(resend) = actions.iter_mut().find(|a| **a == FromServer::Resend) {
            *resend = FromServer::Trying;
        }
        actions
    }

    fn close_server(&mut self, io: &mut Io<'_, '_>, key: Key, t: ServerTransaction) {
        self.index.remove(t.hash, key.slot());
        if let Some(h) = t.merge_hash {
            self.merged.remove(h, key.slot());
        }
        if let Some(last) = t.last {
            io.bufs.free(last);
        }
    }

    /// A request that belongs to a server transaction came again.
    pub fn retransmitted(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, server: Key) -> Again {
        let actions = self.step_server(cx, io, server, ToServer::Again, b"");
        if actions.contains(&FromServer::Trying) { Again::Trying } else { Again::Absorbed }
    }

    /// An ACK that matches an INVITE server transaction came; whether it is to be passed on (RFC 6026 §7.1).
    pub fn ack(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, server: Key) -> bool {
        self.step_server(cx, io, server, ToServer::Ack, b"").contains(&FromServer::PassAck)
    }

    /// Answers a request.
    pub fn respond(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, server: Key, status: u16, response: &[u8]) {
        self.step_server(cx, io, server, ToServer::Respond(status), response);
        if status >= 200 {
            let merged = &mut self.merged;
            let _ = self
                .servers
                .run(server, |t| {
                    if let Some(h) = t.merge_hash.take() {
                        merged.remove(h, server.slot());
                    }
                })
                .map(|r| r.value);
        }
    }

    /// The response of a server transaction could not be sent. It lives on (RFC 6026 §8.8).
    pub fn response_undelivered(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, server: Key) {
        self.step_server(cx, io, server, ToServer::Failed, b"");
    }

    /// Opens a client transaction; it sends nothing before [`start_client`](Self::start_client). Its key goes into the
    /// branch of the request.
    pub fn open_client(&mut self, invite: bool, flow: Flow, owner: Option<Owner>) -> Result<Key, Full> {
        let reliable = flow.transport.is_reliable();
        let machine = if invite {
            ClientMachine::Invite(ClientInvite::new(reliable))
        } else {
            ClientMachine::Other(Client::new(reliable))
        };
        self.clients.insert(ClientTransaction { machine, flow, request: None, cancel: None, owner })
    }

    /// Sends the request of a client transaction that was not started by another path than it was opened for.
    pub fn reroute_client(&mut self, client: Key, flow: Flow) {
        let reliable = flow.transport.is_reliable();
        let _ = self
            .clients
            .run(client, |t| {
                t.flow = flow;
                t.machine = match t.machine {
                    ClientMachine::Invite(_) => ClientMachine::Invite(ClientInvite::new(reliable)),
                    ClientMachine::Other(_) => ClientMachine::Other(Client::new(reliable)),
                };
            })
            .map(|ran| ran.value);
    }

    /// Sends the request of a client transaction. If there is no room to keep it, the transaction is gone.
    pub fn start_client(
        &mut self,
        cx: &mut Cx<'_>,
        io: &mut Io<'_, '_>,
        client: Key,
        request: &[u8],
        first_reply_timeout: Option<Duration>,
    ) -> Result<(), Full> {
        let buf = match io.bufs.alloc_copy(request) {
            Ok(buf) => buf,
            Err(full) => {
                self.clients.remove(client);
                return Err(full);
            }
        };
        let stored = self.clients.run(client, |t| t.request = Some(buf));
        debug_assert!(stored.is_some(), "a client transaction is started once, after it was opened");
        self.step_client(cx, io, client, ToClient::Start { first_reply_timeout }, None);
        Ok(())
    }

    /// Gives up a client transaction that was never started.
    pub fn abandon_client(&mut self, client: Key) {
        self.clients.remove(client);
    }

    /// The owner of a client transaction.
    pub fn owner(&self, client: Key) -> Option<Owner> {
        self.clients.get(client).and_then(|t| t.owner)
    }

    /// Whether there is such a client transaction.
    pub fn has_client(&self, client: Key) -> bool {
        self.clients.get(client).is_some()
    }

    /// A response came for a client transaction. `cancel` says that it answers the CANCEL, which has the same branch.
    pub fn response(
        &mut self,
        cx: &mut Cx<'_>,
        io: &mut Io<'_, '_>,
        client: Key,
        cancel: bool,
        response: &Msg<'_>,
    ) -> Option<Outcome> {
        let status = response.status()?;
        let client = if cancel { self.clients.get(client)?.cancel? } else { client };
        self.step_client(cx, io, client, ToClient::Response(status), Some(response))
    }

    /// Cancels an INVITE as soon as that is possible (RFC 3261 §9.1).
    pub fn cancel(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, client: Key) {
        self.step_client(cx, io, client, ToClient::Cancel, None);
    }

    /// The request of a client transaction could not be sent.
    pub fn undelivered(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, client: Key) -> Option<Outcome> {
        self.step_client(cx, io, client, ToClient::Failed, None)
    }

    fn step_client(
        &mut self,
        cx: &mut Cx<'_>,
        io: &mut Io<'_, '_>,
        key: Key,
        event: ToClient,
        response: Option<&Msg<'_>>,
    ) -> Option<Outcome> {
        let timers = self.timers;
        let ran = self.clients.run(key, |t| {
            let actions = t.machine.step(cx, &timers, event);
            let mut outcome = None;
            for action in &actions {
                match action {
                    FromClient::Send => {
                        if let Some(request) = &t.request {
                            (io.send)(&t.flow, io.bufs.bytes(request));
                        }
                    }
                    FromClient::Ack => t.send_ack(io, response),
                    FromClient::Cancel => {}
                    FromClient::Pass => outcome = t.owner.map(Outcome::Pass),
                    FromClient::TimedOut => outcome = t.owner.map(Outcome::TimedOut),
                    FromClient::TransportError => outcome = t.owner.map(Outcome::TransportError),
                }
            }
            if t.machine.is_through()
                && let Some(request) = t.request.take()
            {
                io.bufs.free(request);
            }
            (outcome, actions.contains(&FromClient::Cancel))
        })?;
        let (outcome, cancel) = ran.value;
        if cancel {
            self.send_cancel(cx, io, key);
        }
        if let Some(request) = ran.freed.and_then(|t| t.request) {
            io.bufs.free(request);
        }
        outcome
    }

    /// The CANCEL is a transaction of its own with the branch of the INVITE (RFC 3261 §9.1); the INVITE's transaction
    /// knows it, so that its responses are found.
    #[inline(never)]
    fn send_cancel(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>, invite: Key) {
        let Some(t) = self.clients.get(invite) else { return };
        let (Some(request), flow) = (&t.request, t.flow) else { return };
        let mut out = Writer::new(io.scratch);
        let Ok(msg) = &Msg::parse_sent(io.bufs.bytes(request)) else { return };
        build::cancel(msg, &mut out);
        let Some(bytes) = out.finish() else { return };
        let Ok(buf) = io.bufs.alloc_copy(bytes) else { return };
        let Ok(key) = self.open_client(false, flow, None) else {
            io.bufs.free(buf);
            return;
        };
        let _ = self.clients.run(invite, |t| t.cancel = Some(key)).map(|r| r.value);
        let _ = self.clients.run(key, |t| t.request = Some(buf)).map(|r| r.value);
        self.step_client(cx, io, key, ToClient::Start { first_reply_timeout: None }, None);
    }

    /// Runs the transaction whose deadline is the earliest, if that has passed. `None` if none has.
    pub fn expire(&mut self, cx: &mut Cx<'_>, io: &mut Io<'_, '_>) -> Option<Expired> {
        if let Some(key) = self.clients.expire(cx.now) {
            let outcome = self.step_client(cx, io, key, ToClient::Timeout, None);
            return Some(outcome.map_or(Expired::Nothing, Expired::Outcome));
        }
        let key = self.servers.expire(cx.now)?;
        let context = self.context(key);
        let actions = self.step_server(cx, io, key, ToServer::Timeout, b"");
        Some(match context {
            Some(context) if actions.contains(&FromServer::Trying) => Expired::Trying { server: key, context },
            _ => Expired::Nothing,
        })
    }

    /// When the next transaction wants its timeout.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.servers.next_deadline(), self.clients.next_deadline()].into_iter().flatten().min()
    }

    /// Transactions now: server, client.
    pub const fn len(&self) -> (usize, usize) {
        (self.servers.len(), self.clients.len())
    }

    /// Whether there is no transaction.
    pub const fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.clients.is_empty()
    }

    /// Transactions at most: server, client.
    pub fn capacity(&self) -> (usize, usize) {
        (self.servers.capacity(), self.clients.capacity())
    }

    /// Whether no index names a transaction, as it has to be while there is none.
    #[cfg(all(test, feature = "alloc"))]
    pub(crate) fn indexes_are_empty(&self) -> bool {
        self.index.is_empty() && self.merged.is_empty()
    }

    /// Transactions at the worst moment so far: server, client.
    pub fn high_water(&self) -> (usize, usize) {
        (self.servers.high_water(), self.clients.high_water())
    }
}

impl ClientTransaction {
    #[inline(never)]
    fn send_ack(&self, io: &mut Io<'_, '_>, response: Option<&Msg<'_>>) {
        let (Some(request), Some(response)) = (&self.request, response) else { return };
        let Ok(request) = &Msg::parse_sent(io.bufs.bytes(request)) else { return };
        let mut out = Writer::new(io.scratch);
        build::ack(request, response.value(HeaderName::To).unwrap_or_default(), &mut out);
        if let Some(bytes) = out.finish() {
            (io.send)(&self.flow, bytes);
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
