//! `<Hangup>`: ends the call.

use crate::element::{Attributes, Element};
use crate::finding::Findings;

/// Ends the call.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hangup {
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

impl Hangup {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        Self {
            line: element.at().line,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &[],
    unbuilt: &[],
};
