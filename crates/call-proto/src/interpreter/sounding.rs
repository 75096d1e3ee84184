//! Shared by `<Say>` and `<Play>`: a sound that is synthesised or fetched, and then played.

use super::verb::{Running, Site, Step};
use crate::command::Sound;
use crate::context::Context;
use crate::event::{AudioFailure, Clip, PlayId, Req};

/// A sound that a verb plays to the remote party.
pub(super) enum Sounding {
    /// Requested.
    Preparing {
        req: Req,
        times: Option<u32>,
        verb: &'static str,
    },
    /// Playing.
    Playing(PlayId),
}

impl Running for Sounding {
    fn audio(
        &mut self,
        answered: Req,
        result: &Result<Clip, AudioFailure>,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Step {
        let (times, verb) = match self {
            Self::Preparing { req, times, verb } if *req == answered => (*times, *verb),
            Self::Preparing { .. } | Self::Playing(_) => return Step::Wait,
        };
        match result {
            Ok(clip) => {
                *self = Self::Playing(site.play(Sound::Clip(*clip), times, cx));
                Step::Wait
            }
            Err(failure) => {
                let ended = site.no_audio(None, verb, failure, cx);
                ended.err().unwrap_or(Step::Next)
            }
        }
    }

    fn played(&mut self, done: PlayId, _site: &mut Site<'_>, _cx: &mut Context) -> Step {
        match self {
            Self::Playing(play) if *play == done => Step::Next,
            Self::Playing(_) | Self::Preparing { .. } => Step::Wait,
        }
    }

    fn playing(&self) -> Option<PlayId> {
        match self {
            Self::Playing(play) => Some(*play),
            Self::Preparing { .. } => None,
        }
    }
}
