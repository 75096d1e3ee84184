//! The messages of a media stream, pure: the audio of a call as JSON text over a WebSocket, as in
//! Twilio's Media Streams; those of a conversation in text (`relay`); and what a recording server gets (`siprec`).
//!
//! A [`Session`] is one stream. Audio, keys and marks of the call go in, and so does what the server
//! sends; messages for the server and orders for the media side come out. **Invariant: messages leave
//! in the order of their sequence numbers, without a gap, and each accepted mark is returned once,
//! unless the stream ends first.** Nothing that a server sends ends a stream: what is not understood is
//! counted.
//!
//! Left to others: the WebSocket, its handshake and its pings, playing audio, and what a stream means
//! for the call.

#![forbid(unsafe_code)]

mod incoming;
mod outgoing;
mod relay;
mod session;
pub mod siprec;

pub use relay::{
    Pulse, RelayIncoming, RelayManner, RelayOutgoing, RelayPace, RelayPulse, read_relay,
};
pub use session::{Counts, FRAME, Order, Session, Start, Track};
