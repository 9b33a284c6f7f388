//! SIP messages as a test reads them: a reader of its own, so that no mistake of the server's parser hides here.

use std::net::SocketAddr;

/// A request or response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    start_line: String,
    fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

const COMPACT: &[(&str, &str)] = &[
    ("v", "Via"),
    ("f", "From"),
    ("t", "To"),
    ("i", "Call-ID"),
    ("m", "Contact"),
    ("l", "Content-Length"),
    ("c", "Content-Type"),
    ("k", "Supported"),
];

impl Message {
    /// The first message in `bytes` and how long it is; `None` if it is not whole. Without Content-Length it has no
    /// body if `stream`, else all that there is.
    #[must_use]
    pub fn read(bytes: &[u8], stream: bool) -> Option<(Self, usize)> {
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let message = &bytes[blank..];
        let head = message.windows(4).position(|window| window == b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&message[..head]).replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = text.split("\r\n");
        let start_line = lines.next()?.to_owned();
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (full_name(name.trim()), value.trim().to_owned())).collect();
        let mut read = Self { start_line, fields, body: Vec::new() };
        let rest = &message[head + 4..];
        let length = match read.field("Content-Length") {
            Some(length) => length.parse().ok()?,
            None if stream => 0,
            None => rest.len(),
        };
        read.body = rest.get(..length)?.to_vec();
        Some((read, blank + head + 4 + length))
    }

    /// The start line.
    #[must_use]
    pub fn start_line(&self) -> &str {
        &self.start_line
    }

    /// The status code of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.start_line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The reason phrase of a response.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.start_line.splitn(3, ' ').nth(2).unwrap_or_default()
    }

    /// The method of a request; of a response, the one in CSeq.
    #[must_use]
    pub fn method(&self) -> &str {
        if self.status().is_some() {
            return self.field("CSeq").and_then(|cseq| cseq.split_whitespace().nth(1)).unwrap_or_default();
        }
        self.start_line.split(' ').next().unwrap_or_default()
    }

    /// The Request-URI.
    #[must_use]
    pub fn request_uri(&self) -> &str {
        self.start_line.split(' ').nth(1).unwrap_or_default()
    }

    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All values of a field that is a list, in order, however they are spread over lines.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, value)| split_list(value)).collect()
    }

    /// The Call-ID.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.field("Call-ID").unwrap_or_default()
    }

    /// The branch of the topmost Via.
    #[must_use]
    pub fn branch(&self) -> &str {
        let via = self.values("Via").first().copied().unwrap_or_default();
        via.split(';').find_map(|param| param.trim().strip_prefix("branch=")).unwrap_or_default()
    }

    /// The parameter `tag` of From or To.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        let value = self.field(name)?;
        let params = value.rsplit_once('>').map_or(value, |(_, params)| params);
        params.split(';').find_map(|param| param.trim().strip_prefix("tag="))
    }
}

fn full_name(name: &str) -> String {
    let compact = COMPACT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    compact.map_or(name, |(_, full)| full).to_owned()
}

/// The values of a comma-separated list, where commas in quotes and angle brackets do not count.
fn split_list(text: &str) -> Vec<&str> {
    let (mut values, mut start, mut quoted, mut angle) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'<' if !quoted => angle = true,
            b'>' if !quoted => angle = false,
            b',' if !quoted && !angle => {
                values.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    values.push(text[start..].trim());
    values
}

/// The URI of a name-addr or addr-spec.
#[must_use]
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default(),
    }
}

/// The address and port of a SIP URI whose host is an address, and whether it asks for TCP.
#[must_use]
pub fn host_port(uri: &str) -> Option<(SocketAddr, bool)> {
    let rest = uri.strip_prefix("sip:")?;
    let tcp = rest.to_ascii_lowercase().contains(";transport=tcp");
    let hostport = rest.split([';', '?']).next()?.rsplit('@').next()?;
    let address = hostport.parse().ok().or_else(|| {
        let host = hostport.trim_start_matches('[').trim_end_matches(']');
        Some(SocketAddr::new(host.parse().ok()?, 5060))
    })?;
    Some((address, tcp))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] =
        b"\r\nSIP/2.0 200 All Right\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1,\r\n SIP/2.0/UDP b;branch=z9hG4bK2\r\n\
        To: \"A, B\" <sip:b@x;tag=no>;tag=yes\r\nRecord-Route: <sip:a;lr>, <sip:b,c;lr>\r\nRecord-Route: <sip:d;lr>\r\n\
        CSeq: 1 INVITE\r\nl: 3\r\n\r\nabcdef";

    #[test]
    fn a_message_is_read_with_short_and_folded_fields() {
        let (message, length) = Message::read(BYTES, true).unwrap();
        assert_eq!((message.status(), message.reason(), message.method()), (Some(200), "All Right", "INVITE"));
        assert_eq!((message.branch(), message.tag("To")), ("z9hG4bK1", Some("yes")));
        assert_eq!(message.values("Via").len(), 2);
        assert_eq!(message.values("Record-Route"), ["<sip:a;lr>", "<sip:b,c;lr>", "<sip:d;lr>"]);
        assert_eq!((message.body.as_slice(), &BYTES[length..]), (&b"abc"[..], &b"def"[..]));
    }

    #[test]
    fn a_part_of_a_message_is_none() {
        for length in 0..BYTES.len() - 3 {
            assert_eq!(Message::read(&BYTES[..length], true), None, "{length}");
        }
    }

    #[test]
    fn uris_have_addresses() {
        let tcp = host_port(uri_of("<sip:x@127.1.2.3:5070;transport=tcp;lr>")).unwrap();
        assert_eq!(tcp, ("127.1.2.3:5070".parse().unwrap(), true));
        assert_eq!(host_port("sip:[::1]:6000;lr").unwrap().0, "[::1]:6000".parse().unwrap());
        assert_eq!(host_port("sip:127.0.0.1").unwrap(), ("127.0.0.1:5060".parse().unwrap(), false));
        assert_eq!(host_port("sip:example.com"), None);
    }
}
