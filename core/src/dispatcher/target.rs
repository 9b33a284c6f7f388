//! One target: what the operator wrote about it, what is known about it, and what it carries.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::latency::Latency;
use super::limits::{CallLoad, CallRate, Overload};
use super::probe::{Health, Probe};
use crate::flow::ListenerId;
use crate::time::Instant;
use crate::wire::sip::transport::Transport;

/// Longest URI of a target, in bytes.
pub const URI_MAX: usize = 128;
/// Longest `duid`, name of a socket or From of its pings, in bytes.
pub const NAME_MAX: usize = 64;

/// The handle of a target. It stays the same for as long as the target is configured or carries calls, and is not used
/// again soon: a stale one finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TargetId {
    pub(crate) slot: u16,
    pub(crate) generation: u16,
}

impl TargetId {
    /// As a number, for tokens.
    pub const fn to_u32(self) -> u32 {
        (self.generation as u32) << 16 | self.slot as u32
    }

    /// From the number of [`TargetId::to_u32`]. Any number is allowed; one that was never given out finds nothing.
    pub const fn from_u32(number: u32) -> Self {
        Self { slot: number as u16, generation: (number >> 16) as u16 }
    }
}

/// What the operator wants of a target, apart from whether it is alive. No ping ever changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AdminState {
    /// It takes calls while it is alive.
    #[default]
    Active,
    /// It takes no new calls and keeps those it has.
    Drain,
    /// It takes no new calls and is not pinged.
    Disabled,
}

/// A state as `set_state` of Kamailio's dispatcher takes it: `a`, `i`, `t` or `d`, then perhaps `p`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StateCommand {
    /// What the operator wants from now on: `i` drains, `d` disables, `a` and `t` let it take calls.
    pub admin: AdminState,
    /// Whether the target is suspect until its next good ping (`t`).
    pub trying: bool,
    /// Whether it carries the probing flag (`p`).
    pub flagged: bool,
}

/// Letters that are no state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnknownState;

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected a (active), i (drain), t (trying) or d (disabled), the first three perhaps with p (probing)",
        )
    }
}

impl core::error::Error for UnknownState {}

impl StateCommand {
    /// Reads the letters, in either case. `p` alone is refused: what it should mean for calls is anybody's guess.
    pub fn parse(letters: &str) -> Result<Self, UnknownState> {
        let mut command = Self { admin: AdminState::Active, trying: false, flagged: false };
        let (state, rest) = letters.split_at_checked(1).ok_or(UnknownState)?;
        command.flagged = match rest {
            "" => false,
            "p" | "P" => true,
            _ => return Err(UnknownState),
        };
        match state {
            "a" | "A" => {}
            "i" | "I" => command.admin = AdminState::Drain,
            "t" | "T" => command.trying = true,
            "d" | "D" if !command.flagged => command.admin = AdminState::Disabled,
            _ => return Err(UnknownState),
        }
        Ok(command)
    }
}

/// Attributes of a target, as in Kamailio's `attrs` column. Zero means "not set".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Attrs {
    /// Share for `weight`, `priority-weight` and `rendezvous`; with `cc` also the congestion it tolerates, in ms.
    pub weight: u16,
    /// Share for `relative-weight`; without one the target gets nothing there.
    pub rweight: u16,
    /// Most calls at once.
    pub maxload: u32,
    /// Most new calls a second.
    pub cps: u32,
    /// Latency to start the figures with, ms.
    pub latency_ms: u32,
    /// `cc=1`: congestion counts, not latency.
    pub congestion_control: bool,
    /// Whether `100rel` is taken out of what is offered to it.
    pub strip_100rel: bool,
    /// Whether `timer` is taken out of what is offered to it.
    pub strip_timer: bool,
    /// Whether requests to it say that its overload control is heeded (RFC 7339 §4.1).
    pub overload_control: bool,
}

/// A next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Hop {
    /// How to get there.
    pub transport: Transport,
    /// Where it is.
    pub address: SocketAddr,
}

