//! Sync groups.

use super::config::{GroupConfig, InstanceId};
use super::event::State;

/// A sync group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub(super) config: GroupConfig,
    pub(super) configured: bool,
    pub(super) state: State,
}

impl Group {
    /// Its configuration.
    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// The state that its members were in when they last agreed.
    pub fn state(&self) -> State {
        self.state
    }

    pub(super) fn member(&self, at: usize) -> Option<InstanceId> {
        self.config.members.get(at).copied()
    }
}
