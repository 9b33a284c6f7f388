use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use proptest::prelude::*;

use super::*;
use crate::wire::sip::put::Put;

/// A message as the tests build it.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Str(Vec<u8>),
    Int(i64),
    List(Vec<Tree>),
    Dict(Vec<(Vec<u8>, Tree)>),
}

fn tree(value: Value<'_>) -> Tree {
    match value {
        Value::Str(s) => Tree::Str(s.to_vec()),
        Value::Int(n) => Tree::Int(n),
        Value::List(l) => Tree::List(l.iter().map(tree).collect()),
        Value::Dict(d) => Tree::Dict(d.iter().map(|(k, v)| (k.to_vec(), tree(v))).collect()),
    }
}

fn add(d: &mut DictWriter<'_, '_>, key: &[u8], value: &Tree) {
    match value {
        Tree::Str(s) => d.str(key, s),
        Tree::Int(n) => d.int(key, *n),
        Tree::List(l) => d.list(key, |w| l.iter().for_each(|v| push(w, v))),
        Tree::Dict(entries) => d.dict(key, |w| entries.iter().for_each(|(k, v)| add(w, k, v))),
    }
}

fn push(l: &mut ListWriter<'_, '_>, value: &Tree) {
    match value {
        Tree::Str(s) => l.str(s),
        Tree::Int(n) => l.int(*n),
        Tree::List(values) => l.list(|w| values.iter().for_each(|v| push(w, v))),
        Tree::Dict(entries) => l.dict(|w| entries.iter().for_each(|(k, v)| add(w, k, v))),
    }
}

fn kind(body: impl AsRef<[u8]>) -> Result<(), ParseErrorKind> {
    decode(body.as_ref(), &mut [0; 4_096]).map(|_| ()).map_err(|e| e.kind)
}

fn entries(body: impl AsRef<[u8]>) -> Vec<(Vec<u8>, Tree)> {
    let mut scratch = vec![0; SCRATCH_MAX];
    let dict = decode(body.as_ref(), &mut scratch).unwrap();
    dict.iter().map(|(k, v)| (k.to_vec(), tree(v))).collect()
}

fn str(text: &str) -> Tree {
    Tree::Str(text.as_bytes().to_vec())
}

#[test]
fn ping_in_both_encodings() {
    for body in ["d7:command4:pinge", "{\"command\":\"ping\"}", "{ \"command\" : \"ping\" }\n"] {
        let bytes = format!("5323_1 {body}");
        let message = split(bytes.as_bytes()).unwrap();
        assert_eq!((message.cookie, message.body), (&b"5323_1"[..], body.as_bytes()));
        let mut scratch = [0; 64];
        let dict = decode(message.body, &mut scratch).unwrap();
        assert_eq!(dict.str("command"), Some(&b"ping"[..]));
        assert_eq!(dict.str("call-id"), None);
    }
    let reply = |encoding| write(&mut [0; 64], b"5323_1", encoding, |d| d.str("result", "pong")).map(<[u8]>::to_vec);
    assert_eq!(reply(Encoding::Bencode).unwrap(), b"5323_1 d6:result4:ponge");
    assert_eq!(reply(Encoding::Json).unwrap(), b"5323_1 {\"result\":\"pong\"}");
}

#[test]
fn messages_without_a_cookie() {
    let kind = |bytes: &[u8]| split(bytes).map(|_| ()).map_err(|e| e.kind);
    let missing = Err(ParseErrorKind::Missing("cookie"));
    assert_eq!(kind(b""), missing);
    assert_eq!(kind(b"d7:command4:pinge"), missing);
    assert_eq!(kind(b" d7:command4:pinge"), missing);
    assert_eq!(kind(&[b"x".repeat(COOKIE_MAX), b" d".to_vec()].concat()), Ok(()));
    assert_eq!(kind(&[b"x".repeat(COOKIE_MAX + 1), b" d".to_vec()].concat()), Err(ParseErrorKind::TooLong));
    assert_eq!(kind(b"a\nb d7:command4:pinge"), Err(ParseErrorKind::ControlByte));
    assert_eq!(kind(b"a\xff d7:command4:pinge"), Err(ParseErrorKind::ControlByte));
    assert_eq!(kind(&[b"x ".to_vec(), vec![b'd'; MESSAGE_MAX]].concat()), Err(ParseErrorKind::TooLong));
}

