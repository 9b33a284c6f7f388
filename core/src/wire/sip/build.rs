//! Messages that are made here: responses, ACK, CANCEL, OPTIONS.

use core::net::SocketAddr;

use super::header_name::HeaderName;
use super::msg::Msg;
use super::put::Put;
use super::stamp::ViaStamp;
use super::transport::Transport;
use crate::wire::sip::via::Via;

/// A response in outline; what belongs to the request is copied from it (RFC 3261 §8.2.6).
#[derive(Clone, Copy, Debug, Default)]
pub struct Reply<'a> {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: &'a [u8],
    /// The tag for `To` if the request has none.
    pub to_tag: &'a [u8],
    /// The value of `Server`; empty for none.
    pub server: &'a [u8],
    /// Further header fields.
    pub headers: &'a [(HeaderName, &'a [u8])],
    /// `Content-Type` and body; none if empty.
    pub body: Option<(&'a [u8], &'a [u8])>,
}

/// Writes the response to `request`, which was seen from `source`. Fields that a malformed request lacks are left out,
/// and a Via that cannot be read is given back as it came.
pub fn response(request: &Msg<'_>, source: SocketAddr, reply: &Reply<'_>, out: &mut impl Put) {
    let top = request.value(HeaderName::Via).unwrap_or_default();
    let stamp = Via::parse(top).ok().map(|via| ViaStamp::new(&via, source));
    out.put(b"SIP/2.0 ");
    out.put_number(u64::from(reply.status));
    out.put(b" ");
    out.put(reply.reason);
    out.put(b"\r\n");
    for (i, via) in request.headers_named(HeaderName::Via).enumerate() {
        out.put(b"Via: ");
        match &stamp {
            Some(stamp) if i == 0 => stamp.put(via.value, out),
            _ => out.put(via.value),
        }
        out.put(b"\r\n");
    }
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId, HeaderName::CSeq] {
        let Some(value) = request.value(name) else { continue };
        out.put(name.as_str().as_bytes());
        out.put(b": ");
        out.put(value);
        if name == HeaderName::To && reply.status > 100 && !reply.to_tag.is_empty() && !has_tag(value) {
            out.put(b";tag=");
            out.put(reply.to_tag);
        }
        out.put(b"\r\n");
    }
    // RFC 3261 §8.2.6.1: a 100 carries the Timestamp of the request.
    if reply.status == 100
        && let Some(timestamp) = request.value(HeaderName::Timestamp)
    {
        put_header(HeaderName::Timestamp, timestamp, out);
    }
    if !reply.server.is_empty() {
        put_header(HeaderName::Server, reply.server, out);
    }
    for (name, value) in reply.headers {
        put_header(*name, value, out);
    }
    let (content_type, body) = reply.body.unwrap_or_default();
    if !body.is_empty() {
        put_header(HeaderName::ContentType, content_type, out);
    }
    put_body(body, out);
}

fn has_tag(address: &[u8]) -> bool {
    // An address that cannot be parsed gets no second tag.
    super::name_addr::NameAddr::parse(address).map_or(true, |a| a.tag().is_some())
}

fn put_header(name: HeaderName, value: &[u8], out: &mut impl Put) {
    out.put(name.as_str().as_bytes());
    out.put(b": ");
    out.put(value);
    out.put(b"\r\n");
}

fn put_body(body: &[u8], out: &mut impl Put) {
    out.put(b"Content-Length: ");
    out.put_number(body.len() as u64);
    out.put(b"\r\n\r\n");
    out.put(body);
}

/// Writes the ACK to a 300-699 response: the request's Request-URI, topmost Via, `From`, `Call-ID`, CSeq number and
/// Route, with the `To` of the response (RFC 3261 §17.1.1.3).
pub fn ack(invite: &Msg<'_>, to: &[u8], out: &mut impl Put) {
    from_request(invite, b"ACK", to, out);
}

/// Writes the CANCEL of a request that was sent (RFC 3261 §9.1).
pub fn cancel(request: &Msg<'_>, out: &mut impl Put) {
    from_request(request, b"CANCEL", request.value(HeaderName::To).unwrap_or_default(), out);
}

fn from_request(request: &Msg<'_>, method: &[u8], to: &[u8], out: &mut impl Put) {
    out.put(method);
    out.put(b" ");
    out.put(request.request_uri().unwrap_or_default());
    out.put(b" SIP/2.0\r\n");
    let via = request.value(HeaderName::Via).unwrap_or_default();
    let first = Via::parse(via).map_or(via, |v| &via[v.span.range()]);
    put_header(HeaderName::Via, first, out);
    out.put(b"Max-Forwards: 70\r\n");
    for route in request.headers_named(HeaderName::Route) {
        put_header(HeaderName::Route, route.value, out);
    }
    put_header(HeaderName::From, request.value(HeaderName::From).unwrap_or_default(), out);
    put_header(HeaderName::To, to, out);
    put_header(HeaderName::CallId, request.value(HeaderName::CallId).unwrap_or_default(), out);
    let cseq = request.value(HeaderName::CSeq).unwrap_or_default();
    out.put(b"CSeq: ");
    out.put(&cseq[..cseq.iter().position(|b| !b.is_ascii_digit()).unwrap_or(cseq.len())]);
    out.put(b" ");
    out.put(method);
    out.put(b"\r\n");
    put_body(b"", out);
}

/// An OPTIONS request that asks a peer whether it is there.
#[derive(Clone, Copy, Debug)]
pub struct Ping<'a> {
    /// The Request-URI, which is also the URI of `To`.
    pub uri: &'a [u8],
    /// The URI of `From`.
    pub from: &'a [u8],
    /// The tag of `From`.
    pub from_tag: &'a [u8],
    /// `Call-ID`.
    pub call_id: &'a [u8],
    /// The sequence number.
    pub cseq: u32,
    /// The method, in case a peer answers another one better.
    pub method: &'a [u8],
    /// The transport it is sent over.
    pub transport: Transport,
    /// Our address in Via and Contact.
    pub sent_by: SocketAddr,
    /// The branch.
    pub branch: &'a [u8],
    /// The value of `User-Agent`; empty for none.
    pub user_agent: &'a [u8],
}

/// Writes the request of `ping`.
pub fn ping(ping: &Ping<'_>, out: &mut impl Put) {
    out.put(ping.method);
    out.put(b" ");
    out.put(ping.uri);
    out.put(b" SIP/2.0\r\nVia: SIP/2.0/");
    out.put(ping.transport.as_str().as_bytes());
    out.put(b" ");
    out.put_host_port(ping.sent_by);
    out.put(b";branch=");
    out.put(ping.branch);
    out.put(b"\r\nMax-Forwards: 70\r\nFrom: <");
    out.put(ping.from);
    out.put(b">;tag=");
    out.put(ping.from_tag);
    out.put(b"\r\nTo: <");
    out.put(ping.uri);
    out.put(b">\r\nCall-ID: ");
    out.put(ping.call_id);
    out.put(b"\r\nCSeq: ");
    out.put_number(u64::from(ping.cseq));
    out.put(b" ");
    out.put(ping.method);
    out.put(b"\r\nContact: <sip:");
    out.put_host_port(ping.sent_by);
    out.put(b">\r\nAccept: application/sdp\r\n");
    if !ping.user_agent.is_empty() {
        put_header(HeaderName::UserAgent, ping.user_agent, out);
    }
    put_body(b"", out);
}

/// The reason phrases of RFC 3261 §21 and its extensions, for the codes sent from here.
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        487 => "Request Terminated",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        _ => match status / 100 {
            1 => "Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}
