//! A relay, by its control messages.

use std::time::Duration;

use trunkline_core::entropy::SeededEntropy;
use trunkline_core::machine::{Cx, Timed as _};
use trunkline_core::relay::media::{PortRange, SocketId};
use trunkline_core::relay::{Action, Capacity, Config, Event, Interface, Relay};
use trunkline_core::store::HashKey;
use trunkline_core::time::Instant;

use super::counting::{ALLOCATIONS, WATCHED};

struct Host {
    relay: Relay<'static>,
    entropy: SeededEntropy,
    now: Instant,
    replies: u64,
}

impl Host {
    fn new() -> Self {
        let mut config = Config::default();
        let bound = "192.0.2.1".parse().unwrap();
        let ports = PortRange { min: 20_000, max: 29_999 };
        let interface = Interface { label: "all".try_into().unwrap(), bound, advertised: bound, ports };
        config.interfaces.push(interface).unwrap();
        let storage = Capacity::of_sessions(100).reserve(&config).unwrap();
        let relay = Relay::new(config, storage, HashKey::new([1; 16])).unwrap();
        let mut host = Self { relay, entropy: SeededEntropy::new(1), now: Instant::from_millis(1_000_000), replies: 0 };
        host.handle(Event::Timeout);
        host
    }

    fn handle(&mut self, event: Event<'_>) {
        let mut opened = [SocketId(0); 64];
        let mut count = 0;
        WATCHED.set(true);
        let mut cx = Cx { now: self.now, entropy: &mut self.entropy };
        let replies = &mut self.replies;
        self.relay.handle(&mut cx, event, &mut |action: Action<'_>| match action {
            Action::Open { socket, .. } => {
                opened[count] = socket;
                count += 1;
            }
            Action::Reply { .. } => *replies += 1,
            _ => {}
        });
        for socket in opened.into_iter().take(count) {
            self.relay.handle(&mut cx, Event::Opened { socket }, &mut |_: Action<'_>| {});
        }
        WATCHED.set(false);
    }

    fn ask(&mut self, cookie: usize, entries: &[(&str, &str)]) {
        let mut text = format!("{cookie} d");
        for (key, value) in entries {
            text.push_str(&format!("{}:{key}{}:{value}", key.len(), value.len()));
        }
        text.push('e');
        self.handle(Event::Control { bytes: text.as_bytes() });
    }
}

fn body(secure: bool) -> String {
    let (protocol, key) = match secure {
        true => ("RTP/SAVP", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"),
        false => ("RTP/AVP", ""),
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 5000 {protocol} 0\r\n{key}"
    )
}

#[test]
fn a_thousand_calls_plain_and_with_srtp() {
    let mut host = Host::new();
    let bodies = [body(false), body(true)];
    for n in 0..1_000 {
        let (call, offered, answered) = (format!("call-{n}"), &bodies[n % 2], &bodies[n / 2 % 2]);
        let base = [("call-id", &*call), ("from-tag", "a"), ("flags", "replace-origin")];
        let with = |more: &[(&'static str, &'static str)], body: &str, host: &mut Host, cookie| {
            let mut entries = base.to_vec();
            entries.extend_from_slice(more);
            entries.push(("sdp", body));
            let entries: Vec<_> = entries.iter().map(|(k, v)| (*k, *v)).collect();
            host.ask(cookie, &entries);
        };
        let plain = ("transport-protocol", "RTP/AVP");
        with(&[("command", "offer"), ("ICE", "force"), plain], offered, &mut host, 10 * n);
        with(&[("command", "answer"), ("to-tag", "b")], answered, &mut host, 10 * n + 1);
        with(&[("command", "offer"), ("to-tag", "b"), ("metadata", "x")], offered, &mut host, 10 * n + 2);
        with(&[("command", "query")], "", &mut host, 10 * n + 3);
        with(&[("command", "statistics")], "", &mut host, 10 * n + 4);
        with(&[("command", "delete"), ("delete-delay", "1")], "", &mut host, 10 * n + 5);
        host.now = host.now + Duration::from_millis(50);
        while host.relay.next_deadline().is_some_and(|deadline| deadline <= host.now) {
            host.handle(Event::Timeout);
        }
    }
    let totals = host.relay.totals();
    assert_eq!((host.replies, totals.errors, totals.started), (6_000, 0, 1_000));
    assert!(totals.ended_total() > 900);
    assert_eq!(ALLOCATIONS.get(), 0);
}

#[test]
fn malformed_messages() {
    let mut host = Host::new();
    let good = format!("1 d7:command5:offer7:call-id1:x8:from-tag1:a3:sdp{}:{}e", body(true).len(), body(true));
    for end in 0..good.len() {
        host.handle(Event::Control { bytes: &good.as_bytes()[..end] });
    }
    for at in 0..good.len() {
        for byte in [0, b'\r', b'd', b'9', b':', 0xff] {
            let mut bad = good.clone().into_bytes();
            bad[at] = byte;
            host.handle(Event::Control { bytes: &bad });
        }
    }
    assert!(host.relay.totals().errors > 1_000);
    assert_eq!(ALLOCATIONS.get(), 0);
}
