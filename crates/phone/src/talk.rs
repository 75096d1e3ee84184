//! The session of one call: offer and answer, and the resulting voice.
//!
//! Invariant: **nothing is sent before both sides agree, nor while the remote party does not
//! receive.**

use std::net::{IpAddr, SocketAddr};

use sdp_proto::{Codec, LocalMedia, Negotiated, OfferAnswer, SdpError};

use crate::voice::{Ear, Mouth, PACKET_LEN};

/// The session of one call and both halves of its voice.
pub struct Talk {
    exchange: OfferAnswer,
    tone_hz: f64,
    level_dbm0: f64,
    ssrc: u32,
    mouth: Option<Mouth>,
    ear: Ear,
}

impl Talk {
    /// A session at `address` and RTP port `port` that sends `tone_hz` at `level_dbm0`. `id` names
    /// the session and its stream.
    #[must_use]
    pub fn new(address: IpAddr, port: u16, codecs: &[Codec], tone: (f64, f64), id: u32) -> Self {
        let local = LocalMedia {
            codecs: codecs.to_vec(),
            ..LocalMedia::new(address, port, u64::from(id))
        };
        Self {
            exchange: OfferAnswer::new(local),
            tone_hz: tone.0,
            level_dbm0: tone.1,
            ssrc: id,
            mouth: None,
            ear: Ear::new(),
        }
    }

    /// Our offer.
    pub fn offer(&mut self) -> String {
        self.exchange.offer()
    }

    /// Takes the answer to our offer.
    ///
    /// # Errors
    /// [`SdpError`] if it does not fit.
    pub fn accept(&mut self, answer: &str) -> Result<(), SdpError> {
        let agreed = self.exchange.accept_answer(answer)?;
        self.agree(&agreed);
        Ok(())
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// [`SdpError`] if it cannot be agreed to.
    pub fn answer(&mut self, offer: &str) -> Result<String, SdpError> {
        let (answer, agreed) = self.exchange.answer(offer)?;
        self.agree(&agreed);
        Ok(answer)
    }

    /// The stream continues under a new agreement unless its codec changes.
    fn agree(&mut self, agreed: &Negotiated) {
        let codec = agreed.codec;
        if self
            .mouth
            .as_ref()
            .is_none_or(|mouth| mouth.codec() != codec)
        {
            let (hz, level) = (self.tone_hz, self.level_dbm0);
            let mouth = Mouth::new(hz, level, codec, agreed.payload_type, self.ssrc);
            self.mouth = Some(mouth);
        }
    }

    /// The packet of the next 20 ms and its destination; `None` while nothing may be sent.
    pub fn packet(&mut self) -> Option<(SocketAddr, [u8; PACKET_LEN])> {
        let agreed = self.exchange.negotiated()?;
        let (remote, sends) = (agreed.remote, agreed.direction.sends());
        let mouth = self.mouth.as_mut().filter(|_| sends)?;
        Some((remote, mouth.packet()))
    }

    /// Whether both sides have agreed.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        self.exchange.negotiated().is_some()
    }

    /// The tone it sends, in Hz.
    #[must_use]
    pub fn tone_hz(&self) -> f64 {
        self.tone_hz
    }

    /// Number of packets sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.mouth.as_ref().map_or(0, Mouth::sent)
    }

    /// The receiving half.
    #[must_use]
    pub fn ear(&self) -> &Ear {
        &self.ear
    }

    /// The receiving half.
    pub fn ear_mut(&mut self) -> &mut Ear {
        &mut self.ear
    }
}
