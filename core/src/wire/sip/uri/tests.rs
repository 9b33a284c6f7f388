use alloc::format;

use super::*;
use crate::error::ParseErrorKind;

fn uri(bytes: &[u8]) -> Uri<'_> {
    Uri::parse(bytes).unwrap_or_else(|e| panic!("{:?}: {e}", Text(bytes)))
}

#[test]
fn every_part() {
    let raw = b"sips:alice:secret@atlanta.com:5061;maddr=239.255.255.1;ttl=15;transport=tcp;lr?subject=project%20x&priority=urgent";
    let u = uri(raw);
    assert_eq!(u.scheme, Scheme::Sips);
    assert_eq!(u.user, Some(&b"alice"[..]));
    assert_eq!(u.password, Some(&b"secret"[..]));
    assert_eq!(u.host, Some(Host::Name(b"atlanta.com")));
    assert_eq!(u.port, Some(5061));
    assert_eq!(u.maddr(), Host::parse(b"239.255.255.1").ok());
    assert_eq!(u.ttl(), Some(15));
    assert_eq!(u.transport(), Some(Transport::Tcp));
    assert!(u.is_loose_router());
    assert_eq!(u.headers, Some(&b"subject=project%20x&priority=urgent"[..]));
    assert_eq!(u.header_pairs().last(), Some((&b"priority"[..], &b"urgent"[..])));
    assert_eq!(u.userinfo_span.of(raw), b"alice:secret");
    assert_eq!(u.hostport_span.of(raw), b"atlanta.com:5061");
    assert_eq!(u.params.find(b"ttl").unwrap().span.of(raw), b";ttl=15");
}

#[test]
fn without_user() {
    let raw = b"SIP:[2001:db8::10]:5070;method=REGISTER";
    let u = uri(raw);
    assert_eq!((u.scheme, u.user, u.port), (Scheme::Sip, None, Some(5070)));
    assert_eq!(u.method(), Some(Method::Register));
    assert_eq!(u.userinfo_span, Span::new(4, 4));
    assert_eq!(uri(b"sip:a").port_or_default(), 5060);
    assert_eq!(uri(b"sips:a").port_or_default(), 5061);
}

#[test]
fn parts_of_the_torture_messages() {
    assert_eq!(uri(b"sip:user;par=u%40example.net@example.com").user, Some(&b"user;par=u%40example.net"[..]));
    assert_eq!(uri(b"sip:sips%3Auser%40example.com@example.net").user, Some(&b"sips%3Auser%40example.com"[..]));
    assert_eq!(uri(b"sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com").host,
        Some(Host::Name(b"example.com")));
    assert_eq!(uri(b"sip:vivekg@chair-dnrc.example.com;unknownparam").params.value(b"unknownparam"), None);
    assert_eq!(
        uri(b"sip:+1-212-555-1212;phone-context=+1:1234@gateway.com;user=phone").user_kind(),
        Some(&b"phone"[..])
    );
    let lhs = b"sip:%Z%45@resource.example.com";
    assert!(Uri::parse(lhs).is_err());
    assert_eq!(uri(b"nobodyKnowsThisScheme:totallyopaquecontent").scheme, Scheme::Other(b"nobodyKnowsThisScheme"));
    assert_eq!(uri(b"sip:[2001:db8::10:5070]").port, None);
}

#[test]
fn structure_is_strict() {
    for bad in [
        &b""[..],
        b"sip",
        b"sip:",
        b"sip:@a",
        b"sip:a@",
        b"sip:a@b@c",
        b"sip:a b@c",
        b"sip:a@b:x",
        b"sip:a@b;",
        b"sip:a@b;;lr",
        b"sip:a@b?",
        b"sip:a@b?x",
        b"sip:a@b?x=1&",
        b"sip:a%4@b",
        b"sip:a%@b",
        b"sip:a@b>",
        b"sip:a@b ",
        b" sip:a@b",
        b"sip:a\0@b",
        b"sip:a@[::1",
        b"sip:a@b;x=\x7f",
        b":a",
        b"1x:a",
        b"tel:",
        b"tel:-",
        b"tel:+1x",
        b"http:",
        b"x:a b",
        b"sip:\xc3\xa4@b",
        b"tel:+1;",
        b"<sip:a@b>",
    ] {
        assert!(Uri::parse(bad).is_err(), "{:?}", Text(bad));
    }
    assert_eq!(Uri::parse(b"sip:a@b:70000").unwrap_err().kind, ParseErrorKind::Number);
}

