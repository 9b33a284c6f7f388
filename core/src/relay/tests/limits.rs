//! What a relay that can take no more answers, and that it goes on.

use super::world::{World, audio, config};
use crate::relay::{Capacity, Config};

fn refused(w: &mut World, call: &str, reason: &str) {
    let reply = w.ask("offer", &[("call-id", call), ("from-tag", "a"), ("sdp", &audio("192.0.2.1", 5000))]);
    assert_eq!(reply, std::format!("d6:result5:error12:error-reason{}:{reason}e", reason.len()));
}

#[test]
fn sessions_are_limited_and_calls_that_are_there_go_on() {
    let mut w = World::new(Config { sessions_max: Some(2), ..config() });
    w.call("x");
    w.call("y");
    refused(&mut w, "z", "Maximum number of sessions reached");
    w.call("x");
    w.relay.set_sessions_max(None);
    w.call("z");
    assert_eq!(w.relay.totals().rejected, 1);
}

#[test]
fn a_relay_that_is_about_to_stop_takes_no_new_calls() {
    let mut w = World::new(config());
    w.call("x");
    w.relay.set_draining(true);
    refused(&mut w, "y", "Relay is about to stop and takes no new calls");
    w.call("x");
    w.relay.set_draining(false);
    w.call("y");
}

#[test]
fn each_table_that_is_full_says_so() {
    let plenty = Capacity { sessions: 4, parties: 16, streams: 16, secure_streams: 4, repeats: 16 };
    let tight = [
        Capacity { sessions: 1, ..plenty },
        Capacity { parties: 2, ..plenty },
        Capacity { parties: 3, ..plenty },
        Capacity { streams: 2, ..plenty },
        Capacity { streams: 3, ..plenty },
    ];
    for capacity in tight {
        let mut w = World::with(config(), capacity);
        w.call("x");
        refused(&mut w, "y", "Relay is full");
        assert_eq!((w.relay.sessions(), w.relay.media().len()), (1, 2), "{capacity:?}");
        w.ask("delete", &[("call-id", "x"), ("delete delay", "#0")]);
        w.call("y");
        w.ask("delete", &[("call-id", "y"), ("delete delay", "#0")]);
        assert!(w.relay.is_clean(), "{capacity:?}");
    }
}

#[test]
fn ports_that_run_out_in_one_family_are_not_taken_from_the_other() {
    let mut config = config();
    for (interface, bound) in config.interfaces.iter_mut().zip(["192.0.2.50", "2001:db8::50"]) {
        interface.label = "all".try_into().unwrap();
        (interface.bound, interface.advertised) = (bound.parse().unwrap(), bound.parse().unwrap());
        interface.ports.max = interface.ports.min + 7;
    }
    let mut w = World::new(config);
    w.call("x");
    w.call("y");
    refused(&mut w, "z", "Ran out of ports");
    assert_eq!((w.relay.sessions(), w.relay.media().len()), (2, 4));
    w.ask("delete", &[("call-id", "x"), ("delete delay", "#0")]);
    let to_b = w.offer("z", "a", &audio("192.0.2.1", 5000), &[("address-family", "IP6")]);
    assert!(to_b.contains("c=IN IP6 2001:db8::50"), "{to_b}");
}

#[test]
fn parties_of_one_call_are_limited() {
    let mut w = World::with(config(), Capacity::of_sessions(128));
    let mut refused = 0;
    for branch in 0..100 {
        let (branch, body) = (std::format!("{branch}"), audio("192.0.2.1", 5000));
        let reply = w.ask("offer", &[("call-id", "x"), ("from-tag", "a"), ("sdp", &body), ("via-branch", &branch)]);
        refused += usize::from(reply.contains("Relay is full"));
    }
    assert_eq!(refused, 100 - 63);
    w.ask("delete", &[("call-id", "x"), ("delete delay", "#0")]);
    w.assert_clean();
}

#[test]
fn names_over_their_limits_are_refused() {
    let mut w = World::new(config());
    let long = "x".repeat(256);
    for key in ["call-id", "from-tag", "to-tag", "via-branch"] {
        let body = audio("192.0.2.1", 5000);
        let mut entries = std::vec![("call-id", "x"), ("from-tag", "a"), ("sdp", &*body)];
        entries.retain(|(name, _)| *name != key);
        entries.push((key, &long));
        assert!(w.ask("offer", &entries).contains("too long"), "{key}");
        w.assert_clean();
    }
}
