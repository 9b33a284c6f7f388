//! Cutting messages from a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1).

use super::header_name::HeaderName;
use super::scan;
use crate::error::{ParseError, ParseErrorKind};

/// What the start of the buffered stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Frame {
    /// Not a whole message yet: read on.
    Incomplete,
    /// A message of that many bytes.
    Message(usize),
    /// A keep-alive: a double CRLF of that many bytes, to be answered with one CRLF (RFC 5626 §3.5.1).
    Ping(usize),
    /// Line ends between messages, to be skipped.
    Blank(usize),
}

/// Finds message boundaries. It remembers how far it has looked, so a message that trickles in byte by byte costs no
/// more than one that comes at once.
#[derive(Clone, Debug)]
pub struct Framer {
    max: usize,
    looked: usize,
    end: Option<usize>,
}

impl Framer {
    /// A framer that takes messages of at most `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self { max, looked: 0, end: None }
    }

    /// Looks at the buffered bytes, which start where the last frame ended. After a frame the caller drops its bytes
    /// and asks again. An error leaves no way to find the next message: the connection has to go.
    pub fn next(&mut self, buf: &[u8]) -> Result<Frame, ParseError> {
        if self.looked == 0
            && let Some(frame) = blank(buf)
        {
            return Ok(frame);
        }
        let end = match self.end {
            Some(end) => end,
            None => match self.head(buf)? {
                Some(end) => end,
                None => return Ok(Frame::Incomplete),
            },
        };
        if buf.len() < end {
            self.end = Some(end);
            return Ok(Frame::Incomplete);
        }
        self.looked = 0;
        self.end = None;
        Ok(Frame::Message(end))
    }

    /// Whether a message has begun and not ended.
    pub const fn is_inside(&self) -> bool {
        self.looked > 0 || self.end.is_some()
    }

    /// Looks for the empty line; gives the end of the message once it is there.
    fn head(&mut self, buf: &[u8]) -> Result<Option<usize>, ParseError> {
        // The empty line may straddle what was looked at and what is new.
        let from = self.looked.saturating_sub(3);
        match memchr::memmem::find(&buf[from..], b"\r\n\r\n") {
            Some(n) => {
                let body_at = from + n + 4;
                let length = content_length(&buf[..body_at])?;
                let end = body_at.saturating_add(length);
                if end > self.max {
                    return Err(ParseError::new(ParseErrorKind::TooLong, self.max));
                }
                self.looked = buf.len();
                Ok(Some(end))
            }
            None if buf.len() > self.max => Err(ParseError::new(ParseErrorKind::TooLong, self.max)),
            None => {
                self.looked = buf.len();
                Ok(None)
            }
        }
    }
}

fn blank(buf: &[u8]) -> Option<Frame> {
    match buf {
        [] | [b'\r'] => Some(Frame::Incomplete),
        [b'\r', b'\n', b'\r', b'\n', ..] => Some(Frame::Ping(4)),
        // One CRLF may be the first half of a ping, or the answer to ours.
        [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Some(Frame::Incomplete),
        [b'\r', b'\n', ..] => Some(Frame::Blank(2)),
        _ => None,
    }
}

/// The body's length. A stream needs it; a message without one is taken to have no body, as most elements do.
fn content_length(head: &[u8]) -> Result<usize, ParseError> {
    let wrong = |at| ParseError::new(ParseErrorKind::ContentLength, at);
    let mut length = None;
    let mut at = memchr::memmem::find(head, b"\r\n").map_or(head.len(), |n| n + 2);
    while at < head.len() {
        let rest = &head[at..];
        let eol = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let line = &rest[..eol];
        let name = &line[..scan::token_len(line)];
        if HeaderName::parse(name) == HeaderName::ContentLength
            && let Some(colon) = memchr::memchr(b':', line)
        {
            let n = scan::number(line[colon + 1..].trim_ascii()).ok_or(wrong(at))? as usize;
            if length.is_some_and(|l| l != n) {
                return Err(wrong(at));
            }
            length = Some(n);
        }
        at += eol + 2;
    }
    Ok(length.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nl: 4\r\nX: y\r\n\r\n";

    fn whole() -> std::vec::Vec<u8> {
        [HEAD, b"body"].concat()
    }

    #[test]
    fn whole_messages_and_what_is_between() {
        let mut stream = whole();
        stream.extend_from_slice(b"\r\n\r\n\r\nBYE sip:a SIP/2.0\r\n\r\n");
        let mut framer = Framer::new(1_000);
        let mut frames = std::vec::Vec::new();
        let mut at = 0;
        loop {
            match framer.next(&stream[at..]).unwrap() {
                Frame::Incomplete => break,
                f @ (Frame::Message(n) | Frame::Ping(n) | Frame::Blank(n)) => {
                    frames.push(f);
                    at += n;
                }
            }
        }
        assert_eq!(frames, [Frame::Message(HEAD.len() + 4), Frame::Ping(4), Frame::Blank(2), Frame::Message(21)]);
    }

    #[test]
    fn byte_by_byte_gives_the_same() {
        let msg = whole();
        let mut framer = Framer::new(1_000);
        for n in 0..msg.len() {
            assert_eq!(framer.next(&msg[..n]).unwrap(), Frame::Incomplete, "at {n}");
        }
        assert!(framer.is_inside());
        assert_eq!(framer.next(&msg).unwrap(), Frame::Message(msg.len()));
        assert!(!framer.is_inside());
    }

    #[test]
    fn no_content_length_is_no_body() {
        assert_eq!(Framer::new(99).next(b"BYE sip:a SIP/2.0\r\n\r\nBYE").unwrap(), Frame::Message(21));
    }

    #[test]
    fn limits_and_lies() {
        for (bytes, kind) in [
            (&b"BYE sip:a SIP/2.0\r\nContent-Length: 999\r\n\r\n"[..], ParseErrorKind::TooLong),
            (b"BYE sip:a SIP/2.0\r\nContent-Length: 4294967296\r\n\r\n", ParseErrorKind::ContentLength),
            (b"BYE sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n", ParseErrorKind::ContentLength),
            (b"BYE sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 2\r\n\r\n", ParseErrorKind::ContentLength),
            (&[b'a'; 101], ParseErrorKind::TooLong),
        ] {
            assert_eq!(Framer::new(100).next(bytes).unwrap_err().kind, kind);
        }
    }
}
