//! From the configuration to what the core and the sockets are told.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

use ipnet::IpNet;
use trunkline_core::anchor::{AnchorConfig, OnFailure, Profile, RelayNode};
use trunkline_core::dialog::DialogLimits;
use trunkline_core::dialog::session_timer::SessionTimerPolicy;
use trunkline_core::dispatcher::{
    AdminState, Algorithm, Attrs, DispatcherSettings, Hop, ProbeSettings, ProbingMode, ReplyCodes, SetConfig,
    TargetConfig,
};
use trunkline_core::flow::ListenerId;
use trunkline_core::node::{Capacity, Config as NodeConfig, PingConfig};
use trunkline_core::proxy::forward::RecordRoute;
use trunkline_core::proxy::{Listener, Locals, StatusSet};
use trunkline_core::routing::{Condition, Dispatch, Network, Pattern, Rule, Rules, Verdict};
use trunkline_core::store::{List, Str};
use trunkline_core::transaction::Timers;
use trunkline_core::wire::sip::transport::Transport;

use crate::config::relay::MediaSide;
use crate::config::values::{self, Code, DefaultAction, PingMode, TargetUri};
use crate::config::{Action, Config, Listen, Route, Set, Target};

/// The set of the built-in echo. Ids in files end below it.
pub(crate) const ECHO_SET: u32 = 2_147_483_648;

/// A regular expression as the core's rules use it.
#[derive(Clone, Debug)]
pub(crate) struct Regex(regex::bytes::Regex);

