//! The machine in virtual time.

mod groups;
mod packets;
mod reload;
mod rows;
mod simulation;
mod timings;
mod tracks;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::boxed::Box;
use std::collections::BTreeSet;
use std::vec::Vec;

use super::*;
use crate::entropy::SeededEntropy;
use crate::machine::{Cx, Machine, Timed};
use crate::time::Instant;
use crate::wire::vrrp::{Advert, AuthType, Checksum, GROUP_V4, GROUP_V6, Header, Version, write};

const LAN: InterfaceId = InterfaceId(0);
const WAN: InterfaceId = InterfaceId(1);
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 98, 0, 100));
const VIP2: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 98, 0, 101));
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd98, 0, 0, 0, 0, 0, 0, 0x100));
const VRID: u8 = 51;
/// When every test begins.
const START: Instant = Instant::from_millis(1_000_000);
const ME: InstanceId = InstanceId(0);
const OTHER: InstanceId = InstanceId(1);

/// The address of a host; 5 is the node under test.
fn host(number: u8) -> IpAddr {
    IpAddr::from([10, 98, 0, number])
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn vip(address: IpAddr, interface: InterfaceId) -> VirtualAddress {
    let prefix_len = if address.is_ipv6() { 128 } else { 32 };
    VirtualAddress { address, prefix_len, interface, advertised: true }
}

/// An instance of VRRPv2 at 1 s with [`VIP`] on [`LAN`].
fn v2(priority: u8) -> InstanceConfig {
    let mut config = InstanceConfig::new(ME, LAN, VRID);
    (config.version, config.priority) = (Version::V2, priority);
    config.addresses.push(vip(VIP, LAN)).unwrap();
    config
}

/// The same in VRRPv3 at that many centiseconds.
fn v3(priority: u8, centis: u16) -> InstanceConfig {
    InstanceConfig { version: Version::V3, interval: Interval::from_centis(centis), ..v2(priority) }
}

/// What the machine wanted done.
#[derive(Clone, Debug, PartialEq)]
enum Did {
    Sent { interface: InterfaceId, source: IpAddr, to: IpAddr, priority: u8, bytes: Vec<u8> },
    Added(IpAddr),
    Removed(IpAddr),
    Announced(IpAddr),
    Told(Subject, State, State, Reason),
}

/// A node under virtual time.
struct Node {
    vrrp: Vrrp<'static>,
    now: Instant,
    did: Vec<(Instant, Did)>,
    holds: BTreeSet<IpAddr>,
}

impl Node {
    fn new() -> Self {
        fn lent<T: Default + Clone>() -> &'static mut [T] {
            Box::leak(std::vec![T::default(); 4].into_boxed_slice())
        }
        let vrrp = Vrrp::new(Storage::lent(lent(), lent(), lent(), lent()));
        Self { vrrp, now: START, did: Vec::new(), holds: BTreeSet::new() }
    }

    /// A node with one instance, whose interface is up.
    fn with(config: InstanceConfig) -> Self {
        let mut node = Self::new();
        node.configure(&[config], &[], &[]);
        node.link(LAN, true);
        node
    }

    /// An Active one, with what it did until then forgotten.
    fn active(config: InstanceConfig) -> Self {
        let mut node = Self::with(config);
        node.run(ms(15_000));
        assert_eq!(node.state(), State::Active);
        node.did.clear();
        node
    }

    fn apply<R>(&mut self, work: impl FnOnce(&mut Vrrp<'static>, &mut Cx<'_>, &mut dyn FnMut(Action<'_>)) -> R) -> R {
        let Self { vrrp, now, did, holds } = self;
        let mut entropy = SeededEntropy::new(1);
        let mut cx = Cx { now: *now, entropy: &mut entropy };
        work(vrrp, &mut cx, &mut |action| {
            let done = match action {
                Action::Send { interface, source, destination, bytes, .. } => {
                    let priority = Advert::parse(bytes, source, destination).unwrap().header.priority;
                    Did::Sent { interface, source, to: destination, priority, bytes: bytes.to_vec() }
                }
                Action::AddAddress { address, .. } => {
                    assert!(holds.insert(address.address), "added twice");
                    Did::Added(address.address)
                }
                Action::RemoveAddress { address, .. } => {
                    assert!(holds.remove(&address.address), "removed what was not there");
                    Did::Removed(address.address)
                }
                Action::Announce { address, .. } => {
                    assert!(holds.contains(&address.address), "announced what it does not hold");
                    Did::Announced(address.address)
                }
                Action::Notify { subject, transition: Transition { from, to, reason }, .. } => {
                    Did::Told(subject, from, to, reason)
                }
            };
            did.push((*now, done));
        })
    }

    fn configure(&mut self, instances: &[InstanceConfig], groups: &[GroupConfig], tracks: &[TrackConfig]) {
        let config = Config { instances, groups, tracks };
        self.apply(|vrrp, cx, out| vrrp.configure(cx, &config, &mut |action: Action<'_>| out(action))).unwrap();
    }

    fn event(&mut self, event: Event<'_>) {
        self.apply(|vrrp, cx, out| vrrp.handle(cx, event, &mut |action: Action<'_>| out(action)));
        let deadline = self.vrrp.next_deadline();
        if matches!(event, Event::Timeout) {
            assert!(deadline.is_none_or(|at| at > self.now), "a deadline that has passed");
        }
    }

    fn link(&mut self, interface: InterfaceId, up: bool) {
        let ipv6 = Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x98, 5));
        let state = InterfaceState { up, ipv4: Some(Ipv4Addr::new(10, 98, 0, 5)), ipv6 };
        self.event(Event::Interface { interface, state });
    }

    fn track(&mut self, track: u16, ok: bool) {
        self.event(Event::Track { track: TrackId(track), ok });
    }

    /// Runs for a time, sleeping exactly until each deadline.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.vrrp.next_deadline().filter(|at| *at <= end) {
            assert!(at >= self.now);
            self.now = at;
            self.event(Event::Timeout);
        }
        self.now = end;
    }

    /// Lets time pass without a wake-up, as for a process that is stopped.
    fn sleep(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Receives bytes from a host on [`LAN`], from and to as told.
    fn bytes(&mut self, interface: InterfaceId, source: IpAddr, ttl: u8, bytes: &[u8]) {
        let destination = if source.is_ipv6() { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) };
        self.event(Event::Packet { interface, packet: Packet { source, destination, ttl, bytes } });
    }

    /// Hears an advert as the instance itself would send it, but from another host and with another priority.
    fn hear(&mut self, from: u8, priority: u8) {
        self.hear_as(ME, from, priority);
    }

    fn hear_as(&mut self, instance: InstanceId, from: u8, priority: u8) {
        let config = self.vrrp.instance(instance).unwrap().config().clone();
        let source = match config.is_ipv6() {
            true => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0x98, u16::from(from)]),
            false => host(from),
        };
        let bytes = advert(&config, source, priority);
        self.bytes(config.interface, source, 255, &bytes);
    }

    fn state(&self) -> State {
        self.state_of(ME)
    }

    fn state_of(&self, id: InstanceId) -> State {
        self.vrrp.instance(id).unwrap().state()
    }

    fn counters(&self) -> Counters {
        *self.vrrp.instance(ME).unwrap().counters()
    }

    /// What was done since the last look, without times.
    fn did(&mut self) -> Vec<Did> {
        self.did.drain(..).map(|(_, did)| did).collect()
    }

    /// The same for what `of` keeps, in microseconds since `since`.
    fn times(&self, since: Instant, of: impl Fn(&Did) -> bool) -> Vec<u64> {
        self.did.iter().filter(|(_, did)| of(did)).map(|(at, _)| at.as_micros() - since.as_micros()).collect()
    }

    /// When it became Active, in microseconds since `since`.
    fn took_over(&self, since: Instant) -> Vec<u64> {
        self.times(since, |did| matches!(did, Did::Told(Subject::Instance(_), _, State::Active, _)))
    }

    /// The priorities of the adverts that were sent since the last look, and the look.
    fn sent(&mut self) -> Vec<u8> {
        let sent = |did| if let Did::Sent { priority, .. } = did { Some(priority) } else { None };
        self.did().into_iter().filter_map(sent).collect()
    }
}

/// An advert of an instance from `source` to the multicast group.
fn advert(config: &InstanceConfig, source: IpAddr, priority: u8) -> Vec<u8> {
    let (auth_type, auth_data) = config.auth.on_wire();
    let header = Header {
        version: config.version,
        vrid: config.vrid,
        priority,
        interval_centis: config.interval.as_centis(),
        auth_type,
        auth_data,
    };
    let group = if source.is_ipv6() { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) };
    let mut out = [0; 256];
    let len = write(&mut out, &header, config.advertised(), config.checksum, source, group).unwrap();
    out[..len].to_vec()
}

fn told(from: State, to: State, reason: Reason) -> Did {
    Did::Told(Subject::Instance(ME), from, to, reason)
}

fn is_sent(did: &Did) -> bool {
    matches!(did, Did::Sent { .. })
}

fn is_announced(did: &Did) -> bool {
    matches!(did, Did::Announced(_))
}
