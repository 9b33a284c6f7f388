use std::time::Duration;

use super::*;

const SELF: &str = "192.0.2.9:5070";
const PEER: &str = "192.0.2.1:5060";
const OFFER: &str =
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n";

/// Media that only remembers what it was told.
#[derive(Default)]
struct Told {
    open: Vec<u64>,
    path: Option<MediaPath>,
    closed: usize,
    full: bool,
}

impl Legs for Told {
    fn open(&mut self, call: u64, _: IpAddr) -> Option<SocketAddr> {
        self.open.push(call);
        (!self.full).then(|| "192.0.2.9:16384".parse().unwrap())
    }

    fn set_path(&mut self, _: u64, path: MediaPath) {
        self.path = Some(path);
    }

    fn close(&mut self, call: u64) {
        self.closed += usize::from(self.open.contains(&call));
    }
}

/// An agent under virtual time.
struct Rig {
    agent: Agent<Told>,
    counters: Arc<Counters>,
    now: Instant,
    out: Outbox,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        let counters = Arc::new(Counters::default());
        let agent = Agent::new(settings, SELF.parse().unwrap(), Told::default(), Arc::clone(&counters));
        Self { agent, counters, now: Instant::from_millis(1_000), out: Vec::new() }
    }

    fn with(behaviour: Behaviour) -> Self {
        Self::new(Settings { behaviour, ..Settings::default() })
    }

    /// Hands in a message, and gives what was sent because of it.
    fn hear(&mut self, text: &str) -> Vec<String> {
        self.agent.receive(self.now, PEER.parse().unwrap(), text.as_bytes(), &mut self.out);
        self.agent.expire(self.now, &mut self.out);
        self.take()
    }

    /// Lets time pass deadline by deadline, and gives when what was sent.
    fn wait(&mut self, ms: u64) -> Vec<(u64, String)> {
        let (from, to) = (self.now, self.now + Duration::from_millis(ms));
        let mut sent = Vec::new();
        while let Some(at) = self.agent.next_deadline().filter(|d| *d <= to) {
            self.now = self.now.max(at);
            self.agent.expire(self.now, &mut self.out);
            let after = self.now.since(from).as_millis() as u64;
            sent.extend(self.take().into_iter().map(|text| (after, text)));
        }
        self.now = to;
        sent
    }

    fn take(&mut self) -> Vec<String> {
        self.out.drain(..).map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
    }

    /// Sets up a call and gives the tag of the agent.
    fn call(&mut self) -> String {
        let sent = self.hear(&invite(1, "", OFFER));
        let tag = to_tag(&sent[0]);
        assert!(self.hear(&request("ACK", 1, &tag, "ack1", "")).is_empty());
        tag
    }

    fn active(&self) -> u64 {
        self.counters.active.load(Relaxed)
    }
}

