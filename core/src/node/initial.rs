//! A request outside of any dialog: the rules say where it goes.

use core::net::{IpAddr, SocketAddr};

use super::config::Hop;
use super::reply::{ALLOW, Answer, path_back};
use super::{Node, Out};
use crate::dialog::EndReason;
use crate::dialog::layer::{Ended, Names};
use crate::dialog::session_timer::{self, RequestDecision, RequestTimer};
use crate::dispatcher::{NoTarget, SelectKeys, SelectRule};
use crate::error::Full;
use crate::flow::{Flow, ListenerId};
use crate::machine::Cx;
use crate::proxy::context::{Branch, Context, Plan};
use crate::proxy::fork::{self, BRANCHES_MAX, Fork, Order};
use crate::proxy::routes::RouteSet;
use crate::proxy::validate::Valid;
use crate::routing::{Dispatch, Pattern, Subject, Verdict};
use crate::store::Key;
use crate::wire::sip::header_name::HeaderName;
use crate::wire::sip::host::Host;
use crate::wire::sip::method::Method;
use crate::wire::sip::msg::Msg;
use crate::wire::sip::option_tags::has_option_tag;
use crate::wire::sip::put::{Put, Text};
use crate::wire::sip::session_expires::{MinSe, SessionExpires};
use crate::wire::sip::transport::Transport;
use crate::wire::sip::uri::Uri;

/// A request on its way, with all that was read of it.
#[derive(Clone, Copy)]
pub(super) struct Request<'r, 'b> {
    pub(super) msg: &'r Msg<'b>,
    pub(super) valid: &'r Valid<'b>,
    pub(super) routes: &'r RouteSet<'b>,
    pub(super) flow: &'r Flow,
    pub(super) hash: u64,
    /// Of a request outside of a dialog.
    pub(super) merge_hash: Option<u64>,
    pub(super) loop_hash: u32,
}

