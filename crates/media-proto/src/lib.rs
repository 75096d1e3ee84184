//! The media engine, pure: datagrams, controls and time in; datagrams, samples and reports out.
//!
//! One [`Engine`] serves the endpoints of one worker thread and shares nothing with others.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | finds the endpoint that a datagram, control or timer is for |
//! | [`control`] | what may be asked; what the engine needs from its shell |
//! | [`datagram`] | packets with spare room after them |
//! | [`report`] | what the engine reports |
//! | `endpoint` | one leg: negotiation, what it accepts, what it sends |
//! | `source` | who may speak: learns an address once, then locks |
//! | `outgoing` | one continuous RTP stream out of whatever is fed into it |
//! | `player` | prompts, frame by frame |
//! | `keys` | keys that we press, frame by frame |
//! | `gate` | how many keys an endpoint may report |
//! | `ears` | listens for keys inside audio |
//! | `mix` | members of a conference: who is heard, and the sum for each |
//! | `recorder` | mixes legs into one recording |
//! | `rtcp` | reports every few seconds |
//! | `sound` | audio between packets: decoded, evened out on a clock, encoded |
//! | `timers`, `slots`, `random` | small tools |
//!
//! Packets between legs with the same codec are forwarded without decoding, and those between the
//! two laws of G.711 converted octet by octet; neither has a jitter buffer or a clock. The 20 ms clock
//! exists only where samples are made: for a play, a key, a mix, a recording, or a bridge between
//! other codecs.
//!
//! **Invariant: every control that asks for something is answered by exactly one report**, and
//! nothing on the way of a forwarded packet allocates.
//! Left to others: sockets, the clock and files (crate `media`), and every decision about a call.

#![forbid(unsafe_code)]

pub mod control;
pub mod datagram;
mod ears;
mod endpoint;
pub mod engine;
mod gate;
mod keys;
mod mix;
mod outgoing;
mod player;
mod random;
mod recorder;
pub mod report;
mod rtcp;
mod slots;
mod sound;
mod source;
mod timers;

pub use control::{Control, Local, Opening, RecordingEnd, Sink, SocketId, Subject};
pub use datagram::Datagram;
pub use engine::{Engine, EngineConfig, Parcel};
pub use report::{DigitWay, EndpointId, MixId, PlayId, RecordingId, Report, Stats};
