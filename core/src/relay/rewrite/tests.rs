//! Descriptions as they come in and go out.

mod arbitrary;
mod negotiated;

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use std::format;

use proptest::prelude::*;

use super::negotiate::{self, MuxBack, Remote};
use super::*;
use crate::entropy::SeededEntropy;
use crate::relay::flags::Rtpp;
use crate::wire::sdp::crypto::{Crypto, Suite};
use crate::wire::sdp::{Direction, Protocol};

const OFFER: &str = "v=0\r\n\
    o=- 1545997027 1 IN IP4 198.51.100.1\r\n\
    s=tester\r\n\
    t=0 0\r\n\
    m=audio 2000 RTP/AVP 0 8 101\r\n\
    c=IN IP4 198.51.100.1\r\n\
    a=rtpmap:0 PCMU/8000\r\n\
    a=rtpmap:8 PCMA/8000\r\n\
    a=rtpmap:101 telephone-event/8000\r\n\
    a=fmtp:101 0-15\r\n\
    a=ptime:20\r\n\
    a=sendrecv\r\n";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn flags(text: &str) -> Flags<'_> {
    let mut flags = Flags::default();
    flags.rtpp(Rtpp(text.as_bytes())).unwrap();
    assert_eq!(flags.unknown_count, 0, "{text}");
    flags
}

fn run(text: &str, wishes: &str, plan: &Plan<'_>) -> String {
    let sdp = Sdp::parse(text.as_bytes()).unwrap();
    let rewrite = Rewrite { sdp: &sdp, flags: &flags(wishes), plan };
    let mut buf = vec![0; 70_000];
    let out = rewrite.write(&mut buf).unwrap();
    assert_eq!(rewrite.size(), out.len());
    Sdp::parse(out).unwrap_or_else(|e| panic!("{e}: {}", out.escape_ascii()));
    String::from_utf8(out.to_vec()).unwrap()
}

/// The plan of every test that does not say more: our address and ports.
fn ours() -> MediaPlan<'static> {
    MediaPlan::new(ip("10.0.0.1"), 20_100, Some(20_101))
}

fn with(text: &str, wishes: &str, media: MediaPlan<'_>) -> String {
    run(text, wishes, &plan(&[Some(media)]))
}

fn plan<'p>(media: &'p [Option<MediaPlan<'p>>]) -> Plan<'p> {
    let address = Some(ip("10.0.0.1"));
    Plan { connection: address, origin: OriginPlan { address, ..OriginPlan::default() }, media, ..Plan::default() }
}

/// `text` with lines exchanged: what a rewriting should come to.
fn edited(text: &str, lines: &[(&str, &str)]) -> String {
    lines.iter().fold(text.to_string(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "{from:?} in {text}");
        text.replacen(from, to, 1)
    })
}

const MOVED: [(&str, &str); 2] =
    [("m=audio 2000 ", "m=audio 20100 "), ("c=IN IP4 198.51.100.1\r\n", "c=IN IP4 10.0.0.1\r\n")];

/// The offer as it is moved, and then `lines`.
fn moved(lines: &[(&str, &str)]) -> String {
    edited(&edited(OFFER, &MOVED), lines)
}

