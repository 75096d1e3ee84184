//! `<Sms>`, also called `<Message>`: sends a text message.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::verb::target;

/// Sends a text message: `<Sms>`, or `<Message>` with or without `<Body>`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sms {
    /// The text of the message.
    pub text: String,
    /// The recipient, in canonical form: `client:` and a login, a SIP address, a number, or a name;
    /// `None`: the other party of the call. Empty if it can be none of these.
    pub to: Option<String>,
    /// The sender, as written; `None`: our party of the call. Empty if it cannot be sent.
    pub from: Option<String>,
    /// Address of the next document once the message is on its way, as written; `None`: the current
    /// document.
    pub action: Option<String>,
    /// HTTP method for the action and for the status callback.
    pub method: HttpMethod,
    /// Address that receives the outcome, as written.
    pub status_callback: Option<String>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &["to", "from", "action", "method", "statusCallback"],
    unbuilt: &[],
};

/// Maximum length of the sender, in bytes.
const MAX_SENDER: usize = 254;

impl Sms {
    /// A message with this text to the sender of another one.
    #[must_use]
    pub fn reply(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            to: None,
            from: None,
            action: None,
            method: HttpMethod::Post,
            status_callback: None,
            line: 0,
        }
    }

    /// Whether it can be sent; if not, there is a finding.
    #[must_use]
    pub fn is_sendable(&self) -> bool {
        let filled = |party: &Option<String>| party.as_deref() != Some("");
        !self.text.is_empty() && filled(&self.to) && filled(&self.from)
    }

    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        let name = element.name();
        let (text, has_media) = if name == "Message" {
            body_of_message(element, findings)
        } else {
            element.refuse_children(findings);
            (element.text(), false)
        };
        if text.is_empty() && !has_media {
            let message = format!("`{name}` has no text; the document ends here");
            findings.push(Finding::new(error::SMS_BODY, element.at(), message));
        }
        Self {
            text,
            to: party(element, "to", error::SMS_TO, target::recipient, findings),
            from: party(element, "from", error::SMS_FROM, sender, findings),
            action: element.url("action", findings),
            method: element.method("method", error::SMS_METHOD, findings),
            status_callback: element.url("statusCallback", findings),
            line: element.at().line,
        }
    }
}

/// The text of a `<Message>`: that of its `<Body>`, or its own. None if it has attachments, which
/// must not be left out silently; the flag says so.
fn body_of_message(element: &Element<'_>, findings: &mut Findings) -> (String, bool) {
    let mut body = None;
    let mut has_media = false;
    for child in element.children() {
        match child.name() {
            "Body" => {
                child.refuse_children(findings);
                let bodies: &mut String = body.get_or_insert_default();
                bodies.push_str(&child.text());
            }
            "Media" => {
                has_media = true;
                let message = "attachments (`Media`) cannot be sent; the document ends here";
                let finding = Finding::new(error::SMS_MEDIA, child.at(), message.to_owned());
                findings.push(finding);
            }
            _ => child.refuse_in("Message", findings),
        }
    }
    match body {
        _ if has_media => (String::new(), true),
        Some(body) => {
            element.refuse_text(findings);
            (body, false)
        }
        None => (element.text(), false),
    }
}

fn sender(written: &str) -> String {
    let usable = written.len() <= MAX_SENDER && !written.chars().any(char::is_control);
    if usable {
        written.to_owned()
    } else {
        String::new()
    }
}

/// A party. An unusable one is empty, with a finding, so that the message does not go to another
/// party instead.
fn party(
    element: &Element<'_>,
    name: &str,
    code: u16,
    usual: impl Fn(&str) -> String,
    findings: &mut Findings,
) -> Option<String> {
    if element.is_set_empty(name) {
        let verb = element.name();
        let message = format!("`{name}` of `{verb}` is empty; the document ends here");
        findings.push(Finding::new(code, element.at(), message));
        return Some(String::new());
    }
    element.attribute(name)?;
    let fits = |text: &str| !usual(text).is_empty();
    let found = element.checked(name, (code, "the document ends here"), fits, findings);
    Some(found.map(|text| usual(&text)).unwrap_or_default())
}
