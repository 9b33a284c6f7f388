//! Whatever comes to the control port: a reply or a count, and calls that are there do not notice.

use std::format;

use super::world::{World, audio, config, message, rtp};

#[test]
fn garbage_gets_an_error() {
    let mut w = World::new(config());
    let rows: &[(&[u8], &str)] = &[
        (b"1 garbage", "Invalid NG data format"),
        (b"1 li1ee", "Invalid NG data format"),
        (b"1 ", "Invalid data (no payload)"),
        (b"1 d7:command4:ping", "Could not decode bencode dictionary"),
        (b"1 d7:command4:ping3:abci01x", "Could not decode bencode dictionary"),
        (b"1 d7:command99999999999999999999:x", "Could not decode bencode dictionary"),
        (b"1 {\"command\":\"ping\"", "Failed to parse JSON document"),
        (b"1 de", "Dictionary contains no key \"command\""),
        (b"1 d7:commandi7ee", "Dictionary contains no key \"command\""),
    ];
    for (bytes, reason) in rows {
        let reply = w.control(bytes).unwrap();
        assert!(reply.contains(reason), "{reply}");
    }
    let deep = format!("1 d1:a{}{}e", "l".repeat(10_000), "e".repeat(10_000));
    assert!(w.control(deep.as_bytes()).unwrap().contains("Could not decode"));
    for silent in [&b""[..], b" ", b"nocookie", b" d7:command4:pinge", b"\xff\xfe d7:command4:pinge"] {
        assert_eq!(w.control(silent), None);
    }
    w.assert_clean();
}

#[test]
fn bodies_that_are_none_leave_nothing_behind() {
    let mut w = World::new(config());
    let [a, _] = w.call("good");
    let body = audio("192.0.2.1", 5000);
    let many = format!("{body}{}", "m=audio 5000 RTP/AVP 0\r\n".repeat(2_000));
    let long = format!("{body}a=x:{}\r\n", "y".repeat(70_000));
    let rows = [
        (body.replace("5000", "75000"), "Failed to parse SDP"),
        (body.replace("5000 RTP/AVP 0 101", ""), "Failed to parse SDP"),
        (body.replace("c=IN IP4 192.0.2.1", "c=IN IP4 1.2.3.4.5:"), "Failed to parse SDP"),
        (body.replace("c=IN IP4 192.0.2.1\r\n", ""), "Incomplete SDP specification"),
        (body.replace("IP4 192.0.2.1\r\nt", "IP4 example.com\r\nt"), "Incomplete SDP specification"),
        (body.split("m=").next().unwrap().into(), "Error rewriting SDP"),
        (many, "Failed to parse SDP"),
        (long, "over the length of a message"),
        (body.replace("s=-", "s=\0"), "Failed to parse SDP"),
    ];
    for (n, (body, reason)) in rows.iter().enumerate() {
        let request = [("command", "offer"), ("call-id", "bad"), ("from-tag", "a"), ("sdp", &**body)];
        let reply = w.control(&message(&format!("{n}"), &request));
        match reply {
            Some(reply) => assert!(reply.contains(reason), "{n}: {reply}"),
            None => assert_eq!(*reason, "over the length of a message"),
        }
        assert_eq!((w.relay.sessions(), w.relay.media().len()), (1, 2), "{n}");
    }
    assert_eq!(w.packet("192.0.2.1:5000", a, &rtp(1)).len(), 1);
}

#[test]
fn a_re_offer_that_fails_leaves_the_call() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    let body = audio("192.0.2.1", 5000).replace("c=IN IP4 192.0.2.1\r\n", "");
    let reply = w.ask("offer", &[("call-id", "x"), ("from-tag", "a"), ("to-tag", "b"), ("sdp", &body)]);
    assert!(reply.contains("Incomplete"));
    assert_eq!(w.packet("192.0.2.1:5000", a, &rtp(1)).len(), 1);
    assert_eq!(w.packet("192.0.2.2:6000", b, &rtp(1)).len(), 1);
}

#[test]
fn a_reply_that_does_not_fit_is_an_error() {
    let mut w = World::new(config());
    let body = format!("{}a=x:{}\r\n", audio("192.0.2.1", 5000), "\"".repeat(40_000));
    let request = format!(
        "1 {{\"command\":\"offer\",\"call-id\":\"x\",\"from-tag\":\"a\",\"sdp\":\"{}\"}}",
        body.replace('"', "'").replace("\r\n", "\\r\\n")
    );
    assert!(w.control(request.as_bytes()).unwrap().contains("\"result\":\"ok\""));
    // Each quotation mark takes two bytes in JSON, one in bencode.
    let request = message("2", &[("command", "offer"), ("call-id", "y"), ("from-tag", "a"), ("sdp", &body)]);
    assert!(w.control(&request).unwrap().contains("6:result2:ok"));
}
