//! The commands of a call family. The shell carries them out and decides nothing.

use std::time::Duration;

pub use model::Target;
use model::profile::Traffic;
use model::{
    AccountSid, AnswerTiming, CallSid, ConferenceSid, HttpMethod, QueueSid, RecordingSid, StreamSid,
};
use rcml::{RingTone, Sides};

use crate::event::{Ask, Clip, Headers, PlayId, Req, Route, Via};
use crate::fact::Fact;
use crate::membership::{Beep, Departure, Place, Terms, Wish};
use crate::queueing::QueueRequest;
use crate::recording_request::Pause;
use crate::relay_news::RelayCommand;
use crate::request::{Changed, ModifyError};
use crate::trace::Entry;

/// A command and the call it concerns.
#[derive(Clone, Debug)]
pub struct Addressed {
    /// The call.
    pub call: CallSid,
    /// The command.
    pub command: Command,
}

/// A command for one call.
#[derive(Clone, Debug)]
pub enum Command {
    /// Make these facts durable, in one transaction, **before carrying out any later command**. Only
    /// [`Command::TakeOver`] may precede it.
    Commit(Vec<Fact>),
    /// Find the routes to these targets.
    Resolve {
        /// Returned with the answer.
        req: Req,
        /// Account that named the targets: only addresses that it may reach are routes.
        author: AccountSid,
        /// Account under which the call runs: its profile says which numbers can be called.
        account: AccountSid,
        /// What goes there.
        traffic: Traffic,
        /// Sender of a text message, from which the recipient may not want any.
        from: Option<String>,
        /// In order; the answer has one entry for each.
        targets: Vec<Target>,
    },
    /// Send a request to an application.
    Fetch {
        /// Returned with the answer.
        req: Req,
        /// The request.
        request: FetchRequest,
    },
    /// Synthesise speech.
    Speak {
        /// Returned with the audio.
        req: Req,
        /// The text.
        text: String,
        /// The text in pieces, each with how it is spoken; empty if it is spoken as it stands.
        parts: Vec<rcml::Spoken>,
        /// The voice.
        voice: rcml::Voice,
        /// Language as a BCP-47 tag.
        language: String,
    },
    /// Load a media file.
    Load {
        /// Returned with the audio.
        req: Req,
        /// Absolute address.
        url: String,
        /// Account that set the address: its rights apply to the request.
        author: AccountSid,
    },
    /// Start recognising the remote party's speech → [`Event::Speech`](crate::Event::Speech).
    Listen {
        /// Returned with all results.
        req: Req,
        /// What to listen for.
        request: ListenRequest,
    },
    /// Start recognising what the remote party hears → [`Event::Speech`](crate::Event::Speech).
    Overhear {
        /// Returned with all results.
        req: Req,
        /// What to listen for.
        request: ListenRequest,
    },
    /// The utterance has ended: stop listening and return the final result.
    EndOfSpeech {
        /// The recognition.
        req: Req,
    },
    /// Stop listening; no event follows.
    StopListening {
        /// The recognition.
        req: Req,
    },
    /// Send a text message → [`Event::MessageAnswered`](crate::Event::MessageAnswered), always.
    SendMessage {
        /// Returned with the answer.
        req: Req,
        /// The message.
        message: Box<OutgoingMessage>,
    },
    /// For a media stream of the leg.
    Stream(StreamCommand),
    /// For the connection of a conversation → [`Event::Relay`](crate::Event::Relay).
    Relay(RelayCommand),
    /// For a conference room → [`Event::Room`](crate::Event::Room).
    Room(RoomRequest),
    /// For a queue → [`Event::Queue`](crate::Event::Queue).
    Queue(QueueRequest),
    /// For an attended transfer: have another live call hand the party connected to it over →
    /// [`Event::HandedOver`](crate::Event::HandedOver), always.
    HandOver {
        /// Returned with the answer.
        req: Req,
        /// The other call.
        from: CallSid,
        /// Account of this one.
        account: AccountSid,
        /// Where that party is to go.
        queue: QueueSid,
    },
    /// Answer to [`Event::HandOver`](crate::Event::HandOver).
    AnswerHandOver {
        /// The call that asked.
        asker: CallSid,
        /// Its request.
        req: Req,
        /// Whether the party is on its way.
        accepted: bool,
    },
    /// Prepare a leg for one of the phones that this call rings. It has no record; its commands and events have this
    /// identifier, which is not shown to applications.
    OpenBranch {
        /// Its identifier.
        branch: CallSid,
    },
    /// A branch was answered: its SIP leg, dialog and media endpoint are those of this call from now on, and the
    /// branch no longer exists. Precedes [`Command::Commit`] of the same step, because the dialog is stored with the answer.
    TakeOver {
        /// The branch.
        branch: CallSid,
    },
    /// For the SIP side of the leg.
    Leg(LegCommand),
    /// For the media side of the leg.
    Media(MediaCommand),
    /// Answer to [`Event::Ask`](crate::Event::Ask).
    Reply {
        /// The request.
        ask: Ask,
        /// What was changed, or why nothing was.
        outcome: Result<Changed, ModifyError>,
    },
    /// An entry for the trace.
    Trace(Entry),
    /// The call has ended and is forgotten: free its resources in the shell.
    Forget,
}

