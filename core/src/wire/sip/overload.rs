//! Overload control in the parameters of a Via (RFC 7339).

use core::time::Duration;

use super::via::Via;

/// What a client adds to its Via to say that it heeds overload control, by the algorithm that all must know
/// (RFC 7339 §4.1, §4.2).
pub const OFFER: &[u8] = b";oc;oc-algo=\"loss\"";

/// How long a report holds that does not say how long (RFC 7339 §4.3).
const VALIDITY_DEFAULT: Duration = Duration::from_millis(500);

/// What a server reports in the Via that we put on the request (RFC 7339 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct OverloadReport {
    /// `oc`: the share of requests that it wants to be spared, in percent.
    pub reduction_percent: u8,
    /// `oc-validity`: for how long. Zero ends the control.
    pub validity: Duration,
    /// `oc-seq` in thousandths, by which a report that was overtaken is known (§4.4). Zero where there is none.
    pub sequence: u64,
}

impl OverloadReport {
    /// Reads the report of a response. None where there is none, where its numbers make no sense, or where it is for an
    /// algorithm that was not offered: then the server gave nothing to act on.
    pub fn read(via: &Via<'_>) -> Option<Self> {
        let value = |name: &[u8]| via.params.value(name);
        if value(b"oc-algo").is_some_and(|algorithm| !algorithm.eq_ignore_ascii_case(b"loss")) {
            return None;
        }
        let validity = match value(b"oc-validity") {
            Some(digits) => Duration::from_millis(number(digits)?),
            None => VALIDITY_DEFAULT,
        };
        let reduction_percent = u8::try_from(number(value(b"oc")?)?).ok().filter(|percent| *percent <= 100)?;
        let sequence = match value(b"oc-seq") {
            Some(text) => thousandths(text)?,
            None => 0,
        };
        Some(Self { reduction_percent, validity, sequence })
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_digit))?;
    text.parse().ok()
}

/// `1*12DIGIT "." 1*5DIGIT` (RFC 7339 §9), to the thousandth.
fn thousandths(text: &[u8]) -> Option<u64> {
    let dot = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
    let whole = number(&text[..dot]).filter(|_| dot <= 12)?;
    let fraction = text.get(dot + 1..).unwrap_or_default();
    let mut fraction = fraction.iter().chain(core::iter::repeat(&b'0')).take(3);
    let fraction = fraction.try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u64::from(b - b'0')))?;
    Some(whole * 1_000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Option<OverloadReport> {
        let value = std::format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx{params}");
        OverloadReport::read(&Via::parse(value.as_bytes()).unwrap())
    }

    fn report(reduction_percent: u8, validity_ms: u64, sequence: u64) -> Option<OverloadReport> {
        Some(OverloadReport { reduction_percent, validity: Duration::from_millis(validity_ms), sequence })
    }

    #[test]
    fn reports() {
        for (params, expected) in [
            (";oc=20;oc-algo=\"loss\";oc-validity=500;oc-seq=1282321615.782", report(20, 500, 1_282_321_615_782)),
            (";oc=0", report(0, 500, 0)),
            (";OC=100;oc-validity=0", report(100, 0, 0)),
            (";oc=5;oc-seq=7.5", report(5, 500, 7_500)),
            (";oc=5;oc-seq=7", report(5, 500, 7_000)),
            ("", None),
            (";oc", None),
            (";oc;oc-algo=\"loss\"", None),
            (";oc=101", None),
            (";oc=-1", None),
            (";oc=20;oc-algo=\"rate\"", None),
            (";oc=20;oc-validity=soon", None),
            (";oc=20;oc-seq=99999999999999999999.1", None),
            (";oc=20;oc-seq=1.x", None),
        ] {
            assert_eq!(read(params), expected, "{params}");
        }
    }
}
