//! A real Kamailio with its rtpengine module drives the relay: calls with media, their changes and their ends.

use std::net::SocketAddr;
use std::time::Duration;

use trunkline_tests::harness::{
    Callee as ScriptedCallee, Kamailio, MediaParty, Message, Ng, Phone, Place, Process, Transport, TrunklineRelay,
    Value, Wire, command, converse, media_address, sdp, token, until, uri_of,
};
use trunkline_tests::needs;

const LIMIT: Duration = Duration::from_secs(10);
const SDP: &str = "Content-Type: application/sdp\r\n";

/// A proxy, its relay and how many calls the relay has.
struct Edge {
    kamailio: Kamailio,
    relay: TrunklineRelay,
    ng: Ng,
}

impl Edge {
    /// Hosts 2 and 3 are the relay's outside and inside, host 11 has the media servers.
    fn start(place: &Place, targets: &[SocketAddr], more: &[&str]) -> Self {
        let ng = SocketAddr::new(place.ip(1), 2223);
        let interfaces = [format!("internal/{}", place.ip(3)), format!("external/{}", place.ip(2))];
        let relay = TrunklineRelay::start(place, ng, &interfaces, more);
        let targets: Vec<_> = targets.iter().map(|target| Transport::Udp.uri(*target)).collect();
        let kamailio = Kamailio::with_relay(place, place.at(5), &targets, ng, place.ip(11));
        Self { kamailio, relay, ng: Ng::new(ng) }
    }

    fn calls(&self) -> Vec<String> {
        let list = self.ng.command("list", Value::dict());
        let calls = list.at("calls").expect("calls").items();
        calls.iter().map(|call| if let Value::Text(id) = call { id.clone() } else { format!("{call:?}") }).collect()
    }

    fn figure(&self, group: &str, name: &str) -> i64 {
        let reply = self.ng.command("statistics", Value::dict());
        let figure = reply.at("statistics").and_then(|all| all.at(group)?.int(name));
        figure.unwrap_or_else(|| panic!("no {name} in {reply:?}"))
    }

    #[track_caller]
    fn wait_for_no_call(&self) {
        until("no session is left", LIMIT, || self.calls().is_empty());
        assert_eq!(self.figure("currentstatistics", "sessionstotal"), 0);
        assert!(self.relay.ctl("list numsessions").contains("total: 0"));
    }

    fn phone(&self, place: &Place) -> Phone {
        let wire = Wire::udp(SocketAddr::new(place.ip(21), 0), self.kamailio.address());
        Phone::new(wire, &format!("sip:2000@{}", self.kamailio.address()))
    }
}

/// A media server, step by step.
struct Callee {
    wire: Wire,
    tag: String,
}

impl Callee {
    fn new(local: SocketAddr, proxy: SocketAddr) -> Self {
        Self { wire: Wire::udp(local, proxy), tag: token() }
    }

    /// The next request of this method.
    #[track_caller]
    fn take(&mut self, method: &str) -> Message {
        loop {
            let message = self.wire.receive(LIMIT).unwrap_or_else(|| panic!("no {method} comes in"));
            if message.status().is_none() && message.method() == method {
                return message;
            }
        }
    }

    fn answer(&mut self, request: &Message, status: &str, sdp: &str) {
        let text = response(request, status, &self.tag, self.wire.local(), sdp);
        self.wire.send(text.as_bytes());
    }

