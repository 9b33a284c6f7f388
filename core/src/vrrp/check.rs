//! What a configuration must hold to be taken.

use core::fmt;

use super::config::{
    Auth, Config, GroupConfig, GroupId, InstanceConfig, InstanceId, PRIORITY_OWNER, TrackConfig, TrackId, TrackUse,
};
use crate::wire::vrrp::Version;

/// What part of a configuration an error is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ConfigItem {
    /// An instance.
    Instance(InstanceId),
    /// A sync group.
    Group(GroupId),
    /// A track.
    Track(TrackId),
}

/// Why a configuration was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ConfigError {
    /// Where.
    pub item: ConfigItem,
    /// What.
    pub kind: ConfigErrorKind,
}

/// What can be wrong with a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConfigErrorKind {
    /// The id, or one that it refers to, is beyond the capacity.
    NoRoom,
    /// The id stands twice.
    DuplicateId,
    /// VRID 0.
    Vrid,
    /// Another instance on the interface has the VRID in the same family.
    DuplicateVrid,
    /// Priority 0.
    Priority,
    /// The version cannot carry the interval.
    Interval,
    /// It advertises no address.
    NoAddress,
    /// Advertised addresses, source or peers are of two families.
    MixedFamilies,
    /// A prefix is longer than its address.
    PrefixLength,
    /// VRRPv2 over IPv6.
    Ipv6Version,
    /// Authentication in VRRPv3.
    AuthVersion,
    /// A track that is not configured.
    UnknownTrack,
    /// A member that is not configured.
    UnknownMember,
    /// An instance is in two groups, or in one twice.
    DuplicateMember,
    /// A group without members.
    NoMember,
    /// A rise or fall of zero.
    RiseFall,
}

impl fmt::Display for ConfigErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "more than there is room for",
            Self::DuplicateId => "stands twice",
            Self::Vrid => "the virtual router id must be 1 to 255",
            Self::DuplicateVrid => "the virtual router id is taken on that interface",
            Self::Priority => "the priority must be 1 to 255",
            Self::Interval => "the interval must be whole seconds up to 255 (version 2) or 1 to 4095 cs (version 3)",
            Self::NoAddress => "it advertises no address",
            Self::MixedFamilies => "advertised addresses, source and peers must be all IPv4 or all IPv6",
            Self::PrefixLength => "a prefix is longer than its address",
            Self::Ipv6Version => "IPv6 needs version 3",
            Self::AuthVersion => "only version 2 has authentication",
            Self::UnknownTrack => "it tracks what is not configured",
            Self::UnknownMember => "a member is not configured",
            Self::DuplicateMember => "a member is in two groups",
            Self::NoMember => "it has no member",
            Self::RiseFall => "rise and fall must be at least 1",
        })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.item {
            ConfigItem::Instance(id) => write!(f, "VRRP instance {}: {}", id.0, self.kind),
            ConfigItem::Group(id) => write!(f, "VRRP sync group {}: {}", id.0, self.kind),
            ConfigItem::Track(id) => write!(f, "track {}: {}", id.0, self.kind),
        }
    }
}

impl core::error::Error for ConfigError {}

/// How many of each there is room for. An id is smaller than that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Instances.
    pub instances: usize,
    /// Sync groups.
    pub groups: usize,
    /// Tracks.
    pub tracks: usize,
    /// Interfaces.
    pub interfaces: usize,
}

/// Checks the whole of a configuration.
pub(super) fn check(config: &Config<'_>, room: Capacity) -> Result<(), ConfigError> {
    for (at, track) in config.tracks.iter().enumerate() {
        let error = |kind| ConfigError { item: ConfigItem::Track(track.id), kind };
        check_track(track, &config.tracks[..at], room).map_err(error)?;
    }
    for (at, instance) in config.instances.iter().enumerate() {
        let error = |kind| ConfigError { item: ConfigItem::Instance(instance.id), kind };
        check_place(instance, &config.instances[..at], room).map_err(error)?;
        check_protocol(instance).map_err(error)?;
        check_addresses(instance, room).map_err(error)?;
        check_uses(&instance.tracks, config.tracks).map_err(error)?;
    }
    for (at, group) in config.groups.iter().enumerate() {
        let error = |kind| ConfigError { item: ConfigItem::Group(group.id), kind };
        check_group(group, &config.groups[..at], config.instances, room).map_err(error)?;
        check_uses(&group.tracks, config.tracks).map_err(error)?;
    }
    Ok(())
}

fn ensure(holds: bool, kind: ConfigErrorKind) -> Result<(), ConfigErrorKind> {
    if holds { Ok(()) } else { Err(kind) }
}

