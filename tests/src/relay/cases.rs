//! The cases: each way to say what an offer or an answer is to become, on each body that it says something about, and
//! the turns that a call takes.

use super::bodies;
use crate::harness::Value;

/// Where the body of a request comes from.
#[derive(Clone, Debug)]
pub enum Body {
    /// It is this.
    Given(String),
    /// An endpoint at this address answers what the relay made last.
    Answer(&'static str),
    /// There is none.
    None,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Step {
    /// The command.
    pub command: &'static str,
    /// Its body.
    pub body: Body,
    /// All else, but the Call-ID.
    pub entries: Value,
}

/// Requests of one call.
#[derive(Clone, Debug)]
pub struct Case {
    /// A name for people.
    pub name: String,
    /// The requests, in order.
    pub steps: Vec<Step>,
}

const CALLEE: &str = "192.0.2.20";
const CALLEE_V6: &str = "2001:db8::20";

fn step(command: &'static str, body: Body, entries: &Value) -> Step {
    Step { command, body, entries: entries.clone() }
}

/// An offer from `from`.
fn offer(from: &str, body: String, more: &Value) -> Step {
    step("offer", Body::Given(body), &merge(Value::dict().with("from-tag", from), more))
}

/// A later offer from `from` to `to`.
fn reoffer(from: &str, to: &str, body: String, more: &Value) -> Step {
    step("offer", Body::Given(body), &merge(Value::dict().with("from-tag", from).with("to-tag", to), more))
}

/// An answer of `to` at `address` to the offer of `from`.
fn answer(from: &str, to: &str, address: &'static str, more: &Value) -> Step {
    step("answer", Body::Answer(address), &merge(Value::dict().with("from-tag", from).with("to-tag", to), more))
}

fn query() -> Step {
    step("query", Body::None, &Value::dict())
}

fn merge(mut entries: Value, more: &Value) -> Value {
    for (key, value) in more.entries() {
        entries = entries.with(key, value.clone());
    }
    entries
}

fn case(name: impl Into<String>, steps: Vec<Step>) -> Case {
    Case { name: name.into(), steps }
}

/// A request's worth of flags, with a name.
#[derive(Clone, Debug)]
struct Asked {
    name: String,
    offer: Value,
    answer: Value,
}

/// `offer` for the offer alone.
fn once(name: &str, offer: Value) -> Asked {
    Asked { name: name.to_owned(), offer, answer: Value::dict() }
}

/// The same for the offer and its answer, as a proxy with one line of configuration asks.
fn both(name: &str, entries: Value) -> Asked {
    Asked { name: name.to_owned(), offer: entries.clone(), answer: entries }
}

fn key(key: &str, value: impl Into<Value>) -> Value {
    Value::dict().with(key, value)
}

fn flag(flag: &str) -> Value {
    key("flags", [flag])
}

/// Each of `asked` on each of `bodies`: an offer and its answer.
fn cross(out: &mut Vec<Case>, bodies: &[(&str, String)], asked: &[Asked]) {
    for (body_name, body) in bodies {
        for asked in asked {
            let callee = if asked.name.contains("v6 answers") { CALLEE_V6 } else { CALLEE };
            let steps = vec![offer("a", body.clone(), &asked.offer), answer("a", "b", callee, &asked.answer)];
            out.push(case(format!("{body_name}: {}", asked.name), steps));
        }
    }
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut out = Vec::new();
    addresses(&mut out);
    rtcp(&mut out);
    directions(&mut out);
    codecs(&mut out);
    transports(&mut out);
    sdes(&mut out);
    ice(&mut out);
    attributes(&mut out);
    strings(&mut out);
    dialogs(&mut out);
    commands(&mut out);
    out
}

/// A body by its name.
type Named = (&'static str, fn() -> String);

fn named(bodies: &[Named]) -> Vec<(&'static str, String)> {
    bodies.iter().map(|(name, body)| (*name, body())).collect()
}

fn addresses(out: &mut Vec<Case>) {
    let bodies = named(&[
        ("audio", bodies::audio),
        ("bare", bodies::bare),
        ("video", bodies::video),
        ("fax", bodies::fax),
        ("IPv6", bodies::v6),
        ("several", bodies::several),
        ("media addresses", bodies::media_addresses),
        ("bundle", bodies::bundle),
        ("curious", bodies::curious),
        ("zero address", bodies::zero_address),
    ]);
    let asked = [
        once("nothing", Value::dict()),
        once("direction", key("direction", ["priv", "pub"])),
        once("direction back", key("direction", ["pub", "priv"])),
        both("replace origin", key("replace", ["origin"])),
        both("replace session connection", key("replace", ["session-connection"])),
        both("replace all", key("replace", ["origin", "session connection", "username", "session name"])),
        both("replace zero address", key("replace", ["zero address"])),
        once("media address", key("media address", "198.51.100.7")),
        once("v6 answers", key("address family", "IP6")),
        once("to IPv4", key("address family", "IP4")),
    ];
    cross(out, &bodies, &asked);
    let audio = named(&[("audio", bodies::audio)]);
    let asked = [
        once("unknown interface", key("direction", ["priv", "nowhere"])),
        once("interface", key("interface", "pub")),
        both("received from", merge(key("received-from", ["IP4", "198.51.100.9"]), &flag("SIP source address"))),
        both("received from, trusted", merge(key("received from", ["IP4", "198.51.100.9"]), &flag("trust address"))),
        both("asymmetric", flag("asymmetric")),
        both("symmetric", flag("symmetric")),
        both("strict source", flag("strict source")),
        both("media handover", flag("media-handover")),
        both("port latching", flag("port-latching")),
        both("endpoint learning", key("endpoint-learning", "immediate")),
        both("TOS", key("TOS", 184)),
        both("label", key("label", "caller")),
        both("metadata", key("metadata", "a:b|c:d")),
        both("record call", key("record call", "no")),
        both("unknown key", merge(key("no-such-key", "x"), &flag("no-such-flag"))),
        both("unidirectional", flag("unidirectional")),
        both("loop protect", Value::dict()),
    ];
    cross(out, &audio, &asked);
}

fn rtcp(out: &mut Vec<Case>) {
    let bodies = vec![
        ("audio", bodies::audio()),
        ("video", bodies::video()),
        ("rtcp", bodies::audio_with(&["rtcp:5003"])),
        ("rtcp with address", bodies::audio_with(&["rtcp:5003 IN IP4 192.0.2.13"])),
        ("rtcp-mux", bodies::audio_with(&["rtcp-mux"])),
        ("rtcp-mux with rtcp", bodies::audio_with(&["rtcp:5000", "rtcp-mux"])),
    ];
    let mut asked = vec![
        once("nothing about RTCP", Value::dict()),
        once("no rtcp attribute", flag("no rtcp attribute")),
        once("full rtcp attribute", flag("full-rtcp-attribute")),
        once("full rtcp attribute, pub", merge(flag("full rtcp attribute"), &key("direction", ["priv", "pub"]))),
        once("offer and reject", key("rtcp-mux", ["offer", "reject"])),
        once("demux and offer", key("rtcp-mux", ["demux", "offer"])),
    ];
    for mux in ["offer", "require", "demux", "accept", "reject"] {
        asked.push(once(&format!("rtcp-mux {mux}"), key("rtcp-mux", [mux])));
        asked.push(both(&format!("rtcp-mux {mux} twice"), key("rtcp-mux", [mux])));
    }
    cross(out, &bodies, &asked);
}

fn directions(out: &mut Vec<Case>) {
    let mut bodies: Vec<_> =
        ["sendonly", "recvonly", "inactive"].map(|direction| (direction, bodies::audio_directed(direction))).into();
    bodies.push(("zero address", bodies::zero_address()));
    bodies.push(("bare", bodies::bare()));
    bodies.push(("session direction", bodies::bare().replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n")));
    let asked = [
        once("no flags", Value::dict()),
        both("original sendrecv", flag("original sendrecv")),
        both("original-sendrecv", flag("original-sendrecv")),
        both("zero and origin", key("replace", ["zero-address", "origin"])),
    ];
    cross(out, &bodies, &asked);
}

fn codecs(out: &mut Vec<Case>) {
    let bodies = named(&[("codecs", bodies::codecs), ("audio", bodies::audio), ("bare", bodies::bare)]);
    let codec = |name: &str, list: &[&str]| key("codec", key(name, list));
    let asked = [
        once("strip one", codec("strip", &["G729"])),
        once("strip two", codec("strip", &["PCMU", "opus"])),
        once("strip with rate", codec("strip", &["opus/48000/2"])),
        once("strip with other rate", codec("strip", &["opus/8000"])),
        once("strip event of a rate", codec("strip", &["telephone-event/48000"])),
        once("strip all", codec("strip", &["all"])),
        once("strip all but", key("codec", key("strip", ["all"]).with("except", ["PCMA", "telephone-event"]))),
        once("strip all, offer", key("codec", key("strip", ["all"]).with("offer", ["PCMA", "PCMU"]))),
        once("offer in order", codec("offer", &["PCMA", "PCMU"])),
        once("except", codec("except", &["PCMU"])),
        once("mask", codec("mask", &["PCMU"])),
        once("mask all but", key("codec", key("mask", ["all"]).with("except", ["PCMA"]))),
        once("codec accept", codec("accept", &["PCMA"])),
        once("strip unknown", codec("strip", &["nothing"])),
        once("strip by flag", flag("codec-strip-PCMU")),
        once("except by flag", key("flags", ["codec-strip-all", "codec-except-PCMA"])),
        once("single codec", Value::dict()),
    ];
    cross(out, &bodies, &asked);
    let single = Asked { name: "single codec answer".into(), offer: Value::dict(), answer: flag("single codec") };
    cross(out, &bodies, &[single]);
}

fn transports(out: &mut Vec<Case>) {
    let bodies = named(&[("audio", bodies::audio), ("video", bodies::video), ("sdes", bodies::sdes)]);
    let mut asked = Vec::new();
    for protocol in ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"] {
        let entries = merge(key("transport protocol", protocol), &key("DTLS", "off"));
        asked.push(Asked { name: format!("to {protocol}"), offer: entries, answer: key("DTLS", "off") });
    }
    asked.push(Asked {
        name: "accept".into(),
        offer: key("transport-protocol", "RTP/AVPF"),
        answer: key("transport protocol", "accept").with("DTLS", "off"),
    });
    cross(out, &bodies, &asked);
}

fn sdes(out: &mut Vec<Case>) {
    let bodies = [("sdes", bodies::sdes()), ("sdes with parameters", bodies::sdes_with_parameters())];
    let off = key("DTLS", "off");
    let sdes = |list: &[&str]| merge(key("SDES", list), &off);
    let asked = [
        both("as it is", off.clone()),
        both("off", sdes(&["off"])),
        both("no-suite", sdes(&["no-AES_CM_128_HMAC_SHA1_32"])),
        both("newer: only-suite", sdes(&["only-AES_CM_128_HMAC_SHA1_32"])),
        both("newer: nonew", sdes(&["nonew"])),
        both("newer: order", sdes(&["order:AES_CM_128_HMAC_SHA1_32;AES_CM_128_HMAC_SHA1_80"])),
        both("lifetime", sdes(&["lifetime"])),
        both("pad", sdes(&["pad"])),
        both("unencrypted", sdes(&["unencrypted_srtcp"])),
        both("unencrypted rtp", sdes(&["UNENCRYPTED_SRTP"])),
        both("unauthenticated", sdes(&["unauthenticated_srtp"])),
        both("encrypted", sdes(&["encrypted_srtcp"])),
        both("flags", merge(key("flags", ["SDES-pad"]), &off)),
        Asked {
            name: "to plain".into(),
            offer: merge(key("transport-protocol", "RTP/AVP"), &off),
            answer: off.clone(),
        },
    ];
    cross(out, &bodies, &asked);
    let plain = [("audio", bodies::audio())];
    let to = |list: &[&str]| merge(sdes(list), &key("transport-protocol", "RTP/SAVP"));
    let answered = |name: &str, offer: Value| Asked { name: name.into(), offer, answer: off.clone() };
    let asked = [
        answered("all suites", to(&[])),
        answered("newer: only one", to(&["only-AES_CM_128_HMAC_SHA1_80"])),
        answered("no 32", to(&["no-AES_CM_128_HMAC_SHA1_32", "no-NULL_HMAC_SHA1_32"])),
        answered("newer: ordered", to(&["order:AEAD_AES_128_GCM;AES_256_CM_HMAC_SHA1_80"])),
        answered("padded", to(&["pad"])),
        answered("with lifetime", to(&["lifetime"])),
        answered("unencrypted SRTCP", to(&["unencrypted_srtcp"])),
        answered("newer: only AEAD", to(&["only-AEAD_AES_256_GCM"])),
        answered("newer: only 192", to(&["only-AES_192_CM_HMAC_SHA1_80"])),
    ];
    cross(out, &plain, &asked);
}

fn ice(out: &mut Vec<Case>) {
    let bodies = named(&[("audio", bodies::audio), ("ICE", bodies::ice), ("video", bodies::video)]);
    let mut asked = Vec::new();
    for ice in ["remove", "force", "default"] {
        let entries = key("ICE", ice).with("direction", ["four", "four"]);
        asked.push(both(&format!("ICE {ice}"), entries.clone()));
        let shared = merge(entries, &key("rtcp-mux", ["require"]));
        asked.push(both(&format!("ICE {ice} with rtcp-mux"), shared));
    }
    let asked_by_flag = merge(flag("ICE=remove"), &key("direction", ["four", "four"]));
    asked.push(both("ICE as flag", asked_by_flag));
    cross(out, &bodies, &asked);
}

fn attributes(out: &mut Vec<Case>) {
    let bodies = vec![
        ("audio", bodies::audio()),
        ("video", bodies::video()),
        ("several", bodies::several()),
        ("with mid", bodies::audio_with(&["mid:here"])),
        ("extmap", bodies::audio_with(&["extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level"])),
    ];
    let attribute = |media: &str, command: &str, list: Value| key("sdp-attr", key(media, key(command, list)));
    let asked = [
        once("generate mid", flag("generate mid")),
        once("strip extmap", flag("strip-extmap")),
        once("newer: add", attribute("audio", "add", ["X-relay:yes"].into())),
        once("newer: add to session", attribute("none", "add", ["X-relay:yes"].into())),
        once("newer: remove", attribute("audio", "remove", ["ptime:20"].into())),
        once("newer: remove not there", attribute("audio", "remove", ["ptime:30"].into())),
        once("newer: substitute", attribute("audio", "substitute", Value::List(vec![["ptime:20", "ptime:30"].into()]))),
        once("newer: add to video", attribute("video", "add", ["X-relay:yes"].into())),
        once("newer: add by flag", flag("sdp-attr-add-audio-X-relay:yes")),
        once("newer: remove by flag", flag("sdp-attr-remove-audio-ptime:20")),
        once("newer: substitute by flag", flag("sdp-attr-substitute-audio-ptime:20>ptime:30")),
        once("ptime", key("ptime", 40)),
    ];
    cross(out, &bodies, &asked);
}

/// The same in the words that `rtpengine_manage()` of Kamailio sends, and in the `rtpp_flags` string.
fn strings(out: &mut Vec<Case>) {
    let bodies = vec![
        ("audio", bodies::audio()),
        ("video", bodies::video()),
        ("rtcp-mux", bodies::audio_with(&["rtcp-mux"])),
        ("IPv6", bodies::v6()),
    ];
    let words = [
        ("seed, to the inside", &["replace-origin", "replace-session-connection"][..], "RTP/AVP", &["pub", "priv"][..]),
        ("seed, to the outside", &["replace-origin", "trust-address"], "RTP/AVP", &["priv", "pub"]),
        ("no attribute", &["no-rtcp-attribute", "generate-mid"], "RTP/AVPF", &["priv", "priv"]),
    ];
    let asked: Vec<_> = words
        .iter()
        .map(|(name, flags, protocol, direction)| {
            let (replace, flags): (Vec<&str>, Vec<&str>) = flags.iter().partition(|flag| flag.starts_with("replace-"));
            let replace: Vec<_> = replace.iter().map(|flag| flag.trim_start_matches("replace-")).collect();
            let entries = key("flags", &flags[..])
                .with("replace", &replace[..])
                .with("transport-protocol", *protocol)
                .with("direction", *direction);
            both(name, entries)
        })
        .collect();
    cross(out, &bodies, &asked);
}

fn dialogs(out: &mut Vec<Case>) {
    let none = Value::dict();
    let (audio, held) = (bodies::audio(), bodies::audio_directed("sendonly"));
    let set_up = || vec![offer("a", audio.clone(), &none), answer("a", "b", CALLEE, &none)];
    let then = |name: &str, more: Vec<Step>| case(name, set_up().into_iter().chain(more).collect());
    let moved = audio.replace("5000", "5100");
    let version = |body: &str| body.replace("2890844526 1", "2890844526 2");
    out.push(then(
        "re-offer, unchanged",
        vec![reoffer("a", "b", audio.clone(), &none), answer("a", "b", CALLEE, &none)],
    ));
    out.push(then(
        "re-offer, other port",
        vec![reoffer("a", "b", moved.clone(), &none), answer("a", "b", CALLEE, &none)],
    ));
    let latched = flag("port latching");
    let steps = vec![reoffer("a", "b", moved, &latched), answer("a", "b", CALLEE, &latched)];
    out.push(then("re-offer, other port, latched", steps));
    let other = audio.replace("192.0.2.10", "192.0.2.110");
    out.push(then("re-offer, other address", vec![reoffer("a", "b", other, &none), answer("a", "b", CALLEE, &none)]));
    out.push(then(
        "re-offer of the callee",
        vec![reoffer("b", "a", audio.clone(), &none), answer("b", "a", "192.0.2.10", &none)],
    ));
    let hold = vec![reoffer("a", "b", held, &none), answer("a", "b", CALLEE, &none)];
    let resume = vec![reoffer("a", "b", version(&audio), &none), answer("a", "b", CALLEE, &none)];
    out.push(then("hold", hold.clone()));
    out.push(then("hold and resume", hold.into_iter().chain(resume).collect()));
    let zero = vec![reoffer("a", "b", bodies::zero_address(), &none), answer("a", "b", CALLEE, &none)];
    out.push(then("hold by zero address", zero));
    let off = audio.replace("m=audio 5000", "m=audio 0");
    out.push(then("stream turned off", vec![reoffer("a", "b", off.clone(), &none), answer("a", "b", CALLEE, &none)]));
    let on = vec![reoffer("a", "b", audio.clone(), &none), answer("a", "b", CALLEE, &none)];
    let off = vec![reoffer("a", "b", off, &none), answer("a", "b", CALLEE, &none)];
    out.push(then("stream turned off and on", off.into_iter().chain(on).collect()));
    out.push(then("video added", vec![reoffer("a", "b", bodies::video(), &none), answer("a", "b", CALLEE, &none)]));
    out.push(then(
        "fax in place",
        vec![reoffer("b", "a", bodies::fax(), &none), answer("b", "a", "192.0.2.10", &none)],
    ));
    let direction = key("direction", ["priv", "pub"]);
    let steps = vec![offer("a", audio.clone(), &direction), answer("a", "b", CALLEE, &none)];
    let again = vec![reoffer("a", "b", audio.clone(), &none), answer("a", "b", CALLEE, &none)];
    out.push(case("direction remembered", steps.iter().cloned().chain(again).collect()));
    let back = vec![reoffer("b", "a", audio.clone(), &none), answer("b", "a", "192.0.2.10", &none)];
    out.push(case("direction remembered for the callee", steps.into_iter().chain(back).collect()));
    branches(out, &audio);
    for replace in ["SDP-version", "force-increment-sdp-ver", "username", "session-name"] {
        let entries = key("replace", [replace]);
        let steps = [&audio, &audio, &version(&audio)]
            .map(|body| [reoffer("a", "b", body.clone(), &entries), answer("a", "b", CALLEE, &entries)]);
        let newer = if replace.starts_with("force") { "newer: " } else { "" };
        out.push(case(format!("{newer}replace {replace} over offers"), steps.into_iter().flatten().collect()));
    }
}

fn branches(out: &mut Vec<Case>, audio: &str) {
    let none = Value::dict();
    let branch = |name: &str| key("via-branch", name);
    let forked = || vec![offer("a", audio.to_owned(), &branch("1")), offer("a", audio.to_owned(), &branch("2"))];
    let then = |name: &str, more: Vec<Step>| case(name, forked().into_iter().chain(more).collect());
    out.push(then("two branches, first answers", vec![answer("a", "b", CALLEE, &branch("1"))]));
    out.push(then("two branches, second answers", vec![answer("a", "c", CALLEE, &branch("2"))]));
    let two = vec![answer("a", "b", CALLEE, &branch("1")), answer("a", "c", "192.0.2.30", &branch("2"))];
    out.push(then("two branches, both answer", two.clone()));
    let again = reoffer("a", "c", audio.to_owned(), &none);
    out.push(then("two branches, the second goes on", two.into_iter().chain([again]).collect()));
    let early =
        vec![offer("a", audio.to_owned(), &none), answer("a", "b", CALLEE, &none), answer("a", "b", CALLEE, &none)];
    out.push(case("early and final answer", early));
    let forks =
        vec![offer("a", audio.to_owned(), &none), answer("a", "b", CALLEE, &none), answer("a", "c", CALLEE, &none)];
    out.push(case("answers of two tags", forks));
    out.push(case("offer repeated", vec![offer("a", audio.to_owned(), &none), offer("a", audio.to_owned(), &none)]));
    let swapped = [offer("a", audio.to_owned(), &none), answer("b", "a", "192.0.2.10", &none)];
    out.push(case("answer with the tags the wrong way round", swapped.into()));
}

fn commands(out: &mut Vec<Case>) {
    let none = Value::dict();
    let set_up = || vec![offer("a", bodies::audio(), &none), answer("a", "b", CALLEE, &none)];
    let after = |name: &str, more: Vec<Step>| case(name, set_up().into_iter().chain(more).collect());
    let tag = |tag: &str| key("from-tag", tag);
    out.push(case("ping", vec![step("ping", Body::None, &none)]));
    out.push(case("unknown command", vec![step("frobnicate", Body::None, &none)]));
    out.push(after("query", vec![query()]));
    out.push(after("query of a tag", vec![step("query", Body::None, &tag("a"))]));
    out.push(case("query of an offer", vec![offer("a", bodies::audio(), &none), query()]));
    out.push(case("query of nothing", vec![query()]));
    out.push(case(
        "query of SRTP",
        vec![
            offer("a", bodies::sdes(), &key("DTLS", "off").with("transport-protocol", "RTP/AVP")),
            answer("a", "b", CALLEE, &key("DTLS", "off")),
            query(),
        ],
    ));
    for command in COMMANDS {
        out.push(after(command, vec![step(command, Body::None, &none)]));
        out.push(after(&format!("{command}, by tag"), vec![step(command, Body::None, &tag("a"))]));
        out.push(after(&format!("{command}, unknown tag"), vec![step(command, Body::None, &tag("z"))]));
        let to = tag("a").with("to-tag", "b");
        out.push(after(&format!("{command}, both tags"), vec![step(command, Body::None, &to)]));
        out.push(after(
            &format!("{command}, by address"),
            vec![step(command, Body::None, &key("address", "192.0.2.10"))],
        ));
        out.push(case(format!("{command}, no call"), vec![step(command, Body::None, &tag("a"))]));
    }
    let at_once = |entries: Value| step("delete", Body::None, &entries.with("delete delay", 0));
    out.push(after("delete", vec![at_once(Value::dict()), query()]));
    out.push(after("delete by tag", vec![at_once(tag("a")), query()]));
    out.push(after("delete by both tags", vec![at_once(tag("a").with("to-tag", "b")), query()]));
    out.push(after("delete by the callee", vec![at_once(tag("b").with("to-tag", "a")), query()]));
    out.push(after("delete, unknown tag", vec![at_once(tag("z")), query()]));
    out.push(after("delete, fatal", vec![at_once(tag("z").with("flags", ["fatal"]))]));
    out.push(case("delete, no call", vec![at_once(tag("a"))]));
    out.push(case("delete, no call, fatal", vec![at_once(tag("a").with("flags", ["fatal"]))]));
    out.push(case("delete an offer", vec![offer("a", bodies::audio(), &none), at_once(tag("a")), query()]));
    let branch = |name: &str| key("via-branch", name);
    let forked = [offer("a", bodies::audio(), &branch("1")), offer("a", bodies::audio(), &branch("2"))];
    let one = at_once(merge(tag("a"), &branch("1")));
    let other = at_once(merge(tag("a"), &branch("2")));
    out.push(case("delete branch by branch", forked.into_iter().chain([one, query(), other, query()]).collect()));
    errors(out);
}

/// Commands that change how a call is relayed.
const COMMANDS: &[&str] = &[
    "start forwarding",
    "stop forwarding",
    "block media",
    "unblock media",
    "silence media",
    "unsilence media",
    "block DTMF",
    "unblock DTMF",
    "stop recording",
];

fn errors(out: &mut Vec<Case>) {
    let none = Value::dict();
    let bad = |name: &str, body: &str| case(name, vec![offer("a", body.to_owned(), &Value::dict())]);
    out.push(case("offer without a body", vec![step("offer", Body::None, &key("from-tag", "a"))]));
    out.push(case("offer without a tag", vec![step("offer", Body::Given(bodies::audio()), &none)]));
    out.push(case(
        "answer without a tag",
        vec![offer("a", bodies::audio(), &none), step("answer", Body::Answer(CALLEE), &key("from-tag", "a"))],
    ));
    out.push(case(
        "answer to nothing",
        vec![step("answer", Body::Given(bodies::audio()), &key("from-tag", "a").with("to-tag", "b"))],
    ));
    out.push(bad("no SDP", "hello"));
    out.push(bad("no address", "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"));
    out.push(bad("half a stream", &bodies::audio().replace("m=audio 5000 RTP/AVP 0 8 101", "m=audio 5000")));
    out.push(bad("port out of range", &bodies::audio().replace("5000", "75000")));
    out.push(bad("bad address", &bodies::audio().replace("c=IN IP4 192.0.2.10", "c=IN IP4 hello")));
}
