//! Transactions: the machines of RFC 3261 §17 with the corrections of RFC 6026 and RFC 4320, their timers, and the
//! Via branch by which a response finds its transaction.
//!
//! The machines hold no message. An action such as [`SendRequest`](client_invite::ClientInviteAction::SendRequest)
//! names the bytes that the owner of the machine keeps.

pub mod branch;
pub mod client;
pub mod client_invite;
mod either;
pub mod layer;
pub mod server;
pub mod server_invite;
pub mod timers;

#[cfg(test)]
mod script;

pub use branch::{Branch, BranchId, BranchKey, BranchKind, BranchTag};
pub use client::{Client, ClientAction, ClientEvent, ClientState};
pub use client_invite::{ClientInvite, ClientInviteAction, ClientInviteEvent, ClientInviteState};
pub use server::{Server, ServerAction, ServerEvent, ServerState};
pub use server_invite::{ServerInvite, ServerInviteAction, ServerInviteEvent, ServerInviteState};
pub use timers::{Step, Timers};
