use std::collections::BTreeSet;
use std::path::Path;

use super::*;

fn header(case: &Case) -> Option<(&[u8], &[u8])> {
    let at = case.bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((&case.bytes[..at], &case.bytes[at + 4..]))
}

fn fields<'a>(case: &'a Case, names: &[&str]) -> Vec<&'a str> {
    let (head, _) = header(case).expect("an empty line");
    let lines = head.split(|byte| *byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| names.iter().any(|wanted| name.trim().eq_ignore_ascii_case(wanted)))
        .map(|(_, value)| value.trim())
        .collect()
}

fn codes(expect: Expect) -> &'static [u16] {
    match expect {
        Expect::Answer(codes)
        | Expect::Reject(codes)
        | Expect::AcceptOrReject(codes)
        | Expect::RejectOrDiscard(codes) => codes,
        Expect::Accept | Expect::Discard | Expect::Incomplete => &[],
    }
}

#[test]
fn every_file_has_its_row_and_every_row_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("torture");
    for (folder, cases) in [("rfc4475", rfc4475()), ("rfc5118", rfc5118()), ("bad_input", bad_input())] {
        let rows: BTreeSet<String> = cases.iter().map(|case| format!("{}.sip", case.name)).collect();
        let files = std::fs::read_dir(root.join(folder)).unwrap();
        let files: BTreeSet<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(rows, files, "{folder}");
        assert_eq!(rows.len(), cases.len(), "{folder}: a name is there twice");
    }
}

#[test]
fn the_rfcs_are_complete() {
    assert_eq!(rfc4475().len(), 49);
    let sections: BTreeSet<_> = rfc4475().iter().map(|case| case.section).collect();
    assert_eq!(sections.len(), 49, "one message a section");
    let sections: BTreeSet<_> = rfc5118().iter().map(|case| case.section).collect();
    assert_eq!(sections.len(), 10);
}

#[test]
fn names_are_unique_across_the_collections() {
    let names: BTreeSet<_> = all().map(|case| case.name).collect();
    assert_eq!(names.len(), all().count());
    assert_eq!(find("wsinv").map(|case| case.section), Some("3.1.1.1"));
    assert!(find("no such message").is_none());
}

#[test]
fn status_codes_are_final_ones_in_order() {
    for case in all() {
        for expect in [case.on_datagram, case.on_stream].into_iter().flatten() {
            let codes = codes(expect);
            assert!(codes.is_sorted() && codes.iter().all(|code| (200..700).contains(code)), "{}", case.name);
            if let Expect::Reject(_) | Expect::AcceptOrReject(_) | Expect::RejectOrDiscard(_) = expect {
                assert!(!codes.is_empty() && codes.iter().all(|code| *code >= 400), "{}", case.name);
            }
        }
        assert!(case.on_datagram.is_some() || case.on_stream.is_some(), "{}", case.name);
        assert!(!case.closes_stream || case.on_stream.is_some(), "{}", case.name);
        assert!(!case.why.is_empty() && !case.section.is_empty(), "{}", case.name);
    }
}

#[test]
fn nobody_answers_a_response_or_an_ack() {
    for case in all().filter(|case| case.is_response() || case.bytes.starts_with(b"ACK ")) {
        assert_eq!(case.on_datagram, Some(Expect::Discard), "{}", case.name);
        assert_eq!(case.on_stream, Some(Expect::Discard), "{}", case.name);
    }
}

#[test]
fn a_valid_message_holds_the_body_it_announces() {
    for case in all().filter(|case| case.valid && case.name != "leading-crlf") {
        let (_, body) = header(case).unwrap_or_else(|| panic!("{}: no empty line", case.name));
        match fields(case, &["Content-Length", "l"])[..] {
            [] => {}
            [length] => {
                let length: usize = length.parse().unwrap();
                let more = ["dblreq", "content-length-short", "stream-two-requests", "stream-noise-after-request"];
                assert_eq!(length < body.len(), more.contains(&case.name), "{}", case.name);
                assert!(length <= body.len(), "{}", case.name);
            }
            _ => panic!("{}: more than one Content-Length", case.name),
        }
    }
}

