//! Attributes that have no effect without another one.
//!
//! **Invariant: [`TABLE`] is the only place that knows them**, except for the attributes for speech
//! of `Gather`, which have a number of their own (`verb/speech.rs`). An attribute with an empty
//! value counts as absent.

/// What an attribute depends on.
pub(crate) enum Partner {
    /// At least one of these attributes.
    Attribute(&'static [&'static str]),
    /// That the attribute `input`, whose default is `dtmf`, names `dtmf`.
    KeysAsInput,
}

use Partner::{Attribute, KeysAsInput};

/// The elements, their attributes, and what these depend on.
pub(crate) const TABLE: &[(&[&str], &[&str], Partner)] = &[
    (
        &["Connect", "Dial", "Enqueue", "Refer"],
        &["method"],
        Attribute(&["action"]),
    ),
    (
        &["Sms"],
        &["method"],
        Attribute(&["action", "statusCallback"]),
    ),
    (
        &["Number", "Client", "Sip", "Uri", "Queue"],
        &["method"],
        Attribute(&["url"]),
    ),
    (
        &["Number", "Client", "Sip", "Uri", "Conference"],
        &["statusCallbackMethod", "statusCallbackEvent"],
        Attribute(&["statusCallback"]),
    ),
    (
        &["Stream"],
        &["statusCallbackMethod"],
        Attribute(&["statusCallback"]),
    ),
    (
        &["Transcription"],
        &["statusCallbackMethod", "partialResults"],
        Attribute(&["statusCallbackUrl"]),
    ),
    (&["Sip", "Uri"], &["username"], Attribute(&["password"])),
    (&["Sip", "Uri"], &["password"], Attribute(&["username"])),
    (
        &["Number", "Sip", "Uri"],
        &[
            "machineDetectionTimeout",
            "machineDetectionSpeechThreshold",
            "machineDetectionSpeechEndThreshold",
            "machineDetectionSilenceTimeout",
            "amdStatusCallback",
        ],
        Attribute(&["machineDetection"]),
    ),
    (
        &["Number", "Sip", "Uri"],
        &["amdStatusCallbackMethod"],
        Attribute(&["amdStatusCallback"]),
    ),
    (&["Dial"], &["referMethod"], Attribute(&["referUrl"])),
    (
        &["Dial"],
        &["recordingTrack", "recordingStatusCallback", "trim"],
        Attribute(&["record"]),
    ),
    (
        &["Conference"],
        &["recordingStatusCallback", "trim"],
        Attribute(&["record"]),
    ),
    (
        &["Dial", "Conference", "Record", "Recording"],
        &[
            "recordingStatusCallbackMethod",
            "recordingStatusCallbackEvent",
        ],
        Attribute(&["recordingStatusCallback"]),
    ),
    (&["Conference"], &["waitMethod"], Attribute(&["waitUrl"])),
    (&["Enqueue"], &["waitUrlMethod"], Attribute(&["waitUrl"])),
    (
        &["Gather"],
        &["finishOnKey", "numDigits", "startInputKey", "typeAhead"],
        KeysAsInput,
    ),
    (
        &["Gather"],
        &["partialResultCallbackMethod"],
        Attribute(&["partialResultCallback"]),
    ),
];

/// Why an attribute of an element has no effect, as the end of a sentence; `None` if it has one.
///
/// - `value_of`: the value of another attribute of the element, if it is there.
pub(crate) fn fault(
    element: &str,
    attribute: &str,
    value_of: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let row = TABLE
        .iter()
        .find(|(elements, names, _)| elements.contains(&element) && names.contains(&attribute));
    row.and_then(|(.., partner)| partner.fault(value_of))
}

impl Partner {
    fn fault(&self, value_of: impl Fn(&str) -> Option<String>) -> Option<String> {
        match self {
            Attribute(names) => {
                let is_missing = names.iter().all(|name| value_of(name).is_none());
                is_missing.then(|| {
                    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                    format!(" without {}", names.join(" or "))
                })
            }
            KeysAsInput => {
                let input = value_of("input")?.to_ascii_lowercase();
                let mut words = input.split_ascii_whitespace();
                // Any other word means keys alone, and has a finding.
                words
                    .all(|word| word == "speech")
                    .then(|| ": `input` does not name dtmf".to_owned())
            }
        }
    }

    /// The attributes that it is about.
    #[cfg(test)]
    pub(crate) const fn names(&self) -> &'static [&'static str] {
        match self {
            Attribute(names) => names,
            KeysAsInput => &["input"],
        }
    }
}
