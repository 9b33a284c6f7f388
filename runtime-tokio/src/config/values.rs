//! What a single key can hold: durations, sizes, addresses, patterns, codes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use trunkline_core::relay::{Address as MediaAddress, AddressError};

use super::schema::{Given, Reader, Value, names, read_str};

names! {
    /// How a message travels.
    enum Transport {
        /// UDP (RFC 3261 §18).
        Udp = "udp",
        /// TCP (RFC 3261 §18).
        Tcp = "tcp",
    }
}

names! {
    /// How much is logged.
    enum LogLevel {
        /// Only what stops a part of the service.
        Error = "error",
        /// Also what an operator should look at.
        Warn = "warn",
        /// Also one line a request, starts, stops and changes of state.
        Info = "info",
        /// Also where each request goes, and answers made here.
        Debug = "debug",
        /// Everything, whole messages too.
        Trace = "trace",
    }
}

names! {
    /// Which targets are pinged.
    enum PingMode {
        /// Nobody is pinged.
        Off = "off",
        /// Targets that are down or under suspicion.
        Inactive = "inactive",
        /// Every target.
        All = "all",
        /// Targets whose probing flag is set.
        Flagged = "flagged",
    }
}

names! {
    /// What an operator wants of a target, whatever its health.
    enum AdminState {
        /// It takes calls while it is healthy.
        Active = "active",
        /// It takes no new calls; calls that it has go on.
        Drain = "drain",
        /// As drain, and it is not pinged.
        Disabled = "disabled",
    }
}

names! {
    /// What happens where nobody said anything.
    enum DefaultAction {
        /// It is refused.
        Deny = "deny",
        /// It is let through.
        Allow = "allow",
    }
}

names! {
    /// Where media goes.
    enum RelayMode {
        /// It passes by.
        Off = "off",
        /// Through the listed relays, which speak the ng protocol.
        Ng = "ng",
        /// Through a relay in this process.
        Embedded = "embedded",
    }
}

names! {
    /// What becomes of a call whose media no relay takes.
    enum MediaFallback {
        /// It is refused with 503.
        Reject = "reject",
        /// It goes on, and its media passes by the relays.
        Pass = "pass",
    }
}

/// `Value` for types that a string holds, by `parse` and `Display`.
macro_rules! text_value {
    ($($ty:ty: $expected:expr, $parse:expr;)+) => { $(
        impl Value for $ty {
            fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
                read_str(value, reader, &<Self as Value>::expected(), $parse)
            }
            fn write(&self) -> Option<toml::Value> {
                Some(self.to_string().into())
            }
            fn expected() -> String {
                $expected.into()
            }
        }
    )+ };
}

text_value! {
    IpAddr: "an IP address in quotes", |text| text.parse().map_err(|_| "not an IPv4 or IPv6 address".to_owned());
    SocketAddr: "an address in quotes, such as \"203.0.113.5:5060\" or \"[2001:db8::5]:5060\"",
        |text| text.parse().map_err(|_| "not an address with a port".to_owned());
    Method: "a SIP method in quotes, such as \"INVITE\"", str::parse;
    HeaderName: "the name of a header field in quotes", str::parse;
    OptionTag: "a SIP option tag in quotes, such as \"100rel\"", str::parse;
    Pattern: "a regular expression in quotes", str::parse;
    TargetUri: "a SIP URI such as \"sip:10.0.1.30:5060;transport=udp\"", str::parse;
    MediaAddress: "an address in quotes, such as \"internal/10.0.1.20\" or \"external/10.0.2.20!203.0.113.50\"",
        |text| text.parse().map_err(|error: AddressError| error.to_string());
    NgText: "a word of the ng protocol, such as \"remove\"", str::parse;
    SipUri: "a SIP URI such as \"sip:keepalive@example.com\"", str::parse;
    Code: "a SIP code (\"408\") or a class of them (\"5xx\")", str::parse;
}

/// `Value` for what `names!` declares.
macro_rules! named_value {
    ($($ty:ty),+) => { $(
        impl Value for $ty {
            fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
                let expected = <Self as Value>::expected();
                read_str(value, reader, &expected, |text| Self::named(text).ok_or_else(|| format!("wanted {expected}")))
            }
            fn write(&self) -> Option<toml::Value> {
                Some(self.name().into())
            }
            fn expected() -> String {
                Self::spellings()
            }
            fn choices() -> Vec<(&'static str, &'static str)> {
                Self::meanings()
            }
        }
    )+ };
}
named_value!(MediaFallback, RelayMode, Transport, LogLevel, PingMode, AdminState, DefaultAction);

/// A list of networks takes plain addresses too.
impl Value for IpNet {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        read_str(value, reader, &Self::expected(), |text| {
            text.parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| "not an address or a network such as \"10.0.0.0/8\"".to_owned())
        })
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
    fn expected() -> String {
        "a network (\"10.0.0.0/8\") or an address".to_owned()
    }
}