/// A request of a call to a conference room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RoomRequest {
    /// Join the open room with this account and name; created if it does not exist.
    Join {
        /// Number of the membership: returned with every report of the room about it.
        req: Req,
        /// Account that owns the room.
        account: AccountSid,
        /// Name of the room.
        name: String,
        /// The requested terms.
        wish: Wish,
    },
    /// Change the terms of a membership → [`RoomEvent::Moved`](crate::RoomEvent::Moved), if that
    /// changes its place.
    Change {
        /// Number of the membership.
        req: Req,
        /// The new terms.
        terms: Terms,
    },
    /// An announcement to the member has ended; no event follows.
    Announced {
        /// Number of the membership.
        req: Req,
        /// Whether something in it could not be played.
        failed: bool,
    },
    /// End a membership; no event follows.
    Leave {
        /// Number of the membership.
        req: Req,
        /// Why.
        why: Departure,
    },
}

/// A command to a media stream: the audio of a leg for a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamCommand {
    /// Connect → [`Event::Stream`](crate::Event::Stream), and in the end always
    /// [`StreamNews::Over`](crate::StreamNews::Over).
    Open {
        /// Number of the stream: returned with all its news.
        req: Req,
        /// The stream.
        request: Box<StreamRequest>,
    },
    /// Send the audio of the leg from now on.
    Begin {
        /// The stream.
        req: Req,
        /// Start a play-out of what the server sends, with this number; it replaces the current one.
        /// `None`: the server may not send audio.
        play: Option<PlayId>,
    },
    /// The remote party pressed a key.
    Key {
        /// The stream.
        req: Req,
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// Tell the server that the stream ends, and close the connection.
    Close {
        /// The stream.
        req: Req,
    },
}

/// A stream to open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRequest {
    /// The stream.
    pub sid: StreamSid,
    /// Account under which the call runs.
    pub account: AccountSid,
    /// Account whose document opens it: its rights apply to the address, and its token signs the handshake.
    pub author: AccountSid,
    /// The server.
    pub target: StreamTarget,
    /// The audio to send.
    pub track: rcml::Track,
    /// Whether the server may also send audio.
    pub both_ways: bool,
    /// Names and values for the server, in order.
    pub parameters: Vec<(String, String)>,
}

/// The server of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamTarget {
    /// A WebSocket server, by its absolute `ws` or `wss` address.
    Socket(String),
    /// A recording server (SIPREC).
    Recorder(RecordingServer),
}

/// A recording server, and the call for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordingServer {
    /// The operator's name of the server.
    pub connector: String,
    /// The remote party of the leg.
    pub remote: RecordedParty,
    /// The party that it called, or that called it.
    pub local: RecordedParty,
}

/// A party of a recorded call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecordedParty {
    /// Number, client or SIP address, as in the record of the call.
    pub address: String,
    /// Its name, if it gave one.
    pub name: Option<String>,
}

/// What to listen for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenRequest {
    /// Language as a BCP-47 tag.
    pub language: String,
    /// Words likely to be said.
    pub hints: Vec<String>,
    /// How long a silence completes the utterance; `None`: the recognizer decides. The family also
    /// watches for it, and reports the end.
    pub end_silence: Option<Duration>,
}