/// A target as it is configured.
#[derive(Clone, Copy, Debug)]
pub struct TargetConfig<'c> {
    /// The set it belongs to.
    pub set: u32,
    /// Its SIP URI, at most [`URI_MAX`] bytes.
    pub uri: &'c str,
    /// Where that is.
    pub address: SocketAddr,
    /// How to get there.
    pub transport: Transport,
    /// Priority; what a higher one means is up to the algorithm.
    pub priority: i32,
    /// Attributes.
    pub attrs: Attrs,
    /// A name of its own, at most [`NAME_MAX`] bytes; may be empty.
    pub duid: &'c str,
    /// The name of the local socket to send from, at most [`NAME_MAX`] bytes; empty for any. Two targets with one URI
    /// and different sockets are two targets.
    pub socket: &'c str,
    /// That socket; none: the first that fits.
    pub listener: Option<ListenerId>,
    /// From of its pings, at most [`NAME_MAX`] bytes; empty: that of all pings.
    pub ping_from: &'c str,
    /// Where its pings go instead of to itself.
    pub ping_proxy: Option<Hop>,
    /// What the operator wants of it at first; a target that stays over a reload keeps what it has.
    pub admin: AdminState,
    /// Whether it carries the probing flag at first.
    pub flagged: bool,
}

impl<'c> TargetConfig<'c> {
    /// A target of that set at that address, with nothing else said about it.
    pub const fn new(set: u32, uri: &'c str, address: SocketAddr) -> Self {
        Self {
            set,
            uri,
            address,
            transport: Transport::Udp,
            priority: 0,
            attrs: Attrs {
                weight: 0,
                rweight: 0,
                maxload: 0,
                cps: 0,
                latency_ms: 0,
                congestion_control: false,
                strip_100rel: false,
                strip_timer: false,
                overload_control: false,
            },
            duid: "",
            socket: "",
            listener: None,
            ping_from: "",
            ping_proxy: None,
            admin: AdminState::Active,
            flagged: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stay {
    /// The slot is free.
    #[default]
    Free,
    /// The target is configured.
    Member,
    /// It is no longer configured and finishes its calls.
    Leaving,
}

/// One target.
#[derive(Clone, Debug)]
pub struct Target {
    pub(crate) generation: u16,
    pub(crate) stay: Stay,
    /// Set at a reload on what stays or came.
    pub(crate) kept: bool,
    pub(crate) set_id: u32,
    pub(crate) set: u16,
    /// Position in the order of its set.
    pub(crate) rank: u16,
    /// Position in the configuration.
    pub(crate) place: u16,
    /// Keyed hash of the URI.
    pub(crate) seed: u64,
    pub(crate) uri: heapless::String<URI_MAX>,
    pub(crate) socket: heapless::String<NAME_MAX>,
    pub(crate) duid: heapless::String<NAME_MAX>,
    pub(crate) ping_from: heapless::String<NAME_MAX>,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) ping_proxy: Option<Hop>,
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) priority: i32,
    pub(crate) attrs: Attrs,
    pub(crate) admin: AdminState,
    pub(crate) flagged: bool,
    pub(crate) probe: Probe,
    pub(crate) latency: Latency,
    pub(crate) load: CallLoad,
    pub(crate) rate: CallRate,
    pub(crate) overload: Overload,
    /// When it was last given a call, as a running number.
    pub(crate) last_call: u64,
    /// Calls given to it.
    pub(crate) calls: u64,
}

impl Default for Target {
    fn default() -> Self {
        Self {
            generation: 0,
            stay: Stay::Free,
            kept: false,
            set_id: 0,
            set: 0,
            rank: 0,
            place: 0,
            seed: 0,
            uri: heapless::String::new(),
            socket: heapless::String::new(),
            duid: heapless::String::new(),
            ping_from: heapless::String::new(),
            listener: None,
            ping_proxy: None,
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            transport: Transport::Udp,
            priority: 0,
            attrs: Attrs::default(),
            admin: AdminState::Active,
            flagged: false,
            probe: Probe::default(),
            latency: Latency::default(),
            load: CallLoad::default(),
            rate: CallRate::default(),
            overload: Overload::default(),
            last_call: 0,
            calls: 0,
        }
    }
}

impl Target {
    /// The set it belongs to.
    pub fn set(&self) -> u32 {
        self.set_id
    }

