//! A request within a dialog: it goes where its route set says (RFC 3261 §16.4, §16.12).

use super::action::Drop;
use super::branches::{late, records_route};
use super::initial::Request;
use super::reply::Answer;
use super::{Action, Node, Out, Report};
use crate::dialog::DialogEvent;
use crate::flow::Flow;
use crate::machine::Cx;
use crate::proxy::context::Plan;
use crate::proxy::fork::Order;
use crate::proxy::forward::{self, Forwarding, Strip};
use crate::proxy::routes::RouteSet;
use crate::proxy::validate::Valid;
use crate::routing::Pattern;
use crate::transaction::branch;
use crate::wire::sip::edit::Draft;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::{Put, Text, Writer};

impl<P: Pattern> Node<'_, P> {
    pub(super) fn within(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &Flow,
        msg: &Msg<'_>,
        valid: &Valid<'_>,
        hash: u64,
        out: Out<'_>,
    ) {
        let ack = valid.method == Method::Ack;
        let routes = RouteSet::read(msg, &valid.uri, &self.config.locals).ok().filter(RouteSet::is_own);
        let Some(routes) = routes else {
            // Nobody recorded a route here, so nothing is known about where it could go.
            if ack {
                return self.drop_ack(flow, out);
            }
            return self.answer(msg, flow, &Answer::new(404), out);
        };
        let mut request = Request { msg, valid, routes: &routes, flow, hash, merge_hash: None, loop_hash: 0 };
        let next = match self.next_flow(&request) {
            Ok(next) => next,
            Err(_) if ack => return self.drop_ack(flow, out),
            Err(answer) => return self.answer(msg, flow, &answer, out),
        };
        let dialog = self.note_in_dialog(cx, valid);
        // Over a stream the sender repeats nothing, so if the next hop is reached by datagrams somebody here has to.
        let needs_state = flow.transport.is_reliable() && !next.transport.is_reliable();
        if valid.method == Method::Invite || (needs_state && !ack) {
            // As in `initial`, for what goes in circles.
            request.loop_hash = self.loop_hash(msg, valid, flow);
            if self.is_loop(msg, request.loop_hash) {
                self.stats.looped += 1;
                return self.answer(msg, flow, &Answer::new(482), out);
            }
            self.proceed(cx, &request, Plan::Relay(next), Order::Serial, dialog, out);
        } else {
            self.forward_stateless(&request, &next, out);
        }
    }

    fn drop_ack(&mut self, flow: &Flow, out: Out<'_>) {
        self.stats.stray_acks += 1;
        out(Action::Report(Report::Dropped { source: flow.peer, why: Drop::StrayAck }));
    }

    fn note_in_dialog(&mut self, cx: &mut Cx<'_>, valid: &Valid<'_>) -> Option<crate::store::Key> {
        let (key, side) = self.dialog_of(valid)?;
        let event = match valid.method {
            Method::Ack => DialogEvent::Ack,
            _ => DialogEvent::Request { from: side, cseq: valid.cseq.number },
        };
        // Neither ends a dialog.
        let _ = self.dialogs.event(cx, key, event);
        if valid.method == Method::Bye {
            self.dialogs.bye(cx, key);
        }
        Some(key)
    }

    fn forward_stateless(&mut self, r: &Request<'_, '_>, next: &Flow, out: Out<'_>) {
        match self.write_stateless(r, next) {
            Some(len) => {
                self.stats.forwarded += 1;
                self.stats.sent += 1;
                out(Action::Send { flow: next, bytes: &self.message.as_mut_slice()[..len] });
            }
            None => {
                self.stats.too_large += 1;
                if r.valid.method != Method::Ack {
                    self.answer(r.msg, r.flow, &Answer::new(513), out);
                }
            }
        }
    }

    /// Writes the request as it is forwarded into `self.message`; gives its length. RFC 3261 §16.11: the branch is a
    /// function of the request, so that a retransmission gets the same one.
    #[inline(never)]
    fn write_stateless(&mut self, r: &Request<'_, '_>, next: &Flow) -> Option<usize> {
        let cseq = Text::<10>::with(|t| t.put_number(u64::from(r.valid.cseq.number)));
        let parts = [r.valid.via.branch.unwrap_or_default(), r.valid.call_id, cseq.as_bytes()];
        let branch = branch::stateless(&self.branch_key, r.flow.listener.0, &parts);
        let locals = &self.config.locals;
        let egress = locals.listener(next.listener)?;
        let how = Forwarding {
            overload_control: false,
            source: r.flow.peer,
            ingress: locals.listener(r.flow.listener)?,
            egress,
            branch: branch.as_bytes(),
            record_route: self.config.record_route.filter(|_| records_route(r.valid.method)),
            strip: Strip::default(),
            max_forwards: self.config.max_forwards,
        };
        let sent_by = Text::with(|t| t.put_host_port(egress.advertised));
        let mut draft = Draft::new(r.msg);
        forward::request(&mut draft, r.valid, r.routes, &how).ok()?;
        let mut writer = Writer::new(self.message.as_mut_slice());
        draft.serialise(&late(egress.transport, &sent_by), &mut writer);
        writer.finish().map(<[u8]>::len)
    }
}
