//! What both sides agree on.

use super::*;

#[test]
fn remote_addresses_follow_what_is_trusted() {
    let text = format!(
        "{OFFER}m=audio 0 RTP/AVP 0\r\na=rtcp:7\r\nm=audio 3000 RTP/AVP 0\r\nc=IN IP4 h.example\r\nm=audio 3000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n"
    );
    let sdp = Sdp::parse(text.as_bytes()).unwrap();
    let media: Vec<_> = sdp.media().collect();
    let from = Some(ip("192.0.2.9"));
    let of = |i: usize, wishes: &str, received_from, sip_source| {
        let flags = Flags { received_from, ..flags(wishes) };
        negotiate::remote(&sdp, &media[i], &flags, sip_source)
    };
    let at = |rtp: &str, rtcp: &str| Some(Remote { rtp: rtp.parse().unwrap(), rtcp: rtcp.parse().unwrap() });
    let said = at("198.51.100.1:2000", "198.51.100.1:2001");
    let source = at("192.0.2.9:2000", "192.0.2.9:2001");
    assert_eq!(of(0, "", from, false), said);
    assert_eq!(of(0, "trust-address", from, true), said);
    assert_eq!(of(0, "", from, true), source);
    assert_eq!(of(0, "SIP-source-address", from, false), source);
    assert_eq!(of(0, "SIP-source-address", None, false), None);
    assert_eq!(of(1, "", from, false), None);
    assert_eq!(of(2, "", from, false), None);
    assert_eq!(of(2, "SIP-source-address", from, false), at("192.0.2.9:3000", "192.0.2.9:3001"));
    assert_eq!(of(3, "SIP-source-address", from, false), at("0.0.0.0:3000", "0.0.0.0:3001"));
    let with = |line: &str, wishes: &str| {
        let text = format!("{OFFER}{line}\r\n");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let media = sdp.media().next().unwrap();
        negotiate::remote(&sdp, &media, &Flags { received_from: from, ..flags(wishes) }, false)
    };
    assert_eq!(with("a=rtcp:5 IN IP4 198.51.100.2", ""), at("198.51.100.1:2000", "198.51.100.2:5"));
    assert_eq!(with("a=rtcp:5 IN IP4 198.51.100.2", "SIP-source-address"), at("192.0.2.9:2000", "192.0.2.9:5"));
    assert_eq!(with("a=rtcp:5", ""), at("198.51.100.1:2000", "198.51.100.1:5"));
    assert_eq!(with("a=rtcp:5\r\na=rtcp-mux", ""), at("198.51.100.1:2000", "198.51.100.1:2000"));
}

#[test]
fn shared_ports_are_negotiated_as_the_peer_does_it() {
    // Wishes; offered with a=rtcp-mux: offered on, and heard back if the answerer agrees, or not; the same without.
    for (wishes, with, without) in [
        ("", (true, true, false), (false, false, false)),
        ("rtcp-mux-offer", (true, true, false), (true, false, false)),
        ("rtcp-mux-require", (true, true, false), (true, false, false)),
        ("rtcp-mux-demux", (false, true, true), (false, false, false)),
        ("rtcp-mux-accept", (true, true, true), (false, false, false)),
        ("rtcp-mux-reject", (true, false, false), (false, false, false)),
        ("rtcp-mux-reject rtcp-mux-offer", (true, false, false), (true, false, false)),
    ] {
        for (received, expected) in [(true, with), (false, without)] {
            let mux = negotiate::rtcp_mux(received, &flags(wishes));
            assert_eq!((mux.offered, mux.back.answer(true), mux.back.answer(false)), expected, "{wishes} {received}");
            assert_eq!(mux.required, wishes == "rtcp-mux-require");
        }
    }
    assert_eq!(MuxBack::default(), MuxBack::No);
}

#[test]
fn protocols_are_those_offered_unless_asked_otherwise() {
    let of = |mode, wishes| negotiate::protocol(mode, Protocol::Avpf, Some(Protocol::Avp), &flags(wishes));
    assert_eq!(of(Mode::Offer, ""), Protocol::Avpf);
    assert_eq!(of(Mode::Answer, ""), Protocol::Avp);
    assert_eq!(of(Mode::Answer, "transport-protocol=accept"), Protocol::Avpf);
    assert_eq!(of(Mode::Offer, "RTP/SAVP"), Protocol::Savp);
    assert_eq!(of(Mode::Answer, "RTP/SAVP"), Protocol::Savp);
}

