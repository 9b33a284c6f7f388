//! Cutting messages from a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1).

use super::header_name::HeaderName;
use super::method::Method;
use super::{scan, token};
use crate::error::{ParseError, ParseErrorKind};
use crate::limits::START_LINE_MAX;

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
    demands_length: bool,
    looked: usize,
    /// The first line was seen, and is one of SIP.
    is_sip: bool,
    end: Option<usize>,
}

impl Framer {
    /// A framer that takes messages of at most `max` bytes.
    pub const fn new(max: usize) -> Self {
        Self { max, demands_length: false, looked: 0, is_sip: false, end: None }
    }

    /// The same, but a message without `Content-Length` is an error, as RFC 3261 §18.3 has it; else it has no body.
    #[must_use]
    pub const fn demanding_length(mut self, demands: bool) -> Self {
        self.demands_length = demands;
        self
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
        self.is_sip = false;
        self.end = None;
        Ok(Frame::Message(end))
    }

    /// Whether a message has begun and not ended.
    pub const fn is_inside(&self) -> bool {
        self.looked > 0 || self.end.is_some()
    }

    /// Judges the first line as soon as it can be, so that a stream of something else is not waited for.
    fn first_line(&mut self, buf: &[u8]) -> Result<(), ParseError> {
        if !buf.first().is_none_or(|b| token::is(*b, token::TOKEN)) {
            return Err(ParseError::new(ParseErrorKind::StartLine, 0));
        }
        let within = &buf[..buf.len().min(START_LINE_MAX + 2)];
        let from = self.looked.saturating_sub(1).min(within.len());
        match memchr::memmem::find(&within[from..], b"\r\n") {
            Some(n) if is_sip(&within[..from + n]) => self.is_sip = true,
            Some(_) => return Err(ParseError::new(ParseErrorKind::StartLine, 0)),
            None if within.len() == START_LINE_MAX + 2 => {
                return Err(ParseError::new(ParseErrorKind::TooLong, START_LINE_MAX));
            }
            None => {}
        }
        Ok(())
    }

    /// Looks for the empty line; gives the end of the message once it is there.
    fn head(&mut self, buf: &[u8]) -> Result<Option<usize>, ParseError> {
        if !self.is_sip {
            self.first_line(buf)?;
        }
        // The empty line may straddle what was looked at and what is new.
        let from = self.looked.saturating_sub(3);
        match memchr::memmem::find(&buf[from..], b"\r\n\r\n") {
            Some(n) => {
                let body_at = from + n + 4;
                let length = self.content_length(&buf[..body_at])?;
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

    /// The body's length. A stream needs it; a message without one is taken to have no body, as most elements do, unless
    /// the framer demands it.
    fn content_length(&self, head: &[u8]) -> Result<usize, ParseError> {
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
        if length.is_none() && self.demands_length {
            return Err(ParseError::new(ParseErrorKind::Missing("Content-Length"), head.len()));
        }
        Ok(length.unwrap_or(0))
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

/// Whether a first line means to be one of SIP: of any version, and with spaces wherever they may not be, as such a
/// request can still be answered.
fn is_sip(line: &[u8]) -> bool {
    let names_version = |word: &[u8]| word.get(..4).is_some_and(|w| w.eq_ignore_ascii_case(b"SIP/"));
    let mut words = line.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    let (Some(first), last) = (words.next(), words.next_back()) else { return false };
    names_version(first) || (Method::parse(first).is_ok() && last.is_some_and(names_version))
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
            (b"BYE sip:a SIP/2.0\r\nX: 5\r\n\r\n", ParseErrorKind::Missing("Content-Length")),
        ] {
            assert_eq!(Framer::new(100).demanding_length(true).next(bytes).unwrap_err().kind, kind);
        }
    }

    #[test]
    fn what_is_no_sip_is_an_error_with_its_first_line() {
        for line in ["GET / HTTP/1.1", "hello, world", "BYE sip:a", "B{}E sip:a SIP/2.0", "SIP", "\u{16}\u{3}"] {
            let line = std::format!("{line}\r\n");
            let kind = Framer::new(1_000).next(line.as_bytes()).unwrap_err().kind;
            assert_eq!(kind, ParseErrorKind::StartLine, "{line}");
        }
        for line in ["BYE sip:a SIP/3.0", "sip/2.0 200", "SIP/7.0 200 OK", "BYE  sip:a sip/2.0 ", "x\tsip:a SIP/2.0"] {
            let line = std::format!("{line}\r\n");
            assert_eq!(Framer::new(1_000).next(line.as_bytes()), Ok(Frame::Incomplete), "{line}");
        }
    }

    #[test]
    fn a_first_byte_tells_noise_and_a_first_line_may_not_go_on_for_ever() {
        for byte in [0, 0x16, b' ', b'{', b'\n', 0x80] {
            assert_eq!(Framer::new(1_000).next(&[byte]).unwrap_err().kind, ParseErrorKind::StartLine, "{byte}");
        }
        let line = std::vec![b'a'; START_LINE_MAX + 2];
        let mut framer = Framer::new(60_000);
        assert_eq!(framer.next(&line[..START_LINE_MAX + 1]), Ok(Frame::Incomplete));
        assert_eq!(framer.next(&line).unwrap_err().kind, ParseErrorKind::TooLong);
    }

    #[test]
    fn each_message_is_judged_by_its_own_first_line() {
        let mut framer = Framer::new(1_000);
        let msg = whole();
        assert_eq!(framer.next(&msg), Ok(Frame::Message(msg.len())));
        assert_eq!(framer.next(b"noise\r\n").unwrap_err().kind, ParseErrorKind::StartLine);
    }
}