fn check_track(track: &TrackConfig, before: &[TrackConfig], room: Capacity) -> Result<(), ConfigErrorKind> {
    ensure(usize::from(track.id.0) < room.tracks, ConfigErrorKind::NoRoom)?;
    ensure(before.iter().all(|other| other.id != track.id), ConfigErrorKind::DuplicateId)?;
    ensure(track.rise > 0 && track.fall > 0, ConfigErrorKind::RiseFall)
}

fn check_place(instance: &InstanceConfig, before: &[InstanceConfig], room: Capacity) -> Result<(), ConfigErrorKind> {
    ensure(usize::from(instance.id.0) < room.instances, ConfigErrorKind::NoRoom)?;
    ensure(usize::from(instance.interface.0) < room.interfaces, ConfigErrorKind::NoRoom)?;
    ensure(before.iter().all(|other| other.id != instance.id), ConfigErrorKind::DuplicateId)?;
    ensure(before.iter().all(|other| !other.is_same_router(instance)), ConfigErrorKind::DuplicateVrid)
}

fn check_protocol(instance: &InstanceConfig) -> Result<(), ConfigErrorKind> {
    ensure(instance.vrid > 0, ConfigErrorKind::Vrid)?;
    ensure(instance.priority > 0, ConfigErrorKind::Priority)?;
    ensure(instance.interval.fits(instance.version), ConfigErrorKind::Interval)?;
    ensure(instance.version == Version::V2 || instance.auth == Auth::None, ConfigErrorKind::AuthVersion)
}

fn check_addresses(instance: &InstanceConfig, room: Capacity) -> Result<(), ConfigErrorKind> {
    ensure(instance.advertised().next().is_some(), ConfigErrorKind::NoAddress)?;
    let ipv6 = instance.is_ipv6();
    ensure(!ipv6 || instance.version == Version::V3, ConfigErrorKind::Ipv6Version)?;
    let same_family = instance
        .advertised()
        .chain(instance.source)
        .chain(instance.peers.iter().copied())
        .all(|address| address.is_ipv6() == ipv6);
    ensure(same_family, ConfigErrorKind::MixedFamilies)?;
    for address in &instance.addresses {
        let bits = if address.address.is_ipv6() { 128 } else { 32 };
        ensure(address.prefix_len <= bits, ConfigErrorKind::PrefixLength)?;
        ensure(usize::from(address.interface.0) < room.interfaces, ConfigErrorKind::NoRoom)?;
    }
    Ok(())
}

fn check_uses(uses: &[TrackUse], tracks: &[TrackConfig]) -> Result<(), ConfigErrorKind> {
    let known = |of: &TrackUse| tracks.iter().any(|track| track.id == of.track);
    ensure(uses.iter().all(known), ConfigErrorKind::UnknownTrack)
}

fn check_group(
    group: &GroupConfig,
    before: &[GroupConfig],
    instances: &[InstanceConfig],
    room: Capacity,
) -> Result<(), ConfigErrorKind> {
    ensure(usize::from(group.id.0) < room.groups, ConfigErrorKind::NoRoom)?;
    ensure(before.iter().all(|other| other.id != group.id), ConfigErrorKind::DuplicateId)?;
    ensure(!group.members.is_empty(), ConfigErrorKind::NoMember)?;
    for (at, member) in group.members.iter().enumerate() {
        ensure(instances.iter().any(|instance| instance.id == *member), ConfigErrorKind::UnknownMember)?;
        let elsewhere = before.iter().any(|other| other.members.contains(member));
        ensure(!elsewhere && !group.members[..at].contains(member), ConfigErrorKind::DuplicateMember)?;
    }
    Ok(())
}

impl InstanceConfig {
    /// Whether both are the same virtual router: VRID, interface and family.
    pub(super) fn is_same_router(&self, other: &Self) -> bool {
        (self.vrid, self.interface, self.is_ipv6()) == (other.vrid, other.interface, other.is_ipv6())
    }

