//! Calls whose media is relayed: by the relay of the same process, by `trunkline relay`, and by rtpengine. Caller and callee
//! have media sockets of their own, and every packet is compared.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use trunkline_tests::harness::{
    Config, Media, Message, Ng, Phone, Place, RelayRole, Rtpengine, Signal, Station, Transport, Trunkline, Value,
    audio_of, talk, until,
};
use trunkline_tests::needs;

const SOON: Duration = Duration::from_secs(10);
/// Long enough to see that something does not come.
const BRIEF: Duration = Duration::from_millis(200);

/// Host 1 is the edge; 5 and 6 are the relay inside and outside, 7 and 8 another relay; 11 and 12 are targets, 21 the
/// caller.
const INSIDE: u8 = 5;
const OUTSIDE: u8 = 6;

/// Who relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Embedded,
    Role,
    Rtpengine,
}

/// The two interfaces of a relay.
fn interfaces(place: &Place, inside: u8, outside: u8) -> Vec<String> {
    vec![format!("internal/{}", place.ip(inside)), format!("external/{}", place.ip(outside))]
}

/// A configuration with two targets, the first one first, whose sides have the names of [`interfaces`].
fn config(place: &Place) -> Config {
    Config::new(place)
        .listen_both(place.at(1))
        .key("dispatch.ping", "mode", "\"off\"")
        .route_all(1)
        .algorithm(1, "serial")
        .target(1, &Transport::Udp.uri(place.at(11)), "priority = 20")
        .target(1, &Transport::Udp.uri(place.at(12)), "priority = 10")
        .key("relay.inside", "interface", "\"internal\"")
        .key("relay.outside", "interface", "\"external\"")
}

fn by_ng(config: Config, relays: &[SocketAddr]) -> Config {
    let list: Vec<_> = relays.iter().map(|address| format!("{{ address = \"{address}\" }}")).collect();
    config.key("relay", "mode", "\"ng\"").key("relay", "ng", &format!("[{}]", list.join(", ")))
}

fn control(place: &Place, host: u8) -> SocketAddr {
    SocketAddr::new(place.ip(host), 2_223)
}

struct World {
    place: Place,
    edge: Trunkline,
    relay: Option<Relay>,
}

enum Relay {
    Role(RelayRole),
    /// Kept for as long as it is to run.
    Rtpengine {
        _process: Rtpengine,
    },
}

impl World {
    fn new(by: By) -> Self {
        let place = Place::shared();
        let names = interfaces(&place, INSIDE, OUTSIDE);
        let (relay, config) = match by {
            By::Embedded => {
                // Each shard has a socket of its own to speak to the relay.
                let config = config(&place)
                    .key("node", "shards", "2")
                    .key("relay", "mode", "\"embedded\"")
                    .key("relay", "interface", &format!("{names:?}"))
                    .key("relay", "port_max", "29_999")
                    .key("relay", "delete_delay", "0");
                (None, config)
            }
            By::Role => {
                let role = RelayRole::start(&place, control(&place, INSIDE), &names, "delete_delay = 0");
                let config = by_ng(config(&place), &[role.address()]);
                (Some(Relay::Role(role)), config)
            }
            By::Rtpengine => {
                let peer = Rtpengine::start(&place, control(&place, INSIDE), &names, &["--delete-delay=0"]);
                let config = by_ng(config(&place), &[peer.address()]);
                (Some(Relay::Rtpengine { _process: peer }), config)
            }
        };
        let edge = Trunkline::start(&place, &config);
        Self { place, edge, relay }
    }

    fn station(&self, host: u8) -> Station {
        Station::new(self.place.at(host), self.edge.address())
    }

    fn caller(&self) -> (Phone, Media) {
        (self.edge.udp_phone(&self.place), Media::new(self.place.ip(21)))
    }

    /// Calls that the relay holds, where we can ask it.
    fn sessions(&self) -> Option<u64> {
        let list = match &self.relay {
            None => self.edge.ctl(&["relay", "sessions"]),
            Some(Relay::Role(role)) => role.ctl(&["relay", "sessions"]),
            Some(Relay::Rtpengine { .. }) => return None,
        };
        list["total"].as_u64()
    }

    #[track_caller]
    fn wait_empty(&self) {
        until("the relay has no calls", SOON, || self.sessions().unwrap_or(0) == 0);
    }

