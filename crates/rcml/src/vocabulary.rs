//! The names of all elements, built or not, and where they belong.

/// Verbs that are built.
pub(crate) const BUILT: &[&str] = &[
    "Say", "Play", "Pause", "Hangup", "Reject", "Redirect", "Dial", "Gather", "Sms",
];

/// Verbs that exist in documents for this or other servers but are not built.
pub(crate) const UNBUILT: &[&str] = &[
    "Autopilot",
    "Conference",
    "Connect",
    "Echo",
    "Email",
    "Enqueue",
    "Fax",
    "Geolocation",
    "Language",
    "Leave",
    "Message",
    "Pay",
    "Prompt",
    "Queue",
    "Record",
    "Refer",
    "Start",
    "Stop",
    "UssdCollect",
    "UssdMessage",
];

/// Nouns of `Dial` that are built.
pub(crate) const NOUNS: &[&str] = &["Number", "Client", "Sip", "Uri", "Conference"];

/// Nouns of `Dial` that exist but are not built.
pub(crate) const UNBUILT_NOUNS: &[&str] =
    &["Application", "Queue", "Sim", "VirtualAgent", "WhatsApp"];

/// What is allowed inside `Gather`.
const PROMPTS: &[&str] = &["Say", "Play", "Pause"];

/// Parts of other elements, by their parent, that exist but are not built.
pub(crate) const UNBUILT_PARTS: &[(&str, &[&str])] = &[
    (
        "Say",
        &[
            "break", "emphasis", "lang", "p", "phoneme", "prosody", "s", "say-as", "sub", "w",
        ],
    ),
    ("Number", &["Video"]),
    ("Client", &["Identity", "Parameter", "Video"]),
    ("Sip", &["Headers", "Parameter", "Video"]),
    ("Uri", &["Video"]),
];

/// Every verb.
pub(crate) fn verbs() -> impl Iterator<Item = &'static str> {
    BUILT.iter().chain(UNBUILT).copied()
}

/// Whether a name is that of a known element.
pub(crate) fn is_known(name: &str) -> bool {
    name == "Response"
        || verbs()
            .chain(NOUNS.iter().chain(UNBUILT_NOUNS).copied())
            .any(|known| known == name)
}

/// Whether an element exists inside its parent elsewhere, but is not built here.
pub(crate) fn is_unbuilt_part(parent: &str, name: &str) -> bool {
    (parent == "Dial" && UNBUILT_NOUNS.contains(&name)) || unbuilt_parts(parent).contains(&name)
}

/// The names that an element inside the given parent may have.
pub(crate) fn parts_of(parent: &str) -> impl Iterator<Item = &'static str> + use<> {
    let parts: &[&[&str]] = match parent {
        "Dial" => &[NOUNS, UNBUILT_NOUNS],
        "Gather" => &[PROMPTS],
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
