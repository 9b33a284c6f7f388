//! The sections of the configuration file, with their defaults. Doc comments here are the text of the reference file.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::algorithm::Algorithm;
use super::relay::Relay;
use super::schema::section;
use super::values::{
    AdminState, Bare, ByteSize, Code, DefaultAction, HeaderName, LogLevel, Method, OptionTag, Pattern, PingMode,
    SipUri, TargetUri, Transport,
};
use super::vrrp::{Track, VrrpInstance, VrrpOptions, VrrpSyncGroup};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

section! { default
    /// The whole file. Every key may be left out; what stands here is what then holds.
    struct Config {
        /// The node as a whole.
        node: Node = Node::default();
        /// Where messages are taken. Without any: 127.0.0.1 port 5060, UDP and TCP.
        listen: Vec<Listen> = Vec::new();
        /// Sockets for UDP.
        udp: Udp = Udp::default();
        /// Connections over TCP.
        tcp: Tcp = Tcp::default();
        /// How much is held at once. A full table answers 503 with Retry-After; nothing grows beyond these figures.
        limits: Limits = Limits::default();
        /// The timers of transactions (RFC 3261 §17 and §16.8).
        timers: Timers = Timers::default();
        /// Record-Route, which keeps later requests of a call on this path (RFC 3261 §16.6).
        record_route: RecordRoute = RecordRoute::default();
        /// Dialogs, as a proxy sees them.
        dialog: Dialog = Dialog::default();
        /// Session timers, as a proxy sees them (RFC 4028 §8).
        session_timer: SessionTimer = SessionTimer::default();
        /// How calls are spread over targets, and when the next target is tried.
        dispatch: Dispatch = Dispatch::default();
        /// A set of targets. Sets are known by their ids.
        set: Vec<Set> = Vec::new();
        /// A rule. The first rule that matches a new request decides. Without any: INVITE goes to the first set, NOTIFY,
        /// INFO, UPDATE and PRACK are relayed, other methods are refused; without a set, calls to 9196 go to the built-in
        /// echo.
        route: Vec<Route> = Vec::new();
        /// Media relays: session descriptions are rewritten so that the media of every call flows through one of them.
        relay: Relay = Relay::default();
        /// The built-in echo, which answers a call and sends its sound back.
        echo: Echo = Echo::default();
        /// The local socket that `trunkline ctl` speaks to.
        control: Control = Control::default();
        /// Defaults of the edge, with the names that ecallmgr gives them.
        edge: Edge = Edge::default();
        /// A virtual router (VRRP): its addresses are held by one of the nodes that speak of it.
        vrrp: Vec<VrrpInstance> = Vec::new();
        /// Virtual routers that are active together, backup together, at fault together.
        vrrp_sync_group: Vec<VrrpSyncGroup> = Vec::new();
        /// What virtual routers track. Each has a name of its own.
        track: Track = Track::default();
        /// How this process runs virtual routers.
        vrrp_options: VrrpOptions = VrrpOptions::default();
    }
}

section! { default
    /// The node as a whole.
    struct Node {
        /// Its name in logs and lists.
        name: String = "trunkline".to_owned();
        /// Threads that handle calls, each with its own sockets. One carries some thousand calls a second, and hands
        /// nothing over to others. 0: one a processor.
        shards: u16 = 1, in 0..=64;
        /// Value of Server in our own responses; empty: none is sent.
        server_header: String = "VoIP-Platform".to_owned();
        /// Value of User-Agent in our own requests; empty: none is sent.
        user_agent_header: String = "VoIP-Platform".to_owned();
        /// How much is logged. `trunkline ctl log-level` changes it at run time.
        log_level: LogLevel = LogLevel::Info;
        /// Max-Forwards of requests that come without one.
        max_forwards: u16 = 10, in 1..=255;
        /// Retry-After of the 503 that a full table answers.
        retry_after: Duration = Duration::from_secs(5), in 1_000..=3_600_000;
        /// How long SIGTERM lets transactions finish before they are cut off.
        stop_timeout: Duration = Duration::from_secs(60), in 0..=86_400_000;
    }
}

