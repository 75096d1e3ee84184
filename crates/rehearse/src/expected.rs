//! The texts and durations that a script expects.
//!
//! **Invariant: a text means itself, letter by letter; only after `~` is it a regular expression,
//! which may match anywhere in the text; an empty value requires that there be none.**

use std::fmt;
use std::time::Duration;

use regex_lite::Regex;

/// A text to compare with.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Text(String),
    Pattern(Regex),
    Absent,
}

impl Expected {
    /// # Errors
    /// Why the text after `~` is not a regular expression.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        match written.strip_prefix('~') {
            Some(pattern) => Regex::new(pattern.trim_start())
                .map(Self::Pattern)
                .map_err(|error| format!("`{written}` is not a regular expression: {error}")),
            None => Ok(Self::Text(written.to_owned())),
        }
    }

    pub(crate) fn fits(&self, found: Option<&str>) -> bool {
        match (self, found) {
            (Self::Text(text), Some(found)) => text == found,
            (Self::Pattern(pattern), Some(found)) => pattern.is_match(found),
            (Self::Absent, found) => found.is_none(),
            (Self::Text(_) | Self::Pattern(_), None) => false,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "`{text}`"),
            Self::Pattern(pattern) => write!(f, "`~{}`", pattern.as_str()),
            Self::Absent => f.write_str("nothing"),
        }
    }
}

/// A duration, or the shortest and the longest allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

impl Span {
    pub(crate) fn fits(self, found: Duration) -> bool {
        (self.from..=self.to).contains(&found)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            f.write_str(&seconds(self.from))
        } else {
            write!(f, "{}..{}", seconds(self.from), seconds(self.to))
        }
    }
}

/// `3s`, `0.25s`: seconds without needless digits.
pub(crate) fn seconds(length: Duration) -> String {
    let ms = length.as_millis();
    let text = format!("{}.{:03}", ms / 1_000, ms % 1_000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_texts() {
        let table = [
            ("abc", Some("abc"), true),
            ("abc", Some("abcd"), false),
            ("a.c", Some("abc"), false),
            ("~a.c", Some("xabcx"), true),
            ("~ ^a.c$", Some("xabcx"), false),
            ("~a", None, false),
            ("abc", None, false),
        ];
        for (written, found, fits) in table {
            let expected = Expected::parse(written).unwrap();
            assert_eq!(expected.fits(found), fits, "{written} {found:?}");
        }
        assert!(Expected::Absent.fits(None));
        assert!(!Expected::Absent.fits(Some("")));
        assert!(Expected::parse("~(").is_err());
    }

    #[test]
    fn writes_seconds() {
        let table = [(3_000, "3s"), (250, "0.25s"), (0, "0s"), (61_010, "61.01s")];
        for (ms, text) in table {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }
}
