//! A companion: the script that a party hears while a verb waits for others.
//!
//! The verb declares its companion, and the stack of scripts starts and stops it accordingly. Data
//! only, except for where an address leads.

use model::HttpMethod;

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
}

/// What a companion plays.
#[derive(Clone)]
pub(super) enum Plays {
    /// The built-in music.
    Music,
    /// A sound file, at its address as written.
    Sound(String),
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
                Some(url) => Plays::at(url, *method, site),
                None => Plays::Music,
            },
        };
        let id = cx.req();
        Some(Self { id, plays })
    }
}

impl Plays {
    /// What is at an absolute address.
    fn at(url: String, method: HttpMethod, site: &Site<'_>) -> Self {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let path = path.to_ascii_lowercase();
        if SOUND_FILES.iter().any(|ending| path.ends_with(ending)) {
            return Self::Sound(url);
        }
        Self::Document(Document {
            url,
            method,
            author: site.author(),
            fallback: None,
            set_in: SetIn::Wait,
        })
    }
}
