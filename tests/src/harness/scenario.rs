//! SIPp scenarios, written from the steps of a call. Both ends keep to the recorded route (RFC 3261 §12.2.1.1).

use std::fmt::Write as _;

/// Which end of the call ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bye {
    /// The caller.
    Caller,
    /// The callee.
    Callee,
}

/// The calling end.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who sends BYE.
    pub bye: Bye,
    /// True for re-INVITE, UPDATE and INFO from each end.
    pub dialog: bool,
    /// Time between ACK and what follows, in milliseconds.
    pub hold_ms: u32,
    /// Time for which the call is kept after its end, to repeat what got lost, in milliseconds. If not 0, repeated and
    /// overtaking messages are no fault.
    pub linger_ms: u32,
}

/// The answering end.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Who sends BYE.
    pub bye: Bye,
    /// True for re-INVITE, UPDATE and INFO from each end.
    pub dialog: bool,
    /// Time from 180 to 200, in milliseconds.
    pub ring_ms: u32,
    /// Time for which the call is kept after its end, to repeat what got lost, in milliseconds. If not 0, repeated and
    /// overtaking messages are no fault.
    pub linger_ms: u32,
    /// Host and port in Contact, if not its own.
    pub contact: Option<String>,
}

impl Default for Caller {
    fn default() -> Self {
        Self { bye: Bye::Caller, dialog: false, hold_ms: 50, linger_ms: 0 }
    }
}

impl Default for Callee {
    fn default() -> Self {
        Self { bye: Bye::Caller, dialog: false, ring_ms: 30, linger_ms: 0, contact: None }
    }
}

impl Caller {
    /// The scenario. It logs `begun` with the Call-ID and the time in seconds and microseconds since 1970, `ringing`,
    /// `answered` and `done` with the Call-ID, and the Contact of who answers.
    #[must_use]
    pub fn xml(&self) -> String {
        let mut steps = Steps::new("caller", SIDE_CALLER);
        steps.text.push_str(BEGUN);
        steps.send("INVITE", 1, "sip:[service]@[remote_ip]:[remote_port]", SDP);
        steps.receive("response=\"100\" optional=\"true\"", "");
        steps.receive("response=\"180\" optional=\"true\"", &log("ringing"));
        steps.receive("response=\"200\" rrs=\"true\"", &log("answered"));
        steps.send("ACK", 1, "[next_url]", "");
        steps.pause(self.hold_ms);
        if self.dialog {
            steps.ask_all(2);
            steps.answer_all();
            steps.pause(30);
        }
        if self.bye == Bye::Caller {
            steps.send("BYE", 9, "[next_url]", "");
            steps.receive("response=\"200\"", "<log message=\"done [call_id]\"/>");
        } else {
            steps.receive("request=\"BYE\"", "<log message=\"done [call_id]\"/>");
            steps.respond("200 OK", "", "", "");
        }
        steps.finish(self.linger_ms)
    }
}

impl Callee {
    /// The scenario. It answers OPTIONS, too.
    #[must_use]
    pub fn xml(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("[local_ip]:[local_port]");
        let contact = format!("Contact: <sip:callee@{contact};transport=[transport]>\n");
        let tag = ";tag=[pid]s[call_number]";
        let mut steps = Steps::new("callee", SIDE_CALLEE);
        steps.receive("request=\"OPTIONS\" optional=\"true\" next=\"options\"", "");
        let keep = "<ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" assign_to=\"caller\"/>\
                    <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" assign_to=\"callee\"/>";
        steps.receive("request=\"INVITE\" rrs=\"true\" counter=\"invite\"", keep);
        // Only some scenarios use them.
        steps.text.push_str("<Reference variables=\"caller,callee\"/>\n");
        steps.respond("180 Ringing", tag, &format!("[last_Record-Route:]\n{contact}"), "");
        steps.pause(self.ring_ms);
        steps.respond("200 OK", tag, &format!("[last_Record-Route:]\n{contact}"), SDP);
        // Where messages get lost, BYE may be the first to come through.
        steps.receive(if self.linger_ms > 0 { "request=\"ACK\" optional=\"true\"" } else { "request=\"ACK\"" }, "");
        if self.dialog {
            steps.answer_all();
            steps.pause(30);
            steps.ask_all(2);
        }
        if self.bye == Bye::Caller {
            steps.receive("request=\"BYE\"", "");
            steps.respond("200 OK", "", "", "");
        } else {
            steps.pause(50);
            steps.send("BYE", 9, "[next_url]", "");
            steps.receive("response=\"200\"", "");
        }
        steps.text.push_str("<nop next=\"end\"/>\n<label id=\"options\"/>\n");
        steps.respond("200 OK", tag, "", "");
        steps.text.push_str("<label id=\"end\"/>\n");
        steps.finish(self.linger_ms)
    }
}

