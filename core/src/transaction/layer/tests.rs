//! How messages find their transactions, what is kept for them, and that nothing of it stays.

use std::string::String;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::entropy::SeededEntropy;
use crate::flow::ListenerId;
use crate::store::Slots;
use crate::wire::sip::transport::Transport;

struct Layer {
    transactions: Transactions<'static>,
    bufs: BufPool<'static>,
    scratch: Vec<u8>,
    now: Instant,
}

fn flow(transport: Transport) -> Flow {
    Flow { listener: ListenerId(0), transport, peer: "192.0.2.9:5060".parse().unwrap(), connection: None }
}

fn owner() -> Owner {
    Owner { context: Key::new(5, 1).unwrap(), branch: 2 }
}

const INVITE: &[u8] =
    b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
    To: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n";

fn response(status: u16) -> String {
    std::format!(
        "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:c@d>;tag=1\r\n\
         To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Calls a method of the layer; gives what it returns and the first words of what was sent.
macro_rules! call {
    ($l:expr, |$t:ident, $cx:ident, $io:ident| $body:expr) => {{
        let mut sent: Vec<String> = Vec::new();
        let mut entropy = SeededEntropy::new(1);
        let mut send = |_: &Flow, bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            sent.push(text.lines().next().unwrap().replace("SIP/2.0 ", "").replace(" SIP/2.0", ""));
        };
        let $t = &mut $l.transactions;
        let $cx = &mut Cx { now: $l.now, entropy: &mut entropy };
        let $io = &mut Io { bufs: &mut $l.bufs, scratch: &mut $l.scratch, send: &mut send };
        let returned = $body;
        (returned, sent)
    }};
}

impl Layer {
    fn new(capacity: usize, blocks: usize) -> Self {
        let index = || Slots::reserved(Index::buckets_for(capacity));
        let memory = Memory {
            servers: Slots::reserved(capacity),
            clients: Slots::reserved(capacity),
            index: index(),
            merged: index(),
        };
        let mut bufs = BufPool::new("messages");
        bufs.add_class(512, Slots::reserved(512 * blocks)).unwrap();
        let timers = Timers { trying: Duration::ZERO, ..Timers::DEFAULT };
        let transactions = Transactions::new(memory, timers);
        Self { transactions, bufs, scratch: vec![0; 1_024], now: Instant::from_millis(1_000) }
    }

    fn client(&mut self) -> Key {
        let key = self.transactions.open_client(true, flow(Transport::Udp), Some(owner())).unwrap();
        let (started, sent) = call!(self, |t, cx, io| t.start_client(cx, io, key, INVITE, None));
        assert_eq!((started, sent), (Ok(()), vec![String::from("INVITE sip:a@b")]));
        key
    }

    fn answer(&mut self, client: Key, status: u16, cancel: bool) -> (Option<Outcome>, Vec<String>) {
        let text = response(status);
        let msg = Msg::parse(text.as_bytes()).unwrap();
        call!(self, |t, cx, io| t.response(cx, io, client, cancel, &msg))
    }

    fn respond(&mut self, server: Key, status: u16) -> Vec<String> {
        let text = response(status);
        call!(self, |t, cx, io| t.respond(cx, io, server, status, text.as_bytes())).1
    }

    /// Lets time pass until nothing is left; what expired.
    fn finish(&mut self) -> Vec<Expired> {
        let mut all = Vec::new();
        while let Some(at) = self.transactions.next_deadline() {
            self.now = self.now.max(at);
            all.extend(call!(self, |t, cx, io| t.expire(cx, io)).0);
        }
        assert!(self.transactions.is_empty() && self.transactions.indexes_are_empty());
        assert_eq!(self.bufs.used(), 0);
        all
    }
}

#[test]
fn a_server_transaction_is_found_until_it_ends() {
    let mut l = Layer::new(4, 8);
    let (opened, _) = call!(l, |t, cx, _io| t.open_server(cx, true, 77, Some(99), flow(Transport::Udp)));
    let (key, trying) = opened.unwrap();
    assert!(trying);
    assert_eq!(l.transactions.find_server(77), Some(key));
    assert_eq!(l.transactions.find_server(78), None);
    assert!(l.transactions.is_merged(99) && !l.transactions.is_merged(77));
    assert_eq!(call!(l, |t, cx, io| t.retransmitted(cx, io, key)).0, Again::Trying, "nothing is kept yet");
    assert_eq!(l.respond(key, 180), ["180 X"]);
    assert_eq!(call!(l, |t, cx, io| t.retransmitted(cx, io, key)), (Again::Absorbed, vec!["180 X".into()]));
    assert_eq!(l.respond(key, 486), ["486 X"]);
    assert!(!l.transactions.is_merged(99), "with the final answer it is no ongoing request");
    assert_eq!(l.transactions.find_server(77), Some(key), "but retransmissions are still answered");
    assert_eq!(l.respond(key, 500), [""; 0], "one final answer");
    assert!(!call!(l, |t, cx, io| t.ack(cx, io, key)).0, "its ACK stops here");
    l.finish();
    assert_eq!(l.transactions.find_server(77), None);
}

#[test]
fn the_ack_of_a_2xx_passes_and_the_2xx_is_not_kept() {
    let mut l = Layer::new(4, 8);
    let (opened, _) = call!(l, |t, cx, _io| t.open_server(cx, true, 77, None, flow(Transport::Udp)));
    let key = opened.unwrap().0;
    assert_eq!(l.respond(key, 200), ["200 X"]);
    assert_eq!(l.bufs.used(), 0);
    assert_eq!(call!(l, |t, cx, io| t.retransmitted(cx, io, key)), (Again::Absorbed, vec![]));
    assert!(call!(l, |t, cx, io| t.ack(cx, io, key)).0);
    assert_eq!(l.respond(key, 200), ["200 X"]);
    l.finish();
}

#[test]
fn over_a_stream_a_refusal_ends_a_request_other_than_invite_at_once() {
    let mut l = Layer::new(4, 8);
    let (opened, _) = call!(l, |t, cx, _io| t.open_server(cx, false, 77, Some(99), flow(Transport::Tcp)));
    assert_eq!(l.respond(opened.unwrap().0, 404), ["404 X"]);
    assert!(l.transactions.is_empty() && l.transactions.indexes_are_empty());
    assert_eq!(l.bufs.used(), 0);
}

#[test]
fn a_refusal_is_acknowledged_and_passed_once() {
    let mut l = Layer::new(4, 8);
    let client = l.client();
    assert_eq!(l.answer(client, 180, false), (Some(Outcome::Pass(owner())), vec![]));
    assert_eq!(l.answer(client, 486, false), (Some(Outcome::Pass(owner())), vec!["ACK sip:a@b".into()]));
    assert_eq!(l.answer(client, 486, false), (None, vec!["ACK sip:a@b".into()]));
    l.finish();
    assert_eq!(l.answer(client, 486, false), (None, vec![]), "the key is stale");
}

#[test]
fn after_a_2xx_the_request_is_not_kept_and_every_2xx_passes() {
    let mut l = Layer::new(4, 8);
    let client = l.client();
    for _ in 0..3 {
        assert_eq!(l.answer(client, 200, false), (Some(Outcome::Pass(owner())), vec![]));
        assert_eq!(l.bufs.used(), 0);
    }
    l.finish();
}

#[test]
fn a_cancel_waits_for_a_provisional_response_and_has_its_own_transaction() {
    let mut l = Layer::new(4, 8);
    let client = l.client();
    assert_eq!(l.answer(client, 200, true), (None, vec![]), "the answer to a CANCEL that was never sent");
    assert_eq!(call!(l, |t, cx, io| t.cancel(cx, io, client)).1, [""; 0]);
    assert_eq!(l.answer(client, 100, false).1, ["CANCEL sip:a@b"]);
    assert_eq!(l.transactions.len(), (0, 2));
    assert_eq!(l.answer(client, 200, true), (None, vec![]), "it is nobody's");
    assert_eq!(l.answer(client, 487, false).0, Some(Outcome::Pass(owner())));
    l.finish();
}

#[test]
fn silence_and_transport_errors_are_told_once() {
    let mut l = Layer::new(4, 8);
    l.client();
    let told: Vec<_> = l.finish().into_iter().filter(|e| *e != Expired::Nothing).collect();
    assert_eq!(told, [Expired::Outcome(Outcome::TimedOut(owner()))]);
    let client = l.client();
    let failed = call!(l, |t, cx, io| t.undelivered(cx, io, client)).0;
    assert_eq!(failed, Some(Outcome::TransportError(owner())));
    assert_eq!(call!(l, |t, cx, io| t.undelivered(cx, io, client)).0, None);
    l.finish();
}

#[test]
fn full_tables_and_pools_refuse_and_leave_nothing() {
    let mut l = Layer::new(1, 1);
    let first = call!(l, |t, cx, _io| t.open_server(cx, true, 1, Some(2), flow(Transport::Udp))).0.unwrap().0;
    assert!(call!(l, |t, cx, _io| t.open_server(cx, true, 3, Some(4), flow(Transport::Udp))).0.is_err());
    assert!(!l.transactions.is_merged(4));
    let client = l.client();
    assert!(l.transactions.open_client(true, flow(Transport::Udp), None).is_err());
    // The one block holds the request: the answer is sent, and cannot be repeated, but it is no 100 again.
    assert_eq!(l.respond(first, 486), ["486 X"]);
    assert_eq!(call!(l, |t, cx, io| t.retransmitted(cx, io, first)), (Again::Absorbed, vec![]));
    // Neither is there room for a CANCEL.
    l.answer(client, 180, false);
    assert_eq!(call!(l, |t, cx, io| t.cancel(cx, io, client)).1, [""; 0]);
    l.finish();
    // A request that cannot be kept is not sent.
    let held = l.bufs.alloc_copy(b"x").unwrap();
    let client = l.transactions.open_client(true, flow(Transport::Udp), None).unwrap();
    let (started, sent) = call!(l, |t, cx, io| t.start_client(cx, io, client, INVITE, None));
    assert!(started.is_err() && sent.is_empty());
    l.bufs.free(held);
    l.finish();
}
