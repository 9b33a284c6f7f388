//! The sections about media relays.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use trunkline_core::relay::Address as MediaAddress;
use trunkline_core::relay::media::PortRange;

use super::schema::section;
use super::values::{Bare, MediaFallback, NgText, RelayMode};

section! { default
    /// Media relays: session descriptions are rewritten so that the media of every call flows through one of them. The keys
    /// from `interface` on are those of our own relay: the embedded one, and that of `trunkline relay`.
    struct Relay {
        /// Where media goes. Left out: "ng" if relays are listed, else "off".
        mode: Option<RelayMode> = None, eg "\"ng\"";
        /// A relay that speaks the ng protocol: trunkline-relay, `trunkline relay` or rtpengine.
        ng: Vec<RelayNg> = Vec::new();
        /// How long an answer of a relay is awaited.
        control_timeout: Duration = Duration::from_millis(500), in 10..=60_000;
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
        /// Addresses of this machine for media. A label names the side that `relay.inside.interface` and
        /// `relay.outside.interface` mean; the address after "!" is written into session descriptions instead.
        interface: Vec<MediaAddress> = Vec::new(), eg "[\"internal/10.0.1.20\", \"external/10.0.2.20!203.0.113.50\"]";
        /// The lowest port for media. RTP takes even ports, RTCP the odd ones after them.
        port_min: u16 = 20_000, in 1..=65_535;
        /// The highest port for media.
        port_max: u16 = 40_000, in 1..=65_535;
        /// A call ends that has no media for so long. A bare number is seconds; 0: never.
        timeout: Bare<1_000> = seconds(60), in 0..=604_800_000;
        /// The same while it is on hold. A bare number is seconds; 0: never.
        silent_timeout: Bare<1_000> = seconds(3_600), in 0..=604_800_000;
        /// A call ends after so long in any case. A bare number is seconds; 0: never.
        final_timeout: Bare<1_000> = seconds(7_200), in 0..=604_800_000;
        /// A call ends whose offer nobody answers for so long. A bare number is seconds; 0: never.
        offer_timeout: Bare<1_000> = seconds(3_600), in 0..=604_800_000;
        /// How long media still flows after a call was deleted. A bare number is seconds.
        delete_delay: Bare<1_000> = seconds(30), in 0..=3_600_000;
        /// Type of service of media packets; 184 is expedited forwarding (RFC 3246).
        tos: u16 = 184, in 0..=255;
        /// Calls at once. 0: as many as the ports carry.
        max_sessions: u32 = 0;
        /// How long SIGTERM waits for calls with media before they are cut off. A bare number is seconds.
        drain_timeout: Bare<1_000> = seconds(60), in 0..=86_400_000;
        /// Where `trunkline relay` takes commands of the ng protocol over UDP.
        listen_ng: Vec<SocketAddr> = vec![(Ipv4Addr::LOCALHOST, 2_223).into()];
        /// Who may send commands to `trunkline relay`.
        ng_allow: Vec<IpNet> = loopback();
    }
}

section! {
    /// A relay that speaks the ng protocol: trunkline-relay, `trunkline relay` or rtpengine.
    struct RelayNg {
        /// Where it takes commands.
        address: SocketAddr, eg "\"127.0.0.1:2223\"";
        /// Its share of the calls of its set. 0: it takes none.
        weight: u16 = 1, in 0..=1_000;
        /// Its set. The lowest set that has a relay alive is used, so that higher ones stand in.
        set: u16 = 0;
    }
}

impl Relay {
    /// The mode that holds.
    pub(crate) fn mode(&self) -> RelayMode {
        self.mode.unwrap_or(if self.ng.is_empty() { RelayMode::Off } else { RelayMode::Ng })
    }

    /// The relays that calls are given to, besides an embedded one.
    pub(crate) fn listed(&self) -> &[RelayNg] {
        if self.mode() == RelayMode::Ng { &self.ng } else { &[] }
    }

    /// Whether a relay of this process would be set up the same way by `other`.
    pub(crate) fn has_same_engine(&self, other: &Self) -> bool {
        let engine = |relay: &Self| {
            let Relay { port_min, port_max, tos, max_sessions, .. } = *relay;
            let times =
                [relay.timeout, relay.silent_timeout, relay.final_timeout, relay.offer_timeout, relay.delete_delay];
            (port_min, port_max, tos, max_sessions, times)
        };
        self.interface == other.interface && engine(self) == engine(other)
    }

    /// Ports for media.
    pub(crate) const fn ports(&self) -> PortRange {
        PortRange { min: self.port_min, max: self.port_max }
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

const fn seconds(seconds: u64) -> Bare<1_000> {
    Bare(Duration::from_secs(seconds))
}

fn loopback() -> Vec<IpNet> {
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    ]
}
