//! Who holds floating addresses on the nodes of a segment: trunkline, Keepalived or FRR.

use std::path::{Path, PathBuf};

use super::{Process, Segment, VIP, VIP6};

/// Who runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Router {
    /// `trunkline vrrp`.
    Trunkline,
    /// Keepalived of Debian.
    Keepalived,
    /// vrrpd of FRR: its addresses are always on an interface with the virtual router's own Ethernet address.
    Frr,
}

/// How the nodes speak.
#[derive(Clone, Copy, Debug)]
pub struct Dialect {
    /// Version of the protocol.
    pub version: u8,
    /// Time between two adverts, in milliseconds.
    pub interval_ms: u32,
    /// The floating address.
    pub address: &'static str,
    /// Password, in version 2.
    pub password: Option<&'static str>,
}

impl Dialect {
    /// VRRPv3, 100 ms.
    pub const V3: Self = Self { version: 3, interval_ms: 100, address: VIP, password: None };
    /// The same for IPv6.
    pub const V3_IPV6: Self = Self { address: VIP6, ..Self::V3 };
    /// VRRPv2, 1 s, with a password.
    pub const V2: Self = Self { version: 2, interval_ms: 1_000, password: Some("s3cr3tpw"), ..Self::V3 };
}

/// The priority of a node: `a` has the highest.
const fn priority(node: &str) -> u8 {
    match node.as_bytes()[0] {
        b'a' => 100,
        b'b' => 90,
        _ => 80,
    }
}

impl Segment {
    /// A file whose presence says that the node is not well.
    #[must_use]
    pub fn fail(&self, node: &str) -> PathBuf {
        self.path(node, "fail")
    }

    /// Starts a virtual router on a node.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn router(&self, node: &str, router: Router, dialect: Dialect) -> Process {
        match router {
            Router::Trunkline => self.trunkline(node, "vrrp", &self.router_config(node, dialect)),
            Router::Keepalived => self.keepalived(node, dialect),
            Router::Frr => self.frr(node, dialect),
        }
    }

    /// The configuration of `trunkline vrrp` on a node.
    #[must_use]
    pub fn router_config(&self, node: &str, dialect: Dialect) -> String {
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
            notified = self.path(node, "notified").display(),
            fail = self.fail(node).display(),
        )
    }

    fn keepalived(&self, node: &str, dialect: Dialect) -> Process {
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
            fail = self.fail(node).display(),
            priority = priority(node),
            interval = f64::from(interval_ms) / 1_000.0,
        );
        let path = self.path(node, "keepalived.conf");
        std::fs::write(&path, config).expect("a configuration file");
        // One that was killed leaves them, and the numbers in them may be taken again.
        for name in ["ka.pid", "kv.pid"] {
            let _ = std::fs::remove_file(self.path(node, name));
        }
        let of = |name: &str| self.path(node, name).to_str().expect("a path").to_owned();
        let args = ["-n", "-P", "-l", "-D", "-f", &of("keepalived.conf"), "-p", &of("ka.pid"), "-r", &of("kv.pid")];
        self.start(node, Path::new("/usr/sbin/keepalived"), &args)
    }

    /// Zebra, which tells of interfaces, and vrrpd, which is waited for. They run as the user of their package, who gets
    /// a directory of their own. The interface that vrrpd wants is made as its manual says, and kept over a restart.
    fn frr(&self, node: &str, dialect: Dialect) -> Process {
        let dir = self.path(node, "frr");
        std::fs::create_dir_all(&dir).expect("a directory");
        let config = format!(
            "log stdout informational\ninterface eth0\n vrrp 51 version {}\n vrrp 51 priority {}\n \
             vrrp 51 advertisement-interval {}\n vrrp 51 ip {}\n",
            dialect.version,
            priority(node),
            dialect.interval_ms,
            dialect.address,
        );
        std::fs::write(dir.join("vrrpd.conf"), config).expect("a configuration file");
        let script = FRR
            .replace("DIR", dir.to_str().expect("a path"))
            .replace("ADDRESS", dialect.address)
            .replace("MAC", FRR_MAC);
        self.start(node, Path::new("/bin/sh"), &["-c", &script])
    }
}

/// Runs zebra and vrrpd until it is told to stop.
const FRR: &str = r#"
set -e
cd DIR
chmod a+x ..
chown -R frr:frr .
if ! ip link show vrrp4-51 > /dev/null 2>&1; then
    ip link add vrrp4-51 link eth0 type macvlan mode bridge
    ip link set vrrp4-51 address MAC addrgenmode none
    ip addr add ADDRESS/32 dev vrrp4-51
    ip link set vrrp4-51 up
    echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_ignore
fi
rm -f *.pid *.sock *.vty
common="-u frr -g frr --vty_socket DIR -z DIR/zebra.sock -P 0"
/usr/lib/frr/zebra $common -i DIR/zebra.pid -f /dev/null & zebra=$!
until [ -S zebra.sock ]; do sleep 0.02; done
/usr/lib/frr/vrrpd $common -i DIR/vrrpd.pid -f DIR/vrrpd.conf & vrrpd=$!
trap 'kill $vrrpd' TERM
# The first one ends with the signal.
wait $vrrpd || true
wait $vrrpd || true
kill $zebra
wait
"#;

/// The Ethernet address of virtual router 51 (RFC 9568 §7.3).
pub const FRR_MAC: &str = "00:00:5e:00:01:33";
