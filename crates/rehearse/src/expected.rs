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

/// Advice for a text that is only a part of one of the texts found.
pub(crate) fn advice<'a>(
    expected: &Expected,
    found: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let Expected::Text(text) = expected else {
        return None;
    };
    let found: Vec<&str> = found.collect();
    if text.is_empty() || found.iter().any(|found| found == text) {
        return None;
    }
    let exact = regex_lite::escape(text);
    let any_case = format!("(?i){exact}");
    let patterns = [
        (text, "the whole text must match", "a part of it"),
        (&exact, "the whole text must match", "a part of it"),
        (
            &any_case,
            "the whole text must match, in the same case",
            "a part of it in any case",
        ),
    ];
    patterns.into_iter().find_map(|(pattern, rule, part)| {
        let regex = Regex::new(pattern).ok()?;
        let is_part = found.iter().any(|found| regex.is_match(found));
        is_part.then(|| format!("{rule}; write `~{pattern}` for {part}"))
    })
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
    fn advises_to_expect_a_part() {
        let whole = "the whole text must match; write";
        let case = "the whole text must match, in the same case; write";
        let table = [
            (
                "Press 1",
                "Press 1 for sales",
                format!("{whole} `~Press 1` for a part of it"),
            ),
            (
                "Press .",
                "Press 1 for sales",
                format!("{whole} `~Press .` for a part of it"),
            ),
            (
                "Hi (you)",
                "Hi (you)!",
                format!("{whole} `~Hi \\(you\\)` for a part of it"),
            ),
            (
                "press 1",
                "Press 1 for sales",
                format!("{case} `~(?i)press 1` for a part of it in any case"),
            ),
            ("Press 2", "Press 1 for sales", String::new()),
            ("Press 1", "Press 1", String::new()),
            ("~Press 2", "Press 1", String::new()),
            ("", "Press 1", String::new()),
        ];
        for (written, found, expected) in table {
            let wanted = Expected::parse(written).unwrap();
            let advice = advice(&wanted, [found].into_iter()).unwrap_or_default();
            assert_eq!(advice, expected, "{written}");
            let Some((_, pattern)) = advice.split_once('`') else {
                continue;
            };
            let pattern = pattern.split('`').next().unwrap_or_default();
            assert!(
                Expected::parse(pattern).unwrap().fits(Some(found)),
                "{pattern}"
            );
        }
    }

    #[test]
    fn writes_seconds() {
        let table = [(3_000, "3s"), (250, "0.25s"), (0, "0s"), (61_010, "61.01s")];
        for (ms, text) in table {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }
}
