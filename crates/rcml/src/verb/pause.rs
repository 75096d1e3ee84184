//! `<Pause>`: waits.

use model::error;

use crate::element::{Attributes, Element};
use crate::finding::Findings;

/// Waits; as the first verb of an unanswered call, without answering it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// Length in seconds; at least 1.
    pub seconds: u32,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

impl Pause {
    /// Length without the attribute, in seconds.
    pub const DEFAULT_SECONDS: u32 = 1;

    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        let seconds = element.seconds(
            "length",
            Self::DEFAULT_SECONDS,
            error::PAUSE_LENGTH,
            findings,
        );
        Self {
            seconds,
            line: element.at().line,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &["length"],
    unbuilt: &[],
};
