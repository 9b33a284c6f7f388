//! One connection: what has arrived, what waits to be written, and the task that moves both.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, Sleep, sleep_until};
use trunkline_core::error::{ParseError, ParseErrorKind};
use trunkline_core::flow::{ConnectionId, ListenerId};
use trunkline_core::wire::sip::frame::{Frame, Framer};

use super::admission::Permit;
use super::settings::TcpSettings;
use super::streams::Streams;

/// Buffer of a connection on which little happens, in bytes.
const INPUT_MIN: usize = 4_096;
/// How long a connection stays open on which messages cannot be told apart any more: for the answer to the last one,
/// and for the peer to read it. To close with input unread would make the kernel drop what is on its way.
const LINGER: Duration = Duration::from_secs(1);

/// A connection, shared between its task and the shard.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) listener: ListenerId,
    pub(crate) peer: SocketAddr,
    /// There once the connection is open.
    writer: OnceCell<OwnedWriteHalf>,
    pub(crate) input: RefCell<Input>,
    pub(crate) output: RefCell<Output>,
    /// In the list of those with input.
    pub(crate) is_ready: Cell<bool>,
    /// In the list of those with output.
    pub(crate) is_dirty: Cell<bool>,
    /// The task reads no more before the shard has taken messages away.
    pub(crate) is_waiting_for_room: Cell<bool>,
    /// The peer has sent its last byte, or the connection broke.
    pub(crate) has_ended: Cell<bool>,
    pub(crate) is_closed: Cell<bool>,
    /// When the first byte of a message came that is not complete.
    pub(crate) unfinished_since: Cell<Option<Instant>>,
    /// When to close at the latest, as what comes can be read no more.
    lingers_until: Cell<Option<Instant>>,
    /// Something was sent since.
    has_parted: Cell<bool>,
    last_activity: Cell<Instant>,
    task: RefCell<Option<Waker>>,
    _permit: Permit,
}

impl Connection {
    pub(crate) fn new(
        id: ConnectionId,
        listener: ListenerId,
        peer: SocketAddr,
        settings: &TcpSettings,
        permit: Permit,
    ) -> Rc<Self> {
        let framer = Framer::new(settings.message_max).demanding_length(!settings.accepts_no_content_length);
        Rc::new(Self {
            id,
            listener,
            peer,
            writer: OnceCell::new(),
            input: RefCell::new(Input::new(settings.message_max, framer)),
            output: RefCell::new(Output::new(settings.write_queue)),
            is_ready: Cell::new(false),
            is_dirty: Cell::new(false),
            is_waiting_for_room: Cell::new(false),
            has_ended: Cell::new(false),
            is_closed: Cell::new(false),
            unfinished_since: Cell::new(None),
            lingers_until: Cell::new(None),
            has_parted: Cell::new(false),
            last_activity: Cell::new(Instant::now()),
            task: RefCell::new(None),
            _permit: permit,
        })
    }

    /// Makes the task look at the connection again.
    pub(crate) fn wake_task(&self) {
        if let Some(waker) = self.task.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    fn register(&self, cx: &Context<'_>) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|t| t.will_wake(cx.waker())) {
            *task = Some(cx.waker().clone());
        }
    }

