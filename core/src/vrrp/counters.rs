//! What was counted.

/// What an instance has sent, taken and ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counters {
    /// Adverts sent, one for each destination.
    pub sent: u64,
    /// Adverts sent with priority 0.
    pub resigned: u64,
    /// Adverts taken.
    pub received: u64,
    /// Adverts taken with priority 0.
    pub received_resigned: u64,
    /// Adverts of others that claimed to be Active while this one was, and yielded.
    pub contested: u64,
    /// Times it became Active.
    pub became_active: u64,
    /// Times it ceased to be Active.
    pub left_active: u64,
    /// Announcements of addresses.
    pub announced: u64,
    /// Times another host claimed one of the addresses.
    pub address_conflicts: u64,
    /// Timers that fired so late that it listened again, or announced itself again.
    pub overslept: u64,
    /// Ignored: TTL or hop limit too low.
    pub bad_ttl: u64,
    /// Ignored: the other version.
    pub bad_version: u64,
    /// Ignored: another type of authentication.
    pub bad_auth_type: u64,
    /// Ignored: another password.
    pub bad_password: u64,
    /// Ignored: another interval (VRRPv2).
    pub bad_interval: u64,
    /// Ignored: our own packet, come back.
    pub looped: u64,
    /// Ignored: not one of the unicast peers.
    pub unknown_peer: u64,
    /// Ignored: none of its addresses is ours, so another cluster uses our VRID.
    pub vrid_clash: u64,
    /// Taken, though only some of its addresses are ours.
    pub address_mismatch: u64,
    /// Ignored while not taking part.
    pub not_running: u64,
}

/// Packets that found no instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Stats {
    /// Length does not match the fields.
    pub bad_length: u64,
    /// Neither VRRPv2 nor VRRPv3.
    pub bad_version: u64,
    /// No advertisement.
    pub bad_type: u64,
    /// Checksum does not match.
    pub bad_checksum: u64,
    /// VRID, address count or interval zero.
    pub bad_field: u64,
    /// No instance with that VRID on that interface.
    pub unknown_vrid: u64,
    /// Events about an interface, a track, an instance or a group that is none of ours.
    pub unknown_subject: u64,
}
