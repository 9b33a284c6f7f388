//! One shard of everything: the layers put together.
//!
//! A [`Node`] takes events ([`Event`]), and emits actions ([`Action`]). Its files follow the way of a message:
//! `request` (what is it?) → `initial` (a new call) or `within` (a dialog) → `branches` (send it on) → `response` →
//! `outcome` (answer the caller). [`mod@pump`] fixes the order of work, [`demux`] says which shard gets a message.

pub mod action;
mod anchored;
mod branches;
#[cfg(feature = "alloc")]
mod capacity;
pub mod config;
mod control;
pub mod demux;
pub mod event;
mod fixed;
mod initial;
mod outcome;
mod probe;
pub mod pump;
mod reply;
mod request;
mod response;
mod stats;
mod within;

pub use action::{Action, Report, Subject};
pub use anchored::Anchored;
#[cfg(feature = "alloc")]
pub use capacity::Capacity;
pub use config::{Config, Identity, PingConfig};
pub use control::{DialogView, Fill, TargetView};
pub use event::Event;
pub use fixed::FixedMemory;
pub use pump::pump;
pub use stats::Stats;

use crate::dialog::Dialogs;
use crate::dialog::layer::Ended;
use crate::dispatcher::probe::ProbeSettingsError;
use crate::dispatcher::{self, Dispatcher, TargetId};
use crate::entropy::Entropy;
use crate::machine::Cx;
use crate::proxy::context::Context;
use crate::routing::Pattern;
use crate::store::{BufPool, Bytes, HashKey, Slots, Table, table::Slot};
use crate::time::Instant;
use crate::transaction::BranchKey;
use crate::transaction::layer::{self as transactions, Transactions};

