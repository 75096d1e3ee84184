//! Session descriptions (RFC 8866) and offer/answer for telephone audio (RFC 3264).
//!
//! | module | what it does |
//! |---|---|
//! | [`session`] | the description as values |
//! | `parse`, `write` | text to values and back |
//! | [`negotiate`] | offer, answer, and what both sides agreed on |
//! | [`exchange`] | offers and answers of one session over its life |
//! | [`recording`] | the descriptions of a session that a recording server records |
//!
//! **Invariant: an answer has the media lines of its offer in number and order, and accepts
//! exactly one of them; only a recording session has several.** What cannot be agreed on is an [`SdpError`], whose
//! [`status`](SdpError::status) gives the SIP response status. Left to others: choosing ports and
//! addresses, sending the text, moving the packets.

#![forbid(unsafe_code)]

pub mod exchange;
pub mod negotiate;
mod parse;
pub mod recording;
pub mod session;
mod write;

pub use audio::Codec;
pub use exchange::OfferAnswer;
pub use negotiate::{LocalMedia, Negotiated, accept_answer, answer, offer};
pub use session::{Direction, Profile, SdpError, Session};
