//! Inputs of a call family: everything that happens outside the pure machines.

use std::time::Duration;

use model::record::MediaCounts;
use model::{AccountSid, HttpMethod, RecordingSid};
use serde::{Deserialize, Serialize};

use crate::dialect::Dialect;
use crate::membership::RoomEvent;

/// Number of a question a machine asked; the answer carries it back. An answer whose number
/// no machine waits for is ignored, so late answers are harmless.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Req(pub u64);

/// Number of a question whose asker, outside the family, waits for the reply. The asker chooses it;
/// [`Command::Reply`](crate::Command::Reply) carries it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Ask(pub u64);

/// A decoded piece of audio that the shell keeps: 8 kHz mono, ready to play.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Clip {
    /// The shell's number for it.
    pub id: u64,
    /// How long it plays.
    pub length: Duration,
}

/// Number of a play-out on a leg.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PlayId(pub u64);

/// Headers in order, as they are on the wire.
pub type Headers = Vec<(String, String)>;

/// Something that happened, for one call of the family.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Event {
    /// Answer to [`Command::Resolve`](crate::Command::Resolve): for each target, in the order
    /// asked, the routes to ring in parallel, or why there is none.
    Resolved {
        /// The question.
        req: Req,
        /// One entry per target.
        routes: Vec<Result<Vec<Route>, Unreachable>>,
    },
    /// Answer to [`Command::Fetch`](crate::Command::Fetch).
    Fetched {
        /// The question.
        req: Req,
        /// The application's answer, whatever its status, or why there is none.
        result: Result<Fetched, FetchFailure>,
    },
    /// Answer to [`Command::Speak`](crate::Command::Speak) or [`Command::Load`](crate::Command::Load).
    Audio {
        /// The question.
        req: Req,
        /// The audio, or what went wrong.
        result: Result<Clip, AudioFailure>,
    },
    /// Answer to [`Command::SendMessage`](crate::Command::SendMessage): the final response, or 408
    /// when none came, 503 when there was no way.
    MessageAnswered {
        /// The question.
        req: Req,
        /// SIP status.
        status: u16,
        /// Reason phrase.
        reason: String,
    },
    /// From a listening that [`Command::Listen`](crate::Command::Listen) began.
    Speech {
        /// Which one.
        req: Req,
        /// What is new.
        news: SpeechNews,
    },
    /// From the room that [`Command::Room`](crate::Command::Room) asked.
    Room {
        /// Number of the membership.
        req: Req,
        /// What happened to it.
        event: RoomEvent,
    },
    /// From the SIP side of the leg.
    Leg(LegEvent),
    /// From the media side of the leg.
    Media(MediaEvent),
    /// The API requests a change → [`Command::Reply`](crate::Command::Reply), always.
    Ask {
        /// The question.
        ask: Ask,
        /// The change.
        modify: Modify,
    },
    /// A change that no asker waits for: in journals written before there were replies.
    Modify(Modify),
    /// The record of this call could not be kept, so the call does not exist: the commands that
    /// followed its [`Fact::Created`](crate::Fact::Created) in the same step were not carried out.
    NotRecorded,
    /// The server stops now: end this call.
    Shutdown,
}

/// A way to reach a dialled target: one INVITE.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Request-URI.
    pub uri: String,
    /// To-URI if it differs from the Request-URI.
    pub to: Option<String>,
    /// From-URI host part for this way (the proxy's for numbers, the organization's for SIP).
    pub from_host: String,
    /// The shell's name of the way there: opaque, handed back with the INVITE.
    pub via: Via,
    /// User name and password for 401 and 407; the noun's own win.
    pub credentials: Option<(String, String)>,
}

/// How a route leaves the server: a name the shell understands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Via {
    /// By this address, the Request-URI.
    Uri(String),
    /// Through the trunk of this name.
    Trunk(String),
    /// To a registered contact: the shell's key of the binding.
    Binding(String),
}

/// Why a dialled target has no route.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unreachable {
    /// Number of the error table.
    pub code: u16,
    /// For people.
    pub text: String,
}

/// An application's answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// Content type, lower-case, with parameters; `None` if it had none.
    pub content_type: Option<String>,
    /// Body, invalid UTF-8 replaced.
    pub body: String,
    /// Address after redirects: the base of relative addresses.
    pub url: String,
}

/// Why an application gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FetchFailure {
    /// Number of the error table.
    pub code: u16,
    /// For people, without secrets.
    pub text: String,
}

/// Why audio could not be had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AudioFailure {
    /// Number of the error table.
    pub code: u16,
    /// For people.
    pub text: String,
}

