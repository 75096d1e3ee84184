//! A companion: the script that a party hears while a verb waits for others.
//!
//! The verb declares its companion, and the stack of scripts starts and stops it accordingly. Data
//! only, except for where an address leads.

use super::verb::Site;
use crate::context::Context;
use crate::event::{Document, Req, SetIn};

/// Names of files that are played without requesting a document.
const SOUND_FILES: [&str; 3] = [".wav", ".mp3", ".ogg"];

/// The companion of a verb.
#[derive(Clone)]
pub(super) struct Companion {
    /// Tells it from earlier companions on the leg.
    pub(super) id: Req,
    pub(super) plays: Plays,
    /// Whether it ends with its document, instead of beginning anew.
    pub(super) once: bool,
}

/// What a companion plays.
#[derive(Clone)]
pub(super) enum Plays {
    /// The built-in music.
    Music,
    /// A sound file, at this address.
    Sound(Document),
    /// A document.
    Document(Document),
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
            rcml::Wait::Music => Plays::Music,
            rcml::Wait::At { url, method } => match site.address(url, cx) {
                Some(url) => Plays::at(Document {
                    url,
                    method: *method,
                    author: site.author(),
                    fallback: None,
                    set_in: SetIn::Wait,
                }),
                None => Plays::Music,
            },
        };
        let once = false;
        Some(Self::new(plays, once, cx))
    }

    /// What a party hears on hold; the built-in music if nothing is named.
    pub(super) fn on_hold(document: Option<Document>, cx: &mut Context) -> Self {
        let once = false;
        Self::new(document.map_or(Plays::Music, Plays::at), once, cx)
    }

    /// What a party hears once.
    pub(super) fn announcing(document: Document, cx: &mut Context) -> Self {
        let once = true;
        Self::new(Plays::at(document), once, cx)
    }

    fn new(plays: Plays, once: bool, cx: &mut Context) -> Self {
        let id = cx.req();
        Self { id, plays, once }
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
