//! Commands and what is said to them.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use trunkline_core::relay::EndReason;

use super::{CallLine, ShardTotals};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request<'l> {
    /// `list totals`
    Totals,
    /// `list numsessions`
    NumSessions,
    /// `list sessions all`
    Sessions,
    /// `list sessions CALL-ID`
    Session(&'l str),
    /// `list maxsessions`
    MaxSessions,
    /// `set maxsessions N`
    SetMaxSessions(Option<u32>),
    /// `terminate CALL-ID`
    Terminate(&'l str),
    /// `terminate all`
    TerminateAll,
}

impl<'l> Request<'l> {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn parse(line: &'l str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        Ok(match words.as_slice() {
            ["list", "totals"] => Self::Totals,
            ["list", "numsessions"] => Self::NumSessions,
            ["list", "sessions", "all" | "own"] => Self::Sessions,
            ["list", "sessions", call_id] => Self::Session(call_id),
            ["list", "maxsessions"] => Self::MaxSessions,
            ["set", "maxsessions", "-1"] => Self::SetMaxSessions(None),
            ["set", "maxsessions", n] => match n.parse() {
                Ok(n) => Self::SetMaxSessions(Some(n)),
                Err(_) => return Err(format!("Fail setting maxsessions to {n}: no number from 0, or -1")),
            },
            ["terminate", "all" | "own"] => Self::TerminateAll,
            ["terminate", call_id] => Self::Terminate(call_id),
            ["list"] | ["list", "sessions"] | ["set"] | ["set", "maxsessions"] | ["terminate"] => {
                return Err("More parameters required.".to_owned());
            }
            _ => return Err(format!("Unknown or incomplete command:{line}")),
        })
    }
}

/// Says how many calls there are.
pub(super) fn num_sessions(sessions: u64) -> String {
    format!(
        "Current sessions own: {sessions}\nCurrent sessions foreign: 0\nCurrent sessions total: {sessions}\nCurrent transcoded media: 0\n"
    )
}

/// Says how many calls there may be.
pub(super) fn max_sessions(max: Option<u32>) -> String {
    let max = max.map_or(-1, i64::from);
    format!("Maximum sessions configured on trunkline-relay: {max}\n")
}

