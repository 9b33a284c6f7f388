//! Pings, and what the dispatcher has to say.

use super::{Action, Node, Out, Report, hex, token};
use crate::dispatcher::layer::EXPIRE_MAX;
use crate::dispatcher::{Dispatcher, DispatcherAction, Health, TargetId};
use crate::machine::Cx;
use crate::routing::Pattern;
use crate::transaction::branch::{self, BranchId, BranchKind};
use crate::wire::sip::build::{self, Ping};
use crate::wire::sip::put::Writer;

/// Most actions that are taken of one call into the dispatcher: two for each probe of an expiry. An operator who changes a
/// whole set at once is not told of more changes than that.
const ACTIONS_MAX: usize = 2 * EXPIRE_MAX;

impl<P: Pattern> Node<'_, P> {
    /// Calls into the dispatcher and does what it wants.
    pub(super) fn run_dispatcher(
        &mut self,
        cx: &mut Cx<'_>,
        out: Out<'_>,
        f: impl FnOnce(&mut Dispatcher<'_>, &mut Cx<'_>, &mut Collected),
    ) {
        let mut actions = Collected::default();
        f(&mut self.dispatcher, cx, &mut actions);
        for &action in &actions.0 {
            match action {
                DispatcherAction::SendPing { target, sequence } => self.send_ping(cx, target, sequence, out),
                DispatcherAction::StateChanged { target: id, to, .. } => {
                    self.down.retain(|(target, _)| *target != id);
                    if to == Health::Down {
                        // Without room for it the calls count until they end by themselves.
                        let _ = self.down.push((id, cx.now + self.config.down_grace));
                    }
                    if let Some(target) = self.dispatcher.get(id) {
                        let target = target.uri().as_bytes();
                        out(Action::Report(Report::TargetChanged { target, change: action }));
                    }
                }
            }
        }
    }

    /// Sends one ping. It is not repeated: the next one comes soon enough, and a lost one is what thresholds are for.
    fn send_ping(&mut self, cx: &mut Cx<'_>, id: TargetId, sequence: u16, out: Out<'_>) {
        let branch_id = BranchId {
            kind: BranchKind::Probe,
            shard: self.identity.shard,
            listener: 0,
            slot: id.to_u32(),
            generation: u32::from(sequence),
            loop_hash: 0,
        };
        let flow = self.dispatcher.get(id).and_then(|t| self.flow_from(t.listener(), t.ping_hop()));
        let egress = flow.and_then(|f| self.config.locals.listener(f.listener).copied());
        let (Some(flow), Some(egress), Some(target)) = (flow, egress, self.dispatcher.get(id)) else {
            return self.run_dispatcher(cx, out, |d, cx, out| d.ping_failed(cx, id, sequence, out));
        };
        self.ping_number = self.ping_number.wrapping_add(1);
        let branch = branch::encode(&branch_id, &self.branch_key, b"");
        let ping = Ping {
            uri: target.uri().as_bytes(),
            from: match target.ping_from() {
                "" => &self.config.ping.from,
                own => own.as_bytes(),
            },
            from_tag: &token(cx.entropy),
            call_id: &hex(cx.entropy.secret_u64()),
            cseq: self.ping_number & 0x7fff_ffff,
            method: &self.config.ping.method,
            transport: egress.transport,
            sent_by: egress.advertised,
            branch: branch.as_bytes(),
            user_agent: &self.config.ping.user_agent,
        };
        let mut writer = Writer::new(self.message.as_mut_slice());
        build::ping(&ping, &mut writer);
        if let Some(bytes) = writer.finish() {
            self.stats.sent += 1;
            out(Action::Send { flow: &flow, bytes });
        }
    }

    pub(super) fn ping_response(&mut self, cx: &mut Cx<'_>, id: &BranchId, status: u16, out: Out<'_>) {
        let (target, sequence) = (TargetId::from_u32(id.slot), id.generation as u16);
        if status >= 200 {
            self.run_dispatcher(cx, out, |d, cx, out| d.ping_reply(cx, target, sequence, status, out));
        }
    }

    pub(super) fn ping_undelivered(&mut self, cx: &mut Cx<'_>, id: &BranchId, out: Out<'_>) {
        let (target, sequence) = (TargetId::from_u32(id.slot), id.generation as u16);
        self.run_dispatcher(cx, out, |d, cx, out| d.ping_failed(cx, target, sequence, out));
    }
}

/// Takes what the dispatcher emits while it is borrowed.
#[derive(Default)]
pub(super) struct Collected(heapless::Vec<DispatcherAction, ACTIONS_MAX>);

impl crate::sink::Sink<DispatcherAction> for Collected {
    fn emit(&mut self, action: DispatcherAction) {
        let _ = self.0.push(action);
    }
}
