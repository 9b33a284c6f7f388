//! The answering user agent: calls come in, are answered, and their media go to a [`Legs`].

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use trunkline_core::Instant;
use trunkline_core::wire::sip::build::{Reply, reason_phrase};
use trunkline_core::wire::sip::header_name::HeaderName;
use trunkline_core::wire::sip::method::Method;
use trunkline_core::wire::sip::msg::Msg;
use trunkline_core::wire::sip::uri::Uri;

use super::deadlines::Deadlines;
use super::dialog::{Dialog, Outline, cseq_of, tag_of};
use super::ports::ip_towards;
use super::sdp::{self, Local, MediaPath, SdpError, Session};
use super::settings::{Behaviour, Settings};
use super::transactions::{Arrival, ClientEnd, ClientKey, Outbox, ServerKey, Transactions, respond_stateless};

const ALLOW: &[u8] = b"INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE";
const SDP_TYPE: &[u8] = b"application/sdp";
/// Transactions for each call that may be active, and for those who only ask: they outlive their calls by 32 s.
const TRANSACTIONS_PER_CALL: usize = 8;
const TRANSACTIONS_MIN: usize = 4_096;

/// Where the media of calls is handled.
pub(super) trait Legs {
    /// Opens the media of `call`, which is reached from `ip`. Gives the address for SDP; `None` if no port is left.
    fn open(&mut self, call: u64, ip: IpAddr) -> Option<SocketAddr>;

    /// The peer wants its media there from now on.
    fn set_path(&mut self, call: u64, path: MediaPath);

    /// The call is over.
    fn close(&mut self, call: u64);
}

/// What an agent counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) active: AtomicU64,
    pub(super) answered: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) malformed: AtomicU64,
    pub(super) rtp_packets: AtomicU64,
    pub(super) rtp_strangers: AtomicU64,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// The INVITE of this key waits for its final response.
    Ringing(ServerKey),
    Answered,
    /// Our BYE is under way.
    Leaving,
}

/// A 2xx that is repeated until its ACK comes (RFC 3261 §13.3.1.4).
struct Unacknowledged {
    to: SocketAddr,
    bytes: Vec<u8>,
    cseq: u32,
    sent: u8,
    next_at: Instant,
    give_up_at: Instant,
    /// It carries our offer, and the ACK the answer.
    offered: bool,
}

struct Call {
    dialog: Dialog,
    /// The key of the dialog's peer, by which a merged request is seen.
    origin: Vec<u8>,
    phase: Phase,
    local: Local,
    unacknowledged: Option<Unacknowledged>,
    /// When it is answered, later when we hang up.
    due_at: Option<Instant>,
    armed: Option<Instant>,
}

impl Call {
    fn next_deadline(&self) -> Option<Instant> {
        let ok = self.unacknowledged.as_ref().map(|u| u.next_at.min(u.give_up_at));
        [self.due_at, ok].into_iter().flatten().min()
    }

    fn tag(&self) -> String {
        tag(self.local.id)
    }
}

/// The user agent.
pub(super) struct Agent<L> {
    settings: Settings,
    /// The address of the socket.
    address: SocketAddr,
    transactions: Transactions,
    calls: HashMap<u64, Call>,
    by_origin: HashMap<Vec<u8>, u64>,
    deadlines: Deadlines<u64>,
    pub(super) legs: L,
    counters: Arc<Counters>,
    stopping: bool,
}

impl<L: Legs> Agent<L> {
    pub(super) fn new(settings: Settings, address: SocketAddr, legs: L, counters: Arc<Counters>) -> Self {
        let room = settings.calls_max.saturating_mul(TRANSACTIONS_PER_CALL).max(TRANSACTIONS_MIN);
        Self {
            transactions: Transactions::new(settings.timers, room),
            settings,
            address,
            calls: HashMap::new(),
            by_origin: HashMap::new(),
            deadlines: Deadlines::new(),
            legs,
            counters,
            stopping: false,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.transactions.next_deadline(), self.deadlines.next()].into_iter().flatten().min()
    }

