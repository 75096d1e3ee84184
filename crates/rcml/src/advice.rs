//! Recommends replacements for elements and attributes of other servers that are not supported
//! here.
//!
//! **Invariant: every recommendation is supported.**

/// Elements, and their replacements.
const ELEMENTS: &[(&str, &str)] = &[
    (
        "Autopilot",
        "`Gather` with `input=\"speech\"` listens to the caller",
    ),
    ("Fax", "send it from the application"),
    ("Geolocation", "ask the caller with `Gather`"),
    ("Prompt", "write `Say` or `Play` inside `Gather`"),
    ("Task", "`Enqueue` queues callers by the name of the queue"),
    ("UssdCollect", "`Gather` collects keys in a call"),
    (
        "UssdMessage",
        "`Say` speaks in a call, `Sms` sends a text message",
    ),
    ("Application", "`Redirect` continues with another document"),
    ("Sim", "dial a `Number`"),
    (
        "VirtualAgent",
        "`Gather` with `input=\"speech\"` listens to the caller",
    ),
    ("WhatsApp", "dial a `Number`"),
    ("Language", "`Say` has the attribute `language`"),
    ("Headers", "write headers after a `?` in the address"),
    ("Parameter", "write headers after a `?` in the address"),
    ("Identity", "write the name as the text of `Client`"),
    ("lang", "write a `Say` for each language"),
    ("phoneme", "write the word as it sounds"),
    ("w", "write plain text"),
];

/// Attributes by element, and their replacements.
const ATTRIBUTES: &[(&str, &str, &str)] = &[
    ("Dial", "events", "`statusCallbackEvent` of the noun"),
    ("Sip", "sequential", "write one `Dial` after another"),
    ("Client", "name", "write the name as the text of `Client`"),
];

/// Values of unsupported attributes that request the default behaviour.
const IDLE: &[(&str, &str)] = &[
    ("bargeIn", "true"),
    ("debug", "false"),
    ("enhanced", "false"),
    ("media", "audio_only"),
    ("profanityFilter", "false"),
    ("record", "do-not-record"),
    ("record", "false"),
    ("recordingChannels", "mono"),
    ("recordingTrack", "both"),
    ("recordingTrack", "inbound"),
    ("sequential", "false"),
    ("transcribe", "false"),
    ("trim", "do-not-trim"),
];

/// Whether an unsupported attribute requests the default behaviour: it is empty, or has one of
/// those values.
pub(crate) fn asks_for_nothing(name: &str, value: &str) -> bool {
    let value = value.trim();
    let says_so = |(known, idle): &(&str, &str)| *known == name && *idle == value;
    value.is_empty() || IDLE.iter().any(says_so)
}

/// The advice for an element, ready to be appended to a message; empty if there is none.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary;

    #[test]
    fn there_is_advice_for_every_verb_and_noun_that_is_not_built() {
        let nouns = vocabulary::UNBUILT_NOUNS.iter().copied();
        for name in vocabulary::UNBUILT.iter().copied().chain(nouns) {
            // Card numbers must not be collected with `Gather`, and `Conference` and `Queue` are
            // supported inside `Dial`.
            let is_exempt = matches!(name, "Pay" | "Conference" | "Queue");
            assert_eq!(for_element(name).is_empty(), is_exempt, "{name}");
        }
    }

    #[test]
    fn what_is_recommended_is_built() {
        for (name, advice) in ELEMENTS {
            for word in advice.split('`').skip(1).step_by(2) {
                let is_element = word.starts_with(char::is_uppercase);
                let is_built =
                    vocabulary::BUILT.contains(&word) || vocabulary::NOUNS.contains(&word);
                assert!(!is_element || is_built, "{name}: {word}");
            }
        }
    }
}
