//! `<Enqueue>` and `<Leave>`: a call waits in a queue until someone takes it.

use std::num::NonZeroU32;

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::Findings;
use crate::verb::queue;
use crate::verb::wait::Wait;

/// Lets the call wait in a queue until a `<Queue>` takes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enqueue {
    /// Name of the queue, as [`Queue::name`](crate::Queue::name); empty: the verb is skipped, and has a finding.
    pub name: String,
    /// Address of the next document after the queue, as written; `None`: the current document.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// Maximum number of waiting calls, this one included; `None`: that of the queue.
    pub max_size: Option<NonZeroU32>,
    /// What the caller hears meanwhile.
    pub wait: Wait,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// Takes the call out of the queue in whose `waitUrl` document it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leave {
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(super) const ENQUEUE: Attributes = Attributes {
    built: &[
        "action",
        "maxQueueSize",
        "method",
        "waitUrl",
        "waitUrlMethod",
    ],
    unbuilt: &["workflowSid"],
};

pub(super) const LEAVE: Attributes = Attributes {
    built: &[],
    unbuilt: &[],
};

impl Enqueue {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ENQUEUE, findings);
        element.refuse_children(findings);
        Self {
            name: queue::name(element, findings).unwrap_or_default(),
            action: element.url("action", findings),
            method: element.method("method", error::BAD_VALUE, findings),
            max_size: element
                .count(
                    "maxQueueSize",
                    error::BAD_VALUE,
                    "that of the queue",
                    findings,
                )
                .and_then(NonZeroU32::new),
            wait: Wait::read(element, "waitUrlMethod", findings),
            line: element.at().line,
        }
    }
}

impl Leave {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&LEAVE, findings);
        element.refuse_text(findings);
        element.refuse_children(findings);
        Self {
            line: element.at().line,
        }
    }
}
