//! What to write instead of elements and attributes of other servers that are not built here.
//!
//! **Invariant: whatever is recommended here is built.**

/// Elements, and what to use instead.
const ELEMENTS: &[(&str, &str)] = &[
    ("Enqueue", "`Play` with `loop=\"0\"` lets a caller wait"),
    ("Queue", "dial a `Client` or `Number`"),
    ("Application", "`Redirect` continues with another document"),
    ("Language", "`Say` has the attribute `language`"),
    (
        "Record",
        "`Dial` with `record=\"true\"` records a connection",
    ),
    ("Headers", "write headers after a `?` in the address"),
    ("Parameter", "write headers after a `?` in the address"),
    ("Identity", "write the name as the text of `Client`"),
    ("break", "write a `Pause` between two `Say`"),
    ("emphasis", "write plain text"),
    ("lang", "write a `Say` for each language"),
    ("p", "write a `Say` for each paragraph"),
    ("phoneme", "write the word as it sounds"),
    ("prosody", "write plain text"),
    ("s", "write a `Say` for each sentence"),
    ("say-as", "write the words as they are spoken"),
    ("sub", "write the words as they are spoken"),
    ("w", "write plain text"),
];

/// Attributes by their element, and what to use instead.
const ATTRIBUTES: &[(&str, &str, &str)] = &[
    ("Dial", "ringTone", "`dialMusic` plays a sound instead"),
    ("Dial", "sequential", "write one `Dial` after another"),
    (
        "Dial",
        "recordingStatusCallback",
        "`action` receives the `RecordingUrl`",
    ),
    ("Dial", "events", "`statusCallbackEvent` of the noun"),
    ("Sip", "sequential", "write one `Dial` after another"),
    ("Client", "name", "write the name as the text of `Client`"),
];

/// The advice for an element, ready to be put behind a message; empty if there is none.
pub(crate) fn for_element(name: &str) -> String {
    let found = ELEMENTS.iter().find(|(known, _)| *known == name);
    tail(found.map(|(_, advice)| *advice))
}

/// The advice for an attribute of an element; empty if there is none.
pub(crate) fn for_attribute(element: &str, name: &str) -> String {
    let found = ATTRIBUTES
        .iter()
        .find(|(owner, known, _)| *owner == element && *known == name);
    tail(found.map(|(_, _, advice)| *advice))
}

fn tail(advice: Option<&str>) -> String {
    advice.map_or_else(String::new, |advice| format!("; {advice}"))
}
