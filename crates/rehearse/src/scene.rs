//! A scene: the content of a virtual world before its calls begin, and what each party will do.
//!
//! Scripts of `patchcord test` become scenes; tests of the call machine build theirs directly, with
//! weather and faults that a script cannot request. **Invariant: the same scene and the same
//! answers of the application give the same run.**

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call_proto::{
    DigitWay, FetchFailure, Fetched, Headers, Inbound, Modify, OutboundApi, RecordingChange,
    SpeechNews,
};

use crate::Problem;
use crate::expected::Expected;
use crate::script::{Agent, Step};

/// The media side rejects offers and answers with this text.
pub const UNUSABLE: &str = "unusable";
/// A duration that no scene reaches.
const FOREVER: Duration = Duration::from_secs(24 * 3_600);

/// The initial world, and everything that will happen in it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The calls that start by themselves; each starts a family.
    pub calls: Vec<Start>,
    /// Phones by SIP address, or by client login, number or user part of an address. Only a client
    /// may have several.
    pub phones: BTreeMap<String, Vec<Phone>>,
    /// Answers of the application by absolute address, in order; the last one repeats.
    pub pages: BTreeMap<String, Vec<Page>>,
    /// The servers that streams connect to, by address without the query; others cannot be reached.
    pub(crate) agents: BTreeMap<String, Agent>,
    /// Timed acts, independent of everything else.
    pub acts: Vec<Act>,
    /// How long sounds and texts last; the first match counts.
    pub(crate) sounds: Vec<(Expected, Duration)>,
    /// How long speech lasts.
    pub pace: Pace,
    /// Delays of the environment.
    pub delays: Delays,
    /// Faults in the environment.
    pub faults: Faults,
    /// The speech recognizer.
    pub recognizer: Recognizer,
    /// How events travel.
    pub weather: Weather,
    /// Whether outside numbers can be reached.
    pub has_trunk: bool,
    /// Seed for the randomness of the weather.
    pub seed: u64,
    /// Calls still live after this time are ended by force.
    pub limit: Duration,
    /// When the run ends.
    pub until: Until,
}

/// A call that starts by itself.
#[derive(Clone, Debug)]
pub struct Start {
    /// Since the start of the run.
    pub at: Duration,
    /// Name of the caller's leg. A leg that the API creates is named after the party it calls.
    pub name: String,
    /// How the family starts.
    pub opening: Opening,
    /// Seed for the family's identifiers.
    pub seed: u64,
    /// Time from our 200 to the caller's ACK; `None`: it never arrives.
    pub ack: Option<Duration>,
    /// The caller's response to a text message, and after what time; `None`: there is no route to
    /// its phone.
    pub message: Option<(u16, Duration)>,
    /// For a call from the API: the phone to call if the scene has none at that address.
    pub phone: Option<Phone>,
    /// What the caller does; for a call from the API, what the answering party does.
    pub(crate) steps: Vec<Step>,
}

/// How a family starts.
#[derive(Clone, Debug)]
pub enum Opening {
    /// A caller's INVITE was admitted.
    Inbound(Box<Inbound>),
    /// The API makes a call; its routes are filled in from the scene.
    Api(Box<OutboundApi>),
}

/// A phone that can be called.
#[derive(Clone, Debug)]
pub struct Phone {
    /// Name of its legs; `None`: the dialled address.
    pub name: Option<String>,
    /// Whether there is a route to it.
    pub is_reachable: bool,
    /// What it does, timed from its INVITE.
    pub steps: Vec<(Duration, Doing)>,
    /// Added to each of its responses.
    pub headers: Headers,
    /// Session description in its answer.
    pub sdp: Option<String>,
    /// Time from its answer until it hangs up; `None`: it stays on the line.
    pub talks: Option<Duration>,
    /// `Reason` header of its BYE.
    pub bye_reason: Option<String>,
    /// Parameters of its registered contact, such as `;transport=tcp`.
    pub contact: String,
    /// Time from our CANCEL to its 487; `None`: it does not respond to CANCEL.
    pub withdraws: Option<Duration>,
    /// It no longer knows the dialog when we hang up, and answers 404.
    pub forgets: bool,
    /// Whether its refusals have the phrase `words for` and the status.
    pub has_phrases: bool,
    /// Final response to a text message, and after what time; `None`: there is none.
    pub message: Option<(u16, Duration)>,
    /// What machine detection hears once it has answered.
    pub says: Says,
    /// Number among all phones of a script, from 1; 0 if it has no steps of its own.
    pub(crate) number: usize,
    /// What the person does once the call is answered.
    pub(crate) then: Vec<Step>,
}

