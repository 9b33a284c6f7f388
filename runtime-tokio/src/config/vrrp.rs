//! The sections about VRRP: virtual routers, sync groups and what they track. Doc comments here are the text of the
//! reference file.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;

use super::schema::{Given, Reader, Value, read_str, section};

section! {
    /// A virtual router (VRRP): its addresses are held by one of the nodes that speak of it.
    struct VrrpInstance {
        /// Its name in logs and lists.
        name: String, eg "\"VI_SIP\"";
        /// The interface on which the nodes speak.
        interface: String, eg "\"eth0\"";
        /// Virtual Router Identifier: the same on all its nodes, and no other's on this network.
        vrid: u16, in 1..=255, eg "51";
        /// Version of the protocol: 2 (RFC 3768, IPv4 only, whole seconds) or 3 (RFC 9568).
        version: u16 = 3, in 2..=3;
        /// Priority. The node with the highest holds the addresses. 255 is for the node whose own they are.
        priority: u16 = 100, in 1..=255;
        /// Advertisement_Interval: time between two adverts, the same on all nodes. Whole seconds in version 2, whole
        /// centiseconds in version 3.
        advert_interval: Duration = Duration::from_secs(1), in 10..=255_000;
        /// Addresses that move, with their prefix length or for this host alone; "dev NAME" after one puts it on another
        /// interface.
        addresses: Vec<VirtualAddress>, eg "[\"10.0.1.100/24\"]";
        /// Addresses that move too, but that adverts do not list.
        excluded_addresses: Vec<VirtualAddress> = Vec::new(), eg "[\"203.0.113.5/29 dev eth1\"]";
        /// Password of version 2, in clear on the wire; 8 characters count.
        password: Option<Secret> = None, eg "\"s3cr3tpw\"";
        /// Whether it takes the addresses from a node of lower priority.
        preempt: bool = true;
        /// How long it waits with that after its start.
        preempt_delay: Duration = Duration::from_secs(0), in 0..=1_000_000;
        /// Whether it gives up at once when a track lowers its priority. Without it others wait as if it had died.
        resign_on_loss: bool = true;
        /// Nodes that are spoken to one by one, for networks without multicast. Empty: multicast.
        peers: Vec<IpAddr> = Vec::new(), eg "[\"10.0.1.11\"]";
        /// Source of adverts. Left out: the first address of the interface, for IPv6 its link-local one.
        source: Option<IpAddr> = None, eg "\"10.0.1.10\"";
        /// Lowest TTL of adverts that are taken. The standard wants 255; peers behind routers need less.
        ttl_min: u16 = 255, in 1..=255;
        /// Whether the addresses have an Ethernet address of their own (00:00:5e:00:01:VRID), on an interface
        /// "vrrp.VRID" that is made for it. Sets arp_ignore and arp_announce of the interface below.
        virtual_mac: bool = false;
        /// Whether it gives up when the SIP node of this process is not well. Has no meaning to `trunkline vrrp`.
        track_node: bool = true;
        /// A track that it uses.
        track: Vec<TrackRef> = Vec::new();
        /// How addresses are announced when they come: gratuitous ARP, for IPv6 unsolicited Neighbour Advertisements.
        announce: Announce = Announce::default();
        /// Command that is run when it becomes active.
        notify_active: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"MASTER\"]";
        /// Command that is run when it becomes backup.
        notify_backup: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"BACKUP\"]";
        /// Command that is run when it is at fault.
        notify_fault: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"FAULT\"]";
        /// Command that is run when it stops.
        notify_stop: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"STOP\"]";
        /// Command that is run on every change, with four more words: INSTANCE, the name, MASTER or BACKUP or FAULT or
        /// STOP, the priority.
        notify: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\"]";
    }
}

section! { default
    /// How addresses are announced when they come: gratuitous ARP, for IPv6 unsolicited Neighbour Advertisements.
    struct Announce {
        /// Announcements of each address at once.
        count: u16 = 5, in 1..=255;
        /// Time between two of them.
        gap: Duration = Duration::from_millis(1), in 0..=10_000;
        /// Announcements of each address later on.
        repeat_count: u16 = 5, in 0..=255;
        /// How much later.
        repeat_delay: Duration = Duration::from_secs(5), in 0..=3_600_000;
        /// Time between single announcements for as long as it is active. 0s: none.
        refresh: Duration = Duration::from_millis(500), in 0..=86_400_000;
    }
}

section! {
    /// A track that it uses.
    struct TrackRef {
        /// The name of a script, process, file or interface under track, or "node": the SIP node of this process.
        name: String, eg "\"check_sip\"";
        /// 0: at fault while the track is down. Below: taken off the priority while it is down. Above: added while it is
        /// up.
        weight: Weight = Weight(0), eg "-20";
    }
}

section! {
    /// Virtual routers that are active together, backup together, at fault together.
    struct VrrpSyncGroup {
        /// Its name in logs and lists.
        name: String, eg "\"VG_SIP\"";
        /// The names of its virtual routers.
        members: Vec<String>, eg "[\"VI_SIP\", \"VI_MEDIA\"]";
        /// A track that all its members use.
        track: Vec<TrackRef> = Vec::new();
        /// Command that is run when it becomes active.
        notify_active: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"MASTER\"]";
        /// Command that is run when it becomes backup.
        notify_backup: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"BACKUP\"]";
        /// Command that is run when it is at fault.
        notify_fault: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"FAULT\"]";
        /// Command that is run when it stops.
        notify_stop: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\", \"STOP\"]";
        /// Command that is run on every change, with four more words: GROUP, the name, MASTER or BACKUP or FAULT or STOP,
        /// the priority.
        notify: Option<CommandLine> = None, eg "[\"/usr/local/bin/notify\"]";
    }
}

