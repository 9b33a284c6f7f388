//! From the configuration to what the machine is told: names become numbers, which they keep over a reload.

use std::net::IpAddr;

use ipnet::IpNet;
use trunkline_core::machine::Cx;
use trunkline_core::vrrp::{
    Action, AnnounceConfig, Auth, Capacity, ConfigItem, GroupConfig, GroupId, InstanceConfig, InstanceId, InterfaceId,
    Interval, Password, Storage, TrackConfig, TrackId, TrackUse, VirtualAddress, Vrrp,
};
use trunkline_core::wire::vrrp::Version;

use crate::config::vrrp::{self, TrackRef, VrrpInstance, VrrpSyncGroup};
use crate::config::{Config, Problem};
use crate::io::{Clock, ServerEntropy};

/// Most instances.
pub(crate) const INSTANCES_MAX: usize = 64;
/// Most sync groups.
pub(crate) const GROUPS_MAX: usize = 16;
/// Most tracks.
pub(crate) const TRACKS_MAX: usize = 64;
/// Most interfaces.
pub(crate) const INTERFACES_MAX: usize = 32;

/// The track that stands for the SIP node of this process.
pub(crate) const NODE: &str = "node";

/// Longest name of an interface (`IFNAMSIZ` less its end).
const INTERFACE_NAME_MAX: usize = 15;

/// Numbers of things with names. A name keeps its number for as long as it is used.
#[derive(Clone, Debug)]
struct Ids<K> {
    keys: Vec<Option<K>>,
    capacity: usize,
}

impl<K: PartialEq + Clone> Ids<K> {
    const fn new(capacity: usize) -> Self {
        Self { keys: Vec::new(), capacity }
    }

    /// The number of `key`, which it gets if it has none; `None`: all numbers are taken.
    fn of(&mut self, key: &K) -> Option<u16> {
        let used = self.keys.iter().position(|k| k.as_ref() == Some(key));
        let at = used.or_else(|| self.keys.iter().position(Option::is_none)).or_else(|| {
            (self.keys.len() < self.capacity).then(|| {
                self.keys.push(None);
                self.keys.len() - 1
            })
        })?;
        self.keys[at] = Some(key.clone());
        u16::try_from(at).ok()
    }

    fn keep(&mut self, is_used: impl Fn(&K) -> bool) {
        self.keys.iter_mut().for_each(|key| {
            key.take_if(|key| !is_used(key));
        });
    }
}

/// What an instance is known by: its interface, its VRID, whether it is IPv6.
type InstanceKey = (String, u8, bool);

/// All numbers in use.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    interfaces: Ids<String>,
    instances: Ids<InstanceKey>,
    groups: Ids<String>,
    tracks: Ids<String>,
}

impl Default for Numbers {
    fn default() -> Self {
        Self {
            interfaces: Ids::new(INTERFACES_MAX),
            instances: Ids::new(INSTANCES_MAX),
            groups: Ids::new(GROUPS_MAX),
            tracks: Ids::new(TRACKS_MAX),
        }
    }
}

/// An instance as the driver needs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Instance {
    /// What the machine is told.
    pub(crate) config: InstanceConfig,
    /// Its name.
    pub(crate) name: String,
    /// Its interface.
    pub(crate) interface: String,
    /// Whether its addresses have an Ethernet address of their own.
    pub(crate) virtual_mac: bool,
}

impl Instance {
    /// The virtual router's Ethernet address (RFC 9568 §7.3).
    pub(crate) fn mac(&self) -> [u8; 6] {
        let family = if self.config.is_ipv6() { 2 } else { 1 };
        [0, 0, 0x5e, 0, family, self.config.vrid]
    }

    /// The interface that is made for it, if it has one of its own.
    pub(crate) fn virtual_interface(&self) -> Option<String> {
        let v6 = if self.config.is_ipv6() { "6" } else { "" };
        self.virtual_mac.then(|| format!("vrrp{v6}.{}", self.config.vrid))
    }
}

/// Everything that the driver is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Interfaces by name.
    pub(crate) interfaces: Vec<(InterfaceId, String)>,
    /// Instances.
    pub(crate) instances: Vec<Instance>,
    /// Sync groups with their names.
    pub(crate) groups: Vec<(String, GroupConfig)>,
    /// Tracks with their names.
    pub(crate) tracks: Vec<(String, TrackConfig)>,
    /// Tracks that stand for interfaces.
    pub(crate) interface_tracks: Vec<(TrackId, InterfaceId)>,
}