#[test]
fn every_kind_of_value() {
    let bencode = b"d4:dictd1:ai1ee3:int2:424:listl1:ai-7eledee1:nde3:num i5ee";
    assert!(kind(bencode).is_err());
    let body = "d4:dictd1:ai1ee4:listl1:ai-7eledee3:numi5e4:text2:42e";
    let json = r#"{"dict":{"a":1},"list":["a",-7,[],{}],"num":5,"text":"42"}"#;
    assert_eq!(entries(body), entries(json));
    let mut scratch = [0; 128];
    let dict = decode(json.as_bytes(), &mut scratch).unwrap();
    assert_eq!(dict.dict("dict").unwrap().int("a"), Some(1));
    assert_eq!((dict.int("num"), dict.int("text"), dict.int("list")), (Some(5), Some(42), None));
    let list = dict.list("list").unwrap();
    assert_eq!(list.iter().map(|v| v.as_str()).collect::<Vec<_>>(), [Some(&b"a"[..]), None, None, None]);
    assert!(!list.is_empty() && list.iter().nth(2).unwrap().as_list().unwrap().is_empty());
    assert!(Dict::empty().is_empty() && Dict::empty().iter().next().is_none());
    assert_eq!(kind("de"), Ok(()));
    assert_eq!(kind("{}"), Ok(()));
}

#[test]
fn the_first_of_two_equal_keys_counts() {
    for body in ["d1:a1:x1:a1:ye", r#"{"a":"x","a":"y"}"#] {
        let mut scratch = [0; 64];
        let dict = decode(body.as_bytes(), &mut scratch).unwrap();
        assert_eq!(dict.str("a"), Some(&b"x"[..]));
        assert_eq!(dict.iter().count(), 2);
    }
}

#[test]
fn malformed_bencode() {
    use ParseErrorKind::{Number, Syntax, TooLong, Truncated};
    for (body, expected) in [
        ("", Syntax("ng dictionary")),
        ("x", Syntax("ng dictionary")),
        ("4:ping", Syntax("ng dictionary")),
        ("d", Truncated),
        ("d3:a", Truncated),
        ("d7:command", Truncated),
        ("d7:command4:pin", Truncated),
        ("d7:command4:ping", Truncated),
        ("d7:commande", Syntax("bencode")),
        ("d7:commandxe", Syntax("bencode")),
        ("d3x:abc1:ae", Syntax("bencode string")),
        ("di1e1:ae", Syntax("bencode key")),
        ("dl1:ae1:ae", Syntax("bencode key")),
        ("dde1:ae", Syntax("bencode key")),
        ("d1:ai1", Truncated),
        ("d1:aie", Number),
        ("d1:ai-ee", Number),
        ("d1:ai-0ee", Number),
        ("d1:ai00ee", Number),
        ("d1:ai01ee", Number),
        ("d1:ai+1ee", Number),
        ("d1:ai1xe", Number),
        ("d1:ai9223372036854775808ee", Number),
        ("d1:ai-9223372036854775809ee", Number),
        ("d1:ai99999999999999999999999ee", Number),
        ("d01:a1:be", Number),
        ("d65536:", TooLong),
        ("d18446744073709551615:", TooLong),
        ("d18446744073709551616:", Number),
        ("d65535:a", Truncated),
        ("d-1:a1:be", Syntax("bencode")),
        ("d1:a1:be1:c", Syntax("end of the ng message")),
        ("deh", Syntax("end of the ng message")),
    ] {
        assert_eq!(kind(body), Err(expected), "{body}");
    }
    assert_eq!(kind("d1:a1:be \r\n"), Ok(()));
    assert_eq!(
        entries("d1:ai9223372036854775807e1:bi-9223372036854775808ee"),
        [(b"a".to_vec(), Tree::Int(i64::MAX)), (b"b".to_vec(), Tree::Int(i64::MIN))]
    );
}