    /// Whether no call is left.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes one datagram.
    pub(super) fn receive(&mut self, now: Instant, source: SocketAddr, bytes: &[u8], out: &mut Outbox) {
        // CRLFs keep a binding open (RFC 5626 §4.4.1 over UDP: nothing to answer).
        if self.settings.behaviour == Behaviour::Silent || bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
            return;
        }
        let msg = match Msg::parse(bytes) {
            Ok(msg) => msg,
            Err(_) => {
                self.counters.malformed.fetch_add(1, Relaxed);
                if let Some(msg) = Msg::salvage(bytes)
                    && msg.method().is_some_and(|m| m != Method::Ack)
                {
                    respond_stateless(&msg, source, &reply(400), out);
                }
                return;
            }
        };
        if msg.status().is_some() {
            self.response(now, &msg, out);
            return;
        }
        match self.transactions.request(now, &msg, source, out) {
            Arrival::New(key) => self.request(now, &key, &msg, source, out),
            Arrival::Ack => self.ack(&msg),
            Arrival::Absorbed => {}
            Arrival::Full => {
                self.counters.refused.fetch_add(1, Relaxed);
                respond_stateless(&msg, source, &reply(503), out);
            }
        }
    }

    fn request(&mut self, now: Instant, key: &ServerKey, msg: &Msg<'_>, source: SocketAddr, out: &mut Outbox) {
        let method = msg.method().unwrap_or(Method::Ack);
        if method == Method::Cancel {
            return self.cancel(now, key, msg, out);
        }
        // RFC 3261 §8.2.2.3: no extension is supported.
        if let Some(required) = msg.value(HeaderName::Require) {
            return self.answer(now, key, 420, &[(HeaderName::Unsupported, required)], out);
        }
        if msg.value(HeaderName::To).and_then(tag_of).is_some() {
            return self.in_dialog(now, key, method, msg, out);
        }
        match method {
            Method::Invite => self.invite(now, key, msg, source, out),
            Method::Options => {
                let headers =
                    [(HeaderName::Allow, ALLOW), (HeaderName::Accept, SDP_TYPE), (HeaderName::Supported, b"")];
                self.answer(now, key, 200, &headers, out);
            }
            Method::Message => self.answer(now, key, 200, &[], out),
            Method::Bye | Method::Info | Method::Update => self.answer(now, key, 481, &[], out),
            _ => self.answer(now, key, 405, &[(HeaderName::Allow, ALLOW)], out),
        }
    }

    /// A new call (§13.3).
    fn invite(&mut self, now: Instant, key: &ServerKey, msg: &Msg<'_>, source: SocketAddr, out: &mut Outbox) {
        let origin = origin(msg);
        match self.admit(msg, &origin) {
            Ok(()) => {}
            Err(status) => {
                self.counters.refused.fetch_add(1, Relaxed);
                let retry: &[(HeaderName, &[u8])] =
                    if status == 503 { &[(HeaderName::RetryAfter, b"10")] } else { &[] };
                return self.answer(now, key, status, retry, out);
            }
        }
        let id = rand::random();
        let Some(dialog) = Dialog::accept(msg, &tag(id), source) else {
            return self.answer(now, key, 400, &[], out);
        };
        let Behaviour::Answer { ring, .. } = self.settings.behaviour else { return };
        let call = Call {
            dialog,
            origin: origin.clone(),
            phase: Phase::Ringing(key.clone()),
            local: Local { rtp: self.address, id, version: 1 },
            unacknowledged: None,
            due_at: Some(now + ring),
            armed: None,
        };
        self.calls.insert(id, call);
        self.by_origin.insert(origin, id);
        self.counters.active.fetch_add(1, Relaxed);
        if ring.is_zero() {
            self.pick_up(now, id, out);
        } else {
            self.answer_in_call(now, id, key, 180, None, out);
        }
        self.rearm(id);
    }

    /// Whether a new call is taken, or the status that refuses it.
    fn admit(&self, msg: &Msg<'_>, origin: &[u8]) -> Result<(), u16> {
        let uri = Uri::parse(msg.request_uri().unwrap_or_default()).map_err(|_| 400u16)?;
        if !uri.scheme.is_sip() {
            return Err(416);
        }
        // §8.2.2.2: the same request by another path.
        if self.by_origin.contains_key(origin) {
            return Err(482);
        }
        let user = uri.user.unwrap_or_default();
        if !self.settings.users.is_empty() && !self.settings.users.iter().any(|u| u.as_bytes() == user) {
            return Err(404);
        }
        if let Behaviour::Refuse { status } = self.settings.behaviour {
            return Err(status);
        }
        if self.stopping || self.calls.len() >= self.settings.calls_max {
            return Err(503);
        }
        check_body(msg)
    }

    /// Answers a call that rings.
    fn pick_up(&mut self, now: Instant, id: u64, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Phase::Ringing(key) = &call.phase else { return };
        let key = key.clone();
        let Some(request) = self.transactions.request_of(&key).map(<[u8]>::to_vec) else {
            return self.remove(id);
        };
        // It was parsed when it came, and its body was checked.
        let Ok(msg) = Msg::parse(&request) else { return self.remove(id) };
        let session = Session::parse(msg.body()).ok();
        let path = session.as_ref().and_then(|s| s.path().ok());
        let peer = path.and_then(|p| p.remote).map_or(call.dialog.next_hop().ip(), |r| r.ip());
        let Some(rtp) = self.legs.open(id, peer) else {
            self.counters.refused.fetch_add(1, Relaxed);
            self.answer_in_call(now, id, &key, 503, None, out);
            return self.remove(id);
        };
        call.local.rtp = rtp;
        call.phase = Phase::Answered;
        call.due_at = match self.settings.behaviour {
            Behaviour::Answer { hang_up_after, .. } => hang_up_after.map(|after| now + after),
            _ => None,
        };
        if let Some(path) = path {
            self.legs.set_path(id, path);
        }
        self.counters.answered.fetch_add(1, Relaxed);
        self.accept_invite(now, id, &key, session.as_ref(), out);
    }

    /// Sends the 200 to an INVITE, and repeats it until the ACK comes. Without an offer in the INVITE it carries ours.
    fn accept_invite(&mut self, now: Instant, id: u64, key: &ServerKey, offer: Option<&Session<'_>>, out: &mut Outbox) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some(body) = offer.map_or(Ok(sdp::offer(&call.local)), |o| o.answer(&call.local)).ok() else {
            return self.answer_in_call(now, id, key, 488, None, out);
        };
        let cseq = call.dialog.remote_cseq.unwrap_or_default();
        let sent = self.respond_in_call(now, id, key, 200, Some(&body), out);
        let t1 = self.transactions.timers().t1;
        let give_up_at = now + self.transactions.timers().t1_64();
        if let (Some((to, bytes)), Some(call)) = (sent, self.calls.get_mut(&id)) {
            let offered = offer.is_none();
            call.unacknowledged =
                Some(Unacknowledged { to, bytes, cseq, sent: 0, next_at: now + t1, give_up_at, offered });
        }
        self.rearm(id);
    }

    fn ack(&mut self, msg: &Msg<'_>) {
        let Some(id) = self.find(msg) else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(pending) = call.unacknowledged.take_if(|u| cseq_of(msg) == Some(u.cseq)) else { return };
        if pending.offered
            && let Ok(path) = Session::parse(msg.body()).and_then(|s| s.path())
        {
            self.legs.set_path(id, path);
        }
        self.rearm(id);
    }

    fn cancel(&mut self, now: Instant, key: &ServerKey, msg: &Msg<'_>, out: &mut Outbox) {
        let invite = ServerKey::new(msg, Method::Invite).filter(|k| self.transactions.request_of(k).is_some());
        let Some(invite) = invite else { return self.answer(now, key, 481, &[], out) };
        let ringing = self.by_origin.get(&origin(msg)).and_then(|id| Some((*id, self.calls.get(id)?)));
        let Some((id, call)) = ringing.filter(|(_, c)| c.phase == Phase::Ringing(invite.clone())) else {
            // §9.2: too late to have an effect.
            return self.answer(now, key, 200, &[], out);
        };
        let tag = call.tag();
        let ok = Reply { to_tag: tag.as_bytes(), ..reply(200) };
        self.transactions.respond(now, key, &ok, out);
        self.answer_in_call(now, id, &invite, 487, None, out);
        self.remove(id);
    }

    fn in_dialog(&mut self, now: Instant, key: &ServerKey, method: Method<'_>, msg: &Msg<'_>, out: &mut Outbox) {
        let Some(id) = self.find(msg) else { return self.answer(now, key, 481, &[], out) };
        let Some(call) = self.calls.get_mut(&id) else { return };
        // §12.2.2.
        if !call.dialog.advance(msg) {
            return self.answer(now, key, 500, &[], out);
        }
        match method {
            Method::Bye => self.bye(now, id, key, out),
            Method::Invite => self.re_invite(now, id, key, msg, out),
            Method::Update => self.update(now, id, key, msg, out),
            Method::Info | Method::Message => self.answer(now, key, 200, &[], out),
            Method::Options => {
                self.answer(now, key, 200, &[(HeaderName::Allow, ALLOW), (HeaderName::Accept, SDP_TYPE)], out);
            }
            _ => self.answer(now, key, 405, &[(HeaderName::Allow, ALLOW)], out),
        }
    }

    fn bye(&mut self, now: Instant, id: u64, key: &ServerKey, out: &mut Outbox) {
        self.answer(now, key, 200, &[], out);
        if let Some(Call { phase: Phase::Ringing(invite), .. }) = self.calls.get(&id) {
            // §15.1.2: what is still pending is answered with 487.
            let invite = invite.clone();
            self.answer_in_call(now, id, &invite, 487, None, out);
        }
        self.remove(id);
    }

    /// §14.2, RFC 3264 §8.
    fn re_invite(&mut self, now: Instant, id: u64, key: &ServerKey, msg: &Msg<'_>, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let refusal = match (&call.phase, &call.unacknowledged) {
            (Phase::Leaving, _) => Some(481),
            (Phase::Ringing(_), _) | (_, Some(_)) => Some(491),
            _ => check_body(msg).err(),
        };
        if let Some(status) = refusal {
            return self.answer(now, key, status, &[], out);
        }
        call.dialog.refresh(msg);
        call.local.version += 1;
        let session = Session::parse(msg.body()).ok();
        if let Some(path) = session.as_ref().and_then(|s| s.path().ok()) {
            self.legs.set_path(id, path);
        }
        self.accept_invite(now, id, key, session.as_ref(), out);
    }

    /// RFC 3311 §5.2.
    fn update(&mut self, now: Instant, id: u64, key: &ServerKey, msg: &Msg<'_>, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if msg.body().is_empty() {
            call.dialog.refresh(msg);
            return self.answer_in_call(now, id, key, 200, None, out);
        }
        let refusal = match &call.phase {
            Phase::Leaving => Some(481),
            Phase::Ringing(_) => Some(491),
            Phase::Answered if call.unacknowledged.as_ref().is_some_and(|u| u.offered) => Some(491),
            Phase::Answered => check_body(msg).err(),
        };
        if let Some(status) = refusal {
            return self.answer(now, key, status, &[], out);
        }
        call.dialog.refresh(msg);
        call.local.version += 1;
        let session = Session::parse(msg.body());
        let answer = session.and_then(|s| Ok((s.path()?, s.answer(&call.local)?)));
        let Ok((path, body)) = answer else { return self.answer(now, key, 488, &[], out) };
        self.legs.set_path(id, path);
        self.answer_in_call(now, id, key, 200, Some(&body), out);
    }

    /// A response, which can only be one to our BYE: whatever it says, the call is over (§15.1.1).
    fn response(&mut self, now: Instant, msg: &Msg<'_>, out: &mut Outbox) {
        if let Some((_, id)) = self.transactions.response(now, msg, out)
            && msg.status().is_some_and(|s| s >= 200)
        {
            self.remove(id);
        }
    }

    /// Runs what is due.
    pub(super) fn expire(&mut self, now: Instant, out: &mut Outbox) {
        let mut ended = Vec::new();
        self.transactions.expire(now, out, &mut ended);
        for (_, id, end) in ended {
            if end == ClientEnd::TimedOut {
                self.remove(id);
            }
        }
        while let Some((at, id)) = self.deadlines.pop_due(now) {
            if self.calls.get_mut(&id).is_some_and(|c| c.armed.take_if(|a| *a == at).is_some()) {
                self.expire_call(now, id, out);
                self.rearm(id);
            }
        }
    }

    fn expire_call(&mut self, now: Instant, id: u64, out: &mut Outbox) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if let Some(ok) = &mut call.unacknowledged {
            if ok.give_up_at <= now {
                // §13.3.1.4: the dialog stands, the session does not.
                return self.hang_up(now, id, out);
            }
            if ok.next_at <= now {
                ok.sent = ok.sent.saturating_add(1);
                ok.next_at = now + self.transactions.timers().timer_g(ok.sent);
                out.push((ok.to, ok.bytes.clone()));
            }
        }
        if call.due_at.is_some_and(|at| at <= now) {
            call.due_at = None;
            match call.phase {
                Phase::Ringing(_) => self.pick_up(now, id, out),
                Phase::Answered => self.hang_up(now, id, out),
                Phase::Leaving => {}
            }
        }
    }

    /// Sends BYE, or refuses a call that rings.
    fn hang_up(&mut self, now: Instant, id: u64, out: &mut Outbox) {
        let sent_by = self.sent_by(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        match &call.phase {
            Phase::Ringing(key) => {
                let key = key.clone();
                self.answer_in_call(now, id, &key, 503, None, out);
                self.remove(id);
            }
            Phase::Answered => {
                call.phase = Phase::Leaving;
                call.unacknowledged = None;
                call.due_at = None;
                call.dialog.local_cseq += 1;
                let key = ClientKey::fresh();
                let outline = Outline { method: "BYE", cseq: call.dialog.local_cseq, sent_by, branch: &key.branch() };
                let (request, to) = (call.dialog.request(&outline), call.dialog.next_hop());
                self.legs.close(id);
                self.transactions.start(now, key, request, to, id, out);
            }
            Phase::Leaving => {}
        }
    }

    /// Takes no more calls and hangs up on those that are there.
    pub(super) fn stop(&mut self, now: Instant, out: &mut Outbox) {
        self.stopping = true;
        let ids: Vec<_> = self.calls.keys().copied().collect();
        for id in ids {
            self.hang_up(now, id, out);
        }
    }

    /// The call that a request within a dialog belongs to.
    fn find(&self, msg: &Msg<'_>) -> Option<u64> {
        let tag = std::str::from_utf8(tag_of(msg.value(HeaderName::To)?)?).ok()?;
        let id = u64::from_str_radix(tag, 16).ok()?;
        self.calls.get(&id)?.dialog.owns(msg).then_some(id)
    }

    fn remove(&mut self, id: u64) {
        if let Some(call) = self.calls.remove(&id) {
            self.by_origin.remove(&call.origin);
            self.legs.close(id);
            self.counters.active.fetch_sub(1, Relaxed);
        }
    }

    fn rearm(&mut self, id: u64) {
        if let Some(call) = self.calls.get_mut(&id) {
            let wanted = call.next_deadline();
            self.deadlines.rearm(&mut call.armed, wanted, || id);
        }
    }

    /// Our address as the peer of a call sees it.
    fn sent_by(&self, id: u64) -> SocketAddr {
        if !self.address.ip().is_unspecified() {
            return self.address;
        }
        let peer = self.calls.get(&id).map(|c| c.dialog.next_hop().ip());
        let ip = peer.and_then(|p| ip_towards(p).ok()).unwrap_or(self.address.ip());
        SocketAddr::new(ip, self.address.port())
    }

    /// Answers a request that makes no dialog.
    fn answer(
        &mut self,
        now: Instant,
        key: &ServerKey,
        status: u16,
        headers: &[(HeaderName, &[u8])],
        out: &mut Outbox,
    ) {
        let to_tag = tag(rand::random());
        let server = self.settings.name.as_bytes();
        let reply = Reply { to_tag: to_tag.as_bytes(), server, headers, ..reply(status) };
        self.transactions.respond(now, key, &reply, out);
    }

    /// Answers a request with the tag of its call, and with what makes a dialog (§12.1.1).
    fn answer_in_call(
        &mut self,
        now: Instant,
        id: u64,
        key: &ServerKey,
        status: u16,
        body: Option<&[u8]>,
        out: &mut Outbox,
    ) {
        self.respond_in_call(now, id, key, status, body, out);
    }

    fn respond_in_call(
        &mut self,
        now: Instant,
        id: u64,
        key: &ServerKey,
        status: u16,
        body: Option<&[u8]>,
        out: &mut Outbox,
    ) -> Option<(SocketAddr, Vec<u8>)> {
        let request = self.transactions.request_of(key)?.to_vec();
        let msg = Msg::parse(&request).ok()?;
        let contact = format!("<sip:{}>", self.sent_by(id));
        let mut headers: Vec<(HeaderName, &[u8])> = Vec::new();
        if (101..300).contains(&status) {
            headers.extend(msg.headers_named(HeaderName::RecordRoute).map(|h| (h.name, h.value)));
            headers.push((HeaderName::Contact, contact.as_bytes()));
            headers.push((HeaderName::Allow, ALLOW));
        }
        let to_tag = tag(id);
        let reply = Reply {
            to_tag: to_tag.as_bytes(),
            server: self.settings.name.as_bytes(),
            headers: &headers,
            body: body.map(|b| (SDP_TYPE, b)),
            ..reply(status)
        };
        self.transactions.respond(now, key, &reply, out)
    }
}

