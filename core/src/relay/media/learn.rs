//! Where packets may come from, and where they go: the address of one remote socket, signalled and learned.
//!
//! A party behind a NAT does not know the address from which its packets arrive, so the relay learns it from the packets. Who
//! can make the relay learn an address takes the stream over, hence the rules: only *admitted* sources count, a stream may
//! change its source for a short time at its start and when the party signals anew, and else every other source is dropped.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::time::Instant;

/// How the address of a party is learned from its packets. The names are those of rtpengine's `endpoint-learning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Learning {
    /// The latest admitted source counts until the learning delay has passed since the first packet. Then it is fixed.
    #[default]
    Delayed,
    /// The first admitted source is fixed.
    Immediate,
    /// Nothing is learned: packets come from admitted sources and go to the signalled address.
    Off,
    /// As `Delayed`, but a source only gives way to one that fits the signalled address as well or better, and the signalled
    /// address itself is fixed at once. Best first: the signalled address; another port of it; any port of the address that
    /// the signalling came from; the signalled port elsewhere; anything.
    Heuristic,
}

/// The sources that can be learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Admit {
    /// Only the signalled address and port.
    Exact,
    /// Any port of the signalled address, or of the address that the signalling came from.
    #[default]
    Signalled,
    /// Any source. Until an address is fixed, whoever guesses the port can take the stream: for parties whose media comes
    /// from an address that no signalling shows, or where SRTP authenticates the packets.
    Anywhere,
}

/// How well a source fits what was signalled; the smaller the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Exact,
    Address,
    ReceivedFrom,
    Port,
    Elsewhere,
}

/// The rules for one packet.
pub(super) struct Rules {
    pub(super) learning: Learning,
    pub(super) admit: Admit,
    pub(super) handover: bool,
    pub(super) received_from: Option<IpAddr>,
    /// On the RTCP socket: the address that RTP has been learned from.
    pub(super) companion: Option<IpAddr>,
    pub(super) delay: Duration,
}

impl Rules {
    /// Whether a source that fits so well is fixed at once.
    fn fixes(&self, rank: Rank) -> bool {
        match self.learning {
            Learning::Immediate => true,
            Learning::Heuristic => rank == Rank::Exact,
            // No other source can come.
            Learning::Delayed | Learning::Off => self.admit == Admit::Exact,
        }
    }
}

/// What is to be done with a packet because of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Take it; nothing is learned from it.
    Known,
    /// Take it, and learn its source by [`Path::learn`] once it has proved genuine.
    Learn(Lesson),
    /// Drop it.
    Refused,
}

/// A source to be learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lesson {
    rank: Rank,
    fixed: bool,
}

/// A remote socket: its signalled and its learned address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    signalled: Option<SocketAddr>,
    learned: Option<Learned>,
    /// Whether the runtime knows that there is one address only.
    settled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Learned {
    source: SocketAddr,
    since: Instant,
    rank: Rank,
    fixed: bool,
    /// Signalled anew: the time to change starts over with the next packet.
    reopened: bool,
}

/// Whether both name one socket; flow labels do not count.
pub(super) fn same(a: &SocketAddr, b: &SocketAddr) -> bool {
    match (a, b) {
        (SocketAddr::V4(a), SocketAddr::V4(b)) => a == b,
        (SocketAddr::V6(a), SocketAddr::V6(b)) => a.ip() == b.ip() && a.port() == b.port(),
        _ => false,
    }
}

impl Path {
    pub(super) const NEW: Self = Self { signalled: None, learned: None, settled: false };

    /// Sets the signalled address. If it is another one, learning starts over. Whether it is.
    pub(super) fn signal(&mut self, signalled: Option<SocketAddr>) -> bool {
        let changed = self.signalled != signalled;
        if changed {
            self.signalled = signalled;
            self.learned = None;
        }
        changed
    }

    /// Lets another source be learned, as at the start. What was learned counts until one is.
    pub(super) fn reopen(&mut self) {
        if let Some(learned) = &mut self.learned {
            learned.fixed = false;
            learned.reopened = true;
        }
    }

    /// Forgets what was learned.
    pub(super) fn forget(&mut self) {
        self.learned = None;
    }

