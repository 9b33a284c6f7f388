//! What happens to the machine, and what it wants done.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::config::{GroupId, InstanceId, InterfaceId, TrackId, VirtualAddress};

/// The states of an instance (RFC 9568 §6.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// Not taking part: not started, stopped, or at [fault](Fault).
    #[default]
    Initialize,
    /// Listening, ready to take over (Keepalived: BACKUP).
    Backup,
    /// Holding the addresses (Keepalived: MASTER).
    Active,
}

/// Why an instance does not take part (Keepalived: FAULT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// The operator released it; it comes back only on command.
    Released,
    /// The interface is down or not there.
    Link,
    /// The interface has no address to send from.
    NoSource,
    /// That track is down, or nothing is known of it yet.
    Track(TrackId),
    /// That member of its sync group is at fault.
    Member(InstanceId),
}

/// Why a state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// It started: interface and tracks are there.
    Startup,
    /// It was stopped, or taken out of the configuration.
    Shutdown,
    /// It owns the addresses.
    Owner,
    /// The adverts of the Active have been missing for the Active_Down_Interval.
    ActiveDown,
    /// The Active gave up with priority 0.
    ActiveResigned,
    /// The Active has a lower priority.
    Preempted {
        /// The Active until now.
        from: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// Another Active goes first, by priority or by address.
    Outranked {
        /// The other one.
        by: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// A track lowered its priority, and it gave up.
    PriorityLost {
        /// The priority that is left.
        priority: u8,
    },
    /// It is at fault.
    Fault(Fault),
    /// Its sync group changed with that member.
    Group(InstanceId),
}

/// Whom a notification or a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Subject {
    /// An instance.
    Instance(InstanceId),
    /// A sync group.
    Group(GroupId),
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Transition {
    /// The state until now.
    pub from: State,
    /// The state from now on.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// A VRRP packet (IP protocol 112) as it was received, without its IP header.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'e> {
    /// Its source.
    pub source: IpAddr,
    /// Its destination: a multicast group, or our address.
    pub destination: IpAddr,
    /// Its TTL or hop limit.
    pub ttl: u8,
    /// What follows the IP header.
    pub bytes: &'e [u8],
}

/// What is known of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InterfaceState {
    /// Whether it is there, up, and has a carrier.
    pub up: bool,
    /// Its primary IPv4 address; no virtual address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its link-local IPv6 address; no virtual address.
    pub ipv6: Option<Ipv6Addr>,
}

/// What can happen.
///
/// Packets that wait are to be handed in before [`Event::Timeout`]: after a pause of the process they say what happened
/// meanwhile.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A VRRP packet came in.
    Packet {
        /// Where.
        interface: InterfaceId,
        /// The packet.
        packet: Packet<'e>,
    },
    /// An interface is as told from now on. Instances start when they hear of theirs.
    Interface {
        /// The interface.
        interface: InterfaceId,
        /// How it is.
        state: InterfaceState,
    },
    /// A track was looked at, or told of itself.
    Track {
        /// The track.
        track: TrackId,
        /// Whether it was well.
        ok: bool,
    },
    /// Another host claims a virtual address.
    AddressConflict {
        /// The instance.
        instance: InstanceId,
        /// The address.
        address: IpAddr,
    },
    /// The operator wants others to take over. A member of a sync group takes its group along.
    Release(Subject),
    /// The operator takes the release back.
    Resume(Subject),
    /// The node stops. Nothing starts again after it.
    Shutdown,
    /// A deadline has come.
    Timeout,
}

/// What is to be done, in order.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Send an advert: IP protocol 112, TTL or hop limit 255, TOS or traffic class 0xC0.
    Send {
        /// The instance.
        instance: InstanceId,
        /// The interface to send it on.
        interface: InterfaceId,
        /// Its source.
        source: IpAddr,
        /// Its destination: the multicast group, or a unicast peer.
        destination: IpAddr,
        /// What follows the IP header.
        bytes: &'a [u8],
    },
    /// Add an address to its interface.
    AddAddress {
        /// The instance.
        instance: InstanceId,
        /// The address.
        address: VirtualAddress,
        /// Accept_Mode: whether packets to it are taken.
        accept: bool,
    },
    /// Remove an address from its interface.
    RemoveAddress {
        /// The instance.
        instance: InstanceId,
        /// The address.
        address: VirtualAddress,
    },
    /// Send one gratuitous ARP or one unsolicited neighbour advertisement.
    Announce {
        /// The instance.
        instance: InstanceId,
        /// The address.
        address: VirtualAddress,
    },
    /// Tell whoever wants to know of a change. One for an instance; one for a sync group when its last member has
    /// followed.
    Notify {
        /// Who has changed.
        subject: Subject,
        /// How, and why.
        transition: Transition,
        /// The priority of the instance, or the lowest in the group.
        priority: u8,
    },
}
