//! Long descriptions, and any at all.

use super::*;

#[test]
fn thousands_of_attributes_are_rewritten() {
    let mut text = OFFER.to_string();
    for i in 0..1_200 {
        text.push_str(&format!("a=candidate:{i} 1 UDP 1 1.1.1.1 1 typ host\r\na=x\r\n"));
    }
    assert!((55_000..=crate::wire::sdp::SDP_MAX).contains(&text.len()), "{}", text.len());
    let one = MediaPlan { rtcp_port: None, ice: IcePlan::Remove, ..ours() };
    let out = with(&text, "", one);
    assert_eq!(out, format!("{}{}", moved(&[]), "a=x\r\n".repeat(1_200)));
}

fn attribute() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("sendrecv".to_string()),
        Just("inactive".to_string()),
        Just("rtcp-mux".to_string()),
        Just("rtcp:9".to_string()),
        Just("mid:x".to_string()),
        Just("candidate:1 1 UDP 1 1.1.1.1 1 typ host".to_string()),
        Just("crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x".to_string()),
        Just("rtpmap:96 opus/48000/2".to_string()),
        Just("fmtp:96 x".to_string()),
        "[a-z-]{1,8}(:[ -~]{0,12})?",
    ]
}

fn description() -> impl Strategy<Value = String> {
    let attributes = || prop::collection::vec(attribute(), 0..6);
    let media = (
        prop::sample::select(vec!["audio", "video", "image"]),
        0..4u16,
        prop::sample::select(vec!["RTP/AVP 0 96 8", "RTP/SAVP 96", "udptl t38", "TCP/X 1"]),
        any::<bool>(),
        any::<bool>(),
        attributes(),
    );
    let line_end = prop::sample::select(vec!["\r\n", "\n"]);
    (any::<bool>(), attributes(), prop::collection::vec(media, 0..4), line_end, any::<bool>()).prop_map(
        |(connection, session, media, end, cut)| {
            let mut lines = vec!["v=0".to_string(), "o=- 1 1 IN IP4 1.1.1.1".to_string(), "s=-".to_string()];
            lines.extend(connection.then(|| "c=IN IP4 1.1.1.1".to_string()));
            lines.extend(session.into_iter().map(|a| format!("a={a}")));
            for (kind, port, rest, title, connection, attributes) in media {
                lines.push(format!("m={kind} {port} {rest}"));
                lines.extend(title.then(|| "i=t".to_string()));
                lines.extend(connection.then(|| "c=IN IP4 2.2.2.2".to_string()));
                lines.extend(attributes.into_iter().map(|a| format!("a={a}")));
            }
            let text = lines.join(end);
            if cut { text } else { text + end }
        },
    )
}

proptest! {
    #[test]
    fn nothing_asked_is_nothing_changed(text in description(), planned in any::<bool>()) {
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let flags = Flags::default();
        // A plan that says what is there already.
        let media: Vec<_> = sdp
            .media()
            .map(|m| {
                let address = sdp.connection_of(&m)?.ip?;
                let rtcp_mux = m.attribute(b"rtcp-mux").is_some();
                let plain = m.attributes().filter(|a| matches!(a.name, b"rtcp" | b"rtcp-mux")).count() == usize::from(rtcp_mux);
                (planned && plain).then(|| MediaPlan {
                    rtcp_mux,
                    protocol: m.protocol(),
                    direction: m.direction(),
                    ..MediaPlan::new(address, m.port(), None)
                })
            })
            .collect();
        let plan = Plan { connection: sdp.connection().and_then(|c| c.ip), media: &media, ..Plan::default() };
        let mut buf = vec![0; text.len() + 100];
        let out = Rewrite { sdp: &sdp, flags: &flags, plan: &plan }.write(&mut buf).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(out), text);
    }

    #[test]
    fn a_rewritten_description_says_what_the_plan_says(text in description(), mux in any::<bool>(), wishes in prop::sample::subsequence(
        vec!["generate-mid", "replace-origin", "replace-session-connection", "strip-extmap", "codec-strip-PCMU", "sdp-attr-remove-audio-x", "sdp-attr-add-video-y:z", "full-rtcp-attribute"], 0..8,
    )) {
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let (address, direction) = (ip("2001:db8::1"), Direction::RecvOnly);
        let media: Vec<_> = (0..sdp.media().len()).map(|i| Some(MediaPlan {
            rtcp_mux: mux,
            direction: Some(direction),
            crypto: Some(&[]),
            ice: IcePlan::Remove,
            ..MediaPlan::new(address, 20_000 + i as u16, Some(30_000 + i as u16))
        })).collect();
        let origin = OriginPlan { address: Some(address), ..OriginPlan::default() };
        let out = run(&text, &wishes.join(" "), &Plan { connection: Some(address), origin, media: &media, ..Plan::default() });
        let new = Sdp::parse(out.as_bytes()).unwrap();
        prop_assert_eq!(new.media().len(), sdp.media().len());
        for (i, m) in new.media().enumerate() {
            prop_assert_eq!(new.connection_of(&m).and_then(|c| c.ip), Some(address));
            prop_assert_eq!(m.port(), 20_000 + i as u16);
            prop_assert_eq!(new.direction_of(&m), direction);
            prop_assert_eq!(m.attributes().filter(|a| a.is(b"rtcp")).count(), 1);
            prop_assert_eq!(m.attributes().filter(|a| a.is(b"rtcp-mux")).count(), usize::from(mux));
            prop_assert!(!m.attributes().any(|a| a.is(b"crypto") || a.is(b"candidate")));
        }
        prop_assert_eq!(new.origin().unwrap().address == b"2001:db8::1", wishes.contains(&"replace-origin"));
        // Rewriting again with the same plan changes nothing.
        let again = run(&out, &wishes.join(" "), &Plan { connection: Some(address), origin, media: &media, ..Plan::default() });
        prop_assert_eq!(again, out);
    }
}