section! {
    /// Where messages are taken. Without any: 127.0.0.1 port 5060, UDP and TCP.
    struct Listen {
        /// The transport.
        transport: Transport, eg "\"udp\"";
        /// The address. "0.0.0.0" and "::" mean all of the machine's.
        address: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
        /// The port.
        port: u16 = 5060, in 1..=65_535;
        /// Host or host:port that Via and Record-Route carry instead, for a node behind a 1:1 NAT.
        advertise: Option<Advertise> = None, eg "\"203.0.113.5\"";
    }
}

section! { default
    /// Sockets for UDP.
    struct Udp {
        /// Receive buffer that is asked of the kernel. Bursts that do not fit are dropped by the kernel.
        receive_buffer: ByteSize = ByteSize(4 * MIB), in 4_096..=1_073_741_824;
        /// Send buffer that is asked of the kernel.
        send_buffer: ByteSize = ByteSize(4 * MIB), in 4_096..=1_073_741_824;
        /// Longest datagram that is taken.
        message_size: ByteSize = ByteSize(65_535), in 1_300..=65_535;
        /// A longer request goes over TCP if the target takes it (RFC 3261 §18.1.1).
        request_size: ByteSize = ByteSize(1_300), in 512..=65_535;
    }
}

section! { default
    /// Connections over TCP.
    struct Tcp {
        /// A connection without traffic is closed after this.
        connection_lifetime: Duration = Duration::from_secs(3_605), in 1_000..=86_400_000;
        /// A connection that is not up by then is given up.
        connect_timeout: Duration = Duration::from_secs(3), in 100..=120_000;
        /// Longest message that is taken.
        message_size: ByteSize = ByteSize(16 * KIB), in 1_300..=65_535;
        /// Connections at once.
        connections: u32 = 4_096, in 1..=1_000_000;
        /// Connections at once from one address. 0: no limit of its own.
        connections_per_source: u32 = 0, in 0..=1_000_000;
        /// Connections at once that have sent a part of a message and not its end. One more costs the oldest of them its
        /// connection.
        unfinished_messages: u32 = 1_024, in 1..=1_000_000;
        /// A message that is not whole by then closes its connection.
        unfinished_timeout: Duration = Duration::from_secs(10), in 100..=600_000;
        /// Whether a message without Content-Length is taken as one without a body. false: its connection is
        /// closed.
        accept_no_content_length: bool = true;
    }
}

section! { default
    /// How much is held at once, over all shards. A full table answers 503 with Retry-After; nothing grows beyond these
    /// figures. A change needs a restart.
    struct Limits {
        /// Transactions, each side counted.
        transactions: u32 = 262_144, in 16..=16_777_216;
        /// Dialogs.
        dialogs: u32 = 262_144, in 16..=16_777_216;
        /// Branches that one request is sent to, one after another or at once.
        branches: u16 = 8, in 1..=8;
        /// Targets over all sets.
        targets: u32 = 4_096, in 1..=65_536;
    }
}

section! { default
    /// The timers of transactions (RFC 3261 §17 and §16.8).
    struct Timers {
        /// Timer T1: estimate of the round trip.
        t1: Duration = Duration::from_millis(500), in 10..=10_000;
        /// Timer T2: longest interval between retransmissions of a request other than INVITE.
        t2: Duration = Duration::from_secs(4), in 10..=60_000;
        /// Timer T4: longest time a message stays in the network.
        t4: Duration = Duration::from_secs(5), in 10..=60_000;
        /// A request that is not answered at all by then has failed with 408.
        fr_timer: Duration = Duration::from_secs(30), in 100..=600_000;
        /// An INVITE that has a provisional response and no final one by then has failed with 408.
        fr_inv_timer: Duration = Duration::from_secs(120), in 100..=3_600_000;
        /// Whether each provisional response starts fr_inv_timer again.
        restart_fr_on_each_reply: bool = true;
        /// Timer C: longest life of an INVITE that rings on. Must be over three minutes (RFC 3261 §16.6).
        timer_c: Duration = Duration::from_secs(181), in 180_001..=86_400_000;
    }
}

