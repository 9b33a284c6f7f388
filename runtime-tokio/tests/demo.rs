//! The demo, as a user starts it.

use std::process::Command;

use serde_json::Value;

#[test]
fn no_call_is_lost_while_a_server_dies_and_another_is_drained() {
    let args = ["demo", "--json", "--duration", "4s", "--call-length", "1s", "--rate", "15"];
    let run = Command::new(env!("CARGO_BIN_EXE_trunkline")).args(args).output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{text}{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();

    let summary = &lines.last().unwrap()["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap();
    assert_eq!(count("lost"), 0);
    assert_eq!(count("completed") + count("on_the_killed_server"), 60);
    assert!(count("failovers") > 0, "the killed server was never tried");
    assert!(count("rtp_echoed") > 0 && count("rtp_altered") == 0, "{summary}");
    for event in ["fs02 is killed", "fs03 is drained", "fs02 is started again", "fs03 takes calls again"] {
        assert!(lines.iter().any(|l| l["event"].as_str().is_some_and(|e| e.starts_with(event))), "{event}");
    }
}
