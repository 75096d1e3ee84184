//! From tree to values: known keys, words, durations, expected texts.
//!
//! **Invariant: an unknown key, word or value is refused with its line and, if one is close, the
//! name that was probably meant**; one mistake does not hide others elsewhere in the script.

use std::time::Duration;

use crate::Problem;
use crate::expected::{Expected, Span};
use crate::yaml::{Key, Node, Value};

/// The entries of a map, all of which must be consumed.
pub(crate) struct Map<'a> {
    pub(crate) line: usize,
    what: &'static str,
    entries: Vec<(&'a Key, &'a Node)>,
}

impl<'a> Map<'a> {
    /// The entries of a map with these keys and no others.
    pub(crate) fn of(node: &'a Node, what: &'static str, known: &[&str]) -> Result<Self, Problem> {
        let mut problems = Problems::default();
        let map = Self::with(node, what, known, &mut problems)?;
        problems.none()?;
        Ok(map)
    }

    /// The entries of a map, and a problem for each unknown key.
    pub(crate) fn with(
        node: &'a Node,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems,
    ) -> Result<Self, Problem> {
        let entries = entries(node, what)?;
        for (at, (key, value)) in entries.iter().enumerate() {
            if !known.contains(&key.name.as_str()) {
                let is_rest = is_rest(&entries[..at], key, value);
                problems.push(
                    if is_rest && closest(&key.name, known.iter().copied()).is_none() {
                        rest(key, what)
                    } else {
                        unknown(key.line, &key.name, what, known)
                    },
                );
            }
        }
        Ok(Self {
            line: node.line,
            what,
            entries,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a Node> {
        let found = self.entries.iter().find(|(key, _)| key.name == name);
        found.map(|(_, node)| *node)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        self.get(name).map(|node| text(node, name)).transpose()
    }

    pub(crate) fn duration(&self, name: &str) -> Result<Option<Duration>, Problem> {
        self.get(name).map(|node| duration(node, name)).transpose()
    }

    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.get(name).map(|node| number(node, name)).transpose()
    }

    /// The value of the one key among `names` that is given.
    pub(crate) fn one_of(
        &self,
        names: &[&'static str],
    ) -> Result<(&'static str, &'a Node), Problem> {
        let mut given = names
            .iter()
            .filter_map(|name| Some((*name, self.get(name)?)));
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(Problem::new(
                self.line,
                format!("{} needs one of {}", quoted(self.what), listed(names)),
            )),
            (Some((first, _)), Some((second, node))) => Err(Problem::new(
                node.line,
                format!("`{first}` and `{second}` cannot be used together"),
            )),
        }
    }
}

/// Collects problems, so that the whole script is read before it is refused.
#[derive(Default)]
pub(crate) struct Problems(Option<Problem>);

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0 = Some(match self.0.take() {
            Some(known) => known.and(problem),
            None => problem,
        });
    }

    /// The value, if it could be read.
    pub(crate) fn keep<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(problem) => {
                self.push(problem);
                None
            }
        }
    }

    /// The last thing that was read.
    ///
    /// # Errors
    /// All problems, if there are any.
    pub(crate) fn and<T>(self, read: Result<T, Problem>) -> Result<T, Problem> {
        match (read, self.0) {
            (read, None) => read,
            (Ok(_), Some(known)) => Err(known),
            (Err(problem), Some(known)) => Err(known.and(problem)),
        }
    }

    /// # Errors
    /// All problems, if there are any.
    pub(crate) fn none(self) -> Result<(), Problem> {
        self.0.map_or(Ok(()), Err)
    }
}

/// All values, or all their problems.
pub(crate) fn all<T>(
    values: impl IntoIterator<Item = Result<T, Problem>>,
) -> Result<Vec<T>, Problem> {
    let mut problems = Problems::default();
    let kept = values.into_iter().filter_map(|value| problems.keep(value));
    let kept = kept.collect();
    problems.none()?;
    Ok(kept)
}

