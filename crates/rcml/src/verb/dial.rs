//! `<Dial>`: calls a party and connects it.

mod recording;
mod ring_tone;

use model::address::is_sip_address;
use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};
use crate::verb::conference::Conference;
use crate::verb::noun::Noun;
use crate::verb::queue::Queue;
use crate::verb::recording::{CALLBACK, RecordingCallback};

pub use recording::{DialRecording, RecordingStart, Sides};
pub use ring_tone::RingTone;

/// Calls one or more parties, at once or one after the other, and connects the first that answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dial {
    /// The parties to call, at most [`Dial::MAX_NOUNS`]. Text directly in the element is one noun,
    /// and then the only one. So is a `<Conference>`. Empty: no party, and the verb is skipped.
    pub nouns: Vec<Noun>,
    /// Address of the next document, as written.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// Whether the parties are called one after the other.
    pub sequential: bool,
    /// How long to let it ring, in seconds, for each of the parties if `sequential`; at least 1.
    pub timeout_s: u32,
    /// How long the connection may last, in seconds; at least 1.
    pub time_limit_s: u32,
    /// The caller ID shown to the callee; `None` means the caller's own. No control characters; a
    /// SIP address if it contains an `@`.
    pub caller_id: Option<String>,
    /// What to record; `None`: nothing.
    pub record: Option<DialRecording>,
    /// Receives the events of the recording.
    pub recording_callback: Option<RecordingCallback>,
    /// Address of the document that runs when a connected party asks to be transferred, as written.
    pub refer_url: Option<String>,
    /// HTTP method for it.
    pub refer_method: HttpMethod,
    /// Address of the sound that the caller hears until connected, as written.
    pub dial_music: Option<String>,
    /// What the caller hears until connected, unless that is `dial_music`.
    pub ring_tone: RingTone,
    /// Whether the caller may end the connection with `*`.
    pub hangup_on_star: bool,
    /// Whether the caller is answered only when connected; `None` if the document does not say.
    pub answer_on_bridge: Option<bool>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

impl Dial {
    /// Ring time without the attribute, in seconds.
    pub const DEFAULT_TIMEOUT_S: u32 = 30;
    /// Longest connection without the attribute, in seconds.
    pub const DEFAULT_TIME_LIMIT_S: u32 = 14_400;
    /// Maximum parties of one element.
    pub const MAX_NOUNS: usize = 50;

    /// Calls these parties, without options.
    #[must_use]
    pub fn new(nouns: Vec<Noun>) -> Self {
        Self {
            nouns,
            action: None,
            method: HttpMethod::Post,
            sequential: false,
            timeout_s: Self::DEFAULT_TIMEOUT_S,
            time_limit_s: Self::DEFAULT_TIME_LIMIT_S,
            caller_id: None,
            record: None,
            recording_callback: None,
            refer_url: None,
            refer_method: HttpMethod::Post,
            dial_music: None,
            ring_tone: RingTone::default(),
            hangup_on_star: false,
            answer_on_bridge: None,
            line: 0,
        }
    }

    /// The room to enter, if any; then no party is called.
    #[must_use]
    pub fn conference(&self) -> Option<&Conference> {
        match self.nouns.first()? {
            Noun::Conference(conference) => Some(conference),
            _ => None,
        }
    }

    /// The queue whose first call is taken, if any; then no party is called.
    #[must_use]
    pub fn queue(&self) -> Option<&Queue> {
        match self.nouns.first()? {
            Noun::Queue(queue) => Some(queue),
            _ => None,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "action",
        "method",
        "sequential",
        "timeout",
        "timeLimit",
        "callerId",
        "record",
        "referUrl",
        "referMethod",
        "dialMusic",
        "ringTone",
        "hangupOnStar",
        "answerOnBridge",
        "recordingTrack",
        "trim",
        CALLBACK[0],
        CALLBACK[1],
        CALLBACK[2],
    ],
    unbuilt: &["callReason", "events"],
};

impl Dial {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        let mut dial = Self {
            nouns: nouns(element, findings),
            action: element.url("action", findings),
            method: element.method("method", error::DIAL_METHOD, findings),
            sequential: element.flag("sequential", findings).unwrap_or(false),
            timeout_s: element.seconds(
                "timeout",
                Self::DEFAULT_TIMEOUT_S,
                error::DIAL_TIMEOUT,
                findings,
            ),
            time_limit_s: element.seconds(
                "timeLimit",
                Self::DEFAULT_TIME_LIMIT_S,
                error::DIAL_TIME_LIMIT,
                findings,
            ),
            caller_id: element.checked(
                "callerId",
                (error::DIAL_CALLER_ID, "the caller's own was used"),
                can_be_shown,
                findings,
            ),
            record: DialRecording::read(element, findings),
            recording_callback: RecordingCallback::read(element, findings),
            refer_url: element.url("referUrl", findings),
            refer_method: element.method("referMethod", error::DIAL_METHOD, findings),
            dial_music: element.url("dialMusic", findings),
            ring_tone: RingTone::read(element, findings),
            hangup_on_star: element.flag("hangupOnStar", findings).unwrap_or(false),
            answer_on_bridge: element.flag("answerOnBridge", findings),
            line: element.at().line,
        };
        if dial.conference().is_some()
            && dial.record.take().is_some()
            && let Some(record) = element.attribute("record")
        {
            let message = "`record` of `Dial` does not record a conference here".to_owned();
            findings.push(Finding::new(error::NOT_BUILT, record.at, message));
        }
        dial
    }
}

/// Whether a text can be used as the caller ID.
fn can_be_shown(id: &str) -> bool {
    !id.chars().any(char::is_control) && (!id.contains('@') || is_sip_address(id))
}

/// The nouns that are the only one of their verb: the first that is there takes precedence over all others.
const ALONE: [&str; 2] = ["Conference", "Queue"];

/// Text takes precedence over nouns, a conference or queue over all other nouns.
fn nouns(element: &Element<'_>, findings: &mut Findings) -> Vec<Noun> {
    if let Some(noun) = Noun::from_text(element, findings) {
        for child in element.children() {
            findings.push(idle(&child, "text"));
        }
        return vec![noun];
    }
    let named = |name: &&str| element.children().find(|child| child.name() == *name);
    if let Some(alone) = ALONE.iter().find_map(named) {
        for child in element.children() {
            if child.at() != alone.at() {
                let beside = if child.name() == alone.name() {
                    "the first one".to_owned()
                } else {
                    format!("a `{}`", alone.name())
                };
                findings.push(idle(&child, &beside));
            }
        }
        return Noun::read(&alone, findings).into_iter().collect();
    }
    let mut nouns = Vec::new();
    let mut surplus = None;
    for child in element.children() {
        match Noun::read(&child, findings) {
            Some(_) if nouns.len() == Dial::MAX_NOUNS => {
                surplus.get_or_insert(child.at());
            }
            noun => nouns.extend(noun),
        }
    }
    if let Some(at) = surplus {
        let message = format!(
            "only the first {} parties in `Dial` are called",
            Dial::MAX_NOUNS
        );
        findings.push(Finding::new(error::DIAL_TOO_MANY, at, message));
    }
    if nouns.is_empty() {
        let message = "`Dial` does not name a party to call; it was skipped".to_owned();
        findings.push(Finding::new(error::DIAL_NOBODY, element.at(), message));
    }
    nouns
}

/// Reports that a child of `Dial` is ignored because of something else inside it.
fn idle(child: &Element<'_>, beside: &str) -> Finding {
    let message = format!("`{}` has no effect beside {beside} in `Dial`", child.name());
    Finding::new(error::BAD_NESTING, child.at(), message)
}
