//! The dialogs of a shard: their table, and how a message finds its dialog.
//!
//! A dialog is found by its Call-ID and the caller's tag, so an entry covers what forks make of one INVITE. It keeps no
//! route set: Record-Route brings every later request past us, and it says itself where it goes (a restarted node routes
//! as well).

use core::time::Duration;

use super::state::{DialogAction, DialogEvent, DialogLimits, DialogPhase, DialogState, DialogStep, EndReason, Side};
use crate::dispatcher::TargetId;
use crate::error::Full;
use crate::machine::{Cx, Machine, Timed};
use crate::store::{Buf, BufPool, HashKey, Index, Key, Slots, Table, table::Slot};
use crate::time::Instant;

/// How long a BYE may stay unanswered: 64 × T1, after which its sender has given up (RFC 3261 §17.1.2.2).
const BYE_WAIT: Duration = Duration::from_secs(32);

/// What is written down about a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names<'n> {
    /// `Call-ID`.
    pub call_id: &'n [u8],
    /// The caller's tag.
    pub caller_tag: &'n [u8],
    /// The callee's tag; empty before there is one.
    pub callee_tag: &'n [u8],
    /// The caller's URI.
    pub from: &'n [u8],
    /// The URI that was called.
    pub to: &'n [u8],
}

/// One dialog.
#[derive(Debug)]
pub struct Dialog {
    state: DialogState,
    hash: u64,
    target: Option<TargetId>,
    bye_until: Option<Instant>,
    names: Option<Buf>,
}

impl Timed for Dialog {
    fn next_deadline(&self) -> Option<Instant> {
        [self.state.next_deadline(), self.hung_up_at()].into_iter().flatten().min()
    }

    fn is_done(&self) -> bool {
        self.state.is_done()
    }
}

impl Dialog {
    /// When an unanswered BYE ends it. As long as the INVITE has no answer it ends nothing.
    fn hung_up_at(&self) -> Option<Instant> {
        self.bye_until.filter(|_| self.state.phase() != DialogPhase::Early)
    }

    /// Where it stands.
    pub const fn state(&self) -> &DialogState {
        &self.state
    }

    /// The target that carries it.
    pub const fn target(&self) -> Option<TargetId> {
        self.target
    }
}

/// A dialog that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// The target that carried it.
    pub target: Option<TargetId>,
    /// How long it was answered; `None` if it never was.
    pub answered_for: Option<Duration>,
}

/// Memory for dialogs.
pub struct Memory<'a> {
    /// The dialogs.
    pub dialogs: Slots<'a, Slot<Dialog>>,
    /// Their index, see [`Index::buckets_for`].
    pub index: Slots<'a, u64>,
    /// Their names.
    pub names: BufPool<'a>,
}

/// The dialogs of a shard.
pub struct Dialogs<'a> {
    dialogs: Table<'a, Dialog>,
    index: Index<'a>,
    names: BufPool<'a>,
    hash: HashKey,
    limits: DialogLimits,
}

impl<'a> Dialogs<'a> {
    /// No dialogs yet.
    pub fn new(memory: Memory<'a>, hash: HashKey, limits: DialogLimits) -> Self {
        Self {
            dialogs: Table::new(memory.dialogs, "dialogs"),
            index: Index::new(memory.index, "dialogs"),
            names: memory.names,
            hash,
            limits,
        }
    }

    /// The limits that events from now on follow.
    pub fn set_limits(&mut self, limits: DialogLimits) {
        self.limits = limits;
    }

    fn lookup(&self, call_id: &[u8], caller_tag: &[u8]) -> Option<Key> {
        let hash = self.hash.hash(&[call_id, caller_tag]);
        let dialogs = &self.dialogs;
        let slot = self.index.find(hash, |slot| dialogs.at(slot).is_some_and(|(_, d)| d.hash == hash))?;
        dialogs.at(slot).map(|(key, _)| key)
    }

    /// The dialog that a request within it belongs to, and which side sent it.
    pub fn find(&self, call_id: &[u8], from_tag: &[u8], to_tag: &[u8]) -> Option<(Key, Side)> {
        self.lookup(call_id, from_tag)
            .map(|key| (key, Side::Caller))
            .or_else(|| self.lookup(call_id, to_tag).map(|key| (key, Side::Callee)))
    }

    /// The dialog of that key.
    pub fn get(&self, key: Key) -> Option<&Dialog> {
        self.dialogs.get(key)
    }

    /// Opens the dialog that an INVITE may set up.
    pub fn open(&mut self, cx: &mut Cx<'_>, names: &Names<'_>, cseq: u32) -> Result<Key, Full> {
        let hash = self.hash.hash(&[names.call_id, names.caller_tag]);
        let state = DialogState::new(cx.now, &self.limits, cseq);
        let key = self.dialogs.insert(Dialog { state, hash, target: None, bye_until: None, names: None })?;
        if let Err(full) = self.index.insert(hash, key.slot()) {
            self.dialogs.remove(key);
            return Err(full);
        }
        self.write_names(key, names);
        Ok(key)
    }

