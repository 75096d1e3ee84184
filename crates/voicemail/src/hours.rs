//! Opening hours, and times as people in the zone of a box say them.

use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp as Instant, ZonedDateTime};
use model::Timestamp;

use crate::settings::Refused;

/// Days in the order of a week.
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// Minutes of a day.
const DAY: i32 = 24 * 60;

/// When a box counts as open: parts such as `Mon-Fri 09:00-17:00`, separated by commas; none for always. A part that ends before
/// it begins lasts until the next day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hours(Vec<Part>);

/// Some days, and the minutes of the day at which it begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    days: [bool; 7],
    from: i32,
    until: i32,
}

impl FromStr for Hours {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        let read = |text: &str| {
            part(text).ok_or_else(|| {
                Refused(format!(
                    "`{}` must be days and times such as `Mon-Fri 09:00-17:00` or `Sat 10:00-14:00`, \
                     with a comma before the next",
                    model::text::one_line(text)
                ))
            })
        };
        parts.map(read).collect::<Result<_, _>>().map(Self)
    }
}

fn part(text: &str) -> Option<Part> {
    let (days, times) = text.split_once(char::is_whitespace)?;
    let (from, until) = times.trim().split_once('-')?;
    let (from, until) = (minute(from)?, minute(until)?);
    (from != until && from < DAY).then_some(())?;
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (day(first)?, day(last)?);
    let mut chosen = [false; 7];
    let mut at = first;
    loop {
        chosen[at] = true;
        if at == last {
            break;
        }
        at = (at + 1) % 7;
    }
    Some(Part {
        days: chosen,
        from,
        until,
    })
}

fn day(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    DAYS.iter().position(|(name, _)| *name == text)
}

/// A time such as `09:00`, in minutes; `24:00` is the end of the day.
fn minute(text: &str) -> Option<i32> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    (digits(hour) && digits(minute)).then_some(())?;
    let (hour, minute): (i32, i32) = (hour.parse().ok()?, minute.parse().ok()?);
    let at = hour * 60 + minute;
    (minute < 60 && at <= DAY).then_some(at)
}

impl Hours {
    /// Whether it is open at a time.
    ///
    /// - `zone`: name of the time zone; an unknown one counts as UTC
    #[must_use]
    pub fn are_open(&self, zone: &str, now: Timestamp) -> bool {
        let local = local(zone, now);
        let weekday = DAYS.iter().position(|(_, day)| *day == local.weekday());
        let (today, minute) = (
            weekday.unwrap_or_default(),
            i32::from(local.hour()) * 60 + i32::from(local.minute()),
        );
        let yesterday = (today + 6) % 7;
        self.0.is_empty()
            || self.0.iter().any(|part| {
                let over_night = part.until <= part.from;
                let since_today = part.days[today] && part.from <= minute;
                let since_yesterday = part.days[yesterday] && over_night;
                (since_today && (over_night || minute < part.until))
                    || (since_yesterday && minute < part.until)
            })
    }
}

/// The time zone of this name, in any letter case.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    jiff::tz::db().get(name).ok()
}

/// A time in a zone; in UTC if the zone is unknown.
pub(crate) fn local(name: &str, at: Timestamp) -> ZonedDateTime {
    let instant = Instant::from_microsecond(at.0).unwrap_or(Instant::UNIX_EPOCH);
    instant.to_zoned_datetime(zone(name).unwrap_or(TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    #[test]
    fn hours_are_those_of_the_zone_also_when_clocks_change() {
        let hours: Hours = "Mon-Fri 09:00-17:00, Sat 10:00-14:00".parse().unwrap();
        let table = [
            // A Tuesday in winter, and one in summer.
            ("2026-12-01T08:00:00Z", true),
            ("2026-12-01T07:59:59Z", false),
            ("2026-12-01T15:59:59Z", true),
            ("2026-12-01T16:00:00Z", false),
            ("2026-07-07T07:00:00Z", true),
            ("2026-07-07T15:00:00Z", false),
            // Saturday and Sunday.
            ("2026-12-05T09:30:00Z", true),
            ("2026-12-05T13:00:00Z", false),
            ("2026-12-06T12:00:00Z", false),
        ];
        for (time, open) in table {
            assert_eq!(hours.are_open("Europe/Berlin", at(time)), open, "{time}");
        }
        assert!(Hours::default().are_open("Europe/Berlin", at("2026-12-06T12:00:00Z")));
    }

    #[test]
    fn hours_can_last_over_night_and_over_the_end_of_the_week() {
        let hours: Hours = "fri-mon 22:00-06:00".parse().unwrap();
        let table = [
            ("2026-12-04T21:59:00Z", false),
            ("2026-12-04T22:00:00Z", true),
            ("2026-12-05T05:59:00Z", true),
            ("2026-12-05T06:00:00Z", false),
            // The night from Monday to Tuesday, and the next one.
            ("2026-12-08T05:00:00Z", true),
            ("2026-12-09T05:00:00Z", false),
        ];
        for (time, open) in table {
            assert_eq!(hours.are_open("UTC", at(time)), open, "{time}");
        }
        let whole: Hours = "Mon-Sun 00:00-24:00".parse().unwrap();
        assert!(whole.are_open("UTC", at("2026-12-09T23:59:59Z")));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for wrong in [
            "Mon",
            "Mon 9:00-17:00",
            "Mon 09:00",
            "Mon 09:00-09:00",
            "Mon 24:00-25:00",
            "Day 09:00-17:00",
            "Mon 09:60-17:00",
            "Mon-Fri 09:00-17:00 Sat 10:00-14:00",
        ] {
            let refused = wrong.parse::<Hours>().unwrap_err().to_string();
            assert!(refused.contains(wrong), "{refused}");
        }
    }
}
