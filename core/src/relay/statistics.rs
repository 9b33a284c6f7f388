//! The replies to `statistics` and `list`, in the keys of rtpengine. They are made of values alone, so that one who runs
//! several relays can add theirs up.

use core::fmt::{self, Write as _};
use core::time::Duration;

use super::notice::EndReason;
use super::totals::{Command, Totals};
use crate::wire::ng::{DictWriter, Encoding, Overflow, Text, write};

/// Call-IDs in a reply to `list` where the request sets no limit.
pub const LIST_DEFAULT: u32 = 32;

/// Writes the reply to `statistics`.
///
/// # Errors
/// [`Overflow`] if `out` is too short.
pub fn statistics_reply<'o>(
    out: &'o mut [u8],
    cookie: &[u8],
    encoding: Encoding,
    totals: &Totals,
    uptime: Duration,
) -> Result<&'o [u8], Overflow> {
    write(out, cookie, encoding, |d| statistics(d, totals, uptime))
}

/// Writes the reply to `list`.
///
/// # Errors
/// [`Overflow`] if `out` is too short.
pub fn list_reply<'o, 'c>(
    out: &'o mut [u8],
    cookie: &[u8],
    encoding: Encoding,
    call_ids: impl Iterator<Item = &'c [u8]>,
) -> Result<&'o [u8], Overflow> {
    write(out, cookie, encoding, |d| list(d, call_ids))
}

/// Writes a text. Room that is missing shows when the message is finished.
pub(super) fn text(t: &mut Text<'_, '_>, text: fmt::Arguments<'_>) {
    let _ = t.write_fmt(text);
}

pub(super) fn list<'c>(d: &mut DictWriter<'_, '_>, call_ids: impl Iterator<Item = &'c [u8]>) {
    d.list("calls", |l| call_ids.for_each(|call_id| l.str(call_id)));
    d.str("result", "ok");
}

pub(super) fn statistics(d: &mut DictWriter<'_, '_>, totals: &Totals, uptime: Duration) {
    d.dict("statistics", |d| {
        d.dict("currentstatistics", |d| {
            d.int("sessionsown", totals.sessions as i64);
            d.int("sessionsforeign", 0);
            d.int("sessionstotal", totals.sessions as i64);
            d.int("transcodedmedia", 0);
        });
        d.dict("totalstatistics", |d| total(d, totals, uptime));
        d.dict("controlstatistics", |d| control(d, totals));
    });
    d.str("result", "ok");
}

fn total(d: &mut DictWriter<'_, '_>, totals: &Totals, uptime: Duration) {
    let ended = totals.ended_total();
    d.text("uptime", |t| text(t, format_args!("{}", uptime.as_secs())));
    let counts = [
        ("managedsessions", ended),
        ("rejectedsessions", totals.rejected),
        ("timeoutsessions", totals.ended_by(EndReason::Timeout)),
        ("silenttimeoutsessions", totals.ended_by(EndReason::SilentTimeout)),
        ("finaltimeoutsessions", totals.ended_by(EndReason::FinalTimeout)),
        ("offertimeoutsessions", totals.ended_by(EndReason::OfferTimeout)),
        ("regularterminatedsessions", totals.ended_by(EndReason::Deleted)),
        ("forcedterminatedsessions", totals.ended_by(EndReason::Terminated)),
        ("relayedpackets", totals.media.sent.packets),
        ("relayedpacketerrors", totals.media.dropped.total()),
        ("relayedbytes", totals.media.sent.bytes),
        ("zerowaystreams", totals.zero_way_streams),
        ("onewaystreams", totals.one_way_streams),
    ];
    counts.iter().for_each(|(name, count)| d.int(name, *count as i64));
    let average = totals.lasted.checked_div(u32::try_from(ended).unwrap_or(u32::MAX)).unwrap_or_default();
    seconds(d, "avgcallduration", average);
    seconds(d, "totalcallsduration", totals.lasted);
}

fn seconds(d: &mut DictWriter<'_, '_>, name: &str, duration: Duration) {
    d.text(name, |t| text(t, format_args!("{}.{:06}", duration.as_secs(), duration.subsec_micros())));
}

fn control(d: &mut DictWriter<'_, '_>, totals: &Totals) {
    for command in Command::all() {
        let mut name = heapless::String::<32>::new();
        let _ = write!(name, "total{}count", command.short());
        d.int(name.as_bytes(), totals.requests_of(command) as i64);
    }
    d.int("totalerrorcount", totals.errors as i64);
}
