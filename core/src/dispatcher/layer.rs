//! All targets of a node and everything that happens to them.

use super::heap::{ABSENT, Heap};
use super::limits::CallLoad;
use super::probe::{ChangeReason, Health, Probe, ProbeAction, ProbeEvent, ProbeInput};
use super::probe::{ProbeSettings, ProbeSettingsError, TrafficFailure};
use super::select::{Chooser, NoTarget, SelectKeys, SelectRule, Selection};
use super::set::{Set, by_load, refresh};
use super::storage::{Cells, Columns, Storage};
use super::target::{AdminState, StateCommand, Stay, Target, TargetId};
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;
use crate::wire::sip::overload::OverloadReport;

/// Most probes that one [`Dispatcher::expire`] runs.
pub const EXPIRE_MAX: usize = 32;

/// How the dispatcher works.
#[derive(Clone, Debug)]
pub struct DispatcherSettings {
    /// How targets are probed.
    pub probe: ProbeSettings,
    /// Whether new calls avoid a target from its first failure on, until its next good ping (while another is up).
    /// Without it a target takes calls until it is down.
    pub avoid_trying: bool,
    /// The secret under which keys are hashed. All shards, and all nodes of a cluster, want the same.
    pub hash_key: [u8; 16],
}

impl Default for DispatcherSettings {
    fn default() -> Self {
        Self { probe: ProbeSettings::default(), avoid_trying: true, hash_key: [0; 16] }
    }
}

/// What the dispatcher wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DispatcherAction {
    /// Send a ping (OPTIONS) to the target.
    SendPing {
        /// The target.
        target: TargetId,
        /// To be given back with what comes of it.
        sequence: u16,
    },
    /// The health of a target has changed. Emitted once a change.
    StateChanged {
        /// The target.
        target: TargetId,
        /// Its set.
        set: u32,
        /// The health until now.
        from: Health,
        /// The health from now on.
        to: Health,
        /// Why.
        reason: ChangeReason,
    },
}

/// What the dispatcher has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DispatcherStats {
    /// Selections that found a target.
    pub selected: u64,
    /// Selections that took a fallback set.
    pub fallbacks: u64,
    /// Selections that found no target alive.
    pub none_up: u64,
    /// Selections that found all targets at their limits.
    pub no_room: u64,
    /// Pings sent.
    pub pings: u64,
    /// Pings answered in time, with whatever code.
    pub pings_answered: u64,
    /// Pings not answered in time.
    pub pings_unanswered: u64,
    /// Changes of health.
    pub changes: u64,
    /// Ends of calls of which no start was told; each is a fault in the bookkeeping of whoever told it.
    pub stray_ends: u64,
}

/// The targets of a node.
pub struct Dispatcher<'a> {
    pub(super) targets: Cells<'a, Target>,
    pub(super) sets: Cells<'a, Set>,
    pub(super) columns: Columns<'a>,
    /// Sets in use; they stand first, sorted by id.
    pub(super) set_count: usize,
    timers: usize,
    pub(super) settings: DispatcherSettings,
    call_number: u64,
    stats: DispatcherStats,
}

impl<'a> Dispatcher<'a> {
    /// A dispatcher without targets.
    pub fn new(storage: Storage<'a>, settings: DispatcherSettings) -> Result<Self, ProbeSettingsError> {
        settings.probe.check()?;
        let Storage { targets, sets, mut columns } = storage;
        columns.timer_positions.fill(ABSENT);
        columns.load_positions.fill(ABSENT);
        let stats = DispatcherStats::default();
        Ok(Self { targets, sets, columns, set_count: 0, timers: 0, settings, call_number: 0, stats })
    }

    /// Takes other settings; probes go on under them from their next tick.
    pub fn configure(&mut self, cx: &mut Cx<'_>, settings: DispatcherSettings) -> Result<(), ProbeSettingsError> {
        settings.probe.check()?;
        self.settings = settings;
        for slot in 0..self.targets.len() {
            if self.targets[slot].stay == Stay::Member {
                let target = &mut self.targets[slot];
                target.seed = super::select::keyed_hash(&self.settings.hash_key, target.uri.as_bytes());
                self.settle(cx, slot as u16);
            }
        }
        for set in 0..self.set_count {
            self.refresh(set);
        }
        Ok(())
    }

    /// The settings in force.
    pub fn settings(&self) -> &DispatcherSettings {
        &self.settings
    }

    /// What has been done so far.
    pub fn stats(&self) -> DispatcherStats {
        self.stats
    }

    /// The sets, by rising number.
    pub fn sets(&self) -> &[Set] {
        &self.sets[..self.set_count]
    }

