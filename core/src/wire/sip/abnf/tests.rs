use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::super::cseq::CSeq;
use super::super::host::Host;
use super::super::name_addr::NameAddr;
use super::super::params::Params;
use super::super::token::Text;
use super::super::uri::{Scheme, Uri};
use super::super::via::{Via, vias};
use super::*;

// What the scanners read, in the oracle's terms.

fn params_of<'b>(params: &Params<'b>) -> Vec<ParamParts<'b>> {
    params.iter().map(|p| (p.name, p.value)).collect()
}

fn same_via(ours: &Via<'_>, parts: &ViaParts<'_>) -> bool {
    [ours.protocol, ours.version, ours.transport_name] == parts.protocol
        && Host::parse(parts.host) == Ok(ours.host)
        && ours.port.map(u64::from) == parts.port.map(number)
        && params_of(&ours.params) == parts.params
}

fn number(digits: &[u8]) -> u64 {
    core::str::from_utf8(digits).unwrap().parse().unwrap()
}

fn scan_via(value: &[u8]) -> Option<Vec<Via<'_>>> {
    vias(value).collect::<Result<_, _>>().ok()
}

fn agree_on_via(value: &[u8], mode: Mode) -> bool {
    match (scan_via(value), via(value, mode)) {
        (Some(ours), Some(parts)) => ours.len() == parts.len() && ours.iter().zip(&parts).all(|(a, b)| same_via(a, b)),
        (None, None) => true,
        _ => false,
    }
}

fn agree_on_cseq(value: &[u8], mode: Mode) -> bool {
    let ours = CSeq::parse(value).ok().map(|c| (u64::from(c.number), c.method.as_bytes()));
    ours == cseq(value, mode).map(|(n, m)| (number(n), m))
}

fn agree_on_uri(value: &[u8], mode: Mode) -> bool {
    match (Uri::parse(value), uri(value, mode)) {
        (Ok(ours), _) if ours.scheme == Scheme::Tel => true,
        (Ok(ours), Some(parts)) => {
            ours.user == parts.user
                && ours.password == parts.password
                && ours.host == Host::parse(parts.host).ok()
                && ours.port.map(u64::from) == parts.port.map(number)
                && params_of(&ours.params) == parts.params
                && ours.headers == parts.headers
                && ours.scheme.is_sip() != parts.host.is_empty()
        }
        (Err(_), None) => true,
        _ => false,
    }
}

fn agree_on_address(value: &[u8], mode: Mode) -> bool {
    let ours = NameAddr::parse(value).ok().and_then(|a| Some((a, a.parse_uri().ok()?.scheme)));
    match (ours, address(value, mode)) {
        (Some((_, Scheme::Tel)), _) => true,
        (Some((ours, _)), Some(parts)) => {
            ours.display.unwrap_or(&[]) == parts.display
                && ours.uri == parts.uri
                && params_of(&ours.params) == parts.params
        }
        (None, None) => true,
        _ => false,
    }
}

type Agree = fn(&[u8], Mode) -> bool;
const VIA: Agree = agree_on_via;
const CSEQ: Agree = agree_on_cseq;
const URI: Agree = agree_on_uri;
const ADDRESS: Agree = agree_on_address;

fn scanner_takes(field: &str, value: &[u8]) -> bool {
    match field {
        "Via" => scan_via(value).is_some(),
        "CSeq" => CSeq::parse(value).is_ok(),
        "URI" => Uri::parse(value).is_ok(),
        _ => NameAddr::parse(value).is_ok_and(|a| a.parse_uri().is_ok()),
    }
}

fn oracle_takes(field: &str, value: &[u8], mode: Mode) -> bool {
    match field {
        "Via" => via(value, mode).is_some(),
        "CSeq" => cseq(value, mode).is_some(),
        "URI" => uri(value, mode).is_some(),
        _ => address(value, mode).is_some(),
    }
}