#[test]
fn hold_by_address_receives_nothing() {
    let of = |c: &str, direction: &str, wishes: &str| {
        let text = OFFER.replace("c=IN IP4 198.51.100.1", c).replace("sendrecv", direction);
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let media = sdp.media().next().unwrap();
        negotiate::direction(&sdp, &media, &flags(wishes))
    };
    assert_eq!(of("c=IN IP4 1.1.1.1", "recvonly", ""), Some(Direction::RecvOnly));
    assert_eq!(of("c=IN IP4 0.0.0.0", "sendrecv", ""), Some(Direction::SendOnly));
    assert_eq!(of("c=IN IP6 ::", "recvonly", ""), Some(Direction::Inactive));
    assert_eq!(of("c=IN IP4 0.0.0.0", "sendrecv", "original-sendrecv"), None);
}

fn lines(items: &[(u32, Suite)]) -> Vec<Crypto> {
    let mut entropy = SeededEntropy::new(3);
    items
        .iter()
        .map(|(tag, suite)| {
            let sdes = &flags("").sdes;
            let mut c =
                negotiate::offer_cryptos(&[], sdes, &mut entropy).iter().find(|c| c.suite == *suite).unwrap().clone();
            c.tag = *tag;
            c
        })
        .collect()
}

#[test]
fn keys_are_offered_as_the_wishes_say() {
    use Suite::{
        Aes192CmHmacSha1_80 as A192, AesCm128HmacSha1_32 as A32, AesCm128HmacSha1_80 as A80, NullHmacSha1_80 as Null,
    };
    let received = lines(&[(3, A32), (4, A80)]);
    let offer = |received: &[Crypto], wishes: &str| {
        negotiate::offer_cryptos(received, &flags(wishes).sdes, &mut SeededEntropy::new(1))
    };
    let tags = |c: &[Crypto]| c.iter().map(|c| (c.tag, c.suite)).collect::<Vec<_>>();
    let encrypting: Vec<Suite> = Suite::all().filter(|s| s.encrypts()).collect();

    let plain = offer(&[], "");
    assert_eq!(tags(&plain), (1..).zip(encrypting.iter().copied()).collect::<Vec<_>>());
    for c in &plain {
        assert_eq!(c.key.as_bytes().len(), c.suite.key_len() + c.suite.salt_len());
        assert!(plain.iter().all(|o| o.tag == c.tag || o.key != c.key));
    }
    // Received lines stay with tag and key, the others follow.
    let all = offer(&received, "");
    assert_eq!(all[..2], received[..]);
    assert_eq!(all.len(), encrypting.len());
    assert_eq!(all[2].tag, 5);
    assert_eq!(tags(&offer(&received, "SDES-nonew SDES-no-AES_CM_128_HMAC_SHA1_32")), [(3, A32), (4, A80)]);
    assert_eq!(offer(&received, "SDES-no-AES_CM_128_HMAC_SHA1_32")[0], received[1]);
    assert_eq!(tags(&offer(&received, "SDES-only-AES_CM_128_HMAC_SHA1_80")), [(4, A80)]);
    assert_eq!(tags(&offer(&received, "SDES-only-AES_192_CM_HMAC_SHA1_80")), [(5, A192)]);
    assert_eq!(tags(&offer(&[], "SDES-only-NULL_HMAC_SHA1_80")), [(1, Null)]);
    let ordered = offer(&received, "SDES-order:AES_192_CM_HMAC_SHA1_80;AES_CM_128_HMAC_SHA1_80");
    assert_eq!(ordered[0].suite, A192);
    assert_eq!(tags(&ordered[1..3]), [(4, A80), (3, A32)]);
    for c in offer(&received, "SDES-lifetime SDES-unencrypted_srtp SDES-encrypted_srtcp") {
        assert!(c.lifetime && c.params.unencrypted_srtp && !c.params.unencrypted_srtcp);
    }
}

#[test]
fn one_offered_key_is_chosen() {
    use Suite::{AesCm128HmacSha1_32 as A32, AesCm128HmacSha1_80 as A80};
    let offered = lines(&[(3, A32), (4, A80)]);
    let choose = |wishes: &str| negotiate::choose(&offered, &flags(wishes).sdes).map(|c| c.tag);
    assert_eq!(choose(""), Some(3));
    assert_eq!(choose("SDES-offerer_pref:AEAD_AES_128_GCM;AES_CM_128_HMAC_SHA1_80"), Some(4));
    assert_eq!(choose("SDES-no-AES_CM_128_HMAC_SHA1_32"), Some(4));
    // Nothing is left: the first stays for the offerer.
    assert_eq!(choose("SDES-only-AEAD_AES_128_GCM"), Some(3));
    assert_eq!(negotiate::choose(&[], &flags("").sdes), None);
    let answer = negotiate::answer_crypto(&offered[1], &flags("").sdes, &mut SeededEntropy::new(9));
    assert_eq!((answer.tag, answer.suite), (4, A80));
    assert_ne!(answer.key, offered[1].key);
}