    /// Writes what waits, as far as the kernel takes it; gives the number of messages that went out whole.
    pub(crate) fn write(&self) -> io::Result<u64> {
        let Some(writer) = self.writer.get() else { return Ok(0) };
        let mut output = self.output.borrow_mut();
        let mut messages = 0;
        while !output.is_empty() {
            match writer.try_write(output.unsent()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    messages += output.advance(n);
                    self.last_activity.set(Instant::now());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.is_lingering() && messages > 0 && output.is_empty() && !self.has_parted.replace(true) {
            // The peer learns that this was the last answer, and closes.
            SockRef::from(writer.as_ref()).shutdown(Shutdown::Write)?;
        }
        Ok(messages)
    }

    /// Takes no more messages; what still comes is thrown away until the peer closes, or a moment has passed.
    pub(crate) fn linger(&self) {
        self.lingers_until.set(Some(Instant::now() + LINGER));
        self.unfinished_since.set(None);
        self.wake_task();
    }

    pub(crate) fn is_lingering(&self) -> bool {
        self.lingers_until.get().is_some()
    }

    /// When the task has to look whether the connection has come to its end.
    fn deadline(&self, streams: &Streams) -> Instant {
        if let Some(at) = self.lingers_until.get() {
            return at;
        }
        let idle = self.last_activity.get() + streams.settings.idle;
        let unfinished = self.unfinished_since.get().map(|since| since + streams.settings.unfinished);
        unfinished.map_or(idle, |at| at.min(idle))
    }
}

/// Bytes received, and how far they are cut into messages.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    max: usize,
    framer: Framer,
    /// There is no way to tell where the next message starts.
    is_lost: bool,
}

impl Input {
    fn new(message_max: usize, framer: Framer) -> Self {
        // One byte more than a message may have shows that it is too long.
        let max = message_max.saturating_add(1);
        Self { bytes: Vec::new(), start: 0, end: 0, max, framer, is_lost: false }
    }

    /// Room for more; empty when a whole longest message is waiting.
    fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.bytes.len() {
            let len = (self.bytes.len() * 2).clamp(INPUT_MIN.min(self.max), self.max);
            self.bytes.resize(len, 0);
        }
        &mut self.bytes[self.end..]
    }

    fn is_full(&self) -> bool {
        self.end - self.start >= self.max
    }

    fn filled(&mut self, n: usize) {
        if !self.is_lost {
            self.end = self.bytes.len().min(self.end + n);
        }
    }

    /// Gives up on what comes. The header of the message that could not be cut is copied to `message`, if it is there
    /// to its end.
    pub(crate) fn lose(&mut self, error: ParseError, message: &mut Vec<u8>) -> bool {
        let rest = &self.bytes[self.start..self.end];
        let head = match error.kind {
            ParseErrorKind::StartLine => None,
            _ => rest.windows(4).position(|w| w == b"\r\n\r\n").and_then(|n| rest.get(..n + 4)),
        };
        message.clear();
        message.extend_from_slice(head.unwrap_or_default());
        (self.start, self.end, self.is_lost) = (0, 0, true);
        !message.is_empty()
    }

    /// Cuts the next frame; a message is copied to `message`.
    pub(crate) fn next(&mut self, message: &mut Vec<u8>) -> Result<Frame, ParseError> {
        let rest = &self.bytes[self.start..self.end];
        let frame = self.framer.next(rest)?;
        match frame {
            Frame::Incomplete => {
                if rest.is_empty() && self.bytes.len() > INPUT_MIN {
                    (self.start, self.end) = (0, 0);
                    self.bytes = Vec::new();
                }
            }
            Frame::Message(n) => {
                message.clear();
                message.extend_from_slice(&rest[..n]);
                self.start += n;
            }
            Frame::Ping(n) | Frame::Blank(n) => self.start += n,
        }
        Ok(frame)
    }

    /// Whether a message has begun and not ended.
    pub(crate) const fn is_inside(&self) -> bool {
        self.framer.is_inside()
    }
}

/// Messages that wait to be written.
#[derive(Debug)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    head: usize,
    max: usize,
    /// Length of each entry, and the shard whose message it is (a keep-alive is no message).
    marks: VecDeque<(usize, Option<u8>)>,
    /// Bytes of the first entry that are sent.
    first_sent: usize,
}

impl Output {
    const fn new(max: usize) -> Self {
        Self { bytes: Vec::new(), head: 0, max, marks: VecDeque::new(), first_sent: 0 }
    }