/// Every place where a scanner takes what the grammar does not.
const WIDER: [(&str, &[u8]); 20] = [
    ("Via", b"SIP/2.0/UDP a_b"),
    ("Via", b"SIP/2.0/UDP 1a"),
    ("Via", b"SIP/2.0/UDP -a-"),
    ("Via", b"SIP/2.0/UDP a;x=a@b/c=?"),
    ("Via", b"SIP/2.0/UDP a;rport="),
    ("Via", b"SIP/2.0/UDP a;x=\"\xff\""),
    ("Via", b"SIP/2.0/UDP [2001:db8:::192.0.2.1]"),
    ("Via", b"SIP/2.0/UDP\r\n \r\n a"),
    ("CSeq", b"1\r\n \r\n ACK"),
    ("URI", b"sip:*21#@b"),
    ("URI", b"sip:a@b;x="),
    ("URI", b"sip:a@b;x=y=="),
    ("URI", b"sip:a_b"),
    ("URI", b"x:{}\\^"),
    ("URI", b"x:%"),
    ("address", b"a<sip:b>"),
    ("address", b"(a) @b: <sip:b>"),
    ("address", b"\xc3\xa4 <sip:b>"),
    ("address", b"\"\xff\" <sip:b>"),
    ("address", b"<sip:b>;x="),
];

/// Every place where a scanner refuses what the grammar takes: numbers out of range, and parameters on which the way of a
/// message would hang but which fall under `generic-param`.
const NARROWER: [(&str, &[u8]); 17] = [
    ("Via", b"SIP/2.0/UDP 1.2.3.256"),
    ("Via", b"SIP/2.0/UDP 1.2.3.04"),
    ("Via", b"SIP/2.0/UDP a:65536"),
    ("Via", b"SIP/2.0/UDP a;branch"),
    ("Via", b"SIP/2.0/UDP a;branch=1;branch=1"),
    ("Via", b"SIP/2.0/UDP a;received=1.1.1.1;received=1.1.1.1"),
    ("Via", b"SIP/2.0/UDP a;rport;rport"),
    ("Via", b"SIP/2.0/UDP a;rport=x"),
    ("Via", b"SIP/2.0/UDP a;rport=65536"),
    ("Via", b"SIP/2.0/UDP a;ttl"),
    ("Via", b"SIP/2.0/UDP a;ttl=256"),
    ("Via", b"SIP/2.0/UDP a;branch=\"\""),
    ("CSeq", b"2147483648 ACK"),
    ("URI", b"sip:a:65536"),
    ("address", b"<sip:b>;tag"),
    ("address", b"<sip:b>;tag=\"\""),
    ("address", b"<sip:b>;tag=1;tag=1"),
];

#[test]
fn scanners_are_wider_where_they_are_meant_to_be() {
    for (field, value) in WIDER {
        assert!(!oracle_takes(field, value, Mode::Strict), "the grammar takes {field}: {:?}", Text(value));
        assert!(scanner_takes(field, value), "refused {field}: {:?}", Text(value));
        assert!(oracle_takes(field, value, Mode::Ours), "undocumented {field}: {:?}", Text(value));
    }
}

#[test]
fn scanners_are_narrower_where_they_are_meant_to_be() {
    for (field, value) in NARROWER {
        assert!(oracle_takes(field, value, Mode::Strict), "the grammar refuses {field}: {:?}", Text(value));
        assert!(!scanner_takes(field, value), "taken {field}: {:?}", Text(value));
        assert!(!oracle_takes(field, value, Mode::Ours), "undocumented {field}: {:?}", Text(value));
    }
}

#[test]
fn start_lines() {
    assert_eq!(request_line(b"INVITE sip:a@b SIP/2.0"), Some([&b"INVITE"[..], b"sip:a@b", b"SIP/2.0"]));
    assert_eq!(status_line(b"SIP/2.0 200 "), Some([&b"SIP/2.0"[..], b"200", b""]));
    assert!(status_line(b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe").is_some());
    for bad in [
        &b"INVITE sip:a@b"[..],
        b"INVITE  sip:a@b SIP/2.0",
        b"INVITE <sip:a@b> SIP/2.0",
        b"INVITE sip:a; lr SIP/2.0",
        b"INVITE sip:a SIP/2.0 ",
    ] {
        assert_eq!(request_line(bad), None);
    }
    for bad in [&b"SIP/2.0 20 OK"[..], b"SIP/2.0 2000 OK", b"SIP/2.0 200", b"SIP/2.0  200 OK", b"SIP/2.0 200 %4"] {
        assert_eq!(status_line(bad), None);
    }
}

// Generators of values that follow the grammar.

fn sws_text() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just(" \t"), 1 => Just("\r\n "), 1 => Just(" \r\n\t ")]
}

