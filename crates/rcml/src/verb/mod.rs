//! The verbs, one file each: the fields of a verb and how it is read from its element.
//!
//! **Invariant: a value in a verb is within its allowed range**; anything else in the text became a
//! finding and the default. Addresses are as written: whatever runs the document resolves relative
//! ones.

mod answering;
mod call_recording;
mod conference;
mod connect;
mod dial;
mod echo;
mod email;
mod enqueue;
mod gather;
mod hangup;
mod markup;
mod noun;
mod pause;
mod play;
mod queue;
mod record;
mod recording;
mod redirect;
mod refer;
mod reject;
mod relay;
mod say;
mod siprec;
mod sms;
mod speech;
mod stream;
mod target;
mod transcription;
mod unsupported;
mod wait;

use crate::element::Attributes;

pub(crate) use email::LAST as LAST_RECORDING;

pub use answering::Detection;
pub use call_recording::CallRecording;
pub use conference::{Beep, Conference, ConferenceRecording};
pub use connect::{Connect, ConnectNoun, Start, StartNoun, Stop, StopNoun};
pub use dial::{Dial, DialRecording, RecordingStart, RingTone, Sides};
pub use echo::Echo;
pub use email::{Attach, Email};
pub use enqueue::{Enqueue, Leave};
pub use gather::{Gather, Prompt};
pub use hangup::Hangup;
pub use markup::{Manner, Spoken};
pub use model::{LegEvent, RecordingEvent};
pub use noun::{Branch, Noun};
pub use pause::Pause;
pub use play::Play;
pub use queue::Queue;
pub use record::Record;
pub use recording::RecordingCallback;
pub use redirect::Redirect;
pub use refer::Refer;
pub use reject::{Reject, RejectReason};
pub use relay::{ConversationRelay, Inputs, RelayEvents};
pub use say::{Say, Voice};
pub use siprec::Siprec;
pub use sms::Sms;
pub use speech::{Speech, SpeechTimeout};
pub use stream::{Stream, Track};
pub use transcription::Transcription;
pub use unsupported::Unsupported;
pub use wait::Wait;

/// Every verb and noun, with the attributes known for it.
pub(crate) const ELEMENTS: &[(&str, &Attributes)] = &[
    ("Say", &say::ATTRIBUTES),
    ("Play", &play::ATTRIBUTES),
    ("Pause", &pause::ATTRIBUTES),
    ("Hangup", &hangup::ATTRIBUTES),
    ("Redirect", &redirect::ATTRIBUTES),
    ("Reject", &reject::ATTRIBUTES),
    ("Dial", &dial::ATTRIBUTES),
    ("Gather", &gather::ATTRIBUTES),
    ("Record", &record::ATTRIBUTES),
    ("Sms", &sms::ATTRIBUTES),
    ("Email", &email::ATTRIBUTES),
    ("Connect", &connect::CONNECT),
    ("Start", &connect::START),
    ("Stop", &connect::STOP),
    ("Enqueue", &enqueue::ENQUEUE),
    ("Leave", &enqueue::LEAVE),
    ("Refer", &refer::ATTRIBUTES),
    ("Echo", &echo::ATTRIBUTES),
    ("Conference", &conference::ATTRIBUTES),
    ("Queue", &queue::ATTRIBUTES),
    ("Number", &noun::NUMBER),
    ("Client", &noun::CLIENT),
    ("Sip", &noun::SIP),
    ("Stream", &stream::ATTRIBUTES),
    ("Recording", &call_recording::ATTRIBUTES),
    ("Transcription", &transcription::ATTRIBUTES),
    ("Siprec", &siprec::ATTRIBUTES),
    ("ConversationRelay", &relay::ATTRIBUTES),
    ("Language", &relay::LANGUAGE),
    ("Parameter", &stream::PARAMETER),
];

/// An element that supports an attribute.
pub(crate) fn owner_of(attribute: &str) -> Option<&'static str> {
    let owner = ELEMENTS
        .iter()
        .find(|(_, known)| known.built.contains(&attribute));
    owner.map(|(name, _)| *name)
}

/// One step of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Speak a text.
    Say(Say),
    /// Play a sound file, or key tones.
    Play(Play),
    /// Wait.
    Pause(Pause),
    /// End the call.
    Hangup(Hangup),
    /// Refuse a call that is not yet answered.
    Reject(Reject),
    /// Continue with another document.
    Redirect(Redirect),
    /// Call a party and connect it.
    Dial(Box<Dial>),
    /// Collect keys or speech.
    Gather(Box<Gather>),
    /// Record what the caller says.
    Record(Box<Record>),
    /// Send a text message.
    Sms(Box<Sms>),
    /// Send an e-mail.
    Email(Box<Email>),
    /// Talk to a server.
    Connect(Box<Connect>),
    /// Start streams, recordings, transcriptions and SIPREC sessions beside the document.
    Start(Start),
    /// Stop them.
    Stop(Stop),
    /// Wait in a queue.
    Enqueue(Box<Enqueue>),
    /// Leave the queue.
    Leave(Leave),
    /// Have the remote party call another address.
    Refer(Refer),
    /// Let the remote party hear itself.
    Echo(Echo),
    /// A known but unsupported verb, which has a finding and is skipped.
    Unsupported(Unsupported),
}

impl Verb {
    /// Name of the element.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Say(_) => "Say",
            Self::Play(_) => "Play",
            Self::Pause(_) => "Pause",
            Self::Hangup(_) => "Hangup",
            Self::Reject(_) => "Reject",
            Self::Redirect(_) => "Redirect",
            Self::Dial(_) => "Dial",
            Self::Gather(_) => "Gather",
            Self::Record(_) => "Record",
            Self::Sms(_) => "Sms",
            Self::Email(_) => "Email",
            Self::Connect(_) => "Connect",
            Self::Start(_) => "Start",
            Self::Stop(_) => "Stop",
            Self::Enqueue(_) => "Enqueue",
            Self::Leave(_) => "Leave",
            Self::Refer(_) => "Refer",
            Self::Echo(_) => "Echo",
            Self::Unsupported(verb) => &verb.name,
        }
    }

    /// Line of the element in the document, from 1; 0 for a verb not read from XML.
    #[must_use]
    pub fn line(&self) -> u32 {
        match self {
            Self::Say(verb) => verb.line,
            Self::Play(verb) => verb.line,
            Self::Pause(verb) => verb.line,
            Self::Hangup(verb) => verb.line,
            Self::Reject(verb) => verb.line,
            Self::Redirect(verb) => verb.line,
            Self::Dial(verb) => verb.line,
            Self::Gather(verb) => verb.line,
            Self::Record(verb) => verb.line,
            Self::Sms(verb) => verb.line,
            Self::Email(verb) => verb.line,
            Self::Connect(verb) => verb.line,
            Self::Start(verb) => verb.line,
            Self::Stop(verb) => verb.line,
            Self::Enqueue(verb) => verb.line,
            Self::Leave(verb) => verb.line,
            Self::Refer(verb) => verb.line,
            Self::Echo(verb) => verb.line,
            Self::Unsupported(verb) => verb.line,
        }
    }
}
