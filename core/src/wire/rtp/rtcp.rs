//! RTCP (RFC 3550 §6) with feedback (RFC 4585), reduced size (RFC 5506) and extended reports (RFC 3611).
//!
//! [`Compound::parse`] checks once that all packets and the parts they count fit; walking them can not fail.

use crate::error::{ParseError, ParseErrorKind};

/// Bytes before what a packet type defines.
const PREFIX: usize = 4;
/// Bytes of a report block.
const REPORT_BLOCK: usize = 24;
/// Bytes of the source and the sender information of a sender report.
const SENDER: usize = 24;

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const APP: u8 = 204;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;
const XR: u8 = 207;

/// Which packet may stand first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Start {
    /// A report, as RFC 3550 §6.1 wants it.
    Report,
    /// Any packet (`a=rtcp-rsize`, RFC 5506 §3.4.1).
    Any,
}

/// A checked compound packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compound<'p> {
    bytes: &'p [u8],
}

impl<'p> Compound<'p> {
    /// Checks `bytes` by RFC 3550 §A.2: versions, lengths that add up, padding in the last packet only; and that what
    /// each packet counts fits it.
    ///
    /// # Errors
    ///
    /// [`ParseErrorKind`]: `Version`, `Truncated`, `Syntax`.
    pub fn parse(bytes: &'p [u8], start: Start) -> Result<Self, ParseError> {
        let mut at = 0;
        while at < bytes.len() || at == 0 {
            let rest = &bytes[at..];
            let (prefix, _) = rest.split_first_chunk().ok_or(ParseError::new(ParseErrorKind::Truncated, at))?;
            let prefix = Prefix::new(*prefix);
            if prefix.version != 2 {
                return Err(ParseError::new(ParseErrorKind::Version, at));
            }
            if at == 0 && start == Start::Report && !matches!(prefix.kind, SR | RR) {
                return Err(ParseError::new(ParseErrorKind::Syntax("RTCP compound"), 1));
            }
            let packet = rest.get(..prefix.len).ok_or(ParseError::new(ParseErrorKind::Truncated, bytes.len()))?;
            let last = prefix.len == rest.len();
            let body = prefix.body(packet).filter(|_| last || !prefix.padding);
            let body = body.ok_or(ParseError::new(ParseErrorKind::Syntax("RTCP padding"), at))?;
            if body.len() < prefix.least() {
                return Err(ParseError::new(ParseErrorKind::Syntax("RTCP length"), at + 2));
            }
            at += prefix.len;
        }
        Ok(Self { bytes })
    }

    /// The packets in order.
    pub const fn iter(self) -> Packets<'p> {
        Packets { rest: self.bytes }
    }

    /// The source of the first packet; `None` if that is an empty BYE or SDES.
    pub fn sender(self) -> Option<u32> {
        word(self.bytes.get(PREFIX..)?)
    }
}

/// The first four bytes of a packet.
#[derive(Clone, Copy)]
struct Prefix {
    version: u8,
    padding: bool,
    count: u8,
    kind: u8,
    /// Of the packet, in bytes.
    len: usize,
}

impl Prefix {
    const fn new(bytes: [u8; PREFIX]) -> Self {
        let [first, kind, l0, l1] = bytes;
        Self {
            version: first >> 6,
            padding: first & 0x20 != 0,
            count: first & 0x1f,
            kind,
            len: (u16::from_be_bytes([l0, l1]) as usize + 1) * 4,
        }
    }

    /// What follows the prefix, without padding; `None` if the padding does not fit.
    fn body<'p>(&self, packet: &'p [u8]) -> Option<&'p [u8]> {
        let body = packet.get(PREFIX..)?;
        if !self.padding {
            return Some(body);
        }
        let padding = usize::from(*body.last()?);
        body.get(..body.len().checked_sub(padding)?).filter(|_| padding > 0 && padding.is_multiple_of(4))
    }

    /// The shortest body that holds what is counted.
    const fn least(&self) -> usize {
        let count = self.count as usize;
        match self.kind {
            SR => SENDER + count * REPORT_BLOCK,
            RR => 4 + count * REPORT_BLOCK,
            BYE => count * 4,
            APP | RTPFB | PSFB => 8,
            XR => 4,
            _ => 0,
        }
    }
}

/// The packets of a [`Compound`].
#[derive(Clone, Debug)]
pub struct Packets<'p> {
    rest: &'p [u8],
}

impl<'p> Iterator for Packets<'p> {
    type Item = Packet<'p>;

