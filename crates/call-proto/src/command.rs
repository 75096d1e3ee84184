//! What a call family asks of the world. The shell carries each command out and decides nothing.

use std::time::Duration;

pub use model::Target;
use model::{AccountSid, CallSid, ConferenceSid, HttpMethod, RecordingSid};

use crate::event::{Ask, Clip, Headers, PlayId, Req, Route, Via};
use crate::fact::Fact;
use crate::membership::{Place, Wish};
use crate::request::ModifyError;
use crate::trace::Entry;

/// A command and the call it concerns.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The call.
    pub call: CallSid,
    /// What to do.
    pub command: Command,
}

/// Something to do for one call.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make these facts durable, in one transaction, **before carrying out any later command**.
    Commit(Vec<Fact>),
    /// Find the routes to these targets.
    Resolve {
        /// Comes back with the answer.
        req: Req,
        /// Account that named the targets: only what it may reach is a route.
        author: AccountSid,
        /// In order; the answer has one entry for each.
        targets: Vec<Target>,
    },
    /// Ask an application.
    Fetch {
        /// Comes back with the answer.
        req: Req,
        /// The request.
        request: FetchRequest,
    },
    /// Make speech.
    Speak {
        /// Comes back with the audio.
        req: Req,
        /// What to say.
        text: String,
        /// Whose voice.
        voice: rcml::Voice,
        /// Language as a BCP-47 tag.
        language: String,
    },
    /// Get a media file.
    Load {
        /// Comes back with the audio.
        req: Req,
        /// Absolute address.
        url: String,
        /// Account that wrote the address: its rights count when the address is asked.
        author: AccountSid,
    },
    /// Begin to recognise what the remote party says → [`Event::Speech`](crate::Event::Speech).
    Listen {
        /// Comes back with all that is understood.
        req: Req,
        /// What to listen for.
        request: ListenRequest,
    },
    /// What was said is over: listen no more, and give the final result.
    EndOfSpeech {
        /// Which listening.
        req: Req,
    },
    /// Stop listening; no event follows.
    StopListening {
        /// Which listening.
        req: Req,
    },
    /// Send a text message → [`Event::MessageAnswered`](crate::Event::MessageAnswered), always.
    SendMessage {
        /// Comes back with the answer.
        req: Req,
        /// The message.
        message: Box<OutgoingMessage>,
    },
    /// To a conference room → [`Event::Room`](crate::Event::Room).
    Room(RoomRequest),
    /// To the SIP side of the leg.
    Leg(LegCommand),
    /// To the media side of the leg.
    Media(MediaCommand),
    /// Answer to [`Event::Ask`](crate::Event::Ask).
    Reply {
        /// The question.
        ask: Ask,
        /// Whether the change was made; if not, nothing has changed.
        outcome: Result<(), ModifyError>,
    },
    /// Explain what happened.
    Trace(Entry),
    /// The call has ended and is forgotten: free what the shell keeps for it.
    Forget,
}

/// What a call asks of a conference room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoomRequest {
    /// Become a member of the open room of this account and name; if there is none, it is made.
    Join {
        /// Number of the membership: comes back with everything that the room says about it.
        req: Req,
        /// Account that owns the room.
        account: AccountSid,
        /// Name of the room.
        name: String,
        /// On which terms.
        wish: Wish,
    },
    /// Give up a membership; no event follows.
    Leave {
        /// Number of the membership.
        req: Req,
    },
}

/// What to listen for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenRequest {
    /// Language as a BCP-47 tag.
    pub language: String,
    /// Words that are likely to be said.
    pub hints: Vec<String>,
    /// The silence after which what was said is complete; `None`: the recognizer decides. The
    /// family watches it as well, and says when it is over.
    pub end_silence: Option<Duration>,
}

/// What a MESSAGE is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutgoingMessage {
    /// Where to.
    pub route: Route,
    /// From: a whole SIP address if it contains `@`, else a user part.
    pub from: String,
    /// What it says.
    pub text: String,
}

/// A request to an application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchRequest {
    /// Absolute address.
    pub url: String,
    /// Method.
    pub method: HttpMethod,
    /// Parameters in order.
    pub params: Vec<(String, String)>,
    /// Account that wrote the address: its rights count when the address is asked.
    pub author: AccountSid,
}