impl Pattern for Regex {
    fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

fn text(text: &str) -> Str {
    text.bytes().collect()
}

/// The transport in the core's words.
pub(crate) const fn transport(transport: values::Transport) -> Transport {
    match transport {
        values::Transport::Udp => Transport::Udp,
        values::Transport::Tcp => Transport::Tcp,
    }
}

/// The listeners with the addresses that peers are told. For a socket on all addresses that is the one the machine
/// would send from.
pub(crate) fn listeners(config: &Config) -> Result<Vec<Listener>, String> {
    config.listen.iter().map(listener).collect()
}

fn listener(listen: &Listen) -> Result<Listener, String> {
    let bound = SocketAddr::new(listen.address, listen.port);
    let advertised = match &listen.advertise {
        Some(advertise) => {
            let port = advertise.port.unwrap_or(listen.port);
            match &advertise.host {
                values::Host::Ip(ip) => SocketAddr::new(*ip, port),
                values::Host::Name(name) => resolve(name, port).map_err(|e| format!("listen.advertise: {e}"))?,
            }
        }
        None if bound.ip().is_unspecified() => SocketAddr::new(outward_address(bound.is_ipv4()), listen.port),
        None => bound,
    };
    Ok(Listener { transport: transport(listen.transport), bound, advertised })
}

/// The address that this machine sends from towards others. Nothing is sent to find it.
pub(crate) fn outward_address(v4: bool) -> IpAddr {
    // Addresses for documentation (RFC 5737, RFC 3849): routed like any other, and nobody's.
    let (any, far): (&str, &str) = if v4 { ("0.0.0.0:0", "192.0.2.1:9") } else { ("[::]:0", "[2001:db8::1]:9") };
    let found = UdpSocket::bind(any).and_then(|s| s.connect(far).and_then(|()| s.local_addr()));
    match found {
        Ok(addr) if !addr.ip().is_unspecified() => addr.ip(),
        _ if v4 => std::net::Ipv4Addr::LOCALHOST.into(),
        _ => std::net::Ipv6Addr::LOCALHOST.into(),
    }
}

fn resolve(name: &str, port: u16) -> Result<SocketAddr, String> {
    let mut found = (name, port).to_socket_addrs().map_err(|e| format!("{name} cannot be looked up: {e}"))?;
    found.next().ok_or_else(|| format!("{name} has no address"))
}

/// How much the shards hold, each its share.
pub(crate) fn capacity(config: &Config, shards: u8) -> Capacity {
    let share = |n: u32| (n as usize).div_ceil(usize::from(shards.max(1)));
    let transactions = share(config.limits.transactions);
    Capacity {
        transactions,
        contexts: transactions.div_ceil(2),
        dialogs: share(config.limits.dialogs),
        targets: config.limits.targets as usize + 1,
        sets: config.set.len().max(64) * 2,
    }
}

/// What a node is told.
pub(crate) fn node(config: &Config, listeners: &[Listener], secret: [u8; 16]) -> Result<NodeConfig<Regex>, String> {
    let timers = &config.timers;
    let ping = &config.dispatch.ping;
    let addresses: List<IpAddr> =
        if_addrs::get_if_addrs().map(|list| list.iter().map(if_addrs::Interface::ip).collect()).unwrap_or_default();
    // Those of virtual routers are ours whether they are here now or not.
    let moving = config.vrrp.iter().flat_map(|v| v.addresses.iter().chain(&v.excluded_addresses));
    let addresses = addresses.iter().copied().chain(moving.map(|a| a.net.addr())).collect();
    let names = std::iter::once(text(&config.edge.default_realm));
    Ok(NodeConfig {
        locals: Locals::new(listeners, names.collect(), addresses),
        timers: Timers {
            t1: timers.t1,
            t2: timers.t2,
            t4: timers.t4,
            d: Timers::DEFAULT.d,
            trying: Duration::ZERO,
            fr: timers.fr_timer,
            fr_inv: timers.fr_inv_timer,
            restart_fr_on_each_reply: timers.restart_fr_on_each_reply,
        },
        timer_c: timers.timer_c,
        dialogs: DialogLimits {
            early: timers.timer_c + Duration::from_secs(10),
            max_lifetime: config.dialog.max_lifetime,
        },
        session_timer: SessionTimerPolicy {
            min_se_s: u32::try_from(config.session_timer.min_se.as_secs()).unwrap_or(u32::MAX),
            session_expires_s: None,
        },
        record_route: Some(RecordRoute {
            full_lr: config.record_route.enable_full_lr,
            from_tag: config.record_route.append_fromtag,
            double: config.record_route.enable_double_rr,
        }),
        dispatcher: DispatcherSettings {
            probe: ProbeSettings {
                mode: match ping.mode {
                    PingMode::Off | PingMode::All => ProbingMode::All,
                    PingMode::Inactive => ProbingMode::Suspect,
                    PingMode::Flagged => ProbingMode::Flagged,
                },
                interval: ping.interval,
                timeout: ping.timeout,
                probing_threshold: ping.probing_threshold,
                inactive_threshold: ping.inactive_threshold,
                reply_codes: reply_codes(&ping.reply_codes)?,
                jitter: ping.jitter,
                passive: ping.mode == PingMode::Off,
            },
            avoid_trying: config.dispatch.suspect_on_failure,
            hash_key: secret,
        },
        ping: PingConfig {
            method: text(ping.method.as_ref()),
            from: text(&config.ping_from()),
            user_agent: text(&config.node.user_agent_header),
        },
        failover: status_set(&config.dispatch.failover_codes)?,
        first_reply: Some(config.dispatch.first_reply_timeout),
        rules: rules(config),
        server: text(&config.node.server_header),
        udp_max: usize::try_from(config.udp.request_size.0).unwrap_or(usize::MAX),
        retry_after_s: u32::try_from(config.node.retry_after.as_secs()).unwrap_or(u32::MAX),
        max_forwards: u8::try_from(config.node.max_forwards).unwrap_or(u8::MAX),
        no_target_reason: text(&config.dispatch.no_target_reason),
        all_failed_reason: text(&config.dispatch.all_failed_reason),
        session_grace: config.edge.expires_deviation_time.0,
        down_grace: config.edge.node_down_grace_period.0,
    })
}

fn reply_codes(codes: &[Code]) -> Result<ReplyCodes, String> {
    let items: Vec<String> = codes
        .iter()
        .map(|code| match code {
            Code::One(code) => format!("code={code}"),
            Code::Class(class) => format!("class={class}"),
        })
        .collect();
    ReplyCodes::parse(&items.join(";")).map_err(|e| format!("dispatch.ping.reply_codes: {e}"))
}

fn status_set(codes: &[Code]) -> Result<StatusSet, String> {
    let items: Vec<String> = codes.iter().map(ToString::to_string).collect();
    StatusSet::parse(&items.join(",")).map_err(|e| format!("dispatch.failover_codes: {e}"))
}

fn rules(config: &Config) -> Rules<Regex> {
    let mut rules: Vec<Rule<Regex>> = config.route.iter().filter_map(|route| rule(config, route)).collect();
    if config.edge.authz_default_action == DefaultAction::Allow {
        rules.push(Rule { when: List::EMPTY, then: Verdict::Relay });
    }
    Rules(rules.into())
}

fn rule(config: &Config, route: &Route) -> Option<Rule<Regex>> {
    let then = match route.actions().next()? {
        Action::Reject(reject) => Verdict::Reject {
            status: reject.code,
            reason: reject.reason.as_deref().map_or_else(|| usual_phrase(reject.code), text),
        },
        Action::Dispatch(to) => {
            let set = config.set_by_id(to.set);
            let own = || set.map_or(crate::config::algorithm::Algorithm::CallIdHash, |s| s.algorithm);
            let chosen = to.algorithm.unwrap_or_else(own);
            Verdict::Dispatch(Dispatch {
                set: to.set,
                algorithm: algorithm(chosen),
                fallback: to.fallback,
                limit: limit(config),
                value_header: to.value_header.as_ref().map(|h| text(h.as_ref())),
            })
        }
        Action::Relay => Verdict::Relay,
        Action::Echo => Verdict::Dispatch(Dispatch {
            set: ECHO_SET,
            algorithm: Algorithm::Serial,
            fallback: None,
            limit: 1,
            value_header: None,
        }),
    };
    Some(Rule { when: conditions(route).into(), then })
}

fn usual_phrase(code: u16) -> Str {
    trunkline_core::wire::sip::build::reason_phrase(code).into()
}

fn limit(config: &Config) -> u8 {
    u8::try_from(config.dispatch.limit.min(config.limits.branches)).unwrap_or(u8::MAX)
}

fn conditions(route: &Route) -> Vec<Condition<Regex>> {
    let wanted = &route.r#match;
    let mut conditions = Vec::new();
    if !wanted.source.is_empty() {
        // Both types hold an address and a length that fits it, and write them alike.
        let networks = wanted.source.iter().filter_map(|net| net.to_string().parse::<Network>().ok());
        conditions.push(Condition::Source(networks.collect()));
    }
    if !wanted.method.is_empty() {
        conditions.push(Condition::Method(wanted.method.iter().map(|m| text(m.as_ref())).collect()));
    }
    if let Some(user) = &wanted.user {
        conditions.push(Condition::User(Regex(user.0.clone())));
    }
    if !wanted.domain.is_empty() {
        conditions.push(Condition::Domain(wanted.domain.iter().map(|d| text(d)).collect()));
    }
    for header in &wanted.header {
        let pattern = Some(Regex(header.pattern.0.clone()));
        conditions.push(Condition::Header { name: text(header.name.as_ref()), pattern });
    }
    if let Some(by) = wanted.transport {
        conditions.push(Condition::Transport(std::iter::once(transport(by)).collect()));
    }
    conditions
}

/// The algorithm of that name.
pub(crate) fn algorithm(algorithm: crate::config::algorithm::Algorithm) -> Algorithm {
    // Both have the same names; a test holds them together.
    Algorithm::parse(algorithm.name()).map(|parsed| parsed.algorithm).unwrap_or_default()
}

/// Sets and targets, owned, as they are handed to each shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Targets {
    pub(crate) sets: Vec<SetConfig>,
    pub(crate) targets: Vec<OwnedTarget>,
}

