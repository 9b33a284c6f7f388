//! The calling user agent: places calls at a rate, holds each for a while, hangs up, and says what became of it.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use trunkline_core::Instant;
use trunkline_core::transaction::Timers;
use trunkline_core::wire::sip::build::{Reply, reason_phrase};
use trunkline_core::wire::sip::header_name::HeaderName;
use trunkline_core::wire::sip::method::Method;
use trunkline_core::wire::sip::msg::Msg;

use super::deadlines::Deadlines;
use super::dialog::{Dialog, Outline, tag_of};
use super::rtp_tone::MediaStats;
use super::sdp::{self, Local, Session};
use super::transactions::{Arrival, ClientEnd, ClientKey, Outbox, ServerKey, Transactions, respond_stateless};

const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE";
/// The port written into SDP where no media is wanted (RFC 863): an offer must name one.
const DISCARD_PORT: u16 = 9;
/// Most calls placed in one go.
const BURST_MAX: u64 = 64;
/// Transactions that peers may begin.
const SERVER_TRANSACTIONS_MAX: usize = 100_000;

/// Which calls to place.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where INVITEs go: the balancer, or a server.
    pub target: SocketAddr,
    /// The user that is called.
    pub user: String,
    /// How many calls.
    pub calls: u64,
    /// Calls a second; all at once if it is not a number above zero.
    pub rate: f64,
    /// How long a call lasts from its answer on.
    pub hold: Duration,
    /// Whether each call sends a tone, and listens for it to come back.
    pub media: bool,
    /// After which time a call that is not answered is cancelled.
    pub cancel_after: Option<Duration>,
    /// The timers of the transactions.
    pub timers: Timers,
}

impl Plan {
    /// One call of a second to extension 9196 at `target`, with media.
    pub fn new(target: SocketAddr) -> Self {
        Self {
            target,
            user: "9196".into(),
            calls: 1,
            rate: 0.0,
            hold: Duration::from_secs(1),
            media: true,
            cancel_after: None,
            timers: Timers::DEFAULT,
        }
    }
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The INVITE was refused.
    Refused {
        /// With this status.
        status: u16,
    },
    /// The INVITE was not answered in time.
    NoAnswer,
    /// The answer makes no dialog, or its SDP cannot be used.
    BadAnswer,
    /// The BYE was refused: the call was gone.
    ByeRefused {
        /// With this status.
        status: u16,
    },
    /// The BYE was not answered in time.
    ByeUnanswered,
    /// No port was left for its media.
    NoPort,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, and hung up in order.
    Completed,
    /// Cancelled as planned.
    Cancelled,
    /// Not as planned.
    Failed(Failure),
}

/// What became of one call.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CallResult {
    /// Its number, from zero.
    pub number: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was placed, from the start on.
    pub placed_after: Duration,
    /// From the INVITE to its 200, if it was answered.
    pub setup: Option<Duration>,
    /// Who answered, by its Contact.
    pub server: Option<SocketAddr>,
    /// Whether the other side hung up.
    pub hung_up_by_peer: bool,
    /// Its media.
    pub media: MediaStats,
}

/// How far a plan has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Calls placed.
    pub placed: u64,
    /// Calls that are answered, and not over.
    pub active: u64,
    /// Calls completed.
    pub completed: u64,
    /// Calls cancelled as planned.
    pub cancelled: u64,
    /// Calls failed.
    pub failed: u64,
}

/// The same, as it is counted.
#[derive(Debug, Default)]
pub(super) struct Counters {
    placed: AtomicU64,
    active: AtomicU64,
    completed: AtomicU64,
    cancelled: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    pub(super) fn progress(&self) -> Progress {
        Progress {
            placed: self.placed.load(Relaxed),
            active: self.active.load(Relaxed),
            completed: self.completed.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }
}

/// Where the media of calls is made.
pub(super) trait Ends {
    /// Opens a port for `call`, at the address `ip`.
    fn open(&mut self, call: u64, ip: IpAddr) -> Option<SocketAddr>;

    /// Sends to `remote` for as long as `hold`; then the result comes back by [`Calls::media_done`].
    fn start(&mut self, call: u64, remote: SocketAddr, hold: Duration);