const SIDE_CALLER: &str = "From: \"Caller\" <sip:caller[call_number]@[local_ip]:[local_port]>;tag=[pid]c[call_number]\n\
                           To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]\n";
const SIDE_CALLEE: &str = "From:[$callee];tag=[pid]s[call_number]\nTo:[$caller]\n";

const SDP: &str = "v=0\no=- 1 1 IN IP[local_ip_type] [local_ip]\ns=-\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\n\
                   m=audio [media_port] RTP/AVP 8 101\na=rtpmap:8 PCMA/8000\na=rtpmap:101 telephone-event/8000\n";

const BEGUN: &str = "<nop><action><gettimeofday assign_to=\"seconds,microseconds\"/>\
                     <log message=\"begun [call_id] [$seconds] [$microseconds]\"/></action></nop>\n";

fn log(what: &str) -> String {
    format!(
        "<ereg regexp=\"sip:[^>]*\" search_in=\"hdr\" header=\"Contact:\" assign_to=\"{what}\"/>\
         <log message=\"{what} [call_id] [${what}]\"/>"
    )
}

struct Steps {
    text: String,
    parties: &'static str,
}

impl Steps {
    fn new(name: &str, parties: &'static str) -> Self {
        Self { text: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"{name}\">\n"), parties }
    }

    fn message(&mut self, attributes: &str, head: &str, body: &str) {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        let _ = write!(
            self.text,
            "<send{attributes}><![CDATA[\n\n{head}{kind}Content-Length: [len]\n\n{body}\n]]></send>\n"
        );
    }

    fn send(&mut self, method: &str, cseq: u32, uri: &str, body: &str) {
        let routes = if body.is_empty() { "[routes]\n" } else { "" };
        let head = format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport\n\
             Max-Forwards: 70\n{routes}{parties}Call-ID: [call_id]\nCSeq: {cseq} {method}\n\
             Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n",
            parties = self.parties
        );
        self.message(if method == "ACK" { "" } else { " retrans=\"500\"" }, &head, body);
    }

    fn respond(&mut self, status: &str, tag: &str, more: &str, body: &str) {
        let head = format!(
            "SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:]{tag}\n[last_Call-ID:]\n[last_CSeq:]\n{more}"
        );
        self.message(if body.is_empty() { "" } else { " retrans=\"500\"" }, &head, body);
    }

    fn receive(&mut self, attributes: &str, action: &str) {
        let action = if action.is_empty() { String::new() } else { format!("<action>{action}</action>") };
        let _ = writeln!(self.text, "<recv {attributes}>{action}</recv>");
    }

    fn pause(&mut self, ms: u32) {
        let _ = writeln!(self.text, "<pause milliseconds=\"{ms}\"/>");
    }

    /// re-INVITE, UPDATE and INFO, one after another.
    fn ask_all(&mut self, cseq: u32) {
        self.send("INVITE", cseq, "[next_url]", "");
        self.receive("response=\"100\" optional=\"true\"", "");
        self.receive("response=\"200\"", "");
        self.send("ACK", cseq, "[next_url]", "");
        // A proxy of several processes may let the next request overtake the ACK.
        self.pause(30);
        for (method, cseq) in [("UPDATE", cseq + 1), ("INFO", cseq + 2)] {
            self.send(method, cseq, "[next_url]", "");
            self.receive("response=\"200\"", "");
        }
    }

    fn answer_all(&mut self) {
        self.receive("request=\"INVITE\"", "");
        self.respond("200 OK", "", "Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n", SDP);
        self.receive("request=\"ACK\"", "");
        for method in ["UPDATE", "INFO"] {
            self.receive(&format!("request=\"{method}\""), "");
            self.respond("200 OK", "", "Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n", "");
        }
    }

    fn finish(mut self, linger_ms: u32) -> String {
        if linger_ms > 0 {
            let _ = writeln!(self.text, "<timewait milliseconds=\"{linger_ms}\"/>");
        }
        self.text.push_str("</scenario>\n");
        self.text
    }
}
