//! Header field names (RFC 3261 §7.3.1, §20): known ones as a number, with their compact forms.

macro_rules! header_names {
    ($($(#[$doc:meta])* $variant:ident = $text:literal $(/ $compact:literal)?,)*) => {
        /// The name of a header field. Names this code has no use for are [`HeaderName::Other`] and keep their bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum HeaderName {
            $(#[doc = concat!("`", $text, "`")] $(#[$doc])* $variant,)*
            /// Any other name.
            Other,
        }

        impl HeaderName {
            /// Number of names, [`HeaderName::Other`] included.
            pub const COUNT: usize = HeaderName::Other as usize + 1;
            const TEXTS: [&'static str; Self::COUNT] = [$($text,)* ""];
            const COMPACT: &'static [(u8, HeaderName)] = &[$($((
                $compact, HeaderName::$variant
            ),)?)*];
            const ALL: [HeaderName; Self::COUNT] = [$(HeaderName::$variant,)* HeaderName::Other];
        }
    };
}

header_names! {
    Via = "Via" / b'v',
    From = "From" / b'f',
    To = "To" / b't',
    CallId = "Call-ID" / b'i',
    CSeq = "CSeq",
    MaxForwards = "Max-Forwards",
    Contact = "Contact" / b'm',
    ContentLength = "Content-Length" / b'l',
    ContentType = "Content-Type" / b'c',
    Route = "Route",
    RecordRoute = "Record-Route",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported" / b'k',
    Unsupported = "Unsupported",
    Allow = "Allow",
    Expires = "Expires",
    MinExpires = "Min-Expires",
    UserAgent = "User-Agent",
    Server = "Server",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    SessionExpires = "Session-Expires" / b'x',
    MinSe = "Min-SE",
    RetryAfter = "Retry-After",
    Warning = "Warning",
    Reason = "Reason",
    Path = "Path",
    ServiceRoute = "Service-Route",
    Subject = "Subject" / b's',
    Accept = "Accept",
    ReferTo = "Refer-To" / b'r',
    ReferredBy = "Referred-By" / b'b',
    Replaces = "Replaces",
    Event = "Event" / b'o',
    Date = "Date",
    Timestamp = "Timestamp",
    RAck = "RAck",
    RSeq = "RSeq",
    PAssertedIdentity = "P-Asserted-Identity",
    Privacy = "Privacy",
    ContentEncoding = "Content-Encoding" / b'e',
    ErrorInfo = "Error-Info",
}

/// For each (length, first letter) pair of a known name there are at most a few candidates; this finds the first of
/// them, the rest follow in `NEXT`. Built at compile time so that a look-up is one load and one comparison.
const BUCKETS: usize = 256;
const NONE: u8 = u8::MAX;

const fn bucket(len: usize, first: u8, last: u8) -> usize {
    (len.wrapping_mul(37) ^ ((first | 0x20) as usize).wrapping_mul(5) ^ ((last | 0x20) as usize).wrapping_mul(11))
        % BUCKETS
}

struct Lookup {
    head: [u8; BUCKETS],
    next: [u8; HeaderName::COUNT],
}

const LOOKUP: Lookup = {
    let mut head = [NONE; BUCKETS];
    let mut next = [NONE; HeaderName::COUNT];
    let mut i = HeaderName::COUNT - 1;
    while i > 0 {
        i -= 1;
        let t = HeaderName::TEXTS[i].as_bytes();
        let b = bucket(t.len(), t[0], t[t.len() - 1]);
        next[i] = head[b];
        head[b] = i as u8;
    }
    Lookup { head, next }
};

/// Whether `name` is `text` but for its case, eight bytes at a time: most fields of every message pass here. `text` is
/// of letters and `-`, which bit 5 tells apart from nothing but their other case, and a CR that no name holds.
#[inline]
fn is_same(name: &[u8], text: &[u8]) -> bool {
    const CASE: u64 = u64::from_ne_bytes([0x20; 8]);
    let ((a, a_rest), (b, b_rest)) = (name.as_chunks(), text.as_chunks());
    let words = a.iter().zip(b).fold(0, |d, (a, b)| d | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)));
    let rest = a_rest.iter().zip(b_rest).fold(0, |d, (a, b)| d | (a ^ b));
    name.len() == text.len() && words & !CASE == 0 && rest & !0x20 == 0
}

impl HeaderName {
    /// The name in `bytes`, long or compact, in any case.
    pub fn parse(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Other,
            [c] => {
                let c = c.to_ascii_lowercase();
                Self::COMPACT.iter().find(|(k, _)| *k == c).map_or(Self::Other, |(_, n)| *n)
            }
            [first, .., last] => {
                let mut i = LOOKUP.head[bucket(bytes.len(), *first, *last)];
                while i != NONE {
                    if is_same(bytes, Self::TEXTS[usize::from(i)].as_bytes()) {
                        return Self::ALL[usize::from(i)];
                    }
                    i = LOOKUP.next[usize::from(i)];
                }
                Self::Other
            }
        }
    }

    /// The name in its long form; empty for [`HeaderName::Other`].
    pub const fn as_str(self) -> &'static str {
        Self::TEXTS[self as usize]
    }

    /// The index of the name, below [`HeaderName::COUNT`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for n in HeaderName::ALL {
            if n == HeaderName::Other {
                continue;
            }
            let t = n.as_str();
            assert_eq!(HeaderName::parse(t.as_bytes()), n);
            assert_eq!(HeaderName::parse(t.to_ascii_uppercase().as_bytes()), n);
            assert_eq!(HeaderName::parse(t.to_ascii_lowercase().as_bytes()), n);
        }
    }

    #[test]
    fn compact_forms() {
        // RFC 3261 §7.3.3, §20; RFC 4028 (x), RFC 3515 (r), RFC 3892 (b), RFC 3265 (o).
        for (c, n) in [
            ("v", HeaderName::Via),
            ("F", HeaderName::From),
            ("t", HeaderName::To),
            ("i", HeaderName::CallId),
            ("M", HeaderName::Contact),
            ("l", HeaderName::ContentLength),
            ("c", HeaderName::ContentType),
            ("k", HeaderName::Supported),
            ("x", HeaderName::SessionExpires),
            ("r", HeaderName::ReferTo),
            ("b", HeaderName::ReferredBy),
            ("o", HeaderName::Event),
            ("s", HeaderName::Subject),
            ("e", HeaderName::ContentEncoding),
        ] {
            assert_eq!(HeaderName::parse(c.as_bytes()), n, "{c}");
        }
        assert_eq!(HeaderName::parse(b"z"), HeaderName::Other);
    }

    #[test]
    fn strangers_are_other() {
        for t in ["X-Via", "Vi", "Call_ID", "NewFangledHeader", ""] {
            assert_eq!(HeaderName::parse(t.as_bytes()), HeaderName::Other, "{t}");
        }
    }
}