/// What a phone says by itself once it has answered: only machine detection hears it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// Speech of this length.
    Speech {
        /// From the answer on.
        length: Duration,
        /// Whether a beep follows after half a second.
        beep: bool,
    },
    /// The tone of a fax machine.
    Fax,
    /// Nothing.
    Nothing,
}

impl Says {
    /// A person says so much.
    pub(crate) const HELLO: Duration = Duration::from_millis(600);
    /// The length of a machine's greeting.
    pub(crate) const GREETING: Duration = Duration::from_secs(5);
}

/// What the remote party of a leg, or the SIP side on its behalf, does by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// Sends a provisional response of this status.
    Ring(u16),
    /// Sends 200.
    Answer,
    /// Sends a final refusal.
    Reject(u16),
    /// Sends 487 for our CANCEL.
    Withdraw,
    /// Never responds: the transaction ends with 408.
    GiveUp,
    /// Sends the ACK for our 200.
    Ack,
    /// Never sends its ACK: the SIP side hangs up.
    NoAck,
    /// Sends CANCEL or BYE, whichever applies.
    HangUp,
    /// Vanishes without a message.
    Vanish(Vanishes),
    /// Has not answered the REFER with this number: its transaction ends with 408.
    GiveUpRefer(u32),
}

/// What fails when a phone vanishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vanishes {
    /// Its sound: no more packets arrive.
    Sound,
    /// The path to it: its registration or connection is lost.
    Connection,
}

/// One answer of the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The answer.
    pub reply: Reply,
    /// How long the answer takes.
    pub after: Duration,
    /// Where the web server's own redirects led.
    pub moved_to: Option<String>,
}

/// The content of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A response.
    Text(TextReply),
    /// The answer of another page or of the application at this address.
    Elsewhere(String),
    /// No response, for the reason with this number.
    Fails(u16),
}

/// A response from the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextReply {
    /// HTTP status.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// Its body.
    pub body: String,
}

/// A timed act.
#[derive(Clone, Debug)]
pub struct Act {
    /// Since the start of the run.
    pub at: Duration,
    /// The leg.
    pub leg: Who,
    /// What happens to it.
    pub does: Does,
    /// Line of the script; 0 if none, and then a missing leg is not a failure.
    pub(crate) line: usize,
    /// Whether the script expects the API to refuse it.
    pub(crate) refused: bool,
}

/// A leg, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The leg with exactly this name.
    Leg(String),
    /// The newest leg of this party.
    Newest(String),
}

/// What a party asks for with REFER.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Referral {
    /// The address to be connected to, or a user here.
    pub to: String,
    /// Name of the leg that the party's other call has, in an attended transfer.
    pub replaces: Option<String>,
}

impl Referral {
    /// A blind transfer to this address, or to a user here.
    #[must_use]
    pub const fn blind(to: String) -> Self {
        Self { to, replaces: None }
    }
}

/// What happens to a leg.
#[derive(Clone, Debug)]
pub enum Does {
    /// Its remote party, or the SIP side, does something.
    Party(Doing),
    /// A re-INVITE with this offer arrives.
    Reinvite(Option<String>),
    /// A REFER to this party arrives.
    Refer(Referral),
    /// The ACK to our answer to a re-INVITE arrives with this description.
    Ack(Option<String>),
    /// An INFO arrives that does not name a key.
    Info,
    /// A key is pressed.
    Key(char, DigitWay),
    /// The recognizer reports speech.
    Understood(SpeechNews),
    /// The API changes the call.
    Modify(Modify),
    /// The API changes the recording of the conference that the call is in.
    OfConference(RecordingChange),
    /// The server stops.
    Shutdown,
    /// Another server ends the call on record.
    EndedElsewhere,
}

/// How long speech takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// For every text.
    pub fixed: Duration,
    /// For each of its characters.
    pub per_character: Duration,
}

/// Delays of the environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delays {
    /// Looking up a target.
    pub look_up: Duration,
    /// Receiving the response to our BYE.
    pub bye: Duration,
    /// Closing the file of a recording; `None`: it never ends.
    pub closing: Option<Duration>,
}

/// Faults in the environment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Parties whose media cannot be opened.
    pub deaf: BTreeSet<String>,
    /// Parties whose records cannot be stored.
    pub unrecorded: BTreeSet<String>,
    /// Names of conferences that never answer.
    pub silent: BTreeSet<String>,
    /// Whether nothing is ever reported about streams.
    pub stuck_streams: bool,
    /// Texts that contain this cannot be spoken.
    pub unspeakable: Option<String>,
    /// Whether the media side fails to write recordings.
    pub disk_full: bool,
}