#[test]
fn the_seeds_example_is_followed_byte_by_byte() {
    let wishes = "replace-origin replace-session-connection direction=external direction=internal";
    let leg = |text: &str, address: &str, port: u16, wishes: &str| {
        let media = [Some(MediaPlan::new(ip(address), port, Some(port + 1)))];
        let origin = OriginPlan { address: Some(ip(address)), ..OriginPlan::default() };
        run(text, wishes, &Plan { connection: Some(ip(address)), origin, media: &media, ..Plan::default() })
    };
    let offer = "v=0\r\no=trunk 1 1 IN IP4 203.0.113.50\r\ns=-\r\nc=IN IP4 203.0.113.50\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 8\r\n";
    let offered =
        "v=0\r\no=trunk 1 1 IN IP4 10.0.1.20\r\ns=-\r\nc=IN IP4 10.0.1.20\r\nt=0 0\r\nm=audio 20100 RTP/AVP 0 8\r\n";
    assert_eq!(leg(offer, "10.0.1.20", 20_100, wishes), format!("{offered}a=rtcp:20101\r\n"));
    assert_eq!(leg(offer, "10.0.1.20", 20_100, &format!("{wishes} no-rtcp-attribute")), offered);
    let answer =
        "v=0\r\no=fs 2 2 IN IP4 10.0.1.30\r\ns=-\r\nc=IN IP4 10.0.1.30\r\nt=0 0\r\nm=audio 19200 RTP/AVP 0\r\n";
    let answered =
        "v=0\r\no=fs 2 2 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 20200 RTP/AVP 0\r\n";
    assert_eq!(leg(answer, "198.51.100.7", 20_200, wishes), format!("{answered}a=rtcp:20201\r\n"));
}

#[test]
fn only_what_was_asked_changes() {
    let no_rtcp = |m: MediaPlan<'static>| MediaPlan { rtcp_port: None, ..m };
    assert_eq!(with(OFFER, "", no_rtcp(ours())), moved(&[]));
    assert_eq!(with(OFFER, "no-rtcp-attribute", ours()), moved(&[]));
    assert_eq!(with(OFFER, "", ours()), moved(&[("a=sendrecv\r\n", "a=sendrecv\r\na=rtcp:20101\r\n")]));
    let same = MediaPlan { protocol: Some(Protocol::Avp), direction: Some(Direction::SendRecv), ..no_rtcp(ours()) };
    assert_eq!(with(OFFER, "", same), moved(&[]));
}

#[test]
fn lines_of_ours_take_the_place_of_those_received() {
    let text = edited(
        OFFER,
        &[("a=fmtp", "a=rtcp:2005 IN IP4 198.51.100.3\r\na=fmtp"), ("a=ptime:20", "a=ptime:20\r\na=rtcp:7")],
    );
    let media = MediaPlan { ptime_ms: Some(30), direction: Some(Direction::SendOnly), ..ours() };
    let expected = edited(
        &edited(&text, &MOVED),
        &[
            ("a=rtcp:2005 IN IP4 198.51.100.3", "a=rtcp:20101"),
            ("a=ptime:20\r\na=rtcp:7\r\n", "a=ptime:30\r\n"),
            ("a=sendrecv", "a=sendonly"),
        ],
    );
    assert_eq!(with(&text, "", media), expected);
}

#[test]
fn rtcp_attributes_follow_plan_and_flags() {
    let end = |wishes, media| with(OFFER, wishes, media).split_once("a=sendrecv\r\n").unwrap().1.to_string();
    assert_eq!(end("", ours()), "a=rtcp:20101\r\n");
    assert_eq!(end("full-rtcp-attribute", ours()), "a=rtcp:20101 IN IP4 10.0.0.1\r\n");
    assert_eq!(end("no-rtcp-attribute", ours()), "");
    let muxed = MediaPlan { rtcp_port: Some(20_100), rtcp_mux: true, ..ours() };
    assert_eq!(end("", muxed), "a=rtcp:20100\r\na=rtcp-mux\r\n");
    let text = format!("{OFFER}a=rtcp-mux\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n");
    let tail = |media| with(&text, "no-rtcp-attribute", media).split_once("a=sendrecv\r\n").unwrap().1.to_string();
    assert_eq!(tail(muxed), "a=rtcp-mux\r\na=rtcp-mux-only\r\n");
    assert_eq!(tail(ours()), "");
}

