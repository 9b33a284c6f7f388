//! Intervals and what follows from them (RFC 9568 §6.1, RFC 3768 §6.1).

use core::time::Duration;

use crate::wire::vrrp::Version;

/// An Advertisement_Interval, in centiseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Interval(u16);

impl Interval {
    /// One second, the default of the standard.
    pub const DEFAULT: Self = Self(100);

    /// That many centiseconds.
    pub const fn from_centis(centis: u16) -> Self {
        Self(centis)
    }

    /// That many seconds.
    pub const fn from_secs(secs: u8) -> Self {
        Self(secs as u16 * 100)
    }

    /// In centiseconds.
    pub const fn as_centis(self) -> u16 {
        self.0
    }

    /// As a duration.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64 * 10)
    }

    /// Whether a version can carry it: whole seconds up to 255, or 1 to 4095 centiseconds.
    pub const fn fits(self, version: Version) -> bool {
        match version {
            Version::V2 => self.0 >= 100 && self.0 <= 25_500 && self.0.is_multiple_of(100),
            Version::V3 => self.0 >= 1 && self.0 <= 4_095,
        }
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Skew_Time: the lower the priority, the later. A share of the Active's interval in VRRPv3, of a second in VRRPv2.
pub const fn skew_time(version: Version, priority: u8, interval: Interval) -> Duration {
    let unit_us = match version {
        Version::V2 => 1_000_000,
        Version::V3 => interval.0 as u64 * 10_000,
    };
    Duration::from_micros((256 - priority as u64) * unit_us / 256)
}

/// Active_Down_Interval (Master_Down_Interval in VRRPv2): three intervals of the Active and the Skew_Time.
pub const fn active_down_interval(version: Version, priority: u8, interval: Interval) -> Duration {
    let three_us = interval.0 as u64 * 30_000;
    Duration::from_micros(three_us).saturating_add(skew_time(version, priority, interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standard_computes_them() {
        let down = |version, priority, centis| active_down_interval(version, priority, Interval(centis)).as_micros();
        assert_eq!(down(Version::V2, 90, 100), 3_648_437);
        assert_eq!(down(Version::V3, 90, 100), 3_648_437);
        assert_eq!(down(Version::V3, 90, 10), 364_843);
        assert_eq!(down(Version::V3, 90, 1), 36_484);
        assert_eq!(down(Version::V3, 254, 1), 30_078);
        assert_eq!(skew_time(Version::V2, 90, Interval(100)).as_micros(), 648_437);
        // VRRPv2 takes its share of a second, whatever the interval.
        assert_eq!(skew_time(Version::V2, 90, Interval(500)).as_micros(), 648_437);
        assert_eq!(skew_time(Version::V3, 90, Interval(500)).as_micros(), 3_242_187);
        assert_eq!(down(Version::V3, 1, 4_095), 122_850_000 + 40_790_039);
    }

    #[test]
    fn a_version_carries_what_its_field_holds() {
        for (centis, v2, v3) in [(0, false, false), (1, false, true), (100, true, true), (150, false, true)] {
            assert_eq!(Interval(centis).fits(Version::V2), v2, "{centis}");
            assert_eq!(Interval(centis).fits(Version::V3), v3, "{centis}");
        }
        assert!(Interval(4_095).fits(Version::V3) && !Interval(4_096).fits(Version::V3));
        assert!(Interval(25_500).fits(Version::V2) && !Interval(25_600).fits(Version::V2));
    }
}
