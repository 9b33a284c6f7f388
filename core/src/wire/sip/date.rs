//! Date (RFC 3261 §20.17): the format of RFC 1123, always in GMT.

use core::fmt;

use super::token::{ALPHA, Cursor, DIGIT, decimal};
use crate::error::{ParseError, ParseErrorKind};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY_S: u64 = 86_400;

/// A point in calendar time from 1970 to 9999, to the second. `Display` gives a header field value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Date {
    unix_s: u64,
}

impl Date {
    /// The last second of the year 9999, after which the format has no digits.
    pub const MAX: Self = Self { unix_s: 253_402_300_799 };

    /// The date `unix_s` seconds after 1970-01-01 00:00:00 GMT; at most [`Date::MAX`].
    pub const fn from_unix_s(unix_s: u64) -> Self {
        if unix_s > Self::MAX.unix_s { Self::MAX } else { Self { unix_s } }
    }

    /// Seconds since 1970-01-01 00:00:00 GMT.
    pub const fn unix_s(self) -> u64 {
        self.unix_s
    }

    /// Parses a field value such as `Sat, 13 Nov 2010 23:29:00 GMT`.
    ///
    /// More lenient than the grammar: names in either case, a day of one digit, any linear white space. The day of the week
    /// must be one, but is not held against the date.
    ///
    /// # Errors
    /// `Syntax("Date")`, also for a zone other than GMT; `Number` for a day or time that there is not, and before 1970.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut c = Cursor::new(value, 0, "Date");
        c.skip_lws();
        name_of(&mut c, &WEEKDAYS)?;
        c.expect(b',')?;
        c.skip_lws();
        let day = digits(&mut c, 1, 2, 1, 31)?;
        space(&mut c)?;
        let month = name_of(&mut c, &MONTHS)? + 1;
        space(&mut c)?;
        let year_at = c.at;
        let year = digits(&mut c, 4, 4, 1970, 9999)?;
        space(&mut c)?;
        let hour = digits(&mut c, 2, 2, 0, 23)?;
        c.expect(b':')?;
        let minute = digits(&mut c, 2, 2, 0, 59)?;
        c.expect(b':')?;
        let second = digits(&mut c, 2, 2, 0, 59)?;
        space(&mut c)?;
        name_of(&mut c, &["GMT"])?;
        c.finish()?;
        let days = days_since_1970(year, month, day);
        let date = Self { unix_s: days * DAY_S + hour * 3_600 + minute * 60 + second };
        if date.civil() == (year, month, day) {
            Ok(date)
        } else {
            Err(ParseError::new(ParseErrorKind::Number, year_at))
        }
    }

    /// Year, month and day, months from 1.
    const fn civil(self) -> (u64, u64, u64) {
        // Years begin in March here, so that the leap day is the last of its year; eras are of 400 years.
        let days = self.unix_s / DAY_S + 719_468;
        let era = days / 146_097;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        (era * 400 + year_of_era + (month <= 2) as u64, month, day)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        let name =
            |names: &[&'static str], i: u64| usize::try_from(i).ok().and_then(|i| names.get(i).copied()).unwrap_or("");
        let weekday = name(&WEEKDAYS, (self.unix_s / DAY_S + 4) % 7);
        let month = name(&MONTHS, month - 1);
        let (hour, minute, second) = (self.unix_s % DAY_S / 3_600, self.unix_s % 3_600 / 60, self.unix_s % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// Days from 1970-01-01 to a date that is not before it. A day past the end of its month runs into the next one.
const fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let year_of_era = year % 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    year / 400 * 146_097 + day_of_era - 719_468
}

fn space(c: &mut Cursor<'_>) -> Result<(), ParseError> {
    if c.skip_lws() { Ok(()) } else { Err(c.error()) }
}

/// The index of the name at the cursor.
fn name_of(c: &mut Cursor<'_>, names: &[&str]) -> Result<u64, ParseError> {
    let at = c.error();
    let word = c.take_while(ALPHA).of(c.bytes);
    let index = names.iter().position(|n| word.eq_ignore_ascii_case(n.as_bytes())).ok_or(at)?;
    Ok(index as u64)
}

/// Reads from `shortest` to `longest` digits with a value from `least` to `most`.
fn digits(c: &mut Cursor<'_>, shortest: usize, longest: usize, least: u32, most: u32) -> Result<u64, ParseError> {
    let wrong = c.error();
    let span = c.take_while(DIGIT);
    if span.len() < shortest || span.len() > longest {
        return Err(wrong);
    }
    let number = decimal(span.of(c.bytes)).filter(|n| (least..=most).contains(n));
    number.map(u64::from).ok_or(ParseError::new(ParseErrorKind::Number, span.start))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::super::token::Text;
    use super::*;

    #[test]
    fn known_dates() {
        for (text, unix_s) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951_825_600),
            ("Sat, 13 Nov 2010 23:29:00 GMT", 1_289_690_940),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Date::MAX.unix_s()),
        ] {
            assert_eq!(Date::parse(text.as_bytes()).unwrap().unix_s(), unix_s, "{text}");
            assert_eq!(Date::from_unix_s(unix_s).to_string(), text);
        }
        assert_eq!(Date::from_unix_s(u64::MAX), Date::MAX);
        assert_eq!(Date::parse(b" sat,1 jan\r\n 2011  00:00:01 gmt ").unwrap().unix_s(), 1_293_840_001);
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [
            &b""[..],
            b"Fri, 01 Jan 2010 16:00:00 EST",
            b"Fri, 01 Jan 2010 16:00:00",
            b"Fri, 29 Feb 2001 00:00:00 GMT",
            b"Fri, 31 Apr 2001 00:00:00 GMT",
            b"Fri, 00 Jan 2010 00:00:00 GMT",
            b"Fri, 01 Jan 2010 24:00:00 GMT",
            b"Fri, 01 Jan 2010 00:60:00 GMT",
            b"Fri, 01 Jan 2010 00:00:60 GMT",
            b"Fri, 01 Jan 1969 00:00:00 GMT",
            b"Fri, 01 Jan 10 00:00:00 GMT",
            b"Fri 01 Jan 2010 00:00:00 GMT",
            b"Foo, 01 Jan 2010 00:00:00 GMT",
            b"Fri, 01 Foo 2010 00:00:00 GMT",
            b"Fri, 01 Jan 2010 0:00:00 GMT",
            b"Fri, 01 Jan 2010 00:00:00 GMT x",
        ] {
            assert!(Date::parse(bad).is_err(), "{:?}", Text(bad));
        }
    }

    proptest! {
        #[test]
        fn format_and_parse_agree(unix_s in 0..=Date::MAX.unix_s) {
            let date = Date::from_unix_s(unix_s);
            prop_assert_eq!(Date::parse(date.to_string().as_bytes()), Ok(date));
        }
    }
}