/// Whether the body of a request is none, or an offer that can be answered; else the status that says why not.
fn check_body(msg: &Msg<'_>) -> Result<(), u16> {
    if msg.body().is_empty() {
        return Ok(());
    }
    let content_type = msg.value(HeaderName::ContentType).unwrap_or_default();
    let media_type = content_type.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    if !media_type.eq_ignore_ascii_case(SDP_TYPE) {
        return Err(415);
    }
    match Session::parse(msg.body()).and_then(|s| s.path()) {
        Ok(_) => Ok(()),
        Err(SdpError::Malformed) => Err(400),
        Err(SdpError::NoAudio) => Err(488),
    }
}

/// By what two INVITEs are one that came by two paths: From tag, Call-ID, CSeq (§8.2.2.2).
fn origin(msg: &Msg<'_>) -> Vec<u8> {
    let tag = msg.value(HeaderName::From).and_then(tag_of).unwrap_or_default();
    let cseq = cseq_of(msg).unwrap_or_default().to_be_bytes();
    [msg.value(HeaderName::CallId).unwrap_or_default(), tag, &cseq].join(&0)
}

fn tag(id: u64) -> String {
    format!("{id:016x}")
}

fn reply(status: u16) -> Reply<'static> {
    let reason = match status {
        415 => "Unsupported Media Type",
        486 => "Busy Here",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        other => reason_phrase(other),
    };
    Reply { status, reason: reason.as_bytes(), ..Reply::default() }
}

#[cfg(test)]
mod tests;
