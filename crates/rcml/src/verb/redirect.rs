//! `<Redirect>`: continues with another document.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};

/// Continues with another document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// Address of the document as written; an empty one is skipped.
    pub url: String,
    /// HTTP method for the document.
    pub method: HttpMethod,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &["method"],
    unbuilt: &[],
};

impl Redirect {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_children(findings);
        let url = element.text_url(findings);
        if url.is_empty() {
            let message = "`Redirect` has no address; it was skipped".to_owned();
            findings.push(Finding::new(error::REDIRECT_EMPTY, element.at(), message));
        }
        Self {
            url,
            method: element.method("method", error::REDIRECT_METHOD, findings),
            line: element.at().line,
        }
    }
}
