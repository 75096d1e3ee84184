//! Documents that control a call: XML text in, typed verbs and findings out.
//!
//! A document is a flat list of [`Verb`]s, in the order in which they run, and a list of
//! [`Finding`]s: everything in the text that is not used as written. **Invariant: nothing is
//! silently ignored; whatever does not become a verb becomes a finding with line and column.** Only
//! text that is not XML is refused, and a `<Gather>` with too many hints ([`ParseError`]).
//!
//! Left to others: fetching documents, resolving addresses against the document's own, and
//! everything that happens when a verb runs.

#![forbid(unsafe_code)]

mod address;
mod advice;
mod document;
mod element;
mod encoding;
mod finding;
mod language;
#[cfg(test)]
mod page;
mod partner;
mod reach;
mod reply;
mod source;
mod suggest;
pub mod verb;
mod vocabulary;
mod walk;
#[cfg(test)]
mod what_runs;
mod writer;

pub use address::{socket_fault, url_fault};
pub use document::{Document, ParseError};
pub use encoding::decode;
pub use finding::{Finding, LeftOut, Position, add_warning};
pub use language::tag as known_language;
pub use model::{HttpMethod as Method, Level};
pub use reach::answers;
pub use reply::{ReplyError, ReplyKind};
pub use source::{MAX_BYTES, MAX_DEPTH};
pub use verb::{
    Attach, Beep, Branch, CallRecording, Conference, ConferenceRecording, Connect, ConnectNoun,
    ConversationRelay, Detection, Dial, DialRecording, Echo, Email, Enqueue, Gather, Hangup,
    Inputs, Leave, LegEvent, Manner, Noun, Pause, Play, Prompt, Queue, Record, RecordingCallback,
    RecordingEvent, RecordingStart, Redirect, Refer, Reject, RejectReason, RelayEvents, RingTone,
    Say, Sides, Siprec, Sms, Speech, SpeechTimeout, Spoken, Start, StartNoun, Stop, StopNoun,
    Stream, Track, Transcription, Unsupported, Verb, Voice, Wait,
};
