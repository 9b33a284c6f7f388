//! The SDP bodies of the cases, and answers to what a relay makes of them.

/// A body of session lines that all share, and `media`.
fn body(media: &str) -> String {
    let session = "v=0\no=alice 2890844526 1 IN IP4 192.0.2.10\ns=-\nc=IN IP4 192.0.2.10\nt=0 0\n";
    lines(&format!("{session}{media}"))
}

/// With the line ends of SDP.
fn lines(text: &str) -> String {
    text.replace('\n', "\r\n")
}

const AUDIO: &str = "m=audio 5000 RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\n\
    a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\na=sendrecv\n";

/// G.711 and DTMF, every payload type with its name.
#[must_use]
pub fn audio() -> String {
    body(AUDIO)
}

/// G.711 by payload types alone, without a direction.
#[must_use]
pub fn bare() -> String {
    body("m=audio 5000 RTP/AVP 0 8\n")
}

/// As [`audio`], with `attributes` (lines without `a=`).
#[must_use]
pub fn audio_with(attributes: &[&str]) -> String {
    let more: String = attributes.iter().map(|attribute| format!("a={attribute}\n")).collect();
    body(&format!("{AUDIO}{more}"))
}

/// As [`audio`], in another direction.
#[must_use]
pub fn audio_directed(direction: &str) -> String {
    body(&AUDIO.replace("sendrecv", direction))
}

/// Many codecs with parameters.
#[must_use]
pub fn codecs() -> String {
    body(
        "m=audio 5000 RTP/AVP 96 9 0 8 18 97 101\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\na=rtpmap:9 G722/8000\n\
         a=rtpmap:0 PCMU/8000\na=rtpmap:8 PCMA/8000\na=rtpmap:18 G729/8000\na=fmtp:18 annexb=no\n\
         a=rtpmap:97 telephone-event/48000\na=fmtp:97 0-15\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=sendrecv\n",
    )
}

/// Audio and video, with feedback.
#[must_use]
pub fn video() -> String {
    body(&format!(
        "{AUDIO}m=video 5002 RTP/AVPF 96 97\na=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli\na=rtpmap:97 H264/90000\n\
         a=fmtp:97 profile-level-id=42e01f;packetization-mode=1\na=sendrecv\n"
    ))
}

/// The keys that the endpoints of the cases use.
pub const KEY_80: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
/// A second one.
pub const KEY_32: &str = "NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";

/// Audio over SRTP with keys in the body.
#[must_use]
pub fn sdes() -> String {
    let crypto = format!(
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY_80}\na=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{KEY_32}\n"
    );
    body(&format!("{}{crypto}", AUDIO.replace("RTP/AVP", "RTP/SAVP")))
}

/// As [`sdes`], with a lifetime, a master key identifier and session parameters.
#[must_use]
pub fn sdes_with_parameters() -> String {
    let crypto = format!(
        "a=crypto:3 AES_CM_128_HMAC_SHA1_80 inline:{KEY_80}|2^20|1:4\n\
         a=crypto:5 AES_CM_128_HMAC_SHA1_32 inline:{KEY_32}|2^31 UNENCRYPTED_SRTCP\n"
    );
    body(&format!("{}{crypto}", AUDIO.replace("RTP/AVP", "RTP/SAVP")))
}

/// Audio with a candidate of its own.
#[must_use]
pub fn ice() -> String {
    audio_with(&[
        "ice-ufrag:8hhY",
        "ice-pwd:asd88fgpdd777uzjYhagZg",
        "candidate:1 1 UDP 2130706431 192.0.2.10 5000 typ host",
        "candidate:1 2 UDP 2130706430 192.0.2.10 5001 typ host",
    ])
}

/// A fax.
#[must_use]
pub fn fax() -> String {
    body("m=image 5004 udptl t38\na=T38FaxVersion:0\na=T38MaxBitRate:14400\na=T38FaxUdpEC:t38UDPRedundancy\n")
}

/// Over IPv6.
#[must_use]
pub fn v6() -> String {
    audio().replace("IP4 192.0.2.10", "IP6 2001:db8::10")
}

/// Held in the old way.
#[must_use]
pub fn zero_address() -> String {
    audio().replace("c=IN IP4 192.0.2.10", "c=IN IP4 0.0.0.0")
}

/// Two audio streams, of which the second is refused, then a third with an address of its own.
#[must_use]
pub fn several() -> String {
    let third = AUDIO.replace("5000", "5008").replacen('\n', "\nc=IN IP4 192.0.2.11\n", 1);
    body(&format!("{AUDIO}{}{third}", AUDIO.replace("5000", "0")))
}

/// Addresses with the streams only.
#[must_use]
pub fn media_addresses() -> String {
    let audio = AUDIO.replacen('\n', "\nc=IN IP4 192.0.2.12\n", 1);
    lines(&format!("v=0\no=alice 2890844526 1 IN IP4 192.0.2.10\ns=call\nt=0 0\n{audio}"))
}

