//! What an operator sees and does.

use core::time::Duration;

use super::config::Config;
use super::{Node, Out, Stats};
use crate::dialog::{DialogPhase, layer::Names};
use crate::dispatcher::probe::ProbeSettingsError;
use crate::dispatcher::{
    Dispatcher, Health, ReloadError, ReloadReport, SetConfig, StateCommand, Target, TargetConfig, TargetId,
    TrafficFailure,
};
use crate::machine::Cx;
use crate::routing::Pattern;
use crate::time::Instant;

/// A target as it stands.
pub type TargetView<'v> = (TargetId, &'v Target);

/// A dialog as it stands.
#[derive(Clone, Copy, Debug)]
pub struct DialogView<'v> {
    /// What is written down about it.
    pub names: Option<Names<'v>>,
    /// Where it stands.
    pub phase: DialogPhase,
    /// How long it has been there.
    pub age: Duration,
    /// How long it has been answered.
    pub answered_for: Option<Duration>,
    /// The URI of the target that carries it.
    pub target: Option<&'v str>,
}

/// How full the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Fill {
    /// The table, in an operator's words.
    pub what: &'static str,
    /// Entries now.
    pub used: usize,
    /// Entries at most.
    pub capacity: usize,
    /// Entries at the worst moment so far; of stored messages the sum of that of each block length.
    pub high_water: usize,
}

impl<P: Pattern> Node<'_, P> {
    /// What was done so far.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// How full the tables are.
    pub fn fill(&self) -> [Fill; 5] {
        let (servers, clients) = self.transactions.len();
        let (server_cap, client_cap) = self.transactions.capacity();
        let (server_high, client_high) = self.transactions.high_water();
        let fill = |what, used, capacity, high_water| Fill { what, used, capacity, high_water };
        [
            fill("server transactions", servers, server_cap, server_high),
            fill("client transactions", clients, client_cap, client_high),
            fill("requests in progress", self.contexts.len(), self.contexts.capacity(), self.contexts.high_water()),
            fill("dialogs", self.dialogs.len(), self.dialogs.capacity(), self.dialogs.high_water()),
            fill("stored messages", self.messages.used(), self.messages.capacity(), self.messages.high_water()),
        ]
    }

    /// The dispatcher, to look at.
    pub const fn dispatcher(&self) -> &Dispatcher<'_> {
        &self.dispatcher
    }

    /// All targets, set by set.
    pub fn targets(&self) -> impl Iterator<Item = TargetView<'_>> {
        self.dispatcher.sets().iter().flat_map(|s| self.dispatcher.targets_of(s.id()))
    }

    /// All dialogs.
    pub fn dialogs(&self, now: Instant) -> impl Iterator<Item = DialogView<'_>> {
        self.dialogs.iter().map(move |(_, d)| DialogView {
            names: self.dialogs.names(d),
            phase: d.state().phase(),
            age: now.since(d.state().created_at()),
            answered_for: d.state().answered_at().map(|at| now.since(at)),
            target: d.target().and_then(|id| self.dispatcher.get(id)).map(Target::uri),
        })
    }

    /// Takes other settings. Whole or not at all.
    ///
    /// # Errors
    /// Probe settings that contradict each other; nothing has changed then.
    pub fn reconfigure(&mut self, cx: &mut Cx<'_>, config: Config<P>) -> Result<(), ProbeSettingsError> {
        let mut settings = config.dispatcher.clone();
        settings.probe.passive |= self.identity.shard != 0;
        self.dispatcher.configure(cx, settings)?;
        self.transactions.set_timers(config.timers);
        self.dialogs.set_limits(config.dialogs);
        self.config = config;
        Ok(())
    }

    /// Replaces sets and targets, see [`Dispatcher::reload`].
    ///
    /// # Errors
    /// What is wrong with them; nothing has changed then.
    pub fn reload_targets(
        &mut self,
        cx: &mut Cx<'_>,
        sets: &[SetConfig],
        targets: &[TargetConfig<'_>],
    ) -> Result<ReloadReport, ReloadError> {
        self.dispatcher.reload(cx, sets, targets)
    }

    /// Adds a target.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add_target(&mut self, cx: &mut Cx<'_>, target: &TargetConfig<'_>) -> Result<TargetId, ReloadError> {
        self.dispatcher.add(cx, target)
    }

    /// Removes targets, which finish their calls; gives how many there were.
    pub fn remove_target(&mut self, cx: &mut Cx<'_>, set: u32, uri: &str) -> usize {
        self.dispatcher.remove(cx, set, uri)
    }

    /// Sets what is wanted of one target, or of all of a set; gives how many there were.
    pub fn set_state(&mut self, cx: &mut Cx<'_>, set: u32, name: &str, command: StateCommand, out: Out<'_>) -> usize {
        let mut met = 0;
        self.run_dispatcher(cx, out, |d, cx, actions| met = d.set_state(cx, set, name, command, actions));
        met
    }

    /// Pings a target now.
    pub fn ping_now(&mut self, cx: &mut Cx<'_>, id: TargetId, out: Out<'_>) {
        self.run_dispatcher(cx, out, |d, cx, actions| d.ping_now(cx, id, actions));
    }

    /// Another shard, which pings, says how a target is.
    pub fn learn_health(&mut self, cx: &mut Cx<'_>, id: TargetId, health: Health, out: Out<'_>) {
        self.run_dispatcher(cx, out, |d, cx, actions| d.learn_health(cx, id, health, actions));
    }

    /// Another shard, which does not ping, says that a call to a target failed.
    pub fn learn_failure(&mut self, cx: &mut Cx<'_>, uri: &str, failure: TrafficFailure, out: Out<'_>) {
        let ids: heapless::Vec<TargetId, 8> =
            self.targets().filter(|(_, t)| t.uri() == uri).map(|(id, _)| id).take(8).collect();
        for id in ids {
            self.run_dispatcher(cx, out, |d, cx, actions| d.report_failure(cx, id, failure, actions));
        }
    }

    /// Whether this node leaves pings to another one that holds its addresses. A passive node sends none, and keeps the
    /// health of targets as it is.
    pub fn set_passive(&mut self, cx: &mut Cx<'_>, passive: bool) {
        self.config.dispatcher.probe.passive = passive;
        self.dispatcher.set_passive(cx, passive || self.identity.shard != 0);
    }

    /// Stops taking new calls; what is under way is finished.
    pub fn close(&mut self) {
        self.closing = true;
    }

    /// Whether nothing waits for an answer.
    pub const fn is_idle(&self) -> bool {
        self.contexts.is_empty()
    }
}
