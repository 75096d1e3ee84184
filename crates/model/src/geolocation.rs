//! Records about where a device is.

use std::collections::BTreeMap;

use crate::status::words;
use crate::{AccountSid, GeolocationSid, Timestamp};

words!(
    /// What is wanted.
    GeolocationKind {
        /// Where the device is now.
        Immediate = "Immediate",
        /// When it enters or leaves an area.
        Notification = "Notification",
    }
);

words!(
    /// The outcome.
    GeolocationStatus {
        /// Waiting.
        Queued = "queued",
        /// Asked.
        Sent = "sent",
        /// Being found out.
        Processing = "processing",
        /// Known.
        Successful = "successful",
        /// Known in part.
        PartiallySuccessful = "partially-successful",
        /// Only an earlier place is known.
        LastKnown = "last-known",
        /// Not known.
        Failed = "failed",
        /// Not permitted.
        Unauthorized = "unauthorized",
        /// Refused; such a record is not kept.
        Rejected = "rejected",
    }
);

/// One such record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geolocation {
    /// Identifier.
    pub sid: GeolocationSid,
    /// Owner.
    pub account: AccountSid,
    /// What is wanted.
    pub kind: GeolocationKind,
    /// The values as they were sent, by the name of their parameter.
    pub values: BTreeMap<String, String>,
    /// The outcome.
    pub status: GeolocationStatus,
    /// Why it is that.
    pub cause: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// Whether a text is an angle of at most so many degrees: decimal (`-43.65`), or degrees, minutes and seconds
/// (`43 38 19.39`, `43°38'19.39"`), the latter with an optional letter of the compass at its start or end.
///
/// - `letters`: north and south, or east and west
/// - `most`: 90 for a latitude, 180 for a longitude
#[must_use]
pub fn is_angle(text: &str, letters: [char; 2], most: f64) -> bool {
    let text = text.trim();
    let has_letter = |c: char| letters.contains(&c.to_ascii_uppercase());
    let bare = text
        .strip_prefix(has_letter)
        .or_else(|| text.strip_suffix(has_letter));
    // A letter takes the place of a sign.
    let bare = bare.or_else(|| text.strip_prefix('-')).unwrap_or(text);
    let is_mark = |c: char| matches!(c, '°' | 'º' | '\'' | '"' | '′' | '″') || c.is_whitespace();
    let parts: Vec<&str> = bare
        .split(is_mark)
        .filter(|part| !part.is_empty())
        .collect();
    let numbers: Option<Vec<f64>> = parts.iter().map(|part| number(part)).collect();
    match numbers.as_deref() {
        Some([degrees]) => *degrees <= most,
        Some([degrees, rest @ ..]) if rest.len() <= 2 => {
            let fits = rest.iter().all(|part| *part < 60.0);
            let sum = rest.iter().rev().fold(0.0, |sum, part| (part + sum) / 60.0);
            fits && degrees.fract() == 0.0 && degrees + sum <= most
        }
        Some(_) | None => false,
    }
}

/// A number without a sign: `43` or `43.65`.
fn number(text: &str) -> Option<f64> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let good = match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text),
    };
    text.parse().ok().filter(|_| good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_decimal_or_in_degrees_minutes_and_seconds() {
        let table = [
            ("43.65", true),
            ("-43.65", true),
            ("90", true),
            ("90.1", false),
            ("N43", true),
            ("43 38 19.39 N", true),
            ("s43°38'19.39\"", true),
            ("43°38'19.39\"S", true),
            ("-43 38", true),
            ("90 0 1", false),
            ("43 60 0", false),
            ("43.5 10", false),
            ("1 2 3 4", false),
            ("43E", false),
            ("N-43", false),
            ("43.", false),
            (".5", false),
            ("1e1", false),
            ("north", false),
            ("", false),
            ("N", false),
            ("-", false),
        ];
        for (text, expected) in table {
            assert_eq!(is_angle(text, ['N', 'S'], 90.0), expected, "{text}");
        }
        assert!(is_angle("179 59 59 W", ['E', 'W'], 180.0));
    }
}
