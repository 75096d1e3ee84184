//! A scene: all that a virtual world holds before its calls begin, and what everybody will do.
//!
//! Scripts of `patchcord test` become scenes; tests of the call machine describe theirs directly, with
//! weather and faults that no script can ask for. **Invariant: the same scene and the same answers of
//! the application give the same run.**

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use call_proto::{
    DigitWay, FetchFailure, Fetched, Headers, Inbound, Modify, OutboundApi, SpeechNews,
};

use crate::expected::Expected;
use crate::script::Step;

/// Offers and answers with this text cannot be used by the media side.
pub const UNUSABLE: &str = "unusable";
/// Length of time that no scene reaches.
const FOREVER: Duration = Duration::from_secs(24 * 3_600);

/// All that there is.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The calls that begin by themselves; each starts a family.
    pub calls: Vec<Start>,
    /// Phones by SIP address, or by client login, number or user part of an address. Only a client
    /// may have several.
    pub phones: BTreeMap<String, Vec<Phone>>,
    /// Answers of the application by absolute address, in order; the last one stays.
    pub pages: BTreeMap<String, Vec<Page>>,
    /// What happens at its time, whatever else happens.
    pub acts: Vec<Act>,
    /// How long sounds and texts last; the first that fits.
    pub(crate) sounds: Vec<(Expected, Duration)>,
    /// How long speech lasts.
    pub pace: Pace,
    /// Delays of the surroundings.
    pub delays: Delays,
    /// What is broken.
    pub faults: Faults,
    /// What listens to speech.
    pub recognizer: Recognizer,
    /// How events travel.
    pub weather: Weather,
    /// Whether numbers outside can be reached.
    pub has_trunk: bool,
    /// Chance of the weather is made from it.
    pub seed: u64,
    /// Calls that are not over after this time are ended by force.
    pub limit: Duration,
    /// When the run ends.
    pub until: Until,
}

/// A call that begins by itself.
#[derive(Clone, Debug)]
pub struct Start {
    /// Since the start of the run.
    pub at: Duration,
    /// Name of the caller's leg. A leg that the API creates is named after the party it calls.
    pub name: String,
    /// How the family begins.
    pub opening: Opening,
    /// Identifiers of the family are made from it.
    pub seed: u64,
    /// From our 200 to the caller's ACK; `None`: it never arrives.
    pub ack: Option<Duration>,
    /// How the caller's phone answers a text message, and after what time; `None`: there is no route to it.
    pub message: Option<(u16, Duration)>,
    /// For a call of the API: the phone that is called if the scene has none at that address.
    pub phone: Option<Phone>,
    /// What the caller does; for a call of the API, the party that answers.
    pub(crate) steps: Vec<Step>,
}

/// How a family begins.
#[derive(Clone, Debug)]
pub enum Opening {
    /// A caller's INVITE was routed to this.
    Inbound(Box<Inbound>),
    /// The API makes a call; its routes are filled in from the scene.
    Api(Box<OutboundApi>),
}

/// A phone that can be called.
#[derive(Clone, Debug)]
pub struct Phone {
    /// Name of its legs; `None`: the address that was dialled.
    pub name: Option<String>,
    /// Whether there is a way to it.
    pub is_reachable: bool,
    /// What it does, counted from its INVITE.
    pub steps: Vec<(Duration, Doing)>,
    /// On each of its responses.
    pub headers: Headers,
    /// Session description of its answer.
    pub sdp: Option<String>,
    /// From its answer until it hangs up; `None`: it stays on the line.
    pub talks: Option<Duration>,
    /// `Reason` header of its BYE.
    pub bye_reason: Option<String>,
    /// Parameters of its registered contact, such as `;transport=tcp`.
    pub contact: String,
    /// From our CANCEL to its 487; `None`: it does not respond to CANCEL.
    pub withdraws: Option<Duration>,
    /// It does not know the dialog any more when we hang up, and answers 404.
    pub forgets: bool,
    /// Its refusals say `words for` and the status.
    pub has_phrases: bool,
    /// Final response to a text message, and after what time; `None`: there never is one.
    pub message: Option<(u16, Duration)>,
    /// Counted over all phones of a script, from 1; 0 if it has no steps of its own.
    pub(crate) number: usize,
    /// What the person does once the call is answered.
    pub(crate) then: Vec<Step>,
}

/// What the remote party of a leg, or the SIP side in its place, does by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// Sends a provisional response of this status.
    Ring(u16),
    /// Sends 200.
    Answer,
    /// Sends a final failure.
    Reject(u16),
    /// Its 487 for our CANCEL.
    Withdraw,
    /// No response came at all: the transaction ends with 408.
    GiveUp,
    /// Its ACK for our 200.
    Ack,
    /// Its ACK never came: the SIP side hangs up.
    NoAck,
    /// CANCEL or BYE, as it stands.
    HangUp,
    /// It is gone without a message.
    Vanish(Vanishes),
}

