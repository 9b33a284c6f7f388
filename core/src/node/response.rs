//! A response arrives (RFC 3261 §16.7).

use super::action::Drop;
use super::{Action, Node, Out, Report, io};
use crate::dialog::DialogEvent;
use crate::dialog::layer::Names;
use crate::dialog::session_timer;
use crate::flow::{Flow, ListenerId};
use crate::machine::Cx;
use crate::proxy::forward;
use crate::routing::Pattern;
use crate::store::Key;
use crate::transaction::branch::{self, BranchKind};
use crate::wire::sip::cseq::CSeq;
use crate::wire::sip::edit::Draft;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::name_addr::NameAddr;
use crate::wire::sip::put::{Put, Text, Writer};
use crate::wire::sip::session_expires::SessionExpires;
use crate::wire::sip::via::{Rport, Via};

impl<P: Pattern> Node<'_, P> {
    #[inline(never)]
    pub(super) fn response(&mut self, cx: &mut Cx<'_>, flow: &Flow, msg: &Msg<'_>, out: Out<'_>) {
        self.stats.responses += 1;
        let parsed = (|| {
            let via = Via::parse(msg.value(HeaderName::Via)?).ok()?;
            let (id, tag) = branch::decode(via.branch?)?;
            let cseq = CSeq::parse(msg.value(HeaderName::CSeq)?).ok()?;
            Some((via, id, tag, cseq))
        })();
        let Some((via, id, tag, cseq)) = parsed else {
            return self.foreign(flow, out);
        };
        match id.kind {
            BranchKind::Stateless => self.stateless_response(cx, flow, msg, &via, &cseq, out),
            _ if !branch::verify(&id, tag, &self.branch_key, b"") || id.shard != self.identity.shard => {
                self.foreign(flow, out);
            }
            BranchKind::Probe => self.ping_response(cx, &id, msg.status().unwrap_or_default(), out),
            BranchKind::Transaction => {
                let Some(key) = Key::new(id.slot, id.generation) else { return self.foreign(flow, out) };
                self.transaction_response(cx, flow, key, msg, &via, &cseq, id.listener, out);
            }
        }
    }

    fn foreign(&mut self, flow: &Flow, out: Out<'_>) {
        self.stats.foreign_via += 1;
        out(Action::Report(Report::Dropped { source: flow.peer, why: Drop::ForeignVia }));
    }

    #[expect(clippy::too_many_arguments, reason = "all that was read of one response")]
    fn transaction_response(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &Flow,
        client: Key,
        msg: &Msg<'_>,
        via: &Via<'_>,
        cseq: &CSeq<'_>,
        listener: u8,
        out: Out<'_>,
    ) {
        let success = matches!(msg.status(), Some(200..=299)) && cseq.method == Method::Invite;
        let cancel = cseq.method == Method::Cancel;
        let known = self.transactions.has_client(client);
        let outcome = self.transactions.response(cx, &mut io!(self, out), client, cancel, msg);
        match outcome {
            Some(outcome) => {
                let handled = self.client_outcome(cx, outcome, Some((msg, via)), out);
                if !handled && success {
                    // The call is set up and the context gone; the user agent repeats its 2xx until the ACK comes.
                    self.forward_response(msg, via, listener, out);
                }
            }
            // A 2xx that comes when even the transaction is gone still sets up a call: without it the callee would
            // wait for an ACK that never comes.
            None if !known && success => self.forward_response(msg, via, listener, out),
            None if !known => {
                self.stats.stray_responses += 1;
                out(Action::Report(Report::Dropped { source: flow.peer, why: Drop::StrayResponse }));
            }
            None => {}
        }
    }

    /// The response to a request that was forwarded without state: its second Via proves that we sent it.
    fn stateless_response(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &Flow,
        msg: &Msg<'_>,
        via: &Via<'_>,
        cseq: &CSeq<'_>,
        out: Out<'_>,
    ) {
        let number = Text::<10>::with(|t| t.put_number(u64::from(cseq.number)));
        let second = second_via(msg, via);
        let listener = second.as_ref().and_then(|second| {
            let call_id = msg.value(HeaderName::CallId).unwrap_or_default();
            let parts = [second.branch.unwrap_or_default(), call_id, number.as_bytes()];
            branch::verify_stateless(via.branch.unwrap_or_default(), &self.branch_key, &parts)
        });
        let Some(listener) = listener else { return self.foreign(flow, out) };
        self.note_response(cx, msg, cseq);
        self.forward_response(msg, via, listener, out);
    }

    /// What the response to a request within a dialog says about the dialog.
    pub(super) fn note_response(&mut self, cx: &mut Cx<'_>, msg: &Msg<'_>, cseq: &CSeq<'_>) {
        let status = msg.status().unwrap_or_default();
        if status < 200 || !matches!(cseq.method, Method::Bye | Method::Invite | Method::Update) {
            return;
        }
        let tag =
            |name| msg.value(name).and_then(|v| NameAddr::parse(v).ok()).and_then(|a| a.tag()).unwrap_or_default();
        let call_id = msg.value(HeaderName::CallId).unwrap_or_default();
        let Some((key, _)) = self.dialogs.find(call_id, tag(HeaderName::From), tag(HeaderName::To)) else { return };
        let event = match (cseq.method, status) {
            (Method::Bye, _) => DialogEvent::ByeAnswered { status },
            (_, 200..=299) => DialogEvent::SessionRefreshed { expires_s: self.session_interval(msg) },
            _ => return,
        };
        if let Some(ended) = self.dialogs.event(cx, key, event) {
            self.dialog_ended(&ended);
        }
    }

    /// The INVITE of a dialog was answered.
    pub(super) fn note_answered(&mut self, cx: &mut Cx<'_>, dialog: Key, msg: &Msg<'_>) {
        let address = |name| msg.value(name).and_then(|v| NameAddr::parse(v).ok());
        let (Some(from), Some(to)) = (address(HeaderName::From), address(HeaderName::To)) else { return };
        let first = self.dialogs.get(dialog).is_some_and(|d| d.state().answered_at().is_none());
        let names = Names {
            call_id: msg.value(HeaderName::CallId).unwrap_or_default(),
            caller_tag: from.tag().unwrap_or_default(),
            callee_tag: to.tag().unwrap_or_default(),
            from: from.uri,
            to: to.uri,
        };
        let interval = self.session_interval(msg);
        self.dialogs.answered(cx, dialog, &names, interval);
        self.stats.calls_answered += u64::from(first);
    }

    /// How long the session lasts that a 2xx sets up or refreshes, late refreshes allowed for.
    fn session_interval(&self, msg: &Msg<'_>) -> Option<u32> {
        let expires = msg.value(HeaderName::SessionExpires).and_then(|v| Some(SessionExpires::parse(v).ok()?.delta_s));
        let grace_s = u32::try_from(self.config.session_grace.as_secs()).unwrap_or(u32::MAX);
        session_timer::response(None, false, expires).expires_s.map(|s| s.saturating_add(grace_s))
    }

    /// Sends a response on by its Vias alone (RFC 3261 §16.7 step 9, §16.11).
    fn forward_response(&mut self, msg: &Msg<'_>, via: &Via<'_>, listener: u8, out: Out<'_>) {
        let Some(next) = second_via(msg, via).and_then(|via| self.via_flow(&via, ListenerId(listener))) else { return };
        let Some(len) = self.write_response(msg, via) else { return };
        self.stats.sent += 1;
        out(Action::Send { flow: &next, bytes: &self.message.as_mut_slice()[..len] });
    }

    /// Writes a response without our Via into `self.message`; gives its length.
    #[inline(never)]
    pub(super) fn write_response(&mut self, msg: &Msg<'_>, via: &Via<'_>) -> Option<usize> {
        let mut draft = Draft::new(msg);
        forward::response(&mut draft, via).ok()?;
        let mut writer = Writer::new(self.message.as_mut_slice());
        draft.serialise(&[], &mut writer);
        let len = writer.finish().map(<[u8]>::len);
        if len.is_none() {
            self.stats.too_large += 1;
        }
        len
    }

    /// Where the topmost Via of a response says that it goes (RFC 3261 §18.2.2). What we were told in `received` and
    /// `rport` was written by us, and proven by the branch.
    fn via_flow(&self, via: &Via<'_>, listener: ListenerId) -> Option<Flow> {
        let transport = self.config.locals.listener(listener)?.transport;
        let ip = via.received_ip().or(via.host.ip())?;
        let port = match via.rport {
            Rport::Port(port) => port,
            _ => via.port_or_default(),
        };
        Some(Flow { listener, transport, peer: core::net::SocketAddr::new(ip, port), connection: None })
    }
}

/// The Via behind ours, which is the topmost.
fn second_via<'b>(msg: &Msg<'b>, top: &Via<'_>) -> Option<Via<'b>> {
    match top.next {
        Some(at) => Via::parse_at(msg.value(HeaderName::Via)?, at).ok(),
        None => Via::parse(msg.headers_named(HeaderName::Via).nth(1)?.value).ok(),
    }
}
