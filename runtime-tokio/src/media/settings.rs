//! What a media server is told.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use trunkline_core::transaction::Timers;

/// What a media server does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Rings, answers and echoes.
    Answer {
        /// How long it rings; with zero it answers without a 180.
        ring: Duration,
        /// After which time it hangs up; `None` leaves that to the caller.
        hang_up_after: Option<Duration>,
    },
    /// Refuses calls with this status (486: busy, 500: broken). Other requests are answered as usual.
    Refuse {
        /// The status, 300 to 699.
        status: u16,
    },
    /// Answers nothing at all.
    Silent,
}

impl Behaviour {
    /// Answers at once and echoes until the caller hangs up.
    pub const ECHO: Self = Self::Answer { ring: Duration::ZERO, hang_up_after: None };
}

/// How a media server works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What it calls itself in `Server`; empty for no such field.
    pub name: String,
    /// What it does with calls.
    pub behaviour: Behaviour,
    /// The users (extensions) it answers for; all if empty. Others get 404.
    pub users: Vec<String>,
    /// Most calls at a time; more get 503.
    pub calls_max: usize,
    /// Where RTP ports are taken from; the even ones are.
    pub rtp_ports: RangeInclusive<u16>,
    /// The address written into SDP; `None` for the one from which the peer is reached.
    pub media_ip: Option<IpAddr>,
    /// The timers of its transactions.
    pub timers: Timers,
}

impl Default for Settings {
    /// Echo for all users, 1,000 calls, RTP ports 16384 to 32768.
    fn default() -> Self {
        Self {
            name: String::new(),
            behaviour: Behaviour::ECHO,
            users: Vec::new(),
            calls_max: 1_000,
            rtp_ports: 16_384..=32_768,
            media_ip: None,
            timers: Timers::DEFAULT,
        }
    }
}
