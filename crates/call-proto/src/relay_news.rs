//! What a conversation and its server say to each other, and what the shell reports about their
//! connection. Data only.

use std::time::Duration;

use model::{AccountSid, CallSid, SessionSid, Timestamp};
use rcml::Inputs;
use serde::{Deserialize, Serialize};

use crate::event::Req;

/// News of the connection of a conversation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RelayNews {
    /// The server has accepted the connection.
    Connected,
    /// The server sent a message.
    Message(FromAgent),
    /// The server sent something that is not understood; what is wrong with it.
    Strange(String),
    /// It has ended, with what went wrong, or because it was closed as requested; the last news of it.
    Over(Option<String>),
}

/// A message of the server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum FromAgent {
    /// A piece of what to say.
    Text(AgentText),
    /// Play a sound.
    Play {
        /// Its address, as written.
        source: String,
        /// How often, at least once; `None` means until something stops it.
        times: Option<u32>,
        /// How it can be stopped.
        #[serde(default)]
        manner: AgentManner,
    },
    /// Press keys towards the remote party.
    SendDigits {
        /// `0`–`9`, `*`, `#`, `A`–`D`, and `w` for half a second of silence.
        digits: String,
    },
    /// Use other languages from now on.
    Language {
        /// Of the texts; `None` keeps it.
        tts: Option<String>,
        /// Of the remote party; `None` keeps it.
        transcription: Option<String>,
    },
    /// End the conversation.
    End {
        /// For the action.
        handoff: Option<String>,
    },
}

/// A piece of what to say.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AgentText {
    /// The words, which may end in the middle of one.
    pub token: String,
    /// Whether the answer is complete.
    pub last: bool,
    /// Its language as a BCP-47 tag; `None`: the current one.
    #[serde(default)]
    pub language: Option<String>,
    /// How it can be stopped.
    #[serde(default)]
    pub manner: AgentManner,
}

/// How something that the server says can be stopped; `None`: as the document says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct AgentManner {
    /// By what input.
    #[serde(default, with = "crate::journal::serde_as::optional_inputs")]
    pub interruptible: Option<Inputs>,
    /// Whether by the next text.
    #[serde(default)]
    pub preemptible: Option<bool>,
}

/// A message to the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToAgent {
    /// The conversation begins.
    Setup(Box<RelaySetup>),
    /// The remote party said this.
    Prompt {
        /// The words.
        text: String,
        /// Their language.
        language: String,
        /// Whether the utterance is complete.
        last: bool,
    },
    /// The remote party pressed a key.
    Dtmf {
        /// `0`–`9`, `*`, `#`, `A`–`D`.
        digit: char,
    },
    /// The remote party interrupted what the server was saying.
    Interrupt {
        /// What had been spoken of it.
        utterance: String,
        /// How long it had been spoken.
        after: Duration,
    },
    /// A party has begun or stopped speaking.
    Speaking {
        /// Which.
        who: Speaker,
        /// Whether it speaks.
        on: bool,
        /// Since when.
        at: Timestamp,
    },
    /// This text of the server has been played.
    Played {
        /// The words.
        text: String,
    },
    /// Something went wrong.
    Error {
        /// Human-readable.
        description: String,
    },
}

/// A party of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaker {
    /// The server, whose texts and sounds are played.
    Agent,
    /// The remote party.
    Client,
}

/// The call, for the server of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelaySetup {
    /// The conversation.
    pub session: SessionSid,
    /// Account under which the call runs.
    pub account: AccountSid,
    /// The leg.
    pub call: CallSid,
    /// The leg that created it.
    pub parent: Option<CallSid>,
    /// Calling party.
    pub from: String,
    /// Called party.
    pub to: String,
    /// Party that diverted the call.
    pub forwarded_from: Option<String>,
    /// Display name of the caller.
    pub caller_name: Option<String>,
    /// `inbound`, `outbound-api` or `outbound-dial`.
    pub direction: String,
    /// Status of the call.
    pub status: String,
    /// Names and values from the document, in order.
    pub parameters: Vec<(String, String)>,
}

/// A command to the connection of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayCommand {
    /// Connect → [`Event::Relay`](crate::Event::Relay), and in the end always [`RelayNews::Over`].
    Open {
        /// Number of the conversation: returned with all its news.
        req: Req,
        /// The connection.
        request: RelayRequest,
    },
    /// Send a message.
    Send {
        /// The conversation.
        req: Req,
        /// The message.
        message: ToAgent,
    },
    /// Close the connection, after what was sent before.
    Close {
        /// The conversation.
        req: Req,
    },
}

/// The connection of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayRequest {
    /// The conversation.
    pub session: SessionSid,
    /// Account that set the address: its rights apply, and its token signs the handshake.
    pub author: AccountSid,
    /// Absolute `ws` or `wss` address.
    pub url: String,
}
