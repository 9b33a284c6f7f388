//! Session descriptions as a user agent without a codec needs them (RFC 8866, RFC 3264): the audio that is offered is
//! taken as it is offered, all other media are refused.

use std::net::{IpAddr, SocketAddr};

use trunkline_core::wire::sip::put::Put;

use super::dialog::Bytes;

/// Most media descriptions of one session.
const MEDIA_MAX: usize = 16;

/// Which way media flow, as the describing side sees it (RFC 8866 §6.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    fn parse(attribute: &[u8]) -> Option<Self> {
        match attribute {
            b"sendrecv" => Some(Self::SendRecv),
            b"sendonly" => Some(Self::SendOnly),
            b"recvonly" => Some(Self::RecvOnly),
            b"inactive" => Some(Self::Inactive),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// What the other side answers (RFC 3264 §6.1).
    const fn mirrored(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            both => both,
        }
    }

    /// Whether the describing side wants to receive.
    const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// What is wrong with a session description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SdpError {
    /// It does not follow the grammar.
    Malformed,
    /// It holds no audio over plain RTP.
    NoAudio,
}

/// One media description.
#[derive(Clone, Debug)]
struct Media<'b> {
    kind: &'b [u8],
    port: u16,
    protocol: &'b [u8],
    formats: &'b [u8],
    /// Its own `c=` line, if it has one: an address, or a name, which nothing is sent to.
    connection: Option<Option<IpAddr>>,
    direction: Option<Direction>,
    /// `rtpmap`, `fmtp`, `ptime` and `maxptime`, which an answer repeats.
    codec_lines: Vec<&'b [u8]>,
}

impl Media<'_> {
    fn is_plain_audio(&self) -> bool {
        self.kind == b"audio" && self.port != 0 && matches!(self.protocol, b"RTP/AVP" | b"RTP/AVPF")
    }
}

/// A session description that was received.
#[derive(Clone, Debug)]
pub(super) struct Session<'b> {
    ip: Option<IpAddr>,
    direction: Direction,
    times: &'b [u8],
    media: Vec<Media<'b>>,
}

/// The way to the peer's ear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MediaPath {
    /// Where the peer wants its media; `None` if it named no address that can be sent to.
    pub(super) remote: Option<SocketAddr>,
    /// Whether it wants any: not when it holds the call.
    pub(super) send: bool,
}

/// What we say of ourselves in a description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    /// Where we receive.
    pub(super) rtp: SocketAddr,
    /// Session identifier.
    pub(super) id: u64,
    /// Version; one more with each description that differs.
    pub(super) version: u64,
}

