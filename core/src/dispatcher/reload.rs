//! Which targets there are: the whole list at once, or one more or one less.

use core::fmt;

use super::latency::Latency;
use super::layer::{Dispatcher, release};
use super::select::keyed_hash;
use super::set::{Set, SetConfig, arrange};
use super::target::{NAME_MAX, Stay, Target, TargetConfig, TargetId, URI_MAX};
use crate::error::Full;
use crate::machine::Cx;

/// Why a list of targets was refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ReloadError {
    /// There is no room for so many.
    Full(Full),
    /// Two sets have this number.
    DuplicateSet(u32),
    /// Two targets have the same set, URI and socket; the place of the second.
    DuplicateTarget(usize),
    /// The target at this place names a set that does not exist.
    UnknownSet(usize),
    /// This set falls back to one that does not exist.
    UnknownFallback(u32),
    /// The target at this place has no URI, or one that is too long.
    Uri(usize),
    /// The target at this place has a `duid`, socket or `ping_from` that is too long.
    Name(usize),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(full) => full.fmt(f),
            Self::DuplicateSet(id) => write!(f, "set {id} is there twice"),
            Self::DuplicateTarget(at) => {
                write!(f, "target {} is there before, with the same set, URI and socket", at + 1)
            }
            Self::UnknownSet(at) => write!(f, "target {} is of a set that does not exist", at + 1),
            Self::UnknownFallback(id) => write!(f, "set {id} falls back to one that does not exist"),
            Self::Uri(at) => write!(f, "target {} needs a URI of 1 to {URI_MAX} bytes", at + 1),
            Self::Name(at) => write!(f, "target {} has a duid, socket or ping_from of over {NAME_MAX} bytes", at + 1),
        }
    }
}

impl core::error::Error for ReloadError {}

/// What a new list of targets changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReloadReport {
    /// Targets that are new.
    pub added: usize,
    /// Targets that stay, with their health, counters and admin state.
    pub kept: usize,
    /// Targets that are gone.
    pub removed: usize,
    /// Of those, the ones that still finish their calls.
    pub leaving: usize,
}

const TARGETS_FULL: ReloadError = ReloadError::Full(Full { what: "dispatcher targets" });
const SETS_FULL: ReloadError = ReloadError::Full(Full { what: "dispatcher sets" });

