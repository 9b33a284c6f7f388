//! The names of options: rtpengine's, so that a unit file or an rtpengine.conf goes on to work, and a few of our own.

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// One value.
    One(&'static str),
    /// A value each time it is given; a file may also separate them by `;`.
    Many(&'static str),
    /// None, or yes or no.
    Switch,
}

/// What comes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what its help says.
    Yes(&'static str),
    /// It is taken and means nothing here, for this reason.
    Moot(&'static str),
    /// It asks for something that is not there; this is said.
    No(&'static str),
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    /// Its long name.
    pub(crate) name: &'static str,
    /// Its short name.
    pub(crate) short: Option<char>,
    /// What it takes.
    pub(crate) takes: Takes,
    /// What comes of it.
    pub(crate) support: Support,
}

const fn one(name: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Opt {
    Opt { name, short, takes: Takes::One(value), support: Support::Yes(help) }
}

const fn many(name: &'static str, short: Option<char>, value: &'static str, help: &'static str) -> Opt {
    Opt { name, short, takes: Takes::Many(value), support: Support::Yes(help) }
}

const fn moot(name: &'static str, short: Option<char>, takes: Takes, why: &'static str) -> Opt {
    Opt { name, short, takes, support: Support::Moot(why) }
}

const fn no(name: &'static str, short: Option<char>, hint: &'static str) -> Opt {
    Opt { name, short, takes: Takes::One("VALUE"), support: Support::No(hint) }
}

const USERSPACE: &str = "packets are forwarded in user space";
const FOREGROUND: &str = "the relay always stays in the foreground and logs to standard error";
const REDIS: &str = "calls are not kept in Redis; remove it";
const HTTP: &str = "ng comes over UDP and TCP (listen-ng, listen-tcp-ng)";
const RECORDING: &str = "recording is not there yet; remove it";
const TRANSCODING: &str = "there is no transcoding; codec flags still rewrite SDP";
const GONE: &str = "not there; remove it";
const CERTIFICATE: &str = "no option of rtpengine either; DTLS is not there yet";

/// All options.
pub(crate) const OPTIONS: &[Opt] = &[
    many(
        "interface",
        Some('i'),
        "[NAME/]IP[!IP]",
        "Address for media, with the name that `direction` uses and the address written into SDP",
    ),
    many("listen-ng", Some('n'), "[IP:]PORT", "UDP port of the ng protocol"),
    many("listen-tcp-ng", Some('N'), "[IP:]PORT", "TCP port of the ng protocol"),
    one(
        "listen-cli",
        Some('c'),
        "[IP:]PORT",
        "TCP port of `trunkline-relay ctl`; `none` for no port [default: 127.0.0.1:9900]",
    ),
    many("ng-allow", None, "NET", "Sources that may use the ng and ctl ports [default: 127.0.0.0/8 and ::1/128]"),
    one("port-min", Some('m'), "PORT", "Lowest port for media [default: 30000]"),
    one("port-max", Some('M'), "PORT", "Highest port for media [default: 40000]"),
    one("timeout", Some('o'), "SECONDS", "End a call without media after this time; 0 for never [default: 60]"),
    one("silent-timeout", Some('s'), "SECONDS", "The same while it is on hold [default: 3600]"),
    one("final-timeout", Some('a'), "SECONDS", "End a call after this time in any case; 0 for never [default: 0]"),
    one("offer-timeout", None, "SECONDS", "End a call whose offer is not answered [default: 3600]"),
    one("delete-delay", Some('d'), "SECONDS", "Forward for so long after a delete [default: 30]"),
    one("tos", Some('T'), "TOS", "Type of service of media, 0 to 255 [default: 0]"),
    one("control-tos", None, "TOS", "Type of service of ng replies [default: 0]"),
    one("num-threads", None, "N", "Threads for media, each on a core of its own [default: one a core]"),
    one(
        "max-sessions",
        None,
        "N",
        "Refuse calls beyond this number; divided among the threads [default: as the ports allow]",
    ),
    one("endpoint-learning", None, "MODE", "delayed, immediate, off or heuristic [default: delayed]"),
    one("log-level", Some('L'), "0-7", "Syslog level [default: 5]"),
    one("pidfile", Some('p'), "FILE", "Write the process id to this file"),
    one(
        "coalesce",
        None,
        "TIME",
        "How long packets may gather under load, as 500us or 1ms; 0 for not at all [default: 1ms]",
    ),
    one("drain-timeout", None, "SECONDS", "How long a SIGTERM waits for the last call [default: 60]"),
    moot("table", Some('t'), Takes::One("N"), USERSPACE),
    moot("no-fallback", Some('F'), Takes::Switch, USERSPACE),
    moot("foreground", Some('f'), Takes::Switch, FOREGROUND),
    moot("log-stderr", Some('E'), Takes::Switch, FOREGROUND),
    moot("log-facility", None, Takes::One("NAME"), FOREGROUND),
    moot("log-facility-cdr", None, Takes::One("NAME"), FOREGROUND),
    moot("log-facility-rtcp", None, Takes::One("NAME"), FOREGROUND),
    moot("log-facility-dtmf", None, Takes::One("NAME"), FOREGROUND),
    moot("log-format", None, Takes::One("FORMAT"), FOREGROUND),
    moot("no-log-timestamps", None, Takes::Switch, FOREGROUND),
    moot("split-logs", None, Takes::Switch, FOREGROUND),
    moot("thread-stack", None, Takes::One("KB"), "threads have stacks of fixed size"),
    moot("media-num-threads", None, Takes::One("N"), "no media is played"),
    moot("poller-per-thread", None, Takes::Switch, "every thread has its own ring"),
    moot("socket-cpu-affinity", None, Takes::One("N"), "every thread has its own sockets"),
    moot("scheduling", None, Takes::One("POLICY"), "use the unit file's CPUSchedulingPolicy"),
    moot("priority", None, Takes::One("N"), "use the unit file's CPUSchedulingPriority"),
    moot("idle-scheduling", None, Takes::One("POLICY"), "there are no idle threads"),
    moot("idle-priority", None, Takes::One("N"), "there are no idle threads"),
    moot("no-redis-required", Some('q'), Takes::Switch, "there is no Redis"),
    no("listen-tcp", Some('l'), "the old TCP control protocol is not there: use listen-tcp-ng"),
    no("listen-udp", Some('u'), "the old UDP control protocol is not there: use listen-ng"),
    no("listen-http", None, HTTP),
    no("listen-https", None, HTTP),
    no("https-cert", None, HTTP),
    no("https-key", None, HTTP),
    no("redis", Some('r'), REDIS),
    no("redis-write", Some('w'), REDIS),
    no("subscribe-keyspace", Some('k'), REDIS),
    no("recording-dir", None, RECORDING),
    no("recording-method", None, RECORDING),
    no("recording-format", None, RECORDING),
    no("homer", None, GONE),
    no("graphite", Some('g'), GONE),
    no("mqtt-host", None, GONE),
    no("b2b-url", Some('b'), GONE),
    no("max-load", None, "use max-sessions"),
    no("max-cpu", None, "use max-sessions"),
    no("max-bandwidth", None, "use max-sessions"),
    no("dtls-cert", None, CERTIFICATE),
    no("dtls-key", None, CERTIFICATE),
    no("ice-lite", None, "ICE-lite is a flag of an ng message, not an option"),
    no("allow-transcoding", None, TRANSCODING),
    no("jitter-buffer", None, GONE),
    no("iptables-chain", None, GONE),
];

/// The option of that name. Underscores stand for hyphens, as they do in TOML.
pub(crate) fn find(name: &str) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| {
        option.name.len() == name.len()
            && option.name.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'-' && b == b'_'))
    })
}

/// What to say of a name that there is not.
pub(crate) fn unknown(name: &str) -> String {
    let best = OPTIONS
        .iter()
        .filter(|option| matches!(option.support, Support::Yes(_)))
        .map(|option| (strsim::jaro_winkler(option.name, &name.replace('_', "-")), option.name))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((likeness, close)) if likeness > 0.8 => {
            format!("there is no option `{name}`; `{close}` is meant, perhaps")
        }
        _ => format!("there is no option `{name}`; `trunkline-relay --help` lists them"),
    }
}