#[test]
fn a_valid_message_ends_its_lines_with_crlf() {
    for case in all().filter(|case| case.valid) {
        let Some((head, _)) = header(case) else { continue };
        let lf = head.iter().filter(|byte| **byte == b'\n').count();
        let crlf = head.windows(2).filter(|window| *window == b"\r\n").count();
        let cr = head.iter().filter(|byte| **byte == b'\r').count();
        assert_eq!((lf, cr), (crlf, crlf), "{}", case.name);
    }
}

#[test]
fn what_is_hard_about_a_message_is_in_its_bytes() {
    let has = |name: &str, part: &[u8]| find(name).unwrap().bytes.windows(part.len()).any(|window| window == part);
    assert!(has("wsinv", b"cseq: 0009\r\n  INVITE\r\n"));
    assert!(has("intmeth", b"\"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\""));
    assert!(has("noreason", b"SIP/2.0 100 \r\n"));
    assert!(has("trws", b" SIP/2.0  \r\n"));
    assert!(has("mpart01", b"\r\n\r\n\x30\x82\x01\x52\x06\x09"));
    assert!(has("unreason", "простое\r\n".as_bytes()));
    assert!(has("scalar02", &[&b"Expires: 1"[..], &[b'0'; 100], b"\r\n"].concat()));
    assert!(has("nul-in-value", b"one\0two"));
    assert!(has("bare-lf-in-value", b"one\nX-Injected"));
    assert_eq!(header(find("mpart01").unwrap()).unwrap().1.len(), 553);
    assert_eq!(fields(find("longreq").unwrap(), &["Via", "v"]).len(), 34);
    assert!(find("oversized-header").unwrap().bytes.len() > usize::from(u16::MAX));
}

#[test]
fn field_counts_stand_on_either_side_of_the_limit() {
    for (name, count) in [("headers-128", 128), ("headers-129", 129)] {
        let (head, _) = header(find(name).unwrap()).unwrap();
        let lines = head.windows(2).filter(|window| *window == b"\r\n").count();
        assert_eq!(lines, count, "{name}");
    }
}

#[test]
fn a_parser_may_have_limits_but_not_below_those_of_the_rfcs() {
    let rfcs = rfc4475().iter().chain(rfc5118());
    assert!(rfcs.clone().all(|case| case.must_parse() == case.valid));
    assert_eq!(rfcs.filter(|case| case.valid).count(), 27 + 11);
    let limited: Vec<_> = bad_input().iter().filter(|case| case.valid && !case.must_parse()).map(|c| c.name).collect();
    let wanted = ["oversized-call-id", "oversized-tag", "oversized-branch", "vias-one-line", "parameters-1000"];
    assert_eq!(limited, wanted);
}

#[test]
fn bad_input_shares_no_call_with_another() {
    let mut seen = BTreeSet::new();
    for case in bad_input().iter().filter(|case| case.valid && case.name != "leading-crlf") {
        for call_id in fields(case, &["Call-ID", "i"]) {
            assert!(seen.insert(call_id), "{}: {call_id}", case.name);
        }
    }
}

#[test]
fn the_address_of_the_server_can_be_another() {
    let case = find("response-forged-branch-zeros").unwrap();
    let moved = case.addressed_to("[2001:db8::1]:15060");
    assert!(moved.starts_with(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP [2001:db8::1]:15060;branch="));
    assert!(!moved.windows(SERVER.len()).any(|window| window == SERVER.as_bytes()));
    let case = find("wsinv").unwrap();
    assert_eq!(case.addressed_to("192.0.2.1:5060"), case.bytes);
}

#[test]
fn expectations_allow_what_they_say() {
    use Expect::{Accept, AcceptOrReject, Answer, Discard, Incomplete, Reject, RejectOrDiscard};
    use Outcome::{Answered, Relayed, Silent};
    // Columns: relayed, 400, 420, 200, 404, silent.
    let outcomes = [Relayed, Answered(400), Answered(420), Answered(200), Answered(404), Silent];
    for (expect, allowed) in [
        (Accept, [true, false, false, true, true, false]),
        (Answer(&[200]), [false, false, false, true, false, false]),
        (Reject(&[400]), [false, true, false, false, false, false]),
        (AcceptOrReject(&[400]), [true, true, false, true, true, false]),
        (RejectOrDiscard(&[400]), [false, true, false, false, false, true]),
        (Discard, [false, false, false, false, false, true]),
        (Incomplete, [false, false, false, false, false, true]),
    ] {
        assert_eq!(outcomes.map(|outcome| expect.allows(outcome)), allowed, "{expect:?}");
    }
}