    /// Has a request of the callee's own go through the dialog that `invite` began, and gives its final response: the phone
    /// answers with 200 and `answered`.
    #[track_caller]
    fn ask(
        &mut self,
        phone: &mut Phone,
        invite: &Message,
        method: &str,
        cseq: u32,
        offered: &str,
        answered: &str,
    ) -> Message {
        let request = self.request(invite, method, cseq, offered);
        self.wire.send(request.as_bytes());
        let received = loop {
            let message = phone.wire.receive(LIMIT).unwrap_or_else(|| panic!("no {method} comes in"));
            if message.status().is_none() && message.method() == method {
                break message;
            }
        };
        assert_eq!(media_address(offered).is_some(), media_address(&body(&received)).is_some());
        phone.wire.send(response(&received, "200 OK", "", phone.wire.local(), answered).as_bytes());
        let response = loop {
            let message = self.wire.receive(LIMIT).unwrap_or_else(|| panic!("no response to {method}"));
            if message.method() == method && message.status().is_some_and(|status| status >= 200) {
                break message;
            }
        };
        assert_eq!(response.status(), Some(200), "{}", response.start_line());
        if method == "INVITE" {
            let ack = self.request(invite, "ACK", cseq, "");
            self.wire.send(ack.as_bytes());
        }
        response
    }

    fn request(&self, invite: &Message, method: &str, cseq: u32, sdp: &str) -> String {
        let local = self.wire.local();
        let field = |name| invite.field(name).unwrap_or_default();
        let routes: String = invite.values("Record-Route").iter().map(|route| format!("Route: {route}\r\n")).collect();
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n{routes}\
             From: {};tag={}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <{}>\r\n{}\
             Content-Length: {}\r\n\r\n{sdp}",
            uri_of(field("Contact")),
            token(),
            field("To"),
            self.tag,
            field("From"),
            field("Call-ID"),
            Transport::Udp.uri(local),
            if sdp.is_empty() { "" } else { SDP },
            sdp.len(),
        )
    }
}

/// A response; `tag` is for To, where that has none.
fn response(request: &Message, status: &str, tag: &str, contact: SocketAddr, sdp: &str) -> String {
    let lines =
        |name: &str| -> String { request.values(name).iter().map(|value| format!("{name}: {value}\r\n")).collect() };
    let field = |name| request.field(name).unwrap_or_default();
    let to = field("To");
    let tag = if to.contains(";tag=") { String::new() } else { format!(";tag={tag}") };
    format!(
        "SIP/2.0 {status}\r\n{}{}From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <{}>\r\n{}\
         Content-Length: {}\r\n\r\n{sdp}",
        lines("Via"),
        lines("Record-Route"),
        field("From"),
        field("Call-ID"),
        field("CSeq"),
        Transport::Udp.uri(contact),
        if sdp.is_empty() { "" } else { SDP },
        sdp.len(),
    )
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body.clone()).expect("text")
}

fn offer(phone: &mut Phone, sdp: &str) {
    let text = phone.text("INVITE", SDP, sdp);
    phone.wire.send(text.as_bytes());
}

/// INVITE, 200 and ACK with the media of two parties. Gives the descriptions that the callee and the caller see.
#[track_caller]
fn negotiate(phone: &mut Phone, callee: &mut Callee, offered: &str, answered: &str) -> (String, String) {
    offer(phone, offered);
    let invite = callee.take("INVITE");
    callee.answer(&invite, "200 OK", answered);
    let response = phone.finish_invite();
    assert_eq!(response.status(), Some(200), "{}", response.start_line());
    callee.take("ACK");
    (body(&invite), body(&response))
}

#[track_caller]
fn hang_up(phone: &mut Phone, callee: &mut Callee) {
    phone.send("BYE");
    let bye = callee.take("BYE");
    callee.answer(&bye, "200 OK", "");
    assert_eq!(phone.response("BYE", 200).status(), Some(200));
}

/// Both parties of a call, each with its media, on hosts 21 and 11.
fn parties(place: &Place, port: u16) -> (MediaParty, MediaParty) {
    (MediaParty::new(SocketAddr::new(place.ip(21), port)), MediaParty::new(SocketAddr::new(place.ip(11), port)))
}