/// What a listening brings. All but the partial results are the last of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SpeechNews {
    /// Somebody speaks, and this is what was understood so far: it may still change. Empty if
    /// nothing was.
    Partial(String),
    /// What was said, as far as it was understood; empty if nothing was.
    Final {
        /// The words.
        text: String,
        /// How sure the recognizer is; `None` if it does not say.
        confidence: Option<Confidence>,
    },
    /// There is no recognizer.
    Unavailable,
    /// There is one, but it failed.
    Failed {
        /// For people.
        reason: String,
    },
}

/// How sure a recognizer is: from 0 to 1, in thousandths.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Confidence(u16);

impl Confidence {
    /// The nearest to a number; what is outside of 0 to 1 is taken for the nearer end.
    #[must_use]
    pub fn new(fraction: f64) -> Self {
        // A number that is none becomes 0.
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

/// From the SIP side of a leg.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LegEvent {
    /// A provisional response other than 100 to our INVITE.
    Progress {
        /// SIP status.
        status: u16,
        /// `X-` headers and Diversion.
        headers: Headers,
    },
    /// The first 2xx to our INVITE; its ACK is on the way.
    Answered {
        /// `X-` headers and Diversion.
        headers: Headers,
        /// SIP Call-ID.
        sip_call_id: String,
        /// The remote party's session description; `None` if it sent none.
        sdp: Option<String>,
    },
    /// A final failure of our INVITE (also 408 without an answer, 503 without a way, 487 after CANCEL).
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
    /// The caller gave up; 487 is on the way.
    Canceled,
    /// A 2xx of ours was acknowledged: that to the INVITE, or one to a re-INVITE.
    Acked {
        /// The answer, when our 2xx carried the offer.
        sdp: Option<String>,
    },
    /// Our 2xx was never acknowledged; the dialog is being ended with BYE.
    NoAck,
    /// The remote party hung up; 200 is on the way.
    Bye {
        /// Text of its Reason header.
        reason: Option<String>,
    },
    /// Our BYE is over.
    ByeDone,
    /// The remote party wants to change the session.
    Reinvite {
        /// Its offer; `None` asks for ours.
        sdp: Option<String>,
    },
    /// INFO arrived; 200 is on the way.
    Info {
        /// Content type.
        content_type: String,
        /// Body.
        body: String,
    },
    /// The path to the remote party is gone for good.
    Lost {
        /// For people.
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

/// From the media side of a leg.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MediaEvent {
    /// The endpoint is open; here is our answer or offer.
    Opened {
        /// Our session description.
        sdp: String,
    },
    /// The endpoint could not be opened, or the remote party's description cannot be used.
    Refused {
        /// SIP status for a request that carried the description.
        status: u16,
        /// For people.
        reason: String,
    },
    /// Answer to [`MediaCommand::Renegotiate`](crate::MediaCommand::Renegotiate).
    Renegotiated {
        /// Our description, or why the offer cannot be used.
        sdp: Result<String, String>,
    },
    /// A play-out ended by itself.
    PlayDone {
        /// Which one.
        play: PlayId,
    },
    /// A key was pressed.
    Digit {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
        /// How it was signalled: not by INFO.
        way: DigitWay,
    },
    /// The first packet arrived from the remote party.
    Heard,
    /// Nothing arrived for the silence time-out.
    Silence,
    /// A recording is closed and readable.
    Recorded {
        /// Which one.
        recording: RecordingSid,
        /// Length from the samples written, in milliseconds.
        duration_ms: i64,
        /// Size of the file.
        size_bytes: i64,
    },
    /// A recording could not be written.
    RecordFailed {
        /// Which one.
        recording: RecordingSid,
        /// For people.
        reason: String,
    },
    /// Final counters of the endpoint, for the trace; the shell keeps them with the record.
    Closed(MediaCounts),
}

/// A change asked for by the API.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Modify {
    /// End the call in whatever state it is.
    Complete,
    /// End the call if it is not answered yet.
    Cancel,
    /// Run another document.
    Redirect(Box<Redirect>),
}

/// A new run for a live call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Redirect {
    /// First document; its author wrote the other addresses too.
    pub document: Document,
    /// Told each status.
    pub status_callback: Option<(String, HttpMethod)>,
    /// Whether the bridged party runs the document too; else it is hung up.
    pub move_connected_leg: bool,
    /// Dialect of the new run; `None`, as in old journals, keeps that of the run before.
    #[serde(default, with = "crate::journal::serde_as::optional_dialect")]
    pub dialect: Option<Dialect>,
}

/// Where the first document of a run comes from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Absolute address.
    pub url: String,
    /// Method.
    pub method: HttpMethod,
    /// Account that wrote the address: its rights count when the address is asked.
    pub author: AccountSid,
    /// Asked when the first fails.
    pub fallback: Option<Fallback>,
}

/// Where a document comes from when the first cannot be had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fallback {
    /// Absolute address.
    pub url: String,
    /// Method.
    pub method: HttpMethod,
    /// Account that wrote the address; an application's owner may differ from the number's.
    pub author: AccountSid,
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