impl Plan {
    /// What the machine is told.
    pub(crate) fn parts(&self) -> (Vec<InstanceConfig>, Vec<GroupConfig>, Vec<TrackConfig>) {
        let instances = self.instances.iter().map(|i| i.config.clone()).collect();
        let groups = self.groups.iter().map(|(_, g)| g.clone()).collect();
        (instances, groups, self.tracks.iter().map(|(_, t)| *t).collect())
    }

    /// The number of a track.
    pub(crate) fn track(&self, name: &str) -> Option<TrackId> {
        self.tracks.iter().find(|(n, _)| n == name).map(|(_, track)| track.id)
    }
}

fn about(key: impl Into<String>, message: impl Into<String>) -> Problem {
    Problem { key: key.into(), message: message.into(), span: None }
}

/// Makes the plan of `config`. `has_node`: there is a SIP node in this process. All that is wrong is recorded.
pub(crate) fn plan(config: &Config, has_node: bool, numbers: &mut Numbers, problems: &mut Vec<Problem>) -> Plan {
    let mut maker = Maker { numbers, problems, plan: Plan::default(), has_node };
    maker.tracks(config);
    for (i, instance) in config.vrrp.iter().enumerate() {
        maker.instance(&format!("vrrp[{i}]"), instance);
    }
    for (i, group) in config.vrrp_sync_group.iter().enumerate() {
        maker.group(&format!("vrrp_sync_group[{i}]"), group);
    }
    let plan = maker.plan;
    numbers.interfaces.keep(|name| plan.interfaces.iter().any(|(_, n)| n == name));
    numbers.tracks.keep(|name| plan.track(name).is_some());
    numbers.groups.keep(|name| plan.groups.iter().any(|(n, _)| n == name));
    numbers.instances.keep(|key| plan.instances.iter().any(|i| key_of(&i.interface, &i.config) == *key));
    plan
}

/// Records what is wrong with the virtual routers of `config`.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let before = problems.len();
    let plan = plan(config, true, &mut Numbers::default(), problems);
    if problems.len() > before {
        return;
    }
    // What remains is the machine's to say.
    let (instances, groups, tracks) = plan.parts();
    let mut entropy = ServerEntropy::new();
    let mut cx = Cx { now: Clock::start().now(), entropy: &mut entropy };
    let given = trunkline_core::vrrp::Config { instances: &instances, groups: &groups, tracks: &tracks };
    let Err(error) = machine().configure(&mut cx, &given, &mut |_: Action<'_>| {}) else { return };
    let key = match error.item {
        ConfigItem::Instance(id) => plan.instances.iter().position(|i| i.config.id == id).map(|i| format!("vrrp[{i}]")),
        ConfigItem::Group(id) => {
            plan.groups.iter().position(|(_, g)| g.id == id).map(|i| format!("vrrp_sync_group[{i}]"))
        }
        ConfigItem::Track(_) => None,
    };
    problems.push(about(key.unwrap_or_else(|| "track".to_owned()), error.to_string()));
}

/// A machine with room for all that a configuration may hold.
pub(crate) fn machine() -> Vrrp<'static> {
    Vrrp::new(Storage::reserved(Capacity {
        instances: INSTANCES_MAX,
        groups: GROUPS_MAX,
        tracks: TRACKS_MAX,
        interfaces: INTERFACES_MAX,
    }))
}

fn key_of(interface: &str, config: &InstanceConfig) -> InstanceKey {
    (interface.to_owned(), config.vrid, config.is_ipv6())
}

struct Maker<'m> {
    numbers: &'m mut Numbers,
    problems: &'m mut Vec<Problem>,
    plan: Plan,
    has_node: bool,
}

