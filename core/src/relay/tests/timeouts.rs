//! Calls that nobody ends (row by row: each timeout, its moment and its reason).

use core::time::Duration;

use super::world::{World, address_of, audio, config, rtp};
use crate::relay::{EndReason, Timeouts};

const fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn world() -> World {
    let timeouts = Timeouts { total: Some(seconds(7_200)), ..Timeouts::default() };
    World::new(crate::relay::Config { timeouts, ..config() })
}

#[track_caller]
fn ends(w: &mut World, after: Duration, reason: EndReason) {
    w.pass(after - Duration::from_millis(1));
    assert_eq!(w.ended, [], "too early");
    w.pass(Duration::from_millis(2));
    let reasons: std::vec::Vec<_> = w.ended.iter().map(|(_, reason, _)| *reason).collect();
    assert_eq!(reasons, [reason]);
    assert_eq!(w.relay.totals().ended_by(reason), 1);
    w.assert_clean();
}

#[test]
fn no_packet_for_the_media_timeout() {
    let mut w = world();
    w.call("x");
    ends(&mut w, seconds(60), EndReason::Timeout);
}

#[test]
fn each_packet_of_either_side_puts_the_media_timeout_off() {
    let mut w = world();
    let [a, b] = w.call("x");
    for n in 0..10 {
        w.pass(seconds(59));
        w.packet("192.0.2.1:5000", a, &rtp(n));
        w.pass(seconds(59));
        w.packet("192.0.2.2:6000", b, &rtp(n));
    }
    ends(&mut w, seconds(60), EndReason::Timeout);
}

#[test]
fn a_packet_from_elsewhere_does_not() {
    let mut w = world();
    let [a, _] = w.call("x");
    w.pass(seconds(59));
    w.packet("198.51.100.1:5000", a, &rtp(1));
    ends(&mut w, seconds(1), EndReason::Timeout);
}

#[test]
fn a_signal_does() {
    let mut w = world();
    w.call("x");
    w.pass(seconds(59));
    w.call("x");
    ends(&mut w, seconds(60), EndReason::Timeout);
}

#[test]
fn all_streams_on_hold() {
    let mut w = world();
    let hold = |ip, port| audio(ip, port).replace("sendrecv", "inactive");
    w.offer("x", "a", &hold("192.0.2.1", 5000), &[]);
    w.answer("x", ["a", "b"], &hold("192.0.2.2", 6000), &[]);
    ends(&mut w, seconds(3_600), EndReason::SilentTimeout);
}

#[test]
fn an_offer_without_an_answer() {
    let mut w = world();
    let b = address_of(&w.offer("x", "a", &audio("192.0.2.1", 5000), &[]));
    w.pass(seconds(100));
    w.packet("192.0.2.2:6000", b, &rtp(1));
    ends(&mut w, seconds(3_500), EndReason::OfferTimeout);
}

#[test]
fn the_longest_call() {
    let mut w = world();
    let [a, _] = w.call("x");
    for n in 0..239 {
        w.pass(seconds(30));
        w.packet("192.0.2.1:5000", a, &rtp(n));
    }
    ends(&mut w, seconds(30), EndReason::FinalTimeout);
}

#[test]
fn the_delay_of_a_deletion() {
    let mut w = world();
    let [a, _] = w.call("x");
    w.ask("delete", &[("call-id", "x"), ("from-tag", "a")]);
    w.pass(seconds(29));
    assert_eq!(w.packet("192.0.2.1:5000", a, &rtp(1)).len(), 1, "late packets pass");
    ends(&mut w, seconds(1), EndReason::Deleted);
    assert_eq!(w.ended[0].2, seconds(30));
}

#[test]
fn the_delay_of_the_request_counts() {
    let mut w = world();
    w.call("x");
    w.ask("delete", &[("call-id", "x"), ("delete delay", "#5")]);
    ends(&mut w, seconds(5), EndReason::Deleted);
}

#[test]
fn a_new_offer_takes_the_deletion_back() {
    let mut w = world();
    w.call("x");
    w.ask("delete", &[("call-id", "x"), ("from-tag", "a")]);
    w.pass(seconds(10));
    w.call("x");
    w.pass(seconds(50));
    assert_eq!(w.ended, []);
    ends(&mut w, seconds(10), EndReason::Timeout);
}

#[test]
fn nothing_ends_a_call_if_no_timeout_is_set() {
    let timeouts = Timeouts { media: None, silent: None, total: None, offer: None, delete_delay: Duration::ZERO };
    let mut w = World::new(crate::relay::Config { timeouts, ..config() });
    w.call("x");
    w.pass(seconds(1_000_000));
    assert_eq!(w.relay.sessions(), 1);
    w.ask("delete", &[("call-id", "x")]);
    w.assert_clean();
}
