//! `<Record>`: records what the caller says.

use model::{HttpMethod, error};

use crate::element::{Attributes, Element};
use crate::finding::Findings;
use crate::verb::recording::{self, RecordingCallback};

/// Records what the remote party says, until a key, a silence or a time limit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Address that receives the recording, as written.
    pub action: Option<String>,
    /// HTTP method for the action.
    pub method: HttpMethod,
    /// The silence that ends the recording, in seconds; at least 1.
    pub timeout_s: u32,
    /// Keys that end the recording; empty: none does.
    pub finish_on_key: String,
    /// Maximum length in seconds; at least 1.
    pub max_length_s: u32,
    /// Whether a beep comes first.
    pub play_beep: bool,
    /// Whether the silence at both ends is left out; `None` if the document does not say.
    pub trim: Option<bool>,
    /// Receives the events of the recording.
    pub callback: Option<RecordingCallback>,
    /// Line in the document, from 1; 0 if not read from a document.
    pub line: u32,
}

impl Record {
    /// Silence without the attribute, in seconds.
    pub const DEFAULT_TIMEOUT_S: u32 = 5;
    /// Finishing keys without the attribute: all.
    pub const DEFAULT_FINISH_ON_KEY: &str = "1234567890*#";
    /// Maximum length without the attribute, in seconds.
    pub const DEFAULT_MAX_LENGTH_S: u32 = 3600;
}

impl Default for Record {
    fn default() -> Self {
        Self {
            action: None,
            method: HttpMethod::Post,
            timeout_s: Self::DEFAULT_TIMEOUT_S,
            finish_on_key: Self::DEFAULT_FINISH_ON_KEY.to_owned(),
            max_length_s: Self::DEFAULT_MAX_LENGTH_S,
            play_beep: true,
            trim: None,
            callback: None,
            line: 0,
        }
    }
}

pub(crate) const ATTRIBUTES: Attributes = Attributes {
    built: &[
        "action",
        "method",
        "timeout",
        "finishOnKey",
        "maxLength",
        "playBeep",
        "trim",
        recording::CALLBACK[0],
        recording::CALLBACK[1],
        recording::CALLBACK[2],
    ],
    unbuilt: &[
        "media",
        "recordingChannels",
        "recordingTrack",
        "transcribe",
        "transcribeCallback",
    ],
};

impl Record {
    pub(crate) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        element.check_attributes(&ATTRIBUTES, findings);
        element.refuse_content(findings);
        let mut seconds = |name, default, code| element.seconds(name, default, code, findings);
        let timeout_s = seconds("timeout", Self::DEFAULT_TIMEOUT_S, error::RECORD_TIMEOUT);
        let max_length_s = seconds(
            "maxLength",
            Self::DEFAULT_MAX_LENGTH_S,
            error::RECORD_MAX_LENGTH,
        );
        Self {
            action: element.url("action", findings),
            method: element.method("method", error::RECORD_METHOD, findings),
            timeout_s,
            finish_on_key: finish_on_key(element, findings),
            max_length_s,
            play_beep: element.flag("playBeep", findings).unwrap_or(true),
            trim: recording::read_trim(element, findings),
            callback: RecordingCallback::read(element, findings),
            line: element.at().line,
        }
    }
}

/// `-1` means that no key ends the recording; a value that is empty or not allowed means `#`.
fn finish_on_key(element: &Element<'_>, findings: &mut Findings) -> String {
    const INSTEAD: &str = "#";
    if element.is_set_empty("finishOnKey") {
        return INSTEAD.to_owned();
    }
    if element.attribute("finishOnKey").is_none() {
        return Record::DEFAULT_FINISH_ON_KEY.to_owned();
    }
    let is_allowed = |text: &str| text == "-1" || super::gather::are_keys(text);
    let code = (error::RECORD_FINISH_KEY, "# was used");
    match element.checked("finishOnKey", code, is_allowed, findings) {
        Some(keys) if keys == "-1" => String::new(),
        Some(keys) => keys,
        None => INSTEAD.to_owned(),
    }
}