impl Maker<'_> {
    fn problem(&mut self, key: impl Into<String>, message: impl Into<String>) {
        self.problems.push(about(key, message));
    }

    fn interface(&mut self, key: &str, name: &str) -> Option<InterfaceId> {
        let is_bad = |c: char| c == '/' || c == ':' || c.is_whitespace();
        if name.is_empty() || name.len() > INTERFACE_NAME_MAX || name.contains(is_bad) {
            self.problem(key, format!("{name:?} is not the name of an interface"));
            return None;
        }
        if let Some((id, _)) = self.plan.interfaces.iter().find(|(_, n)| n == name) {
            return Some(*id);
        }
        let Some(id) = self.numbers.interfaces.of(&name.to_owned()) else {
            self.problem(key, format!("there are more than {INTERFACES_MAX} interfaces"));
            return None;
        };
        self.plan.interfaces.push((InterfaceId(id), name.to_owned()));
        Some(InterfaceId(id))
    }

    fn tracks(&mut self, config: &Config) {
        let track = &config.track;
        if self.has_node {
            self.track("vrrp", NODE, 1, 1, false);
        }
        for (i, script) in track.script.iter().enumerate() {
            let key = format!("track.script[{i}]");
            let of = |count: u16| u8::try_from(count).unwrap_or(u8::MAX);
            self.track(&key, &script.name, of(script.rise), of(script.fall), script.assumed_up);
        }
        for (i, process) in track.process.iter().enumerate() {
            self.track(&format!("track.process[{i}]"), &process.name, 1, 1, false);
        }
        for (i, file) in track.file.iter().enumerate() {
            self.track(&format!("track.file[{i}]"), &file.name, 1, 1, false);
        }
        for (i, interface) in track.interface.iter().enumerate() {
            let key = format!("track.interface[{i}]");
            let id = self.track(&key, &interface.name, 1, 1, false);
            let link = self.interface(&format!("{key}.interface"), &interface.interface);
            self.plan.interface_tracks.extend(id.zip(link));
        }
    }

    fn track(&mut self, key: &str, name: &str, rise: u8, fall: u8, assumed_up: bool) -> Option<TrackId> {
        if self.plan.track(name).is_some() || (name == NODE && key != "vrrp") || name.is_empty() {
            self.problem(format!("{key}.name"), format!("{name:?} is taken; each track has a name of its own"));
            return None;
        }
        let Some(id) = self.numbers.tracks.of(&name.to_owned()) else {
            self.problem(key, format!("there are more than {TRACKS_MAX} tracks"));
            return None;
        };
        let id = TrackId(id);
        self.plan.tracks.push((name.to_owned(), TrackConfig { id, rise, fall, assumed_up }));
        Some(id)
    }

    fn track_uses<const N: usize>(&mut self, key: &str, refs: &[TrackRef], out: &mut heapless::Vec<TrackUse, N>) {
        for (i, track) in refs.iter().enumerate() {
            let key = format!("{key}.track[{i}].name");
            let Some(id) = self.plan.track(&track.name) else {
                // Without a node in this process nothing can be said of it.
                if track.name != NODE {
                    self.problem(key, format!("there is no track {:?}", track.name));
                }
                continue;
            };
            if out.iter().any(|used| used.track == id) {
                self.problem(key, format!("{:?} is tracked twice", track.name));
            } else if out.push(TrackUse { track: id, weight: track.weight.0 }).is_err() {
                self.problem(key, format!("more than {N} tracks"));
            }
        }
    }

    fn instance(&mut self, key: &str, given: &VrrpInstance) {
        let interface = self.interface(&format!("{key}.interface"), &given.interface);
        let vrid = u8::try_from(given.vrid).unwrap_or_default();
        let mut config = InstanceConfig::new(InstanceId(0), interface.unwrap_or_default(), vrid);
        config.version = if given.version == 2 { Version::V2 } else { Version::V3 };
        config.priority = u8::try_from(given.priority).unwrap_or(u8::MAX);
        config.preempt = given.preempt;
        config.preempt_delay = given.preempt_delay;
        config.resign_on_loss = given.resign_on_loss;
        config.source = given.source;
        config.ttl_min = u8::try_from(given.ttl_min).unwrap_or(u8::MAX);
        config.announce = announce(&given.announce);
        self.interval(key, given, &mut config);
        if let Some(password) = &given.password {
            config.auth = Auth::Pass(Password::new(password.expose().as_bytes()));
            if given.version != 2 {
                self.problem(format!("{key}.password"), "only version 2 has passwords");
            }
        }
        self.addresses(key, given, &mut config);
        if given.peers.iter().any(|peer| config.peers.push(*peer).is_err()) {
            self.problem(format!("{key}.peers"), format!("more than {} peers", config.peers.capacity()));
        }
        self.track_uses(key, &given.track, &mut config.tracks);
        self.track_node(key, given, &mut config);
        self.name(key, &given.name);
        let taken = |i: &Instance| key_of(&i.interface, &i.config) == key_of(&given.interface, &config);
        if self.plan.instances.iter().any(taken) {
            self.problem(format!("{key}.vrid"), format!("VRID {vrid} stands on {} twice", given.interface));
        }
        match self.numbers.instances.of(&key_of(&given.interface, &config)) {
            Some(id) => config.id = InstanceId(id),
            None => self.problem(key, format!("there are more than {INSTANCES_MAX} virtual routers")),
        }
        let instance = Instance {
            config,
            name: given.name.clone(),
            interface: given.interface.clone(),
            virtual_mac: given.virtual_mac,
        };
        self.plan.instances.push(instance);
    }

    fn name(&mut self, key: &str, name: &str) {
        let taken = self.plan.instances.iter().any(|i| i.name == name) || self.plan.groups.iter().any(|g| g.0 == name);
        if taken || name.is_empty() {
            self.problem(format!("{key}.name"), format!("{name:?} is taken; each has a name of its own"));
        }
    }

    fn interval(&mut self, key: &str, given: &VrrpInstance, config: &mut InstanceConfig) {
        let ms = given.advert_interval.as_millis();
        let interval = u16::try_from(ms / 10).map(Interval::from_centis).unwrap_or_default();
        config.interval = interval;
        if !ms.is_multiple_of(10) || !interval.fits(config.version) {
            let wanted = match config.version {
                Version::V2 => "version 2 counts whole seconds, 1s to 255s",
                Version::V3 => "version 3 counts 10ms, 10ms to 40950ms",
            };
            self.problem(format!("{key}.advert_interval"), wanted);
        }
    }

    fn addresses(&mut self, key: &str, given: &VrrpInstance, config: &mut InstanceConfig) {
        if given.addresses.is_empty() {
            self.problem(format!("{key}.addresses"), "at least one address is wanted");
        }
        let v6 = given.addresses.first().is_some_and(|a| a.net.addr().is_ipv6());
        let lists = [("addresses", &given.addresses, true), ("excluded_addresses", &given.excluded_addresses, false)];
        for (list, addresses, advertised) in lists {
            for (i, address) in addresses.iter().enumerate() {
                let key = format!("{key}.{list}[{i}]");
                if advertised && address.net.addr().is_ipv6() != v6 {
                    self.problem(
                        &key,
                        "the addresses of a virtual router are of one family; the others are excluded_addresses",
                    );
                }
                let Some(address) = self.address(&key, address, config.interface, advertised) else { continue };
                if config.addresses.iter().any(|a| a.address == address.address) {
                    self.problem(&key, format!("{} stands here twice", address.address));
                } else if config.addresses.push(address).is_err() {
                    self.problem(&key, format!("more than {} addresses", config.addresses.capacity()));
                }
            }
        }
        let families = given.source.iter().chain(&given.peers).any(|ip| ip.is_ipv6() != v6);
        if families {
            self.problem(key, "source and peers are of the family of the addresses");
        }
        if v6 && given.version == 2 {
            self.problem(format!("{key}.version"), "version 2 has no IPv6");
        }
    }

    fn address(
        &mut self,
        key: &str,
        given: &vrrp::VirtualAddress,
        own: InterfaceId,
        advertised: bool,
    ) -> Option<VirtualAddress> {
        let interface = match &given.interface {
            Some(name) => self.interface(key, name)?,
            None => own,
        };
        Some(VirtualAddress { address: given.net.addr(), prefix_len: given.net.prefix_len(), interface, advertised })
    }

    fn track_node(&mut self, key: &str, given: &VrrpInstance, config: &mut InstanceConfig) {
        let Some(node) = self.plan.track(NODE).filter(|_| given.track_node) else { return };
        if config.tracks.iter().any(|used| used.track == node) {
            return;
        }
        if config.tracks.push(TrackUse { track: node, weight: 0 }).is_err() {
            self.problem(key, format!("more than {} tracks", config.tracks.capacity()));
        }
    }

    fn group(&mut self, key: &str, given: &VrrpSyncGroup) {
        self.name(key, &given.name);
        let Some(id) = self.numbers.groups.of(&given.name) else {
            return self.problem(key, format!("there are more than {GROUPS_MAX} sync groups"));
        };
        let mut config = GroupConfig { id: GroupId(id), ..GroupConfig::default() };
        for (i, name) in given.members.iter().enumerate() {
            let key = format!("{key}.members[{i}]");
            let Some(member) = self.plan.instances.iter().find(|i| i.name == *name).map(|i| i.config.id) else {
                self.problem(key, format!("there is no virtual router {name:?}"));
                continue;
            };
            let elsewhere = self.plan.groups.iter().any(|(_, group)| group.members.contains(&member));
            if elsewhere || config.members.contains(&member) {
                self.problem(key, format!("{name:?} is in a sync group already"));
            } else if config.members.push(member).is_err() {
                self.problem(key, format!("more than {} members", config.members.capacity()));
            }
        }
        if given.members.is_empty() {
            self.problem(format!("{key}.members"), "a sync group without members does nothing");
        }
        self.track_uses(key, &given.track, &mut config.tracks);
        self.plan.groups.push((given.name.clone(), config));
    }
}

