//! The marks inside `<Say>`, a subset of SSML (W3C Speech Synthesis Markup Language 1.1): pauses,
//! pace, pitch, loudness, and what is said in place of what is written.
//!
//! **Invariant: every word of the element is spoken once, in order**, whatever its marks mean; a mark
//! that cannot be followed is a finding, and its words are spoken as written.

use model::error;

use crate::element::{Attributes, Content, Element};
use crate::finding::{Finding, Findings, quoted};
use crate::suggest::closest;

/// A piece of a `<Say>` with marks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Spoken {
    /// Words, and how they are spoken.
    Words {
        /// The words, separated by single spaces.
        text: String,
        /// How.
        manner: Manner,
    },
    /// Silence.
    Silence {
        /// Length in milliseconds, at most [`Spoken::MAX_SILENCE_MS`].
        ms: u32,
    },
}

impl Spoken {
    /// Maximum length of one pause, in milliseconds.
    pub const MAX_SILENCE_MS: u32 = 10_000;
}

/// How words are spoken, compared with the voice as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Manner {
    /// Pace in percent, 20 to 200.
    pub pace: u16,
    /// Pitch in percent, 50 to 200.
    pub pitch: u16,
    /// Loudness in decibels, −40 to 12.
    pub loudness_db: i16,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            pace: 100,
            pitch: 100,
            loudness_db: 0,
        }
    }
}

impl Manner {
    const PACE: (u16, u16) = (20, 200);
    const PITCH: (u16, u16) = (50, 200);
    const LOUDNESS: (i16, i16) = (-40, 12);

    /// This manner within another one.
    fn within(self, outer: Self) -> Self {
        let product = |inner: u16, outer: u16, (least, most): (u16, u16)| {
            let product = u32::from(inner) * u32::from(outer) / 100;
            u16::try_from(product).unwrap_or(most).clamp(least, most)
        };
        let (least, most) = Self::LOUDNESS;
        Self {
            pace: product(self.pace, outer.pace, Self::PACE),
            pitch: product(self.pitch, outer.pitch, Self::PITCH),
            loudness_db: (self.loudness_db + outer.loudness_db).clamp(least, most),
        }
    }
}

const BREAK: Attributes = attributes(&["strength", "time"]);
const EMPHASIS: Attributes = attributes(&["level"]);
const PROSODY: Attributes = attributes(&["rate", "pitch", "volume"]);
const SAY_AS: Attributes = Attributes {
    built: &["interpret-as"],
    unbuilt: &["detail", "format"],
};
const SUB: Attributes = attributes(&["alias"]);
const PLAIN: Attributes = attributes(&[]);

const fn attributes(built: &'static [&'static str]) -> Attributes {
    Attributes {
        built,
        unbuilt: &[],
    }
}

/// Lengths of a `break` in milliseconds.
const STRENGTHS: &[(&str, u32)] = &[
    ("medium", 400),
    ("none", 0),
    ("x-weak", 100),
    ("weak", 200),
    ("strong", 700),
    ("x-strong", 1_000),
];
const RATES: &[(&str, u16)] = &[
    ("medium", 100),
    ("default", 100),
    ("x-slow", 50),
    ("slow", 75),
    ("fast", 130),
    ("x-fast", 170),
];
const PITCHES: &[(&str, u16)] = &[
    ("medium", 100),
    ("default", 100),
    ("x-low", 70),
    ("low", 85),
    ("high", 120),
    ("x-high", 140),
];
const VOLUMES: &[(&str, i16)] = &[
    ("medium", 0),
    ("default", 0),
    ("silent", -40),
    ("x-soft", -12),
    ("soft", -6),
    ("loud", 4),
    ("x-loud", 8),
];
const LEVELS: &[(&str, Manner)] = &[
    ("moderate", manner(92, 2)),
    ("strong", manner(84, 4)),
    ("none", manner(100, 0)),
    ("reduced", manner(110, -4)),
];
/// What words are said as; `false`: one by one.
const INTERPRETATIONS: &[(&str, As)] = &[
    ("cardinal", As::Written),
    ("number", As::Written),
    ("address", As::Written),
    ("date", As::Written),
    ("time", As::Written),
    ("unit", As::Written),
    ("fraction", As::Written),
    ("ordinal", As::Ordinal),
    ("characters", As::Characters),
    ("spell-out", As::Characters),
    ("verbatim", As::Characters),
    ("digits", As::Digits),
    ("telephone", As::Digits),
];

