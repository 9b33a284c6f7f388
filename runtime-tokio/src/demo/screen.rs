//! What the demo shows: a table that is drawn in place on a terminal, lines elsewhere, JSON lines for programs.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_tokio::media::Progress;

/// How often a line is written where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct TargetRow {
    pub(super) name: String,
    pub(super) uri: String,
    pub(super) flags: String,
    /// What the process behind it is in truth.
    pub(super) process: &'static str,
    pub(super) calls: u64,
    pub(super) calls_total: u64,
    pub(super) pings_failed: u32,
}

/// A moment of the demo.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) elapsed: Duration,
    pub(super) targets: Vec<TargetRow>,
    pub(super) failovers: u64,
    pub(super) calls: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Terminal,
    Lines,
    Json,
}

/// Where the demo is shown.
#[derive(Debug)]
pub(super) struct Screen {
    mode: Mode,
    /// Lines of the table that stands on the terminal.
    drawn: usize,
    last_line: Option<Duration>,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        let mode = match json {
            true => Mode::Json,
            false if std::io::stdout().is_terminal() => Mode::Terminal,
            false => Mode::Lines,
        };
        Self { mode, drawn: 0, last_line: None }
    }

    /// Says that something was done. On a terminal it stays above the table.
    pub(super) fn event(&mut self, what: &str) {
        let text = match self.mode {
            Mode::Json => format!("{}\n", json!({ "event": what })),
            Mode::Lines => format!("* {what}\n"),
            Mode::Terminal => format!("{}* {what}\n", self.erase()),
        };
        print(&text);
    }

    /// Shows how things stand.
    pub(super) fn show(&mut self, now: &Snapshot) {
        if self.mode == Mode::Terminal {
            let table = table(now);
            let text = format!("{}{table}", self.erase());
            self.drawn = table.lines().count();
            return print(&text);
        }
        if self.last_line.is_some_and(|last| now.elapsed.saturating_sub(last) < LINE_EVERY) {
            return;
        }
        self.last_line = Some(now.elapsed);
        print(&if self.mode == Mode::Json { format!("{}\n", as_json(now)) } else { line(now) });
    }

    /// Says how it ended.
    pub(super) fn summary(&mut self, value: &Value, text: &str) {
        print(&match self.mode {
            Mode::Json => format!("{}\n", json!({ "summary": value })),
            Mode::Lines | Mode::Terminal => text.to_owned(),
        });
    }

    /// Takes the table off the terminal: up by its lines, then all below is cleared (ECMA-48 CUU, ED).
    fn erase(&mut self) -> String {
        match std::mem::take(&mut self.drawn) {
            0 => String::new(),
            n => format!("\x1b[{n}A\x1b[J"),
        }
    }
}

/// A reader that has gone away is no error: the calls go on.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn table(now: &Snapshot) -> String {
    let mut text = format!(
        "\n{:<6} {:<36} {:<6} {:<8} {:>6} {:>7} {:>6}\n",
        "TARGET", "URI", "FLAGS", "PROCESS", "CALLS", "TOTAL", "MISSED"
    );
    for t in &now.targets {
        let (calls, total) = (t.calls, t.calls_total);
        let _ = writeln!(
            text,
            "{:<6} {:<36} {:<6} {:<8} {calls:>6} {total:>7} {:>6}",
            t.name, t.uri, t.flags, t.process, t.pings_failed
        );
    }
    let c = &now.calls;
    let _ = writeln!(
        text,
        "\n{:>5.1} s   calls: {} active, {} done, {} failed, {} placed   failovers: {}",
        now.elapsed.as_secs_f64(),
        c.active,
        c.completed,
        c.failed,
        c.placed,
        now.failovers
    );
    text
}

fn line(now: &Snapshot) -> String {
    let c = &now.calls;
    let mut text = format!(
        "{:>5.1} s  active {} done {} failed {} failovers {} |",
        now.elapsed.as_secs_f64(),
        c.active,
        c.completed,
        c.failed,
        now.failovers
    );
    for t in &now.targets {
        let _ = write!(text, " {} {} {}", t.name, t.flags, t.calls);
    }
    text.push('\n');
    text
}

fn as_json(now: &Snapshot) -> Value {
    let targets: Vec<_> = now
        .targets
        .iter()
        .map(|t| {
            json!({
                "name": t.name, "uri": t.uri, "flags": t.flags, "process": t.process, "calls": t.calls,
                "calls_total": t.calls_total, "pings_failed": t.pings_failed,
            })
        })
        .collect();
    let c = &now.calls;
    json!({
        "elapsed_s": now.elapsed.as_secs_f64(), "targets": targets, "failovers": now.failovers,
        "calls": { "placed": c.placed, "active": c.active, "completed": c.completed, "failed": c.failed },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        let target = TargetRow {
            name: "fs01".into(),
            uri: "sip:127.0.0.1:40000;transport=udp".into(),
            flags: "AP".into(),
            process: "running",
            calls: 3,
            calls_total: 17,
            pings_failed: 2,
        };
        Snapshot {
            elapsed: Duration::from_millis(1_250),
            targets: vec![target],
            failovers: 4,
            calls: Progress::default(),
        }
    }

    #[test]
    fn the_table_is_erased_by_as_many_lines_as_it_has() {
        let mut screen = Screen { mode: Mode::Terminal, drawn: 0, last_line: None };
        screen.show(&snapshot());
        assert_eq!(screen.drawn, table(&snapshot()).matches('\n').count());
        let drawn = screen.drawn;
        assert_eq!(screen.erase(), format!("\x1b[{drawn}A\x1b[J"));
        assert_eq!(screen.erase(), "");
    }

    #[test]
    fn every_form_says_the_same() {
        let text = table(&snapshot());
        assert!(
            text.contains("fs01   sip:127.0.0.1:40000;transport=udp    AP     running       3      17      2"),
            "{text}"
        );
        assert!(line(&snapshot()).ends_with("failovers 4 | fs01 AP 3\n"));
        let value = as_json(&snapshot());
        assert_eq!((&value["targets"][0]["calls_total"], &value["failovers"]), (&json!(17), &json!(4)));
    }
}