/// Where actions go.
pub type Out<'o> = &'o mut dyn FnMut(Action<'_>);

/// The memory of a node: from [`FixedMemory::lend`] without a heap, from [`Capacity::reserve`] with one, or row by row.
pub struct Memory<'a> {
    /// Transactions.
    pub transactions: transactions::Memory<'a>,
    /// Response contexts: one for each request that waits for its final response.
    pub contexts: Slots<'a, Slot<Context>>,
    /// Dialogs.
    pub dialogs: crate::dialog::layer::Memory<'a>,
    /// Sets and targets.
    pub targets: dispatcher::Storage<'a>,
    /// Messages that are kept: requests until they are answered, responses until they are acknowledged.
    pub messages: BufPool<'a>,
    /// Room to write one message, three times: one to forward, one that follows from it, one that is taken from store.
    pub scratch: [Bytes<'a>; 3],
}

/// One shard of everything.
pub struct Node<'a, P: 'static> {
    config: Config<P>,
    identity: Identity,
    branch_key: BranchKey,
    hash: HashKey,
    transactions: Transactions<'a>,
    contexts: Table<'a, Context>,
    dialogs: Dialogs<'a>,
    dispatcher: Dispatcher<'a>,
    messages: BufPool<'a>,
    /// Where a message is written before it is sent.
    message: Bytes<'a>,
    /// Where the transaction layer writes an ACK or a CANCEL.
    scratch: Bytes<'a>,
    /// Where a kept message is read from.
    replay: Bytes<'a>,
    stats: Stats,
    closing: bool,
    ping_number: u32,
    /// Targets that went down, and when their calls are no longer counted.
    down: heapless::Vec<(TargetId, Instant), DOWN_MAX>,
}

/// Most targets whose fall is watched at once; the calls of others count until they end by themselves.
const DOWN_MAX: usize = 16;

/// What the transaction layer works with, borrowed from a node's fields.
macro_rules! io {
    ($node:expr, $out:expr) => {
        crate::transaction::layer::Io {
            bufs: &mut $node.messages,
            scratch: $node.scratch.as_mut_slice(),
            send: &mut |flow: &crate::flow::Flow, bytes: &[u8]| {
                $node.stats.sent += 1;
                $out(crate::node::Action::Send { flow, bytes })
            },
        }
    };
}
use io;

impl<'a, P: Pattern> Node<'a, P> {
    /// A node without targets: [`Node::reload_targets`] brings them.
    ///
    /// # Errors
    /// Probe settings that contradict each other.
    pub fn new(memory: Memory<'a>, config: Config<P>, identity: Identity) -> Result<Self, ProbeSettingsError> {
        let hash = HashKey::new(identity.secret);
        let [message, scratch, replay] = memory.scratch;
        let mut settings = config.dispatcher.clone();
        settings.probe.passive |= identity.shard != 0;
        Ok(Self {
            branch_key: BranchKey::new(identity.secret),
            transactions: Transactions::new(memory.transactions, config.timers),
            contexts: Table::new(memory.contexts, "requests in progress"),
            dialogs: Dialogs::new(memory.dialogs, hash.clone(), config.dialogs),
            dispatcher: Dispatcher::new(memory.targets, settings)?,
            messages: memory.messages,
            message,
            scratch,
            replay,
            hash,
            config,
            identity,
            stats: Stats::default(),
            closing: false,
            ping_number: 0,
            down: heapless::Vec::new(),
        })
    }

    /// Takes one event.
    pub fn handle(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: Out<'_>) {
        match event {
            Event::Received { flow, bytes } => self.received(cx, &flow, bytes, out),
            Event::Undelivered { to, bytes } => self.undelivered(cx, to, bytes, out),
            // Messages that were lost with a connection come back one by one; nothing else hangs on it.
            Event::Disconnected { .. } => {}
            // It is for the anchor, see [`Anchored`].
            Event::Relay { .. } => {}
            Event::Timeout => self.expire(cx, out),
        }
    }

    /// When [`Event::Timeout`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.transactions.next_deadline(),
            self.contexts.next_deadline(),
            self.dialogs.next_deadline(),
            self.dispatcher.next_deadline(),
            self.down.iter().map(|(_, at)| *at).min(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Delivers what is due, one deadline of each layer.
    #[inline(never)]
    fn expire(&mut self, cx: &mut Cx<'_>, out: Out<'_>) {
        let expired = self.transactions.expire(cx, &mut io!(self, out));
        if let Some(expired) = expired {
            self.transaction_expired(cx, expired, out);
        }
        if let Some(key) = self.contexts.expire(cx.now) {
            self.run_fork(cx, key, crate::proxy::fork::Event::Timeout, None, None, out);
        }
        if let Some(Some(ended)) = self.dialogs.expire(cx) {
            self.dialog_ended(&ended);
        }
        if self.dispatcher.next_deadline().is_some_and(|d| d <= cx.now) {
            self.run_dispatcher(cx, out, |dispatcher, cx, out| dispatcher.expire(cx, out));
        }
        if let Some(i) = self.down.iter().position(|(_, at)| *at <= cx.now) {
            let (target, _) = self.down.swap_remove(i);
            self.uncount(target);
        }
    }

    /// The calls of a target that stays down are over, as far as limits and loads go. Their dialogs stay: what is left
    /// of them is still routed.
    fn uncount(&mut self, target: TargetId) {
        for _ in 0..self.dialogs.forget_target(target) {
            self.dispatcher.call_ended(target);
        }
    }

    fn dialog_ended(&mut self, ended: &Ended) {
        if let Some(target) = ended.target {
            self.dispatcher.call_ended(target);
        }
        match ended.answered_for {
            Some(_) => self.stats.calls_ended += 1,
            None => self.stats.calls_failed += 1,
        }
    }
}

impl<P: Pattern> pump::Engine for Node<'_, P> {
    fn handle(&mut self, cx: &mut Cx<'_>, event: Event<'_>, out: &mut dyn FnMut(Action<'_>)) {
        Self::handle(self, cx, event, out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        Self::next_deadline(self)
    }
}

/// Eight bytes as sixteen hexadecimal digits.
fn hex(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (i, out) in text.iter_mut().enumerate() {
        *out = b"0123456789abcdef"[(number >> (60 - 4 * i)) as usize & 15];
    }
    text
}

/// A random token of sixteen characters that nobody can guess.
fn token(entropy: &mut dyn Entropy) -> [u8; 16] {
    hex(entropy.secret_u64())
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