#[test]
fn connections_are_replaced_where_they_stand() {
    let session = "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nm=audio 2000 RTP/AVP 0\r\ni=x\r\nb=AS:1\r\nm=audio 3000 RTP/AVP 0\r\nc=IN IP4 2.2.2.2\r\n";
    let other = MediaPlan::new(ip("2001:db8::1"), 20_200, None);
    let one = MediaPlan { rtcp_port: None, ..ours() };
    // The first media description relies on the session's line, and both get our address.
    assert_eq!(
        run(session, "", &plan(&[Some(one), Some(one)])),
        "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nm=audio 20100 RTP/AVP 0\r\ni=x\r\nb=AS:1\r\nm=audio 20100 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n"
    );
    // An address of its own stands behind the title (RFC 8866 §5).
    assert_eq!(
        run(session, "", &plan(&[Some(other), Some(one)])),
        "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nm=audio 20200 RTP/AVP 0\r\ni=x\r\nc=IN IP6 2001:db8::1\r\nb=AS:1\r\nm=audio 20100 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n"
    );
    // Nothing relies on the session's line: it stays, unless asked for.
    assert!(run(session, "", &plan(&[None, Some(one)])).contains("s=-\r\nc=IN IP4 1.1.1.1\r\n"));
    // What is not moved keeps the connection that held for it.
    assert_eq!(
        run(session, "replace-session-connection", &plan(&[None, Some(one)])),
        "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nm=audio 2000 RTP/AVP 0\r\ni=x\r\nc=IN IP4 1.1.1.1\r\nb=AS:1\r\nm=audio 20100 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n"
    );
    // No connection at all.
    assert_eq!(
        with("v=0\r\nm=audio 1 RTP/AVP 0\r\n", "", one),
        "v=0\r\nm=audio 20100 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\n"
    );
    // Multicast in layers.
    let two = edited(OFFER, &[("a=rtpmap:0", "c=IN IP4 198.51.100.9\r\na=rtpmap:0")]);
    assert_eq!(with(&two, "", one), moved(&[]));
}

#[test]
fn zero_addresses_stay_unless_asked_for() {
    let own = edited(OFFER, &[("c=IN IP4 198.51.100.1", "c=IN IP4 0.0.0.0")]);
    let one = MediaPlan { rtcp_port: None, ..ours() };
    assert_eq!(with(&own, "", one), edited(&own, &MOVED[..1]));
    assert_eq!(with(&own, "replace-zero-address", one), moved(&[]));
    let session = "v=0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nm=audio 2000 RTP/AVP 0\r\n";
    assert_eq!(with(session, "", one), "v=0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nm=audio 20100 RTP/AVP 0\r\n");
    assert_eq!(
        with(session, "replace-zero-address", one),
        "v=0\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nm=audio 20100 RTP/AVP 0\r\n"
    );
}

#[test]
fn origins_change_field_by_field() {
    let media = [None];
    let run = |wishes, origin| run(OFFER, wishes, &Plan { origin, ..plan(&media) });
    let address = Some(ip("2001:db8::9"));
    let line = "o=- 1545997027 1 IN IP4 198.51.100.1";
    let to = |new| edited(OFFER, &[(line, new)]);
    assert_eq!(run("", OriginPlan { address, ..OriginPlan::default() }), OFFER);
    assert_eq!(
        run("replace-origin", OriginPlan { address, ..OriginPlan::default() }),
        to("o=- 1545997027 1 IN IP6 2001:db8::9")
    );
    let origin = OriginPlan { username: Some(b"relay"), version: Some(7), address: None };
    assert_eq!(run("replace-origin", origin), to("o=relay 1545997027 7 IN IP4 198.51.100.1"));
    let spaced = OFFER.replace(line, "o=-  1545997027   1 IN  IP4 host.example ");
    let sdp = Sdp::parse(spaced.as_bytes()).unwrap();
    let origin = OriginPlan { username: Some(b"u"), version: Some(2), address };
    let plan = Plan { origin, ..Plan::default() };
    let mut buf = [0; 600];
    let out = Rewrite { sdp: &sdp, flags: &flags("replace-origin"), plan: &plan }.write(&mut buf).unwrap();
    assert!(out.starts_with(b"v=0\r\no=u  1545997027   2 IN  IP6 2001:db8::9 \r\n"), "{}", out.escape_ascii());
}