section! { default
    /// Record-Route, which keeps later requests of a call on this path (RFC 3261 §16.6).
    struct RecordRoute {
        /// Write the lr parameter as "lr=on", for peers that drop parameters without a value.
        enable_full_lr: bool = true;
        /// Add the From tag as parameter "ftag", which tells later which side a request comes from.
        append_fromtag: bool = true;
        /// Two Record-Route values where a call comes in and goes out by different sockets.
        enable_double_rr: bool = true;
    }
}

section! { default
    /// Dialogs, as a proxy sees them.
    struct Dialog {
        /// A call without a session timer is forgotten after this.
        max_lifetime: Duration = Duration::from_secs(43_200), in 60_000..=2_592_000_000;
    }
}

section! { default
    /// Session timers, as a proxy sees them (RFC 4028 §8).
    struct SessionTimer {
        /// A shorter Session-Expires is answered 422 with this Min-SE. At least 90 s (RFC 4028 §4).
        min_se: Duration = Duration::from_secs(90), in 90_000..=86_400_000;
    }
}

section! { default
    /// How calls are spread over targets, and when the next target is tried.
    struct Dispatch {
        /// A target that answers an INVITE with nothing at all by then is given up, and the next one is tried.
        first_reply_timeout: Duration = Duration::from_secs(2), in 100..=120_000;
        /// Responses after which the next target is tried. All others pass to the caller.
        failover_codes: Vec<Code> = vec![Code::One(408), Code::Class(5)];
        /// Targets that one call is tried on, the first one counted. 1: no failover.
        limit: u16 = 8, in 1..=8;
        /// Whether new calls avoid a target from the first call on that it did not answer, until it answers a ping.
        suspect_on_failure: bool = true;
        /// Reason phrase of the 503 when no target can take a call.
        no_target_reason: String = "Service Unavailable — No Media Servers".to_owned();
        /// Reason phrase of the 503 when all targets that were tried failed.
        all_failed_reason: String = "All Media Servers Unavailable".to_owned();
        /// A target list in Kamailio's format: "setid uri flags priority attributes" a line. Its targets are added to
        /// the sets of this file. A path that is not absolute starts at this file.
        list_file: Option<String> = None, eg "\"dispatcher.list\"";
        /// Pings, by which targets are found to be down and up again.
        ping: Ping = Ping::default();
    }
}

section! { default
    /// Pings, by which targets are found to be down and up again.
    struct Ping {
        /// Which targets are pinged.
        mode: PingMode = PingMode::All;
        /// The method.
        method: Method = method("OPTIONS");
        /// From of a ping. Left out: sip:keepalive@ and the default realm.
        from: Option<SipUri> = None, eg "\"sip:keepalive@example.com\"";
        /// Time from one ping of a target to the next.
        interval: Duration = Duration::from_secs(10), in 100..=3_600_000;
        /// A ping that is not answered by then has failed. Less than the interval: one ping is out at a time.
        timeout: Duration = Duration::from_secs(4), in 50..=3_600_000;
        /// Whether the first pings are spread by chance over one interval, so that many targets are not pinged together.
        jitter: bool = false;
        /// Failures in a row after which a target is down.
        probing_threshold: u16 = 3, in 1..=1_000;
        /// Good answers in a row after which it is up again.
        inactive_threshold: u16 = 3, in 1..=1_000;
        /// Good answers. No answer is never a good one, whatever stands here.
        reply_codes: Vec<Code> = vec![Code::Class(2), Code::Class(3), Code::Class(4)];
        /// Whether the time to an answer is measured and listed.
        latency_stats: bool = true;
    }
}

section! {
    /// A set of targets. Sets are known by their ids.
    struct Set {
        /// Its id.
        id: u32, in 0..=2_147_483_647, eg "1";
        /// Its name in lists.
        name: String = String::new(), eg "\"media servers\"";
        /// How it chooses the target of a call.
        algorithm: Algorithm = Algorithm::CallIdHash;
        /// The set that is asked when this one has no target that can take the call.
        fallback: Option<u32> = None, eg "2";
        /// A target of the set.
        target: Vec<Target> = Vec::new();
    }
}

