//! Real peers around a real server: SIPp, sipsak and Kamailio as an operator would install them, and clients and servers
//! of our own where every byte matters.
//!
//! Each test has a [`Place`]: loopback addresses and a directory that no other test uses, so that tests run side by
//! side. Whatever is started ends with the value that stands for it, and says what it logged if the test failed.

mod config;
mod kamailio;
mod load;
mod lossy;
mod media;
mod media_party;
mod message;
mod nat;
mod needs;
mod ng;
mod phone;
mod place;
mod process;
mod relay_host;
mod relay_role;
mod router;
mod rtpengine;
mod scenario;
mod segment;
mod server;
mod sipp;
mod sipsak;
mod station;
mod trunkline;
mod trunkline_relay;
mod wire;

pub use config::Config;
pub use kamailio::Kamailio;
pub use load::{Load, Outcome};
pub use lossy::Lossy;
pub use media::{Media, audio_of, talk};
pub use media_party::{MediaParty, converse, media_address, receive, sdp};
pub use message::{Message, host_port, uri_of};
pub use nat::Nat;
pub use needs::have;
pub use ng::{Ng, Value};
pub use phone::Phone;
pub use place::{Place, until};
pub use process::{Process, command};
pub use relay_host::RelayHost;
pub use relay_role::RelayRole;
pub use router::{Dialect, FRR_MAC, Router};
pub use rtpengine::Rtpengine;
pub use rustix::process::Signal;
pub use scenario::{Bye, Callee, Caller};
pub use segment::{Segment, VIP, VIP6};
pub use server::{Behaviour, Seen, Server};
pub use sipp::{Sipp, Stats};
pub use sipsak::sipsak;
pub use station::Station;
pub use trunkline::{Trunkline, binary};
pub use trunkline_relay::{TrunklineRelay, relay_binary};
pub use wire::{Transport, Wire, token};

/// Returns from the test, loudly, if one of the programs or abilities named is not there; fails it if `CI` is `true`.
#[macro_export]
macro_rules! needs {
    ($($what:literal),+ $(,)?) => {
        if !$crate::harness::have(&[$($what),+]) {
            return;
        }
    };
}
