//! `<ConversationRelay>` inside `<Connect>`: a conversation in text with a server.

use std::collections::BTreeSet;

use model::error;

use super::say::{VOICES, Voice};
use super::speech::{Speech, hints};
use super::stream;
use crate::element::{Attribute, Attributes, Element};
use crate::finding::{Finding, Findings, quoted};
use crate::language;
use crate::vocabulary;

/// A conversation: the caller's speech goes to a server as text, and the server's texts are spoken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConversationRelay {
    /// Address of the WebSocket server, as written: `ws`, `wss`, or relative to the document.
    pub url: String,
    /// Spoken first.
    pub greeting: Option<String>,
    /// What interrupts the greeting.
    pub greeting_interruptible: Inputs,
    /// What interrupts the server's texts and sounds, unless a message says otherwise.
    pub interruptible: Inputs,
    /// Which input is reported while the server speaks and is not interrupted.
    pub reported: Inputs,
    /// Whether a text may be replaced by the next one, unless a message says otherwise.
    pub preemptible: bool,
    /// Whether keys are reported.
    pub keys: bool,
    /// Whether the words of an utterance are reported before its end.
    pub partial_prompts: bool,
    /// Language of the texts as a BCP-47 tag.
    pub tts_language: String,
    /// Language of the caller as a BCP-47 tag.
    pub transcription_language: String,
    /// The voice.
    pub voice: Voice,
    /// Voices for some languages.
    pub languages: Vec<(String, Voice)>,
    /// Words likely to be said; at most [`Speech::MOST_HINTS`].
    pub hints: Vec<String>,
    /// The silence in milliseconds that ends an utterance; `None`: the recognizer decides.
    pub speech_timeout_ms: Option<u32>,
    /// What else the server is informed of.
    pub events: RelayEvents,
    /// Names and values for the server, in order; no name occurs twice.
    pub parameters: Vec<(String, String)>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// What the server of a conversation is informed of beside the caller's input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RelayEvents {
    /// When each party begins and stops speaking.
    pub speakers: bool,
    /// Each text that has been played.
    pub tokens: bool,
}

impl RelayEvents {
    /// Both, by their names in documents.
    const NAMES: [&str; 2] = ["speaker-events", "tokens-played"];

    /// The names of those that are wanted.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let wanted = [self.speakers, self.tokens];
        let all = Self::NAMES.into_iter().zip(wanted);
        all.filter(|(_, wanted)| *wanted)
            .map(|(name, _)| name)
            .collect()
    }

    /// Adds what this word wants; false if it is not known.
    fn add(&mut self, word: &str) -> bool {
        let [speakers, tokens] = Self::NAMES.map(|name| name.eq_ignore_ascii_case(word));
        self.speakers |= speakers;
        self.tokens |= tokens;
        speakers || tokens
    }
}

/// Kinds of input of the remote party.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inputs {
    /// Neither speech nor keys.
    None,
    /// Keys.
    Dtmf,
    /// Speech.
    Speech,
    /// Speech and keys.
    Any,
}

impl Inputs {
    /// Its name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Dtmf => "dtmf",
            Self::Speech => "speech",
            Self::Any => "any",
        }
    }

    /// The kinds with this name, in any letter case; `true` is `any`, `false` is `none`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "none" | "false" => Self::None,
            "dtmf" => Self::Dtmf,
            "speech" => Self::Speech,
            "any" | "true" => Self::Any,
            _ => return None,
        })
    }

    /// Whether keys are among them.
    #[must_use]
    pub const fn has_keys(self) -> bool {
        matches!(self, Self::Dtmf | Self::Any)
    }

    /// Whether speech is among them.
    #[must_use]
    pub const fn has_speech(self) -> bool {
        matches!(self, Self::Speech | Self::Any)
    }
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "debug",
        "dtmfDetection",
        "events",
        "hints",
        "interruptible",
        "language",
        "partialPrompts",
        "preemptible",
        "reportInputDuringAgentSpeech",
        "speechTimeout",
        "transcriptionLanguage",
        "ttsLanguage",
        "url",
        "voice",
        "welcomeGreeting",
        "welcomeGreetingInterruptible",
    ],
    unbuilt: &[
        "applicationReconnect",
        "backgroundNoiseReduction",
        "conversationConfiguration",
        "deepgramSmartFormat",
        "elevenlabsTextNormalization",
        "eotThreshold",
        "ignoreBackchannel",
        "intelligenceService",
        "interruptSensitivity",
        "profanityFilter",
        "speechModel",
        "transcriptionProvider",
        "ttsProvider",
        "turnDetection",
    ],
};

pub(super) const LANGUAGE: Attributes = Attributes {
    built: &["code", "voice"],
    unbuilt: &["speechModel", "transcriptionProvider", "ttsProvider"],
};

/// Milliseconds that `speechTimeout` may have.
const SPEECH_TIMEOUT: std::ops::RangeInclusive<u32> = 100..=10_000;

impl ConversationRelay {
    /// Language of both directions without the attributes.
    pub const DEFAULT_LANGUAGE: &str = "en-US";

