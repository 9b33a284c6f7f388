//! A node whose media is anchored.

use super::reply::Answer;
use super::{Action, Event, Node, Out, Report, io};
use crate::anchor::action::Action as AnchorAction;
use crate::anchor::{Anchor, Detour, Resumed};
use crate::machine::Cx;
use crate::proxy::StatusSet;
use crate::proxy::fork::{self, Failure};
use crate::routing::Pattern;
use crate::store::Key;
use crate::time::Instant;
use crate::transaction::branch::{self, BranchKind};
use crate::transaction::layer::Outcome;
use crate::wire::sip::msg::Msg;

/// A node behind an anchor: messages with SDP make a detour by a media relay on their way in or out.
pub struct Anchored<'a, P: 'static> {
    /// The node.
    pub node: Node<'a, P>,
    /// The anchor. Without relays it costs nothing.
    pub anchor: Anchor<'a>,
}

impl<P: Pattern> Anchored<'_, P> {
    /// Takes one event.
    pub fn handle(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: Out<'_>) {
        if self.anchor.is_off() {
            return self.node.handle(cx, event, out);
        }
        match event {
            Event::Received { flow, bytes } => {
                if self.anchor.inbound(cx.now, &flow, bytes, &mut told(out)) == Detour::Pass {
                    self.run(cx, event, out);
                }
            }
            Event::Relay { from, bytes } => {
                let resumed = self.anchor.reply(from, bytes, &mut told(out));
                self.resume(cx, resumed, out);
            }
            Event::Undelivered { to, .. } if self.anchor.is_relay(to) => loop {
                let resumed = self.anchor.unreachable(cx.now, to, &mut told(out));
                if resumed.is_none() {
                    break;
                }
                self.resume(cx, resumed, out);
            },
            Event::Timeout => {
                if self.anchor.next_deadline().is_some_and(|at| at <= cx.now) {
                    let resumed = self.anchor.expire(cx.now, &mut told(out));
                    self.resume(cx, resumed, out);
                }
                if self.node.next_deadline().is_some_and(|at| at <= cx.now) {
                    self.run(cx, Event::Timeout, out);
                }
            }
            Event::Undelivered { .. } | Event::Disconnected { .. } => self.run(cx, event, out),
        }
    }

    /// When [`Event::Timeout`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.node.next_deadline(), self.anchor.next_deadline()].into_iter().flatten().min()
    }

    /// Hands an event to the node, and what it sends to the anchor first.
    fn run(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: Out<'_>) {
        let Self { node, anchor } = self;
        let now = cx.now;
        node.handle(cx, event, &mut |action| match action {
            Action::Send { flow, bytes } if anchor.outbound(now, flow, bytes, &mut told(out)) == Detour::Held => {}
            action => out(action),
        });
        self.give_back(cx, out);
    }

    /// Tells the node of the INVITEs that were not let out.
    fn give_back(&mut self, cx: &mut Cx<'_>, out: Out<'_>) {
        for branch in self.anchor.take_refused() {
            self.unsent(cx, &branch, out);
        }
    }

    fn unsent(&mut self, cx: &mut Cx<'_>, branch: &[u8], out: Out<'_>) {
        let Self { node, anchor } = self;
        let now = cx.now;
        node.unmediated(cx, branch, &mut |action| {
            if let Action::Send { flow, bytes } = action {
                // A final response, which ends the session.
                anchor.outbound(now, flow, bytes, &mut told(out));
            }
            out(action);
        });
    }

    fn resume(&mut self, cx: &mut Cx<'_>, resumed: Option<Resumed>, out: Out<'_>) {
        let Self { node, anchor } = self;
        match resumed {
            None => {}
            Some(Resumed::Send(flow)) => out(Action::Send { flow: &flow, bytes: anchor.message() }),
            Some(Resumed::Receive(flow)) => node.handle(cx, Event::Received { flow, bytes: anchor.message() }, out),
            Some(Resumed::Refuse(flow)) => {
                if let Ok(msg) = &Msg::parse(anchor.message()) {
                    let answer = Answer { status: 503, reason: "Service Unavailable — No Media Relay", headers: &[] };
                    node.answer(msg, &flow, &answer, out);
                }
            }
            Some(Resumed::Unsent) => {
                let parsed = Msg::parse(anchor.message());
                let via =
                    parsed.as_ref().ok().and_then(|msg| msg.value(crate::wire::sip::header_name::HeaderName::Via));
                let branch = via.and_then(|v| crate::wire::sip::via::Via::parse(v).ok()?.branch);
                let branch: heapless::Vec<u8, 96> =
                    branch.and_then(|b| heapless::Vec::from_slice(b).ok()).unwrap_or_default();
                self.unsent(cx, &branch, out);
            }
        }
    }
}

impl<P: Pattern> Node<'_, P> {
    /// The INVITE with that branch of ours was not sent, since no media relay takes it: its call fails, and no target is
    /// to blame.
    fn unmediated(&mut self, cx: &mut Cx<'_>, branch: &[u8], out: Out<'_>) {
        let Some((id, tag)) = branch::decode(branch) else { return };
        if id.kind != BranchKind::Transaction || !branch::verify(&id, tag, &self.branch_key, b"") {
            return;
        }
        let Some(key) = Key::new(id.slot, id.generation) else { return };
        let outcome = self.transactions.undelivered(cx, &mut io!(self, out), key);
        let Some(Outcome::Pass(owner) | Outcome::TimedOut(owner) | Outcome::TransportError(owner)) = outcome else {
            return;
        };
        let advance = StatusSet::default();
        let event = fork::Event::Failed { branch: owner.branch, why: Failure::Media, advance: &advance };
        self.run_fork(cx, owner.context, event, None, None, out);
    }
}

/// What the anchor wants, as actions of the whole.
fn told(out: Out<'_>) -> impl FnMut(AnchorAction<'_>) {
    move |action| {
        out(match action {
            AnchorAction::Command { relay, bytes } => Action::Relay { to: relay, bytes },
            AnchorAction::RelayChanged { relay, alive } => Action::Report(Report::RelayChanged { relay, alive }),
            AnchorAction::Failed { call_id, why } => Action::Report(Report::MediaFailed { call_id, why }),
        });
    }
}

impl<P: Pattern> super::pump::Engine for Anchored<'_, P> {
    fn handle(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut dyn FnMut(Action<'_>)) {
        Self::handle(self, cx, event, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Self::next_deadline(self)
    }
}
