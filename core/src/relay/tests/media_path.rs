//! What signalling means to packets.

use core::time::Duration;

use super::world::{World, address_of, audio, config, rtp};

const A: &str = "192.0.2.1:5000";
const B: &str = "192.0.2.2:6000";

#[test]
fn packets_pass_both_ways() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    let sent = w.packet(A, a, &rtp(1));
    assert_eq!((sent[0].from, sent[0].to, sent[0].bytes.clone()), (b, B.parse().unwrap(), rtp(1)));
    let sent = w.packet(B, b, &rtp(1));
    assert_eq!((sent[0].from, sent[0].to), (a, A.parse().unwrap()));
}

#[test]
fn early_media_passes_before_an_answer_with_a_body() {
    let mut w = World::new(config());
    let b = address_of(&w.offer("x", "a", &audio("192.0.2.1", 5000), &[]));
    assert_eq!(w.packet(B, b, &rtp(1)), [], "where it comes from is not known yet");
    w.answer("x", ["a", "b"], &audio("192.0.2.2", 6000), &[]);
    assert_eq!(w.packet(B, b, &rtp(2)).len(), 1);
}

#[test]
fn rtcp_has_a_port_of_its_own_or_shares_it() {
    let mut w = World::new(config());
    let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
    let [a, b] = w.call("x");
    let next = |mut address: core::net::SocketAddr| {
        address.set_port(address.port() + 1);
        address
    };
    let sent = w.packet("192.0.2.1:5001", next(a), &report);
    assert_eq!((sent[0].from, sent[0].to), (next(b), "192.0.2.2:6001".parse().unwrap()));
    let mux = |ip, port| std::format!("{}a=rtcp-mux\r\n", audio(ip, port));
    let b = address_of(&w.offer("y", "a", &mux("192.0.2.1", 5000), &[]));
    let to_a = w.answer("y", ["a", "b"], &mux("192.0.2.2", 6000), &[]);
    assert!(to_a.contains("a=rtcp-mux"));
    let sent = w.packet(A, address_of(&to_a), &report);
    assert_eq!((sent[0].from, sent[0].to), (b, B.parse().unwrap()));
}

#[test]
fn a_party_that_signals_may_come_from_another_port_although_its_description_is_the_same() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    let others = [("192.0.2.1:6100", "192.0.2.1", "a", "b"), ("192.0.2.2:6100", "192.0.2.2", "b", "a")];
    for (sequence, at) in [(1, 0), (2, 4)] {
        w.pass(Duration::from_secs(at));
        assert_eq!((w.packet(A, a, &rtp(sequence)).len(), w.packet(B, b, &rtp(sequence)).len()), (1, 1));
    }
    for (moved, ip, own, other) in others {
        let (local, towards) = if own == "a" { (a, b) } else { (b, a) };
        let port = if own == "a" { 5000 } else { 6000 };
        let peer = if own == "a" { B } else { "192.0.2.1:6100" };
        assert_eq!(w.packet(moved, local, &rtp(3)), [], "its address is fixed");
        w.offer("x", own, &audio(ip, port), &[("to-tag", other)]);
        assert_eq!(w.packet(moved, local, &rtp(4)).len(), 1);
        assert_eq!(w.packet(peer, towards, &rtp(5))[0].to, moved.parse().unwrap());
    }
}

#[test]
fn blocked_media_is_dropped_until_it_is_unblocked() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    let party = [("call-id", "x"), ("from-tag", "a")];
    assert_eq!(w.ask("block media", &party), "d6:result2:oke");
    assert_eq!((w.packet(A, a, &rtp(1)).len(), w.packet(B, b, &rtp(1)).len()), (0, 1));
    w.ask("unblock media", &party);
    assert_eq!(w.packet(A, a, &rtp(2)).len(), 1);
    w.ask("block media", &[("call-id", "x")]);
    w.ask("unblock media", &party);
    assert_eq!((w.packet(A, a, &rtp(3)).len(), w.packet(B, b, &rtp(3)).len()), (0, 0), "the call is still blocked");
    w.ask("unblock media", &[("call-id", "x")]);
    assert_eq!(w.packet(A, a, &rtp(4)).len(), 1);
}

#[test]
fn a_key_is_told_with_call_and_party() {
    let mut w = World::new(config());
    let [a, _] = w.call("x");
    let event = |sequence: u8, end: u8| [0x80, 101, 0, sequence, 0, 0, 0, 9, 0, 0, 0, 7, 5, end, 1, 0];
    w.packet(A, a, &event(1, 0x0a));
    w.packet(A, a, &event(2, 0x8a));
    w.packet(A, a, &event(3, 0x8a));
    assert_eq!(w.keys, [("x".into(), "a".into())]);
}

#[test]
fn srtp_becomes_rtp_where_one_side_is_plain() {
    use crate::relay::srtp::{MasterKey, Params, Session, Suite};
    let mut w = World::new(config());
    let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let secure = |ip, port| {
        let body = audio(ip, port).replace("RTP/AVP", "RTP/SAVP");
        std::format!("{body}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")
    };
    let more = [("transport-protocol", "RTP/AVP")];
    let to_b = w.offer("x", "a", &secure("192.0.2.1", 5000), &more);
    assert!(to_b.contains("RTP/AVP 0") && !to_b.contains("crypto"), "{to_b}");
    let to_a = w.answer("x", ["a", "b"], &audio("192.0.2.2", 6000), &[]);
    assert!(to_a.contains("RTP/SAVP 0") && to_a.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"), "{to_a}");
    let suite = Suite::AesCm128HmacSha1_80;
    let bytes = b"YS___semctl (() {\t220;}\n}\nunles";
    let _ = bytes;
    let raw =
        crate::wire::sdp::crypto::Crypto::parse(std::format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}").as_bytes())
            .unwrap();
    let mut session = Session::new(&MasterKey::new(suite, raw.key.as_bytes()).unwrap(), Params::default()).unwrap();
    let mut packet = rtp(1);
    let len = packet.len();
    packet.resize(len + 32, 0);
    let protected = session.protect(&mut packet, len).unwrap();
    let sent = w.packet(A, address_of(&to_a), &packet[..protected]);
    assert_eq!(sent[0].bytes, rtp(1), "decrypted");
    let sent = w.packet(B, address_of(&to_b), &rtp(1));
    assert_eq!(sent[0].bytes.len(), rtp(1).len() + 10, "encrypted, with its tag");
    w.ask("delete", &[("call-id", "x"), ("delete delay", "#0")]);
    w.assert_clean();
}

#[test]
fn srtp_passes_as_it_is_where_both_sides_take_the_same_key() {
    let mut w = World::new(config());
    let secure = |ip, port, key| {
        let body = audio(ip, port).replace("RTP/AVP", "RTP/SAVP");
        std::format!("{body}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")
    };
    let (one, two) = ("WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz", "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj");
    let to_b = w.offer("x", "a", &secure("192.0.2.1", 5000, one), &[]);
    assert!(to_b.contains(one), "{to_b}");
    let to_a = w.answer("x", ["a", "b"], &secure("192.0.2.2", 6000, two), &[]);
    assert!(to_a.contains(two), "{to_a}");
    let sent = w.packet(A, address_of(&to_a), &rtp(1));
    assert_eq!(sent[0].bytes, rtp(1));
}