    /// Where the one who got `message` is to send: the relay's address on that host, and nothing else of the other side.
    #[track_caller]
    fn relayed(&self, message: &Message, host: u8, hidden: &Media) -> SocketAddr {
        let address = audio_of(&message.body);
        assert_eq!(address.ip(), self.place.ip(host), "{message:?}");
        let text = String::from_utf8_lossy(&message.body);
        assert!(!text.contains(&hidden.address().ip().to_string()), "the other side shows: {text}");
        address
    }
}

/// A call that is up: each end with the address that it sends to.
struct Call {
    phone: Phone,
    caller: Media,
    callee: Media,
    to_callee: SocketAddr,
    to_caller: SocketAddr,
    invite: Message,
}

impl Call {
    /// INVITE, 200, ACK, and sound both ways.
    #[track_caller]
    fn set_up(world: &World, station: &mut Station) -> Self {
        let (mut phone, mut caller) = world.caller();
        let mut callee = Media::new(world.place.ip(11));
        phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
        let invite = station.take("INVITE");
        let to_caller = world.relayed(&invite, INSIDE, &caller);
        station.answer(&invite, 200, &callee.sdp("sendrecv"));
        let answer = phone.finish_invite();
        assert_eq!(answer.status(), Some(200), "{}", answer.start_line());
        let to_callee = world.relayed(&answer, OUTSIDE, &callee);
        let call = Self { phone, caller, callee, to_callee, to_caller, invite };
        station.take("ACK");
        call.talk(0..20);
        call
    }

    #[track_caller]
    fn talk(&self, sequences: std::ops::Range<u16>) {
        talk((&self.caller, self.to_callee), (&self.callee, self.to_caller), sequences);
    }

    #[track_caller]
    fn end(&mut self, station: &mut Station) {
        self.phone.send("BYE");
        let bye = station.take("BYE");
        station.answer(&bye, 200, "");
        assert_eq!(self.phone.response("BYE", 200).status(), Some(200));
    }

    /// The caller offers anew; what the callee gets, and what comes back to `answer`.
    #[track_caller]
    fn offer_again(&mut self, world: &World, station: &mut Station, offer: &str, answer: &str) -> (Message, Message) {
        self.phone.send_sdp("INVITE", offer);
        let invite = station.take("INVITE");
        station.answer(&invite, 200, answer);
        let ok = self.phone.response("INVITE", 200);
        assert_eq!(ok.status(), Some(200), "{}", ok.start_line());
        self.phone.send("ACK");
        station.take("ACK");
        self.to_caller = world.relayed(&invite, INSIDE, &self.caller);
        self.to_callee = world.relayed(&ok, OUTSIDE, &self.callee);
        (invite, ok)
    }
}

/// A call with early media, a re-INVITE from each end, and hold.
fn a_whole_call(by: By) {
    let world = World::new(by);
    let mut station = world.station(11);
    let (mut phone, mut caller) = world.caller();
    let mut callee = Media::new(world.place.ip(11));
    phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
    let invite = station.take("INVITE");
    let to_caller = world.relayed(&invite, INSIDE, &caller);
    // Early media: the 183 is an answer (RFC 3261 §13.2.1), and the 200 repeats it.
    let sdp = callee.sdp("sendrecv");
    station.answer(&invite, 183, &sdp);
    let progress = phone.response("INVITE", 183);
    assert_eq!(progress.status(), Some(183));
    let to_callee = world.relayed(&progress, OUTSIDE, &callee);
    talk((&caller, to_callee), (&callee, to_caller), 0..50);
    station.answer(&invite, 200, &sdp);
    let ok = phone.finish_invite();
    assert_eq!(world.relayed(&ok, OUTSIDE, &callee), to_callee, "the stream moves with the 200");
    station.take("ACK");
    let mut call = Call { phone, caller, callee, to_callee, to_caller, invite };
    call.talk(50..100);
    // Held by the caller, and taken back.
    let (offer, answer) = (call.caller.sdp("sendonly"), call.callee.sdp("recvonly"));
    let (seen, ok) = call.offer_again(&world, &mut station, &offer, &answer);
    let says = |message: &Message, direction: &str| {
        let text = String::from_utf8_lossy(&message.body).into_owned();
        assert!(text.contains(&format!("a={direction}\r\n")), "{text}");
    };
    says(&seen, "sendonly");
    says(&ok, "recvonly");
    call.caller.send(call.to_callee, 100);
    assert_eq!(call.callee.receive().0, call.caller.packet(100), "music on hold");
    let (offer, answer) = (call.caller.sdp("sendrecv"), call.callee.sdp("sendrecv"));
    call.offer_again(&world, &mut station, &offer, &answer);
    call.talk(101..120);
    // The caller's media moves to another socket.
    call.caller = Media::new(world.place.ip(21));
    let (offer, answer) = (call.caller.sdp("sendrecv"), call.callee.sdp("sendrecv"));
    call.offer_again(&world, &mut station, &offer, &answer);
    call.talk(0..50);
    // The callee offers.
    let offer = call.callee.sdp("sendrecv");
    station.send_in_call(&call.invite, "INVITE", 1, &offer);
    let seen = loop {
        let message = call.phone.wire.receive(SOON).expect("the callee's INVITE");
        if message.status().is_none() && message.method() == "INVITE" {
            break message;
        }
    };
    call.to_callee = world.relayed(&seen, OUTSIDE, &call.callee);
    answer_of_the_caller(&mut call, &seen);
    let ok = station.response("INVITE", 200);
    call.to_caller = world.relayed(&ok, INSIDE, &call.caller);
    call.talk(50..100);
    call.end(&mut station);
    world.wait_empty();
    // What comes late reaches nobody.
    call.caller.send(call.to_callee, 200);
    assert_eq!(call.callee.receive_within(BRIEF), None);
}