const DURATION_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads `500ms`, `30s`, `1h30m`: whole numbers, each with its unit (ms, s, m, h, d).
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wanted = || "wanted a number and a unit: \"500ms\", \"30s\", \"5m\", \"12h\"".to_owned();
    let mut rest = text;
    let mut total_ms: u64 = 0;
    if text.is_empty() {
        return Err(wanted());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wanted)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wanted())?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (_, factor) = DURATION_UNITS.iter().find(|(unit, _)| *unit == &rest[..end]).ok_or_else(wanted)?;
        rest = &rest[end..];
        total_ms = number.checked_mul(*factor).and_then(|ms| total_ms.checked_add(ms)).ok_or("too long")?;
    }
    Ok(Duration::from_millis(total_ms))
}

/// The shortest spelling that [`parse_duration`] reads back.
pub(crate) fn show_duration(duration: Duration) -> String {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Seconds stay seconds up to a few hours: timers are known as 3605s and 180s, not as 1h5s.
    let (unit, factor) = match ms {
        0 => ("s", 1_000),
        _ if ms % 3_600_000 == 0 => ("h", 3_600_000),
        _ if ms % 1_000 == 0 => ("s", 1_000),
        _ => ("ms", 1),
    };
    format!("{}{unit}", ms / factor)
}

impl Value for Duration {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        read_str(value, reader, &Self::expected(), parse_duration)
    }
    fn write(&self) -> Option<toml::Value> {
        Some(show_duration(*self).into())
    }
    fn expected() -> String {
        "a duration with its unit, such as \"500ms\", \"30s\" or \"12h\"".to_owned()
    }
    fn size(&self) -> Option<u64> {
        u64::try_from(self.as_millis()).ok()
    }
    fn show_size(size: u64) -> String {
        show_duration(Duration::from_millis(size))
    }
}

/// A duration that ecallmgr writes as a bare number of `UNIT_MS`; both spellings are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bare<const UNIT_MS: u64>(pub(crate) Duration);

impl<const UNIT_MS: u64> Value for Bare<UNIT_MS> {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        let Some(number) = value.get_ref().as_integer() else {
            return Duration::read(value, reader).map(Self);
        };
        let ms = u64::from_str_radix(number.as_str(), number.radix()).ok().and_then(|n| n.checked_mul(UNIT_MS));
        if ms.is_none() {
            reader.problem(value.span(), format!("{number} is not a duration"));
        }
        ms.map(|ms| Self(Duration::from_millis(ms)))
    }
    fn write(&self) -> Option<toml::Value> {
        self.0.write()
    }
    fn expected() -> String {
        let unit = show_duration(Duration::from_millis(UNIT_MS));
        format!("a duration with its unit, or a bare number that counts {unit}")
    }
    fn size(&self) -> Option<u64> {
        self.0.size()
    }
    fn show_size(size: u64) -> String {
        Duration::show_size(size)
    }
}

/// A number of bytes, written with its unit: `"16KiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for ByteSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "wanted a number and a unit: \"1300B\", \"16KiB\", \"4MiB\"";
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(wanted)?;
        let number: u64 = text[..digits].parse().map_err(|_| wanted)?;
        let unit = text[digits..].trim_start();
        let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit).ok_or(wanted)?;
        number.checked_mul(*factor).map(Self).ok_or_else(|| "too large".to_owned())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |factor: u64| self.0 != 0 && self.0.is_multiple_of(factor);
        let (unit, factor) = SIZE_UNITS.iter().copied().find(|(_, factor)| whole(*factor)).unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

impl Value for ByteSize {
    fn read(value: &Given<'_>, reader: &mut Reader) -> Option<Self> {
        read_str(value, reader, &Self::expected(), str::parse)
    }
    fn write(&self) -> Option<toml::Value> {
        Some(self.to_string().into())
    }
    fn expected() -> String {
        "a size with its unit, such as \"1300B\", \"16KiB\" or \"4MiB\"".to_owned()
    }
    fn size(&self) -> Option<u64> {
        Some(self.0)
    }
    fn show_size(size: u64) -> String {
        Self(size).to_string()
    }
}

