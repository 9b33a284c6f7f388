//! rtpengine's ng protocol, as a SIP proxy speaks it: bencode over UDP behind a cookie.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::token;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// A value of bencode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A dictionary, in the order in which it was written.
    Dict(Vec<(String, Value)>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<T: Into<Value> + Clone> From<&[T]> for Value {
    fn from(list: &[T]) -> Self {
        Self::List(list.iter().cloned().map(Into::into).collect())
    }
}

impl<T: Into<Value>, const N: usize> From<[T; N]> for Value {
    fn from(list: [T; N]) -> Self {
        Self::List(list.into_iter().map(Into::into).collect())
    }
}

impl Value {
    /// An empty dictionary.
    #[must_use]
    pub const fn dict() -> Self {
        Self::Dict(Vec::new())
    }

    /// The dictionary with one more entry.
    ///
    /// # Panics
    /// If this is no dictionary.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        let Self::Dict(entries) = &mut self else { panic!("no dictionary") };
        entries.push((key.to_owned(), value.into()));
        self
    }

    /// The value behind `key` of a dictionary.
    #[must_use]
    pub fn at(&self, key: &str) -> Option<&Value> {
        let Self::Dict(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The string behind `key` of a dictionary.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.at(key)? {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number behind `key` of a dictionary.
    #[must_use]
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.at(key)? {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The entries of a dictionary.
    #[must_use]
    pub fn entries(&self) -> &[(String, Value)] {
        if let Self::Dict(entries) = self { entries } else { &[] }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> &[Value] {
        if let Self::List(items) = self { items } else { &[] }
    }

    /// As bencode.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let text = |text: &str, out: &mut Vec<u8>| {
            out.extend_from_slice(format!("{}:{text}", text.len()).as_bytes());
        };
        match self {
            Self::Int(number) => out.extend_from_slice(format!("i{number}e").as_bytes()),
            Self::Text(string) => text(string, out),
            Self::List(items) => {
                out.push(b'l');
                items.iter().for_each(|item| item.write(out));
                out.push(b'e');
            }
            Self::Dict(entries) => {
                out.push(b'd');
                for (key, value) in entries {
                    text(key, out);
                    value.write(out);
                }
                out.push(b'e');
            }
        }
    }

    /// The value that `bytes` start with, and what follows it.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        match *bytes.first()? {
            b'i' => {
                let end = bytes.iter().position(|byte| *byte == b'e')?;
                let number = std::str::from_utf8(&bytes[1..end]).ok()?.parse().ok()?;
                Some((Self::Int(number), &bytes[end + 1..]))
            }
            open @ (b'l' | b'd') => {
                let (mut items, mut rest) = (Vec::new(), &bytes[1..]);
                while *rest.first()? != b'e' {
                    let (item, tail) = Self::decode(rest)?;
                    items.push(item);
                    rest = tail;
                }
                let value = if open == b'l' { Some(Self::List(items)) } else { paired(items) };
                Some((value?, &rest[1..]))
            }
            _ => {
                let colon = bytes.iter().position(|byte| *byte == b':')?;
                let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
                let text = bytes.get(colon + 1..)?.get(..length)?;
                Some((Self::Text(String::from_utf8_lossy(text).into_owned()), &bytes[colon + 1 + length..]))
            }
        }
    }
}

/// Keys and values in turn, as a dictionary.
fn paired(items: Vec<Value>) -> Option<Value> {
    let (mut entries, mut items) = (Vec::new(), items.into_iter());
    while let Some(key) = items.next() {
        let Value::Text(key) = key else { return None };
        entries.push((key, items.next()?));
    }
    Some(Value::Dict(entries))
}

/// As JSON, for people.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(items) => f.debug_list().entries(items).finish(),
            Self::Dict(entries) => f.debug_map().entries(entries.iter().map(|(key, value)| (key, value))).finish(),
        }
    }
}

/// A control peer of a relay.
#[derive(Debug)]
pub struct Ng {
    socket: UdpSocket,
}

impl Ng {
    /// A peer of the relay at `address`.
    ///
    /// # Panics
    /// If there is no socket for it.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        let local = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(local).expect("a socket");
        socket.connect(address).expect("an address");
        Self { socket }
    }

    /// Whether the relay answers a ping within `limit`.
    #[must_use]
    pub fn answers(&self, limit: Duration) -> bool {
        self.exchange(b"1_ping d7:command4:pinge", limit).is_some_and(|reply| reply.ends_with(b"d6:result4:ponge"))
    }

    /// Sends `bytes` as they are; gives what comes back within `limit`.
    #[must_use]
    pub fn exchange(&self, bytes: &[u8], limit: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(limit)).expect("a timeout");
        self.socket.send(bytes).ok()?;
        let mut buffer = vec![0; 65_536];
        let length = self.socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// Sends a request under a fresh cookie, and gives its reply.
    ///
    /// # Panics
    /// If none comes in time, or none that can be read.
    #[must_use]
    #[track_caller]
    pub fn ask(&self, request: &Value) -> Value {
        let cookie = token();
        let mut message = format!("{cookie} ").into_bytes();
        message.extend_from_slice(&request.encode());
        let start = Instant::now();
        let mut reply = self.exchange(&message, LIMIT);
        // What is late of an earlier request is not meant for this one.
        while start.elapsed() < LIMIT && reply.as_ref().is_some_and(|reply| !reply.starts_with(cookie.as_bytes())) {
            let mut buffer = vec![0; 65_536];
            let length = self.socket.recv(&mut buffer).unwrap_or(0);
            reply = Some(buffer[..length].to_vec());
        }
        let reply = reply.unwrap_or_else(|| panic!("no answer to {request:?}"));
        let body = reply.get(cookie.len() + 1..).and_then(Value::decode);
        body.unwrap_or_else(|| panic!("unreadable: {}", String::from_utf8_lossy(&reply))).0
    }

    /// Sends `command` with what else `entries` holds.
    #[must_use]
    #[track_caller]
    pub fn command(&self, command: &str, entries: Value) -> Value {
        let Value::Dict(rest) = entries else { panic!("no dictionary") };
        let mut request = vec![("command".to_owned(), command.into())];
        request.extend(rest);
        self.ask(&Value::Dict(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bencode_there_and_back() {
        let value = Value::dict().with("a", 7).with("b", ["x", "y"]).with("c", Value::dict().with("d", -1));
        let bytes = value.encode();
        assert_eq!(bytes, b"d1:ai7e1:bl1:x1:ye1:cd1:di-1eee");
        assert_eq!(Value::decode(&bytes), Some((value, &b""[..])));
        assert_eq!(Value::decode(b"d1:ae"), None);
        assert_eq!(Value::decode(b"5:abc"), None);
    }
}
