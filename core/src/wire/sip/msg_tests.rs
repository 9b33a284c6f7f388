use std::string::String;
use std::vec::Vec;

use super::*;

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n\
    v: SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n\
    Max-Forwards: 70\r\n\
    f: Alice <sip:alice@example.com>;tag=1\r\n\
    To :  Bob <sip:bob@example.com> \r\n\
    Call-ID: c1@a.example\r\n\
    CSeq: 1 INVITE\r\n\
    Subject: a\r\n \tfolded\r\n line\r\n\
    X-Own: x\r\n\
    Content-Length: 4\r\n\
    \r\n\
    body";

fn kind(bytes: &[u8]) -> ParseErrorKind {
    Msg::parse(bytes).unwrap_err().kind
}

/// The message with one header line replaced (or removed, if `with` is empty).
fn with_line(starts: &str, with: &str) -> String {
    INVITE
        .split_inclusive("\r\n")
        .map(|l| match (l.starts_with(starts), with.is_empty()) {
            (false, _) => String::from(l),
            (true, true) => String::new(),
            (true, false) => std::format!("{with}\r\n"),
        })
        .collect()
}

#[test]
fn fields_are_found_by_name_and_in_order() {
    let msg = Msg::parse(INVITE.as_bytes()).unwrap();
    assert_eq!(msg.method(), Some(Method::Invite));
    assert_eq!(msg.request_uri(), Some(&b"sip:bob@example.com"[..]));
    assert_eq!(&msg.bytes()[msg.request_uri_range().unwrap()], b"sip:bob@example.com");
    let vias: Vec<_> = msg.headers_named(HeaderName::Via).map(|h| h.value).collect();
    assert_eq!(vias, [&b"SIP/2.0/UDP a.example;branch=z9hG4bK1"[..], b"SIP/2.0/TCP b.example;branch=z9hG4bK2"]);
    assert_eq!(msg.value(HeaderName::To), Some(&b"Bob <sip:bob@example.com>"[..]));
    assert_eq!(msg.value(HeaderName::Subject), Some(&b"a\r\n \tfolded\r\n line"[..]));
    assert_eq!(msg.header_by_text(b"x-own").map(|h| h.value), Some(&b"x"[..]));
    assert_eq!(msg.header_by_text(b"i").map(|h| h.value), Some(&b"c1@a.example"[..]));
    assert!(msg.header(HeaderName::Route).is_none());
    assert_eq!(msg.headers().count(), 10);
    assert_eq!(msg.body(), b"body");
}

#[test]
fn what_may_be_there_once_may_not_be_there_twice() {
    for name in ["Call-ID", "CSeq", "f", "To", "Max-Forwards"] {
        let line = INVITE.split_inclusive("\r\n").find(|l| l.starts_with(name)).unwrap();
        let doubled = INVITE.replacen(line, &std::format!("{line}{line}"), 1);
        assert!(matches!(kind(doubled.as_bytes()), ParseErrorKind::Duplicate(_)), "{name}");
        assert!(Msg::salvage(doubled.as_bytes()).is_some(), "{name} can be answered");
    }
}

