//! `<Recording>`: a recording of the call beside the document, inside `<Start>` and `<Stop>`.

use model::error;

use super::dial::Sides;
use super::recording::{RecordingCallback, read_trim};
use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};

/// A recording to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallRecording {
    /// Name by which `<Stop>` finds it.
    pub name: Option<String>,
    /// Who is in it.
    pub sides: Sides,
    /// Whether the silence at both ends is left out.
    pub trim: bool,
    /// Who learns of it.
    pub callback: Option<RecordingCallback>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

pub(super) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "channels",
        "name",
        "recordingStatusCallback",
        "recordingStatusCallbackEvent",
        "recordingStatusCallbackMethod",
        "track",
        "trim",
    ],
    unbuilt: &["recordingConfigurationId"],
};

/// Of a `<Recording>` inside `<Stop>`.
pub(super) const STOPPED: Attributes = Attributes {
    built: &["name"],
    unbuilt: &[
        "channels",
        "recordingConfigurationId",
        "recordingStatusCallback",
        "recordingStatusCallbackEvent",
        "recordingStatusCallbackMethod",
        "track",
        "trim",
    ],
};

/// The values of `channels`; the first is the default.
const CHANNELS: [(&str, Sides); 2] = [("dual", Sides::Apart), ("mono", Sides::Mixed)];

/// The values of `track`; the first is the default.
const TRACKS: [(&str, Option<Sides>); 3] = [
    ("both", None),
    ("inbound", Some(Sides::Inbound)),
    ("outbound", Some(Sides::Outbound)),
];

impl CallRecording {
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        let track = element.word("track", error::BAD_VALUE, &TRACKS, findings);
        let channels = element.word("channels", error::BAD_VALUE, &CHANNELS, findings);
        if let (Some(track), Some(Sides::Apart)) = (track.flatten(), channels)
            && let Some(written) = element.attribute("channels")
        {
            let message = format!(
                "`channels` of `Recording` cannot be `dual` with `track=\"{}\"`; one channel is recorded",
                track.track()
            );
            findings.push(Finding::new(error::BAD_VALUE, written.at, message));
        }
        Self {
            name: element.string("name"),
            sides: track.flatten().or(channels).unwrap_or(Sides::Apart),
            trim: read_trim(element, findings).unwrap_or(true),
            callback: RecordingCallback::read(element, findings),
            line: element.at().line,
        }
    }
}