    /// Names serve the eye only: without room for them the dialog is counted and followed all the same.
    fn write_names(&mut self, key: Key, n: &Names<'_>) {
        let parts = [n.call_id, n.caller_tag, n.callee_tag, n.from, n.to];
        let len = parts.iter().map(|p| p.len() + 2).sum();
        let new = self.names.alloc_with(len, |out| {
            let mut at = 0;
            for part in parts {
                out[at..at + 2].copy_from_slice(&(part.len() as u16).to_le_bytes());
                out[at + 2..at + 2 + part.len()].copy_from_slice(part);
                at += 2 + part.len();
            }
        });
        let old = self.dialogs.run(key, |d| core::mem::replace(&mut d.names, new.ok())).and_then(|ran| ran.value);
        if let Some(old) = old {
            self.names.free(old);
        }
    }

    /// What is written down about a dialog.
    pub fn names(&self, dialog: &Dialog) -> Option<Names<'_>> {
        let mut rest = self.names.bytes(dialog.names.as_ref()?);
        let mut next = || {
            let (len, tail) = rest.split_first_chunk::<2>()?;
            let (part, tail) = tail.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
            rest = tail;
            Some(part)
        };
        Some(Names { call_id: next()?, caller_tag: next()?, callee_tag: next()?, from: next()?, to: next()? })
    }

    /// Notes the target that carries the dialog; gives the one before.
    pub fn set_target(&mut self, key: Key, target: Option<TargetId>) -> Option<TargetId> {
        self.dialogs.run(key, |d| core::mem::replace(&mut d.target, target)).and_then(|ran| ran.value)
    }

    /// Takes a target off all dialogs it carries; gives how many there were. Walks the whole table.
    pub fn forget_target(&mut self, target: TargetId) -> usize {
        let mut forgotten = 0;
        for slot in 0..self.dialogs.high_water() as u32 {
            let carried = self.dialogs.at(slot).filter(|(_, d)| d.target == Some(target)).map(|(key, _)| key);
            if let Some(key) = carried {
                self.set_target(key, None);
                forgotten += 1;
            }
        }
        forgotten
    }

    /// The INVITE was answered with a 2xx.
    pub fn answered(&mut self, cx: &mut Cx<'_>, key: Key, names: &Names<'_>, expires_s: Option<u32>) {
        let first = self.get(key).is_some_and(|d| d.state.phase() == DialogPhase::Early);
        if first {
            self.write_names(key, names);
        }
        // An answer ends no dialog.
        let _ = self.event(cx, key, DialogEvent::Answered { expires_s });
    }

    /// A BYE passed. If it is never answered the dialog is over all the same, once its INVITE was answered.
    pub fn bye(&mut self, cx: &mut Cx<'_>, key: Key) {
        let until = cx.now + BYE_WAIT;
        let _ = self.dialogs.run(key, |d| d.bye_until = d.bye_until.or(Some(until))).map(|ran| ran.value);
    }

    /// Something happened to a dialog.
    pub fn event(&mut self, cx: &mut Cx<'_>, key: Key, event: DialogEvent) -> Option<Ended> {
        let limits = self.limits;
        let ran = self.dialogs.run(key, |d| {
            let mut ended = None;
            d.state.handle(cx, DialogStep { limits: &limits, event }, &mut |a: DialogAction| {
                if let DialogAction::Ended(reason) = a {
                    ended = Some(reason);
                }
            });
            ended
        })?;
        let dialog = ran.freed?;
        self.index.remove(dialog.hash, key.slot());
        if let Some(names) = dialog.names {
            self.names.free(names);
        }
        let answered_for = dialog.state.answered_at().map(|at| cx.now.since(at));
        ran.value.map(|reason| Ended { reason, target: dialog.target, answered_for })
    }

    /// Ends the dialog whose deadline is the earliest, if that has passed. `None` if none has; the inner `None` if the
    /// dialog goes on.
    pub fn expire(&mut self, cx: &mut Cx<'_>) -> Option<Option<Ended>> {
        let key = self.dialogs.expire(cx.now)?;
        let hung_up = self.get(key).and_then(Dialog::hung_up_at).is_some_and(|at| at <= cx.now);
        Some(self.event(cx, key, if hung_up { DialogEvent::ByeTimedOut } else { DialogEvent::Timeout }))
    }

    /// When the next dialog wants its timeout.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.dialogs.next_deadline()
    }

    /// All dialogs.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Dialog)> {
        self.dialogs.iter()
    }

    /// Dialogs now.
    pub const fn len(&self) -> usize {
        self.dialogs.len()
    }

    /// Whether there is no dialog.
    pub const fn is_empty(&self) -> bool {
        self.dialogs.is_empty()
    }

    /// Dialogs at most.
    pub fn capacity(&self) -> usize {
        self.dialogs.capacity()
    }

    /// Whether index and names hold nothing while there is no dialog.
    #[cfg(all(test, feature = "alloc"))]
    pub(crate) fn is_clean(&self) -> bool {
        self.dialogs.is_empty() && self.index.is_empty() && self.names.used() == 0
    }

    /// Dialogs at the worst moment so far.
    pub fn high_water(&self) -> usize {
        self.dialogs.high_water()
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests;
