//! Whatever is asked in whatever order: after all calls are deleted nothing is held.

use core::time::Duration;
use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::world::{World, audio, config, rtp};

#[derive(Clone, Debug)]
enum Op {
    Offer { call: u8, from: u8, to: Option<u8>, branch: Option<u8>, body: u8 },
    Answer { call: u8, from: u8, to: u8, branch: Option<u8>, body: u8 },
    Delete { call: u8, from: Option<u8>, to: Option<u8>, branch: Option<u8>, delay_s: u8 },
    Other { call: u8, from: Option<u8>, command: u8 },
    Packet { socket: u8, from: u8 },
    Pass { seconds: u16 },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let few = || 0..3u8;
    let maybe = || proptest::option::of(0..3u8);
    let op = prop_oneof![
        4 => (few(), few(), maybe(), maybe(), 0..8u8)
            .prop_map(|(call, from, to, branch, body)| Op::Offer { call, from, to, branch, body }),
        4 => (few(), few(), few(), maybe(), 0..8u8)
            .prop_map(|(call, from, to, branch, body)| Op::Answer { call, from, to, branch, body }),
        2 => (few(), maybe(), maybe(), maybe(), 0..3u8)
            .prop_map(|(call, from, to, branch, delay_s)| Op::Delete { call, from, to, branch, delay_s }),
        1 => (few(), maybe(), 0..10u8).prop_map(|(call, from, command)| Op::Other { call, from, command }),
        2 => (any::<u8>(), 0..4u8).prop_map(|(socket, from)| Op::Packet { socket, from }),
        1 => (0..70u16).prop_map(|seconds| Op::Pass { seconds }),
    ];
    proptest::collection::vec(op, 0..60)
}

const OTHERS: [&str; 10] = [
    "block media",
    "unblock media",
    "silence media",
    "unsilence media",
    "block DTMF",
    "unblock DTMF",
    "query",
    "list",
    "statistics",
    "start recording",
];

fn body(n: u8) -> String {
    let plain = audio("192.0.2.1", 5000);
    let secure = |body: &str| {
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        format!("{}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n", body.replace("RTP/AVP", "RTP/SAVP"))
    };
    match n {
        0 => plain,
        1 => secure(&plain),
        2 => plain.replace("5000", "0"),
        3 => format!("{plain}m=video 5002 RTP/AVP 96\r\n"),
        4 => plain.replace("audio 5000 RTP/AVP 0 101", "image 5000 udptl t38"),
        5 => plain.replace("192.0.2.1", "0.0.0.0"),
        6 => format!("{plain}a=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdabcdabcdabcdabcdab\r\n"),
        _ => String::from("v=0\r\n"),
    }
}

fn run(w: &mut World, op: &Op) {
    let name = |n: u8| format!("{n}");
    let mut entries: Vec<(&str, String)> = Vec::new();
    let mut put = |key, value: Option<u8>| {
        if let Some(value) = value {
            entries.push((key, name(value)));
        }
    };
    let (command, call) = match *op {
        Op::Offer { call, from, to, branch, body: n } => {
            [("from-tag", Some(from)), ("to-tag", to), ("via-branch", branch)]
                .into_iter()
                .for_each(|(key, value)| put(key, value));
            entries.push(("sdp", body(n)));
            ("offer", call)
        }
        Op::Answer { call, from, to, branch, body: n } => {
            [("from-tag", Some(from)), ("to-tag", Some(to)), ("via-branch", branch)]
                .into_iter()
                .for_each(|(key, value)| put(key, value));
            entries.push(("sdp", body(n)));
            ("answer", call)
        }
        Op::Delete { call, from, to, branch, delay_s } => {
            [("from-tag", from), ("to-tag", to), ("via-branch", branch)]
                .into_iter()
                .for_each(|(key, value)| put(key, value));
            entries.push(("delete delay", format!("#{delay_s}")));
            ("delete", call)
        }
        Op::Other { call, from, command } => {
            put("from-tag", from);
            (OTHERS[usize::from(command)], call)
        }
        Op::Packet { socket, from } => {
            let local = *w.sockets.values().nth(usize::from(socket) % w.sockets.len()).unwrap();
            w.packet(&format!("192.0.2.1:{}", 4_999 + u16::from(from)), local, &rtp(u16::from(socket)));
            return;
        }
        Op::Pass { seconds } => return w.pass(Duration::from_secs(seconds.into())),
    };
    entries.push(("call-id", name(call)));
    let entries: Vec<_> = entries.iter().map(|(key, value)| (*key, &**value)).collect();
    w.ask(command, &entries);
}

proptest! {
    #[test]
    fn deleted_calls_leave_nothing(ops in ops()) {
        let mut w = World::new(config());
        for op in &ops {
            run(&mut w, op);
        }
        for call in ["0", "1", "2"] {
            w.ask("delete", &[("call-id", call), ("delete delay", "#0")]);
        }
        w.assert_clean();
        prop_assert_eq!(w.ended.len(), w.started);
    }

    #[test]
    fn calls_that_nobody_ends_end(ops in ops()) {
        let mut w = World::new(config());
        for op in &ops {
            run(&mut w, op);
        }
        w.pass(Duration::from_secs(3_600 + 60));
        w.assert_clean();
    }

    #[test]
    fn any_bytes_get_at_most_one_reply(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut w = World::new(config());
        w.control(&bytes);
        w.control(&[b"1 ", &bytes[..]].concat());
        w.assert_clean();
    }
}
