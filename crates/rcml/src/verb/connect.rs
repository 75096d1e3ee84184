//! `<Connect>`, `<Start>` and `<Stop>`: hand the call to a stream, or start and stop streams beside
//! the document.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::verb::Stream;
use crate::vocabulary;

/// Lets the remote party and a server talk to each other until the server closes the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect {
    /// The stream; `None`: the verb is skipped, and has a finding.
    pub stream: Option<Stream>,
    /// Address of the next document after the stream, as written; `None`: the current document.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
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
        let read =
            |child: &Element<'_>, findings: &mut Findings| Stream::read(child, true, findings);
        let mut streams = streams(element, read, findings).into_iter();
        let stream = streams.next();
        if let Some((at, _)) = streams.next() {
            let message = "only the first `Stream` in `Connect` is used".to_owned();
            findings.push(Finding::new(error::BAD_NESTING, at, message));
        }
        Self {
            stream: stream.map(|(_, stream)| stream),
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

/// What is read from the streams inside an element, with their places. Adds a finding if the element
/// names no stream at all.
fn streams<T>(
    element: &Element<'_>,
    read: impl Fn(&Element<'_>, &mut Findings) -> Option<T>,
    findings: &mut Findings,
) -> Vec<(crate::Position, T)> {
    element.refuse_text(findings);
    let (mut found, mut is_empty) = (Vec::new(), true);
    for child in element.children() {
        if child.name() == vocabulary::STREAM {
            is_empty = false;
            found.extend(read(&child, findings).map(|read| (child.at(), read)));
        } else {
            child.refuse_in(element.name(), findings);
        }
    }
    if is_empty {
        let message = format!("`{}` has no `Stream`; it was skipped", element.name());
        findings.push(Finding::new(error::STREAM_MISSING, element.at(), message));
    }
    found
}
