//! The called end of calls, step by step: nothing is answered unless the test says so.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Message, Transport, Wire, token, uri_of};

/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A server over UDP.
#[derive(Debug)]
pub struct Station {
    wire: Wire,
    tag: String,
}

impl Station {
    /// A server at `address` behind `edge`.
    #[must_use]
    pub fn new(address: SocketAddr, edge: SocketAddr) -> Self {
        Self { wire: Wire::udp(address, edge), tag: format!("s{}", token()) }
    }

    /// Its URI.
    #[must_use]
    pub fn uri(&self) -> String {
        Transport::Udp.uri(self.wire.local())
    }

    /// The next request of this method; others, repeated ones of before among them, are dropped.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn take(&mut self, method: &str) -> Message {
        self.take_within(method, LIMIT).unwrap_or_else(|| panic!("no {method}"))
    }

    /// The same within `limit`, if there is one.
    pub fn take_within(&mut self, method: &str, limit: Duration) -> Option<Message> {
        let end = Instant::now() + limit;
        loop {
            let message = self.wire.receive(end.saturating_duration_since(Instant::now()))?;
            if message.status().is_none() && message.method() == method {
                return Some(message);
            }
        }
    }

    /// Answers `request`, with a session description unless `sdp` is empty.
    pub fn answer(&mut self, request: &Message, status: u16, sdp: &str) {
        let mut text = format!("SIP/2.0 {status} Answer\r\n");
        for (name, values) in [("Via", request.values("Via")), ("Record-Route", request.values("Record-Route"))] {
            values.iter().for_each(|value| text.push_str(&format!("{name}: {value}\r\n")));
        }
        let field = |name| request.field(name).unwrap_or_default();
        let tag = if request.tag("To").is_some() { String::new() } else { format!(";tag={}", self.tag) };
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        text.push_str(&format!(
            "From: {}\r\nTo: {}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <{}>\r\n{kind}Content-Length: {}\r\n\r\n{sdp}",
            field("From"),
            field("To"),
            field("Call-ID"),
            field("CSeq"),
            self.uri(),
            sdp.len(),
        ));
        self.wire.send(text.as_bytes());
    }

    /// Sends a request within the call that `invite` made, to where its Contact and its recorded route lead.
    ///
    /// # Panics
    /// If the INVITE has no Contact.
    pub fn send_in_call(&mut self, invite: &Message, method: &str, cseq: u32, sdp: &str) {
        let target = uri_of(invite.field("Contact").expect("a Contact"));
        let routes: String = invite.values("Record-Route").iter().map(|route| format!("Route: {route}\r\n")).collect();
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let field = |name| invite.field(name).unwrap_or_default();
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{};rport\r\nMax-Forwards: 70\r\n{routes}\
             From: {};tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <{}>\r\n{kind}\
             Content-Length: {}\r\n\r\n{sdp}",
            self.wire.local(),
            token(),
            field("To"),
            self.tag,
            field("From"),
            field("Call-ID"),
            self.uri(),
            sdp.len(),
        );
        self.wire.send(text.as_bytes());
    }

    /// The next response with at least this status to a request of this method.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn response(&mut self, method: &str, from: u16) -> Message {
        let end = Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.wire.receive(left).unwrap_or_else(|| panic!("no {from} or more to {method}"));
            if message.method() == method && message.status().is_some_and(|status| status >= from) {
                return message;
            }
        }
    }
}
