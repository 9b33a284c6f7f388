//! SIPp, as the end of many calls.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{Callee, Caller, Place, Process, Segment, Signal, Transport, command, until};

/// A running SIPp.
#[derive(Debug)]
pub struct Sipp {
    /// The process.
    pub process: Process,
    address: SocketAddr,
    stats: PathBuf,
    errors: PathBuf,
    calls: PathBuf,
}

/// What SIPp counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls begun. At a callee, each ping is a call of its own.
    pub created: u64,
    /// Calls that went through the scenario.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages that were sent again.
    pub retransmissions: u64,
    /// INVITEs that a callee got.
    pub invites: u64,
}

impl Sipp {
    /// Starts a callee and waits until it listens.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn callee(place: &Place, address: SocketAddr, transport: Transport, scenario: &Callee) -> Self {
        let host = command(&super::needs::find("sipp").expect("sipp"));
        let args = lenient(scenario.linger_ms);
        let mut callee = Self::start(place, host, "callee", address, transport, &scenario.xml(), args);
        let errors = callee.errors.clone();
        until("SIPp listens", Duration::from_secs(10), || {
            let read = || std::fs::read_to_string(&errors).unwrap_or_default();
            assert!(callee.process.is_running(), "SIPp ended:\n{}{}", callee.process.log(), read());
            is_bound(address, transport)
        });
        callee
    }

    /// Starts a caller, who places `calls` at `rate` a second to user `service` at `edge`.
    #[must_use]
    pub fn caller(
        place: &Place,
        address: SocketAddr,
        transport: Transport,
        edge: SocketAddr,
        scenario: &Caller,
        (calls, rate): (u32, u32),
    ) -> Self {
        let (calls, rate, edge) = (calls.to_string(), rate.to_string(), edge.to_string());
        // A call that waits longer than this for its next message has failed.
        let mut args = lenient(scenario.linger_ms).to_vec();
        args.extend(["-s", "service", "-m", &calls, "-r", &rate, "-rp", "1000", "-recv_timeout", "60000", &edge]);
        let host = command(&super::needs::find("sipp").expect("sipp"));
        Self::start(place, host, "caller", address, transport, &scenario.xml(), &args)
    }

    /// Starts a callee on a node of a segment, over UDP. It listens a little later.
    #[must_use]
    pub fn callee_on(place: &Place, segment: &Segment, node: &str, address: SocketAddr, scenario: &Callee) -> Self {
        let host = segment.command(node, &super::needs::find("sipp").expect("sipp"));
        let args = lenient(scenario.linger_ms);
        Self::start(place, host, "callee", address, Transport::Udp, &scenario.xml(), args)
    }

    /// Starts a caller on a node of a segment, who places `rate` calls a second to user `service` at `edge` over UDP until
    /// [`finish`](Self::finish). A call that waits for longer than `patience` for its next message has failed.
    #[must_use]
    pub fn caller_on(
        place: &Place,
        segment: &Segment,
        node: &str,
        (address, edge): (SocketAddr, SocketAddr),
        scenario: &Caller,
        (rate, patience): (u32, Duration),
    ) -> Self {
        let (rate, patience, edge) = (rate.to_string(), patience.as_millis().to_string(), edge.to_string());
        let host = segment.command(node, &super::needs::find("sipp").expect("sipp"));
        let mut args = lenient(scenario.linger_ms).to_vec();
        args.extend(["-s", "service", "-r", &rate, "-rp", "1000", "-recv_timeout", &patience, &edge]);
        Self::start(place, host, "caller", address, Transport::Udp, &scenario.xml(), &args)
    }

    fn start(
        place: &Place,
        mut command: Command,
        name: &str,
        address: SocketAddr,
        by: Transport,
        xml: &str,
        args: &[&str],
    ) -> Self {
        let name = format!("{name}-{}", super::token());
        let path = |kind: &str| place.path(&format!("{name}.{kind}"));
        std::fs::write(path("xml"), xml).expect("a scenario");
        command.arg("-sf").arg(path("xml")).current_dir(place.dir()).env("TERM", "dumb");
        command.args(["-nostdin", "-l", "10000", "-buff_size", "4000000", "-deadcall_wait", "2000"]);
        command.args(["-t", if by == Transport::Udp { "u1" } else { "t1" }, "-max_reconnect", "0"]);
        command.args(["-i", &address.ip().to_string(), "-p", &address.port().to_string()]);
        command.args(["-trace_stat", "-fd", "1", "-trace_err", "-trace_logs"]);
        command.arg("-stf").arg(path("csv")).arg("-error_file").arg(path("err")).arg("-log_file").arg(path("calls"));
        command.args(args);
        let process = Process::start(&name, command, path("log"));
        Self { process, address, stats: path("csv"), errors: path("err"), calls: path("calls") }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has counted, at most a second ago; to its last call if it has ended.
    #[must_use]
    pub fn stats(&self) -> Stats {
        read_stats(&self.stats)
    }

    /// Waits for its last call and its end.
    ///
    /// # Panics
    /// If that takes longer than `limit`.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> Stats {
        self.process.wait(limit);
        self.stats()
    }

    /// Lets a callee finish its calls, and ends it.
    ///
    /// # Panics
    /// If it has calls that do not end.
    #[track_caller]
    pub fn finish(&mut self) -> Stats {
        // SIPp's own signal for a quiet end.
        self.process.signal(Signal::USR1);
        self.wait(Duration::from_secs(20))
    }

    /// Lines that the scenario logged, each split at spaces.
    #[must_use]
    pub fn logged(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(&self.calls).unwrap_or_default();
        text.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
    }

    /// The errors that it traced.
    #[must_use]
    pub fn errors(&self) -> String {
        std::fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::process::show_tail(&format!("SIPp {}: errors", self.address), &self.errors);
        }
    }
}

