//! The call, pure: a leg with its scripts, the fork of a `<Dial>`, the bridge of two legs, and
//! the room in which calls of different families meet.
//!
//! Everything that descends from one root call forms a [`Family`]: it receives [`Event`]s, yields
//! [`Command`]s, and time comes in as an argument. **Invariant: every leg ends with exactly one
//! [`Fact::Ended`], and a finished family has no timer and waits for nothing.**
//!
//! Left to others: SIP and SDP (texts here), audio, HTTP, SQL. The same machines run behind real
//! sockets, in virtual time, and over a recorded journal.

#![forbid(unsafe_code)]

mod answering;
mod bridge;
mod call;
mod callback;
mod command;
mod contacts;
mod context;
mod conversation;
mod detection;
mod dialect;
mod email;
mod event;
mod fact;
mod family;
mod farewell;
mod fork;
pub mod forwarding;
mod ids;
mod interjecting;
mod interjection;
mod interpreter;
pub mod journal;
mod keys;
mod leg;
mod letter;
mod lint;
mod meeting;
mod membership;
mod message;
mod modify;
mod params;
mod profile;
mod queue;
mod queueing;
mod recording;
mod recording_request;
mod refer;
mod relay_news;
mod relays;
mod reporter;
mod request;
mod room;
pub mod routing;
pub mod stand_in;
mod stream_news;
mod streams;
mod trace;
mod transcripts;
mod transfer;
mod type_ahead;

pub use callback::{CallbackTarget, LegCallback};
pub use command::{
    Addressed, Command, FetchRequest, Interrupting, Invite, LegCommand, ListenRequest,
    MediaCommand, OutgoingMessage, RecordedParty, RecordingServer, RoomRequest, Sound,
    StreamCommand, StreamRequest, StreamTarget, Target,
};
pub use context::{MakeAddress, RecordingAddress, Settings};
pub use detection::{Answerer, Detection};
pub use dialect::{Dialect, Legs};
pub use event::{
    Ask, AudioFailure, Clip, Coaching, Confidence, DigitWay, Document, Event, Fallback,
    FetchFailure, Fetched, Headers, LegEvent, MediaEvent, Modify, ParticipantChange, Planned,
    PlayId, Redirect, Req, Route, SetIn, SpeechNews, Unreachable, Via,
};
pub use fact::{CallEnd, Fact, Reason};
pub use family::{Family, Inbound, OutboundApi, Script};
pub use farewell::{Farewell, MessageFarewell, RecordingFarewell, RecordingOutcome, RoomFarewell};
pub use interjection::{Interjection, InterjectionRefusal};
pub use lint::{can_run, lint};
pub use membership::{
    Beep, Departure, Place, RoomCallback, RoomEnd, RoomEvent, RoomRecording, RoomRefusal, Terms,
    Wish,
};
pub use message::{Keyword, MessageCommand, RunCommand, TextArrival, TextMessage, TextRun};
pub use queue::{Queue, QueueTell};
pub use queueing::{Note, Parting, QueueEvent, QueueRequest, Rendezvous, Standing};
pub use rcml::{Inputs, ReplyKind, RingTone, Sides};
pub use recording_request::{NewRecording, Pause, RecordingChange, RecordingRefusal, Turn};
pub use refer::Refer;
pub use relay_news::{
    AgentManner, AgentText, FromAgent, RelayCommand, RelayNews, RelayRequest, RelaySetup, Speaker,
    ToAgent,
};
pub use request::{
    Changed, CreateError, ModifyError, NewCall, NewMessage, NewParticipant, Released, SendError,
};
pub use room::{LONGEST_CONFERENCE, Room, RoomCommand, RoomInput, RoomOpening};
pub use stand_in::{Conduct, StandIn};
pub use stream_news::{StreamCounts, StreamNews, StreamOver};
pub use trace::{Entry, Lane, TRACED_TEXT, Way, as_taken_over, counts_text};
