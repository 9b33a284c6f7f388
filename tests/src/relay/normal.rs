//! Replies without ports, keys and other values that each relay chooses for itself.

use std::collections::BTreeMap;

use crate::harness::Value;

/// The relays choose their ports from here on; ports below belong to the endpoints of a case.
const LOCAL_PORTS: u16 = 10_000;

/// Names for the values that one relay chose in one case, in the order in which they were seen. What was chosen again is
/// called the same again, so that a port that moves shows.
#[derive(Debug, Default)]
pub struct Normal {
    names: BTreeMap<(&'static str, String), String>,
    counts: BTreeMap<&'static str, usize>,
    /// All that the endpoints have sent: what comes back of it stays as it is.
    sent: String,
}

impl Normal {
    /// Notes what an endpoint sends.
    pub fn sent(&mut self, body: &str) {
        self.sent.push_str(body);
    }

    fn name(&mut self, kind: &'static str, value: &str) -> String {
        if !["PORT", "FOUNDATION"].contains(&kind) && !value.is_empty() && self.sent.contains(value) {
            return value.to_owned();
        }
        let counts = &mut self.counts;
        let name = self.names.entry((kind, value.to_owned())).or_insert_with(|| {
            let count = counts.entry(kind).or_default();
            *count += 1;
            format!("{kind}{count}")
        });
        name.clone()
    }

    fn port(&mut self, text: &str) -> String {
        match text.parse::<u16>() {
            Ok(port) if port >= LOCAL_PORTS => {
                let name = self.name("PORT", &(port & !1).to_string());
                if port % 2 == 0 { name } else { format!("{name}+1") }
            }
            _ => text.to_owned(),
        }
    }

    /// The lines of an SDP body: what the relay chose is named, attributes stand in alphabetical order.
    pub fn body(&mut self, text: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        let mut attributes: Vec<String> = Vec::new();
        for line in text.split_terminator('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.starts_with("m=") {
                attributes.sort();
                lines.append(&mut attributes);
            }
            match line.strip_prefix("a=") {
                Some(attribute) => attributes.push(format!("a={}", self.attribute(attribute))),
                None => lines.push(self.field(line)),
            }
        }
        attributes.sort();
        lines.append(&mut attributes);
        lines
    }

    fn field(&mut self, line: &str) -> String {
        if !line.starts_with("m=") {
            return line.to_owned();
        }
        self.words(line, |normal, at, word| if at == 1 { normal.port(word) } else { word.to_owned() })
    }

    fn words(&mut self, line: &str, mut change: impl FnMut(&mut Self, usize, &str) -> String) -> String {
        let words: Vec<_> = line.split(' ').enumerate().map(|(at, word)| change(self, at, word)).collect();
        words.join(" ")
    }

    fn attribute(&mut self, attribute: &str) -> String {
        let Some((name, value)) = attribute.split_once(':') else { return attribute.to_owned() };
        let value = match name {
            "rtcp" => self.words(value, |normal, at, word| if at == 0 { normal.port(word) } else { word.to_owned() }),
            "crypto" => {
                // Suites that one relay has and the other has not do not count.
                let kind = if value.contains(" F8_") || value.contains(" NULL_") { "ODD-KEY" } else { "KEY" };
                self.words(value, |normal, _, word| normal.crypto(kind, word))
            }
            "ice-ufrag" => self.name("UFRAG", value),
            "ice-pwd" => self.name("PWD", value),
            "fingerprint" => self.name("FINGERPRINT", value),
            "tls-id" => self.name("TLS-ID", value),
            "candidate" => self.words(value, |normal, at, word| match at {
                0 => normal.name("FOUNDATION", word),
                5 => normal.port(word),
                _ => word.to_owned(),
            }),
            _ => return attribute.to_owned(),
        };
        format!("{name}:{value}")
    }

