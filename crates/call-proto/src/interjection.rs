//! What the API has said, played or pressed on a leg, whatever the leg is doing. Data only.
//!
//! The sound interrupts everything else that the remote party hears: a verb's sound waits, and then continues where it was,
//! and a connected party or conference is not heard meanwhile (`media-proto`, `endpoint/playing.rs`). So only verbs that count
//! time while they wait for the remote party have to know (`Running::interrupted`).

use model::AccountSid;
use rcml::Verb;
use serde::{Deserialize, Serialize};

use crate::event::{Ask, PlayId, Req};

/// A sound that the API has the remote party hear, or keys that it has pressed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interjection {
    /// Account whose rights apply to the address of a sound.
    pub(crate) author: AccountSid,
    /// One `<Say>` or `<Play>`; any other verb has no effect.
    #[serde(with = "crate::journal::serde_as::verbs")]
    pub(crate) verb: Vec<Verb>,
}

impl Interjection {
    /// Words to say; `None` if the language is not known.
    #[must_use]
    pub fn say(
        author: AccountSid,
        text: &str,
        is_woman: bool,
        language: Option<&str>,
    ) -> Option<Self> {
        let mut say = rcml::Say {
            text: text.to_owned(),
            ..rcml::Say::default()
        };
        if is_woman {
            say.voice = rcml::Voice::Woman;
        }
        if let Some(language) = language {
            say.language = rcml::known_language(language)?;
        }
        let verb = vec![Verb::Say(say)];
        Some(Self { author, verb })
    }

    /// A sound to play, by its absolute address.
    #[must_use]
    pub fn play(author: AccountSid, url: String) -> Self {
        let play = rcml::Play {
            url,
            ..rcml::Play::default()
        };
        let verb = vec![Verb::Play(play)];
        Self { author, verb }
    }

    /// Keys to press: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence.
    #[must_use]
    pub fn keys(author: AccountSid, keys: String) -> Self {
        let play = rcml::Play {
            digits: Some(keys),
            ..rcml::Play::default()
        };
        let verb = vec![Verb::Play(play)];
        Self { author, verb }
    }

    /// Replaces what its addresses must not reveal in a journal.
    pub(crate) fn redact(&mut self, redacted: impl Fn(&str) -> String) {
        for verb in &mut self.verb {
            if let Verb::Play(play) = verb {
                play.url = redacted(&play.url);
            }
        }
    }

    /// The name of its verb.
    pub(crate) fn name(&self) -> &'static str {
        match self.verb.first() {
            Some(Verb::Say(_)) => "say",
            Some(Verb::Play(play)) if play.digits.is_some() => "press keys",
            _ => "play",
        }
    }
}

/// Why a sound was not said or played, nor keys pressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InterjectionRefusal {
    /// Nobody hears the call yet.
    #[error("the call has not been answered yet")]
    NotUp,
    /// The call hears another one.
    #[error(
        "the call still hears an earlier Say, Play or SendDigits: send the request again when that has ended"
    )]
    Earlier,
    /// The sound is not available, for the reason with this number of the error table.
    #[error("the sound is not available; error {0}: {text}", text = meaning(*.0))]
    NoSound(u16),
}

/// What the error table says about a number, as a part of a sentence.
fn meaning(code: u16) -> &'static str {
    let entry = model::error::entry(code);
    entry.map_or("The request failed", |entry| entry.text.trim_end_matches('.'))
}

/// The sound of a leg that interrupts the others.
#[derive(Debug, Default)]
pub(crate) enum Interjections {
    #[default]
    Nothing,
    /// Requested; the requester waits.
    Preparing { req: Req, ask: Option<Ask> },
    /// Playing.
    Playing(PlayId),
}
