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

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use std::string::String;
    use std::vec;

    use super::*;

    /// The whole text, with `*` at the end for any rest.
    #[derive(Clone, Debug)]
    struct Glob(&'static str);

    impl Pattern for Glob {
        fn is_match(&self, text: &[u8]) -> bool {
            match self.0.strip_suffix('*') {
                Some(start) => text.starts_with(start.as_bytes()),
                None => text == self.0.as_bytes(),
            }
        }
    }

    fn invite(uri: &str, extra: &str) -> String {
        std::format!(
            "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP x\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\n\
             CSeq: 1 INVITE\r\n{extra}\r\n"
        )
    }

    fn holds(condition: &Condition<Glob>, text: &str, source: &str, transport: Transport) -> bool {
        let msg = Msg::parse(text.as_bytes()).unwrap();
        let uri = Uri::parse(msg.request_uri().unwrap()).unwrap();
        condition.holds(&Subject { msg: &msg, uri: &uri, source: source.parse().unwrap(), transport })
    }

    #[test]
    fn conditions_row_by_row() {
        let header = |name: &'static str, pattern| Condition::Header { name: name.into(), pattern };
        let list = |names: &[&'static str]| -> List<Str> { names.iter().map(|n| (*n).into()).collect() };
        let net = |text: &str| Condition::Source(List::from(vec![text.parse().unwrap()]));
        let rows = [
            (net("10.0.0.0/8"), true),
            (net("10.0.0.2"), false),
            (net("2001:db8::/32"), false),
            (Condition::Method(list(&["BYE", "INVITE"])), true),
            (Condition::Method(list(&["invite"])), false),
            (Condition::Method(list(&[])), false),
            (Condition::User(Glob("con*")), true),
            (Condition::User(Glob("conf1")), true),
            (Condition::User(Glob("2000")), false),
            (Condition::Domain(list(&["other", "EDGE.example"])), true),
            (Condition::Domain(list(&["example"])), false),
            (header("X-Tenant", None), true),
            (header("x-tenant", Some(Glob("blue"))), true),
            (header("X-Tenant", Some(Glob("red"))), false),
            (header("X-Other", None), false),
            (header("Subject", Some(Glob("hello*"))), true),
            (header("s", None), true),
            (Condition::Transport(List::from(vec![Transport::Tcp, Transport::Udp])), true),
            (Condition::Transport(List::from(vec![Transport::Tls])), false),
        ];
        // The user part counts as it reads without escapes.
        let text = invite("sip:c%6fnf1@edge.example", "X-Tenant: blue\r\ns: hello there\r\n");
        for (condition, expected) in rows {
            assert_eq!(holds(&condition, &text, "10.0.0.1", Transport::Udp), expected, "{condition:?}");
        }
        assert!(holds(&net("10.0.0.0/8"), &text, "::ffff:10.0.0.1", Transport::Udp), "IPv4 over an IPv6 socket");
    }

    #[test]
    fn a_user_part_that_is_missing_or_too_long_matches_no_pattern() {
        for uri in [String::from("sip:edge.example"), std::format!("sip:{}@edge.example", "a".repeat(USER_MAX + 1))] {
            assert!(!holds(&Condition::User(Glob("*")), &invite(&uri, ""), "10.0.0.1", Transport::Udp), "{uri}");
        }
        let longest = std::format!("sip:{}@edge.example", "a".repeat(USER_MAX));
        assert!(holds(&Condition::User(Glob("*")), &invite(&longest, ""), "10.0.0.1", Transport::Udp));
    }

    /// The numbers of a dialplan, as its patterns would read without regular expressions.
    #[test]
    fn the_first_rule_that_matches_decides() {
        let to = |set| {
            Verdict::Dispatch(Dispatch {
                set,
                algorithm: Algorithm::Serial,
                fallback: None,
                limit: 1,
                value_header: None,
            })
        };
        let user = |pattern| vec![Condition::User(Glob(pattern))];
        let rules = Rules(List::from(vec![
            Rule { when: List::from(user("conf*")), then: to(2) },
            Rule { when: List::from(user("9196")), then: to(3) },
            Rule { when: List::from(user("9*")), then: to(4) },
            Rule { when: List::from(user("404")), then: Verdict::Reject { status: 404, reason: "".into() } },
        ]));
        for (uri, set) in
            [("sip:conf12@x", 2), ("sip:9196@x", 3), ("sip:91@x", 4), ("sip:404@x", 0), ("sip:2000@x", -1)]
        {
            let text = invite(uri, "");
            let msg = Msg::parse(text.as_bytes()).unwrap();
            let uri = Uri::parse(msg.request_uri().unwrap()).unwrap();
            let source = "10.0.0.1".parse().unwrap();
            let got = match rules.verdict(&Subject { msg: &msg, uri: &uri, source, transport: Transport::Udp }) {
                Some(Verdict::Dispatch(d)) => d.set as i32,
                Some(_) => 0,
                None => -1,
            };
            assert_eq!(got, set, "{text}");
        }
    }
}
