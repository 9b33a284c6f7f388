//! What comes of the branches of a request, and what the caller is told (RFC 3261 §16.7).

use super::branches::NotStarted;
use super::initial::{Request, as_str, phrase};
use super::reply::{Answer, subject};
use super::{Action, Node, Out, Report, io};
use crate::dialog::DialogEvent;
use crate::dispatcher::{TargetId, TrafficFailure};
use crate::machine::{Cx, Machine, Timed};
use crate::proxy::StatusSet;
use crate::proxy::challenge;
use crate::proxy::context::Plan;
use crate::proxy::fork::{self, BRANCHES_MAX, Failure};
use crate::routing::Pattern;
use crate::store::Key;
use crate::transaction::layer::{Expired, Outcome, Owner};
use crate::wire::sip::cseq::CSeq;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::overload::OverloadReport;
use crate::wire::sip::put::{Put, Text, Writer};
use crate::wire::sip::via::Via;

/// A response, and our Via in it.
type Received<'r, 'b> = (&'r Msg<'b>, &'r Via<'b>);

impl<P: Pattern> Node<'_, P> {
    pub(super) fn transaction_expired(&mut self, cx: &mut Cx<'_>, expired: Expired, out: Out<'_>) {
        match expired {
            Expired::Outcome(outcome) => {
                self.client_outcome(cx, outcome, None, out);
            }
            Expired::Trying { server, context } => {
                let Some(back) = self.transactions.server_flow(server) else { return };
                let mut replay = core::mem::take(&mut self.replay);
                self.with_kept_request(context, replay.as_mut_slice(), |node, msg, source| {
                    node.send_trying(msg, source, &back, out);
                });
                self.replay = replay;
            }
            Expired::Nothing => {}
        }
    }

    /// Hands the outcome of a client transaction to its response context; `false` if that is gone.
    pub(super) fn client_outcome(
        &mut self,
        cx: &mut Cx<'_>,
        outcome: Outcome,
        received: Option<Received<'_, '_>>,
        out: Out<'_>,
    ) -> bool {
        let (Outcome::Pass(owner) | Outcome::TimedOut(owner) | Outcome::TransportError(owner)) = outcome;
        let Some(context) = self.contexts.get(owner.context) else { return false };
        let branch = context.branches.get(usize::from(owner.branch)).copied().unwrap_or_default();
        let target = match &context.plan {
            Plan::Dispatch(targets) => targets.get(usize::from(owner.branch)).copied(),
            Plan::Relay(_) => None,
        };
        let advance = if target.is_some() { self.config.failover.clone() } else { StatusSet::default() };
        let event = match (outcome, received) {
            (Outcome::Pass(_), Some((msg, via))) => {
                if let (Some(id), Some(report)) = (target, OverloadReport::read(via)) {
                    self.dispatcher.report_overload(cx.now, id, &report);
                }
                let status = msg.status().unwrap_or_default();
                self.heard(cx, owner, target, status, &advance, msg, out);
                fork::Event::Response { branch: owner.branch, status, advance: &advance }
            }
            (Outcome::TransportError(_), _) if branch.upgraded => {
                // RFC 3261 §18.1.1: where TCP is refused the request goes over UDP after all.
                self.forget_upgrade(owner);
                if self.start_branch_again(cx, owner.context, owner.branch, true, out).is_ok() {
                    return true;
                }
                fork::Event::Failed { branch: owner.branch, why: Failure::Transport, advance: &advance }
            }
            (Outcome::TransportError(_), _) => {
                self.target_failed(cx, owner, target, TrafficFailure::Transport, 503, out);
                fork::Event::Failed { branch: owner.branch, why: Failure::Transport, advance: &advance }
            }
            _ => {
                // One that rang too long is no dead target.
                if !branch.heard {
                    self.target_failed(cx, owner, target, TrafficFailure::Timeout, 408, out);
                }
                fork::Event::Failed { branch: owner.branch, why: Failure::TimedOut, advance: &advance }
            }
        };
        self.run_fork(cx, owner.context, event, None, received, out);
        true
    }

    fn forget_upgrade(&mut self, owner: Owner) {
        let _ = self
            .contexts
            .run(owner.context, |c| {
                if let Some(b) = c.branches.get_mut(usize::from(owner.branch)) {
                    b.upgraded = false;
                }
            })
            .map(|ran| ran.value);
    }

    /// A target answered: what that says about its health.
    fn heard(
        &mut self,
        cx: &mut Cx<'_>,
        owner: Owner,
        target: Option<TargetId>,
        status: u16,
        advance: &StatusSet,
        msg: &Msg<'_>,
        out: Out<'_>,
    ) {
        let _ = self
            .contexts
            .run(owner.context, |c| {
                if let Some(b) = c.branches.get_mut(usize::from(owner.branch)) {
                    b.heard = true;
                }
            })
            .map(|ran| ran.value);
        let Some(id) = target.filter(|_| status >= 200) else { return };
        if advance.contains(status) {
            let text = self.dispatcher.get(id).map(|t| t.uri().as_bytes());
            if let Some(target) = text {
                out(Action::Report(Report::TargetFailed { subject: subject(msg), target, status }));
            }
            self.run_dispatcher(cx, out, |d, cx, out| d.report_failure(cx, id, TrafficFailure::Reply, out));
        } else {
            self.run_dispatcher(cx, out, |d, cx, out| d.report_success(cx, id, out));
        }
    }

    #[inline(never)]
    fn target_failed(
        &mut self,
        cx: &mut Cx<'_>,
        owner: Owner,
        target: Option<TargetId>,
        failure: TrafficFailure,
        status: u16,
        out: Out<'_>,
    ) {
        let Some(id) = target else { return };
        let mut replay = core::mem::take(&mut self.replay);
        self.with_kept_request(owner.context, replay.as_mut_slice(), |node, msg, _| {
            if let Some(target) = node.dispatcher.get(id) {
                let target = target.uri().as_bytes();
                out(Action::Report(Report::TargetFailed { subject: subject(msg), target, status }));
            }
        });
        self.replay = replay;
        self.run_dispatcher(cx, out, |d, cx, out| d.report_failure(cx, id, failure, out));
    }

    /// Runs a response context and does what it wants. A branch that cannot be started is told to it as failed, until
    /// it has tried all it has.
    pub(super) fn run_fork(
        &mut self,
        cx: &mut Cx<'_>,
        key: Key,
        event: fork::Event<'_>,
        request: Option<&Request<'_, '_>>,
        received: Option<Received<'_, '_>>,
        out: Out<'_>,
    ) {
        let mut failed = self.fork_step(cx, key, event, request, received, out);
        while let Some(branch) = failed.pop() {
            let dispatched = self.contexts.get(key).is_some_and(|c| matches!(c.plan, Plan::Dispatch(_)));
            let advance = if dispatched { self.config.failover.clone() } else { StatusSet::default() };
            let event = fork::Event::Failed { branch, why: Failure::Transport, advance: &advance };
            // Each failure was a start, and there are no more starts than branches.
            for branch in self.fork_step(cx, key, event, request, None, out) {
                let _ = failed.push(branch);
            }
        }
        self.close_context(key);
    }

    fn fork_step(
        &mut self,
        cx: &mut Cx<'_>,
        key: Key,
        event: fork::Event<'_>,
        request: Option<&Request<'_, '_>>,
        received: Option<Received<'_, '_>>,
        out: Out<'_>,
    ) -> heapless::Vec<u8, BRANCHES_MAX> {
        let mut failed = heapless::Vec::new();
        let ran = self.contexts.run(key, |c| {
            let mut actions: heapless::Vec<fork::Action, { fork::Fork::ACTIONS_MAX }> = heapless::Vec::new();
            c.fork.handle(cx, event, &mut |a| {
                // ACTIONS_MAX is the capacity.
                let _ = actions.push(a);
            });
            actions
        });
        let Some(ran) = ran else { return failed };
        for action in ran.value {
            match action {
                fork::Action::Start { branch } => {
                    self.stats.failovers += u64::from(request.is_none());
                    let started = match request {
                        Some(request) => self.start_branch(cx, key, branch, request, false, out),
                        None => self.start_branch_again(cx, key, branch, false, out),
                    };
                    if let Err(why) = started {
                        let full = matches!(why, NotStarted::Full);
                        let _ = self.contexts.run(key, |c| c.unstarted |= full).map(|ran| ran.value);
                        let _ = failed.push(branch);
                    }
                }
                fork::Action::Forward => self.forward_up(cx, key, &event, received, out),
                fork::Action::Keep => self.keep(key, &event, received),
                fork::Action::Cancel { branch } => {
                    let client = self.contexts.get(key).and_then(|c| c.branches.get(usize::from(branch))?.client);
                    if let Some(client) = client {
                        self.transactions.cancel(cx, &mut io!(self, out), client);
                    }
                }
                fork::Action::RespondKept { branch } => self.respond_kept(cx, key, branch, out),
                fork::Action::RespondLocal { status, exhausted } => {
                    self.respond_local(cx, key, status, exhausted, out);
                }
            }
        }
        failed
    }

    /// Sends the response just received to the caller.
    fn forward_up(
        &mut self,
        cx: &mut Cx<'_>,
        key: Key,
        event: &fork::Event<'_>,
        received: Option<Received<'_, '_>>,
        out: Out<'_>,
    ) {
        let (Some((msg, via)), Some(context)) = (received, self.contexts.get(key)) else { return };
        let (server, dialog, initial, invite) = (context.server, context.dialog, context.initial, context.invite);
        let status = msg.status().unwrap_or_default();
        match dialog {
            Some(dialog) if initial && status < 200 => {
                let to_tag = msg
                    .value(HeaderName::To)
                    .and_then(|v| crate::wire::sip::name_addr::NameAddr::parse(v).ok())
                    .is_some_and(|to| to.tag().is_some());
                // A provisional response ends no dialog.
                let _ = self.dialogs.event(cx, dialog, DialogEvent::Provisional { to_tag });
            }
            Some(dialog) if initial && invite => {
                self.note_winner(cx, key, event, dialog);
                self.note_answered(cx, dialog, msg);
            }
            _ => self.note_final(cx, msg),
        }
        if let Some(len) = self.write_response(msg, via) {
            let bytes = &self.message.as_mut_slice()[..len];
            self.transactions.respond(cx, &mut io!(self, out), server, status, bytes);
        }
    }

    /// The call is carried by the target that answered it: with parallel branches, or when a target that was given up
    /// answers late, that need not be the one tried last.
    fn note_winner(&mut self, cx: &mut Cx<'_>, key: Key, event: &fork::Event<'_>, dialog: Key) {
        let fork::Event::Response { branch, .. } = event else { return };
        let Some(Plan::Dispatch(targets)) = self.contexts.get(key).map(|c| &c.plan) else { return };
        let Some(id) = targets.get(usize::from(*branch)).copied() else { return };
        let open = self.dialogs.get(dialog).filter(|d| d.state().answered_at().is_none());
        if open.is_some_and(|d| d.target() != Some(id)) {
            self.assign(cx, dialog, id);
        }
    }

    fn note_final(&mut self, cx: &mut Cx<'_>, msg: &Msg<'_>) {
        if let Some(cseq) = msg.value(HeaderName::CSeq).and_then(|v| CSeq::parse(v).ok()) {
            self.note_response(cx, msg, &cseq);
        }
    }

    /// Keeps the response just received, as it would be forwarded.
    fn keep(&mut self, key: Key, event: &fork::Event<'_>, received: Option<Received<'_, '_>>) {
        let (Some((msg, via)), fork::Event::Response { branch, status, .. }) = (received, event) else { return };
        let Some(len) = self.write_response(msg, via) else { return };
        // Without room for it the caller gets an answer made here.
        let Ok(buf) = self.messages.alloc_copy(&self.message.as_mut_slice()[..len]) else { return };
        let unkept = self.contexts.run(key, |c| c.kept.push((*branch, *status, buf)).err()).and_then(|ran| ran.value);
        if let Some((_, _, buf)) = unkept {
            self.messages.free(buf);
        }
    }

    #[inline(never)]
    fn respond_kept(&mut self, cx: &mut Cx<'_>, key: Key, branch: u8, out: Out<'_>) {
        let Some(context) = self.contexts.get(key) else { return };
        let server = context.server;
        let mut writer = Writer::new(self.message.as_mut_slice());
        let status = challenge::write_kept(&context.kept, branch, &self.messages, &mut writer);
        let copied = status.zip(writer.finish().map(<[u8]>::len));
        let relayed = matches!(context.plan, Plan::Relay(_));
        match copied {
            // RFC 3261 §16.7 step 6: a 503 speaks for one server, not for the way behind us.
            Some((503, _)) if relayed => self.respond_local(cx, key, 500, false, out),
            Some((status, len)) => {
                self.final_failure(cx, key, status);
                let bytes = &self.message.as_mut_slice()[..len];
                self.transactions.respond(cx, &mut io!(self, out), server, status, bytes);
            }
            None => self.respond_local(cx, key, 500, false, out),
        }
    }

    /// Answers the caller from here.
    #[inline(never)]
    fn respond_local(&mut self, cx: &mut Cx<'_>, key: Key, status: u16, exhausted: bool, out: Out<'_>) {
        let Some(context) = self.contexts.get(key) else { return };
        let server = context.server;
        let dispatched = matches!(context.plan, Plan::Dispatch(_));
        let all_failed = phrase(&self.config.all_failed_reason);
        let after = Text::<10>::with(|t| t.put_number(u64::from(self.config.retry_after_s)));
        let later = [(HeaderName::RetryAfter, after.as_bytes())];
        let answer = match (dispatched && exhausted, status) {
            // No target is to blame: it was not asked.
            (exhausted, status) if context.unstarted && (exhausted || status == 503) => {
                self.stats.full += 1;
                Answer { status: 503, reason: "", headers: &later }
            }
            (true, _) => {
                self.stats.exhausted += 1;
                Answer { status: 503, reason: as_str(&all_failed), headers: &[] }
            }
            (false, 503) => {
                Answer { status: 503, reason: "Service Unavailable — Next Hop Not Reached", headers: &[] }
            }
            (false, status) => Answer::new(status),
        };
        self.final_failure(cx, key, answer.status);
        let mut replay = core::mem::take(&mut self.replay);
        self.with_kept_request(key, replay.as_mut_slice(), |node, msg, source| {
            node.respond(cx, server, msg, source, &answer, out);
        });
        self.replay = replay;
    }

    /// The INVITE of a dialog came to nothing.
    fn final_failure(&mut self, cx: &mut Cx<'_>, key: Key, status: u16) {
        if let Some(dialog) = self.contexts.get(key).filter(|c| c.initial).and_then(|c| c.dialog) {
            self.close_dialog(cx, dialog, status);
        }
    }

    /// Frees a response context that has nothing left to do.
    fn close_context(&mut self, key: Key) {
        let Some(ran) = self.contexts.run(key, |c| c.closed = c.fork.is_done()) else { return };
        let Some(context) = ran.freed else { return };
        self.transactions.set_context(context.server, None);
        if let Some(request) = context.request {
            self.messages.free(request);
        }
        for (_, _, kept) in context.kept {
            self.messages.free(kept);
        }
    }
}
