//! Rules: conditions and a verdict.

use core::net::IpAddr;

use super::network::Network;
use crate::dispatcher::Algorithm;
use crate::store::list::{List, Str};
use crate::wire::sip::host::Host;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::transport::Transport;
use crate::wire::sip::uri::Uri;

/// Longest user part that a pattern is tried on, in bytes, after unescaping. A longer one matches no pattern.
pub const USER_MAX: usize = 256;

/// A text pattern. The runtime chooses the engine: regular expressions on a server, what fits on a microcontroller.
pub trait Pattern {
    /// Whether `text` matches.
    fn is_match(&self, text: &[u8]) -> bool;
}

/// One thing a rule asks of a request. Where it lists alternatives, one of them is enough.
#[derive(Clone, Debug)]
pub enum Condition<P: 'static> {
    /// The source address lies in one of these networks.
    Source(List<Network>),
    /// The method has one of these names.
    Method(List<Str>),
    /// The user part of the Request-URI matches.
    User(P),
    /// The host of the Request-URI is one of these, in any case.
    Domain(List<Str>),
    /// There is a header field of that name whose value matches.
    Header {
        /// The name, in any case, long or compact.
        name: Str,
        /// What its value has to match; without one it is enough that the field is there.
        pattern: Option<P>,
    },
    /// The request came over one of these transports.
    Transport(List<Transport>),
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It is answered with that status code and reason phrase.
    Reject {
        /// The status code, 300 to 699.
        status: u16,
        /// The reason phrase.
        reason: Str,
    },
    /// It goes to a target of a set.
    Dispatch(Dispatch),
    /// It goes where its Request-URI says.
    Relay,
}

/// How a target is chosen.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// The set.
    pub set: u32,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The set that is tried when `set`, and what that falls back to, has no target to offer.
    pub fallback: Option<u32>,
    /// Most targets tried for one request.
    pub limit: u8,
    /// The header field whose value the algorithm `value-hash` takes.
    pub value_header: Option<Str>,
}

/// Conditions, all of which must hold, and what follows.
#[derive(Clone, Debug)]
pub struct Rule<P: 'static> {
    /// All of them must hold; none always holds.
    pub when: List<Condition<P>>,
    /// What follows.
    pub then: Verdict,
}

/// Rules in their order: the first that matches decides.
#[derive(Clone, Debug, Default)]
pub struct Rules<P: 'static>(
    /// The rules.
    pub List<Rule<P>>,
);

/// A request as rules see it.
pub struct Subject<'m, 'b> {
    /// The message.
    pub msg: &'m Msg<'b>,
    /// Its parsed Request-URI.
    pub uri: &'m Uri<'b>,
    /// Where it came from.
    pub source: IpAddr,
    /// Over which transport.
    pub transport: Transport,
}

impl<P: Pattern> Rules<P> {
    /// The verdict of the first rule that matches.
    pub fn verdict(&self, subject: &Subject<'_, '_>) -> Option<&Verdict> {
        self.0.iter().find(|r| r.when.iter().all(|c| c.holds(subject))).map(|r| &r.then)
    }
}

impl<P: Pattern> Condition<P> {
    /// Whether the request meets the condition.
    pub fn holds(&self, s: &Subject<'_, '_>) -> bool {
        match self {
            Self::Source(nets) => nets.iter().any(|n| n.contains(s.source)),
            Self::Method(names) => s.msg.method().is_some_and(|m| names.iter().any(|n| n[..] == *m.as_bytes())),
            Self::User(pattern) => {
                let mut user = [0; USER_MAX];
                matches!(s.uri.user_unescaped(&mut user), Some(user) if pattern.is_match(user))
            }
            Self::Domain(domains) => s.uri.host.is_some_and(|host| domains.iter().any(|d| same_host(d, host))),
            Self::Header { name, pattern } => match pattern {
                None => s.msg.header_by_text(name).is_some(),
                Some(p) => s.msg.header_by_text(name).is_some_and(|h| p.is_match(h.value)),
            },
            Self::Transport(transports) => transports.contains(&s.transport),
        }
    }
}

fn same_host(domain: &[u8], host: Host<'_>) -> bool {
    Host::parse(domain).is_ok_and(|d| d.equivalent(host))
}
