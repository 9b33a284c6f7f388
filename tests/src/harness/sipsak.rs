//! sipsak, for a single request.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Place, Process, command};

/// Sends OPTIONS to `user` at `address`; true with what it printed if the answer was 200.
///
/// # Panics
/// If sipsak is not installed.
#[must_use]
pub fn sipsak(place: &Place, address: SocketAddr, user: &str) -> (bool, String) {
    let mut command = command(&super::needs::find("sipsak").expect("sipsak"));
    command.args(["-vv", "-D", "8", "-s", &format!("sip:{user}@{address}")]);
    let mut process = Process::start("sipsak", command, place.path(&format!("sipsak-{}.log", super::token())));
    let status = process.wait(Duration::from_secs(40));
    (status.success(), process.log())
}
