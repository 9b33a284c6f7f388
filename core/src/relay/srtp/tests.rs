use std::format;
use std::vec::Vec;

use proptest::prelude::*;

use super::key::{SessionKeys, Usage};
use super::sdes::{KeyParams, SdesError};
use super::transform::{Form, Id, Transform};
use super::*;
use crate::entropy::SeededEntropy;
use crate::wire::sip::put::{Put, Text};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn session(suite: Suite, key: &str, params: Params) -> Session {
    Session::new(&MasterKey::new(suite, &hex(key)).unwrap(), params).unwrap()
}

/// One test packet a sequence number; the payload tells it apart.
fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut p = [0x80, 0, 0, 0, 0, 0, 0, 160].to_vec();
    p[2..4].copy_from_slice(&sequence.to_be_bytes());
    p.extend(ssrc.to_be_bytes());
    p.extend((0..160u16).map(|i| (i ^ sequence) as u8));
    p
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut p = hex("81c80006");
    p.extend(ssrc.to_be_bytes());
    p.extend([0x5a; 20]);
    p
}

fn protect(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + TRAILER_MAX, 0);
    let len = s.protect(&mut buf, packet.len())?;
    buf.truncate(len);
    Ok(buf)
}

fn protect_rtcp(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + TRAILER_MAX, 0);
    let len = s.protect_rtcp(&mut buf, packet.len())?;
    buf.truncate(len);
    Ok(buf)
}

fn unprotect(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    let result = s.unprotect(&mut buf);
    if result.is_err() {
        assert_eq!(buf, packet, "a refused packet is left as it was");
    }
    buf.truncate(result?);
    Ok(buf)
}

fn unprotect_rtcp(s: &mut Session, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    let result = s.unprotect_rtcp(&mut buf);
    if result.is_err() {
        assert_eq!(buf, packet, "a refused packet is left as it was");
    }
    buf.truncate(result?);
    Ok(buf)
}

fn pair(suite: Suite, params: Params) -> (Session, Session) {
    let key = MasterKey::generate(suite, &mut SeededEntropy::new(7));
    (Session::new(&key, params).unwrap(), Session::new(&key, params).unwrap())
}

fn assert_derives(suite: Suite, master: &str, key: &str, salt: &str, auth: &str) {
    let keys = MasterKey::new(suite, &hex(master)).unwrap().derive(Usage::Rtp);
    assert_eq!(keys.key[..suite.key_len()], hex(key));
    assert_eq!(keys.salt[..], hex(salt));
    assert_eq!(keys.auth[..], hex(auth));
}

const KEY_128: &str = "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6";

#[test]
fn key_derivation_of_rfc_3711_b_3() {
    assert_derives(
        Suite::AesCm128HmacSha1_80,
        KEY_128,
        "c61e7a93744f39ee10734afe3ff7a087",
        "30cbbc08863d8c85d49db34a9ae1",
        "cebe321f6ff7716b6fd4ab49af256a156d38baa4",
    );
}

#[test]
fn key_derivation_of_rfc_6188_7() {
    assert_derives(
        Suite::AesCm256HmacSha1_80,
        "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
        "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
        "fa31791685ca444a9e07c6c64e93",
        "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
    );
    assert_derives(
        Suite::AesCm192HmacSha1_80,
        "73edc66c4fa15776fb57f9505c17136550ffda71f3e8e5f1 c8522f3acd4ce86d5add78edbb11",
        "31874736a8f1143870c26e4857d8a5b2c4a354407faadabb",
        "2372b82d639b6d8503a47adc0a6c",
        "355b10973cd95b9eacf4061c7e1a7151e7cfbfcb",
    );
}

/// The reference packets of libsrtp.
#[test]
fn reference_packets_aes_cm() {
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let mut send = session(Suite::AesCm128HmacSha1_80, KEY_128, Params::default());
    let protected = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb");
    assert_eq!(protect(&mut send, &plain), Ok(protected.clone()));
    let mut receive = session(Suite::AesCm128HmacSha1_80, KEY_128, Params::default());
    assert_eq!(unprotect(&mut receive, &protected), Ok(plain.clone()));

    let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2";
    let mut send = session(Suite::AesCm256HmacSha1_80, key, Params::default());
    let protected = hex("800f1234decafbadcafebabe f1d9de17ff251ff1aa007774b0b4b40d a08d9d9a5b3a55d8873b");
    assert_eq!(protect(&mut send, &plain), Ok(protected));
}