    /// A conversation without options.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            greeting: None,
            greeting_interruptible: Inputs::Any,
            interruptible: Inputs::Any,
            reported: Inputs::None,
            preemptible: false,
            keys: false,
            partial_prompts: false,
            tts_language: Self::DEFAULT_LANGUAGE.to_owned(),
            transcription_language: Self::DEFAULT_LANGUAGE.to_owned(),
            voice: Voice::default(),
            languages: Vec::new(),
            hints: Vec::new(),
            speech_timeout_ms: None,
            events: RelayEvents::default(),
            parameters: Vec::new(),
            line: 0,
        }
    }

    /// `None`, with a finding, if there is no address. An invalid one is kept, so that using it fails
    /// as it should.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_text(findings);
        let (tts_language, transcription_language) = both_languages(element, findings);
        let (languages, parameters) = children(element, findings);
        let mut inputs = |name, default| inputs(element, name, default, findings);
        let relay = Self {
            greeting: element.string("welcomeGreeting"),
            greeting_interruptible: inputs("welcomeGreetingInterruptible", Inputs::Any),
            interruptible: inputs("interruptible", Inputs::Any),
            reported: inputs("reportInputDuringAgentSpeech", Inputs::None),
            preemptible: element.flag("preemptible", findings).unwrap_or(false),
            keys: element.flag("dtmfDetection", findings).unwrap_or(false),
            partial_prompts: element.flag("partialPrompts", findings).unwrap_or(false),
            tts_language,
            transcription_language,
            voice: voice(element, findings),
            languages,
            hints: hints(element, findings),
            speech_timeout_ms: speech_timeout(element, findings),
            events: events(element, findings),
            parameters,
            line: element.at().line,
            ..Self::new(stream::url(element, findings)?)
        };
        Some(relay)
    }
}

/// The languages of the texts and of the caller: `language` unless one has its own attribute.
fn both_languages(element: &Element<'_>, findings: &mut Findings) -> (String, String) {
    let default = ConversationRelay::DEFAULT_LANGUAGE;
    let mut read = |name: &str, default: &str| {
        language::read_named(element, name, default, error::RELAY_LANGUAGE, findings)
    };
    let both = read("language", default);
    (
        read("ttsLanguage", &both),
        read("transcriptionLanguage", &both),
    )
}

fn voice(element: &Element<'_>, findings: &mut Findings) -> Voice {
    let voice = element.word("voice", error::SAY_VOICE, VOICES, findings);
    voice.unwrap_or_default()
}

fn inputs(element: &Element<'_>, name: &str, default: Inputs, findings: &mut Findings) -> Inputs {
    let instead = format!("{} was used", default.as_str());
    let is_known = |text: &str| Inputs::named(text).is_some();
    let written = element.checked(name, (error::BAD_VALUE, &instead), is_known, findings);
    written
        .as_deref()
        .and_then(Inputs::named)
        .unwrap_or(default)
}

/// `events`, and `debug`, which is its older name.
fn events(element: &Element<'_>, findings: &mut Findings) -> RelayEvents {
    let mut events = RelayEvents::default();
    for name in ["events", "debug"] {
        let Some(Attribute { value, at }) = element.attribute(name) else {
            continue;
        };
        let words = value.split_ascii_whitespace();
        let unknown: Vec<&str> = words.filter(|word| !events.add(word)).collect();
        if let Some(word) = unknown.first() {
            let message = format!(
                "`{name}` of `{}` cannot be `{}` ({}); the word was left out",
                element.name(),
                quoted(word),
                RelayEvents::NAMES.join(" or ")
            );
            findings.push(Finding::new(error::BAD_VALUE, at, message));
        }
    }
    events
}

fn speech_timeout(element: &Element<'_>, findings: &mut Findings) -> Option<u32> {
    const NAME: &str = "speechTimeout";
    const AUTO: &str = "auto";
    let is_auto = |text: &str| text.eq_ignore_ascii_case(AUTO);
    let read = |text: &str| text.parse().ok().filter(|ms| SPEECH_TIMEOUT.contains(ms));
    let is_known = |text: &str| is_auto(text) || read(text).is_some();
    let instead = format!("{AUTO} was used");
    let written = element.checked(NAME, (error::BAD_VALUE, &instead), is_known, findings);
    written.as_deref().and_then(read)
}

type Pairs<T> = Vec<(String, T)>;

/// The voices of its languages, and its parameters.
fn children(element: &Element<'_>, findings: &mut Findings) -> (Pairs<Voice>, Pairs<String>) {
    let (mut languages, mut parameters) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    for child in element.children() {
        match child.name() {
            vocabulary::PARAMETER => {
                parameters.extend(stream::parameter(&child, element, &mut names, findings));
            }
            vocabulary::LANGUAGE => languages.extend(one_language(&child, findings)),
            _ => child.refuse_in(element.name(), findings),
        }
    }
    (languages, parameters)
}

fn one_language(element: &Element<'_>, findings: &mut Findings) -> Option<(String, Voice)> {
    element.check_attributes(&LANGUAGE, findings);
    element.refuse_content(findings);
    let voice = voice(element, findings);
    let (at, fault) = match element.attribute("code") {
        None => (element.at(), "has no `code`".to_owned()),
        Some(Attribute { value, at }) => match language::tag(&value) {
            Some(tag) => return Some((tag, voice)),
            None => (at, format!("has the unknown language `{}`", quoted(&value))),
        },
    };
    let message = format!("`Language` of `ConversationRelay` {fault}; it was left out");
    findings.push(Finding::new(error::RELAY_LANGUAGE, at, message));
    None
}

impl Speech {
    /// The BCP-47 tag of a language code or tag in any letter case, if the language is known.
    #[must_use]
    pub fn language_tag(written: &str) -> Option<String> {
        language::tag(written)
    }
}
