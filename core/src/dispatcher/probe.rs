//! The machine that finds out whether one target is alive.
//!
//! ```text
//!      ping                       tick   ping                       tick
//!        |<------ timeout -------->|       |<------ timeout -------->|
//! -------+-------------------------+-------+-------------------------+--> time
//!                                  |<----------- interval ---------->|
//! ```
//! A ping goes out one timeout before its tick, and its result counts on the tick. So never more than one ping is under
//! way, every result is known when it counts, and thresholds are reached on whole intervals: three ticks of silence at
//! 10, 20 and 30 s take a target down at 30 s.

use core::fmt;
use core::time::Duration;

use super::latency::rtt_us;
use super::reply_codes::ReplyCodes;
use crate::machine::{Cx, Machine, Timed};
use crate::sink::Sink;
use crate::time::Instant;

/// Whether a target is alive, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Health {
    /// It answers (Kamailio's A).
    #[default]
    Up,
    /// It failed, but not often enough to be down (T).
    Trying,
    /// It failed as often as the threshold says (I).
    Down,
}

/// Which targets are pinged, with the numbers of Kamailio's `ds_probing_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProbingMode {
    /// 0: those that are not up.
    Suspect,
    /// 1: all.
    #[default]
    All,
    /// 2: those that are not up and carry the probing flag.
    SuspectFlagged,
    /// 3: those that carry the probing flag.
    Flagged,
}

impl ProbingMode {
    /// The mode of that number.
    pub const fn from_kamailio(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Suspect),
            1 => Some(Self::All),
            2 => Some(Self::SuspectFlagged),
            3 => Some(Self::Flagged),
            _ => None,
        }
    }

    /// Whether a target in that health and with or without the flag is pinged.
    pub const fn covers(self, health: Health, flagged: bool) -> bool {
        let suspect = !matches!(health, Health::Up);
        match self {
            Self::Suspect => suspect,
            Self::All => true,
            Self::SuspectFlagged => suspect && flagged,
            Self::Flagged => flagged,
        }
    }
}

/// How targets are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Which targets are pinged.
    pub mode: ProbingMode,
    /// Time from tick to tick.
    pub interval: Duration,
    /// How long a ping may take; shorter than the interval.
    pub timeout: Duration,
    /// Failures in a row after which a target is down.
    pub probing_threshold: u16,
    /// Good pings in a row after which a target that was down is up again.
    pub inactive_threshold: u16,
    /// The replies that are good.
    pub reply_codes: ReplyCodes,
    /// Whether first pings are spread over one interval, so that many targets are not pinged in the same instant.
    /// Without it the first tick comes exactly one interval after the start.
    pub jitter: bool,
    /// Whether nothing is pinged at all, as on a standby node that learns the health from the active one.
    pub passive: bool,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            mode: ProbingMode::All,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(4),
            probing_threshold: 3,
            inactive_threshold: 3,
            reply_codes: ReplyCodes::default(),
            jitter: true,
            passive: false,
        }
    }
}

/// What is wrong with settings of probing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProbeSettingsError {
    /// The timeout is zero or not shorter than the interval.
    Timeout,
    /// A threshold is zero.
    Threshold,
}

impl fmt::Display for ProbeSettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "the timeout of a ping must be above zero and shorter than the interval",
            Self::Threshold => "a threshold of zero failures or replies makes no sense",
        })
    }
}

impl core::error::Error for ProbeSettingsError {}

impl ProbeSettings {
    /// Whether the settings make sense together.
    pub fn check(&self) -> Result<(), ProbeSettingsError> {
        if self.timeout < Duration::from_millis(1) || self.timeout >= self.interval {
            return Err(ProbeSettingsError::Timeout);
        }
        if self.probing_threshold == 0 || self.inactive_threshold == 0 {
            return Err(ProbeSettingsError::Threshold);
        }
        Ok(())
    }

    fn covers(&self, health: Health, flagged: bool) -> bool {
        !self.passive && self.mode.covers(health, flagged)
    }
}

/// How a call or another request to a target failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum TrafficFailure {
    /// It could not be sent, or the target's host refused it (ICMP).
    Transport,
    /// Nothing came back in time.
    Timeout,
    /// The target answered with a failure of its own (5xx).
    Reply,
}

