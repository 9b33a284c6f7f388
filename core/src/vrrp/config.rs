//! What the operator wants: instances, sync groups, tracks.
//!
//! Every id is a number that the runtime chooses below the capacity of its table. What keeps its id over a
//! [reload](super::Vrrp::configure) is the same thing, and keeps its state.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::timing::Interval;
use crate::wire::vrrp::{AuthType, Checksum, Version};

/// Most virtual addresses of an instance.
pub const ADDRESSES_MAX: usize = 32;
/// Most unicast peers of an instance.
pub const PEERS_MAX: usize = 16;
/// Most tracks of an instance or of a group.
pub const TRACKS_MAX: usize = 16;
/// Most members of a sync group.
pub const MEMBERS_MAX: usize = 32;
/// The priority of the router that owns the virtual addresses (RFC 9568 §6.1).
pub const PRIORITY_OWNER: u8 = 255;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name(pub u16);
    )*};
}

ids! {
    /// An instance: one virtual router on one interface.
    InstanceId,
    /// A sync group.
    GroupId,
    /// Something that is watched.
    TrackId,
    /// A network interface, whether it is there or not.
    InterfaceId,
}

/// A password of VRRPv2 as it stands in the packet: the first 8 characters, padded with zeros (RFC 2338 §5.3.6.2, as
/// Keepalived).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Password([u8; 8]);

impl Password {
    /// The password of which `text` gives the first 8 bytes.
    pub fn new(text: &[u8]) -> Self {
        let mut data = [0; 8];
        for (to, from) in data.iter_mut().zip(text) {
            *to = *from;
        }
        Self(data)
    }

    pub(super) const fn data(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

/// How adverts of VRRPv2 are authenticated. VRRPv3 has no authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// By a password in clear (`auth_type PASS`).
    Pass(Password),
}

impl Auth {
    pub(super) const fn on_wire(self) -> (AuthType, [u8; 8]) {
        match self {
            Self::None => (AuthType::None, [0; 8]),
            Self::Pass(password) => (AuthType::SimplePassword, password.data()),
        }
    }

    /// Whether the data of an advert of the right type will do. Without authentication it is ignored (RFC 3768 §5.3.10).
    pub(super) fn admits(self, data: [u8; 8]) -> bool {
        match self {
            Self::None => true,
            Self::Pass(password) => password.data() == data,
        }
    }
}

/// An address that moves with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VirtualAddress {
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix in bits.
    pub prefix_len: u8,
    /// The interface that gets it.
    pub interface: InterfaceId,
    /// Whether adverts list it. One that they do not list may be of the other family (`virtual_ipaddress_excluded`).
    pub advertised: bool,
}

impl VirtualAddress {
    /// Whether both are the same address on the same interface.
    pub(super) fn is_same_place(&self, other: &Self) -> bool {
        (self.address, self.prefix_len, self.interface) == (other.address, other.prefix_len, other.interface)
    }
}

/// A track as an instance or a group uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrackUse {
    /// The track.
    pub track: TrackId,
    /// Zero: the instance is at fault while the track is down. Negative: added to the priority while it is down.
    /// Positive: added while it is up.
    pub weight: i16,
}

/// How addresses are announced, by gratuitous ARP or unsolicited neighbour advertisements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AnnounceConfig {
    /// Announcements of each address on taking over; the first goes out at once.
    pub count: u8,
    /// Time between them.
    pub gap: Duration,
    /// Announcements of each address in the second burst; zero for none.
    pub repeat_count: u8,
    /// Time from the end of the first burst to the second.
    pub repeat_delay: Duration,
    /// Least time between single announcements while Active; each follows an advert at once, so that whoever yields to
    /// that advert is forgotten by its neighbours in the same moment. Zero for none.
    pub refresh: Duration,
}