/// Lists calls.
pub(super) fn sessions(calls: &[CallLine]) -> String {
    if calls.is_empty() {
        return "No sessions on this media relay.\n".to_owned();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut out = String::new();
    for call in calls {
        let created = now.saturating_sub(call.age).as_secs();
        let (parties, streams) = (call.parties, call.streams);
        let answered = if call.answered { "yes" } else { "no" };
        let call_id = call.call_id.escape_ascii();
        let _ = writeln!(
            out,
            "callid: {call_id} | created: {created} | answered: {answered} | parties: {parties} | streams: {streams}"
        );
    }
    out
}

fn line(out: &mut String, name: &str, value: &dyn std::fmt::Display) {
    // Writing to a text does not fail.
    let _ = writeln!(out, " {name:<48}:{value}");
}

/// Lists counters, under the names that `rtpengine-ctl` gives them.
pub(super) fn totals(totals: &ShardTotals) -> String {
    let ShardTotals { relay, uptime, ring, refused } = totals;
    let media = &relay.media;
    let mut out = String::from("\nStatistics over currently running sessions:\n\n");
    line(&mut out, "Owned sessions", &relay.sessions);
    line(&mut out, "Foreign sessions", &0);
    line(&mut out, "Total sessions", &relay.sessions);
    line(&mut out, "Transcoded media", &0);
    out.push_str("\nTotal statistics (does not include current running sessions):\n\n");
    let ended = relay.ended_total();
    let average = relay.lasted.checked_div(u32::try_from(ended).unwrap_or(u32::MAX)).unwrap_or_default();
    line(&mut out, "Uptime of trunkline-relay", &format_args!("{} seconds", uptime.as_secs()));
    line(&mut out, "Total managed sessions", &ended);
    line(&mut out, "Total rejected sessions", &relay.rejected);
    line(&mut out, "Total timed-out sessions via TIMEOUT", &relay.ended_by(EndReason::Timeout));
    line(&mut out, "Total timed-out sessions via SILENT_TIMEOUT", &relay.ended_by(EndReason::SilentTimeout));
    line(&mut out, "Total timed-out sessions via FINAL_TIMEOUT", &relay.ended_by(EndReason::FinalTimeout));
    line(&mut out, "Total timed-out sessions via OFFER_TIMEOUT", &relay.ended_by(EndReason::OfferTimeout));
    line(&mut out, "Total regular terminated sessions", &relay.ended_by(EndReason::Deleted));
    line(&mut out, "Total forced terminated sessions", &relay.ended_by(EndReason::Terminated));
    line(&mut out, "Total relayed packets", &media.sent.packets);
    line(&mut out, "Total relayed packet errors", &(media.dropped.total() + ring.send_errors));
    line(&mut out, "Total relayed bytes", &media.sent.bytes);
    line(&mut out, "Total number of streams with no relayed packets", &relay.zero_way_streams);
    line(&mut out, "Total number of 1-way streams", &relay.one_way_streams);
    line(&mut out, "Average call duration", &format_args!("{} seconds", seconds(average)));
    line(&mut out, "Total calls duration", &format_args!("{} seconds", seconds(relay.lasted)));
    out.push_str("\nSockets and control:\n\n");
    line(&mut out, "Packets dropped by the relay", &media.dropped.total());
    line(&mut out, "Packets the kernel did not send", &ring.send_errors);
    line(&mut out, "Packets cut off", &ring.malformed);
    line(&mut out, "Errors on receiving", &ring.receive_errors);
    line(&mut out, "Turns of the packet loop", &ring.turns);
    line(&mut out, "Control requests answered with an error", &relay.errors);
    line(&mut out, "Control requests answered again", &relay.repeated);
    line(&mut out, "Control messages without a cookie", &relay.unanswerable);
    line(&mut out, "Control messages from sources not listed", refused);
    out
}

fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_rtpengine_ctl_are_understood() {
        for (line, request) in [
            ("list totals", Request::Totals),
            ("list numsessions", Request::NumSessions),
            ("list sessions all", Request::Sessions),
            (" list  sessions 1@x \r", Request::Session("1@x")),
            ("list maxsessions", Request::MaxSessions),
            ("set maxsessions 0", Request::SetMaxSessions(Some(0))),
            ("set maxsessions -1", Request::SetMaxSessions(None)),
            ("terminate 1@x", Request::Terminate("1@x")),
            ("terminate all", Request::TerminateAll),
        ] {
            assert_eq!(Request::parse(line), Ok(request), "{line}");
        }
    }

    #[test]
    fn what_is_not_understood_is_answered_as_rtpengine_does() {
        assert_eq!(Request::parse("list"), Err("More parameters required.".to_owned()));
        assert_eq!(Request::parse("list sessions"), Err("More parameters required.".to_owned()));
        assert_eq!(Request::parse("bogus"), Err("Unknown or incomplete command:bogus".to_owned()));
        assert!(Request::parse("set maxsessions many").is_err());
    }

    #[test]
    fn counters_stand_under_the_names_that_scripts_look_for() {
        let text = totals(&ShardTotals { refused: 7, ..ShardTotals::default() });
        for name in [
            " Owned sessions                                  :0\n",
            " Total rejected sessions                         :0\n",
        ] {
            assert!(text.contains(name), "{text}");
        }
        assert!(text.contains("Control messages from sources not listed        :7\n"), "{text}");
        assert!(num_sessions(3).starts_with("Current sessions own: 3\n"));
        assert!(max_sessions(None).ends_with(": -1\n"));
    }
}