/// What can happen to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ProbeInput {
    /// Probing may begin or must end: the settings, the operator's wish or the flag changed.
    Configure {
        /// Whether the operator lets the target be probed at all.
        enabled: bool,
        /// Whether it carries the probing flag.
        flagged: bool,
    },
    /// The deadline has come.
    Timeout,
    /// A final reply to the ping of that sequence came from the target.
    Reply {
        /// From [`ProbeAction::SendPing`].
        sequence: u16,
        /// Its status code.
        code: u16,
    },
    /// The ping of that sequence could not be delivered, or its transaction gave up.
    PingFailed {
        /// From [`ProbeAction::SendPing`].
        sequence: u16,
    },
    /// The operator wants a ping now.
    PingNow,
    /// A request of real traffic failed.
    TrafficFailed(TrafficFailure),
    /// A request of real traffic was answered.
    TrafficSucceeded,
    /// The health is told from outside: by the operator, or by the node that probes.
    Learn(Health, ChangeReason),
}

/// An event of the probe, with the settings in force.
#[derive(Clone, Copy, Debug)]
pub struct ProbeEvent<'e> {
    /// The settings in force, shared by all probes.
    pub settings: &'e ProbeSettings,
    /// What happened.
    pub input: ProbeInput,
}

/// Why the health of a target changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ChangeReason {
    /// Pings were answered.
    PingAnswered,
    /// Pings failed.
    PingFailed,
    /// Real traffic failed.
    TrafficFailed,
    /// The operator said so.
    Operator,
    /// Another node said so.
    Replicated,
}

/// What a probe wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ProbeAction {
    /// Send a ping (OPTIONS).
    SendPing {
        /// To be given back with what comes of it.
        sequence: u16,
    },
    /// The ping was answered in that time, whatever the answer.
    Answered {
        /// Round-trip time, µs.
        rtt_us: u32,
    },
    /// The ping was not answered in time.
    Unanswered,
    /// The health has changed. Emitted once a change.
    Changed {
        /// The health until now.
        from: Health,
        /// The health from now on.
        to: Health,
        /// Why.
        reason: ChangeReason,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Not probed.
    #[default]
    Idle,
    /// The next ping goes out at that instant.
    Waiting(Instant),
    /// A ping is under way and counts on the tick.
    Pinging { sent: Instant, tick: Instant },
    /// The result is known and counts on the tick.
    Known { good: bool, tick: Instant },
}

/// The probe of one target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probe {
    phase: Phase,
    health: Health,
    enabled: bool,
    flagged: bool,
    sequence: u16,
    /// Failures in a row.
    failures: u16,
    /// Good pings in a row while down.
    successes: u16,
}

impl Probe {
    /// The health as known now.
    pub fn health(&self) -> Health {
        self.health
    }

    /// Whether the target is being pinged.
    pub fn is_probing(&self) -> bool {
        self.phase != Phase::Idle
    }

    /// Failures in a row, of pings and of traffic.
    pub fn failures(&self) -> u16 {
        self.failures
    }

    fn send<S: Sink<ProbeAction>>(&mut self, now: Instant, tick: Instant, out: &mut S) {
        self.sequence = self.sequence.wrapping_add(1);
        self.phase = Phase::Pinging { sent: now, tick };
        out.emit(ProbeAction::SendPing { sequence: self.sequence });
    }

    fn change<S: Sink<ProbeAction>>(&mut self, to: Health, reason: ChangeReason, out: &mut S) {
        let from = self.health;
        if from != to {
            self.health = to;
            self.successes = 0;
            if to == Health::Up {
                self.failures = 0;
            }
            out.emit(ProbeAction::Changed { from, to, reason });
        }
    }

    fn fail<S: Sink<ProbeAction>>(&mut self, s: &ProbeSettings, suspect: bool, reason: ChangeReason, out: &mut S) {
        self.successes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= s.probing_threshold {
            self.change(Health::Down, reason, out);
        } else if suspect && self.health == Health::Up {
            self.change(Health::Trying, reason, out);
        }
    }

    fn succeed<S: Sink<ProbeAction>>(&mut self, s: &ProbeSettings, out: &mut S) {
        self.failures = 0;
        match self.health {
            Health::Up => {}
            Health::Trying => self.change(Health::Up, ChangeReason::PingAnswered, out),
            Health::Down => {
                self.successes = self.successes.saturating_add(1);
                if self.successes >= s.inactive_threshold {
                    self.change(Health::Up, ChangeReason::PingAnswered, out);
                }
            }
        }
    }

    /// Counts the result of the ping that was due on `tick`, and plans the next one.
    fn count<S: Sink<ProbeAction>>(&mut self, cx: &Cx<'_>, s: &ProbeSettings, good: bool, tick: Instant, out: &mut S) {
        // Ticks that were slept through are skipped, not made up for.
        let mut next = tick + s.interval;
        if next <= cx.now + s.timeout {
            next = cx.now + s.interval;
        }
        self.phase = Phase::Waiting(next - s.timeout);
        if good {
            self.succeed(s, out);
        } else {
            self.fail(s, true, ChangeReason::PingFailed, out);
        }
    }