    /// The targets of a set, highest priority first. None for a set that does not exist.
    pub fn targets_of(&self, set: u32) -> impl Iterator<Item = (TargetId, &Target)> {
        let range = self.find_set(set).map_or(0..0, |index| self.sets[index].range());
        self.columns.order[range].iter().map(|slot| self.entry(*slot))
    }

    /// Targets that are no longer configured and finish their calls.
    pub fn leaving(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        (0..self.targets.len() as u16).map(|slot| self.entry(slot)).filter(|(_, t)| t.is_leaving())
    }

    fn entry(&self, slot: u16) -> (TargetId, &Target) {
        (self.id(slot), &self.targets[usize::from(slot)])
    }

    /// The target of that handle, while it is configured or carries calls.
    pub fn get(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(usize::from(id.slot)).filter(|t| t.stay != Stay::Free && t.generation == id.generation)
    }

    /// The target of that set with that URI.
    pub fn find(&self, set: u32, uri: &str) -> Option<TargetId> {
        self.targets_of(set).find(|(_, target)| target.uri() == uri).map(|(id, _)| id)
    }

    pub(super) fn id(&self, slot: u16) -> TargetId {
        TargetId { slot, generation: self.targets[usize::from(slot)].generation }
    }

    /// The slot of a configured target.
    fn member(&self, id: TargetId) -> Option<u16> {
        self.get(id).filter(|t| t.stay == Stay::Member).map(|_| id.slot)
    }

    pub(super) fn find_set(&self, id: u32) -> Option<usize> {
        self.sets().binary_search_by_key(&id, |set| set.id).ok()
    }

    /// Chooses targets for a request. A set of which none can take it hands over to its fallback set.
    pub fn select(&mut self, cx: &mut Cx<'_>, rule: SelectRule, keys: &SelectKeys<'_>) -> Result<Selection, NoTarget> {
        let mut index = self.find_set(rule.set).ok_or(NoTarget::UnknownSet)?;
        let mut failure = NoTarget::NoneUp;
        // Fallbacks may form a ring; nobody needs to go round it twice.
        for hop in 0..self.set_count {
            let set = &mut self.sets[index];
            let (id, fallback, active) = (set.id, set.fallback, set.active);
            if active > 0 {
                let hash_key = &self.settings.hash_key;
                let mut chooser = Chooser { targets: &self.targets, set, columns: &mut self.columns, hash_key, rule };
                let targets = chooser.choose(cx, keys);
                if !targets.is_empty() {
                    self.stats.selected += 1;
                    self.stats.fallbacks += u64::from(hop > 0);
                    let parallel = rule.algorithm == super::Algorithm::Parallel;
                    return Ok(Selection { targets, set: id, parallel });
                }
                failure = NoTarget::NoRoom;
            }
            match fallback.and_then(|id| self.find_set(id)) {
                Some(next) => index = next,
                None => break,
            }
        }
        match failure {
            NoTarget::NoRoom => self.stats.no_room += 1,
            _ => self.stats.none_up += 1,
        }
        Err(failure)
    }

    /// A call was given to the target. Each call is told to end once, by [`Dispatcher::call_ended`].
    pub fn call_started(&mut self, now: Instant, id: TargetId) -> bool {
        if self.get(id).is_none() {
            return false;
        }
        self.call_number += 1;
        let target = &mut self.targets[usize::from(id.slot)];
        target.load.started();
        target.rate.started(now);
        target.calls += 1;
        target.last_call = self.call_number;
        self.load_moved(id.slot);
        true
    }

    /// A call of the target has ended. A target that is no longer configured goes with its last one.
    pub fn call_ended(&mut self, id: TargetId) -> bool {
        let ended = self.get(id).is_some() && self.targets[usize::from(id.slot)].load.ended();
        if !ended {
            self.stats.stray_ends += 1;
            return false;
        }
        self.load_moved(id.slot);
        let target = &mut self.targets[usize::from(id.slot)];
        if target.stay == Stay::Leaving && target.load.local() == 0 {
            release(target);
        }
        true
    }

    /// The calls of the target on other shards have changed by so many.
    pub fn remote_load(&mut self, id: TargetId, delta: i32) {
        if self.get(id).is_some() {
            self.targets[usize::from(id.slot)].load.remote(delta);
            self.load_moved(id.slot);
        }
    }

    /// The active calls of the target.
    pub fn load(&self, id: TargetId) -> Option<CallLoad> {
        self.get(id).map(Target::load)
    }

