use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use std::format;

use proptest::prelude::*;

use super::word::normal;
use super::*;
use crate::wire::sdp::RtpMap;
use crate::wire::sdp::crypto::Suite;

/// A control message's value as a tree.
#[derive(Clone, Debug)]
enum Tree {
    Text(&'static str),
    Int(i64),
    List(Vec<Self>),
    Dict(Vec<(&'static str, Self)>),
}
use Tree::{Dict, Int, List, Text};

impl<'a> Value<'a> for &'a Tree {
    fn text(self) -> Option<&'a [u8]> {
        if let Text(t) = self { Some(t.as_bytes()) } else { None }
    }

    fn integer(self) -> Option<i64> {
        if let Int(n) = self { Some(*n) } else { None }
    }

    fn each_item(self, f: impl FnMut(Self)) -> bool {
        let List(items) = self else { return false };
        items.iter().for_each(f);
        true
    }

    fn each_entry(self, mut f: impl FnMut(&'a [u8], Self)) -> bool {
        let Dict(entries) = self else { return false };
        entries.iter().for_each(|(k, v)| f(k.as_bytes(), v));
        true
    }
}

fn list(items: &[&'static str]) -> Tree {
    List(items.iter().map(|t| Text(t)).collect())
}

fn read(tree: &Tree) -> Flags<'_> {
    Flags::read(tree).unwrap()
}

/// The flags of a `flags` list with one item.
fn item(item: &'static str) -> Flags<'static> {
    let mut flags = Flags::default();
    flags.item(item.as_bytes()).unwrap();
    flags
}

fn rtpp(text: &str) -> Flags<'_> {
    let mut flags = Flags::default();
    flags.rtpp(Rtpp(text.as_bytes())).unwrap();
    flags
}

#[test]
fn every_flag_is_found_by_every_name_and_spelling() {
    for (name, flag) in super::flag::NAMES {
        for spelling in [name.to_string(), name.replace('-', " "), name.replace('-', "_"), name.to_uppercase()] {
            let mut flags = Flags::default();
            flags.item(spelling.as_bytes()).unwrap();
            assert!(flags.has(*flag), "{spelling}");
            assert_eq!(flags.unknown_count, 0, "{spelling}");
        }
    }
}

#[test]
fn the_three_forms_mean_the_same() {
    // A key with its value, an item of `flags`, and words of the one string.
    let rows: Vec<((&str, Tree), &str, &str)> = vec![
        (("replace", list(&["origin"])), "replace-origin", "replace-origin"),
        (("replace", list(&["session connection"])), "replace-session-connection", "replace=[session-connection]"),
        (("replace", list(&["zero-address"])), "replace-zero-address", "replace=zero-address"),
        (("replace", list(&["SDP version"])), "replace-SDP-version", "replace-sdp-version"),
        (("rtcp-mux", list(&["demux"])), "rtcp-mux-demux", "rtcp-mux-demux"),
        (("rtcp-mux", list(&["require"])), "rtcp-mux-require", "rtcp-mux=[require]"),
        (("SDES", list(&["off"])), "SDES-off", "SDES-off"),
        (
            ("SDES", list(&["no-AES_CM_128_HMAC_SHA1_32"])),
            "SDES-no-AES_CM_128_HMAC_SHA1_32",
            "SDES=no-AES_CM_128_HMAC_SHA1_32",
        ),
        (("SDES", list(&["only-AEAD_AES_128_GCM"])), "SDES-only-AEAD_AES_128_GCM", "SDES-only-AEAD_AES_128_GCM"),
        (("SDES", list(&["UNENCRYPTED_SRTP"])), "SDES-unencrypted_srtp", "SDES=[unencrypted_srtp]"),
        (("SDES", list(&["pad"])), "pad crypto", "pad-crypto"),
        (("OSRTP", list(&["accept"])), "OSRTP-accept", "OSRTP=[accept]"),
        (("endpoint-learning", Text("immediate")), "endpoint-learning-immediate", "endpoint-learning=immediate"),
        (("ICE", Text("force")), "ICE-force", "ICE=force"),
        (("ICE", Text("remove")), "ICE-remove", "ICE=remove"),
        (("ICE-lite", Text("both")), "ICE-lite-both", "ICE-lite=both"),
        (("DTLS", Text("off")), "DTLS-off", "DTLS=off"),
        (("codec", Dict(vec![("strip", list(&["PCMU"]))])), "codec-strip-PCMU", "codec=[strip=[PCMU]]"),
        (
            ("codec", Dict(vec![("mask", list(&["opus/48000/2"]))])),
            "codec-mask-opus/48000/2",
            "codec-mask=opus/48000/2",
        ),
        (("codec", Dict(vec![("except", Text("PCMA"))])), "codec-except-PCMA", "codec-except-PCMA"),
        (("codec", Dict(vec![("accept", Text("all"))])), "always transcode", "always-transcode"),
        (("codec", Dict(vec![("transcode", list(&["PCMA"]))])), "transcode-PCMA", "transcode=PCMA"),
        (("all", Text("all")), "all", "all=all"),
        (("record call", Text("on")), "record call", "record-call=yes"),
        (("generate RTCP", Text("on")), "generate RTCP", "generate-rtcp"),
        (("from-tags", list(&["x"])), "from-tags-x", "from-tags=[x]"),
        (("T.38", list(&["decode"])), "T.38-decode", "T.38=[decode]"),
        (
            ("sdp-attr", Dict(vec![("audio", Dict(vec![("remove", list(&["ssrc:"]))]))])),
            "sdp-attr-remove-audio-ssrc:",
            "sdp-attr=[audio=[remove=[ssrc:]]]",
        ),
        (
            ("sdp-attr", Dict(vec![("none", Dict(vec![("substitute", List(vec![list(&["a", "b"])]))]))])),
            "sdp-attr-substitute-none-a>b",
            "sdp-attr=[none=[substitute=[[a b]]]]",
        ),
    ];
    for ((key, value), text, string) in rows {
        let tree = Dict(vec![(key, value)]);
        let expected = read(&tree);
        assert_ne!(expected, Flags::default(), "{key}");
        assert_eq!(expected.unknown, None, "{key}");
        let in_list = Dict(vec![("flags", list(&[text]))]);
        assert_eq!(read(&in_list), expected, "{text}");
        assert_eq!(rtpp(string), expected, "{string}");
        let nested = Dict(vec![("rtpp-flags", Text(string))]);
        assert_eq!(read(&nested), expected, "{string}");
    }
}

#[test]
fn an_offer_as_a_controller_sends_it() {
    let tree = Dict(vec![
        ("supports", list(&["load limit"])),
        ("sdp", Text("v=0")),
        ("ICE", Text("remove")),
        ("flags", list(&["trust-address", "strict-source"])),
        ("replace", list(&["origin", "session-connection"])),
        ("transport-protocol", Text("RTP/AVP")),
        ("rtcp-mux", list(&["demux"])),
        ("call-id", Text("x@y")),
        ("via-branch", Text("z9hG4bK1")),
        ("received-from", list(&["IP4", "192.0.2.9"])),
        ("from-tag", Text("a")),
        ("direction", list(&["ext", "int"])),
        ("TOS", Int(184)),
        ("delete-delay", Text("0")),
        ("command", Text("offer")),
    ]);
    let flags = read(&tree);
    for flag in [
        Flag::LoadLimit,
        Flag::TrustAddress,
        Flag::StrictSource,
        Flag::ReplaceOrigin,
        Flag::ReplaceSessionConnection,
        Flag::MuxDemux,
    ] {
        assert!(flags.has(flag), "{flag:?}");
    }
    assert_eq!((flags.call_id, flags.from_tag), (Some(&b"x@y"[..]), Some(&b"a"[..])));
    assert_eq!(flags.via_branch, Some(&b"z9hG4bK1"[..]));
    assert_eq!(flags.received_from, Some("192.0.2.9".parse().unwrap()));
    assert_eq!(flags.direction, [Some(&b"ext"[..]), Some(&b"int"[..])]);
    assert_eq!((flags.ice, flags.transport), (Ice::Remove, Some(Transport::Protocol(Protocol::Avp))));
    assert_eq!((flags.tos, flags.delete_delay_s), (Tos::Value(184), Some(0)));
    assert_eq!(flags.unknown, None);
}

#[test]
fn the_seeds_flags_as_one_string() {
    let flags =
        rtpp("replace-origin replace-session-connection direction=internal direction=external ICE=remove RTP/AVP");
    assert_eq!(flags.direction, [Some(&b"internal"[..]), Some(&b"external"[..])]);
    assert_eq!(flags.transport, Some(Transport::Protocol(Protocol::Avp)));
    assert_eq!(rtpp("external internal").direction, [Some(&b"external"[..]), Some(&b"internal"[..])]);
    assert_eq!(rtpp("direction=[a b]").direction, [Some(&b"a"[..]), Some(&b"b"[..])]);
    assert_eq!(rtpp("a direction=x direction=y direction=z").unknown_count, 2);
}

#[test]
fn the_documented_strings_are_read() {
    let flags = rtpp(
        "replace-origin via-branch=auto-next strict-source label=callee OSRTP-accept transport-protocol=RTP/AVP address-family=IP4",
    );
    assert_eq!((flags.via_branch, flags.label), (Some(&b"auto-next"[..]), Some(&b"callee"[..])));
    assert_eq!(flags.address_family, Some(Family::Ip4));
    assert_eq!(flags.unknown, None);
    let flags =
        rtpp("via-branch=auto-next OSRTP=[accept] codec=[transcode=[PCMA PCMU] accept=[AMR-WB AMR] strip=[EVS]]");
    let rules: Vec<_> = flags.codecs.iter().map(|r| (r.op, r.codec.0)).collect();
    assert_eq!(
        rules,
        [
            (CodecOp::Transcode, &b"PCMA"[..]),
            (CodecOp::Transcode, b"PCMU"),
            (CodecOp::Accept, b"AMR-WB"),
            (CodecOp::Accept, b"AMR"),
            (CodecOp::Strip, b"EVS"),
        ]
    );
}

#[test]
fn a_transport_is_put_together() {
    for (text, expected) in [
        ("RTP/SAVPF", Protocol::Savpf),
        ("UDP/TLS/RTP/SAVPF", Protocol::DtlsSavpf),
        ("SRTP", Protocol::Savp),
        ("SRTP AVPF", Protocol::Savpf),
        ("RTP/SAVPF RTP", Protocol::Avpf),
        ("RTP/SAVPF AVP", Protocol::Savp),
        ("DTLS AVPF", Protocol::DtlsSavpf),
        ("AVPF", Protocol::Avpf),
    ] {
        assert_eq!(rtpp(text).transport, Some(Transport::Protocol(expected)), "{text}");
    }
    assert_eq!(rtpp("replace-origin").transport, None);
}

#[test]
fn a_browser_gets_what_it_wants() {
    let flags = item("WebRTC");
    assert_eq!(flags.transport, Some(Transport::Protocol(Protocol::DtlsSavpf)));
    assert_eq!((flags.ice, flags.sdes.off), (Ice::Force, true));
    for flag in [Flag::TrickleIce, Flag::MuxOffer, Flag::MuxRequire, Flag::NoRtcpAttribute, Flag::GenerateMid] {
        assert!(flags.has(flag));
    }
}

#[test]
fn numbers_are_bounded() {
    for (n, tos) in [(0, Tos::Value(0)), (255, Tos::Value(255)), (256, Tos::Default), (-1, Tos::Unchanged)] {
        assert_eq!(read(&Dict(vec![("TOS", Int(n))])).tos, tos);
    }
    assert_eq!(rtpp("TOS=-1").tos, Tos::Unchanged);
    for n in [i64::MIN, -1, i64::MAX] {
        assert_eq!(read(&Dict(vec![("delete delay", Int(n)), ("ptime", Int(n))])).delete_delay_s, None);
    }
    assert_eq!(read(&Dict(vec![("ptime", Int(0))])).ptime_ms, None);
    assert_eq!(rtpp("ptime=30 ptime-reverse=20").ptime_ms, Some(30));
    let flags = rtpp("TOS=x");
    assert_eq!((flags.tos, flags.unknown), (Tos::Default, Some(&b"TOS"[..])));
}

#[test]
fn what_is_not_known_is_counted_and_named() {
    let tree = Dict(vec![
        ("flags", list(&["nonsense", "strict-source", "codec-bend-PCMU", "sdp-attr-add-nowhere-x", "sdp-attr-add"])),
        ("nonsense", Int(1)),
        ("SDES", list(&["no-F8_128_HMAC_SHA1_80"])),
        ("transport-protocol", Text("udptl")),
        ("address family", Text("IP5")),
        ("media address", Text("host.example")),
        ("received from", list(&["IP4", "nowhere"])),
        ("DTLS", Text("maybe")),
        ("record call", Text("perhaps")),
        ("codec", Dict(vec![("bend", list(&["PCMU"]))])),
    ]);
    let flags = read(&tree);
    assert_eq!((flags.unknown, flags.unknown_count), (Some(&b"nonsense"[..]), 13));
    assert!(flags.has(Flag::StrictSource));
    let untouched = Flags { unknown: None, unknown_count: 0, set: FlagSet::default(), ..flags.clone() };
    assert_eq!(untouched, Flags::default());
}

#[test]
fn lists_have_their_limits() {
    let over = |key, n, text| Dict(vec![(key, list(&vec![text; n]))]);
    let tree = over("flags", CODEC_RULES_MAX, "codec-strip-x");
    assert_eq!(read(&tree).codecs.len(), CODEC_RULES_MAX);
    for (tree, what) in [
        (over("flags", CODEC_RULES_MAX + 1, "codec-strip-x"), "codec"),
        (over("flags", ATTR_RULES_MAX + 1, "sdp-attr-add-audio-x"), "sdp-attr"),
        (over("from-tags", TAGS_MAX + 1, "x"), "from-tags"),
        (over("flags", TAGS_MAX + 1, "from-tags-x"), "from-tags"),
    ] {
        assert_eq!(Flags::read(&tree), Err(FlagsError::TooMany(what)));
    }
    let nested = over("audio", 1, "x");
    let tree = Dict(vec![("sdp-attr", Dict(vec![("audio", over("add", ATTR_RULES_MAX + 1, "x")), ("video", nested)]))]);
    assert_eq!(Flags::read(&tree), Err(FlagsError::TooMany("sdp-attr")));
}

#[test]
fn attribute_rules_come_in_every_form() {
    let substitute = |value| Dict(vec![("sdp-attr", Dict(vec![("video", Dict(vec![("substitute", value)]))]))]);
    let expected = [AttrRule { section: AttrSection::Video, op: AttrOp::Substitute(Word(b"a"), Word(b"b")) }];
    for value in [list(&["a", "b"]), List(vec![list(&["a", "b", "c"])]), list(&["a>b"])] {
        let tree = substitute(value);
        assert_eq!(read(&tree).attrs[..], expected);
    }
    for value in [list(&["a"]), List(vec![list(&["a"])]), Int(1), list(&[])] {
        let tree = substitute(value);
        assert!(read(&tree).attrs.is_empty());
    }
}

#[test]
fn suites_are_ordered_once_each() {
    let flags = item("SDES-order:AES_CM_128_HMAC_SHA1_80;AEAD_AES_128_GCM;;AES_CM_128_HMAC_SHA1_80;");
    assert_eq!(flags.sdes.order[..], [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm]);
    assert_eq!(item("SDES-offerer_pref:AEAD_AES_256_GCM").sdes.offerer_pref[..], [Suite::AeadAes256Gcm]);
    assert_eq!(item("SDES-order:nonsense").unknown_count, 1);
}

#[test]
fn codecs_are_matched_by_what_is_given() {
    let map = |text: &'static str| RtpMap::parse(text.as_bytes()).unwrap();
    for (spec, codec, hit) in [
        ("opus", "96 opus/48000/2", true),
        ("OPUS/48000/2", "96 opus/48000/2", true),
        ("opus/48000", "96 opus/48000/2", false),
        ("opus/48000/1", "96 opus/48000/2", false),
        ("opus//2", "96 opus/48000/2", true),
        ("opus/48000/2/16000", "96 opus/48000/2", true),
        ("PCMA/8000", "8 PCMA/8000", true),
        ("PCMA/16000", "8 PCMA/8000", false),
        ("8", "8 PCMA/8000", true),
        ("9", "8 PCMA/8000", false),
        ("PCM", "8 PCMA/8000", false),
        ("", "8 PCMA/8000", false),
    ] {
        assert_eq!(CodecSpec(spec.as_bytes()).matches(&map(codec)), hit, "{spec} {codec}");
    }
}

#[test]
fn words_stand_for_what_cannot_be_written() {
    let w = Word(b"fmtp:96..mode--30");
    assert_eq!(w.bytes().collect::<Vec<_>>(), b"fmtp:96 mode=30");
    assert!(w.is(b"FMTP:96 mode=30") && !w.is(b"fmtp:96 mode=3") && !w.is(b"fmtp:96 mode=300"));
    assert_eq!(w.prefix_of(b"fmtp:96 mode=30;x"), Some(&b";x"[..]));
    let text = crate::wire::sip::put::Text::<32>::with(|t| Word(b"a\r\nb\0c").write(t));
    assert_eq!(text.as_bytes(), b"abc");
}

#[test]
fn names_longer_than_any_are_no_name() {
    let long = "strict-source-and-so-on-until-it-is-longer-than-any-name";
    assert!(normal(long.as_bytes()).overflowed());
    assert_eq!(rtpp(&format!("{long} {long}=1")).unknown_count, 2);
}

proptest! {
    #[test]
    fn any_string_is_taken(text in "[ -~]{0,80}", words in prop::collection::vec("(codec|sdp-attr|flags|a|SDES|direction|strip|audio|add|rtpp-flags)(=|-|\\[|\\]| |=\\[){0,2}", 0..12)) {
        for text in [text, words.concat()] {
            let mut flags = Flags::default();
            prop_assert!(flags.rtpp(Rtpp(text.as_bytes())).is_ok());
            let _ = format!("{flags:?}");
        }
    }
}
