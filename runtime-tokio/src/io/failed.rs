//! Messages that did not get there, on their way back to the engine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Most messages that wait to be told of.
const WAITING_MAX: usize = 1_024;
/// Emptied buffers kept, and the most that one of them may hold.
const SPARE_MAX: usize = 64;
const SPARE_LEN_MAX: usize = 8_192;

/// A bounded queue of undelivered messages, over reused buffers.
#[derive(Debug, Default)]
pub(crate) struct Failed(RefCell<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<(u8, SocketAddr, Vec<u8>)>,
    spare: Vec<Vec<u8>>,
}

impl Failed {
    /// Takes a copy of a message of shard `owner`; false if too many wait already.
    pub(crate) fn push(&self, owner: u8, to: SocketAddr, bytes: &[u8]) -> bool {
        let mut inner = self.0.borrow_mut();
        if inner.waiting.len() >= WAITING_MAX {
            return false;
        }
        let mut copy = inner.spare.pop().unwrap_or_default();
        copy.extend_from_slice(bytes);
        inner.waiting.push_back((owner, to, copy));
        true
    }

    /// Moves the oldest message into `bytes`; gives whose it is and where it was to go.
    pub(crate) fn pop(&self, bytes: &mut Vec<u8>) -> Option<(u8, SocketAddr)> {
        let mut inner = self.0.borrow_mut();
        let (owner, to, mut message) = inner.waiting.pop_front()?;
        std::mem::swap(bytes, &mut message);
        if inner.spare.len() < SPARE_MAX && message.capacity() <= SPARE_LEN_MAX {
            message.clear();
            inner.spare.push(message);
        }
        Some((owner, to))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.borrow().waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_bound_holds() {
        let failed = Failed::default();
        let to: SocketAddr = "192.0.2.1:5060".parse().unwrap();
        for n in 0..WAITING_MAX {
            assert!(failed.push(3, to, n.to_string().as_bytes()));
        }
        assert!(!failed.push(3, to, b"one too many"));
        let mut bytes = b"old".to_vec();
        for n in 0..WAITING_MAX {
            assert_eq!(failed.pop(&mut bytes), Some((3, to)));
            assert_eq!(bytes, n.to_string().as_bytes());
        }
        assert_eq!(failed.pop(&mut bytes), None);
        assert!(failed.is_empty());
    }
}
