//! Offers and answers over the life of a call.

use super::world::{World, address_of, audio, config, rtp};

const A: &str = "192.0.2.1:5000";

#[test]
fn the_ports_of_a_party_stay_for_the_whole_call() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    assert_ne!(a.port(), b.port());
    assert_eq!(w.call("x"), [a, b]);
    let back = w.answer("x", ["b", "a"], &audio("192.0.2.1", 5002), &[]);
    assert_eq!(address_of(&back), b, "an answer to an offer of the callee goes to the callee");
}

#[test]
fn the_direction_of_the_first_offer_is_remembered() {
    let mut w = World::new(config());
    let list = "l4:priv3:pube";
    let message = |cookie: &str, direction: &str| {
        let mut text = super::world::message(cookie, &[("command", "offer"), ("call-id", "x"), ("from-tag", "a")]);
        text.pop();
        let body = audio("192.0.2.1", 5000);
        text.extend_from_slice(std::format!("3:sdp{}:{body}{direction}e", body.len()).as_bytes());
        text
    };
    let first = w.control(&message("1", &std::format!("9:direction{list}"))).unwrap();
    assert!(first.contains("c=IN IP4 203.0.113.50"), "{first}");
    let to_a = w.answer("x", ["a", "b"], &audio("192.0.2.2", 6000), &[]);
    assert!(to_a.contains("c=IN IP4 10.9.0.1"));
    assert_eq!(w.control(&message("2", "")).unwrap()[2..], first[2..], "without the direction it is the same");
}

#[test]
fn branches_have_ports_of_their_own_and_the_last_to_answer_talks() {
    let mut w = World::new(config());
    let body = audio("192.0.2.1", 5000);
    let one = address_of(&w.offer("x", "a", &body, &[("via-branch", "1")]));
    let two = address_of(&w.offer("x", "a", &body, &[("via-branch", "2")]));
    assert_ne!(one, two);
    let to_a = w.answer("x", ["a", "b"], &audio("192.0.2.2", 6000), &[("via-branch", "1")]);
    let also = w.answer("x", ["a", "c"], &audio("192.0.2.3", 7000), &[("via-branch", "2")]);
    assert_eq!(address_of(&to_a), address_of(&also), "the caller has one port");
    assert_eq!(w.packet("192.0.2.2:6000", one, &rtp(1)), [], "the first branch is heard no more");
    let sent = w.packet("192.0.2.3:7000", two, &rtp(1));
    assert_eq!((sent[0].from, sent[0].to), (address_of(&to_a), A.parse().unwrap()));
    let sent = w.packet(A, address_of(&to_a), &rtp(1));
    assert_eq!(sent[0].to, "192.0.2.3:7000".parse().unwrap());
}

#[test]
fn a_branch_that_failed_is_deleted_alone() {
    let mut w = World::new(config());
    let body = audio("192.0.2.1", 5000);
    w.offer("x", "a", &body, &[("via-branch", "1")]);
    w.offer("x", "a", &body, &[("via-branch", "2")]);
    let delete = |branch| [("call-id", "x"), ("from-tag", "a"), ("via-branch", branch), ("delete delay", "#0")];
    assert!(w.ask("delete", &delete("1")).ends_with("6:result2:oke"));
    assert_eq!((w.relay.sessions(), w.relay.media().len()), (1, 2));
    w.answer("x", ["a", "c"], &audio("192.0.2.3", 7000), &[("via-branch", "2")]);
    w.ask("delete", &delete("2"));
    w.assert_clean();
}

#[test]
fn who_answers_a_fork_last_takes_the_ports_of_the_other() {
    let mut w = World::new(config());
    let to_b = address_of(&w.offer("x", "a", &audio("192.0.2.1", 5000), &[]));
    w.answer("x", ["a", "b"], &audio("192.0.2.2", 6000), &[]);
    w.answer("x", ["a", "c"], &audio("192.0.2.3", 7000), &[]);
    assert_eq!(w.packet("192.0.2.3:7000", to_b, &rtp(1)).len(), 1);
    assert_eq!(w.relay.media().len(), 2);
    assert!(w.ask("query", &[("call-id", "x")]).contains("1:cd3:tag1:c"));
}

#[test]
fn an_offer_to_a_full_relay_leaves_nothing_behind() {
    let mut config = config();
    for interface in &mut config.interfaces {
        interface.ports.max = interface.ports.min + 7;
    }
    let mut w = World::new(config);
    w.call("x");
    w.call("y");
    let reply = w.ask("offer", &[("call-id", "z"), ("from-tag", "a"), ("sdp", &audio("192.0.2.1", 5000))]);
    assert_eq!(reply, "d6:result5:error12:error-reason16:Ran out of portse");
    assert_eq!((w.relay.sessions(), w.relay.media().len(), w.relay.totals().rejected), (2, 4, 1));
    w.ask("delete", &[("call-id", "x"), ("delete delay", "#0")]);
    w.call("z");
}

#[test]
fn a_second_stream_is_added_refused_and_comes_back() {
    let mut w = World::new(config());
    let [_, b] = w.call("x");
    let video =
        |port| std::format!("{}m=video {port} RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n", audio("192.0.2.1", 5000));
    let m_lines = |body: &str| {
        body.lines()
            .filter_map(|line| line.strip_prefix("m="))
            .map(std::string::ToString::to_string)
            .collect::<std::vec::Vec<_>>()
    };
    let more = [("to-tag", "b")];
    let first = w.offer("x", "a", &video(5002), &more);
    assert_eq!((address_of(&first), m_lines(&first).len(), w.relay.media().len()), (b, 2, 4));
    let off = w.offer("x", "a", &video(0), &more);
    assert_eq!(m_lines(&off)[1], "video 0 RTP/AVP 96");
    assert_eq!(m_lines(&w.offer("x", "a", &video(5002), &more)), m_lines(&first));
}

#[test]
fn a_branch_that_cannot_be_opened_leaves_the_others_as_they_were() {
    let mut w = World::new(config());
    let [a, b] = w.call("x");
    let bad = audio("192.0.2.1", 5000).replace("c=IN IP4 192.0.2.1\r\n", "");
    let offer = [("call-id", "x"), ("from-tag", "a"), ("via-branch", "2"), ("sdp", &*bad)];
    assert!(w.ask("offer", &offer).contains("Incomplete"));
    assert_eq!(w.packet(A, a, &rtp(1)).len() + w.packet("192.0.2.2:6000", b, &rtp(1)).len(), 2);
    w.ask("delete", &[("call-id", "x"), ("from-tag", "b"), ("delete delay", "#0")]);
    w.assert_clean();
}

#[test]
fn keys_by_dtls_are_refused() {
    let mut w = World::new(config());
    let body = |protocol: &str| audio("192.0.2.1", 5000).replace("RTP/AVP", protocol);
    let print = "a=fingerprint:sha-256 00:11\r\n";
    for body in [body("UDP/TLS/RTP/SAVPF"), std::format!("{}{print}", body("RTP/SAVPF"))] {
        let reply = w.ask("offer", &[("call-id", "x"), ("from-tag", "a"), ("sdp", &body)]);
        assert!(reply.contains("DTLS-SRTP is not supported"), "{reply}");
        w.assert_clean();
    }
}
