//! What verbs that record have in common: who learns of the recording, and whether silence is cut.

use model::{HttpMethod, RecordingEvent, error};

use crate::element::Element;
use crate::finding::{Finding, Findings, quoted};
use crate::suggest::closest;

/// Receives the events of a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingCallback {
    /// Address, as written.
    pub url: String,
    /// HTTP method.
    pub method: HttpMethod,
    /// Which events; at least one.
    pub events: Vec<RecordingEvent>,
}

/// The attributes that [`RecordingCallback::read`] reads.
pub(crate) const CALLBACK: [&str; 3] = [
    "recordingStatusCallback",
    "recordingStatusCallbackMethod",
    "recordingStatusCallbackEvent",
];

impl RecordingCallback {
    /// Events without the attribute.
    pub const DEFAULT_EVENTS: [RecordingEvent; 1] = [RecordingEvent::Completed];

    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Option<Self> {
        let [url, method, events] = CALLBACK;
        let method = element.method(method, error::RECORDING_CALLBACK, findings);
        let events = read_events(element, events, findings);
        Some(Self {
            url: element.url(url, findings)?,
            method,
            events,
        })
    }
}

/// The requested events, separated by commas or spaces.
fn read_events(element: &Element<'_>, name: &str, findings: &mut Findings) -> Vec<RecordingEvent> {
    let mut events = Vec::new();
    if let Some(attribute) = element.attribute(name) {
        let words = attribute
            .value
            .split(|c: char| c == ',' || c.is_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            let known = RecordingEvent::ALL.into_iter();
            match known.into_iter().find(|event| event.as_str() == word) {
                Some(event) if events.contains(&event) => {}
                Some(event) => events.push(event),
                None => {
                    let message = format!("`{name}` cannot be `{}`; it was left out", quoted(word));
                    let meant = closest(word, RecordingEvent::ALL.map(RecordingEvent::as_str));
                    findings.push(
                        Finding::new(error::RECORDING_CALLBACK, attribute.at, message)
                            .suggest(meant),
                    );
                }
            }
        }
    }
    if events.is_empty() {
        events.extend(RecordingCallback::DEFAULT_EVENTS);
    }
    events
}

/// The attribute `trim`: whether the silence at both ends of a recording is left out; `None` if the
/// document does not say.
pub(crate) fn read_trim(element: &Element<'_>, findings: &mut Findings) -> Option<bool> {
    let words = [("trim-silence", true), ("do-not-trim", false)];
    let attribute = element.attribute("trim")?;
    let found = words.iter().find(|(word, _)| *word == attribute.value);
    if found.is_none() {
        let message = format!(
            "`trim` of `{}` cannot be `{}` (trim-silence or do-not-trim); the default was used",
            element.name(),
            quoted(&attribute.value)
        );
        let meant = closest(&attribute.value, words.map(|(word, _)| word));
        findings.push(Finding::new(error::BAD_VALUE, attribute.at, message).suggest(meant));
    }
    found.map(|(_, trim)| *trim)
}