#[test]
fn early_media_answer_changes_hold_and_bye() {
    needs!("kamailio", "trunkline-relay");
    let place = Place::shared();
    let server = place.at(11);
    let edge = Edge::start(&place, &[server], &["--delete-delay=0"]);
    let mut callee = Callee::new(server, edge.kamailio.address());
    let mut phone = edge.phone(&place);
    let (mut near, mut far) = parties(&place, 4_000);

    // Early media.
    offer(&mut phone, &near.sdp(""));
    let invite = callee.take("INVITE");
    far.aim(&body(&invite));
    callee.answer(&invite, "183 Session Progress", &far.sdp(""));
    near.aim(&body(&phone.response("INVITE", 183)));
    assert_eq!((near.target().ip(), far.target().ip()), (place.ip(2), place.ip(3)), "outside and inside");
    converse(&near, &far, 0, 20);
    assert_eq!(edge.calls(), [phone.call_id.as_str()]);

    // The answer is the same, and so is the path of the media.
    callee.answer(&invite, "200 OK", &far.sdp(""));
    let response = phone.finish_invite();
    assert_eq!((response.status(), media_address(&body(&response))), (Some(200), near.to));
    callee.take("ACK");
    converse(&near, &far, 20, 200);
    near.report_to(&far);
    far.report_to(&near);

    // The caller moves its media.
    let mut moved = MediaParty::new(SocketAddr::new(place.ip(21), 4_100));
    moved.to = near.to;
    let (seen, answered) = negotiate(&mut phone, &mut callee, &moved.sdp(""), &far.sdp(""));
    assert_eq!((media_address(&seen), media_address(&answered)), (far.to, near.to), "the relay's ports stay");
    converse(&moved, &far, 220, 100);
    assert!(near.hears_nothing());

    // Hold in both spellings, and back.
    let (seen, answered) = negotiate(&mut phone, &mut callee, &moved.sdp("a=inactive\r\n"), &far.sdp("a=inactive\r\n"));
    assert!(seen.contains("a=inactive") && answered.contains("a=inactive"), "{seen}{answered}");
    let (seen, _) = negotiate(&mut phone, &mut callee, &moved.sdp(""), &far.sdp(""));
    assert_eq!(media_address(&seen), far.to);
    converse(&moved, &far, 320, 20);
    let zero = sdp(SocketAddr::new("0.0.0.0".parse().unwrap(), 4_100), "");
    let (seen, _) = negotiate(&mut phone, &mut callee, &zero, &far.sdp(""));
    assert!(seen.contains("c=IN IP4 0.0.0.0"), "{seen}");
    far.send(340);
    assert!(moved.hears_nothing(), "who holds gets no media");
    let (seen, _) = negotiate(&mut phone, &mut callee, &moved.sdp(""), &far.sdp(""));
    assert_eq!(media_address(&seen), far.to);
    converse(&moved, &far, 341, 100);

    // The callee moves its media, and ends the call.
    let mut elsewhere = MediaParty::new(SocketAddr::new(place.ip(11), 4_100));
    elsewhere.to = far.to;
    let response = callee.ask(&mut phone, &invite, "INVITE", 1, &elsewhere.sdp(""), &moved.sdp(""));
    assert_eq!(media_address(&body(&response)), far.to);
    converse(&moved, &elsewhere, 441, 100);
    callee.ask(&mut phone, &invite, "BYE", 2, "", "");
    edge.wait_for_no_call();
    moved.send(600);
    assert!(elsewhere.hears_nothing() && far.hears_nothing(), "the call is over");
}

#[test]
fn cancel_and_refusal_leave_nothing() {
    needs!("kamailio", "trunkline-relay");
    let place = Place::shared();
    let server = place.at(11);
    let edge = Edge::start(&place, &[server], &["--delete-delay=0"]);
    let mut callee = Callee::new(server, edge.kamailio.address());
    let (near, _far) = parties(&place, 4_000);

    let mut phone = edge.phone(&place);
    offer(&mut phone, &near.sdp(""));
    let invite = callee.take("INVITE");
    callee.answer(&invite, "180 Ringing", "");
    phone.response("INVITE", 180);
    assert_eq!(edge.calls(), [phone.call_id.as_str()]);
    phone.send("CANCEL");
    let cancel = callee.take("CANCEL");
    callee.answer(&cancel, "200 OK", "");
    callee.answer(&invite, "487 Request Terminated", "");
    assert_eq!(phone.finish_invite().status(), Some(487));
    edge.wait_for_no_call();

    let mut phone = edge.phone(&place);
    offer(&mut phone, &near.sdp(""));
    let invite = callee.take("INVITE");
    callee.answer(&invite, "503 Service Unavailable", "");
    // RFC 3261 §16.7 step 6: a proxy does not pass a 503 on.
    assert_eq!(phone.finish_invite().status(), Some(500));
    edge.wait_for_no_call();
    assert_eq!(edge.figure("totalstatistics", "managedsessions"), 2);
}

