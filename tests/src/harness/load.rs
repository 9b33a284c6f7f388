//! Many calls by SIPp through a server, and whether all went as they should.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Bye, Callee, Caller, Place, Sipp, Stats, Transport};

/// Calls from one carrier to some media servers.
#[derive(Clone, Debug)]
pub struct Load {
    /// How the carrier sends.
    pub from: Transport,
    /// How the media servers are sent to.
    pub to: Transport,
    /// The carrier.
    pub caller: SocketAddr,
    /// The media servers.
    pub callees: Vec<SocketAddr>,
    /// How many calls.
    pub calls: u32,
    /// Calls a second.
    pub rate: u32,
    /// Who ends them.
    pub bye: Bye,
    /// True for re-INVITE, UPDATE and INFO from each end.
    pub dialog: bool,
}

/// What both ends counted.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The carrier.
    pub caller: Stats,
    /// The media servers.
    pub callees: Vec<Stats>,
    errors: String,
}

impl Load {
    /// 2,000 calls at 200 a second to three media servers.
    #[must_use]
    pub fn new(place: &Place, from: Transport, to: Transport) -> Self {
        Self {
            from,
            to,
            caller: place.at(21),
            callees: (11..14).map(|host| place.at(host)).collect(),
            calls: 2_000,
            rate: 200,
            bye: Bye::Caller,
            dialog: false,
        }
    }

    /// Fewer calls, each with re-INVITE, UPDATE and INFO from both ends.
    #[must_use]
    pub fn with_dialogs(self, bye: Bye) -> Self {
        Self { calls: 300, rate: 60, dialog: true, bye, ..self }
    }

    /// Starts the media servers, then the server under test by `edge` with the URIs of its targets, then the calls.
    pub fn run<E>(&self, place: &Place, edge: impl FnOnce(&[String]) -> (E, SocketAddr)) -> Outcome {
        let callee = Callee { bye: self.bye, dialog: self.dialog, ..Callee::default() };
        let mut callees: Vec<_> = self.callees.iter().map(|at| Sipp::callee(place, *at, self.to, &callee)).collect();
        let targets: Vec<_> = self.callees.iter().map(|at| self.to.uri(*at)).collect();
        let (running, address) = edge(&targets);
        let caller = Caller { bye: self.bye, dialog: self.dialog, ..Caller::default() };
        let amount = (self.calls, self.rate);
        let mut caller = Sipp::caller(place, self.caller, self.from, address, &caller, amount);
        let stats = caller.wait(Duration::from_secs(u64::from(self.calls / self.rate) + 90));
        let callees_stats = callees.iter_mut().map(Sipp::finish).collect();
        let errors = callees.iter().chain([&caller]).map(Sipp::errors).collect();
        let outcome = Outcome { caller: stats, callees: callees_stats, errors };
        drop(running);
        outcome
    }
}

impl Outcome {
    /// Fails unless all calls went through, each to one media server, and nothing was sent twice.
    ///
    /// # Panics
    /// If that is not so.
    #[track_caller]
    pub fn assert_clean(&self, calls: u32) {
        let calls = u64::from(calls);
        let errors: String = self.errors.lines().take(40).flat_map(|line| [line, "\n"]).collect();
        assert_eq!((self.caller.successful, self.caller.failed), (calls, 0), "{self:?}\n{errors}");
        assert_eq!(self.callees.iter().map(|stats| stats.invites).sum::<u64>(), calls, "{self:?}");
        assert_eq!(self.callees.iter().map(|stats| stats.failed).sum::<u64>(), 0, "{self:?}\n{errors}");
        let sent_again = self.callees.iter().chain([&self.caller]).map(|stats| stats.retransmissions).sum::<u64>();
        assert_eq!(sent_again, 0, "{self:?}");
    }

    /// Fails unless every media server had a part of the calls.
    ///
    /// # Panics
    /// If that is not so.
    #[track_caller]
    pub fn assert_spread(&self) {
        assert!(self.callees.iter().all(|stats| stats.invites > 0), "{:?}", self.callees);
    }
}
