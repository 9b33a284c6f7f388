//! What a proxy keeps of a request until it is answered.

use super::fork::{BRANCHES_MAX, Fork};
use crate::dispatcher::TargetId;
use crate::flow::Flow;
use crate::machine::Timed;
use crate::store::{Buf, Key};
use crate::time::Instant;

/// Where a request can go.
#[derive(Clone, Debug)]
pub enum Plan {
    /// To the targets of a set, in this order.
    Dispatch(heapless::Vec<TargetId, BRANCHES_MAX>),
    /// To one peer.
    Relay(Flow),
}

impl Plan {
    /// How many targets there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Dispatch(targets) => targets.len(),
            Self::Relay(_) => 1,
        }
    }

    /// Whether there is no target.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One branch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Branch {
    /// Its client transaction.
    pub client: Option<Key>,
    /// Whether it went over TCP for its size, and can still go over UDP (RFC 3261 §18.1.1).
    pub upgraded: bool,
    /// Whether the target answered anything.
    pub heard: bool,
}

/// A response context with all that hangs on it.
#[derive(Debug)]
pub struct Context {
    /// The machine.
    pub fork: Fork,
    /// The server transaction.
    pub server: Key,
    /// The request as it came.
    pub request: Option<Buf>,
    /// Where it came from.
    pub source: Flow,
    /// Its dialog, if it sets one up or belongs to one.
    pub dialog: Option<Key>,
    /// Whether it is the INVITE that sets up `dialog`.
    pub initial: bool,
    /// Whether it is an INVITE.
    pub invite: bool,
    /// Where it can go.
    pub plan: Plan,
    /// Branches, by number.
    pub branches: [Branch; BRANCHES_MAX],
    /// The responses kept from branches, as they would be forwarded.
    pub kept: super::challenge::Kept,
    /// Whether a branch could not be started for want of room.
    pub unstarted: bool,
    /// Set when nothing of it is needed any more.
    pub closed: bool,
}

impl Timed for Context {
    fn next_deadline(&self) -> Option<Instant> {
        self.fork.next_deadline()
    }

    fn is_done(&self) -> bool {
        self.closed
    }
}
