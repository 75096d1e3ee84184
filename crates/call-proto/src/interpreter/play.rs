//! `<Play>`: plays a sound file, or presses keys.

use super::sounding::Sounding;
use super::verb::{Site, Step};
use crate::command::{Command, MediaCommand};
use crate::context::Context;

/// Maximum keys that one `<Play>` presses, however often it repeats them: some minutes.
const MOST_KEYS: usize = 1000;

pub(super) fn start(play: &rcml::Play, site: &mut Site<'_>, cx: &mut Context) -> Step {
    if let Some(keys) = &play.digits {
        return press(keys, play.looping, site, cx);
    }
    if play.url.is_empty() {
        return Step::Next;
    }
    let Some(url) = site.address(&play.url, cx) else {
        return site.bad_address(cx);
    };
    let req = cx.req();
    let author = site.author();
    cx.command(site.leg.profile.sid, Command::Load { req, url, author });
    Step::Run(Box::new(Sounding::Preparing {
        req,
        times: play.looping,
        verb: "Play",
    }))
}

fn press(keys: &str, times: Option<u32>, site: &Site<'_>, cx: &mut Context) -> Step {
    let times = times.map_or(MOST_KEYS, |times| times as usize);
    let digits = keys
        .chars()
        .cycle()
        .take(keys.len().saturating_mul(times).min(MOST_KEYS));
    let digits = digits.collect();
    let play = cx.play_id();
    let command = MediaCommand::SendDigits { play, digits };
    cx.media(site.leg.profile.sid, command);
    Step::Run(Box::new(Sounding::Playing(play)))
}
