//! The offers and answers of one session over its life (RFC 3264 §5, §8).
//!
//! **Invariant: each description we send keeps the `o=` session id and the media lines of those
//! before it, and raises the version by one exactly if it differs from the last** (§8).
//! An offer or answer that cannot be used changes nothing.
//! Left to others: glare and the order of SIP messages.

use crate::negotiate::{
    LocalMedia, Negotiated, accept_answer_at, agree, answer_session, describe, offer_media, refused,
};
use crate::session::{Media, SdpError, Session};

/// The offer/answer state of one session.
#[derive(Debug, Clone)]
pub struct OfferAnswer {
    local: LocalMedia,
    /// The other media lines, all refused, in order and without ours.
    others: Vec<Media>,
    /// Position of our media line among them.
    media_index: usize,
    last_sent: Option<Session>,
    negotiated: Option<Negotiated>,
}

impl OfferAnswer {
    /// A session without any exchange yet.
    pub fn new(local: LocalMedia) -> Self {
        Self {
            local,
            others: Vec::new(),
            media_index: 0,
            last_sent: None,
            negotiated: None,
        }
    }

    /// What we offer and answer with; change `direction` here before a re-offer.
    pub fn local_mut(&mut self) -> &mut LocalMedia {
        &mut self.local
    }

    /// Answers an offer, the first or a later one: the SDP text, and what is agreed.
    ///
    /// # Errors
    /// As [`Session::parse`] and [`crate::answer`]; the agreement in force stays.
    pub fn answer(&mut self, offer: &str) -> Result<(String, Negotiated), SdpError> {
        let offer = Session::parse(offer)?;
        let negotiated = agree(&offer, &self.local)?;
        let answer = self.stamp(answer_session(&offer, &self.local, &negotiated));
        self.media_index = negotiated.media_index;
        self.others = offer.media.iter().map(refused).collect();
        self.others.remove(negotiated.media_index);
        self.keep(&negotiated);
        Ok((answer, negotiated))
    }

    /// Our offer, the first or a later one, as SDP text.
    ///
    /// A later one names the codec in use first and keeps all payload types.
    pub fn offer(&mut self) -> String {
        for codec in self.local.codecs.clone() {
            let number = self.local.payload_type(codec);
            self.local.keep_payload_type(codec, number);
        }
        let mut lines = self.others.clone();
        lines.insert(
            self.media_index.min(lines.len()),
            offer_media(&self.offered()),
        );
        let offer = describe(&self.local, lines);
        self.stamp(offer)
    }

    /// Reads the answer to our last offer.
    ///
    /// # Errors
    /// As [`Session::parse`] and [`crate::accept_answer`]; the agreement in force stays.
    pub fn accept_answer(&mut self, answer: &str) -> Result<Negotiated, SdpError> {
        let answer = Session::parse(answer)?;
        let negotiated = accept_answer_at(&self.offered(), &answer, self.media_index)?;
        self.keep(&negotiated);
        Ok(negotiated)
    }

    /// The agreement in force; `None` before the first.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// Puts an agreement in force. Payload types keep their meaning from now on (§8.3.2).
    fn keep(&mut self, negotiated: &Negotiated) {
        let local = &mut self.local;
        local.keep_payload_type(negotiated.codec, negotiated.receive_payload_type);
        if let Some(own) = local.telephone_event {
            local.keep_telephone_event(negotiated.receive_telephone_event.unwrap_or(own));
        }
        self.negotiated = Some(negotiated.clone());
    }

    /// The content of our next offer.
    fn offered(&self) -> LocalMedia {
        let mut local = self.local.clone();
        if let Some(agreed) = &self.negotiated {
            local.codecs.sort_by_key(|codec| *codec != agreed.codec);
        }
        local
    }

    /// The text of a description, with a new version if it differs from the last one sent.
    fn stamp(&mut self, mut description: Session) -> String {
        if self
            .last_sent
            .as_ref()
            .is_some_and(|last| *last != description)
        {
            self.local.version = self.local.version.wrapping_add(1);
        }
        if let Some(origin) = &mut description.origin {
            origin.version = self.local.version;
        }
        let text = description.to_string();
        self.last_sent = Some(description);
        text
    }
}