/// Bundled audio and video.
#[must_use]
pub fn bundle() -> String {
    video().replace("t=0 0\r\n", "t=0 0\r\na=group:BUNDLE a v\r\n").replace("m=video", "a=mid:a\r\nm=video")
        + "a=mid:v\r\n"
}

/// Lines that a relay has no business with.
#[must_use]
pub fn curious() -> String {
    lines(&format!(
        "v=0\no=- 1 2 IN IP4 192.0.2.10\ns=A call; with = signs\ni=about it\nu=http://example.com/\ne=a@example.com\n\
         p=+1 555\nc=IN IP4 192.0.2.10\nb=AS:84\nt=3034423619 3042462419\nr=7d 1h 0 25h\na=tool:curious 1.0\n\
         {}b=AS:64\nb=TIAS:64000\na=X-own:value : with colons\na=silenceSupp:off - - - -\n",
        AUDIO.replacen('\n', "\ni=the voice\n", 1).replacen("a=sendrecv\n", "", 1)
    ))
}

/// What a plain endpoint at `address` answers to `offer`: everything that is offered, on ports from 6000 on.
#[must_use]
pub fn answer_to(offer: &str, address: &str) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    let mut answer = format!("v=0\no=bob 77 1 IN {family} {address}\ns=-\nc=IN {family} {address}\nt=0 0\n");
    let session = offer.split("m=").next().unwrap_or_default();
    let turned = session.lines().find_map(answered).filter(|line| line.ends_with("only") || line == "a=inactive");
    for (at, section) in sections(offer).into_iter().enumerate() {
        let words: Vec<_> = section[0].split(' ').collect();
        let port = if words.get(1) == Some(&"0") { 0 } else { 6000 + 2 * at };
        answer.push_str(&format!("{} {port} {}\n", words[0], words[2..].join(" ")));
        let mut kept: Vec<_> = section.iter().filter_map(|line| answered(line)).collect();
        if !section.iter().any(|line| ["a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive"].contains(line)) {
            kept.extend(turned.clone());
        }
        kept.sort();
        kept.dedup();
        kept.iter().for_each(|line| answer.push_str(&format!("{line}\n")));
        if let Some(crypto) = section.iter().find_map(|line| line.strip_prefix("a=crypto:")) {
            answer.push_str(&format!("a=crypto:{}\n", accepted(crypto)));
        }
    }
    lines(&answer)
}

fn sections(offer: &str) -> Vec<Vec<&str>> {
    let mut sections: Vec<Vec<&str>> = Vec::new();
    for line in offer.lines() {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    sections
}

/// The line of an answer for this line of an offer. Names of static payload types need no line.
fn answered(line: &str) -> Option<String> {
    let attribute = line.strip_prefix("a=")?;
    let name = attribute.split(':').next()?;
    let dynamic = || attribute.split([':', ' ']).nth(1).and_then(|n| n.parse().ok()).is_some_and(|n: u8| n >= 96);
    match name {
        "sendonly" => Some("a=recvonly".to_owned()),
        "recvonly" => Some("a=sendonly".to_owned()),
        "inactive" | "rtcp-mux" | "mid" => Some(line.to_owned()),
        "rtpmap" | "fmtp" if dynamic() => Some(line.to_owned()),
        name if name.starts_with("T38") => Some(line.to_owned()),
        _ => None,
    }
}

/// The answer to an `a=crypto` value: its tag and suite, and a key of that suite's length.
fn accepted(crypto: &str) -> String {
    let words: Vec<_> = crypto.split(' ').collect();
    let suite = words.get(1).copied().unwrap_or_default();
    // 46, 38 and 30 bytes of CM, 44 and 28 of GCM, in base64 without padding.
    let length = match suite {
        s if s.starts_with("AES_256_CM") => 62,
        s if s.starts_with("AES_192_CM") => 51,
        s if s.starts_with("AEAD_AES_256") => 59,
        s if s.starts_with("AEAD_AES_128") => 38,
        _ => 40,
    };
    // The last digit may only use the bits that belong to the key.
    let key = format!("{}A", &"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB"[..length - 1]);
    format!("{} {suite} inline:{key}", words[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_takes_what_is_offered() {
        let answer = answer_to(&several(), "192.0.2.20");
        assert!(
            answer.contains("m=audio 6000 RTP/AVP 0 8 101\r\na=fmtp:101 0-15\r\na=rtpmap:101 telephone-event/8000\r\n")
        );
        assert!(answer.contains("m=audio 0 RTP/AVP 0 8 101\r\n"));
        assert!(answer.contains("m=audio 6004 RTP/AVP"));
        assert!(answer_to(&sdes(), "192.0.2.20").contains("\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:QUFB"));
    }
}
