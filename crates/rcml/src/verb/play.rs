//! `<Play>`: plays a sound file, or sends key tones.

use model::error;

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::verb::target::is_digits;

/// Plays a sound file or key tones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Play {
    /// Address of the file as written; an empty one is skipped.
    pub url: String,
    /// How often, at least once; `None` means until the call ends.
    pub looping: Option<u32>,
    /// Keys to send as tones: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence.
    /// If set, the address is not used.
    pub digits: Option<String>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

impl Default for Play {
    fn default() -> Self {
        Self {
            url: String::new(),
            looping: Some(1),
            digits: None,
            line: 0,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &["loop", "digits"],
    unbuilt: &[],
};

impl Play {
    /// Reads the verb: keys are sent instead of the file.
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        let play = Self::of(element, findings);
        if play.digits.is_some() {
            element.refuse_text_beside("digits", findings);
        }
        play
    }

    /// Reads a prompt of a `Gather`: only the file is played.
    pub(crate) fn read_prompt(element: &Element<'_>, findings: &mut Findings) -> Self {
        let play = Self::of(element, findings);
        if let Some(digits) = element.attribute("digits")
            && play.digits.is_some()
        {
            let message = "`digits` has no effect inside `Gather`".to_owned();
            findings.push(Finding::new(error::BAD_NESTING, digits.at, message));
        }
        Self {
            digits: None,
            ..play
        }
    }

    fn of(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_children(findings);
        let digits = element.checked(
            "digits",
            (error::BAD_VALUE, "no keys are sent"),
            is_digits,
            findings,
        );
        let url = element.text_url(findings);
        if url.is_empty() && digits.is_none() {
            let message = "`Play` has no address; it was skipped".to_owned();
            findings.push(Finding::new(error::PLAY_EMPTY, element.at(), message));
        }
        Self {
            url,
            looping: element.looping(error::PLAY_LOOP, findings),
            digits,
            line: element.at().line,
        }
    }
}
