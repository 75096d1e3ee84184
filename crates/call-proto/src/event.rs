//! Inputs of a call family: everything that happens outside the pure machines.

use std::time::Duration;

use model::record::MediaCounts;
use model::{AccountSid, CallSid, ConferenceSid, HttpMethod, QueueSid, RecordingSid};
use serde::{Deserialize, Serialize};

use crate::detection::Answerer;
use crate::dialect::Dialect;
use crate::interjection::Interjection;
use crate::membership::RoomEvent;
pub use crate::params::Headers;
use crate::queueing::QueueEvent;
use crate::recording_request::{NewRecording, RecordingChange};
use crate::refer::Refer;
use crate::relay_news::RelayNews;
use crate::stream_news::StreamNews;

/// Number of a machine's request, returned with the answer. An answer whose number no machine waits
/// for is ignored, so late answers are harmless.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Req(pub u64);

/// Number of a request from outside of the family, chosen by a requester that waits for the reply;
/// [`Command::Reply`](crate::Command::Reply) returns it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Ask(pub u64);

/// A decoded piece of audio kept by the shell: 8 kHz mono, ready to play.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clip {
    /// The shell's identifier for it.
    pub id: u64,
    /// Playing time.
    pub length: Duration,
}

/// Number of a play-out on a leg.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PlayId(pub u64);

/// An input for one call of the family.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Answer to [`Command::Resolve`](crate::Command::Resolve): for each target, in the order
    /// requested, the routes to ring in parallel, or the reason for having none.
    Resolved {
        /// The request.
        req: Req,
        /// One entry per target.
        routes: Vec<Result<Vec<Route>, Unreachable>>,
    },
    /// Answer to [`Command::Fetch`](crate::Command::Fetch).
    Fetched {
        /// The request.
        req: Req,
        /// The application's answer, whatever its status, or the reason for having none.
        result: Result<Fetched, FetchFailure>,
    },
    /// Answer to [`Command::Speak`](crate::Command::Speak) or [`Command::Load`](crate::Command::Load).
    Audio {
        /// The request.
        req: Req,
        /// The audio, or the failure.
        result: Result<Clip, AudioFailure>,
    },
    /// Answer to [`Command::SendMessage`](crate::Command::SendMessage): the final response, or 408
    /// if none came, 503 if there was no route.
    MessageAnswered {
        /// The request.
        req: Req,
        /// SIP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// From a recognition started by [`Command::Listen`](crate::Command::Listen).
    Speech {
        /// The recognition.
        req: Req,
        /// The news.
        news: SpeechNews,
    },
    /// From a stream opened by [`StreamCommand::Open`](crate::StreamCommand::Open).
    Stream {
        /// The stream.
        req: Req,
        /// The news.
        news: StreamNews,
    },
    /// From a connection opened by [`RelayCommand::Open`](crate::RelayCommand::Open).
    Relay {
        /// The conversation.
        req: Req,
        /// The news.
        news: RelayNews,
    },
    /// From the room addressed by [`Command::Room`](crate::Command::Room).
    Room {
        /// Number of the membership.
        req: Req,
        /// The room's report.
        event: RoomEvent,
    },
    /// From the queue addressed by [`Command::Queue`](crate::Command::Queue).
    Queue {
        /// Number of the place or request.
        req: Req,
        /// The queue's report.
        event: QueueEvent,
    },
    /// The remote party of another call, which is also that of this one, has asked for an attended
    /// transfer: let the party connected to this call meet the one connected to the other →
    /// [`Command::AnswerHandOver`](crate::Command::AnswerHandOver), always.
    HandOver {
        /// The other call, which receives the answer.
        asker: CallSid,
        /// Its account.
        account: AccountSid,
        /// Returned with the answer.
        req: Req,
        /// Where the two are to meet.
        queue: QueueSid,
    },
    /// Answer to [`Command::HandOver`](crate::Command::HandOver).
    HandedOver {
        /// The request.
        req: Req,
        /// Whether the party is on its way.
        accepted: bool,
    },
    /// From the SIP side of the leg.
    Leg(LegEvent),
    /// From the media side of the leg.
    Media(MediaEvent),
    /// The API requests a change → [`Command::Reply`](crate::Command::Reply), always.
    Ask {
        /// The request.
        ask: Ask,
        /// The change.
        modify: Modify,
    },
    /// A change without a waiting requester: from journals written before there were replies.
    Modify(Modify),
    /// The record of this call could not be stored, so the call does not exist: the commands that
    /// followed its [`Fact::Created`](crate::Fact::Created) in the same step were not carried out.
    NotRecorded,
    /// Another server has ended this call on record, because this one was silent for so long that it
    /// was taken for dead: end it. Its end and the callbacks about it are not stored again.
    EndedElsewhere,
    /// The server is stopping: end this call.
    Shutdown,
}