/// From a media server that is dead to one that is not, with media after it.
fn failover(delete_delay: &str) {
    let place = Place::shared();
    let (dead, alive) = (SocketAddr::new(place.ip(11), 5_070), place.at(11));
    let edge = Edge::start(&place, &[dead, alive], &[delete_delay]);
    let mut callee = Callee::new(alive, edge.kamailio.address());
    let mut phone = edge.phone(&place);
    let (mut near, mut far) = parties(&place, 4_000);
    let (seen, answered) = negotiate(&mut phone, &mut callee, &near.sdp(""), &far.sdp(""));
    assert_eq!(edge.figure("controlstatistics", "totaloffercount"), 2, "one offer for each media server");
    assert_eq!(edge.figure("controlstatistics", "totaldeletecount"), 1);
    assert_eq!(seen.matches("m=audio").count(), 1, "{seen}");
    far.aim(&seen);
    near.aim(&answered);
    converse(&near, &far, 0, 100);
    assert_eq!(edge.calls(), [phone.call_id.as_str()]);
    hang_up(&mut phone, &mut callee);
    if delete_delay == "--delete-delay=0" {
        edge.wait_for_no_call();
    }
}

#[test]
fn failover_from_a_dead_media_server() {
    needs!("kamailio", "trunkline-relay");
    failover("--delete-delay=0");
}

#[test]
fn failover_while_the_deleted_call_lingers() {
    needs!("kamailio", "trunkline-relay");
    failover("--delete-delay=30");
}

/// SIPp's own echo behind Kamailio: what a caller says comes back, packet by packet, in every one of many calls.
#[test]
fn sipp_echoes_every_packet() {
    needs!("kamailio", "trunkline-relay", "sipp");
    let place = Place::shared();
    let server = place.at(11);
    let edge = Edge::start(&place, &[server], &["--delete-delay=0", "--num-threads=2"]);
    let mut sipp = command(std::path::Path::new("sipp"));
    let scenario = place.path("echo.xml");
    std::fs::write(&scenario, ScriptedCallee::default().xml()).expect("a scenario");
    let ip = server.ip().to_string();
    sipp.arg("-sf").arg(scenario).args(["-rtp_echo", "-nostdin", "-i", &ip, "-p", "5060", "-mi", &ip, "-mp", "6000"]);
    sipp.env("TERM", "dumb").current_dir(place.dir());
    let _sipp = Process::start("sipp", sipp, place.path("sipp.log"));
    let mut calls: Vec<_> = (0..20)
        .map(|n| {
            let mut near = MediaParty::new(SocketAddr::new(place.ip(21), 4_000 + 4 * n));
            let mut phone = edge.phone(&place);
            offer(&mut phone, &near.sdp(""));
            let response = phone.finish_invite();
            assert_eq!(response.status(), Some(200), "{}", response.start_line());
            near.aim(&body(&response));
            (phone, near)
        })
        .collect();
    assert_eq!(edge.calls().len(), calls.len());
    for sequence in 0..100 {
        calls.iter().for_each(|(_, near)| near.send(sequence));
        calls.iter().for_each(|(_, near)| near.expect(near, sequence));
    }
    for (phone, _) in &mut calls {
        assert_eq!(phone.ask("BYE").status(), Some(200));
    }
    edge.wait_for_no_call();
    assert_eq!(edge.figure("totalstatistics", "relayedpackets"), 20 * 100 * 2);
}
