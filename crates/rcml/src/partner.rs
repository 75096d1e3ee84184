//! Attributes that have no effect without another one.
//!
//! **Invariant: [`TABLE`] is the only place that knows them**, except for the attributes for speech
//! of `Gather`, which have a number of their own (`verb/speech.rs`). An attribute with an empty
//! value counts as absent.

use model::error;

use crate::element::{Attributes, Element};
use crate::finding::{Finding, Findings};

/// What an attribute depends on.
enum Partner {
    /// At least one of these attributes.
    Attribute(&'static [&'static str]),
    /// That the attribute `input`, whose default is `dtmf`, names `dtmf`.
    KeysAsInput,
}

use Partner::{Attribute, KeysAsInput};

/// The elements, their attributes, and what these depend on.
const TABLE: &[(&[&str], &[&str], Partner)] = &[
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
    (&["Sip", "Uri"], &["username"], Attribute(&["password"])),
    (&["Sip", "Uri"], &["password"], Attribute(&["username"])),
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
        &["Dial", "Conference", "Record"],
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

/// Reports the attributes of an element that have no effect because another one is missing.
pub(crate) fn check(element: &Element<'_>, known: &Attributes, findings: &mut Findings) {
    let rows = TABLE
        .iter()
        .filter(|(elements, ..)| elements.contains(&element.name()));
    for (_, names, partner) in rows {
        for name in names.iter().filter(|name| known.built.contains(name)) {
            let Some(attribute) = element.attribute(name) else {
                continue;
            };
            if let Some(fault) = partner.fault(element) {
                let message = format!("`{name}` of `{}` has no effect{fault}", element.name());
                findings.push(Finding::new(error::NO_PARTNER, attribute.at, message));
            }
        }
    }
}

impl Partner {
    /// What is missing, as the end of a sentence; `None` if nothing is.
    fn fault(&self, element: &Element<'_>) -> Option<String> {
        match self {
            Attribute(names) => {
                let is_missing = names.iter().all(|name| element.attribute(name).is_none());
                is_missing.then(|| {
                    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                    format!(" without {}", names.join(" or "))
                })
            }
            KeysAsInput => {
                let input = element.attribute("input")?.value.to_ascii_lowercase();
                let mut words = input.split_ascii_whitespace();
                // Any other word means keys alone, and has a finding.
                words
                    .all(|word| word == "speech")
                    .then(|| ": `input` does not name dtmf".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verb::ELEMENTS;

    #[test]
    fn every_row_names_attributes_that_its_elements_have() {
        for (elements, names, partner) in TABLE {
            for element in *elements {
                // An old name.
                let element = if *element == "Uri" { "Sip" } else { element };
                let known = ELEMENTS.iter().find(|(name, _)| *name == element);
                let built = known.expect("it is an element").1.built;
                let partners = match partner {
                    Attribute(partners) => *partners,
                    KeysAsInput => &["input"],
                };
                for name in names.iter().chain(partners) {
                    assert!(built.contains(name), "`{name}` of {element}");
                }
                assert!(partners.iter().all(|partner| !names.contains(partner)));
            }
        }
    }
}