#[test]
fn the_session_name_and_marks_are_written() {
    let media = [None];
    let plan = Plan { session_name: Some(b"one"), ice_lite: true, loop_protect: Some(b"abc"), ..plan(&media) };
    let out = run(OFFER, "", &plan);
    assert_eq!(
        out,
        edited(OFFER, &[("s=tester", "s=one"), ("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\na=rtpengine:abc\r\n")])
    );
    let sdp = Sdp::parse(out.as_bytes()).unwrap();
    assert!(negotiate::is_looped(&sdp, b"abc") && !negotiate::is_looped(&sdp, b"abd"));
}

#[test]
fn a_media_address_goes_before_ours() {
    let out = with(OFFER, "media-address=192.0.2.77 replace-origin full-rtcp-attribute", ours());
    assert_eq!(out.matches("192.0.2.77").count(), 3);
    assert_eq!(out.matches("10.0.0.1").count(), 0);
}

#[test]
fn protocols_and_keys_are_written() {
    let key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    let line = format!("1 AES_CM_128_HMAC_SHA1_80 {key}");
    let crypto = [Crypto::parse(line.as_bytes()).unwrap()];
    let one = MediaPlan { rtcp_port: None, ..ours() };
    let secure = MediaPlan { protocol: Some(Protocol::Savp), crypto: Some(&crypto), ..one };
    let out = with(OFFER, "", secure);
    assert_eq!(out, format!("{}a=crypto:{line}\r\n", moved(&[("RTP/AVP", "RTP/SAVP")])));
    // And back, with what else belongs to encryption.
    let text = format!("{out}a=setup:actpass\r\na=fingerprint:sha-256 AA\r\na=tls-id:1\r\n");
    let plain = MediaPlan { protocol: Some(Protocol::Avp), crypto: Some(&[]), ..one };
    assert_eq!(with(&text, "", plain), moved(&[]));
    assert_eq!(with(&text, "", one), text);
}

#[test]
fn ice_is_kept_removed_replaced_or_added_to() {
    let ice = "a=ice-ufrag:aaaa\r\na=ice-pwd:bbbb\r\na=candidate:1 1 UDP 1 198.51.100.1 2000 typ host\r\n";
    let session = edited(OFFER, &[("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n")]);
    let text = format!("{session}{ice}a=end-of-candidates\r\n");
    let one = MediaPlan { rtcp_port: None, ..ours() };
    let candidate = |component, kind| Candidate {
        foundation: 7,
        component,
        priority: 2_130_706_431,
        address: ip("10.0.0.1"),
        port: 20_100,
        kind,
    };
    let host = [candidate(1, CandidateKind::Host), candidate(2, CandidateKind::Host)];
    let lines = "a=candidate:7 1 UDP 2130706431 10.0.0.1 20100 typ host\r\na=candidate:7 2 UDP 2130706431 10.0.0.1 20100 typ host\r\n";
    assert_eq!(with(&text, "", one), edited(&text, &MOVED));
    assert_eq!(with(&text, "", MediaPlan { ice: IcePlan::Remove, ..one }), moved(&[]));
    let replace = IcePlan::Replace { ufrag: b"uuuu", pwd: b"pppp", candidates: &host, trickle: true };
    assert_eq!(
        with(&text, "", MediaPlan { ice: replace, ..one }),
        format!("{}a=ice-ufrag:uuuu\r\na=ice-pwd:pppp\r\na=ice-options:trickle\r\n{lines}", moved(&[]))
    );
    let add = IcePlan::Add { candidates: &host };
    assert_eq!(with(&text, "", MediaPlan { ice: add, ..one }), format!("{}{lines}", edited(&text, &MOVED)));
    // As a relay we are one more candidate, and nothing moves.
    let relay = [candidate(1, CandidateKind::Relay)];
    let add = IcePlan::Add { candidates: &relay };
    let line = "a=candidate:7 1 UDP 2130706431 10.0.0.1 20100 typ relay raddr 10.0.0.1 rport 20100\r\n";
    assert_eq!(with(&text, "ICE=force-relay", MediaPlan { ice: add, ..ours() }), format!("{text}{line}"));
}

