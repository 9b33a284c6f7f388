//! What waits for a relay.

use crate::flow::Flow;
use crate::machine::Timed;
use crate::store::{Buf, Key};
use crate::time::Instant;

/// What a command is for.
#[derive(Debug)]
pub enum Purpose {
    /// An INVITE that is about to leave.
    Outbound {
        /// The message.
        message: Buf,
        /// Its path.
        flow: Flow,
    },
    /// A message that has arrived and that the node has not seen yet.
    Inbound {
        /// The message.
        message: Buf,
        /// Its path.
        flow: Flow,
        /// Whether it asks for a new session description, so that without a relay it can be refused.
        can_refuse: bool,
    },
    /// A call that is over.
    Delete,
    /// A relay that may live again.
    Ping,
}

/// A command under way.
#[derive(Debug)]
pub struct Held {
    /// What its reply must carry besides its place.
    pub secret: u64,
    /// The relay it was sent to.
    pub relay: u8,
    /// The call.
    pub session: Option<Key>,
    /// The command as it was sent.
    pub command: Option<Buf>,
    /// How often it was sent.
    pub tries: u8,
    /// When it is sent again, or has failed.
    pub next_at: Instant,
    /// What it is for.
    pub purpose: Purpose,
    /// Set when nothing is waited for any more.
    pub done: bool,
}

impl Timed for Held {
    fn next_deadline(&self) -> Option<Instant> {
        Some(self.next_at)
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// A cookie: the place of a command and what nobody can guess, as 32 hexadecimal digits.
pub fn write_cookie(key: Key, secret: u64) -> [u8; 32] {
    let mut cookie = [0; 32];
    let digits = |out: &mut [u8], number: u64| {
        for (i, out) in out.iter_mut().enumerate() {
            *out = b"0123456789abcdef"[(number >> (60 - 4 * i)) as usize & 15];
        }
    };
    let (place, rest) = cookie.split_at_mut(16);
    digits(place, key.to_u64());
    digits(rest, secret);
    cookie
}

/// What [`write_cookie`] wrote.
pub fn read_cookie(cookie: &[u8]) -> Option<(Key, u64)> {
    let number = |digits: &[u8]| u64::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok();
    let (place, rest) = cookie.split_at_checked(16).filter(|(_, rest)| rest.len() == 16)?;
    Some((Key::from_u64(number(place)?)?, number(rest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_round_trip_and_others_find_nothing() {
        let key = Key::new(70_000, 3).unwrap();
        for secret in [0, 1, u64::MAX] {
            let cookie = write_cookie(key, secret);
            assert_eq!(read_cookie(&cookie), Some((key, secret)));
            assert_eq!(read_cookie(&cookie[1..]), None);
        }
        assert_eq!(read_cookie(b"00000000000000000000000000000000"), None, "no key has generation zero");
        assert_eq!(read_cookie(b"\xff000000000000000000000000000000x"), None);
    }
}