fn announce(given: &vrrp::Announce) -> AnnounceConfig {
    let count = |n: u16| u8::try_from(n).unwrap_or(u8::MAX);
    AnnounceConfig {
        count: count(given.count),
        gap: given.gap,
        repeat_count: count(given.repeat_count),
        repeat_delay: given.repeat_delay,
        refresh: given.refresh,
    }
}

/// Whether a virtual router of `config` may hold this address: then a socket can be bound to it before it is there.
pub(crate) fn is_virtual(config: &Config, address: IpAddr) -> bool {
    let all = config.vrrp.iter().flat_map(|v| v.addresses.iter().chain(&v.excluded_addresses));
    all.into_iter().any(|a| a.net.addr() == address)
}

/// The address with its prefix.
pub(crate) fn net(address: &VirtualAddress) -> Option<IpNet> {
    IpNet::new(address.address, address.prefix_len).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[[vrrp]]
name = "VI_SIP"
interface = "eth0"
vrid = 51
addresses = ["10.0.1.100/24"]
excluded_addresses = ["fd98::100/64 dev eth1"]
track = [{ name = "uplink", weight = -20 }, { name = "node", weight = -5 }]
[[vrrp]]
name = "VI_V2"
interface = "eth0"
vrid = 52
version = 2
password = "longer than eight"
addresses = ["10.0.1.101"]
[[vrrp_sync_group]]
name = "VG"
members = ["VI_SIP", "VI_V2"]
[[track.interface]]
name = "uplink"
interface = "eth1"
"#;

    fn problems(text: &str) -> Vec<String> {
        match crate::config::parse(text, std::path::Path::new("")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.iter().map(|p| format!("{}: {}", p.key, p.message)).collect(),
        }
    }

    fn config(text: &str) -> Config {
        crate::config::parse(text, std::path::Path::new("")).unwrap().0
    }

    fn planned(text: &str, has_node: bool, numbers: &mut Numbers) -> Plan {
        let mut problems = Vec::new();
        let plan = plan(&config(text), has_node, numbers, &mut problems);
        assert_eq!(problems, []);
        plan
    }

    #[test]
    fn a_configuration_becomes_a_plan() {
        let plan = planned(GOOD, true, &mut Numbers::default());
        let names: Vec<_> = plan.interfaces.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["eth1", "eth0"]);
        let [sip, v2] = &plan.instances[..] else { panic!() };
        assert_eq!(sip.config.addresses.len(), 2);
        assert!(!sip.config.addresses[1].advertised && sip.config.addresses[1].interface != sip.config.interface);
        let node = plan.track(NODE).unwrap();
        let uses = |i: &Instance| i.config.tracks.iter().map(|u| (u.track, u.weight)).collect::<Vec<_>>();
        assert_eq!(uses(sip), [(plan.track("uplink").unwrap(), -20), (node, -5)]);
        assert_eq!(uses(v2), [(node, 0)], "the node is tracked where nothing else is said");
        assert_eq!((v2.config.version, v2.config.auth), (Version::V2, Auth::Pass(Password::new(b"longer t"))));
        assert_eq!(plan.groups[0].1.members.len(), 2);
        let alone = planned(GOOD, false, &mut Numbers::default());
        assert_eq!(alone.track(NODE), None);
        assert_eq!(uses(&alone.instances[1]), []);
    }

    #[test]
    fn numbers_stay_over_a_reload_and_are_given_again_only_later() {
        let mut numbers = Numbers::default();
        let first = planned(GOOD, true, &mut numbers);
        let other = GOOD.replace("vrid = 51", "vrid = 53").replace("eth1", "eth2");
        let second = planned(&other, true, &mut numbers);
        assert_eq!(first.instances[1].config.id, second.instances[1].config.id);
        assert_ne!(first.instances[0].config.id, second.instances[0].config.id, "another VRID is another router");
        let id = |plan: &Plan, name: &str| plan.interfaces.iter().find(|(_, n)| n == name).map(|(id, _)| *id);
        assert_eq!(id(&first, "eth0"), id(&second, "eth0"));
        assert!(first.interfaces.iter().all(|(old, _)| Some(*old) != id(&second, "eth2")));
        let third = planned(GOOD, true, &mut numbers);
        assert_eq!(third.instances[0].config.id, first.instances[0].config.id, "free again");
    }

    #[test]
    fn what_contradicts_is_named_with_its_key() {
        for (from, to, wanted) in [
            ("vrid = 52", "vrid = 51", "vrrp[1].vrid: VRID 51 stands on eth0 twice"),
            ("name = \"VI_V2\"", "name = \"VI_SIP\"", "vrrp[1].name: \"VI_SIP\" is taken"),
            ("version = 2", "version = 3", "vrrp[1].password: only version 2"),
            ("version = 2", "version = 2\nadvert_interval = \"100ms\"", "vrrp[1].advert_interval: version 2 counts"),
            ("vrid = 51", "vrid = 51\nadvert_interval = \"15ms\"", "vrrp[0].advert_interval: version 3 counts"),
            ("[\"10.0.1.101\"]", "[\"fd98::1\"]", "vrrp[1].version: version 2 has no IPv6"),
            ("[\"10.0.1.101\"]", "[]", "vrrp[1].addresses: at least one"),
            ("[\"10.0.1.101\"]", "[\"10.0.1.101\", \"fd98::1\"]", "vrrp[1].addresses[1]: the addresses"),
            ("[\"10.0.1.101\"]", "[\"10.0.1.101\", \"10.0.1.101/24\"]", "10.0.1.101 stands here twice"),
            ("[\"10.0.1.101\"]", "[\"127.0.0.1\"]", "not an address that a host can hold"),
            ("name = \"uplink\", weight", "name = \"upling\", weight", "there is no track \"upling\""),
            ("members = [\"VI_SIP\"", "members = [\"VI_SIB\"", "there is no virtual router \"VI_SIB\""),
            ("members = [\"VI_SIP\"", "members = [\"VI_V2\"", "is in a sync group already"),
            ("interface = \"eth1\"\n", "interface = \"a/b\"\n", "is not the name of an interface"),
            ("name = \"uplink\"\n", "name = \"node\"\n", "\"node\" is taken"),
            ("vrid = 51", "vrid = 51\nsource = \"fd98::7\"", "source and peers are of the family"),
            ("weight = -20", "weight = -300", "out of range"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let found = problems(&GOOD.replacen(from, to, 1));
            assert!(found.iter().any(|p| p.contains(wanted)), "{wanted:?} is not in {found:#?}");
        }
        assert_eq!(problems(GOOD), [""; 0]);
    }

    #[test]
    fn addresses_of_virtual_routers_are_known_as_such() {
        let config = config(GOOD);
        for (ip, wanted) in [("10.0.1.100", true), ("fd98::100", true), ("10.0.1.1", false)] {
            assert_eq!(is_virtual(&config, ip.parse().unwrap()), wanted);
        }
    }

    #[test]
    fn virtual_ethernet_addresses_carry_family_and_vrid() {
        let text = GOOD.replacen("vrid = 51", "vrid = 51\nvirtual_mac = true", 1);
        let plan = planned(&text, true, &mut Numbers::default());
        assert_eq!(plan.instances[0].mac(), [0, 0, 0x5e, 0, 1, 51]);
        assert_eq!(plan.instances[0].virtual_interface().as_deref(), Some("vrrp.51"));
        assert_eq!(plan.instances[1].virtual_interface(), None);
    }
}