#[test]
fn small_wishes() {
    let text = edited(
        OFFER,
        &[("t=0 0\r\n", "t=0 0\r\na=extmap-allow-mixed\r\n"), ("a=ptime", "a=extmap:1 urn:x\r\na=ptime")],
    );
    let one = MediaPlan { rtcp_port: None, ..ours() };
    assert_eq!(with(&text, "strip-extmap", one), moved(&[]));
    assert_eq!(with(OFFER, "generate-mid", one), format!("{}a=mid:1\r\n", moved(&[])));
    let named = format!("{OFFER}a=mid:x\r\n");
    assert_eq!(with(&named, "generate-mid", one), edited(&named, &MOVED));
    assert_eq!(
        with(OFFER, "", MediaPlan { rtp_port: 0, ..one }),
        edited(OFFER, &[("audio 2000", "audio 0"), MOVED[1]])
    );
    let counted = edited(OFFER, &[("audio 2000", "audio 2000/2")]);
    assert!(with(&counted, "", one).contains("m=audio 20100/2 RTP/AVP"));
}

#[test]
fn directions_are_changed_only_where_they_differ() {
    let one = |d| MediaPlan { rtcp_port: None, direction: Some(d), ..ours() };
    let none = edited(OFFER, &[("a=sendrecv\r\n", "")]);
    assert_eq!(with(&none, "", one(Direction::SendRecv)), moved(&[]));
    let session = edited(&none, &[("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n")]);
    assert_eq!(with(&session, "", one(Direction::SendOnly)), edited(&session, &MOVED));
    assert_eq!(with(&session, "", one(Direction::Inactive)), format!("{}a=inactive\r\n", edited(&session, &MOVED)));
    let twice = edited(OFFER, &[("a=sendrecv\r\n", "a=sendrecv\r\na=recvonly\r\n")]);
    assert_eq!(with(&twice, "", one(Direction::Inactive)), moved(&[("a=sendrecv", "a=inactive")]));
}

#[test]
fn line_ends_follow_the_description() {
    let unix = OFFER.replace("\r\n", "\n");
    assert!(!with(&unix, "generate-mid", ours()).contains('\r'));
    let cut = OFFER.strip_suffix("\r\n").unwrap();
    assert_eq!(with(cut, "", ours()), with(OFFER, "", ours()));
    assert_eq!(with(cut, "no-rtcp-attribute", ours()), moved(&[("a=sendrecv\r\n", "a=sendrecv")]));
    let last = MediaPlan { rtcp_port: None, direction: Some(Direction::SendOnly), ..ours() };
    assert_eq!(with(cut, "generate-mid", last), moved(&[("a=sendrecv\r\n", "a=sendonly\r\na=mid:1\r\n")]));
    assert_eq!(
        with("v=0\r\nm=audio 1 RTP/AVP 0", "", ours()),
        "v=0\r\nm=audio 20100 RTP/AVP 0\r\nc=IN IP4 10.0.0.1\r\na=rtcp:20101\r\n"
    );
    let media = [None];
    assert_eq!(run("v=0", "", &Plan { ice_lite: true, ..plan(&media) }), "v=0\r\na=ice-lite\r\n");
}

