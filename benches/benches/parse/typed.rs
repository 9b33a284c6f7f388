//! The same work by each parser.

use std::hint::black_box;

use trunkline_core::wire::sip::cseq::CSeq;
use trunkline_core::wire::sip::header_name::HeaderName;
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::name_addr::NameAddr;
use trunkline_core::wire::sip::via::Via;

const VALID: &str = "the messages are valid";

pub(crate) fn trunkline(bytes: &[u8]) -> Msg<'_> {
    Msg::parse(bytes).expect(VALID)
}

pub(crate) fn trunkline_typed(bytes: &[u8]) {
    let msg = Msg::parse(bytes).expect(VALID);
    let value = |name| msg.value(name).expect(VALID);
    let address = |name| {
        let address = NameAddr::parse(value(name)).expect(VALID);
        black_box(address.parse_uri().expect(VALID));
        black_box(address.tag());
    };
    black_box(Via::parse(value(HeaderName::Via)).expect(VALID));
    address(HeaderName::From);
    address(HeaderName::To);
    black_box(CSeq::parse(value(HeaderName::CSeq)).expect(VALID));
    address(HeaderName::Contact);
    black_box(value(HeaderName::CallId));
}

pub(crate) fn rsip(bytes: &[u8]) -> rsip::SipMessage {
    rsip::SipMessage::try_from(bytes).expect(VALID)
}

pub(crate) fn rsip_typed(bytes: &[u8]) {
    use ::rsip::prelude::{HeadersExt, ToTypedHeader};
    let msg = rsip(bytes);
    black_box(msg.via_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.from_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.to_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.cseq_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.contact_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.call_id_header().expect(VALID));
}

pub(crate) fn rsipstack(bytes: &[u8]) -> rsipstack::sip::SipMessage {
    rsipstack::sip::SipMessage::try_from(bytes).expect(VALID)
}

pub(crate) fn rsipstack_typed(bytes: &[u8]) {
    use ::rsipstack::sip::prelude::{HeadersExt, ToTypedHeader};
    let msg = rsipstack(bytes);
    black_box(msg.via_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.from_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.to_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.cseq_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.contact_header().and_then(|h| h.typed()).expect(VALID));
    black_box(msg.call_id_header().expect(VALID));
}
