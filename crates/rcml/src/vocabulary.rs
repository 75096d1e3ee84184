//! The names of all elements, supported or not, and where they belong.

/// Supported verbs.
pub(crate) const BUILT: &[&str] = &[
    "Say", "Play", "Pause", "Hangup", "Reject", "Redirect", "Dial", "Gather", "Record", "Sms",
    "Message", "Email", "Connect", "Start", "Stop", "Enqueue", "Leave", "Refer", "Echo",
];

/// Verbs in documents for this or other servers that are not supported.
pub(crate) const UNBUILT: &[&str] = &[
    "Autopilot",
    "Conference",
    "Fax",
    "Geolocation",
    "Language",
    "Pay",
    "Prompt",
    "Queue",
    "UssdCollect",
    "UssdMessage",
];

/// Supported nouns of `Dial`.
pub(crate) const NOUNS: &[&str] = &["Number", "Client", "Sip", "Uri", "Conference", "Queue"];

/// Nouns of `Dial` that exist but are not supported.
pub(crate) const UNBUILT_NOUNS: &[&str] = &["Application", "Sim", "VirtualAgent", "WhatsApp"];

/// Supported inside `Connect`, `Start` and `Stop`.
pub(crate) const STREAM: &str = "Stream";
/// Supported inside `Start` and `Stop`.
pub(crate) const RECORDING: &str = "Recording";
/// Supported inside `Start` and `Stop`.
pub(crate) const TRANSCRIPTION: &str = "Transcription";
/// Supported inside `Start` and `Stop`.
pub(crate) const SIPREC: &str = "Siprec";
/// All that is supported inside `Start` and `Stop`.
pub(crate) const STARTED: &[&str] = &[STREAM, RECORDING, TRANSCRIPTION, SIPREC];
/// Supported inside `Connect`.
pub(crate) const RELAY: &str = "ConversationRelay";
/// Supported inside `Stream`, `ConversationRelay` and `Siprec`.
pub(crate) const PARAMETER: &str = "Parameter";
/// Supported inside `ConversationRelay`.
pub(crate) const LANGUAGE: &str = "Language";

/// Supported inside `Refer`; the second is another name of the first.
pub(crate) const REFERRED: &[&str] = &["Sip", "ReferSip"];

/// Elements of `Message`; the second is refused with a finding of its own.
const MESSAGE: &[&str] = &["Body", "Media"];

/// Elements allowed inside `Gather`.
const PROMPTS: &[&str] = &["Say", "Play", "Pause"];

/// Elements allowed inside `Say`, and inside each other there.
const MARKS: &[&str] = &["break", "emphasis", "p", "prosody", "s", "say-as", "sub"];

/// Parts of other elements, by parent, that exist but are not supported.
pub(crate) const UNBUILT_PARTS: &[(&str, &[&str])] = &[
    ("Say", &["lang", "phoneme", "w"]),
    ("Number", &["Video"]),
    ("Client", &["Identity", "Parameter", "Video"]),
    ("Sip", &["Headers", "Parameter", "Video"]),
    ("Uri", &["Video"]),
    (
        "Connect",
        &[
            "AiSession",
            "Assistant",
            "Autopilot",
            "Conversation",
            "ConversationRelaySession",
            "Room",
            "VirtualAgent",
            "WhatsApp",
        ],
    ),
    ("Enqueue", &["Task"]),
];

/// Every verb.
pub(crate) fn verbs() -> impl Iterator<Item = &'static str> {
    BUILT.iter().chain(UNBUILT).copied()
}

/// Whether a name belongs to a known element.
pub(crate) fn is_known(name: &str) -> bool {
    name == "Response"
        || STARTED.contains(&name)
        || name == RELAY
        || name == PARAMETER
        || REFERRED.contains(&name)
        || MESSAGE.contains(&name)
        || verbs()
            .chain(NOUNS.iter().chain(UNBUILT_NOUNS).copied())
            .any(|known| known == name)
}

/// Whether an element exists inside its parent on other servers, but is not supported here.
pub(crate) fn is_unbuilt_part(parent: &str, name: &str) -> bool {
    (parent == "Dial" && UNBUILT_NOUNS.contains(&name)) || unbuilt_parts(parent).contains(&name)
}

/// The names of the elements allowed inside the given parent.
pub(crate) fn parts_of(parent: &str) -> impl Iterator<Item = &'static str> + use<> {
    let parts: &[&[&str]] = match parent {
        "Dial" => &[NOUNS, UNBUILT_NOUNS],
        "Gather" => &[PROMPTS],
        "Say" => &[MARKS],
        "Connect" => &[&[STREAM, RELAY]],
        "Start" | "Stop" => &[STARTED],
        RELAY => &[&[LANGUAGE, PARAMETER]],
        STREAM | SIPREC => &[&[PARAMETER]],
        "Refer" => &[REFERRED],
        "Message" => &[MESSAGE],
        _ => &[],
    };
    parts
        .iter()
        .copied()
        .flatten()
        .chain(unbuilt_parts(parent))
        .copied()
}

fn unbuilt_parts(parent: &str) -> &'static [&'static str] {
    UNBUILT_PARTS
        .iter()
        .find(|(name, _)| *name == parent)
        .map_or(&[], |(_, parts)| parts)
}