/// A route to a dialled target: one INVITE.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Request-URI.
    pub uri: String,
    /// To-URI if it differs from the Request-URI.
    pub to: Option<String>,
    /// From-URI host part for this route (the proxy's for numbers, the organization's for SIP).
    pub from_host: String,
    /// The shell's name for the route: opaque, returned with the INVITE.
    pub via: Via,
    /// User name and password for 401 and 407; the noun's own take precedence.
    pub credentials: Option<(String, String)>,
}

/// How a route leaves the server, in terms of the shell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Via {
    /// By this address, the Request-URI.
    Uri(String),
    /// Through the trunk of this name.
    Trunk(String),
    /// To a registered contact: the shell's key for the binding.
    Binding(String),
}

/// Why a dialled target has no route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unreachable {
    /// Number of the error table.
    pub code: u16,
    /// Human-readable.
    pub text: String,
    /// There is no such party, as opposed to one that cannot be reached now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unknown: bool,
}

/// An application's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// Content type in lower case, with parameters; `None` if missing.
    pub content_type: Option<String>,
    /// Body, with invalid UTF-8 replaced.
    pub body: String,
    /// Address after redirects: the base of relative addresses.
    pub url: String,
    /// Its `X-` header fields, for the text messages of its document.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Headers,
}

/// Why an application gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FetchFailure {
    /// Number of the error table.
    pub code: u16,
    /// Human-readable, without secrets.
    pub text: String,
}

/// Why audio is not available.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AudioFailure {
    /// Number of the error table.
    pub code: u16,
    /// Human-readable.
    pub text: String,
}

/// News of a recognition. Each except the partial result is the last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SpeechNews {
    /// Speech was detected; this was understood so far, and may still change. Empty if nothing was.
    Partial(String),
    /// The final result; empty if nothing was understood.
    Final {
        /// The words.
        text: String,
        /// The recognizer's confidence; `None` if it gives none.
        confidence: Option<Confidence>,
    },
    /// No recognizer is installed.
    Unavailable,
    /// The recognizer failed.
    Failed {
        /// Human-readable.
        reason: String,
    },
}

/// A recognizer's confidence: 0 to 1, in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Confidence(u16);

impl Confidence {
    /// The nearest confidence to a number; values outside of 0 to 1 are clamped.
    #[must_use]
    pub fn new(fraction: f64) -> Self {
        // NaN becomes 0.
        Self((fraction.clamp(0.0, 1.0) * 1000.0).round() as u16)
    }
}

impl std::fmt::Display for Confidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (ones, thousandths) = (self.0 / 1000, self.0 % 1000);
        let text = format!("{ones}.{thousandths:03}");
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// An event from the SIP side of a leg.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LegEvent {
    /// A provisional response other than 100 to our INVITE.
    Progress {
        /// SIP status.
        status: u16,
        /// `X-` headers and Diversion.
        headers: Headers,
    },
    /// The first 2xx to our INVITE; its ACK has been sent.
    Answered {
        /// `X-` headers and Diversion.
        headers: Headers,
        /// SIP Call-ID.
        sip_call_id: String,
        /// The remote party's session description; `None` if it sent none.
        sdp: Option<String>,
    },
    /// A final refusal of our INVITE (also 408 without an answer, 503 without a route, 487 after
    /// CANCEL).
    Rejected {
        /// SIP status.
        status: u16,
        /// Reason phrase.
        reason: String,
        /// SIP Call-ID.
        sip_call_id: String,
        /// `X-` headers and Diversion.
        headers: Headers,
    },
    /// The caller canceled; 487 is being sent.
    Canceled,
    /// Our 2xx was acknowledged: to the INVITE, or to a re-INVITE.
    Acked {
        /// The answer, if our 2xx carried the offer.
        sdp: Option<String>,
    },
    /// Our 2xx was never acknowledged; the dialog is being ended with BYE.
    NoAck,
    /// The remote party hung up; 200 is being sent.
    Bye {
        /// Text of its Reason header.
        reason: Option<String>,
    },
    /// Our BYE is complete.
    ByeDone,
    /// The remote party requests a change of the session.
    Reinvite {
        /// Its offer; `None` requests ours.
        sdp: Option<String>,
    },
    /// The remote party asks that the party connected to it be connected to another one instead.
    Refer(Box<Refer>),
    /// The final response to our REFER: 408 if none came, 503 if it could not be sent.
    ReferAnswered {
        /// SIP status.
        status: u16,
    },
    /// The remote party reports about the call that it makes because of our REFER, which it has
    /// accepted.
    ReferReported {
        /// SIP status of that call; `None` if the report cannot be read.
        status: Option<u16>,
        /// Whether no report follows.
        is_last: bool,
    },
    /// INFO arrived; 200 is being sent.
    Info {
        /// Content type.
        content_type: String,
        /// Body.
        body: String,
    },
    /// The path to the remote party is gone for good.
    Lost {
        /// Human-readable.
        reason: String,
    },
}