/// The entries of a map with any keys.
pub(crate) fn entries<'a>(node: &'a Node, what: &str) -> Result<Vec<(&'a Key, &'a Node)>, Problem> {
    match &node.value {
        Value::Map(entries) => Ok(entries.iter().map(|(key, node)| (key, node)).collect()),
        Value::Null | Value::Text(_) | Value::List(_) => {
            Err(wrong(node, what, "`key: value` pairs"))
        }
    }
}

pub(crate) fn list<'a>(node: &'a Node, what: &str) -> Result<&'a [Node], Problem> {
    match &node.value {
        Value::List(items) => Ok(items),
        Value::Null | Value::Text(_) | Value::Map(_) => Err(wrong(node, what, "a list")),
    }
}

pub(crate) fn text(node: &Node, what: &str) -> Result<String, Problem> {
    match &node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => Err(wrong(node, what, "a string")),
    }
}

pub(crate) fn number<T: std::str::FromStr>(node: &Node, what: &str) -> Result<T, Problem> {
    let written = text(node, what)?;
    written.parse().map_err(|_| {
        let problem = format!("`{what}`: `{written}` is not a whole number in the allowed range");
        Problem::new(node.line, problem)
    })
}

/// One word of an enumeration.
pub(crate) fn word<T: Copy>(node: &Node, what: &str, words: &[(&str, T)]) -> Result<T, Problem> {
    let written = text(node, what)?;
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    words
        .iter()
        .find(|(word, _)| *word == written)
        .map(|(_, value)| *value)
        .ok_or_else(|| unknown(node.line, &written, what, &known))
}

/// `3s`, `250ms`, `2m`, `1h`; fractions of a second as `1.5s`.
pub(crate) fn duration(node: &Node, what: &str) -> Result<Duration, Problem> {
    let written = text(node, what)?;
    parse_duration(&written).ok_or_else(|| {
        let problem =
            format!("`{what}`: `{written}` is not a duration; write `3s`, `250ms` or `2m`");
        Problem::new(node.line, problem)
    })
}

fn parse_duration(written: &str) -> Option<Duration> {
    let digits = written.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (amount, unit) = written.split_at(digits);
    let unit_ms: u32 = match unit.trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let (whole, part) = amount.split_once('.').unwrap_or((amount, "0"));
    if part.is_empty() || part.len() > 3 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit_ms.into())?;
    let scale = 10_u64.pow(u32::try_from(part.len()).ok()?);
    let part = part.parse::<u64>().ok()? * u64::from(unit_ms) / scale;
    let total = whole.checked_add(part)?;
    // A week is longer than any call.
    (total <= 7 * 24 * 3_600_000).then(|| Duration::from_millis(total))
}

/// The time before a text, and the rest of it: `3s BYE`.
pub(crate) fn moment(written: &str) -> (Option<Duration>, &str) {
    let parts = written.split_once(' ');
    match parts.and_then(|(at, rest)| Some((parse_duration(at)?, rest))) {
        Some((at, rest)) => (Some(at), rest.trim_start()),
        None => (None, written),
    }
}

/// `3s`, or `2s..4s` with both ends allowed.
pub(crate) fn span(node: &Node, what: &str) -> Result<Span, Problem> {
    let written = text(node, what)?;
    let (from, to) = match written.split_once("..") {
        Some((from, to)) => (parse_duration(from.trim()), parse_duration(to.trim())),
        None => (parse_duration(&written), parse_duration(&written)),
    };
    match (from, to) {
        (Some(from), Some(to)) if from <= to => Ok(Span { from, to }),
        _ => {
            let problem =
                format!("`{what}`: `{written}` is not a duration; write `3s` or `2s..4s`");
            Err(Problem::new(node.line, problem))
        }
    }
}

/// An expected text: literal, a regular expression after `~`, or empty: absent.
pub(crate) fn expected(node: &Node, what: &str) -> Result<Expected, Problem> {
    match &node.value {
        Value::Null => Ok(Expected::Absent),
        Value::Text(written) => Expected::parse(written)
            .map_err(|error| Problem::new(node.line, format!("`{what}`: {error}"))),
        Value::List(_) | Value::Map(_) => Err(wrong(node, what, "a string")),
    }
}