/// The parts of a MESSAGE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutgoingMessage {
    /// The route.
    pub route: Route,
    /// From: a whole SIP address if it contains `@`, else a user part.
    pub from: String,
    /// The text.
    pub text: String,
    /// Further header fields.
    pub headers: Headers,
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
    /// Account that set the address: its rights apply to the request.
    pub author: AccountSid,
    /// The queue in which the call waits: where it stands when the request is sent is added to the
    /// parameters ([`Standing`](crate::Standing)).
    pub queue: Option<QueueSid>,
}

/// A command to the SIP side of a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LegCommand {
    /// Headers to add to every message that we send on this leg from now on.
    Headers(Headers),
    /// Send 180.
    Ring,
    /// Send 200 with this description.
    Answer {
        /// Our answer or offer.
        sdp: String,
    },
    /// Send a final refusal.
    Reject {
        /// SIP status.
        status: u16,
        /// Text of a Reason header.
        reason: Option<String>,
    },
    /// Send INVITE.
    Invite(Box<Invite>),
    /// Cancel our INVITE.
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
    /// Accept the remote party's REFER, and report that the transfer has begun.
    AcceptRefer,
    /// Refuse the remote party's REFER.
    RejectRefer {
        /// SIP status.
        status: u16,
        /// Text of a Reason header.
        reason: String,
    },
    /// Ask the remote party to call another address → `ReferAnswered`, and if it accepts
    /// `ReferReported`. Another REFER replaces one whose outcome is not known yet.
    Refer {
        /// SIP URI with its header list.
        target: String,
    },
    /// Report the outcome of the REFER that was accepted.
    ReferDone {
        /// SIP status.
        status: u16,
    },
}

/// The parts of an INVITE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invite {
    /// The route.
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

/// A sound to play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sound {
    /// A built-in ring-back tone, in its own cadence.
    Ringback(RingTone),
    /// The built-in beep before a recording, a fifth of a second.
    RecordBeep,
    /// The built-in hold music.
    Music,
    /// A tone of a conference.
    Beep(Beep),
    /// A clip stored by the shell.
    Clip(Clip),
}

/// What interrupts the sound that a remote party hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Interrupting {
    /// A sound.
    Clip(Clip),
    /// Keys: `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence.
    Keys(String),
}

/// A command to the media side of a leg. Commands of one family take effect in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MediaCommand {
    /// Open an endpoint: answer this offer, or make one.
    Open {
        /// The remote party's offer.
        offer: Option<String>,
        /// For a leg that we create: the route that its INVITE will take.
        towards: Option<Via>,
    },
    /// The remote party's answer to our offer.
    Remote {
        /// Its description.
        sdp: String,
    },
    /// The remote party's new offer, or its request for ours.
    Renegotiate {
        /// Its description.
        offer: Option<String>,
    },
    /// Start a play-out; it replaces the current one.
    Play {
        /// Its number.
        play: PlayId,
        /// The sound.
        sound: Sound,
        /// How often; `None` means endlessly.
        times: Option<u32>,
    },
    /// Stop a play-out; no event follows.
    StopPlay {
        /// The play-out.
        play: PlayId,
    },
    /// Press keys towards the remote party, replacing a play-out → `PlayDone`.
    SendDigits {
        /// Its number.
        play: PlayId,
        /// `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence.
        digits: String,
    },
    /// Play a sound once, or press keys, immediately: a sound that is playing waits and then continues; anything else is not
    /// heard meanwhile → `PlayDone`. One that is still in progress is replaced.
    Interject {
        /// Its number.
        play: PlayId,
        /// What it is.
        sound: Interrupting,
    },
    /// Press a key of the bridged leg that it did not send in its media, after those still in
    /// progress.
    PassKey {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
    },
    /// Starts or stops detecting keys in the audio of a remote party that cannot send them in the
    /// media in any other way.
    ListenDigits {
        /// Whether to detect keys.
        on: bool,
    },
    /// Starts or stops sending the remote party what it says.
    Echo {
        /// Whether it hears itself.
        on: bool,
    },
    /// Let this leg and another one of the family hear each other.
    Bridge {
        /// The other leg.
        with: CallSid,
    },
    /// Undo a bridge.
    Unbridge {
        /// The other leg.
        with: CallSid,
    },
    /// Let this leg and the one that it took from a queue hear each other, as long as the queue has them
    /// as a pair: the other one is of another family, and may have gone elsewhere.
    Pair {
        /// The other leg.
        with: CallSid,
        /// The queue.
        queue: QueueSid,
    },
    /// Undo a pair; no effect if the other leg has gone elsewhere.
    Unpair {
        /// The other leg.
        with: CallSid,
    },
    /// Take this place in the mix of a conference. Repeated if the place changes.
    JoinRoom {
        /// The conference.
        conference: ConferenceSid,
        /// Who hears the leg, and whom it hears.
        place: Place,
    },
    /// Leave the mix.
    LeaveRoom,
    /// Record what this leg says and what it hears.
    Record {
        /// Names the file.
        recording: RecordingSid,
        /// Which of the two, and how.
        sides: Sides,
        /// Leave out the silence at both ends.
        trim: bool,
    },
    /// Record what the remote party says.
    RecordVoice {
        /// Names the file.
        recording: RecordingSid,
        /// Report a silence of this length → `RecordSilence`.
        silence: Duration,
        /// Leave out the silence at both ends.
        trim: bool,
    },
    /// Pause a recording, or continue it.
    PauseRecord {
        /// The recording.
        recording: RecordingSid,
        /// What it contains in place of the pause; `None`: it continues.
        pause: Option<Pause>,
    },
    /// Find out whether a person or a machine has answered → `Answerer`, up to twice.
    DetectMachine {
        /// Lengths of speech and silence.
        timing: AnswerTiming,
    },
    /// No longer find that out; no event follows.
    StopDetecting,
    /// Close a recording.
    StopRecord {
        /// The recording.
        recording: RecordingSid,
    },
    /// Close the endpoint.
    Close,
}