/// How a key was signalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DigitWay {
    /// By a telephone-event (RFC 4733).
    Event,
    /// By its tones in the audio.
    Tone,
    /// By SIP INFO.
    Info,
}

impl DigitWay {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "by telephone-event",
            Self::Tone => "by its tones",
            Self::Info => "by INFO",
        }
    }
}

/// An event from the media side of a leg.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MediaEvent {
    /// The endpoint is open, with our answer or offer.
    Opened {
        /// Our session description.
        sdp: String,
    },
    /// The endpoint could not be opened, or the remote party's description cannot be used.
    Refused {
        /// SIP status for a request that carried the description.
        status: u16,
        /// Human-readable.
        reason: String,
    },
    /// Answer to [`MediaCommand::Renegotiate`](crate::MediaCommand::Renegotiate).
    Renegotiated {
        /// Our description, or the reason why the offer cannot be used.
        sdp: Result<String, String>,
    },
    /// A play-out ended by itself.
    PlayDone {
        /// The play-out.
        play: PlayId,
    },
    /// A key was pressed.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How it was signalled; never by INFO.
        way: DigitWay,
    },
    /// The first packet arrived from the remote party.
    Heard,
    /// Nothing arrived for the duration of the silence time-out.
    Silence,
    /// The party recorded by [`MediaCommand::RecordVoice`](crate::MediaCommand::RecordVoice) has
    /// been silent for the time named there.
    RecordSilence {
        /// The recording.
        recording: RecordingSid,
    },
    /// What was heard of the party that answered, after
    /// [`MediaCommand::DetectMachine`](crate::MediaCommand::DetectMachine).
    Answerer(Answerer),
    /// A recording is closed and readable.
    Recorded {
        /// The recording.
        recording: RecordingSid,
        /// Length from the samples written, in milliseconds.
        duration_ms: i64,
        /// Size of the file.
        size_bytes: i64,
    },
    /// A recording could not be written.
    RecordFailed {
        /// The recording.
        recording: RecordingSid,
        /// Human-readable.
        reason: String,
    },
    /// Final counters of the endpoint, for the trace; the shell stores them with the record.
    Closed(MediaCounts),
}

/// A change requested by the API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Modify {
    /// End the call in whatever state it is.
    Complete,
    /// End the call if it is not yet answered.
    Cancel,
    /// Run another document.
    Redirect(Box<Redirect>),
    /// Change its part in a conference.
    Participant(Box<ParticipantChange>),
    /// Have a sound said or played on it, or keys pressed.
    Interject(Box<Interjection>),
    /// Record it from now on.
    Record(Box<NewRecording>),
    /// Change one of its recordings.
    Recording(RecordingChange),
}