    /// Its SIP URI.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How to get there.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The local socket to send from; empty for any.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// The local socket to send from, where one is named.
    pub fn listener(&self) -> Option<ListenerId> {
        self.listener
    }

    /// From of its pings; empty: that of all pings.
    pub fn ping_from(&self) -> &str {
        &self.ping_from
    }

    /// Where its pings go.
    pub fn ping_hop(&self) -> Hop {
        self.ping_proxy.unwrap_or(Hop { transport: self.transport, address: self.address })
    }

    /// Its own name; may be empty.
    pub fn duid(&self) -> &str {
        &self.duid
    }

    /// Its priority.
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// Its attributes.
    pub fn attrs(&self) -> &Attrs {
        &self.attrs
    }

    /// What the operator wants of it.
    pub fn admin(&self) -> AdminState {
        self.admin
    }

    /// Whether it is alive.
    pub fn health(&self) -> Health {
        self.probe.health()
    }

    /// The share of new calls that it wants to be spared now, in percent (RFC 7339).
    pub fn overload_percent(&self, now: Instant) -> u8 {
        self.overload.reduction_percent(now)
    }

    /// Its latency figures.
    pub fn latency(&self) -> &Latency {
        &self.latency
    }

    /// Its active calls.
    pub fn load(&self) -> CallLoad {
        self.load
    }

    /// Calls given to it since it was configured.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Whether it is no longer configured and only finishes its calls.
    pub fn is_leaving(&self) -> bool {
        self.stay == Stay::Leaving
    }

    /// Two letters as `dispatcher.list` of Kamailio prints them: A active, T trying, I inactive or drained, D disabled;
    /// P pinged, X not.
    pub fn flags(&self) -> &'static str {
        match (self.admin, self.health(), self.probe.is_probing()) {
            (AdminState::Disabled, ..) => "DX",
            (AdminState::Drain, _, true) | (_, Health::Down, true) => "IP",
            (AdminState::Drain, _, false) | (_, Health::Down, false) => "IX",
            (_, Health::Trying, true) => "TP",
            (_, Health::Trying, false) => "TX",
            (_, Health::Up, true) => "AP",
            (_, Health::Up, false) => "AX",
        }
    }

    /// Whether one more call fits under its limits.
    pub(crate) fn has_room(&self, now: Instant) -> bool {
        (self.attrs.maxload == 0 || self.load.total() < self.attrs.maxload) && self.rate.admits(self.attrs.cps, now)
    }

    pub(crate) fn adjusted_priority(&self) -> i32 {
        self.latency.adjusted_priority(self.priority, self.attrs.congestion_control)
    }

    /// Its part of the traffic under `relative-weight`, in hundredths of a point. With congestion control every
    /// millisecond of congestion takes one of `weight` points.
    pub(crate) fn relative_share(&self) -> u32 {
        let full = u32::from(self.attrs.rweight) * 100;
        let tolerance = u32::from(self.attrs.weight);
        if !self.attrs.congestion_control || tolerance == 0 {
            return full;
        }
        let left = tolerance.saturating_sub(self.latency.congestion_ms());
        u32::try_from(u64::from(full) * u64::from(left) / u64::from(tolerance)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_set_state() {
        let state = |admin, trying, flagged| Ok(StateCommand { admin, trying, flagged });
        for (letters, expected) in [
            ("a", state(AdminState::Active, false, false)),
            ("ap", state(AdminState::Active, false, true)),
            ("i", state(AdminState::Drain, false, false)),
            ("IP", state(AdminState::Drain, false, true)),
            ("t", state(AdminState::Active, true, false)),
            ("tp", state(AdminState::Active, true, true)),
            ("d", state(AdminState::Disabled, false, false)),
            ("p", Err(UnknownState)),
            ("dp", Err(UnknownState)),
            ("", Err(UnknownState)),
            ("aa", Err(UnknownState)),
            ("apx", Err(UnknownState)),
            ("é", Err(UnknownState)),
        ] {
            assert_eq!(StateCommand::parse(letters), expected, "{letters:?}");
        }
    }

    #[test]
    fn ids_round_trip() {
        let id = TargetId { slot: 3_000, generation: 65_535 };
        assert_eq!(TargetId::from_u32(id.to_u32()), id);
    }
}
