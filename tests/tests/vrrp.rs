//! Virtual routers: two nodes that hold a floating address in turn, both ours or one of them Keepalived.

use std::path::PathBuf;
use std::time::Duration;

use trunkline_tests::harness::{Place, Process, Segment, VIP, VIP6, until};
use trunkline_tests::needs;

const LIMIT: Duration = Duration::from_secs(30);

/// Who runs on a node.
#[derive(Clone, Copy, Debug)]
enum Router {
    Trunkline,
    Keepalived,
}
use Router::{Keepalived, Trunkline};

/// How the two nodes speak.
#[derive(Clone, Copy, Debug)]
struct Dialect {
    version: u8,
    interval_ms: u32,
    address: &'static str,
    password: Option<&'static str>,
}

const V3: Dialect = Dialect { version: 3, interval_ms: 100, address: VIP, password: None };
const V3_IPV6: Dialect = Dialect { address: VIP6, ..V3 };
const V2: Dialect = Dialect { version: 2, interval_ms: 1_000, password: Some("s3cr3tpw"), ..V3 };

const fn priority(node: &str) -> u8 {
    if node.as_bytes()[0] == b'a' { 100 } else { 90 }
}

/// A file whose presence says that the node is not well.
fn fail(segment: &Segment, node: &str) -> PathBuf {
    segment.path(node, "fail")
}

fn start(segment: &Segment, node: &str, router: Router, dialect: Dialect) -> Process {
    match router {
        Trunkline => segment.trunkline(node, "vrrp", &trunkline_config(segment, node, dialect)),
        Keepalived => keepalived(segment, node, dialect),
    }
}

fn trunkline_config(segment: &Segment, node: &str, dialect: Dialect) -> String {
    let Dialect { version, interval_ms, address, password } = dialect;
    let password = password.map(|p| format!("password = {p:?}")).unwrap_or_default();
    let link_local = if address.contains(':') { "\"fe80::98:100/64\", " } else { "" };
    let prefix = if address.contains(':') { 128 } else { 32 };
    format!(
        r#"
[[vrrp]]
name = "VI"
interface = "eth0"
vrid = 51
version = {version}
priority = {priority}
advert_interval = "{interval_ms}ms"
addresses = [{link_local}"{address}/{prefix}"]
{password}
track = [{{ name = "check", weight = -20 }}]
notify = ["/bin/sh", "-c", "echo $2 >> {notified}"]
[[track.script]]
name = "check"
command = ["/bin/sh", "-c", "[ ! -e {fail} ]"]
interval = "100ms"
fall = 2
rise = 2
"#,
        priority = priority(node),
        notified = segment.path(node, "notified").display(),
        fail = fail(segment, node).display(),
    )
}

fn keepalived(segment: &Segment, node: &str, dialect: Dialect) -> Process {
    let Dialect { version, interval_ms, address, password } = dialect;
    let authentication =
        password.map(|p| format!("authentication {{\n auth_type PASS\n auth_pass {p}\n }}")).unwrap_or_default();
    let prefix = if address.contains(':') { "fe80::98:100/64 dev eth0\n" } else { "" };
    let config = format!(
        "global_defs {{\n router_id {node}\n vrrp_version {version}\n script_user root\n enable_script_security\n}}\n\
         vrrp_script check {{\n script \"/usr/bin/test ! -e {fail}\"\n interval 1\n fall 2\n rise 2\n weight -20\n}}\n\
         vrrp_instance VI {{\n state BACKUP\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
         advert_int {interval}\n {authentication}\n virtual_ipaddress {{\n {prefix}{address} dev eth0\n }}\n \
         track_script {{\n check\n }}\n}}\n",
        fail = fail(segment, node).display(),
        priority = priority(node),
        interval = f64::from(interval_ms) / 1_000.0,
    );
    let path = segment.path(node, "keepalived.conf");
    std::fs::write(&path, config).expect("a configuration file");
    // One that was killed leaves them, and the numbers in them may be taken again.
    for name in ["ka.pid", "kv.pid"] {
        let _ = std::fs::remove_file(segment.path(node, name));
    }
    let of = |name: &str| segment.path(node, name).to_str().expect("a path").to_owned();
    let args = ["-n", "-P", "-l", "-D", "-f", &of("keepalived.conf"), "-p", &of("ka.pid"), "-r", &of("kv.pid")];
    segment.start(node, &PathBuf::from("/usr/sbin/keepalived"), &args)
}

/// Everything that happens to a pair of nodes, one after another.
fn story(on_a: Router, on_b: Router, dialect: Dialect) {
    let place = Place::shared();
    let segment = Segment::new(&place);
    let held = |holder: &str, other: &str| segment.wait_held(dialect.address, holder, other);
    let begin = |node: &str, router| start(&segment, node, router, dialect);

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
    std::fs::write(fail(&segment, "a"), "").expect("a file");
    held("b", "a");
    std::fs::remove_file(fail(&segment, "a")).expect("a file");
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
    story(Trunkline, Trunkline, V3);
}

#[test]
fn ours_and_ours_over_ipv6() {
    needs!("root", "ip", "ping", "ipv6", "trunkline");
    story(Trunkline, Trunkline, V3_IPV6);
}

#[test]
fn ours_and_ours_in_version_2() {
    needs!("root", "ip", "ping", "trunkline");
    story(Trunkline, Trunkline, V2);
}

#[test]
fn ours_and_keepalived() {
    needs!("root", "ip", "ping", "keepalived", "trunkline");
    story(Trunkline, Keepalived, V3);
}

#[test]
fn keepalived_and_ours() {
    needs!("root", "ip", "ping", "keepalived", "trunkline");
    story(Keepalived, Trunkline, V3);
}

#[test]
fn keepalived_and_ours_in_version_2_with_a_password() {
    needs!("root", "ip", "ping", "keepalived", "trunkline");
    story(Keepalived, Trunkline, V2);
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
    let _a = start(&segment, "a", Trunkline, V2);
    let _b = start(&segment, "b", Trunkline, Dialect { password: Some("another"), ..V2 });
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
    let _a = start(&segment, "a", Trunkline, V3);
    let _b = start(&segment, "b", Trunkline, V3);
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
    let _a = start(&segment, "a", Trunkline, V3);
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
        let config = trunkline_config(&segment, node, V3).replacen("vrid = 51", "vrid = 51\nvirtual_mac = true", 1);
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
    let sip = |node: &str| segment.trunkline(node, "run", &format!("{SIP}{}", trunkline_config(&segment, node, V3)));
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
    let config = format!("{}{}", SIP.replace(VIP, "10.98.0.1"), trunkline_config(&segment, "a", V3));
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
    let config = trunkline_config(&segment, "a", V3).replace("\"eth0\"", "\"late0\"");
    let _a = segment.trunkline("a", "vrrp", &config);
    until("it runs", LIMIT, || segment.path("a", "ctl.sock").exists());
    let state = || shown(&segment, "a")["state"].as_str().map(str::to_owned);
    until("it is at fault", LIMIT, || state().as_deref() == Some("fault"));
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
