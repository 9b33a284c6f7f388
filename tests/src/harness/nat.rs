//! A private network behind a NAT, and the public one outside, in network namespaces of their own.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::needs;

/// The public side, in the words of `ip addr add`. `far` has a second address, for somebody who is no party to any call.
const PUBLIC: &[(&str, &[&str])] = &[
    ("nat", &["203.0.113.1/24"]),
    ("relay", &["203.0.113.10/24", "fd97::10/64 nodad"]),
    ("far", &["203.0.113.20/24", "203.0.113.66/24", "fd97::20/64 nodad"]),
];
const NODES: &[&str] = &["sw", "phone", "nat", "relay", "far"];

/// Nodes `phone` (192.168.7.2 and .3), `nat` (203.0.113.1 outside), `relay` (203.0.113.10, fd97::10) and `far` (203.0.113.20
/// and .66, fd97::20). The NAT gives every socket another port. The namespaces go with the value.
#[derive(Debug)]
pub struct Nat {
    prefix: String,
}

/// Leads the thread back where it came from.
struct Return(File);

impl Drop for Return {
    fn drop(&mut self) {
        enter(&self.0);
    }
}

fn enter(namespace: &File) {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("a network namespace");
}

#[track_caller]
fn run(line: &str) {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let program = needs::find(program).unwrap_or_else(|| PathBuf::from(program));
    let output = Command::new(program).args(words).output().expect("a program");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Nat {
    /// Makes the namespaces.
    ///
    /// # Panics
    /// If that fails; it needs root.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("tn{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let nat = Self { prefix };
        for node in NODES {
            run(&format!("ip netns add {}", nat.name(node)));
            nat.run(node, "ip link set lo up");
        }
        nat.run("sw", "ip link add br0 type bridge mcast_snooping 0 forward_delay 0");
        nat.run("sw", "ip link set br0 up");
        for (node, addresses) in PUBLIC {
            nat.run("sw", &format!("ip link add {node} type veth peer name eth0 netns {}", nat.name(node)));
            nat.run("sw", &format!("ip link set {node} master br0 up"));
            nat.run(node, "ip link set eth0 up");
            for address in *addresses {
                nat.run(node, &format!("ip addr add {address} dev eth0"));
            }
        }
        nat.run("phone", &format!("ip link add eth0 type veth peer name in0 netns {}", nat.name("nat")));
        for (node, line) in [
            ("phone", "ip link set eth0 up"),
            ("nat", "ip link set in0 up"),
            ("nat", "ip addr add 192.168.7.1/24 dev in0"),
            ("phone", "ip addr add 192.168.7.2/24 dev eth0"),
            ("phone", "ip addr add 192.168.7.3/24 dev eth0"),
            ("phone", "ip route add default via 192.168.7.1"),
            ("nat", "iptables -t nat -A POSTROUTING -o eth0 -p udp -j MASQUERADE --to-ports 40000-40999"),
        ] {
            nat.run(node, line);
        }
        nat.within("nat", || std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).expect("a router");
        nat
    }

    fn name(&self, node: &str) -> String {
        format!("{}{node}", self.prefix)
    }

    #[track_caller]
    fn run(&self, node: &str, line: &str) {
        self.within(node, || run(line));
    }

    /// Does something in a node's namespace: sockets that are opened there and programs that are started there stay there.
    ///
    /// # Panics
    /// If the namespace cannot be entered.
    #[track_caller]
    pub fn within<T>(&self, node: &str, work: impl FnOnce() -> T) -> T {
        let here = File::open("/proc/thread-self/ns/net").expect("this thread's namespace");
        let there = File::open(format!("/run/netns/{}", self.name(node))).expect("the node's namespace");
        enter(&there);
        let _return = Return(here);
        work()
    }
}

impl Default for Nat {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        for node in NODES {
            let ip = needs::find("ip").unwrap_or_else(|| PathBuf::from("ip"));
            let _ = Command::new(ip).args(["netns", "del", &self.name(node)]).output();
        }
    }
}
