//! `<Conference>` inside `<Dial>`: joins a room.

use std::num::NonZeroU32;

use model::text::is_participant_label;
use model::{CallSid, ConferenceEvent, HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings, quoted};
use crate::verb::recording::{CALLBACK, RecordingCallback, read_trim};
use crate::verb::wait::Wait;

/// The room that a `<Dial>` enters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conference {
    /// Name of the room: never empty, at most [`Conference::MAX_NAME`] characters, no control
    /// characters.
    pub name: String,
    /// Whether the others do not hear this participant.
    pub muted: bool,
    /// Whether the conference starts when this participant enters.
    pub start_on_enter: bool,
    /// Whether the conference ends for everyone when this participant leaves.
    pub end_on_exit: bool,
    /// Maximum number of participants, this one included; at most
    /// [`Conference::MAX_PARTICIPANTS`].
    pub max_participants: NonZeroU32,
    /// The application's name for this participant: at most [`Conference::MAX_LABEL`] characters,
    /// no control characters, and not the form of a call's SID.
    pub label: Option<String>,
    /// Address for the events of the conference, as written.
    pub status_callback: Option<String>,
    /// HTTP method for the events.
    pub status_callback_method: HttpMethod,
    /// Requested events; `None` if the document does not specify them.
    pub status_callback_events: Option<Vec<ConferenceEvent>>,
    /// The call whose party alone hears this participant, and whom this participant helps.
    pub coach: Option<CallSid>,
    /// The recording of the whole conference, if this participant asks for one.
    pub recording: Option<ConferenceRecording>,
    /// Receives the events of that recording.
    pub recording_callback: Option<RecordingCallback>,
    /// When the others hear a tone.
    pub beep: Beep,
    /// What the participant hears until the conference starts.
    pub wait: Wait,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

/// A recording of a conference, from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConferenceRecording {
    /// Whether the silence at both ends is left out; `None` if the document does not say.
    pub trim: Option<bool>,
}

impl ConferenceRecording {
    /// The value of `record`.
    pub(crate) const MODE: &'static str = "record-from-start";

    /// Reads `record` and `trim`; `None`: nothing is recorded.
    fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        let words = [("do-not-record", false), (Self::MODE, true)];
        let records = element.word("record", error::BAD_VALUE, &words, findings);
        let trim = read_trim(element, findings);
        records.unwrap_or(false).then_some(Self { trim })
    }
}

/// Whom a participant coaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coach {
    /// It is an ordinary participant.
    Nobody,
    Of(CallSid),
    /// The document names no call. What the participant says is not meant for all, so nobody hears it.
    Unknown,
}

impl Coach {
    fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        if element.string("coach").is_none() {
            return Self::Nobody;
        }
        let instead = "the participant is muted";
        let is_call = |text: &str| text.parse::<CallSid>().is_ok();
        let found = element.checked("coach", (error::BAD_VALUE, instead), is_call, findings);
        let call = found.and_then(|text| text.parse().ok());
        call.map_or(Self::Unknown, Self::Of)
    }
}

/// When the others in a conference hear a tone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beep {
    /// When the participant enters.
    pub enter: bool,
    /// When it leaves.
    pub exit: bool,
}

impl Beep {
    /// Every value of the attribute; the first is the default.
    const WORDS: [(&'static str, Self); 4] = [
        ("true", Self::new(true, true)),
        ("false", Self::new(false, false)),
        ("onEnter", Self::new(true, false)),
        ("onExit", Self::new(false, true)),
    ];

    const fn new(enter: bool, exit: bool) -> Self {
        Self { enter, exit }
    }

    fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        let written = element.string("beep").unwrap_or_default();
        let same = |(word, _): &&(&str, Self)| written.eq_ignore_ascii_case(word);
        match Self::WORDS[..2].iter().find(same) {
            Some((_, beep)) => *beep,
            None => element
                .word("beep", error::BAD_VALUE, &Self::WORDS, findings)
                .unwrap_or_default(),
        }
    }

    /// The value of the attribute; `None` for the default.
    pub(crate) fn word(self) -> Option<&'static str> {
        let mut words = Self::WORDS[1..].iter();
        let found = words.find(|(_, beep)| *beep == self);
        found.map(|(word, _)| *word)
    }
}