#[test]
fn reference_packet_srtcp() {
    // libsrtp counts from 1; RFC 3711 §3.4 from 0.
    let mut send = session(Suite::AesCm128HmacSha1_80, KEY_128, Params::default());
    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    protect_rtcp(&mut send, &plain).unwrap();
    let protected = hex("81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798");
    assert_eq!(protect_rtcp(&mut send, &plain), Ok(protected.clone()));
    let mut receive = session(Suite::AesCm128HmacSha1_80, KEY_128, Params::default());
    assert_eq!(unprotect_rtcp(&mut receive, &protected), Ok(plain));
}

/// The reference packets of libsrtp, with a salt of 96 bits in the key derivation.
#[test]
fn reference_packets_aes_gcm() {
    let key = "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab";
    let mut send = session(Suite::AeadAes128Gcm, key, Params::default());
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let protected = hex("800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392");
    assert_eq!(protect(&mut send, &plain), Ok(protected.clone()));
    let mut receive = session(Suite::AeadAes128Gcm, key, Params::default());
    assert_eq!(unprotect(&mut receive, &protected), Ok(plain));
    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    protect_rtcp(&mut send, &plain).unwrap();
    let protected = hex("81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e 80000001");
    assert_eq!(protect_rtcp(&mut send, &plain), Ok(protected));
}

/// RFC 7714 §16, §17 give session keys.
struct Vector {
    transform: Transform,
    params: Params,
}

impl Vector {
    fn new(suite: Suite, encrypt_rtcp: bool) -> Self {
        let mut keys = SessionKeys::default();
        (0..suite.key_len()).for_each(|i| keys.key[i] = i as u8);
        keys.salt[..12].copy_from_slice(b"Quid pro quo");
        Self { transform: Transform::new(suite, &keys), params: Params { encrypt_rtcp, ..Params::default() } }
    }

    fn form(&self) -> Form<'_> {
        Form { tag_len: 16, params: &self.params }
    }

    fn assert_rtp(&self, plain: &[u8], protected: &[u8]) {
        let id = Id { ssrc: 0x5501_a0b2, index: 0xf17b };
        let mut buf = plain.to_vec();
        buf.resize(protected.len(), 0);
        assert_eq!(self.transform.seal_rtp(&self.form(), id, 12, &mut buf, plain.len()), protected.len());
        assert_eq!(buf, protected);
        assert_eq!(self.transform.open_rtp(&self.form(), id, 12, &mut buf), Ok(plain.len()));
        assert_eq!(&buf[..plain.len()], plain);
    }

    fn assert_rtcp(&self, plain: &[u8], protected: &[u8]) {
        let id = Id { ssrc: 0x4d61_7273, index: 0x5d4 };
        let mut buf = plain.to_vec();
        buf.resize(protected.len(), 0);
        assert_eq!(self.transform.seal_rtcp(&self.form(), id, &mut buf, plain.len()), protected.len());
        assert_eq!(buf, protected);
        let encrypted = self.params.encrypt_rtcp;
        assert_eq!(self.transform.rtcp_index(&self.form(), &buf), Some((0x5d4, encrypted)));
        assert_eq!(self.transform.open_rtcp(&self.form(), id, encrypted, &mut buf), Ok(plain.len()));
        assert_eq!(&buf[..plain.len()], plain);
    }
}