/// Whether `text` is a `token` of RFC 3261 §25.1.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// A newtype over a string with one check.
macro_rules! checked_text {
    ($($(#[doc = $doc:literal])+ $name:ident, $check:expr, $why:literal;)+) => { $(
        $(#[doc = $doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $name(String);

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err($why.to_owned()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+ };
}

checked_text! {
    /// A SIP method. Methods are case-sensitive (RFC 3261 §7.1), so it must be upper case.
    Method, |text| is_token(text) && !text.bytes().any(|b| b.is_ascii_lowercase()),
        "a method is a token in upper case, such as \"INVITE\"";
    /// The name of a header field.
    HeaderName, is_token, "not the name of a header field";
    /// A SIP option tag (RFC 3261 §19.2).
    OptionTag, is_token, "not an option tag";
    /// A word of the ng protocol.
    NgText, |text| !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b)),
        "a word of the ng protocol is printable ASCII";
    /// A SIP URI that is sent as it stands.
    SipUri, |text| {
        text.strip_prefix("sip:").is_some_and(|rest| !rest.is_empty())
            && !text.bytes().any(|b| b.is_ascii_control() || b" <>\"".contains(&b))
    }, "a SIP URI starts with \"sip:\" and has no spaces, quotes or angle brackets";
}

/// A regular expression, matched anywhere in the bytes of a value unless it is anchored.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(pub(crate) regex::bytes::Regex);

/// Largest compiled regular expression, in bytes.
const PATTERN_MAX: usize = 1 << 20;

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        regex::bytes::RegexBuilder::new(text).size_limit(PATTERN_MAX).build().map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the expression is too large".to_owned(),
            error => {
                // The last line names the fault; the lines before it draw the place.
                let text = error.to_string();
                let fault = text.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
                format!("not a regular expression: {fault}")
            }
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A final response code, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// One code, 200 to 699.
    One(u16),
    /// All codes with this first digit, 2 to 6.
    Class(u8),
}

impl Code {
    /// Whether `status` is meant.
    pub(crate) fn covers(self, status: u16) -> bool {
        match self {
            Self::One(code) => code == status,
            Self::Class(class) => status / 100 == u16::from(class),
        }
    }
}

impl FromStr for Code {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(class) = text.strip_suffix("xx") {
            if let Ok(class @ 2..=6) = class.parse::<u8>() {
                return Ok(Self::Class(class));
            }
        } else if let Ok(code @ 200..=699) = text.parse::<u16>()
            && text.len() == 3
        {
            return Ok(Self::One(code));
        }
        let digit = text.strip_prefix("class").map(|rest| rest.trim_start_matches('='));
        Err(match digit {
            Some(digit @ ("2" | "3" | "4" | "5" | "6")) => format!("write a class as \"{digit}xx\""),
            _ => "wanted a final code (\"408\") or a class of them (\"5xx\")".to_owned(),
        })
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// By address.
    Ip(IpAddr),
    /// By name.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => write!(f, "{ip}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// The URI of a target: `sip:host[:port][;transport=udp|tcp]`, kept as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TargetUri {
    text: String,
    /// Its host.
    pub(crate) host: Host,
    /// Its port, 5060 when the URI has none.
    pub(crate) port: u16,
    /// Its transport, UDP when the URI names none.
    pub(crate) transport: Transport,
}

impl TargetUri {
    /// The URI as written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The address, where the host is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.host {
            Host::Ip(ip) => Some(SocketAddr::new(*ip, self.port)),
            Host::Name(_) => None,
        }
    }
}

impl FromStr for TargetUri {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("sips:") {
            return Err("sips needs TLS, which this build has not; use \"sip:\"".to_owned());
        }
        let rest = text.strip_prefix("sip:").ok_or("a target starts with \"sip:\"")?;
        let mut parts = rest.split(';');
        let authority = parts.next().unwrap_or("");
        let mut transport = Transport::Udp;
        for parameter in parts {
            transport = match parameter.to_ascii_lowercase().strip_prefix("transport=") {
                Some(name) => Transport::named(name).ok_or_else(|| format!("transport {name:?} is not udp or tcp"))?,
                None => return Err(format!("parameter {parameter:?} has no meaning on a target; only transport has")),
            };
        }
        if authority.contains('@') {
            return Err("a target is a host without a user part".to_owned());
        }
        let (host, port) = split_host(authority)?;
        Ok(Self { text: text.to_owned(), host, port: port.unwrap_or(5060), transport })
    }
}

impl fmt::Display for TargetUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Splits `host[:port]`; an IPv6 address stands in brackets.
pub(crate) fn split_host(text: &str) -> Result<(Host, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']').ok_or("\"[\" without \"]\"")?;
            let ip: std::net::Ipv6Addr = ip.parse().map_err(|_| format!("{ip:?} is not an IPv6 address"))?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or("text after \"]\"")?) };
            (Host::Ip(ip.into()), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            if port.is_some_and(|port| port.contains(':')) {
                return Err("an IPv6 address stands in brackets: \"[2001:db8::5]:5060\"".to_owned());
            }
            (parse_host(host)?, port)
        }
    };
    let port = match port {
        None => None,
        Some(port) => match port.parse::<u16>() {
            Ok(port @ 1..) => Some(port),
            _ => return Err(format!("{port:?} is not a port (1 to 65535)")),
        },
    };
    Ok((host, port))
}

fn parse_host(host: &str) -> Result<Host, String> {
    if let Ok(ip) = host.parse::<std::net::Ipv4Addr>() {
        return Ok(Host::Ip(ip.into()));
    }
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let name = host.strip_suffix('.').unwrap_or(host);
    if numeric || name.len() > 253 || !name.split('.').all(label) {
        return Err(format!("{host:?} is neither an address nor a host name"));
    }
    Ok(Host::Name(host.to_owned()))
}