/// What rtpengine 10.5 makes of the formats `0 8 9 18 96 97 101` for each wish.
#[test]
fn codecs_as_the_peer_does_it() {
    let text = OFFER.replace("0 8 101", "0 8 9 18 96 97 101").replace(
        "a=rtpmap:101",
        "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtcp-fb:96 nack\r\na=rtpmap:97 speex/16000\r\na=rtpmap:101",
    );
    let all = "0 8 9 18 96 97 101";
    for (wishes, offer, answer) in [
        ("", all, all),
        ("codec=[strip=[PCMU]]", "8 9 18 96 97 101", "8 9 18 96 97 101"),
        ("codec=[strip=[all] offer=[PCMA]]", "8", "8"),
        ("codec=[strip=[all] offer=[opus PCMA telephone-event]]", "96 8 101", "96 8 101"),
        ("codec=[strip=[all] except=[PCMA opus]]", "8 96", "8 96"),
        ("codec=[strip=[all]]", all, all),
        ("codec=[offer=[opus PCMA]]", all, all),
        ("codec=[except=[PCMA]]", all, all),
        ("codec=[mask=[PCMU]]", "8 9 18 96 97 101", all),
        ("codec=[mask=[all] offer=[PCMA]]", "8", all),
        ("codec=[strip=[opus/48000]]", all, all),
        ("codec=[strip=[opus/48000/2]]", "0 8 9 18 97 101", "0 8 9 18 97 101"),
        ("codec=[strip=[OPUS]]", "0 8 9 18 97 101", "0 8 9 18 97 101"),
        ("codec=[strip=[telephone-event]]", "0 8 9 18 96 97", "0 8 9 18 96 97"),
        ("codec=[accept=[PCMU]]", all, all),
        ("codec=[consume=[PCMU]]", "8 9 18 96 97 101", all),
        ("codec=[strip=[all] transcode=[PCMA]]", "8", all),
        ("codec=[strip=[G729 G722]]", "0 8 96 97 101", "0 8 96 97 101"),
        ("codec=[strip=[full] offer=[PCMA]]", "8", "8"),
        ("codec=[mask=[opus] strip=[all] offer=[opus]]", "96", "96"),
        ("codec=[strip=[PCMU] offer=[PCMU PCMA]]", "8 9 18 96 97 0 101", "8 9 18 96 97 0 101"),
        ("codec=[ignore=[PCMU]]", all, all),
        ("codec=[set=[opus/48000/2/16000]]", all, all),
        ("codec-strip-all codec-offer-PCMA codec-offer-telephone-event", "8 101", "8 101"),
        ("single-codec", all, "0 101"),
        // Where the peer leaves no format, or does not follow its documentation.
        ("codec=[strip=[all] offer=[telephone-event]]", all, all),
        ("codec=[strip=[8]]", "0 9 18 96 97 101", "0 9 18 96 97 101"),
    ] {
        for (mode, expected) in [(Mode::Offer, offer), (Mode::Answer, answer)] {
            let media = [Some(ours())];
            let out = run(&text, wishes, &Plan { mode, ..plan(&media) });
            let formats = out.split_once("RTP/AVP ").unwrap().1.split_once("\r\n").unwrap().0;
            assert_eq!(formats, expected, "{mode:?} {wishes}");
            // Attributes of what is gone are gone, and only they.
            for pt in all.split(' ') {
                let of = |text: &str| text.lines().filter(|l| l.contains(&format!(":{pt} "))).count();
                let stays = expected.split(' ').any(|e| e == pt);
                assert_eq!(of(&out), if stays { of(&text) } else { 0 }, "{pt} {mode:?} {wishes}");
            }
        }
    }
}

#[test]
fn what_repairs_a_stripped_codec_goes_with_it() {
    let text = "v=0\r\nm=video 1 RTP/AVPF 96 97 98 99\r\nc=IN IP4 1.1.1.1\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rtpmap:98 H264/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 rtx-time=3000;apt=98\r\n";
    let out = with(text, "codec-strip-VP8 no-rtcp-attribute", ours());
    assert_eq!(
        out,
        "v=0\r\nm=video 20100 RTP/AVPF 98 99\r\nc=IN IP4 10.0.0.1\r\na=rtpmap:98 H264/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 rtx-time=3000;apt=98\r\n"
    );
}

#[test]
fn formats_that_are_no_payload_types_stay() {
    let one = MediaPlan { rtcp_port: None, ..ours() };
    for formats in ["t38", "0 128", "0 x", ""] {
        let text = format!("v=0\r\nm=audio 1 RTP/AVP {formats}\r\nc=IN IP4 1.1.1.1\r\n");
        assert!(with(&text, "codec=[strip=[all] offer=[PCMA]]", one).contains(&format!("RTP/AVP {formats}\r\n")));
    }
    let fax = "v=0\r\nm=image 1 udptl t38\r\nc=IN IP4 1.1.1.1\r\na=T38FaxVersion:0\r\n";
    assert_eq!(
        with(fax, "codec-strip-all single-codec", one),
        edited(fax, &[("image 1 ", "image 20100 "), ("1.1.1.1", "10.0.0.1")])
    );
}