/// What is missing of a phone that has vanished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vanishes {
    /// Its sound: nothing arrives any more.
    Sound,
    /// The way to it: its registration or connection is lost.
    Way,
}

/// One answer of the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// What is answered.
    pub reply: Reply,
    /// How long the answer takes.
    pub after: Duration,
    /// Where the web server's own redirects led to.
    pub moved_to: Option<String>,
}

/// What is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A response.
    Text(TextReply),
    /// What another page or the application answers at this address.
    Elsewhere(String),
    /// There is no response, for the reason with this number.
    Fails(u16),
}

/// A response of the application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextReply {
    /// HTTP status.
    pub status: u16,
    /// Its `Content-Type`.
    pub content_type: Option<String>,
    /// Its body.
    pub body: String,
}

/// Something that happens at its time.
#[derive(Clone, Debug)]
pub struct Act {
    /// Since the start of the run.
    pub at: Duration,
    /// To which leg.
    pub leg: Who,
    /// What.
    pub does: Does,
    /// Line of the script; 0 if there is none, and then a leg that does not exist is no failure.
    pub(crate) line: usize,
    /// Whether the script expects the API to refuse it.
    pub(crate) refused: bool,
}

/// A leg, by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The leg of exactly this name.
    Leg(String),
    /// The newest leg of this party.
    Newest(String),
}

/// What happens to a leg.
#[derive(Clone, Debug)]
pub enum Does {
    /// Its remote party, or the SIP side, does something.
    Party(Doing),
    /// A re-INVITE with this offer arrives.
    Reinvite(Option<String>),
    /// The ACK to our answer of a re-INVITE arrives with this description.
    Ack(Option<String>),
    /// An INFO arrives that names no key.
    Info,
    /// A key is pressed.
    Key(char, DigitWay),
    /// The recognizer has news of what is said.
    Understood(SpeechNews),
    /// The API changes the call.
    Modify(Modify),
    /// The server stops.
    Shutdown,
}

/// How long speech lasts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Every text.
    pub fixed: Duration,
    /// Each of its characters.
    pub per_character: Duration,
}

/// Delays of the surroundings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delays {
    /// Looking up a target.
    pub look_up: Duration,
    /// The response to our BYE.
    pub bye: Duration,
    /// Closing the file of a recording; `None`: it never ends.
    pub closing: Option<Duration>,
}

/// What is broken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// Parties whose media cannot be opened.
    pub deaf: BTreeSet<String>,
    /// Parties whose records cannot be kept.
    pub unrecorded: BTreeSet<String>,
    /// Names of conferences that never answer.
    pub silent: BTreeSet<String>,
    /// Texts that hold this cannot be spoken.
    pub unspeakable: Option<String>,
    /// Whether the media side fails to write recordings.
    pub disk_full: bool,
}

/// The recognizer behind `<Gather input="speech">`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Recognizer {
    /// It gives the final result as soon as it is asked for, as sure as this, if anything was said.
    Works(Option<f64>),
    /// The same, without a confidence, and the party speaks now and then, by chance.
    Hears,
    /// It never gives a final result by itself.
    Dreams,
    /// There is none.
    Missing,
}

/// How events travel to the machines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weather {
    /// At once.
    Calm,
    /// Up to half a second late, so that they overtake each other.
    Windy,
    /// Later, twice, and some that nothing caused. Calls that do not end by themselves are ended by
    /// force, and that is not a failure.
    Stormy,
}

/// When a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// When every call is over.
    Over,
    /// When nothing is due any more: what comes too late is delivered, too.
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

    /// The sound file at this address lasts so long.
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
    /// A call that begins at once, whose caller does nothing by itself.
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
    /// A phone that does nothing at all yet.
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
    /// Something that happens to the newest leg of a party, if there is one.
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
    /// What the call is given for a request to this address; `None` if another address answers.
    pub(crate) fn result(&self, url: &str) -> Option<Result<Fetched, FetchFailure>> {
        match &self.reply {
            Reply::Text(text) => Some(Ok(Fetched {
                status: text.status,
                content_type: text.content_type.clone(),
                body: text.body.clone(),
                url: self.moved_to.clone().unwrap_or_else(|| url.to_owned()),
            })),
            Reply::Fails(code) => Some(Err(FetchFailure {
                code: *code,
                text: format!("{url} could not be reached"),
            })),
            Reply::Elsewhere(_) => None,
        }
    }
}
