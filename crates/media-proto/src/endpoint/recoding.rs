//! Sends a leg the audio of a bridged leg whose codec differs.
//!
//! **Invariant: a leg is fed only while it is bridged to one whose packets cannot be forwarded**,
//! and its clock runs from the first of these packets until a second after the last. Left to
//! others: when a frame is due ([`crate::engine`]).

use super::Endpoint;
use crate::sound::{Feed, Path, Sound, path};
use rtp_proto::jitter::{Delay, Played};
use std::time::{Duration, Instant};

/// How long audio waits for delayed packets before it is re-encoded.
const DELAY: Delay = Delay::Adaptive {
    min: Duration::from_millis(30),
    max: Duration::from_millis(200),
};
/// The clock stops after this long without packets.
const REST_AFTER: Duration = Duration::from_secs(1);

/// The content of a frame of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// There is sound in it, received or concealed.
    Sound,
    /// Nothing is to be sent.
    Nothing,
    /// Nothing more is coming.
    Rest,
}

impl Endpoint {
    /// True if packets of `from` cannot be forwarded here, key presses included.
    pub(crate) fn recodes(&self, from: &Self) -> bool {
        match (&from.agreed, &self.agreed) {
            (Some(from), Some(to)) => matches!(path(from.codec, to.codec), Path::Recode),
            (_, _) => false,
        }
    }

    /// How audio in this codec reaches this leg; `None` without an agreement.
    pub(crate) fn path_from(&self, codec: audio::Codec) -> Option<Path> {
        Some(path(codec, self.agreed.as_ref()?.codec))
    }

    /// Stores the bridged leg's audio, to be sent on the clock of this leg.
    pub(crate) fn feed(&mut self, sound: &Sound<'_>, now: Instant) {
        let Some(agreed) = &self.agreed else { return };
        let rate = agreed.codec.sample_rate();
        if self.feed.as_ref().is_none_or(|feed| feed.rate() != rate) {
            self.feed = Some(Box::new(Feed::new(DELAY, rate)));
        }
        if let Some(feed) = &mut self.feed {
            feed.push(sound, now);
        }
    }

    /// Drops the bridged leg's audio, but keeps the buffers: its next packet may need them again.
    pub(crate) fn rest_feed(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.clear();
        }
    }

    /// Drops the bridged leg's audio and the buffers.
    pub(crate) fn end_feed(&mut self) {
        self.feed = None;
    }

    /// True if frames of the bridged leg's audio are due.
    pub(crate) fn is_fed(&self) -> bool {
        self.feed.as_ref().is_some_and(|feed| feed.is_heard())
    }

    /// Sample rate of the bridged leg's audio.
    pub(super) fn fed_rate(&self) -> u32 {
        self.feed.as_ref().map_or(audio::RATE, |feed| feed.rate())
    }

    /// The next frame of the bridged leg's audio.
    pub(super) fn next_fed(&mut self, samples: &mut [i16], at: Instant) -> Fed {
        let Some(feed) = self.feed.as_mut().filter(|feed| feed.is_heard()) else {
            return Fed::Rest;
        };
        if feed.pull(samples, at) != Played::Silence {
            return Fed::Sound;
        }
        if feed.quiet_for(at) < REST_AFTER {
            return Fed::Nothing;
        }
        feed.clear();
        Fed::Rest
    }
}