    fn crypto(&mut self, kind: &'static str, word: &str) -> String {
        let Some(inline) = word.strip_prefix("inline:") else { return word.to_owned() };
        let (key, rest) = inline.split_at(inline.find('|').unwrap_or(inline.len()));
        // Its length shows whether it suits the suite.
        let bits = key.trim_end_matches('=').len() * 6 / 8;
        format!("inline:{}({bits}{}){rest}", self.name(kind, key.trim_end_matches('=')), padding(key))
    }

    /// The lines of a reply: of its body, and what else it says.
    pub fn reply(&mut self, reply: &Value) -> Vec<String> {
        let mut lines = Vec::new();
        for (key, value) in reply.entries() {
            match value {
                Value::Text(body) if key == "sdp" => lines.extend(self.body(body)),
                _ => self.flat(key, value, &mut lines),
            }
        }
        lines
    }

    /// One line a value, with the way to it.
    fn flat(&mut self, path: &str, value: &Value, lines: &mut Vec<String>) {
        match value {
            Value::Dict(entries) if entries.is_empty() => lines.push(format!("{path} = {{}}")),
            Value::Dict(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort();
                entries.into_iter().for_each(|(key, value)| self.flat(&format!("{path}/{key}"), value, lines));
            }
            Value::List(items) => {
                lines.push(format!("{path} has {}", items.len()));
                for (at, item) in items.iter().enumerate() {
                    self.flat(&format!("{path}/{at}"), item, lines);
                }
            }
            Value::Int(number) => {
                let key = path.rsplit('/').next().unwrap_or_default();
                let shown = match key {
                    "created" | "created_us" | "last signal" | "last packet" => "a time".to_owned(),
                    "local port" => self.port(&number.to_string()),
                    _ => number.to_string(),
                };
                lines.push(format!("{path} = {shown}"));
            }
            Value::Text(text) if path.ends_with("/local address") => {
                lines.push(format!("{path} = {}", self.name("LOCAL", text)));
            }
            Value::Text(text) => lines.push(format!("{path} = {text}")),
        }
    }
}

fn padding(key: &str) -> &'static str {
    if key.ends_with('=') { ", padded" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_keeps_its_name() {
        let mut normal = Normal::default();
        let first = normal.body("m=audio 20002 RTP/AVP 0\r\na=rtcp:20003\r\n");
        assert_eq!(first, ["m=audio PORT1 RTP/AVP 0", "a=rtcp:PORT1+1"]);
        let second = normal.body("m=audio 30000 RTP/AVP 0\r\na=rtcp:30000\r\nm=video 20002 RTP/AVP 9\r\n");
        assert_eq!(second, ["m=audio PORT2 RTP/AVP 0", "a=rtcp:PORT2", "m=video PORT1 RTP/AVP 9"]);
        assert_eq!(normal.body("m=audio 5000 RTP/AVP 0\r\n"), ["m=audio 5000 RTP/AVP 0"]);
    }

    #[test]
    fn keys_of_the_endpoints_stay() {
        let mut normal = Normal::default();
        normal.sent("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abcdefgh|2^31\r\n");
        let body = "a=crypto:1 X inline:abcdefgh|2^31 UNENCRYPTED_SRTP\r\na=crypto:2 Y inline:zzzz==\r\n";
        let wanted = ["a=crypto:1 X inline:abcdefgh(6)|2^31 UNENCRYPTED_SRTP", "a=crypto:2 Y inline:KEY1(3, padded)"];
        assert_eq!(normal.body(body), wanted);
    }

    #[test]
    fn attributes_are_sorted_within_their_section() {
        let body = "v=0\na=z\na=b\nm=audio 0 RTP/AVP 0\nc=x\na=y\na=c\n";
        let wanted = ["v=0", "a=b", "a=z", "m=audio 0 RTP/AVP 0", "c=x", "a=c", "a=y"];
        assert_eq!(Normal::default().body(body), wanted);
    }
}
