//! `<Email>`: sends an e-mail.

use model::RecordingSid;
use model::email::{self, MAX_BODY, Mailbox};
use model::error;

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};

/// Sends an e-mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Email {
    /// The sender: an address, perhaps with a name. Empty if it is missing or unusable.
    pub from: String,
    /// The recipient, likewise.
    pub to: String,
    /// Further recipients, named in the e-mail.
    pub cc: Vec<String>,
    /// Further recipients, not named in it.
    pub bcc: Vec<String>,
    /// The subject, one line.
    pub subject: String,
    /// The text, or HTML.
    pub text: String,
    /// Whether the text is HTML.
    pub html: bool,
    /// Whether `{{Name}}` in the subject and text stands for a parameter.
    pub template: bool,
    /// Recordings to attach; `None`: what was named cannot be attached.
    pub attach: Option<Attach>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// What is attached to an e-mail.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attach {
    /// What the last `<Record>` of the call has recorded. Without that, the e-mail is not sent.
    pub last: bool,
    /// These recordings.
    pub recordings: Vec<RecordingSid>,
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "from", "to", "cc", "bcc", "subject", "type", "attach", "template",
    ],
    unbuilt: &[],
};

/// Names the last recording of the call.
pub(crate) const LAST: &str = "recording";

impl Email {
    /// Subject unless another is written.
    pub const DEFAULT_SUBJECT: &'static str = "Restcomm Email Service";

    /// Whether it can be sent; if not, there is a finding.
    #[must_use]
    pub fn is_sendable(&self) -> bool {
        !self.from.is_empty() && !self.to.is_empty() && self.attach.is_some()
    }

    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_children(findings);
        let subject = element.string("subject");
        Self {
            from: party(element, "from", error::EMAIL_FROM, findings),
            to: party(element, "to", error::EMAIL_TO, findings),
            cc: copies(element, "cc", findings),
            bcc: copies(element, "bcc", findings),
            subject: email::header(subject.as_deref().unwrap_or(Self::DEFAULT_SUBJECT)),
            text: text(element, findings),
            html: is_html(element, findings),
            template: element.flag("template", findings).unwrap_or(false),
            attach: attach(element, findings),
            line: element.at().line,
        }
    }
}

/// A party that must be there.
fn party(element: &Element<'_>, name: &str, code: u16, findings: &mut Findings) -> String {
    if element.attribute(name).is_none() {
        let message = format!("`{name}` of `Email` is missing; it was skipped");
        findings.push(Finding::new(code, element.at(), message));
        return String::new();
    }
    let fits = |text: &str| Mailbox::parse(text).is_some();
    let found = element.checked(name, (code, "it was skipped"), fits, findings);
    found.unwrap_or_default()
}

fn copies(element: &Element<'_>, name: &str, findings: &mut Findings) -> Vec<String> {
    let fits = |text: &str| email::list(text).is_ok();
    let code = (error::EMAIL_COPY, "it was left out");
    let found = element.checked(name, code, fits, findings);
    found
        .and_then(|text| email::list(&text).ok())
        .unwrap_or_default()
}

/// The text, cut to the longest that is sent.
fn text(element: &Element<'_>, findings: &mut Findings) -> String {
    let mut text = element.text();
    if text.len() > MAX_BODY {
        let message =
            format!("the text of `Email` is longer than {MAX_BODY} bytes; the rest was cut off");
        findings.push(Finding::new(error::EMAIL_BODY, element.at(), message));
        text.truncate(text.floor_char_boundary(MAX_BODY));
    }
    text
}

fn is_html(element: &Element<'_>, findings: &mut Findings) -> bool {
    let fits = |text: &str| email::is_html(text).is_some();
    let code = (error::EMAIL_BODY, "text/plain was used");
    let found = element.checked("type", code, fits, findings);
    found
        .and_then(|kind| email::is_html(&kind))
        .unwrap_or(false)
}

fn attach(element: &Element<'_>, findings: &mut Findings) -> Option<Attach> {
    if element.attribute("attach").is_none() {
        return Some(Attach::default());
    }
    let fits = |text: &str| attached(text).is_some();
    let code = (error::EMAIL_ATTACH, "the e-mail was not sent");
    let found = element.checked("attach", code, fits, findings)?;
    attached(&found)
}

fn attached(text: &str) -> Option<Attach> {
    let parts = text.split(|c: char| c == ',' || c.is_whitespace());
    let (last, named): (Vec<&str>, Vec<&str>) = parts
        .filter(|part| !part.is_empty())
        .partition(|part| *part == LAST);
    Some(Attach {
        last: !last.is_empty(),
        recordings: email::recordings(&named.join(" ")).ok()?,
    })
}
