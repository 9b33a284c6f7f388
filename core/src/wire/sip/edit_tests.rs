use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::super::put::{Counter, Text};
use super::*;

const TEXT: &str = "INVITE sip:b@x SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nRoute: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\n\
    From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 4\r\n\r\nbody";

fn text(draft: &Draft<'_, '_, '_>, late: &[&[u8]]) -> String {
    let mut out = Vec::new();
    draft.visit(late, |b| out.extend_from_slice(b));
    let mut counter = Counter::default();
    draft.serialise(late, &mut counter);
    assert_eq!(counter.0, out.len());
    assert_eq!(draft.size(late), out.len());
    String::from_utf8(out).unwrap()
}

fn read(draft: &Draft<'_, '_, '_>, name: HeaderName, nth: usize) -> Option<String> {
    let mut out = Text::<256>::new();
    draft.read(name, nth, &[b"late"], &mut out).then(|| String::from_utf8(out.as_bytes().to_vec()).unwrap())
}

#[test]
fn a_draft_without_edits_is_the_message() {
    let msg = Msg::parse(TEXT.as_bytes()).unwrap();
    assert_eq!(text(&Draft::new(&msg), &[]), TEXT);
}

#[test]
fn the_edits_of_a_proxy() {
    let msg = Msg::parse(TEXT.as_bytes()).unwrap();
    let mut draft = Draft::new(&msg);
    let via = msg.header(HeaderName::Via).unwrap();
    let route = msg.header(HeaderName::Route).unwrap();
    draft.remove_header(&route).unwrap();
    draft
        .insert_header(Some(&via), HeaderName::Via, |i| {
            i.put(b"SIP/2.0/");
            i.late(0);
            i.put(b" us;branch=");
            i.borrowed(b"z9hG4bK2");
        })
        .unwrap();
    draft.insert(via.span.value().end, |i| i.put(b";received=192.0.2.1")).unwrap();
    draft.replace(msg.request_uri_range().unwrap(), |i| i.put(b"sip:other")).unwrap();
    draft.insert_header(None, HeaderName::MaxForwards, |i| i.put_number(10)).unwrap();
    draft.set_body(b"new body").unwrap();
    let want = "INVITE sip:other SIP/2.0\r\nVia: SIP/2.0/TCP us;branch=z9hG4bK2\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1\r\n\
        Route: <sip:p2;lr>\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 8\r\n\
        Max-Forwards: 10\r\n\r\nnew body";
    let out = text(&draft, &[b"TCP"]);
    assert_eq!(out, want);
    assert!(Msg::parse(out.as_bytes()).is_ok());
}

#[test]
fn reads_see_the_edits() {
    let msg = Msg::parse(TEXT.as_bytes()).unwrap();
    let mut draft = Draft::new(&msg);
    let via = msg.header(HeaderName::Via).unwrap();
    let route = msg.header(HeaderName::Route).unwrap();
    draft
        .insert_header(Some(&via), HeaderName::Via, |i| {
            i.put(b"SIP/2.0/");
            i.late(0);
            i.put(b" us");
        })
        .unwrap();
    draft.insert(via.span.value().end, |i| i.put(b";received=192.0.2.1")).unwrap();
    draft.remove_header(&route).unwrap();
    draft.insert_header(None, HeaderName::Route, |i| i.put(b"<sip:p3;lr>")).unwrap();
    assert_eq!(read(&draft, HeaderName::Via, 0).as_deref(), Some("SIP/2.0/late us"));
    assert_eq!(read(&draft, HeaderName::Via, 1).as_deref(), Some("SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1"));
    assert_eq!(read(&draft, HeaderName::Via, 2), None);
    assert_eq!(read(&draft, HeaderName::Route, 0).as_deref(), Some("<sip:p2;lr>"));
    assert_eq!(read(&draft, HeaderName::Route, 1).as_deref(), Some("<sip:p3;lr>"));
    assert_eq!(read(&draft, HeaderName::Route, 2), None);
    assert_eq!(read(&draft, HeaderName::Contact, 0), None);
}

#[test]
fn overlaps_and_excess_are_refused_and_change_nothing() {
    let msg = Msg::parse(TEXT.as_bytes()).unwrap();
    let mut draft = Draft::new(&msg);
    draft.delete(30..40).unwrap();
    for range in [29..31, 35..36, 39..50, 20..60] {
        assert_eq!(draft.delete(range.clone()), Err(EditError::Overlap), "{range:?}");
    }
    assert_eq!(draft.insert(35, |i| i.put(b"x")), Err(EditError::Overlap));
    let end = TEXT.len();
    assert_eq!(draft.delete(end..end + 1), Err(EditError::OutOfRange));
    assert_eq!(draft.insert(end + 1, |i| i.put(b"x")), Err(EditError::OutOfRange));
    draft.delete(40..41).unwrap();
    draft.insert(30, |i| i.put(b"x")).unwrap();
    let before = text(&draft, &[]);
    assert_eq!(draft.insert(0, |i| i.put(&[b'a'; TEXT_MAX])), Err(EditError::TooLong));
    assert_eq!(draft.replace(50..55, |i| i.put(&[b'a'; TEXT_MAX])), Err(EditError::TooLong));
    assert_eq!(text(&draft, &[]), before);
    while draft.insert(0, |i| i.put(b"y")).is_ok() {}
    assert_eq!(draft.insert(0, |i| i.put(b"#")), Err(EditError::TooMany));
    assert!(!text(&draft, &[]).contains("#"));
}

proptest! {
    /// The edit list against the plain way: a string changed from its end to its start.
    #[test]
    fn as_naive_edits(edits in proptest::collection::vec((0..TEXT.len(), 0..20usize, "[a-z]{0,9}"), 0..12)) {
        let msg = Msg::parse(TEXT.as_bytes()).unwrap();
        let mut draft = Draft::new(&msg);
        let mut model: Vec<(usize, usize, String)> = Vec::new();
        for (at, del, ins) in edits {
            let end = (at + del).min(TEXT.len());
            let clash = model.iter().any(|(a, d, i)| {
                let e = a + d;
                let overlap = *d > 0 && end > at && *a < end && at < e;
                let into = (*d > 0 && *a < at && at < e) || (end > at && !i.is_empty() && at < *a && *a < end);
                overlap || into
            });
            let result = draft.replace(at..end, |i| i.put(ins.as_bytes()));
            prop_assert_eq!(result.is_err(), clash);
            if !clash {
                model.push((at, end - at, ins));
            }
        }
        // Deletions first, then insertions in the order of their addition, at each place.
        let mut want = String::new();
        for at in 0..=TEXT.len() {
            for (_, _, ins) in model.iter().filter(|(a, _, _)| *a == at) {
                want += ins;
            }
            if at < TEXT.len() && !model.iter().any(|(a, d, _)| (*a..a + d).contains(&at)) {
                want += &TEXT[at..at + 1];
            }
        }
        prop_assert_eq!(text(&draft, &[]), want);
    }
}
