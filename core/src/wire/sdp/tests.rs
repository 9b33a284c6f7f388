use alloc::string::String;
use alloc::vec::Vec;
use std::format;

use proptest::prelude::*;

use super::attribute::RtcpAddress;
use super::*;
use crate::wire::sip::token::Text;

/// RFC 8866 §5, with a few lines that senders add.
const EXAMPLE: &[u8] = b"v=0\r\n\
    o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1\r\n\
    s=Call to John Smith\r\n\
    i=SDP Offer #1\r\n\
    c=IN IP4 198.51.100.1\r\n\
    t=0 0\r\n\
    a=recvonly\r\n\
    a=tool:x\r\n\
    m=audio 49170 RTP/AVP 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=sendrecv\r\n\
    m=audio 49180/2 RTP/AVP 0\r\n\
    m=video 51372 RTP/SAVPF 99\r\n\
    c=IN IP6 2001:db8::2\r\n\
    a=rtcp:53020 IN IP6 2001:db8::3\r\n\
    a=rtpmap:99 h263-1998/90000\r\n\
    m=image 4000 udptl t38\r\n\
    m=application 9 TCP/MRCPv2 1\r\n";

fn kind_of(text: &str) -> ParseErrorKind {
    Sdp::parse(text.as_bytes()).unwrap_err().kind
}

#[test]
fn a_description_is_read() {
    let sdp = Sdp::parse(EXAMPLE).unwrap();
    let origin = sdp.origin().unwrap();
    assert_eq!((origin.username, origin.version), (&b"jdoe"[..], &b"3724394405"[..]));
    assert_eq!(sdp.connection().unwrap().ip, Some("198.51.100.1".parse().unwrap()));
    assert_eq!(sdp.direction(), Some(Direction::RecvOnly));
    assert_eq!(sdp.attributes().map(|a| a.text).collect::<Vec<_>>(), [&b"recvonly"[..], b"tool:x"]);
    let media: Vec<_> = sdp.media().collect();
    assert_eq!(
        media.iter().map(|m| (m.kind(), m.port(), m.port_count(), m.protocol())).collect::<Vec<_>>(),
        [
            (&b"audio"[..], 49170, None, Some(Protocol::Avp)),
            (b"audio", 49180, Some(2), Some(Protocol::Avp)),
            (b"video", 51372, None, Some(Protocol::Savpf)),
            (b"image", 4000, None, Some(Protocol::Udptl)),
            (b"application", 9, None, None),
        ]
    );
    assert_eq!(media[0].formats().collect::<Vec<_>>(), [&b"0"[..], b"101"]);
    assert_eq!(media[4].protocol_text(), b"TCP/MRCPv2");
    let directions: Vec<_> = media.iter().map(|m| sdp.direction_of(m)).collect();
    assert_eq!(directions[..2], [Direction::SendRecv, Direction::RecvOnly]);
    assert_eq!(sdp.connection_of(&media[1]).unwrap().text, b"198.51.100.1");
    assert_eq!(sdp.connection_of(&media[2]).unwrap().ip, Some("2001:db8::2".parse().unwrap()));
    let rtcp = RtcpAddress::parse(media[2].attribute(b"rtcp").unwrap().value()).unwrap();
    assert_eq!(rtcp, RtcpAddress { port: 53020, ip: Some("2001:db8::3".parse().unwrap()) });
}

#[test]
fn sections_cover_the_description_without_gaps() {
    let sdp = Sdp::parse(EXAMPLE).unwrap();
    let mut at = sdp.session_end();
    for media in sdp.media() {
        assert_eq!(media.start(), at);
        assert!(EXAMPLE[at..].starts_with(b"m="));
        at = media.end();
        let in_line = |r: core::ops::Range<usize>| String::from_utf8_lossy(&EXAMPLE[r]).into_owned();
        assert!(in_line(media.ports_at()).starts_with(&format!("{}", media.port())));
        assert_eq!(in_line(media.protocol_at()).as_bytes(), media.protocol_text());
    }
    assert_eq!(at, EXAMPLE.len());
}

