//! Verbs that exist but are not built.

use model::error;

use crate::advice;
use crate::element::Element;
use crate::finding::{Finding, Findings};

/// A verb that exists but is not built. Running a document skips it.
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
    /// Reads a verb that is not built, with the finding that says so.
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        let advice = advice::for_element(element.name());
        let message = format!(
            "`{}` is not supported here; it was skipped{advice}",
            element.name()
        );
        findings.push(Finding::new(error::NOT_BUILT, element.at(), message));
        Self::of(element)
    }

    /// The same without a finding, for elements whose finding says more.
    pub(crate) fn of(element: &Element<'_>) -> Self {
        let at = element.at();
        Self {
            name: element.name().to_owned(),
            line: at.line,
            column: at.column,
        }
    }
}