    fn next(&mut self) -> Option<Packet<'p>> {
        let prefix = Prefix::new(*self.rest.first_chunk()?);
        let (packet, rest) = self.rest.split_at_checked(prefix.len)?;
        self.rest = rest;
        let body = prefix.body(packet)?;
        let blocks = |from: usize| ReportBlocks { rest: body.get(from..).unwrap_or_default(), left: prefix.count };
        Some(match prefix.kind {
            SR => Packet::SenderReport { ssrc: word(body)?, info: SenderInfo::read(body)?, blocks: blocks(SENDER) },
            RR => Packet::ReceiverReport { ssrc: word(body)?, blocks: blocks(4) },
            SDES => Packet::SourceDescription(Items { rest: body, ssrc: None }),
            BYE => {
                let (sources, reason) = body.split_at_checked(usize::from(prefix.count) * 4)?;
                let reason = reason.split_first().and_then(|(&len, text)| text.get(..usize::from(len)));
                Packet::Goodbye { sources: Sources { rest: sources }, reason: reason.unwrap_or_default() }
            }
            APP => Packet::Application { ssrc: word(body)?, subtype: prefix.count, name: *body[4..].first_chunk()? },
            RTPFB | PSFB => Packet::Feedback(Feedback {
                payload_specific: prefix.kind == PSFB,
                format: prefix.count,
                sender: word(body)?,
                media: word(&body[4..])?,
                control: &body[8..],
            }),
            XR => Packet::ExtendedReport { ssrc: word(body)?, blocks: ExtendedBlocks { rest: &body[4..] } },
            kind => Packet::Other { kind, body },
        })
    }
}

/// One packet of a compound.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Packet<'p> {
    /// SR (RFC 3550 §6.4.1).
    SenderReport {
        /// Who sends.
        ssrc: u32,
        /// What was sent.
        info: SenderInfo,
        /// What was received from others.
        blocks: ReportBlocks<'p>,
    },
    /// RR (RFC 3550 §6.4.2).
    ReceiverReport {
        /// Who sends the report.
        ssrc: u32,
        /// What was received from others.
        blocks: ReportBlocks<'p>,
    },
    /// SDES (RFC 3550 §6.5).
    SourceDescription(Items<'p>),
    /// BYE (RFC 3550 §6.6).
    Goodbye {
        /// Who leaves.
        sources: Sources<'p>,
        /// Why; often empty.
        reason: &'p [u8],
    },
    /// APP (RFC 3550 §6.7).
    Application {
        /// Who sends.
        ssrc: u32,
        /// Defined by name.
        subtype: u8,
        /// Four ASCII characters.
        name: [u8; 4],
    },
    /// RTPFB or PSFB (RFC 4585 §6.1).
    Feedback(Feedback<'p>),
    /// XR (RFC 3611 §2).
    ExtendedReport {
        /// Who sends.
        ssrc: u32,
        /// The report blocks.
        blocks: ExtendedBlocks<'p>,
    },
    /// A type that is not walked.
    Other {
        /// The packet type.
        kind: u8,
        /// What follows the first four bytes.
        body: &'p [u8],
    },
}

/// What a sender says it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SenderInfo {
    /// When, as an NTP timestamp.
    pub ntp: u64,
    /// The same moment on the clock of the stream.
    pub rtp_timestamp: u32,
    /// Packets since the start.
    pub packets: u32,
    /// Payload bytes since the start.
    pub bytes: u32,
}

impl SenderInfo {
    fn read(body: &[u8]) -> Option<Self> {
        let words = body.get(4..SENDER)?.as_chunks::<4>().0;
        let word = |i: usize| words.get(i).map(|&w| u32::from_be_bytes(w));
        Some(Self {
            ntp: u64::from(word(0)?) << 32 | u64::from(word(1)?),
            rtp_timestamp: word(2)?,
            packets: word(3)?,
            bytes: word(4)?,
        })
    }
}

/// What was received from one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ReportBlock {
    /// The source.
    pub ssrc: u32,
    /// Lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Lost since the start; below zero where packets came twice.
    pub cumulative_lost: i32,
    /// The highest sequence number, with a count of wraps above it.
    pub highest_sequence: u32,
    /// Interarrival jitter, in timestamp units.
    pub jitter: u32,
    /// The middle 32 bits of the NTP timestamp of the last sender report; 0 if there was none.
    pub last_sr: u32,
    /// Time since then, in 65,536ths of a second.
    pub delay_since_last_sr: u32,
}

/// The report blocks of a report.
#[derive(Clone, Debug)]
pub struct ReportBlocks<'p> {
    rest: &'p [u8],
    left: u8,
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        self.left = self.left.checked_sub(1)?;
        let (block, rest) = self.rest.split_at_checked(REPORT_BLOCK)?;
        self.rest = rest;
        let words = block.as_chunks::<4>().0;
        let word = |i: usize| words.get(i).map_or(0, |&w| u32::from_be_bytes(w));
        Some(ReportBlock {
            ssrc: word(0),
            fraction_lost: block[4],
            // 24 bits with their sign.
            cumulative_lost: (word(1) << 8).cast_signed() >> 8,
            highest_sequence: word(2),
            jitter: word(3),
            last_sr: word(4),
            delay_since_last_sr: word(5),
        })
    }
}