section! {
    /// A target of the set.
    struct Target {
        /// Its address and transport (udp or tcp).
        uri: TargetUri, eg "\"sip:10.0.1.30:5060;transport=udp\"";
        /// Its share, for algorithms that weigh. 0: it takes no calls by weight.
        weight: u16 = 50, in 0..=1_000;
        /// Its share for relative-weight. Left out: its weight.
        relative_weight: Option<u16> = None, eg "50";
        /// Its priority, for algorithms that order. serial takes the highest first, priority-weight the lowest.
        priority: u16 = 0;
        /// Its name in lists and for `trunkline ctl`.
        duid: String = String::new(), eg "\"fs01\"";
        /// Calls at once that it takes. 0: no limit.
        max_calls: u32 = 0, in 0..=1_000_000;
        /// New calls a second that it takes. 0: no limit.
        max_cps: u32 = 0, in 0..=1_000_000;
        /// What the operator wants of it, whatever its health.
        state: AdminState = AdminState::Active;
        /// Whether it is pinged when the ping mode is "flagged".
        probing: bool = false;
        /// The listener that requests to it leave by, where several could. Left out: the first that reaches it.
        socket: Option<SocketAddr> = None, eg "\"127.0.0.1:5060\"";
        /// Latency that its figures begin with, for the algorithm latency. 0: they begin with the first ping.
        latency: Duration = Duration::ZERO, in 0..=60_000;
        /// Whether latency and relative-weight go by its congestion, which is how much slower it answers than usual,
        /// instead of its latency.
        congestion_control: bool = false;
        /// From of its pings. Left out: dispatch.ping.from.
        ping_from: Option<SipUri> = None, eg "\"sip:keepalive@example.com\"";
        /// Where its pings are sent instead of to itself, for a target that is watched through a proxy.
        ping_proxy: Option<TargetUri> = None, eg "\"sip:10.0.1.20:5060\"";
        /// Option tags that it does not support: they are taken out of Supported and Require in what it gets.
        strip: Vec<OptionTag> = Vec::new(), eg "[\"100rel\", \"timer\"]";
    }
}

section! {
    /// A rule: what it matches, and exactly one of reject, dispatch, relay, echo. The first rule that matches decides.
    struct Route {
        /// Its name in logs and statistics.
        name: String = String::new(), eg "\"conferences\"";
        /// What it matches: all that is named here must hold. Empty: every new request.
        r#match: Match = Match::default();
        /// Answer with this code.
        reject: Option<Reject> = None;
        /// Send to a target of a set.
        dispatch: Option<DispatchTo> = None;
        /// Send to where the Request-URI points, whoever asks: name networks in match.source to keep strangers out.
        relay: bool = false, eg "true";
        /// Send to the built-in echo.
        echo: bool = false, eg "true";
    }
}

section! { default
    /// What a rule matches: all that is named here must hold. Empty: every new request, of whatever method.
    struct Match {
        /// Networks that the request comes from.
        source: Vec<IpNet> = Vec::new(), eg "[\"10.0.0.0/8\"]";
        /// Methods.
        method: Vec<Method> = Vec::new(), eg "[\"INVITE\"]";
        /// Regular expression for the user part of the Request-URI.
        user: Option<Pattern> = None, eg "\"^conf[0-9]+$\"";
        /// Hosts of the Request-URI, without port.
        domain: Vec<String> = Vec::new(), eg "[\"sip.example.com\"]";
        /// Header fields, each of which must match.
        header: Vec<HeaderMatch> = Vec::new(), eg "[{ name = \"X-Carrier\", pattern = \"^blue$\" }]";
        /// The transport that the request came by.
        transport: Option<Transport> = None, eg "\"tcp\"";
    }
}

section! {
    /// A header field that must match.
    struct HeaderMatch {
        /// Its name.
        name: HeaderName, eg "\"X-Carrier\"";
        /// Regular expression for its value.
        pattern: Pattern, eg "\"^blue$\"";
    }
}

