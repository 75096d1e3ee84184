//! `<Gather>`: collect keys or speech, with prompts that either one interrupts.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::Findings;
use crate::verb::speech::{Input, Speech};
use crate::verb::{Pause, Play, Say};

/// Collects the keys that the caller presses, or the caller's speech.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gather {
    /// The prompts, in order, until the first key or word.
    pub prompts: Vec<Prompt>,
    /// Whether keys are collected. If not, only speech is.
    pub keys: bool,
    /// How speech is recognised; `None`: not at all.
    pub speech: Option<Speech>,
    /// Address that receives the input, as written; `None`: the current document.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// How long to wait for the first key or word after the prompts, and for each further key, in
    /// seconds; at least 1.
    pub timeout_s: u32,
    /// Keys that end the input and are not part of it; empty: none does.
    pub finish_on_key: String,
    /// Keys that may begin the input; `None`: every key except those that end it.
    pub start_input_key: Option<String>,
    /// The number of keys that completes the input, at least 1.
    pub num_digits: Option<u32>,
    /// Whether to request the action even without input.
    pub action_on_empty_result: bool,
    /// Whether keys pressed before the verb begins count, if no other verb took them.
    pub type_ahead: bool,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// A prompt played while input is collected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Prompt {
    /// Speak a text.
    Say(Say),
    /// Play a sound file. It has an address.
    Play(Play),
    /// Silence.
    Pause(Pause),
}

impl Gather {
    /// Waiting time without the attribute, in seconds.
    pub const DEFAULT_TIMEOUT_S: u32 = 5;
    /// Finishing key without the attribute.
    pub const DEFAULT_FINISH_ON_KEY: &str = "#";
}

impl Default for Gather {
    fn default() -> Self {
        Self {
            prompts: Vec::new(),
            keys: true,
            speech: None,
            action: None,
            method: HttpMethod::Post,
            timeout_s: Self::DEFAULT_TIMEOUT_S,
            finish_on_key: Self::DEFAULT_FINISH_ON_KEY.to_owned(),
            start_input_key: None,
            num_digits: None,
            action_on_empty_result: false,
            type_ahead: true,
            line: 0,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "action",
        "method",
        "timeout",
        "finishOnKey",
        "startInputKey",
        "numDigits",
        "actionOnEmptyResult",
        "input",
        "language",
        "hints",
        "speechTimeout",
        "partialResultCallback",
        "partialResultCallbackMethod",
        "typeAhead",
    ],
    unbuilt: &[
        "bargeIn",
        "debug",
        "dtmfDetection",
        "enhanced",
        "maxSpeechTime",
        "profanityFilter",
        "speechModel",
    ],
};

impl Gather {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        let input = Input::read(element, findings);
        let speech = if input.speech {
            Some(Speech::read(element, findings))
        } else {
            Speech::refuse(element, findings);
            None
        };
        Self {
            prompts: prompts(element, findings),
            keys: input.keys,
            speech,
            action: element.url("action", findings),
            method: element.method("method", error::GATHER_METHOD, findings),
            timeout_s: element.seconds(
                "timeout",
                Self::DEFAULT_TIMEOUT_S,
                error::GATHER_TIMEOUT,
                findings,
            ),
            finish_on_key: finish_on_key(element, findings),
            start_input_key: element.checked(
                "startInputKey",
                (error::GATHER_START_KEY, "any key can start input"),
                are_keys,
                findings,
            ),
            num_digits: element.count("numDigits", error::GATHER_NUM_DIGITS, "no limit", findings),
            action_on_empty_result: element
                .flag("actionOnEmptyResult", findings)
                .unwrap_or(false),
            type_ahead: element.flag("typeAhead", findings).unwrap_or(true),
            line: element.at().line,
        }
    }
}

/// If it is present but empty, no key ends the input.
fn finish_on_key(element: &Element<'_>, findings: &mut Findings) -> String {
    if element.is_set_empty("finishOnKey") {
        return String::new();
    }
    element
        .checked(
            "finishOnKey",
            (error::GATHER_FINISH_KEY, "# was used"),
            are_keys,
            findings,
        )
        .unwrap_or_else(|| Gather::DEFAULT_FINISH_ON_KEY.to_owned())
}

/// At most twelve of `0`–`9`, `*` and `#`.
pub(super) fn are_keys(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|c| b"0123456789*#".contains(&c))
}

fn prompts(element: &Element<'_>, findings: &mut Findings) -> Vec<Prompt> {
    element.refuse_text_with("; put it into `Say`", findings);
    element
        .children()
        .filter_map(|child| match child.name() {
            "Say" => Some(Prompt::Say(Say::read(&child, findings))),
            "Play" => {
                let play = Play::read_prompt(&child, findings);
                (!play.url.is_empty()).then_some(Prompt::Play(play))
            }
            "Pause" => Some(Prompt::Pause(Pause::read(&child, findings))),
            _ => {
                child.refuse_in("Gather", findings);
                None
            }
        })
        .collect()
}