    /// The target asked to be spared a share of new calls for some time (RFC 7339).
    pub fn report_overload(&mut self, now: Instant, id: TargetId, report: &OverloadReport) {
        if self.get(id).is_some() {
            self.targets[usize::from(id.slot)].overload.report(report, now);
        }
    }

    /// A request to the target failed.
    pub fn report_failure<S: Sink<DispatcherAction>>(
        &mut self,
        cx: &mut Cx<'_>,
        id: TargetId,
        failure: TrafficFailure,
        out: &mut S,
    ) {
        self.tell(cx, id, ProbeInput::TrafficFailed(failure), out);
    }

    /// A request to the target was answered by it, and not with a failure of its own.
    pub fn report_success<S: Sink<DispatcherAction>>(&mut self, cx: &mut Cx<'_>, id: TargetId, out: &mut S) {
        // Most calls succeed with nothing to forget.
        if self.get(id).is_some_and(|target| target.probe.failures() > 0) {
            self.tell(cx, id, ProbeInput::TrafficSucceeded, out);
        }
    }

    /// A final reply to a ping came from the target. A reply that was made here is none: see
    /// [`Dispatcher::ping_failed`].
    pub fn ping_reply<S: Sink<DispatcherAction>>(
        &mut self,
        cx: &mut Cx<'_>,
        id: TargetId,
        sequence: u16,
        code: u16,
        out: &mut S,
    ) {
        self.tell(cx, id, ProbeInput::Reply { sequence, code }, out);
    }

    /// A ping could not be delivered, or its transaction timed out.
    pub fn ping_failed<S: Sink<DispatcherAction>>(
        &mut self,
        cx: &mut Cx<'_>,
        id: TargetId,
        sequence: u16,
        out: &mut S,
    ) {
        self.tell(cx, id, ProbeInput::PingFailed { sequence }, out);
    }

    /// Pings the target now, unless a ping is under way or it is disabled.
    pub fn ping_now<S: Sink<DispatcherAction>>(&mut self, cx: &mut Cx<'_>, id: TargetId, out: &mut S) {
        self.tell(cx, id, ProbeInput::PingNow, out);
    }

    /// The node that probes says how the target is.
    pub fn learn_health<S: Sink<DispatcherAction>>(
        &mut self,
        cx: &mut Cx<'_>,
        id: TargetId,
        health: Health,
        out: &mut S,
    ) {
        self.tell(cx, id, ProbeInput::Learn(health, ChangeReason::Replicated), out);
    }

    /// Stops or resumes all pings, as a node does that turns standby or active.
    pub fn set_passive(&mut self, cx: &mut Cx<'_>, passive: bool) {
        self.settings.probe.passive = passive;
        for slot in 0..self.targets.len() {
            if self.targets[slot].stay == Stay::Member {
                self.settle(cx, slot as u16);
            }
        }
    }

    /// Sets what the operator wants of one target; `false` if there is no such target.
    pub fn set_admin(&mut self, cx: &mut Cx<'_>, id: TargetId, admin: AdminState) -> bool {
        let Some(slot) = self.member(id) else { return false };
        let target = &mut self.targets[usize::from(slot)];
        target.admin = admin;
        let set = usize::from(target.set);
        self.settle(cx, slot);
        self.refresh(set);
        true
    }

    /// Carries out `set_state` of Kamailio's dispatcher on the target of that set with that URI or `duid`, or on all of
    /// the set for `all`; returns how many it met.
    pub fn set_state<S: Sink<DispatcherAction>>(
        &mut self,
        cx: &mut Cx<'_>,
        set: u32,
        name: &str,
        command: StateCommand,
        out: &mut S,
    ) -> usize {
        let Some(index) = self.find_set(set) else { return 0 };
        let mut met = 0;
        for at in self.sets[index].range() {
            let slot = self.columns.order[at];
            let target = &mut self.targets[usize::from(slot)];
            if name == "all" || target.uri() == name || (!name.is_empty() && target.duid() == name) {
                (target.admin, target.flagged) = (command.admin, command.flagged);
                if command.trying {
                    self.drive(cx, slot, ProbeInput::Learn(Health::Trying, ChangeReason::Operator), out);
                }
                self.settle(cx, slot);
                met += 1;
            }
        }
        self.refresh(index);
        met
    }