impl MediaCommand {
    /// The name and detail for the trace; `None` for commands that mean nothing to people.
    pub(crate) fn words(&self) -> Option<(String, String)> {
        Some(match self {
            Self::Play {
                sound: Sound::Ringback(tone),
                ..
            } => ("play".to_owned(), tone.words()),
            Self::Play {
                sound: Sound::RecordBeep,
                ..
            } => ("play".to_owned(), "beep".to_owned()),
            Self::Play {
                sound: Sound::Music,
                ..
            } => ("play".to_owned(), "hold music".to_owned()),
            Self::Play {
                sound: Sound::Beep(beep),
                ..
            } => ("play".to_owned(), beep.as_str().to_owned()),
            Self::Play {
                sound: Sound::Clip(clip),
                ..
            } => ("play".to_owned(), format!("{} ms", clip.length.as_millis())),
            Self::Interject {
                sound: Interrupting::Clip(clip),
                ..
            } => (
                "interrupt with".to_owned(),
                format!("{} ms", clip.length.as_millis()),
            ),
            Self::Interject {
                sound: Interrupting::Keys(_),
                ..
            } => ("interrupt with keys".to_owned(), String::new()),
            // The keys are not shown: they may be a PIN.
            Self::SendDigits { .. } => ("send keys".to_owned(), String::new()),
            Self::PassKey { .. } => ("pass on a key".to_owned(), String::new()),
            Self::ListenDigits { .. } => return None,
            Self::StopPlay { .. } => ("stop play".to_owned(), String::new()),
            Self::Echo { on: true } => ("echo".to_owned(), String::new()),
            Self::Echo { on: false } => ("stop echo".to_owned(), String::new()),
            Self::Bridge { with } | Self::Pair { with, .. } => {
                ("bridge".to_owned(), with.to_string())
            }
            Self::Unbridge { with } | Self::Unpair { with } => {
                ("unbridge".to_owned(), with.to_string())
            }
            Self::Record { recording, .. } | Self::RecordVoice { recording, .. } => {
                ("record".to_owned(), recording.to_string())
            }
            Self::PauseRecord { recording, pause } => {
                let what = match pause {
                    Some(_) => "pause record",
                    None => "resume record",
                };
                (what.to_owned(), recording.to_string())
            }
            Self::DetectMachine { .. } => ("detect machine".to_owned(), String::new()),
            Self::StopRecord { recording } => ("stop record".to_owned(), recording.to_string()),
            // The room's own entry is better, and the one about the result.
            Self::JoinRoom { .. }
            | Self::StopDetecting
            | Self::LeaveRoom
            | Self::Open { .. }
            | Self::Remote { .. }
            | Self::Renegotiate { .. }
            | Self::Close => return None,
        })
    }
}