    /// The source that packets come from, and whether it can still change.
    pub(super) fn learned(&self) -> Option<(SocketAddr, bool)> {
        self.learned.map(|learned| (learned.source, learned.fixed))
    }

    /// What to do with a packet from `from`.
    pub(super) fn judge(&self, rules: &Rules, from: &SocketAddr, now: Instant) -> Verdict {
        if rules.learning == Learning::Off {
            return if self.rank(rules, from).is_some() { Verdict::Known } else { Verdict::Refused };
        }
        let Some(learned) = &self.learned else { return self.first(rules, from) };
        let known = same(&learned.source, from);
        if learned.fixed && known {
            return Verdict::Known;
        }
        let over = learned.fixed || !learned.reopened && now.since(learned.since) >= rules.delay;
        if known {
            let fixed = over || learned.reopened && rules.fixes(learned.rank);
            let lesson = Lesson { rank: learned.rank, fixed };
            return if fixed || learned.reopened { Verdict::Learn(lesson) } else { Verdict::Known };
        }
        let Some(rank) = self.rank(rules, from) else { return Verdict::Refused };
        let heuristic = rules.learning == Learning::Heuristic;
        let takes_over = if over { rules.handover } else { !heuristic || rank <= learned.rank };
        if !takes_over {
            return Verdict::Refused;
        }
        Verdict::Learn(Lesson { rank, fixed: over || rules.fixes(rank) })
    }

    fn first(&self, rules: &Rules, from: &SocketAddr) -> Verdict {
        let Some(rank) = self.rank(rules, from) else { return Verdict::Refused };
        Verdict::Learn(Lesson { rank, fixed: rules.fixes(rank) })
    }

    /// How well `from` fits; `None` if it is not admitted.
    fn rank(&self, rules: &Rules, from: &SocketAddr) -> Option<Rank> {
        let signalled = self.signalled.as_ref()?;
        let address = signalled.ip() == from.ip();
        let port = signalled.port() == from.port();
        let rank = if address && port {
            Rank::Exact
        } else if let Some(companion) = rules.companion {
            return (companion == from.ip() && rules.admit > Admit::Exact).then_some(Rank::Address);
        } else if address {
            Rank::Address
        } else if rules.received_from == Some(from.ip()) {
            Rank::ReceivedFrom
        } else if port {
            Rank::Port
        } else {
            Rank::Elsewhere
        };
        let worst = match rules.admit {
            Admit::Exact => Rank::Exact,
            Admit::Signalled => Rank::ReceivedFrom,
            Admit::Anywhere => Rank::Elsewhere,
        };
        (rank <= worst).then_some(rank)
    }

    /// Learns a source. Returns whether it is another one than before.
    pub(super) fn learn(&mut self, lesson: Lesson, from: SocketAddr, now: Instant) -> bool {
        let since = self.learned.filter(|learned| !learned.reopened).map_or(now, |learned| learned.since);
        let moved = self.learned.is_none_or(|learned| !same(&learned.source, &from));
        self.learned = Some(Learned { source: from, since, rank: lesson.rank, fixed: lesson.fixed, reopened: false });
        moved
    }

    /// Where to send; `None` if nothing is signalled, or the party does not want to receive (port zero, or an unspecified
    /// address as in RFC 2543). `follow` is whether what was learned counts.
    pub(super) fn destination(&self, follow: bool) -> Option<SocketAddr> {
        let signalled = self.signalled.filter(|to| to.port() != 0 && !to.ip().is_unspecified())?;
        match &self.learned {
            Some(learned) if follow => Some(learned.source),
            _ => Some(signalled),
        }
    }

    /// What the runtime has to be told about connecting the socket, if anything: the peer, or that there is none any more.
    pub(super) fn settle(&mut self, follow: bool, handover: bool) -> Option<Option<SocketAddr>> {
        let fixed = self.learned.filter(|learned| learned.fixed && !handover).map(|learned| learned.source);
        let peer = fixed.filter(|_| follow && self.destination(true).is_some());
        let changed = self.settled != peer.is_some();
        self.settled = peer.is_some();
        changed.then_some(peer)
    }
}

#[cfg(test)]
mod tests;
