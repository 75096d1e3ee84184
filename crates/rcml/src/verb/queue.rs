//! `<Queue>` inside `<Dial>`: takes the first call that waits in a queue.

use model::text::{MAX_QUEUE_NAME, is_queue_name};
use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings, quoted};

/// The queue whose first call a `<Dial>` takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queue {
    /// Its name: never empty, at most [`MAX_QUEUE_NAME`] characters, no control characters.
    pub name: String,
    /// Address of the document that the waiting party hears before it is connected, as written.
    pub url: Option<String>,
    /// HTTP method for that document.
    pub method: HttpMethod,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &["method", "url"],
    unbuilt: &["postWorkActivitySid", "reservationSid"],
};

impl Queue {
    /// `None`, with a finding, if the element does not name a queue.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_children(findings);
        let (url, method) = (
            element.url("url", findings),
            element.method("method", error::DIAL_METHOD, findings),
        );
        let line = element.at().line;
        name(element, findings).map(|name| Self {
            name,
            url,
            method,
            line,
        })
    }
}

/// The queue that the text of an element names; `None`, with a finding, if it names none.
pub(super) fn name(element: &Element<'_>, findings: &mut Findings) -> Option<String> {
    let name = element.text();
    if is_queue_name(&name) {
        return Some(name);
    }
    let fault = if name.is_empty() {
        format!("`{}` does not name a queue; it was skipped", element.name())
    } else {
        format!(
            "a queue cannot have the name `{}`: at most {MAX_QUEUE_NAME} characters; it was skipped",
            quoted(&name)
        )
    };
    findings.push(Finding::new(error::QUEUE_NAME, element.at(), fault));
    None
}
