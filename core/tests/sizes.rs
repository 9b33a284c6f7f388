//! What a call costs in memory.

use core::mem::size_of;

use trunkline_core::dialog::layer::Dialog;
use trunkline_core::dispatcher::{Storage, Target};
use trunkline_core::flow::Flow;
use trunkline_core::node::Node;
use trunkline_core::proxy::context::Context;
use trunkline_core::store::{index::Bucket, table::Slot};
use trunkline_core::transaction::layer::{ClientTransaction, ServerTransaction};
use trunkline_core::vrrp::{Group, Instance, Track};
use trunkline_core::wire::sip::edit::Draft;
use trunkline_core::wire::sip::msg::Msg;

/// An index has up to four buckets an entry: it is at most half full, and a power of two long.
const INDEXED: usize = 4 * size_of::<Bucket>();

#[track_caller]
fn at_most(what: &str, bytes: usize, bound: usize) {
    println!("{bytes:>6} bytes (at most {bound}): {what}");
    assert!(bytes <= bound, "{what}: {bytes} bytes, more than {bound}");
}

#[test]
fn a_held_dialog() {
    let entry = size_of::<Slot<Dialog>>() + INDEXED;
    at_most("held dialog", entry, 136);
    at_most("held dialog with names of 192 bytes", entry + 192, 328);
}

/// Transactions stay for 32 s after the call is answered, their messages do not.
#[test]
fn an_answered_call() {
    at_most("server transaction", size_of::<Slot<ServerTransaction>>() + 2 * INDEXED, 208);
    at_most("client transaction", size_of::<Slot<ClientTransaction>>(), 136);
}

#[test]
fn a_request_in_progress() {
    at_most("response context", size_of::<Slot<Context>>(), 432);
    at_most("path", size_of::<Flow>(), 48);
}

#[test]
fn a_target() {
    let columns = 2 * Storage::ranks_len(1) + 8 * Storage::sums_len(1);
    at_most("target", size_of::<Target>() + columns, 700);
}

#[test]
fn a_message_on_the_stack() {
    // With room for the fields that a proxy adds.
    at_most("message", size_of::<Msg<'_>>(), 1_464);
    at_most("draft", size_of::<Draft<'_, '_, '_>>(), 2_560);
}

#[test]
fn an_empty_node() {
    at_most("node", size_of::<Node<'_, ()>>(), 12_288);
}

#[test]
fn a_virtual_router() {
    at_most("VRRP instance with 32 addresses, 16 peers, 16 tracks", size_of::<Instance>(), 1_536);
    at_most("VRRP sync group", size_of::<Group>(), 160);
    at_most("track", size_of::<Track>(), 16);
}