impl Default for AnnounceConfig {
    fn default() -> Self {
        Self {
            count: 5,
            gap: Duration::from_millis(1),
            repeat_count: 5,
            repeat_delay: Duration::from_secs(5),
            refresh: Duration::from_millis(500),
        }
    }
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceConfig {
    /// Its id.
    pub id: InstanceId,
    /// The interface on which it speaks.
    pub interface: InterfaceId,
    /// The version it speaks. It ignores the other one.
    pub version: Version,
    /// Virtual Router Identifier, 1 to 255.
    pub vrid: u8,
    /// Priority, 1 to 254, or [`PRIORITY_OWNER`].
    pub priority: u8,
    /// Advertisement_Interval: whole seconds up to 255 in VRRPv2, 1 to 4095 centiseconds in VRRPv3.
    pub interval: Interval,
    /// Preempt_Mode: whether it takes over from an Active of lower priority.
    pub preempt: bool,
    /// How long it waits with that after its start, and after the first advert of lower priority that it saw.
    pub preempt_delay: Duration,
    /// Accept_Mode: whether packets to the addresses are taken while Active. Handed on with
    /// [`Action::AddAddress`](super::Action::AddAddress).
    pub accept: bool,
    /// Whether it gives up with priority 0 at once when a track lowers its priority while it is Active. Without it
    /// others wait until the adverts that they accept have been missing for long enough.
    pub resign_on_loss: bool,
    /// Authentication (VRRPv2).
    pub auth: Auth,
    /// What the checksum of VRRPv3 over IPv4 covers when we send. Both are taken when received.
    pub checksum: Checksum,
    /// Lowest TTL or hop limit taken. The standard wants 255 (RFC 9568 §7.1); routed unicast peers need less.
    pub ttl_min: u8,
    /// Source of adverts, if it is not the interface's primary address.
    pub source: Option<IpAddr>,
    /// Unicast peers. Empty: multicast. Otherwise adverts from other sources are ignored.
    pub peers: heapless::Vec<IpAddr, PEERS_MAX>,
    /// Virtual addresses, at least one of them advertised.
    pub addresses: heapless::Vec<VirtualAddress, ADDRESSES_MAX>,
    /// Tracks.
    pub tracks: heapless::Vec<TrackUse, TRACKS_MAX>,
    /// Announcements.
    pub announce: AnnounceConfig,
}

impl InstanceConfig {
    /// An instance of VRRPv3 with the defaults of the standard, and no addresses yet.
    pub fn new(id: InstanceId, interface: InterfaceId, vrid: u8) -> Self {
        Self {
            id,
            interface,
            version: Version::V3,
            vrid,
            priority: 100,
            interval: Interval::DEFAULT,
            preempt: true,
            preempt_delay: Duration::ZERO,
            accept: true,
            resign_on_loss: true,
            auth: Auth::None,
            checksum: Checksum::WithPseudoHeader,
            ttl_min: 255,
            source: None,
            peers: heapless::Vec::new(),
            addresses: heapless::Vec::new(),
            tracks: heapless::Vec::new(),
            announce: AnnounceConfig::default(),
        }
    }

    /// Whether the addresses that it advertises are IPv6.
    pub fn is_ipv6(&self) -> bool {
        self.advertised().next().is_some_and(|address| address.is_ipv6())
    }

    /// The addresses that adverts list.
    pub fn advertised(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().filter(|a| a.advertised).map(|a| a.address)
    }
}

impl Default for InstanceConfig {
    fn default() -> Self {
        Self::new(InstanceId::default(), InterfaceId::default(), 1)
    }
}

/// A sync group: its members are Active together, Backup together, at fault together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupConfig {
    /// Its id.
    pub id: GroupId,
    /// Its members. An instance is in one group at most.
    pub members: heapless::Vec<InstanceId, MEMBERS_MAX>,
    /// Tracks of all its members.
    pub tracks: heapless::Vec<TrackUse, TRACKS_MAX>,
}

/// Something that is watched: a script, a process, a file, our own SIP node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TrackConfig {
    /// Its id.
    pub id: TrackId,
    /// Good samples in a row until it is up, at least one.
    pub rise: u8,
    /// Bad samples in a row until it is down, at least one.
    pub fall: u8,
    /// Whether it counts as up until its first sample. Otherwise it is unknown until then: an instance that uses it
    /// with weight zero does not start, and other weights do not count.
    pub assumed_up: bool,
}

/// The whole configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config<'c> {
    /// Instances.
    pub instances: &'c [InstanceConfig],
    /// Sync groups.
    pub groups: &'c [GroupConfig],
    /// Tracks.
    pub tracks: &'c [TrackConfig],
}
