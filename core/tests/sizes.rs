//! What a call costs in memory.

use core::mem::size_of;

use trunkline_core::dialog::layer::Dialog;
use trunkline_core::dispatcher::{Storage, Target};
use trunkline_core::flow::Flow;
use trunkline_core::node::Node;
use trunkline_core::proxy::context::Context;
use trunkline_core::relay::call::Call;
use trunkline_core::relay::media::{Endpoint, PortRange, Secure};
use trunkline_core::relay::party::{Party, Stream};
use trunkline_core::relay::secret::Secret;
use trunkline_core::store::{Key, index::Bucket, slab, table::Slot};
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

/// The sockets of a relayed call cost the kernel about 4.6 KB.
#[test]
fn a_relayed_call() {
    let endpoint = size_of::<slab::Slot<Endpoint>>();
    at_most("two endpoints of a plain call", 2 * endpoint, 2_048);
    let owner = size_of::<Option<Key>>();
    let stream = size_of::<slab::Slot<Stream>>() + owner;
    // Call-ID, two tags and a branch in blocks of 64 bytes.
    let names = size_of::<Slot<Call>>() + INDEXED + 2 * size_of::<slab::Slot<Party>>() + 4 * 64;
    at_most("call, parties, streams", names + 2 * stream, 1_200);
    at_most("plain call", names + 2 * stream + 2 * endpoint, 3_072);
    at_most("SRTP keys of one stream", size_of::<slab::Slot<Secret>>(), 3_072);
    at_most("SRTP of one endpoint", size_of::<slab::Slot<Secure>>(), 4_608);
    let ports = PortRange { min: 30_000, max: 40_000 };
    at_most("10,000 ports", 8 * ports.words(), 1_280);
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