/// The recognizer behind `<Gather input="speech">`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Recognizer {
    /// Gives the final result immediately when requested, with this confidence, if anything was
    /// said.
    Works(Option<f64>),
    /// The same without a confidence; the party speaks now and then, at random.
    Hears,
    /// Never gives a final result by itself.
    Dreams,
    /// No recognizer is installed.
    Missing,
}

/// How events travel to the machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    /// Immediately.
    Calm,
    /// Up to half a second late, so that they overtake each other.
    Windy,
    /// Late, duplicated, and some with no cause. Calls that do not end by themselves are ended by
    /// force, which is not a failure.
    Stormy,
}

/// When a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// When every call has ended.
    Over,
    /// When nothing more is due: late events are delivered, too.
    Drained,
}

impl Scene {
    /// An empty world in good weather.
    #[must_use]
    pub fn new() -> Self {
        Self {
            calls: Vec::new(),
            phones: BTreeMap::new(),
            pages: BTreeMap::new(),
            agents: BTreeMap::new(),
            acts: Vec::new(),
            sounds: Vec::new(),
            pace: Pace {
                fixed: Duration::ZERO,
                per_character: Duration::from_millis(60),
            },
            delays: Delays {
                look_up: Duration::ZERO,
                bye: Duration::ZERO,
                closing: Some(Duration::ZERO),
            },
            faults: Faults::default(),
            recognizer: Recognizer::Works(None),
            weather: Weather::Calm,
            has_trunk: true,
            seed: 1,
            limit: FOREVER,
            until: Until::Drained,
        }
    }

    /// Adds the server that streams to this address connect to.
    ///
    /// - `does`: as in a script: `unreachable`, or a list of steps
    ///
    /// # Errors
    /// [`Problem`] if it is not that.
    pub fn agent(&mut self, url: &str, does: &str) -> Result<(), Problem> {
        self.agents.insert(url.to_owned(), Agent::parse(does)?);
        Ok(())
    }

    /// Sets how long the sound file at this address lasts.
    pub fn sound(&mut self, url: &str, length: Duration) {
        self.sounds.push((Expected::Text(url.to_owned()), length));
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

impl Start {
    /// A call that starts immediately, whose caller does nothing by itself.
    #[must_use]
    pub fn new(name: &str, opening: Opening, seed: u64) -> Self {
        Self {
            at: Duration::ZERO,
            name: name.to_owned(),
            opening,
            seed,
            ack: Some(Duration::ZERO),
            message: None,
            phone: None,
            steps: Vec::new(),
        }
    }
}

impl Phone {
    /// A phone that does nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            name: None,
            is_reachable: true,
            steps: Vec::new(),
            headers: Headers::new(),
            sdp: Some("answer of a phone".to_owned()),
            talks: None,
            bye_reason: None,
            contact: String::new(),
            withdraws: Some(Duration::ZERO),
            forgets: false,
            has_phrases: false,
            message: Some((200, Duration::ZERO)),
            says: Says::Speech {
                length: Says::HELLO,
                beep: false,
            },
            number: 0,
            then: Vec::new(),
        }
    }

    /// Whether it ever sends a provisional response.
    pub(crate) fn rings(&self) -> bool {
        let ring = |(_, doing): &(Duration, Doing)| matches!(doing, Doing::Ring(_));
        self.steps.iter().any(ring)
    }
}

impl Default for Phone {
    fn default() -> Self {
        Self::new()
    }
}

impl Act {
    /// An act on the newest leg of a party, if there is one.
    #[must_use]
    pub fn new(at: Duration, party: &str, does: Does) -> Self {
        Self {
            at,
            leg: Who::Newest(party.to_owned()),
            does,
            line: 0,
            refused: false,
        }
    }
}

impl Page {
    /// The answer to a request for this address; `None` if another address answers.
    pub(crate) fn result(&self, url: &str) -> Option<Result<Fetched, FetchFailure>> {
        match &self.reply {
            Reply::Text(text) => Some(Ok(Fetched {
                status: text.status,
                content_type: text.content_type.clone(),
                body: text.body.clone(),
                url: self.moved_to.clone().unwrap_or_else(|| url.to_owned()),
                headers: Vec::new(),
            })),
            Reply::Fails(code) => Some(Err(FetchFailure {
                code: *code,
                text: format!("{url} could not be reached"),
            })),
            Reply::Elsewhere(_) => None,
        }
    }
}
