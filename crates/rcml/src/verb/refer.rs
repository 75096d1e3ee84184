//! `<Refer>`: asks the remote party's phone to call another address instead of this server.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings, quoted};
use crate::verb::target;
use crate::vocabulary::REFERRED;

/// Transfers the remote party with a SIP REFER (RFC 3515).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refer {
    /// The SIP URI to call, with its scheme and its header list, of which only the names and values
    /// are escaped; `None`: the verb is skipped, and has a finding.
    pub target: Option<String>,
    /// Address of the next document once the outcome is known, as written; `None`: the current
    /// document.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &["action", "method"],
    unbuilt: &[],
};

/// Of a `<Sip>` inside `<Refer>`: the server does not call the address itself.
const SIP: Attributes = Attributes {
    built: &[],
    unbuilt: &[
        "codecs",
        "method",
        "password",
        "statusCallback",
        "statusCallbackEvent",
        "statusCallbackMethod",
        "url",
        "username",
    ],
};

impl Refer {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        Self {
            target: target(element, findings),
            action: element.url("action", findings),
            method: element.method("method", error::BAD_VALUE, findings),
            line: element.at().line,
        }
    }
}

/// The address in the first noun.
fn target(element: &Element<'_>, findings: &mut Findings) -> Option<String> {
    element.refuse_text_with("; put it into `Sip`", findings);
    let (nouns, others): (Vec<_>, Vec<_>) = element
        .children()
        .partition(|child| REFERRED.contains(&child.name()));
    for other in others {
        other.refuse_in("Refer", findings);
    }
    let mut nouns = nouns.into_iter();
    let Some(noun) = nouns.next() else {
        let message = "`Refer` does not name a SIP address; it was skipped".to_owned();
        findings.push(Finding::new(error::REFER_NOBODY, element.at(), message));
        return None;
    };
    for surplus in nouns {
        let message = format!("only the first `{}` in `Refer` is used", noun.name());
        findings.push(Finding::new(error::BAD_NESTING, surplus.at(), message));
    }
    noun.check_attributes(&SIP, findings);
    noun.refuse_children(findings);
    let (name, text) = (noun.name(), noun.text());
    let (target, refused) = target::referred(&text);
    for field in refused {
        let field = quoted(&field);
        let message = format!("the header `{field}` in `{name}` was left out");
        findings.push(Finding::new(error::DIAL_HEADERS, noun.at(), message));
    }
    if target.is_none() {
        let message = match text.as_str() {
            "" => format!("`{name}` in `Refer` has no address; `Refer` was skipped"),
            text => format!(
                "`{name}` in `Refer` cannot be `{}`, which is not a SIP address; `Refer` was skipped",
                quoted(text)
            ),
        };
        findings.push(Finding::new(error::BAD_URI, noun.at(), message));
    }
    target
}
