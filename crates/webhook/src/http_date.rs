//! Dates in HTTP headers, read as leniently as RFC 6265 §5.1.1 requires.

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`; zones are not read.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = time_of_day(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = leading_number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = month_number(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = leading_number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let year = match year? {
        year @ 70..=99 => year + 1900,
        year @ 0..=69 => year + 2000,
        year => year,
    };
    let (day, month) = (day?, month?);
    let valid = year >= 1601 && (1..=31).contains(&day);
    valid
        .then(|| days_since_1970(year, month, day) * 86_400 + time.unwrap_or(0))
        .filter(|_| time.is_some())
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~')
}

/// Seconds since midnight of `hh:mm:ss`.
fn time_of_day(token: &str) -> Option<i64> {
    let mut parts = token.splitn(3, ':');
    let mut part = || leading_number(parts.next()?, 1, 2);
    let (hour, minute, second) = (part()?, part()?, part()?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

/// A number with this many digits, followed by anything but a digit.
fn leading_number(token: &str, least: usize, most: usize) -> Option<i64> {
    let length = token.bytes().take_while(u8::is_ascii_digit).count();
    (least..=most)
        .contains(&length)
        .then(|| token[..length].parse().ok())
        .flatten()
}

/// Month, from 1, by its first three letters.
fn month_number(token: &str) -> Option<i64> {
    let name = token.get(..3)?.to_ascii_lowercase();
    let at = MONTHS.iter().position(|month| *month == name)?;
    i64::try_from(at + 1).ok()
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Here years start in March, so that the
/// leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates() {
        let table = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000)),
            ("Wed, 31-Dec-69 23:59:59 GMT", Some(3_155_759_999)),
            ("Sun, 06 Nov 1994", None),
            ("Sun, 06 Nov 1994 25:00:00", None),
            ("06 Nov 1500 08:49:37", None),
            ("", None),
            ("tomorrow", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
