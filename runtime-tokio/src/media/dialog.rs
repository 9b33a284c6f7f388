//! A dialog as a user agent holds it (RFC 3261 §12).

use std::net::SocketAddr;

use trunkline_core::wire::sip::cseq::CSeq;
use trunkline_core::wire::sip::header_name::HeaderName;
use trunkline_core::wire::sip::host::Host;
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::name_addr::{NameAddr, NameAddrs};
use trunkline_core::wire::sip::put::Put;
use trunkline_core::wire::sip::route::routes;
use trunkline_core::wire::sip::uri::Uri;

/// Longest route set taken.
const ROUTES_MAX: usize = 32;

/// Bytes that grow as they are written.
#[derive(Debug, Default)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Put for Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// The state of a dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: Vec<u8>,
    /// Our address with our tag, as From of our requests has it.
    local: Vec<u8>,
    /// The peer's address with its tag.
    remote: Vec<u8>,
    pub(super) remote_tag: Vec<u8>,
    /// URIs of the route set, the next hop first.
    route_set: Vec<Vec<u8>>,
    /// The remote target.
    target: Vec<u8>,
    pub(super) local_cseq: u32,
    pub(super) remote_cseq: Option<u32>,
    /// Where to send if the next hop is a name.
    peer: SocketAddr,
}

/// A request within a dialog, in outline.
pub(super) struct Outline<'a> {
    pub(super) method: &'a str,
    pub(super) cseq: u32,
    /// Our address in Via and Contact.
    pub(super) sent_by: SocketAddr,
    pub(super) branch: &'a str,
}

impl Dialog {
    /// The dialog that our response to `invite` makes (§12.1.1). `None` without what a dialog needs.
    pub(super) fn accept(invite: &Msg<'_>, local_tag: &str, peer: SocketAddr) -> Option<Self> {
        let mut local = invite.value(HeaderName::To)?.to_vec();
        local.extend_from_slice(b";tag=");
        local.extend_from_slice(local_tag.as_bytes());
        let remote = invite.value(HeaderName::From)?;
        Some(Self {
            call_id: invite.value(HeaderName::CallId)?.to_vec(),
            local,
            remote: remote.to_vec(),
            remote_tag: tag_of(remote)?.to_vec(),
            route_set: record_route(invite)?,
            target: contact(invite)?,
            local_cseq: 0,
            remote_cseq: Some(cseq_of(invite)?),
            peer,
        })
    }

    /// The dialog that `response` makes of our INVITE, which went to `peer` (§12.1.2).
    pub(super) fn establish(response: &Msg<'_>, peer: SocketAddr) -> Option<Self> {
        let remote = response.value(HeaderName::To)?;
        let mut route_set = record_route(response)?;
        route_set.reverse();
        Some(Self {
            call_id: response.value(HeaderName::CallId)?.to_vec(),
            local: response.value(HeaderName::From)?.to_vec(),
            remote: remote.to_vec(),
            remote_tag: tag_of(remote)?.to_vec(),
            route_set,
            target: contact(response)?,
            local_cseq: cseq_of(response)?,
            remote_cseq: None,
            peer,
        })
    }

    /// Whether `request` of the peer belongs here; our tag was compared before.
    pub(super) fn owns(&self, request: &Msg<'_>) -> bool {
        request.value(HeaderName::CallId) == Some(&self.call_id)
            && request.value(HeaderName::From).and_then(tag_of) == Some(&self.remote_tag)
    }

    /// Takes the sequence number of a request of the peer; `false` if it is out of order (§12.2.2).
    pub(super) fn advance(&mut self, request: &Msg<'_>) -> bool {
        let number = cseq_of(request);
        let fresh = number.is_some() && self.remote_cseq < number;
        if fresh {
            self.remote_cseq = number;
        }
        fresh
    }

    /// Takes the Contact of a target refresh request (§12.2.2).
    pub(super) fn refresh(&mut self, request: &Msg<'_>) {
        if let Some(target) = contact(request) {
            self.target = target;
        }
    }

    /// Where the remote target is, if it is an address.
    pub(super) fn target_address(&self) -> Option<SocketAddr> {
        address_of(&self.target)
    }

    /// Where requests go: the first route, or the target (§8.1.2).
    pub(super) fn next_hop(&self) -> SocketAddr {
        address_of(self.route_set.first().unwrap_or(&self.target)).unwrap_or(self.peer)
    }

    /// Writes a request without a body (§12.2.1.1).
    pub(super) fn request(&self, outline: &Outline<'_>) -> Vec<u8> {
        let mut out = Bytes(Vec::with_capacity(512));
        let strict = self.route_set.first().is_some_and(|r| !Uri::parse(r).is_ok_and(|u| u.is_loose_router()));
        // A strict router finds itself in the Request-URI, and the target at the end of the route (§12.2.1.1).
        let (uri, routes, last) = match self.route_set.split_first() {
            Some((first, rest)) if strict => (first, rest, Some(&self.target)),
            _ => (&self.target, self.route_set.as_slice(), None),
        };
        out.put(outline.method.as_bytes());
        out.put(b" ");
        out.put(uri);
        out.put(b" SIP/2.0\r\nVia: SIP/2.0/UDP ");
        out.put_host_port(outline.sent_by);
        out.put(b";rport;branch=");
        out.put(outline.branch.as_bytes());
        out.put(b"\r\nMax-Forwards: 70\r\n");
        for route in routes.iter().chain(last) {
            out.put(b"Route: <");
            out.put(route);
            out.put(b">\r\n");
        }
        out.put(b"From: ");
        out.put(&self.local);
        out.put(b"\r\nTo: ");
        out.put(&self.remote);
        out.put(b"\r\nCall-ID: ");
        out.put(&self.call_id);
        out.put(b"\r\nCSeq: ");
        out.put_number(u64::from(outline.cseq));
        out.put(b" ");
        out.put(outline.method.as_bytes());
        out.put(b"\r\nContent-Length: 0\r\n\r\n");
        out.0
    }
}

