//! What the API has said, played or pressed on a leg, whatever the leg is doing.
//!
//! The sound interrupts everything else that the remote party hears: a verb's sound waits and then goes on where it was,
//! and a connected party or conference is not heard meanwhile (`media-proto`, `endpoint/playing.rs`). So the scripts need not
//! know. **Invariant: one sound at a time, and each request is answered once**: when its sound begins, or with the reason
//! for having none.

use model::AccountSid;
use rcml::Verb;
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::command::{Command, Interrupting, MediaCommand};
use crate::context::Context;
use crate::event::{Ask, AudioFailure, Clip, PlayId, Req};
use crate::request::{Changed, ModifyError};
use crate::trace::Lane;

/// A sound that the API has the remote party hear, or keys that it has pressed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interjection {
    /// Account whose rights apply to the address of a sound.
    author: AccountSid,
    /// One `<Say>` or `<Play>`; any other verb has no effect.
    #[serde(with = "crate::journal::serde_as::verbs")]
    verb: Vec<Verb>,
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
    #[error("the sound is not available (error {0}); the notification of the call says why")]
    NoSound(u16),
}

impl From<InterjectionRefusal> for ModifyError {
    fn from(refusal: InterjectionRefusal) -> Self {
        Self::Interjection(refusal)
    }
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

impl Call {
    /// Has a sound said or played, or keys pressed.
    ///
    /// - `ask`: the request to answer.
    pub(crate) fn interject(&mut self, ask: Option<Ask>, what: Interjection, cx: &mut Context) {
        cx.trace(self.sid(), Lane::Api, what.name(), "");
        let begun = self.begin_interjection(ask, what, cx);
        match begun {
            Ok(true) | Err(_) => self.reply_to(ask, begun.map(|_| ()), cx),
            Ok(false) => {}
        }
    }

    /// Whether the sound plays; if not, it is being prepared.
    fn begin_interjection(
        &mut self,
        ask: Option<Ask>,
        what: Interjection,
        cx: &mut Context,
    ) -> Result<bool, ModifyError> {
        if self.leg.is_over() {
            return Err(ModifyError::NotLive);
        }
        if !self.leg.is_up() {
            return Err(InterjectionRefusal::NotUp.into());
        }
        if !matches!(self.interjections, Interjections::Nothing) {
            return Err(InterjectionRefusal::Earlier.into());
        }
        let (sid, req) = (self.sid(), cx.req());
        let author = what.author;
        let command = match what.verb.into_iter().next() {
            Some(Verb::Say(say)) => Command::Speak {
                req,
                text: say.text,
                parts: say.parts,
                voice: say.voice,
                language: say.language,
            },
            Some(Verb::Play(play)) => {
                if let Some(digits) = play.digits {
                    let play = cx.play_id();
                    let sound = Interrupting::Keys(digits);
                    cx.media(sid, MediaCommand::Interject { play, sound });
                    self.interjections = Interjections::Playing(play);
                    return Ok(true);
                }
                let url = play.url;
                Command::Load { req, url, author }
            }
            _ => return Ok(true),
        };
        cx.command(sid, command);
        self.interjections = Interjections::Preparing { req, ask };
        Ok(false)
    }

    /// A sound or spoken text is ready, or failed; false if it is not for this.
    pub(crate) fn interjection_ready(
        &mut self,
        answered: Req,
        result: &Result<Clip, AudioFailure>,
        cx: &mut Context,
    ) -> bool {
        let ask = match self.interjections {
            Interjections::Preparing { req, ask } if req == answered => ask,
            Interjections::Preparing { .. }
            | Interjections::Playing(_)
            | Interjections::Nothing => return false,
        };
        self.interjections = Interjections::Nothing;
        let outcome = match result {
            Ok(clip) => {
                let play = cx.play_id();
                let sound = Interrupting::Clip(*clip);
                cx.media(self.sid(), MediaCommand::Interject { play, sound });
                self.interjections = Interjections::Playing(play);
                Ok(())
            }
            Err(failure) => {
                let about = self.leg.profile.about(None);
                cx.notify(about, failure.code, &failure.text);
                Err(InterjectionRefusal::NoSound(failure.code).into())
            }
        };
        self.reply_to(ask, outcome, cx);
        true
    }

    /// A play-out has reached its end; false if it is not this one.
    pub(crate) fn interjection_played(&mut self, done: PlayId) -> bool {
        let is_it = matches!(self.interjections, Interjections::Playing(play) if play == done);
        if is_it {
            self.interjections = Interjections::Nothing;
        }
        is_it
    }

    /// The leg has ended.
    pub(crate) fn interjection_over(&mut self, cx: &mut Context) {
        match std::mem::take(&mut self.interjections) {
            Interjections::Preparing { ask, .. } => {
                self.reply_to(ask, Err(ModifyError::NotLive), cx);
            }
            Interjections::Playing(play) => cx.media(self.sid(), MediaCommand::StopPlay { play }),
            Interjections::Nothing => {}
        }
    }

    fn reply_to(&self, ask: Option<Ask>, outcome: Result<(), ModifyError>, cx: &mut Context) {
        if let Some(ask) = ask {
            cx.reply(self.sid(), ask, outcome.map(|()| Changed::Call));
        }
    }
}