fn lws_text() -> impl Strategy<Value = &'static str> {
    select(&[" ", "  ", "\t", "\r\n ", " \r\n\t"][..])
}

fn sep_text(byte: char) -> impl Strategy<Value = String> {
    (sws_text(), sws_text()).prop_map(move |(before, after)| format!("{before}{byte}{after}"))
}

fn host_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "([a-zA-Z0-9]([a-z0-9-]{0,4}[a-z0-9])?\\.){0,3}[a-zA-Z]([a-z0-9-]{0,4}[a-z0-9])?\\.?",
        any::<[u8; 4]>().prop_map(|o| core::net::Ipv4Addr::from(o).to_string()),
        any::<[u8; 16]>().prop_map(|o| format!("[{}]", core::net::Ipv6Addr::from(o))),
        Just(String::from("[::1]")),
        Just(String::from("[::ffff:192.0.2.1]")),
    ]
}

fn port_text() -> impl Strategy<Value = Option<u16>> {
    proptest::option::of(any::<u16>())
}

fn quoted_text() -> impl Strategy<Value = String> {
    "\"([ -!#-\\[\\]-~äß]|\\\\[\\x00-\\x09\\x0b\\x0c\\x0e-\\x7f]|\r\n ){0,6}\""
}

fn param_text() -> impl Strategy<Value = String> {
    let name = "[a-zA-Z0-9.!%*_+`'~-]{1,6}".prop_filter("has rules of its own", |n| {
        !["ttl", "tag", "rport"].iter().any(|own| n.eq_ignore_ascii_case(own))
    });
    let value = prop_oneof!["[a-zA-Z0-9.!%*_+`'~-]{1,8}", host_text(), quoted_text()];
    (sep_text(';'), name, proptest::option::of((sep_text('='), value)))
        .prop_map(|(semi, name, value)| value.map_or(format!("{semi}{name}"), |(eq, v)| format!("{semi}{name}{eq}{v}")))
}

fn params_text(special: &'static [&'static str]) -> impl Strategy<Value = String> {
    (vec(param_text(), 0..4), proptest::option::of((sep_text(';'), select(special))))
        .prop_map(|(all, special)| all.concat() + &special.map_or(String::new(), |(semi, s)| format!("{semi}{s}")))
}

fn one_via_text() -> impl Strategy<Value = String> {
    const SPECIAL: &[&str] = &[
        "branch=z9hG4bKa",
        "rport",
        "RPORT = 7",
        "ttl=255",
        "received=2001:db8::1",
        "received=[::1]",
        "maddr=a",
        "alias",
    ];
    let protocol = (sep_text('/'), sep_text('/'), select(&["UDP", "tcp", "TLS-SCTP", "X"][..]), lws_text());
    let sent_by = (host_text(), sep_text(':'), port_text());
    (protocol, sent_by, params_text(SPECIAL)).prop_map(|((s1, s2, transport, lws), (host, colon, port), params)| {
        let port = port.map_or(String::new(), |p| format!("{colon}{p}"));
        format!("SIP{s1}2.0{s2}{transport}{lws}{host}{port}{params}")
    })
}

fn via_text() -> impl Strategy<Value = String> {
    (vec(one_via_text(), 1..3), sep_text(',')).prop_map(|(all, comma)| all.join(&comma))
}

