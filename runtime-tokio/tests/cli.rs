//! The command line, as an operator and a script meet it: output, errors, exit codes.

use std::path::Path;
use std::process::{Command, Output};

fn trunkline(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trunkline")).args(arguments).current_dir(dir).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

const SETS: &str = r#"
[[listen]]
transport = "udp"
address = "192.0.2.1"
[[set]]
id = 1
name = "media"
algorithm = 10
[[set.target]]
uri = "sip:10.0.1.30:5060"
duid = "fs01"
max_cps = 100
[[set]]
id = 2
fallback = 1
[[set.target]]
uri = "sip:10.0.1.32:5060"
[[route]]
name = "conferences"
match = { method = ["INVITE"], user = "^conf[0-9]+$", source = ["10.0.0.0/8"] }
dispatch.set = 2
[[route]]
match.domain = ["old.example.com"]
reject = { code = 410, reason = "Gone" }
"#;

#[test]
fn help_and_version_say_what_it_is() {
    let dir = dir(&[]);
    let help = trunkline(dir.path(), &["--help"]);
    assert!(help.status.success());
    for wanted in ["SIP load balancer", "Examples:", "trunkline ctl drain", "Exit codes:", "import", "doctor", "demo"] {
        assert!(stdout(&help).contains(wanted), "{wanted}");
    }
    let version = trunkline(dir.path(), &["--version"]);
    assert!(stdout(&version).starts_with(&format!("trunkline {}\n", env!("CARGO_PKG_VERSION"))));
    assert_eq!(trunkline(dir.path(), &["nonsense"]).status.code(), Some(2));
    assert_eq!(trunkline(dir.path(), &["run", "--listen", "udp:here"]).status.code(), Some(2));
}

#[test]
fn check_without_a_file_says_what_holds() {
    let dir = dir(&[]);
    let output = trunkline(dir.path(), &["check"]);
    assert!(output.status.success());
    let text = stdout(&output);
    for wanted in [
        "Nothing is configured",
        "UDP 127.0.0.1:5060, for this machine only",
        "^9196$: answer and send the sound back",
        "Everything else: answer 404",
        "/trunkline.sock",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
}

#[test]
fn check_says_what_a_file_means() {
    let dir = dir(&[("trunkline.toml", SETS)]);
    let output = trunkline(dir.path(), &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for wanted in [
        "trunkline.toml is valid.",
        "Listens on UDP 192.0.2.1:5060.",
        "Set 1 (media) has 1 target, chosen by call-load (The one with the fewest calls).",
        "sip:10.0.1.30:5060 (fs01): weight 50, priority 0, at most 100 new calls a second.",
        "if none can take a call, set 1 is asked",
        "1. conferences: INVITE from 10.0.0.0/8 to a user that matches ^conf[0-9]+$: dispatch to set 2 by call-id-hash, else to set 1.",
        "2. Any request at old.example.com: answer 410 Gone.",
        "Pings every target every 10s by OPTIONS from sip:keepalive@nodomain.com.",
        "A target is down after 3 failures in a row and up again after 3 good answers in a row (2xx, 3xx, 4xx)",
        "at most 8 in all, when one answers 408, 5xx or gives no answer at all within 2s",
        "warning: trunkline.toml:8:13: set[0].algorithm: 10 is Kamailio's number for \"call-load\"",
    ] {
        assert!(text.contains(wanted), "{wanted:?} is not in {text}");
    }
    let json: serde_json::Value = serde_json::from_slice(&trunkline(dir.path(), &["check", "--json"]).stdout).unwrap();
    assert_eq!((&json["valid"], json["warnings"].as_array().unwrap().len()), (&true.into(), 1));
}

#[test]
fn a_dump_is_accepted_and_dumps_alike() {
    let dir = dir(&[("a.toml", SETS)]);
    let first = stdout(&trunkline(dir.path(), &["check", "--dump", "a.toml"]));
    std::fs::write(dir.path().join("b.toml"), &first).unwrap();
    let second = trunkline(dir.path(), &["--config", "b.toml", "check", "--dump"]);
    assert!(second.status.success(), "{}", stderr(&second));
    assert_eq!(stdout(&second), first);
    assert!(first.contains("algorithm = \"call-load\""));
    let json = trunkline(dir.path(), &["check", "--dump", "--json", "a.toml"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["set"][0]["target"][0]["max_cps"], 100);
}

#[test]
fn a_file_that_is_not_valid_is_refused_with_places() {
    let dir = dir(&[("a.toml", "[timers]\nt1 = 500\nfr_timr = \"1s\"\n"), ("b.toml", "\u{feff}[x")]);
    let output = trunkline(dir.path(), &["check", "a.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<_> = stderr(&output).lines().map(str::to_owned).collect();
    assert!(lines[0].starts_with("a.toml:2:6: timers.t1: 500 is not allowed here; wanted a duration"), "{lines:?}");
    assert!(
        lines[1].starts_with("a.toml:3:1: timers.fr_timr: unknown key `fr_timr`; did you mean `fr_timer`?"),
        "{lines:?}"
    );
    assert_eq!(stdout(&output), "");
    for bad in ["b.toml", "none.toml", "."] {
        let output = trunkline(dir.path(), &["check", bad]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(1), ""));
        assert!(stderr(&output).contains(bad), "{}", stderr(&output));
    }
    let json = trunkline(dir.path(), &["check", "--json", "a.toml"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["valid"], json["problems"].as_array().unwrap().len()), (&false.into(), 2));
}

#[test]
fn the_reference_is_a_configuration() {
    let dir = dir(&[]);
    let reference = trunkline(dir.path(), &["reference"]);
    std::fs::write(dir.path().join("r.toml"), &reference.stdout).unwrap();
    let of_reference = trunkline(dir.path(), &["check", "--dump", "r.toml"]);
    let of_nothing = trunkline(dir.path(), &["check", "--dump"]);
    assert!(of_reference.status.success(), "{}", stderr(&of_reference));
    assert_eq!(stdout(&of_reference), stdout(&of_nothing));
}

#[test]
fn an_import_is_a_configuration_and_names_what_it_leaves_out() {
    let cfg = "children=8\nmodparam(\"dispatcher\", \"list_file\", \"d.list\")\nroute { if (ds_select_dst(\"1\", \"4\")) exit; }\n";
    let dir = dir(&[("k.cfg", cfg), ("d.list", "1 sip:192.0.2.7 0 0 duid=a;color=red\n")]);
    let output = trunkline(dir.path(), &["import", "kamailio", "--cfg", "k.cfg"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("k.cfg:1: children=8: was not carried over"), "{}", stderr(&output));
    assert!(stderr(&output).contains("d.list:1: attribute color was not carried over"), "{}", stderr(&output));
    std::fs::write(dir.path().join("t.toml"), &output.stdout).unwrap();
    let check = stdout(&trunkline(dir.path(), &["check", "t.toml"]));
    assert!(check.contains("INVITE: dispatch to set 1 by round-robin"), "{check}");

    std::fs::write(dir.path().join("d.list"), "1 sip:192.0.2.7\n1 sip:192.0.2.7\n2\n").unwrap();
    let output = trunkline(dir.path(), &["--json", "import", "kamailio", "--list", "d.list"]);
    assert_eq!(output.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = json["problems"].to_string();
    assert!(problems.contains("d.list:3: the URI is missing") && problems.contains("in this set twice"), "{problems}");
    let output = trunkline(dir.path(), &["import", "kamailio", "--cfg", "none.cfg"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(trunkline(dir.path(), &["import", "kamailio"]).status.code(), Some(2));
}

#[test]
fn doctor_reports_for_people_and_programs() {
    let dir = dir(&[]);
    let output = trunkline(dir.path(), &["doctor", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.success(), json["ok"] == true);
    let lines = stdout(&trunkline(dir.path(), &["doctor"]));
    for finding in json["findings"].as_array().unwrap() {
        assert!(lines.contains(finding["name"].as_str().unwrap()), "{finding}");
    }
}
