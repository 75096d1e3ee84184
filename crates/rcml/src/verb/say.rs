//! `<Say>`: speaks a text.

use model::error;

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::language;
use crate::verb::markup::{self, Spoken};

/// Speaks a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Say {
    /// The words; if empty, the verb is skipped.
    pub text: String,
    /// The words in pieces, each with how it is spoken; empty if there are no marks.
    pub parts: Vec<Spoken>,
    /// The voice.
    pub voice: Voice,
    /// Language as a BCP-47 tag, `en` by default.
    pub language: String,
    /// How often, at least once; `None` means until the call ends.
    pub looping: Option<u32>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// A voice for speech.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Voice {
    /// A man's voice.
    #[default]
    Man,
    /// A woman's voice.
    Woman,
}

impl Voice {
    /// The word used in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Man => "man",
            Self::Woman => "woman",
        }
    }
}

impl Default for Say {
    fn default() -> Self {
        Self {
            text: String::new(),
            parts: Vec::new(),
            voice: Voice::Man,
            language: language::DEFAULT.to_owned(),
            looping: Some(1),
            line: 0,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &["voice", "language", "loop"],
    unbuilt: &[],
};

impl Say {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        let parts = markup::read(element, findings);
        let text = if element.children().next().is_some() {
            markup::plain(&parts)
        } else {
            element.text()
        };
        if text.is_empty() {
            let message = "`Say` has no text; it was skipped".to_owned();
            findings.push(Finding::new(error::SAY_EMPTY, element.at(), message));
        }
        Self {
            text,
            parts,
            voice: element
                .word("voice", error::SAY_VOICE, VOICES, findings)
                .unwrap_or_default(),
            language: language::read(element, language::DEFAULT, error::SAY_LANGUAGE, findings),
            looping: element.looping(error::SAY_LOOP, findings),
            line: element.at().line,
        }
    }
}

pub(super) const VOICES: &[(&str, Voice)] = &[("man", Voice::Man), ("woman", Voice::Woman)];