impl Dispatcher<'_> {
    /// Replaces all sets and targets. A target whose set, URI and socket stay keeps its health, counters, figures and
    /// admin state; one that is gone finishes its calls. Whole or not at all.
    pub fn reload(
        &mut self,
        cx: &mut Cx<'_>,
        sets: &[SetConfig],
        targets: &[TargetConfig<'_>],
    ) -> Result<ReloadReport, ReloadError> {
        self.check_sets(sets)?;
        self.check_targets(sets, targets)?;
        self.take_sets(sets);
        let mut report = ReloadReport::default();
        for slot in 0..self.targets.len() {
            if self.targets[slot].stay == Stay::Member && !self.targets[slot].kept {
                report.removed += 1;
                report.leaving += usize::from(self.retire(cx, slot as u16));
            }
        }
        let mut hint = 0;
        for (place, config) in targets.iter().enumerate() {
            let known = self.lookup(config, hint);
            report.kept += usize::from(known.is_some());
            report.added += usize::from(known.is_none());
            hint = self.put(cx, config, place as u16, known) + 1;
        }
        self.rearrange();
        Ok(report)
    }

    /// Adds one target to a set that exists, behind the others of its priority.
    pub fn add(&mut self, cx: &mut Cx<'_>, config: &TargetConfig<'_>) -> Result<TargetId, ReloadError> {
        check_texts(0, config)?;
        self.find_set(config.set).ok_or(ReloadError::UnknownSet(0))?;
        let known = self.lookup(config, 0);
        if known.is_some_and(|slot| self.targets[slot].stay == Stay::Member) {
            return Err(ReloadError::DuplicateTarget(0));
        }
        if known.is_none() && !self.targets.iter().any(|t| t.stay == Stay::Free) {
            return Err(TARGETS_FULL);
        }
        let members = self.targets.iter().filter(|t| t.stay == Stay::Member);
        let place = members.map(|t| t.place).max().map_or(0, |last| last.saturating_add(1));
        let slot = self.put(cx, config, place, known);
        self.rearrange();
        Ok(self.id(slot as u16))
    }

    /// Takes the targets of that set with that URI away; they finish their calls. Returns how many there were.
    pub fn remove(&mut self, cx: &mut Cx<'_>, set: u32, uri: &str) -> usize {
        let mut removed = 0;
        for slot in 0..self.targets.len() {
            let target = &self.targets[slot];
            if target.stay == Stay::Member && target.set_id == set && target.uri() == uri {
                self.retire(cx, slot as u16);
                removed += 1;
            }
        }
        self.rearrange();
        removed
    }

    fn check_sets(&self, sets: &[SetConfig]) -> Result<(), ReloadError> {
        if sets.len() > self.sets.len() {
            return Err(SETS_FULL);
        }
        for (at, set) in sets.iter().enumerate() {
            if sets[..at].iter().any(|earlier| earlier.id == set.id) {
                return Err(ReloadError::DuplicateSet(set.id));
            }
            if let Some(fallback) = set.fallback
                && !sets.iter().any(|other| other.id == fallback)
            {
                return Err(ReloadError::UnknownFallback(set.id));
            }
        }
        Ok(())
    }

    /// Checks a list of targets and marks those that stay.
    fn check_targets(&mut self, sets: &[SetConfig], targets: &[TargetConfig<'_>]) -> Result<(), ReloadError> {
        self.targets.iter_mut().for_each(|target| target.kept = false);
        let mut hint = 0;
        let mut added = 0;
        for (at, config) in targets.iter().enumerate() {
            check_texts(at, config)?;
            if !sets.iter().any(|set| set.id == config.set) {
                return Err(ReloadError::UnknownSet(at));
            }
            if let Some(slot) = self.lookup(config, hint) {
                if core::mem::replace(&mut self.targets[slot].kept, true) {
                    return Err(ReloadError::DuplicateTarget(at));
                }
                hint = slot + 1;
            } else {
                if targets[..at].iter().any(|earlier| same(earlier, config)) {
                    return Err(ReloadError::DuplicateTarget(at));
                }
                added += 1;
            }
        }
        let free = |t: &&Target| match t.stay {
            Stay::Free => true,
            Stay::Member => !t.kept && t.load.local() == 0,
            Stay::Leaving => false,
        };
        if added > self.targets.iter().filter(free).count() { Err(TARGETS_FULL) } else { Ok(()) }
    }

    /// The slot of the target that is the same as the configured one. Lists mostly come in the order of last time, so
    /// the slot after the last hit is tried first.
    fn lookup(&self, config: &TargetConfig<'_>, hint: usize) -> Option<usize> {
        let seed = keyed_hash(&self.settings.hash_key, config.uri.as_bytes());
        let is_it = |t: &Target| {
            t.stay != Stay::Free
                && t.seed == seed
                && t.set_id == config.set
                && t.uri() == config.uri
                && t.socket() == config.socket
        };
        match self.targets.get(hint) {
            Some(target) if is_it(target) => Some(hint),
            _ => self.targets.iter().position(is_it),
        }
    }

    /// Brings the sets in line with the configured ones; those that stay keep their place in the rotation.
    fn take_sets(&mut self, configs: &[SetConfig]) {
        for set in self.sets.iter_mut() {
            set.used = set.used && configs.iter().any(|config| config.id == set.id);
        }
        for config in configs {
            let known = self.sets.iter().position(|set| set.used && set.id == config.id);
            let Some(at) = known.or_else(|| self.sets.iter().position(|set| !set.used)) else { continue };
            if known.is_none() {
                self.sets[at] = Set { used: true, id: config.id, ..Set::default() };
            }
            self.sets[at].fallback = config.fallback;
        }
        self.sets.sort_unstable_by_key(|set| (!set.used, set.id));
        self.set_count = configs.len();
    }

    /// Takes a target out of its set; returns whether it still has calls to finish.
    fn retire(&mut self, cx: &mut Cx<'_>, slot: u16) -> bool {
        self.targets[usize::from(slot)].stay = Stay::Leaving;
        self.settle(cx, slot);
        let target = &mut self.targets[usize::from(slot)];
        let leaving = target.load.local() > 0;
        if !leaving {
            release(target);
        }
        leaving
    }

    /// Writes a configured target into the slot it has, or into a free one; returns the slot.
    fn put(&mut self, cx: &mut Cx<'_>, config: &TargetConfig<'_>, place: u16, known: Option<usize>) -> usize {
        let free = || self.targets.iter().position(|t| t.stay == Stay::Free);
        // Room was made sure of by the caller.
        let Some(slot) = known.or_else(free) else { return 0 };
        let seed = keyed_hash(&self.settings.hash_key, config.uri.as_bytes());
        let target = &mut self.targets[slot];
        if known.is_none() {
            (target.admin, target.flagged) = (config.admin, config.flagged);
            target.latency = Latency::starting_at(config.attrs.latency_ms);
            target.set_id = config.set;
            target.seed = seed;
            // Lengths were checked.
            drop(target.uri.push_str(config.uri));
            drop(target.socket.push_str(config.socket));
        }
        target.duid.clear();
        drop(target.duid.push_str(config.duid));
        target.ping_from.clear();
        drop(target.ping_from.push_str(config.ping_from));
        (target.listener, target.ping_proxy) = (config.listener, config.ping_proxy);
        target.stay = Stay::Member;
        target.place = place;
        (target.address, target.transport) = (config.address, config.transport);
        (target.priority, target.attrs) = (config.priority, config.attrs);
        self.settle(cx, slot as u16);
        slot
    }

    fn rearrange(&mut self) {
        arrange(&mut self.targets, &mut self.sets[..self.set_count], &mut self.columns);
        for set in 0..self.set_count {
            self.refresh(set);
        }
    }
}

fn check_texts(at: usize, config: &TargetConfig<'_>) -> Result<(), ReloadError> {
    if config.uri.is_empty() || config.uri.len() > URI_MAX {
        return Err(ReloadError::Uri(at));
    }
    if [config.duid, config.socket, config.ping_from].iter().any(|name| name.len() > NAME_MAX) {
        return Err(ReloadError::Name(at));
    }
    Ok(())
}

fn same(a: &TargetConfig<'_>, b: &TargetConfig<'_>) -> bool {
    a.set == b.set && a.uri == b.uri && a.socket == b.socket
}