fn uri_text() -> impl Strategy<Value = String> {
    let user = "([a-z0-9_.!~*'()&=+$,;?/-]|%[0-9a-fA-F]{2}){1,8}(:([a-z0-9&=+$,]|%4[0-9]){0,4})?@";
    let params = "(;([a-z\\[\\]/:&+$-]|%2[cC]){1,5}(=([a-z0-9\\[\\]/:&+$.-]|%20){1,5})?){0,3}";
    let headers = "(\\?[a-z]{1,3}=([a-z\\[\\]/?:+$]|%20){0,4}(&[a-z]{1,3}=[a-z]{0,3}){0,2})?";
    let sip =
        (select(&["sip", "sips", "SIP"][..]), proptest::option::of(user), host_text(), port_text(), params, headers)
            .prop_map(|(scheme, user, host, port, params, headers)| {
                let port = port.map_or(String::new(), |p| format!(":{p}"));
                format!("{scheme}:{}{host}{port}{params}{headers}", user.unwrap_or_default())
            });
    prop_oneof![9 => sip, 1 => "(http|urn|cid):([a-z0-9;/?:@&=+$,-]|%4f){1,6}"]
}

fn address_text() -> impl Strategy<Value = String> {
    let named = (prop_oneof!["([a-zA-Z0-9.!%*_+`'~-]{1,5} ){0,3}", quoted_text()], sws_text(), uri_text())
        .prop_map(|(display, sws, uri)| format!("{display}{sws}<{uri}>"))
        .prop_filter("two pieces of white space in a row", |a| !a.contains(" \r\n") && !a.contains("\t\r\n"));
    let bare = ("sips?:(([a-z0-9_.!~*'()&=+$/-]|%[0-9a-f]{2}){1,8}@)?", host_text(), port_text())
        .prop_map(|(user, host, port)| format!("{user}{host}{}", port.map_or(String::new(), |p| format!(":{p}"))));
    (prop_oneof![named, bare], params_text(&["tag=a1", "TAG = \"x\""])).prop_map(|(address, params)| address + &params)
}

fn cseq_text() -> impl Strategy<Value = String> {
    (0u32..1 << 31, lws_text(), "[A-Za-z0-9.!%*_+`'~-]{1,9}").prop_map(|(n, lws, method)| format!("{n}{lws}{method}"))
}

/// A value with some bytes put in, taken out or replaced.
fn mutated(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => select(&b" \t\r\n\"\\<>;,:=@%?&/[].#_-01a\0\x7f\xff"[..]), 1 => any::<u8>()];
    (text, vec((any::<Index>(), 0..3u8, byte), 1..4)).prop_map(|(text, edits)| {
        let mut bytes = text.into_bytes();
        for (index, kind, byte) in edits {
            let at = index.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(at, byte),
                1 if at < bytes.len() => bytes[at] = byte,
                _ if at < bytes.len() => drop(bytes.remove(at)),
                _ => {}
            }
        }
        bytes
    })
}

fn valid(agree: Agree, field: &str, text: &str) -> Result<(), TestCaseError> {
    let value = text.as_bytes();
    prop_assert!(oracle_takes(field, value, Mode::Strict), "not in the grammar: {:?}", text);
    prop_assert!(scanner_takes(field, value), "refused: {:?}", text);
    prop_assert!(agree(value, Mode::Strict), "read differently: {:?}", text);
    Ok(())
}

fn compared(agree: Agree, field: &str, value: &[u8]) -> Result<(), TestCaseError> {
    let (scanner, oracle) = (scanner_takes(field, value), oracle_takes(field, value, Mode::Ours));
    prop_assert!(agree(value, Mode::Ours), "scanner {scanner}, oracle {oracle}: {:?}", Text(value));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn valid_via(text in via_text()) { valid(VIA, "Via", &text)?; }
    #[test]
    fn mutated_via(value in mutated(via_text())) { compared(VIA, "Via", &value)?; }
    #[test]
    fn valid_cseq(text in cseq_text()) { valid(CSEQ, "CSeq", &text)?; }
    #[test]
    fn mutated_cseq(value in mutated(cseq_text())) { compared(CSEQ, "CSeq", &value)?; }
    #[test]
    fn valid_uri(text in uri_text()) { valid(URI, "URI", &text)?; }
    #[test]
    fn mutated_uri(value in mutated(uri_text())) { compared(URI, "URI", &value)?; }
    #[test]
    fn valid_address(text in address_text()) { valid(ADDRESS, "address", &text)?; }
    #[test]
    fn mutated_address(value in mutated(address_text())) { compared(ADDRESS, "address", &value)?; }
}