#[test]
fn deliberately_lenient() {
    assert_eq!(uri(b"sip:*21#@pbx").user, Some(&b"*21#"[..]));
    assert_eq!(uri(b"sip:a@b;did=AbC==;lr").params.value(b"did"), Some(&b"AbC=="[..]));
    assert_eq!(uri(b"sip:a@b;x=;lr").params.value(b"x"), Some(&b""[..]));
}

#[test]
fn tel_numbers() {
    let u = uri(b"tel:7042;phone-context=example.com");
    assert_eq!((u.scheme, u.user, u.host), (Scheme::Tel, Some(&b"7042"[..]), None));
    assert_eq!(u.params.value(b"phone-context"), Some(&b"example.com"[..]));
    assert!(equivalent(b"tel:+1-201-555-0123", b"TEL:+1(201)555.0123"));
    assert!(equivalent(b"tel:7042;phone-context=a.b;ext=1", b"tel:7042;ext=1;phone-context=A.B"));
    assert!(!equivalent(b"tel:7042;phone-context=a.b", b"tel:7042"));
    assert!(!equivalent(b"tel:+7042", b"tel:7042"));
}

/// The examples of RFC 3261 §19.1.4.
#[test]
fn equal_by_19_1_4() {
    for (a, b) in [
        (&b"sip:%61lice@atlanta.com;transport=TCP"[..], &b"sip:alice@AtLanTa.CoM;Transport=tcp"[..]),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com;newparam=5"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com;security=on"),
        (b"sip:carol@chicago.com;newparam=5", b"sip:carol@chicago.com;security=on"),
        (
            b"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            b"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            b"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            b"sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        (b"sip:a@[2001:db8::0:1]", b"sip:a@[2001:DB8::1]"),
        (b"sip:a@b;%6cr", b"sip:a@b;lr"),
    ] {
        assert!(equivalent(a, b) && equivalent(b, a), "{:?} {:?}", Text(a), Text(b));
    }
}

/// The examples of RFC 3261 §19.1.4, and each parameter that never stands alone.
#[test]
fn unequal_by_19_1_4() {
    for (a, b) in [
        (&b"SIP:ALICE@AtLanTa.CoM;Transport=udp"[..], &b"sip:alice@AtLanTa.CoM;Transport=UDP"[..]),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com;transport=udp"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:6000;transport=tcp"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com?Subject=next%20meeting"),
        (b"sip:bob@phone21.boxesbybob.com", b"sip:bob@192.0.2.4"),
        (b"sip:carol@chicago.com;security=on", b"sip:carol@chicago.com;security=off"),
        (b"sip:a@b", b"sips:a@b"),
        (b"sip:a@b", b"sip:b"),
        (b"sip:a@b", b"sip:a:@b"),
        (b"sip:a@b", b"sip:a@b;user=ip"),
        (b"sip:a@b", b"sip:a@b;ttl=1"),
        (b"sip:a@b", b"sip:a@b;method=INVITE"),
        (b"sip:a@b", b"sip:a@b;maddr=b"),
        (b"sip:a;b@c", b"sip:a%3bb@c"),
        (b"sip:a@b?x=1&x=1&x=2", b"sip:a@b?x=1&x=2&x=2"),
    ] {
        assert!(!equivalent(a, b) && !equivalent(b, a), "{:?} {:?}", Text(a), Text(b));
    }
}

#[test]
fn user_is_unescaped_into_a_buffer() {
    let mut buffer = [0; 8];
    assert_eq!(uri(b"sip:a%40%62@c").user_unescaped(&mut buffer), Some(&b"a@b"[..]));
    assert_eq!(uri(b"sip:123456789@c").user_unescaped(&mut buffer), None);
    assert_eq!(uri(b"sip:c").user_unescaped(&mut buffer), None);
}

#[test]
fn debug_hides_the_password() {
    assert_eq!(format!("{:?}", uri(b"sip:al:secret@b;lr")), "Uri(\"sip:al:***@b;lr\")");
    assert_eq!(format!("{:?}", uri(b"sip:al@b")), "Uri(\"sip:al@b\")");
}