#[test]
fn what_must_be_there_is_asked_for() {
    for (name, long) in [("Call-ID", "Call-ID"), ("CSeq", "CSeq"), ("f", "From"), ("To", "To")] {
        let without = with_line(name, "");
        assert_eq!(kind(without.as_bytes()), ParseErrorKind::Missing(long));
        assert!(Msg::salvage(without.as_bytes()).is_some(), "{name}");
    }
    assert!(Msg::parse(with_line("Max-Forwards", "").as_bytes()).is_ok());
    let no_via = with_line("v:", "").replace("Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n", "");
    assert_eq!(kind(no_via.as_bytes()), ParseErrorKind::Missing("Via"));
    assert!(Msg::salvage(no_via.as_bytes()).is_none());
    assert_eq!(kind(INVITE.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia").as_bytes()), ParseErrorKind::Version);
    assert!(Msg::salvage(INVITE.replace("SIP/2.0\r\nVia", "SIP/7.0\r\nVia").as_bytes()).is_some());
}

#[test]
fn content_length() {
    let cut = with_line("Content-Length", "Content-Length: 2");
    let msg = Msg::parse(cut.as_bytes()).unwrap();
    assert_eq!((msg.body(), msg.bytes().len()), (&b"bo"[..], cut.len() - 2));
    assert_eq!(Msg::parse(with_line("Content-Length", "").as_bytes()).unwrap().body(), b"body");
    assert!(Msg::parse(with_line("Content-Length", "l: 4\r\nContent-Length: 4").as_bytes()).is_ok());
    for bad in ["l: 5", "l: -1", "l: 4 4", "l: x", "l: 99999999999", "l:", "l: 4\r\nContent-Length: 3"] {
        let text = with_line("Content-Length", bad);
        assert_eq!(kind(text.as_bytes()), ParseErrorKind::ContentLength, "{bad}");
        assert!(Msg::salvage(text.as_bytes()).is_some(), "{bad}");
    }
}

#[test]
fn line_ends_and_control_bytes_are_strict() {
    for (from, to) in [
        ("Subject: a\r\n", "Subject: a\n"),
        ("Subject: a\r\n", "Subject: a\r"),
        ("X-Own: x", "X-Own: \0"),
        ("X-Own: x", "X-Own: \x7f"),
        ("X-Own: x", "X-Own: \x1b[2J"),
    ] {
        assert_eq!(kind(INVITE.replacen(from, to, 1).as_bytes()), ParseErrorKind::ControlByte, "{to:?}");
    }
    assert!(Msg::parse(INVITE.replacen("X-Own: x", "X-Own: \u{e9}\t", 1).as_bytes()).is_ok());
}

#[test]
fn malformed_field_names() {
    for bad in ["X-Own", ": x", "X Own: x", "X@Own: x", " leading: x"] {
        let text = with_line("X-Own", bad);
        // A line that begins with white space continues the one before it.
        if bad.starts_with(' ') {
            assert!(Msg::parse(text.as_bytes()).is_ok());
        } else {
            assert_eq!(kind(text.as_bytes()), ParseErrorKind::HeaderName, "{bad}");
        }
    }
}

#[test]
fn limits() {
    let mut many = String::from("OPTIONS sip:a SIP/2.0\r\n");
    for i in 0..=HEADERS_MAX {
        many += &std::format!("X-{i}: y\r\n");
    }
    many += "\r\n";
    assert_eq!(kind(many.as_bytes()), ParseErrorKind::TooManyHeaders);
    assert!(Msg::salvage(many.as_bytes()).is_none());
    let long = std::format!("OPTIONS sip:{} SIP/2.0\r\n\r\n", "a".repeat(START_LINE_MAX));
    assert_eq!(kind(long.as_bytes()), ParseErrorKind::TooLong);
    assert_eq!(kind(&std::vec![b'a'; MESSAGE_MAX + 1]), ParseErrorKind::TooLong);
}

#[test]
fn line_ends_before_the_message_are_skipped() {
    let text = std::format!("\r\n\r\n{INVITE}");
    let msg = Msg::parse(text.as_bytes()).unwrap();
    assert_eq!(msg.start_at(), 4);
    assert_eq!(&msg.bytes()[msg.request_uri_range().unwrap()], b"sip:bob@example.com");
}

#[test]
fn every_truncation_is_an_error_and_no_panic() {
    for n in 0..INVITE.len() {
        assert!(Msg::parse(&INVITE.as_bytes()[..n]).is_err(), "at {n}");
        let _ = Msg::salvage(&INVITE.as_bytes()[..n]);
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Msg::parse(&bytes);
        let _ = Msg::salvage(&bytes);
    }

    #[test]
    fn mutated_messages_never_panic(at in 0..INVITE.len(), with: u8, cut in 0..INVITE.len()) {
        let mut bytes = INVITE.as_bytes().to_vec();
        bytes[at] = with;
        let _ = Msg::parse(&bytes);
        bytes.truncate(cut);
        let _ = Msg::parse(&bytes);
        let _ = Msg::salvage(&bytes);
    }
}