#[test]
fn malformed_json() {
    use ParseErrorKind::{ControlByte, Number, Syntax, TooDeep, Truncated};
    for (body, expected) in [
        ("{", Truncated),
        ("{\"a", Truncated),
        ("{\"a\"", Truncated),
        ("{\"a\":", Truncated),
        ("{\"a\":tru", Truncated),
        ("{\"a\":1", Truncated),
        ("{\"a\":\"\\", Truncated),
        ("{\"a\":\"\\u00", Truncated),
        ("{\"a\" 1}", Syntax("JSON")),
        ("{\"a\":1 \"b\":2}", Syntax("JSON")),
        ("{\"a\":1,}", Syntax("JSON key")),
        ("{,}", Syntax("JSON key")),
        ("{a:1}", Syntax("JSON key")),
        ("{1:1}", Syntax("JSON key")),
        ("{\"a\":[1,]}", Syntax("JSON")),
        ("{\"a\":[}", Syntax("JSON")),
        ("{\"a\":[1}", Syntax("JSON")),
        ("{\"a\":}", Syntax("JSON")),
        ("{\"a\":truth}", Syntax("JSON")),
        ("{\"a\":1.5}", Number),
        ("{\"a\":1e3}", Number),
        ("{\"a\":01}", Number),
        ("{\"a\":-}", Number),
        ("{\"a\":9223372036854775808}", Number),
        ("{\"a\":\"\n\"}", ControlByte),
        ("{\"a\":\"\\x\"}", Syntax("JSON escape")),
        ("{\"a\":\"\\u00g0\"}", Syntax("JSON escape")),
        ("{\"a\":\"\\ud800\"}", Syntax("JSON escape")),
        ("{\"a\":\"\\ud800\\u0041\"}", Syntax("JSON escape")),
        ("{\"a\":\"\\udc00\"}", Syntax("JSON escape")),
        ("{} x", Syntax("end of the ng message")),
        ("{}}", Syntax("end of the ng message")),
    ] {
        assert_eq!(kind(body), Err(expected), "{body}");
    }
    assert_eq!(kind(b"{\"a\":\"\xff\"}"), Err(Syntax("UTF-8")));
    assert_eq!(kind(format!("{{\"a\":{}", "[".repeat(60_000))), Err(TooDeep));
}

