//! A companion: the script that a party hears while a verb waits for others.
//!
//! The verb declares its companion, and the stack of scripts starts and stops it accordingly. Data
//! only, except for where an address leads.

use model::QueueSid;

use super::verb::Site;
use crate::command::Sound;
use crate::context::Context;
use crate::event::{Document, Req, SetIn};
use crate::letter::Role;
use crate::params::Params;

/// Names of files that are played without requesting a document.
const SOUND_FILES: [&str; 3] = [".wav", ".mp3", ".ogg"];

/// The companion of a verb.
#[derive(Clone)]
pub(super) struct Companion {
    /// Tells it from earlier companions on the leg.
    pub(super) id: Req,
    pub(super) plays: Plays,
    /// The role of its script: whether it ends with its document, and which verbs it may have.
    pub(super) role: Role,
    /// Added to the parameters of its requests.
    pub(super) params: Params,
    /// The queue in which the party waits: where it stands there is added too.
    pub(super) queue: Option<QueueSid>,
}

/// What a companion plays.
#[derive(Clone)]
pub(super) enum Plays {
    /// A built-in sound, endlessly.
    Built(Sound),
    /// A sound file, at this address.
    Sound(Document),
    /// A document.
    Document(Document),
}

/// How a companion ended by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum CompanionEnd {
    /// Its document ended.
    Done,
    /// Something in it could not be done.
    Failed,
    /// A `<Leave>` ended it.
    Left,
}

impl Companion {
    /// The companion that a `waitUrl` asks for; `None` for silence. An unusable address is reported
    /// and counts as absent.
    pub(super) fn of_wait(
        wait: &rcml::Wait,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Option<Self> {
        let plays = match wait {
            rcml::Wait::Silence => return None,
            rcml::Wait::Music => Plays::Built(Sound::Music),
            rcml::Wait::At { url, method } => match site.address(url, cx) {
                Some(url) => Plays::at(Document {
                    url,
                    method: *method,
                    author: site.author(),
                    text: None,
                    fallback: None,
                    set_in: SetIn::Wait,
                }),
                None => Plays::Built(Sound::Music),
            },
        };
        Some(Self::new(plays, Role::Waiting, cx))
    }

    /// The same for a party that waits in a queue.
    pub(super) fn in_queue(
        wait: &rcml::Wait,
        queue: QueueSid,
        site: &mut Site<'_>,
        cx: &mut Context,
    ) -> Option<Self> {
        let companion = Self::of_wait(wait, site, cx)?;
        Some(Self {
            role: Role::Queueing,
            queue: Some(queue),
            ..companion
        })
    }

    /// What a party hears on hold; the built-in music if nothing is named.
    pub(super) fn on_hold(document: Option<Document>, cx: &mut Context) -> Self {
        let plays = document.map_or(Plays::Built(Sound::Music), Plays::at);
        Self::new(plays, Role::Waiting, cx)
    }

    /// The built-in music.
    pub(super) fn music(cx: &mut Context) -> Self {
        Self::on_hold(None, cx)
    }

    /// What a party hears once.
    pub(super) fn announcing(document: Document, cx: &mut Context) -> Self {
        Self::new(Plays::at(document), Role::Announcing, cx)
    }

    /// What a party hears once, with these parameters of its request.
    pub(super) fn greeting(document: Document, params: Params, cx: &mut Context) -> Self {
        Self {
            params,
            ..Self::announcing(document, cx)
        }
    }

    /// What a party hears until another is found: a sound at this address, or the ring tone.
    pub(super) fn ringing(dial: &rcml::Dial, site: &mut Site<'_>, cx: &mut Context) -> Self {
        let music = dial.dial_music.as_deref();
        let Some(url) = music.and_then(|written| site.address(written, cx)) else {
            return Self::ringback(dial.ring_tone, cx);
        };
        let sound = Document {
            url,
            method: model::HttpMethod::Get,
            author: site.author(),
            text: None,
            fallback: None,
            set_in: SetIn::Noun,
        };
        Self::new(Plays::Sound(sound), Role::Waiting, cx)
    }

    /// A ring tone.
    pub(super) fn ringback(tone: rcml::RingTone, cx: &mut Context) -> Self {
        Self::new(Plays::Built(Sound::Ringback(tone)), Role::Waiting, cx)
    }

    fn new(plays: Plays, role: Role, cx: &mut Context) -> Self {
        Self {
            id: cx.req(),
            plays,
            role,
            params: Params::new(),
            queue: None,
        }
    }
}

impl Plays {
    /// What is at an absolute address.
    fn at(document: Document) -> Self {
        let path = document.url.split(['?', '#']).next().unwrap_or_default();
        let path = path.to_ascii_lowercase();
        if SOUND_FILES.iter().any(|ending| path.ends_with(ending)) {
            Self::Sound(document)
        } else {
            Self::Document(document)
        }
    }
}