/// The tag of a From or To value.
pub(super) fn tag_of(value: &[u8]) -> Option<&[u8]> {
    NameAddr::parse(value).ok()?.tag()
}

/// The sequence number of a message.
pub(super) fn cseq_of(msg: &Msg<'_>) -> Option<u32> {
    CSeq::parse(msg.value(HeaderName::CSeq)?).ok().map(|c| c.number)
}

fn contact(msg: &Msg<'_>) -> Option<Vec<u8>> {
    let address = NameAddrs::new(msg.value(HeaderName::Contact)?).next()?.ok()?;
    Uri::parse(address.uri).ok().filter(|u| u.scheme.is_sip()).map(|u| u.raw.to_vec())
}

/// The URIs of Record-Route, top to bottom; `None` if one is malformed or there are too many.
fn record_route(msg: &Msg<'_>) -> Option<Vec<Vec<u8>>> {
    let values = msg.headers_named(HeaderName::RecordRoute).map(|h| h.value);
    let set: Result<Vec<_>, _> = routes(values).map(|r| r.map(|(_, r)| r.address.uri.to_vec())).collect();
    set.ok().filter(|set| set.len() <= ROUTES_MAX)
}

fn address_of(uri: &[u8]) -> Option<SocketAddr> {
    let uri = Uri::parse(uri).ok()?;
    let host = uri.maddr().or(uri.host)?;
    match host {
        Host::Name(_) => None,
        _ => host.ip().map(|ip| SocketAddr::new(ip, uri.port_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "192.0.2.50:5060";

    fn ok(routes: &str) -> Dialog {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n{routes}From: <sip:a@x>;tag=1\r\n\
             To: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 4 INVITE\r\nContact: <sip:b@192.0.2.9:5070>\r\n\r\n"
        );
        Dialog::establish(&Msg::parse(text.as_bytes()).unwrap(), PEER.parse().unwrap()).unwrap()
    }

    fn bye(dialog: &Dialog) -> String {
        let outline =
            Outline { method: "BYE", cseq: 5, sent_by: "192.0.2.1:5080".parse().unwrap(), branch: "z9hG4bK9" };
        String::from_utf8(dialog.request(&outline)).unwrap()
    }

    #[test]
    fn the_caller_reverses_the_recorded_route() {
        let dialog =
            ok("Record-Route: <sip:192.0.2.3;lr>, <sip:192.0.2.2:5062;lr>\r\nRecord-Route: <sip:p1.example;lr>\r\n");
        assert_eq!(dialog.next_hop(), PEER.parse().unwrap(), "the first hop is a name");
        let bye = bye(&dialog);
        assert!(bye.starts_with("BYE sip:b@192.0.2.9:5070 SIP/2.0\r\n"), "{bye}");
        assert!(
            bye.contains(
                "Route: <sip:p1.example;lr>\r\nRoute: <sip:192.0.2.2:5062;lr>\r\nRoute: <sip:192.0.2.3;lr>\r\n"
            ),
            "{bye}"
        );
        assert!(bye.contains("From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: c\r\nCSeq: 5 BYE\r\n"), "{bye}");
    }

    #[test]
    fn a_strict_router_stands_in_the_request_uri() {
        let dialog = ok("Record-Route: <sip:192.0.2.3;lr>\r\nRecord-Route: <sip:192.0.2.2>\r\n");
        assert_eq!(dialog.next_hop(), "192.0.2.2:5060".parse().unwrap());
        let bye = bye(&dialog);
        assert!(bye.starts_with("BYE sip:192.0.2.2 SIP/2.0\r\n"), "{bye}");
        assert!(bye.contains("Route: <sip:192.0.2.3;lr>\r\nRoute: <sip:b@192.0.2.9:5070>\r\n"), "{bye}");
    }

    #[test]
    fn without_a_route_requests_go_to_the_contact() {
        let dialog = ok("");
        assert_eq!(dialog.next_hop(), "192.0.2.9:5070".parse().unwrap());
        assert!(!bye(&dialog).contains("Route:"));
    }

    #[test]
    fn the_callee_keeps_the_order_and_the_sequence() {
        let invite = |cseq: u32| {
            format!(
                "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nRecord-Route: <sip:192.0.2.3;lr>\r\n\
                 Record-Route: <sip:192.0.2.2;lr>\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\n\
                 CSeq: {cseq} INVITE\r\nContact: <sip:a@192.0.2.1>\r\n\r\n"
            )
        };
        let text = invite(7);
        let mut dialog = Dialog::accept(&Msg::parse(text.as_bytes()).unwrap(), "t", PEER.parse().unwrap()).unwrap();
        assert_eq!(dialog.next_hop(), "192.0.2.3:5060".parse().unwrap());
        assert!(bye(&dialog).contains("From: <sip:b@x>;tag=t\r\nTo: <sip:a@x>;tag=1\r\n"));
        for (cseq, fresh) in [(7, false), (6, false), (8, true), (8, false)] {
            let text = invite(cseq);
            assert_eq!(dialog.advance(&Msg::parse(text.as_bytes()).unwrap()), fresh, "{cseq}");
        }
    }
}