section! { default
    /// What virtual routers track. Each has a name of its own.
    struct Track {
        /// A script: well while it ends with exit code 0.
        script: Vec<TrackScript> = Vec::new();
        /// A process: well while it runs.
        process: Vec<TrackProcess> = Vec::new();
        /// A file: well while it is there.
        file: Vec<TrackFile> = Vec::new();
        /// An interface: well while it is up.
        interface: Vec<TrackInterface> = Vec::new();
    }
}

section! {
    /// A script: well while it ends with exit code 0.
    struct TrackScript {
        /// The name of the track.
        name: String, eg "\"check_sip\"";
        /// The command and its arguments. No shell is between.
        command: CommandLine, eg "[\"/usr/local/bin/check\", \"--fast\"]";
        /// Time from one start to the next. One run is out at a time.
        interval: Duration = Duration::from_secs(1), in 10..=3_600_000;
        /// A run that takes longer has failed; it and all that it started is killed.
        timeout: Duration = Duration::from_secs(1), in 10..=3_600_000;
        /// Good runs in a row after which it is up.
        rise: u16 = 1, in 1..=255;
        /// Bad runs in a row after which it is down.
        fall: u16 = 1, in 1..=255;
        /// Whether it counts as up until its first run has ended.
        assumed_up: bool = false;
    }
}

section! {
    /// A process: well while it runs.
    struct TrackProcess {
        /// The name of the track.
        name: String, eg "\"media\"";
        /// The name of the process as in /proc/PID/comm, 15 characters of it.
        process: String, eg "\"rtpengine\"";
        /// How often a process that is not there is looked for. Its end is known at once.
        interval: Duration = Duration::from_secs(1), in 10..=3_600_000;
    }
}

section! {
    /// A file: well while it is there.
    struct TrackFile {
        /// The name of the track.
        name: String, eg "\"maintenance\"";
        /// Its path. Its directory must be there.
        path: String, eg "\"/run/maintenance\"";
        /// The other way round: well while it is not there.
        absent: bool = false, eg "true";
    }
}

section! {
    /// An interface: well while it is up.
    struct TrackInterface {
        /// The name of the track.
        name: String, eg "\"uplink\"";
        /// The interface.
        interface: String, eg "\"eth1\"";
    }
}

section! { default
    /// How this process runs virtual routers.
    struct VrrpOptions {
        /// Real-time priority (SCHED_FIFO) of the thread that sends and takes adverts, so that a busy machine does not
        /// lose its addresses. 0: none.
        realtime_priority: u16 = 50, in 0..=99;
        /// A notify command that takes longer is killed, with all that it started.
        notify_timeout: Duration = Duration::from_secs(30), in 10..=3_600_000;
    }
}

/// A secret: it is written to the file that it comes from, and shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Value for Secret {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            reader.problem(value.span(), format!("wanted {}", Self::expected()));
            return None;
        };
        if text.is_empty() || text.chars().any(char::is_control) {
            reader.problem(value.span(), "must not be empty or hold control characters");
            return None;
        }
        Some(Self::new(text))
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.0.as_str().into())
    }
    fn expected() -> String {
        "a string in quotes".to_owned()
    }
}

/// An address that moves: `ADDRESS[/PREFIX][ dev INTERFACE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VirtualAddress {
    /// The address with the length of its prefix.
    pub(crate) net: IpNet,
    /// The interface that gets it; none: that of the virtual router.
    pub(crate) interface: Option<String>,
}

impl FromStr for VirtualAddress {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<_> = text.split_whitespace().collect();
        let (address, interface) = match words[..] {
            [address] => (address, None),
            [address, "dev", interface] => (address, Some(interface.to_owned())),
            _ => return Err("wanted an address, such as \"10.0.1.100/24\" or \"10.0.1.100/24 dev eth1\"".to_owned()),
        };
        let net = address.parse().or_else(|_| address.parse::<IpAddr>().map(IpNet::from));
        let net: IpNet = net.map_err(|_| "not an address, such as \"10.0.1.100/24\"".to_owned())?;
        if net.addr().is_unspecified() || net.addr().is_multicast() || net.addr().is_loopback() {
            return Err("not an address that a host can hold for others".to_owned());
        }
        Ok(Self { net, interface })
    }
}

impl fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            Some(interface) => write!(f, "{} dev {interface}", self.net),
            None => write!(f, "{}", self.net),
        }
    }
}

impl Value for VirtualAddress {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        read_str(value, reader, &Self::expected(), str::parse)
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
    fn expected() -> String {
        "an address with its prefix length in quotes, such as \"10.0.1.100/24\"".to_owned()
    }
}

/// A command: its path and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine(pub(crate) Vec<String>);

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl Value for CommandLine {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let words = Vec::<String>::read(value, reader)?;
        if words.first().is_none_or(String::is_empty) {
            reader.problem(value.span(), "the command is missing");
            return None;
        }
        Some(Self(words))
    }
    fn write(&self) -> Option<toml::Value> {
        self.0.write()
    }
    fn expected() -> String {
        "a command as a list of words, such as [\"/usr/bin/true\"]".to_owned()
    }
}

/// A weight: -253 to 253.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weight(pub(crate) i16);

impl Value for Weight {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(number) = value.get_ref().as_integer() else {
            reader.wrong_type(value, &Self::expected());
            return None;
        };
        let read = i16::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| (-253..=253).contains(n));
        if read.is_none() {
            reader.problem(value.span(), format!("{number} is out of range: -253 to 253"));
        }
        read.map(Self)
    }
    fn write(&self) -> Option<toml::Value> {
        Some(i64::from(self.0).into())
    }
    fn expected() -> String {
        "a whole number, -253 to 253".to_owned()
    }
}
