//! `<Say>`: speak a text.

use super::{Next, State};
use crate::call::Call;
use crate::command::Command;
use crate::context::Context;

impl Call {
    pub(super) fn say(&mut self, say: rcml::Say, cx: &mut Context) -> Next {
        if say.text.is_empty() {
            return Next::Verb;
        }
        let req = cx.req();
        let rcml::Say {
            text,
            voice,
            language,
            looping,
            ..
        } = say;
        cx.command(
            self.sid,
            Command::Speak {
                req,
                text,
                voice,
                language,
            },
        );
        Next::Wait(State::Preparing {
            req,
            times: looping,
            verb: "Say",
        })
    }
}
