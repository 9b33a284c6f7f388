//! Virtual routers: two nodes that hold a floating address in turn, both ours or one of them Keepalived or FRR.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_tests::harness::Router::{self, Frr, Keepalived, Trunkline};
use trunkline_tests::harness::{Dialect, FRR_MAC, Place, Segment, VIP, until};
use trunkline_tests::needs;

const LIMIT: Duration = Duration::from_secs(30);

/// Everything that happens to a pair of nodes, one after another.
fn story(on_a: Router, on_b: Router, dialect: Dialect) {
    let place = Place::shared();
    let segment = Segment::new(&place);
    let held = |holder: &str, other: &str| segment.wait_held(dialect.address, holder, other);
    let begin = |node: &str, router| segment.router(node, router, dialect);

    // Start: the higher priority takes the address from the lower one.
    let mut b = begin("b", on_b);
    until("b holds the address", LIMIT, || segment.has("b", dialect.address));
    let mut a = begin("a", on_a);
    held("a", "b");

    // Crash: b answers, whatever a's kernel still holds; a comes back and clears up.
    segment.kill("a", &mut a);
    segment.wait_reached(dialect.address, "b");
    a = begin("a", on_a);
    held("a", "b");

    // Stop and start.
    Segment::stop(&mut a);
    held("b", "a");
    a = begin("a", on_a);
    held("a", "b");

    // Loss of health, and recovery.
    std::fs::write(segment.fail("a"), "").expect("a file");
    held("b", "a");
    std::fs::remove_file(segment.fail("a")).expect("a file");
    held("a", "b");

    // Loss of the link, and its return.
    segment.link("a", false);
    held("b", "a");
    segment.link("a", true);
    held("a", "b");

    // Split: both hold it. Heal: one does, and the client beside the other knows.
    segment.trunk(false);
    until("both sides hold the address", LIMIT, || {
        segment.has("a", dialect.address) && segment.has("b", dialect.address)
    });
    segment.wait_reached(dialect.address, "b");
    segment.trunk(true);
    held("a", "b");

    assert!(a.is_running() && b.is_running());
    Segment::stop(&mut a);
    held("b", "a");
    Segment::stop(&mut b);
    until("nobody holds the address", LIMIT, || !segment.has("b", dialect.address));
}

#[test]
fn ours_and_ours() {
    needs!("root", "ip", "ping", "trunkline");
    story(Trunkline, Trunkline, Dialect::V3);
}

#[test]
fn ours_and_ours_over_ipv6() {
    needs!("root", "ip", "ping", "ipv6", "trunkline");
    story(Trunkline, Trunkline, Dialect::V3_IPV6);
}

#[test]
fn ours_and_ours_in_version_2() {
    needs!("root", "ip", "ping", "trunkline");
    story(Trunkline, Trunkline, Dialect::V2);
}

#[test]
fn ours_and_keepalived() {
    needs!("root", "ip", "ping", "keepalived", "trunkline");
    story(Trunkline, Keepalived, Dialect::V3);
}

#[test]
fn keepalived_and_ours() {
    needs!("root", "ip", "ping", "keepalived", "trunkline");
    story(Keepalived, Trunkline, Dialect::V3);
}

#[test]
fn keepalived_and_ours_in_version_2_with_a_password() {
    needs!("root", "ip", "ping", "keepalived", "trunkline");
    story(Keepalived, Trunkline, Dialect::V2);
}

/// What happens between one of ours and FRR, which has the address on a switched-off interface while it is backup.
fn story_with_frr(on_a: Router, on_b: Router) {
    let place = Place::shared();
    let segment = Segment::new(&place);
    let held = |holder: &str, by: Router| match by {
        Frr => segment.wait_reached_by(VIP, FRR_MAC),
        _ => segment.wait_held(VIP, holder, "c"),
    };
    let begin = |node: &str, router| segment.router(node, router, Dialect::V3);
    let _b = begin("b", on_b);
    held("b", on_b);
    let mut a = begin("a", on_a);
    held("a", on_a);
    until("b gives it up", LIMIT, || on_b == Frr || !segment.has("b", VIP));

    Segment::stop(&mut a);
    held("b", on_b);
    a = begin("a", on_a);
    held("a", on_a);

    segment.kill("a", &mut a);
    held("b", on_b);
    a = begin("a", on_a);
    held("a", on_a);

    segment.link("a", false);
    held("b", on_b);
    segment.link("a", true);
    held("a", on_a);

    // After a heal FRR does not announce itself again, so the client would wait for its own cache to expire.
    if on_a == Trunkline {
        segment.trunk(false);
        held("b", on_b);
        segment.trunk(true);
        held("a", on_a);
    }
    assert!(a.is_running());
}