#[test]
fn what_does_not_matter_is_let_pass() {
    for text in [
        "v=0\n",
        "v=0",
        "v=0\r\ns=-\r\nm=audio 1 RTP/AVP",
        "v=0\r\n\r\ns=-\r\n",
        "v=0\r\nz=unknown\r\nX=unknown\r\nt=0 0\r\no=a 1 1 IN IP4 h.example\r\n",
        "v=0\r\nc=IN IP4 h.example\r\nm=audio  1   RTP/AVP  0 \r\n",
        "v=0\r\nc=IN IP4 224.2.1.1/127/3\r\n",
        "v=0\r\nc=ATM NSAP x\r\n",
        "v=0\r\nm=audio 0 x y z\r\na=\r\na=:\r\na=:x\r\n",
        "v=0\r\nm=audio 1 RTP/AVP 0\r",
        "v=0\r\ns=\r\n",
    ] {
        assert!(Sdp::parse(text.as_bytes()).is_ok(), "{:?}: {:?}", text, Sdp::parse(text.as_bytes()).unwrap_err());
    }
}

#[test]
fn what_two_readers_could_see_differently_is_refused() {
    use ParseErrorKind as Kind;
    for (text, kind) in [
        ("", Kind::Syntax("v=")),
        ("\r\n", Kind::Syntax("v=")),
        ("v=1\r\n", Kind::Syntax("v=")),
        ("o=a 1 1 IN IP4 h\r\n", Kind::Syntax("v=")),
        ("hello", Kind::Syntax("line")),
        ("v=0\r\nhello\r\n", Kind::Syntax("line")),
        ("v=0\r\n a=x\r\n", Kind::Syntax("line")),
        ("v=0\r\na=x\ry=z\r\n", Kind::ControlByte),
        ("v=0\r\na=x\0y\r\n", Kind::ControlByte),
        ("v=0\r\no=a 1 IN IP4 h\r\n", Kind::Syntax("o=")),
        ("v=0\r\no=a 1 1 IN IP4 h x\r\n", Kind::Syntax("o=")),
        ("v=0\r\no=a 1 1 IN IP4 h\r\no=a 1 1 IN IP4 h\r\n", Kind::Duplicate("o=")),
        ("v=0\r\nc=IN IP4 1.2.3.4\r\nc=IN IP4 1.2.3.4\r\n", Kind::Duplicate("c=")),
        ("v=0\r\nc=IN IP4\r\n", Kind::Syntax("c=")),
        ("v=0\r\nc=IN IP4 ::1\r\n", Kind::Syntax("c=")),
        ("v=0\r\nc=IN IP6 1.2.3.4\r\n", Kind::Syntax("c=")),
        ("v=0\r\nc=IN IP4 1.2.3.256\r\n", Kind::Syntax("c=")),
        ("v=0\r\nm=audio 1 RTP/AVP 0\r\nc=IN IP4 1.2.3\r\n", Kind::Syntax("c=")),
        ("v=0\r\nm=audio\r\n", Kind::Syntax("m=")),
        ("v=0\r\nm=audio 1\r\n", Kind::Syntax("m=")),
        ("v=0\r\nm=audio 65536 RTP/AVP 0\r\n", Kind::Number),
        ("v=0\r\nm=audio -1 RTP/AVP 0\r\n", Kind::Number),
        ("v=0\r\nm=audio 1/x RTP/AVP 0\r\n", Kind::Number),
        ("v=0\r\nm=audio 1/ RTP/AVP 0\r\n", Kind::Number),
    ] {
        assert_eq!(kind_of(text), kind, "{text:?}");
    }
}

#[test]
fn errors_say_where() {
    let error = |text: &str| Sdp::parse(text.as_bytes()).unwrap_err().at;
    assert_eq!(error("v=0\r\nm=audio 70000 RTP/AVP 0\r\n"), 13);
    assert_eq!(error("v=0\r\na=x\0\r\n"), 8);
    assert_eq!(error("v=0\r\nhello\r\n"), 5);
}