/// A target that owns its texts.
#[derive(Clone, Debug)]
pub(crate) struct OwnedTarget {
    pub(crate) set: u32,
    pub(crate) uri: String,
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) priority: i32,
    pub(crate) attrs: Attrs,
    pub(crate) duid: String,
    pub(crate) socket: String,
    pub(crate) listener: Option<ListenerId>,
    pub(crate) ping_from: String,
    pub(crate) ping_proxy: Option<Hop>,
    pub(crate) admin: AdminState,
    pub(crate) flagged: bool,
}

impl OwnedTarget {
    /// As the core takes it.
    pub(crate) fn as_config(&self) -> TargetConfig<'_> {
        TargetConfig {
            transport: self.transport,
            priority: self.priority,
            attrs: self.attrs,
            duid: &self.duid,
            socket: &self.socket,
            listener: self.listener,
            ping_from: &self.ping_from,
            ping_proxy: self.ping_proxy,
            admin: self.admin,
            flagged: self.flagged,
            ..TargetConfig::new(self.set, &self.uri, self.address)
        }
    }
}

/// The sets of the configuration, and that of the echo if it runs.
pub(crate) fn targets(config: &Config, echo: Option<SocketAddr>, shards: u8) -> Result<Targets, String> {
    let mut all = Targets::default();
    for set in &config.set {
        all.sets.push(SetConfig { id: set.id, fallback: set.fallback });
        for target in &set.target {
            all.targets.push(owned(config, set, target, shards)?);
        }
    }
    if let Some(address) = echo {
        all.sets.push(SetConfig { id: ECHO_SET, fallback: None });
        all.targets.push(OwnedTarget {
            set: ECHO_SET,
            uri: format!("sip:{address}"),
            address,
            transport: Transport::Udp,
            priority: 0,
            attrs: Attrs { weight: 50, ..Attrs::default() },
            duid: "echo".to_owned(),
            socket: String::new(),
            listener: None,
            ping_from: String::new(),
            ping_proxy: None,
            admin: AdminState::Active,
            flagged: false,
        });
    }
    Ok(all)
}