fn answer_of_the_caller(call: &mut Call, invite: &Message) {
    let sdp = call.caller.sdp("sendrecv");
    let list =
        |name: &str| -> String { invite.values(name).iter().map(|value| format!("{name}: {value}\r\n")).collect() };
    let field = |name| invite.field(name).unwrap_or_default();
    let text = format!(
        "SIP/2.0 200 OK\r\n{}{}From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <{}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        list("Via"),
        list("Record-Route"),
        field("From"),
        field("To"),
        field("Call-ID"),
        field("CSeq"),
        Transport::Udp.uri(call.phone.wire.local()),
        sdp.len()
    );
    call.phone.wire.send(text.as_bytes());
}

/// A call that is cancelled while it rings, and one that is refused.
fn calls_that_come_to_nothing(by: By) {
    let world = World::new(by);
    let mut station = world.station(11);
    let (mut phone, mut caller) = world.caller();
    phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
    let invite = station.take("INVITE");
    world.relayed(&invite, INSIDE, &caller);
    station.answer(&invite, 180, "");
    phone.response("INVITE", 180);
    assert!(world.sessions().is_none_or(|sessions| sessions == 1));
    phone.send("CANCEL");
    let cancel = station.take("CANCEL");
    station.answer(&cancel, 200, "");
    station.answer(&invite, 487, "");
    assert_eq!(phone.response("INVITE", 300).status(), Some(487));
    world.wait_empty();
    let (mut phone, mut caller) = world.caller();
    phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
    let invite = station.take("INVITE");
    station.answer(&invite, 486, "");
    assert_eq!(phone.response("INVITE", 300).status(), Some(486));
    world.wait_empty();
}

/// The first target fails after it was offered media, the second one answers.
fn failover(by: By) {
    let world = World::new(by);
    let (mut first, mut second) = (world.station(11), world.station(12));
    let (mut phone, mut caller) = world.caller();
    let mut callee = Media::new(world.place.ip(12));
    phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
    let invite = first.take("INVITE");
    world.relayed(&invite, INSIDE, &caller);
    first.answer(&invite, 500, "");
    let invite = second.take("INVITE");
    let to_caller = world.relayed(&invite, INSIDE, &caller);
    second.answer(&invite, 200, &callee.sdp("sendrecv"));
    let ok = phone.finish_invite();
    assert_eq!(ok.status(), Some(200), "{}", ok.start_line());
    let to_callee = world.relayed(&ok, OUTSIDE, &callee);
    second.take("ACK");
    talk((&caller, to_callee), (&callee, to_caller), 0..50);
    phone.send("BYE");
    let bye = second.take("BYE");
    second.answer(&bye, 200, "");
    assert_eq!(phone.response("BYE", 200).status(), Some(200));
    world.wait_empty();
}

#[test]
fn the_embedded_relay_carries_a_whole_call() {
    needs!("trunkline");
    a_whole_call(By::Embedded);
}

#[test]
fn the_relay_alone_carries_a_whole_call() {
    needs!("trunkline");
    a_whole_call(By::Role);
}

#[test]
fn rtpengine_carries_a_whole_call() {
    needs!("trunkline", "rtpengine");
    a_whole_call(By::Rtpengine);
}

#[test]
fn calls_that_come_to_nothing_leave_nothing_in_a_relay() {
    needs!("trunkline");
    calls_that_come_to_nothing(By::Embedded);
    calls_that_come_to_nothing(By::Role);
}

