//! `SDES`: keys in the description (RFC 4568).

use super::Flags;
use super::word::normal;
use crate::wire::sdp::crypto::{Suite, SuiteSet};

/// Suites in an order.
pub type SuiteOrder = heapless::Vec<Suite, 10>;

/// The wishes about SDES.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sdes {
    /// It is not offered.
    pub off: bool,
    /// No suite is offered that was not offered to us.
    pub no_new: bool,
    /// Keys are written with their lifetime.
    pub lifetime: bool,
    /// Keys are written with base64 padding.
    pub pad: bool,
    /// What was agreed on stays.
    pub keep: bool,
    /// It is preferred to DTLS.
    pub prefer: bool,
    /// `UNENCRYPTED_SRTP` is written, or is not.
    pub unencrypted_srtp: Option<bool>,
    /// `UNENCRYPTED_SRTCP` is written, or is not.
    pub unencrypted_srtcp: Option<bool>,
    /// `UNAUTHENTICATED_SRTP` is written, or is not.
    pub unauthenticated_srtp: Option<bool>,
    /// Suites that are not offered.
    pub no: SuiteSet,
    /// If not empty, only these are; goes before `no`.
    pub only: SuiteSet,
    /// Suites that come first, in this order.
    pub order: SuiteOrder,
    /// Suites that are chosen first of those that the offerer has.
    pub offerer_pref: SuiteOrder,
}

impl Sdes {
    /// Takes one item; whether it is known.
    fn item(&mut self, item: &[u8]) -> bool {
        match normal(item).as_bytes() {
            b"off" | b"no" | b"disable" | b"disabled" => self.off = true,
            b"nonew" => self.no_new = true,
            b"lifetime" => self.lifetime = true,
            b"pad" => self.pad = true,
            b"static" => self.keep = true,
            b"prefer" | b"priority" => self.prefer = true,
            b"unencrypted-srtp" => self.unencrypted_srtp = Some(true),
            b"encrypted-srtp" => self.unencrypted_srtp = Some(false),
            b"unencrypted-srtcp" => self.unencrypted_srtcp = Some(true),
            b"encrypted-srtcp" => self.unencrypted_srtcp = Some(false),
            b"unauthenticated-srtp" => self.unauthenticated_srtp = Some(true),
            b"authenticated-srtp" => self.unauthenticated_srtp = Some(false),
            _ => return self.suites(item),
        }
        true
    }

    fn suites(&mut self, item: &[u8]) -> bool {
        let after = |prefix: &[u8]| match item.split_at_checked(prefix.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(prefix) => Some(rest),
            _ => None,
        };
        if let Some(name) = after(b"no-") {
            return Suite::parse(name).is_some_and(|s| {
                self.no.insert(s);
                true
            });
        }
        if let Some(name) = after(b"only-") {
            return Suite::parse(name).is_some_and(|s| {
                self.only.insert(s);
                true
            });
        }
        let (list, names) = match (after(b"order:"), after(b"offerer_pref:")) {
            (Some(names), _) => (&mut self.order, names),
            (_, Some(names)) => (&mut self.offerer_pref, names),
            _ => return false,
        };
        let mut known = true;
        for name in names.split(|&b| b == b';').filter(|n| !n.is_empty()) {
            match Suite::parse(name) {
                Some(suite) if list.contains(&suite) => {}
                // As many places as suites, each at most once: it fits.
                Some(suite) => known &= list.push(suite).is_ok(),
                None => known = false,
            }
        }
        known
    }
}

impl<'a> Flags<'a> {
    pub(super) fn sdes_item(&mut self, item: &'a [u8]) {
        if !self.sdes.item(item) {
            self.not_known(item);
        }
    }
}
