//! Sending a request on as a branch of its response context (RFC 3261 §16.6).

use super::initial::Request;
use super::reply::subject;
use super::{Action, Node, Out, Report, io};
use crate::dispatcher::{Hop, TargetId};
use crate::flow::{Flow, ListenerId};
use crate::machine::Cx;
use crate::proxy::Listener;
use crate::proxy::context::Plan;
use crate::proxy::forward::{self, Forwarding, LATE_SENT_BY, LATE_TRANSPORT, Strip};
use crate::proxy::routes::RouteSet;
use crate::proxy::validate::validate;
use crate::routing::Pattern;
use crate::store::Key;
use crate::transaction::branch::{self, BranchId, BranchKind};
use crate::transaction::layer::Owner;
use crate::wire::sip::edit::Draft;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::{Put, Text, Writer};
use crate::wire::sip::transport::Transport;

/// The branch could not be started: it counts as failed.
#[derive(Clone, Copy)]
pub(super) enum NotStarted {
    /// A table is full.
    Full,
    /// The request cannot be written, or there is no way to the target.
    Unable,
}

impl<P: Pattern> Node<'_, P> {
    /// Starts a branch of a request that is kept: a failover, or another transport.
    pub(super) fn start_branch_again(
        &mut self,
        cx: &mut Cx<'_>,
        context: Key,
        number: u8,
        plain: bool,
        out: Out<'_>,
    ) -> Result<(), NotStarted> {
        let mut replay = core::mem::take(&mut self.replay);
        let result = self.with_kept_request(context, replay.as_mut_slice(), |node, msg, source| {
            let valid = validate(msg).map_err(|_| NotStarted::Unable)?;
            let routes = RouteSet::read(msg, &valid.uri, &node.config.locals).map_err(|_| NotStarted::Unable)?;
            let loop_hash = node.loop_hash(msg, &valid, source);
            let request =
                Request { msg, valid: &valid, routes: &routes, flow: source, hash: 0, merge_hash: None, loop_hash };
            node.start_branch(cx, context, number, &request, plain, out)
        });
        self.replay = replay;
        result.unwrap_or(Err(NotStarted::Unable))
    }

    /// Runs `f` with the request that a context keeps, read from `replay`, and where it came from.
    pub(super) fn with_kept_request<R>(
        &mut self,
        context: Key,
        replay: &mut [u8],
        f: impl FnOnce(&mut Self, &Msg<'_>, &Flow) -> R,
    ) -> Option<R> {
        let context = self.contexts.get(context)?;
        let source = context.source;
        let kept = self.messages.bytes(context.request.as_ref()?);
        let copy = replay.get_mut(..kept.len())?;
        copy.copy_from_slice(kept);
        let msg = &Msg::parse(copy);
        Some(f(self, msg.as_ref().ok()?, &source))
    }

    /// Sends the request to the target of that number. `plain` keeps it from going over TCP for its size.
    pub(super) fn start_branch(
        &mut self,
        cx: &mut Cx<'_>,
        context: Key,
        number: u8,
        r: &Request<'_, '_>,
        plain: bool,
        out: Out<'_>,
    ) -> Result<(), NotStarted> {
        let found = self.contexts.get(context).ok_or(NotStarted::Unable)?;
        let (invite, dialog) = (found.invite, found.dialog.filter(|_| found.initial));
        let (flow, target) = match &found.plan {
            Plan::Relay(flow) => (*flow, None),
            Plan::Dispatch(targets) => {
                let id = *targets.get(usize::from(number)).ok_or(NotStarted::Unable)?;
                (self.target_flow(id).ok_or(NotStarted::Unable)?, Some(id))
            }
        };
        if let (Some(id), Some(dialog)) = (target, dialog) {
            self.assign(cx, dialog, id);
        }
        let owner = Owner { context, branch: number };
        let mut attempt = Attempt { flow, upgraded: false };
        let client = self.transactions.open_client(invite, flow, Some(owner)).map_err(|_| NotStarted::Full)?;
        let written = self.write_forward(r, target, client, &mut attempt, plain);
        let Some(len) = written else {
            self.transactions.abandon_client(client);
            self.stats.too_large += 1;
            return Err(NotStarted::Unable);
        };
        if attempt.upgraded {
            self.transactions.reroute_client(client, attempt.flow);
        }
        let _ = self
            .contexts
            .run(context, |c| {
                if let Some(b) = c.branches.get_mut(usize::from(number)) {
                    b.client = Some(client);
                    b.upgraded = attempt.upgraded;
                }
            })
            .map(|ran| ran.value);
        let first_reply = self.config.first_reply.filter(|_| target.is_some());
        let bytes = &self.message.as_mut_slice()[..len];
        let sent = self.transactions.start_client(cx, &mut io!(self, out), client, bytes, first_reply);
        sent.map_err(|_| NotStarted::Full)?;
        self.stats.forwarded += 1;
        if let Some(target) = target.and_then(|id| self.dispatcher.get(id)) {
            out(Action::Report(Report::Routed {
                subject: subject(r.msg),
                target: target.uri().as_bytes(),
                failover: number > 0,
            }));
        }
        Ok(())
    }

    /// The path to a target.
    pub(super) fn target_flow(&self, id: TargetId) -> Option<Flow> {
        let target = self.dispatcher.get(id)?;
        self.flow_from(target.listener(), Hop { transport: target.transport(), address: target.address() })
    }

    /// The path to a next hop, from the listener that is asked for if it can reach it.
    pub(super) fn flow_from(&self, listener: Option<ListenerId>, hop: Hop) -> Option<Flow> {
        let Hop { transport, address: peer } = hop;
        let locals = &self.config.locals;
        let reaches = |l: &Listener| l.transport == transport && l.bound.is_ipv4() == peer.is_ipv4();
        let asked = listener.filter(|id| locals.listener(*id).is_some_and(reaches));
        let listener = asked.or_else(|| locals.towards(transport, peer))?;
        Some(Flow { listener, transport, peer, connection: None })
    }

    /// Counts the call of a dialog on a target, and no longer on the one before.
    pub(super) fn assign(&mut self, cx: &mut Cx<'_>, dialog: Key, id: TargetId) {
        if self.dialogs.get(dialog).is_none() {
            return;
        }
        let counted = self.dispatcher.call_started(cx.now, id).then_some(id);
        if let Some(before) = self.dialogs.set_target(dialog, counted) {
            self.dispatcher.call_ended(before);
        }
    }

    /// Writes the request as it is forwarded into `self.message`; gives its length. RFC 3261 §18.1.1: what is too large
    /// for a datagram goes over TCP, this request only; the recorded route stays as it is.
    #[inline(never)]
    fn write_forward(
        &mut self,
        r: &Request<'_, '_>,
        target: Option<TargetId>,
        client: Key,
        attempt: &mut Attempt,
        plain: bool,
    ) -> Option<usize> {
        let id = BranchId {
            kind: BranchKind::Transaction,
            shard: self.identity.shard,
            listener: r.flow.listener.0,
            slot: client.slot(),
            generation: client.generation(),
            loop_hash: r.loop_hash,
        };
        let branch = branch::encode(&id, &self.branch_key, b"");
        let locals = &self.config.locals;
        let ingress = locals.listener(r.flow.listener)?;
        let egress = locals.listener(attempt.flow.listener)?;
        let attrs = target.and_then(|id| self.dispatcher.get(id)).map(|t| *t.attrs()).unwrap_or_default();
        let how = Forwarding {
            source: r.flow.peer,
            ingress,
            egress,
            branch: branch.as_bytes(),
            overload_control: attrs.overload_control,
            record_route: self.config.record_route.filter(|_| records_route(r.valid.method)),
            strip: Strip { reliable_provisional: attrs.strip_100rel, session_timer: attrs.strip_timer },
            max_forwards: self.config.max_forwards,
        };
        let mut draft = Draft::new(r.msg);
        forward::request(&mut draft, r.valid, r.routes, &how).ok()?;
        let mut sent_by = Text::<64>::with(|t| t.put_host_port(egress.advertised));
        let mut transport = egress.transport;
        let size = |transport: Transport, sent_by: &Text<64>| draft.size(&late(transport, sent_by));
        if !plain
            && transport == Transport::Udp
            && size(transport, &sent_by) > self.config.udp_max
            && let Some(tcp) = locals.towards(Transport::Tcp, attempt.flow.peer)
            && let Some(listener) = locals.listener(tcp)
        {
            transport = Transport::Tcp;
            sent_by = Text::with(|t| t.put_host_port(listener.advertised));
            attempt.flow.listener = tcp;
            attempt.flow.transport = Transport::Tcp;
            attempt.upgraded = true;
        }
        let mut writer = Writer::new(self.message.as_mut_slice());
        draft.serialise(&late(transport, &sent_by), &mut writer);
        writer.finish().map(<[u8]>::len)
    }
}

/// Where a branch really goes.
struct Attempt {
    flow: Flow,
    upgraded: bool,
}

/// The late values of a forwarded request.
pub(super) fn late(transport: Transport, sent_by: &Text<64>) -> [&[u8]; 2] {
    let mut late: [&[u8]; 2] = [b""; 2];
    late[usize::from(LATE_TRANSPORT)] = transport.as_str().as_bytes();
    late[usize::from(LATE_SENT_BY)] = sent_by.as_bytes();
    late
}

/// Requests that make a dialog take our Record-Route with them.
pub(super) fn records_route(method: Method<'_>) -> bool {
    matches!(method, Method::Invite | Method::Subscribe | Method::Refer)
}
