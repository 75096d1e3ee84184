//! `<Connect>`, `<Start>` and `<Stop>`: hand the call to a stream or a conversation, or start and stop
//! streams beside the document.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::verb::{ConversationRelay, Stream};
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

/// Starts streams that the document does not wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The streams; if there are none, the verb is skipped, and has a finding.
    pub streams: Vec<Stream>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// Stops streams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stop {
    /// Their names.
    pub names: Vec<String>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
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
        let read =
            |child: &Element<'_>, findings: &mut Findings| Stream::read(child, false, findings);
        let streams = streams(element, read, findings).into_iter();
        Self {
            streams: streams.map(|(_, stream)| stream).collect(),
            line: element.at().line,
        }
    }
}

impl Stop {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&STOP, findings);
        let names = streams(element, Stream::read_name, findings).into_iter();
        Self {
            names: names.map(|(_, name)| name).collect(),
            line: element.at().line,
        }
    }
}

/// What is read from the streams inside an element, with their places.
fn streams<T>(
    element: &Element<'_>,
    read: impl Fn(&Element<'_>, &mut Findings) -> Option<T>,
    findings: &mut Findings,
) -> Vec<(crate::Position, T)> {
    nouns(element, &[vocabulary::STREAM], read, findings)
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
        let message = format!(
            "`{}` has no {}; it was skipped",
            element.name(),
            names.join(" or ")
        );
        findings.push(Finding::new(error::STREAM_MISSING, element.at(), message));
    }
    found
}