fn lenient(linger_ms: u32) -> &'static [&'static str] {
    if linger_ms > 0 { &["-default_behaviors", "all,-abortunexp"] } else { &[] }
}

fn read_stats(path: &Path) -> Stats {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut lines = text.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split(';').collect();
    // The last line may be half written.
    let last = lines.map(|line| line.split(';').collect::<Vec<_>>()).rfind(|row| row.len() >= names.len());
    let row = last.unwrap_or_default();
    let figure = |wanted: &dyn Fn(&str) -> bool| {
        let at = names.iter().position(|name| wanted(name));
        at.and_then(|at| row.get(at)?.parse().ok()).unwrap_or_default()
    };
    Stats {
        created: figure(&|name| name == "TotalCallCreated"),
        successful: figure(&|name| name == "SuccessfulCall(C)"),
        failed: figure(&|name| name == "FailedCall(C)"),
        retransmissions: figure(&|name| name == "Retransmissions(C)"),
        invites: figure(&|name| name.contains("invite") && name.ends_with("(C)")),
    }
}

/// True if a socket of this machine is bound to `address`.
fn is_bound(address: SocketAddr, transport: Transport) -> bool {
    let (table, wanted) = match address {
        SocketAddr::V4(v4) => (transport.name().to_owned(), format!("{:08X}", u32::from_ne_bytes(v4.ip().octets()))),
        SocketAddr::V6(v6) => {
            let words = v6.ip().octets();
            let words = words.chunks_exact(4).map(|w| u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
            (format!("{}6", transport.name()), words.map(|word| format!("{word:08X}")).collect())
        }
    };
    let wanted = format!("{wanted}:{:04X}", address.port());
    let text = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
    text.lines().any(|line| line.split_whitespace().nth(1) == Some(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_counts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let head = "StartTime;TotalCallCreated;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);Retransmissions(C);invite(P);invite(C);\n";
        std::fs::write(file.path(), format!("{head}x;1;1;1;0;0;1;1;\nx;9;1;7;2;3;1;8;\nx;10;1")).unwrap();
        let wanted = Stats { created: 9, successful: 7, failed: 2, retransmissions: 3, invites: 8 };
        assert_eq!(read_stats(file.path()), wanted);
        assert_eq!(read_stats(Path::new("/no/such/file")), Stats::default());
    }

    #[test]
    fn a_bound_address_is_seen() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(is_bound(address, Transport::Udp));
        drop(socket);
        assert!(!is_bound(address, Transport::Udp));
    }
}
