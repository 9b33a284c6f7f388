//! A caller of our own: one call, step by step.

use std::time::Duration;

use super::{Message, Wire, token, uri_of};

/// How long the steps of a call may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The caller's end of one call.
#[derive(Debug)]
pub struct Phone {
    /// The socket.
    pub wire: Wire,
    /// The Call-ID.
    pub call_id: String,
    uri: String,
    target: String,
    to: String,
    tag: String,
    cseq: u32,
    branch: String,
    routes: Vec<String>,
}

impl Phone {
    /// A caller who is about to call `uri`.
    #[must_use]
    pub fn new(wire: Wire, uri: &str) -> Self {
        let id = token();
        Self {
            wire,
            call_id: format!("{id}@phone"),
            uri: uri.to_owned(),
            target: uri.to_owned(),
            to: format!("<{uri}>"),
            tag: format!("p{id}"),
            cseq: 0,
            branch: String::new(),
            routes: Vec::new(),
        }
    }

    /// The text of a request of this call; `more` are header lines with CRLF. CANCEL and ACK to an error repeat the
    /// branch and the number of the INVITE, so they come right after it.
    #[must_use]
    pub fn text(&mut self, method: &str, more: &str, body: &str) -> String {
        let same_branch = method == "CANCEL" || (method == "ACK" && self.routes.is_empty() && self.target == self.uri);
        if !same_branch {
            self.branch = format!("z9hG4bK{}", token());
        }
        if !matches!(method, "ACK" | "CANCEL") {
            self.cseq += 1;
        }
        let (transport, local) = (self.wire.transport(), self.wire.local());
        let routes: String = self.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/{via} {local};branch={branch};rport\r\nMax-Forwards: 70\r\n{routes}\
             From: <sip:phone@{local}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <{contact}>\r\n{more}Content-Length: {length}\r\n\r\n{body}",
            target = self.target,
            via = transport.via(),
            branch = self.branch,
            tag = self.tag,
            to = self.to,
            id = self.call_id,
            cseq = self.cseq,
            contact = transport.uri(local),
            length = body.len(),
        )
    }

    /// Sends a request of this call.
    pub fn send(&mut self, method: &str) {
        let text = self.text(method, "", "");
        self.wire.send(text.as_bytes());
    }

    /// Sends a request of this call with a session description.
    pub fn send_sdp(&mut self, method: &str, sdp: &str) {
        let text = self.text(method, "Content-Type: application/sdp\r\n", sdp);
        self.wire.send(text.as_bytes());
    }

    /// The next message that answers `method` with a status code of at least `from`.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn response(&mut self, method: &str, from: u16) -> Message {
        let end = std::time::Instant::now() + LIMIT;
        loop {
            let left = end.saturating_duration_since(std::time::Instant::now());
            let message = self.wire.receive(left).unwrap_or_else(|| panic!("no {from} or more to {method}"));
            let wanted = message.call_id() == self.call_id && message.method() == method;
            if wanted && message.status().is_some_and(|status| status >= from) {
                return message;
            }
        }
    }

    /// The next request that comes in, waited for, with its answer 200 sent.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn take_request(&mut self, method: &str) -> Message {
        let request = loop {
            let message = self.wire.receive(LIMIT).unwrap_or_else(|| panic!("no {method} comes in"));
            if message.status().is_none() && message.method() == method {
                break message;
            }
        };
        let vias: String = request.values("Via").iter().map(|via| format!("Via: {via}\r\n")).collect();
        let field = |name| request.field(name).unwrap_or_default();
        let response = format!(
            "SIP/2.0 200 OK\r\n{vias}From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <{}>\r\n\
             Content-Length: 0\r\n\r\n",
            field("From"),
            field("To"),
            field("Call-ID"),
            field("CSeq"),
            self.wire.transport().uri(self.wire.local()),
        );
        self.wire.send(response.as_bytes());
        request
    }

    /// Takes the dialog from a 2xx to INVITE: tag, target and route set (RFC 3261 §12.1.2).
    pub fn take_dialog(&mut self, response: &Message) {
        self.to = response.field("To").unwrap_or_default().to_owned();
        self.target = uri_of(response.field("Contact").unwrap_or_default()).to_owned();
        self.routes = response.values("Record-Route").into_iter().rev().map(str::to_owned).collect();
    }

    /// INVITE, its final response, and the ACK.
    #[track_caller]
    pub fn invite(&mut self) -> Message {
        self.send("INVITE");
        self.finish_invite()
    }

    /// The final response to an INVITE that was sent, and the ACK.
    #[track_caller]
    pub fn finish_invite(&mut self) -> Message {
        let response = self.response("INVITE", 200);
        if response.status().is_some_and(|status| status < 300) {
            self.take_dialog(&response);
        } else {
            self.to = response.field("To").unwrap_or_default().to_owned();
        }
        self.send("ACK");
        response
    }

    /// Sends a request within the call and returns its final response.
    #[track_caller]
    pub fn ask(&mut self, method: &str) -> Message {
        self.send(method);
        self.response(method, 200)
    }

    /// A whole call: INVITE and BYE, each answered with 200.
    ///
    /// # Panics
    /// If one of them is answered otherwise.
    #[track_caller]
    pub fn call(&mut self) {
        let answer = self.invite();
        assert_eq!(answer.status(), Some(200), "INVITE: {}", answer.start_line());
        let answer = self.ask("BYE");
        assert_eq!(answer.status(), Some(200), "BYE: {}", answer.start_line());
    }
}
