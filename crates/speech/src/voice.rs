//! Names of voices as documents write them.
//!
//! **Invariant: a name of another platform is accepted with a note**, an unknown name is not.

/// Which kind of voice speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Voice {
    /// A man's voice.
    #[default]
    Man,
    /// A woman's voice.
    Woman,
}

/// A voice, as chosen by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The kind of voice.
    pub voice: Voice,
    /// What the author should know; `None` for `man` and `woman`.
    pub note: Option<String>,
}

/// Amazon Polly voices that are men; the others are women.
const POLLY_MEN: [&str; 39] = [
    "adriano",
    "andres",
    "arthur",
    "brian",
    "cristiano",
    "daniel",
    "enrique",
    "geraint",
    "giorgio",
    "gregory",
    "hans",
    "jacek",
    "jan",
    "joey",
    "justin",
    "karl",
    "kevin",
    "liam",
    "mads",
    "mathieu",
    "matthew",
    "maxim",
    "miguel",
    "nicolas",
    "ola",
    "patrick",
    "pedro",
    "remi",
    "ricardo",
    "ruben",
    "russell",
    "sergio",
    "stephen",
    "takumi",
    "thiago",
    "tiago",
    "tomas",
    "zayd",
    "alejandro",
];

impl Voice {
    /// Its name in a document.
    pub fn name(self) -> &'static str {
        match self {
            Self::Man => "man",
            Self::Woman => "woman",
        }
    }
}

/// Finds a voice by name, in any case: `man`, `woman`, `alice`, `Polly.…`, `Google.…`.
/// `None` for other names.
pub fn by_name(name: &str) -> Option<Named> {
    let lower = name.trim().to_ascii_lowercase();
    let voice = match lower.as_str() {
        "man" => {
            return Some(Named {
                voice: Voice::Man,
                note: None,
            });
        }
        "woman" => {
            return Some(Named {
                voice: Voice::Woman,
                note: None,
            });
        }
        "alice" => Voice::Woman,
        other => hosted(other)?,
    };
    let note = format!(
        "voice `{}` is not available here; `{}` is used",
        name.trim(),
        voice.name()
    );
    Some(Named {
        voice,
        note: Some(note),
    })
}

/// A voice of a hosted service, `service.name`.
fn hosted(name: &str) -> Option<Voice> {
    let (service, speaker) = name.split_once('.')?;
    let first = speaker.split('-').next().unwrap_or(speaker);
    match service {
        "polly" if POLLY_MEN.contains(&first) => Some(Voice::Man),
        "polly" | "google" => Some(Voice::Woman),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let table = [
            ("man", Some((Voice::Man, false))),
            (" Woman ", Some((Voice::Woman, false))),
            ("alice", Some((Voice::Woman, true))),
            ("Polly.Joanna", Some((Voice::Woman, true))),
            ("Polly.Matthew", Some((Voice::Man, true))),
            ("Polly.Matthew-Neural", Some((Voice::Man, true))),
            ("Google.en-US-Standard-C", Some((Voice::Woman, true))),
            ("robot", None),
            ("", None),
            ("Nobody.Matthew", None),
        ];
        for (name, expected) in table {
            let named = by_name(name).map(|named| (named.voice, named.note.is_some()));
            assert_eq!(named, expected, "{name}");
        }
        assert_eq!(
            by_name("alice").and_then(|named| named.note).as_deref(),
            Some("voice `alice` is not available here; `woman` is used")
        );
    }
}
