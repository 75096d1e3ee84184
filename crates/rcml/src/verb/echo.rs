//! `<Echo>`: the remote party hears itself.

use crate::element::{Attributes, Element};
use crate::finding::Findings;

/// Sends the remote party what it says, until it hangs up or another document takes over.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Echo {
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &[],
    unbuilt: &[],
};

impl Echo {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        Self {
            line: element.at().line,
        }
    }
}