    /// Takes a copy of a message of shard `owner`, or of a keep-alive; false if there is no room.
    pub(crate) fn push(&mut self, bytes: &[u8], owner: Option<u8>) -> bool {
        if self.unsent().len().saturating_add(bytes.len()) > self.max {
            return false;
        }
        self.bytes.extend_from_slice(bytes);
        self.marks.push_back((bytes.len(), owner));
        true
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head == self.bytes.len()
    }

    /// Notes that `n` bytes are sent; gives the number of messages that this completed.
    fn advance(&mut self, n: usize) -> u64 {
        self.head = self.bytes.len().min(self.head + n);
        self.first_sent += n;
        let mut messages = 0;
        while let Some(&(len, owner)) = self.marks.front()
            && self.first_sent >= len
        {
            self.first_sent -= len;
            self.marks.pop_front();
            messages += u64::from(owner.is_some());
        }
        if self.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(INPUT_MIN);
            self.head = 0;
        } else if self.head > self.max / 2 {
            // Keeps what is sent from piling up before a slow peer; the partly sent message stays whole.
            let cut = self.head - self.first_sent.min(self.head);
            self.bytes.drain(..cut);
            self.head -= cut;
        }
        messages
    }

    /// Empties the queue: gives each message of which not every byte was sent.
    pub(crate) fn fail(&mut self, mut failed: impl FnMut(u8, &[u8])) {
        let mut at = self.head - self.first_sent.min(self.head);
        for (len, owner) in self.marks.drain(..) {
            let end = self.bytes.len().min(at + len);
            if let Some(owner) = owner {
                failed(owner, &self.bytes[at..end]);
            }
            at = end;
        }
        self.bytes = Vec::new();
        (self.head, self.first_sent) = (0, 0);
    }
}

enum Woken {
    Closed,
    Read(usize),
    Ended,
    Writable,
    Deadline,
}

/// Runs an open connection until it is closed.
pub(crate) async fn run(streams: Rc<Streams>, connection: Rc<Connection>, stream: TcpStream) {
    // Without it small messages wait for the peer's acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let (mut reader, writer) = stream.into_split();
    if connection.is_closed.get() || connection.writer.set(writer).is_err() {
        return;
    }
    connection.last_activity.set(Instant::now());
    streams.written(&connection);
    let mut sleep = pin!(sleep_until(connection.deadline(&streams)));
    loop {
        match poll_fn(|cx| poll(&connection, &mut reader, sleep.as_mut(), cx)).await {
            Woken::Closed => return,
            Woken::Read(n) => {
                connection.input.borrow_mut().filled(n);
                let now = Instant::now();
                connection.last_activity.set(now);
                // Whether these bytes end within a message shows only when the shard has cut them.
                let check = now + streams.settings.unfinished;
                if check < sleep.deadline() {
                    sleep.as_mut().reset(check);
                }
                streams.readable(&connection);
            }
            Woken::Ended => {
                connection.has_ended.set(true);
                streams.readable(&connection);
            }
            Woken::Writable => streams.written(&connection),
            Woken::Deadline => {
                let deadline = connection.deadline(&streams);
                if deadline <= Instant::now() {
                    streams.expired(&connection);
                } else {
                    sleep.as_mut().reset(deadline);
                }
            }
        }
    }
}

