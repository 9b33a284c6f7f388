//! Answers made here.

use super::{Action, Node, Out, Report, Subject, hex, io};
use crate::flow::Flow;
use crate::machine::Cx;
use crate::routing::Pattern;
use crate::store::Key;
use crate::wire::sip::build::{self, Reply};
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::{Put, Text, Writer};
use crate::wire::sip::transport::Transport;
use crate::wire::sip::via::{Rport, Via};

/// Methods that are taken (FEATURES of the platform: INVITE to a set, NOTIFY, INFO, UPDATE, PRACK on their way).
pub(super) const ALLOW: &[u8] = b"INVITE, ACK, BYE, CANCEL, OPTIONS, NOTIFY, INFO, UPDATE, PRACK";

/// An answer in a few words.
#[derive(Clone, Copy, Default)]
pub(super) struct Answer<'r> {
    pub(super) status: u16,
    /// The reason phrase; the usual one if empty.
    pub(super) reason: &'r str,
    pub(super) headers: &'r [(HeaderName, &'r [u8])],
}

impl<'r> Answer<'r> {
    pub(super) const fn new(status: u16) -> Self {
        Self { status, reason: "", headers: &[] }
    }

    fn reason(&self) -> &'r str {
        if self.reason.is_empty() { build::reason_phrase(self.status) } else { self.reason }
    }
}

/// The path back to where a request came from (RFC 3261 §18.2.2, RFC 3581 §4). A Via that cannot be read says nothing:
/// the answer goes to the source. `maddr` is not followed: it would let anybody aim our answers at somebody else.
pub(super) fn path_back(flow: &Flow, via: Option<&Via<'_>>) -> Flow {
    let mut back = *flow;
    if let Some(via) = via.filter(|v| !flow.transport.is_reliable() && v.rport == Rport::Absent) {
        match via.port {
            // Nobody can be reached there.
            Some(0) => {}
            port => back.peer.set_port(port.unwrap_or(Transport::Udp.default_port())),
        }
    }
    back
}

pub(super) fn subject<'m>(msg: &Msg<'m>) -> Subject<'m> {
    Subject {
        call_id: msg.value(HeaderName::CallId).unwrap_or_default(),
        cseq: msg.value(HeaderName::CSeq).unwrap_or_default(),
    }
}

impl<P: Pattern> Node<'_, P> {
    /// The tag of answers made here: the same for a retransmitted request, so that no state is needed (RFC 3261
    /// §8.2.7).
    fn to_tag(&self, msg: &Msg<'_>) -> [u8; 16] {
        let part = |name| msg.value(name).unwrap_or_default();
        // The number alone, as the answer to a CANCEL has the tag of that to its INVITE (§9.2).
        let cseq = part(HeaderName::CSeq);
        let number = &cseq[..cseq.iter().position(|b| !b.is_ascii_digit()).unwrap_or(cseq.len())];
        hex(self.hash.hash(&[b"to-tag", part(HeaderName::CallId), part(HeaderName::From), number]))
    }

    /// Writes an answer into `self.message`; gives its length.
    #[inline(never)]
    pub(super) fn write_answer(&mut self, msg: &Msg<'_>, source: &Flow, answer: &Answer<'_>) -> Option<usize> {
        // A 100 says nothing about a dialog and takes no tag (RFC 3261 §16.2).
        let tag = if answer.status == 100 { None } else { Some(self.to_tag(msg)) };
        let reply = Reply {
            status: answer.status,
            reason: answer.reason().as_bytes(),
            to_tag: tag.as_ref().map_or(b"", |tag| tag),
            server: if answer.status == 100 { b"" } else { &self.config.server },
            headers: answer.headers,
            body: None,
        };
        let mut out = Writer::new(self.message.as_mut_slice());
        build::response(msg, source.peer, &reply, &mut out);
        out.finish().map(<[u8]>::len)
    }

    /// Answers a request without a transaction.
    pub(super) fn answer(&mut self, msg: &Msg<'_>, flow: &Flow, answer: &Answer<'_>, out: Out<'_>) {
        let via = msg.value(HeaderName::Via).and_then(|v| Via::parse(v).ok());
        let back = path_back(flow, via.as_ref());
        let Some(len) = self.write_answer(msg, flow, answer) else {
            self.stats.too_large += 1;
            return;
        };
        self.stats.sent += 1;
        out(Action::Send { flow: &back, bytes: &self.message.as_mut_slice()[..len] });
        self.report_answer(msg, flow, answer, out);
    }

    fn report_answer(&mut self, msg: &Msg<'_>, flow: &Flow, answer: &Answer<'_>, out: Out<'_>) {
        if answer.status >= 300 {
            self.stats.rejected += 1;
        }
        if let (200.., Some(method)) = (answer.status, msg.method()) {
            out(Action::Report(Report::Answered {
                subject: subject(msg),
                method,
                source: flow.peer,
                status: answer.status,
                reason: answer.reason(),
            }));
        }
    }

    /// Answers a request for which there is no room.
    pub(super) fn answer_full(&mut self, msg: &Msg<'_>, flow: &Flow, out: Out<'_>) {
        self.stats.full += 1;
        self.answer_later(msg, flow, "Service Unavailable", out);
    }

    /// 503 with Retry-After.
    pub(super) fn answer_later(&mut self, msg: &Msg<'_>, flow: &Flow, reason: &str, out: Out<'_>) {
        let after = Text::<10>::with(|t| t.put_number(u64::from(self.config.retry_after_s)));
        let headers = [(HeaderName::RetryAfter, after.as_bytes())];
        self.answer(msg, flow, &Answer { status: 503, reason, headers: &headers }, out);
    }

    /// Answers a request through its server transaction.
    pub(super) fn respond(
        &mut self,
        cx: &mut Cx<'_>,
        server: Key,
        msg: &Msg<'_>,
        source: &Flow,
        answer: &Answer<'_>,
        out: Out<'_>,
    ) {
        if let Some(len) = self.write_answer(msg, source, answer) {
            let bytes = &self.message.as_mut_slice()[..len];
            self.transactions.respond(cx, &mut io!(self, out), server, answer.status, bytes);
            self.report_answer(msg, source, answer, out);
        }
    }

    /// Sends a 100.
    pub(super) fn send_trying(&mut self, msg: &Msg<'_>, source: &Flow, back: &Flow, out: Out<'_>) {
        if let Some(len) = self.write_answer(msg, source, &Answer::new(100)) {
            self.stats.sent += 1;
            out(Action::Send { flow: back, bytes: &self.message.as_mut_slice()[..len] });
        }
    }
}
