//! The response chosen among those that are kept, with the challenges of all branches (RFC 3261 §16.7 step 7).

use super::fork::BRANCHES_MAX;
use crate::store::{Buf, BufPool};
use crate::wire::sip::edit::Draft;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::put::Put;

/// The final responses kept from branches: branch, status code, bytes.
pub type Kept = heapless::Vec<(u8, u16, Buf), BRANCHES_MAX>;

/// Writes the response kept from `branch`; gives its status code, or `None` if there is none. A 401 or 407 takes with it
/// what the other branches ask for, as the caller can answer all of them in one request, as far as there is room.
#[inline(never)]
pub fn write_kept(kept: &Kept, branch: u8, bufs: &BufPool<'_>, out: &mut impl Put) -> Option<u16> {
    let (_, status, best) = kept.iter().find(|(b, _, _)| *b == branch)?;
    let bytes = bufs.bytes(best);
    let others = || kept.iter().filter(|(b, status, _)| *b != branch && matches!(status, 401 | 407));
    if !matches!(status, 401 | 407) || others().next().is_none() {
        out.put(bytes);
        return Some(*status);
    }
    let Ok(msg) = Msg::parse(bytes) else {
        out.put(bytes);
        return Some(*status);
    };
    let mut draft = Draft::new(&msg);
    for other in others().filter_map(|(_, _, buf)| Msg::parse(bufs.bytes(buf)).ok()) {
        for name in [HeaderName::WwwAuthenticate, HeaderName::ProxyAuthenticate] {
            for challenge in other.headers_named(name) {
                // Borrowed, so that only the number of edits bounds it.
                let _ = draft.insert_header(None, name, |i| i.borrowed(challenge.value));
            }
        }
    }
    draft.serialise(&[], out);
    Some(*status)
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use std::string::String;
    use std::vec;

    use super::*;
    use crate::store::Slots;
    use crate::wire::sip::put::Writer;

    fn response(status: &str, headers: &str) -> String {
        std::format!(
            "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
             To: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        )
    }

    fn chosen(responses: &[(u16, String)], branch: u8) -> (Option<u16>, String) {
        let mut pool = BufPool::new("test");
        pool.add_class(1_024, Slots::reserved(8 * 1_024)).unwrap();
        let mut kept = Kept::new();
        for (n, (status, text)) in responses.iter().enumerate() {
            kept.push((n as u8, *status, pool.alloc_copy(text.as_bytes()).unwrap())).unwrap();
        }
        let mut room = vec![0; 4_096];
        let mut writer = Writer::new(&mut room);
        let status = write_kept(&kept, branch, &pool, &mut writer);
        (status, String::from_utf8(writer.finish().unwrap().to_vec()).unwrap())
    }

    #[test]
    fn a_challenge_takes_those_of_the_others_with_it() {
        let responses = [
            (401, response("401 Unauthorized", "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\"\r\n")),
            (404, response("404 Not Found", "")),
            (
                407,
                response(
                    "407 Proxy Authentication Required",
                    "Proxy-Authenticate: Digest realm=\"b\", nonce=\"2\"\r\nProxy-Authenticate: Digest realm=\"c\", nonce=\"3\"\r\n",
                ),
            ),
        ];
        let (status, text) = chosen(&responses, 0);
        assert_eq!(status, Some(401));
        let challenges: vec::Vec<_> = text.lines().filter(|l| l.contains("-Authenticate:")).collect();
        assert_eq!(
            challenges,
            [
                "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\"",
                "Proxy-Authenticate: Digest realm=\"b\", nonce=\"2\"",
                "Proxy-Authenticate: Digest realm=\"c\", nonce=\"3\"",
            ]
        );
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn every_other_response_stays_as_it_is() {
        let responses = [
            (404, response("404 Not Found", "")),
            (401, response("401 Unauthorized", "WWW-Authenticate: Basic x=1\r\n")),
        ];
        assert_eq!(chosen(&responses, 0), (Some(404), responses[0].1.clone()));
        assert_eq!(chosen(&responses, 1), (Some(401), responses[1].1.clone()));
        assert_eq!(chosen(&responses, 5).0, None);
    }
}
