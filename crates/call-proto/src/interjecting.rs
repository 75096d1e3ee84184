//! The call's side of what the API has it hear at once (`interjection`): prepared, played, and answered.
//!
//! **Invariant: one sound at a time, and each request is answered once**: when its sound begins, or with the reason for
//! having none.

use crate::call::Call;
use crate::command::{Command, Interrupting, MediaCommand};
use crate::context::Context;
use crate::event::{Ask, AudioFailure, Clip, PlayId, Req};
use crate::interjection::{Interjection, InterjectionRefusal, Interjections};
use crate::interpreter::Input;
use crate::request::{Changed, ModifyError};
use crate::trace::Lane;
use rcml::Verb;

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
                    self.tell(&Input::Interrupted(true), cx);
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
                self.tell(&Input::Interrupted(true), cx);
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
    pub(crate) fn interjection_played(&mut self, done: PlayId, cx: &mut Context) -> bool {
        let is_it = matches!(self.interjections, Interjections::Playing(play) if play == done);
        if is_it {
            self.interjections = Interjections::Nothing;
            self.tell(&Input::Interrupted(false), cx);
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