    /// Stops at once, with the same result.
    fn stop(&mut self, call: u64);
}

struct Call {
    result: CallResult,
    placed_at: Instant,
    invite: ClientKey,
    bye: Option<ClientKey>,
    dialog: Option<Dialog>,
    ack: Vec<u8>,
    cancelled: bool,
    /// How the signalling ended.
    outcome: Option<Outcome>,
    media_open: bool,
    /// The INVITE transaction is gone: no late 2xx can come.
    invite_over: bool,
    counted: bool,
    /// When it is cancelled, later when it is hung up without media.
    due_at: Option<Instant>,
    armed: Option<Instant>,
}

/// The calls of one plan.
pub(super) struct Calls<E> {
    plan: Plan,
    local: SocketAddr,
    started: Instant,
    placed: u64,
    finished: u64,
    transactions: Transactions,
    calls: HashMap<u64, Call>,
    deadlines: Deadlines<u64>,
    pub(super) ends: E,
    counters: Arc<Counters>,
    results: Vec<CallResult>,
}

impl<E: Ends> Calls<E> {
    pub(super) fn new(plan: Plan, local: SocketAddr, ends: E, counters: Arc<Counters>, now: Instant) -> Self {
        Self {
            transactions: Transactions::new(plan.timers, SERVER_TRANSACTIONS_MAX),
            plan,
            local,
            started: now,
            placed: 0,
            finished: 0,
            calls: HashMap::new(),
            deadlines: Deadlines::new(),
            ends,
            counters,
            results: Vec::new(),
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.next_placement(), self.transactions.next_deadline(), self.deadlines.next()].into_iter().flatten().min()
    }

    /// Whether every call of the plan has its result.
    pub(super) fn is_finished(&self) -> bool {
        self.finished >= self.plan.calls
    }

    pub(super) fn into_results(self) -> Vec<CallResult> {
        self.results
    }

    fn next_placement(&self) -> Option<Instant> {
        if self.placed >= self.plan.calls {
            return None;
        }
        let after = self.placed as f64 / self.plan.rate;
        let after = Duration::try_from_secs_f64(after).unwrap_or(Duration::ZERO);
        Some(self.started + after)
    }

    /// Places no more calls, cancels those that ring and hangs up on the others.
    pub(super) fn stop(&mut self, now: Instant, out: &mut Outbox) {
        self.plan.calls = self.placed;
        let ids: Vec<_> = self.calls.iter().filter(|(_, c)| c.outcome.is_none()).map(|(id, _)| *id).collect();
        for id in ids {
            match self.calls.get(&id).and_then(|c| c.dialog.as_ref()) {
                Some(_) => self.hang_up(now, id, out),
                None => self.cancel(now, id, out),
            }
        }
    }

    /// Runs what is due: places calls, retransmits, cancels, hangs up.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox) {
        let mut burst = 0;
        while burst < BURST_MAX && self.next_placement().is_some_and(|at| at <= now) {
            self.place(now, out);
            burst += 1;
        }
        let mut ended = Vec::new();
        self.transactions.expire(now, out, &mut ended);
        for (key, id, end) in ended {
            self.transaction_ended(key, id, end);
        }
        while let Some((at, id)) = self.deadlines.pop_due(now) {
            let Some(call) = self.calls.get_mut(&id) else { continue };
            if call.armed.take_if(|a| *a == at).is_none() {
                continue;
            }
            call.due_at = None;
            match call.dialog {
                Some(_) => self.hang_up(now, id, out),
                None => self.cancel(now, id, out),
            }
        }
    }

