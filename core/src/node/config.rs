//! What a node is told about itself. All of it can be replaced while it runs.

use core::net::SocketAddr;
use core::time::Duration;

use crate::dialog::DialogLimits;
use crate::dialog::session_timer::SessionTimerPolicy;
use crate::dispatcher::DispatcherSettings;
use crate::proxy::forward::RecordRoute;
use crate::proxy::{Locals, StatusSet};
use crate::routing::Rules;
use crate::store::Str;
use crate::transaction::Timers;

/// The settings of a node.
#[derive(Clone, Debug)]
pub struct Config<P: 'static> {
    /// Our listeners and names.
    pub locals: Locals,
    /// The timers of transactions.
    pub timers: Timers,
    /// Timer C (RFC 3261 §16.8), more than 3 minutes.
    pub timer_c: Duration,
    /// How long dialogs are kept.
    pub dialogs: DialogLimits,
    /// What is asked of session timers.
    pub session_timer: SessionTimerPolicy,
    /// Whether and how we stay on the path of dialogs.
    pub record_route: Option<RecordRoute>,
    /// How targets are probed and chosen.
    pub dispatcher: DispatcherSettings,
    /// How pings look.
    pub ping: PingConfig,
    /// What makes a target failed, so that the next one is tried.
    pub failover: StatusSet,
    /// How long a target may leave an INVITE without any response.
    pub first_reply: Option<Duration>,
    /// Which request goes where.
    pub rules: Rules<P>,
    /// The value of `Server` in responses made here; empty for none.
    pub server: Str,
    /// The largest request sent over UDP; a larger one goes over TCP if there is a listener for it (RFC 3261 §18.1.1).
    pub udp_max: usize,
    /// What `Retry-After` says when there is no room, in seconds.
    pub retry_after_s: u32,
    /// `Max-Forwards` of a request that had none.
    pub max_forwards: u8,
    /// The reason phrase of the 503 when no target can take a call.
    pub no_target_reason: Str,
    /// The reason phrase of the 503 when every target failed.
    pub all_failed_reason: Str,
    /// How long a session counts beyond its expiry, so that a late refresh finds it.
    pub session_grace: Duration,
    /// How long calls count on a target that went down, in case it comes back.
    pub down_grace: Duration,
}

impl<P> Config<P> {
    /// The platform's defaults, with these listeners and rules.
    pub fn new(locals: Locals, rules: Rules<P>) -> Self {
        Self {
            locals,
            timers: Timers { trying: Duration::ZERO, ..Timers::DEFAULT },
            timer_c: Duration::from_secs(181),
            dialogs: DialogLimits::default(),
            session_timer: SessionTimerPolicy::default(),
            record_route: Some(RecordRoute::default()),
            dispatcher: DispatcherSettings::default(),
            ping: PingConfig {
                method: "OPTIONS".into(),
                from: "sip:keepalive@nodomain.com".into(),
                user_agent: "VoIP-Platform".into(),
            },
            failover: StatusSet::parse("408,5xx").unwrap_or_default(),
            first_reply: Some(Duration::from_secs(2)),
            rules,
            server: "VoIP-Platform".into(),
            udp_max: 1_300,
            retry_after_s: 5,
            max_forwards: 10,
            no_target_reason: "Service Unavailable — No Media Servers".into(),
            all_failed_reason: "All Media Servers Unavailable".into(),
            session_grace: Duration::from_secs(180),
            down_grace: Duration::from_secs(10),
        }
    }
}

/// How pings look.
#[derive(Clone, Debug)]
pub struct PingConfig {
    /// The method.
    pub method: Str,
    /// The URI of `From`.
    pub from: Str,
    /// The value of `User-Agent`; empty for none.
    pub user_agent: Str,
}

/// Who a shard is among the shards of its node, and what they all know.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The number of the shard.
    pub shard: u8,
    /// The secret of the node: branches and tags are made under it. A node that is restarted with the same secret
    /// knows what it sent before.
    pub secret: [u8; 16],
}

/// Where a peer is reached, when a URI says it in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) addr: SocketAddr,
    pub(super) transport: crate::wire::sip::transport::Transport,
}