pub(crate) fn wrong(node: &Node, what: &str, needed: &str) -> Problem {
    let found = node.kind();
    let (subject, example) = match (what, needed) {
        ("script", _) => {
            let text = "this is not a test script: it consists of `key: value` lines, such as `call: {to: \"1000\"}`";
            return Problem::new(node.line, text);
        }
        ("caller" | "steps" | "then", "a list") => {
            (quoted(what), format!(", such as `{what}: [hangup]`"))
        }
        (_, "a list") => (quoted(what), format!(", such as `{what}: [...]`")),
        _ => (quoted(what), String::new()),
    };
    let quotes = match &node.value {
        Value::Text(text) if text.contains(": ") => "; remove the quotes",
        Value::Text(_) | Value::Null | Value::List(_) | Value::Map(_) => "",
    };
    let text = format!("{subject} must be {needed}{example}, not {found}{quotes}");
    Problem::new(node.line, text)
}

/// A key in script notation; other things in words.
fn quoted(what: &str) -> String {
    const THINGS: &[&str] = &[
        "script",
        "party",
        "agent",
        "step",
        "page",
        "leg",
        "invite",
        "message",
        "conference",
        "value",
    ];
    if !THINGS.contains(&what) {
        return format!("`{what}`");
    }
    let article = if what.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {what}")
}

pub(crate) fn unknown(line: usize, name: &str, what: &str, known: &[&str]) -> Problem {
    let help = match closest(name, known.iter().copied()) {
        _ if name.contains(": ") => "remove the quotes".to_owned(),
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known: {}", listed(known)),
    };
    refused(line, name, what, &help)
}

fn refused(line: usize, name: &str, what: &str, help: &str) -> Problem {
    let what = quoted(what);
    Problem::new(line, format!("{what} does not accept `{name}`; {help}"))
}

/// Whether a key is probably the rest of a text before it, which contains commas. It has no value
/// then, and is on the same line, as in `{say: Yes, please, do}`.
fn is_rest(before: &[(&Key, &Node)], key: &Key, value: &Node) -> bool {
    let mut nodes = before.iter().rev().map(|(_, node)| node);
    let begun = nodes.find(|node| node.value != Value::Null);
    let is_text = |node: &&Node| matches!(node.value, Value::Text(_)) && node.line == key.line;
    value.value == Value::Null && begun.is_some_and(is_text)
}

fn rest(key: &Key, what: &str) -> Problem {
    let help = "if it belongs to the text before it, put that text in quotes: without them, the \
                comma ends it";
    refused(key.line, &key.name, what, help)
}

/// Entries with keys of any name.
///
/// # Errors
/// [`Problem`] for each key that is probably the rest of the text before it.
pub(crate) fn named<'a>(node: &'a Node, what: &str) -> Result<Vec<(&'a Key, &'a Node)>, Problem> {
    let entries = entries(node, what)?;
    let mut problems = Problems::default();
    for (at, (key, value)) in entries.iter().enumerate() {
        if is_rest(&entries[..at], key, value) {
            problems.push(rest(key, what));
        }
    }
    problems.and(Ok(entries))
}

/// The known name that was probably meant.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|word| (strsim::damerau_levenshtein(name, word), word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min()
        .map(|(_, word)| word)
}

pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lengths_of_time() {
        let table = [
            ("3s", Some(3_000)),
            ("250ms", Some(250)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1.5s", Some(1_500)),
            ("0.25m", Some(15_000)),
            ("0s", Some(0)),
            ("3", None),
            ("3 s", Some(3_000)),
            ("s", None),
            ("-3s", None),
            ("3d", None),
            ("1.s", None),
            ("99999999999999999999s", None),
            ("200h", None),
        ];
        for (written, ms) in table {
            let found = parse_duration(written).map(|found| found.as_millis());
            assert_eq!(found, ms, "{written}");
        }
    }
}
