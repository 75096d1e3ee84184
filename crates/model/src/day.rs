//! Days of the calendar, in UTC.

use std::fmt;

use time::{Date, Month};

use crate::Timestamp;

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Julian day of 1970-01-01.
const EPOCH: i64 = 2_440_588;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i64);

impl Day {
    /// The day of a time.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.0.div_euclid(MICROS_PER_DAY))
    }

    /// From `yyyy-MM-dd`; anything after the day is ignored.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Timestamp::from_day(text).map(Self::of)
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(MICROS_PER_DAY))
    }

    /// So many days later.
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The first day of its month.
    #[must_use]
    pub fn month_start(self) -> Self {
        let date = self.date();
        Self::at(date.year(), date.month(), 1)
    }

    /// The last day of its month.
    #[must_use]
    pub fn month_end(self) -> Self {
        let date = self.date();
        let length = date.month().length(date.year());
        Self::at(date.year(), date.month(), length)
    }

    /// The first day of its year.
    #[must_use]
    pub fn year_start(self) -> Self {
        Self::at(self.date().year(), Month::January, 1)
    }

    /// The last day of its year.
    #[must_use]
    pub fn year_end(self) -> Self {
        Self::at(self.date().year(), Month::December, 31)
    }

    /// The nearest date that can be written.
    fn date(self) -> Date {
        let julian = self.0.saturating_add(EPOCH);
        let julian = i32::try_from(julian).unwrap_or(if julian < 0 { i32::MIN } else { i32::MAX });
        let limit = if julian < 0 { Date::MIN } else { Date::MAX };
        Date::from_julian_day(julian).unwrap_or(limit)
    }

    fn at(year: i32, month: Month, day: u8) -> Self {
        let date = Date::from_calendar_date(year, month, day).unwrap_or(Date::MAX);
        Self(i64::from(date.to_julian_day()) - EPOCH)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.date();
        write!(
            f,
            "{:04}-{:02}-{:02}",
            date.year(),
            u8::from(date.month()),
            date.day()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_and_years_end_where_the_calendar_says() {
        // A day, then the first and last day of its month.
        let table = [
            ("2024-02-10", "2024-02-01", "2024-02-29"),
            ("2023-02-28", "2023-02-01", "2023-02-28"),
            ("2024-12-31", "2024-12-01", "2024-12-31"),
            ("2100-02-01", "2100-02-01", "2100-02-28"),
            ("1970-01-01", "1970-01-01", "1970-01-31"),
            ("1969-12-31", "1969-12-01", "1969-12-31"),
        ];
        for (text, first, last) in table {
            let day = Day::parse(text).unwrap();
            assert_eq!(day.to_string(), text);
            assert_eq!(day.month_start().to_string(), first);
            assert_eq!(day.month_end().to_string(), last);
            assert_eq!(
                day.year_start().to_string(),
                format!("{}-01-01", &text[..4])
            );
            assert_eq!(day.year_end().to_string(), format!("{}-12-31", &text[..4]));
        }
    }

    #[test]
    fn a_day_lasts_from_midnight_to_midnight() {
        let day = Day::parse("2024-03-01T23:59:59Z").unwrap();
        let start = day.start();
        assert_eq!(start.iso8601(), "2024-03-01T00:00:00.000Z");
        assert_eq!(Day::of(start), day);
        assert_eq!(Day::of(Timestamp(start.0 - 1)), day.plus(-1));
        assert_eq!(Day::of(Timestamp(start.0 + MICROS_PER_DAY - 1)), day);
        for extreme in [i64::MIN, i64::MAX] {
            assert!(!Day(extreme).month_end().to_string().is_empty());
        }
        assert_eq!(Day::parse("2024-02-30"), None);
    }
}
