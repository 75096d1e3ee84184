//! `<Reject>`: refuses a call that is not yet answered.

use model::error;

use crate::element::{Attributes, Element};
use crate::finding::Findings;

/// Refuses a call that is not yet answered; skipped once it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reject {
    /// The reason given to the caller.
    pub reason: RejectReason,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// The reason given to a rejected caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RejectReason {
    /// Declined (SIP 603).
    #[default]
    Rejected,
    /// Busy (SIP 486).
    Busy,
}

impl RejectReason {
    /// The word used in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Busy => "busy",
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &["reason"],
    unbuilt: &[],
};

impl Reject {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        let reason = element
            .word("reason", error::REJECT_REASON, REASONS, findings)
            .unwrap_or_default();
        Self {
            reason,
            line: element.at().line,
        }
    }
}

const REASONS: &[(&str, RejectReason)] = &[
    ("rejected", RejectReason::Rejected),
    ("busy", RejectReason::Busy),
];