#[test]
fn calls_that_come_to_nothing_by_rtpengine() {
    needs!("trunkline", "rtpengine");
    calls_that_come_to_nothing(By::Rtpengine);
}

#[test]
fn the_next_target_gets_the_media() {
    needs!("trunkline");
    failover(By::Embedded);
    failover(By::Role);
}

#[test]
fn the_next_target_gets_the_media_by_rtpengine() {
    needs!("trunkline", "rtpengine");
    failover(By::Rtpengine);
}

#[test]
fn the_embedded_relay_hears_nobody_else_and_tells_the_operator() {
    needs!("trunkline");
    let world = World::new(By::Embedded);
    let mut station = world.station(11);
    let mut call = Call::set_up(&world, &mut station);
    let list = world.edge.ctl(&["relay"]);
    assert_eq!((&list["mode"], &list["relays"][0]["alive"]), (&"embedded".into(), &true.into()), "{list}");
    let address: SocketAddr = list["relays"][0]["address"].as_str().expect("an address").parse().expect("an address");
    assert!(!Ng::new(address).answers(BRIEF), "a stranger is answered");
    let totals = world.edge.ctl(&["relay", "totals"]);
    assert_eq!((&totals["sessions"], &totals["refused_commands"]), (&1.into(), &1.into()), "{totals}");
    assert_eq!((&totals["packets_in"], &totals["packets_out"]), (&40.into(), &40.into()), "{totals}");
    let sessions = world.edge.ctl(&["relay", "sessions"]);
    assert_eq!(sessions["sessions"][0]["call_id"], call.phone.call_id.as_str(), "{sessions}");
    let one = world.edge.run_ctl(false, &["relay", "sessions", &call.phone.call_id]);
    assert!(String::from_utf8_lossy(&one.stdout).contains("received 20 packets"), "{one:?}");
    let stats = world.edge.ctl(&["stats"]);
    assert_eq!((&stats["media.offers"], &stats["media.answers"]), (&1.into(), &1.into()), "{stats}");
    assert_eq!((&stats["media.relays_alive"], &stats["relay.sessions"]), (&1.into(), &1.into()), "{stats}");
    call.end(&mut station);
    world.wait_empty();
    assert_eq!(world.edge.stop(), Some(0));
}

#[test]
fn a_node_that_stops_lets_its_calls_with_media_end() {
    needs!("trunkline");
    let world = World::new(By::Embedded);
    let mut station = world.station(11);
    let mut call = Call::set_up(&world, &mut station);
    let World { mut edge, place, .. } = world;
    edge.process.signal(Signal::TERM);
    until("new calls are refused", SOON, || {
        let mut phone = edge.udp_phone(&place);
        phone.invite().status() == Some(503)
    });
    call.talk(20..60);
    call.end(&mut station);
    assert_eq!(edge.process.wait(SOON).code(), Some(0));
}

#[test]
fn a_relay_that_stops_lets_its_calls_end() {
    needs!("trunkline");
    let place = Place::shared();
    let address = control(&place, INSIDE);
    let mut role = RelayRole::start(&place, address, &interfaces(&place, INSIDE, OUTSIDE), "");
    let (ng, mut media) = (Ng::new(address), Media::new(place.ip(21)));
    let offer = |call: &str, sdp: &str| Value::dict().with("call-id", call).with("from-tag", "a").with("sdp", sdp);
    assert_eq!(ng.command("offer", offer("1", &media.sdp("sendrecv"))).text("result"), Some("ok"));
    role.process.signal(Signal::TERM);
    let mut tried = 1;
    until("new calls are refused", SOON, || {
        tried += 1;
        let call = tried.to_string();
        if ng.command("offer", offer(&call, &media.sdp("sendrecv"))).text("result") == Some("error") {
            return true;
        }
        // It came before the signal.
        ng.command("delete", offer(&call, "")).text("result") != Some("ok")
    });
    assert!(role.process.is_running());
    // Not the delay after which it would be gone: whoever is deleted is not waited for.
    assert_eq!(ng.command("delete", offer("1", "")).text("result"), Some("ok"));
    assert_eq!(role.process.wait(SOON).code(), Some(0));
}