/// Where a URI of the configuration is.
fn hop(set: u32, uri: &TargetUri) -> Result<Hop, String> {
    let address = match uri.address() {
        Some(address) => address,
        None => resolve(&uri.host.to_string(), uri.port).map_err(|e| format!("set {set}: {uri}: {e}"))?,
    };
    Ok(Hop { transport: transport(uri.transport), address })
}

fn owned(config: &Config, set: &Set, target: &Target, shards: u8) -> Result<OwnedTarget, String> {
    let Hop { transport, address } = hop(set.id, &target.uri)?;
    let listener = target.socket.and_then(|socket| config.listener_at(target.uri.transport, socket));
    // Each shard keeps to its share of a limit.
    let share = |n: u32| n.div_ceil(u32::from(shards.max(1)));
    let strips = |tag: &str| target.strip.iter().any(|t| t.as_ref().eq_ignore_ascii_case(tag));
    Ok(OwnedTarget {
        set: set.id,
        uri: target.uri.as_str().to_owned(),
        address,
        transport,
        priority: i32::from(target.priority),
        attrs: Attrs {
            weight: target.weight,
            rweight: target.relative_weight.unwrap_or(target.weight),
            latency_ms: u32::try_from(target.latency.as_millis()).unwrap_or(u32::MAX),
            congestion_control: target.congestion_control,
            overload_control: config.heeds_overload(),
            maxload: share(target.max_calls),
            cps: share(target.max_cps),
            strip_100rel: strips("100rel"),
            strip_timer: strips("timer"),
        },
        duid: target.duid.clone(),
        socket: target.socket.map(|socket| socket.to_string()).unwrap_or_default(),
        listener: listener.and_then(|place| u8::try_from(place).ok()).map(ListenerId),
        ping_from: target.ping_from.as_ref().map(ToString::to_string).unwrap_or_default(),
        ping_proxy: target.ping_proxy.as_ref().map(|uri| hop(set.id, uri)).transpose()?,
        admin: admin(target.state),
        flagged: target.probing,
    })
}