impl<'b> Session<'b> {
    /// Parses a description.
    pub(super) fn parse(body: &'b [u8]) -> Result<Self, SdpError> {
        let mut session =
            Session { ip: None, direction: Direction::SendRecv, times: b"0 0", media: Vec::with_capacity(1) };
        let mut lines = body.split(|b| *b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
        if lines.next() != Some(b"v=0") {
            return Err(SdpError::Malformed);
        }
        for line in lines.filter(|l| !l.is_empty()) {
            let [kind, b'=', value @ ..] = line else { return Err(SdpError::Malformed) };
            session.line(*kind, value)?;
        }
        Ok(session)
    }

    fn line(&mut self, kind: u8, value: &'b [u8]) -> Result<(), SdpError> {
        let media = self.media.last_mut();
        match (kind, media) {
            (b'm', _) => {
                if self.media.len() == MEDIA_MAX {
                    return Err(SdpError::Malformed);
                }
                self.media.push(media_line(value).ok_or(SdpError::Malformed)?);
            }
            (b'c', Some(media)) => media.connection = Some(connection(value)),
            (b'c', None) => self.ip = connection(value),
            (b't', None) => self.times = value,
            (b'a', Some(media)) => {
                if let Some(direction) = Direction::parse(value) {
                    media.direction = Some(direction);
                } else if [&b"rtpmap:"[..], b"fmtp:", b"ptime:", b"maxptime:"].iter().any(|p| value.starts_with(p)) {
                    media.codec_lines.push(value);
                }
            }
            (b'a', None) => self.direction = Direction::parse(value).unwrap_or(self.direction),
            _ => {}
        }
        Ok(())
    }

    fn audio(&self) -> Result<(usize, &Media<'b>), SdpError> {
        self.media.iter().enumerate().find(|(_, m)| m.is_plain_audio()).ok_or(SdpError::NoAudio)
    }

    /// Where the peer wants the audio of this description.
    pub(super) fn path(&self) -> Result<MediaPath, SdpError> {
        let (_, audio) = self.audio()?;
        let ip = audio.connection.unwrap_or(self.ip);
        // RFC 3264 §8.4: the null address is the old way to hold a call.
        let held = ip.is_some_and(|ip| ip.is_unspecified());
        Ok(MediaPath {
            remote: ip.filter(|_| !held).map(|ip| SocketAddr::new(ip, audio.port)),
            send: !held && audio.direction.unwrap_or(self.direction).receives(),
        })
    }

    /// Writes the answer to this offer: its first plain audio with all its formats, everything else refused.
    pub(super) fn answer(&self, local: &Local) -> Result<Vec<u8>, SdpError> {
        let (chosen, audio) = self.audio()?;
        let mut out = head(local, self.times);
        for (i, media) in self.media.iter().enumerate() {
            out.put(b"m=");
            out.put(media.kind);
            out.put(b" ");
            out.put_number(if i == chosen { u64::from(local.rtp.port()) } else { 0 });
            out.put(b" ");
            out.put(media.protocol);
            out.put(b" ");
            out.put(media.formats);
            out.put(b"\r\n");
            if i == chosen {
                for line in &media.codec_lines {
                    out.put(b"a=");
                    out.put(line);
                    out.put(b"\r\n");
                }
                out.put(b"a=");
                out.put(audio.direction.unwrap_or(self.direction).mirrored().as_str().as_bytes());
                out.put(b"\r\n");
            }
        }
        Ok(out.0)
    }
}

/// Writes an offer of G.711 and telephone events.
pub(super) fn offer(local: &Local) -> Vec<u8> {
    let mut out = head(local, b"0 0");
    out.put(b"m=audio ");
    out.put_number(u64::from(local.rtp.port()));
    out.put(b" RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n");
    out.put(b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n");
    out.0
}

fn head(local: &Local, times: &[u8]) -> Bytes {
    let mut out = Bytes(Vec::with_capacity(320));
    let family = if local.rtp.is_ipv4() { &b"IN IP4 "[..] } else { b"IN IP6 " };
    out.put(b"v=0\r\no=- ");
    out.put_number(local.id);
    out.put(b" ");
    out.put_number(local.version);
    out.put(b" ");
    out.put(family);
    out.put_ip(local.rtp.ip());
    out.put(b"\r\ns=-\r\nc=");
    out.put(family);
    out.put_ip(local.rtp.ip());
    out.put(b"\r\nt=");
    out.put(times);
    out.put(b"\r\n");
    out
}

fn media_line(value: &[u8]) -> Option<Media<'_>> {
    let mut parts = value.splitn(4, |b| *b == b' ');
    let (kind, port, protocol, formats) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // `port/count`: several ports of which the first is used.
    let port = std::str::from_utf8(port.split(|b| *b == b'/').next()?).ok()?.parse().ok()?;
    if kind.is_empty() || protocol.is_empty() || formats.is_empty() {
        return None;
    }
    Some(Media { kind, port, protocol, formats, connection: None, direction: None, codec_lines: Vec::new() })
}

/// The address of a `c=` line; `None` for a name.
fn connection(value: &[u8]) -> Option<IpAddr> {
    let mut parts = std::str::from_utf8(value).ok()?.split(' ');
    let (net, family, address) = (parts.next()?, parts.next()?, parts.next()?);
    if net != "IN" || !matches!(family, "IP4" | "IP6") {
        return None;
    }
    address.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: &str = "192.0.2.9:16500";

    fn local() -> Local {
        Local { rtp: LOCAL.parse().unwrap(), id: 7, version: 2 }
    }

    fn answer(offer: &str) -> Result<String, SdpError> {
        let session = Session::parse(offer.as_bytes())?;
        session.answer(&local()).map(|a| String::from_utf8(a).unwrap())
    }

    const HEAD: &str = "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=x\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

    #[test]
    fn the_first_audio_is_taken_as_offered_and_the_rest_refused() {
        let offer = format!(
            "{HEAD}m=video 4000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n\
             m=audio 5000 RTP/AVP 96 8 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=ssrc:1 cname:x\r\n\
             m=audio 5002 RTP/AVP 0\r\n"
        );
        assert_eq!(
            answer(&offer).unwrap(),
            "v=0\r\no=- 7 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n\
             m=video 0 RTP/AVP 96\r\n\
             m=audio 16500 RTP/AVP 96 8 101\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n\
             a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n\
             m=audio 0 RTP/AVP 0\r\n"
        );
    }

    #[test]
    fn directions_are_mirrored_and_hold_is_respected() {
        for (session_line, media_line, answered, send) in [
            ("", "", "sendrecv", true),
            ("", "a=sendrecv\r\n", "sendrecv", true),
            ("", "a=sendonly\r\n", "recvonly", false),
            ("", "a=recvonly\r\n", "sendonly", true),
            ("", "a=inactive\r\n", "inactive", false),
            ("a=sendonly\r\n", "", "recvonly", false),
            ("a=inactive\r\n", "a=sendrecv\r\n", "sendrecv", true),
            ("", "c=IN IP4 0.0.0.0\r\n", "sendrecv", false),
        ] {
            let offer = format!("{HEAD}{session_line}m=audio 5000 RTP/AVP 0\r\n{media_line}");
            let got = answer(&offer).unwrap();
            assert!(got.ends_with(&format!("a={answered}\r\n")), "{session_line}{media_line}: {got}");
            assert_eq!(Session::parse(offer.as_bytes()).unwrap().path().unwrap().send, send, "{offer}");
        }
    }

    #[test]
    fn the_address_of_the_media_stands_before_that_of_the_session() {
        let path = |offer: String| Session::parse(offer.as_bytes()).unwrap().path().unwrap().remote;
        assert_eq!(path(format!("{HEAD}m=audio 5000 RTP/AVP 0\r\n")), "192.0.2.1:5000".parse().ok());
        assert_eq!(
            path(format!("{HEAD}m=audio 5000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n")),
            "[2001:db8::1]:5000".parse().ok()
        );
        assert_eq!(path(format!("{HEAD}m=audio 5000 RTP/AVP 0\r\nc=IN IP4 host.example\r\n")), None);
    }

    #[test]
    fn what_cannot_be_taken() {
        for (offer, error) in [
            ("", SdpError::Malformed),
            ("v=1\r\n", SdpError::Malformed),
            ("v=0\r\nxyz\r\n", SdpError::Malformed),
            ("v=0\r\nm=audio\r\n", SdpError::Malformed),
            ("v=0\r\nm=audio 70000 RTP/AVP 0\r\n", SdpError::Malformed),
            ("v=0\r\n", SdpError::NoAudio),
            ("v=0\r\nm=audio 0 RTP/AVP 0\r\n", SdpError::NoAudio),
            ("v=0\r\nm=audio 5000 RTP/SAVP 0\r\n", SdpError::NoAudio),
        ] {
            assert_eq!(answer(offer).unwrap_err(), error, "{offer:?}");
        }
        assert_eq!(
            answer(&format!("v=0\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(17))).unwrap_err(),
            SdpError::Malformed
        );
    }

    #[test]
    fn our_offer_is_one_that_we_would_take() {
        let offer = offer(&local());
        let session = Session::parse(&offer).unwrap();
        assert_eq!(session.path().unwrap(), MediaPath { remote: LOCAL.parse().ok(), send: true });
    }
}