section! {
    /// Answer with this code.
    struct Reject {
        /// The code.
        code: u16, in 300..=699, eg "404";
        /// The reason phrase. Left out: the usual one of the code.
        reason: Option<String> = None, eg "\"Not Found\"";
    }
}

section! {
    /// Send to a target of a set.
    struct DispatchTo {
        /// The id of the set.
        set: u32, eg "1";
        /// How the target is chosen. Left out: as the set says.
        algorithm: Option<Algorithm> = None, eg "\"call-load\"";
        /// The set that is asked when that one has no target that can take the call. Left out: as the set says.
        fallback: Option<u32> = None, eg "2";
        /// The header field whose value the algorithm value-hash takes.
        value_header: Option<HeaderName> = None, eg "\"X-Account\"";
    }
}

section! { default
    /// The built-in echo, which answers a call and sends its sound back.
    struct Echo {
        /// Calls at once.
        max_calls: u16 = 64, in 1..=8_192;
        /// A call is ended after this.
        max_duration: Duration = Duration::from_secs(3_600), in 1_000..=86_400_000;
        /// Lowest port for RTP.
        rtp_port_min: u16 = 16_384, in 1_024..=65_534;
        /// Highest port for RTP.
        rtp_port_max: u16 = 32_768, in 1_025..=65_535;
    }
}

section! { default
    /// The local socket that `trunkline ctl` speaks to.
    struct Control {
        /// Its path. Left out: /run/trunkline/trunkline.sock, or trunkline.sock in the user's runtime directory when not
        /// started by root.
        socket: Option<String> = None, eg "\"/run/trunkline/trunkline.sock\"";
    }
}

section! { default
    /// Defaults of the edge, with the names that ecallmgr gives them.
    struct Edge {
        /// The realm where nothing else names one.
        default_realm: String = "nodomain.com".to_owned();
        /// What happens to a request that no rule matches: deny answers 404, allow relays it to its Request-URI.
        authz_default_action: DefaultAction = DefaultAction::Deny;
        /// Time after its expiry for which a session still counts, so that a late refresh finds it. A bare number is
        /// seconds.
        expires_deviation_time: Bare<1_000> = Bare(Duration::from_secs(180)), in 0..=86_400_000;
        /// Time for which calls still count on a target that went down, in case it comes back. A bare number is
        /// milliseconds.
        node_down_grace_period: Bare<1> = Bare(Duration::from_secs(10)), in 0..=3_600_000;
    }
}

/// Host or host:port that a message carries instead of the socket's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Advertise {
    /// The host.
    pub(crate) host: super::values::Host,
    /// The port; none: that of the listener.
    pub(crate) port: Option<u16>,
}

impl std::fmt::Display for Advertise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl super::schema::Value for Advertise {
    fn read(value: &super::schema::Given<'_>, reader: &mut super::schema::Reader) -> Option<Self> {
        super::schema::read_str(value, reader, &Self::expected(), |text| {
            let (host, port) = super::values::split_host(text)?;
            Ok(Self { host, port })
        })
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
    fn expected() -> String {
        "a host or host:port in quotes".to_owned()
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action<'c> {
    /// Answer with a code.
    Reject(&'c Reject),
    /// Send to a target of a set.
    Dispatch(&'c DispatchTo),
    /// Send to where the Request-URI points.
    Relay,
    /// Send to the built-in echo.
    Echo,
}

impl Route {
    /// Everything that the rule says to do; a valid rule has exactly one.
    pub(crate) fn actions(&self) -> impl Iterator<Item = Action<'_>> {
        let reject = self.reject.as_ref().map(Action::Reject);
        let dispatch = self.dispatch.as_ref().map(Action::Dispatch);
        let relay = self.relay.then_some(Action::Relay);
        let echo = self.echo.then_some(Action::Echo);
        [reject, dispatch, relay, echo].into_iter().flatten()
    }
}

fn method(name: &str) -> Method {
    name.parse().expect("a constant of this file, read in the tests of the defaults")
}