impl Default for Beep {
    fn default() -> Self {
        Self::new(true, true)
    }
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "beep",
        "coach",
        "endConferenceOnExit",
        "maxParticipants",
        "muted",
        "participantLabel",
        "record",
        CALLBACK[0],
        CALLBACK[1],
        CALLBACK[2],
        "startConferenceOnEnter",
        "statusCallback",
        "statusCallbackEvent",
        "statusCallbackMethod",
        "trim",
        "waitMethod",
        "waitUrl",
    ],
    unbuilt: &["eventCallbackUrl", "jitterBufferSize", "region"],
};

impl Conference {
    /// Maximum length of a name in characters.
    pub const MAX_NAME: usize = 254;
    /// Maximum length of a participant's label in characters.
    pub const MAX_LABEL: usize = model::text::MAX_PARTICIPANT_LABEL;
    /// Maximum number of participants of any conference.
    pub const MAX_PARTICIPANTS: u32 = 250;
    /// Maximum number of participants without the attribute.
    pub const DEFAULT_PARTICIPANTS: NonZeroU32 = NonZeroU32::new(40).expect("40 is not 0");

    /// A room with no options.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            muted: false,
            start_on_enter: true,
            end_on_exit: false,
            max_participants: Self::DEFAULT_PARTICIPANTS,
            label: None,
            coach: None,
            status_callback: None,
            status_callback_method: HttpMethod::Post,
            status_callback_events: None,
            recording: None,
            recording_callback: None,
            beep: Beep::default(),
            wait: Wait::Music,
            line: 0,
        }
    }

    /// `None`, with a finding, if the element does not name a room.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_children(findings);
        let coach = Coach::read(element, findings);
        let conference = Self {
            muted: element.flag("muted", findings).unwrap_or(false) || coach == Coach::Unknown,
            coach: match coach {
                Coach::Of(call) => Some(call),
                Coach::Nobody | Coach::Unknown => None,
            },
            start_on_enter: element
                .flag("startConferenceOnEnter", findings)
                .unwrap_or(true),
            end_on_exit: element
                .flag("endConferenceOnExit", findings)
                .unwrap_or(false),
            max_participants: max_participants(element, findings),
            label: element.checked(
                "participantLabel",
                (error::CONFERENCE_LABEL, "it was left out"),
                is_participant_label,
                findings,
            ),
            status_callback: element.url("statusCallback", findings),
            status_callback_method: element.method(
                "statusCallbackMethod",
                error::DIAL_CALLBACK,
                findings,
            ),
            status_callback_events: events(element, findings),
            recording: ConferenceRecording::read(element, findings),
            recording_callback: RecordingCallback::read(element, findings),
            beep: Beep::read(element, findings),
            wait: Wait::read(element, "waitMethod", findings),
            line: element.at().line,
            ..Self::new(element.text())
        };
        let fault = match conference.name.chars().count() {
            0 => "`Conference` does not name a room".to_owned(),
            1..=Self::MAX_NAME if !conference.name.chars().any(char::is_control) => {
                return Some(conference);
            }
            _ => format!(
                "`Conference` cannot have the name `{}`",
                quoted(&conference.name)
            ),
        };
        findings.push(Finding::new(error::CONFERENCE_NAME, element.at(), fault));
        None
    }
}

fn max_participants(element: &Element<'_>, findings: &mut Findings) -> NonZeroU32 {
    let default = Conference::DEFAULT_PARTICIPANTS;
    let code = error::CONFERENCE_SIZE;
    let most = Conference::MAX_PARTICIPANTS;
    let count = element.seconds("maxParticipants", default.get(), code, findings);
    if let Some(attribute) = element.attribute("maxParticipants")
        && count > most
    {
        let text =
            format!("`maxParticipants` of `Conference` cannot be `{count}`; {most} was used");
        findings.push(Finding::new(code, attribute.at, text));
    }
    NonZeroU32::new(count.min(most)).unwrap_or(default)
}

fn events(element: &Element<'_>, findings: &mut Findings) -> Option<Vec<ConferenceEvent>> {
    let known = ConferenceEvent::ALL.map(|event| (event.as_str(), event));
    element.words(
        "statusCallbackEvent",
        error::DIAL_CALLBACK,
        &known,
        findings,
    )
}
