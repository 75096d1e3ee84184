//! `<Connect>`, `<Start>` and `<Stop>`: hand the call to a stream or a conversation, or start and stop
//! streams, recordings, transcriptions and SIPREC sessions beside the document.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::verb::{
    CallRecording, ConversationRelay, Siprec, Stream, Transcription, call_recording, siprec,
    stream, transcription,
};
use crate::vocabulary;

/// Lets the remote party and a server talk to each other until the server ends that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    /// How; `None`: the verb is skipped, and has a finding.
    pub noun: Option<ConnectNoun>,
    /// Address of the next document afterwards, as written; `None`: the current document.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// How a `<Connect>` connects the remote party with a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConnectNoun {
    /// By their audio.
    Stream(Stream),
    /// By text.
    Relay(Box<ConversationRelay>),
}

/// Starts what the document does not wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// What it is, in order; if there is nothing, the verb is skipped, and has a finding.
    pub nouns: Vec<StartNoun>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// What a `<Start>` starts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StartNoun {
    /// A stream of the call's audio.
    Stream(Stream),
    /// A recording.
    Recording(CallRecording),
    /// What is said, as text.
    Transcription(Box<Transcription>),
    /// The call's audio, to a recording server.
    Siprec(Box<Siprec>),
}

impl StartNoun {
    /// The name of the element.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Stream(_) => vocabulary::STREAM,
            Self::Recording(_) => vocabulary::RECORDING,
            Self::Transcription(_) => vocabulary::TRANSCRIPTION,
            Self::Siprec(_) => vocabulary::SIPREC,
        }
    }
}

/// Stops what was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// What it is, in order.
    pub nouns: Vec<StopNoun>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// What a `<Stop>` stops, by its name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StopNoun {
    /// A stream.
    Stream(String),
    /// A recording.
    Recording(String),
    /// A transcription.
    Transcription(String),
    /// A session with a recording server.
    Siprec(String),
}

pub(super) const CONNECT: Attributes = Attributes {
    built: &["action", "method"],
    unbuilt: &[],
};

pub(super) const START: Attributes = Attributes {
    built: &[],
    unbuilt: &["action", "method"],
};

pub(super) const STOP: Attributes = Attributes {
    built: &[],
    unbuilt: &[],
};

impl Connect {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&CONNECT, findings);
        let read = |child: &Element<'_>, findings: &mut Findings| match child.name() {
            vocabulary::RELAY => ConversationRelay::read(child, findings)
                .map(|relay| ConnectNoun::Relay(Box::new(relay))),
            _ => Stream::read(child, true, findings).map(ConnectNoun::Stream),
        };
        let known = &[vocabulary::STREAM, vocabulary::RELAY];
        let mut nouns = nouns(element, known, read, findings).into_iter();
        let noun = nouns.next();
        if let Some((at, _)) = nouns.next() {
            let message =
                "only the first `Stream` or `ConversationRelay` in `Connect` is used".to_owned();
            findings.push(Finding::new(error::BAD_NESTING, at, message));
        }
        Self {
            noun: noun.map(|(_, noun)| noun),
            action: element.url("action", findings),
            method: element.method("method", error::BAD_VALUE, findings),
            line: element.at().line,
        }
    }
}

impl Start {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&START, findings);
        let read = |child: &Element<'_>, findings: &mut Findings| match child.name() {
            vocabulary::RECORDING => {
                Some(StartNoun::Recording(CallRecording::read(child, findings)))
            }
            vocabulary::TRANSCRIPTION => Transcription::read(child, findings)
                .map(|read| StartNoun::Transcription(Box::new(read))),
            vocabulary::SIPREC => Some(StartNoun::Siprec(Box::new(Siprec::read(child, findings)))),
            _ => Stream::read(child, false, findings).map(StartNoun::Stream),
        };
        let nouns = nouns(element, vocabulary::STARTED, read, findings).into_iter();
        Self {
            nouns: nouns.map(|(_, noun)| noun).collect(),
            line: element.at().line,
        }
    }
}

impl Stop {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&STOP, findings);
        let read = |child: &Element<'_>, findings: &mut Findings| match child.name() {
            vocabulary::RECORDING => {
                let unnamed = error::STARTED_UNKNOWN;
                read_name(child, &call_recording::STOPPED, unnamed, findings)
                    .map(StopNoun::Recording)
            }
            vocabulary::TRANSCRIPTION => {
                let unnamed = error::STARTED_UNKNOWN;
                read_name(child, &transcription::STOPPED, unnamed, findings)
                    .map(StopNoun::Transcription)
            }
            vocabulary::SIPREC => {
                let unnamed = error::STARTED_UNKNOWN;
                read_name(child, &siprec::STOPPED, unnamed, findings).map(StopNoun::Siprec)
            }
            _ => read_name(child, &stream::STOPPED, error::STREAM_UNKNOWN, findings)
                .map(StopNoun::Stream),
        };
        let nouns = nouns(element, vocabulary::STARTED, read, findings).into_iter();
        Self {
            nouns: nouns.map(|(_, noun)| noun).collect(),
            line: element.at().line,
        }
    }
}

/// The name of what is to be stopped; `None`, with a finding, if there is none.
fn read_name(
    element: &Element<'_>,
    known: &Attributes,
    unnamed: u16,
    findings: &mut Findings,
) -> Option<String> {
    element.check_attributes(known, findings);
    element.refuse_content(findings);
    let name = element.string("name");
    if name.is_none() {
        let noun = element.name();
        let message = format!("`{noun}` in `Stop` has no `name`; it was skipped");
        findings.push(Finding::new(unnamed, element.at(), message));
    }
    name
}

/// What is read from the elements with these names inside an element, with their places. Adds a finding
/// if there are none at all.
fn nouns<T>(
    element: &Element<'_>,
    known: &[&str],
    read: impl Fn(&Element<'_>, &mut Findings) -> Option<T>,
    findings: &mut Findings,
) -> Vec<(crate::Position, T)> {
    element.refuse_text(findings);
    let (mut found, mut is_empty) = (Vec::new(), true);
    for child in element.children() {
        if known.contains(&child.name()) {
            is_empty = false;
            found.extend(read(&child, findings).map(|read| (child.at(), read)));
        } else {
            child.refuse_in(element.name(), findings);
        }
    }
    if is_empty {
        let names: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        let names = match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        };
        let message = format!("`{}` has no {names}; it was skipped", element.name());
        findings.push(Finding::new(error::STREAM_MISSING, element.at(), message));
    }
    found
}