#[test]
fn json_strings_and_words() {
    assert_eq!(
        entries(r#"{"sdp":"v=0\r\nt=\"\\\/\b\f\t\u0041\u00e9\ud83d\ude00é","y":true,"n":false,"z":null,"l":[null,1]}"#),
        [
            (b"sdp".to_vec(), str("v=0\r\nt=\"\\/\u{8}\u{c}\tAé😀é")),
            (b"y".to_vec(), str("yes")),
            (b"n".to_vec(), str("no")),
            (b"l".to_vec(), Tree::List([Tree::Int(1)].to_vec())),
        ]
    );
    assert_eq!(entries("{\"a\":-0}"), [(b"a".to_vec(), Tree::Int(0))]);
}

#[test]
fn depth_and_count_are_bounded() {
    let nested = |depth: usize| {
        let inner = depth - 1;
        (
            format!("d1:a{}{}e", "l".repeat(inner), "e".repeat(inner)),
            format!("{{\"a\":{}{}}}", "[".repeat(inner), "]".repeat(inner)),
        )
    };
    let limit = DEPTH_MAX as usize;
    assert_eq!((kind(nested(limit).0), kind(nested(limit).1)), (Ok(()), Ok(())));
    let too_deep = Err(ParseErrorKind::TooDeep);
    assert_eq!((kind(nested(limit + 1).0), kind(nested(limit + 1).1)), (too_deep, too_deep));
    assert_eq!(kind("d1:a".repeat(10_000)), too_deep);

    // The dictionary, its key and its list are three.
    let wide = |n: usize| (format!("d1:al{}ee", "0:".repeat(n)), format!("{{\"a\":[{}]}}", vec!["\"\""; n].join(",")));
    let check = |(b, j): (String, String)| {
        (kind(b), decode(j.as_bytes(), &mut vec![0; SCRATCH_MAX]).map(|_| ()).map_err(|e| e.kind))
    };
    assert_eq!(check(wide(VALUES_MAX - 3)), (Ok(()), Ok(())));
    let too_many = Err(ParseErrorKind::TooManyValues);
    assert_eq!(check(wide(VALUES_MAX - 2)), (too_many, too_many));
}

#[test]
fn scratch_is_enough_or_refused() {
    // What grows most.
    let body = format!("{{\"a\":[{}1]}}", "1,".repeat(VALUES_MAX - 4));
    let mut scratch = vec![0; body.len() + body.len() / 2 + 8];
    assert!(decode(body.as_bytes(), &mut scratch).is_ok());
    for len in 0..20 {
        let mut scratch = vec![0; len];
        let result = decode(b"{\"command\":\"ping\"}", &mut scratch);
        assert_eq!(result.is_ok(), len >= "d7:command4:pinge".len(), "{len}");
        if let Err(e) = result {
            assert_eq!(e.kind, ParseErrorKind::TooLong);
        }
    }
    let longest = [b"{\"a\":\"".to_vec(), vec![b'x'; MESSAGE_MAX - 8], b"\"}".to_vec()].concat();
    assert!(decode(&longest, &mut vec![0; SCRATCH_MAX]).is_ok());
}

#[test]
fn messages_in_a_stream() {
    for body in ["d7:command4:pinge", "{\"command\":\"p}i\\\"{ng\"}"] {
        let one = format!("1_2 {body}");
        let two = format!("\r\n{one}\n{one}");
        for len in 0..two.len() {
            let found = frame(&two.as_bytes()[..len]).unwrap();
            assert_eq!(found, (len >= one.len() + 2).then_some(2..one.len() + 2), "{len}");
        }
        let rest = &two.as_bytes()[one.len() + 2..];
        assert_eq!(frame(rest), Ok(Some(1..one.len() + 1)));
    }
    assert!(frame(b"1_2 x").is_err());
    assert!(frame(b"1_2 d1:ax").is_err());
    assert!(frame(b"1_2 d99999:").is_err());
    assert!(frame(&b"x".repeat(COOKIE_MAX + 1)).is_err());
    let endless = [b"1 {\"a\":\"".to_vec(), vec![b'x'; MESSAGE_MAX]].concat();
    assert_eq!(frame(&endless[..MESSAGE_MAX - 1]), Ok(None));
    assert_eq!(frame(&endless).unwrap_err().kind, ParseErrorKind::TooLong);
}

#[test]
fn text_written_in_pieces() {
    let mut out = [0; 128];
    let mut reply = |encoding| {
        let reply = write(&mut out, b"c", encoding, |d| {
            d.text("sdp", |t| {
                t.put(b"v=0\r\n\xc3");
                t.put(b"\xa9");
                write!(t, "{}\"\u{1}", 17).unwrap();
            });
            d.list("l", |l| {
                l.int(-5);
                l.text(|t| t.put(b"x"));
            });
        });
        String::from_utf8(reply.unwrap().to_vec()).unwrap()
    };
    assert_eq!(reply(Encoding::Bencode), "c d3:sdp11:v=0\r\né17\"\u{1}1:lli-5e1:xee");
    assert_eq!(reply(Encoding::Json), r#"c {"sdp":"v=0\r\né17\"\u0001","l":[-5,"x"]}"#);
}

#[test]
fn json_replies_are_utf_8() {
    let mut out = [0; 64];
    let reply = write(&mut out, b"c", Encoding::Json, |d| d.str("a", b"x\xffy\xe2\x82z\xf0\x9f\x98\x80\xf0")).unwrap();
    assert_eq!(std::str::from_utf8(reply).unwrap(), "c {\"a\":\"x\u{fffd}y\u{fffd}z😀\u{fffd}\"}");
}

#[test]
fn a_reply_fits_or_is_refused() {
    for encoding in [Encoding::Bencode, Encoding::Json] {
        let reply = |room: usize| {
            let mut out = vec![0; room];
            let written = write(&mut out, b"cookie", encoding, |d| {
                d.str("sdp", "v=0\r\n\u{1}\"é");
                d.dict("d", |d| d.list("l", |l| l.int(i64::MIN)));
            });
            written.map(<[u8]>::len)
        };
        let len = reply(1_000).unwrap();
        for room in 0..1_000 {
            assert_eq!(reply(room), if room < len { Err(Overflow) } else { Ok(len) }, "{encoding:?} {room}");
        }
    }
}

#[test]
fn what_is_shown_has_no_text() {
    let mut scratch = [0; 64];
    let dict = decode(br#"{"a":"secret","b":[1],"c":{}}"#, &mut scratch).unwrap();
    let shown = format!("{dict:?} {:?}", dict.iter().collect::<Vec<_>>());
    assert!(!shown.contains("secret") && shown.contains("Dict(3 entries)"), "{shown}");
}

fn trees(text: BoxedStrategy<Vec<u8>>) -> impl Strategy<Value = Vec<(Vec<u8>, Tree)>> {
    let leaf = prop_oneof![text.clone().prop_map(Tree::Str), any::<i64>().prop_map(Tree::Int)];
    let key = text.clone();
    let value = leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            proptest::collection::vec((key.clone(), inner), 0..6).prop_map(Tree::Dict),
        ]
    });
    proptest::collection::vec((text, value), 0..6)
}

