//! The sections about media relays.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::schema::section;
use super::values::{MediaFallback, NgText};

section! { default
    /// Media relays: session descriptions are rewritten so that the media of every call flows through one of them.
    struct Relay {
        /// A relay that speaks the ng protocol: trunkline-relay or rtpengine. Without any, media passes by.
        node: Vec<RelayNode> = Vec::new();
        /// How long an answer of a relay is awaited.
        timeout: Duration = Duration::from_millis(500), in 10..=60_000;
        /// How often a relay is asked before it counts as dead.
        tries: u16 = 3, in 1..=20;
        /// How long a dead relay is left alone before it is asked whether it lives.
        retry_after: Duration = Duration::from_secs(60), in 100..=86_400_000;
        /// What becomes of a call whose media no relay takes.
        on_failure: MediaFallback = MediaFallback::Reject;
        /// Peers that are inside. Targets are, without being named here.
        inside_networks: Vec<IpNet> = Vec::new(), eg "[\"10.0.0.0/8\"]";
        /// How media is handled towards targets and other peers inside.
        inside: MediaSide = MediaSide::default();
        /// How media is handled towards everyone else.
        outside: MediaSide = MediaSide::default();
    }
}

section! {
    /// A relay that speaks the ng protocol: trunkline-relay or rtpengine. Without any, media passes by.
    struct RelayNode {
        /// Where it takes commands.
        address: SocketAddr, eg "\"127.0.0.1:2223\"";
        /// Its share of the calls of its set. 0: it takes none.
        weight: u16 = 1, in 0..=1_000;
        /// Its set. The lowest set that has a relay alive is used, so that higher ones stand in.
        set: u16 = 0;
    }
}

section! { default
    /// How media is handled towards targets and other peers inside. Keys and values are those of the ng protocol.
    struct MediaSide {
        /// The relay's interface that faces this side; set both or none.
        interface: Option<NgText> = None, eg "\"internal\"";
        /// The transport protocol that this side gets.
        transport_protocol: Option<NgText> = None, eg "\"RTP/AVP\"";
        /// What becomes of ICE.
        ice: Option<NgText> = None, eg "\"remove\"";
        /// What becomes of multiplexed RTCP.
        rtcp_mux: Vec<NgText> = Vec::new(), eg "[\"demux\"]";
        /// Flags.
        flags: Vec<NgText> = Vec::new(), eg "[\"trust-address\"]";
        /// What is rewritten besides addresses and ports.
        replace: Vec<NgText> = vec![ng("origin"), ng("session-connection")];
    }
}

fn ng(text: &str) -> NgText {
    text.parse().expect("a constant of this file, read in the tests of the defaults")
}