#[test]
fn limits_have_their_errors() {
    let line = "m=audio 1 RTP/AVP 0\r\n";
    let full = format!("v=0\r\n{}", line.repeat(MEDIA_MAX));
    assert_eq!(Sdp::parse(full.as_bytes()).unwrap().media().len(), MEDIA_MAX);
    let over = format!("{full}{line}");
    let error = Sdp::parse(over.as_bytes()).unwrap_err();
    assert_eq!((error.kind, error.at), (ParseErrorKind::TooLong, full.len()));
    assert_eq!(kind_of(&format!("v=0\r\n{}", line.repeat(3_000))), ParseErrorKind::TooLong);
    let filled = |n: usize| format!("v=0\r\ns={}", "x".repeat(n - 7));
    assert!(Sdp::parse(filled(SDP_MAX).as_bytes()).is_ok());
    let error = Sdp::parse(filled(SDP_MAX + 1).as_bytes()).map(|_| ()).unwrap_err();
    assert_eq!((error.kind, error.at), (ParseErrorKind::TooLong, SDP_MAX));
}

#[test]
fn directions_follow_the_tables() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    assert_eq!(
        [SendRecv, SendOnly, RecvOnly, Inactive].map(Direction::reversed),
        [SendRecv, RecvOnly, SendOnly, Inactive]
    );
    // RFC 3264 §6.1: rows are offers, columns what the answerer wants.
    let wanted = [SendRecv, SendOnly, RecvOnly, Inactive];
    for (offer, answers) in [
        (SendRecv, wanted),
        (SendOnly, [RecvOnly, Inactive, RecvOnly, Inactive]),
        (RecvOnly, [SendOnly, SendOnly, Inactive, Inactive]),
        (Inactive, [Inactive; 4]),
    ] {
        assert_eq!(wanted.map(|w| offer.answer(w)), answers, "{offer:?}");
    }
    for d in wanted {
        assert_eq!(Direction::parse(d.as_str().as_bytes()), Some(d));
        assert_eq!(Direction::new(d.sends(), d.receives()), d);
    }
    assert_eq!(Direction::parse(b"SENDRECV"), None);
}

#[test]
fn payload_maps_are_read() {
    let map =
        |text: &'static str| RtpMap::parse(text.as_bytes()).map(|m| (m.payload_type, m.clock_rate_hz, m.channels));
    assert_eq!(map("96 opus/48000/2"), Some((96, 48_000, 2)));
    assert_eq!(map("0 PCMU/8000"), Some((0, 8_000, 1)));
    for bad in ["", "96", "128 x/1", "96 opus", "96 /8000", "96 opus/x", "96 opus/48000/999", "x opus/1"] {
        assert_eq!(map(bad), None, "{bad}");
    }
    assert_eq!(RtpMap::of_static(18).unwrap().encoding, b"G729");
    assert_eq!(RtpMap::of_static(96), None);
}

#[test]
fn rtcp_addresses_are_read() {
    let read = |text: &'static str| RtcpAddress::parse(text.as_bytes());
    assert_eq!(read("53020"), Some(RtcpAddress { port: 53020, ip: None }));
    for bad in ["", "70000", "x", "1 IN", "1 IN IP4"] {
        assert_eq!(read(bad), None, "{bad}");
    }
    assert_eq!(read("1 IN IP4 h.example").unwrap().ip, None);
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(lines in prop::collection::vec("[vocsmtaXa]=?[ -~]{0,20}", 0..20), raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = b"v=0\r\n".to_vec();
        for line in lines {
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(&raw);
        match Sdp::parse(&bytes) {
            Err(error) => prop_assert!(error.at <= bytes.len(), "{error} of {:?}", Text(&bytes)),
            Ok(sdp) => {
                let mut end = sdp.session_end();
                for media in sdp.media() {
                    prop_assert!(media.start() == end && media.end() > end);
                    end = media.end();
                    for line in media.lines() {
                        prop_assert!(line.start() < line.value_start() && line.value_end() <= line.end());
                    }
                }
            }
        }
    }
}