#[test]
fn ours_and_frr() {
    needs!("root", "ip", "ping", "frr", "trunkline");
    story_with_frr(Trunkline, Frr);
}

#[test]
fn frr_and_ours() {
    needs!("root", "ip", "ping", "frr", "trunkline");
    story_with_frr(Frr, Trunkline);
}

/// The one instance that `ctl vrrp` shows on a node.
fn shown(segment: &Segment, node: &str) -> serde_json::Value {
    segment.ctl(node, &["vrrp"])["instances"][0].clone()
}

#[test]
fn a_wrong_password_is_counted_and_never_acted_on() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let _a = segment.router("a", Trunkline, Dialect::V2);
    let _b = segment.router("b", Trunkline, Dialect { password: Some("another"), ..Dialect::V2 });
    until("both are active", LIMIT, || segment.has("a", VIP) && segment.has("b", VIP));
    until("the packets of the other are counted", LIMIT, || {
        ["a", "b"].iter().all(|node| shown(&segment, node)["counters"]["bad_password"].as_u64() > Some(0))
    });
    until("the address of the other is noticed", LIMIT, || {
        ["a", "b"].iter().any(|node| shown(&segment, node)["counters"]["address_conflicts"].as_u64() > Some(0))
    });
}

#[test]
fn a_release_holds_until_it_is_taken_back_and_commands_are_told_in_order() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let _a = segment.router("a", Trunkline, Dialect::V3);
    let _b = segment.router("b", Trunkline, Dialect::V3);
    segment.wait_held(VIP, "a", "b");
    let _ = segment.ctl("a", &["vrrp", "release", "VI"]);
    segment.wait_held(VIP, "b", "a");
    assert_eq!(shown(&segment, "a")["state"], "released");
    let _ = segment.ctl("a", &["vrrp", "resume", "VI"]);
    segment.wait_held(VIP, "a", "b");
    let transitions = shown(&segment, "a")["transitions"].as_array().expect("transitions").len();
    let told = || std::fs::read_to_string(segment.path("a", "notified")).unwrap_or_default();
    until("every change was told", LIMIT, || told().lines().count() == transitions);
    assert_eq!(told(), "BACKUP\nMASTER\nFAULT\nBACKUP\nMASTER\n");
}

#[test]
fn a_reload_changes_no_state_and_moves_addresses() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let _a = segment.router("a", Trunkline, Dialect::V3);
    segment.wait_held(VIP, "a", "b");
    let path = segment.path("a", "trunkline.toml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    std::fs::write(&path, text.replace("10.98.0.100", "10.98.0.101")).expect("the configuration");
    let _ = segment.ctl("a", &["reload"]);
    segment.wait_held("10.98.0.101", "a", "b");
    assert!(!segment.has("a", VIP));
    let became = |node: &str| shown(&segment, node)["counters"]["became_active"].as_u64();
    assert_eq!(became("a"), Some(1));
    std::fs::write(&path, "[[vrrp]]\nname = 1\n").expect("the configuration");
    let bad = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| segment.ctl("a", &["reload"])));
    assert!(bad.is_err(), "a bad file is refused");
    assert_eq!(became("a"), Some(1));
    assert!(segment.has("a", "10.98.0.101"));
}

