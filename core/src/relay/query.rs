//! What `query` and `delete` tell of a call, in the keys of rtpengine.

use core::fmt::Write as _;
use core::net::SocketAddr;

use super::calls::Calls;
use super::config::Config;
use super::media::{Media, Traffic};
use super::party::{Party, Stream};
use super::statistics::text;
use crate::store::Key;
use crate::wire::ng::{DictWriter, ListWriter};

/// All that a reply about calls is made of.
pub(super) struct View<'v, 'm> {
    pub(super) calls: &'v Calls<'m>,
    pub(super) media: &'v Media<'m>,
    pub(super) config: &'v Config,
}

impl View<'_, '_> {
    /// Writes what is known of a call.
    pub(super) fn call(&self, key: Key, d: &mut DictWriter<'_, '_>) {
        let Some(call) = self.calls.table.get(key) else { return };
        let (created, created_us) = self.config.unix(call.created);
        d.int("created", created as i64);
        d.int("created_us", created_us as i64);
        d.int("last signal", self.config.unix(call.last_signal).0 as i64);
        d.dict("SSRC", |d| self.sources(key, d));
        d.dict("tags", |d| {
            let mut untagged = 0;
            for (key, party) in self.calls.parties_of(key) {
                let tag = self.calls.bytes(party.tag.as_ref());
                if party.tag.is_some() {
                    d.dict(tag, |d| self.party(key, party, d));
                } else {
                    untagged += 1;
                    let mut name = heapless::String::<24>::new();
                    let _ = write!(name, "<untagged {untagged}>");
                    d.dict(name.as_bytes(), |d| self.party(key, party, d));
                }
            }
        });
        self.totals(key, d);
    }

    /// The synchronisation sources of all parties.
    fn sources(&self, key: Key, d: &mut DictWriter<'_, '_>) {
        for (endpoint, _) in self.calls.endpoints_of(key) {
            let Some(stats) = self.media.stats(endpoint) else { continue };
            for source in stats.sources() {
                let mut name = heapless::String::<10>::new();
                let _ = write!(name, "{}", source.ssrc());
                d.dict(name.as_bytes(), |d| {
                    d.int("packets", source.received() as i64);
                    d.int("packets lost", source.lost());
                });
            }
        }
    }

    fn totals(&self, key: Key, d: &mut DictWriter<'_, '_>) {
        let (mut rtp, mut rtcp, mut errors) = (Traffic::default(), Traffic::default(), 0);
        for (endpoint, _) in self.calls.endpoints_of(key) {
            if let Some(stats) = self.media.stats(endpoint) {
                rtp += stats.received;
                rtcp += stats.received_rtcp;
                errors += stats.dropped.total();
            }
        }
        d.dict("totals", |d| {
            d.dict("RTP", |d| counters(d, rtp, errors));
            d.dict("RTCP", |d| counters(d, rtcp, 0));
        });
    }

    fn party(&self, key: Key, party: &Party, d: &mut DictWriter<'_, '_>) {
        d.str("tag", self.calls.bytes(party.tag.as_ref()));
        for (name, text) in [("via-branch", &party.via_branch), ("label", &party.label)] {
            if let Some(text) = text {
                d.str(name, self.calls.bytes(Some(text)));
            }
        }
        d.int("created", self.config.unix(party.created).0 as i64);
        // Who hears the party, and whom it hears.
        d.list("subscriptions", |l| self.peers(party.peer, l));
        d.list("subscribers", |l| {
            let hears = |peer: &Key| self.calls.party(*peer).is_some_and(|peer| peer.peer == Some(key));
            self.peers(party.peer.filter(hears), l);
        });
        d.list("medias", |l| {
            for (at, (_, stream)) in self.calls.streams_of(key).enumerate() {
                l.dict(|d| self.stream(at, stream, d));
            }
        });
    }

    fn peers(&self, peer: Option<Key>, l: &mut ListWriter<'_, '_>) {
        let Some(peer) = peer.and_then(|peer| self.calls.party(peer)) else { return };
        l.dict(|d| {
            d.str("tag", self.calls.bytes(peer.tag.as_ref()));
            d.str("type", "offer/answer");
        });
    }

    fn stream(&self, at: usize, stream: &Stream, d: &mut DictWriter<'_, '_>) {
        d.int("index", at as i64 + 1);
        d.str("type", stream.kind.as_str());
        if let Some(protocol) = stream.protocol {
            d.str("protocol", protocol.as_str());
        }
        d.list("flags", |l| {
            let flags = [
                (stream.signalled, "initialized"),
                (stream.receives, "send"),
                (stream.sends, "recv"),
                (stream.rtcp_mux, "rtcp-mux"),
                (stream.secret.is_some(), "SDES"),
            ];
            flags.iter().filter(|(set, _)| *set).for_each(|(_, name)| l.str(name));
        });
        d.list("streams", |l| {
            l.dict(|d| self.socket(stream, false, d));
            if !stream.rtcp_mux {
                l.dict(|d| self.socket(stream, true, d));
            }
        });
    }

    /// One of the two sockets of a stream.
    fn socket(&self, stream: &Stream, rtcp: bool, d: &mut DictWriter<'_, '_>) {
        let Some(endpoint) = stream.endpoint else { return };
        let (local, remote) = (self.media.local(endpoint), self.media.remote(endpoint));
        if let Some(local) = local {
            d.int("local port", i64::from(if rtcp { local.rtcp_port } else { local.rtp_port }));
            d.text("local address", |t| text(t, format_args!("{}", local.bound)));
            d.str("family", family(local.bound.is_ipv6()));
        }
        let destination = remote.and_then(|remote| if rtcp { remote.rtcp } else { remote.rtp });
        d.dict("endpoint", |d| address(destination, d));
        let advertised = if rtcp { stream.advertised_rtcp } else { stream.advertised };
        d.dict("advertised endpoint", |d| address(advertised, d));
        let stats = self.media.stats(endpoint);
        let seen = stats.and_then(|stats| stats.last_seen.or(stats.opened));
        if let Some(seen) = seen {
            d.int("last packet", self.config.unix(seen).0 as i64);
        }
        if let Some(suite) = stream.suite {
            d.str("crypto suite", suite.as_str());
        }
        d.list("flags", |l| {
            l.str(if rtcp { "RTCP" } else { "RTP" });
            if advertised.is_some() {
                l.str("filled");
            }
            if remote.is_some_and(|remote| remote.fixed) {
                l.str("confirmed");
            }
        });
        let traffic = stats.map(|stats| if rtcp { stats.received_rtcp } else { stats.received });
        let errors = stats.map_or(0, |stats| if rtcp { 0 } else { stats.dropped.total() });
        d.dict("stats", |d| counters(d, traffic.unwrap_or_default(), errors));
    }
}

fn counters(d: &mut DictWriter<'_, '_>, traffic: Traffic, errors: u64) {
    d.int("packets", traffic.packets as i64);
    d.int("bytes", traffic.bytes as i64);
    d.int("errors", errors as i64);
}

const fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

fn address(address: Option<SocketAddr>, d: &mut DictWriter<'_, '_>) {
    if let Some(address) = address {
        d.str("family", family(address.is_ipv6()));
        d.text("address", |t| text(t, format_args!("{}", address.ip())));
        d.int("port", i64::from(address.port()));
    }
}
