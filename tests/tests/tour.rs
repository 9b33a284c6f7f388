//! What the README shows a newcomer.

use std::path::Path;

use trunkline_tests::harness::{Config, Place, Trunkline};
use trunkline_tests::needs;

#[test]
fn a_call_to_the_echo_completes_without_any_target() {
    needs!("sipp", "trunkline");
    let place = Place::shared();
    let edge = Trunkline::start(&place, &Config::new(&place).listen_both(place.at(1)));
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/echo.xml");
    for transport in ["u1", "t1"] {
        let sipp = std::process::Command::new("sipp")
            .arg("-sf")
            .arg(&scenario)
            .args(["-s", "9196", "-m", "1", "-nostdin", "-t", transport, "-i", &place.ip(21).to_string()])
            .args(["-timeout", "20", &edge.address().to_string()])
            .current_dir(place.dir())
            .env("TERM", "dumb")
            .output()
            .expect("sipp");
        assert!(sipp.status.success(), "{transport}: {}", String::from_utf8_lossy(&sipp.stdout));
    }
    assert_eq!(edge.ctl(&["stats", "sip.calls_ended"])["sip.calls_ended"], 2);
}
