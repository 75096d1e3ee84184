//! `<Say>`: speaks a text.

use super::sounding::Sounding;
use super::verb::{Site, Step};
use crate::command::Command;
use crate::context::Context;

pub(super) fn start(say: rcml::Say, site: &Site<'_>, cx: &mut Context) -> Step {
    if say.text.is_empty() {
        return Step::Next;
    }
    let req = cx.req();
    let rcml::Say {
        text,
        parts,
        voice,
        language,
        looping,
        ..
    } = say;
    let command = Command::Speak {
        req,
        text,
        parts,
        voice,
        language,
    };
    cx.command(site.leg.profile.sid, command);
    Step::Run(Box::new(Sounding::Preparing {
        req,
        times: looping,
        verb: "Say",
    }))
}
