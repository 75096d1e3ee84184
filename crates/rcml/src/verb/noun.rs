//! `<Number>`, `<Client>`, `<Sip>` (and its old name `<Uri>`) inside `<Dial>`.

use model::{HttpMethod, LegEvent, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings, quoted};
use crate::verb::answering::{self, Detection};
use crate::verb::conference::Conference;
use crate::verb::queue::Queue;
use crate::verb::target::{self, is_digits};
use crate::verb::unsupported::Unsupported;

/// A party to call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Noun {
    /// A telephone number.
    Number(Branch),
    /// A registered client of the account's organization, by login.
    Client(Branch),
    /// A SIP address.
    Sip(Branch),
    /// A room to meet others in.
    Conference(Conference),
    /// A queue whose first call is taken.
    Queue(Queue),
    /// A party whose address or name is unusable; there is a finding for it. Counts as a branch that
    /// could not be created.
    Unsupported(Unsupported),
}

/// One party that a `<Dial>` calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Branch {
    /// The number, the login, or the SIP URI (always with its scheme), without the header list.
    /// Never empty; at most 254 characters; no spaces or control characters.
    pub target: String,
    /// Headers for the INVITE, in order; every name starts with `X-`, no value has a line break.
    pub headers: Vec<(String, String)>,
    /// Address of the screening document, as written. The party that answers hears it before it is
    /// connected.
    pub url: Option<String>,
    /// HTTP method for the screening document.
    pub method: HttpMethod,
    /// Address for the events of this leg, as written.
    pub status_callback: Option<String>,
    /// HTTP method for the events.
    pub status_callback_method: HttpMethod,
    /// Requested events; `None` if the document does not specify them.
    pub status_callback_events: Option<Vec<LegEvent>>,
    /// Keys to send after the answer (`Number` only): `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half
    /// a second of silence.
    pub send_digits: Option<String>,
    /// What is to be found out about the party that answers (`Number` and `Sip` only).
    pub detection: Option<Box<Detection>>,
    /// User name for a challenge (`Sip` only).
    pub username: Option<String>,
    /// Password for a challenge (`Sip` only).
    pub password: Option<String>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

impl Noun {
    /// The party to call, if it can be dialled.
    #[must_use]
    pub fn branch(&self) -> Option<&Branch> {
        match self {
            Self::Number(branch) | Self::Client(branch) | Self::Sip(branch) => Some(branch),
            Self::Conference(_) | Self::Queue(_) | Self::Unsupported(_) => None,
        }
    }

    /// Name of the element.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Number(_) => "Number",
            Self::Client(_) => "Client",
            Self::Sip(_) => "Sip",
            Self::Conference(_) => "Conference",
            Self::Queue(_) => "Queue",
            Self::Unsupported(noun) => &noun.name,
        }
    }
}

impl Branch {
    /// A party without options.
    #[must_use]
    pub fn new(target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            headers: Vec::new(),
            url: None,
            method: HttpMethod::Post,
            status_callback: None,
            status_callback_method: HttpMethod::Post,
            status_callback_events: None,
            send_digits: None,
            detection: None,
            username: None,
            password: None,
            line: 0,
        }
    }
}

const COMMON: [&str; 5] = [
    "url",
    "method",
    "statusCallback",
    "statusCallbackMethod",
    "statusCallbackEvent",
];

const DETECTION: [&str; 7] = answering::ATTRIBUTES;

pub(super) const NUMBER: Attributes = Attributes {
    built: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        "sendDigits",
        DETECTION[0],
        DETECTION[1],
        DETECTION[2],
        DETECTION[3],
        DETECTION[4],
        DETECTION[5],
        DETECTION[6],
    ],
    unbuilt: &[
        "byoc",
        "callReason",
        "endConferenceOnExit",
        "startConferenceOnEnter",
    ],
};

pub(super) const CLIENT: Attributes = Attributes {
    built: &COMMON,
    unbuilt: &["clientNotificationUrl", "name"],
};

pub(super) const SIP: Attributes = Attributes {
    built: &[
        COMMON[0],
        COMMON[1],
        COMMON[2],
        COMMON[3],
        COMMON[4],
        "username",
        "password",
        DETECTION[0],
        DETECTION[1],
        DETECTION[2],
        DETECTION[3],
        DETECTION[4],
        DETECTION[5],
        DETECTION[6],
    ],
    unbuilt: &["codecs", "name", "sequential"],
};