#[test]
fn srtp_of_rfc_7714_16() {
    let plain = hex("8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e20706172746573207472
         6573");
    Vector::new(Suite::AeadAes128Gcm, true).assert_rtp(
        &plain,
        &hex("8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf
              8833899d7f27beb16a9152cf765ee4390cce"),
    );
    Vector::new(Suite::AeadAes256Gcm, true).assert_rtp(
        &plain,
        &hex("8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799
              b87b7aa3db36dfffd6b0f9bb7878d7a76c13"),
    );
}

#[test]
fn srtcp_of_rfc_7714_17() {
    let plain = hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeef
         deadbeef");
    Vector::new(Suite::AeadAes128Gcm, true).assert_rtcp(
        &plain,
        &hex("81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded
              0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4"),
    );
    Vector::new(Suite::AeadAes256Gcm, true).assert_rtcp(
        &plain,
        &hex("81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de047
              6f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4"),
    );
    // Authenticated only: E is 0.
    Vector::new(Suite::AeadAes128Gcm, false).assert_rtcp(
        &plain,
        &hex("81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeef
              deadbeef841dd9683dd78ec92ae58790125f62b3000005d4"),
    );
}

fn all_forms() -> impl Iterator<Item = (Suite, Params)> {
    let mkis = [None, Mki::new(1, 1), Mki::new(0x0102_0304_0506_0708, 8)];
    let flags = (0..8u8).map(|f| (f & 1 == 0, f & 2 == 0, f & 4 == 0));
    Suite::ALL.into_iter().flat_map(move |suite| {
        flags.clone().flat_map(move |(encrypt_rtp, encrypt_rtcp, authenticate_rtp)| {
            mkis.map(|mki| (suite, Params { encrypt_rtp, encrypt_rtcp, authenticate_rtp, mki }))
        })
    })
}

#[test]
fn every_form_comes_back_and_no_bit_may_change() {
    let mut forms = 0;
    for (suite, params) in all_forms() {
        let key = MasterKey::generate(suite, &mut SeededEntropy::new(1));
        let Ok(mut send) = Session::new(&key, params) else {
            assert!(suite.is_aead() && !(params.encrypt_rtp && params.authenticate_rtp));
            continue;
        };
        forms += 1;
        let mut receive = Session::new(&key, params).unwrap();
        let (plain, control) = (rtp(1, 1), rtcp(1));
        let packet = protect(&mut send, &plain).unwrap();
        let mki = params.mki.map_or(0, |m| m.as_bytes().len());
        let tag = if params.authenticate_rtp { suite.rtp_tag_len() } else { 0 };
        assert_eq!(packet.len(), plain.len() + tag + mki, "{suite:?} {params:?}");
        assert_eq!(packet[12..172] == plain[12..], !params.encrypt_rtp);
        if params.authenticate_rtp {
            for bit in (0..packet.len() * 8).step_by(5) {
                let mut bad = packet.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(unprotect(&mut receive, &bad).is_err(), "{suite:?} {params:?} bit {bit}");
            }
        }
        assert_eq!(unprotect(&mut receive, &packet), Ok(plain));
        assert_eq!(unprotect(&mut receive, &packet), Err(SrtpError::Replayed));

        let packet = protect_rtcp(&mut send, &control).unwrap();
        assert_eq!(packet.len(), control.len() + 4 + suite.rtcp_tag_len() + mki);
        assert_eq!(packet[8..28] == control[8..], !params.encrypt_rtcp);
        for bit in 0..packet.len() * 8 {
            let mut bad = packet.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(unprotect_rtcp(&mut receive, &bad).is_err(), "{suite:?} {params:?} bit {bit}");
        }
        assert_eq!(unprotect_rtcp(&mut receive, &packet), Ok(control));
        assert_eq!(unprotect_rtcp(&mut receive, &packet), Err(SrtpError::Replayed));
    }
    assert_eq!(forms, (6 * 8 + 2 * 2) * 3);
}

#[test]
fn the_roll_over_counter_is_kept_over_many_wraps() {
    for suite in [Suite::AesCm128HmacSha1_32, Suite::AeadAes256Gcm] {
        let (mut send, mut receive) = pair(suite, Params::default());
        // Steps that are larger than the window and smaller than half the number space.
        for step in 0..40u32 {
            let plain = rtp(9, (60_000 + step * 20_000) as u16);
            let packet = protect(&mut send, &plain).unwrap();
            assert_eq!(unprotect(&mut receive, &packet), Ok(plain), "{suite:?} {step}");
        }
    }
}

#[test]
fn packets_out_of_order_around_the_wrap() {
    let (mut send, mut receive) = pair(Suite::AesCm128HmacSha1_80, Params::default());
    let sequences = [65_533, 65_534, 65_535, 0, 1, 2];
    let packets = sequences.map(|s| (rtp(9, s), protect(&mut send, &rtp(9, s)).unwrap()));
    for i in [0, 3, 1, 5, 2, 4] {
        let (plain, packet) = &packets[i];
        assert_eq!(unprotect(&mut receive, packet).as_ref(), Ok(plain), "{}", sequences[i]);
    }
    for (_, packet) in &packets {
        assert_eq!(unprotect(&mut receive, packet), Err(SrtpError::Replayed));
    }
}

#[test]
fn a_stream_may_be_heard_first_after_its_first_wrap() {
    let (mut send, mut receive) = pair(Suite::AesCm128HmacSha1_80, Params::default());
    protect(&mut send, &rtp(9, 65_535)).unwrap();
    let first = protect(&mut send, &rtp(9, 0)).unwrap();
    let second = protect(&mut send, &rtp(9, 1)).unwrap();
    assert_eq!(unprotect(&mut receive, &first), Ok(rtp(9, 0)));
    assert_eq!(unprotect(&mut receive, &second), Ok(rtp(9, 1)));
}

#[test]
fn a_sequence_number_is_protected_once() {
    let (mut send, _) = pair(Suite::AesCm128HmacSha1_80, Params::default());
    protect(&mut send, &rtp(9, 100)).unwrap();
    assert_eq!(protect(&mut send, &rtp(9, 100)), Err(SrtpError::Replayed));
    protect(&mut send, &rtp(9, 300)).unwrap();
    assert_eq!(protect(&mut send, &rtp(9, 101)), Err(SrtpError::TooOld));
    // Another source has its own numbers.
    protect(&mut send, &rtp(10, 100)).unwrap();
}

#[test]
fn sources_are_bounded_and_only_authentic_ones_count() {
    let (mut send, mut receive) = pair(Suite::AesCm128HmacSha1_80, Params::default());
    for ssrc in 0..1_000 {
        let forged = [rtp(ssrc, 1), [0; 10].to_vec()].concat();
        assert_eq!(unprotect(&mut receive, &forged), Err(SrtpError::Authentication));
    }
    for ssrc in 0..STREAMS_MAX as u32 {
        let packet = protect(&mut send, &rtp(ssrc, 1)).unwrap();
        assert_eq!(unprotect(&mut receive, &packet), Ok(rtp(ssrc, 1)));
    }
    assert_eq!(protect(&mut send, &rtp(99, 1)), Err(SrtpError::Streams));
    let (mut other, _) = pair(Suite::AesCm128HmacSha1_80, Params::default());
    let packet = protect(&mut other, &rtp(99, 1)).unwrap();
    assert_eq!(unprotect(&mut receive, &packet), Err(SrtpError::Streams));
    // The known ones go on.
    let packet = protect(&mut send, &rtp(0, 2)).unwrap();
    assert_eq!(unprotect(&mut receive, &packet), Ok(rtp(0, 2)));
}

#[test]
fn a_wrong_mki_is_told_from_a_wrong_tag() {
    let with = |value| Params { mki: Mki::new(value, 4), ..Params::default() };
    for suite in Suite::ALL {
        let (mut send, _) = pair(suite, with(1));
        let (_, mut receive) = pair(suite, with(2));
        let packet = protect(&mut send, &rtp(1, 1)).unwrap();
        assert_eq!(unprotect(&mut receive, &packet), Err(SrtpError::Mki));
        let packet = protect_rtcp(&mut send, &rtcp(1)).unwrap();
        assert_eq!(unprotect_rtcp(&mut receive, &packet), Err(SrtpError::Mki));
    }
}

#[test]
fn short_packets_and_full_buffers_are_refused() {
    for suite in Suite::ALL {
        let (mut send, mut receive) = pair(suite, Params::default());
        let packet = protect(&mut send, &rtp(1, 1)[..12]).unwrap();
        let control = protect_rtcp(&mut send, &rtcp(1)[..8]).unwrap();
        for len in 0..packet.len() {
            assert_eq!(unprotect(&mut receive, &packet[..len]), Err(SrtpError::Malformed), "{suite:?} {len}");
        }
        for len in 0..control.len() {
            assert_eq!(unprotect_rtcp(&mut receive, &control[..len]), Err(SrtpError::Malformed), "{suite:?} {len}");
        }
        assert_eq!(unprotect(&mut receive, &packet).map(|p| p.len()), Ok(12));
        assert_eq!(unprotect_rtcp(&mut receive, &control).map(|p| p.len()), Ok(8));

        let mut exact = rtp(1, 2);
        let len = exact.len();
        exact.resize(len + suite.rtp_tag_len() - 1, 0);
        assert_eq!(send.protect(&mut exact, len), Err(SrtpError::NoRoom));
        assert_eq!(send.protect(&mut exact, len + 99), Err(SrtpError::NoRoom));
        exact.push(0);
        assert_eq!(send.protect(&mut exact, len), Ok(exact.len()));
    }
}

#[test]
fn header_extensions_and_sources_stay_clear() {
    let (mut send, mut receive) = pair(Suite::AeadAes128Gcm, Params::default());
    let mut plain = rtp(1, 1);
    plain[0] = 0x91;
    plain[12..24].copy_from_slice(&[0, 0, 0, 7, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0]);
    let packet = protect(&mut send, &plain).unwrap();
    assert_eq!(packet[..24], plain[..24]);
    assert_ne!(packet[24..40], plain[24..40]);
    assert_eq!(unprotect(&mut receive, &packet), Ok(plain));
}

#[test]
fn sizes_are_what_the_slab_is_laid_out_for() {
    assert!(size_of::<Session>() <= 2_560, "{}", size_of::<Session>());
}

#[test]
fn keys_are_not_shown() {
    let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0xa7; 30]).unwrap();
    let shown = format!("{key:?} {:?}", Session::new(&key, Params::default()).unwrap());
    assert!(shown.contains("AesCm128HmacSha1_80") && !shown.contains("167") && !shown.contains("a7"), "{shown}");
}

fn inline(text: &str) -> Result<KeyParams, SdesError> {
    KeyParams::parse(Suite::AesCm128HmacSha1_80, text.as_bytes())
}

fn written(params: &KeyParams, pad: bool) -> std::string::String {
    let text = Text::<160>::with(|t| params.write(t as &mut dyn Put, pad));
    std::string::String::from_utf8(text.as_bytes().to_vec()).unwrap()
}

#[test]
fn key_params_of_rfc_4568() {
    // RFC 4568 §4.1, §6.1.
    let text = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4";
    let params = inline(text).unwrap();
    assert_eq!(params.key.as_bytes(), b"YS___semctl () {\t220;}\n}\nunles");
    assert_eq!((params.lifetime, params.mki), (Some(1 << 20), Mki::new(1, 4)));
    assert_eq!(written(&params, true), text);
    let params = inline("inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|1066:4").unwrap();
    assert_eq!((params.lifetime, params.mki), (None, Mki::new(1_066, 4)));
    let params = inline("INLINE:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|12345").unwrap();
    assert_eq!((params.lifetime, params.mki), (Some(12_345), None));
    assert_eq!(written(&params, false), "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|12345");
}

#[test]
fn malformed_key_params_are_refused() {
    let key = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
    for (text, error) in [
        ("", SdesError::Method),
        ("uri:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj", SdesError::Method),
        ("inline:", SdesError::Key),
        ("inline:====", SdesError::Key),
        ("inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSo", SdesError::Key),
        ("inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSojAAAA", SdesError::Key),
        ("inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSo*", SdesError::Key),
    ] {
        assert_eq!(inline(text).unwrap_err(), error, "{text}");
    }
    let long = "A".repeat(1_000);
    assert_eq!(inline(&format!("inline:{long}")).unwrap_err(), SdesError::Key);
    for (behind, error) in [
        ("|", SdesError::Lifetime),
        ("|0", SdesError::Lifetime),
        ("|2^49", SdesError::Lifetime),
        ("|2^64", SdesError::Lifetime),
        ("|2^99999999999999999999", SdesError::Lifetime),
        ("|-1", SdesError::Lifetime),
        ("|+1", SdesError::Lifetime),
        ("|1:0", SdesError::Mki),
        ("|1:9", SdesError::Mki),
        ("|256:1", SdesError::Mki),
        ("|:1", SdesError::Mki),
        ("|2^20|4", SdesError::Mki),
        ("|1:4|2^20", SdesError::Several),
        ("|2^20|1:4|5", SdesError::Several),
        (";inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj", SdesError::Several),
    ] {
        assert_eq!(inline(&format!("{key}{behind}")).unwrap_err(), error, "{behind}");
    }
}

#[test]
fn suites_by_name() {
    for suite in Suite::ALL {
        assert_eq!(Suite::from_name(suite.name().as_bytes()), Some(suite));
        let key = MasterKey::generate(suite, &mut SeededEntropy::new(3));
        for pad in [true, false] {
            let text = written(&KeyParams { key: key.clone(), lifetime: None, mki: None }, pad);
            let read = KeyParams::parse(suite, text.as_bytes()).unwrap();
            assert_eq!(read.key.as_bytes(), key.as_bytes(), "{suite:?} {pad}");
            assert!(pad || !text.contains('='));
        }
        assert_eq!(MasterKey::new(suite, &key.as_bytes()[1..]).unwrap_err(), KeyError::Length);
    }
    assert_eq!(Suite::from_name(b"aes_cm_128_hmac_sha1_80"), Some(Suite::AesCm128HmacSha1_80));
    assert_eq!(Suite::from_name(b"F8_128_HMAC_SHA1_80"), None);
}

fn suites() -> impl Strategy<Value = Suite> {
    proptest::sample::select(&Suite::ALL[..])
}

proptest! {
    #[test]
    fn garbage_is_refused(suite in suites(), mut bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Some(first) = bytes.first_mut() { *first = *first & 0x3f | 0x80; }
        let (mut send, mut receive) = pair(suite, Params::default());
        prop_assert!(unprotect(&mut receive, &bytes).is_err());
        prop_assert!(unprotect_rtcp(&mut receive, &bytes).is_err());
        // Whatever has a header can be protected, and comes back.
        if let Ok(packet) = protect(&mut send, &bytes) {
            prop_assert_eq!(unprotect(&mut receive, &packet).unwrap(), bytes.clone());
        }
        if let Ok(packet) = protect_rtcp(&mut send, &bytes) {
            prop_assert_eq!(unprotect_rtcp(&mut receive, &packet).unwrap(), bytes);
        }
    }

    /// What the sender sends arrives, in any order within the window, however often it is repeated: once.
    #[test]
    fn each_packet_arrives_once(suite in suites(), start: u16, picks in proptest::collection::vec(0usize..40, 1..120)) {
        let (mut send, mut receive) = pair(suite, Params::default());
        let packets: Vec<_> = (0..40)
            .map(|i| rtp(5, start.wrapping_add(i)))
            .map(|plain| (protect(&mut send, &plain).unwrap(), plain))
            .collect();
        let mut arrived = [false; 40];
        // The first one tells the start.
        prop_assert_eq!(unprotect(&mut receive, &packets[0].0), Ok(packets[0].1.clone()));
        arrived[0] = true;
        for i in picks {
            let result = unprotect(&mut receive, &packets[i].0);
            if arrived[i] {
                prop_assert_eq!(result, Err(SrtpError::Replayed));
            } else {
                prop_assert_eq!(result.as_ref(), Ok(&packets[i].1));
            }
            arrived[i] = true;
        }
    }

    #[test]
    fn key_params_of_any_bytes(text in proptest::collection::vec(any::<u8>(), 0..120)) {
        let text = [&b"inline:"[..], &text].concat();
        if let Ok(params) = KeyParams::parse(Suite::AesCm128HmacSha1_80, &text) {
            prop_assert_eq!(params.key.as_bytes().len(), 30);
        }
    }
}
