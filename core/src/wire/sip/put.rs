//! Writing bytes without `core::fmt` where it matters.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// Something bytes are written to. Writing never fails; what does not fit is remembered by the writer.
pub trait Put {
    /// Writes `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Writes `n` in decimal.
    fn put_number(&mut self, mut n: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (n % 10) as u8;
            n /= 10;
            if n == 0 {
                break;
            }
        }
        self.put(&digits[at..]);
    }

    /// Writes an address without brackets, as `received` and SDP have it.
    fn put_ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(v4) => {
                for (i, octet) in v4.octets().into_iter().enumerate() {
                    if i > 0 {
                        self.put(b".");
                    }
                    self.put_number(u64::from(octet));
                }
            }
            IpAddr::V6(v6) => self.put_display(&v6),
        }
    }

    /// Writes an address as a URI or a `sent-by` has it: IPv6 in brackets.
    fn put_host(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(_) => self.put_ip(ip),
            IpAddr::V6(_) => {
                self.put(b"[");
                self.put_ip(ip);
                self.put(b"]");
            }
        }
    }

    /// Writes `host:port`.
    fn put_host_port(&mut self, addr: SocketAddr) {
        self.put_host(addr.ip());
        self.put(b":");
        self.put_number(u64::from(addr.port()));
    }

    /// Writes what `value` displays.
    fn put_display(&mut self, value: &dyn fmt::Display) {
        struct Adapter<'p, P: ?Sized>(&'p mut P);
        impl<P: Put + ?Sized> fmt::Write for Adapter<'_, P> {
            fn write_str(&mut self, s: &str) -> fmt::Result {
                self.0.put(s.as_bytes());
                Ok(())
            }
        }
        // The adapter never fails; a `Display` that does has nothing more to say.
        let _ = fmt::write(&mut Adapter(self), format_args!("{value}"));
    }
}

/// Writes into a slice.
pub struct Writer<'w> {
    out: &'w mut [u8],
    len: usize,
    overflow: bool,
}

impl<'w> Writer<'w> {
    /// A writer that starts at the beginning of `out`.
    pub const fn new(out: &'w mut [u8]) -> Self {
        Self { out, len: 0, overflow: false }
    }

    /// What was written; `None` if it did not fit.
    pub fn finish(self) -> Option<&'w [u8]> {
        if self.overflow { None } else { Some(&self.out[..self.len]) }
    }
}

impl Put for Writer<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..self.len + bytes.len()) {
            Some(room) if !self.overflow => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.overflow = true,
        }
    }
}

/// Counts what would be written.
#[derive(Default)]
pub struct Counter(
    /// Bytes so far.
    pub usize,
);

impl Put for Counter {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }
}

/// A small text of fixed capacity.
#[derive(Clone, Debug, Default)]
pub struct Text<const N: usize> {
    bytes: heapless::Vec<u8, N>,
    overflow: bool,
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const fn new() -> Self {
        Self { bytes: heapless::Vec::new(), overflow: false }
    }

    /// The text written by `f`.
    pub fn with(f: impl FnOnce(&mut Self)) -> Self {
        let mut t = Self::new();
        f(&mut t);
        t
    }

    /// What was written, up to the capacity.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether something did not fit.
    pub const fn overflowed(&self) -> bool {
        self.overflow
    }

    /// Bytes written.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl<const N: usize> Put for Text<N> {
    fn put(&mut self, bytes: &[u8]) {
        self.overflow |= self.bytes.extend_from_slice(bytes).is_err();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_addresses() {
        let mut t = Text::<64>::new();
        t.put_number(0);
        t.put(b" ");
        t.put_number(u64::MAX);
        t.put(b" ");
        t.put_host_port("192.0.2.1:5060".parse().unwrap());
        t.put(b" ");
        t.put_host_port("[2001:db8::1]:5060".parse().unwrap());
        assert_eq!(t.as_bytes(), &b"0 18446744073709551615 192.0.2.1:5060 [2001:db8::1]:5060"[..]);
    }

    #[test]
    fn overflow_is_remembered() {
        let mut buf = [0; 4];
        let mut w = Writer::new(&mut buf);
        w.put(b"abc");
        w.put(b"de");
        w.put(b"f");
        assert!(w.finish().is_none());
        let t = Text::<2>::with(|t| t.put(b"abc"));
        assert!(t.overflowed());
    }
}
