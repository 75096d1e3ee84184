//! Wall-clock time as a number, its text formats, and a clock that is not affected when the wall clock is set.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::{Rfc2822, Rfc3339};
use time::macros::format_description;

/// Microseconds since 1970-01-01 00:00 UTC.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From milliseconds since 1970.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From the duration since 1970.
    #[must_use]
    pub fn from_unix(since_1970: Duration) -> Self {
        Self(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds since `earlier`, rounded to the nearest.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        let micros = self.0.saturating_sub(earlier.0).max(0);
        micros.saturating_add(500_000) / 1_000_000
    }

    /// This time on another clock: what is a minute after `from` is a minute after `to`.
    #[must_use]
    pub const fn moved(self, from: Self, to: Self) -> Self {
        Self(self.0.saturating_sub(from.0).saturating_add(to.0))
    }

    /// `Fri, 5 Jul 2013 22:15:53 +0000`: the day without a leading zero.
    #[must_use]
    pub fn rfc2822_short_day(self) -> String {
        let text = self.rfc2822();
        text.replacen(", 0", ", ", 1)
    }

    /// `Fri, 05 Jul 2013 22:15:53 +0000` (RFC 2822).
    #[must_use]
    pub fn rfc2822(self) -> String {
        self.date().format(&Rfc2822).unwrap_or_default()
    }

    /// `2024-05-06T07:08:09.123Z` (ISO 8601, milliseconds, UTC).
    #[must_use]
    pub fn iso8601(self) -> String {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        self.date().format(&format).unwrap_or_default()
    }

    /// `2024-05-06T07:08:09Z` (ISO 8601, whole seconds, UTC).
    #[must_use]
    pub fn iso8601_seconds(self) -> String {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        self.date().format(&format).unwrap_or_default()
    }

    /// Midnight UTC at the start of a day written `yyyy-MM-dd`; anything after the day is ignored.
    #[must_use]
    pub fn from_day(text: &str) -> Option<Self> {
        let format = format_description!("[year]-[month]-[day]");
        let day = time::Date::parse(text.trim().get(..10)?, &format).ok()?;
        Some(Self(
            day.midnight()
                .assume_utc()
                .unix_timestamp()
                .checked_mul(1_000_000)?,
        ))
    }

    /// A time in RFC 3339 format: `2024-05-06T07:08:09Z`, optionally with fractions of seconds or
    /// another offset.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let moment = OffsetDateTime::parse(text.trim(), &Rfc3339).ok()?;
        let micros = moment.unix_timestamp_nanos() / 1_000;
        i64::try_from(micros).ok().map(Self)
    }

    fn date(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, earlier: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso8601())
    }
}

/// The wall time at which it started, plus the time that has passed since then.
///
/// The wall clock can be set forwards or backwards at any moment, so the difference of two of its
/// times is not a duration. **Invariant: the difference of two times of this clock is.** It does
/// not drift: on Linux, NTP corrects the rate of `Instant` together with that of the wall clock, so the two
/// differ only by the steps since the start.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    wall: Timestamp,
    start: Instant,
}

impl SteadyClock {
    /// Starts at a wall time, which is that of `start`.
    #[must_use]
    pub const fn new(wall: Timestamp, start: Instant) -> Self {
        Self { wall, start }
    }

    /// The time that it shows at an instant; before its start, that of its start.
    #[must_use]
    pub fn at(&self, now: Instant) -> Timestamp {
        self.wall + now.saturating_duration_since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time needs an origin")]
    fn a_steady_clock_shows_the_time_that_has_passed() {
        let start = Instant::now();
        let clock = SteadyClock::new(Timestamp(1_000_000), start);
        for (micros, shown) in [
            (0, 1_000_000),
            (1, 1_000_001),
            (86_400_000_000, 86_401_000_000),
        ] {
            assert_eq!(
                clock.at(start + Duration::from_micros(micros)),
                Timestamp(shown)
            );
        }
        if let Some(before) = start.checked_sub(Duration::from_millis(1)) {
            assert_eq!(
                clock.at(before),
                Timestamp(1_000_000),
                "it never runs backwards"
            );
        }
    }

    #[test]
    fn times_move_to_a_clock_that_was_set() {
        let table = [
            (1_060, 1_000, 400, 460),
            (940, 1_000, 400, 340),
            (1_060, 1_000, 1_000, 1_060),
            (i64::MAX, 0, 1, i64::MAX),
            (i64::MIN, 1, 0, i64::MIN),
        ];
        for (at, from, to, expected) in table {
            let moved = Timestamp(at).moved(Timestamp(from), Timestamp(to));
            assert_eq!(moved, Timestamp(expected), "{at} {from} {to}");
        }
    }

    #[test]
    fn writes_the_formats_of_the_api() {
        let time = Timestamp(1_373_062_553_123_456);
        assert_eq!(time.rfc2822(), "Fri, 05 Jul 2013 22:15:53 +0000");
        assert_eq!(time.rfc2822_short_day(), "Fri, 5 Jul 2013 22:15:53 +0000");
        assert_eq!(time.iso8601(), "2013-07-05T22:15:53.123Z");
        assert_eq!(
            Timestamp::from_day("2013-07-05T10")
                .map(|d| d.iso8601())
                .as_deref(),
            Some("2013-07-05T00:00:00.000Z")
        );
        assert_eq!(Timestamp::from_day("05.07.2013"), None);
    }

    #[test]
    fn reads_moments() {
        let table = [
            ("2013-07-05T22:15:53Z", Some(1_373_062_553_000_000)),
            ("2013-07-05T22:15:53.123456Z", Some(1_373_062_553_123_456)),
            ("2013-07-06T00:15:53+02:00", Some(1_373_062_553_000_000)),
            ("2013-07-05", None),
            ("2013-07-05T22:15:53", None),
        ];
        for (text, micros) in table {
            assert_eq!(
                Timestamp::from_rfc3339(text),
                micros.map(Timestamp),
                "{text}"
            );
        }
    }

    #[test]
    fn seconds_are_rounded_to_the_nearest() {
        let table = [
            (0, 0),
            (499, 0),
            (500, 1),
            (2_999, 3),
            (3_200, 3),
            (-5_000, 0),
        ];
        for (millis, seconds) in table {
            let start = Timestamp::from_millis(1_000_000);
            let end = Timestamp::from_millis(1_000_000 + millis);
            assert_eq!(end.seconds_since(start), seconds, "{millis} ms");
        }
    }
}
