//! `<Play>`: play a sound file, or press keys.

use super::{Next, State};
use crate::call::Call;
use crate::command::{Command, MediaCommand};
use crate::context::Context;

/// Keys that one `<Play>` presses, however often it repeats them: some minutes.
const MOST_KEYS: usize = 1000;

impl Call {
    pub(super) fn play(&mut self, play: &rcml::Play, cx: &mut Context) -> Next {
        if let Some(keys) = &play.digits {
            return self.play_keys(keys, play.looping, cx);
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

    fn play_keys(&self, keys: &str, times: Option<u32>, cx: &mut Context) -> Next {
        let times = times.map_or(MOST_KEYS, |times| times as usize);
        let digits = keys
            .chars()
            .cycle()
            .take(keys.len().saturating_mul(times).min(MOST_KEYS));
        let digits = digits.collect();
        let play = cx.play_id();
        cx.media(self.sid, MediaCommand::SendDigits { play, digits });
        Next::Wait(State::Playing { play })
    }
}
