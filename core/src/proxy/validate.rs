//! What a proxy checks before it does anything with a request (RFC 3261 §16.3).

use crate::limits::{BRANCH_MAX, CALL_ID_MAX, TAG_MAX};
use crate::wire::sip::auth;
use crate::wire::sip::cseq::CSeq;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::{Header, Msg};
use crate::wire::sip::name_addr::NameAddr;
use crate::wire::sip::scan;
use crate::wire::sip::uri::Uri;
use crate::wire::sip::via::Via;

/// A request whose fields that matter are in order.
#[derive(Clone, Copy, Debug)]
pub struct Valid<'b> {
    /// The method.
    pub method: Method<'b>,
    /// The Request-URI.
    pub uri: Uri<'b>,
    /// The topmost Via.
    pub via: Via<'b>,
    /// The field it stands in.
    pub via_header: Header<'b>,
    /// `From`.
    pub from: NameAddr<'b>,
    /// `To`.
    pub to: NameAddr<'b>,
    /// `CSeq`.
    pub cseq: CSeq<'b>,
    /// `Call-ID`.
    pub call_id: &'b [u8],
    /// `Max-Forwards`, if there is one.
    pub max_forwards: Option<u8>,
}

/// Why a request is not taken, and how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invalid<'b> {
    /// The status code.
    pub status: u16,
    /// The reason phrase, which says what is wrong.
    pub reason: &'static str,
    /// For 420: the option tags that are not understood, of the first `Proxy-Require`.
    pub unsupported: Option<&'b [u8]>,
}

const fn bad(reason: &'static str) -> Invalid<'static> {
    Invalid { status: 400, reason, unsupported: None }
}

/// Checks a request. The order is that of RFC 3261 §16.3: syntax, scheme, Max-Forwards, Proxy-Require.
pub fn validate<'b>(msg: &Msg<'b>) -> Result<Valid<'b>, Invalid<'b>> {
    let (Some(method), Some(raw_uri)) = (msg.method(), msg.request_uri()) else {
        return Err(bad("Not a Request"));
    };
    let via_header = msg.header(HeaderName::Via).ok_or(bad("Missing Via"))?;
    let via = Via::parse(via_header.value).map_err(|_| bad("Malformed Via"))?;
    if !via.is_sip_2_0() {
        return Err(Invalid { status: 505, reason: "Version Not Supported", unsupported: None });
    }
    if via.port == Some(0) {
        return Err(bad("Malformed Via"));
    }
    if via.branch.is_some_and(|b| b.len() > BRANCH_MAX) {
        return Err(bad("Via Branch Too Long"));
    }
    let address =
        |name: HeaderName, reason| NameAddr::parse(msg.value(name).unwrap_or_default()).map_err(|_| bad(reason));
    let from = address(HeaderName::From, "Malformed From")?;
    let to = address(HeaderName::To, "Malformed To")?;
    if from.tag().is_some_and(|t| t.len() > TAG_MAX) || to.tag().is_some_and(|t| t.len() > TAG_MAX) {
        return Err(bad("Tag Too Long"));
    }
    let call_id = msg.value(HeaderName::CallId).unwrap_or_default();
    if call_id.is_empty() || call_id.len() > CALL_ID_MAX {
        return Err(bad("Malformed Call-ID"));
    }
    let cseq = CSeq::parse(msg.value(HeaderName::CSeq).unwrap_or_default()).map_err(|_| bad("Malformed CSeq"))?;
    if cseq.method != method {
        return Err(bad("CSeq Method Mismatch"));
    }
    check_credentials(msg)?;
    let uri = Uri::parse(raw_uri).map_err(|_| bad("Malformed Request-URI"))?;
    if !uri.scheme.is_sip() && !uri.scheme.is_tel() {
        return Err(Invalid { status: 416, reason: "Unsupported URI Scheme", unsupported: None });
    }
    let max_forwards = match msg.value(HeaderName::MaxForwards) {
        None => None,
        Some(digits) => {
            Some(scan::number(digits).and_then(|n| u8::try_from(n).ok()).ok_or(bad("Malformed Max-Forwards"))?)
        }
    };
    if max_forwards == Some(0) {
        return Err(Invalid { status: 483, reason: "Too Many Hops", unsupported: None });
    }
    if let Some(tags) = msg.headers_named(HeaderName::ProxyRequire).map(|h| h.value).find(|t| !t.is_empty())
        && !matches!(method, Method::Ack | Method::Cancel)
    {
        return Err(Invalid { status: 420, reason: "Bad Extension", unsupported: Some(tags) });
    }
    Ok(Valid { method, uri, via, via_header, from, to, cseq, call_id, max_forwards })
}

/// Digest credentials that cannot be read would be read differently by whoever checks them.
fn check_credentials(msg: &Msg<'_>) -> Result<(), Invalid<'static>> {
    for name in [HeaderName::Authorization, HeaderName::ProxyAuthorization] {
        for h in msg.headers_named(name) {
            let digest = h.value.get(..7).is_some_and(|s| s.eq_ignore_ascii_case(b"Digest "));
            if digest && auth::Credentials::parse(h.value).is_err() {
                return Err(bad("Malformed Credentials"));
            }
        }
    }
    Ok(())
}
