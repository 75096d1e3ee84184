//! Speech recognition in `<Gather>`.

use model::{HttpMethod, error};

use crate::element::Element;
use crate::finding::{Finding, Findings};
use crate::language;

/// How a `<Gather>` recognises speech.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Speech {
    /// Language as a BCP-47 tag.
    pub language: String,
    /// Words likely to be said; at most [`Speech::MOST_HINTS`].
    pub hints: Vec<String>,
    /// How long a silence ends the speech; `None`: the `timeout` of the verb.
    pub timeout: Option<SpeechTimeout>,
    /// Address that receives partial results during speech, as written.
    pub partial_result_callback: Option<String>,
    /// HTTP method for partial results.
    pub partial_result_callback_method: HttpMethod,
}

/// The silence that ends speech.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpeechTimeout {
    /// The recognizer decides.
    Auto,
    /// This many seconds, at least 1.
    Seconds(u32),
}

impl Speech {
    /// Language without the attribute.
    pub const DEFAULT_LANGUAGE: &str = "en-US";
    /// More hints than this are refused.
    pub const MOST_HINTS: usize = 50;
    /// A hint of more characters than this is refused.
    pub const LONGEST_HINT: usize = 100;
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            language: Self::DEFAULT_LANGUAGE.to_owned(),
            hints: Vec::new(),
            timeout: None,
            partial_result_callback: None,
            partial_result_callback_method: HttpMethod::Post,
        }
    }
}

/// The kinds of input that a `<Gather>` collects.
pub(super) struct Input {
    pub(super) keys: bool,
    pub(super) speech: bool,
}

impl Input {
    /// `dtmf`, `speech` or both, in any order and letter case. Anything else is `dtmf`.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        const KEYS: Input = Input {
            keys: true,
            speech: false,
        };
        let Some(attribute) = element.attribute("input") else {
            return KEYS;
        };
        let value = attribute.value.to_ascii_lowercase();
        let words: Vec<&str> = value.split_ascii_whitespace().collect();
        if let Some(word) = words
            .iter()
            .find(|word| !matches!(**word, "dtmf" | "speech"))
        {
            let message = format!(
                "`input` of `Gather` cannot be `{}` (dtmf, speech or both); dtmf was used",
                crate::finding::quoted(word)
            );
            findings.push(Finding::new(error::BAD_VALUE, attribute.at, message));
            return KEYS;
        }
        Self {
            keys: words.contains(&"dtmf"),
            speech: words.contains(&"speech"),
        }
    }
}

impl Speech {
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        let code = error::GATHER_LANGUAGE;
        Self {
            language: language::read(element, Self::DEFAULT_LANGUAGE, code, findings),
            hints: hints(element, findings),
            timeout: timeout(element, findings),
            partial_result_callback: element.url("partialResultCallback", findings),
            partial_result_callback_method: element.method(
                "partialResultCallbackMethod",
                error::GATHER_METHOD,
                findings,
            ),
        }
    }

    /// Reports speech attributes of a `<Gather>` without speech input. Forbidden hints are refused
    /// all the same.
    pub(super) fn refuse(element: &Element<'_>, findings: &mut Findings) {
        hints(element, findings);
        let names = [
            "language",
            "hints",
            "speechTimeout",
            "partialResultCallback",
            "partialResultCallbackMethod",
        ];
        for name in names {
            if let Some(attribute) = element.attribute(name) {
                let message =
                    format!("`{name}` of `Gather` has no effect: `input` does not name speech");
                let code = error::GATHER_WITHOUT_SPEECH;
                findings.push(Finding::new(code, attribute.at, message));
            }
        }
    }
}

/// The entries of a comma-separated list, without surrounding spaces.
pub(super) fn hints(element: &Element<'_>, findings: &mut Findings) -> Vec<String> {
    let Some(attribute) = element.attribute("hints") else {
        return Vec::new();
    };
    let entries = attribute.value.split(',').map(str::trim);
    let hints: Vec<String> = entries
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect();
    let (most, longest) = (Speech::MOST_HINTS, Speech::LONGEST_HINT);
    let name = element.name();
    let message = if hints.len() > most {
        let count = hints.len();
        format!("`hints` of `{name}` has {count} entries; at most {most} are allowed")
    } else if let Some(at) = hints.iter().position(|hint| hint.chars().count() > longest) {
        let number = at + 1;
        format!("entry {number} of `hints` of `{name}` has more than {longest} characters")
    } else {
        return hints;
    };
    findings.refuse(Finding::new(error::GATHER_HINTS, attribute.at, message));
    Vec::new()
}

fn timeout(element: &Element<'_>, findings: &mut Findings) -> Option<SpeechTimeout> {
    let written = element.checked(
        "speechTimeout",
        (
            error::GATHER_SPEECH_TIMEOUT,
            "the value of `timeout` was used",
        ),
        |text| read_timeout(text).is_some(),
        findings,
    );
    written.as_deref().and_then(read_timeout)
}

fn read_timeout(text: &str) -> Option<SpeechTimeout> {
    if text.eq_ignore_ascii_case("auto") {
        return Some(SpeechTimeout::Auto);
    }
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    seconds.map(SpeechTimeout::Seconds)
}
