//! Logs go to standard error, for journald or a supervisor to keep.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;

/// Starts to log, from a syslog level on: warnings at 4, what is out of the ordinary at 5, calls at 6, all at 7.
pub(crate) fn start(level: u8) {
    let filter = match level {
        0..=3 => LevelFilter::ERROR,
        4 => LevelFilter::WARN,
        5 => LevelFilter::INFO,
        6 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let subscriber =
        tracing_subscriber::fmt().with_max_level(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    // A second start, as in a test, keeps the first one's.
    let _ = subscriber.with_target(false).try_init();
}
