//! All instances of a node, with their groups, tracks and interfaces.

use super::check::{ConfigError, check};
use super::config::{Config, GroupId, InstanceConfig, InstanceId, PRIORITY_OWNER, TrackId, TrackUse};
use super::counters::Stats;
use super::election::{Conditions, Step};
use super::event::{Action, Event, Fault, Packet, Reason, State, Subject, Transition};
use super::instance::Instance;
use super::storage::Storage;
use super::sync_group::Group;
use super::track::Track;
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;
use crate::wire::vrrp::{Advert, AdvertError};
use core::net::IpAddr;

/// VRRP on a node.
///
/// It allocates nothing after its storage is made. Time is exact to the microsecond: its deadlines stay out of the timer
/// wheel.
pub struct Vrrp<'m> {
    store: Storage<'m>,
    stats: Stats,
    stopping: bool,
}

impl<'m> Vrrp<'m> {
    /// A node without instances.
    pub fn new(storage: Storage<'m>) -> Self {
        Self { store: storage, stats: Stats::default(), stopping: false }
    }

    /// The instances.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.store.instances.used().iter().filter(|instance| instance.configured)
    }

    /// The instance of that id.
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.store.instances.used().get(usize::from(id.0)).filter(|instance| instance.configured)
    }

    /// The sync groups.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.store.groups.used().iter().filter(|group| group.configured)
    }

    /// The sync group of that id.
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.store.groups.used().get(usize::from(id.0)).filter(|group| group.configured)
    }

    /// The tracks.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.store.tracks.used().iter().filter(|track| track.configured)
    }

    /// The track of that id.
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        self.store.tracks.used().get(usize::from(id.0)).filter(|track| track.configured)
    }

    /// Packets and events that found nothing.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Takes a configuration, the first one or another one: all of it holds, or nothing changes. An instance that stays
    /// (its id, interface, VRID and family) keeps its state; one that goes resigns.
    pub fn configure<S>(&mut self, cx: &mut Cx<'_>, config: &Config<'_>, out: &mut S) -> Result<(), ConfigError>
    where
        S: for<'a> Sink<Action<'a>>,
    {
        check(config, self.store.capacity())?;
        self.configure_tracks(config);
        self.configure_instances(cx.now, config, out);
        self.configure_groups(config);
        for at in 0..self.store.instances.used().len() {
            self.settle(cx.now, at, false, out);
        }
        self.report_groups(out);
        Ok(())
    }

    fn configure_tracks(&mut self, config: &Config<'_>) {
        for (at, track) in self.store.tracks.used_mut().iter_mut().enumerate() {
            match config.tracks.iter().find(|other| usize::from(other.id.0) == at) {
                Some(wanted) => track.configure(wanted),
                None => *track = Track::default(),
            }
        }
    }

    fn configure_instances<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, config: &Config<'_>, out: &mut S) {
        for (at, instance) in self.store.instances.used_mut().iter_mut().enumerate() {
            let wanted = config.instances.iter().find(|other| usize::from(other.id.0) == at);
            let stays = wanted.is_some_and(|wanted| instance.configured && wanted.is_same_router(&instance.config));
            if instance.configured && !stays {
                instance.stop(now, Reason::Shutdown, out);
                *instance = Instance::default();
            }
            let Some(wanted) = wanted else { continue };
            if stays {
                instance.reconfigure(now, wanted, out);
            } else {
                instance.configured = true;
                instance.config.clone_from(wanted);
            }
            instance.group = config.groups.iter().find(|group| group.members.contains(&wanted.id)).map(|g| g.id);
        }
    }

    fn configure_groups(&mut self, config: &Config<'_>) {
        for (at, group) in self.store.groups.used_mut().iter_mut().enumerate() {
            match config.groups.iter().find(|other| usize::from(other.id.0) == at) {
                Some(wanted) => {
                    group.configured = true;
                    group.config.clone_from(wanted);
                }
                None => *group = Group::default(),
            }
        }
    }

    /// Brings an instance, and whatever is in its group, to where conditions want it.
    fn settle<S>(&mut self, now: Instant, at: usize, may_resign: bool, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let Some(instance) = self.store.instances.used().get(at).filter(|i| i.configured && !self.stopping) else {
            return;
        };
        let Some(group) = instance.group else {
            let step = self.settle_one(now, at, None, may_resign, out);
            return self.follow(now, at, step, out);
        };
        let members = || self.members(group);
        let faulty = members().find(|member| self.own_fault(*member).is_some());
        let mut steps: heapless::Vec<(usize, Step), { super::config::MEMBERS_MAX }> = heapless::Vec::new();
        for index in 0..super::config::MEMBERS_MAX {
            let Some(member) = self.member(group, index) else { break };
            let step = self.settle_one(now, member, faulty, may_resign, out);
            // There are as many places as members.
            let _ = steps.push((member, step));
        }
        for (member, step) in steps {
            self.follow(now, member, step, out);
        }
    }

    fn settle_one<S>(&mut self, now: Instant, at: usize, faulty: Option<usize>, may_resign: bool, out: &mut S) -> Step
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let fault =
            self.own_fault(at).or_else(|| faulty.map(|member| Fault::Member(self.store.instances.used()[member].id())));
        let conditions = Conditions { fault, source: self.source(at), priority: self.priority(at), may_resign };
        self.store.instances.used_mut()[at].settle(now, conditions, out)
    }

    /// Lets the group of an instance go where the instance goes.
    fn follow<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, at: usize, step: Step, out: &mut S) {
        let group = self.store.instances.used()[at].group;
        match (step, group) {
            (Step::Stay, _) => {}
            (Step::Ready, None) => self.store.instances.used_mut()[at].activate(now, out),
            (Step::Ready, Some(group)) => {
                let agreed = |i: &Instance| i.ready.is_some() || i.state == State::Active;
                if self.members(group).all(|member| agreed(&self.store.instances.used()[member])) {
                    self.for_each_member(group, |member| member.activate(now, out));
                }
            }
            (Step::Left, None) => {}
            (Step::Left, Some(group)) => {
                let first = self.store.instances.used()[at].id();
                self.for_each_member(group, |member| {
                    if member.state == State::Active {
                        member.resign(now, Reason::Group(first), out);
                    }
                });
            }
        }
    }

    fn for_each_member(&mut self, group: GroupId, mut work: impl FnMut(&mut Instance)) {
        let Storage { groups, instances, .. } = &mut self.store;
        let members = groups.used().get(usize::from(group.0)).map_or(&[][..], |group| &group.config.members);
        for member in members {
            if let Some(instance) = instances.used_mut().get_mut(usize::from(member.0)) {
                work(instance);
            }
        }
    }

    fn member(&self, group: GroupId, index: usize) -> Option<usize> {
        let group = self.store.groups.used().get(usize::from(group.0))?;
        group.member(index).map(|id| usize::from(id.0)).filter(|at| *at < self.store.instances.used().len())
    }

    /// The places of the members of a group.
    fn members(&self, group: GroupId) -> impl Iterator<Item = usize> {
        (0..super::config::MEMBERS_MAX).map_while(move |index| self.member(group, index))
    }

    /// The tracks of an instance and of its group.
    fn uses(&self, at: usize) -> impl Iterator<Item = &TrackUse> {
        let instance = &self.store.instances.used()[at];
        let group = instance.group.and_then(|id| self.store.groups.used().get(usize::from(id.0)));
        instance.config.tracks.iter().chain(group.into_iter().flat_map(|group| &group.config.tracks))
    }

    fn up(&self, track: TrackId) -> Option<bool> {
        self.store.tracks.used().get(usize::from(track.0)).and_then(Track::up)
    }

    /// Why an instance cannot take part, its group left aside.
    fn own_fault(&self, at: usize) -> Option<Fault> {
        let instance = &self.store.instances.used()[at];
        let interface = self.store.interfaces.used().get(usize::from(instance.config.interface.0));
        if instance.released {
            return Some(Fault::Released);
        }
        if !interface.is_some_and(|interface| interface.up) {
            return Some(Fault::Link);
        }
        if self.source(at).is_none() {
            return Some(Fault::NoSource);
        }
        let down = |of: &&TrackUse| of.weight == 0 && self.up(of.track) != Some(true);
        self.uses(at).find(down).map(|of| Fault::Track(of.track))
    }

    fn source(&self, at: usize) -> Option<IpAddr> {
        let config = &self.store.instances.used()[at].config;
        let interface = self.store.interfaces.used().get(usize::from(config.interface.0))?;
        let primary = if config.is_ipv6() { interface.ipv6.map(IpAddr::V6) } else { interface.ipv4.map(IpAddr::V4) };
        config.source.or(primary)
    }

    /// The priority with the weights of tracks; the owner of the addresses has none.
    fn priority(&self, at: usize) -> u8 {
        let config = &self.store.instances.used()[at].config;
        if config.is_owner() {
            return PRIORITY_OWNER;
        }
        let weight = |of: &TrackUse| match self.up(of.track) {
            Some(true) => i32::from(of.weight.max(0)),
            Some(false) => i32::from(of.weight.min(0)),
            None => 0,
        };
        let sum = self.uses(at).fold(i32::from(config.priority), |sum, of| sum.saturating_add(weight(of)));
        sum.clamp(1, i32::from(PRIORITY_OWNER - 1)) as u8
    }

    fn packet<S>(&mut self, now: Instant, interface: super::InterfaceId, packet: &Packet<'_>, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let advert = match Advert::parse(packet.bytes, packet.source, packet.destination) {
            Ok(advert) => advert,
            Err(error) => return self.refuse(error),
        };
        let is_for = |config: &InstanceConfig| {
            (config.interface, config.vrid, config.is_ipv6())
                == (interface, advert.header.vrid, packet.source.is_ipv6())
        };
        let found = self.store.instances.used().iter().position(|i| i.configured && is_for(&i.config));
        let Some(at) = found else {
            self.stats.unknown_vrid += 1;
            return;
        };
        let step = self.store.instances.used_mut()[at].receive(now, packet, &advert, out);
        self.follow(now, at, step, out);
    }

    fn refuse(&mut self, error: AdvertError) {
        let counter = match error {
            AdvertError::Length => &mut self.stats.bad_length,
            AdvertError::Version => &mut self.stats.bad_version,
            AdvertError::Type => &mut self.stats.bad_type,
            AdvertError::Checksum => &mut self.stats.bad_checksum,
            AdvertError::Field => &mut self.stats.bad_field,
        };
        *counter += 1;
    }

    fn track_sample<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, track: TrackId, ok: bool, out: &mut S) {
        let found = self.store.tracks.used_mut().get_mut(usize::from(track.0)).filter(|t| t.configured);
        let Some(changed) = found.map(|found| found.sample(ok)) else {
            self.stats.unknown_subject += 1;
            return;
        };
        if changed {
            for at in 0..self.store.instances.used().len() {
                if self.uses(at).any(|of| of.track == track) {
                    self.settle(now, at, true, out);
                }
            }
        }
    }

    /// Sets or takes back the release of an instance or of all members of a group.
    fn release<S>(&mut self, now: Instant, subject: Subject, released: bool, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let mut met = false;
        for at in 0..self.store.instances.used().len() {
            let instance = &mut self.store.instances.used_mut()[at];
            let meant = instance.configured
                && match subject {
                    Subject::Instance(id) => instance.id() == id,
                    Subject::Group(id) => instance.group == Some(id),
                };
            if meant {
                met = true;
                instance.released = released;
            }
        }
        if !met {
            self.stats.unknown_subject += 1;
            return;
        }
        for at in 0..self.store.instances.used().len() {
            self.settle(now, at, true, out);
        }
    }

    fn conflict<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, id: InstanceId, address: IpAddr, out: &mut S) {
        let found = self.store.instances.used_mut().get_mut(usize::from(id.0)).filter(|i| i.configured);
        let Some(instance) = found.filter(|i| i.config.addresses.iter().any(|a| a.address == address)) else {
            self.stats.unknown_subject += 1;
            return;
        };
        instance.conflict(now, out);
    }

    /// Tells of groups whose members agree on another state than before.
    fn report_groups<S: for<'a> Sink<Action<'a>>>(&mut self, out: &mut S) {
        let Storage { groups, instances, .. } = &mut self.store;
        let instances = instances.used();
        for group in groups.used_mut().iter_mut().filter(|group| group.configured) {
            let members = || group.config.members.iter().filter_map(|id| instances.get(usize::from(id.0)));
            let Some(to) = members().next().map(|member| member.state) else { continue };
            if to == group.state || members().any(|member| member.state != to) {
                continue;
            }
            let cause = members().filter_map(|member| member.last).map(|(_, transition)| transition.reason);
            let follows = |reason: &Reason| matches!(reason, Reason::Group(_) | Reason::Fault(Fault::Member(_)));
            let reason = cause.clone().find(|reason| !follows(reason)).or(cause.clone().next());
            let priority = members().map(|member| member.priority).min().unwrap_or(0);
            let Some(reason) = reason else { continue };
            let transition = Transition { from: group.state, to, reason };
            group.state = to;
            out.emit(Action::Notify { subject: Subject::Group(group.config.id), transition, priority });
        }
    }
}

