//! How a relay is asked (ng protocol).

use core::net::IpAddr;

use super::config::Profile;
use super::session::Role;
use crate::store::Str;
use crate::wire::ng::{self, DictWriter, Encoding, Overflow};
use crate::wire::sip::put::Put as _;

/// The names of a call as a relay knows it.
#[derive(Clone, Copy, Debug)]
pub struct CallNames<'c> {
    /// `Call-ID`.
    pub call_id: &'c [u8],
    /// The tag of the side that made the offer.
    pub offerer: &'c [u8],
    /// The tag of the other side; empty while it is not known.
    pub answerer: &'c [u8],
    /// The branch of the INVITE that sets up the call; empty afterwards.
    pub via_branch: &'c [u8],
}

/// A session description to be rewritten.
#[derive(Clone, Copy, Debug)]
pub struct Description<'c> {
    /// What it is.
    pub role: Role,
    /// Its bytes.
    pub sdp: &'c [u8],
    /// Where the message with it came from.
    pub source: Option<IpAddr>,
    /// The side it comes from, and the side it goes to.
    pub sides: [&'c Profile; 2],
    /// Whether it is the first one of the call: interfaces are named once (the relay remembers them).
    pub first: bool,
}

/// Writes an `offer` or an `answer`.
///
/// # Errors
/// [`Overflow`] if `out` is too short.
pub fn describe<'b>(
    out: &'b mut [u8],
    cookie: &[u8],
    names: &CallNames<'_>,
    what: &Description<'_>,
) -> Result<&'b [u8], Overflow> {
    ng::write(out, cookie, Encoding::Bencode, |d| {
        d.str(
            "command",
            match what.role {
                Role::Offer => "offer",
                Role::Answer => "answer",
            },
        );
        put_names(d, names);
        d.str("sdp", what.sdp);
        let [from, towards] = what.sides;
        if what.first && !from.interface.is_empty() && !towards.interface.is_empty() {
            d.list("direction", |l| [from, towards].iter().for_each(|side| l.str(&*side.interface)));
        }
        put_profile(d, towards);
        if let Some(source) = what.source {
            d.list("received-from", |l| {
                l.str(if source.is_ipv4() { "IP4" } else { "IP6" });
                l.text(|t| t.put_ip(source));
            });
        }
    })
}

/// Writes a `delete`.
///
/// # Errors
/// [`Overflow`] if `out` is too short.
pub fn delete<'b>(out: &'b mut [u8], cookie: &[u8], call_id: &[u8], tag: &[u8]) -> Result<&'b [u8], Overflow> {
    ng::write(out, cookie, Encoding::Bencode, |d| {
        d.str("command", "delete");
        d.str("call-id", call_id);
        d.str("from-tag", tag);
    })
}

/// Writes a `ping`.
///
/// # Errors
/// [`Overflow`] if `out` is too short.
pub fn ping<'b>(out: &'b mut [u8], cookie: &[u8]) -> Result<&'b [u8], Overflow> {
    ng::write(out, cookie, Encoding::Bencode, |d| d.str("command", "ping"))
}

fn put_names(d: &mut DictWriter<'_, '_>, names: &CallNames<'_>) {
    d.str("call-id", names.call_id);
    d.str("from-tag", names.offerer);
    for (key, value) in [("to-tag", names.answerer), ("via-branch", names.via_branch)] {
        if !value.is_empty() {
            d.str(key, value);
        }
    }
}

fn put_profile(d: &mut DictWriter<'_, '_>, profile: &Profile) {
    for (key, value) in [("transport-protocol", &profile.transport_protocol), ("ICE", &profile.ice)] {
        if !value.is_empty() {
            d.str(key, &**value);
        }
    }
    let lists: [(&str, &[Str]); 3] =
        [("rtcp-mux", &profile.rtcp_mux), ("flags", &profile.flags), ("replace", &profile.replace)];
    for (key, values) in lists.into_iter().filter(|(_, values)| !values.is_empty()) {
        d.list(key, |l| values.iter().for_each(|value| l.str(&**value)));
    }
}