fn any_bytes() -> BoxedStrategy<Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40).boxed()
}

fn any_text() -> BoxedStrategy<Vec<u8>> {
    any::<String>().prop_map(String::into_bytes).boxed()
}

fn round_trip(encoding: Encoding, dict: &[(Vec<u8>, Tree)]) -> Result<(), TestCaseError> {
    let mut out = vec![0; MESSAGE_MAX];
    let bytes = write(&mut out, b"cookie", encoding, |d| dict.iter().for_each(|(k, v)| add(d, k, v))).unwrap();
    prop_assert_eq!(frame(bytes), Ok(Some(0..bytes.len())));
    let message = split(bytes).unwrap();
    prop_assert_eq!(message.cookie, b"cookie");
    prop_assert_eq!(Encoding::of(message.body), Some(encoding));
    let mut scratch = vec![0; SCRATCH_MAX];
    let read = decode(message.body, &mut scratch).unwrap();
    prop_assert_eq!(read.iter().map(|(k, v)| (k.to_vec(), tree(v))).collect::<Vec<_>>(), dict);
    let mut first = BTreeMap::new();
    for (k, v) in dict.iter().rev() {
        first.insert(k, v);
    }
    for (key, value) in first {
        prop_assert_eq!(read.find(key).map(tree), Some(value.clone()));
    }
    Ok(())
}

proptest! {
    #[test]
    fn bencode_round_trip(dict in trees(any_bytes())) {
        round_trip(Encoding::Bencode, &dict)?;
    }

    #[test]
    fn json_round_trip(dict in trees(any_text())) {
        round_trip(Encoding::Json, &dict)?;
    }

    /// Any bytes with the marks of either encoding: decoded or refused, and the cursors walk all that was decoded.
    #[test]
    fn garbage(bytes in proptest::collection::vec(proptest::sample::select(&b"dlie0123:-{}[]\",\\u 9atrueflsn\xff"[..]), 0..60), json: bool) {
        let body = [if json { &b"{"[..] } else { b"d" }, &bytes].concat();
        let mut scratch = vec![0; SCRATCH_MAX];
        if let Ok(dict) = decode(&body, &mut scratch) {
            dict.iter().for_each(|(_, v)| drop(tree(v)));
        }
        let _ = frame(&[&b"c "[..], &body].concat());
        let _ = frame(&body);
    }

    /// A message cut short is refused, and damaged ones never panic.
    #[test]
    fn damaged_messages(dict in trees(any_text()), json: bool, at: prop::sample::Index, byte: u8) {
        let encoding = if json { Encoding::Json } else { Encoding::Bencode };
        let mut out = vec![0; MESSAGE_MAX];
        let bytes = write(&mut out, b"c", encoding, |d| dict.iter().for_each(|(k, v)| add(d, k, v))).unwrap();
        let mut body = bytes[2..].to_vec();
        let mut scratch = vec![0; SCRATCH_MAX];
        let at = at.index(body.len());
        prop_assert!(decode(&body[..at], &mut scratch).is_err());
        prop_assert!(!matches!(frame(&[&b"c "[..], &body[..at]].concat()), Ok(Some(_))));
        body[at] = byte;
        if let Ok(dict) = decode(&body, &mut scratch) {
            dict.iter().for_each(|(_, v)| drop(tree(v)));
        }
    }
}