/// A change of a call's part in a conference; `None` leaves a property as it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ParticipantChange {
    /// The conference that the call is in.
    pub conference: ConferenceSid,
    /// Whether the others do not hear it.
    pub muted: Option<bool>,
    /// Whether it neither hears the others nor is heard.
    pub on_hold: Option<bool>,
    /// What it hears on hold; `None`: the built-in music.
    pub hold_document: Option<Document>,
    /// Whether the conference ends when it leaves.
    pub ends: Option<bool>,
    /// Who hears it.
    #[serde(default)]
    pub coaching: Option<Coaching>,
    /// A sound or document that it hears once, instead of the others.
    pub announcement: Option<Document>,
    /// Whether it leaves; its document continues.
    pub kick: bool,
}

impl ParticipantChange {
    /// A change of nothing.
    #[must_use]
    pub const fn of(conference: ConferenceSid) -> Self {
        Self {
            conference,
            muted: None,
            on_hold: None,
            hold_document: None,
            ends: None,
            coaching: None,
            announcement: None,
            kick: false,
        }
    }
}

/// Who hears a participant of a conference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Coaching {
    /// Every other participant: it coaches nobody.
    Nobody,
    /// Only this call.
    Of(CallSid),
}

/// A new run for a live call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Redirect {
    /// First document; its author also set the other addresses.
    pub document: Document,
    /// Receives each status.
    pub status_callback: Option<(String, HttpMethod)>,
    /// Only if the call waits in this queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_in: Option<QueueSid>,
    /// Whether the bridged party also runs the document; otherwise it is hung up.
    pub move_connected_leg: bool,
    /// Dialect of the new run; `None`, as in old journals, keeps that of the previous run.
    #[serde(default, with = "crate::journal::serde_as::optional_dialect")]
    pub dialect: Option<Dialect>,
}

/// The source of the first document of a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Absolute address; empty if the text is known.
    pub url: String,
    /// Its text, if it came with the request for the run: then nothing is requested, and addresses in it
    /// must be absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Method.
    pub method: HttpMethod,
    /// Account that set the address: its rights apply to the request.
    pub author: AccountSid,
    /// Used if the first fails.
    pub fallback: Option<Fallback>,
    /// Where the address can be changed.
    #[serde(default)]
    pub set_in: SetIn,
}

impl Document {
    /// A document with this text, which came with a request to the API.
    #[must_use]
    pub const fn of_text(text: String, author: AccountSid) -> Self {
        Self {
            url: String::new(),
            text: Some(text),
            method: HttpMethod::Post,
            author,
            fallback: None,
            set_in: SetIn::Request,
        }
    }
}

/// What a leg that the API creates runs once it is answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Planned {
    /// A document of the application.
    Document(Document),
    /// Verbs that the API generated.
    Verbs {
        /// Account whose rights apply to the addresses in them.
        author: AccountSid,
        /// The verbs.
        #[serde(with = "crate::journal::serde_as::verbs")]
        verbs: Vec<rcml::Verb>,
    },
}

impl From<Document> for Planned {
    fn from(document: Document) -> Self {
        Self::Document(document)
    }
}

/// The source of a document if the first is not available.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fallback {
    /// Absolute address.
    pub url: String,
    /// Method.
    pub method: HttpMethod,
    /// Account that set the address; an application's owner may differ from the number's.
    pub author: AccountSid,
    /// Where the address can be changed.
    #[serde(default)]
    pub set_in: SetIn,
}

/// Where the address of a first document was set, for advice on what to change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum SetIn {
    /// In the number that was called.
    #[default]
    Number,
    /// In the client that called.
    Client,
    /// In an application.
    Application,
    /// In the API request that started the call, or redirected it.
    Request,
    /// In the noun of a `<Dial>`.
    Noun,
    /// In the `waitUrl` of a noun or verb.
    Wait,
    /// In the `ReferUrl` of the number that was called.
    NumberRefer,
    /// In the `referUrl` of a `<Dial>`.
    DialRefer,
    /// In the settings for messages of the number.
    NumberSms,
    /// In the settings for messages of an application.
    ApplicationSms,
}

#[cfg(test)]
mod tests {
    use super::Confidence;

    #[test]
    fn confidence_is_written_short() {
        let table = [
            (0.9, "0.9"),
            (0.123_456, "0.123"),
            (1.0, "1"),
            (0.0, "0"),
            (0.005, "0.005"),
            (-3.0, "0"),
            (7.0, "1"),
            (f64::NAN, "0"),
        ];
        for (fraction, text) in table {
            assert_eq!(Confidence::new(fraction).to_string(), text);
        }
    }
}
