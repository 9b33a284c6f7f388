//! Dialogs as a proxy on their path sees them: RFC 3261 §12, with the session timer of RFC 4028.

pub mod layer;
pub mod session_timer;
pub mod state;

pub use layer::Dialogs;
pub use state::{DialogAction, DialogEvent, DialogLimits, DialogPhase, DialogState, DialogStep, EndReason, Side};