impl Noun {
    /// The party named by the plain text of a `Dial`, if there is text.
    pub(crate) fn from_text(dial: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        let text = dial.text();
        (!text.is_empty()).then(|| {
            let kind = target::kind_of(&text);
            let branch = Branch {
                line: dial.at().line,
                ..Branch::new("")
            };
            Self::build(dial, kind, &text, branch, findings)
        })
    }

    /// The party named by a child of a `Dial`, or `None` for an element that is not a supported
    /// noun.
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        let (kind, attributes) = match element.name() {
            "Conference" => {
                let read = Conference::read(element, findings).map(Self::Conference);
                return Some(read.unwrap_or_else(|| Self::Unsupported(Unsupported::of(element))));
            }
            "Queue" => {
                let read = Queue::read(element, findings).map(Self::Queue);
                return Some(read.unwrap_or_else(|| Self::Unsupported(Unsupported::of(element))));
            }
            "Number" => (target::Kind::Number, &NUMBER),
            "Client" => (target::Kind::Client, &CLIENT),
            "Sip" | "Uri" => (target::Kind::Sip, &SIP),
            _ => {
                element.refuse_in("Dial", findings);
                return None;
            }
        };
        element.check_attributes(attributes, findings);
        element.refuse_children(findings);
        let branch = Branch::options(element, attributes, findings);
        Some(Self::build(
            element,
            kind,
            &element.text(),
            branch,
            findings,
        ))
    }

    fn build(
        element: &Element<'_>,
        kind: target::Kind,
        text: &str,
        mut branch: Branch,
        findings: &mut Findings,
    ) -> Self {
        let split = target::split(kind, text);
        for field in &split.refused {
            let field = quoted(field);
            let message = format!("the header `{field}` in `{}` was left out", element.name());
            findings.push(Finding::new(error::DIAL_HEADERS, element.at(), message));
        }
        if split.target.is_empty() {
            let name = element.name();
            let message = match text {
                "" => format!("`{name}` does not name a party to call"),
                text => format!("`{name}` cannot call `{}`", quoted(text)),
            };
            findings.push(Finding::new(error::BAD_URI, element.at(), message));
            let name = kind.name().to_owned();
            return Self::Unsupported(Unsupported {
                name,
                ..Unsupported::of(element)
            });
        }
        if let Some(login) = target::meant_client(kind, text, &split.target) {
            let (name, login) = (element.name(), quoted(login));
            let message = match kind {
                target::Kind::Sip => {
                    format!("`{login}` in `{name}` is called as a host name")
                }
                target::Kind::Number | target::Kind::Client => {
                    format!("`{login}` in `{name}` is not a number, but is called as one")
                }
            };
            let finding = Finding::new(error::DIAL_MISTAKEN, element.at(), message);
            findings.push(finding.suggest(Some(format!("<Client>{login}</Client>"))));
        }
        branch.target = split.target;
        branch.headers = split.headers;
        match kind {
            target::Kind::Number => Self::Number(branch),
            target::Kind::Client => Self::Client(branch),
            target::Kind::Sip => Self::Sip(branch),
        }
    }
}

impl Branch {
    /// The attributes; the target is set later.
    fn options(element: &Element<'_>, known: &Attributes, findings: &mut Findings) -> Self {
        let has = |name: &str| known.built.contains(&name);
        Self {
            url: element.url("url", findings),
            method: element.method("method", error::DIAL_METHOD, findings),
            status_callback: element.url("statusCallback", findings),
            status_callback_method: element.method(
                "statusCallbackMethod",
                error::DIAL_CALLBACK,
                findings,
            ),
            status_callback_events: events(element, findings),
            send_digits: has("sendDigits")
                .then(|| {
                    element.checked(
                        "sendDigits",
                        (error::BAD_VALUE, "no keys are sent"),
                        is_digits,
                        findings,
                    )
                })
                .flatten(),
            detection: has(DETECTION[0])
                .then(|| Detection::read(element, findings))
                .flatten(),
            username: has("username")
                .then(|| element.string("username"))
                .flatten(),
            password: has("password")
                .then(|| element.string("password"))
                .flatten(),
            line: element.at().line,
            ..Self::new("")
        }
    }
}

/// The requested events; `None` if none is known.
fn events(element: &Element<'_>, findings: &mut Findings) -> Option<Vec<LegEvent>> {
    let known = LegEvent::ALL.map(|event| (event.as_str(), event));
    element.words(
        "statusCallbackEvent",
        error::DIAL_CALLBACK,
        &known,
        findings,
    )
}