/// Pause after a sentence and after a paragraph, in milliseconds.
const SENTENCE_MS: u32 = 300;
const PARAGRAPH_MS: u32 = 600;

const fn manner(pace: u16, loudness_db: i16) -> Manner {
    Manner {
        pace,
        pitch: 100,
        loudness_db,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum As {
    Written,
    Ordinal,
    Characters,
    Digits,
}

/// The pieces of an element with marks; empty if it has none.
pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Vec<Spoken> {
    let mut pieces = Pieces::default();
    if element.children().next().is_some() {
        walk(element, Manner::default(), &mut pieces, findings);
    }
    pieces.0
}

/// The words of the pieces.
pub(crate) fn plain(pieces: &[Spoken]) -> String {
    let words = pieces.iter().filter_map(|piece| match piece {
        Spoken::Words { text, .. } => Some(text.as_str()),
        Spoken::Silence { .. } => None,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[derive(Default)]
struct Pieces(Vec<Spoken>);

impl Pieces {
    fn say(&mut self, text: &str, manner: Manner) {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(Spoken::Words {
                text: before,
                manner: same,
            }) if *same == manner => {
                before.push(' ');
                before.push_str(&text);
            }
            _ => self.0.push(Spoken::Words { text, manner }),
        }
    }

    fn pause(&mut self, ms: u32) {
        let ms = match self.0.last_mut() {
            Some(Spoken::Silence { ms: before }) => {
                *before = (*before).max(ms);
                return;
            }
            _ => ms,
        };
        if ms > 0 {
            self.0.push(Spoken::Silence { ms });
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn walk(element: &Element<'_>, manner: Manner, pieces: &mut Pieces, findings: &mut Findings) {
    for content in element.content() {
        match content {
            Content::Text(text) => pieces.say(&text, manner),
            Content::Element(child) => mark(element, &child, manner, pieces, findings),
        }
    }
}

fn mark(
    parent: &Element<'_>,
    child: &Element<'_>,
    manner: Manner,
    pieces: &mut Pieces,
    findings: &mut Findings,
) {
    match child.name() {
        "break" => {
            child.check_attributes(&BREAK, findings);
            child.refuse_content(findings);
            pieces.pause(pause_of(child, findings));
        }
        "p" => sentence(child, PARAGRAPH_MS, manner, pieces, findings),
        "s" => sentence(child, SENTENCE_MS, manner, pieces, findings),
        "emphasis" => {
            child.check_attributes(&EMPHASIS, findings);
            let level = child.word("level", error::SAY_MARKUP, LEVELS, findings);
            let level = level.unwrap_or(LEVELS[0].1);
            walk(child, level.within(manner), pieces, findings);
        }
        "prosody" => {
            child.check_attributes(&PROSODY, findings);
            let inner = prosody(child, findings);
            walk(child, inner.within(manner), pieces, findings);
        }
        "say-as" => {
            child.check_attributes(&SAY_AS, findings);
            child.refuse_children(findings);
            let how = child.word("interpret-as", error::SAY_MARKUP, INTERPRETATIONS, findings);
            let text = child.text();
            pieces.say(&said_as(&text, how.unwrap_or(As::Written)), manner);
        }
        "sub" => {
            child.check_attributes(&SUB, findings);
            child.refuse_children(findings);
            let alias = child.string("alias");
            pieces.say(&alias.unwrap_or_else(|| child.text()), manner);
        }
        name @ ("lang" | "phoneme" | "w") => {
            let message = format!(
                "`{name}` inside `Say` is not supported here; its words are spoken as written"
            );
            findings.push(Finding::new(error::NOT_BUILT, child.at(), message));
            walk(child, manner, pieces, findings);
        }
        _ => child.refuse_in(parent.name(), findings),
    }
}

/// A sentence or paragraph, set off by pauses.
fn sentence(
    child: &Element<'_>,
    pause_ms: u32,
    manner: Manner,
    pieces: &mut Pieces,
    findings: &mut Findings,
) {
    child.check_attributes(&PLAIN, findings);
    if !pieces.is_empty() {
        pieces.pause(pause_ms);
    }
    walk(child, manner, pieces, findings);
    pieces.pause(pause_ms);
}

/// Length of a `break`, in milliseconds.
fn pause_of(element: &Element<'_>, findings: &mut Findings) -> u32 {
    let strength = element.word("strength", error::SAY_MARKUP, STRENGTHS, findings);
    let strength = strength.unwrap_or(STRENGTHS[0].1);
    let Some(time) = element.attribute("time") else {
        return strength;
    };
    match milliseconds(&time.value) {
        Some(ms) if ms <= Spoken::MAX_SILENCE_MS => ms,
        other => {
            let instead = if other.is_some() {
                Spoken::MAX_SILENCE_MS
            } else {
                strength
            };
            let message = format!(
                "`time` of `break` cannot be `{}` (`500ms` or `2s`, at most 10s); {instead}ms was used",
                quoted(&time.value)
            );
            findings.push(Finding::new(error::SAY_MARKUP, time.at, message));
            instead
        }
    }
}

/// `500ms`, `2s` or `1.5s`.
fn milliseconds(text: &str) -> Option<u32> {
    let (number, factor) = match text.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (text.strip_suffix('s')?, 1_000.0),
    };
    let is_number = number.bytes().all(|c| c.is_ascii_digit() || c == b'.');
    let ms = number.parse::<f64>().ok().filter(|_| is_number)? * factor;
    // Anything too long is beyond the maximum all the same.
    Some(ms.min(f64::from(u32::MAX)) as u32)
}

fn prosody(element: &Element<'_>, findings: &mut Findings) -> Manner {
    let mut manner = Manner::default();
    let percent = |text: &str| -> Option<i32> {
        let number: i32 = text.strip_suffix('%')?.trim().parse().ok()?;
        let is_relative = text.starts_with(['+', '-']);
        Some(if is_relative { 100 + number } else { number })
    };
    let within = |value: i32, (least, most): (u16, u16)| {
        u16::try_from(value)
            .ok()
            .filter(|it| (least..=most).contains(it))
    };
    let rate = |text: &str| percent(text).and_then(|it| within(it, Manner::PACE));
    let pitch = |text: &str| percent(text).and_then(|it| within(it, Manner::PITCH));
    let volume = |text: &str| -> Option<i16> {
        let (least, most) = Manner::LOUDNESS;
        let number: f64 = text.strip_suffix("dB")?.trim().parse().ok()?;
        let in_range = number >= f64::from(least) && number <= f64::from(most);
        in_range.then_some(number.round() as i16)
    };
    if let Some(found) = value(element, "rate", RATES, "20% to 200%", rate, findings) {
        manner.pace = found;
    }
    if let Some(found) = value(element, "pitch", PITCHES, "-50% to +100%", pitch, findings) {
        manner.pitch = found;
    }
    if let Some(found) = value(
        element,
        "volume",
        VOLUMES,
        "-40dB to +12dB",
        volume,
        findings,
    ) {
        manner.loudness_db = found;
    }
    manner
}

/// An attribute that is one of some words, or a number.
///
/// - `range`: the numbers, for the finding.
fn value<T: Copy>(
    element: &Element<'_>,
    name: &str,
    words: &[(&'static str, T)],
    range: &str,
    number: impl Fn(&str) -> Option<T>,
    findings: &mut Findings,
) -> Option<T> {
    let attribute = element.attribute(name)?;
    let word = words.iter().find(|(word, _)| *word == attribute.value);
    let found = word
        .map(|(_, value)| *value)
        .or_else(|| number(&attribute.value));
    if found.is_none() {
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!(
            "`{name}` of `{}` cannot be `{}` ({}, or {range}); it was left out",
            element.name(),
            quoted(&attribute.value),
            names.join(", ")
        );
        let meant = closest(&attribute.value, names);
        findings.push(Finding::new(error::SAY_MARKUP, attribute.at, message).suggest(meant));
    }
    found
}

/// A text as it is said.
fn said_as(text: &str, how: As) -> String {
    let spaced = |chars: &mut dyn Iterator<Item = char>| {
        let chars: Vec<String> = chars.map(String::from).collect();
        chars.join(" ")
    };
    match how {
        As::Written => text.to_owned(),
        As::Characters => spaced(&mut text.chars().filter(|c| !c.is_whitespace())),
        As::Digits => spaced(&mut text.chars().filter(|c| c.is_alphanumeric() || *c == '+')),
        As::Ordinal => {
            let is_number = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
            let ending = match (
                text.ends_with("11"),
                text.ends_with("12"),
                text.ends_with("13"),
            ) {
                (false, false, false) => match text.bytes().last() {
                    Some(b'1') => "st",
                    Some(b'2') => "nd",
                    Some(b'3') => "rd",
                    _ => "th",
                },
                _ => "th",
            };
            if is_number {
                format!("{text}{ending}")
            } else {
                text.to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Verb};

    /// The pieces of a `<Say>`, and the numbers of the findings.
    fn pieces(inside: &str) -> (String, Vec<u16>) {
        let xml = format!("<Response><Say>{inside}</Say></Response>");
        let document = Document::parse(&xml).expect("well-formed");
        let codes = document.findings.iter().map(|finding| finding.code);
        let codes = codes.collect();
        let [Verb::Say(say)] = &document.verbs[..] else {
            panic!("{:?}", document.verbs);
        };
        let shown = say.parts.iter().map(|piece| match piece {
            Spoken::Silence { ms } => format!("({ms})"),
            Spoken::Words { text, manner } if *manner == Manner::default() => text.clone(),
            Spoken::Words { text, manner } => format!(
                "{text} [{} {} {}]",
                manner.pace, manner.pitch, manner.loudness_db
            ),
        });
        (shown.collect::<Vec<_>>().join(" | "), codes)
    }

    #[test]
    fn marks_become_pieces() {
        let table: &[(&str, &str)] = &[
            ("no marks", ""),
            ("one <break/> two", "one | (400) | two"),
            (
                "one<break time=\"1.5s\"/><break time='200ms'/>two",
                "one | (1500) | two",
            ),
            ("a <break strength='none'/> b", "a b"),
            ("<p>One.</p><p>Two.</p>", "One. | (600) | Two. | (600)"),
            ("<s>One.</s> Two.", "One. | (300) | Two."),
            ("<emphasis>now</emphasis>", "now [92 100 2]"),
            (
                "go <emphasis level='strong'>now</emphasis> then",
                "go | now [84 100 4] | then",
            ),
            (
                "<prosody rate='slow' pitch='+20%' volume='-6dB'>a <prosody rate='50%'>b</prosody></prosody>",
                "a [75 120 -6] | b [37 120 -6]",
            ),
            ("<say-as interpret-as='characters'>A1b</say-as>", "A 1 b"),
            (
                "call <say-as interpret-as='telephone'>+1 555-01</say-as>",
                "call + 1 5 5 5 0 1",
            ),
            (
                "the <say-as interpret-as='ordinal'>2</say-as>, <say-as interpret-as='ordinal'>112</say-as>",
                "the 2nd , 112th",
            ),
            ("<sub alias='doctor'>Dr.</sub> Who", "doctor Who"),
        ];
        for (inside, expected) in table {
            let (shown, codes) = pieces(inside);
            assert_eq!(shown, *expected, "{inside}");
            assert_eq!(codes, [] as [u16; 0], "{inside}");
        }
    }

    #[test]
    fn marks_that_cannot_be_followed_are_reported_and_their_words_spoken() {
        let table: &[(&str, &str, &[u16])] = &[
            ("a <break time='11s'/> b", "a | (10000) | b", &[13_522]),
            ("a <break time='soon'/> b", "a | (400) | b", &[13_522]),
            ("<prosody rate='5%'>a</prosody>", "a", &[13_522]),
            ("<prosody volume='loudest'>a</prosody>", "a", &[13_522]),
            (
                "<emphasis level='most'>a</emphasis>",
                "a [92 100 2]",
                &[13_522],
            ),
            ("<say-as interpret-as='poem'>a</say-as>", "a", &[13_522]),
            (
                "<lang xml:lang='de'>ja</lang> <w>b</w>",
                "ja b",
                &[12_204, 12_204],
            ),
            ("a <Play>x</Play> b", "a b", &[12_202]),
        ];
        for (inside, expected, found) in table {
            let (shown, codes) = pieces(inside);
            assert_eq!(shown, *expected, "{inside}");
            assert_eq!(codes, *found, "{inside}");
        }
    }
}
