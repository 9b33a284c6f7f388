//! An instance: one virtual router on one interface, and what it does when its state changes.

use core::net::IpAddr;

use super::announce::Announcer;
use super::config::{ADDRESSES_MAX, GroupId, InstanceConfig, InstanceId, VirtualAddress};
use super::counters::Counters;
use super::event::{Action, Fault, Reason, State, Subject, Transition};
use super::timing::{Interval, active_down_interval, skew_time};
use crate::sink::Sink;
use crate::time::Instant;
use crate::wire::vrrp::{GROUP_V4, GROUP_V6, Header, write};

/// The longest advert that an instance sends.
const ADVERT_LEN_MAX: usize = 8 + 16 * ADDRESSES_MAX;

/// An instance.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    pub(super) config: InstanceConfig,
    pub(super) configured: bool,
    pub(super) group: Option<GroupId>,
    pub(super) released: bool,
    pub(super) state: State,
    pub(super) fault: Option<Fault>,
    pub(super) source: Option<IpAddr>,
    pub(super) priority: u8,
    pub(super) adver_timer: Option<Instant>,
    pub(super) active_down_timer: Option<Instant>,
    /// Active_Adver_Interval: the interval that the Active told.
    pub(super) active_interval: Interval,
    /// Why it would take over as soon as its group agrees.
    pub(super) ready: Option<Reason>,
    /// Why it takes over when its Active_Down_Timer fires.
    pub(super) down_reason: Option<Reason>,
    /// Whether the Active_Down_Timer fired late and was set again.
    pub(super) listened_again: bool,
    /// When it may preempt. None: an Active of lower priority has not been seen.
    pub(super) preempt_from: Option<Instant>,
    pub(super) active: Option<(IpAddr, u8)>,
    pub(super) announcer: Announcer,
    pub(super) last: Option<(Instant, Transition)>,
    pub(super) counters: Counters,
}

impl Instance {
    /// Its id.
    pub fn id(&self) -> InstanceId {
        self.config.id
    }

    /// Its configuration.
    pub fn config(&self) -> &InstanceConfig {
        &self.config
    }

    /// Its sync group, if it is in one.
    pub fn group(&self) -> Option<GroupId> {
        self.group
    }

    /// Its state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it does not take part, if it does not.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Its priority as its tracks leave it.
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// The address that it sends from.
    pub fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// The Active that it last heard, and its priority; none while it is Active itself.
    pub fn active(&self) -> Option<(IpAddr, u8)> {
        self.active
    }

    /// Its last change of state, and when that was.
    pub fn last_transition(&self) -> Option<(Instant, Transition)> {
        self.last
    }

    /// What it has counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.adver_timer, self.active_down_timer, self.announcer.next_deadline()].into_iter().flatten().min()
    }

    /// When the Active is down unless it is heard.
    pub(super) fn down_at(&self, now: Instant) -> Instant {
        now + active_down_interval(self.config.version, self.priority, self.active_interval)
    }

    /// The time of the next advert that is missing anywhere, and its share by priority.
    pub(super) fn skewed(&self, from: Instant) -> Instant {
        from + skew_time(self.config.version, self.priority, self.active_interval)
    }

    /// Sends one advert with that priority to whoever listens.
    pub(super) fn send<S: for<'a> Sink<Action<'a>>>(&mut self, priority: u8, out: &mut S) {
        if self.config.peers.is_empty() {
            let group = if self.config.is_ipv6() { IpAddr::V6(GROUP_V6) } else { IpAddr::V4(GROUP_V4) };
            self.send_to(group, priority, out);
        }
        for at in 0..self.config.peers.len() {
            self.send_to(self.config.peers[at], priority, out);
        }
    }

    fn send_to<S: for<'a> Sink<Action<'a>>>(&mut self, destination: IpAddr, priority: u8, out: &mut S) {
        let Some(source) = self.source else { return };
        let config = &self.config;
        let (auth_type, auth_data) = config.auth.on_wire();
        let header = Header {
            version: config.version,
            vrid: config.vrid,
            priority,
            interval_centis: config.interval.as_centis(),
            auth_type,
            auth_data,
        };
        let mut bytes = [0; ADVERT_LEN_MAX];
        let Some(len) = write(&mut bytes, &header, config.advertised(), config.checksum, source, destination) else {
            return;
        };
        self.counters.sent += 1;
        self.counters.resigned += u64::from(priority == 0);
        let (instance, interface) = (config.id, config.interface);
        out.emit(Action::Send { instance, interface, source, destination, bytes: &bytes[..len] });
    }

    /// Adds an address to its interface.
    pub(super) fn add<S: for<'a> Sink<Action<'a>>>(&self, address: VirtualAddress, out: &mut S) {
        out.emit(Action::AddAddress { instance: self.config.id, address, accept: self.config.accept });
    }

    /// Removes an address from its interface.
    pub(super) fn remove<S: for<'a> Sink<Action<'a>>>(&self, address: VirtualAddress, out: &mut S) {
        out.emit(Action::RemoveAddress { instance: self.config.id, address });
    }

    /// Announces the addresses as often as is due.
    pub(super) fn announce<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, out: &mut S) {
        while self.announcer.take(now, &self.config.announce) {
            self.announce_round(out);
        }
    }

    pub(super) fn announce_round<S: for<'a> Sink<Action<'a>>>(&mut self, out: &mut S) {
        let instance = self.config.id;
        for address in &self.config.addresses {
            self.counters.announced += 1;
            out.emit(Action::Announce { instance, address: *address });
        }
    }

    /// Another host claims an address.
    pub(super) fn conflict<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, out: &mut S) {
        self.counters.address_conflicts += 1;
        if self.state == State::Active {
            self.announcer.contest(now, &self.config.announce);
            self.announce(now, out);
        }
    }

    /// Takes another configuration of the same router. An Active keeps its state; addresses come and go.
    pub(super) fn reconfigure<S>(&mut self, now: Instant, config: &InstanceConfig, out: &mut S)
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let before = core::mem::replace(&mut self.config, config.clone());
        if self.state != State::Active {
            return;
        }
        let missing_in = |list: &[VirtualAddress], a: &VirtualAddress| !list.iter().any(|b| a.is_same_place(b));
        for gone in before.addresses.iter().filter(|a| missing_in(&config.addresses, a)) {
            self.remove(*gone, out);
        }
        let mut added = false;
        for new in config.addresses.iter().filter(|a| missing_in(&before.addresses, a)) {
            self.add(*new, out);
            added = true;
        }
        if added {
            self.announcer.begin(now, &config.announce);
            self.announce(now, out);
        }
        let soonest = now + config.interval.duration();
        self.adver_timer = self.adver_timer.map(|at| at.min(soonest));
    }

    /// Enters a state that is not Active: the addresses go, if it held them.
    pub(super) fn enter<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, to: State, reason: Reason, out: &mut S) {
        if self.state == State::Active {
            self.counters.left_active += 1;
            for address in &self.config.addresses {
                self.remove(*address, out);
            }
        }
        self.adver_timer = None;
        self.announcer.stop();
        (self.ready, self.down_reason, self.listened_again) = (None, None, false);
        self.tell(now, to, reason, out);
    }

    /// Changes the state and says so.
    pub(super) fn tell<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, to: State, reason: Reason, out: &mut S) {
        let transition = Transition { from: self.state, to, reason };
        self.state = to;
        self.last = Some((now, transition));
        let subject = Subject::Instance(self.config.id);
        out.emit(Action::Notify { subject, transition, priority: self.priority });
    }
}
