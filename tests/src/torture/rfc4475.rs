//! RFC 4475 §3, row by row.

use super::Case;
use super::Expect::{Accept, AcceptOrReject, Discard, Incomplete, Reject};

macro_rules! row {
    ($($field:tt)*) => { super::case!(Rfc4475, "rfc4475", $($field)*) };
}

#[rustfmt::skip]
pub(super) static CASES: &[Case] = &[
    // Valid messages.
    row!("wsinv", "3.1.1.1", valid, Accept, "folding, white space, short forms and unknown fields are all legal"),
    row!("intmeth", "3.1.1.2", valid, Accept, "every character a token allows, and NUL, BEL and DEL as quoted-pair"),
    row!("esc01", "3.1.1.3", valid, Accept, "% escapes in a URI stand for the character, even for % itself"),
    row!("escnull", "3.1.1.4", valid, Accept, "an escaped NUL does not end the user part"),
    row!("esc02", "3.1.1.5", valid, Accept, "% is no escape in a method, a field name or a display name"),
    row!("lwsdisp", "3.1.1.6", valid, Accept, "a display name may touch its angle bracket"),
    row!("longreq", "3.1.1.7", valid, Accept, "long values and 34 Via values; the Call-ID has 141 bytes, the tag 155, the branch 215"),
    row!("dblreq", "3.1.1.8", valid, Accept, "what follows the body in a datagram is not looked at; on a stream it is the next request"),
    row!("semiuri", "3.1.1.9", valid, Accept, "a semicolon in the user part starts no URI parameter"),
    row!("transports", "3.1.1.10", valid, Accept, "any token may stand for a transport in Via"),
    row!("mpart01", "3.1.1.11", valid, Accept, "a multipart body with binary in it passes untouched"),
    row!("unreason", "3.1.1.12", valid, Discard, "a reason phrase may hold UTF-8; the top Via is not ours, so the response goes nowhere"),
    row!("noreason", "3.1.1.13", valid, Discard, "a reason phrase may be empty; the top Via is not ours, so the response goes nowhere"),

    // Invalid messages.
    row!("badinv01", "3.1.2.1", invalid, Reject(&[400]), "separators without values in Via and Contact"),
    row!("clerr", "3.1.2.2", invalid, Reject(&[400]), "Content-Length is larger than what the datagram holds; a stream waits for the rest").stream(Incomplete),
    row!("ncl", "3.1.2.3", invalid, Reject(&[400]), "a negative Content-Length; a stream has lost its framing").closes(),
    row!("scalar02", "3.1.2.4", invalid, Reject(&[400]), "CSeq over its range; Max-Forwards and expires, over theirs, could be ignored"),
    row!("scalarlg", "3.1.2.5", invalid, Discard, "numbers over their range in a response"),
    row!("quotbal", "3.1.2.6", invalid, AcceptOrReject(&[400]), "a quoted string in To that does not end; an element may guess where"),
    row!("ltgtruri", "3.1.2.7", invalid, AcceptOrReject(&[400]), "angle brackets around the Request-URI; not to be sent on"),
    row!("lwsruri", "3.1.2.8", invalid, AcceptOrReject(&[400]), "white space within the Request-URI; not to be sent on"),
    row!("lwsstart", "3.1.2.9", invalid, AcceptOrReject(&[400]), "more than one space between the parts of the start line; not to be sent on"),
    row!("trws", "3.1.2.10", invalid, AcceptOrReject(&[400]), "spaces after the version; not to be sent on"),
    row!("escruri", "3.1.2.11", invalid, AcceptOrReject(&[400]), "header fields in the Request-URI: never sent on, never made into fields"),
    row!("baddate", "3.1.2.12", invalid, AcceptOrReject(&[400]), "Date is not in GMT; of no concern unless it is used"),
    row!("regbadct", "3.1.2.13", invalid, AcceptOrReject(&[400]), "a Contact URI with ? needs angle brackets"),
    row!("badaspec", "3.1.2.14", invalid, AcceptOrReject(&[400]), "spaces within the angle brackets of To"),
    row!("baddn", "3.1.2.15", invalid, AcceptOrReject(&[400]), "a display name with a comma needs quotes"),
    row!("badvers", "3.1.2.16", invalid, Reject(&[505]), "SIP/7.0"),
    row!("mismatch01", "3.1.2.17", invalid, Reject(&[400]), "OPTIONS with the method INVITE in CSeq"),
    row!("mismatch02", "3.1.2.18", invalid, Reject(&[400, 501]), "an unknown method with another in CSeq; 501 is the better answer"),
    row!("bigcode", "3.1.2.19", invalid, Discard, "a status code of ten digits"),

    // Transaction layer semantics.
    row!("badbranch", "3.2.1", valid, AcceptOrReject(&[400]), "a branch that is the cookie and nothing more: match as RFC 2543 does, or refuse"),

    // Application-layer semantics.
    row!("insuf", "3.3.1", invalid, Reject(&[400]), "no Call-ID, From or To"),
    row!("unkscm", "3.3.2", valid, Reject(&[416]), "a Request-URI of unknown scheme; To does not help to route it"),
    row!("novelsc", "3.3.3", valid, Reject(&[404, 416]), "a registered scheme that SIP has no use for"),
    row!("unksm2", "3.3.4", valid, AcceptOrReject(&[400]), "other schemes in To, From and Contact: a proxy does not mind, a registrar refuses"),
    row!("bext01", "3.3.5", valid, Reject(&[420]), "Proxy-Require names extensions that nobody has; Unsupported lists them, and only them"),
    row!("invut", "3.3.6", valid, Accept, "an unknown body type is for the endpoint to refuse (415)"),
    row!("regaut01", "3.3.7", valid, Accept, "an unknown authentication scheme counts as no credentials"),
    row!("multi01", "3.3.8", invalid, Reject(&[400]), "Call-ID, CSeq, From, To and Max-Forwards twice (and a length two bytes over its body)").datagram_only(),
    row!("mcl01", "3.3.9", invalid, Reject(&[400]), "two Content-Length values; a stream has lost its framing").closes(),
    row!("bcast", "3.3.10", valid, Discard, "a response that would go on to the broadcast address"),
    row!("zeromf", "3.3.11", valid, Reject(&[483]), "Max-Forwards is used up"),
    row!("cparam01", "3.3.12", valid, Accept, "without angle brackets the parameter is Contact's"),
    row!("cparam02", "3.3.13", valid, Accept, "within angle brackets the parameter is the URI's"),
    row!("regescrt", "3.3.14", valid, Accept, "header fields in a Contact URI are part of it"),
    row!("sdp01", "3.3.15", valid, Accept, "an Accept that excludes SDP is for the endpoint to refuse (406)"),

    // Backward compatibility.
    row!("inv2543", "3.4.1", valid, Accept, "no branch, no From tag, no Max-Forwards, no Content-Length: RFC 2543, over UDP").datagram_only(),
];
