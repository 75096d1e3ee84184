//! Session descriptions (RFC 8866) and offer/answer for telephone audio (RFC 3264).
//!
//! **Invariant: an answer has the m-lines of its offer in number and order, and at most one accepted.**
//! Left to others: ports, addresses, sending.

#![forbid(unsafe_code)]

mod negotiate;
mod session;

pub use negotiate::{LocalMedia, Negotiated, OfferAnswer, accept_answer, answer, offer};
pub use session::{Codec, Direction, SdpError, Session};
