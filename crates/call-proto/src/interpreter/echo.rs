//! `<Echo>`: the remote party hears itself until it hangs up or another document takes over.

use super::verb::{Running, Site, Step};
use crate::command::MediaCommand;
use crate::context::Context;

/// A running `<Echo>`.
struct Echoing;

pub(super) fn start(site: &Site<'_>, cx: &mut Context) -> Step {
    cx.media(site.leg.profile.sid, MediaCommand::Echo { on: true });
    Step::Run(Box::new(Echoing))
}

impl Running for Echoing {
    fn detach(&mut self, site: &mut Site<'_>, cx: &mut Context) {
        if !site.leg.is_over() {
            cx.media(site.leg.profile.sid, MediaCommand::Echo { on: false });
        }
    }
}
