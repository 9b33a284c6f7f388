//! The states of an instance and what moves it between them (RFC 9568 §6.4, RFC 3768 §6.4).
//!
//! Where this does more than the standard asks:
//! - An Active that a track robs of priority resigns with priority 0, and listens for one interval and its Skew_Time: who
//!   is better takes over within its own Skew_Time, and if nobody does, the instance comes back.
//! - A Backup that sees its Active fall below its own priority waits for its Skew_Time only.
//! - An Active that yields sends a last advert. The one that stays hears a claim, and announces the addresses again; else
//!   the neighbours of the loser would talk to it until their caches expire.
//! - A timer that fires late by more than an interval (a process that was stopped, a machine that was busy) is no proof of
//!   anything: a Backup listens once more, an Active announces itself again.

use core::net::IpAddr;

use super::event::{Action, Fault, Packet, Reason, State};
use super::instance::Instance;
use super::timing::Interval;
use crate::sink::Sink;
use crate::time::Instant;
use crate::wire::vrrp::{Advert, Version};

/// What an instance wants of its sync group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// To become Active.
    Ready,
    /// To follow: it has ceased to be Active.
    Left,
}

/// What an instance has to go by: its interface, its tracks and its group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions {
    pub(super) fault: Option<Fault>,
    pub(super) source: Option<IpAddr>,
    pub(super) priority: u8,
    /// Whether a loss of priority is a loss of health. A reload is none.
    pub(super) may_resign: bool,
}

impl Instance {
    /// Takes part, or ceases to, as conditions are.
    pub(super) fn settle<S>(&mut self, now: Instant, conditions: Conditions, out: &mut S) -> Step
    where
        S: for<'a> Sink<Action<'a>>,
    {
        self.source = conditions.source.or(self.source);
        let lost = conditions.priority < self.priority;
        self.priority = conditions.priority;
        self.fault = conditions.fault;
        match (conditions.fault, self.state) {
            (Some(_), State::Initialize) => Step::Stay,
            (Some(fault), _) => {
                self.stop(now, Reason::Fault(fault), out);
                Step::Stay
            }
            (None, State::Initialize) => self.start(now, out),
            (None, State::Active) if lost && conditions.may_resign && self.config.resign_on_loss => {
                self.resign(now, Reason::PriorityLost { priority: self.priority }, out);
                Step::Left
            }
            (None, _) => Step::Stay,
        }
    }