/// The admin state in the core's words.
pub(crate) const fn admin(state: values::AdminState) -> AdminState {
    match state {
        values::AdminState::Active => AdminState::Active,
        values::AdminState::Drain => AdminState::Drain,
        values::AdminState::Disabled => AdminState::Disabled,
    }
}

/// The relays that calls are given to: the embedded one, or those listed.
pub(crate) fn relays(config: &Config, embedded: Option<SocketAddr>) -> Vec<RelayNode> {
    let own = embedded.map(|address| RelayNode { address, set: 0, weight: 1 });
    let listed = config.relay.listed().iter();
    own.into_iter().chain(listed.map(|ng| RelayNode { address: ng.address, set: ng.set, weight: ng.weight })).collect()
}

/// What the anchor of a shard is told.
pub(crate) fn anchor(config: &Config, targets: &Targets, embedded: Option<SocketAddr>) -> AnchorConfig {
    let relay = &config.relay;
    let host = |ip: IpAddr| IpNet::from(ip).to_string().parse::<Network>().ok();
    let network = |net: &IpNet| net.to_string().parse::<Network>().ok();
    let inside = targets.targets.iter().filter_map(|target| host(target.address.ip()));
    AnchorConfig {
        relays: relays(config, embedded).into(),
        inside: profile(&relay.inside),
        outside: profile(&relay.outside),
        inside_networks: inside.chain(relay.inside_networks.iter().filter_map(network)).collect(),
        timeout: relay.control_timeout,
        tries: u8::try_from(relay.tries).unwrap_or(u8::MAX),
        retry_after: relay.retry_after,
        on_failure: match relay.on_failure {
            values::MediaFallback::Reject => OnFailure::Reject,
            values::MediaFallback::Pass => OnFailure::Pass,
        },
        lifetime: config.dialog.max_lifetime,
    }
}

fn profile(side: &MediaSide) -> Profile {
    let one = |value: &Option<values::NgText>| value.as_ref().map_or_else(Str::default, |v| text(v.as_ref()));
    let list = |values: &[values::NgText]| values.iter().map(|v| text(v.as_ref())).collect();
    Profile {
        interface: one(&side.interface),
        transport_protocol: one(&side.transport_protocol),
        ice: one(&side.ice),
        rtcp_mux: list(&side.rtcp_mux),
        flags: list(&side.flags),
        replace: list(&side.replace),
    }
}

/// Whether some rule sends calls to the built-in echo.
pub(crate) fn wants_echo(config: &Config) -> bool {
    config.route.iter().any(|r| r.actions().any(|a| matches!(a, Action::Echo)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_have_the_same_names_here_and_in_the_core() {
        for (name, ..) in trunkline_core::dispatcher::algorithm::ALGORITHMS.iter().map(|a| (a.name, ())) {
            let ours = crate::config::algorithm::Algorithm::named(name).expect(name);
            assert_eq!(algorithm(ours).name(), name);
        }
    }

    #[test]
    fn the_embedded_default_makes_a_node() {
        let config = crate::config::embedded();
        let listeners = listeners(&config).unwrap();
        assert_eq!(listeners.len(), 2);
        assert!(wants_echo(&config));
        assert!(node(&config, &listeners, [0; 16]).is_ok());
        let targets = targets(&config, Some("127.0.0.1:9".parse().unwrap()), 1).unwrap();
        assert_eq!((targets.sets.len(), targets.targets.len()), (1, 1));
    }

    #[test]
    fn an_address_outward_is_never_unspecified() {
        assert!(!outward_address(true).is_unspecified());
        assert!(!outward_address(false).is_unspecified());
    }
}
