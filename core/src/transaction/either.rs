//! The machines for INVITE and those for all other requests, behind one face each for servers and clients.

use core::time::Duration;

use super::client::{Client, ClientAction, ClientEvent};
use super::client_invite::{ClientInvite, ClientInviteAction, ClientInviteEvent, ClientInviteState};
use super::server::{Server, ServerAction, ServerEvent, ServerState};
use super::server_invite::{ServerInvite, ServerInviteAction, ServerInviteEvent, ServerInviteState};
use super::timers::{Step, Timers};
use crate::machine::{Cx, Machine, Timed};
use crate::time::Instant;

#[derive(Debug)]
pub(super) enum ServerMachine {
    Invite(ServerInvite),
    Other(Server),
}

#[derive(Debug)]
pub(super) enum ClientMachine {
    Invite(ClientInvite),
    Other(Client),
}

impl Timed for ServerMachine {
    fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(m) => m.next_deadline(),
            Self::Other(m) => m.next_deadline(),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Invite(m) => m.is_done(),
            Self::Other(m) => m.is_done(),
        }
    }
}

impl Timed for ClientMachine {
    fn next_deadline(&self) -> Option<Instant> {
        match self {
            Self::Invite(m) => m.next_deadline(),
            Self::Other(m) => m.next_deadline(),
        }
    }

    fn is_done(&self) -> bool {
        match self {
            Self::Invite(m) => m.is_done(),
            Self::Other(m) => m.is_done(),
        }
    }
}

/// What happens to a server transaction, INVITE or not.
#[derive(Clone, Copy)]
pub(super) enum ToServer {
    Start,
    Again,
    Ack,
    Respond(u16),
    Failed,
    Timeout,
}

/// What a server transaction wants done, INVITE or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FromServer {
    Trying,
    Respond,
    Resend,
    PassAck,
}

/// What a client transaction wants done, INVITE or not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FromClient {
    Send,
    Ack,
    Cancel,
    Pass,
    TimedOut,
    TransportError,
}

pub(super) const ACTIONS: usize = 4;

impl ServerMachine {
    pub(super) fn step(
        &mut self,
        cx: &mut Cx<'_>,
        timers: &Timers,
        event: ToServer,
    ) -> heapless::Vec<FromServer, ACTIONS> {
        let mut out = heapless::Vec::new();
        // Their ACTIONS_MAX is below the capacity.
        let mut push = |a| {
            let _ = out.push(a);
        };
        match self {
            Self::Invite(m) => {
                let event = match event {
                    ToServer::Start => ServerInviteEvent::Start,
                    ToServer::Again => ServerInviteEvent::RequestRetransmitted,
                    ToServer::Ack => ServerInviteEvent::Ack,
                    ToServer::Respond(status) => ServerInviteEvent::Respond { status },
                    ToServer::Failed => ServerInviteEvent::TransportFailed,
                    ToServer::Timeout => ServerInviteEvent::Timeout,
                };
                m.handle(cx, Step { timers, event }, &mut |a: ServerInviteAction| match a {
                    ServerInviteAction::SendTrying => push(FromServer::Trying),
                    ServerInviteAction::SendResponse => push(FromServer::Respond),
                    ServerInviteAction::Resend => push(FromServer::Resend),
                    ServerInviteAction::PassAck => push(FromServer::PassAck),
                    ServerInviteAction::TimedOut
                    | ServerInviteAction::TransportError
                    | ServerInviteAction::Terminated => {}
                });
            }
            Self::Other(m) => {
                let event = match event {
                    ToServer::Start => ServerEvent::Start,
                    ToServer::Again => ServerEvent::RequestRetransmitted,
                    ToServer::Respond(status) => ServerEvent::Respond { status },
                    ToServer::Failed => ServerEvent::TransportFailed,
                    ToServer::Timeout => ServerEvent::Timeout,
                    ToServer::Ack => return out,
                };
                m.handle(cx, Step { timers, event }, &mut |a: ServerAction| match a {
                    ServerAction::SendTrying => push(FromServer::Trying),
                    ServerAction::SendResponse => push(FromServer::Respond),
                    ServerAction::Resend => push(FromServer::Resend),
                    _ => {}
                });
            }
        }
        out
    }

    /// Whether only provisional responses were sent so far.
    pub(super) fn is_proceeding(&self) -> bool {
        match self {
            Self::Invite(m) => m.state() == ServerInviteState::Proceeding,
            Self::Other(m) => m.state() == ServerState::Proceeding,
        }
    }

    pub(super) fn is_accepted(&self) -> bool {
        matches!(self, Self::Invite(m) if m.state() == ServerInviteState::Accepted)
    }
}

impl ClientMachine {
    pub(super) fn step(
        &mut self,
        cx: &mut Cx<'_>,
        timers: &Timers,
        event: ToClient,
    ) -> heapless::Vec<FromClient, ACTIONS> {
        let mut out = heapless::Vec::new();
        let mut push = |a| {
            let _ = out.push(a);
        };
        match self {
            Self::Invite(m) => {
                let event = match event {
                    ToClient::Start { first_reply_timeout } => ClientInviteEvent::Start { first_reply_timeout },
                    ToClient::Response(status) => ClientInviteEvent::Response { status },
                    ToClient::Cancel => ClientInviteEvent::Cancel,
                    ToClient::Failed => ClientInviteEvent::TransportFailed,
                    ToClient::Timeout => ClientInviteEvent::Timeout,
                };
                m.handle(cx, Step { timers, event }, &mut |a: ClientInviteAction| match a {
                    ClientInviteAction::SendRequest => push(FromClient::Send),
                    ClientInviteAction::SendAck => push(FromClient::Ack),
                    ClientInviteAction::SendCancel => push(FromClient::Cancel),
                    ClientInviteAction::PassResponse => push(FromClient::Pass),
                    ClientInviteAction::TimedOut => push(FromClient::TimedOut),
                    ClientInviteAction::TransportError => push(FromClient::TransportError),
                    ClientInviteAction::Terminated => {}
                });
            }
            Self::Other(m) => {
                let event = match event {
                    ToClient::Start { .. } => ClientEvent::Start,
                    ToClient::Response(status) => ClientEvent::Response { status },
                    ToClient::Failed => ClientEvent::TransportFailed,
                    ToClient::Timeout => ClientEvent::Timeout,
                    ToClient::Cancel => return out,
                };
                m.handle(cx, Step { timers, event }, &mut |a: ClientAction| match a {
                    ClientAction::SendRequest => push(FromClient::Send),
                    ClientAction::PassResponse => push(FromClient::Pass),
                    ClientAction::TimedOut => push(FromClient::TimedOut),
                    ClientAction::TransportError => push(FromClient::TransportError),
                    ClientAction::Terminated => {}
                });
            }
        }
        out
    }

    /// Whether the request is sent no more, so that its bytes can go.
    pub(super) fn is_through(&self) -> bool {
        match self {
            Self::Invite(m) => m.state() == ClientInviteState::Accepted,
            Self::Other(m) => m.state() == super::client::ClientState::Completed,
        }
    }
}

/// What happens to a client transaction, INVITE or not.
#[derive(Clone, Copy)]
pub(super) enum ToClient {
    Start { first_reply_timeout: Option<Duration> },
    Response(u16),
    Cancel,
    Failed,
    Timeout,
}