    pub(super) const fn is_owner(&self) -> bool {
        self.priority == PRIORITY_OWNER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::config::{InterfaceId, Password, VirtualAddress};
    use crate::vrrp::timing;
    use core::net::IpAddr;

    const ROOM: Capacity = Capacity { instances: 4, groups: 2, tracks: 2, interfaces: 2 };

    fn address(address: IpAddr) -> VirtualAddress {
        VirtualAddress { address, prefix_len: 32, interface: InterfaceId(0), advertised: true }
    }

    fn instance(id: u16) -> InstanceConfig {
        let mut config = InstanceConfig::new(InstanceId(id), InterfaceId(0), 51 + id as u8);
        config.addresses.push(address(IpAddr::from([10, 0, 0, 100]))).unwrap();
        config
    }

    fn track() -> TrackConfig {
        TrackConfig { id: TrackId(0), rise: 1, fall: 1, assumed_up: true }
    }

    fn group(members: &[u16]) -> GroupConfig {
        let members = members.iter().map(|id| InstanceId(*id)).collect();
        GroupConfig { id: GroupId(0), members, tracks: heapless::Vec::new() }
    }

    #[track_caller]
    fn instance_error(kind: ConfigErrorKind, change: impl Fn(&mut InstanceConfig)) {
        let mut bad = instance(1);
        change(&mut bad);
        let item = ConfigItem::Instance(bad.id);
        let instances = [instance(0), bad];
        let config = Config { instances: &instances, ..Config::default() };
        assert_eq!(check(&config, ROOM), Err(ConfigError { item, kind }));
    }

    #[test]
    fn each_fault_of_an_instance_has_its_error() {
        use ConfigErrorKind::*;
        let v6 = IpAddr::from([0xfd98, 0, 0, 0, 0, 0, 0, 1]);
        instance_error(NoRoom, |c| c.id = InstanceId(4));
        instance_error(NoRoom, |c| c.interface = InterfaceId(2));
        instance_error(NoRoom, |c| c.addresses[0].interface = InterfaceId(2));
        instance_error(DuplicateId, |c| c.id = InstanceId(0));
        instance_error(DuplicateVrid, |c| c.vrid = 51);
        instance_error(Vrid, |c| c.vrid = 0);
        instance_error(Priority, |c| c.priority = 0);
        instance_error(Interval, |c| c.interval = timing::Interval::from_centis(0));
        instance_error(Interval, |c| (c.version, c.interval) = (Version::V2, timing::Interval::from_centis(10)));
        instance_error(NoAddress, |c| c.addresses.clear());
        instance_error(NoAddress, |c| c.addresses[0].advertised = false);
        instance_error(MixedFamilies, |c| c.addresses.push(address(v6)).unwrap());
        instance_error(MixedFamilies, |c| c.source = Some(v6));
        instance_error(MixedFamilies, |c| c.peers.push(v6).unwrap());
        instance_error(PrefixLength, |c| c.addresses[0].prefix_len = 33);
        instance_error(Ipv6Version, |c| (c.version, c.addresses[0]) = (Version::V2, address(v6)));
        instance_error(AuthVersion, |c| c.auth = Auth::Pass(Password::new(b"secret")));
        instance_error(UnknownTrack, |c| c.tracks.push(TrackUse { track: TrackId(0), weight: 0 }).unwrap());
    }

    #[test]
    fn the_same_vrid_is_two_routers_in_two_families() {
        let mut v6 = InstanceConfig { vrid: 51, ..instance(1) };
        v6.addresses[0] = address(IpAddr::from([0xfd98, 0, 0, 0, 0, 0, 0, 1]));
        let config = Config { instances: &[instance(0), v6], ..Config::default() };
        assert_eq!(check(&config, ROOM), Ok(()));
    }

    #[test]
    fn each_fault_of_a_group_or_a_track_has_its_error() {
        use ConfigErrorKind::*;
        let check_groups = |groups: &[GroupConfig]| {
            let config = Config { instances: &[instance(0), instance(1)], groups, tracks: &[track()] };
            check(&config, ROOM).map_err(|e| e.kind)
        };
        let second = GroupConfig { id: GroupId(1), ..group(&[1]) };
        assert_eq!(check_groups(&[group(&[0]), second.clone()]), Ok(()));
        assert_eq!(check_groups(&[group(&[0, 1]), second]), Err(DuplicateMember));
        assert_eq!(check_groups(&[group(&[0, 0])]), Err(DuplicateMember));
        assert_eq!(check_groups(&[group(&[0, 2])]), Err(UnknownMember));
        assert_eq!(check_groups(&[group(&[])]), Err(NoMember));
        assert_eq!(check_groups(&[group(&[0]), group(&[1])]), Err(DuplicateId));
        assert_eq!(check_groups(&[GroupConfig { id: GroupId(2), ..group(&[0]) }]), Err(NoRoom));

        let check_tracks =
            |tracks: &[TrackConfig]| check(&Config { tracks, ..Config::default() }, ROOM).map_err(|e| e.kind);
        assert_eq!(check_tracks(&[track()]), Ok(()));
        assert_eq!(check_tracks(&[track(), track()]), Err(DuplicateId));
        assert_eq!(check_tracks(&[TrackConfig { id: TrackId(2), ..track() }]), Err(NoRoom));
        assert_eq!(check_tracks(&[TrackConfig { rise: 0, ..track() }]), Err(RiseFall));
        assert_eq!(check_tracks(&[TrackConfig { fall: 0, ..track() }]), Err(RiseFall));
    }
}
