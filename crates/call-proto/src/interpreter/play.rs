//! `<Play>`: play a sound file.

use model::error;

use super::{Next, State};
use crate::call::Call;
use crate::command::Command;
use crate::context::Context;

impl Call {
    pub(super) fn play(&mut self, play: &rcml::Play, cx: &mut Context) -> Next {
        if play.digits.is_some() {
            let text = "`digits` of `Play` is not built here; the verb was skipped";
            cx.notify(self.about_line(play.line), error::NOT_BUILT, text);
            return Next::Verb;
        }
        if play.url.is_empty() {
            return Next::Verb;
        }
        let Some(url) = self.address(&play.url, cx) else {
            return self.bad_address(cx);
        };
        let req = cx.req();
        let author = self.author();
        cx.command(self.sid, Command::Load { req, url, author });
        Next::Wait(State::Preparing {
            req,
            times: play.looping,
            verb: "Play",
        })
    }
}
