//! Lines for the operator. They go to stderr through a thread of their own, so that no call waits for a terminal; what a
//! slow reader leaves unread is counted, not kept.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};

use tracing::{Level, debug, error, info, warn};
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use trunkline_core::dispatcher::{DispatcherAction, Health};
use trunkline_core::node::{Report, Subject};

use crate::config::values::LogLevel;

static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Info as u8);
/// Lines that may wait for the writer.
const LINES_MAX: usize = 16_384;

/// Whether lines of that level are written now.
fn enabled(level: Level) -> bool {
    let rank = match level {
        Level::ERROR => 0,
        Level::WARN => 1,
        Level::INFO => 2,
        Level::DEBUG => 3,
        Level::TRACE => 4,
    };
    rank <= LEVEL.load(Ordering::Relaxed)
}

/// How much is written from now on.
pub(crate) fn set_level(level: LogLevel) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// How much is written now.
pub(crate) fn level() -> LogLevel {
    const LEVELS: [LogLevel; 5] = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
    LEVELS[usize::from(LEVEL.load(Ordering::Relaxed)).min(LEVELS.len() - 1)]
}

struct Timestamp;

impl FormatTime for Timestamp {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.3}", jiff::Timestamp::now())
    }
}

/// Starts to write. What still waits is written when the guard is dropped.
pub(crate) fn start(level: LogLevel) -> WorkerGuard {
    set_level(level);
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).finish(std::io::stderr());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .with_target(false)
        .with_timer(Timestamp)
        .with_filter(filter_fn(|meta| enabled(*meta.level())));
    // A second start, as tests do it, keeps the first writer.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
    guard
}

/// Bytes of a peer in a line: control bytes as escapes, so that nobody writes lines in our name.
struct Shown<'b>(&'b [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// What stands in front of every line about a message: CSeq and Call-ID, as `{1 INVITE abc@host}`.
struct Prefix<'p>(Subject<'p>, &'static str);

impl std::fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{} {} {}}}", self.1, Shown(self.0.cseq), Shown(self.0.call_id))
    }
}

/// The URI of an address field, without display name and parameters.
fn uri(address: &[u8]) -> Shown<'_> {
    Shown(trunkline_core::wire::sip::name_addr::NameAddr::parse(address).map_or(address, |a| a.uri))
}

/// Writes what a node reports.
pub(crate) fn report(report: &Report<'_>) {
    match *report {
        // Asked before anything is parsed for it: this comes with every request.
        // The node's questions to itself are no news.
        Report::Request { subject, .. } if crate::vrrp::health::is_own(subject.call_id) => {}
        Report::Request { subject, method, from, source, uri: target } if enabled(Level::INFO) => {
            let method = Shown(method.as_bytes());
            info!("{} >>> {method} from {} ({source}) to {}", Prefix(subject, "1"), uri(from), Shown(target));
        }
        Report::Routed { subject, target, failover } => {
            if failover {
                info!("{} failing over to {}", Prefix(subject, "1"), Shown(target));
            } else {
                debug!("{} routed to {}", Prefix(subject, "1"), Shown(target));
            }
        }
        Report::TargetFailed { subject, target, status } => {
            warn!("{} {status} from {}: trying the next target", Prefix(subject, "2"), Shown(target));
        }
        Report::Answered { subject, method, source, status, reason } => {
            let method = Shown(method.as_bytes());
            debug!("{} answered {method} of {source}: {status} {reason}", Prefix(subject, "2"));
        }
        Report::Dropped { source, why } => debug!("dropped a message of {source}: {why:?}"),
        Report::TargetChanged { target, change: DispatcherAction::StateChanged { set, from, to, reason, .. } } => {
            let target = Shown(target);
            match to {
                Health::Down => error!("target {target} of set {set} is down ({reason:?}), was {from:?}"),
                _ => warn!("target {target} of set {set} is {to:?} ({reason:?}), was {from:?}"),
            }
        }
        Report::RelayChanged { relay, alive: true } => warn!("the media relay {relay} answers again"),
        Report::RelayChanged { relay, alive: false } => {
            error!("the media relay {relay} does not answer; its calls go to another one, if there is one");
        }
        Report::MediaFailed { call_id, why } => warn!("the call {} has no media relay: {why:?}", Shown(call_id)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_peers_cannot_forge_lines() {
        assert_eq!(Shown(b"a\r\nb\x1b[2J\xff\xc3\xa9").to_string(), "a\\r\\nb\\u{1b}[2J\\xffé");
    }

    #[test]
    fn levels() {
        set_level(LogLevel::Warn);
        assert!(enabled(Level::ERROR) && enabled(Level::WARN) && !enabled(Level::INFO));
        assert_eq!(level(), LogLevel::Warn);
        set_level(LogLevel::Info);
    }
}
