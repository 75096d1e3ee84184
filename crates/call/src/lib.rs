//! The shell around calls: carries the commands of `call-proto` to SIP, media, applications, speech
//! and the store, and their answers back.
//!
//! One task per family of calls (`actor`) owns the pure machines; everything else holds the
//! [`Engine`]. **Invariant: nothing here branches on the state of a call or on a SIP status**; a
//! decision that seems to belong here belongs in `call-proto`.

#![forbid(unsafe_code)]

mod actor;
mod admission;
mod audio;
mod books;
mod calls;
mod clips;
mod clock;
pub mod closing;
mod directory;
mod engine;
mod facts;
mod forwarding;
mod listening;
mod live;
mod messages;
mod open_messages;
mod outbox;
mod panics;
mod prompts;
mod queues;
mod records;
mod refusals;
mod relays;
mod resolve;
mod rooms;
mod rows;
mod scheduling;
mod sip_side;
mod siprec;
mod stand_ins;
mod strangers;
mod stream_orders;
mod streams;
mod text_runs;
mod texts;
mod traces;

pub use directory::StoreDirectory;
pub use engine::{Busy, Engine, EngineConfig, Parts, Stats};
pub use outbox::{StoreKeyring, StoreOutbox};
pub use refusals::Refusals;
pub use siprec::RecordingServer;
pub use strangers::StrangerLimits;
pub use texts::{ArrivalError, InboundText};
pub use traces::{unpack as unpack_trace, unpack_journal};

use std::time::SystemTime;

use model::Timestamp;

/// The wall clock, for records and signatures of this moment. Timers and durations are those of a
/// [`clock::Clock`].
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix(since)
}