#[test]
fn attribute_rules_are_applied_last() {
    let text = edited(
        OFFER,
        &[
            ("t=0 0\r\n", "t=0 0\r\na=tool:x\r\n"),
            ("a=ptime:20\r\n", "a=ptime:20\r\na=ssrc:1 cname:y\r\na=ssrc:2 cname:z\r\n"),
        ],
    );
    let media = MediaPlan { direction: Some(Direction::SendOnly), ..ours() };
    let base = edited(&edited(&text, &MOVED), &[("a=sendrecv\r\n", "a=sendonly\r\na=rtcp:20101\r\n")]);
    for (wishes, edits) in [
        ("sdp-attr-remove-audio-ssrc:", vec![("a=ssrc:1 cname:y\r\na=ssrc:2 cname:z\r\n", "")]),
        ("sdp-attr-remove-audio-ssrc:2", vec![("a=ssrc:2 cname:z\r\n", "")]),
        ("sdp-attr-remove-video-ssrc:", vec![]),
        ("sdp-attr-remove-none-ssrc:", vec![]),
        ("sdp-attr-remove-none-tool:x", vec![("a=tool:x\r\n", "")]),
        // Also over lines that are ours.
        ("sdp-attr-remove-audio-rtcp:", vec![("a=rtcp:20101\r\n", "")]),
        ("sdp-attr-substitute-audio-sendonly>recvonly", vec![("sendonly", "recvonly")]),
        ("sdp-attr-substitute-audio-fmtp:101..0-15>fmtp:101..0-16", vec![("fmtp:101 0-15", "fmtp:101 0-16")]),
        ("sdp-attr-substitute-none-tool:x>tool--y", vec![("a=tool:x", "a=tool=y")]),
        ("sdp-attr-add-audio-x:y", vec![("a=rtcp:20101\r\n", "a=rtcp:20101\r\na=x:y\r\n")]),
        ("sdp-attr-add-none-x..y", vec![("a=tool:x\r\n", "a=tool:x\r\na=x y\r\n")]),
        ("sdp-attr-add-audio-ptime:20", vec![]),
        (
            "sdp-attr=[audio=[add=[a b] remove=[ptime:20]]]",
            vec![("a=ptime:20\r\n", ""), ("a=rtcp:20101\r\n", "a=rtcp:20101\r\na=a\r\na=b\r\n")],
        ),
    ] {
        assert_eq!(with(&text, wishes, media), edited(&base, &edits), "{wishes}");
    }
}

#[test]
fn a_buffer_that_is_too_small_is_told() {
    let sdp = Sdp::parse(OFFER.as_bytes()).unwrap();
    let (flags, media) = (Flags::default(), [Some(ours())]);
    let rewrite = Rewrite { sdp: &sdp, flags: &flags, plan: &plan(&media) };
    let size = rewrite.size();
    assert!(rewrite.write(&mut vec![0; size]).is_some());
    assert!(rewrite.write(&mut vec![0; size - 1]).is_none());
}

#[test]
fn the_digest_is_blind_to_the_version_only() {
    let digest = |text: &str, version, port| {
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let media = [Some(MediaPlan { rtp_port: port, ..ours() })];
        let mut plan = plan(&media);
        plan.origin.version = version;
        let mut hasher = siphasher::sip::SipHasher13::new_with_keys(1, 2);
        Rewrite { sdp: &sdp, flags: &Flags::default(), plan: &plan }.digest(&mut hasher)
    };
    let newer = OFFER.replace("1545997027 1", "1545997027 2");
    assert_eq!(digest(OFFER, None, 1), digest(&newer, Some(9), 1));
    assert_ne!(digest(OFFER, None, 1), digest(OFFER, None, 2));
    assert_ne!(digest(OFFER, None, 1), digest(&OFFER.replace("1545997027 1", "1545997028 1"), None, 1));
}