fn request(method: &str, cseq: u32, tag: &str, branch: &str, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let content_type = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:9196@192.0.2.9:5070 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 70\r\nRecord-Route: <sip:192.0.2.1;lr>\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:9196@x>{tag}\r\n\
         Call-ID: c\r\nCSeq: {cseq} {method}\r\nContact: <sip:a@192.0.2.7:5066>\r\n{content_type}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn invite(cseq: u32, tag: &str, body: &str) -> String {
    request("INVITE", cseq, tag, &format!("i{cseq}"), body)
}

fn to_tag(text: &str) -> String {
    let msg = Msg::parse(text.as_bytes()).unwrap();
    String::from_utf8(tag_of(msg.value(HeaderName::To).unwrap()).unwrap().to_vec()).unwrap()
}

fn statuses(sent: &[String]) -> Vec<u16> {
    sent.iter().map(|text| Msg::parse(text.as_bytes()).unwrap().status().unwrap_or(0)).collect()
}

fn field(text: &str, name: HeaderName) -> String {
    String::from_utf8_lossy(Msg::parse(text.as_bytes()).unwrap().value(name).unwrap_or_default()).into_owned()
}

#[test]
fn a_call_is_answered_and_hung_up() {
    let mut rig = Rig::with(Behaviour::ECHO);
    let sent = rig.hear(&invite(1, "", OFFER));
    assert_eq!(statuses(&sent), [200]);
    assert_eq!(field(&sent[0], HeaderName::Contact), "<sip:192.0.2.9:5070>");
    assert_eq!(field(&sent[0], HeaderName::RecordRoute), "<sip:192.0.2.1;lr>");
    assert!(sent[0].ends_with("m=audio 16384 RTP/AVP 0 101\r\na=sendrecv\r\n"), "{}", sent[0]);
    assert_eq!(rig.agent.legs.path, Some(MediaPath { remote: "192.0.2.1:4000".parse().ok(), send: true }));
    let tag = to_tag(&sent[0]);
    rig.hear(&request("ACK", 1, &tag, "ack1", ""));
    assert_eq!(rig.active(), 1);
    assert_eq!(statuses(&rig.hear(&request("BYE", 2, &tag, "b", ""))), [200]);
    assert_eq!((rig.active(), rig.agent.legs.closed), (0, 1));
    assert_eq!(statuses(&rig.hear(&request("BYE", 3, &tag, "b3", ""))), [481]);
}

#[test]
fn a_retransmitted_invite_is_one_call() {
    let mut rig = Rig::with(Behaviour::Answer { ring: Duration::from_secs(1), hang_up_after: None });
    let first = rig.hear(&invite(1, "", OFFER));
    assert_eq!(statuses(&first), [180]);
    assert_eq!(rig.hear(&invite(1, "", OFFER)), first, "the last response again");
    assert_eq!(rig.active(), 1);
    let answered = rig.wait(1_000);
    assert_eq!(answered.len(), 1);
    assert_eq!((answered[0].0, to_tag(&answered[0].1)), (1_000, to_tag(&first[0])));
    // RFC 6026 §7.1: absorbed, since the 200 is repeated anyway.
    assert!(rig.hear(&invite(1, "", OFFER)).is_empty());
    assert_eq!(rig.agent.legs.open.len(), 1);
}

#[test]
fn the_200_is_repeated_until_the_ack_comes() {
    let mut rig = Rig::with(Behaviour::ECHO);
    let ok = rig.hear(&invite(1, "", OFFER)).remove(0);
    let repeated = rig.wait(12_000);
    // RFC 3261 §13.3.1.4: from T1, doubled up to T2.
    assert_eq!(repeated.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [500, 1_500, 3_500, 7_500, 11_500]);
    assert!(repeated.iter().all(|(_, text)| *text == ok));
    assert!(rig.hear(&request("ACK", 2, &to_tag(&ok), "a", "")).is_empty(), "the ACK of another INVITE");
    assert_eq!(rig.wait(4_000).len(), 1);
    rig.hear(&request("ACK", 1, &to_tag(&ok), "a", ""));
    assert!(rig.wait(60_000).is_empty());
    assert_eq!(rig.active(), 1);
}

#[test]
fn without_any_ack_the_call_is_hung_up() {
    let mut rig = Rig::with(Behaviour::ECHO);
    rig.hear(&invite(1, "", OFFER));
    let sent = rig.wait(32_000);
    let (at, bye) = sent.last().unwrap();
    assert_eq!(*at, 32_000);
    assert!(bye.starts_with("BYE sip:a@192.0.2.7:5066 SIP/2.0\r\n"), "{bye}");
    assert_eq!(field(bye, HeaderName::Route), "<sip:192.0.2.1;lr>");
    assert_eq!(rig.active(), 1);
    rig.wait(32_000);
    assert_eq!(rig.active(), 0, "nobody answered the BYE");
}

#[test]
fn cancel_ends_a_call_that_rings() {
    let mut rig = Rig::with(Behaviour::Answer { ring: Duration::from_secs(9), hang_up_after: None });
    let ringing = rig.hear(&invite(1, "", OFFER));
    let sent = rig.hear(&request("CANCEL", 1, "", "i1", ""));
    assert_eq!(statuses(&sent), [200, 487]);
    assert!(sent.iter().all(|text| to_tag(text) == to_tag(&ringing[0])));
    assert_eq!(rig.active(), 0);
    assert_eq!(rig.wait(600).len(), 1, "the 487 waits for its ACK");
    rig.hear(&request("ACK", 1, &to_tag(&ringing[0]), "i1", ""));
    assert!(rig.wait(60_000).is_empty());
}

#[test]
fn cancel_comes_too_late_or_for_nothing() {
    let mut rig = Rig::with(Behaviour::ECHO);
    assert_eq!(statuses(&rig.hear(&request("CANCEL", 1, "", "i1", ""))), [481]);
    let mut rig = Rig::with(Behaviour::ECHO);
    rig.call();
    assert_eq!(statuses(&rig.hear(&request("CANCEL", 1, "", "i1", ""))), [200]);
    assert_eq!(rig.active(), 1);
}

#[test]
fn hold_and_resume() {
    let mut rig = Rig::with(Behaviour::ECHO);
    let tag = rig.call();
    let held = rig.hear(&invite(2, &tag, &format!("{OFFER}a=sendonly\r\n")));
    assert_eq!(statuses(&held), [200]);
    assert!(held[0].contains("a=recvonly\r\n"), "{}", held[0]);
    assert!(!rig.agent.legs.path.unwrap().send);
    assert_eq!(statuses(&rig.hear(&invite(3, &tag, OFFER))), [491], "the ACK is owed");
    rig.hear(&request("ACK", 2, &tag, "a2", ""));
    let resumed = rig.hear(&request("UPDATE", 4, &tag, "u", OFFER));
    assert_eq!(statuses(&resumed), [200]);
    assert!(resumed[0].contains("a=sendrecv\r\n"), "{}", resumed[0]);
    assert!(rig.agent.legs.path.unwrap().send);
    assert_eq!(rig.agent.legs.open.len(), 1, "the port stays");
}

#[test]
fn an_invite_without_an_offer_gets_one() {
    let mut rig = Rig::with(Behaviour::ECHO);
    let ok = rig.hear(&invite(1, "", "")).remove(0);
    assert!(ok.contains("m=audio 16384 RTP/AVP 0 8 101\r\n"), "{ok}");
    assert_eq!(rig.agent.legs.path, None);
    rig.hear(&request("ACK", 1, &to_tag(&ok), "a", OFFER));
    assert_eq!(rig.agent.legs.path.unwrap().remote, "192.0.2.1:4000".parse().ok());
}

#[test]
fn requests_outside_of_a_dialog() {
    for (method, tag, status) in [
        ("OPTIONS", "", 200),
        ("MESSAGE", "", 200),
        ("INFO", "", 481),
        ("BYE", "", 481),
        ("UPDATE", "", 481),
        ("REGISTER", "", 405),
        ("SUBSCRIBE", "", 405),
        ("FROBNICATE", "", 405),
        ("BYE", "0123456789abcdef", 481),
        ("INVITE", "x", 481),
        ("OPTIONS", "x", 481),
    ] {
        let mut rig = Rig::with(Behaviour::ECHO);
        let sent = rig.hear(&request(method, 1, tag, "1", ""));
        assert_eq!(statuses(&sent), [status], "{method}");
        if matches!(status, 405) || method == "OPTIONS" && status == 200 {
            assert_eq!(field(&sent[0], HeaderName::Allow).as_bytes(), ALLOW);
        }
    }
}

#[test]
fn requests_within_a_dialog() {
    let mut rig = Rig::with(Behaviour::ECHO);
    let tag = rig.call();
    for (method, cseq, status) in [
        ("INFO", 2, 200),
        ("MESSAGE", 3, 200),
        ("OPTIONS", 4, 200),
        ("REFER", 5, 405),
        ("INFO", 4, 500),
        ("UPDATE", 6, 200),
    ] {
        let sent = rig.hear(&request(method, cseq, &tag, &format!("{method}{cseq}"), ""));
        assert_eq!(statuses(&sent), [status], "{method} {cseq}");
    }
    let stranger = request("BYE", 9, &tag, "s", "").replace("tag=f", "tag=g");
    assert_eq!(statuses(&rig.hear(&stranger)), [481]);
    assert!(rig.hear(&request("ACK", 77, "nobody", "a", "")).is_empty());
    assert_eq!(rig.active(), 1);
}

#[test]
fn offers_that_cannot_be_taken() {
    for (body, content_type, status) in [
        ("v=0\r\nm=audio 4000 RTP/SAVP 0\r\n", "application/sdp", 488),
        ("v=0\r\nnonsense\r\n", "application/sdp", 400),
        (OFFER, "text/plain", 415),
        (OFFER, "APPLICATION/SDP;charset=x", 200),
    ] {
        let mut rig = Rig::with(Behaviour::ECHO);
        let text = invite(1, "", body).replace("application/sdp", content_type);
        assert_eq!(statuses(&rig.hear(&text)), [status], "{body}");
    }
    let mut rig = Rig::with(Behaviour::ECHO);
    let text = invite(1, "", OFFER).replace("Call-ID", "Require: 100rel\r\nCall-ID");
    let sent = rig.hear(&text);
    assert_eq!((statuses(&sent), field(&sent[0], HeaderName::Unsupported)), (vec![420], "100rel".into()));
    let text = invite(2, "", OFFER).replace("sip:9196@192.0.2.9:5070", "tel:+9196");
    assert_eq!(statuses(&rig.hear(&text)), [416]);
}

#[test]
fn the_number_of_calls_is_bounded() {
    let mut rig = Rig::new(Settings { calls_max: 1, ..Settings::default() });
    let tag = rig.call();
    let sent = rig.hear(&invite(1, "", OFFER).replace("Call-ID: c", "Call-ID: d"));
    assert_eq!((statuses(&sent), field(&sent[0], HeaderName::RetryAfter)), (vec![503], "10".into()));
    rig.hear(&request("BYE", 2, &tag, "b", ""));
    assert_eq!(statuses(&rig.hear(&invite(1, "", OFFER).replace("Call-ID: c", "Call-ID: e"))), [200]);
}

#[test]
fn without_a_port_a_call_is_refused() {
    let mut rig = Rig::with(Behaviour::ECHO);
    rig.agent.legs.full = true;
    assert_eq!(statuses(&rig.hear(&invite(1, "", OFFER))), [503]);
    assert_eq!(rig.active(), 0);
}

#[test]
fn the_same_call_by_two_paths_is_a_loop() {
    let mut rig = Rig::with(Behaviour::ECHO);
    rig.call();
    assert_eq!(statuses(&rig.hear(&invite(1, "", OFFER).replace("bKi1", "bKother"))), [482]);
}

#[test]
fn only_its_users_are_answered() {
    let mut rig = Rig::new(Settings { users: vec!["9196".into()], ..Settings::default() });
    assert_eq!(statuses(&rig.hear(&invite(1, "", OFFER))), [200]);
    assert_eq!(statuses(&rig.hear(&invite(2, "", OFFER).replace("9196@192", "9197@192"))), [404]);
}

#[test]
fn other_behaviours() {
    let mut rig = Rig::with(Behaviour::Refuse { status: 486 });
    let sent = rig.hear(&invite(1, "", OFFER));
    assert_eq!(statuses(&sent), [486]);
    assert!(sent[0].starts_with("SIP/2.0 486 Busy Here\r\n"));
    assert_eq!(statuses(&rig.hear(&request("OPTIONS", 1, "", "o", ""))), [200]);
    let mut rig = Rig::with(Behaviour::Silent);
    assert!(rig.hear(&invite(1, "", OFFER)).is_empty() && rig.hear(&request("OPTIONS", 1, "", "o", "")).is_empty());
    assert_eq!(rig.agent.next_deadline(), None);
}

#[test]
fn the_server_hangs_up_by_itself() {
    let mut rig = Rig::with(Behaviour::Answer { ring: Duration::ZERO, hang_up_after: Some(Duration::from_secs(5)) });
    rig.call();
    let sent = rig.wait(5_000);
    assert_eq!(sent.len(), 1);
    let (at, bye) = &sent[0];
    assert!(*at == 5_000 && bye.starts_with("BYE "), "{bye}");
    let via = field(bye, HeaderName::Via);
    let ok = format!(
        "SIP/2.0 200 OK\r\nVia: {via}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: c\r\nCSeq: 1 BYE\r\n\r\n",
        field(bye, HeaderName::From),
        field(bye, HeaderName::To)
    );
    assert!(rig.hear(&ok).is_empty());
    assert_eq!(rig.active(), 0);
}

#[test]
fn stopping_hangs_up_and_takes_no_more() {
    let mut rig = Rig::with(Behaviour::ECHO);
    rig.call();
    rig.agent.stop(rig.now, &mut rig.out);
    let sent = rig.take();
    assert!(sent.len() == 1 && sent[0].starts_with("BYE "), "{sent:?}");
    assert_eq!(statuses(&rig.hear(&invite(1, "", OFFER).replace("Call-ID: c", "Call-ID: d"))), [503]);
    assert!(!rig.agent.is_idle());
}

#[test]
fn malformed_messages_are_counted_and_requests_among_them_answered() {
    let mut rig = Rig::with(Behaviour::ECHO);
    assert!(rig.hear("\r\n\r\n").is_empty());
    assert!(rig.hear("nonsense").is_empty());
    assert!(rig.hear("SIP/2.0 200 OK\r\n\r\n").is_empty());
    let sent = rig
        .hear(&request("OPTIONS", 1, "", "o", "").replace("Max-Forwards: 70", "Max-Forwards: 70\r\nMax-Forwards: 71"));
    assert_eq!(statuses(&sent), [400]);
    assert_eq!(rig.counters.malformed.load(Relaxed), 3);
}