impl Timed for Vrrp<'_> {
    fn next_deadline(&self) -> Option<Instant> {
        self.instances().filter_map(Instance::next_deadline).min()
    }

    /// After [`Event::Shutdown`].
    fn is_done(&self) -> bool {
        self.stopping
    }
}

impl Machine for Vrrp<'_> {
    type Event<'e> = Event<'e>;
    type Action<'a> = Action<'a>;
    /// Every instance adds, announces and notifies: there is no bound worth a buffer.
    const ACTIONS_MAX: usize = usize::MAX;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let now = cx.now;
        match event {
            Event::Packet { interface, packet } => self.packet(now, interface, &packet, out),
            Event::Interface { interface, state } => {
                let Some(known) = self.store.interfaces.used_mut().get_mut(usize::from(interface.0)) else {
                    self.stats.unknown_subject += 1;
                    return;
                };
                *known = state;
                for at in 0..self.store.instances.used().len() {
                    if self.store.instances.used()[at].config.interface == interface {
                        self.settle(now, at, true, out);
                    }
                }
            }
            Event::Track { track, ok } => self.track_sample(now, track, ok, out),
            Event::AddressConflict { instance, address } => self.conflict(now, instance, address, out),
            Event::Release(subject) => self.release(now, subject, true, out),
            Event::Resume(subject) => self.release(now, subject, false, out),
            Event::Shutdown => {
                self.stopping = true;
                for instance in self.store.instances.used_mut().iter_mut().filter(|i| i.configured) {
                    instance.stop(now, Reason::Shutdown, out);
                }
            }
            Event::Timeout => {
                for at in 0..self.store.instances.used().len() {
                    let step = self.store.instances.used_mut()[at].timeout(now, out);
                    self.follow(now, at, step, out);
                }
            }
        }
        self.report_groups(out);
    }
}