    /// When [`Dispatcher::expire`] wants to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let slot = self.columns.timer_heap[..self.timers].first()?;
        self.targets[usize::from(*slot)].probe.next_deadline()
    }

    /// Runs the probes whose time has come, at most [`EXPIRE_MAX`] of them: ask [`Dispatcher::next_deadline`] for more.
    pub fn expire<S: Sink<DispatcherAction>>(&mut self, cx: &mut Cx<'_>, out: &mut S) {
        for _ in 0..self.timers.min(EXPIRE_MAX) {
            match self.columns.timer_heap[..self.timers].first().copied() {
                Some(slot) if self.targets[usize::from(slot)].probe.next_deadline().is_some_and(|at| at <= cx.now) => {
                    self.drive(cx, slot, ProbeInput::Timeout, out);
                }
                _ => break,
            }
        }
    }

    fn tell<S: Sink<DispatcherAction>>(&mut self, cx: &mut Cx<'_>, id: TargetId, input: ProbeInput, out: &mut S) {
        if let Some(slot) = self.member(id) {
            self.drive(cx, slot, input, out);
        }
    }

    fn drive<S: Sink<DispatcherAction>>(&mut self, cx: &mut Cx<'_>, slot: u16, input: ProbeInput, out: &mut S) {
        let mut actions: heapless::Vec<ProbeAction, { Probe::ACTIONS_MAX }> = heapless::Vec::new();
        let event = ProbeEvent { settings: &self.settings.probe, input };
        let probe = &mut self.targets[usize::from(slot)].probe;
        // The probe emits no more than it says.
        probe.handle(cx, event, &mut |action| {
            let _ = actions.push(action);
        });
        self.relink(slot);
        for action in actions {
            self.carry_out(slot, action, out);
        }
    }

    fn carry_out<S: Sink<DispatcherAction>>(&mut self, slot: u16, action: ProbeAction, out: &mut S) {
        let id = self.id(slot);
        let target = &mut self.targets[usize::from(slot)];
        let set = usize::from(target.set);
        match action {
            ProbeAction::SendPing { sequence } => {
                self.stats.pings += 1;
                out.emit(DispatcherAction::SendPing { target: id, sequence });
            }
            ProbeAction::Answered { rtt_us } => {
                self.stats.pings_answered += 1;
                let before = (target.adjusted_priority(), target.relative_share());
                target.latency.sample(rtt_us);
                let after = (target.adjusted_priority(), target.relative_share());
                self.sets[set].latency_stale |= before.0 != after.0;
                let congested = target.attrs.congestion_control && after.1 == 0;
                if before.1 != after.1 || congested {
                    self.refresh(set);
                }
            }
            ProbeAction::Unanswered => {
                self.stats.pings_unanswered += 1;
                target.latency.timeout();
            }
            ProbeAction::Changed { from, to, reason } => {
                self.stats.changes += 1;
                let set_id = target.set_id;
                self.refresh(set);
                out.emit(DispatcherAction::StateChanged { target: id, set: set_id, from, to, reason });
            }
        }
    }

    /// Lets a probe know what it may do now; nothing follows from it but its deadline.
    pub(super) fn settle(&mut self, cx: &mut Cx<'_>, slot: u16) {
        let target = &mut self.targets[usize::from(slot)];
        let enabled = target.stay == Stay::Member && target.admin != AdminState::Disabled;
        let input = ProbeInput::Configure { enabled, flagged: target.flagged };
        target.probe.handle(cx, ProbeEvent { settings: &self.settings.probe, input }, &mut |_| {});
        self.relink(slot);
    }

    /// Puts a target where its deadline belongs.
    fn relink(&mut self, slot: u16) {
        let targets = &self.targets;
        let deadline = |slot: u16| targets[usize::from(slot)].probe.next_deadline();
        let mut heap = Heap {
            slots: &mut self.columns.timer_heap,
            positions: &mut self.columns.timer_positions,
            len: self.timers,
            before: |a, b| deadline(a) < deadline(b),
        };
        self.timers = if deadline(slot).is_some() { heap.insert(slot) } else { heap.remove(slot) };
    }

    /// Puts a target where its calls belong.
    fn load_moved(&mut self, slot: u16) {
        let target = &self.targets[usize::from(slot)];
        if target.stay != Stay::Member {
            return;
        }
        let set = &self.sets[usize::from(target.set)];
        let slots = &mut self.columns.load_heap[set.active_range()];
        let positions = &mut self.columns.load_positions;
        Heap { slots, positions, len: set.active, before: by_load(&self.targets) }.moved(slot);
    }

    pub(super) fn refresh(&mut self, set: usize) {
        refresh(&self.targets, &mut self.sets[set], &mut self.columns, self.settings.avoid_trying);
    }
}

/// Frees a slot; handles to it find nothing from now on.
pub(super) fn release(target: &mut Target) {
    let generation = target.generation.wrapping_add(1);
    *target = Target { generation, ..Target::default() };
}