    fn timeout<S: Sink<ProbeAction>>(&mut self, cx: &Cx<'_>, s: &ProbeSettings, out: &mut S) {
        match self.phase {
            Phase::Waiting(at) if at <= cx.now => {
                // A wake-up a little late must not shift all later ticks; a very late one must not cut the timeout.
                let late = cx.now.since(at) > s.timeout / 4;
                let tick = if late { cx.now + s.timeout } else { at + s.timeout };
                self.send(cx.now, tick, out);
            }
            Phase::Pinging { tick, .. } if tick <= cx.now => {
                out.emit(ProbeAction::Unanswered);
                self.count(cx, s, false, tick, out);
            }
            Phase::Known { good, tick } if tick <= cx.now => self.count(cx, s, good, tick, out),
            _ => {}
        }
    }

    /// Takes the result of the ping under way; it counts on the tick.
    fn result<S: Sink<ProbeAction>>(&mut self, cx: &Cx<'_>, sequence: u16, good: Option<bool>, out: &mut S) {
        let Phase::Pinging { sent, tick } = self.phase else { return };
        if sequence != self.sequence {
            return;
        }
        out.emit(match good {
            Some(_) => ProbeAction::Answered { rtt_us: rtt_us(sent, cx.now) },
            None => ProbeAction::Unanswered,
        });
        self.phase = Phase::Known { good: good == Some(true), tick };
    }

    /// Starts or stops pinging, as settings, operator and health have it now.
    fn settle(&mut self, cx: &mut Cx<'_>, s: &ProbeSettings) {
        let wanted = self.enabled && s.covers(self.health, self.flagged);
        match self.phase {
            Phase::Idle if wanted => {
                let spread = u32::try_from(s.interval.as_micros()).unwrap_or(u32::MAX);
                let wait = if self.health != Health::Up {
                    Duration::ZERO
                } else if s.jitter {
                    Duration::from_micros(u64::from(cx.entropy.below(spread)))
                } else {
                    s.interval.saturating_sub(s.timeout)
                };
                self.phase = Phase::Waiting(cx.now + wait);
            }
            Phase::Waiting(_) if !wanted => self.phase = Phase::Idle,
            // A ping under way runs to its tick, also one that the operator asked for.
            _ if !self.enabled => self.phase = Phase::Idle,
            _ => {}
        }
    }
}

impl Timed for Probe {
    fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle => None,
            Phase::Waiting(at) => Some(at),
            Phase::Pinging { tick, .. } | Phase::Known { tick, .. } => Some(tick),
        }
    }

    /// A probe lives as long as its target.
    fn is_done(&self) -> bool {
        false
    }
}

impl Machine for Probe {
    type Event<'e> = ProbeEvent<'e>;
    type Action<'a> = ProbeAction;
    const ACTIONS_MAX: usize = 2;

    fn handle<S>(&mut self, cx: &mut Cx<'_>, event: Self::Event<'_>, out: &mut S)
    where
        S: for<'a> Sink<Self::Action<'a>>,
    {
        let s = event.settings;
        match event.input {
            ProbeInput::Configure { enabled, flagged } => (self.enabled, self.flagged) = (enabled, flagged),
            ProbeInput::Timeout => self.timeout(cx, s, out),
            ProbeInput::Reply { sequence, code } => self.result(cx, sequence, Some(s.reply_codes.accept(code)), out),
            ProbeInput::PingFailed { sequence } => self.result(cx, sequence, None, out),
            ProbeInput::PingNow => {
                if let Phase::Known { good, .. } = self.phase {
                    // Whoever asks again does not wait for the tick.
                    self.count(cx, s, good, cx.now, out);
                }
                if self.enabled && matches!(self.phase, Phase::Idle | Phase::Waiting(_)) {
                    self.send(cx.now, cx.now + s.timeout, out);
                }
            }
            ProbeInput::TrafficFailed(failure) => {
                // Without pings nothing would ever bring the target back.
                let pinged =
                    self.enabled && (s.covers(self.health, self.flagged) || s.covers(Health::Down, self.flagged));
                if pinged {
                    let suspect = failure != TrafficFailure::Reply;
                    self.fail(s, suspect, ChangeReason::TrafficFailed, out);
                }
            }
            ProbeInput::TrafficSucceeded => {
                if self.health == Health::Up {
                    self.failures = 0;
                }
            }
            ProbeInput::Learn(health, reason) => self.change(health, reason, out),
        }
        self.settle(cx, s);
    }
}

#[cfg(test)]
mod tests;