#[test]
fn a_router_with_an_ethernet_address_of_its_own_moves_it() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let with_mac = |node: &str| {
        let config = segment.router_config(node, Dialect::V3).replacen("vrid = 51", "vrid = 51\nvirtual_mac = true", 1);
        segment.trunkline(node, "vrrp", &config)
    };
    let mut a = with_mac("a");
    let _b = with_mac("b");
    let reached = |holder: &str, other: &str| {
        until(&format!("{holder} holds the address and answers"), LIMIT, || {
            let pinged = segment.run("c", "ping", &["-c", "1", "-W", "1", VIP]);
            segment.has(holder, VIP) && !segment.has(other, VIP) && pinged.status.success()
        });
        let known = segment.run("c", "ip", &["neigh", "show", VIP]);
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        assert!(known.contains("00:00:5e:00:01:33"), "{known}");
    };
    reached("a", "b");
    Segment::stop(&mut a);
    reached("b", "a");
    let left = segment.run("a", "ip", &["link", "show"]);
    assert!(!String::from_utf8_lossy(&left.stdout).contains("vrrp.51"), "its interface goes with it");
}

const SIP: &str = r#"
[[listen]]
transport = "udp"
address = "10.98.0.100"
"#;

#[test]
fn sip_is_answered_at_the_address_wherever_it_is() {
    needs!("root", "ip", "ping", "sipsak", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let sip =
        |node: &str| segment.trunkline(node, "run", &format!("{SIP}{}", segment.router_config(node, Dialect::V3)));
    let answers = || segment.run("c", "sipsak", &["-s", &format!("sip:{VIP}")]).status.success();
    let mut a = sip("a");
    let mut b = sip("b");
    segment.wait_held(VIP, "a", "b");
    until("a answers", LIMIT, answers);
    segment.kill("a", &mut a);
    segment.wait_reached(VIP, "b");
    until("b answers", LIMIT, answers);
    assert!(b.is_running());
}

#[test]
fn without_rights_one_line_says_so_and_the_rest_runs() {
    needs!("root", "ip", "ping", "setpriv", "sipsak", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let config = format!("{}{}", SIP.replace(VIP, "10.98.0.1"), segment.router_config("a", Dialect::V3));
    let path = segment.path("a", "trunkline.toml");
    let socket = segment.path("a", "ctl.sock");
    std::fs::write(&path, format!("{config}[control]\nsocket = {socket:?}\n")).expect("a configuration file");
    let binary = trunkline_tests::harness::binary().expect("the program");
    let (binary, path) = (binary.to_str().expect("a path"), path.to_str().expect("a path"));
    let args = ["--bounding-set", "-net_admin,-net_raw", "--", binary, "--config", path, "run"];
    let mut node = segment.start("a", &PathBuf::from("/usr/bin/setpriv"), &args);
    until("SIP is answered", LIMIT, || segment.run("c", "sipsak", &["-s", "sip:10.98.0.1"]).status.success());
    assert!(node.is_running());
    let log = node.log();
    let lines: Vec<_> = log.lines().filter(|line| line.contains("vrrp")).collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains("CAP_NET_ADMIN") && lines[0].contains("setcap cap_net_admin,cap_net_raw"), "{log}");
    assert!(!segment.has("a", VIP));
}

#[test]
fn an_interface_may_come_later_and_go() {
    needs!("root", "ip", "ping", "trunkline");
    let place = Place::shared();
    let segment = Segment::new(&place);
    let config = segment.router_config("a", Dialect::V3).replace("\"eth0\"", "\"late0\"");
    let a = segment.trunkline("a", "vrrp", &config);
    until("it runs", LIMIT, || segment.path("a", "ctl.sock").exists());
    let state = || shown(&segment, "a")["state"].as_str().map(str::to_owned);
    until("it is at fault", LIMIT, || state().as_deref() == Some("fault"));
    let line = "VI on late0 takes no part yet: its interface is down or not there";
    until("the log says so", LIMIT, || a.log().matches(line).count() == 1);
    let ip = |args: &str| {
        let words: Vec<&str> = args.split_whitespace().collect();
        assert!(segment.run("a", "ip", &words).status.success(), "ip {args}");
    };
    for _ in 0..2 {
        ip("link add late0 type veth peer name late1");
        ip("addr add 10.99.0.1/24 dev late0");
        ip("link set late1 up");
        ip("link set late0 up");
        until("it holds the address", LIMIT, || segment.has("a", VIP));
        ip("link del late0");
        until("it is at fault again", LIMIT, || state().as_deref() == Some("fault"));
    }
}