/// A call whose relay does not take it, among others.
fn without_relay(relay: SocketAddr, place: Place) {
    let ng = by_ng(config(&place), &[relay]).key("relay", "control_timeout", "\"200ms\"");
    let edge = Trunkline::start(&place, &ng);
    let world = World { place, edge, relay: None };
    let mut station = world.station(11);
    let (mut phone, mut caller) = world.caller();
    phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
    // Meanwhile another one, without media to be relayed, is set up and ended.
    let mut other = world.edge.udp_phone(&world.place);
    other.send("INVITE");
    let invite = station.take("INVITE");
    assert!(invite.body.is_empty() && invite.call_id() == other.call_id, "a call went past its relay");
    station.answer(&invite, 200, "");
    assert_eq!(other.finish_invite().status(), Some(200));
    station.take("ACK");
    other.send("BYE");
    let bye = station.take("BYE");
    station.answer(&bye, 200, "");
    assert_eq!(other.response("BYE", 200).status(), Some(200));
    // The call itself is refused, as the rule is.
    let answer = phone.response("INVITE", 300);
    assert_eq!(answer.status(), Some(503), "{}", answer.start_line());
    until("the relay is known to be dead", SOON, || world.edge.ctl(&["relay"])["relays"][0]["alive"] == false);
    // By the other rule it goes on as it came.
    world.edge.write(&ng.key("relay", "on_failure", "\"pass\"").text());
    assert!(world.edge.run_ctl(false, &["reload"]).status.success());
    let (mut phone, mut caller) = world.caller();
    let sdp = caller.sdp("sendrecv");
    phone.send_sdp("INVITE", &sdp);
    let invite = station.take("INVITE");
    assert_eq!(String::from_utf8_lossy(&invite.body), sdp);
    station.answer(&invite, 486, "");
    assert_eq!(phone.response("INVITE", 300).status(), Some(486));
}

#[test]
fn a_relay_that_is_dead_delays_nobody() {
    needs!("trunkline");
    let place = Place::shared();
    without_relay(control(&place, INSIDE), place);
}

#[test]
fn a_relay_that_hangs_delays_nobody() {
    needs!("trunkline");
    let place = Place::shared();
    let silent = UdpSocket::bind(control(&place, INSIDE)).expect("a socket");
    without_relay(silent.local_addr().expect("an address"), place);
    drop(silent);
}

#[test]
fn calls_go_to_the_other_relay_when_one_is_killed() {
    needs!("trunkline");
    let place = Place::shared();
    let mut roles = [(INSIDE, OUTSIDE), (7, 8)].map(|(inside, outside)| {
        RelayRole::start(&place, control(&place, inside), &interfaces(&place, inside, outside), "delete_delay = 0")
    });
    let addresses = [roles[0].address(), roles[1].address()];
    let edge = Trunkline::start(&place, &by_ng(config(&place), &addresses));
    let mut station = Station::new(place.at(11), edge.address());
    let mut call = || -> (Phone, SocketAddr) {
        let (mut phone, mut caller) = (edge.udp_phone(&place), Media::new(place.ip(21)));
        let mut callee = Media::new(place.ip(11));
        phone.send_sdp("INVITE", &caller.sdp("sendrecv"));
        let invite = station.take("INVITE");
        let to_caller = audio_of(&invite.body);
        station.answer(&invite, 200, &callee.sdp("sendrecv"));
        let ok = phone.finish_invite();
        station.take("ACK");
        talk((&caller, audio_of(&ok.body)), (&callee, to_caller), 0..20);
        (phone, to_caller)
    };
    // The relay of a call is found by its Call-ID, so some of these are on either.
    let (mut on_first, mut on_second) = (Vec::new(), Vec::new());
    while on_first.is_empty() || on_second.is_empty() {
        let (phone, relay) = call();
        if relay.ip() == place.ip(INSIDE) {
            on_first.push(phone)
        } else {
            on_second.push(phone)
        }
        assert!(on_first.len() + on_second.len() < 40, "all calls are on one relay");
    }
    roles[0].process.kill();
    for _ in 0..10 {
        let (_, relay) = call();
        assert_eq!(relay.ip(), place.ip(7), "a call went to the dead relay");
    }
    // The calls of the dead relay can still be ended.
    for mut phone in on_first.into_iter().chain(on_second) {
        phone.send("BYE");
        let bye = station.take("BYE");
        station.answer(&bye, 200, "");
        assert_eq!(phone.response("BYE", 200).status(), Some(200));
    }
    let alive: Vec<_> =
        edge.ctl(&["relay"])["relays"].as_array().expect("relays").iter().map(|r| r["alive"].clone()).collect();
    assert_eq!(alive, [false, true]);
    until("the calls of the living relay are gone but for those that were not ended", SOON, || {
        roles[1].ctl(&["relay", "sessions"])["total"] == 10
    });
}
