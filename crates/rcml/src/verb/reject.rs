//! `<Reject>`: refuse a call that is not answered yet.

use model::error;

use crate::element::{Attributes, Element};
use crate::finding::Findings;

/// Refuses a call that is not answered yet; skipped once it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reject {
    /// What the caller is told.
    pub reason: RejectReason,
    /// Line in the document, from 1; 0 if there is none.
    pub line: u32,
}

/// What a rejected caller is told.
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