/// To the SIP side of a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegCommand {
    /// Headers for every message we send on this leg from now on.
    Headers(Headers),
    /// Send 180.
    Ring,
    /// Send 200 with this description.
    Answer {
        /// Our answer or offer.
        sdp: String,
    },
    /// Send a final failure.
    Reject {
        /// SIP status.
        status: u16,
        /// Text of a Reason header.
        reason: Option<String>,
    },
    /// Send INVITE.
    Invite(Box<Invite>),
    /// Withdraw our INVITE.
    Cancel,
    /// Hang up an answered leg.
    Bye {
        /// Text of a Reason header.
        reason: Option<String>,
    },
    /// Accept the remote party's re-INVITE.
    AnswerReinvite {
        /// Our description.
        sdp: String,
    },
    /// Refuse the remote party's re-INVITE.
    RejectReinvite {
        /// SIP status.
        status: u16,
    },
}

/// What an INVITE is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invite {
    /// Where to.
    pub route: Route,
    /// From: a whole SIP address if it contains `@`, else a user part.
    pub from: String,
    /// Display name of From.
    pub from_display: Option<String>,
    /// Extra headers.
    pub headers: Headers,
    /// Our offer.
    pub sdp: String,
    /// Max-Forwards.
    pub max_forwards: u8,
}

/// What to play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sound {
    /// The built-in ring-back tone, in its own cadence.
    Ringback,
    /// A clip the shell keeps.
    Clip(Clip),
}

/// To the media side of a leg. Commands of one family take effect in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MediaCommand {
    /// Open an endpoint: answer this offer, or make one.
    Open {
        /// The remote party's offer.
        offer: Option<String>,
        /// Of a leg that we create: the way its INVITE will go.
        towards: Option<Via>,
    },
    /// The remote party's answer to our offer.
    Remote {
        /// Its description.
        sdp: String,
    },
    /// The remote party's new offer, or its wish for ours.
    Renegotiate {
        /// Its description.
        offer: Option<String>,
    },
    /// Start a play-out; it replaces the one before.
    Play {
        /// Its number.
        play: PlayId,
        /// What.
        sound: Sound,
        /// How often; `None` for ever.
        times: Option<u32>,
    },
    /// Stop a play-out; no event follows.
    StopPlay {
        /// Which one.
        play: PlayId,
    },
    /// Press keys towards the remote party, in place of a play-out → `PlayDone`.
    SendDigits {
        /// Its number.
        play: PlayId,
        /// `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence.
        digits: String,
    },
    /// Press a key of the bridged leg that it did not send in its media, after those that are not
    /// through yet.
    PassKey {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// From now on, or no longer, keys are also heard in the audio of a remote party that has no
    /// other way in the media to send them.
    ListenDigits {
        /// Whether to listen.
        on: bool,
    },
    /// Let this leg and another hear each other.
    Bridge {
        /// The other.
        with: CallSid,
    },
    /// Undo it.
    Unbridge {
        /// The other.
        with: CallSid,
    },
    /// Take this place in the mix of a conference. Repeated when the place changes.
    JoinRoom {
        /// Which conference.
        conference: ConferenceSid,
        /// Whom the leg hears, and who hears it.
        place: Place,
    },
    /// Leave the mix.
    LeaveRoom,
    /// Record this leg, mixed with another.
    Record {
        /// Names the file.
        recording: RecordingSid,
        /// The other leg.
        with: Option<CallSid>,
    },
    /// Close a recording.
    StopRecord {
        /// Which one.
        recording: RecordingSid,
    },
    /// Close the endpoint.
    Close,
}

impl MediaCommand {
    /// What and which, as the trace shows it; `None` for what says nothing to people.
    pub(crate) fn words(&self) -> Option<(String, String)> {
        Some(match self {
            Self::Play {
                sound: Sound::Ringback,
                ..
            } => ("play".to_owned(), "ring tone".to_owned()),
            Self::Play {
                sound: Sound::Clip(clip),
                ..
            } => ("play".to_owned(), format!("{} ms", clip.length.as_millis())),
            // Which keys stays untold: they may be a PIN.
            Self::SendDigits { .. } => ("send keys".to_owned(), String::new()),
            Self::PassKey { .. } => ("pass on a key".to_owned(), String::new()),
            Self::ListenDigits { .. } => return None,
            Self::StopPlay { .. } => ("stop play".to_owned(), String::new()),
            Self::Bridge { with } => ("bridge".to_owned(), with.to_string()),
            Self::Unbridge { with } => ("unbridge".to_owned(), with.to_string()),
            Self::Record { recording, .. } => ("record".to_owned(), recording.to_string()),
            Self::StopRecord { recording } => ("stop record".to_owned(), recording.to_string()),
            // The room says it better.
            Self::JoinRoom { .. }
            | Self::LeaveRoom
            | Self::Open { .. }
            | Self::Remote { .. }
            | Self::Renegotiate { .. }
            | Self::Close => return None,
        })
    }
}
