//! A media server and a caller, as user agents beside the node: [`Server`] answers calls and echoes their RTP,
//! [`Caller`] places calls and checks that what it hears is what it sent.
//!
//! ```text
//!  Caller ------ Calls                      Agent ------ Server
//!    |            transactions, dialog, sdp                |
//!    +- rtp_tone: one socket a call       rtp_echo: one socket a call
//! ```
//!
//! The signalling of both is plain code over the transaction machines of the core: datagrams and time go in, datagrams
//! come out. The tokio tasks around it own the sockets. UDP only.

mod agent;
mod calls;
mod clock;
mod deadlines;
mod dialog;
mod ports;
mod sdp;
mod settings;
mod transactions;

pub mod caller;
pub mod rtp_echo;
pub mod rtp_tone;
pub mod server;
pub mod tone;

pub use caller::{Caller, Placed};
pub use calls::{CallResult, Failure, Outcome, Plan, Progress};
pub use rtp_tone::MediaStats;
pub use server::{Server, ServerStats};
pub use settings::{Behaviour, Settings};
