//! Verbs that exist but are not supported.

use model::error;

use crate::advice;
use crate::element::Element;
use crate::finding::{Finding, Findings};

/// A known but unsupported verb, skipped when the document runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsupported {
    /// Name of the element.
    pub name: String,
    /// Line in the document, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Unsupported {
    /// Reads an unsupported verb, and adds the finding for it.
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        let advice = advice::for_element(element.name());
        let message = format!(
            "`{}` is not supported here; it was skipped{advice}",
            element.name()
        );
        findings.push(Finding::new(error::NOT_BUILT, element.at(), message));
        Self::of(element)
    }

    /// The same without a finding, for elements that have a more specific one.
    pub(crate) fn of(element: &Element<'_>) -> Self {
        let at = element.at();
        Self {
            name: element.name().to_owned(),
            line: at.line,
            column: at.column,
        }
    }
}