/// The sources of a BYE.
#[derive(Clone, Debug)]
pub struct Sources<'p> {
    rest: &'p [u8],
}

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let ssrc = word(self.rest)?;
        self.rest = &self.rest[4..];
        Some(ssrc)
    }
}

/// The items of an SDES; ends at the first that does not fit.
#[derive(Clone, Debug)]
pub struct Items<'p> {
    rest: &'p [u8],
    /// Of the chunk that is open, and its end is a zero byte.
    ssrc: Option<u32>,
}

/// A description of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'p> {
    /// The source.
    pub ssrc: u32,
    /// What it describes; 1 is the CNAME.
    pub kind: u8,
    /// UTF-8, not checked.
    pub text: &'p [u8],
}

impl<'p> Iterator for Items<'p> {
    type Item = Item<'p>;

    fn next(&mut self) -> Option<Item<'p>> {
        loop {
            let Some(ssrc) = self.ssrc else {
                self.ssrc = Some(word(self.rest)?);
                self.rest = &self.rest[4..];
                continue;
            };
            let (&kind, rest) = self.rest.split_first()?;
            if kind == 0 {
                // One to four zeros end a chunk, up to a multiple of 4; what follows it is such a multiple too.
                let next = (self.rest.len() - 1) / 4 * 4;
                self.rest = &self.rest[self.rest.len() - next..];
                self.ssrc = None;
                continue;
            }
            let (&len, rest) = rest.split_first()?;
            let (text, rest) = rest.split_at_checked(usize::from(len))?;
            self.rest = rest;
            return Some(Item { ssrc, kind, text });
        }
    }
}

/// A feedback message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'p> {
    /// PSFB (picture loss, full intra request, REMB), not RTPFB (NACK, transport-wide congestion control).
    pub payload_specific: bool,
    /// The feedback message type.
    pub format: u8,
    /// Who sends it.
    pub sender: u32,
    /// The source it is about.
    pub media: u32,
    /// Defined by format.
    pub control: &'p [u8],
}

/// The blocks of an XR; ends at the first that does not fit.
#[derive(Clone, Debug)]
pub struct ExtendedBlocks<'p> {
    rest: &'p [u8],
}

impl<'p> Iterator for ExtendedBlocks<'p> {
    type Item = ExtendedBlock<'p>;

    fn next(&mut self) -> Option<ExtendedBlock<'p>> {
        let (&[kind, specific, l0, l1], rest) = self.rest.split_first_chunk()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
        self.rest = rest;
        Some(ExtendedBlock { kind, specific, data })
    }
}

/// A block of an extended report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedBlock<'p> {
    /// The block type.
    pub kind: u8,
    /// Defined by type.
    pub specific: u8,
    /// What follows the first four bytes.
    pub data: &'p [u8],
}

impl ExtendedBlock<'_> {
    /// The VoIP metrics, if it is block type 7 (RFC 3611 §4.7).
    pub fn voip_metrics(&self) -> Option<VoipMetrics> {
        let data: &[u8; 32] = self.data.try_into().ok().filter(|_| self.kind == 7)?;
        let known = |value: u8| (value != 127).then_some(value);
        Some(VoipMetrics {
            ssrc: word(data)?,
            loss_rate: data[4],
            discard_rate: data[5],
            round_trip_ms: u16::from_be_bytes([data[12], data[13]]),
            end_system_ms: u16::from_be_bytes([data[14], data[15]]),
            r_factor: known(data[20]),
            mos_lq_tenths: known(data[22]),
            mos_cq_tenths: known(data[23]),
        })
    }
}

/// What a receiver says of the quality of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct VoipMetrics {
    /// The source.
    pub ssrc: u32,
    /// Lost since the start, in 256ths.
    pub loss_rate: u8,
    /// Came too late or early to be played, in 256ths.
    pub discard_rate: u8,
    /// Round trip between the RTP ends, in milliseconds.
    pub round_trip_ms: u16,
    /// Delay of the reporting end, in milliseconds.
    pub end_system_ms: u16,
    /// The R factor, 0 to 100.
    pub r_factor: Option<u8>,
    /// Listening quality, 10 to 50.
    pub mos_lq_tenths: Option<u8>,
    /// Conversational quality, 10 to 50.
    pub mos_cq_tenths: Option<u8>,
}

/// The first word of `bytes`.
fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|&b| u32::from_be_bytes(b))
}

#[cfg(test)]
mod tests;