    /// Startup event (RFC 9568 §6.4.1).
    fn start<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, out: &mut S) -> Step {
        self.active_interval = self.config.interval;
        if self.config.is_owner() {
            self.ready = Some(Reason::Owner);
            return Step::Ready;
        }
        self.preempt_from = Some(now + self.config.preempt_delay);
        self.enter(now, State::Backup, Reason::Startup, out);
        self.active_down_timer = Some(self.down_at(now));
        Step::Stay
    }

    /// Shutdown event (RFC 9568 §6.4.2, §6.4.3), or a fault.
    pub(super) fn stop<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, reason: Reason, out: &mut S) {
        if self.state == State::Initialize {
            self.ready = None;
            return;
        }
        let silent = matches!(reason, Reason::Fault(Fault::Link | Fault::NoSource));
        if self.state == State::Active && !silent {
            self.send(0, out);
        }
        (self.active_down_timer, self.active) = (None, None);
        self.enter(now, State::Initialize, reason, out);
    }

    /// Ceases to be Active and asks others to take over: they have an interval for it, and then the Skew_Time decides.
    pub(super) fn resign<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, reason: Reason, out: &mut S) {
        self.send(0, out);
        self.enter(now, State::Backup, reason, out);
        self.active_interval = self.config.interval;
        self.active_down_timer = Some(self.skewed(now + self.config.interval.duration()));
    }

    /// Becomes Active, for the reason for which it is ready.
    pub(super) fn activate<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, out: &mut S) {
        let Some(reason) = self.ready.take() else { return };
        (self.active_down_timer, self.active, self.preempt_from) = (None, None, None);
        (self.down_reason, self.listened_again) = (None, false);
        self.adver_timer = Some(now + self.config.interval.duration());
        self.counters.became_active += 1;
        self.send(self.priority, out);
        for address in &self.config.addresses {
            self.add(*address, out);
        }
        self.announcer.begin(now, &self.config.announce);
        self.announce(now, out);
        self.tell(now, State::Active, reason, out);
    }

    /// Takes a packet that is for it.
    pub(super) fn receive<S>(&mut self, now: Instant, packet: &Packet<'_>, advert: &Advert<'_>, out: &mut S) -> Step
    where
        S: for<'a> Sink<Action<'a>>,
    {
        if !self.admit(packet, advert) {
            return Step::Stay;
        }
        let priority = advert.header.priority;
        self.counters.received += 1;
        self.counters.received_resigned += u64::from(priority == 0);
        match self.state {
            State::Active => self.heard_while_active(now, packet.source, advert, out),
            _ if priority == 0 => {
                // RFC 9568 §6.4.2: the Active gives up.
                if self.ready.is_none() {
                    self.active_down_timer = Some(self.skewed(now));
                    self.down_reason = Some(Reason::ActiveResigned);
                }
                self.active = None;
                Step::Stay
            }
            _ => {
                self.heard_while_backup(now, packet.source, advert);
                Step::Stay
            }
        }
    }

    /// Whether an advert may be acted on (RFC 9568 §7.1, RFC 3768 §7.1); counts why not.
    fn admit(&mut self, packet: &Packet<'_>, advert: &Advert<'_>) -> bool {
        let (config, header) = (&self.config, &advert.header);
        let (ours, theirs) = (config.advertised().count(), advert.addresses().count());
        let common = config.advertised().filter(|a| advert.addresses().any(|b| *a == b)).count();
        let counters = &mut self.counters;
        let counter = if packet.ttl < config.ttl_min {
            &mut counters.bad_ttl
        } else if header.version != config.version {
            &mut counters.bad_version
        } else if self.source == Some(packet.source) {
            &mut counters.looped
        } else if !config.peers.is_empty() && !config.peers.contains(&packet.source) {
            &mut counters.unknown_peer
        } else if header.auth_type != config.auth.on_wire().0 {
            &mut counters.bad_auth_type
        } else if !config.auth.admits(header.auth_data) {
            &mut counters.bad_password
        } else if header.version == Version::V2 && header.interval_centis != config.interval.as_centis() {
            &mut counters.bad_interval
        } else if common == 0 {
            &mut counters.vrid_clash
        } else if self.state == State::Initialize {
            &mut counters.not_running
        } else {
            counters.address_mismatch += u64::from(common != ours || common != theirs);
            return true;
        };
        *counter += 1;
        false
    }

    /// RFC 9568 §6.4.2 for a priority other than 0.
    fn heard_while_backup(&mut self, now: Instant, source: IpAddr, advert: &Advert<'_>) {
        let priority = advert.header.priority;
        let before = self.active.replace((source, priority));
        if priority >= self.priority || !self.may_preempt(now) {
            if priority >= self.priority {
                // What came lower is over: the delay starts anew with the next one.
                self.preempt_from = self.preempt_from.filter(|from| *from > now);
            }
            self.active_interval = Interval::from_centis(advert.header.interval_centis);
            self.active_down_timer = Some(self.down_at(now));
            (self.ready, self.down_reason, self.listened_again) = (None, None, false);
            return;
        }
        self.down_reason = Some(Reason::Preempted { from: source, priority });
        let fell = before.is_some_and(|(other, high)| other == source && high >= self.priority);
        if fell && self.config.preempt_delay.is_zero() {
            let soon = self.skewed(now);
            self.active_down_timer = self.active_down_timer.map(|at| at.min(soon));
        }
    }

    /// Whether an Active of lower priority may be preempted by now. The first one seen starts the delay.
    fn may_preempt(&mut self, now: Instant) -> bool {
        let delay = self.config.preempt_delay;
        self.config.preempt && *self.preempt_from.get_or_insert(now + delay) <= now
    }

    /// RFC 9568 §6.4.3.
    fn heard_while_active<S>(&mut self, now: Instant, source: IpAddr, advert: &Advert<'_>, out: &mut S) -> Step
    where
        S: for<'a> Sink<Action<'a>>,
    {
        let priority = advert.header.priority;
        let outranked = priority > self.priority || (priority == self.priority && self.source < Some(source));
        if outranked {
            self.send(self.priority, out);
            self.enter(now, State::Backup, Reason::Outranked { by: source, priority }, out);
            self.active = Some((source, priority));
            self.active_interval = Interval::from_centis(advert.header.interval_centis);
            self.active_down_timer = Some(self.down_at(now));
            return Step::Left;
        }
        self.counters.contested += 1;
        self.send(self.priority, out);
        self.adver_timer = Some(now + self.config.interval.duration());
        self.announcer.contest(now, &self.config.announce);
        self.announce(now, out);
        Step::Stay
    }

    /// Does what is due.
    pub(super) fn timeout<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, out: &mut S) -> Step {
        if let Some(at) = self.active_down_timer.filter(|at| *at <= now) {
            return self.active_is_down(now, at);
        }
        if let Some(at) = self.adver_timer.filter(|at| *at <= now) {
            self.advertise(now, at, out);
        }
        self.announce(now, out);
        Step::Stay
    }

    /// Active_Down_Timer fired (RFC 9568 §6.4.2).
    fn active_is_down(&mut self, now: Instant, due: Instant) -> Step {
        let interval = self.active_interval.duration();
        if now.since(due) >= interval && !self.listened_again {
            self.counters.overslept += 1;
            self.listened_again = true;
            self.active_down_timer = Some(self.skewed(now + interval));
            return Step::Stay;
        }
        self.active_down_timer = None;
        self.ready = Some(self.down_reason.unwrap_or(Reason::ActiveDown));
        Step::Ready
    }

    /// Adver_Timer fired (RFC 9568 §6.4.3).
    fn advertise<S: for<'a> Sink<Action<'a>>>(&mut self, now: Instant, due: Instant, out: &mut S) {
        let interval = self.config.interval.duration();
        self.send(self.priority, out);
        // From the time it was due, so that lateness does not add up.
        let next = due + interval;
        self.adver_timer = Some(if next > now { next } else { now + interval });
        if now.since(due) >= interval * 2 {
            // Three intervals since the last advert: others may have taken over meanwhile.
            self.counters.overslept += 1;
            self.announcer.contest(now, &self.config.announce);
        } else if self.announcer.take_refresh(now, &self.config.announce) {
            self.announce_round(out);
        }
    }
}
