//! `sdp-attr`: attributes that are added, removed or replaced by their text.

use super::word::{Word, normal};
use super::{Flags, FlagsError, Value};

/// Most rules for attributes in one message.
pub const ATTR_RULES_MAX: usize = 48;

/// Where a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AttrSection {
    /// Above the first m-line.
    Session,
    /// In audio streams.
    Audio,
    /// In video streams.
    Video,
    /// In streams of images (fax).
    Image,
    /// In streams of messages.
    Message,
    /// In all other streams.
    Other,
}

impl AttrSection {
    fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"none" | b"global" => Self::Session,
            b"other" => Self::Other,
            name => match Self::of_media(name) {
                Self::Other => return None,
                section => section,
            },
        })
    }

    /// The section of a media description of that kind.
    pub const fn of_media(kind: &[u8]) -> Self {
        match kind {
            b"audio" => Self::Audio,
            b"video" => Self::Video,
            b"image" => Self::Image,
            b"message" => Self::Message,
            _ => Self::Other,
        }
    }
}

/// What a rule does; texts are what follows `a=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrOp<'a> {
    /// Adds a line, unless it is there.
    Add(Word<'a>),
    /// Removes every line that begins so.
    Remove(Word<'a>),
    /// Puts the second in place of the beginning that is the first.
    Substitute(Word<'a>, Word<'a>),
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrRule<'a> {
    /// Where.
    pub section: AttrSection,
    /// What.
    pub op: AttrOp<'a>,
}

impl<'a> Flags<'a> {
    fn attr(&mut self, section: AttrSection, op: AttrOp<'a>) -> Result<(), FlagsError> {
        self.attrs.push(AttrRule { section, op }).map_err(|_| FlagsError::TooMany("sdp-attr"))
    }

    /// `sdp-attr` as a dictionary of dictionaries.
    pub(super) fn attr_dictionary<V: Value<'a>>(&mut self, value: V) -> Result<(), FlagsError> {
        let mut result = Ok(());
        value.each_entry(|name, commands| {
            let Some(section) = AttrSection::parse(normal(name).as_bytes()) else {
                return self.not_known(name);
            };
            commands.each_entry(|command, value| {
                if result.is_ok() {
                    result = self.attr_command(section, command, value);
                }
            });
        });
        result
    }

    fn attr_command<V: Value<'a>>(
        &mut self,
        section: AttrSection,
        command: &'a [u8],
        value: V,
    ) -> Result<(), FlagsError> {
        let mut result = Ok(());
        match normal(command).as_bytes() {
            b"add" => {
                value.each_item_text(|t| result = result.and_then(|()| self.attr(section, AttrOp::Add(Word(t)))));
            }
            b"remove" => {
                value.each_item_text(|t| result = result.and_then(|()| self.attr(section, AttrOp::Remove(Word(t)))));
            }
            b"substitute" => result = self.attr_substitute(section, value),
            _ => self.not_known(command),
        }
        result
    }

    /// `[from, to]`, `[[from, to], ...]` or `["from>to", ...]`.
    fn attr_substitute<V: Value<'a>>(&mut self, section: AttrSection, value: V) -> Result<(), FlagsError> {
        let mut result = Ok(());
        let mut first = None;
        let mut add = |flags: &mut Self, from, to| {
            result = result.and_then(|()| flags.attr(section, AttrOp::Substitute(Word(from), Word(to))));
        };
        value.each_item(|item| match item.text() {
            Some(text) => match (first.take(), split_pair(text)) {
                (Some(from), _) => add(self, from, text),
                (None, Some((from, to))) => add(self, from, to),
                (None, None) => first = Some(text),
            },
            None => {
                let mut pair = [None; 2];
                let mut at = 0;
                item.each_item_text(|text| {
                    if let Some(slot) = pair.get_mut(at) {
                        *slot = Some(text);
                    }
                    at += 1;
                });
                if let [Some(from), Some(to)] = pair {
                    add(self, from, to);
                }
            }
        });
        result
    }

    /// `<command>-<section>-<text>`: what follows `sdp-attr-` in a flags list.
    pub(super) fn attr_item(&mut self, item: &'a [u8], whole: &'a [u8]) -> Result<(), FlagsError> {
        let mut parts = item.splitn(3, |&b| b == b'-');
        let (Some(command), Some(name), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            self.not_known(whole);
            return Ok(());
        };
        let op = match (normal(command).as_bytes(), split_pair(text)) {
            (b"add", _) => AttrOp::Add(Word(text)),
            (b"remove", _) => AttrOp::Remove(Word(text)),
            (b"substitute", Some((from, to))) => AttrOp::Substitute(Word(from), Word(to)),
            _ => {
                self.not_known(whole);
                return Ok(());
            }
        };
        match AttrSection::parse(normal(name).as_bytes()) {
            Some(section) => self.attr(section, op),
            None => {
                self.not_known(whole);
                Ok(())
            }
        }
    }
}

fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'>', text)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}