    fn transaction_ended(&mut self, key: ClientKey, id: u64, end: ClientEnd) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let failure = match end {
            ClientEnd::TimedOut if key == call.invite => Some(Failure::NoAnswer),
            ClientEnd::TimedOut if Some(key) == call.bye => Some(Failure::ByeUnanswered),
            _ => None,
        };
        call.invite_over |= key == call.invite && end == ClientEnd::Terminated;
        match failure {
            Some(failure) => self.end(id, Outcome::Failed(failure)),
            None => self.forget(id),
        }
    }

    fn place(&mut self, now: Instant, out: &mut Outbox) {
        let id = rand::random();
        let number = self.placed;
        self.placed += 1;
        self.counters.placed.fetch_add(1, Relaxed);
        let rtp = match self.plan.media {
            true => self.ends.open(id, self.local.ip()),
            false => Some(SocketAddr::new(self.local.ip(), DISCARD_PORT)),
        };
        let invite = ClientKey::fresh();
        let call = Call {
            result: CallResult {
                number,
                outcome: Outcome::Failed(Failure::NoAnswer),
                placed_after: now.since(self.started),
                setup: None,
                server: None,
                hung_up_by_peer: false,
                media: MediaStats::default(),
            },
            placed_at: now,
            invite,
            bye: None,
            dialog: None,
            ack: Vec::new(),
            cancelled: false,
            outcome: None,
            media_open: self.plan.media && rtp.is_some(),
            invite_over: rtp.is_none(),
            counted: false,
            due_at: self.plan.cancel_after.map(|after| now + after),
            armed: None,
        };
        self.calls.insert(id, call);
        let Some(rtp) = rtp else { return self.end(id, Outcome::Failed(Failure::NoPort)) };
        let request = self.invite(id, invite, rtp);
        self.transactions.start(now, invite, request, self.plan.target, id, out);
        self.rearm(id);
    }

    fn invite(&self, id: u64, key: ClientKey, rtp: SocketAddr) -> Vec<u8> {
        let (user, target, local) = (&self.plan.user, self.plan.target, self.local);
        let body = sdp::offer(&Local { rtp, id, version: 1 });
        let mut request = format!(
            "INVITE sip:{user}@{target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};rport;branch={branch}\r\n\
             Max-Forwards: 70\r\n\
             From: <sip:caller@{local}>;tag={tag}\r\n\
             To: <sip:{user}@{target}>\r\n\
             Call-ID: {call_id:016x}{id:016x}\r\n\
             CSeq: 1 INVITE\r\n\
             Contact: <sip:caller@{local}>\r\n\
             Allow: {allow}\r\n\
             Content-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n",
            branch = key.branch(),
            tag = tag(id),
            call_id = rand::random::<u64>(),
            allow = String::from_utf8_lossy(ALLOW),
            length = body.len(),
        )
        .into_bytes();
        request.extend_from_slice(&body);
        request
    }

    fn cancel(&mut self, now: Instant, id: u64, out: &mut Outbox) {
        if let Some(call) = self.calls.get_mut(&id).filter(|c| c.outcome.is_none()) {
            call.cancelled = true;
            self.transactions.cancel(now, call.invite, out);
        }
    }

    fn hang_up(&mut self, now: Instant, id: u64, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| c.outcome.is_none() && c.bye.is_none()) else { return };
        let Some(dialog) = &mut call.dialog else { return };
        let key = ClientKey::fresh();
        call.bye = Some(key);
        let (request, to) = bye(dialog, self.local, key);
        self.transactions.start(now, key, request, to, id, out);
        self.ends.stop(id);
    }

    /// The media of a call are over.
    pub(super) fn media_done(&mut self, now: Instant, id: u64, stats: MediaStats, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.media_open = false;
        call.result.media = stats;
        match call.outcome {
            Some(_) => self.settle(id),
            None => self.hang_up(now, id, out),
        }
    }

    /// Takes one datagram.
    pub(super) fn receive(&mut self, now: Instant, source: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        let Ok(msg) = Msg::parse(bytes) else { return };
        match msg.status() {
            Some(status) => {
                if let Some((key, id)) = self.transactions.response(now, &msg, out) {
                    self.response(now, key, id, status, &msg, out);
                }
            }
            None => match self.transactions.request(now, &msg, source, out) {
                Arrival::New(key) => self.request(now, &key, &msg, out),
                Arrival::Full => respond_stateless(&msg, source, &reply(503), out),
                Arrival::Ack | Arrival::Absorbed => {}
            },
        }
    }

    fn response(&mut self, now: Instant, key: ClientKey, id: u64, status: u16, msg: &Msg<'_>, out: &mut Outbox) {
        let Some(call) = self.calls.get(&id) else { return };
        let (of_invite, of_bye) = (key == call.invite, Some(key) == call.bye);
        match status {
            200..=299 if of_invite => self.answered(now, id, msg, out),
            200..=299 if of_bye && call.cancelled => self.end(id, Outcome::Cancelled),
            200..=299 if of_bye => self.end(id, Outcome::Completed),
            487 if of_invite && call.cancelled => self.end(id, Outcome::Cancelled),
            300..=699 if of_invite => self.end(id, Outcome::Failed(Failure::Refused { status })),
            300..=699 if of_bye => self.end(id, Outcome::Failed(Failure::ByeRefused { status })),
            _ => {}
        }
    }

    /// A 2xx to an INVITE: the first one, one again, or one of another fork (§13.2.2.4).
    fn answered(&mut self, now: Instant, id: u64, msg: &Msg<'_>, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(mut dialog) = Dialog::establish(msg, self.plan.target) else {
            return self.end(id, Outcome::Failed(Failure::BadAnswer));
        };
        let outline = Outline {
            method: "ACK",
            cseq: dialog.local_cseq,
            sent_by: self.local,
            branch: &ClientKey::fresh().branch(),
        };
        let (ack, to) = (dialog.request(&outline), dialog.next_hop());
        if call.dialog.as_ref().is_some_and(|d| d.remote_tag == dialog.remote_tag) {
            out.push((to, call.ack.clone()));
            return;
        }
        out.push((to, ack.clone()));
        if call.dialog.is_some() || call.outcome.is_some() {
            // One answer too many, or too late: it is taken, and hung up.
            let key = ClientKey::fresh();
            let (request, to) = bye(&mut dialog, self.local, key);
            return self.transactions.start(now, key, request, to, id, out);
        }
        call.result.setup = Some(now.since(call.placed_at));
        call.result.server = dialog.target_address();
        call.ack = ack;
        call.dialog = Some(dialog);
        call.counted = true;
        self.counters.active.fetch_add(1, Relaxed);
        let remote = Session::parse(msg.body()).and_then(|s| s.path()).ok().and_then(|p| p.remote);
        match (remote, call.cancelled) {
            (Some(_), true) => self.hang_up(now, id, out),
            (Some(remote), false) if self.plan.media => {
                call.due_at = None;
                self.ends.start(id, remote, self.plan.hold);
            }
            (Some(_), false) => call.due_at = Some(now + self.plan.hold),
            (None, _) => {
                self.hang_up(now, id, out);
                self.end(id, Outcome::Failed(Failure::BadAnswer));
            }
        }
        self.rearm(id);
    }

    fn request(&mut self, now: Instant, key: &ServerKey, msg: &Msg<'_>, out: &mut Outbox) {
        let method = msg.method().unwrap_or(Method::Ack);
        let in_dialog = msg.value(HeaderName::To).and_then(tag_of).is_some();
        let call = self.find(msg);
        let status = match (method, call) {
            (Method::Options, None) if !in_dialog => 200,
            (Method::Cancel, _) => 481,
            (_, None) if in_dialog => 481,
            (_, None) => 405,
            (_, Some(id)) => {
                let fresh = self.calls.get_mut(&id).and_then(|c| c.dialog.as_mut()).is_some_and(|d| d.advance(msg));
                match method {
                    _ if !fresh => 500,
                    Method::Bye => {
                        self.peer_hung_up(id);
                        200
                    }
                    Method::Options | Method::Info | Method::Message => 200,
                    // The tone goes on as it was agreed.
                    Method::Invite => 488,
                    _ => 405,
                }
            }
        };
        let allow = [(HeaderName::Allow, ALLOW)];
        let headers: &[_] = if matches!(status, 200 | 405) { &allow } else { &[] };
        let to_tag = tag(rand::random());
        let reply = Reply { headers, to_tag: to_tag.as_bytes(), ..reply(status) };
        self.transactions.respond(now, key, &reply, out);
    }

    fn peer_hung_up(&mut self, id: u64) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.result.hung_up_by_peer = true;
            self.ends.stop(id);
            self.end(id, Outcome::Completed);
        }
    }

    fn find(&self, msg: &Msg<'_>) -> Option<u64> {
        let tag = std::str::from_utf8(tag_of(msg.value(HeaderName::To)?)?).ok()?;
        let id = u64::from_str_radix(tag, 16).ok()?;
        self.calls.get(&id)?.dialog.as_ref()?.owns(msg).then_some(id)
    }

    /// The signalling of a call is over. The first outcome holds.
    fn end(&mut self, id: u64, outcome: Outcome) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.outcome.is_some() {
            return self.forget(id);
        }
        call.outcome = Some(outcome);
        call.due_at = None;
        if call.media_open {
            self.ends.stop(id);
        } else {
            self.settle(id);
        }
    }

    /// Signalling and media are over: the result stands.
    fn settle(&mut self, id: u64) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(outcome) = call.outcome else { return };
        let counter = match outcome {
            Outcome::Completed => &self.counters.completed,
            Outcome::Cancelled => &self.counters.cancelled,
            Outcome::Failed(_) => &self.counters.failed,
        };
        counter.fetch_add(1, Relaxed);
        if std::mem::take(&mut call.counted) {
            self.counters.active.fetch_sub(1, Relaxed);
        }
        self.finished += 1;
        self.results.push(CallResult { outcome, ..call.result });
        self.forget(id);
    }

    /// Drops a call that has its result, and whose INVITE can bring nothing more.
    fn forget(&mut self, id: u64) {
        if self.calls.get(&id).is_some_and(|c| c.invite_over && c.outcome.is_some() && !c.media_open) {
            self.calls.remove(&id);
        }
    }

    fn rearm(&mut self, id: u64) {
        if let Some(call) = self.calls.get_mut(&id) {
            let wanted = call.due_at;
            self.deadlines.rearm(&mut call.armed, wanted, || id);
        }
    }
}

fn bye(dialog: &mut Dialog, sent_by: SocketAddr, key: ClientKey) -> (Vec<u8>, SocketAddr) {
    dialog.local_cseq += 1;
    let outline = Outline { method: "BYE", cseq: dialog.local_cseq, sent_by, branch: &key.branch() };
    (dialog.request(&outline), dialog.next_hop())
}

fn tag(id: u64) -> String {
    format!("{id:016x}")
}

fn reply(status: u16) -> Reply<'static> {
    let reason = if status == 488 { "Not Acceptable Here" } else { reason_phrase(status) };
    Reply { status, reason: reason.as_bytes(), ..Reply::default() }
}

#[cfg(test)]
mod tests;