/// Whether an address can be that of one peer: nobody makes us send to many, or to nobody.
fn is_one_host(addr: SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

impl<P: Pattern> Node<'_, P> {
    pub(super) fn initial(
        &mut self,
        cx: &mut Cx<'_>,
        flow: &Flow,
        msg: &Msg<'_>,
        valid: &Valid<'_>,
        hash: u64,
        out: Out<'_>,
    ) {
        let loop_hash = self.loop_hash(msg, valid, flow);
        let merge_hash = self.merge_hash(valid);
        let looped = self.is_loop(msg, loop_hash);
        if looped || self.transactions.is_merged(merge_hash) {
            self.stats.looped += 1;
            let reason = if looped { "Loop Detected" } else { "Request Merged" };
            return self.answer(msg, flow, &Answer { status: 482, reason, headers: &[] }, out);
        }
        if valid.method == Method::Options && self.config.locals.is_me(&valid.uri) {
            return self.answer_options(msg, flow, out);
        }
        let Ok(routes) = RouteSet::read(msg, &valid.uri, &self.config.locals) else {
            return self.answer(msg, flow, &Answer { status: 400, reason: "Malformed Route", headers: &[] }, out);
        };
        let request = Request { msg, valid, routes: &routes, flow, hash, merge_hash: Some(merge_hash), loop_hash };
        let subject = Subject { msg, uri: &valid.uri, source: flow.peer.ip(), transport: flow.transport };
        // The rules are borrowed while the node works on, so the verdict is copied out of them.
        match self.config.rules.verdict(&subject) {
            None => self.no_rule(&request, out),
            Some(Verdict::Reject { status, reason }) => {
                let (status, reason) = (*status, phrase(reason));
                self.answer(msg, flow, &Answer { status, reason: as_str(&reason), headers: &[] }, out);
            }
            Some(Verdict::Relay) => self.relay(cx, &request, out),
            // The sender wants another way than the rules: neither is guessed at.
            Some(Verdict::Dispatch(_)) if routes.next_hop().is_some() => {
                let answer = Answer { status: 403, reason: "Forbidden — Preloaded Route", headers: &[] };
                self.answer(msg, flow, &answer, out);
            }
            Some(Verdict::Dispatch(dispatch)) => {
                let dispatch = dispatch.clone();
                self.dispatch(cx, &request, &dispatch, out);
            }
        }
    }

    fn no_rule(&mut self, r: &Request<'_, '_>, out: Out<'_>) {
        let known = matches!(
            r.valid.method,
            Method::Invite
                | Method::Bye
                | Method::Options
                | Method::Notify
                | Method::Info
                | Method::Update
                | Method::Prack
        );
        if known {
            return self.answer(r.msg, r.flow, &Answer::new(404), out);
        }
        let headers = [(HeaderName::Allow, ALLOW)];
        self.answer(r.msg, r.flow, &Answer { status: 405, reason: "", headers: &headers }, out);
    }

    /// RFC 3261 §8.2.2.2, as a proxy sees it: the same request by another way, while the first is in progress. With
    /// another Request-URI it is a request of its own.
    fn merge_hash(&self, valid: &Valid<'_>) -> u64 {
        self.hash.hash(&[
            valid.uri.raw,
            valid.from.tag().unwrap_or_default(),
            valid.call_id,
            &valid.cseq.number.to_le_bytes(),
            valid.method.as_bytes(),
        ])
    }

    fn dispatch(&mut self, cx: &mut Cx<'_>, r: &Request<'_, '_>, how: &Dispatch, out: Out<'_>) {
        if self.refuse_new(r, out) {
            return;
        }
        let auth = r.msg.value(HeaderName::Authorization).or(r.msg.value(HeaderName::ProxyAuthorization));
        let auth_user = auth.and_then(|v| crate::wire::sip::auth::Credentials::parse(v).ok());
        let keys = SelectKeys {
            call_id: r.valid.call_id,
            from_uri: r.valid.from.uri,
            to_uri: r.valid.to.uri,
            request_uri: r.valid.uri.raw,
            auth_user: match &auth_user {
                Some(crate::wire::sip::auth::Credentials::Digest(digest)) => digest.username,
                _ => b"",
            },
            value: how.value_header.as_ref().and_then(|n| r.msg.header_by_text(n)).map_or(b"", |h| h.value),
        };
        let invite = r.valid.method == Method::Invite;
        let rule = |set| SelectRule { set, algorithm: how.algorithm, limit: how.limit, new_call: invite };
        let mut selected = self.dispatcher.select(cx, rule(how.set), &keys);
        if let (Err(_), Some(fallback)) = (&selected, how.fallback) {
            selected = self.dispatcher.select(cx, rule(fallback), &keys);
        }
        match selected {
            Ok(selection) => {
                let order = if selection.parallel { Order::Parallel } else { Order::Serial };
                let targets = selection.targets.iter().take(BRANCHES_MAX).copied().collect();
                self.proceed(cx, r, Plan::Dispatch(targets), order, None, out);
            }
            Err(why) => {
                self.stats.no_target += 1;
                let reason = match why {
                    NoTarget::NoRoom => phrase(b"Service Unavailable \xe2\x80\x94 Media Servers Busy"),
                    _ => phrase(&self.config.no_target_reason),
                };
                self.answer_later(r.msg, r.flow, as_str(&reason), out);
            }
        }
    }

    /// New calls are not taken while the node shuts down, nor with a session timer shorter than allowed
    /// (RFC 4028 §8.1).
    fn refuse_new(&mut self, r: &Request<'_, '_>, out: Out<'_>) -> bool {
        if r.valid.method != Method::Invite {
            return false;
        }
        if self.closing {
            self.answer_later(r.msg, r.flow, "Service Unavailable — Shutting Down", out);
            return true;
        }
        if let RequestDecision::Reject { min_se_s } = self.session_timer(r.msg) {
            let min_se = Text::<10>::with(|t| t.put_number(u64::from(min_se_s)));
            let headers = [(HeaderName::MinSe, min_se.as_bytes())];
            self.answer(r.msg, r.flow, &Answer { status: 422, reason: "", headers: &headers }, out);
            return true;
        }
        false
    }

    pub(super) fn session_timer(&self, msg: &Msg<'_>) -> RequestDecision {
        let number = |name, f: fn(&[u8]) -> Option<u32>| msg.value(name).and_then(f);
        let timer = RequestTimer {
            supports_timer: msg.headers_named(HeaderName::Supported).any(|h| has_option_tag(h.value, b"timer")),
            session_expires_s: number(HeaderName::SessionExpires, |v| Some(SessionExpires::parse(v).ok()?.delta_s)),
            min_se_s: number(HeaderName::MinSe, |v| Some(MinSe::parse(v).ok()?.delta_s)),
        };
        session_timer::request(&self.config.session_timer, &timer)
    }

    fn relay(&mut self, cx: &mut Cx<'_>, r: &Request<'_, '_>, out: Out<'_>) {
        if self.refuse_new(r, out) {
            return;
        }
        match self.next_flow(r) {
            Ok(flow) => self.proceed(cx, r, Plan::Relay(flow), Order::Serial, None, out),
            Err(answer) => self.answer(r.msg, r.flow, &answer, out),
        }
    }

    /// Where the route set, or else the Request-URI, says that a request goes.
    pub(super) fn next_flow(&self, r: &Request<'_, '_>) -> Result<Flow, Answer<'static>> {
        let answer = |status, reason| Answer { status, reason, headers: &[] };
        let raw = r.routes.next_hop().map(|(uri, _)| uri).or(r.routes.request_uri()).unwrap_or(r.valid.uri.raw);
        let uri = Uri::parse(raw).map_err(|_| answer(400, "Malformed Route"))?;
        let hop = self.hop(&uri, r.routes.egress).ok_or(answer(502, "Bad Gateway — Next Hop Is No IP Address"))?;
        if !is_one_host(hop.addr) {
            return Err(answer(403, "Forbidden — Next Hop Is Not One Host"));
        }
        if self.config.locals.is_my_address(hop.transport, hop.addr) {
            return Err(answer(404, ""));
        }
        let locals = &self.config.locals;
        let named = r.routes.egress.filter(|id| {
            locals
                .listener(*id)
                .is_some_and(|l| l.transport == hop.transport && l.bound.is_ipv4() == hop.addr.is_ipv4())
        });
        let listener = named
            .or_else(|| locals.towards(hop.transport, hop.addr))
            .ok_or(answer(502, "Bad Gateway — No Listener For That Transport"))?;
        Ok(Flow { listener, transport: hop.transport, peer: hop.addr, connection: None })
    }

    /// The address in a URI; `None` for a name, which nobody here resolves. A URI that names no transport is reached by
    /// the one that this side of the dialog was set up by: many a Contact leaves it out. Else it is UDP (RFC 3263 §4.1).
    fn hop(&self, uri: &Uri<'_>, egress: Option<ListenerId>) -> Option<Hop> {
        let host: Host<'_> = uri.maddr().or(uri.host)?;
        let recorded = || egress.and_then(|id| self.config.locals.listener(id)).map(|l| l.transport);
        let transport = match uri.transport() {
            Some(named) => named,
            None if uri.scheme.is_sips() => Transport::Tls,
            None => recorded().unwrap_or(Transport::Udp),
        };
        let port = uri.port.unwrap_or(transport.default_port());
        Some(Hop { addr: SocketAddr::new(host.ip()?, port), transport })
    }

    /// Opens what the request needs and sends it on.
    pub(super) fn proceed(
        &mut self,
        cx: &mut Cx<'_>,
        r: &Request<'_, '_>,
        plan: Plan,
        order: Order,
        dialog: Option<Key>,
        out: Out<'_>,
    ) {
        match self.open(cx, r, plan, order, dialog, out) {
            Ok((context, targets)) => {
                self.run_fork(cx, context, fork::Event::Start { targets }, Some(r), None, out);
            }
            Err(_) => self.answer_full(r.msg, r.flow, out),
        }
    }

    fn open(
        &mut self,
        cx: &mut Cx<'_>,
        r: &Request<'_, '_>,
        plan: Plan,
        order: Order,
        dialog: Option<Key>,
        out: Out<'_>,
    ) -> Result<(Key, usize), Full> {
        let invite = r.valid.method == Method::Invite;
        if self.contexts.is_full() {
            return Err(Full { what: "requests in progress" });
        }
        let initial = invite && r.valid.to.tag().is_none();
        let dialog = if initial { Some(self.open_dialog(cx, r)?) } else { dialog };
        let back = path_back(r.flow, Some(&r.valid.via));
        let opened = self.messages.alloc_copy(r.msg.bytes()).and_then(|buf| {
            match self.transactions.open_server(cx, invite, r.hash, r.merge_hash, back) {
                Ok(opened) => Ok((buf, opened)),
                Err(full) => {
                    self.messages.free(buf);
                    Err(full)
                }
            }
        });
        let (request, (server, trying)) = match opened {
            Ok(opened) => opened,
            Err(full) => {
                if let Some(key) = dialog.filter(|_| initial) {
                    self.close_dialog(cx, key, 503);
                }
                return Err(full);
            }
        };
        if trying {
            self.send_trying(r.msg, r.flow, &back, out);
        }
        let targets = plan.len();
        let context = Context {
            fork: Fork::new(order, invite, self.config.timer_c, self.config.timers.t1_64()),
            server,
            request: Some(request),
            source: *r.flow,
            dialog,
            initial,
            invite,
            plan,
            branches: [Branch::default(); BRANCHES_MAX],
            kept: crate::proxy::challenge::Kept::new(),
            unstarted: false,
            closed: false,
        };
        let key = self.contexts.insert(context)?;
        self.transactions.set_context(server, Some(key));
        Ok((key, targets))
    }

    fn open_dialog(&mut self, cx: &mut Cx<'_>, r: &Request<'_, '_>) -> Result<Key, Full> {
        let names = Names {
            call_id: r.valid.call_id,
            caller_tag: r.valid.from.tag().unwrap_or_default(),
            callee_tag: b"",
            from: r.valid.from.uri,
            to: r.valid.uri.raw,
        };
        self.dialogs.open(cx, &names, r.valid.cseq.number)
    }

    /// Ends the dialog of an INVITE that came to nothing.
    pub(super) fn close_dialog(&mut self, cx: &mut Cx<'_>, key: Key, status: u16) {
        let event = crate::dialog::DialogEvent::FinalFailure { status };
        if let Some(ended) = self.dialogs.event(cx, key, event) {
            debug_assert!(matches!(ended.reason, EndReason::Rejected { .. } | EndReason::Cancelled));
            self.dialog_ended(&Ended { answered_for: None, ..ended });
        }
    }
}

/// A reason phrase out of the configuration, which is borrowed while the node works on.
pub(super) type Phrase = Text<128>;

pub(super) fn phrase(text: &[u8]) -> Phrase {
    Text::with(|t| t.put(text))
}

pub(super) fn as_str(phrase: &Phrase) -> &str {
    core::str::from_utf8(phrase.as_bytes()).unwrap_or_default()
}
