//! Datagrams on their way out of one socket: staged in a turn, sent in batches, kept while the kernel takes none.

use std::io;
use std::net::SocketAddr;

use crate::sys::BATCH_MAX;

/// Most bytes that wait at one socket.
const BYTES_MAX: usize = 4 << 20;
/// Bytes kept reserved when nothing waits.
const BYTES_KEPT: usize = 128 * 1_024;

/// A bounded FIFO of datagrams, their bytes side by side.
#[derive(Debug)]
pub(crate) struct SendQueue {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Entries before this one are sent.
    head: usize,
    max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    to: SocketAddr,
    start: usize,
    len: usize,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Nothing is left.
    All,
    /// The kernel takes no more for now.
    Blocked,
}

/// What became of datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    /// That many are sent.
    Sent(usize),
    /// The call stopped for an error that may belong to an earlier datagram: the socket has news on its error queue.
    Interrupted,
    /// This one was refused, twice.
    Refused(SocketAddr, &'a [u8], i32),
}

impl SendQueue {
    /// A queue of at most `max` datagrams.
    pub(crate) fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), entries: Vec::new(), head: 0, max: max.max(BATCH_MAX) }
    }

    /// Datagrams that wait.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.head
    }

    /// Takes a copy of a datagram; false if there is no room.
    pub(crate) fn push(&mut self, to: SocketAddr, bytes: &[u8]) -> bool {
        if self.len() >= self.max || self.bytes.len().saturating_add(bytes.len()) > BYTES_MAX {
            return false;
        }
        self.entries.push(Entry { to, start: self.bytes.len(), len: bytes.len() });
        self.bytes.extend_from_slice(bytes);
        true
    }

    /// Hands batches to `send`, which says how many it took, until nothing is left or it would block.
    ///
    /// An error may be that of a datagram sent before (a pending ICMP error is given to whichever call comes next), so
    /// a datagram counts as refused only when a second try fails too.
    pub(crate) fn drain(
        &mut self,
        mut send: impl FnMut(&mut dyn Iterator<Item = (SocketAddr, &[u8])>) -> io::Result<usize>,
        mut outcome: impl FnMut(Outcome<'_>),
    ) -> Drained {
        let mut is_second_try = false;
        while self.head < self.entries.len() {
            let end = self.entries.len().min(self.head + BATCH_MAX);
            let batch = &self.entries[self.head..end];
            let bytes = &self.bytes;
            let mut datagrams = batch.iter().map(|e| (e.to, &bytes[e.start..e.start + e.len]));
            match send(&mut datagrams) {
                Ok(n) => {
                    is_second_try = false;
                    outcome(Outcome::Sent(n));
                    if n < batch.len() {
                        outcome(Outcome::Interrupted);
                    }
                    self.head += n.min(batch.len());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.compact();
                    return Drained::Blocked;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if !is_second_try => {
                    is_second_try = true;
                    outcome(Outcome::Interrupted);
                }
                Err(e) => {
                    is_second_try = false;
                    let first = batch[0];
                    let bytes = &bytes[first.start..first.start + first.len];
                    outcome(Outcome::Refused(first.to, bytes, e.raw_os_error().unwrap_or(0)));
                    self.head += 1;
                }
            }
        }
        self.compact();
        Drained::All
    }

    fn compact(&mut self) {
        let start = self.entries.get(self.head).map_or(self.bytes.len(), |e| e.start);
        if self.head == self.entries.len() {
            self.bytes.clear();
            self.bytes.shrink_to(BYTES_KEPT);
        } else {
            self.bytes.drain(..start);
        }
        self.entries.drain(..self.head);
        for entry in &mut self.entries {
            entry.start -= start;
        }
        self.head = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> SocketAddr {
        "192.0.2.1:5060".parse().unwrap()
    }

    fn filled(n: usize) -> SendQueue {
        let mut queue = SendQueue::new(200);
        for n in 0..n {
            assert!(queue.push(to(), n.to_string().as_bytes()));
        }
        queue
    }

    type Seen = Vec<String>;

    /// Drains with a script of results; gives what each call was offered first, the refused, and how it ended.
    fn drain(queue: &mut SendQueue, mut script: Vec<io::Result<usize>>) -> (Seen, Seen, usize, Drained) {
        script.reverse();
        let (mut offered, mut refused, mut interruptions) = (Vec::new(), Vec::new(), 0);
        let end = queue.drain(
            |d| {
                let batch: Vec<_> = d.map(|(_, b)| String::from_utf8(b.to_vec()).unwrap()).collect();
                offered.push(format!("{}+{}", batch[0], batch.len()));
                script.pop().unwrap_or(Ok(batch.len()))
            },
            |o| match o {
                Outcome::Refused(_, b, _) => refused.push(String::from_utf8(b.to_vec()).unwrap()),
                Outcome::Interrupted => interruptions += 1,
                Outcome::Sent(_) => {}
            },
        );
        (offered, refused, interruptions, end)
    }

    fn os(code: i32) -> io::Result<usize> {
        Err(io::Error::from_raw_os_error(code))
    }

    #[test]
    fn batches_are_bounded_and_in_order() {
        let (offered, refused, _, end) = drain(&mut filled(130), vec![]);
        assert_eq!(offered, ["0+64", "64+64", "128+2"]);
        assert_eq!((refused.len(), end), (0, Drained::All));
    }

    #[test]
    fn a_blocked_queue_keeps_the_rest_and_goes_on() {
        let mut queue = filled(5);
        let (_, _, _, end) = drain(&mut queue, vec![Ok(2), os(libc::EAGAIN)]);
        assert_eq!((end, queue.len()), (Drained::Blocked, 3));
        assert!(queue.push(to(), b"late"));
        let (offered, _, _, end) = drain(&mut queue, vec![Ok(3)]);
        assert_eq!(offered, ["2+4", "late+1"]);
        assert_eq!((end, queue.len()), (Drained::All, 0));
    }

    #[test]
    fn a_pending_error_costs_nothing_and_a_real_one_only_its_datagram() {
        let (_, refused, interruptions, _) = drain(&mut filled(3), vec![os(libc::ECONNREFUSED), Ok(3)]);
        assert_eq!((refused.len(), interruptions), (0, 1));
        let script = vec![Ok(1), os(libc::ENETUNREACH), os(libc::ENETUNREACH), Ok(1)];
        let (_, refused, _, end) = drain(&mut filled(3), script);
        assert_eq!(refused, ["1"]);
        assert_eq!(end, Drained::All);
    }

    #[test]
    fn a_full_queue_says_so() {
        let mut queue = filled(200);
        assert!(!queue.push(to(), b"x"));
        let mut queue = SendQueue::new(1_000_000);
        while queue.push(to(), &[0; 60_000]) {}
        assert_eq!(queue.len(), BYTES_MAX / 60_000);
    }
}
