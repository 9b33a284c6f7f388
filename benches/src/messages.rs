//! The messages that are parsed.

macro_rules! lines {
    ($($line:literal)*) => { concat!($($line, "\r\n",)*) };
}

/// An INVITE with SDP as a softphone sends it, 698 bytes.
pub const INVITE: &[u8] = lines!(
    "INVITE sip:service@198.51.100.10:5060 SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-4711-1-0"
    "Max-Forwards: 70"
    "From: \"caller\" <sip:caller1@192.0.2.20:5080>;tag=4711c1"
    "To: <sip:service@198.51.100.10:5060>"
    "Call-ID: 1-4711@192.0.2.20"
    "CSeq: 1 INVITE"
    "Contact: <sip:caller1@192.0.2.20:5080>"
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE"
    "Supported: timer, replaces"
    "User-Agent: bench-uac"
    "Subject: bench1"
    "Content-Type: application/sdp"
    "Content-Length: 224"
    ""
    "v=0"
    "o=caller 53655765 2353687637 IN IP4 192.0.2.20"
    "s=-"
    "c=IN IP4 192.0.2.20"
    "t=0 0"
    "m=audio 6000 RTP/AVP 0 8 101"
    "a=rtpmap:0 PCMU/8000"
    "a=rtpmap:8 PCMA/8000"
    "a=rtpmap:101 telephone-event/8000"
    "a=fmtp:101 0-16"
    "a=sendrecv"
)
.as_bytes();

/// A REGISTER with credentials.
pub const REGISTER: &[u8] = lines!(
    "REGISTER sip:example.com SIP/2.0"
    "Via: SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-4711-2-0;rport"
    "Max-Forwards: 70"
    "From: <sip:alice@example.com>;tag=4711r2"
    "To: <sip:alice@example.com>"
    "Call-ID: 2-4711@192.0.2.20"
    "CSeq: 2 REGISTER"
    "Contact: <sip:alice@192.0.2.20:5080>;expires=3600"
    "Authorization: Digest username=\"alice\", realm=\"example.com\", nonce=\"d2f1c0ffee\", uri=\"sip:example.com\", \
     response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"0a4f113b\""
    "Expires: 3600"
    "User-Agent: bench-ua"
    "Content-Length: 0"
    ""
)
.as_bytes();

/// A 200 to an INVITE that came through two proxies, with SDP.
pub const OK: &[u8] = lines!(
    "SIP/2.0 200 OK"
    "Via: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKaeaaaaaaaaaaaaaaaaabmb5ykl6lqn5vdx3sxqqr2y;rport=5060"
    "Via: SIP/2.0/UDP 192.0.2.20:5080;branch=z9hG4bK-4711-1-0"
    "Record-Route: <sip:198.51.100.10:5060;lr=on;ftag=4711c1>"
    "From: \"caller\" <sip:caller1@192.0.2.20:5080>;tag=4711c1"
    "To: <sip:service@198.51.100.10:5060>;tag=815s1"
    "Call-ID: 1-4711@192.0.2.20"
    "CSeq: 1 INVITE"
    "Contact: <sip:203.0.113.1:5071>"
    "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS"
    "Content-Type: application/sdp"
    "Content-Length: 146"
    ""
    "v=0"
    "o=callee 53655765 2353687637 IN IP4 203.0.113.1"
    "s=-"
    "c=IN IP4 203.0.113.1"
    "t=0 0"
    "m=audio 6000 RTP/AVP 0"
    "a=rtpmap:0 PCMU/8000"
    "a=sendrecv"
)
.as_bytes();

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_core::wire::sip::msg::Msg;

    #[test]
    fn they_are_whole() {
        assert_eq!(INVITE.len(), 698);
        for bytes in [INVITE, REGISTER, OK] {
            let msg = Msg::parse(bytes).expect("a valid message");
            assert_eq!(msg.bytes().len(), bytes.len(), "Content-Length covers the body");
        }
    }
}
