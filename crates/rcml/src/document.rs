//! The document that a call runs.

use model::{HttpMethod, error};

use crate::finding::{Finding, Findings, LeftOut, Position};
use crate::source::{START, Source};
use crate::verb::{Play, Say, Verb};
use crate::{reach, walk, writer};

/// A flat list of verbs in execution order, and the findings of reading it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Document {
    /// Verbs in execution order.
    pub verbs: Vec<Verb>,
    /// Findings in text order, at most 100.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub left_out: LeftOut,
}

/// A text that is not a document: not XML, over the limits, or with a verb that cannot be read in
/// part.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// Number in the error table.
    pub code: u16,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Description of the fault, human-readable.
    pub message: String,
}

impl ParseError {
    /// The text is not XML, or over the limits.
    pub(crate) const fn no_xml(at: Position, message: String) -> Self {
        Self {
            code: error::DOCUMENT_PARSE,
            line: at.line,
            column: at.column,
            message,
        }
    }

    /// Whether the text is not XML at all, or over the limits.
    #[must_use]
    pub const fn is_no_xml(&self) -> bool {
        self.code == error::DOCUMENT_PARSE
    }
}

impl Document {
    /// Reads a document.
    ///
    /// The root may be `Response` or a verb. Verbs are found depth first, also inside elements that
    /// are not verbs; the content of a verb belongs to that verb. Namespace prefixes are ignored
    /// and a bare `&` is read as `&amp;`.
    ///
    /// # Errors
    /// [`ParseError`] if the text is not well-formed, has a document type declaration or the root
    /// `html`, is longer than [`MAX_BYTES`](crate::MAX_BYTES) or nested deeper than
    /// [`MAX_DEPTH`](crate::MAX_DEPTH), or if a `<Gather>` has too many hints.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_as(text, None)
    }

    /// [`parse`](Self::parse) for an answer with a content type, using its charset.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_as(text: &str, content_type: Option<&str>) -> Result<Self, ParseError> {
        match Self::read(text, content_type)? {
            (document, None) => Ok(document),
            (_, Some(refusal)) => Err(refusal),
        }
    }

    /// The document, and why it must not run although it can be read.
    fn read(
        text: &str,
        content_type: Option<&str>,
    ) -> Result<(Self, Option<ParseError>), ParseError> {
        let source = Source::new(text)?;
        let tree = source.tree()?;
        let mut findings = Findings::default();
        source.report(content_type, &mut findings);
        let verbs = walk::verbs(&source, &tree, &mut findings);
        let refusal = findings.refusal().map(|finding| ParseError {
            code: finding.code,
            line: finding.line,
            column: finding.column,
            message: finding.message.clone(),
        });
        let (findings, left_out) = findings.into_sorted();
        let document = Self {
            verbs,
            findings,
            left_out,
        };
        Ok((document, refusal))
    }

    /// All faults of a text: its findings, or the one reason why it is not XML; and how many more
    /// there were.
    ///
    /// - `content_type`: the header that came with the text, if any.
    #[must_use]
    pub fn lint(text: &str, content_type: Option<&str>) -> (Vec<Finding>, LeftOut) {
        match Self::read(text, content_type) {
            Ok((document, _)) => (document.findings, document.left_out),
            Err(error) => {
                let at = Position {
                    line: error.line,
                    column: error.column,
                };
                let finding = Finding::new(error.code, at, error.message);
                (vec![finding], LeftOut::default())
            }
        }
    }

    /// Whether one of its verbs answers the call, ends it, or leaves the document. If not, a call
    /// that is not yet answered rings until the end of the document and is refused.
    #[must_use]
    pub fn decides(&self) -> bool {
        self.verbs.iter().any(reach::decides)
    }

    /// The document that speaks a text, as a `text/plain` answer requests. A text that looks like a
    /// document is spoken too, with a finding.
    #[must_use]
    pub fn say(text: &str) -> Self {
        let say = Say {
            text: text.trim().to_owned(),
            ..Say::default()
        };
        Self {
            findings: xml_as_text(&say.text).into_iter().collect(),
            verbs: vec![Verb::Say(say)],
            ..Self::default()
        }
    }

    /// The document that plays the file at an address, as an audio answer requests.
    #[must_use]
    pub fn play(url: &str) -> Self {
        let play = Play {
            url: url.to_owned(),
            ..Play::default()
        };
        Self {
            verbs: vec![Verb::Play(play)],
            ..Self::default()
        }
    }

    /// Writes the verbs as a document; reading it gives the same verbs, except for their line
    /// numbers.
    #[must_use]
    pub fn to_xml(&self) -> String {
        writer::write(&self.verbs)
    }
}

/// The finding for a spoken text that looks like a document.
fn xml_as_text(text: &str) -> Option<Finding> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let looks_like_xml = ["<?xml", "<Response"]
        .iter()
        .any(|start| text.starts_with(start));
    let message = "this looks like a document, but it was sent as `text/plain` and is read aloud; \
                   send it as `text/xml`";
    looks_like_xml.then(|| Finding::new(error::XML_AS_TEXT, START, message.to_owned()))
}

/// The name of a method other than the default.
pub(crate) fn unless_post(method: HttpMethod) -> Option<&'static str> {
    match method {
        HttpMethod::Get => Some(method.as_str()),
        HttpMethod::Post => None,
    }
}
