//! The media engine, pure: datagrams, controls and time in; datagrams, samples and reports out.
//!
//! One [`Engine`] serves the endpoints of one worker thread and shares nothing with others.
//!
//! | module | what it does |
//! |---|---|
//! | [`engine`] | finds the endpoint that a datagram, control or timer is for |
//! | [`control`] | requests to the engine; its interface to the shell |
//! | [`datagram`] | datagrams with spare room after them |
//! | [`report`] | the reports of the engine |
//! | `endpoint` | one leg: negotiation, what it accepts, what it sends |
//! | `source` | which source is accepted: learns an address once, then locks |
//! | `outgoing` | makes one continuous RTP stream from its feeds |
//! | `player` | plays prompts, frame by frame |
//! | `live` | plays audio that arrives while it is being played |
//! | `keys` | presses keys, frame by frame |
//! | `gate` | limits how many keys an endpoint may report |
//! | `ears` | detects keys in the audio |
//! | `mix` | members of a conference: who is heard, and the sum for each |
//! | `recorder` | records what a leg says and hears |
//! | `rtcp` | reports every few seconds |
//! | `sound` | audio between packets: decoded, smoothed on a clock, encoded |
//! | `timers`, `slots`, `random` | small tools |
//!
//! Packets between legs with the same codec are forwarded without decoding, and those between the
//! two laws of G.711 are converted octet by octet; neither has a jitter buffer or a clock. The 20 ms
//! clock exists only where samples are made: for a play, a key, a mix, a recording, or a bridge
//! between other codecs.
//!
//! **Invariant: every control that expects a reply is answered by exactly one report**, and
//! forwarding a packet does not allocate.
//! Left to others: sockets, the clock and files (crate `media`), and every decision about a call.

#![forbid(unsafe_code)]

pub mod control;
pub mod datagram;
mod ears;
mod endpoint;
pub mod engine;
mod gate;
mod keys;
mod live;
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
pub use recorder::{Part, Pause, Terms};
pub use report::{DigitWay, EndpointId, MixId, PlayId, RecordingId, Report, Stats};
