//! Calls to a floating address while the node that holds it goes away, one way after the other.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trunkline_tests::harness::{Callee, Caller, Dialect, Place, Process, Segment, Signal, Sipp, VIP, until};
use trunkline_tests::needs;

const LIMIT: Duration = Duration::from_secs(30);
/// Calls a second.
const RATE: u32 = 100;
/// How long each phase lasts once the address is where it should be.
const HOLD: Duration = Duration::from_secs(2);
/// Active_Down_Interval of the backup: three intervals of 100 ms and its Skew_Time.
const DOWN: Duration = Duration::from_millis(365);
/// Its Skew_Time.
const SKEW: Duration = Duration::from_millis(65);
/// What a machine that is busy with tests may take longer.
const MARGIN: Duration = Duration::from_millis(500);
/// Calls are short: one that began this long before something happens has ended by then.
const UNDER_WAY: Duration = Duration::from_millis(300);
/// How long a call waits for its next message before it has failed.
const PATIENCE: Duration = Duration::from_secs(6);

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock")
}

/// Something that happens to node `a`.
struct Phase {
    name: &'static str,
    from: Duration,
    /// Calls that begin later than this after it must succeed.
    takeover: Duration,
    /// When the address was seen at its new place.
    moved: Duration,
}

/// A call: when it began and whether it came to its end.
struct Call {
    at: Duration,
    done: bool,
}

fn calls(caller: &Sipp) -> Vec<Call> {
    let lines = caller.logged();
    let done: HashSet<_> = lines.iter().filter(|line| line[0] == "done").filter_map(|line| line.get(1)).collect();
    let number = |line: &[String], at: usize| line.get(at).and_then(|text| text.parse::<f64>().ok());
    let begun = lines.iter().filter(|line| line[0] == "begun");
    let call = |line: &Vec<String>| {
        let (seconds, microseconds) = (number(line, 2)?, number(line, 3)?);
        let at = Duration::from_secs_f64(seconds) + Duration::from_secs_f64(microseconds / 1e6);
        Some(Call { at, done: done.contains(line.get(1)?) })
    };
    begun.filter_map(call).collect()
}

/// Failed calls of each phase, and how many of them must not have failed. A call that began shortly before was under way.
fn table(phases: &[Phase], calls: &[Call]) -> (String, usize) {
    let mut text = String::from(
        "phase           moved after   new calls   failed   of them after takeover   failed of those under way\n",
    );
    let mut wrong = 0;
    for (i, phase) in phases.iter().enumerate() {
        let end = phases.get(i + 1).map_or(Duration::MAX, |next| next.from - UNDER_WAY);
        let failed = |from: Duration, to: Duration| {
            calls.iter().filter(|call| !call.done && (from..to).contains(&call.at)).count()
        };
        let new = calls.iter().filter(|call| (phase.from..end).contains(&call.at)).count();
        let late = failed(phase.from + phase.takeover, end);
        wrong += late;
        let _ = writeln!(
            text,
            "{:<15} {:>8} ms {new:>11} {:>8} {late:>24} {:>27}",
            phase.name,
            (phase.moved - phase.from).as_millis(),
            failed(phase.from, end),
            failed(phase.from - UNDER_WAY, phase.from),
        );
    }
    (text, wrong)
}

/// A node with its SIP listener on the floating address and one media server, whose health is a file that is watched.
fn node(segment: &Segment, node: &str) -> Process {
    let config = segment.router_config(node, Dialect::V3);
    let config = config.split("[[track.script]]").next().unwrap_or_default();
    let fail = segment.fail(node);
    let sip = format!(
        "[[listen]]\ntransport = \"udp\"\naddress = \"{VIP}\"\n[[set]]\nid = 1\ntarget = [{{ uri = \"sip:10.98.0.4\" }}]\n"
    );
    segment.trunkline(
        node,
        "run",
        &format!("{sip}{config}[[track.file]]\nname = \"check\"\npath = {fail:?}\nabsent = true\n"),
    )
}

#[test]
fn new_calls_succeed_within_the_takeover_time() {
    needs!("root", "ip", "ping", "sipp", "sipsak", "trunkline");
    let place = Place::alone();
    let segment = Segment::new(&place);
    let at = |address: &str| -> SocketAddr { format!("{address}:5060").parse().expect("an address") };
    let _media =
        Sipp::callee_on(&place, &segment, "d", at("10.98.0.4"), &Callee { linger_ms: 4_000, ..Callee::default() });
    let answers = |address: &str| segment.run("c", "sipsak", &["-s", &format!("sip:{address}")]).status.success();
    until("the media server answers", LIMIT, || answers("10.98.0.4"));
    let _b = node(&segment, "b");
    let mut a = node(&segment, "a");
    segment.wait_held(VIP, "a", "b");
    until("the node answers", LIMIT, || answers(VIP));

    let scenario = Caller { linger_ms: 4_000, ..Caller::default() };
    let ends = (at("10.98.0.3"), at(VIP));
    let mut caller = Sipp::caller_on(&place, &segment, "c", ends, &scenario, (RATE, PATIENCE));
    until("calls run", LIMIT, || calls(&caller).iter().any(|call| call.done));
    let mut phases = Vec::new();
    let mut phase = |name: &'static str, takeover: Duration, to: &str, act: &mut dyn FnMut()| {
        let from = now();
        act();
        let other = if to == "a" { "b" } else { "a" };
        // The kernel of a node that was killed keeps it.
        let left = || name.starts_with("kill") || !segment.has(other, VIP);
        until(&format!("{name}: {to} holds the address"), LIMIT, || segment.has(to, VIP) && left());
        phases.push(Phase { name, from, takeover: takeover + MARGIN, moved: now() });
        sleep(HOLD);
    };
    phase("quiet", Duration::ZERO, "a", &mut || {});
    phase("stop of a", SKEW, "b", &mut || a.signal(Signal::TERM));
    a.kill();
    phase("start of a", DOWN, "a", &mut || a = node(&segment, "a"));
    phase("kill of a", DOWN, "b", &mut || segment.kill("a", &mut a));
    phase("start of a", DOWN, "a", &mut || a = node(&segment, "a"));
    phase("loss of health", SKEW, "b", &mut || std::fs::write(segment.fail("a"), "").expect("a file"));
    phase("health is back", SKEW, "a", &mut || std::fs::remove_file(segment.fail("a")).expect("a file"));
    caller.finish();

    let calls = calls(&caller);
    let (table, wrong) = table(&phases, &calls);
    println!("{table}");
    let quiet = calls.iter().filter(|call| call.at < phases[1].from - UNDER_WAY);
    assert!(quiet.clone().count() > 100 && quiet.clone().all(|call| call.done), "{table}");
    assert_eq!(wrong, 0, "{table}");
}
