//! Values shared by all crates of Patchcord: identifiers, time, statuses, records, error codes.
//!
//! **Invariant: nothing here performs input, output or reads a clock.** A value that enters the
//! process is checked once, here, and has a proper type from then on.

#![forbid(unsafe_code)]

pub mod address;
pub mod answering;
pub mod available;
pub mod backoff;
pub mod breaker;
pub mod census;
pub mod day;
pub mod egress;
pub mod email;
pub mod error;
pub mod gateway;
pub mod geolocation;
pub mod guesses;
pub mod lane;
pub mod message_route;
pub mod naming;
pub mod news;
pub mod number;
pub mod opt_out;
pub mod profile;
pub mod record;
pub mod sid;
pub mod source;
pub mod status;
pub mod target;
pub mod text;
pub mod throttle;
pub mod time;
pub mod trigger;
pub mod usage;
pub mod waiting;

pub use answering::{AnswerTiming, AnsweredBy, DetectionMode, MachineDetection};
pub use error::{ErrorEntry, Level};
pub use lane::Lane;
pub use message_route::{Forwarding, MessageRoute};
pub use sid::{
    AccountSid, ApplicationSid, AuditSid, CallSid, ClientSid, ConferenceSid, EmailSid, EventSid,
    ExtensionSid, GatewaySid, GeolocationSid, InstanceSid, InteractionSid, KeySid,
    LiveTranscriptionSid, MaskServiceSid, MaskSessionSid, MessageRouteSid, MessageSid,
    NotificationSid, NumberSid, OptOutSid, OrganizationSid, ParticipantSid, ProfileSid, QueueSid,
    RecordingSid, ServerSid, SessionSid, SidError, SiprecSid, StreamSid, TranscriptionSid,
    UsageTriggerSid, VerificationSid, VerifyAttemptSid, VerifyBucketSid, VerifyLimitSid,
    VerifySafeSid, VerifyServiceSid, VoicemailBoxSid, VoicemailSid,
};
pub use source::Source;
pub use status::{
    AccountStatus, CallStatus, ConferenceEvent, ConferenceStatus, DialectName, Direction,
    EmailStatus, HangupBy, HttpMethod, LegEvent, MessageDirection, MessageStatus,
    OrganizationStatus, RecordingEvent, RecordingSource, RecordingStatus, RefusalReason,
    TranscriptionStatus,
};
pub use target::{Bare, Target};
pub use time::{SteadyClock, Timestamp};
