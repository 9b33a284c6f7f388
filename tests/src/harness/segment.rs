//! Two nodes and a client of one network segment, in network namespaces of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{Place, Process, Signal, binary, command, needs, until};

/// How long a change of state may take: many times the slowest interval in use.
const LIMIT: Duration = Duration::from_secs(30);

/// The floating addresses.
pub const VIP: &str = "10.98.0.100";
/// The same for IPv6.
pub const VIP6: &str = "fd98::100";

/// Nodes a and b on two bridges with a trunk between, a client c beside b and another host d beside a. The namespaces go
/// with the value.
#[derive(Debug)]
pub struct Segment {
    prefix: String,
    dir: PathBuf,
}

fn run(program: &str, args: &[&str]) -> Output {
    let program = needs::find(program).unwrap_or_else(|| PathBuf::from(program));
    Command::new(program).args(args).output().expect("a program of iproute2")
}

#[track_caller]
fn ip(args: &str) {
    let words: Vec<&str> = args.split_whitespace().collect();
    let output = run("ip", &words);
    assert!(output.status.success(), "ip {args}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Segment {
    /// Makes the namespaces.
    ///
    /// # Panics
    /// If that fails; it needs root.
    #[must_use]
    pub fn new(place: &Place) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("tl{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let segment = Self { prefix, dir: place.dir().to_owned() };
        let switch = segment.namespace("sw");
        ip(&format!("netns add {switch}"));
        for bridge in ["br1", "br2"] {
            ip(&format!("-n {switch} link add {bridge} type bridge mcast_snooping 0 forward_delay 0"));
            ip(&format!("-n {switch} link set {bridge} up"));
        }
        ip(&format!("-n {switch} link add t1 type veth peer name t2"));
        for (port, bridge) in [("t1", "br1"), ("t2", "br2")] {
            ip(&format!("-n {switch} link set {port} master {bridge} up"));
        }
        for (host, node, bridge) in [(1, "a", "br1"), (2, "b", "br2"), (3, "c", "br2"), (4, "d", "br1")] {
            segment.add(host, node, bridge);
        }
        segment
    }

    fn add(&self, host: u8, node: &str, bridge: &str) {
        let (switch, own) = (self.namespace("sw"), self.namespace(node));
        ip(&format!("netns add {own}"));
        ip(&format!("-n {own} link set lo up"));
        ip(&format!("-n {switch} link add p{node} type veth peer name eth0 netns {own}"));
        ip(&format!("-n {switch} link set p{node} master {bridge} up"));
        ip(&format!("-n {own} link set eth0 address {} up", Self::mac(node)));
        ip(&format!("-n {own} addr add 10.98.0.{host}/24 dev eth0"));
        ip(&format!("-n {own} addr add fd98::{host}/64 dev eth0 nodad"));
    }

    /// The Ethernet address of a node.
    fn mac(node: &str) -> String {
        let last = node.bytes().next().map_or(0, |n| n - b'a' + 1);
        format!("02:00:00:98:00:{last:02x}")
    }

    /// The name of a node's namespace.
    #[must_use]
    pub fn namespace(&self, node: &str) -> String {
        format!("{}{node}", self.prefix)
    }

    /// A path that belongs to a node.
    #[must_use]
    pub fn path(&self, node: &str, name: &str) -> PathBuf {
        self.dir.join(format!("{node}-{name}"))
    }

    /// A command that runs a program in a node's namespace.
    ///
    /// # Panics
    /// Without iproute2.
    #[must_use]
    pub fn command(&self, node: &str, program: &Path) -> Command {
        let mut command = command(&needs::find("ip").expect("ip"));
        command.args(["netns", "exec", &self.namespace(node)]).arg(program);
        command
    }

    /// Starts a program in a node's namespace.
    #[must_use]
    pub fn start(&self, node: &str, program: &Path, args: &[&str]) -> Process {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut command = self.command(node, program);
        command.args(args);
        let log = self.path(node, &format!("{}.log", NEXT.fetch_add(1, Ordering::Relaxed)));
        Process::start(&format!("node {node}"), command, log)
    }

    /// Runs a program in a node's namespace to its end.
    #[must_use]
    pub fn run(&self, node: &str, program: &str, args: &[&str]) -> Output {
        let namespace = self.namespace(node);
        let program = needs::find(program).unwrap_or_else(|| PathBuf::from(program));
        let mut all = vec!["netns", "exec", &namespace, program.to_str().expect("a path")];
        all.extend(args);
        run("ip", &all)
    }

    /// Starts `trunkline vrrp` on a node, or `trunkline run`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn trunkline(&self, node: &str, role: &str, config: &str) -> Process {
        let path = self.path(node, "trunkline.toml");
        let text = format!("{config}\n[control]\nsocket = {:?}\n", self.path(node, "ctl.sock"));
        std::fs::write(&path, text).expect("a configuration file");
        self.start(node, &binary().expect("the program"), &["--config", path.to_str().expect("a path"), role])
    }

    /// What `trunkline --json ctl` prints on a node.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    #[must_use]
    pub fn ctl(&self, node: &str, args: &[&str]) -> serde_json::Value {
        let socket = self.path(node, "ctl.sock");
        let output = Command::new(binary().expect("the program"))
            .args(["--json", "ctl", "--socket", socket.to_str().expect("a path")])
            .args(args)
            .output()
            .expect("trunkline ctl");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "ctl {args:?}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Ends all processes of a node at once, as a crash of the machine does.
    pub fn kill(&self, node: &str, process: &mut Process) {
        let pids = run("ip", &["netns", "pids", &self.namespace(node)]);
        let pids = String::from_utf8_lossy(&pids.stdout).into_owned();
        for pid in pids.split_whitespace() {
            run("kill", &["-KILL", pid]);
        }
        process.kill();
    }

    /// Asks a node's program to stop, and waits until it has.
    pub fn stop(process: &mut Process) {
        process.signal(Signal::TERM);
        let _ = process.wait(LIMIT);
    }

    /// Connects the two sides, or cuts them off from each other.
    pub fn trunk(&self, up: bool) {
        ip(&format!("-n {} link set t1 {}", self.namespace("sw"), if up { "up" } else { "down" }));
    }

    /// Plugs a node's cable in, or out.
    pub fn link(&self, node: &str, up: bool) {
        ip(&format!("-n {} link set p{node} {}", self.namespace("sw"), if up { "up" } else { "down" }));
    }

    /// Lets adverts and whatever else is multicast come through to a node, or keeps it all from it; what the node sends
    /// comes through to the others in any case.
    pub fn hears(&self, node: &str, all: bool) {
        let (switch, port) = (self.namespace("sw"), format!("p{node}"));
        let flood = if all { "on" } else { "off" };
        let output = run("bridge", &["-n", &switch, "link", "set", "dev", &port, "mcast_flood", flood]);
        assert!(output.status.success(), "bridge: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Whether a node has an address on an interface.
    #[must_use]
    pub fn has(&self, node: &str, address: &str) -> bool {
        let output = run("ip", &["-n", &self.namespace(node), "-o", "addr", "show"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_it = |word: &str| word.split('/').next() == Some(address);
        text.lines().any(|line| line.split_whitespace().any(is_it))
    }

    /// Waits until `holder` has the address, `other` has it not, and packets of the client to it go to `holder`.
    #[track_caller]
    pub fn wait_held(&self, address: &str, holder: &str, other: &str) {
        until(&format!("{address} is held by {holder} alone"), LIMIT, || {
            self.has(holder, address) && !self.has(other, address)
        });
        self.wait_reached(address, holder);
    }

    /// Waits until packets of the client to the address go to `holder`.
    #[track_caller]
    pub fn wait_reached(&self, address: &str, holder: &str) {
        self.wait_reached_by(address, &Self::mac(holder));
    }

    /// Waits until packets of the client to the address go to this Ethernet address, and are answered.
    #[track_caller]
    pub fn wait_reached_by(&self, address: &str, mac: &str) {
        until(&format!("{address} is reached at {mac}"), LIMIT, || {
            let pinged = self.run("c", "ping", &["-c", "1", "-W", "1", address]);
            let known = run("ip", &["-n", &self.namespace("c"), "neigh", "show", address]);
            pinged.status.success() && String::from_utf8_lossy(&known.stdout).contains(mac)
        });
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        for node in ["a", "b", "c", "d", "sw"] {
            let _ = run("ip", &["netns", "del", &self.namespace(node)]);
        }
    }
}