fn poll(
    connection: &Connection,
    reader: &mut OwnedReadHalf,
    mut sleep: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<Woken> {
    connection.register(cx);
    if connection.is_closed.get() {
        return Poll::Ready(Woken::Closed);
    }
    let mut input = connection.input.borrow_mut();
    connection.is_waiting_for_room.set(input.is_full());
    if !connection.has_ended.get() && !input.is_full() {
        let mut room = ReadBuf::new(input.room());
        match Pin::new(reader).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if !room.filled().is_empty() => return Poll::Ready(Woken::Read(room.filled().len())),
            Poll::Ready(_) => return Poll::Ready(Woken::Ended),
            Poll::Pending => {}
        }
    }
    if !connection.output.borrow().is_empty()
        && let Some(writer) = connection.writer.get()
        && writer.as_ref().poll_write_ready(cx).is_ready()
    {
        return Poll::Ready(Woken::Writable);
    }
    sleep.as_mut().poll(cx).map(|()| Woken::Deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(message_max: usize) -> Input {
        Input::new(message_max, Framer::new(message_max))
    }

    #[test]
    fn input_takes_messages_apart_wherever_the_bytes_are_split() {
        let stream = b"BYE sip:a SIP/2.0\r\nl: 2\r\n\r\nhi\r\n\r\nACK sip:b SIP/2.0\r\n\r\n";
        for cut in 0..=stream.len() {
            let mut input = input(64);
            let (mut messages, mut pings) = (Vec::new(), 0);
            for part in [&stream[..cut], &stream[cut..]] {
                let room = input.room();
                room[..part.len()].copy_from_slice(part);
                input.filled(part.len());
                let mut message = Vec::new();
                loop {
                    match input.next(&mut message).unwrap() {
                        Frame::Incomplete => break,
                        Frame::Message(_) => messages.push(message.clone()),
                        Frame::Ping(_) => pings += 1,
                        Frame::Blank(_) => {}
                    }
                }
            }
            assert_eq!(messages, [&stream[..29], &stream[33..]], "cut at {cut}");
            assert_eq!(pings, 1, "cut at {cut}");
        }
    }

    #[test]
    fn input_is_full_at_the_longest_message_and_no_earlier() {
        let mut input = input(10_000);
        let mut total = 0;
        while !input.is_full() {
            let n = input.room().len();
            assert!(n > 0);
            input.room().fill(b'a');
            input.filled(n);
            total += n;
        }
        assert_eq!(total, 10_001);
        assert!(input.next(&mut Vec::new()).is_err());
    }

    #[test]
    fn input_that_is_lost_gives_its_last_header_and_takes_no_more() {
        for (bytes, head) in [
            (&b"BYE sip:a SIP/2.0\r\nl: x\r\n\r\nbody"[..], &b"BYE sip:a SIP/2.0\r\nl: x\r\n\r\n"[..]),
            (b"GET / HTTP/1.1\r\n\r\n", b""),
        ] {
            let mut input = input(64);
            input.room()[..bytes.len()].copy_from_slice(bytes);
            input.filled(bytes.len());
            let mut message = Vec::new();
            let error = input.next(&mut message).unwrap_err();
            assert_eq!(input.lose(error, &mut message), !head.is_empty());
            assert_eq!(message, head);
            let n = input.room().len();
            input.filled(n);
            assert_eq!(input.next(&mut message), Ok(Frame::Incomplete));
            assert!(!input.is_full());
        }
    }

    #[test]
    fn output_counts_whole_messages_and_gives_back_the_rest() {
        let mut output = Output::new(100);
        assert!(output.push(b"one", Some(0)) && output.push(b"\r\n", None) && output.push(b"three", Some(0)));
        assert_eq!(output.advance(2), 0);
        assert_eq!(output.advance(4), 1);
        assert_eq!(output.unsent(), b"hree");
        let mut failed = Vec::new();
        output.fail(|_, b| failed.push(b.to_vec()));
        assert_eq!(failed, [b"three"]);
        assert!(output.is_empty());
    }

    #[test]
    fn output_is_bounded_by_what_is_unsent() {
        let mut output = Output::new(10);
        assert!(output.push(b"12345678", Some(0)));
        assert!(!output.push(b"abc", Some(0)));
        assert_eq!(output.advance(7), 0);
        assert!(output.push(b"abcdefghi", Some(0)));
        assert_eq!(output.unsent(), b"8abcdefghi");
        assert_eq!(output.advance(3), 1);
        let mut failed = Vec::new();
        output.fail(|_, b| failed.push(b.to_vec()));
        assert_eq!(failed, [b"abcdefghi"]);
    }
}
