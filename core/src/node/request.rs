//! A message arrives: what is it?

use super::action::Drop;
use super::reply::{ALLOW, Answer, path_back, subject};
use super::{Action, Node, Out, Report, io};
use crate::dialog::{DialogEvent, Side};
use crate::error::ParseError;
use crate::flow::Flow;
use crate::machine::Cx;
use crate::proxy::fork;
use crate::proxy::validate::{Valid, validate};
use crate::routing::Pattern;
use crate::store::Key;
use crate::transaction::branch;
use crate::transaction::layer::Again;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::start_line::StartLine;
use crate::wire::sip::via::vias;

impl<P: Pattern> Node<'_, P> {
    pub(super) fn received(&mut self, cx: &mut Cx<'_>, flow: &Flow, bytes: &[u8], out: Out<'_>) {
        self.stats.received += 1;
        // Keep-alives between datagrams (RFC 5626 §3.5.1 has them on streams; phones send them everywhere).
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return;
        }
        // By reference: a message is large, and the stack of a microcontroller is not.
        match &Msg::parse(bytes) {
            Ok(msg) => match msg.start() {
                StartLine::Request { .. } => self.request(cx, flow, msg, out),
                StartLine::Response { .. } => self.response(cx, flow, msg, out),
            },
            Err(error) => self.malformed(flow, bytes, *error, out),
        }
    }

    /// A malformed request is answered if enough of it can be read; all else is dropped.
    #[inline(never)]
    fn malformed(&mut self, flow: &Flow, bytes: &[u8], error: ParseError, out: Out<'_>) {
        self.stats.malformed += 1;
        match &Msg::salvage(bytes) {
            Some(msg) if msg.method() != Some(Method::Ack) => {
                let status = if error.kind == crate::error::ParseErrorKind::Version { 505 } else { 400 };
                self.answer(msg, flow, &Answer::new(status), out);
            }
            _ => out(Action::Report(Report::Dropped { source: flow.peer, why: Drop::Malformed(error) })),
        }
    }

    #[inline(never)]
    fn request(&mut self, cx: &mut Cx<'_>, flow: &Flow, msg: &Msg<'_>, out: Out<'_>) {
        self.stats.requests += 1;
        let valid = match validate(msg) {
            Ok(valid) => valid,
            Err(_) if msg.method() == Some(Method::Ack) => {
                self.stats.malformed += 1;
                return;
            }
            Err(invalid) => {
                // Of a 420 as many as there is room for: the sender learns of the rest when it tries again.
                let headers: heapless::Vec<_, 8> = msg
                    .headers_named(HeaderName::ProxyRequire)
                    .filter(|h| invalid.unsupported.is_some() && !h.value.is_empty())
                    .map(|h| (HeaderName::Unsupported, h.value))
                    .take(8)
                    .collect();
                let answer = Answer { status: invalid.status, reason: invalid.reason, headers: &headers };
                return self.answer(msg, flow, &answer, out);
            }
        };
        out(Action::Report(Report::Request {
            subject: subject(msg),
            method: valid.method,
            from: msg.value(HeaderName::From).unwrap_or_default(),
            source: flow.peer,
            uri: valid.uri.raw,
        }));
        let hash = self.server_hash(msg, &valid);
        let server = self.transactions.find_server(hash);
        match (valid.method, server) {
            (Method::Cancel, server) => self.cancel(cx, flow, msg, server, out),
            (Method::Ack, server) => {
                let passes = server.is_none_or(|key| self.transactions.ack(cx, &mut io!(self, out), key));
                if passes {
                    self.within(cx, flow, msg, &valid, hash, out);
                }
            }
            (_, Some(key)) => {
                self.stats.absorbed += 1;
                let again = self.transactions.retransmitted(cx, &mut io!(self, out), key);
                if again == Again::Trying {
                    self.send_trying(msg, flow, &path_back(flow, Some(&valid.via)), out);
                }
            }
            _ if valid.to.tag().is_some() => self.within(cx, flow, msg, &valid, hash, out),
            _ => self.initial(cx, flow, msg, &valid, hash, out),
        }
    }

    /// What identifies a server transaction (RFC 3261 §17.2.3): branch, sent-by and method; of an RFC 2543 client the
    /// fields that make its request. A CANCEL or ACK hashes as its INVITE.
    fn server_hash(&self, msg: &Msg<'_>, valid: &Valid<'_>) -> u64 {
        let method: &[u8] = match valid.method {
            Method::Ack | Method::Cancel => b"INVITE",
            m => m.as_bytes(),
        };
        let sent_by = valid.via.sent_by_span.of(valid.via_header.value);
        match (valid.via.magic_cookie(), valid.via.branch) {
            (Some(_), Some(branch)) => self.hash.hash(&[branch, sent_by, method]),
            _ => self.hash.hash(&[
                valid.uri.raw,
                valid.from.tag().unwrap_or_default(),
                valid.call_id,
                &valid.cseq.number.to_le_bytes(),
                msg.value(HeaderName::Via).unwrap_or_default(),
                method,
            ]),
        }
    }

    /// RFC 3261 §16.10. A CANCEL for nothing is not sent on: what it belongs to did not pass here.
    fn cancel(&mut self, cx: &mut Cx<'_>, flow: &Flow, msg: &Msg<'_>, invite: Option<Key>, out: Out<'_>) {
        let Some(invite) = invite else {
            return self.answer(msg, flow, &Answer::new(481), out);
        };
        self.answer(msg, flow, &Answer::new(200), out);
        if let Some(context) = self.transactions.context(invite) {
            if let Some(dialog) = self.contexts.get(context).filter(|c| c.initial).and_then(|c| c.dialog) {
                // It decides nothing about the dialog yet.
                let _ = self.dialogs.event(cx, dialog, DialogEvent::Cancelled);
            }
            self.run_fork(cx, context, fork::Event::Cancel, None, None, out);
        }
    }

    /// Answers an OPTIONS to ourselves (RFC 3261 §11.2).
    pub(super) fn answer_options(&mut self, msg: &Msg<'_>, flow: &Flow, out: Out<'_>) {
        let headers = [(HeaderName::Allow, ALLOW), (HeaderName::Accept, &b"application/sdp"[..])];
        self.answer(msg, flow, &Answer { status: 200, reason: "", headers: &headers }, out);
    }

    /// Whether one of our own Vias says that this very request was here before (RFC 3261 §16.3 step 4).
    pub(super) fn is_loop(&self, msg: &Msg<'_>, loop_hash: u32) -> bool {
        msg.headers_named(HeaderName::Via)
            .flat_map(|h| vias(h.value))
            .filter_map(|via| branch::decode(via.ok()?.branch?))
            .any(|(id, tag)| id.loop_hash == loop_hash && branch::verify(&id, tag, &self.branch_key, b""))
    }

    /// The fields that decide where a request goes; the same again means a loop. The source is among them, as rules may
    /// look at it: a request that comes back by another way is a spiral.
    pub(super) fn loop_hash(&self, msg: &Msg<'_>, valid: &Valid<'_>, flow: &Flow) -> u32 {
        let part = |name| msg.value(name).unwrap_or_default();
        let source = match flow.peer.ip().to_canonical() {
            core::net::IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            core::net::IpAddr::V6(ip) => ip.octets(),
        };
        branch::loop_hash(
            &self.branch_key,
            &[
                valid.uri.raw,
                valid.from.tag().unwrap_or_default(),
                valid.to.tag().unwrap_or_default(),
                valid.call_id,
                &valid.cseq.number.to_le_bytes(),
                part(HeaderName::ProxyRequire),
                part(HeaderName::ProxyAuthorization),
                &source,
                part(HeaderName::Route),
            ],
        )
    }

    /// The dialog of a request, and who sent it.
    pub(super) fn dialog_of(&self, valid: &Valid<'_>) -> Option<(Key, Side)> {
        self.dialogs.find(valid.call_id, valid.from.tag().unwrap_or_default(), valid.to.tag().unwrap_or_default())
    }

    /// What was sent did not get there (RFC 3261 §17.1.4, §18.4).
    #[inline(never)]
    pub(super) fn undelivered(&mut self, cx: &mut Cx<'_>, _to: core::net::SocketAddr, bytes: &[u8], out: Out<'_>) {
        self.stats.undelivered += 1;
        // The error may quote the start of the message only; our Via is its first field.
        if bytes.starts_with(b"SIP/2.0 ") {
            return;
        }
        let Some(line) = bytes.split(|b| *b == b'\r').nth(1) else { return };
        let Some(value) = line.strip_prefix(b"\nVia: ") else { return };
        let Some((id, tag)) = crate::wire::sip::via::Via::parse(value)
            .ok()
            .and_then(|via| branch::decode(via.branch?))
            .filter(|(id, tag)| branch::verify(id, *tag, &self.branch_key, b""))
        else {
            return;
        };
        let _ = tag;
        match id.kind {
            branch::BranchKind::Transaction => {
                let Some(key) = Key::new(id.slot, id.generation) else { return };
                let outcome = self.transactions.undelivered(cx, &mut io!(self, out), key);
                if let Some(outcome) = outcome {
                    self.client_outcome(cx, outcome, None, out);
                }
            }
            branch::BranchKind::Probe => self.ping_undelivered(cx, &id, out),
            branch::BranchKind::Stateless => {}
        }
    }
}
