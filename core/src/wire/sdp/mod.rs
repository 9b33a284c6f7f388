//! Session descriptions (RFC 8866), read where they lie.
//!
//! [`Sdp::parse`] goes over the bytes once and notes where the session's own lines and each media description lie.
//! Attributes are walked when asked for, so a description costs the same little memory however long it is.
//!
//! Lenient where nothing hangs on it (order of lines, unknown lines, LF without CR, a last line without an end), strict where two
//! readers could see two descriptions: a NUL or a bare CR, a second `o=` or session `c=`, ports and addresses that are none.

pub mod attribute;
pub mod crypto;
pub mod edit;
mod lines;
pub mod media;
pub mod session;

pub use attribute::{Attribute, Direction, RtpMap};
pub use lines::{Line, Lines};
pub use media::{Media, Protocol};
pub use session::{Connection, Origin};

use crate::error::{ParseError, ParseErrorKind};
use media::Section;

/// Longest description taken, in bytes.
pub const SDP_MAX: usize = 65_535;
/// Most media descriptions in one session description.
pub const MEDIA_MAX: usize = 32;

/// A range of offsets, half the size of a [`Span`](crate::wire::sip::token::Span): a description is at most [`SDP_MAX`] long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span16 {
    start: u16,
    end: u16,
}

impl Span16 {
    /// Offsets beyond [`SDP_MAX`] cannot come up: the length is checked before anything is parsed.
    pub(crate) const fn new(start: usize, end: usize) -> Self {
        Self { start: start as u16, end: end as u16 }
    }

    pub(crate) const fn start(self) -> usize {
        self.start as usize
    }

    pub(crate) const fn end(self) -> usize {
        self.end as usize
    }

    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start()..self.end()).unwrap_or(&[])
    }
}

/// A session description over borrowed bytes.
#[derive(Clone, Debug)]
pub struct Sdp<'b> {
    bytes: &'b [u8],
    session_end: u16,
    origin: Option<Span16>,
    connection: Option<Span16>,
    direction: Option<Direction>,
    media: heapless::Vec<Section, MEDIA_MAX>,
}

impl<'b> Sdp<'b> {
    /// Parses a description.
    ///
    /// # Errors
    /// `TooLong` over [`SDP_MAX`], `TooLong` also at an m-line over [`MEDIA_MAX`]; `Syntax` for a description that does not begin with
    /// `v=0` and for lines, `o=`, `c=` and `m=` values that follow no grammar; `Number` for a port; `Duplicate` for a second
    /// `o=` or session `c=`; `ControlByte` for a NUL or bare CR.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, ParseError> {
        if bytes.len() > SDP_MAX {
            return Err(ParseError::new(ParseErrorKind::TooLong, SDP_MAX));
        }
        let mut sdp = Self {
            bytes,
            session_end: bytes.len() as u16,
            origin: None,
            connection: None,
            direction: None,
            media: heapless::Vec::new(),
        };
        let mut lines = Lines::checked(bytes);
        match lines.next().transpose()? {
            Some(line) if line.kind == b'v' && line.value(bytes) == b"0" => {}
            _ => return Err(ParseError::new(ParseErrorKind::Syntax("v="), 0)),
        }
        for line in lines {
            sdp.take(&line?)?;
        }
        Ok(sdp)
    }

    fn take(&mut self, line: &Line) -> Result<(), ParseError> {
        let value = line.value(self.bytes);
        let at = line.value_start();
        match (line.kind, self.media.last_mut()) {
            (b'm', _) => {
                let section = Section::parse(value, line)?;
                if self.media.is_empty() {
                    self.session_end = line.start() as u16;
                }
                self.media.push(section).map_err(|_| ParseError::new(ParseErrorKind::TooLong, line.start()))?;
            }
            (kind, Some(media)) => {
                if kind == b'c' {
                    Connection::parse(value).map_err(|e| e.shifted(at))?;
                }
                media.take(kind, value, line);
            }
            (b'o', None) => {
                if self.origin.is_some() {
                    return Err(ParseError::new(ParseErrorKind::Duplicate("o="), line.start()));
                }
                Origin::parse(value).map_err(|e| e.shifted(at))?;
                self.origin = Some(line.value_span());
            }
            (b'c', None) => {
                if self.connection.is_some() {
                    return Err(ParseError::new(ParseErrorKind::Duplicate("c="), line.start()));
                }
                Connection::parse(value).map_err(|e| e.shifted(at))?;
                self.connection = Some(line.value_span());
            }
            (b'a', None) => self.direction = Direction::parse(value).or(self.direction),
            _ => {}
        }
        Ok(())
    }

    /// The description as it came.
    pub const fn bytes(&self) -> &'b [u8] {
        self.bytes
    }

    /// The `o=` line.
    pub fn origin(&self) -> Option<Origin<'b>> {
        Origin::parse(self.origin?.of(self.bytes)).ok()
    }

    /// The session's `c=` line.
    pub fn connection(&self) -> Option<Connection<'b>> {
        Connection::parse(self.connection?.of(self.bytes)).ok()
    }

    /// The session's own direction attribute; the last one where there are several.
    pub const fn direction(&self) -> Option<Direction> {
        self.direction
    }

    /// The session's own attributes, those above the first m-line.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'b>> + use<'b> {
        attribute::walk(self.bytes, 0, usize::from(self.session_end))
    }

    /// Where the first media description begins, or the description ends.
    pub const fn session_end(&self) -> usize {
        self.session_end as usize
    }

    /// The media descriptions, in order.
    pub fn media(&self) -> impl ExactSizeIterator<Item = Media<'b>> + '_ {
        self.media.iter().map(|section| Media::new(self.bytes, *section))
    }

    /// The connection that holds for `media`: its own, or the session's (RFC 8866 §5.7).
    pub fn connection_of(&self, media: &Media<'b>) -> Option<Connection<'b>> {
        media.connection().or_else(|| self.connection())
    }

    /// The direction that holds for `media`: its own, the session's, or `sendrecv` (RFC 8866 §6.7).
    pub fn direction_of(&self, media: &Media<'b>) -> Direction {
        media.direction().or(self.direction).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
