//! The ring-back tone of a `<Dial>`.

use model::error;

use crate::element::Element;
use crate::finding::{Finding, Findings, quoted};
use crate::suggest::closest;

/// The ring-back tone of a country, by its code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RingTone(&'static str);

/// The value that means the default.
const AUTOMATIC: &str = "automatic";

/// The codes, as Twilio names them.
const CODES: [&str; 40] = [
    "at", "au", "be", "bg", "br", "ch", "cl", "cn", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr",
    "hu", "il", "in", "it", "jp", "lt", "mx", "my", "nl", "no", "nz", "ph", "pl", "pt", "ru", "se",
    "sg", "th", "tw", "uk", "us", "us-old", "ve", "za",
];

impl Default for RingTone {
    fn default() -> Self {
        Self("us")
    }
}

impl RingTone {
    /// Every tone.
    pub fn all() -> impl Iterator<Item = Self> {
        CODES.into_iter().map(Self)
    }

    /// The code of its country.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Its name in a trace or a test: `ring tone`, with the code unless it is the default.
    #[must_use]
    pub fn words(self) -> String {
        let name = "ring tone";
        if self == Self::default() {
            name.to_owned()
        } else {
            format!("{name} {}", self.0)
        }
    }

    /// Reads `ringTone`.
    pub(super) fn read(element: &Element<'_>, findings: &mut Findings) -> Self {
        let Some(attribute) = element.attribute("ringTone") else {
            return Self::default();
        };
        let written = attribute.value.to_ascii_lowercase();
        let known = Self::all().find(|tone| tone.0 == written);
        if known.is_none() && written != AUTOMATIC {
            let message = format!(
                "`ringTone` of `Dial` cannot be `{}`, which is not the code of a country with a \
                 ring tone; {AUTOMATIC} was used",
                quoted(&attribute.value)
            );
            let meant = closest(&written, CODES.into_iter().chain([AUTOMATIC]));
            findings.push(Finding::new(error::BAD_VALUE, attribute.at, message).suggest(meant));
        }
        known.unwrap_or_default()
    }
}
